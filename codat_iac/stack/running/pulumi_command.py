"""Run `pulumi up` for a program in this process, so that an interrupt ends it between two changes."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, Any

from pulumi import automation
from pulumi.automation.errors import create_command_error

from codat_iac.model.text import without_passwords
from codat_iac.stack import engine
from codat_iac.stack.running.event_log import Event, event_log
from codat_iac.stack.stack import RUN_AGAIN, Stack, StackError, StackLocked

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that would end this process, and here make Pulumi stop after the changes under way."""

_AT_A_TIME = 4
"""Changes at the same time: as many as the provider's host serves. An interrupt waits for all of them."""

_LISTENING = 0.1
"""Seconds between two looks at what the engine says."""

Hear = Callable[[Event], None]


class Untold(StackError):
    """Pulumi ended without an error, and without telling what it did: nobody knows what is done."""


class _KnownByItsEvents(automation.Stack):
    """A stack whose runs are known by their events: nothing is asked after one, which takes seconds."""

    def __init__(self, name: str, workspace: automation.LocalWorkspace) -> None:
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

    def __init__(self, stack: Stack, tell: Callable[[str], None]) -> None:
        # The base class would run `pulumi version`, whose answer is known.
        engine.tidy_this_process()  # or gRPC would ask a proxy for the engine
        self.command = str(stack.pulumi_path)
        self.interrupted = False
        self._stack = stack
        self._tell = tell
        self._hear: Hear = lambda _: None
        self._missed = False
        self._running: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def forwarding_signals(cls, stack: Stack, tell: Callable[[str], None]) -> Iterator[Pulumi]:
        """Forward signals to the running `pulumi`, instead of ending this process in the middle."""
        command = cls(stack, tell)
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
            self._tell("stopping when what is under way is finished; once more leaves it uncertain")
        self.interrupted = True
        if self._running:
            self._running.send_signal(signal.SIGINT)
        else:
            self._missed = True

    def up(
        self,
        program: Callable[[], None],
        targets: Iterable[str],
        hear: Hear,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run `pulumi up` on *targets*, which are URNs, and on nothing else of what *program* declares.

        *hear* gets each event of the engine, in this thread. *environment* is added to this process's own.

        Raises `StackLocked` if another run has the stack, `Untold` if Pulumi doesn't tell what it did, and
        `automation.CommandError` or `pulumi.RunError` if it fails, or after an interrupt.
        """
        self._hear = hear
        workspace = automation.LocalWorkspace(
            work_dir=str(self._stack.folder),
            env_vars={
                **engine.environment(os.environ, self._stack.pulumi_path),
                "PULUMI_OPTION_REFRESH": "false",
                **(environment or {}),
            },
            pulumi_command=self,
            program=lambda: None,
        )
        try:
            _KnownByItsEvents(self._stack.name, workspace).up(
                program=program,
                target=list(targets),
                continue_on_error=True,
                parallel=_AT_A_TIME,
                suppress_progress=True,
            )
        except automation.ConcurrentUpdateError as error:
            raise StackLocked(str(error), self._stack.name) from error

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: automation.OnOutput | None = None,  # noqa: ARG002  the events say more
        on_error: automation.OnOutput | None = None,  # noqa: ARG002
    ) -> automation.CommandResult:
        """Run `pulumi` to its end and return its output. Raises as `up`, but for `StackLocked`."""
        if self.interrupted:
            raise automation.CommandError(automation.CommandResult("", "interrupted", 1))
        # Files, not pipes: if this process is killed, writing to a pipe would kill Pulumi in the middle.
        with _scratch() as output, _scratch() as errors, event_log() as events:
            with subprocess.Popen(  # noqa: S603  the user's own engine
                [self.command, "--non-interactive", *args, "--event-log", events.path],
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
                while process.returncode is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_LISTENING)
                    for event in events.new():
                        self._hear(event)
            self._running = None
            output.seek(0)
            errors.seek(0)
            out, err = without_passwords(output.read()), without_passwords(errors.read())
            result = automation.CommandResult(out, err, process.returncode)
        if result.code:
            raise create_command_error(result)
        if not events.complete:
            raise Untold(f"`pulumi up` ended without telling what it did; {RUN_AGAIN}")
        return result


def _scratch() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
