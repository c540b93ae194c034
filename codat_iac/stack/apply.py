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

from pulumi import Output, RunError, automation, export

from codat_iac.model.connection import RESOURCE_TYPE, DesiredConnection
from codat_iac.model.record import connections, is_secret, plain, recorded, resources
from codat_iac.model.text import shortened
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.program import waiting
from codat_iac.provider.connection import Connection
from codat_iac.reconcile import handover
from codat_iac.reconcile.planner import Planner
from codat_iac.stack import engine
from codat_iac.stack.pulumi_command import Pulumi, Workspace
from codat_iac.stack.stack import Stack, StackError, StackLocked

AT_A_TIME = 4
"""Changes at once: as many as the provider's host serves. More would all have to end after an interrupt."""

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
    step: Action
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

    changes: Mapping[str, Decision]
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

    def _tell(self, change: Decision, result: Result, text: str = "") -> None:
        self.became[change.address] = Outcome(change.address, change.action, result, text)
        self.report(self.became[change.address])

    @property
    def failed(self) -> Collection[str]:
        """The addresses of what failed, and of what nobody knows."""
        return {address for address, outcome in self.became.items() if outcome.result is not Result.DONE}

    def outcomes(self, changes: Iterable[Decision]) -> tuple[Outcome, ...]:
        """Tell what became of *changes*, in their order."""
        return tuple(
            self.became.get(change.address, Outcome(change.address, change.action, Result.NOT_TRIED))
            for change in changes
        )


def _unsaved(address: str, text: str) -> str:
    """Say what to do where the engine couldn't write the state: its own words hide the cause at their end."""
    cause = text.rpartition(": ")[2]
    return (
        f"{address}: Pulumi can't write the stack's state ({cause}); see to where it is kept, then run again:"
        " what was made is taken up, and not made twice"
    )


def _ends(step: automation.StepEventMetadata, change: Decision) -> bool:
    """Say whether *change* is done with *step*: where something is removed that is last, whatever else is.

    A move is done when the new URN has it.
    """
    gone = step.op in {automation.OpType.DELETE, automation.OpType.DELETE_REPLACED}
    return gone == (change.removal is not None)


def apply(
    stack: Stack,
    state: Mapping[str, Any],
    planner: Planner,
    plan: Plan,
    desired: Sequence[DesiredConnection],
    report: Callable[[Outcome], None],
    tell: Callable[[str], None],
    max_losses: int | None = None,
) -> Applied:
    """Carry *plan* out and say what became of each change; what isn't done, the next run does.

    *state* is the stack as it was planned for, *desired* all that is declared, *max_losses* a limit that goes
    before the user's settings. *tell* is told what there is to say meanwhile. What has to wait for a second
    run is left alone.

    Raises `StackError` if Pulumi didn't even begin (a passphrase, a broken project, as `StackLocked` a lock),
    and if the stack is another by the time that this run has its lock: then nothing is done.
    """
    changes = [change for change in plan.changes if not change.later]
    if not changes:
        return Applied(())  # without a target, Pulumi would take away all that isn't declared
    changing = {change.address for change in changes}
    moved = planner.decided.moved
    acting = [each for each in desired if each.address in changing and each.address not in moved.later]
    before = {each.address: planner.status(each) for each in desired}
    protected = {prior.place for prior in recorded(state) if prior.protected}
    stale: list[str] = []
    with (
        Pulumi.forwarding(stack, tell) as command,
        _handed_over(stack, planner, plan, max_losses) as environment,
    ):
        outputs = _outputs(stack)
        workspace = Workspace(
            work_dir=str(stack.folder), env_vars=environment, pulumi_command=command, program=lambda: None
        )
        prefix = f"urn:pulumi:{stack.short_name}::{workspace.project_settings().name}"
        by_address = {change.address: change for change in changes}
        by_urn = {
            each.urn or f"{prefix}::{RESOURCE_TYPE}::{each.address}": by_address[each.address]
            for each in planner.decided.decisions
            if each.address in by_address
        }
        # The engine deletes the old half of a replacement that moved only if its old URN is a target, too.
        by_urn |= {
            moved.origins[each.address].urn: each
            for each in changes
            if each.action is Action.REPLACE and each.address in moved.origins
        }
        watcher = _Watcher(by_urn, report)

        def program() -> None:
            stale.extend(differences(state, stack.export()))
            if stale:
                raise RunError(_STALE)
            made = {}
            for each in acting:
                origin = moved.origins.get(each.address)
                place = origin.place if origin else each.place
                description = planner.decided.beside[each.address]
                made[each.address] = Connection.declared(
                    each, description, origin, protect=place in protected
                )
            _export(desired, before, made, outputs)

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
        except (automation.CommandError, RunError) as error:
            if stale:
                raise StackError(f"{_STALE} ({shortened(stale)})") from error
            reason = _reason(error, watcher.general)
            if not watcher.became and not command.interrupted:
                raise StackError(reason) from error
            # Where changes failed, they are what made the run fail.
            told = "" if watcher.failed or command.interrupted else reason
            return Applied(watcher.outcomes(changes), told, command.interrupted)
        return Applied(watcher.outcomes(changes), interrupted=command.interrupted)


_STALE = "the stack changed since this plan was made, so nothing is done; run again"


def differences(planned: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the connections that a stack holds otherwise *now* than it was *planned* for."""
    was, is_ = ({each["urn"] + each["id"]: each for each in connections(state)} for state in (planned, now))
    if was == is_:
        return []

    from deepdiff import DeepDiff  # noqa: PLC0415  slow to import, and hardly ever needed

    changed = DeepDiff(was, is_, threshold_to_diff_deeper=0).affected_root_keys
    return sorted({(is_.get(key) or was[key])["urn"].rpartition("::")[2] for key in changed})


def _reason(error: Exception, general: Sequence[str]) -> str:
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
    outputs = next((o.get("outputs") for o in resources(state) if o["type"] == "pulumi:pulumi:Stack"), None)
    return {name: value for name, value in (outputs or {}).items() if not _is_ours(name, value)}


def _is_ours(name: str, value: Any) -> bool:
    """Say whether an output is one of the stock program's: a program of one's own may use its names."""
    match name, value:
        case "connections", dict():
            return all(isinstance(count, int | float) for count in value.values())
        case "waiting", list():
            return all(isinstance(address, str) for address in value)
    return False


def _kept(value: Any) -> Any:
    """Give a value out of a state as what to export, secrets as secrets, however deep."""
    if isinstance(value, list):
        return [_kept(each) for each in value]
    if not isinstance(value, dict):
        return value
    if is_secret(value):
        return Output.secret(plain(value))
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
    if "connections" not in outputs:
        export("connections", known.apply(lambda found: dict(sorted(Counter(found).items()))))
    if "waiting" not in outputs:
        export("waiting", known.apply(lambda found: waiting(desired, found)))
    for name, output in outputs.items():
        export(name, _kept(output))
