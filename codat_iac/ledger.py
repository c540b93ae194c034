"""What one process knows about who holds what: recorded, declared, claimed, failed, about to be lost.

A Pulumi operation calls the hooks one by one and never shows the whole; this adds it up. In memory,
no I/O; each method is safe from any thread.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

from codat_iac.creation import Holdings
from codat_iac.model import PriorConnection, Slot


class Ledger:
    """The records of one process.

    Reads (a refresh) say what the state holds; a check says that an address is declared; a claim says
    that a declared address has an id. An id with a claim must never be taken away: that is what makes a
    rename different from a removal.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded: dict[str, dict[str, PriorConnection]] = defaultdict(dict)
        self._declared: set[str] = set()
        self._claims: dict[str, set[str]] = defaultdict(set)
        self._claimed_by: dict[str, str] = {}
        self._failed: set[Slot] = set()
        self._missing: set[str] = set()

    def read(self, prior: PriorConnection) -> None:
        """The state holds *prior*."""
        with self._lock:
            self._recorded[prior.id][prior.address] = prior

    def missing(self, connection_id: str) -> None:
        """Codat has *connection_id* no longer."""
        with self._lock:
            self._missing.add(connection_id)

    def found(self, connection_id: str) -> None:
        """Codat has it after all."""
        with self._lock:
            self._missing.discard(connection_id)

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

    def claim(self, connection_id: str, address: str) -> None:
        """The declared *address* has *connection_id*, and no other id any more."""
        with self._lock:
            self._release(address)
            self._claims[connection_id].add(address)
            self._claimed_by[address] = connection_id

    def release(self, address: str) -> None:
        """The declared *address* will get another connection."""
        with self._lock:
            self._release(address)

    def _release(self, address: str) -> None:
        before = self._claimed_by.pop(address, None)
        if before is not None:
            self._claims[before].discard(address)

    def holder(self, connection_id: str) -> str | None:
        """Name an address that has *connection_id* in this run."""
        with self._lock:
            return min(self._claims.get(connection_id, ()), default=None)

    def fail(self, slot: Slot) -> None:
        """A create for *slot* failed or was refused, so what it may have wanted must stay."""
        with self._lock:
            self._failed.add(slot)

    def has_failed(self, slot: Slot) -> bool:
        """Say whether a create for *slot* failed in this process."""
        with self._lock:
            return slot in self._failed

    def holdings(self, connection_ids: Iterable[str]) -> Holdings:
        """Give who has which of *connection_ids*, for deciding a create."""
        with self._lock:
            ids = list(connection_ids)
            return Holdings(
                recorded={i: frozenset(self._recorded[i]) for i in ids if i in self._recorded},
                claimed={i: frozenset(self._claims[i]) for i in ids if i in self._claims},
                complete=bool(self._recorded),
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
