"""Codat's rate limits: https://docs.codat.io/using-the-api/rate-limits.

They are reported on every answer, but enforced only if a knob says so. The peaks show how close a client came
to them.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from codat_iac.emulator.requests.messages import Refusal
from codat_iac.emulator.tenant.clock import DAY, end_of_day, http_date, timestamp

MINUTE: Final = 60.0
_FREE_REQUESTS: Final = 1_000


@dataclass(slots=True)
class Limits:
    """The requests counted for each limit.

    `used` counts by tenant and day, `running` by company; `recent` holds times in seconds since 1970.
    """

    used: Counter[tuple[str, int]] = field(default_factory=Counter)
    recent: deque[float] = field(default_factory=deque)
    running: Counter[str] = field(default_factory=Counter)
    peak_per_minute: int = 0
    peak_concurrent: int = 0

    def begin(self, company: str | None, now: float) -> None:
        """Count a request that comes in."""
        while self.recent and self.recent[0] <= now - MINUTE:
            self.recent.popleft()
        self.recent.append(now)
        self.peak_per_minute = max(self.peak_per_minute, len(self.recent))
        if company:
            self.running[company] += 1
            self.peak_concurrent = max(self.peak_concurrent, self.running[company])

    def end(self, company: str | None) -> None:
        """Count a request as answered."""
        if company:
            self.running[company] -= 1

    def check(self, knobs: Mapping[str, Any], tenant: str, company: str | None, now: float) -> None:
        """Take one from the tenant's quota. Raises `Refusal` (429, with Retry-After) over a limit."""
        per_minute, together = knobs["requestsPerMinute"], knobs["concurrentPerCompany"]
        if per_minute is not None and len(self.recent) > per_minute:
            self.recent.pop()
            raise self._too_many(knobs, self.recent[-per_minute] + MINUTE, now)
        if company and together is not None and self.running[company] > together:
            raise self._too_many(knobs, now + 1, now)
        day = int(now) // DAY
        if knobs["dailyQuota"] is not None and self.used[tenant, day] >= knobs["dailyQuota"]:
            raise self._too_many(knobs, end_of_day(now), now)
        self.used[tenant, day] += 1

    def headers(self, knobs: Mapping[str, Any], tenant: str, active: int, now: float) -> dict[str, str]:
        """Return the three headers of every answer. *active* is the number of companies with a Linked one."""
        quota = knobs["dailyQuota"]
        limit = _FREE_REQUESTS * (1 + active) if quota is None else quota
        return {
            "X-Rate-Limit-Limit": str(limit),
            "X-Rate-Limit-Remaining": str(max(0, limit - self.used[tenant, int(now) // DAY])),
            "X-Rate-Limit-Reset": _reset(knobs["rateLimitResetFormat"], end_of_day(now)),
        }

    def _too_many(self, knobs: Mapping[str, Any], free: float, now: float) -> Refusal:
        return Refusal(429, headers={"Retry-After": retry_after(knobs, max(1.0, free - now), now)})


def retry_after(knobs: Mapping[str, Any], seconds: float, now: float) -> str:
    """Return a Retry-After in the knob's format, rounded up; Codat documents neither."""
    if knobs["retryAfterFormat"] == "http-date":
        return http_date(math.ceil(now + seconds))
    return str(math.ceil(seconds))


def _reset(how: str, moment: int) -> str:
    match how:
        case "iso":
            return timestamp(moment)
        case "http-date":
            return http_date(moment)
        case _:
            return str(moment)
