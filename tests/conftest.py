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

MEASURE = "COVERAGE_PROCESS_CONFIG"
MEASURING = os.environ.get(MEASURE)
"""What coverage tells children to do, if this is a run with coverage."""

CANARY = "c4nary-0f-an-api-key-that-is-n0where-else"


@pytest.fixture(scope="module", autouse=True)
def unmeasured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Don't measure what the children of a module cover, if it is marked `unmeasured` or `engine`.

    That doubles their time. What they cover is covered by other tests, or by those marked `measured`, or the
    whole isn't at 100 %.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("unmeasured") or request.node.get_closest_marker("engine"):
            patch.delenv(MEASURE, raising=False)
        yield


@pytest.fixture(autouse=True)
def measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the children of a test if it or its module is marked so, and of no other engine test."""
    if MEASURING and request.node.get_closest_marker("measured"):
        monkeypatch.setenv(MEASURE, MEASURING)
    elif request.node.get_closest_marker("engine"):
        monkeypatch.delenv(MEASURE, raising=False)


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
