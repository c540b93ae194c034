"""`codat-iac links`: list who waits, each with a fresh link."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render
from codat_iac.cli.options import COMPANY, DETAILED, output_options, stack_options
from codat_iac.cli.output import errors_as_document, exit_code, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.model.exit_code import ExitCode


@click.command("links")
@COMPANY
@output_options(*render.FORMATS["links"])
@DETAILED
@stack_options
def links_command(
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    company: str | None,
    detailed_exitcode: bool,
) -> int:
    """List the recorded connections that wait for their customers, each with a fresh link.

    A link lets whoever has it authorise: it goes to stdout or to FILE, and nowhere else.
    """
    session = Session(cwd, stack)
    with errors_as_document(output, out):
        waiting = session.planner(company).links()
    write_output(
        render.links(waiting, output, datetime.now(UTC), **terminal_options(output, out)), out, private=True
    )
    return exit_code(ExitCode.WAITING if waiting else ExitCode.IN_SYNC, detailed=detailed_exitcode)
