"""Run `pulumi` for the Automation API so that an interrupt ends it between two changes."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pulumi import automation
from pulumi.automation.errors import create_command_error

from codat_iac.stack.stack import Stack

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends this process elsewhere, and here lets Pulumi finish what is under way."""


class Workspace(automation.LocalWorkspace):
    """A project whose selected stack stays the user's."""

    def select_stack(self, stack_name: str) -> None:
        """Leave the stack selected that the user selected: every call names its own."""


class Pulumi(automation.PulumiCommand):
    """Starts `pulumi` so that an interrupt reaches it once, and waits until it is through with it.

    A Ctrl-C would reach it by itself, and a signal for this process alone would not reach it at all.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        super().__init__(str(path.parent.parent) if path.parent.name == "bin" else None)
        self.interrupted = False
        self._tell = tell
        self._missed = False
        self._running: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def forwarding(cls, stack: Stack, tell: Callable[[str], None]) -> Iterator[Pulumi]:
        """Hand signals on to what runs, instead of ending this process in the middle."""
        command = cls(stack.pulumi_path, tell)
        before = {number: signal.getsignal(number) for number in ENDINGS}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, command._interrupt)
        try:
            yield command
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, *_: Any) -> None:
        if not self.interrupted:
            self._tell("stopping when what is under way is finished; once more ends it in the middle")
        self.interrupted = True
        if self._running:
            self._running.send_signal(signal.SIGINT)
        else:
            self._missed = True

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: automation.OnOutput | None = None,  # noqa: ARG002  events say it better
        on_error: automation.OnOutput | None = None,  # noqa: ARG002
    ) -> automation.CommandResult:
        """Run it to its end. Raises `automation.CommandError`."""
        if self.interrupted:
            raise automation.CommandError(automation.CommandResult("", "interrupted", 1))
        # Files and no pipes: should this process be killed, writing to one would kill Pulumi in the middle.
        with _scratch() as output, _scratch() as errors:
            with subprocess.Popen(  # noqa: S603  the user's own engine
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env={**additional_env, "PULUMI_AUTOMATION_API": "true"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            ) as process:
                self._running = process
                if self._missed:
                    process.send_signal(signal.SIGINT)
            output.seek(0)
            errors.seek(0)
            result = automation.CommandResult(output.read(), errors.read(), process.returncode)
        if result.code:
            raise create_command_error(result)
        return result


def _scratch() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
