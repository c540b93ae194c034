"""Which changes go in which run of the engine."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.planning.decision import Decision
from codat_iac.planning.rule_table import Action
from codat_iac.stack.apply.engine_runs import FEWEST, LARGEST, EngineRun, engine_runs
from tests.support.builders import an_id
from tests.support.samples import CALM, a_change


def change(company: int, key: int = 0, action: Action = Action.CREATE, **rest: Any) -> Decision:
    """A change of a connection of a company."""
    return a_change(f"c{company}/k{key}", action, company_id=an_id(company), **rest)


def creates(number: int) -> list[Decision]:
    """Creates in as many companies."""
    return [change(company) for company in range(number)]


def test_nothing_to_do_takes_no_run() -> None:
    """The engine without targets would remove what isn't declared."""
    assert engine_runs([]) == []
    assert engine_runs([change(1, later=True)]) == []


def test_a_few_creates_go_with_the_rest() -> None:
    """Starting the engine once more would take longer."""
    changes = [*creates(FEWEST - 1), change(100, action=Action.UPDATE)]

    assert engine_runs(changes) == [EngineRun(tuple(changes))]


def test_many_creates_go_after_the_rest_and_without_checkpoints() -> None:
    """An adoption only adds to the state, too."""
    many = [change(0, action=Action.ADOPT), *creates(FEWEST)[1:]]
    rest = change(100, action=Action.UPDATE)

    assert engine_runs([*many, rest]) == [
        EngineRun((rest,)),
        EngineRun(tuple(many), checkpoints=False),
    ]
    assert engine_runs(many) == [EngineRun(tuple(many), checkpoints=False)]


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param({"action": Action.UNLINK}, id="an unlink"),
        pytest.param({"action": Action.REMOVE, "removal": Action.FORGET}, id="a removal"),
        pytest.param({"action": Action.CREATE, "removal": Action.UNLINK}, id="a create that removes another"),
        pytest.param({"action": Action.MOVE, "later": True}, id="a move that waits"),
        pytest.param({"action": Action.UPDATE}, id="an update"),
    ],
)
def test_creates_beside_another_change_keep_their_checkpoints(beside: dict[str, Any]) -> None:
    """Changes of one company may depend on each other."""
    many, other = creates(FEWEST + 1), change(0, 1, **beside)

    first, second = engine_runs([*many, other])

    assert first == EngineRun(tuple(each for each in (many[0], other) if not each.later))
    assert second == EngineRun(tuple(many[1:]), checkpoints=False)


@CALM
@given(sizes=st.lists(st.sampled_from([1, 2, 7, LARGEST - 1, LARGEST + 1]), max_size=12))
def test_runs_are_not_too_large_and_cut_no_company(sizes: list[int]) -> None:
    """Each change is in one run; only a company of its own makes one too large."""
    changes = [change(company, key) for company, size in enumerate(sizes) for key in range(size)]
    runs = engine_runs(changes)

    assert list(itertools.chain(*(run.changes for run in runs))) == changes
    companies = [{each.company_id for each in run.changes} for run in runs]
    assert sum(map(len, companies)) == len(sizes)
    assert all(
        len(run.changes) <= LARGEST or len(mine) == 1 for run, mine in zip(runs, companies, strict=True)
    )
