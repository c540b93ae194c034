"""What is told of an apply, out of the engine's events; `engine/stack/test_apply.py` drives the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pulumi import RunError
from pulumi.automation import EngineEvent, OpType
from pulumi.automation.events import DiagnosticEvent, ResOutputsEvent, StepEventMetadata

from codat_iac.codat.client import Reader
from codat_iac.model.connection import RESOURCE_TYPE
from codat_iac.model.record import _SECRET
from codat_iac.model.settings import Settings
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile.planner import Planner
from codat_iac.stack.apply import (
    Applied,
    Outcome,
    Result,
    _holds_secret,
    _is_ours,
    _reason,
    _Watcher,
    apply,
    differences,
    in_turn,
)
from codat_iac.stack.apply.engine_runs import EngineRun
from codat_iac.stack.stack import Stack, StackError
from tests.support.builders import an_id
from tests.support.samples import a_change

CHANGE = a_change()
URN = f"urn:pulumi:dev::shop::pulumi-python:dynamic:Resource::{CHANGE.address}"


def heard(*heard: EngineEvent) -> tuple[list[Outcome], _Watcher]:
    """What a watcher reports of *heard*, and the watcher."""
    told: list[Outcome] = []
    watcher = _Watcher({URN: CHANGE}, told.append)
    for event in heard:
        watcher.hear(event)
    return told, watcher


def done() -> EngineEvent:
    """The engine has created the connection."""
    return EngineEvent(1, 1, res_outputs_event=ResOutputsEvent(StepEventMetadata(OpType.CREATE, URN, "", "")))


def failed(message: str, urn: str | None = URN, severity: str = "error") -> EngineEvent:
    """The engine says *message* about *urn*."""
    return EngineEvent(1, 1, diagnostic_event=DiagnosticEvent(message, "never", severity, urn=urn))


def an_outcome(result: Result, text: str = "") -> Outcome:
    """What became of CHANGE."""
    return Outcome(CHANGE.address, CHANGE.action, result, text)


def test_each_change_is_reported_once() -> None:
    """The engine may say a thing several times, and a warning is no failure."""
    told, watcher = heard(failed("waits", severity="warning"), done(), done())

    assert told == [an_outcome(Result.DONE)]
    assert watcher.outcomes([CHANGE]) == (an_outcome(Result.DONE),)
    assert watcher.failed == set()


def test_the_first_error_is_the_reason() -> None:
    """What follows from it says less."""
    told, watcher = heard(failed("no\n  key"), failed("update failed"), failed("general", urn=None))

    assert told == [an_outcome(Result.FAILED, "no key")]
    assert watcher.failed == {CHANGE.address}
    assert watcher.general == ["general"]


def test_a_plugin_that_dies_at_its_start_says_why_on_stderr() -> None:
    """The engine only says that it is gone."""
    died = "could not read plugin [/bin/host]: exit status 1"
    _, watcher = heard(
        failed("Traceback:", urn=None, severity="info#err"),
        failed("ImportError: no such thing\n\n", urn=None, severity="info#err"),
        failed("\n", urn=None, severity="info#err"),
        failed(died, urn="urn:of:the:provider"),
    )

    assert _reason(RunError("code: 255"), watcher) == (
        f"`pulumi up` failed: {died} (ImportError: no such thing)"
    )
    watcher.plugin_said = ""
    assert _reason(RunError("code: 255"), watcher) == f"`pulumi up` failed: {died}"


def test_what_is_done_may_fail_after_all() -> None:
    """Where the state can't be written, for one."""
    told, watcher = heard(done(), failed("read-only file system"))

    assert told == [an_outcome(Result.DONE), an_outcome(Result.FAILED, "read-only file system")]
    assert watcher.outcomes([CHANGE]) == (told[1],)


def test_a_state_that_cant_be_written_is_said_plainly() -> None:
    """The engine's words for it name a step, a blob and a key before they come to the point."""
    told, _ = heard(
        failed(
            "post-step event returned an error: failed to save snapshot: An IO error occurred while writing"
            ' the new snapshot file: blob (key ".pulumi/stacks/shop/dev.json") (code=Unknown): open'
            " /state/dev.json.18eb.tmp: read-only file system"
        )
    )

    assert told[0].text == (
        f"{CHANGE.address}: Pulumi can't write the stack's state (read-only file system); see to where it is"
        " kept, then run again: what was made is taken up, and not made twice"
    )


def test_without_checkpoints_nothing_is_done_if_the_state_cant_be_written() -> None:
    """It is written once, at the end."""
    unsaved = "failed to save snapshot: open /state/dev.json: no space left on device"
    told, watcher = heard(done())
    watcher.ended(unsaved)
    assert watcher.outcomes([CHANGE]) == (an_outcome(Result.DONE),)  # the checkpoint has it

    watcher.checkpoints = False
    watcher.ended("interrupted")
    assert watcher.outcomes([CHANGE]) == (an_outcome(Result.DONE),)

    watcher.ended(unsaved)
    assert watcher.failed == {CHANGE.address}
    assert "can't write the stack's state (no space left on device)" in told[-1].text

    _, other = heard(failed("no key"))
    other.checkpoints = False
    other.ended(unsaved)
    assert other.outcomes([CHANGE]) == (an_outcome(Result.FAILED, "no key"),)


def test_what_nobody_knows_is_uncertain_and_what_nobody_began_is_not_tried() -> None:
    """They are told apart, since only one of them may have been done."""
    told, _ = heard(failed("it is not certain whether it was made"))
    _, watcher = heard()

    assert told[0].result is Result.UNCERTAIN
    assert watcher.outcomes([CHANGE]) == (an_outcome(Result.NOT_TRIED),)


@pytest.mark.parametrize(
    ("change", "operations", "done"),
    [
        pytest.param(a_change(), [OpType.CREATE], True, id="a create"),
        pytest.param(a_change(action=Action.MOVE), [OpType.UPDATE], True, id="a move"),
        pytest.param(
            a_change(action=Action.REPLACE, removal=Action.UNLINK),
            [OpType.CREATE_REPLACEMENT, OpType.REPLACE],
            False,
            id="half a replacement",
        ),
        pytest.param(
            a_change(action=Action.REPLACE, removal=Action.UNLINK),
            [OpType.CREATE_REPLACEMENT, OpType.REPLACE, OpType.DELETE_REPLACED],
            True,
            id="a whole replacement",
        ),
        pytest.param(
            a_change(action=Action.REMOVE, removal=Action.FORGET), [OpType.DELETE], True, id="a removal"
        ),
        pytest.param(
            a_change(action=Action.UPDATE, removal=Action.DELETE),
            [OpType.UPDATE],
            False,
            id="an update beside the removal of an old half",
        ),
    ],
)
def test_a_change_is_done_when_its_last_step_is(
    change: Decision, operations: list[OpType], done: bool
) -> None:
    """Where something is removed that comes last, and only then the change is one."""
    told: list[Outcome] = []
    watcher = _Watcher({URN: change}, told.append)
    for operation in operations:
        step = StepEventMetadata(operation, URN, "", "")
        watcher.hear(EngineEvent(1, 1, res_outputs_event=ResOutputsEvent(step)))

    assert [outcome.result for outcome in told] == ([Result.DONE] if done else [])


FIRST, SECOND = a_change("acme/a"), a_change("acme/b")
RUNS = (EngineRun((SECOND,)), EngineRun((FIRST,), checkpoints=False))


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


# The stack's outputs.


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ({"a": 1, "b": ["x", {"c": None}]}, False),
        ({"a": {_SECRET[0]: _SECRET[1], "ciphertext": "v1:x"}}, True),
        ({"a": [{"b": {_SECRET[0]: _SECRET[1], "ciphertext": "v1:x"}}]}, True),
        ({}, False),
    ],
)
def test_a_secret_is_found_wherever_it_is(value: object, holds: bool) -> None:
    """Only then is the state exported once more, with secrets as text."""
    assert _holds_secret(value) == holds


@pytest.mark.parametrize(
    ("name", "value", "ours"),
    [
        ("connections", {"Linked": 2}, True),
        ("connections", {}, True),
        ("connections", {"Linked": "two"}, False),
        ("connections", ["acme/ledger"], False),
        ("waiting", ["acme/ledger"], True),
        ("waiting", [], True),
        ("waiting", [{"address": "acme/ledger"}], False),
        ("waiting", 3, False),
        ("total", {"Linked": 2}, False),
    ],
)
def test_an_output_is_ours_by_its_name_and_its_form(name: str, value: object, ours: bool) -> None:
    """A program of one's own may use the same names, and keeps what it exported."""
    assert _is_ours(name, value) is ours


def test_a_plan_of_a_stack_that_moves_meanwhile_is_stale() -> None:
    """Between plan and lock its companies may have become another stack's."""
    stack = {"urn": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "type": "pulumi:pulumi:Stack"}
    planned, now = (
        {"deployment": {"resources": [{**stack, "outputs": {"codat:shard": marker}}]}}
        for marker in ("1/3", "1/3 moving")
    )

    assert differences(planned, now) == ["codat:shard"]
    assert differences(planned, planned) == []
