"""How a command puts its result out, asks a person, and ends: the streams, a file, the exit code."""

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
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.planning.plan import ExitCode


def exit_code(code: int, *, detailed: bool) -> int:
    """Give the exit code: changes and waiting are nothing to complain of unless it was asked for."""
    return code if detailed or code in {ExitCode.ERROR, ExitCode.REFUSED} else ExitCode.IN_SYNC


def terminal(output: str, out: Path | None, stream: TextIO | None = None) -> dict[str, Any]:
    """Say how wide and how colourful a text may be: neither where no person reads it."""
    stream = stream or sys.stdout
    if output != "text" or out is not None or not stream.isatty():
        return {}
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size().columns, "color": not plain}


def put(text: str, out: Path | None, *, private: bool = False) -> None:
    """Put a result out: to a file, *private* for its owner alone, or to stdout.

    Raises `ConfigError` where the file can't be written.
    """
    ended = text if text.endswith("\n") else f"{text}\n"
    if out is None:
        click.echo(ended, nl=False)
        return

    try:
        out.touch(0o600 if private else 0o666)
        out.write_text(ended, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}; choose another --out") from error
    click.echo(f"written to {out}", err=True)


@contextmanager
def told_as(output: str, out: Path | None) -> Iterator[None]:
    """Put an error out as a document too, where the caller reads documents."""
    try:
        yield
    except CodatIacError as error:
        if output != render.Output.TEXT and output in render.FORMATS["problems"]:
            put(render.problems(render.problems_of(error), output, datetime.now(UTC)), out)
        raise


def ask(question: str) -> None:
    """Ask a person, who has to be there. Raises `CodatIacError` where the answer is no."""
    if not sys.stdin.isatty():
        raise ConfigError("nobody can be asked here; pass --yes if you mean it")
    try:
        confirmed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)  # the answer is still in the line of the question
        raise
    if not confirmed:
        raise CodatIacError("nothing is changed, as you answered no")
