"""A plan is data: what an apply will do, who waits for a customer, and what is unmanaged. Pure.

`reconcile/planner/` computes it, `cli/render/` shows it, `stack/apply/` carries it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from codat_iac.model.comparison import differing_paths
from codat_iac.model.connection import Address, LiveConnection
from codat_iac.model.errors import ExitCode, UnsafePlan
from codat_iac.model.text import count, join_names, safe_text
from codat_iac.model.times import past
from codat_iac.planning.decision import Decision, Field
from codat_iac.planning.plan.coverage import Coverage
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import Limit

FORMAT_VERSION = 4
"""The version of the JSON form; see `schemas/plan.schema.json`."""


STEPS = (
    Action.CREATE,
    Action.ADOPT,
    Action.MOVE,
    Action.UPDATE,
    Action.UNLINK,
    Action.REPLACE,
    Action.REMOVE,
)
"""The actions that an apply takes, in the order in which a summary counts them."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One connection that only its customer can bring to the desired status.

    `since` is when it was created or broke, as Codat writes it; empty if Codat doesn't say. `text` is one
    line.
    """

    address: Address
    company_id: str
    connection_id: str
    platform_key: str
    status: str
    since: str
    text: str


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """One live connection of a declared company that is neither declared nor recorded here.

    `company` is the first half of the company's addresses, empty if it has none.
    """

    company_id: str
    connection_id: str
    platform_key: str
    status: str
    company: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the rules, a policy or Codat forbid. `text` is one line.

    `address` is a connection's, or stands for more: a company's key or id, or `tenant`.
    """

    address: str
    text: str


@dataclass(frozen=True, slots=True)
class Calls:
    """The number of calls that an apply will make, and the rest of today's quota (None: Codat didn't say)."""

    reads: int = 0
    writes: int = 0
    quota_left: int | None = None
    quota_resets: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply will do, sorted by address.

    `recorded` is the number of connections in the state, `refusal` the safety limit that the plan exceeds.
    `stateless` means that no state was read, so that nothing is ever removed; otherwise `stack` names the
    stack, and `shard` its share of the desired state if it hasn't all of it, such as 2/5. `coverage` is None
    unless it was asked for.
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
    shard: str | None = None
    coverage: Coverage | None = None
    platforms: Mapping[str, str] = field(default_factory=dict)
    """The names of the platforms by their keys, as far as they were read anyway."""
    companies: Mapping[str, str] = field(default_factory=dict)
    """The names of the companies by their ids, as far as they were read anyway."""
    exceeded: Mapping[Limit, int] = field(default_factory=dict, compare=False)
    """The limits of which `refusal` tells that can be lifted, each with how much the plan needs."""

    @property
    def losses(self) -> int:
        """The number of authorisations that an apply would end; an id may be recorded at two addresses."""
        return len(self.losing)

    @property
    def losing(self) -> Mapping[str, str]:
        """The connections whose authorisations an apply would end, by id, each with its address."""
        return {each: change.address for change in self.changes for each in change.losing}

    @property
    def counts(self) -> Counter[Action]:
        """The number of changes by action."""
        return Counter(change.action for change in self.changes)

    @property
    def exit_code(self) -> int:
        """The detailed exit code: the most serious one that applies."""
        if self.problems:
            return ExitCode.ERROR
        if self.refusal:
            return ExitCode.REFUSED
        if self.changes:
            return ExitCode.CHANGES
        return ExitCode.WAITING if self.waiting else ExitCode.IN_SYNC


@dataclass(frozen=True, slots=True)
class Drifted:
    """One connection, recorded against live, whatever is desired: most often somebody else changed it."""

    address: Address
    company_id: str
    connection_id: str
    platform_key: str
    was: str
    now: str
    urn: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Link:
    """One connection that waits for its customer, with a fresh link. `url` is a secret.

    `platform` is the platform's name, or its key if Codat gives no name.
    """

    address: Address
    company: str
    platform: str
    status: str
    since: str
    url: str = field(repr=False)
    company_id: str = ""
    connection_id: str = ""
    platform_key: str = ""


@dataclass(frozen=True, slots=True)
class LinkFilter:
    """Which links are asked for; without arguments, all of them.

    `platforms` are keys. Each of `tags` is a test of a company's tags. `older_than` is how long a connection
    must have waited.
    """

    platforms: frozenset[str] = frozenset()
    tags: tuple[Callable[[Mapping[str, str]], bool], ...] = ()
    older_than: timedelta | None = None

    def takes(self, live: LiveConnection) -> bool:
        """Return whether the platform of *live* is asked for."""
        return not self.platforms or live.platform_key in self.platforms

    def takes_since(self, since: str, now: datetime) -> bool:
        """Return whether what waits *since* then has waited long enough; not if that is unknown."""
        if self.older_than is None:
            return True
        when = past(since, now)
        return when is not None and now - when > self.older_than

    def takes_tags(self, tags: Mapping[str, str]) -> bool:
        """Return whether a company with these *tags* is asked for."""
        return all(test(tags) for test in self.tags)


ALL_LINKS = LinkFilter()


def still_holds(saved: Plan, now: Plan) -> None:
    """Raise `UnsafePlan` if an apply would no longer make the changes of a *saved* plan.

    The rest of the plan may differ, and so may who caused a change. The message names what differs.
    """
    if saved.stack != now.stack:
        raise UnsafePlan(
            f"the saved plan is of {_of_stack(saved)} and not of {_of_stack(now)}; make a plan of this stack"
        )
    if saved.shard != now.shard:
        was, is_ = (safe_text(plan.shard or "none") for plan in (saved, now))
        raise UnsafePlan(f"the saved plan is of shard {was} and not of {is_}; make a new one")
    before, after = ({each.address: _identity(each) for each in plan.changes} for plan in (saved, now))
    moved: dict[Address, set[str]] = {}
    for address, *path in differing_paths(before, after):
        moved.setdefault(address, set()).update(path[:1])
    if moved:
        said = [_moved(each, names, before.get(each), after.get(each)) for each, names in moved.items()]
        raise UnsafePlan(f"the saved plan no longer holds: {join_names(said)}; make another plan")


def restricted(plan: Plan, saved: Plan) -> Plan:
    """Return *plan* with only the changes at the addresses of a *saved* plan. Raises as `still_holds`."""
    addresses = {change.address for change in saved.changes}
    narrowed = replace(plan, changes=tuple(each for each in plan.changes if each.address in addresses))
    still_holds(saved, narrowed)
    return narrowed


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
    "losing": "what loses its authorisation",
    "fields": "what differs",
    "later": "whether it has to wait for a second run",
}
"""The fields of a change that must stay the same, in words; the most telling first."""


def _identity(change: Decision) -> dict[str, Any]:
    return {name: getattr(change, name) for name in _IDENTITY}


def _moved(
    address: str, names: Collection[str], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> str:
    """Return the most telling difference at one address."""
    if before is None:
        return f"{address} is new in it"
    if after is None:
        return f"{address} needs no change any more"
    name = next(name for name in _IDENTITY if name in names)
    return f"{address}: {_IDENTITY[name]} was {_shown(before[name])} and is {_shown(after[name])}"


def _shown(value: str | bool | tuple[Field | str, ...] | None) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case str():
            return safe_text(value)
        case _:
            return ", ".join(map(_shown_part, value)) or "nothing"


def _shown_part(part: Field | str) -> str:
    if isinstance(part, str):
        return safe_text(part)
    return f"{part.name} {_shown(part.before)} to {_shown(part.after)}"


def summary(plan: Plan) -> str:
    """Return the plan in one line, like Terraform's: the changes by action, or that there are none.

    If the stack has only a shard of the desired state, that comes first.
    """
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
        said.append(f"{count(plan.losses, 'customer')} would have to authorise again.")
    coming = sum(change.posts for change in plan.changes)
    if coming:
        waits = "will wait for its customer" if coming == 1 else "will wait for their customers"
        said.append(f"{count(coming, 'new connection')} {waits}.")
    if plan.problems:
        said.append(f"{count(len(plan.problems), 'problem')} to solve first.")
    if plan.waiting:
        waits = "waits for its customer" if len(plan.waiting) == 1 else "wait for their customers"
        said.append(f"{count(len(plan.waiting), 'connection')} {waits}.")
    shard = f"Shard {safe_text(plan.shard)}: " if plan.shard else ""
    return shard + " ".join(said)
