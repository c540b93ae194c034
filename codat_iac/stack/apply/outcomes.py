"""The outcome of each change of a run, from what the engine says of it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from codat_iac.model.errors import ExitCode
from codat_iac.model.text import safe_text
from codat_iac.planning.decision import Decision
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import UNAPPROVED
from codat_iac.stack.running.event_log import BEGINS, DONE, Event, step
from codat_iac.stack.stack import PLUGIN_DIED, RUN_AGAIN

_UNSAVED = "failed to save snapshot"
"""The engine's words if it couldn't write the state."""

_NOT_BEGUN = "Error while dialing"
"""gRPC's words in the engine, if the provider had died before it was asked to do something."""

_BY_SIGNAL = re.compile(r"code -(\d+)")


class Result(StrEnum):
    """The result of one planned change."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one address's change; `text` is the error in one line, empty if it is done."""

    address: str
    step: Action
    result: Result
    text: str = ""


def not_tried(change: Decision) -> Outcome:
    """Return the outcome of a change that isn't begun."""
    return Outcome(change.address, change.action, Result.NOT_TRIED)


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
class Watcher:
    """Collects outcomes from the engine's events. `changes` are by URN; `report` gets each new outcome.

    `begun` are the addresses of which the engine said that it begins. `under_way` says that it has begun at
    all, as far as anybody knows, and hasn't told its last event.
    """

    changes: Mapping[str, Decision]
    report: Callable[[Outcome], None]
    became: dict[str, Outcome] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    plugin_said: str = ""
    begun: set[str] = field(default_factory=set)
    under_way: bool = False

    def hear(self, event: Event) -> None:
        """Handle one event of the engine."""
        self.under_way = "cancelEvent" not in event  # which is its last one
        if done := step(event, DONE):
            self._finished(done["urn"], done["op"])
        elif begins := step(event, BEGINS):
            if change := self.changes.get(begins["urn"]):
                self.begun.add(change.address)
        elif said := event.get("diagnosticEvent"):
            if said["severity"] == "error":
                self._failed(said.get("urn", ""), said["message"])
            elif said["severity"] == "info#err":
                self.plugin_said = safe_text(said["message"]) or self.plugin_said

    def _finished(self, urn: str, op: str) -> None:
        change = self.changes.get(urn)
        if change and change.address not in self.became and _ends(op, change):
            self._tell(change, Result.DONE)

    def _failed(self, urn: str, message: str) -> None:
        text = " ".join(message.split())
        change = self.changes.get(urn)
        if change is None:
            self.general.append(text)
        elif change.address not in self.failed:
            result = _result(text)
            if result is Result.FAILED and change.address in self.begun and not _is_known(text, urn, change):
                result, text = Result.UNCERTAIN, _uncertain(text)
            self._tell(change, result, text)

    def ended(self, message: str) -> None:
        """Note what the engine said as it failed. If it couldn't write the state at last, all failed."""
        lines = [*self.general, *message.splitlines()]
        unsaved = next((line for line in lines if _UNSAVED in line), None)
        if unsaved:
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
        """Return the outcomes of *changes*, in their order.

        What the engine hadn't begun by its last event wasn't tried. If it told no last one, since it was
        killed, nobody knows what it had begun.
        """
        return tuple(self.became.get(change.address) or self._untold(change) for change in changes)

    def _untold(self, change: Decision) -> Outcome:
        if self.under_way or change.address in self.begun:
            text = _uncertain("Pulumi ended without telling")
            return Outcome(change.address, change.action, Result.UNCERTAIN, text)
        return not_tried(change)


def _result(text: str) -> Result:
    """Return the result of a change that isn't done, by the *text* that the engine says about it."""
    if "not certain whether" in text:
        return Result.UNCERTAIN
    return Result.REFUSED if UNAPPROVED in text else Result.FAILED


def _is_known(text: str, urn: str, change: Decision) -> bool:
    """Return whether an error tells what became of a change that was begun: the provider's own names it.

    Any other may come from a provider that died after it had called Codat.
    """
    told, names = text.replace(urn, ""), (change.address, change.moved_from)
    ours = any(f"{name}: " in told for name in names if name)
    return ours or _NOT_BEGUN in told or _UNSAVED in told


def _uncertain(why: str) -> str:
    return f"it is not certain whether this is done ({why}); {RUN_AGAIN}"


def exit_code_of(outcomes: Iterable[Outcome]) -> int:
    """Return the exit code of an apply: the most serious one that applies, as of a plan."""
    left = {each.result for each in outcomes} - {Result.DONE}
    if not left:
        return ExitCode.IN_SYNC
    refused = Result.REFUSED in left and left <= {Result.REFUSED, Result.NOT_TRIED}
    return ExitCode.REFUSED if refused else ExitCode.ERROR


def _unsaved(address: str, text: str) -> str:
    """Return a message for a state that the engine couldn't write; its own text has the cause at the end."""
    cause = text.rpartition(": ")[2]
    return (
        f"{address}: Pulumi can't write the stack's state ({cause}); see to where it's kept, then {RUN_AGAIN}"
    )


def _ends(op: str, change: Decision) -> bool:
    """Return whether *change* is complete after the step *op*. If it removes something, that is its last.

    A move is complete when the connection is recorded at the new URN.
    """
    gone = op in {"delete", "delete-replaced"}
    return gone == (change.removal is not None)


def reason(error: Exception, watcher: Watcher) -> str:
    """Return why `pulumi up` failed, in one line: *error* is what it ended with."""
    told, *lines = str(error).strip().splitlines()
    code = told.replace(":", "")
    if killed := _BY_SIGNAL.fullmatch(code):
        return f"`pulumi up` was ended by {signal.Signals(int(killed[1])).name}"
    words = [line.partition("error: ")[2] for line in lines if "error: " in line]
    said = next(iter([*watcher.general, *words]), f"{code}; see what `pulumi up` says")
    if said.startswith(PLUGIN_DIED) and watcher.plugin_said:
        said = f"{said} ({watcher.plugin_said})"
    return f"`pulumi up` failed: {said.partition(' Traceback ')[0]}"
