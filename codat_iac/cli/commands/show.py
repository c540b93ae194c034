"""`codat-iac show`: show a saved plan again, in another format."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from codat_iac.cli import render
from codat_iac.cli.options import output_options
from codat_iac.cli.output import terminal_options, write_output


@click.command("show")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--every", is_flag=True, help="In text, name also what is only counted.")
@output_options(*render.FORMATS["plan"])
def show_command(*, file: TextIO, output: str, out: Path | None, every: bool) -> int:
    """Show the plan in FILE, which `codat-iac plan -o json --out FILE` wrote; - is stdin.

    Nothing is read but FILE, so that what is shown in several formats is one plan. If FILE holds the problems
    that `plan` found instead, they are shown.
    """
    text = file.read()
    now = datetime.now(UTC)
    terminal = terminal_options(output, out)
    problems = render.parse_problems(text)
    if problems:
        write_output(render.problems(problems, output, now, **terminal), out)
    else:
        plan = render.parse_plan(text, file.name)
        write_output(render.plan(plan, output, now, every=every, **terminal), out)
    return 0
