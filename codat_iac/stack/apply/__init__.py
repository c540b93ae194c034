"""Carry out a plan: run Pulumi on exactly the planned resources, so that the time depends only on the change.

The program of that run declares only connections that are created or changed; they and the ones to be removed
are the targets. A handover file tells the run's provider what the planning process knows of the rest.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pulumi import Output, RunError, automation, export

from codat_iac.model.comparison import differing_paths
from codat_iac.model.connection import RESOURCE_TYPE, Address, DesiredConnection
from codat_iac.model.record import SHARD, connections, is_secret, plain, recorded, resources, shard_marker
from codat_iac.model.text import join_names, safe_text
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.program import waiting
from codat_iac.provider.registration import Registration, register
from codat_iac.reconcile import handover
from codat_iac.reconcile.planner import Planner
from codat_iac.stack import engine
from codat_iac.stack.apply.engine_runs import EngineRun, engine_runs
from codat_iac.stack.atomic_write import temporary_file
from codat_iac.stack.pulumi_command import Pulumi, RunningStack, Workspace
from codat_iac.stack.stack import PLUGIN_DIED, Stack, StackError, StackLocked

AT_A_TIME = 4
"""Changes at the same time: as many as the provider's host serves. An interrupt waits for all of them."""

_UNSAVED = "failed to save snapshot"
"""The engine's words, before or after a change, if it couldn't write the state."""


class Result(StrEnum):
    """The result of one planned change."""

    DONE = "done"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one address's change; `text` is the error in one line, empty if it is done."""

    address: str
    step: Action
    result: Result
    text: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of each change, in the order of the plan.

    `error` is a failure of Pulumi itself, apart from the changes, such as a state that it couldn't write.
    `interrupted` says that the user stopped it; changes that are not tried are not begun then.
    """

    outcomes: tuple[Outcome, ...]
    error: str = ""
    interrupted: bool = False


@dataclass
class _Watcher:
    """Collects outcomes from the engine's events. `changes` are by URN; `report` gets each new outcome."""

    changes: Mapping[str, Decision]
    report: Callable[[Outcome], None]
    checkpoints: bool = True
    became: dict[str, Outcome] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    plugin_said: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, event: automation.EngineEvent) -> None:
        """Handle one event of the engine."""
        with self.lock:
            if event.res_outputs_event:
                self._finished(event.res_outputs_event.metadata)
            elif said := event.diagnostic_event:
                if said.severity == "error":
                    self._failed(said.urn or "", said.message)
                elif said.severity == "info#err":
                    self.plugin_said = safe_text(said.message) or self.plugin_said

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
            # A change reported as done may still fail: the engine reports it before it writes the state.
            result = Result.UNCERTAIN if "not certain whether" in text else Result.FAILED
            self._tell(change, result, _unsaved(change.address, text) if _UNSAVED in text else text)

    def ended(self, message: str) -> None:
        """Note what the engine said as it failed. Without checkpoints, an unwritten state has nothing."""
        lines = [*self.general, *message.splitlines()]
        unsaved = next((line for line in lines if _UNSAVED in line), None)
        if unsaved and not self.checkpoints:
            for change in self.changes.values():
                if change.address in self.became and change.address not in self.failed:
                    self._tell(change, Result.FAILED, _unsaved(change.address, unsaved))

    def _tell(self, change: Decision, result: Result, text: str = "") -> None:
        self.became[change.address] = Outcome(change.address, change.action, result, text)
        self.report(self.became[change.address])

    @property
    def failed(self) -> Collection[str]:
        """The addresses of changes that failed, or whose outcome is uncertain."""
        return {address for address, outcome in self.became.items() if outcome.result is not Result.DONE}

    def outcomes(self, changes: Iterable[Decision]) -> tuple[Outcome, ...]:
        """Return the outcomes of *changes*, in their order."""
        return tuple(
            self.became.get(change.address, Outcome(change.address, change.action, Result.NOT_TRIED))
            for change in changes
        )


def _unsaved(address: str, text: str) -> str:
    """Return a message for a state that the engine couldn't write; its own text has the cause at the end."""
    cause = text.rpartition(": ")[2]
    return (
        f"{address}: Pulumi can't write the stack's state ({cause}); see to where it is kept, then run again:"
        " what was made is taken up, and not made twice"
    )


def _ends(step: automation.StepEventMetadata, change: Decision) -> bool:
    """Return whether *change* is complete after *step*. If it removes something, that is its last step.

    A move is complete when the connection is recorded at the new URN.
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
    """Carry out *plan* and return the outcome of each change; a later run does what isn't done.

    *state* is the state that the plan was made for, *desired* are all declared connections, and *max_losses*
    overrides the limit in the user's settings. *report* gets each outcome at once, *tell* gets messages for
    the user. Changes that must wait for a second run are skipped. Many creates take several runs of the
    engine; after one that fails as a whole, no other is begun.

    Raises `StackError` if Pulumi didn't begin (a wrong passphrase, a broken project; `StackLocked` for a
    lock), or if the state has changed by the time that this run has the lock: then nothing is done.
    """
    runs = engine_runs(plan.changes)
    if not runs:
        return Applied(())  # without targets, Pulumi would remove all that isn't declared
    applying = _Applying(
        stack, state, planner, plan, desired, report, {each.address: planner.status(each) for each in desired}
    )
    with Pulumi.forwarding_signals(stack, tell) as command:
        return in_turn(runs, lambda run: applying.carry_out(run, command, max_losses), plan.changes)


def in_turn(
    runs: Iterable[EngineRun], carry_out: Callable[[EngineRun], Applied], changes: Iterable[Decision]
) -> Applied:
    """Carry out one run after the other, and return the outcomes in the order of *changes*.

    After a run that fails as a whole, or is interrupted, no other is begun. Raises the `StackError` of the
    first run.
    """
    done: dict[str, Outcome] = {}
    applied = Applied(())
    for run in runs:
        try:
            applied = carry_out(run)
        except StackError as error:
            if not done:
                raise
            applied = Applied((), str(error))
        done |= {outcome.address: outcome for outcome in applied.outcomes}
        if applied.error or applied.interrupted:
            break
    return dataclasses.replace(
        applied,
        outcomes=tuple(
            done.get(each.address, Outcome(each.address, each.action, Result.NOT_TRIED))
            for each in changes
            if not each.later
        ),
    )


@dataclass
class _Applying:
    """What all runs of one apply share. `statuses` are those of all declared connections, by address."""

    stack: Stack
    state: Mapping[str, Any]
    planner: Planner
    plan: Plan
    desired: Sequence[DesiredConnection]
    report: Callable[[Outcome], None]
    statuses: dict[Address, str]
    changed: set[str | None] = field(default_factory=set)
    """The addresses of earlier runs: there the state differs from the planned one."""

    def carry_out(self, run: EngineRun, command: Pulumi, max_losses: int | None) -> Applied:
        """Carry out one run and return the outcomes of its changes. Raises as `apply`."""
        planner, moved = self.planner, self.planner.decided.moved
        by_address = {change.address: change for change in run.changes}
        acting = [
            each for each in self.desired if each.address in by_address and each.address not in moved.later
        ]
        protected = {prior.place for prior in recorded(self.state) if prior.protected}
        stale: list[str] = []
        planned = dataclasses.replace(self.plan, changes=run.changes)
        with _handed_over(self.stack, planner, planned, max_losses) as environment:
            environment["PULUMI_SKIP_CHECKPOINTS"] = str(not run.checkpoints).lower()
            workspace = Workspace(
                work_dir=str(self.stack.folder),
                env_vars=environment,
                pulumi_command=command,
                program=lambda: None,
            )
            prefix = f"urn:pulumi:{self.stack.short_name}::{workspace.project_settings().name}"
            by_urn = {
                each.urn or f"{prefix}::{RESOURCE_TYPE}::{each.address}": by_address[each.address]
                for each in planner.decided.decisions
                if each.address in by_address
            }
            # If a replaced connection moved too, the engine deletes the old half only if its URN is a target.
            by_urn |= {
                moved.origins[each.address].urn: each
                for each in run.changes
                if each.action is Action.REPLACE and each.address in moved.origins
            }
            watcher = _Watcher(by_urn, self.report, run.checkpoints)

            def program() -> None:
                now = self.stack.export()
                changed = differences(self.state, now)
                stale.extend(address for address in changed if address not in self.changed)
                if stale:
                    raise RunError(_STALE)
                registrations = []
                for each in acting:
                    origin = moved.origins.get(each.address)
                    place = origin.place if origin else each.place
                    description = planner.decided.descriptions[each.address]
                    registrations.append(Registration(each, description, origin, protect=place in protected))
                outputs = _outputs(self.stack, now)
                _export(self.desired, self.statuses, acting, register(registrations), outputs)

            try:
                RunningStack(self.stack.name, workspace).up(
                    program=program,
                    target=list(by_urn),
                    continue_on_error=True,
                    parallel=AT_A_TIME,
                    on_event=watcher.hear,
                    suppress_progress=True,
                )
            except automation.ConcurrentUpdateError as error:
                raise StackLocked(str(error), self.stack.name) from error
            except (automation.CommandError, RunError) as error:
                if stale:
                    raise StackError(f"{_STALE} ({join_names(stale)})") from error
                reason = _reason(error, watcher)
                if not watcher.became and not command.interrupted:
                    raise StackError(reason) from error
                watcher.ended(str(error))
                # If changes failed, they are the reason why the run failed.
                told = "" if watcher.failed or command.interrupted else reason
                return Applied(watcher.outcomes(run.changes), told, command.interrupted)
            finally:
                self.changed |= {name for each in run.changes for name in (each.address, each.moved_from)}
            return Applied(watcher.outcomes(run.changes), interrupted=command.interrupted)


_STALE = "the stack changed since this plan was made, so nothing is done; run again"


def differences(planned: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the addresses of connections that differ between two exported states, *planned* and *now*.

    The output by which the stack says what shard it is counts, too: its companies may be another stack's now.
    """
    was, is_ = ({each["urn"] + each["id"]: each for each in connections(state)} for state in (planned, now))
    changed = {key for key, *_ in differing_paths(was, is_)}
    names = {(is_.get(key) or was[key])["urn"].rpartition("::")[2] for key in changed}
    return sorted(names | ({SHARD} if shard_marker(planned) != shard_marker(now) else set()))


def _reason(error: Exception, watcher: _Watcher) -> str:
    code, *lines = str(error).strip().splitlines()
    words = [line.partition("error: ")[2] for line in lines if "error: " in line]
    said = next(iter([*watcher.general, *words]), f"{code.replace(':', '')}; see what `pulumi up` says")
    if said.startswith(PLUGIN_DIED) and watcher.plugin_said:
        said = f"{said} ({watcher.plugin_said})"
    return f"`pulumi up` failed: {said.partition(' Traceback ')[0]}"


@contextmanager
def _handed_over(
    stack: Stack, planner: Planner, plan: Plan, max_losses: int | None
) -> Iterator[dict[str, str]]:
    with temporary_file(planner.hand_over(plan)) as file:
        yield {
            **engine.environment(os.environ, stack.pulumi_path),
            handover.VARIABLE: str(file),
            "PULUMI_OPTION_REFRESH": "false",
            **({} if max_losses is None else {"CODAT_MAX_LOSSES": str(max_losses)}),
        }


def _outputs(stack: Stack, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the stack's outputs that aren't the stock program's, as they are in its exported *state*.

    If there is a secret among them, the state is exported again, with secrets as text.
    """
    outputs = _of_the_stack(state)
    if _holds_secret(outputs):
        outputs = _of_the_stack(json.loads(stack.pulumi("stack", "export", "--show-secrets")))
    return {name: value for name, value in outputs.items() if not _is_ours(name, value)}


def _of_the_stack(state: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (each.get("outputs") for each in resources(state) if each["type"] == "pulumi:pulumi:Stack")
    return next(found, None) or {}


def _holds_secret(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_secret, value))
    return isinstance(value, dict) and (is_secret(value) or any(map(_holds_secret, value.values())))


def _is_ours(name: str, value: Any) -> bool:
    """Return whether an output is the stock program's: a user's own program may use the same names."""
    match name, value:
        case "connections", dict():
            return all(isinstance(count, int | float) for count in value.values())
        case "waiting", list():
            return all(isinstance(address, str) for address in value)
    return False


def kept(value: Any) -> Any:
    """Convert a value in a state to one to export, with all secrets in it as secrets."""
    if isinstance(value, list):
        return [kept(each) for each in value]
    if not isinstance(value, dict):
        return value
    if is_secret(value):
        return Output.secret(plain(value))
    return {name: kept(each) for name, each in value.items()}


def _export(
    desired: Sequence[DesiredConnection],
    now: dict[Address, str],
    acting: Sequence[DesiredConnection],
    statuses: Awaitable[list[str | None]],
    outputs: Mapping[str, Any],
) -> None:
    """Export the stack's outputs again: a program that doesn't export them removes them.

    *now* are the statuses of *desired*, which get those of the *acting* ones.
    """

    async def all_statuses() -> list[str]:
        # The status of a failed change is unknown, so the one from before stays.
        after = zip((each.address for each in acting), await statuses, strict=True)
        now.update((address, status) for address, status in after if status)
        return [now[each.address] for each in desired]

    known: Output[list[str]] = Output.from_input(all_statuses())
    if "connections" not in outputs:
        export("connections", known.apply(lambda found: dict(sorted(Counter(found).items()))))
    if "waiting" not in outputs:
        export("waiting", known.apply(lambda found: waiting(desired, found)))
    for name, output in outputs.items():
        export(name, kept(output))
