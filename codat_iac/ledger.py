"""What one process knows about who holds what: recorded, declared, claimed, failed, about to be lost.

A Pulumi operation calls the hooks one by one and never shows the whole; this adds it up. In memory,
no I/O; each method is safe from any thread.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

from codat_iac.creation import Holdings
from codat_iac.model import DesiredConnection, PriorConnection, Slot


class Ledger:
    """The records of one process.

    Reads (a refresh) say what the state holds; a check says that an address is declared; a claim says
    that a declared address has an id, or is going to take it over. An id with a claim must never be taken
    away: that is what makes a rename different from a removal.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded: dict[str, dict[str, PriorConnection]] = defaultdict(dict)
        self._read: set[str] = set()
        self._complete = False
        self._declared: set[str] = set()
        self._claims: dict[str, set[str]] = defaultdict(set)
        self._claimed_by: dict[str, str] = {}
        self._foreseen: set[str] = set()
        self._expected: dict[Slot, set[str]] = defaultdict(set)
        self._postponed: dict[Slot, dict[str, DesiredConnection]] = defaultdict(dict)
        self._failed: set[Slot] = set()
        self._missing: set[str] = set()

    def read(self, prior: PriorConnection) -> None:
        """The state holds *prior*."""
        with self._lock:
            self._recorded[prior.id][prior.address] = prior
            self._read.add(prior.address)

    def read_all(self) -> None:
        """The state was read as a whole, so it holds nothing else; no hook of Pulumi's can know that."""
        with self._lock:
            self._complete = True

    def moved(self, connection_id: str, address: str, status: str | None) -> bool:
        """Say whether *status* is another than the one that was recorded before this process read it."""
        with self._lock:
            prior = self._recorded.get(connection_id, {}).get(address)
            return prior is not None and prior.status != status

    def is_recorded(self, connection_id: str) -> bool:
        """Say whether the state holds *connection_id*, as far as it was read."""
        with self._lock:
            return connection_id in self._recorded

    def missing(self, connection_id: str) -> None:
        """Codat has *connection_id* no longer."""
        with self._lock:
            self._missing.add(connection_id)

    def declare(self, address: str) -> None:
        """A program declares *address*: its hooks count from here on."""
        with self._lock:
            self._declared.add(address)

    def is_declared(self, address: str) -> bool:
        """Say whether a program declared *address* in this process.

        Refresh and destroy diff every recorded resource, removed ones included, without a check before.
        """
        with self._lock:
            return address in self._declared

    def expect(self, desired: DesiredConnection) -> None:
        """*desired* is declared and has nothing yet: one sibling more that is known."""
        with self._lock:
            self._expected[desired.slot].add(desired.address)
            self._postponed[desired.slot][desired.address] = desired

    def foreseeable(self, desired: DesiredConnection) -> list[DesiredConnection]:
        """Give whose create can be foreseen, now that *desired* was heard of: each is given once.

        Who will have what is certain once all siblings were heard of: the last one speaks for all. They come
        in an order of their own, since nobody knows in which the engine calls: first who names an id, which
        is certain by itself, then who is new, then who had another, each by address.
        """
        with self._lock:
            postponed = self._postponed[desired.slot]
            theirs = desired.siblings | {desired.address}
            heard = all(a in self._expected[desired.slot] or a in self._claimed_by for a in theirs)
            ready = [
                address
                for address, each in postponed.items()
                if (address == desired.address if self._complete else address in theirs)
                and (heard or each.connection_id or self._complete)
            ]
            return sorted(map(postponed.pop, ready), key=self._turn)

    def _turn(self, desired: DesiredConnection) -> tuple[bool, bool, str]:
        return desired.connection_id is None, desired.address in self._read, desired.address

    def _unknown(self, desired: DesiredConnection) -> int:
        if self._complete:
            return 0
        known = (self._read, self._expected[desired.slot], self._claimed_by)
        return sum(
            1
            for address in desired.siblings - {desired.address}
            if not any(address in each for each in known)
        )

    def claim(self, connection_id: str, address: str, *, foreseen: bool = False) -> None:
        """The declared *address* has *connection_id*, or is *foreseen* to, and no other id any more."""
        with self._lock:
            self._release(address)
            self._claims[connection_id].add(address)
            self._claimed_by[address] = connection_id
            if foreseen:
                self._foreseen.add(address)

    def release(self, address: str) -> None:
        """The declared *address* will get another connection."""
        with self._lock:
            self._release(address)

    def _release(self, address: str) -> None:
        self._foreseen.discard(address)
        before = self._claimed_by.pop(address, None)
        if before is not None:
            self._claims[before].discard(address)

    def holder(self, connection_id: str) -> str | None:
        """Name an address that has *connection_id* in this run, or is foreseen to."""
        with self._lock:
            return min(self._claims.get(connection_id, ()), default=None)

    def claimed_by(self, address: str) -> str | None:
        """Give the id that *address* has in this run, or is foreseen to, None where it will be a new one."""
        with self._lock:
            return self._claimed_by.get(address)

    def is_held(self, connection_id: str) -> bool:
        """Say whether an address really has *connection_id*: what is merely foreseen may never come."""
        with self._lock:
            return bool(self._claims.get(connection_id, set()) - self._foreseen)

    def fail(self, desired: DesiredConnection) -> None:
        """*desired* was not created, so it has nothing, and what it may have wanted must stay."""
        with self._lock:
            self._release(desired.address)
            self._postponed[desired.slot].pop(desired.address, None)
            self._failed.add(desired.slot)

    def has_failed(self, slot: Slot) -> bool:
        """Say whether a create for *slot* failed in this process."""
        with self._lock:
            return slot in self._failed

    def holdings(self, desired: DesiredConnection, connection_ids: Iterable[str]) -> Holdings:
        """Give who has which of *connection_ids*, for creating *desired*."""
        with self._lock:
            ids = set(connection_ids)
            return Holdings(
                recorded={i: frozenset(self._recorded[i]) for i in ids if i in self._recorded},
                claimed={i: frozenset(self._claims[i]) for i in ids if i in self._claims},
                unknown=self._unknown(desired),
                read=bool(self._recorded),
            )

    def leaving(self) -> Mapping[str, PriorConnection]:
        """Give what is recorded and nobody declares, by id: what this run is going to take away."""
        with self._lock:
            return {
                connection_id: next(iter(at.values()))
                for connection_id, at in self._recorded.items()
                if not self._claims.get(connection_id)
            }

    @property
    def recorded(self) -> int:
        """How many connections the state holds, as far as it was read: 0 without a refresh."""
        with self._lock:
            return len(self._recorded)

    @property
    def gone(self) -> int:
        """How many of them Codat has no longer."""
        with self._lock:
            return len(self._missing)
