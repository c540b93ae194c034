"""How the events of a run of the engine are heard."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from codat_iac.stack.running.event_log import EventLog, event_log

FIRST = {
    "sequence": 0,
    "timestamp": 1,
    "diagnosticEvent": {"message": "ü\n", "severity": "error", "color": ""},
}
LAST = {"sequence": 1, "timestamp": 1, "cancelEvent": {}}


def refused(_: str) -> int:
    """A sandbox that has no files in memory."""
    raise PermissionError(errno.EACCES, "Permission denied")


Kind = tuple[Callable[[str], int] | None, ...]
KINDS = pytest.mark.parametrize(
    "kind", [(), (None,), (refused,)], ids=["in memory", "without files in memory", "refused"]
)


def write(log: EventLog, text: str) -> None:
    """Write *text* as the engine does, from a process of its own that inherits nothing."""
    script = 'printf "%s" "$2" >> "$1"'
    subprocess.run(["sh", "-c", script, "sh", log.path, text], check=True, close_fds=True)


def sequence(log: EventLog) -> list[int]:
    """The numbers of the events that are new."""
    return [event["sequence"] for event in log.new()]


@KINDS
def test_events_are_heard_while_they_are_written(kind: Kind) -> None:
    """Each once, and none before it is whole."""
    one, two = json.dumps(FIRST) + "\n", json.dumps(LAST) + "\n"
    with event_log(*kind) as log:
        assert sequence(log) == []

        write(log, one[:9])
        assert sequence(log) == []

        write(log, one[9:] + two[:9])
        assert (sequence(log), log.complete) == ([0], False)

        write(log, two[9:])
        assert (sequence(log), log.complete) == ([1], True)
        assert sequence(log) == []


@KINDS
def test_nothing_is_left_of_a_log(kind: Kind) -> None:
    """Neither a file nor a descriptor; and none goes to children, which may live on."""
    descriptors = sorted(Path("/proc/self/fd").iterdir())
    with event_log(*kind) as log:
        inherited = subprocess.run(
            ["ls", "/proc/self/fd"], check=True, capture_output=True, text=True, close_fds=False
        )
        assert Path(log.path).name not in inherited.stdout.split()

    assert not Path(log.path).exists()
    assert sorted(Path("/proc/self/fd").iterdir()) == descriptors
