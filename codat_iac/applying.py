"""Carry a plan out: drive Pulumi at exactly the planned resources, so that the time goes with the change.

The program that runs declares only what is created or changed, targeted together with what goes away; a
handover file tells the provider of that run what the planning process knows of the rest.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from codat_iac.stack import RESOURCE_TYPE, Stack, StackError

OURS = frozenset({"connections", "waiting"})
"""The outputs of the stock program; a stack with others keeps them as they are."""


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


@dataclass
class _Watcher:
    """Listens to the engine's events. `report` is told each outcome as it comes."""

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
                self._finished(event.res_outputs_event.metadata.urn)
            elif event.diagnostic_event and event.diagnostic_event.severity == "error":
                self._failed(event.diagnostic_event.urn or "", event.diagnostic_event.message)

    def _finished(self, urn: str) -> None:
        change = self.changes.get(urn)
        if change and change.address not in self.done:
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

    def outcomes(self) -> list[Outcome]:
        """Tell what became of each change, in the order of the plan."""
        found = []
        for change in dict.fromkeys(self.changes.values()):
            text = self.errors.get(change.address)
            if text is not None:
                found.append(_outcome(change, text))
            else:
                result = Result.DONE if change.address in self.done else Result.NOT_TRIED
                found.append(Outcome(change.address, change.step, result))
        return found


def _outcome(change: Change, text: str) -> Outcome:
    result = Result.UNCERTAIN if "not certain whether" in text else Result.FAILED
    return Outcome(change.address, change.step, result, text)


def apply(
    stack: Stack,
    planner: Planner,
    plan: Plan,
    desired: Sequence[DesiredConnection],
    report: Callable[[Outcome], None],
    max_losses: int | None = None,
) -> list[Outcome]:
    """Carry *plan* out and say what became of each change; what isn't done, the next run does.

    *desired* is all that is declared, *max_losses* a limit that goes before the user's settings.

    Raises `StackError` where Pulumi didn't even begin: a lock, a passphrase, a broken project.
    """
    changing = {change.address for change in plan.changes}
    acting = [each for each in desired if each.address in changing]
    with _handed_over(planner, plan, max_losses) as environment:
        running = _automation_stack(stack, environment)
        prefix = f"urn:pulumi:{stack.name.rpartition('/')[2]}::{running.workspace.project_settings().name}"
        urns = {f"{prefix}::{RESOURCE_TYPE}::{change.address}": change for change in plan.changes}
        olds = [f"{prefix}::{RESOURCE_TYPE}::{c.moved_from}" for c in plan.changes if c.moved_from]
        watcher = _Watcher(urns, report)
        outputs = running.outputs()

        def program() -> None:
            resources = {each.address: declare(each) for each in acting}
            _export(desired, planner, resources, outputs)

        running.workspace.program = program
        try:
            running.up(
                target=[*urns, *olds],
                continue_on_error=True,
                on_event=watcher.hear,
                on_output=_ignore,
                suppress_progress=True,
            )
        except automation.CommandError as error:
            if not watcher.errors and not watcher.done:
                raise StackError(_reason(error, watcher.general)) from error
    return watcher.outcomes()


def _ignore(_: str) -> None:
    """Events say it better."""


def _reason(error: automation.CommandError, general: Iterable[str]) -> str:
    if isinstance(error, automation.ConcurrentUpdateError):
        return "the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead"
    said = next(iter(general), "")
    if not said:
        lines = [line.strip() for line in str(error).splitlines()]
        said = next((line for line in lines if line.startswith("error:")), lines[0] if lines else "")
    return f"`pulumi up` failed: {said.removeprefix('error: ')}"


def _automation_stack(stack: Stack, environment: Mapping[str, str]) -> automation.Stack:
    home = stack.pulumi_path.parent
    command = automation.PulumiCommand(str(home.parent) if home.name == "bin" else None)
    workspace = automation.LocalWorkspace(
        work_dir=str(stack.folder), env_vars=dict(environment), pulumi_command=command, program=lambda: None
    )
    return automation.Stack.select(stack.name, workspace)


@contextmanager
def _handed_over(planner: Planner, plan: Plan, max_losses: int | None) -> Iterator[dict[str, str]]:
    changing = {change.address for change in plan.changes} | {c.moved_from for c in plan.changes}
    text = handover.write(
        planner.recorded.values(),
        {p.address: p.id for p in planner.recorded.values() if p.address not in changing},
        {c.company_id: planner.operations.snapshot.company(c.company_id) for c in plan.changes},
    )
    with tempfile.TemporaryDirectory(prefix="codat-iac-") as folder:
        file = Path(folder) / "handover.json"
        file.write_text(text)
        yield {
            **engine.environment(os.environ),
            handover.VARIABLE: str(file),
            "PULUMI_OPTION_REFRESH": "false",
            **({} if max_losses is None else {"CODAT_MAX_LOSSES": str(max_losses)}),
        }


def _export(
    desired: Sequence[DesiredConnection],
    planner: Planner,
    resources: Mapping[str, Any],
    outputs: Mapping[str, automation.OutputValue],
) -> None:
    """Export the stack's outputs again: a program that exports nothing wipes them."""
    known = {each.address: planner.status(each) for each in desired if each.address not in resources}
    changed = Output.all(**{address: resource.status for address, resource in resources.items()})
    statuses = changed.apply(lambda found: [{**known, **found}[each.address] for each in desired])
    export("connections", statuses.apply(lambda found: dict(sorted(Counter(found).items()))))
    export("waiting", statuses.apply(lambda found: waiting(desired, found)))
    for name, output in outputs.items():
        if name not in OURS:
            export(name, Output.secret(output.value) if output.secret else output.value)
