"""What a program tells the provider of what stands beside a connection, on its company's platform. Pure.

A hook sees one resource, and creating must not take what another one has. The program knows the whole
record, so it describes the rest with each resource: in a few letters for what is recorded, and by ids for
what gets a connection, so that nothing grows with the square of their number. `check` takes the description
out of the inputs, so no state holds it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from typing import Any

from codat_iac.model.connection import DesiredConnection, PriorConnection, Slot
from codat_iac.model.errors import ConfigError
from codat_iac.planning.decision import Beside
from codat_iac.planning.moves import Moves, stays

INPUT = "beside"
"""The name of the input, which no state holds."""


@dataclass(frozen=True, slots=True)
class Description:
    """What stands beside one address.

    `comers` counts the nameless addresses of its slot that get a connection, and `rank` is its place among
    them, None if it isn't one. `named` are the ids that other addresses name. `ids` are those that the state
    holds in the slot, and `unread` the places whose ids the record doesn't hold; both are None for an
    address that is recorded itself, which has `digest` instead, of the places that the slot has.

    What only a program that knows its whole desired state says: `stays`, that nothing is done about the
    address in this run; `kept`, ids that a declared address has and that are recorded a second time; and
    `counted`, of how many recorded connections the losses were totalled before anything was declared.
    """

    comers: int = 0
    rank: int | None = None
    named: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    unread: tuple[str, ...] = ()
    digest: str = ""
    stays: bool = False
    kept: tuple[str, ...] = ()
    counted: int = 0

    def is_complete(self, read: Collection[str]) -> bool:
        """Say whether all ids of the slot are known, if those at the places *read* are."""
        if self.ids is not None:
            return set(self.unread) <= set(read)
        return self.digest == digest(read)

    def written(self) -> str:
        """Write it as the value of an input."""
        bag = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if getattr(self, each.name) != each.default
        }
        return json.dumps(bag)


def parse(text: Any) -> Description:
    """Read what `written` wrote. Raises `ConfigError`."""
    try:
        bag = json.loads(text)
        lists = {
            name: tuple(bag[name]) for name in ("named", "ids", "unread", "kept") if bag.get(name) is not None
        }
        return Description(**{**bag, **lists})
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{INPUT}: is written by codat-iac itself; leave it out") from error


def digest(places: Iterable[str]) -> str:
    """Return a few letters that stand for a set of places."""
    return hashlib.sha256("\n".join(sorted(places)).encode()).hexdigest()[:16]


def describe(
    declared: Collection[DesiredConnection],
    recorded: Iterable[PriorConnection],
    moved: Moves,
    waiting: Iterable[DesiredConnection] = (),
) -> Mapping[str, Description]:
    """Describe for each declared address what stands beside it, by address.

    *waiting* are those that are only declared in the next run, if *declared* doesn't have them: what they
    name isn't free, and of what is free they get what the others leave.
    """
    there: dict[Slot, list[PriorConnection]] = defaultdict(list)
    at = {}
    for prior in recorded:
        there[prior.slot].append(prior)
        at[prior.place] = prior
    held = {prior.id for slot in there.values() for prior in slot}
    named: dict[Slot, set[str]] = defaultdict(set)
    comers: dict[Slot, list[str]] = defaultdict(list)
    for each in (*declared, *waiting):
        if each.connection_id and each.connection_id not in held:
            named[each.slot].add(each.connection_id)
        if not each.connection_id and not _goes_on(each, at.get(each.place), moved):
            comers[each.slot].append(each.address)
    ranks = {
        address: rank
        for mine in comers.values()
        for rank, address in enumerate(sorted(mine, key=lambda address: (address in moved.later, address)))
    }
    digests = {slot: digest(prior.place for prior in mine) for slot, mine in there.items()}
    counts = Counter({slot: len(mine) for slot, mine in comers.items()})
    return {
        each.address: _description(
            tuple(sorted(named[each.slot] - {each.connection_id or ""})),
            counts[each.slot],
            ranks.get(each.address),
            None if _goes_on(each, at.get(each.place), moved) else there[each.slot],
            digests.get(each.slot, ""),
        )
        for each in declared
    }


def totalled(
    descriptions: Mapping[str, Description], recorded: Collection[PriorConnection], moved: Moves
) -> Mapping[str, Description]:
    """Add what only a program knows that declares all there is, and that has totalled its losses."""
    staying = {prior.address for prior in moved.staying}
    kept = tuple(sorted({prior.id for prior in moved.surplus}))
    return {
        address: replace(each, stays=address in staying, kept=kept, counted=len(recorded))
        for address, each in descriptions.items()
    }


def _goes_on(desired: DesiredConnection, prior: PriorConnection | None, moved: Moves) -> bool:
    """Say whether an address goes on with a recorded connection."""
    origin = moved.origins.get(desired.address) or moved.later.get(desired.address)
    return origin is not None or (prior is not None and stays(desired, prior))


def _description(
    named: tuple[str, ...],
    comers: int,
    rank: int | None,
    recorded: Collection[PriorConnection] | None,
    slot_digest: str,
) -> Description:
    if recorded is None:
        return Description(comers, named=named, digest=slot_digest)
    return Description(
        comers,
        rank,
        named,
        ids=tuple(prior.id for prior in recorded if prior.id),
        unread=tuple(prior.place for prior in recorded if not prior.id),
    )


def combined(
    description: Description,
    address: str,
    *,
    ids: AbstractSet[str],
    absent: Collection[str],
    complete: bool,
    claimed: Mapping[str, str] | None = None,
    old_half: str | None = None,
    old_halves: AbstractSet[str] = frozenset(),
) -> Beside:
    """Put together what a program describes and what is known of live.

    *address* is where it is recorded, if it is. *ids* are those that the state holds, *absent* the recorded
    addresses of the slot whose connection is gone: they get one after the program's own comers, in the order
    of their names.
    """
    names = sorted(absent)
    index = names.index(address) if address in names else 0
    return Beside(
        recorded=ids | set(description.ids or ()),
        named=frozenset(description.named),
        claimed=claimed or {},
        rank=description.comers + index if description.rank is None else description.rank,
        comers=max(description.comers + len(names), 1),
        complete=complete,
        old_half=old_half,
        old_halves=old_halves,
    )
