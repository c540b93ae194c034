"""Run `codat-iac` on a terminal of its own, on which a test types."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping

from tests.support.project import Project
from tests.support.waiting import PATIENCE

_ON_A_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from codat_iac.cli import main
main()
"""
"""A program that takes the terminal as its controlling one, for Ctrl-C, and then runs `codat-iac`."""


class Terminal:
    """A terminal with `codat-iac` in it."""

    def __init__(self, project: Project, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._leader, follower = pty.openpty()
        environment = {
            **{name: text for name, text in os.environ.items() if name != "NO_COLOR"},
            "TERM": "xterm",
            "COLUMNS": "100",
            **project.environment,
            **(env or {}),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_TERMINAL, *arguments],
            cwd=project.folder,
            env=environment,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until *text* is shown."""
        while text not in self.shown:
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        """Type *text*, which may be a control character, no sooner than a person could."""
        time.sleep(0.3)
        os.write(self._leader, text.encode())

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        code = self._process.wait(timeout=PATIENCE)
        os.close(self._leader)
        return code

    def _read(self) -> bool:
        """Read more output; return false if the other end is closed. After Ctrl-C one read may be empty."""
        ready, _, _ = select.select([self._leader], [], [], PATIENCE)
        assert ready, self.shown
        try:
            chunk = os.read(self._leader, 65536)
        except OSError:
            return False
        self.shown += chunk.decode(errors="replace").replace("\r\n", "\n")
        return True
