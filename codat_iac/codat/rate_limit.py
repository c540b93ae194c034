"""Stay within Codat's 1,000 requests a minute for each IP address, with all processes of this machine.

Codat may block an address that exceeds it, without warning: https://docs.codat.io/using-the-api/rate-limits.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

MINUTE = 62_000
"""Milliseconds that count as one minute.

It has two seconds to spare: of 1,000 requests sent within 60 s, 1,001 may arrive within 60 s.
"""


def shared_throttle(folder: Path, per_minute: int) -> Callable[[], None]:
    """Return a function that waits until one more request is allowed, counted in a file in *folder*.

    With *per_minute* 0 it never waits. If the file can't be used, this process counts by itself.
    """
    if not per_minute:
        return lambda: None
    from pyrate_limiter import (  # noqa: PLC0415  slow to import
        AbstractBucket,
        InMemoryBucket,
        Limiter,
        Rate,
        SingleBucketFactory,
        SQLiteBucket,
    )

    rates = [Rate(per_minute, MINUTE)]

    def alone() -> Callable[[], None]:
        return counted_in(InMemoryBucket(rates))

    def together() -> Callable[[], None]:
        folder.mkdir(parents=True, exist_ok=True)
        file = str(folder / f"pace-{per_minute}.sqlite")
        bucket = SQLiteBucket.init_from_file(rates, db_path=file, use_file_lock=True)
        newest = bucket.peek(0)
        now: int = bucket.now()  # type: ignore[no-untyped-call]
        if newest and newest.timestamp > now + MINUTE:
            bucket.flush()  # the clock was set back, and waiting for the old time could take years
        return counted_in(bucket)

    def counted_in(bucket: AbstractBucket) -> Callable[[], None]:
        # Without the library's own clean-up thread, which would die if the file became unusable.
        limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))

        def step() -> None:
            bucket.leak(bucket.now())  # type: ignore[no-untyped-call]
            limiter.try_acquire("codat")

        return step

    try:
        step = together()
    except (OSError, sqlite3.Error):
        step = alone()
    # Waiting for the file's lock means polling it, so only one thread of a process does that.
    one_thread = threading.Lock()

    def wait() -> None:
        nonlocal step
        with one_thread:
            try:
                step()
            except (OSError, sqlite3.Error):
                step = alone()
                step()

    return wait
