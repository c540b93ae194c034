"""What creating a connection comes to: adopt one that is there, make one, or refuse. Pure.

Codat's POST never dedupes, so a connection that is already there has to be recognised here: one that
a crash left unrecorded, one whose address was renamed, one that its customer made by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from codat_iac.foreign import safe_text
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
    it in this run. `unknown` counts the siblings of which nothing is known: they may be new, or recorded and
    not read, since a run without a refresh reads nothing, and one with `--target` its targets only; `read`:
    something was read.
    """

    recorded: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    claimed: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    unknown: int = 0
    read: bool = True

    def holder(self, connection_id: str, desired: DesiredConnection) -> str | None:
        """Name the declared address that has *connection_id*, None where *desired* may take it.

        An id that the state holds at an address which is no longer declared may be taken: a rename.
        """
        claims = self.claimed.get(connection_id, frozenset()) - {desired.address}
        kept = {
            address
            for address in self.recorded.get(connection_id, ())
            if address == desired.address or address in desired.siblings
        }
        return min(claims | kept, default=None)

    def renamed(self, connection_id: str) -> bool:
        """Say whether the state holds *connection_id*: where it has no holder, its address was renamed."""
        return connection_id in self.recorded


def decide(desired: DesiredConnection, live: Iterable[LiveConnection], holdings: Holdings) -> Decision:
    """Decide what creating *desired* comes to, given all *live* connections of its company."""
    everything = sorted(live, key=lambda connection: (connection.created, connection.id))
    if desired.connection_id:
        return _exactly(desired, everything, holdings)
    mine = [c for c in everything if c.platform_key == desired.platform_key]
    free = [c for c in mine if holdings.holder(c.id, desired) is None]
    renamed = [c for c in free if holdings.renamed(c.id)]
    if renamed:
        # An authorisation is worth more than a link that nobody followed yet.
        return Adopt(max(renamed, key=lambda connection: connection.status != Status.PENDING_AUTH))
    # Each of so few may be a sibling's of which nothing is known: as if they weren't there.
    theirs = len(free) <= holdings.unknown
    uncertain = holdings.unknown > 0 and not holdings.read
    waiting = [c for c in free if c.status == Status.PENDING_AUTH]
    if waiting and not theirs and not uncertain:
        return Adopt(waiting[0])
    nameless = [
        c.id
        for c in everything
        if c.platform_key is None and not holdings.renamed(c.id) and not holdings.holder(c.id, desired)
    ]
    if nameless:
        return Refuse(
            f"Codat doesn't say which platform {shortened(nameless)} of this company is, so it may be this"
            " very connection; see it in the Portal, then name it by `connectionId`, or delete it there"
        )
    if theirs:
        return Post()
    return _uncertain(desired, free, holdings) if uncertain else _authorised(desired, free)


def _exactly(desired: DesiredConnection, live: list[LiveConnection], holdings: Holdings) -> Decision:
    named = next((c for c in live if c.id == desired.connection_id), None)
    if named is None:
        return Refuse(
            f"company {desired.company_id} has no connection {desired.connection_id}; correct `connectionId`,"
            " or leave it out to make a new one"
        )
    if named.platform_key and named.platform_key != desired.platform_key:
        return Refuse(
            f"connection {named.id} is on {safe_text(named.platform_key)}, not on"
            f" {desired.platform_key}; correct `platformKey` or `connectionId`"
        )
    holder = holdings.holder(named.id, desired)
    if holder:
        return Refuse(f"connection {named.id} is managed as {holder} already; declare it once")
    return Adopt(named)


def _uncertain(desired: DesiredConnection, free: list[LiveConnection], holdings: Holdings) -> Decision:
    """Without a refresh nobody knows which of several are whose: counting is all that is certain."""
    return Refuse(
        f"{len(free)} connections to {desired.platform_key} are there ({_shown(free)}), and without a refresh"
        f" it isn't known which of them {holdings.unknown} other addresses have; run again with a refresh,"
        " or, where nothing is recorded yet, name one of them by `connectionId`"
    )


def _authorised(desired: DesiredConnection, free: list[LiveConnection]) -> Decision:
    """Somebody authorised what stands there: theirs to keep until the file says otherwise."""
    if desired.on_existing is OnExisting.CREATE:
        return Post()
    if desired.on_existing is OnExisting.ADOPT and len(free) == 1:
        return Adopt(free[0])
    shown = _shown(free)
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


def _shown(connections: list[LiveConnection]) -> str:
    return shortened([f"{c.id} ({safe_text(c.status)})" for c in connections])
