"""Wait in tests, without sleeping or until a condition holds; and check which processes run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 240
"""Seconds until a test gives up on something that takes one or two: the machine may be busy."""


class Naps(list[float]):
    """A `sleep` for tests that doesn't sleep, but notes the seconds."""

    def __call__(self, seconds: float) -> None:
        """Note the seconds."""
        self.append(seconds)


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Return whether a process still runs: a zombie doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return the processes below *pid*: pid and command line."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = [(int(row[0]), int(row[1]), row[2]) for row in (line.split(None, 2) for line in listed)]
    below = [(child, name) for child, parent, name in rows if parent == pid]
    return below + [further for child, _ in below for further in descendants(child)]
