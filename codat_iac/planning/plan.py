"""A plan is data: what an apply will do, what waits for a customer, what nobody here manages. Pure.

`reconcile/planner.py` computes it, `cli/render/` shows it, `stack/apply.py` carries it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from codat_iac.model.errors import UnsafePlan
from codat_iac.model.text import safe_text, shortened
from codat_iac.planning.decision import Decision, Field
from codat_iac.planning.rule_table import Action

FORMAT_VERSION = 2
"""Of the JSON form; see `schemas/plan.schema.json`."""


STEPS = (
    Action.CREATE,
    Action.ADOPT,
    Action.MOVE,
    Action.UPDATE,
    Action.UNLINK,
    Action.REPLACE,
    Action.REMOVE,
)
"""What an apply does about one address, in the order in which it is counted."""


class ExitCode:
    """What `--detailed-exitcode` makes of a plan; without it, changes and waiting are 0."""

    IN_SYNC = 0
    ERROR = 1
    CHANGES = 2
    WAITING = 3
    REFUSED = 4


@dataclass(frozen=True, slots=True)
class Waiting:
    """One connection that only its customer can bring to the desired status.

    `since` is when, as Codat writes it: when it was made, or when it broke; empty where Codat doesn't say.
    """

    address: str
    company_id: str
    connection_id: str
    platform_key: str
    status: str
    since: str
    text: str


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """One live connection, in a company that is named here, which nobody here manages.

    `company` is that name, the first half of its addresses; empty where it has none.
    """

    company_id: str
    connection_id: str
    platform_key: str
    status: str
    company: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One address about which the rules or Codat forbid what is asked; `text` is one line."""

    address: str
    text: str


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls an apply will make, and what is left of today's quota (None: Codat didn't say)."""

    reads: int = 0
    writes: int = 0
    quota_left: int | None = None
    quota_resets: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply will do, in the order of the addresses.

    `recorded` is how many connections the state holds; `refusal` the safety limit that the plan breaks;
    `stateless`: no state was read, so nothing is ever removed; else `stack` names whose state it was.
    """

    changes: tuple[Decision, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    unmanaged: tuple[Unmanaged, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    declared: int = 0
    recorded: int = 0
    calls: Calls = Calls()
    refusal: str | None = None
    stateless: bool = False
    stack: str | None = None

    @property
    def losses(self) -> int:
        """How many customers' authorisations an apply would throw away; one id may stand at two addresses."""
        losing = {change.connection_id for change in self.changes if change.loses}
        return len(losing | {change.old_half for change in self.changes if change.old_half})

    @property
    def counts(self) -> Counter[Action]:
        """How many changes there are of each kind."""
        return Counter(change.action for change in self.changes)

    @property
    def exit_code(self) -> int:
        """The detailed exit code: the gravest of what there is."""
        if self.problems:
            return ExitCode.ERROR
        if self.refusal:
            return ExitCode.REFUSED
        if self.changes:
            return ExitCode.CHANGES
        return ExitCode.WAITING if self.waiting else ExitCode.IN_SYNC


@dataclass(frozen=True, slots=True)
class Drifted:
    """One connection that somebody else moved: recorded against live, whatever the file says."""

    address: str
    company_id: str
    connection_id: str
    platform_key: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Link:
    """One connection that waits for its customer, with a fresh link. `url` is a secret."""

    address: str
    company: str
    platform: str
    status: str
    since: str
    url: str = field(repr=False)


def still_holds(saved: Plan, now: Plan) -> None:
    """Refuse a saved plan whose changes are no longer what an apply would do; the rest may have moved.

    Who brought a change about may be another by now. Raises `UnsafePlan`, naming what moved.
    """
    if saved.stack != now.stack:
        raise UnsafePlan(
            f"the saved plan is of {_of_stack(saved)} and not of {_of_stack(now)}; make one of this stack"
        )
    before = {change.address: change for change in saved.changes}
    after = {change.address: change for change in now.changes}
    moved = [
        _moved(address, before.get(address), after.get(address)) for address in sorted({*before, *after})
    ]
    said = [text for text in moved if text]
    if said:
        raise UnsafePlan(f"the saved plan no longer holds: {shortened(said)}; make a new one")


def _of_stack(plan: Plan) -> str:
    return "no stack" if plan.stack is None else f"stack {safe_text(plan.stack)}"


_IDENTITY: Mapping[str, str] = {
    "action": "what is done",
    "connection_id": "its connection",
    "status": "its status",
    "company_id": "its company",
    "platform_key": "its platform",
    "moved_from": "where it is recorded",
    "removal": "what becomes of the old one",
    "loses": "whether an authorisation is lost",
    "fields": "what differs",
    "old_half": "what an earlier run left to be removed",
    "later": "whether it has to wait for a second run",
}
"""What must still hold of a change, in words; what says most comes first."""


def _moved(address: str, before: Decision | None, after: Decision | None) -> str:
    if before is None:
        return f"{address} is new in it"
    if after is None:
        return f"{address} needs nothing any more"
    for name, words in _IDENTITY.items():
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            return f"{address}: {words} was {_shown(was)} and is {_shown(now)}"
    return ""


def _shown(value: str | bool | tuple[Field, ...] | None) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case str():
            return safe_text(value)
        case _:
            return ", ".join(f"{f.name} {_shown(f.before)} to {_shown(f.after)}" for f in value) or "nothing"


def summary(plan: Plan) -> str:
    """Say the plan in one line, Terraform's way: what to do, or that there is nothing."""
    counted = plan.counts
    named = [f"{counted[step]:,} to {step}" for step in STEPS if counted[step]]
    if named:
        said = [f"Plan: {', '.join(named)}."]
    else:
        said = ["No changes." if plan.problems else "No changes. What you declared is what there is."]
    later = sum(change.later for change in plan.changes)
    if later:
        said.append(f"{later:,} of them {'comes' if later == 1 else 'come'} in a second run.")
    if plan.losses:
        said.append(f"{_count(plan.losses, 'customer')} would have to authorise again.")
    if plan.problems:
        said.append(f"{_count(len(plan.problems), 'problem')} to solve first.")
    if plan.waiting:
        waits = "waits for its customer" if len(plan.waiting) == 1 else "wait for their customers"
        said.append(f"{_count(len(plan.waiting), 'connection')} {waits}.")
    return " ".join(said)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"
