"""What all tests share: one emulated Codat, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator, serving
from tests.project import Project


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulated Codat without companies."""
    with serving() as running:
        yield running


@pytest.fixture
def acme(emulator: Emulator) -> str:
    """The id of a company."""
    return str(emulator.add_company("Acme")["id"])


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Project:
    """A Pulumi project of its own on the real engine, which manages the emulator."""
    return Project(tmp_path / "project", emulator)
