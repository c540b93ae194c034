"""Write a command's result to stdout or a file, ask the user, and choose the exit code."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from codat_iac.cli import render
from codat_iac.cli.streams import OutputLost, is_heard, tell
from codat_iac.model.errors import CodatIacError, ConfigError, ExitCode
from codat_iac.stack.atomic_write import write_file


def exit_code(code: int, *, detailed: bool) -> int:
    """Return the process's exit code: 0 for changes and waiting connections unless *detailed*."""
    return code if detailed or code in {ExitCode.ERROR, ExitCode.REFUSED} else ExitCode.IN_SYNC


def terminal_options(output: str, out: Path | None, stream: TextIO | None = None) -> dict[str, Any]:
    """Return `width` and `color` for a text on a terminal, nothing if it goes to a file or a pipe."""
    stream = stream or sys.__stdout__
    if output != "text" or out is not None or stream is None or not stream.isatty():
        return {}
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size().columns, "color": not plain}


def write_output(text: str, out: Path | None = None, *, private: bool = False) -> None:
    """Write a result to the file *out*, readable by its owner only if *private*, or to stdout.

    Raises `OutputLost` if that fails.
    """
    ended = text if text.endswith("\n") else f"{text}\n"
    if out is None:
        click.echo(ended, sys.__stdout__, nl=False)
        return
    try:
        write_file(out, ended, private=private)
    except ConfigError as error:
        raise OutputLost(str(error)) from error
    click.echo(f"written to {out}", err=True)


def write_or_tell(text: str, out: Path | None = None) -> None:
    """Write a result; if that fails, only say so, since the exit code tells of work that is done already."""
    try:
        write_output(text, out)
    except OutputLost as error:
        tell(str(error))


@contextmanager
def errors_as_document(output: str, out: Path | None) -> Iterator[None]:
    """Write an error also as a document of the format *output*, unless that is text."""
    try:
        yield
    except OutputLost:
        raise  # there is no place to write it to
    except CodatIacError as error:
        if output != render.Output.TEXT and output in render.FORMATS["problems"]:
            write_or_tell(render.problems(render.problems_of(error), output, datetime.now(UTC)), out)
        raise


def ask(question: str) -> None:
    """Ask the user to confirm. Raises `CodatIacError` if the answer is no, or nobody can see the question."""
    if not sys.stdin.isatty() or not is_heard():
        raise ConfigError("nobody can be asked here; pass --yes if you mean it")
    try:
        confirmed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)  # the cursor is still on the line of the question
        raise
    if not confirmed:
        raise CodatIacError("cancelled; nothing is changed")
