"""What a living tenant did by itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from codat_iac.emulator.tenant.clock import timestamp

LONGEST: Final = 200
"""The most acts that are kept; the total counts all."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act of a customer or of somebody in the Portal. `time` is in seconds since 1970."""

    number: int
    time: float
    name: str
    company_id: str
    company: str
    connection_id: str | None = None
    platform: str | None = None
    status: str | None = None

    @property
    def json(self) -> dict[str, Any]:
        """The act as JSON data; `status` is the connection's after it."""
        return {
            "number": self.number,
            "time": timestamp(self.time),
            "act": self.name,
            "companyId": self.company_id,
            "company": self.company,
            "connectionId": self.connection_id,
            "platform": self.platform,
            "status": self.status,
        }


@dataclass(slots=True)
class History:
    """The latest acts, and how many there were."""

    latest: deque[Act] = field(default_factory=lambda: deque(maxlen=LONGEST))
    total: int = 0

    def add(self, act: Act) -> None:
        """Add an act."""
        self.latest.append(act)
        self.total = act.number
