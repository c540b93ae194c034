"""Run programs with streams that are closed, full, or without a reader."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Streams:
    """What a shell does with the streams of a process; `GONE` in it is a pipe whose reader has left.

    *lost* says that a result on stdout can't be written, *unread* that its reader has left, which is the
    reader's business, and *deaf* that nothing on stderr can be seen.
    """

    redirections: str
    lost: bool = False
    unread: bool = False
    deaf: bool = False

    def __str__(self) -> str:
        return self.redirections


FULL = Streams(">/dev/full", lost=True)
LEFT = Streams(">&GONE 2>&1", unread=True, deaf=True)
CLOSED = Streams("<&- >&- 2>&-", lost=True, deaf=True)

HOSTILE = (
    Streams("<&-"),
    Streams(">&-", lost=True),
    Streams(">&GONE", unread=True),
    Streams("2>&-", deaf=True),
    Streams("2>/dev/full", deaf=True),
    FULL,
    LEFT,
    CLOSED,
)


WITHOUT_ENGINE = (
    ("--version",),
    ("validate", "connections.yaml", "--online", "-o", "json"),
    ("plan", "--stateless", "connections.yaml", "-o", "json"),
    ("coverage", "--stateless", "connections.yaml", "-o", "json"),
    ("export", "--stateless", "--all"),
    ("show", "plan.json", "-o", "json"),
)
"""Commands that only read, and need no engine."""

WITH_ENGINE = (
    ("plan",),
    ("drift",),
    ("links",),
    ("export", "--all"),
    ("engine", "path"),
    ("doctor",),
)
"""Commands that only read, and need an engine."""

AT_WORK = (
    ("init", "--yes"),
    ("apply", "--yes"),
    ("import", "--all", "--yes"),
    ("reshard", "dev", "--yes"),
    ("ci", "comment", "plan.json"),
    ("engine", "install"),
    ("emulator",),
)
"""Commands whose result tells of work that is done."""


@dataclass(frozen=True)
class Ended:
    """The exit code of a process, and what could be read of its streams."""

    code: int
    out: str
    err: str

    @property
    def about_streams(self) -> list[str]:
        """The lines that say that a stream can't be written."""
        return [line for line in self.err.splitlines() if "stdout can't be written (" in line]


def run_with(
    streams: Streams | str,
    *arguments: str,
    program: tuple[str, ...] = ("-m", "codat_iac"),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | int = b"",
) -> Ended:
    """Run a Python program, by default `codat-iac`, with these streams; *stdin* is text or a descriptor."""
    reader, gone = os.pipe()
    os.close(reader)
    try:
        line = f'exec "$@" {str(streams).replace("GONE", str(gone))}'
        process = subprocess.Popen(
            ["bash", "-c", line, "bash", sys.executable, *program, *arguments],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(gone,),
            start_new_session=True,
        )
        out, err = process.communicate(stdin if isinstance(stdin, bytes) else None, PATIENCE)
    finally:
        os.close(gone)
    return Ended(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
