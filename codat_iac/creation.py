"""What creating a connection comes to: adopt one that is there, make one, or refuse. Pure.

Codat's POST never dedupes, so a connection that is already there has to be recognised here: one that
a crash left unrecorded, one whose address was renamed, one that its customer made by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from codat_iac.model import DesiredConnection, LiveConnection, OnExisting, Status
from codat_iac.rules import shortened


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take this one; no call."""

    connection: LiveConnection


@dataclass(frozen=True, slots=True)
class Post:
    """Make one."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Neither; `reason` says why and what to do, without the address."""

    reason: str


Decision = Adopt | Post | Refuse


@dataclass(frozen=True, slots=True)
class Holdings:
    """Which ids are taken, as far as this process knows.

    `recorded` and `claimed` map a connection's id to addresses: where the state holds it, and who declares
    it in this run. `complete`: the state was read, so `recorded` holds all of it.
    """

    recorded: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    claimed: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    complete: bool = True

    def holder(self, connection_id: str, desired: DesiredConnection) -> str | None:
        """Name the declared address that has *connection_id*, None where *desired* may take it.

        An id that the state holds at an address which is no longer declared may be taken: a rename.
        """
        claims = self.claimed.get(connection_id, frozenset()) - {desired.address}
        kept = self.recorded.get(connection_id, frozenset()) & (desired.siblings | {desired.address})
        return min(claims | kept, default=None)

    def renamed(self, connection_id: str) -> bool:
        """Say whether the state holds *connection_id*: where it has no holder, its address was renamed."""
        return connection_id in self.recorded


def decide(desired: DesiredConnection, live: Iterable[LiveConnection], holdings: Holdings) -> Decision:
    """Decide what creating *desired* comes to, given all *live* connections of its company."""
    everything = sorted(live, key=lambda connection: (connection.created, connection.id))
    mine = [c for c in everything if c.platform_key == desired.platform_key]
    if desired.connection_id:
        return _exactly(desired, everything, holdings)
    free = [c for c in mine if holdings.holder(c.id, desired) is None]
    if not holdings.complete and len(desired.siblings) > 1:
        return _uncertain(desired, mine)
    known = [c for c in free if c.status == Status.PENDING_AUTH or holdings.renamed(c.id)]
    if known:
        # An authorisation is worth more than a link that nobody followed yet.
        return Adopt(max(known, key=lambda connection: connection.status != Status.PENDING_AUTH))
    nameless = [c.id for c in everything if c.platform_key is None and not holdings.renamed(c.id)]
    if nameless:
        return Refuse(
            f"Codat doesn't say which platform {shortened(nameless)} of this company is, so it may be this"
            " very connection; see it in the Portal, then name it by `connectionId`, or delete it there"
        )
    return _authorised(desired, free) if free else Post()


def _exactly(desired: DesiredConnection, live: list[LiveConnection], holdings: Holdings) -> Decision:
    named = next((c for c in live if c.id == desired.connection_id), None)
    if named is None:
        return Refuse(
            f"company {desired.company_id} has no connection {desired.connection_id}; correct `connectionId`,"
            " or leave it out to make a new one"
        )
    if named.platform_key != desired.platform_key:
        return Refuse(
            f"connection {named.id} is on {named.platform_key or 'an unnamed platform'}, not on"
            f" {desired.platform_key}; correct `platformKey` or `connectionId`"
        )
    holder = holdings.holder(named.id, desired)
    if holder:
        return Refuse(f"connection {named.id} is managed as {holder} already; declare it once")
    return Adopt(named)


def _uncertain(desired: DesiredConnection, mine: list[LiveConnection]) -> Decision:
    """Without a refresh nobody knows which of several are ours: counting is all that is certain."""
    if len(mine) < len(desired.siblings):
        return Post()
    return Refuse(
        f"{len(mine)} connections to {desired.platform_key} exist and {len(desired.siblings)} are declared,"
        " and without a refresh it isn't known which is which; run again with a refresh"
    )


def _authorised(desired: DesiredConnection, free: list[LiveConnection]) -> Decision:
    """Somebody authorised what stands there: theirs to keep until the file says otherwise."""
    if desired.on_existing is OnExisting.CREATE:
        return Post()
    if desired.on_existing is OnExisting.ADOPT and len(free) == 1:
        return Adopt(free[0])
    shown = shortened([f"{c.id} ({c.status})" for c in free])
    if desired.on_existing is OnExisting.ADOPT:
        return Refuse(
            f"more than one connection to {desired.platform_key} could be adopted: {shown}; name one by"
            " `connectionId`"
        )
    return Refuse(
        f"company {desired.company_id} has a connection to {desired.platform_key} that nobody manages here:"
        f" {shown}; set `onExisting: adopt` to take it, `connectionId` to name it, or `onExisting: create`"
        " for one more"
    )
