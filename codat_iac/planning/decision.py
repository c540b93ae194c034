"""One decision has one type: what is done about one address, and all that there is to say of it. Pure.

`continued` decides about what is recorded and declared, `new` about what is declared alone, `removed` about
what is recorded alone. The provider's hooks ask for one address at a time,
`stack_decisions.py` for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

from codat_iac.model import properties
from codat_iac.model.connection import (
    ABSENT,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    PriorConnection,
    Status,
)
from codat_iac.model.text import safe_text, shortened
from codat_iac.planning import rule_table
from codat_iac.planning.moves import managed_already
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action

_SHOWN = ("companyId", "connectionId", "onRemoval", "platformKey", "protect", "status")
"""The inputs whose differences are told; a change of the rest is none."""


class Cause(StrEnum):
    """Who brought the change about."""

    YOU = "you changed it"
    THEY = "they changed it"
    BOTH = "both changed it"


@dataclass(frozen=True, slots=True)
class Field:
    """One field that differs, in Codat's spelling; None where there is no value."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about one address.

    `connection_id` is the connection that it starts from (None for a new one) and `status` its live status,
    `absent` if there is none; `becomes` is the one that the address ends with, None for one that is still to
    be made, and for none. `moved_from`: the address, or if that is the same the place, at which what it
    continues is recorded. `later`: only the next run can do it. `removal` is what becomes of the old
    connection (`unlink`, `delete`, `forget`), for a replacement and a removal; `loses`: a customer's
    authorisation ends. `notice` is what there is to say if nothing can be done, `problem` why it is refused,
    without the address; `live` is the connection that it is said of.
    """

    address: str
    action: Action
    cause: Cause
    company_id: str
    platform_key: str
    status: str = ABSENT
    connection_id: str | None = None
    moved_from: str | None = None
    removal: Action | None = None
    fields: tuple[Field, ...] = ()
    loses: bool = False
    later: bool = False
    old_half: str | None = None
    """An old half of an earlier replacement that is removed along, and loses its authorisation, too."""
    becomes: str | None = field(default=None, compare=False)
    replaces: tuple[str, ...] = field(default=(), compare=False)
    notice: Notice | None = field(default=None, compare=False)
    problem: str | None = field(default=None, compare=False)
    live: LiveConnection | None = field(default=None, compare=False, repr=False)
    urn: str = field(default="", compare=False)
    """Of what is removed; what is declared has the URN that the program gives it."""

    @property
    def reads(self) -> int:
        """The reads that it costs: a listing before a POST or adoption, a GET before what can't be undone."""
        creates = self.action in {Action.CREATE, Action.ADOPT, Action.REPLACE} and not self.later
        return creates + self.ends

    @property
    def writes(self) -> int:
        """The writes that it costs."""
        return self.posts + self.ends

    @property
    def posts(self) -> bool:
        """Whether it makes a connection."""
        return self.action in {Action.CREATE, Action.REPLACE} and self.becomes is None and not self.later

    @property
    def ends(self) -> bool:
        """Whether it unlinks or deletes a connection."""
        ending = self.action is Action.UNLINK or self.removal in {Action.UNLINK, Action.DELETE}
        return ending and not self.later


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside an address that gets a connection, in its company and on its platform.

    `recorded` are the ids that the state holds, and `named` those that other addresses name; `claimed` maps
    the ids that addresses got in this run to these. `rank` is the address's place among the `comers`, the
    addresses that get a connection, so that each free `PendingAuth` one has one taker whoever is asked first.
    `complete`: the state holds no other id here. `old_half`: what this very address had before a replacement
    that broke off; `old_halves` are those of all addresses here, which one may name by its id.
    """

    recorded: AbstractSet[str] = frozenset()
    named: AbstractSet[str] = frozenset()
    claimed: Mapping[str, str] = field(default_factory=dict)
    rank: int = 0
    comers: int = 1
    complete: bool = True
    old_half: str | None = None
    old_halves: AbstractSet[str] = frozenset()


def continued(prior: PriorConnection, desired: DesiredConnection, live: LiveConnection | None) -> Decision:
    """Decide about a connection that is recorded and declared; *live* None is a confirmed absence.

    Only the platform, the company and another `connectionId` force a replacement, and so does an absence or
    `pulumi state taint`. What is merely recorded otherwise (a policy, another URN) is no call, since
    `delete` is given what was recorded.
    """
    replaces = rule_table.replaced_by(prior, desired)
    cell = rule_table.declared_again(prior, desired.status, live)
    moved = prior.place != desired.place
    differs = moved or rule_table.record(prior.desired) != rule_table.record(desired)
    problem, removal, notice = None, None, cell.notice
    if replaces or prior.tainted or cell.action is Action.CREATE:
        action, going = Action.REPLACE, rule_table.removed(prior.desired.on_removal, live)
        replaces = replaces or ("status",)
        removal = going.action
        notice = Notice.GONE if live is None else None
        # What the file doesn't protect, the engine replaces, whatever `pulumi state protect` had said.
        protected = prior.protected and desired.protect
        problem = _UNREPLACEABLE if going.problem else _PROTECTED if protected else None
    else:
        action, problem = cell.action, cell.problem
        if action is Action.NONE and differs and not problem:
            action = Action.MOVE if moved else Action.UPDATE
    return Decision(
        desired.address,
        action,
        _cause(
            you=differs or bool(rule_table.replaced_by(prior, desired)) or prior.tainted,
            they=_moved(prior, live),
        ),
        desired.company_id,
        desired.platform_key,
        live.status if live else ABSENT,
        connection_id=prior.id,
        moved_from=_moved_from(prior, desired),
        removal=removal,
        fields=_differences(prior, desired, live, action, replaces),
        loses=rule_table.loses(removal or action, live),
        becomes=None if action is Action.REPLACE else prior.id,
        replaces=replaces if action is Action.REPLACE else (),
        notice=notice,
        problem=problem,
        live=live,
    )


def removed(prior: PriorConnection, live: LiveConnection | None, *, held: bool = False) -> Decision:
    """Decide about a connection that is recorded and not declared; *held*: a declared address has its id."""
    cell = rule_table.Cell(Action.FORGET) if held else rule_table.removed(prior.desired.on_removal, live)
    return Decision(
        prior.address,
        Action.REMOVE,
        _cause(you=True, they=_moved(prior, live)),
        prior.desired.company_id,
        prior.desired.platform_key,
        live.status if live else ABSENT,
        connection_id=prior.id,
        removal=cell.action,
        loses=rule_table.loses(cell.action, live),
        problem=_PROTECTED if prior.protected else cell.problem,
        live=live,
        urn=prior.urn,
    )


_PROTECTED = (
    "it is protected, so Pulumi neither removes nor replaces it; take its `protect: true` out and apply first"
    " (or `pulumi state unprotect` it), if you mean it"
)
_UNREPLACEABLE = (
    "what it replaces has a status that codat-iac doesn't know, so it stays; declare it as it was, with"
    " `onRemoval: retain`, apply, and then change it"
)


# Creating. Codat's POST never dedupes, so what is already there has to be recognised here.


def new(desired: DesiredConnection, company: Iterable[LiveConnection], beside: Beside) -> Decision:
    """Decide about an address that gets a connection: adopt one that is there, make one, or refuse.

    *company* is all that lives in its company. What the state holds is never taken, but for an old half.
    """
    there = sorted(company, key=lambda connection: (connection.created, connection.id))
    found = _exactly(desired, there, beside) if desired.connection_id else _any(desired, there, beside)
    if isinstance(found, LiveConnection):
        cell = rule_table.declared(desired.status, found)
        return _about(desired, Action.ADOPT, live=found, notice=cell.notice)
    problem = found or rule_table.declared(desired.status, None).problem
    return _about(desired, Action.CREATE, problem=problem)


def _about(
    desired: DesiredConnection,
    action: Action,
    *,
    live: LiveConnection | None = None,
    notice: Notice | None = None,
    problem: str | None = None,
) -> Decision:
    return Decision(
        desired.address,
        action,
        Cause.YOU,
        desired.company_id,
        desired.platform_key,
        live.status if live else ABSENT,
        connection_id=live.id if live else None,
        becomes=live.id if live else None,
        notice=notice,
        problem=problem,
        live=live,
    )


def _exactly(
    desired: DesiredConnection, there: Sequence[LiveConnection], beside: Beside
) -> LiveConnection | str:
    named = next((c for c in there if c.id == desired.connection_id), None)
    if named is None:
        return (
            f"company {desired.company_id} has no connection {desired.connection_id}; correct `connectionId`,"
            " or leave it out to make a new one"
        )
    if named.platform_key and named.platform_key != desired.platform_key:
        return (
            f"connection {named.id} is on {safe_text(named.platform_key)}, not on"
            f" {desired.platform_key}; correct `platformKey` or `connectionId`"
        )
    holder = beside.claimed.get(named.id, desired.address)
    if holder != desired.address:
        return managed_already(named.id, holder)
    if named.id in beside.recorded and named.id not in {beside.old_half, *beside.old_halves}:
        return (
            f"connection {named.id} is recorded in this stack already; to let it go on at another address,"
            " pass that resource's URN as `aliases`, or rename it in the desired state alone"
        )
    return named


def _any(
    desired: DesiredConnection, there: Sequence[LiveConnection], beside: Beside
) -> LiveConnection | str | None:
    """Find the connection that a nameless address takes over, or say why that isn't certain, or nothing."""
    mine = [c for c in there if c.platform_key == desired.platform_key]
    old_half = next((c for c in mine if c.id == beside.old_half), None)
    if old_half and old_half.id not in {*beside.named, *beside.claimed}:
        return old_half  # the file went back to what it said before a replacement that broke off
    free = [c for c in mine if c.id not in beside.recorded and c.id not in beside.named]
    waiting = [c for c in free if c.status == Status.PENDING_AUTH]
    authorised = [c for c in free if c.status != Status.PENDING_AUTH and c.id not in beside.claimed]
    unclaimed = [c for c in waiting if c.id not in beside.claimed]
    if (unclaimed or authorised) and not beside.complete:
        return _incomplete(desired, [*unclaimed, *authorised])
    if beside.rank < len(waiting) and unclaimed:
        due = waiting[beside.rank]
        return due if due in unclaimed else unclaimed[0]
    taken = {*beside.recorded, *beside.named, *beside.claimed}
    nameless = [c.id for c in there if c.platform_key is None and c.id not in taken]
    if nameless:
        return (
            f"Codat doesn't say which platform {shortened(nameless)} of this company is, so it may be this"
            " very connection; see it in the Portal, then name it by `connectionId`, or delete it there"
        )
    if not authorised or desired.on_existing is OnExisting.CREATE:
        return None
    return _authorised(desired, authorised, beside.comers - len(waiting))


def _incomplete(desired: DesiredConnection, free: Sequence[LiveConnection]) -> str:
    return (
        f"company {desired.company_id} has {_shown(free)} on {desired.platform_key}, and this run doesn't"
        " know whether another address has that: it reads a part of the stack only; run `pulumi up` with a"
        " refresh"
        " and without targets, or name one by `connectionId`"
    )


def _authorised(
    desired: DesiredConnection, authorised: Sequence[LiveConnection], comers: int
) -> LiveConnection | str:
    """Somebody authorised what stands there: theirs to keep until the file says otherwise."""
    shown = _shown(authorised)
    if desired.on_existing is OnExisting.ADOPT:
        if len(authorised) == 1 and comers <= 1:
            return authorised[0]
        if len(authorised) > 1:
            several = f"more than one connection to {desired.platform_key} could be adopted: {shown}"
            return f"{several}; name one by `connectionId`"
        return (
            f"several addresses could adopt {shown}; name it by `connectionId` at the one that is to have it"
        )
    return (
        f"company {desired.company_id} has a connection to {desired.platform_key} that nobody manages here:"
        f" {shown}; set `onExisting: adopt` to take it, `connectionId` to name it, or `onExisting: create`"
        " for one more"
    )


def _shown(connections: Sequence[LiveConnection]) -> str:
    return shortened([f"{c.id} ({safe_text(c.status)})" for c in connections])


# What differs, and since when.


def _cause(*, you: bool, they: bool) -> Cause:
    """Name who brought a change about; somebody did, and what isn't yours is theirs."""
    if not you:
        return Cause.THEY
    return Cause.BOTH if they else Cause.YOU


def _moved(prior: PriorConnection, live: LiveConnection | None) -> bool:
    """Say whether somebody moved it since it was recorded, or before, where a refresh has recorded that."""
    asks = rule_table.declared_again(prior, prior.desired.status, live).action is not Action.NONE
    return asks or rule_table.is_drift(prior.status, live.status if live else ABSENT)


def _moved_from(prior: PriorConnection, desired: DesiredConnection) -> str | None:
    """Name where it was: the address, or if that is the same the types of its parents, too."""
    if prior.place == desired.place:
        return None
    return prior.address if prior.address != desired.address else prior.place


def _differences(
    prior: PriorConnection,
    desired: DesiredConnection,
    live: LiveConnection | None,
    action: Action,
    replaces: Sequence[str],
) -> tuple[Field, ...]:
    """Name the recorded inputs that are declared otherwise, and the live status where that is why."""
    before, after = _inputs(prior.desired), _inputs(desired)
    if action in {Action.UNLINK, Action.REPLACE}:
        before["status"] = live.status if live else ABSENT
    if action is Action.REPLACE and live:
        del before["status"], after["status"]  # those of two connections
    for bag in (before, after):
        bag.pop("connectionId", None)
    if "connectionId" in replaces and desired.connection_id:
        before["connectionId"], after["connectionId"] = prior.id, desired.connection_id
    if prior.place == desired.place and prior.desired.address != desired.address:
        before["address"], after["address"] = prior.desired.address, desired.address
    return tuple(
        Field(name, before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def _inputs(desired: DesiredConnection) -> dict[str, str]:
    bag = {"protect": False, **properties.inputs(desired)}
    return {
        name: str(bag[name]).lower() if name == "protect" else str(bag[name])
        for name in _SHOWN
        if name in bag
    }
