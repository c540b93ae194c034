"""Carry a plan out: drive Pulumi at exactly the planned resources, so that the time goes with the change.

The program that runs declares only what is created or changed, targeted together with what goes away; a
handover file tells the provider of that run what the planning process knows of the rest.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pulumi import Output, automation, export

from codat_iac import engine, handover
from codat_iac.model import DesiredConnection
from codat_iac.plan import Change, Plan, Step
from codat_iac.planning import Planner
from codat_iac.program import declare, waiting
from codat_iac.resources import Connection
from codat_iac.running import Pulumi, Workspace
from codat_iac.stack import RESOURCE_TYPE, Stack, StackError, StackLocked

OURS = frozenset({"connections", "waiting"})
"""The outputs of the stock program. All others are exported again as they are."""

AT_A_TIME = 4
"""Changes at once: as many as the provider's host serves. More would all have to end after an interrupt."""

_SECRET = ("4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270")
"""The key, and its value, by which a state marks a secret: `sdk/go/common/resource/sig` of Pulumi."""


_UNSAVED = "failed to save snapshot"
"""What the engine says of a change, before or after it, where it couldn't write the state."""


class Result(StrEnum):
    """What became of one planned change."""

    DONE = "done"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one address; `text` is the error's line, empty where it is done."""

    address: str
    step: Step
    result: Result
    text: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of each change, in the order of the plan.

    `error` is what Pulumi itself failed of, apart from the changes, such as a state that it couldn't write;
    `interrupted`: it was told to stop, and what is not tried is not begun either.
    """

    outcomes: tuple[Outcome, ...]
    error: str = ""
    interrupted: bool = False


@dataclass
class _Watcher:
    """Listens to the engine's events. `changes` are by URN, and `report` is told each outcome as it comes."""

    changes: Mapping[str, Change]
    report: Callable[[Outcome], None]
    became: dict[str, Outcome] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, event: automation.EngineEvent) -> None:
        """Take one event in."""
        with self.lock:
            if event.res_outputs_event:
                self._finished(event.res_outputs_event.metadata)
            elif event.diagnostic_event and event.diagnostic_event.severity == "error":
                self._failed(event.diagnostic_event.urn or "", event.diagnostic_event.message)

    def _finished(self, step: automation.StepEventMetadata) -> None:
        change = self.changes.get(step.urn)
        if change and change.address not in self.became and _ends(step, change):
            self._tell(change, Result.DONE)

    def _failed(self, urn: str, message: str) -> None:
        text = " ".join(message.split())
        change = self.changes.get(urn)
        if change is None:
            self.general.append(text)
        elif change.address not in self.failed:
            # What is done may fail after all: the engine says so before it has written the state.
            result = Result.UNCERTAIN if "not certain whether" in text else Result.FAILED
            self._tell(change, result, _unsaved(change.address, text) if _UNSAVED in text else text)

    def _tell(self, change: Change, result: Result, text: str = "") -> None:
        self.became[change.address] = Outcome(change.address, change.step, result, text)
        self.report(self.became[change.address])

    @property
    def failed(self) -> Collection[str]:
        """The addresses of what failed, and of what nobody knows."""
        return {address for address, outcome in self.became.items() if outcome.result is not Result.DONE}

    def outcomes(self, changes: Iterable[Change]) -> tuple[Outcome, ...]:
        """Tell what became of *changes*, in their order."""
        return tuple(
            self.became.get(change.address, Outcome(change.address, change.step, Result.NOT_TRIED))
            for change in changes
        )


def _unsaved(address: str, text: str) -> str:
    """Say what to do where the engine couldn't write the state: its own words hide the cause at their end."""
    cause = text.rpartition(": ")[2]
    return (
        f"{address}: Pulumi can't write the stack's state ({cause}); see to where it is kept, then run again:"
        " what was made is taken up, and not made twice"
    )


def _ends(step: automation.StepEventMetadata, change: Change) -> bool:
    """Say whether *change* is done with *step*: where something is removed that is last, whatever else is.

    A move is done when the new address has it.
    """
    gone = step.op in {automation.OpType.DELETE, automation.OpType.DELETE_REPLACED}
    return gone == (change.removal is not None) and step.urn.endswith(f"::{change.address}")


def apply(
    stack: Stack,
    planner: Planner,
    plan: Plan,
    desired: Sequence[DesiredConnection],
    report: Callable[[Outcome], None],
    tell: Callable[[str], None],
    max_losses: int | None = None,
) -> Applied:
    """Carry *plan* out and say what became of each change; what isn't done, the next run does.

    *desired* is all that is declared, *max_losses* a limit that goes before the user's settings. *tell* is
    told what there is to say meanwhile.

    Raises `StackError` where Pulumi didn't even begin: a passphrase, a broken project, or, as `StackLocked`,
    a lock.
    """
    changing = {change.address for change in plan.changes}
    acting = [each for each in desired if each.address in changing]
    before = {each.address: planner.status(each) for each in desired}
    handing_over = _handed_over(stack, planner, plan, max_losses)
    with Pulumi.forwarding(stack, tell) as command, handing_over as environment:
        outputs = _outputs(stack)
        workspace = Workspace(
            work_dir=str(stack.folder), env_vars=environment, pulumi_command=command, program=lambda: None
        )
        prefix = f"urn:pulumi:{stack.short_name}::{workspace.project_settings().name}"
        # The old address of a move is targeted along, or else what the new one takes over would be removed.
        places = {change.moved_from: change for change in plan.changes if change.moved_from}
        places |= {change.address: change for change in plan.changes}
        by_urn = {f"{prefix}::{RESOURCE_TYPE}::{address}": change for address, change in places.items()}
        watcher = _Watcher(by_urn, report)

        def program() -> None:
            _export(desired, before, {each.address: declare(each) for each in acting}, outputs)

        try:
            automation.Stack.select(stack.name, workspace).up(
                program=program,
                target=list(by_urn),
                continue_on_error=True,
                parallel=AT_A_TIME,
                on_event=watcher.hear,
                suppress_progress=True,
            )
        except automation.ConcurrentUpdateError as error:
            raise StackLocked(str(error), stack.name) from error
        except automation.CommandError as error:
            reason = _reason(error, watcher.general)
            if not watcher.became and not command.interrupted:
                raise StackError(reason) from error
            # Where changes failed, they are what made the run fail.
            told = "" if watcher.failed or command.interrupted else reason
            return Applied(watcher.outcomes(plan.changes), told, command.interrupted)
        return Applied(watcher.outcomes(plan.changes), interrupted=command.interrupted)


def _reason(error: automation.CommandError, general: Sequence[str]) -> str:
    code, *lines = str(error).strip().splitlines()
    words = [line.partition("error: ")[2] for line in lines if "error: " in line]
    said = next(iter([*general, *words]), f"{code.replace(':', '')}; see what `pulumi up` says")
    return f"`pulumi up` failed: {said.partition(' Traceback ')[0]}"


@contextmanager
def _handed_over(
    stack: Stack, planner: Planner, plan: Plan, max_losses: int | None
) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="codat-iac-") as folder:
        file = Path(folder) / "handover.json"
        file.write_text(planner.hand_over(plan))
        yield {
            **engine.environment(os.environ, stack.pulumi_path),
            handover.VARIABLE: str(file),
            "PULUMI_OPTION_REFRESH": "false",
            **({} if max_losses is None else {"CODAT_MAX_LOSSES": str(max_losses)}),
        }


def _outputs(stack: Stack) -> Mapping[str, Any]:
    """Read the outputs of other makes than ours, as the state has them."""
    state = json.loads(stack.pulumi("stack", "export", "--show-secrets"))
    resources = (state.get("deployment") or {}).get("resources") or ()
    outputs = next((each.get("outputs") for each in resources if each["type"] == "pulumi:pulumi:Stack"), None)
    return {name: value for name, value in (outputs or {}).items() if name not in OURS}


def _kept(value: Any) -> Any:
    """Give a value out of a state as what to export, secrets as secrets, however deep."""
    if isinstance(value, list):
        return [_kept(each) for each in value]
    if not isinstance(value, dict):
        return value
    key, secret = _SECRET
    if value.get(key) == secret:
        return Output.secret(json.loads(value["plaintext"]))
    return {name: _kept(each) for name, each in value.items()}


def _export(
    desired: Sequence[DesiredConnection],
    before: Mapping[str, str],
    resources: Mapping[str, Connection],
    outputs: Mapping[str, Any],
) -> None:
    """Export the stack's outputs again: a program that exports nothing wipes them."""

    async def statuses() -> list[str]:
        # Of a change that failed nothing is known, and an `apply` over it would export just that.
        after = {address: await resource.status.future() for address, resource in resources.items()}
        return [after.get(each.address) or before[each.address] for each in desired]

    known: Output[list[str]] = Output.from_input(statuses())
    export("connections", known.apply(lambda found: dict(sorted(Counter(found).items()))))
    export("waiting", known.apply(lambda found: waiting(desired, found)))
    for name, output in outputs.items():
        export(name, _kept(output))
