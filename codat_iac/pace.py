"""Stay within Codat's 1,000 requests a minute for each IP address, all processes of this machine together.

Codat may block whoever goes over it without warning: https://docs.codat.io/using-the-api/rate-limits.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path


def shared_pace(folder: Path, per_minute: int) -> Callable[[], None]:
    """Give a function that waits until one more request may go, counted in a file in *folder*.

    With *per_minute* 0 it never waits. Where the file can't be written, this process counts by itself.
    """
    if not per_minute:
        return lambda: None
    from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket  # noqa: PLC0415  slow to import

    rate = Rate(per_minute, Duration.MINUTE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = str(folder / f"pace-{per_minute}.sqlite")
        limiter = Limiter(SQLiteBucket.init_from_file([rate], db_path=file, use_file_lock=True))
    except (OSError, sqlite3.Error):
        limiter = Limiter(rate)
    # The bucket's lock is made for many processes of one thread each.
    one_thread = threading.Lock()

    def wait() -> None:
        with one_thread:
            limiter.try_acquire("codat")

    return wait
