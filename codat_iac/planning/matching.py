"""Match declared and live connections without a state; choose the addresses of a company or a shard. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from codat_iac.model.connection import Address, DesiredConnection, LiveConnection, PriorConnection, Slot
from codat_iac.model.shard import Shard


@dataclass(frozen=True, slots=True)
class Matching:
    """Declared connections, matched with live ones as if those were recorded.

    `recorded` holds the matches by address. `certain` is what is declared and either matched or certainly
    new. `notes` name the addresses that are uncertain, and `candidates` are the ids that those may have.
    """

    recorded: Mapping[str, PriorConnection]
    certain: tuple[DesiredConnection, ...]
    notes: tuple[str, ...]
    candidates: frozenset[str]


def match(
    declared: Iterable[DesiredConnection], company: Callable[[str], Iterable[LiveConnection]]
) -> Matching:
    """Match by id, or by company and platform if only one is declared there and only one is live.

    *company* returns the live connections of a company.
    """
    slots: dict[Slot, list[DesiredConnection]] = defaultdict(list)
    for each in declared:
        slots[each.slot].append(each)
    recorded: dict[str, PriorConnection] = {}
    certain: list[DesiredConnection] = []
    notes: list[str] = []
    candidates: set[str] = set()
    for slot, mine in slots.items():
        live = {c.id: c for c in company(slot.company_id) if c.platform_key == slot.platform_key}
        matched, uncertain, free = _match_slot(mine, live)
        recorded |= {
            each.address: PriorConnection(found.id, each, found.status)
            for each in mine
            if (found := matched.get(each.address))
        }
        certain += [each for each in mine if each.address not in uncertain]
        candidates |= free if uncertain else set()
        notes += [
            f"{address}: {len(live)} connections to {slot.platform_key} exist and {len(mine)} are declared,"
            " so which is which isn't known; name each by `connectionId`"
            for address in uncertain
        ]
    return Matching(recorded, tuple(certain), tuple(notes), frozenset(candidates))


def _match_slot(
    declared: Sequence[DesiredConnection], live: Mapping[str, LiveConnection]
) -> tuple[dict[Address, LiveConnection], set[Address], set[str]]:
    """Return the matches by address, the addresses that can't be matched, and the ids that those may have."""
    matched = {each.address: live[i] for each in declared if (i := each.connection_id or "") in live}
    nameless = {each.address for each in declared if not each.connection_id}
    free = set(live) - {connection.id for connection in matched.values()}
    if len(nameless) == len(free) == 1:
        return {**matched, nameless.pop(): live[free.pop()]}, set(), set()
    return matched, nameless if free else set(), free


def scope(
    company: str, declared: Iterable[DesiredConnection], recorded: Iterable[PriorConnection]
) -> frozenset[str]:
    """Return the addresses of *company*, and all other addresses that share a Codat company with them.

    *company* is the first half of an address. So a renamed company is looked at as a whole: its new addresses
    continue the connections of the old ones, which by themselves would only be removed.
    """
    company_ids: dict[str, set[str]] = defaultdict(set)
    for each in (*declared, *(prior.desired for prior in recorded)):
        company_ids[each.address].add(each.company_id)
    found: set[str] = set()
    more = {address for address in company_ids if belongs(address, company)}
    while more != found:
        found = more
        theirs = set().union(*(company_ids[address] for address in found))
        more = {address for address, ids in company_ids.items() if ids & theirs}
    return frozenset(found)


def belongs(address: str, company: str) -> bool:
    """Return whether *company* is the first half of *address*."""
    return address.partition("/")[0] == company


def of_shard(desired: Iterable[DesiredConnection], shard: Shard | None) -> tuple[DesiredConnection, ...]:
    """Return what a stack declares of the whole *desired* state: its shard of it, or all without one."""
    return tuple(each for each in desired if shard is None or shard.owns(each.company_id))
