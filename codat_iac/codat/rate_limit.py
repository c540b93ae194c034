"""Stay within Codat's 1,000 requests a minute for each IP address, with all processes of this user.

Shards share the limit between machines: each has its part of it (`model/settings.py`), counted apart.
Codat may block an address that exceeds it, without warning: https://docs.codat.io/using-the-api/rate-limits.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from codat_iac.model.shard import Shard

MINUTE = 62.0
"""Seconds that count as one minute.

It has two seconds to spare: of 1,000 requests sent within 60 s, 1,001 may arrive within 60 s.
"""

PATIENCE = 5.0
"""Seconds to wait for a process that holds the file: a few milliseconds are enough, unless it is stopped."""


def shared_throttle(
    per_minute: int, tell: Callable[[str], None], folder: Path | None = None, shard: Shard | None = None
) -> Callable[[], None]:
    """Return a function that waits until one more request is allowed, counted in a file in *folder*.

    *folder* is by default the user's cache. Each *shard* has a count of its own. With
    *per_minute* 0 the function never waits. If the file can't be used, this process counts by itself; *tell*
    gets a message if another process holds the file.
    """
    if not per_minute:
        return lambda: None
    one_thread = threading.Lock()  # of a process polls the file; the others wait for it
    own: sqlite3.Connection | None = None

    def wait() -> None:
        with one_thread:
            while (seconds := ask()) > 0:
                time.sleep(seconds)

    def ask() -> float:
        nonlocal own
        if own is None:
            try:
                with closing(_counting(_file(folder, per_minute, shard))) as count:
                    return _take(count, per_minute)
            except (OSError, RuntimeError, sqlite3.Error) as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                    tell(_HELD)
            own = _counting(":memory:")
            weakref.finalize(wait, own.close)  # or Python 3.13 warns
        return _take(own, per_minute)

    return wait


_HELD = (
    "another process holds the count of all requests and doesn't go on, so this one counts by itself; if you"
    " stopped one (Ctrl-Z), continue it or end it"
)


def _file(folder: Path | None, per_minute: int, shard: Shard | None) -> str:
    """Return the path of the count. Raises `RuntimeError` if this user has no cache folder."""
    from platformdirs import user_cache_path  # noqa: PLC0415  only who calls Codat needs it

    folder = folder or user_cache_path("codat-iac")
    folder.mkdir(parents=True, exist_ok=True)
    of_shard = f"-{shard.number}-of-{shard.count}" if shard else ""
    return str(folder / f"requests-{per_minute}{of_shard}.sqlite")


def _counting(file: str) -> sqlite3.Connection:
    count = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    count.execute("PRAGMA synchronous = OFF")  # a count that a power cut loses is none anyway
    count.execute("CREATE TABLE IF NOT EXISTS sent (at REAL NOT NULL)")
    return count


def _take(count: sqlite3.Connection, per_minute: int) -> float:
    """Count one request and return 0, or return the seconds until one may be allowed."""
    with count:
        count.execute("BEGIN IMMEDIATE")
        now = time.time()
        # What is far ahead was counted before the clock was set back.
        count.execute("DELETE FROM sent WHERE at NOT BETWEEN ? AND ?", (now - MINUTE, now + MINUTE))
        ((sent,),) = count.execute("SELECT COUNT(*) FROM sent")
        if sent < per_minute:
            count.execute("INSERT INTO sent VALUES (?)", (now,))
            return 0.0
        ((oldest,),) = count.execute("SELECT at FROM sent ORDER BY at LIMIT 1 OFFSET ?", (sent - per_minute,))
        return max(float(oldest) + MINUTE - now, 0.001)
