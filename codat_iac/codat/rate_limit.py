"""Stay within Codat's 1,000 requests a minute for each IP address, all processes of this machine together.

Codat may block whoever goes over it without warning: https://docs.codat.io/using-the-api/rate-limits.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

MINUTE = 62_000
"""Milliseconds that count as one: who sends a thousand in 60 s may see 1,001 of them arrive in 60 s."""


def shared_pace(folder: Path, per_minute: int) -> Callable[[], None]:
    """Give a function that waits until one more request may go, counted in a file in *folder*.

    With *per_minute* 0 it never waits. Where the file can't be used, this process counts by itself.
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
            bucket.flush()  # the clock was set back: waiting for the old time could take years
        return counted_in(bucket)

    def counted_in(bucket: AbstractBucket) -> Callable[[], None]:
        # The library's own thread for cleaning up would die of a file that can't be used any more.
        limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))

        def step() -> None:
            bucket.leak(bucket.now())  # type: ignore[no-untyped-call]
            limiter.try_acquire("codat")

        return step

    try:
        step = together()
    except (OSError, sqlite3.Error):
        step = alone()
    # Whoever waits for the file's lock polls it; the threads of one process queue here instead.
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
