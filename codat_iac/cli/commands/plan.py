"""`codat-iac plan`: show what an apply will do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render, tenant_coverage
from codat_iac.cli.options import COMPANY, DETAILED, OUT_FILE, PATH, output_options, stack_options
from codat_iac.cli.output import errors_as_document, exit_code, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.model.errors import ConfigError
from codat_iac.planning.plan import approved_losses


@click.command("plan")
@PATH
@COMPANY
@click.option(
    "--stateless",
    is_flag=True,
    help="Read no state and need no engine: match by company and platform, remove nothing. Needs a PATH.",
)
@click.option(
    "--coverage",
    is_flag=True,
    help="Show also how much of the whole tenant is managed, as `codat-iac coverage` does.",
)
@click.option("--every", is_flag=True, help="In text, name also what is only counted.")
@click.option(
    "--losses-out",
    type=OUT_FILE,
    metavar="FILE",
    help="Write the ids of the connections that an apply would take the authorisation from, for"
    " `codat-iac apply --approve-losses FILE`.",
)
@output_options(*render.FORMATS["plan"])
@DETAILED
@stack_options
def plan_command(  # noqa: PLR0913  one for each option
    *,
    path: str | None,
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    company: str | None,
    stateless: bool,
    coverage: bool,
    every: bool,
    losses_out: Path | None,
    detailed_exitcode: bool,
) -> int:
    """Show what an apply will do, what waits for a customer, and what nobody here manages.

    PATH is by default what the stack's `codat:desired` names. If that is not set, the stack has a program of
    your own: `pulumi preview` runs it, and tells what it declares.

    Each change says who brought it about: you, in the desired state, or they, in Codat. A plan that was
    saved with `-o json --out FILE` can be applied as it is: `codat-iac apply --plan FILE`.
    """
    session = Session(cwd, stack, stateless)
    with errors_as_document(output, out):
        session.read_ahead(live=company is None and not coverage)
        if session.is_own_program(path):
            if coverage:
                raise ConfigError("--coverage compares with a desired state, which this stack has none of")
            plan = session.plan_program(company)
        else:
            state = session.declared_state(path)
            plan = tenant_coverage.plan(session, state, company, with_coverage=coverage)
    shown = render.plan(plan, output, datetime.now(UTC), every=every, **terminal_options(output, out))
    write_output(shown, out)
    if losses_out:
        write_output(approved_losses.written(plan), losses_out)
    return exit_code(plan.exit_code, detailed=detailed_exitcode)
