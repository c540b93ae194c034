"""Decide what to do about one address. Pure.

`decide_existing` handles what is recorded and declared, `decide_new` what is only declared, `decide_removal`
what is only recorded. The provider's hooks ask about one address at a time, `stack_decisions.py` about all of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

from codat_iac.model import properties
from codat_iac.model.connection import (
    ABSENT,
    Address,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    PriorConnection,
    Status,
)
from codat_iac.model.text import join_names, safe_text
from codat_iac.planning import rule_table
from codat_iac.planning.moves import managed_already
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action

_SHOWN = ("companyId", "matchedBy", "onRemoval", "platformKey", "protect", "status")
"""The inputs whose differences are shown; a declared `connectionId` is compared with the id."""


class Cause(StrEnum):
    """Who caused the change."""

    YOU = "you"
    THEY = "they"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Field:
    """One field that differs, in Codat's spelling. A value is None if there is none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one address.

    `connection_id` is the present connection (None for a new address) and `status` its live status, `absent`
    if it doesn't exist. `becomes` is the connection that the address will have; None if that is still to be
    created, or if the address is removed.

    `moved_from` is the recorded address of the connection that it continues, or, if the address is the same,
    its recorded place. `removal` is what happens to the old connection of a replacement or removal (`unlink`,
    `delete`, `forget`). `losing` are the ids of the connections whose customers' authorisations end, also of
    old halves that are removed along. `later` means that only the next run can do it.

    `notice` is what to say besides. `problem` is why the action is refused, without the address. Both are
    about the connection `live`.
    """

    address: Address
    action: Action
    cause: Cause
    company_id: str
    platform_key: str
    status: str = ABSENT
    connection_id: str | None = None
    moved_from: str | None = None
    removal: Action | None = None
    fields: tuple[Field, ...] = ()
    losing: tuple[str, ...] = ()
    later: bool = False
    becomes: str | None = field(default=None, compare=False)
    replaces: tuple[str, ...] = field(default=(), compare=False)
    notice: Notice | None = field(default=None, compare=False)
    problem: str | None = field(default=None, compare=False)
    live: LiveConnection | None = field(default=None, compare=False, repr=False)
    urn: str = field(default="", compare=False)
    """The URN of what is removed. What is declared has the URN that the program gives it."""

    @property
    def loses(self) -> bool:
        """Whether a customer's authorisation ends."""
        return bool(self.losing)

    @property
    def reads(self) -> int:
        """The number of read calls: a listing before a POST or adoption, a GET before a lasting change."""
        creates = self.action in {Action.CREATE, Action.ADOPT, Action.REPLACE} and not self.later
        return creates + self.ends

    @property
    def writes(self) -> int:
        """The number of write calls."""
        return self.posts + self.ends

    @property
    def posts(self) -> bool:
        """Whether it creates a connection."""
        return self.action in {Action.CREATE, Action.REPLACE} and self.becomes is None and not self.later

    @property
    def ends(self) -> bool:
        """Whether it unlinks or deletes a connection."""
        ending = self.action is Action.UNLINK or self.removal in {Action.UNLINK, Action.DELETE}
        return ending and not self.later


@dataclass(frozen=True, slots=True)
class SlotView:
    """The company and platform of an address that gets a connection, as that address sees them.

    `recorded` are the ids in the state. `named` are the ids that other addresses name by `connectionId`.
    `claimed` maps the ids that other addresses got in this run to those addresses.

    `comers` counts the addresses here that get a connection without naming it, and `rank` is this address's
    place among them. By rank, each free `PendingAuth` connection goes to one address, whichever address is
    asked first.

    `complete` means that the state holds no other id here. `old_half` is the connection that this address had
    before a replacement that was broken off. `old_halves` are those of all addresses here; an address may
    name one by its id.
    """

    recorded: AbstractSet[str] = frozenset()
    named: AbstractSet[str] = frozenset()
    claimed: Mapping[str, str] = field(default_factory=dict)
    rank: int = 0
    comers: int = 1
    complete: bool = True
    old_half: str | None = None
    old_halves: AbstractSet[str] = frozenset()

    def is_free(self, connection_id: str) -> bool:
        """Return whether no address has the connection, names it, or got it in this run."""
        return not any(connection_id in ids for ids in (self.recorded, self.named, self.claimed))


def decide_existing(
    prior: PriorConnection, desired: DesiredConnection, live: LiveConnection | None
) -> Decision:
    """Decide about a connection that is recorded and declared. *live* None means that it is certainly absent.

    Only another platform, another company, another `connectionId`, an absence or `pulumi state taint` forces
    a replacement. Other changes (a policy, another URN) are recorded without a call, since `delete` receives
    what was recorded.
    """
    replaces = rule_table.replacing_inputs(prior, desired)
    cell = rule_table.still_declared(prior, desired.status, live)
    moved = prior.place != desired.place
    differs = moved or rule_table.recorded_fields(prior.desired) != rule_table.recorded_fields(desired)
    problem, removal, notice = None, None, cell.notice
    if replaces or prior.tainted or cell.action is Action.CREATE:
        action, going = Action.REPLACE, _removed(prior, live)
        replaces = replaces or ("status",)
        removal = going.action
        notice = Notice.GONE if live is None else None
        # If the file doesn't protect it, the engine replaces it, whatever `pulumi state protect` said.
        protected = prior.protected and (desired.protect or desired.protected)
        problem = _UNREPLACEABLE if going.problem else _PROTECTED if protected else None
    else:
        action, problem = cell.action, cell.problem
        if action is Action.NONE and differs and not problem:
            action = Action.MOVE if moved else Action.UPDATE
    return Decision(
        desired.address,
        action,
        _cause(
            you=differs or bool(rule_table.replacing_inputs(prior, desired)) or prior.tainted,
            they=_changed_by_others(prior, live),
        ),
        desired.company_id,
        desired.platform_key,
        live.status if live else ABSENT,
        connection_id=prior.id,
        moved_from=_moved_from(prior, desired),
        removal=removal,
        fields=_differences(prior, desired, live, action),
        losing=(prior.id,) if rule_table.loses(removal or action, live) else (),
        becomes=None if action is Action.REPLACE else prior.id,
        replaces=replaces,
        notice=notice,
        problem=problem,
        live=live,
    )


def decide_removal(prior: PriorConnection, live: LiveConnection | None, *, held: bool = False) -> Decision:
    """Decide about a connection that is recorded and not declared.

    *held* means that a declared address has the same connection, so that it is only forgotten.
    """
    cell = _FORGET if held else _removed(prior, live)
    return Decision(
        prior.address,
        Action.REMOVE,
        _cause(you=True, they=_changed_by_others(prior, live)),
        prior.desired.company_id,
        prior.desired.platform_key,
        live.status if live else ABSENT,
        connection_id=prior.id,
        removal=cell.action,
        losing=(prior.id,) if rule_table.loses(cell.action, live) else (),
        problem=_PROTECTED if prior.protected else cell.problem,
        live=live,
        urn=prior.urn,
    )


_FORGET = rule_table.Cell(Action.FORGET)


def _removed(prior: PriorConnection, live: LiveConnection | None) -> rule_table.Cell:
    return _FORGET if prior.retained else rule_table.removed(prior.desired.on_removal, live)


_PROTECTED = (
    "it is protected, so Pulumi neither removes nor replaces it; take its `protect: true` out and apply first"
    " (or `pulumi state unprotect` it), if you mean it"
)
_UNREPLACEABLE = (
    "what it replaces has a status that codat-iac doesn't know, so it stays; declare it as it was, with"
    " `onRemoval: retain`, apply, and then change it"
)


# Creating. Codat's POST always makes another connection, so an existing one has to be found here.


def decide_new(desired: DesiredConnection, company: Iterable[LiveConnection], view: SlotView) -> Decision:
    """Decide about an address that gets a connection: adopt an existing one, create one, or refuse.

    *company* are the live connections of its company. A recorded connection is never taken, except for an old
    half.
    """
    there = sorted(company, key=lambda connection: (connection.created, connection.id))
    found = _find_named(desired, there, view) if desired.connection_id else _find_free(desired, there, view)
    if isinstance(found, LiveConnection):
        cell = rule_table.declared(desired.status, found)
        return _new_decision(desired, Action.ADOPT, live=found, notice=cell.notice)
    problem = found or rule_table.declared(desired.status, None).problem
    return _new_decision(desired, Action.CREATE, problem=problem)


def _new_decision(
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


def _find_named(
    desired: DesiredConnection, there: Sequence[LiveConnection], view: SlotView
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
    holder = view.claimed.get(named.id, desired.address)
    if holder != desired.address:
        return managed_already(named.id, holder)
    if named.id in view.recorded and named.id not in {view.old_half, *view.old_halves}:
        return (
            f"connection {named.id} is recorded in this stack already; to let it go on at another address,"
            " pass that resource's URN as `aliases`, or rename it in the desired state alone"
        )
    return named


def _find_free(
    desired: DesiredConnection, there: Sequence[LiveConnection], view: SlotView
) -> LiveConnection | str | None:
    """Find the connection that an address without a `connectionId` takes over.

    Returns why that isn't certain if it isn't, and None if there is no such connection.
    """
    mine = [c for c in there if c.platform_key == desired.platform_key]
    old_half = next((c for c in mine if c.id == view.old_half), None)
    if old_half and old_half.id not in view.named and old_half.id not in view.claimed:
        return old_half  # the file was changed back after a replacement that was broken off
    free = [c for c in mine if c.id not in view.recorded and c.id not in view.named]
    waiting = [c for c in free if c.status == Status.PENDING_AUTH]
    authorised = [c for c in free if c.status != Status.PENDING_AUTH and c.id not in view.claimed]
    unclaimed = [c for c in waiting if c.id not in view.claimed]
    if (unclaimed or authorised) and not view.complete:
        return _incomplete(desired, [*unclaimed, *authorised])
    if view.rank < len(waiting) and unclaimed:
        due = waiting[view.rank]
        return due if due in unclaimed else unclaimed[0]
    keyless = [c.id for c in there if c.platform_key is None and view.is_free(c.id)]
    if keyless:
        return (
            f"Codat doesn't say which platform {join_names(keyless)} of this company is, so it may be this"
            " very connection; see it in the Portal, then name it by `connectionId`, or delete it there"
        )
    if not authorised or desired.on_existing is OnExisting.CREATE:
        return None
    return _adopt_authorised(desired, authorised, view.comers - len(waiting))


def _incomplete(desired: DesiredConnection, free: Sequence[LiveConnection]) -> str:
    return (
        f"company {desired.company_id} has {_shown(free)} on {desired.platform_key}, and this run doesn't"
        " know whether another address has that: it reads a part of the stack only; run `pulumi up --refresh`"
        " without targets (`options: {refresh: always}` in Pulumi.yaml makes every run refresh), or name one"
        " by `connectionId`"
    )


class ExistsAlready(str):
    """The problem that somebody authorised a connection that nobody manages here."""

    __slots__ = ()


def _adopt_authorised(
    desired: DesiredConnection, authorised: Sequence[LiveConnection], comers: int
) -> LiveConnection | str:
    """Return the authorised connection to adopt, or why none is adopted.

    Somebody authorised it, so it is theirs until the file says otherwise.
    """
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
    return ExistsAlready(
        f"company {desired.company_id} has a connection to {desired.platform_key} that nobody manages here:"
        f" {shown}; if this is the right stack, set `onExisting: adopt` to take it, `connectionId` to name"
        " it, or `onExisting: create` for one more"
    )


def _shown(connections: Sequence[LiveConnection]) -> str:
    return join_names([f"{c.id} ({safe_text(c.status)})" for c in connections])


# What differs, and who changed it.


def _cause(*, you: bool, they: bool) -> Cause:
    """Return who caused a change; what isn't yours is theirs."""
    if not you:
        return Cause.THEY
    return Cause.BOTH if they else Cause.YOU


def _changed_by_others(prior: PriorConnection, live: LiveConnection | None) -> bool:
    """Return whether somebody else changed it since it was recorded.

    If a refresh has recorded the change since, only the table still shows it.
    """
    asks = rule_table.still_declared(prior, prior.desired.status, live).action is not Action.NONE
    return asks or rule_table.is_drift(prior.status, live.status if live else ABSENT)


def _moved_from(prior: PriorConnection, desired: DesiredConnection) -> str | None:
    """Return its recorded address, or its recorded place if only the types of its parents differ."""
    if prior.place == desired.place:
        return None
    return prior.address if prior.address != desired.address else prior.place


def _differences(
    prior: PriorConnection,
    desired: DesiredConnection,
    live: LiveConnection | None,
    action: Action,
) -> tuple[Field, ...]:
    """Return the inputs that differ from the recorded ones, and the live status if that is the reason."""
    before, after = _inputs(prior.desired), _inputs(desired)
    if action in {Action.UNLINK, Action.REPLACE}:
        before["status"] = live.status if live else ABSENT
    if action is Action.REPLACE and live:
        del before["status"], after["status"]  # the statuses of two connections
    if desired.connection_id:
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
