"""Run a tool that takes its time: show that it lives, and end it with us."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from codat_iac.stack.engine.progress import Progress


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    progress: Progress,
    life: Callable[[str], str],
) -> tuple[int, str]:
    """Run a command in a folder. Returns its exit status and all that it printed.

    About once a second `progress` gets what `life` makes of the output so far.
    """
    log = cwd / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - Go, pip or uv
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            while _runs(process):
                progress.alive(life(log.read_text(errors="replace")))
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, log.read_text(errors="replace")


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process still runs after a second more."""
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        return True
    return False


def last_line(output: str) -> str:
    """The last line of a tool's output that says something, cut to a readable length."""
    lines = [line.strip() for line in output.splitlines()]
    # `go build -v` prints a line for each module fetched and package compiled, too.
    telling = [line for line in lines if " " in line and not line.startswith(("go: downloading ", "# "))]
    last = (telling or list(filter(None, lines)) or ["it said nothing"])[-1]
    return last if len(last) <= 300 else f"{last[:300]}…"
