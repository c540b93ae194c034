"""The campaign of kills in a short cut; `make faults` runs it whole."""

from __future__ import annotations

import pytest

from tests.campaign.crashes import campaign

pytestmark = pytest.mark.slow


@pytest.mark.engine
def test_whatever_is_killed_the_next_run_puts_right() -> None:
    """Two of the four kills come between the commit of a POST and its checkpoint."""
    told: list[str] = []

    assert campaign(4, 1, told.append) == []

    assert any(line.startswith("2 proven between a POST's commit") for line in told), told
