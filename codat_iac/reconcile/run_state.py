"""What one process knows about the whole stack: recorded, declared, held by an address, failed. No I/O.

A Pulumi operation calls the hooks one by one and never shows the whole, so this collects it. Threads may call
every method.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from codat_iac.model.connection import DesiredConnection, PriorConnection, Slot
from codat_iac.planning.decision import SlotView
from codat_iac.planning.slot_description import SlotDescription, Union, slot_view


class _HeldByOthers(Mapping[str, str]):
    """The connections that addresses other than *address* have, by id, without a copy of all of them."""

    def __init__(self, holders: Mapping[str, set[str]], address: str) -> None:
        self._holders, self._address = holders, address

    def __getitem__(self, connection_id: str) -> str:
        others = self._holders.get(connection_id, set()) - {self._address}
        if not others:
            raise KeyError(connection_id)
        return min(others)

    def __iter__(self) -> Iterator[str]:
        return (connection_id for connection_id in list(self._holders) if connection_id in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class RunState:
    """What the hooks of one process have learnt.

    A refresh tells what the state holds. A check tells that an address is declared, and its program's
    description of the slot. An address holds the connection that it has in this run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded: dict[tuple[str, str], PriorConnection] = {}
        self._in_slot: dict[Slot, dict[tuple[str, str], PriorConnection]] = defaultdict(dict)
        self._ids: Counter[str] = Counter()
        self._places: Counter[str] = Counter()
        """How often each id, and each place, is recorded."""
        self._complete = False
        self._declared: dict[str, SlotDescription | None] = {}
        self._statuses: dict[str, set[str]] = defaultdict(set)
        self._held: dict[str, str] = {}
        self._holders: dict[str, set[str]] = defaultdict(set)
        self._made: set[str] = set()
        self._kept: set[str] = set()
        self._counted = 0
        self._replaced: dict[str, str] = {}
        self._failed: set[Slot] = set()
        self._missing: set[str] = set()

    # What is recorded.

    def record(self, prior: PriorConnection) -> None:
        """Note that the state holds *prior*."""
        with self._lock:
            key = prior.id, prior.place
            if key in self._recorded:
                self._in_slot[self._recorded[key].slot].pop(key)
            else:
                self._ids.update([prior.id])
                self._places.update([prior.place])
            self._recorded[key] = self._in_slot[prior.slot][key] = prior
            self._statuses[prior.id].add(prior.status)

    def record_all(self, priors: Iterable[PriorConnection]) -> None:
        """Note that the state holds *priors* and nothing else, which no hook of Pulumi's can know."""
        for prior in priors:
            self.record(prior)
        with self._lock:
            self._complete = True

    def status_changed(self, connection_id: str, status: str | None) -> bool:
        """Return whether *status* differs from the one that was recorded before this process read it."""
        with self._lock:
            was = self._statuses.get(connection_id)
            return was is not None and status not in was

    def mark_missing(self, connection_id: str) -> None:
        """Note that *connection_id* is gone from Codat."""
        with self._lock:
            self._missing.add(connection_id)

    @property
    def recorded_count(self) -> int:
        """The number of recorded connections, as far as they were read or the program told it."""
        with self._lock:
            return max(len(self._ids), self._counted)

    @property
    def missing_count(self) -> int:
        """How many of the recorded connections are gone from Codat."""
        with self._lock:
            return len(self._missing)

    def leaving(self) -> Mapping[str, PriorConnection]:
        """Return the recorded connections that no declared address holds, by id: this run removes them."""
        with self._lock:
            held = {*self._held.values(), *self._kept}
            return {i: prior for (i, _), prior in self._recorded.items() if i not in held}

    # What is declared.

    def declare(self, address: str, description: SlotDescription | None = None) -> None:
        """Note that a program declares *address*, with the description of its slot if there is one."""
        with self._lock:
            self._declared[address] = description
            if description:
                self._kept.update(description.kept)
                self._counted = max(self._counted, description.counted)

    def stays(self, address: str) -> bool:
        """Return whether *address* stays as it is in this run, since another one waits for its connection."""
        with self._lock:
            description = self._declared.get(address)
            return description is not None and description.stays

    def is_declared(self, address: str) -> bool:
        """Return whether a program declared *address* in this process.

        Refresh and destroy diff every recorded resource, including removed ones, without a check before.
        """
        with self._lock:
            return address in self._declared

    @property
    def declares(self) -> bool:
        """Whether anything is declared; `destroy` runs no program."""
        with self._lock:
            return bool(self._declared)

    # Who has what.

    def hold(self, connection_id: str, address: str, *, made: bool = False) -> None:
        """Note that *address* has *connection_id*, so that the connection isn't removed.

        *made*: it was created in this run. It then counts as recorded for the decisions about other
        addresses.
        """
        with self._lock:
            self._release(address)
            self._held[address] = connection_id
            self._holders[connection_id].add(address)
            if made:
                self._made.add(connection_id)

    def mark_replaced(self, connection_id: str, address: str) -> None:
        """Note that *address* will get another connection than *connection_id*."""
        with self._lock:
            self._release(address)
            self._replaced[address] = connection_id

    def _release(self, address: str) -> None:
        if address in self._held:
            self._holders[self._held.pop(address)].discard(address)

    def holder(self, connection_id: str) -> str | None:
        """Return an address that has *connection_id* in this run, None if there is none."""
        with self._lock:
            return min(self._holders.get(connection_id, ()), default=None)

    def is_kept(self, connection_id: str) -> bool:
        """Return whether a declared address has *connection_id*, inside or outside of this run."""
        with self._lock:
            return bool(self._holders.get(connection_id)) or connection_id in self._kept

    def mark_failed(self, slot: Slot) -> None:
        """Note that a create failed: the connections of its slot must stay, since it may need one of them."""
        with self._lock:
            self._failed.add(slot)

    def has_failed(self, slot: Slot) -> bool:
        """Return whether a create for *slot* failed in this process."""
        with self._lock:
            return slot in self._failed

    def slot_view(self, desired: DesiredConnection) -> SlotView:
        """Return the view of its slot that *desired*, an address that gets a connection, has."""
        with self._lock:
            there = list(self._in_slot.get(desired.slot, {}).values())
            description = self._declared.get(desired.address)
            complete = description is not None and description.is_complete({prior.place for prior in there})
            replaced = self._replaced.get(desired.address)
            was = min((prior.address for prior in there if prior.id == replaced), default=desired.address)
            return slot_view(
                description or SlotDescription(),
                was,
                ids=Union(self._ids.keys(), self._made),
                absent={prior.address for prior in there if prior.id in self._missing},
                complete=complete or self._complete,
                claimed=_HeldByOthers(self._holders, desired.address),
                old_half=min((p.id for p in there if self._is_old_half(p, desired)), default=None),
                old_halves=self._old_halves(there, description),
            )

    @staticmethod
    def _old_halves(
        there: Collection[PriorConnection], description: SlotDescription | None
    ) -> frozenset[str]:
        """Return the ids that wait for their removal: a refresh reads them, a program doesn't see them."""
        if description and description.ids is not None and not description.unread:
            return frozenset(prior.id for prior in there if prior.id not in description.ids)
        return frozenset(prior.id for prior in there if prior.pending_removal)

    def _is_old_half(self, prior: PriorConnection, desired: DesiredConnection) -> bool:
        """Return whether *prior* is what *desired* had before a replacement that was broken off."""
        if self._ids[prior.id] > 1:
            return False  # another address has it too
        if prior.pending_removal:
            return prior.place == desired.place
        twice = self._places[prior.place] > 1
        return twice and prior.address == desired.address and self._replaced.get(prior.address) != prior.id
