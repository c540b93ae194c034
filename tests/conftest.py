"""What all tests share: one emulated Codat, over real HTTP."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from codat_iac.emulator import Emulator, serving
from tests.support.project import Project, pulumi_home
from tests.support.waiting import Naps

for number in (signal.SIGINT, signal.SIGHUP):
    # A shell lets what runs in the background ignore them, and every process of a test would inherit that.
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# Pulumi's start, which is most of a run on a small stack, makes tables that stay: not worth collecting.
os.environ.setdefault("GOGC", "400")

os.environ["PULUMI_HOME"] = pulumi_home()

# The same examples each time, and no hurry on a busy machine. `HYPOTHESIS_PROFILE=default` rolls anew.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

CANARY = "c4nary-0f-an-api-key-that-is-n0where-else"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulated Codat without companies; its key is a canary."""
    with serving(api_key=CANARY) as running:
        yield running


@pytest.fixture
def naps() -> Naps:
    """The waits of a test."""
    return Naps()


@pytest.fixture
def acme(emulator: Emulator) -> str:
    """The id of a company."""
    return str(emulator.add_company("Acme")["id"])


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Iterator[Project]:
    """A Pulumi project of its own on the real engine, which manages the emulator.

    Whatever was done with it, no secret may be found afterwards.
    """
    made = Project(tmp_path / "project", emulator)
    yield made
    assert made.leaks() == []


@pytest.fixture(scope="module", autouse=True)
def no_secret_is_left() -> Iterator[None]:
    """The same for the projects that the tests of a module share."""
    yield
    assert [leak for made in list(Project.unchecked) for leak in made.leaks()] == []
