"""Hear what the engine says of a run while it runs: from a file in memory that it writes its events into.

The SDK has them sent by a connection instead. Two come of each resource of the stack, also of those that are
no targets, and of 10,000 resources that alone takes seconds. A pipe wouldn't do: if this process were killed,
the engine would wait, or end between a change and its record.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from codat_iac.stack.atomic_write import temporary_file

Event = Mapping[str, Any]
"""One event, as the engine writes it: `apitype.EngineEvent` of Pulumi's SDK for Go, in JSON."""


BEGINS, DONE = "resourcePreEvent", "resOutputsEvent"
"""The kinds of events by which the engine tells that it begins a step, and that it has done one."""


def step(event: Event, kind: str) -> Mapping[str, Any]:
    """Return what an event of this *kind* tells of its step, empty if it is of another one."""
    metadata: Mapping[str, Any] = event.get(kind, {}).get("metadata", {})
    return metadata


class EventLog:
    """The events of one run. *path* is what the option `--event-log` of `pulumi` takes.

    `complete` says that the engine has told its last one: what it hadn't begun by then, it didn't do.
    """

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.path = path
        self.complete = False
        self._file = file
        self._rest = b""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a command of Pulumi's that is to write this log."""
        # The second makes that an option, as the Automation API does.
        return {"PULUMI_OPTION_EVENT_LOG": self.path, "PULUMI_DEBUG_COMMANDS": "true"}

    def new(self) -> Iterator[Event]:
        """Yield the events that are new since the last call."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            event: Event = json.loads(line)
            self.complete |= "cancelEvent" in event
            yield event


_MEMORY_FILE: Callable[[str], int] | None = getattr(os, "memfd_create", None)


@contextmanager
def event_log(memory_file: Callable[[str], int] | None = _MEMORY_FILE) -> Iterator[EventLog]:
    """Yield the log of a run that is to begin: what *memory_file* opens, or else a file on the disk.

    Linux has such files, but not each Python that runs there, and a sandbox may refuse them.
    """
    try:
        memory = io.FileIO(memory_file("pulumi-events")) if memory_file else None
    except OSError:
        memory = None
    if memory:
        with memory:
            # By number: who starts the engine, a shim of some version manager, may close what it inherits.
            yield EventLog(memory, f"/proc/{os.getpid()}/fd/{memory.fileno()}")
    else:
        with temporary_file("", "pulumi-events") as path, path.open("rb", buffering=0) as file:
            yield EventLog(file, str(path))
