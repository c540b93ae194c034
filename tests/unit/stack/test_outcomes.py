"""What is told of an apply, out of the engine's events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pulumi import RunError

from codat_iac.model.errors import ExitCode
from codat_iac.planning.decision import Decision
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import LossLimit
from codat_iac.stack.apply.outcomes import Outcome, Result, Watcher, exit_code_of, reason
from codat_iac.stack.running.event_log import Event
from tests.support.builders import an_id
from tests.support.samples import a_change

CHANGE = a_change()
URN = f"urn:pulumi:dev::shop::pulumi-python:dynamic:Resource::{CHANGE.address}"


def heard(*heard: Event) -> tuple[list[Outcome], Watcher]:
    """What a watcher reports of *heard*, and the watcher."""
    told: list[Outcome] = []
    watcher = Watcher({URN: CHANGE}, told.append)
    for event in heard:
        watcher.hear(event)
    return told, watcher


BEGINNING: Event = {"preludeEvent": {"config": {}}}
END: Event = {"cancelEvent": {}}


def a_step(op: str = "create") -> Event:
    """The engine has done a step of the connection: by default, created it."""
    return {"resOutputsEvent": {"metadata": {"op": op, "urn": URN, "type": "", "old": None, "new": None}}}


BEGINS: Event = {"resourcePreEvent": a_step()["resOutputsEvent"]}


def failed(message: str, urn: str | None = URN, severity: str = "error") -> Event:
    """The engine says *message* about *urn*."""
    about = {} if urn is None else {"urn": urn}
    return {"diagnosticEvent": {"message": message, "color": "never", "severity": severity, **about}}


def an_outcome(result: Result, text: str = "") -> Outcome:
    """What became of CHANGE."""
    return Outcome(CHANGE.address, CHANGE.action, result, text)


def test_each_change_is_reported_once() -> None:
    """The engine may say a thing several times, and a warning is no failure."""
    told, watcher = heard(failed("waits", severity="warning"), a_step(), a_step())

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

    assert reason(RunError("code: 255"), watcher) == (
        f"`pulumi up` failed: {died} (ImportError: no such thing)"
    )
    watcher.plugin_said = ""
    assert reason(RunError("code: 255"), watcher) == f"`pulumi up` failed: {died}"


def test_what_is_done_may_fail_after_all() -> None:
    """Where the state can't be written, for one."""
    told, watcher = heard(a_step(), failed("read-only file system"))

    assert told == [an_outcome(Result.DONE), an_outcome(Result.FAILED, "read-only file system")]
    assert watcher.outcomes([CHANGE]) == (told[1],)


def test_a_state_that_cant_be_written_is_said_plainly() -> None:
    """The engine's words for it name a step, a blob and a key before they come to the point."""
    told, watcher = heard(a_step())
    watcher.ended(
        "failed to save snapshot: An IO error occurred while writing the new snapshot file: blob (key"
        ' ".pulumi/stacks/shop/dev.json") (code=Unknown): open /state/dev.json.tmp: read-only file system'
    )

    assert told[-1].text == (
        f"{CHANGE.address}: Pulumi can't write the stack's state (read-only file system); see to where it's"
        " kept, then run again: what was done is found, and not done twice"
    )


def test_all_has_failed_if_the_state_cant_be_written() -> None:
    """It is written once, at the end; what failed before keeps its own reason."""
    unsaved = "failed to save snapshot: open /state/dev.json: no space left on device"
    told, watcher = heard(a_step())
    watcher.ended("interrupted")
    assert watcher.outcomes([CHANGE]) == (an_outcome(Result.DONE),)

    watcher.ended(unsaved)
    assert watcher.failed == {CHANGE.address}
    assert "can't write the stack's state (no space left on device)" in told[-1].text

    _, other = heard(failed("no key"))
    other.ended(unsaved)
    assert other.outcomes([CHANGE]) == (an_outcome(Result.FAILED, "no key"),)


def test_what_a_safety_limit_refuses_is_told_from_what_fails() -> None:
    """The engine carries the provider's text and no more, and that has the rule's words."""
    refusal = LossLimit(approved=frozenset()).unapproved({an_id(1): CHANGE.address})
    told, watcher = heard(failed(f"deleting {URN}: {refusal}"))

    assert [each.result for each in told] == [Result.REFUSED]
    assert watcher.failed == {CHANGE.address}


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ((), ExitCode.IN_SYNC),
        (("done",), ExitCode.IN_SYNC),
        (("done", "refused"), ExitCode.REFUSED),
        (("refused", "not tried"), ExitCode.REFUSED),
        (("refused", "failed"), ExitCode.ERROR),
        (("refused", "uncertain"), ExitCode.ERROR),
        (("done", "not tried"), ExitCode.ERROR),
    ],
)
def test_an_apply_that_a_limit_refused_exits_as_a_plan_does(results: tuple[str, ...], code: int) -> None:
    """With the most serious code that applies: an error is one."""
    assert exit_code_of([an_outcome(Result(each)) for each in results]) == code


def test_what_nobody_knows_is_uncertain_and_what_nobody_began_is_not_tried() -> None:
    """They are told apart, since only one of them may have been done."""
    told, _ = heard(failed("it is not certain whether it was made"))
    _, watcher = heard(BEGINNING, END)

    assert told[0].result is Result.UNCERTAIN
    assert watcher.outcomes([CHANGE]) == (an_outcome(Result.NOT_TRIED),)


def test_what_was_begun_and_didnt_end_is_uncertain() -> None:
    """A second Ctrl-C leaves what is under way, and the engine tells its end all the same."""
    _, watcher = heard(BEGINNING, BEGINS, END)

    (outcome,) = watcher.outcomes([CHANGE])
    assert outcome.result is Result.UNCERTAIN
    assert outcome.text == (
        "it is not certain whether this is done (Pulumi ended without telling); run again: what was done is"
        " found, and not done twice"
    )


@pytest.mark.parametrize(
    ("message", "result"),
    [
        pytest.param("error reading from server: EOF", Result.UNCERTAIN, id="the provider died"),
        pytest.param(f"deleting {URN}: connection reset by peer", Result.UNCERTAIN, id="it was reset"),
        pytest.param("Exception calling application: 'x'", Result.UNCERTAIN, id="a bug in it"),
        pytest.param(
            "Error while dialing: connect: connection refused", Result.FAILED, id="it had died before"
        ),
        pytest.param(f"{CHANGE.address}: PATCH: 400, correct it", Result.FAILED, id="it says so itself"),
        pytest.param(f"deleting {URN}: {CHANGE.address}: 400", Result.FAILED, id="it says so, with a URN"),
        pytest.param("acme/old: POST: 400, correct it", Result.FAILED, id="it says so by the name before"),
        pytest.param("failed to save snapshot: no space left", Result.FAILED, id="it isn't recorded"),
    ],
)
def test_an_error_of_what_was_begun_is_a_failure_if_it_says_what_became_of_it(
    message: str, result: Result
) -> None:
    """Only the provider knows, if it lives; each error of its own names the connection."""
    change = replace(CHANGE, moved_from="acme/old")
    watcher = Watcher({URN: change}, lambda _: None)
    for event in (BEGINS, failed(message), END):
        watcher.hear(event)

    (outcome,) = watcher.outcomes([change])
    assert outcome.result is result
    assert message in outcome.text
    assert ("run again: what was done is found" in outcome.text) == (result is Result.UNCERTAIN)


def test_what_an_engine_had_begun_that_was_killed_is_uncertain() -> None:
    """What it tells may lag behind; what it told of is known, and before its first word it did nothing."""
    killed = RunError("code: -9\nstdout: \n")
    _, watcher = heard(BEGINNING, a_step())
    (did, rest) = watcher.outcomes([CHANGE, a_change("acme/b")])

    assert reason(killed, watcher) == "`pulumi up` was ended by SIGKILL"
    assert did == an_outcome(Result.DONE)
    assert rest.result is Result.UNCERTAIN
    assert "run again: what was done is found, and not done twice" in rest.text
    assert heard()[1].outcomes([CHANGE]) == (an_outcome(Result.NOT_TRIED),)


@pytest.mark.parametrize(
    ("change", "operations", "done"),
    [
        pytest.param(a_change(), ["create"], True, id="a create"),
        pytest.param(a_change(action=Action.MOVE), ["update"], True, id="a move"),
        pytest.param(
            a_change(action=Action.REPLACE, removal=Action.UNLINK),
            ["create-replacement", "replace"],
            False,
            id="half a replacement",
        ),
        pytest.param(
            a_change(action=Action.REPLACE, removal=Action.UNLINK),
            ["create-replacement", "replace", "delete-replaced"],
            True,
            id="a whole replacement",
        ),
        pytest.param(a_change(action=Action.REMOVE, removal=Action.FORGET), ["delete"], True, id="a removal"),
        pytest.param(
            a_change(action=Action.UPDATE, removal=Action.DELETE),
            ["update"],
            False,
            id="an update beside the removal of an old half",
        ),
    ],
)
def test_a_change_is_done_when_its_last_step_is(change: Decision, operations: list[str], done: bool) -> None:
    """Where something is removed that comes last, and only then the change is one."""
    told: list[Outcome] = []
    watcher = Watcher({URN: change}, told.append)
    for operation in operations:
        watcher.hear(a_step(operation))

    assert [outcome.result for outcome in told] == ([Result.DONE] if done else [])
