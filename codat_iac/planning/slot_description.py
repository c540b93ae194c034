"""What a program tells the provider about the company and platform of a connection. Pure.

A hook sees one resource, and creating must not take a connection that belongs to another one. The program
knows the whole record, so with each resource it describes the rest of that company and platform: recorded
connections by a short digest, and by their ids only for an address that gets a connection. So the size of all
descriptions doesn't grow with the square of the number of connections. `check` removes the description from
the inputs, so that no state holds it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from typing import Any

from codat_iac.model.connection import DesiredConnection, PriorConnection, Slot
from codat_iac.model.errors import ConfigError
from codat_iac.planning.decision import SlotView
from codat_iac.planning.moves import Moves, stays

INPUT = "beside"
"""The name of the input."""


@dataclass(frozen=True, slots=True)
class SlotDescription:
    """The company and platform of one address (its slot), as its program describes them.

    `comers` counts the addresses of the slot that get a connection without naming it by `connectionId`, and
    `rank` is this address's place among them, None if it isn't one of them. `named` are the ids that other
    addresses name.

    For an address that gets a connection, `ids` are the ids that the state holds in the slot, and `unread`
    are the places whose ids the record lacks. Both are None or empty for a recorded address, which has
    `digest` instead: a digest of the recorded places of the slot.

    Three fields come only from a program that knows its whole desired state. `stays` means that nothing is
    done about the address in this run. `kept` are ids that a declared address has and that are recorded a
    second time. `counted` is the number of recorded connections of which the losses were totalled before
    anything was declared.
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
        """Return whether all ids of the slot are known, if those at the places *read* are."""
        if self.ids is not None:
            return set(self.unread) <= set(read)
        return self.digest == digest(read)

    def to_json(self) -> str:
        """Return the value of the input, JSON text."""
        bag = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if getattr(self, each.name) != each.default
        }
        return json.dumps(bag)


def parse(text: Any) -> SlotDescription:
    """Parse the result of `to_json`. Raises `ConfigError` if it is anything else."""
    try:
        bag = json.loads(text)
        lists = {
            name: tuple(bag[name]) for name in ("named", "ids", "unread", "kept") if bag.get(name) is not None
        }
        return SlotDescription(**{**bag, **lists})
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{INPUT}: is written by codat-iac itself; leave it out") from error


def digest(places: Iterable[str]) -> str:
    """Return a short hash of a set of places, whatever their order."""
    return hashlib.sha256("\n".join(sorted(places)).encode()).hexdigest()[:16]


def describe(
    declared: Collection[DesiredConnection],
    recorded: Iterable[PriorConnection],
    moved: Moves,
    waiting: Iterable[DesiredConnection] = (),
) -> Mapping[str, SlotDescription]:
    """Return the description of each declared address's slot, by address.

    *waiting* are addresses that are declared in the next run only, unless *declared* has them. The ids that
    they name aren't free, and they rank behind the others.
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
        if not each.connection_id and not _continues(each, at.get(each.place), moved):
            comers[each.slot].append(each.address)
    ranks = {
        address: rank
        for mine in comers.values()
        for rank, address in enumerate(sorted(mine, key=lambda address: (address in moved.later, address)))
    }
    digests = {slot: digest(prior.place for prior in mine) for slot, mine in there.items()}

    def described(desired: DesiredConnection) -> SlotDescription:
        slot = desired.slot
        others = tuple(sorted(named[slot] - {desired.connection_id}))
        if _continues(desired, at.get(desired.place), moved):
            return SlotDescription(len(comers[slot]), named=others, digest=digests[slot])
        return SlotDescription(
            len(comers[slot]),
            ranks.get(desired.address),
            others,
            ids=tuple(prior.id for prior in there[slot] if prior.id),
            unread=tuple(prior.place for prior in there[slot] if not prior.id),
        )

    return {each.address: described(each) for each in declared}


def with_totals(
    descriptions: Mapping[str, SlotDescription], recorded: Collection[PriorConnection], moved: Moves
) -> Mapping[str, SlotDescription]:
    """Add what only a program knows that declares the whole desired state and has totalled its losses.

    *recorded* are the connections of which the losses were totalled.
    """
    staying = {prior.address for prior in moved.staying}
    kept = tuple(sorted({prior.id for prior in moved.surplus}))
    return {
        address: replace(each, stays=address in staying, kept=kept, counted=len(recorded))
        for address, each in descriptions.items()
    }


def _continues(desired: DesiredConnection, prior: PriorConnection | None, moved: Moves) -> bool:
    """Return whether an address continues a recorded connection."""
    origin = moved.origins.get(desired.address) or moved.later.get(desired.address)
    return origin is not None or (prior is not None and stays(desired, prior))


class Union(AbstractSet[str]):
    """What is in one of two sets, without a copy: each address of thousands has one."""

    def __init__(self, first: AbstractSet[str], second: AbstractSet[str]) -> None:
        self._sets = first, second

    def __contains__(self, item: object) -> bool:
        first, second = self._sets
        return item in first or item in second

    def __iter__(self) -> Iterator[str]:
        first, second = self._sets
        return iter({*first, *second})

    def __len__(self) -> int:
        return len({*self})


def slot_view(
    description: SlotDescription,
    address: str,
    *,
    ids: AbstractSet[str],
    absent: Collection[str],
    complete: bool,
    claimed: Mapping[str, str] | None = None,
    old_half: str | None = None,
    old_halves: AbstractSet[str] = frozenset(),
) -> SlotView:
    """Return an address's view of its slot, from what its program describes and what is known of live.

    *address* is the recorded address if there is one. *ids* are the ids in the state. *absent* are the
    recorded addresses of the slot whose connections are gone: they rank behind the program's own addresses,
    by name.
    """
    names = sorted(absent)
    index = names.index(address) if address in names else 0
    return SlotView(
        recorded=Union(ids, frozenset(description.ids or ())),
        named=frozenset(description.named),
        claimed={} if claimed is None else claimed,
        rank=description.comers + index if description.rank is None else description.rank,
        comers=max(description.comers + len(names), 1),
        complete=complete,
        old_half=old_half,
        old_halves=old_halves,
    )
