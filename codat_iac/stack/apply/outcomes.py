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
from codat_iac.stack.event_log import Event
from codat_iac.stack.stack import PLUGIN_DIED

_UNSAVED = "failed to save snapshot"
"""The engine's words if it couldn't write the state."""


_UNTOLD = (
    "it is not certain whether this is done, since Pulumi ended without telling; run again: what was done is"
    " found, and not done twice"
)


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

    `under_way` says that the engine has begun, as far as anybody knows, and hasn't told its last event.
    """

    changes: Mapping[str, Decision]
    report: Callable[[Outcome], None]
    became: dict[str, Outcome] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    plugin_said: str = ""
    under_way: bool = False

    def hear(self, event: Event) -> None:
        """Handle one event of the engine."""
        self.under_way = "cancelEvent" not in event  # which is its last one
        if finished := event.get("resOutputsEvent"):
            self._finished(**finished["metadata"])
        elif said := event.get("diagnosticEvent"):
            if said["severity"] == "error":
                self._failed(said.get("urn", ""), said["message"])
            elif said["severity"] == "info#err":
                self.plugin_said = safe_text(said["message"]) or self.plugin_said

    def _finished(self, urn: str, op: str, **_: object) -> None:
        change = self.changes.get(urn)
        if change and change.address not in self.became and _ends(op, change):
            self._tell(change, Result.DONE)

    def _failed(self, urn: str, message: str) -> None:
        text = " ".join(message.split())
        change = self.changes.get(urn)
        if change is None:
            self.general.append(text)
        elif change.address not in self.failed:
            self._tell(change, _result(text), text)

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

        What the engine didn't tell of by its end wasn't tried. If it had none, since it was killed, nobody
        knows what it had begun.
        """
        unheard, text = (Result.UNCERTAIN, _UNTOLD) if self.under_way else (Result.NOT_TRIED, "")
        return tuple(
            self.became.get(change.address, Outcome(change.address, change.action, unheard, text))
            for change in changes
        )


def _result(text: str) -> Result:
    """Return the result of a change that isn't done, by the *text* that the engine says about it."""
    if "not certain whether" in text:
        return Result.UNCERTAIN
    return Result.REFUSED if UNAPPROVED in text else Result.FAILED


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
        f"{address}: Pulumi can't write the stack's state ({cause}); see to where it is kept, then run again:"
        " what was done is found, and not done twice"
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
