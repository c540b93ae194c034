"""The log of requests to Codat's API: enough to count calls, and without secrets."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from codat_iac.emulator.tenant.clock import timestamp

LONGEST: Final = 100_000
"""The most requests that are kept; the counts include all."""


@dataclass(slots=True)
class Entry:
    """One request. `status` is None while it runs, and if no answer was sent."""

    sequence: int
    time: float
    method: str
    path: str
    query: str
    operation: str
    company: str | None
    idempotency_key: str | None
    status: int | None = None
    fault: str | None = None
    committed: bool = False
    replayed: bool = False

    @property
    def json(self) -> dict[str, Any]:
        """The entry as JSON data."""
        return {
            "sequence": self.sequence,
            "time": timestamp(self.time),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "operation": self.operation,
            "company": self.company,
            "idempotencyKey": self.idempotency_key,
            "status": self.status,
            "fault": self.fault,
            "committed": self.committed,
            "replayed": self.replayed,
        }


@dataclass(slots=True)
class RequestLog:
    """The latest requests, and a count by operation."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=LONGEST))
    counts: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def begin(  # the fields of an entry
        self,
        *,
        time: float,
        method: str,
        path: str,
        query: str,
        operation: str,
        company: str | None,
        idempotency_key: str | None,
    ) -> Entry:
        """Add a request that comes in, and return its entry; the outcome is filled in later."""
        self.total += 1
        self.counts[operation] += 1
        entry = Entry(self.total, time, method, path, query, operation, company, idempotency_key)
        self.entries.append(entry)
        return entry
