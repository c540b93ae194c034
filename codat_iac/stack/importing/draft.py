"""Which connections an import brings in, at which addresses, and which it leaves alone and why. Pure."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from codat_iac.model.connection import (
    PLATFORM_KEY,
    UUID,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    PriorConnection,
    Slot,
    Status,
)
from codat_iac.model.text import safe_text, shortened
from codat_iac.planning import rule_table
from codat_iac.planning.rule_table import Action
from codat_iac.stack.importing import addresses
from codat_iac.stack.importing.discovery import Found


@dataclass(frozen=True, slots=True)
class Arrival:
    """One connection that comes into the stack. `declared`: the desired state has its address already."""

    live: LiveConnection
    address: str
    declared: bool = False

    @property
    def desired(self) -> DesiredConnection:
        """What the desired state is to say of it, by its id."""
        return _as_it_is(self.live, self.address)


@dataclass(frozen=True, slots=True)
class Skipped:
    """One connection that is left alone. `held`: since the state has it already, at `address`."""

    live: LiveConnection
    reason: str
    address: str | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What an import does, by address; `names` are the companies' real names, by company id."""

    arrivals: tuple[Arrival, ...]
    skipped: tuple[Skipped, ...]
    names: Mapping[str, str]

    @property
    def undeclared(self) -> tuple[DesiredConnection, ...]:
        """What the desired state has yet to say, each connection by its id."""
        return tuple(arrival.desired for arrival in self.arrivals if not arrival.declared)


def draft(
    found: Found, declared: Sequence[DesiredConnection] = (), recorded: Iterable[PriorConnection] = ()
) -> Draft:
    """Decide what becomes of what was *found*. *recorded* is all that the state holds.

    What the state holds at any address is never taken over. What the desired state declares already, and
    nothing else can be meant, comes in at its own address; whatever isn't certain stays out.
    """
    known = _Known(found, declared, recorded)
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
    """Put what was *found* into desired connections, each by its id, whoever manages it.

    Gives them, what can't be declared, and the companies' real names. What the state holds keeps what it
    says, unless live asks for a call: a plan for the same stack is empty, and so is one without a state.
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


def _names(found: Found) -> Mapping[str, str]:
    return {company.id: company.name for company in found.companies}


class _Known:
    """What is declared and recorded already, looked up by what was found."""

    def __init__(
        self, found: Found, declared: Sequence[DesiredConnection], recorded: Iterable[PriorConnection]
    ) -> None:
        self._found = found
        self._declared = declared
        self._recorded = tuple(recorded)
        self._held = {prior.id: prior for prior in self._recorded}
        self._pinned = {each.connection_id: each for each in declared if each.connection_id}
        self._occupied = {prior.address for prior in self._recorded}

    def place(self, live: LiveConnection) -> Arrival | Skipped:
        """Decide about one connection."""
        prior, pinned = self._held.get(live.id), self._pinned.get(live.id)
        if prior:
            return Skipped(live, f"is managed as {prior.address} already", prior.address, held=True)
        problem = _undeclarable(live)
        if problem:
            return Skipped(live, problem)
        if pinned:
            return self._at(pinned, live)
        # One with `onExisting: create` asks for another connection than the one that somebody authorised.
        waiting = [
            each
            for each in self._open.get(_slot(live), ())
            if each.on_existing is not OnExisting.CREATE or live.status == Status.PENDING_AUTH
        ]
        if not waiting:
            return Arrival(live, self._addresses[live.id])
        if len(waiting) == len(self._free[_slot(live)]) == 1:
            return self._at(waiting[0], live)
        there = shortened([each.address for each in waiting])
        return Skipped(
            live,
            f"may be what {there} declares and the state doesn't hold yet, which isn't certain; name it there"
            " by `connectionId`",
        )

    def as_recorded(self, live: LiveConnection) -> DesiredConnection:
        """Give what is recorded of a connection, by its id; of one that isn't, what it is."""
        desired = _as_it_is(live, self._addresses[live.id])
        prior = self._held.get(live.id)
        if prior:
            kept = rule_table.declared(prior.desired.status, live).action is Action.NONE
            status = prior.desired.status if kept else desired.status
            desired = dataclasses.replace(desired, status=status, on_removal=prior.desired.on_removal)
        return desired

    def _at(self, desired: DesiredConnection, live: LiveConnection) -> Arrival | Skipped:
        """Bring *live* in where it is declared, unless more than recording it would follow."""
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
    def _open(self) -> Mapping[Slot, Sequence[DesiredConnection]]:
        """What is declared without an id and not recorded."""
        found = defaultdict(list)
        for each in self._declared:
            if not each.connection_id and each.address not in self._occupied:
                found[each.slot].append(each)
        return found

    @cached_property
    def _free(self) -> Mapping[Slot, Sequence[LiveConnection]]:
        """What lives and that nobody holds or names."""
        found = defaultdict(list)
        for company in self._found.companies:
            for live in company.connections or ():
                if live.id not in self._held and live.id not in self._pinned:
                    found[_slot(live)].append(live)
        return found

    @cached_property
    def _addresses(self) -> Mapping[str, str]:
        halves = self._halves()
        there = {each.connection_id: each for each in self._declared if each.connection_id}
        there |= {prior.id: prior.desired for prior in self._recorded}
        return addresses.addresses(
            self._found.companies,
            halves=halves,
            # A program of somebody's own may give one company several names, which no file can.
            known={i: d.address for i, d in there.items() if halves.get(d.company_id) == _half(d.address)},
            taken={each.address for each in self._declared} | self._occupied,
        )

    def _halves(self) -> Mapping[str, str]:
        """Give the names that companies have: in the desired state, or else in the state."""
        named = {each.company_id: _half(each.address) for each in self._declared}
        taken = set(named.values())
        for prior in sorted(self._recorded, key=lambda each: each.address):
            half = _half(prior.address)
            if prior.desired.company_id not in named and half not in taken:
                named[prior.desired.company_id] = half
                taken.add(half)
        return named


def _as_it_is(live: LiveConnection, address: str) -> DesiredConnection:
    return DesiredConnection(
        address,
        live.company_id,
        live.platform_key or "",
        # What somebody unlinked is to stay so; only its customer could make it Linked.
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


def _half(address: str) -> str:
    return address.partition("/")[0]
