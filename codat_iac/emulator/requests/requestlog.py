"""What was asked of the Codat side: enough to count calls by, and no secret in it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from codat_iac.emulator.tenant.clock import stamp

LONGEST: Final = 100_000
"""So many requests are remembered; the counts go on."""


@dataclass(slots=True)
class Entry:
    """One request. `status` is None while it runs, and where no answer was sent."""

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
        """As it is served."""
        return {
            "sequence": self.sequence,
            "time": stamp(self.time),
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
    """The latest requests, and a count for each operation."""

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
        """Note a request as it comes in; its outcome is filled in later."""
        self.total += 1
        self.counts[operation] += 1
        entry = Entry(self.total, time, method, path, query, operation, company, idempotency_key)
        self.entries.append(entry)
        return entry
