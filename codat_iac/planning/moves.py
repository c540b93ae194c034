"""Find the recorded connection that each declared address continues. Pure.

Pulumi identifies a resource by its URN, Codat a connection by its id. If nothing is recorded at a declared
address's own URN, the address may be the new name of a recorded connection. It continues one only on positive
evidence, in this order:

1. the same `connectionId`
2. the same address at another URN (a component came or went, `pulumi state rename`)
3. the same second half of the address in the same company and platform (the company's key was renamed)
4. the only new address and the only recorded connection without an address, in one company and platform

Any other new address of a company and platform in which a recorded connection has lost its address is
refused, and then nothing of that company and platform is removed or replaced. Status, policy and the order in
which connections were made are no evidence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from codat_iac.model.connection import DesiredConnection, PriorConnection
from codat_iac.model.text import join_names

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Moves:
    """Which recorded connection each declared address continues.

    `origins`: by address, the recorded connection at another URN that it continues. The engine gets that URN
    as an alias.

    `later`: the addresses that have to wait for the next run, because another connection has to leave their
    URN first; each with the recorded connection that it will continue (None: it will get a connection then).

    `staying`: the recorded connections that a waiting address will continue. They stay as they are in this
    run.

    `problems`: by address, why it is refused, without the address. A refused address is in neither `origins`
    nor `later`.

    `surplus`: further records of an id that a declared address already has. They are only forgotten.
    """

    origins: Mapping[str, PriorConnection] = field(default_factory=dict)
    later: Mapping[str, PriorConnection | None] = field(default_factory=dict)
    staying: tuple[PriorConnection, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    surplus: tuple[PriorConnection, ...] = ()


def moves(declared: Iterable[DesiredConnection], recorded: Iterable[PriorConnection]) -> Moves:
    """Find which of the *recorded* connections each *declared* address continues.

    *recorded* are all connections of the stack, without the old halves of replacements. The result doesn't
    depend on the order of either argument.
    """
    return _Pairing(
        sorted(declared, key=lambda each: each.address), sorted(recorded, key=lambda each: each.place)
    ).result()


def in_this_run(declared: Iterable[DesiredConnection], moved: Moves) -> list[DesiredConnection]:
    """Return what a program declares in this run.

    Addresses that have to wait are left out, and what they wait for is declared as it is recorded.
    """
    staying = (prior.desired for prior in moved.staying)
    return [*staying, *(each for each in declared if each.address not in moved.later)]


class _Pairing:
    """The state while pairing: the new addresses (`coming`) and the connections without one (`leaving`)."""

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
        self.surplus = self._find_surplus()
        settled = {prior.place for prior in (*self.kept.values(), *self.surplus)}
        self.leaving = [prior for prior in recorded if prior.place not in settled]
        self.coming = [each for each in declared if each.address not in self.kept]

    def result(self) -> Moves:
        """Pair, and find what is impossible or has to wait."""
        self._check_ids()
        for evidence in (_same_id, _same_address, _same_recorded_address, _same_second_half):
            self._pair(evidence)
        self._pair_the_only_ones()
        self._refuse_the_rest()
        later, staying = self._find_waiting()
        settled = {*later, *self.problems}
        origins = {address: each for address, each in self.origins.items() if address not in settled}
        return Moves(origins, later, tuple(staying), self.problems, tuple(self.surplus))

    def _find_surplus(self) -> list[PriorConnection]:
        """Return the surplus records of an id that is recorded more than once, if one of them is kept."""
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
        """Refuse a `connectionId` that the address can't continue."""
        holders = {prior.id: address for address, prior in self.kept.items()}
        named = [(each, each.connection_id) for each in self.coming if each.connection_id]
        wanted = Counter(connection_id for _, connection_id in named)
        entries = grouped(self.leaving, lambda prior: prior.id)
        unread = grouped(entries.get("", ()), lambda prior: prior.slot)
        for each, connection_id in named:
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

    def _undecided(self) -> list[DesiredConnection]:
        """Return the new addresses that are neither paired nor refused yet."""
        return [e for e in self.coming if e.address not in self.origins and e.address not in self.problems]

    def _free(self) -> list[PriorConnection]:
        """Return the leaving connections that aren't paired yet."""
        taken = {prior.place for prior in self.origins.values()}
        return [prior for prior in self.leaving if prior.place not in taken]

    def _pair(self, evidence: Callable[[DesiredConnection, PriorConnection], bool]) -> None:
        """Pair by one kind of evidence, if it leads from one address to one connection and back."""
        free = grouped(self._free(), lambda prior: prior.slot)
        found = {
            each.address: [prior for prior in free.get(each.slot, ()) if evidence(each, prior)]
            for each in self._undecided()
        }
        times = Counter(prior.place for candidates in found.values() for prior in candidates)
        for address, candidates in found.items():
            if len(candidates) == 1 and times[candidates[0].place] == 1:
                self.origins[address] = candidates[0]

    def _unpaired(self) -> Iterator[tuple[list[DesiredConnection], list[PriorConnection]]]:
        """Yield the new addresses and the leaving connections of each slot that still has both.

        Addresses with a `connectionId` are left out.
        """
        free = grouped(self._free(), lambda prior: prior.slot)
        nameless = [each for each in self._undecided() if not each.connection_id]
        for slot, coming in grouped(nameless, lambda each: each.slot).items():
            if slot in free:
                yield coming, free[slot]

    def _pair_the_only_ones(self) -> None:
        for coming, leaving in list(self._unpaired()):
            if len(coming) == len(leaving) == 1:
                self.origins[coming[0].address] = leaving[0]

    def _refuse_the_rest(self) -> None:
        entries = grouped(self.leaving, lambda prior: prior.id)
        twice = {i: mine for i, mine in entries.items() if i and len(mine) > 1}
        for coming, leaving in list(self._unpaired()):
            doubted = next((prior.id for prior in leaving if prior.id in twice), None)
            said = _recorded_twice(doubted, twice[doubted]) if doubted else _ambiguous(coming, leaving)
            places = {prior.place for prior in leaving}
            replacing = [each for each in self._undecided() if each.place in places]
            self.problems |= dict.fromkeys((each.address for each in (*coming, *replacing)), said)
        for address, prior in self.origins.items():
            if prior.id in twice:
                self.problems[address] = _recorded_twice(prior.id, twice[prior.id])

    def _find_waiting(self) -> tuple[dict[str, PriorConnection | None], list[PriorConnection]]:
        """Find the addresses that have to wait a run, since what is recorded at their URN has to move first.

        Returns `Moves.later` and `Moves.staying`.
        """
        new_owners = {prior.place: address for address, prior in self.origins.items()}
        places: dict[str, str] = {each.address: each.place for each in self.coming}
        later: dict[str, PriorConnection | None] = {}
        staying = []
        for each in self.coming:
            there, origin = self.at.get(each.place), self.origins.get(each.address)
            if there is None or each.address in self.problems:
                continue
            new_owner = new_owners.get(there.place)
            if new_owner is None and origin is None:
                continue  # what is recorded there is replaced in place
            if origin and (new_owner is None or not _can_stay(origin)):
                self.problems[each.address] = _occupied(each, there, origin)
            elif origin and new_owner and self._is_circle(each.address, new_owners, places):
                self.problems[each.address] = _circle(each, new_owner, origin)
            else:
                later[each.address] = origin
                staying += [origin] if origin else []
        return later, staying

    def _is_circle(self, start: str, new_owners: Mapping[str, str], places: Mapping[str, str]) -> bool:
        """Return whether the new owners of the connections in the way lead back to the address *start*."""
        seen: set[str] = set()
        address: str | None = start
        while address is not None and address not in seen:
            seen.add(address)
            address = new_owners.get(places[address])
        return address is not None


def stays(desired: DesiredConnection, prior: PriorConnection) -> bool:
    """Return whether *desired* continues what is recorded at its own URN."""
    same = not desired.connection_id or not prior.id or desired.connection_id == prior.id
    return desired.slot == prior.slot and same


def _same_id(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id == prior.id


def _same_address(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id is None and desired.address == prior.address


def _same_recorded_address(desired: DesiredConnection, prior: PriorConnection) -> bool:
    """Compare with the inputs, which `pulumi state rename` leaves as they were when it changes the URN."""
    return desired.connection_id is None and desired.address == prior.desired.address


def _same_second_half(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id is None and desired.address.key == prior.address.key


def _can_stay(prior: PriorConnection) -> bool:
    """Return whether it can be declared as it is recorded: without a parent, and not renamed in the state.

    If it was renamed there, declaring it under that name would remove the evidence of which address continues
    it.
    """
    return prior.place == prior.desired.place


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Group items by the result of *key*, and keep their order."""
    groups: dict[K, list[T]] = defaultdict(list)
    for each in items:
        groups[key(each)].append(each)
    return dict(groups)


# The texts of refusals, without the address.


def managed_already(connection_id: str, address: str) -> str:
    """Return the message that another declared address has the connection."""
    return f"connection {connection_id} is managed as {address.rpartition('::')[2]} already; declare it once"


def _ambiguous(coming: Sequence[DesiredConnection], leaving: Sequence[PriorConnection]) -> str:
    new = join_names([each.address for each in coming])
    old = join_names([f"{each.address} ({each.id})" if each.id else each.address for each in leaving])
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


def _unread(connection_id: str, leaving: Sequence[PriorConnection]) -> str:
    old = join_names([prior.address for prior in leaving])
    return (
        f"whether {connection_id} is what is recorded as {old} isn't known, since an older version recorded"
        " that without its id; run `pulumi refresh`, which changes nothing in Codat, then this again"
    )


def _circle(desired: DesiredConnection, new_owner: str, origin: PriorConnection) -> str:
    return (
        f"it and {new_owner} would swap what is recorded for them, which Pulumi can't do in one step;"
        f" {_two_steps(desired, origin)}"
    )


def _occupied(desired: DesiredConnection, there: PriorConnection, origin: PriorConnection) -> str:
    return (
        f"it would go on with what is recorded as {origin.address}, while its own name still holds another"
        f" connection ({there.slot.platform_key}), which Pulumi can't do in one step;"
        f" {_two_steps(desired, origin)}"
    )


def _two_steps(desired: DesiredConnection, origin: PriorConnection) -> str:
    """Return how to do it in two steps, with the id as evidence, since the name changes in between."""
    named = f" with `connectionId: {origin.id}`" if origin.id else ""
    return (
        f"name it {desired.address}-2{named}, apply until nothing is left, then name it {desired.address}"
        " again"
    )
