"""`codat-iac coverage`: show how much of the tenant is managed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from codat_iac.cli import render, tenant_coverage
from codat_iac.cli.options import PATH, output_options, stack_options
from codat_iac.cli.output import errors_as_document, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.cli.streams import tell
from codat_iac.model.errors import ExitCode
from codat_iac.planning.plan.coverage import Coverage
from codat_iac.planning.plan.enforcement import problems


class _Percent(click.FloatRange):
    """A number from 0 to 100; `nan`, which is in any range, isn't one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number from 0 to 100.", param, ctx)
        return number


@click.command("coverage")
@PATH
@click.option(
    "--fail-under",
    type=_Percent(0, 100),
    metavar="PERCENT",
    help="Exit with 1 if less than this share of the connections is managed or declared, or if the tenant"
    " changed while it was read.",
)
@click.option(
    "--stateless",
    is_flag=True,
    help="Read no state and need no engine: match by company and platform. Needs a PATH.",
)
@click.option("--every", is_flag=True, help="In text, name also what is only counted.")
@output_options(*render.FORMATS["coverage"])
@stack_options
def coverage_command(
    *,
    path: str | None,
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    fail_under: float | None,
    stateless: bool,
    every: bool,
) -> int:
    """Show how much of the whole tenant is managed, and what nobody manages.

    By platform, status and tag; `codat-iac import --new` brings in what isn't. Exits with 1 also if there is
    what `unmanaged: error` of the desired state forbids.
    """
    session = Session(cwd, stack, stateless)
    with errors_as_document(output, out):
        state = session.declared_state(path)
        found = tenant_coverage.coverage(session, state)
    wrong = problems(found, state.unmanaged)
    options = terminal_options(output, out)
    write_output(render.coverage(found, wrong, output, datetime.now(UTC), every=every, **options), out)
    missed = None if fail_under is None else _missed(found, fail_under)
    if missed:
        tell(missed)
    return ExitCode.ERROR if wrong or missed else ExitCode.IN_SYNC


def _missed(found: Coverage, percent: float) -> str | None:
    """Return why *found* isn't known to reach *percent*, None if it does."""
    if not found.complete:
        return "--fail-under: the tenant changed while it was read, so no share is certain; run again"
    if found.connections.reaches(percent):
        return None
    return (
        f"--fail-under: {found.connections.percent} % is covered, less than {percent:g} %;"
        " `codat-iac import --new` brings in what isn't"
    )
