"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from codat_iac.model.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

STDOUT = ("-", "/dev/stdout", "/dev/fd/1")
"""Names of stdout; the system's own would be stderr by now."""


class _OutFile(click.Path):
    """A file to write, None for stdout; what can't be written is refused before the work begins."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Path | None:  # type: ignore[override]  # noqa: ARG002
        if value in STDOUT:
            return None
        path, reason = Path(value), ""
        folder = os.path.dirname(os.path.realpath(path))  # noqa: PTH120  unlike a `Path`, these never raise
        if os.path.isdir(path):  # noqa: PTH112
            reason = "it is a folder"
        elif not os.path.exists(path) and not os.access(f"{folder}/.", os.W_OK):  # noqa: PTH110
            reason = f"{folder} is no folder to write in"
        if reason:
            raise ConfigError(f"{path} can't be written ({reason}); choose another --out")
        return path


PATH = click.argument("path", required=False, type=click.Path())
OUT_FILE = _OutFile()
OUT = click.option("--out", type=OUT_FILE, help="Write the result to this file; - is stdout.")
COMPANY = click.option(
    "--company",
    metavar="COMPANY",
    help="Only this company: its key in the desired state (acme of acme/ledger), or its id.",
)
DETAILED = click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 2 if there are changes or drift, and 3 if something only waits for customers. Always: 0"
    " fine, 1 error, 4 refused by a safety limit.",
)
CWD = click.option(
    "-C",
    "--cwd",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path(),
    metavar="FOLDER",
    help="Run as if started in this folder.",
)
STACK = click.option("-s", "--stack", metavar="NAME", help="The stack; by default the one that is selected.")


def stack_options(function: F) -> F:
    """Add the options `--stack` and `--cwd`, which are the same as Pulumi's own."""
    return CWD(STACK(function))


def output_options(*formats: str) -> Callable[[F], F]:
    """Add the options `--output`, with one of *formats* (the first is the default), and `--out`."""
    choices = [str(each) for each in formats]

    def decorate(function: F) -> F:
        return click.option(
            "-o",
            "--output",
            type=click.Choice(choices),
            default=choices[0],
            metavar="FORMAT",
            help=f"How to show it: {', '.join(choices[:-1])} or {choices[-1]}.",
        )(OUT(function))

    return decorate
