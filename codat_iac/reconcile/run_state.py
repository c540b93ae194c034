"""What one process knows of the whole: what is recorded, declared, held by an address, failed. No I/O.

A Pulumi operation calls the hooks one by one and never shows the whole; this adds it up. Each method is safe
from any thread.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from codat_iac.model.connection import DesiredConnection, PriorConnection, Slot
from codat_iac.planning.decision import Beside
from codat_iac.planning.slot_description import Description, combined


class RunState:
    """The records of one process.

    A refresh says what the state holds; a check says that an address is declared, and what the program knows
    of what stands beside it; an address holds the connection that it has in this run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded: dict[tuple[str, str], PriorConnection] = {}
        self._complete = False
        self._declared: dict[str, Description | None] = {}
        self._declares_elsewhere = False
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
        """Take in that the state holds *prior*."""
        with self._lock:
            self._recorded[prior.id, prior.place] = prior
            self._statuses[prior.id].add(prior.status)

    def record_all(self, priors: Iterable[PriorConnection]) -> None:
        """Take in the whole state: it holds nothing else, which no hook of Pulumi's can know."""
        for prior in priors:
            self.record(prior)
        with self._lock:
            self._complete = True

    def moved(self, connection_id: str, status: str | None) -> bool:
        """Say whether *status* is another than the one that was recorded before this process read it."""
        with self._lock:
            was = self._statuses.get(connection_id)
            return was is not None and status not in was

    def miss(self, connection_id: str) -> None:
        """Take in that Codat has *connection_id* no longer."""
        with self._lock:
            self._missing.add(connection_id)

    @property
    def recorded(self) -> int:
        """How many connections the state holds, as far as it was read or the program told: else 0."""
        with self._lock:
            return max(len({connection_id for connection_id, _ in self._recorded}), self._counted)

    @property
    def gone(self) -> int:
        """How many of them Codat has no longer."""
        with self._lock:
            return len(self._missing)

    def leaving(self) -> Mapping[str, PriorConnection]:
        """Return what is recorded and no declared address holds, by id: what this run takes away."""
        with self._lock:
            held = {*self._held.values(), *self._kept}
            return {i: prior for (i, _), prior in self._recorded.items() if i not in held}

    # What is declared.

    def declare(self, address: str, description: Description | None = None) -> None:
        """Take in that a program declares *address*: its hooks count from here on."""
        with self._lock:
            self._declared[address] = description
            if description:
                self._kept.update(description.kept)
                self._counted = max(self._counted, description.counted)

    def stays(self, address: str) -> bool:
        """Say whether nothing is done about *address* in this run: another one waits for its connection."""
        with self._lock:
            description = self._declared.get(address)
            return description is not None and description.stays

    def is_declared(self, address: str) -> bool:
        """Say whether a program declared *address* in this process.

        Refresh and destroy diff every recorded resource, removed ones included, without a check before.
        """
        with self._lock:
            return address in self._declared

    def declare_elsewhere(self) -> None:
        """Take in that something is declared that this run doesn't touch: a targeted one may only remove."""
        with self._lock:
            self._declares_elsewhere = True

    @property
    def declares(self) -> bool:
        """Whether anything is declared: `destroy` runs no program."""
        with self._lock:
            return self._declares_elsewhere or bool(self._declared)

    # Who has what.

    def hold(self, connection_id: str, address: str, *, made: bool = False) -> None:
        """Take in that *address* has *connection_id*, which then may not be taken away.

        *made*: in this run, so it is as good as recorded, and no decision about the others counts it.
        """
        with self._lock:
            self._let_go(address)
            self._held[address] = connection_id
            self._holders[connection_id].add(address)
            if made:
                self._made.add(connection_id)

    def replace(self, connection_id: str, address: str) -> None:
        """Take in that *address* will get another connection than *connection_id*."""
        with self._lock:
            self._let_go(address)
            self._replaced[address] = connection_id

    def _let_go(self, address: str) -> None:
        if address in self._held:
            self._holders[self._held.pop(address)].discard(address)

    def holder(self, connection_id: str) -> str | None:
        """Name an address that has *connection_id* in this run."""
        with self._lock:
            return min(self._holders.get(connection_id, ()), default=None)

    def is_kept(self, connection_id: str) -> bool:
        """Say whether a declared address has *connection_id*, whether this run touches it or not."""
        with self._lock:
            return bool(self._holders.get(connection_id)) or connection_id in self._kept

    def fail(self, slot: Slot) -> None:
        """Take in that a create failed: what it may have wanted must stay."""
        with self._lock:
            self._failed.add(slot)

    def has_failed(self, slot: Slot) -> bool:
        """Say whether a create for *slot* failed in this process."""
        with self._lock:
            return slot in self._failed

    def beside(self, desired: DesiredConnection) -> Beside:
        """Return what stands beside *desired*, which gets a connection."""
        with self._lock:
            there = [prior for prior in self._recorded.values() if prior.slot == desired.slot]
            told = self._declared.get(desired.address)
            complete = told is not None and told.is_complete({prior.place for prior in there})
            replaced = self._replaced.get(desired.address)
            was = min((prior.address for prior in there if prior.id == replaced), default=desired.address)
            return combined(
                told or Description(),
                was,
                ids={connection_id for connection_id, _ in self._recorded} | self._made,
                absent={prior.address for prior in there if prior.id in self._missing},
                complete=complete or self._complete,
                claimed={i: address for address, i in self._held.items() if address != desired.address},
                old_half=min((p.id for p in there if self._is_old_half(p, desired)), default=None),
                old_halves=self._old_halves(there, told),
            )

    @staticmethod
    def _old_halves(there: Collection[PriorConnection], told: Description | None) -> frozenset[str]:
        """Return the ids that wait for their removal: a refresh reads them, and no program is told."""
        if told and told.ids is not None and not told.unread:
            return frozenset(prior.id for prior in there if prior.id not in told.ids)
        return frozenset(prior.id for prior in there if prior.pending_removal)

    def _is_old_half(self, prior: PriorConnection, desired: DesiredConnection) -> bool:
        """Say whether *prior* is what *desired* had before a replacement that broke off."""
        if sum(each == prior.id for each, _ in self._recorded) > 1:
            return False  # another address has it, too
        if prior.pending_removal:
            return prior.place == desired.place
        twice = sum(place == prior.place for _, place in self._recorded) > 1
        return twice and prior.address == desired.address and self._replaced.get(prior.address) != prior.id
