"""The runs of an apply, and what stops them; `engine/stack/test_apply.py` drives the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codat_iac.codat.client import Reader
from codat_iac.model.connection import RESOURCE_TYPE
from codat_iac.model.settings import Settings
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile.planner import Planner
from codat_iac.stack.apply import apply, differences, in_turn
from codat_iac.stack.apply.engine_runs import EngineRun
from codat_iac.stack.apply.outcomes import Applied, Outcome, Result
from codat_iac.stack.stack import Stack, StackError
from tests.support.builders import an_id
from tests.support.samples import a_change

FIRST, SECOND = a_change("acme/a"), a_change("acme/b")
RUNS = ((SECOND,), (FIRST,))


def in_two(first: Applied | StackError, second: Applied | StackError) -> Applied:
    """What becomes of two changes, one in each run."""
    ends = iter((first, second))

    def carry_out(_: EngineRun) -> Applied:
        end = next(ends)
        if isinstance(end, StackError):
            raise end
        return end

    return in_turn(RUNS, carry_out, [FIRST, SECOND, a_change("acme/c", later=True)])


def applied(change: Decision, error: str = "", *, interrupted: bool = False) -> Applied:
    """A run that did its one change."""
    return Applied((Outcome(change.address, change.action, Result.DONE),), error, interrupted)


def test_runs_are_done_in_turn_and_told_in_the_order_of_the_plan() -> None:
    """Whatever their own order."""
    assert in_two(applied(SECOND), applied(FIRST)) == Applied(
        (
            Outcome("acme/a", Action.CREATE, Result.DONE),
            Outcome("acme/b", Action.CREATE, Result.DONE),
        )
    )


@pytest.mark.parametrize(
    ("first", "second", "error", "interrupted"),
    [
        pytest.param(applied(SECOND, "full disk"), applied(FIRST), "full disk", False, id="the first failed"),
        pytest.param(
            applied(SECOND, interrupted=True), applied(FIRST), "", True, id="the first was interrupted"
        ),
        pytest.param(applied(SECOND), StackError("locked"), "locked", False, id="the second didn't begin"),
    ],
)
def test_after_a_run_that_failed_the_rest_is_not_tried(
    first: Applied, second: Applied | StackError, error: str, interrupted: bool
) -> None:
    """What is done stays told."""
    whole = in_two(first, second)

    assert [outcome.result for outcome in whole.outcomes] == [Result.NOT_TRIED, Result.DONE]
    assert (whole.error, whole.interrupted) == (error, interrupted)


def test_a_first_run_that_doesnt_begin_is_an_error() -> None:
    """Nothing is done then."""
    with pytest.raises(StackError, match="locked"):
        in_two(StackError("locked"), applied(FIRST))


def test_where_everything_waits_nothing_is_run() -> None:
    """Pulumi takes no target for all there is, and would remove what this run doesn't declare."""
    planner = Planner(Reader("key", "http://127.0.0.1:1"), Settings("key"), [])
    nowhere = Stack(Path("/nowhere"), "dev", Path("/nowhere/pulumi"))
    told: list[object] = []

    assert apply(
        nowhere, {}, planner, Plan((a_change(later=True),)), [], told.append, told.append
    ) == Applied(())
    assert told == []


# Whether the stack is still the one that was planned for.


def a_resource(address: str, number: int = 1, **rest: Any) -> dict[str, Any]:
    """A connection as a state holds it."""
    urn = f"urn:pulumi:dev::shop::{RESOURCE_TYPE}::{address}"
    return {"urn": urn, "type": RESOURCE_TYPE, "id": an_id(number), "outputs": {"status": "Linked"}, **rest}


def a_state(*resources: dict[str, Any]) -> dict[str, Any]:
    """An exported state of these resources."""
    return {"deployment": {"resources": list(resources)}}


LEDGER, BANK = a_resource("acme/ledger"), a_resource("acme/bank", 2)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(a_state(LEDGER, BANK), id="the same"),
        pytest.param(a_state(BANK, LEDGER), id="in another order"),
        pytest.param(
            a_state({"urn": "x", "type": "aws:s3:Bucket", "id": "b"}, LEDGER, BANK), id="beside other things"
        ),
    ],
)
def test_a_stack_that_holds_the_same_has_no_differences(now: dict[str, Any]) -> None:
    """What else there is in it is none of our business."""
    assert differences(a_state(LEDGER, BANK), now) == []


@pytest.mark.parametrize(
    ("now", "named"),
    [
        pytest.param(a_state(LEDGER), ["acme/bank"], id="one went"),
        pytest.param(a_state(LEDGER, BANK, a_resource("acme/shop", 3)), ["acme/shop"], id="one came"),
        pytest.param(a_state(LEDGER, a_resource("acme/bank", 9)), ["acme/bank"], id="another connection"),
        pytest.param(a_state(LEDGER, {**BANK, "protect": True}), ["acme/bank"], id="protected"),
        pytest.param(
            a_state(LEDGER, {**BANK, "outputs": {"status": "Unlinked"}}), ["acme/bank"], id="other outputs"
        ),
        pytest.param(
            a_state(LEDGER, BANK, {**a_resource("acme/bank", 9), "delete": True}),
            ["acme/bank"],
            id="an old half more",
        ),
        pytest.param({}, ["acme/bank", "acme/ledger"], id="nothing is left"),
    ],
)
def test_what_a_stack_holds_otherwise_is_named(now: dict[str, Any], named: list[str]) -> None:
    """A colleague's run in between: the plan was made for another stack."""
    assert differences(a_state(LEDGER, BANK), now) == named


def test_a_plan_of_a_stack_that_moves_meanwhile_is_stale() -> None:
    """Between plan and lock its companies may have become another stack's."""
    stack = {"urn": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "type": "pulumi:pulumi:Stack"}
    planned, now = (
        {"deployment": {"resources": [{**stack, "outputs": {"codat:shard": marker}}]}}
        for marker in ("1/3", "1/3 moving")
    )

    assert differences(planned, now) == ["codat:shard"]
    assert differences(planned, planned) == []
