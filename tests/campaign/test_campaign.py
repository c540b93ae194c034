"""A short cut of the campaigns under faults; `make faults` runs them whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from codat_iac.emulator import Emulator, serving
from codat_iac.planning.rule_table import Action
from tests.campaign import living, machine, operations
from tests.campaign.faults import CELLS, FAULTS
from tests.campaign.story import Found

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("chunk", range(4))
def test_nothing_is_lost_or_doubled_under_faults(chunk: int) -> None:
    """Every fault strikes once at least; the whole campaign makes a thousand such runs."""
    found = operations.some_runs(1, range(chunk, len(FAULTS), 4))

    assert found.violations == []
    assert found.hits


@pytest.mark.engine
@pytest.mark.parametrize("number", [1, 5])
def test_nothing_is_lost_or_doubled_on_the_real_engine(
    number: int, emulator: Emulator, tmp_path: Path
) -> None:
    """Errors of Codat's, and answers that never came, while `pulumi up` and `codat-iac apply` run."""
    assert machine.Run(emulator, tmp_path, 1, number).everything().violations == []


@pytest.mark.engine
def test_a_team_keeps_up_with_a_tenant_that_never_rests(tmp_path: Path) -> None:
    """Import, plan, preview, edits and apply, while others act; and the oracle sees what would be wrong."""
    with serving(companies=15, demo=True, seed=1) as emulator:
        team = living.Team(emulator, tmp_path, 1)
        with living.living(emulator, 1.0, team.acts):
            team.round()
        assert team.violations == []

        company = team.companies()[0]
        emulator.clear_requests()
        requests.post(
            f"{emulator.url}/companies/{company['id']}/connections",
            json={"platformKey": living.OURS[0]},
            headers={"Authorization": emulator.authorization},
            timeout=10,
        )
        team.check_writes(team.recorded(), team.declared(), team.live())
        team.check_bonds()

    assert [each.split(": ")[1].split(" (")[0] for each in team.violations] == [
        f"a connection for {company['id']} that nobody asked for",
        "made and recorded nowhere",
    ]


def test_the_campaign_would_see_what_is_wrong() -> None:
    """A check that finds nothing wrong with a wrong world proves nothing."""
    with serving() as emulator:
        run = operations.Run(emulator, 1, 0)
        run.declare()
        run.process()
        first, second, third, *_ = run.stack.recorded
        made = emulator.connect(first.desired.company_id, first.desired.platform_key, "PendingAuth")
        run.theirs[second.id] = "Linked"
        emulator.delete_connection(third.id)

        run.check()

    said = "\n".join(run.found.violations)
    assert f"{made['id']} was made and is recorded nowhere: a second connection" in said
    assert f"{second.id} was Linked and is PendingAuth, which nobody asked for" in said
    assert f"still to do: {Action.REPLACE} {third.address}" in said


def test_a_cell_that_was_hardly_hit_proves_nothing() -> None:
    """The campaign says so instead of passing."""
    told: list[str] = []

    rare = operations.report(Found(), 1000, 7, told.append)

    assert len(rare) == len(CELLS)
    assert rare[0].startswith("operations, seed 7: too rare to say anything: 429 in seconds at list: 0 hits")
    assert told[0] == "operations: 1000 runs from seed 7"
