"""Convert times: seconds since 1970 to the texts that Codat writes."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

DAY = 86_400


def timestamp(seconds: float) -> str:
    """Return Codat's DateTime, such as `2022-10-27T10:22:43.6464237Z`: .NET's ticks have 7 digits."""
    whole, ticks = divmod(int(seconds * 10_000_000), 10_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{ticks:07d}Z"


def http_date(seconds: float) -> str:
    """Return a date in the format of HTTP headers."""
    return formatdate(seconds, usegmt=True)


def end_of_day(seconds: float) -> int:
    """Return the next 00:00 UTC, when Codat's daily quota resets, in seconds since 1970."""
    return (int(seconds) // DAY + 1) * DAY
