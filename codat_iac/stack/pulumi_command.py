"""Run `pulumi` for the Automation API in such a way that an interrupt ends it between two changes."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pulumi import automation
from pulumi.automation.errors import create_command_error

from codat_iac.stack import engine
from codat_iac.stack.stack import Stack

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that would end this process, and here make Pulumi stop after the changes under way."""


class Workspace(automation.LocalWorkspace):
    """A project that is run by `Pulumi`."""

    @property
    def pulumi_version(self) -> str:  # type: ignore[override] # as the base class does
        """The version of the `pulumi` that runs."""
        return str(engine.version_of(Path(self.pulumi_command.command)))


class RunningStack(automation.Stack):
    """A stack whose runs are known by their events: nothing is asked after one, which takes seconds."""

    def __init__(self, name: str, workspace: Workspace) -> None:
        # The base class would select the stack for the user's own commands too.
        self.name = name
        self.workspace = workspace

    def outputs(self) -> automation.OutputMap:
        """Return none of the outputs."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: ARG002
        """Return a summary that says nothing."""
        return automation.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


class Pulumi(automation.PulumiCommand):
    """Runs `pulumi` so that an interrupt reaches it exactly once, and waits until it has ended.

    Otherwise a Ctrl-C would reach it twice, and a signal to this process alone would not reach it at all.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        # The base class would run `pulumi version`, whose answer is known.
        engine.tidy_this_process()  # or gRPC would ask a proxy for the engine
        self.command = str(path)
        self.interrupted = False
        self._tell = tell
        self._missed = False
        self._running: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def forwarding_signals(cls, stack: Stack, tell: Callable[[str], None]) -> Iterator[Pulumi]:
        """Forward signals to the running `pulumi`, instead of ending this process in the middle."""
        command = cls(stack.pulumi_path, tell)
        before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
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
        on_output: automation.OnOutput | None = None,  # noqa: ARG002  the events say more
        on_error: automation.OnOutput | None = None,  # noqa: ARG002
    ) -> automation.CommandResult:
        """Run `pulumi` to its end and return its output. Raises `automation.CommandError` if it fails."""
        if self.interrupted:
            raise automation.CommandError(automation.CommandResult("", "interrupted", 1))
        # Files, not pipes: if this process is killed, writing to a pipe would kill Pulumi in the middle.
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
