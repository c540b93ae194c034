"""Show the progress of a build that takes minutes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Spinner


class Progress(Protocol):
    """Receives the progress of `install`, which prints nothing itself."""

    def say(self, text: str) -> None:
        """Show one permanent line: a step begins, or has ended."""

    def alive(self, text: str) -> None:
        """Show what is being done. Called about once a second, so most calls may be dropped."""


class Silent:
    """Progress that isn't shown."""

    def say(self, text: str) -> None:
        """Drop the line."""

    def alive(self, text: str) -> None:
        """Drop the line."""


class TerminalProgress:
    """Progress on stderr: a spinner with the elapsed time on a terminal, else a line every 15 seconds.

    It is a context manager, which removes the spinner at the end.
    """

    def __init__(self, stream: TextIO | None = None, *, every: float = 15.0) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._started = self._last = time.monotonic()
        self._console: Console | None = None
        self._spinner: Spinner | None = None

    def __enter__(self) -> Self:
        from rich.console import Console  # noqa: PLC0415 - half of all runs never show progress

        console = Console(file=self._stream)
        self._console = console if console.is_terminal else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def say(self, text: str) -> None:
        """Print the line, above the spinner if there is one."""
        if self._console is None:
            print(text, file=self._stream, flush=True)
        else:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def alive(self, text: str) -> None:
        """Update the spinner; in a log, print a line if the last one is `every` seconds old."""
        if self._console is not None:
            self._turn(self._console, text)
        elif (now := time.monotonic()) - self._last >= self._every:
            self._last = now
            print(f"  {now - self._started:.0f} s: {text}", file=self._stream, flush=True)

    def _turn(self, console: Console, text: str) -> None:
        if self._spinner is None:
            self._spinner = _spinner(console)
            self._spinner.add_task("")
            self._spinner.start()
        self._spinner.update(self._spinner.task_ids[0], description=text)


def _spinner(console: Console) -> Spinner:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

    words = TextColumn("{task.description}", markup=False)
    return Progress(SpinnerColumn(), TimeElapsedColumn(), words, console=console, transient=True)
