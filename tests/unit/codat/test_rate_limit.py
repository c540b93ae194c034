"""The pace: one limit for all processes of a machine, and never a reason to fail."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.codat.rate_limit import PATIENCE, shared_throttle
from codat_iac.model.shard import Shard
from tests.support.surroundings import stopped_while_counting

GREEDY = """
import sys
from pathlib import Path
from codat_iac.codat.rate_limit import shared_throttle

wait = shared_throttle(int(sys.argv[2]), print, Path(sys.argv[1]))
while True:
    wait()
    print("went", flush=True)
"""
"""A process that takes all it is given."""


def throttle(folder: Path, per_minute: int, told: list[str] | None = None) -> Callable[[], None]:
    """A throttle that counts in a folder; with nothing to tell, unless there is a list for it."""
    return shared_throttle(per_minute, pytest.fail if told is None else told.append, folder)


def went(wait: Callable[[], None], seconds: float, threads: int = 1) -> int:
    """How many requests may go within some seconds; what still waits then is left behind."""
    gone: list[float] = []
    over = threading.Event()

    def take() -> None:
        while not over.is_set():
            wait()
            gone.append(time.monotonic())

    for _ in range(threads):
        threading.Thread(target=take, daemon=True).start()
    over.wait(seconds)
    over.set()
    return len(gone)


def age(folder: Path, seconds: float) -> None:
    """Let what was counted in a folder have happened so many seconds earlier."""
    (file,) = folder.glob("*.sqlite")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE sent SET at = at - ?", (seconds,))


def test_no_limit_never_waits_and_leaves_no_file(tmp_path: Path) -> None:
    """0 is for loopback, where no limit is Codat's."""
    wait = throttle(tmp_path / "cache", 0)
    for _ in range(5000):
        wait()

    assert not (tmp_path / "cache").exists()


def test_two_processes_share_one_limit(tmp_path: Path) -> None:
    """Codat counts by IP address: a second process gets what the first has left."""
    throttle(tmp_path, 7)()
    command = [sys.executable, "-c", GREEDY, str(tmp_path), "7"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    deadline = time.monotonic() + 20
    while counted(tmp_path) < 7 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    for process in processes:
        process.kill()

    assert sum(process.communicate()[0].count("went") for process in processes) == 6


def counted(folder: Path) -> int:
    """How many requests a folder's file has counted."""
    (file,) = folder.glob("*.sqlite")
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute("SELECT COUNT(*) FROM sent").fetchone()[0])


def test_a_wait_ends_when_the_minute_is_over(tmp_path: Path) -> None:
    """It is a pace, not a quota."""
    wait = throttle(tmp_path, 2)
    wait()
    wait()
    age(tmp_path, 61.7)
    started = time.monotonic()
    wait()

    assert 0.1 < time.monotonic() - started < 5


def test_the_limit_holds_for_threads_too(tmp_path: Path) -> None:
    """The hooks of one process run in many."""
    assert went(throttle(tmp_path, 5), 0.5, threads=8) == 5


@settings(max_examples=12, deadline=None)
@given(
    per_minute=st.integers(1, 12),
    bursts=st.lists(st.tuples(st.integers(1, 15), st.sampled_from([1, 20, 45, 63])), max_size=6),
)
def test_no_minute_holds_more_than_the_limit_and_nobody_waits_below_it(
    per_minute: int, bursts: list[tuple[int, int]]
) -> None:
    """Whatever the bursts are, and the seconds between them."""
    with TemporaryDirectory() as folder:
        wait = throttle(Path(folder), per_minute)
        ages: list[int] = []
        for wanted, pause in bursts:
            free = per_minute - sum(age < 62 for age in ages)
            started = time.monotonic()
            for _ in range(min(wanted, free)):
                wait()
                ages.append(0)
            assert time.monotonic() - started < 5
            if ages:
                age(Path(folder), pause)
            ages = [each + pause for each in ages]
        free = per_minute - sum(age < 62 for age in ages)

        assert went(wait, 0.3) == free


def test_different_limits_do_not_mix(tmp_path: Path) -> None:
    """A process told of another limit counts by that."""
    assert went(throttle(tmp_path, 2), 0.2) == 2
    assert went(throttle(tmp_path, 3), 0.2) == 3


def test_a_folder_that_cannot_be_made_falls_back_to_this_process(tmp_path: Path) -> None:
    """A read-only home is no reason to fail, nor to go unbounded."""
    (tmp_path / "file").write_text("in the way")

    assert went(throttle(tmp_path / "file" / "cache", 3), 0.3) == 3


def test_a_process_that_is_stopped_while_it_counts_holds_up_no_other(tmp_path: Path) -> None:
    """After some seconds that is told once, and this process counts by itself."""
    told: list[str] = []
    wait = throttle(tmp_path, 3, told)
    with stopped_while_counting(tmp_path, 3):
        started = time.monotonic()
        wait()
        assert time.monotonic() - started >= PATIENCE
        assert went(wait, 0.3) == 2

    (line,) = told
    assert line.endswith("if you stopped one (Ctrl-Z), continue it or end it")


def test_a_file_that_is_no_database_falls_back_to_this_process(tmp_path: Path) -> None:
    """Half of it may have been written when the disk was full."""
    (tmp_path / "requests-3.sqlite").write_bytes(b"this is not what it was" * 100)

    assert went(throttle(tmp_path, 3), 0.3) == 3


def test_a_file_that_breaks_on_the_way_falls_back_to_this_process(tmp_path: Path) -> None:
    """Somebody empties the cache while it is in use: the run goes on, still bounded."""
    folder = tmp_path / "cache"
    wait = throttle(folder, 3)
    wait()
    shutil.rmtree(folder)
    folder.write_text("in the way")

    assert went(wait, 0.3) == 3


def test_a_clock_that_was_set_back_does_not_block(tmp_path: Path) -> None:
    """A file from a future that isn't would have everybody wait until then."""
    wait = throttle(tmp_path, 2)
    wait()
    wait()
    age(tmp_path, -3600 * 24 * 365)

    assert went(throttle(tmp_path, 2), 0.3) == 2


@pytest.mark.parametrize("per_minute", [0, 100_000])
def test_no_thread_is_left_behind(tmp_path: Path, per_minute: int) -> None:
    """Nothing of it keeps running between two requests."""
    before = threading.active_count()
    throttle(tmp_path, per_minute)()

    assert threading.active_count() <= before


def test_each_shard_counts_by_itself(tmp_path: Path) -> None:
    """Each has its part of the minute, whether they share a machine or not; two runs of one share it."""
    waits = [throttle_of(tmp_path, Shard(number, 4)) for number in (1, 2, 3, 4, 4)]
    gone = Counter[int]()
    over = threading.Event()

    def take(number: int) -> None:
        while not over.is_set():
            waits[number]()
            gone[min(number, 3)] += 1

    for number in range(len(waits)):
        threading.Thread(target=take, args=(number,), daemon=True).start()
    over.wait(2)
    over.set()

    assert gone == {0: 5, 1: 5, 2: 5, 3: 5}


def throttle_of(folder: Path, shard: Shard) -> Callable[[], None]:
    """A throttle of a shard whose part of the minute are five requests."""
    return shared_throttle(5, pytest.fail, folder, shard)
