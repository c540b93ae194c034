"""Carry a plan out: drive Pulumi at exactly the planned resources, so that the time goes with the change.

The program that runs declares only what is created or changed, targeted together with what goes away; a
handover file tells the provider of that run what the planning process knows of the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from pulumi import Output, automation, export
from pulumi.automation.errors import create_command_error

from codat_iac import engine, handover
from codat_iac.model import DesiredConnection
from codat_iac.plan import Change, Plan, Step
from codat_iac.planning import Planner
from codat_iac.program import declare, waiting
from codat_iac.resources import Connection
from codat_iac.stack import RESOURCE_TYPE, Stack, StackError

OURS = frozenset({"connections", "waiting"})
"""The outputs of the stock program. All others are exported again as they are."""

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends this process elsewhere, and here lets Pulumi finish what is under way."""

AT_A_TIME = 4
"""Changes at once: as many as the provider's host serves. More would all have to end after an interrupt."""

_SECRET = ("4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270")
"""The key, and its value, by which a state marks a secret: `sdk/go/common/resource/sig` of Pulumi."""


_LAST: Mapping[Step, Collection[automation.OpType]] = {
    Step.REPLACE: {automation.OpType.DELETE_REPLACED},
    Step.REMOVE: {automation.OpType.DELETE, automation.OpType.DELETE_REPLACED},
}
"""What the engine does last for some steps; else it does one thing."""


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
    done: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)
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
        if change is None or change.address in self.done:
            return
        # A move is done when the new address has it, a replacement or a removal when the old one is gone.
        awaited = _LAST.get(change.step)
        if step.urn.endswith(f"::{change.address}") and (awaited is None or step.op in awaited):
            self.done.add(change.address)
            self.report(Outcome(change.address, change.step, Result.DONE))

    def _failed(self, urn: str, message: str) -> None:
        text = " ".join(message.split())
        change = self.changes.get(urn)
        if change is None:
            self.general.append(text)
        elif change.address not in self.errors:
            self.errors[change.address] = text
            self.report(_outcome(change, text))

    def outcomes(self) -> tuple[Outcome, ...]:
        """Tell what became of each change, in the order of the plan."""
        return tuple(self._became(change) for change in dict.fromkeys(self.changes.values()))

    def _became(self, change: Change) -> Outcome:
        text = self.errors.get(change.address)
        if text is not None:
            return _outcome(change, text)
        result = Result.DONE if change.address in self.done else Result.NOT_TRIED
        return Outcome(change.address, change.step, result)


def _outcome(change: Change, text: str) -> Outcome:
    result = Result.UNCERTAIN if "not certain whether" in text else Result.FAILED
    return Outcome(change.address, change.step, result, text)


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

    Raises `StackError` where Pulumi didn't even begin: a lock, a passphrase, a broken project.
    """
    changing = {change.address for change in plan.changes}
    acting = [each for each in desired if each.address in changing]
    before = {each.address: planner.status(each) for each in desired}
    handing_over = _handed_over(stack, planner, plan, max_losses)
    with _Pulumi.forwarding(stack, tell) as command, handing_over as environment:
        outputs = _outputs(stack)
        workspace = _Workspace(
            work_dir=str(stack.folder), env_vars=environment, pulumi_command=command, program=lambda: None
        )
        prefix = f"urn:pulumi:{stack.name.rpartition('/')[2]}::{workspace.project_settings().name}"
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
        except automation.CommandError as error:
            return _ended(watcher, error, interrupted=command.interrupted)
        return Applied(watcher.outcomes(), interrupted=command.interrupted)


def _ended(watcher: _Watcher, error: automation.CommandError, *, interrupted: bool) -> Applied:
    """Tell what there is to tell of a failed run. Raises `StackError` where nothing began."""
    if interrupted:
        return Applied(watcher.outcomes(), interrupted=True)
    # Where changes failed, they are what made the run fail.
    reason = "" if watcher.errors else _reason(error, watcher.general)
    if not watcher.errors and not watcher.done:
        raise StackError(reason) from error
    return Applied(watcher.outcomes(), reason)


def _reason(error: automation.CommandError, general: Sequence[str]) -> str:
    if isinstance(error, automation.ConcurrentUpdateError):
        return "the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead"
    code, *lines = str(error).strip().splitlines()
    words = [line.partition("error: ")[2] for line in lines if "error: " in line]
    said = next(iter([*general, *words]), f"{code.replace(':', '')}; see what `pulumi up` says")
    return f"`pulumi up` failed: {said.partition(' Traceback ')[0]}"


class _Workspace(automation.LocalWorkspace):
    def select_stack(self, stack_name: str) -> None:
        """Leave the stack selected that the user selected: every call names its own."""


class _Pulumi(automation.PulumiCommand):
    """Starts `pulumi` so that an interrupt reaches it once, and waits until it is through with it.

    A Ctrl-C would reach it by itself, and a signal for this process alone would not reach it at all.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        super().__init__(str(path.parent.parent) if path.parent.name == "bin" else None)
        self.interrupted = False
        self._tell = tell
        self._missed = False
        self._running: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def forwarding(cls, stack: Stack, tell: Callable[[str], None]) -> Iterator[_Pulumi]:
        """Hand signals on to what runs, instead of ending this process in the middle."""
        command = cls(stack.pulumi_path, tell)
        before = {number: signal.getsignal(number) for number in ENDINGS}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, command._interrupt)
        try:
            yield command
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, *_: Any) -> None:
        if not self.interrupted:
            self._tell("stopping when what is under way is finished; once more ends it in the middle")
        self.interrupted = True
        if self._running:
            self._running.send_signal(signal.SIGINT)
        else:
            self._missed = True

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: automation.OnOutput | None = None,  # noqa: ARG002  events say it better
        on_error: automation.OnOutput | None = None,  # noqa: ARG002
    ) -> automation.CommandResult:
        """Run it to its end. Raises `automation.CommandError`."""
        if self.interrupted:
            raise automation.CommandError(automation.CommandResult("", "interrupted", 1))
        # Files and no pipes: should this process be killed, writing to one would kill Pulumi in the middle.
        with _scratch() as output, _scratch() as errors:
            with subprocess.Popen(  # noqa: S603  the user's own engine
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env={**additional_env, "PULUMI_AUTOMATION_API": "true"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            ) as process:
                self._running = process
                if self._missed:
                    process.send_signal(signal.SIGINT)
            output.seek(0)
            errors.seek(0)
            result = automation.CommandResult(output.read(), errors.read(), process.returncode)
        if result.code:
            raise create_command_error(result)
        return result


def _scratch() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


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
