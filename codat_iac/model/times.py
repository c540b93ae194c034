"""Times as Codat writes them. Pure.

Source: components/schemas/DateTime of https://github.com/codatio/oas.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Codat is younger than that. Its servers write 0001-01-01 if they have no date."""

_SKEW = timedelta(days=1)


def parse_time(text: str) -> datetime | None:
    """Parse a time, in UTC if it has no zone; return None if that fails."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def past(text: str, now: datetime) -> datetime | None:
    """Return when something happened, None if *text* is no date, or none on which it can have happened.

    It can't have happened after *now*, but for clocks that differ.
    """
    when = parse_time(text)
    return when if when and when >= EARLIEST and when - now <= _SKEW else None
