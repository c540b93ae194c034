"""Times: seconds since 1970 inside, and the ISO text with 7 fractional digits that Codat writes."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

DAY = 86_400


def stamp(seconds: float) -> str:
    """Codat's DateTime, such as `2022-10-27T10:22:43.6464237Z`: .NET's ticks, one digit beyond Python's."""
    whole, ticks = divmod(int(seconds * 10_000_000), 10_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{ticks:07d}Z"


def http_date(seconds: float) -> str:
    """The date format of HTTP headers."""
    return formatdate(seconds, usegmt=True)


def end_of_day(seconds: float) -> int:
    """The next 00:00 UTC, when Codat's daily quota starts anew."""
    return (int(seconds) // DAY + 1) * DAY
