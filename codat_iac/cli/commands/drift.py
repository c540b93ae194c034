"""`codat-iac drift`: show what somebody else moved."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render
from codat_iac.cli.options import COMPANY, DETAILED, output_options, stack_options
from codat_iac.cli.output import errors_as_document, exit_code, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.model.exit_code import ExitCode


@click.command("drift")
@COMPANY
@output_options(*render.FORMATS["drift"])
@DETAILED
@stack_options
def drift_command(
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    company: str | None,
    detailed_exitcode: bool,
) -> int:
    """Show what somebody else moved: recorded against live, whatever the desired state says."""
    session = Session(cwd, stack)
    with errors_as_document(output, out):
        drifted = session.planner(company).drift()
    write_output(render.drift(drifted, output, datetime.now(UTC), **terminal_options(output, out)), out)
    return exit_code(ExitCode.CHANGES if drifted else ExitCode.IN_SYNC, detailed=detailed_exitcode)
