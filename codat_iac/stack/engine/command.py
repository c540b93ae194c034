"""Run a slow tool: show its progress, and end it if this process is interrupted."""

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
    status: Callable[[str], str],
) -> tuple[int, str]:
    """Run a command in a folder, and return its exit status and all that it printed.

    About once a second *progress* gets the text that *status* makes of the output so far.
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
            while _still_runs(process):
                progress.alive(status(log.read_text(errors="replace")))
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, log.read_text(errors="replace")


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    """Wait a second, and return whether the process still runs."""
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        return True
    return False


def last_line(output: str) -> str:
    """Return the last informative line of a tool's output, cut to 300 characters."""
    lines = [line.strip() for line in output.splitlines()]
    # `go build -v` prints a line for each module fetched and package compiled, too.
    telling = [line for line in lines if " " in line and not line.startswith(("go: downloading ", "# "))]
    last = (telling or list(filter(None, lines)) or ["it said nothing"])[-1]
    return last if len(last) <= 300 else f"{last[:300]}…"
