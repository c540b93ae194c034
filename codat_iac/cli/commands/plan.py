"""`codat-iac plan`: show what an apply will do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render
from codat_iac.cli.options import COMPANY, DETAILED, PATH, output_options, stack_options
from codat_iac.cli.output import errors_as_document, exit_code, terminal_options, write_output
from codat_iac.cli.session import Session


@click.command("plan")
@PATH
@COMPANY
@click.option(
    "--stateless",
    is_flag=True,
    help="Read no state and need no engine: match by company and platform, remove nothing. Needs a PATH.",
)
@click.option("--every", is_flag=True, help="In text, name also what is only counted.")
@output_options(*render.FORMATS["plan"])
@DETAILED
@stack_options
def plan_command(
    *,
    path: str | None,
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    company: str | None,
    stateless: bool,
    every: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what an apply will do, what waits for a customer, and what nobody here manages.

    Each change says who brought it about: you, in the desired state, or they, in Codat. A plan that was
    saved with `-o json --out FILE` can be applied as it is: `codat-iac apply --plan FILE`.
    """
    session = Session(cwd, stack, stateless)
    with errors_as_document(output, out):
        session.read_ahead()
        plan = session.plan(session.desired(path), company)
    shown = render.plan(plan, output, datetime.now(UTC), every=every, **terminal_options(output, out))
    write_output(shown, out)
    return exit_code(plan.exit_code, detailed=detailed_exitcode)
