"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.argument("path", required=False, type=click.Path())
COMPANY = click.option("--company", metavar="NAME", help="Only this company: the first half of an address.")
DETAILED = click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 2 for changes, and 3 where all there is waits for customers. Always: 0 fine, 1 error, 4"
    " refused by a safety limit.",
)


def stack_options(function: F) -> F:
    """Add the options `--stack` and `--cwd`, which are the same as Pulumi's own."""
    function = click.option(
        "-s", "--stack", metavar="NAME", help="The stack; by default the one that is selected."
    )(function)
    return click.option(
        "-C",
        "--cwd",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        default=Path(),
        metavar="FOLDER",
        help="Run as if started in this folder.",
    )(function)


def output_options(*formats: str) -> Callable[[F], F]:
    """Add the options `--output`, with one of *formats* (the first is the default), and `--out`."""
    choices = [str(each) for each in formats]

    def decorate(function: F) -> F:
        function = click.option(
            "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the result to this file."
        )(function)
        return click.option(
            "-o",
            "--output",
            type=click.Choice(choices),
            default=choices[0],
            metavar="FORMAT",
            help=f"How to show it: {', '.join(choices[:-1])} or {choices[-1]}.",
        )(function)

    return decorate
