"""Decide which connections an import takes, at which addresses, and which it skips and why. Pure."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from codat_iac.model.connection import (
    PLATFORM_KEY,
    UUID,
    Address,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    PriorConnection,
    Rule,
    Slot,
    Status,
)
from codat_iac.model.text import join_names, safe_text
from codat_iac.planning import rule_table
from codat_iac.planning.moves import Moves, moves
from codat_iac.planning.plan.unmanaged import OnUnmanaged, UnmanagedPolicy
from codat_iac.planning.rule_table import Action
from codat_iac.stack.importing import addresses
from codat_iac.stack.importing.discovery import Found


@dataclass(frozen=True, slots=True)
class Arrival:
    """One connection that is imported. `declared`: the desired state has its address already."""

    live: LiveConnection
    address: Address
    declared: bool = False

    @property
    def desired(self) -> DesiredConnection:
        """The connection to add to the desired state, with its id."""
        return _desired_from_live(self.live, self.address)


@dataclass(frozen=True, slots=True)
class Skipped:
    """One connection that isn't imported.

    `held`: because the state has it already, at `address`. `counted` is why all of its kind are left alone,
    which is told once with their number.
    """

    live: LiveConnection
    reason: str
    address: Address | None = None
    held: bool = False
    counted: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """The plan of an import, sorted by address; `names` are the companies' real names by company id."""

    arrivals: tuple[Arrival, ...]
    skipped: tuple[Skipped, ...]
    names: Mapping[str, str]
    matched_by: Mapping[str, str] = field(default_factory=dict)
    """The match that names a company in the desired state, by company id; its id names it without one."""

    left: int = 0
    """Changes and problems that the plan had before the import, and has after it."""

    @property
    def undeclared(self) -> tuple[DesiredConnection, ...]:
        """The connections to add to the desired state, each with its id."""
        return tuple(
            dataclasses.replace(each, matched_by=self.matched_by.get(each.company_id, ""))
            for each in (arrival.desired for arrival in self.arrivals if not arrival.declared)
        )


def draft(
    found: Found,
    declared: Sequence[DesiredConnection] = (),
    recorded: Iterable[PriorConnection] = (),
    keys: Mapping[str, str] | None = None,
    ignored: Collection[str] = (),
    *,
    unlinked: bool = True,
) -> Draft:
    """Decide for each connection in *found* whether it is imported. *recorded* is the whole state.

    *keys* are those of the declared companies by id, also of companies that are declared without connections.
    Of the companies with the ids *ignored* only what is declared comes in, and so of what is *unlinked*, if
    that isn't wanted: it may be what an earlier run has ended, and nobody connects it.

    A connection that the state has, at any address, is skipped. One that the desired state certainly means is
    imported at its declared address; one that it may mean is skipped.
    """
    known = _Known(found, declared, recorded, keys, ignored, unlinked=unlinked)
    arrivals, skipped = [], []
    for live in found:
        placed = known.place(live)
        if isinstance(placed, Arrival):
            arrivals.append(placed)
        else:
            skipped.append(placed)
    arrivals.sort(key=lambda arrival: arrival.address)
    return Draft(tuple(arrivals), tuple(skipped), _names(found))


def exported(
    found: Found, declared: Sequence[DesiredConnection] = (), recorded: Iterable[PriorConnection] = ()
) -> tuple[tuple[DesiredConnection, ...], tuple[Skipped, ...], Mapping[str, str]]:
    """Convert the connections in *found* to desired ones, each with its id, whoever manages it.

    Returns them, those that can't be declared, and the companies' real names by id. A recorded connection
    keeps its recorded settings unless they would cause a call now. So a plan for the same stack is empty, and
    so is a plan without a state.
    """
    known = _Known(found, declared, recorded)
    whole, skipped = [], []
    for live in found:
        problem = _undeclarable(live)
        if problem:
            skipped.append(Skipped(live, problem))
        else:
            whole.append(known.as_recorded(live))
    return tuple(whole), tuple(skipped), _names(found)


def ignored_companies(found: Found, policy: UnmanagedPolicy) -> frozenset[str]:
    """Return the ids of the companies whose unmanaged connections *policy* ignores."""
    return frozenset(
        company.id for company in found.companies if policy.of(company.tags) is OnUnmanaged.IGNORE
    )


def _names(found: Found) -> Mapping[str, str]:
    return {company.id: company.name for company in found.companies}


class _Known:
    """The declared and recorded connections, looked up for a live one."""

    def __init__(
        self,
        found: Found,
        declared: Sequence[DesiredConnection],
        recorded: Iterable[PriorConnection],
        keys: Mapping[str, str] | None = None,
        ignored: Collection[str] = (),
        *,
        unlinked: bool = True,
    ) -> None:
        self._keys = keys or {}
        self._ignored = ignored
        self._unlinked = unlinked
        self._found = found
        self._declared = declared
        self._recorded = tuple(recorded)
        self._standing = [prior for prior in self._recorded if not prior.pending_removal]
        self._held = {prior.id: prior for prior in self._recorded}
        self._pinned = {each.connection_id: each for each in declared if each.connection_id}
        self._occupied = {prior.address for prior in self._recorded}
        self._ruled = {each.slot: each.address for each in declared if Rule.made(each)}

    def place(self, live: LiveConnection) -> Arrival | Skipped:
        """Decide whether one connection is imported, and at which address."""
        prior, pinned = self._held.get(live.id), self._pinned.get(live.id)
        if prior:
            return Skipped(live, f"is managed as {prior.address} already", prior.address, held=True)
        problem = _undeclarable(live)
        if problem:
            return Skipped(live, problem)
        if pinned:
            return self._as_declared(pinned, live)
        # `onExisting: create` asks for a new connection, not for one that somebody authorised.
        waiting = [
            each
            for each in self._unrecorded.get(_slot(live), ())
            if each.on_existing is not OnExisting.CREATE or live.status == Status.PENDING_AUTH
        ]
        if not waiting:
            return self._as_newcomer(live)
        certain = len(waiting) == len(self._unclaimed[_slot(live)]) == 1
        if certain and waiting[0].address not in self._moved.problems:
            return self._as_declared(waiting[0], live)
        there = join_names([each.address for each in waiting])
        return Skipped(
            live,
            f"may be what {there} declares and the state doesn't hold yet, which isn't certain; name it there"
            " by `connectionId`",
        )

    def _as_newcomer(self, live: LiveConnection) -> Arrival | Skipped:
        if live.company_id in self._ignored:
            return Skipped(live, "is hidden", counted="hidden by `unmanaged: ignore`")
        if live.status == Status.UNLINKED and not self._unlinked:
            return Skipped(live, "is Unlinked", counted="Unlinked; --status Unlinked brings such in")
        if missed := self._missed.get(_slot(live)):
            return Skipped(
                live,
                f"may be in place of what {missed} means, which is gone from Codat; name it there by"
                " `connectionId`, and an apply takes it up",
            )
        if beside := self._ruled.get(_slot(live)):
            return Skipped(
                live,
                f"is beside {beside}, and of what a rule declares there can be no second one; to manage both,"
                " declare them below `companies:` and take the company's tag away",
            )
        return Arrival(live, self._addresses[live.id])

    def as_recorded(self, live: LiveConnection) -> DesiredConnection:
        """Return a live connection as a desired one with its id, and with its recorded settings, if any."""
        desired = _desired_from_live(live, self._addresses[live.id])
        prior = self._held.get(live.id)
        if prior:
            kept = rule_table.declared(prior.desired.status, live).action is Action.NONE
            status = prior.desired.status if kept else desired.status
            desired = dataclasses.replace(desired, status=status, on_removal=prior.desired.on_removal)
        return desired

    def _as_declared(self, desired: DesiredConnection, live: LiveConnection) -> Arrival | Skipped:
        """Import *live* at its declared address, unless that would lead to more than recording it."""
        cell = rule_table.declared(desired.status, live)
        if desired.address in self._occupied:
            reason = "where the state holds another connection; see `pulumi preview`"
        elif desired.slot != _slot(live):
            reason = "with another company or platform; correct `connectionId`"
        elif cell.action is not Action.NONE:
            reason = (
                f"as {desired.status}, and it is {safe_text(live.status)}; `pulumi up` takes it and does that"
            )
        else:
            return Arrival(live, desired.address, declared=True)
        return Skipped(live, f"is declared as {desired.address} {reason}", desired.address)

    @cached_property
    def _unrecorded(self) -> Mapping[Slot, Sequence[DesiredConnection]]:
        """The connections that are declared without an id and not recorded, at whatever name, by slot."""
        found = defaultdict(list)
        settled = self._occupied | self._moved.origins.keys()
        for each in self._declared:
            if not each.connection_id and each.address not in settled:
                found[each.slot].append(each)
        return found

    @cached_property
    def _moved(self) -> Moves:
        """Which recorded connections the declared addresses continue, if a rename isn't applied yet."""
        return moves(self._declared, self._standing)

    @cached_property
    def _unclaimed(self) -> Mapping[Slot, Sequence[LiveConnection]]:
        """The live connections that are neither recorded nor named by a `connectionId`, by slot."""
        found = defaultdict(list)
        for company in self._found.companies:
            for live in company.connections or ():
                if live.id not in self._held and live.id not in self._pinned:
                    found[_slot(live)].append(live)
        return found

    @cached_property
    def _missed(self) -> Mapping[Slot, Address]:
        """The addresses whose connection is gone, by slot: a customer may have connected again."""
        at: dict[str, str] = {prior.address: prior.id for prior in self._standing}
        at |= {address: prior.id for address, prior in self._moved.origins.items()}
        known = {each.address: each.connection_id or at.get(each.address) for each in self._declared}
        return {each.slot: each.address for each in self._declared if known[each.address] not in self._live}

    @cached_property
    def _live(self) -> Collection[str | None]:
        """The ids of all connections that are there; None stands for a connection that nobody knows yet."""
        return {None, *(live.id for company in self._found.companies for live in company.connections or ())}

    @cached_property
    def _addresses(self) -> Mapping[str, Address]:
        halves = self._halves()
        there = {each.connection_id: each for each in self._declared if each.connection_id}
        there |= {prior.id: prior.desired for prior in self._recorded}
        return addresses.addresses(
            self._found.companies,
            halves=halves,
            # A user's own program may give one company several names, which a file can't.
            known={i: d.address for i, d in there.items() if halves.get(d.company_id) == d.address.company},
            taken={each.address for each in self._declared} | self._occupied,
        )

    def _halves(self) -> Mapping[str, str]:
        """Return the first half of the address by company id: from the desired state, else from the state."""
        named = {**self._keys, **{each.company_id: each.address.company for each in self._declared}}
        taken = set(named.values())
        for prior in sorted(self._recorded, key=lambda each: each.address):
            half = prior.address.company
            if prior.desired.company_id not in named and half not in taken:
                named[prior.desired.company_id] = half
                taken.add(half)
        return named


def _desired_from_live(live: LiveConnection, address: Address) -> DesiredConnection:
    return DesiredConnection(
        address,
        live.company_id,
        live.platform_key or "",
        # An unlinked connection shall stay so; only its customer could make it Linked.
        status=Status.UNLINKED if live.status == Status.UNLINKED else Status.LINKED,
        connection_id=live.id,
    )


def _undeclarable(live: LiveConnection) -> str | None:
    if not (UUID.fullmatch(live.id) and UUID.fullmatch(live.company_id)):
        return "has an id that is no UUID"
    if live.platform_key is None:
        return "is on a platform that Codat doesn't name; see it in the Portal"
    if not PLATFORM_KEY.fullmatch(live.platform_key):
        return (
            f"has the platform key {safe_text(live.platform_key)!r}, which is none of four lower-case letters"
        )
    return None


def _slot(live: LiveConnection) -> Slot:
    return Slot(live.company_id, live.platform_key or "")
