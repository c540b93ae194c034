"""Which recorded connection each declared address continues. Pure, and it sees the whole picture.

Pulumi's identity is the URN and Codat's the id. Where a declared address has no recorded connection at its
own URN, something may have been renamed; it is continued on positive evidence only, in this order:

1. the same `connectionId`
2. the same address at another URN (a component came or went, `pulumi state rename`)
3. the same second half in the same company and platform (the company's key was renamed)
4. the only one that leaves and the only one that comes in that company and platform

Whatever else leaves and comes in one company and platform is refused, and then nothing of it is removed or
replaced: status, policy and the order in which connections were made are no evidence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from codat_iac.model.connection import DesiredConnection, PriorConnection
from codat_iac.model.text import shortened

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Moves:
    """What continues what, by declared address.

    `origins`: the recorded connection at another URN that an address continues; the engine is told by an
    alias. `later`: addresses that have to wait for the next run, since what is recorded at their URN has to
    leave it first; with what they continue then (None: they are made then). `staying`: what is recorded and
    stays as it is in this run, for one that waits. `problems`: why an address is refused, without the
    address; it is in neither of the other two then. `surplus`: second entries of an id that a declared
    address has; they are only forgotten.
    """

    origins: Mapping[str, PriorConnection] = field(default_factory=dict)
    later: Mapping[str, PriorConnection | None] = field(default_factory=dict)
    staying: tuple[PriorConnection, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    surplus: tuple[PriorConnection, ...] = ()


def moves(declared: Iterable[DesiredConnection], recorded: Iterable[PriorConnection]) -> Moves:
    """Pair what is *declared* with what is *recorded*, which are all connections of the stack.

    Old halves of a replacement are none of them. The result doesn't depend on the order of either.
    """
    return _Pairing(
        sorted(declared, key=lambda each: each.address), sorted(recorded, key=lambda each: each.place)
    ).result()


def in_this_run(declared: Iterable[DesiredConnection], moved: Moves) -> list[DesiredConnection]:
    """Return what a program declares now: not what has to wait, and as recorded what it waits for."""
    staying = [replace(prior.desired, address=prior.address) for prior in moved.staying]
    return [*staying, *(each for each in declared if each.address not in moved.later)]


class _Pairing:
    """What is known while pairing: the declared connections that come, the recorded ones that leave."""

    def __init__(self, declared: Sequence[DesiredConnection], recorded: Sequence[PriorConnection]) -> None:
        self.recorded = recorded
        self.at = {prior.place: prior for prior in recorded}
        self.kept = {
            each.address: prior
            for each in declared
            if (prior := self.at.get(each.place)) and stays(each, prior)
        }
        self.problems: dict[str, str] = {}
        self.origins: dict[str, PriorConnection] = {}
        self.surplus = self._surplus()
        settled = {prior.place for prior in (*self.kept.values(), *self.surplus)}
        self.leaving = [prior for prior in recorded if prior.place not in settled]
        self.coming = [each for each in declared if each.address not in self.kept]

    def result(self) -> Moves:
        """Pair, and see what can't be done, or not at once."""
        self._check_ids()
        for evidence in (_same_id, _same_address, _same_recorded_address, _same_second_half):
            self._pair(evidence)
        self._pair_the_only_ones()
        self._refuse_the_rest()
        later, staying = self._waiting()
        settled = {*later, *self.problems}
        origins = {address: each for address, each in self.origins.items() if address not in settled}
        return Moves(origins, later, tuple(staying), self.problems, tuple(self.surplus))

    def _surplus(self) -> list[PriorConnection]:
        """Find the ids that are recorded more than once: if one entry is kept, the others are surplus."""
        surplus: list[PriorConnection] = []
        for connection_id, entries in grouped(self.recorded, lambda prior: prior.id).items():
            if not connection_id or len(entries) == 1:
                continue
            kept = [address for address, prior in self.kept.items() if prior.id == connection_id]
            if len(kept) == 1:
                surplus += [each for each in entries if each is not self.kept[kept[0]]]
            elif kept:
                self.problems |= dict.fromkeys(kept, _recorded_twice(connection_id, entries))
        return surplus

    def _check_ids(self) -> None:
        """Refuse a `connectionId` that can't be what the address goes on with."""
        holders = {prior.id: address for address, prior in self.kept.items()}
        named = [each for each in self.coming if each.connection_id]
        wanted = Counter(each.connection_id for each in named)
        entries = grouped(self.leaving, lambda prior: prior.id)
        unread = grouped(entries.get("", ()), lambda prior: prior.slot)
        for each in named:
            connection_id = each.connection_id or ""
            there = entries.get(connection_id, [])
            if connection_id in holders:
                self.problems[each.address] = managed_already(connection_id, holders[connection_id])
            elif wanted[connection_id] > 1:
                self.problems[each.address] = f"{connection_id} is declared twice; declare it once"
            elif len(there) > 1:
                self.problems[each.address] = _recorded_twice(connection_id, there)
            elif there and there[0].slot != each.slot:
                self.problems[each.address] = (
                    f"connection {connection_id} is recorded as {there[0].address}, for another company or"
                    " platform; correct `connectionId`, the company or `platformKey`"
                )
            elif not there and each.slot in unread:
                self.problems[each.address] = _unread(connection_id, unread[each.slot])

    def _open(self) -> list[DesiredConnection]:
        """Return what comes, and of which it isn't known yet what it continues."""
        return [e for e in self.coming if e.address not in self.origins and e.address not in self.problems]

    def _free(self) -> list[PriorConnection]:
        """Return what leaves, and of which it isn't known yet what continues it."""
        taken = {prior.place for prior in self.origins.values()}
        return [prior for prior in self.leaving if prior.place not in taken]

    def _pair(self, evidence: Callable[[DesiredConnection, PriorConnection], bool]) -> None:
        """Pair by one kind of evidence, if it leads from one to one."""
        free = grouped(self._free(), lambda prior: prior.slot)
        found = {
            each.address: [prior for prior in free.get(each.slot, ()) if evidence(each, prior)]
            for each in self._open()
        }
        times = Counter(prior.place for candidates in found.values() for prior in candidates)
        for address, candidates in found.items():
            if len(candidates) == 1 and times[candidates[0].place] == 1:
                self.origins[address] = candidates[0]

    def _unpaired(self) -> Iterator[tuple[list[DesiredConnection], list[PriorConnection]]]:
        """Give the slots in which something comes and something leaves. Who names an id is neither."""
        free = grouped(self._free(), lambda prior: prior.slot)
        nameless = [each for each in self._open() if not each.connection_id]
        for slot, comers in grouped(nameless, lambda each: each.slot).items():
            if slot in free:
                yield comers, free[slot]

    def _pair_the_only_ones(self) -> None:
        for comers, leavers in list(self._unpaired()):
            if len(comers) == len(leavers) == 1:
                self.origins[comers[0].address] = leavers[0]

    def _refuse_the_rest(self) -> None:
        entries = grouped(self.leaving, lambda prior: prior.id)
        twice = {i: mine for i, mine in entries.items() if i and len(mine) > 1}
        for comers, leavers in list(self._unpaired()):
            doubted = next((prior.id for prior in leavers if prior.id in twice), None)
            said = _recorded_twice(doubted, twice[doubted]) if doubted else _which(comers, leavers)
            places = {prior.place for prior in leavers}
            replacing = [each for each in self._open() if each.place in places]
            self.problems |= dict.fromkeys((each.address for each in (*comers, *replacing)), said)
        for address, prior in self.origins.items():
            if prior.id in twice:
                self.problems[address] = _recorded_twice(prior.id, twice[prior.id])

    def _waiting(self) -> tuple[dict[str, PriorConnection | None], list[PriorConnection]]:
        """Find what has to wait a run: what is recorded at its URN has to move away first."""
        takers = {prior.place: address for address, prior in self.origins.items()}
        places = {each.address: each.place for each in self.coming}
        later: dict[str, PriorConnection | None] = {}
        staying = []
        for each in self.coming:
            there, origin = self.at.get(each.place), self.origins.get(each.address)
            if there is None or each.address in self.problems:
                continue
            taker = takers.get(there.place)
            if taker is None and origin is None:
                continue  # what is recorded there is replaced in place
            if origin and (taker is None or not _can_stay(origin)):
                self.problems[each.address] = _occupied(each, there, origin)
            elif origin and taker and self._is_circle(each.address, takers, places):
                self.problems[each.address] = _circle(each, taker, origin)
            else:
                later[each.address] = origin
                staying += [origin] if origin else []
        return later, staying

    def _is_circle(self, start: str, takers: Mapping[str, str], places: Mapping[str, str]) -> bool:
        """Say whether whoever takes what is recorded at an address waits for that address in turn."""
        seen: set[str] = set()
        address: str | None = start
        while address is not None and address not in seen:
            seen.add(address)
            address = takers.get(places[address])
        return address is not None


def stays(desired: DesiredConnection, prior: PriorConnection) -> bool:
    """Say whether *desired* goes on with what is recorded at its own URN."""
    same = not desired.connection_id or not prior.id or desired.connection_id == prior.id
    return desired.slot == prior.slot and same


def _same_id(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id == prior.id


def _same_address(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id is None and desired.address == prior.address


def _same_recorded_address(desired: DesiredConnection, prior: PriorConnection) -> bool:
    """`pulumi state rename` changes the URN and leaves what was declared as it was."""
    return desired.connection_id is None and desired.address == prior.desired.address


def _same_second_half(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id is None and _second_half(desired.address) == _second_half(prior.address)


def _second_half(address: str) -> str:
    return address.partition("/")[2]


def _can_stay(prior: PriorConnection) -> bool:
    """Say whether it can be declared once more as it is recorded: at the top, and not renamed in the state.

    Declaring it under the other name would take away the evidence of whose it is.
    """
    return prior.place == prior.desired.place


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Group items by what *key* gives of each, in the order in which they come."""
    groups: dict[K, list[T]] = defaultdict(list)
    for each in items:
        groups[key(each)].append(each)
    return dict(groups)


# What is said of a refusal, without the address.


def managed_already(connection_id: str, address: str) -> str:
    """Say that another declared address has a connection."""
    return f"connection {connection_id} is managed as {address.rpartition('::')[2]} already; declare it once"


def _which(comers: Sequence[DesiredConnection], leavers: Sequence[PriorConnection]) -> str:
    new = shortened([each.address for each in comers])
    old = shortened([f"{each.address} ({each.id})" if each.id else each.address for each in leavers])
    return (
        f"which of the new {new} goes on with what is recorded as {old}, of the same company and platform,"
        " isn't known; give that one its `connectionId` (nothing is then called), or take out what is to go"
        " in a run of its own before you add what is new"
    )


def _recorded_twice(connection_id: str, entries: Sequence[PriorConnection]) -> str:
    names = [each.urn or each.place for each in entries]
    return (
        f"connection {connection_id} is recorded {len(entries)} times, as {' and '.join(names)}; take the"
        f" wrong one out of the state, which calls nothing: pulumi state delete '{names[-1]}' --yes"
    )


def _unread(connection_id: str, leavers: Sequence[PriorConnection]) -> str:
    old = shortened([prior.address for prior in leavers])
    return (
        f"whether {connection_id} is what is recorded as {old} isn't known, since an older version recorded"
        " that without its id; run `pulumi refresh`, which changes nothing in Codat, then this again"
    )


def _circle(desired: DesiredConnection, taker: str, origin: PriorConnection) -> str:
    return (
        f"it and {taker} would swap what is recorded for them, which Pulumi can't do in one step;"
        f" {_two_steps(desired, origin)}"
    )


def _occupied(desired: DesiredConnection, there: PriorConnection, origin: PriorConnection) -> str:
    return (
        f"it would go on with what is recorded as {origin.address}, while its own name still holds another"
        f" connection ({there.slot.platform_key}), which Pulumi can't do in one step;"
        f" {_two_steps(desired, origin)}"
    )


def _two_steps(desired: DesiredConnection, origin: PriorConnection) -> str:
    """Say how to get there under another name; the id is the one evidence that doesn't hang on names."""
    named = f" with `connectionId: {origin.id}`" if origin.id else ""
    return (
        f"name it {desired.address}-2{named}, apply until nothing is left, then name it {desired.address}"
        " again"
    )
