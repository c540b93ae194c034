"""Which changes go in which run of the engine."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from codat_iac.planning.decision import Decision
from codat_iac.planning.rule_table import Action
from codat_iac.stack.apply.engine_runs import LARGEST, engine_runs
from tests.support.builders import an_id
from tests.support.samples import CALM, a_change


def change(company: int, key: int = 0, action: Action = Action.CREATE, **rest: Any) -> Decision:
    """A change of a connection of a company."""
    return a_change(f"c{company}/k{key}", action, company_id=an_id(company), **rest)


def test_nothing_to_do_takes_no_run() -> None:
    """The engine without targets would remove what isn't declared."""
    assert engine_runs([]) == []
    assert engine_runs([change(1, later=True)]) == []


def test_all_kinds_of_changes_go_together() -> None:
    """But for what has to wait."""
    changes = [
        change(1),
        change(2, action=Action.UNLINK),
        change(1, 1, action=Action.REMOVE, removal=Action.DELETE),
        change(3, action=Action.REPLACE, removal=Action.UNLINK),
    ]
    waits = change(2, 1, action=Action.MOVE, later=True)

    (run,) = engine_runs([waits, *changes])

    assert sorted(run, key=changes.index) == changes


@CALM
@given(sizes=st.lists(st.sampled_from([1, 2, 7, LARGEST - 1, LARGEST + 1]), max_size=12))
def test_runs_are_not_too_large_and_cut_no_company(sizes: list[int]) -> None:
    """Each change is in one run; only a company of its own makes one too large."""
    changes = [change(company, key) for company, size in enumerate(sizes) for key in range(size)]
    runs = engine_runs(changes)

    assert list(itertools.chain(*runs)) == changes
    companies = [{each.company_id for each in run} for run in runs]
    assert sum(map(len, companies)) == len(sizes)
    assert all(len(run) <= LARGEST or len(mine) == 1 for run, mine in zip(runs, companies, strict=True))
