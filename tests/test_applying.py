"""What is told of an apply, out of the engine's events; `test_pulumi_apply.py` drives the engine."""

from __future__ import annotations

from pulumi.automation import EngineEvent, OpType
from pulumi.automation.events import DiagnosticEvent, ResOutputsEvent, StepEventMetadata

from codat_iac.applying import Outcome, Result, _Watcher
from tests.test_plan import a_change

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
    return Outcome(CHANGE.address, CHANGE.step, result, text)


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


def test_what_nobody_knows_is_uncertain_and_what_nobody_began_is_not_tried() -> None:
    """They are told apart, since only one of them may have been done."""
    told, _ = heard(failed("it is not certain whether it was made"))
    _, watcher = heard()

    assert told[0].result is Result.UNCERTAIN
    assert watcher.outcomes([CHANGE]) == (an_outcome(Result.NOT_TRIED),)
