"""What the emulator's own tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codat_iac.emulator import Emulator, serving


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A new one for each test, with its usual key."""
    with serving() as emulator:
        yield emulator


@pytest.fixture
def company(emulator: Emulator) -> str:
    """The id of a company without connections."""
    return str(emulator.add_company("Acme")["id"])
