"""`codat-iac validate`, `plan`, `drift` and `links`: they look, and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac import render
from codat_iac.cli.session import Session, located, put, shown_as, terminal
from codat_iac.errors import CodatIacError
from codat_iac.plan import ExitCode

DETAILED = click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 0 in sync, 2 changes, 3 only waiting for customers (1 error, 4 refused in any case).",
)
COMPANY = click.option("--company", help="Only this company: the first half of its addresses.")


@contextmanager
def told_as(output: str) -> Iterator[None]:
    """Put an error out as JSON too, where JSON is what the caller reads."""
    try:
        yield
    except CodatIacError as error:
        if output == render.Output.JSON:
            click.echo(render.problems(render.problems_of(error), output, datetime.now(UTC)))
        raise


def exit_code(code: int, *, detailed: bool) -> int:
    """Give the exit code: changes and waiting are nothing to complain of unless it was asked for."""
    return code if detailed or code in {ExitCode.ERROR, ExitCode.REFUSED} else ExitCode.IN_SYNC


@click.command("validate")
@click.argument("path", required=False)
@located
@shown_as(*render.FORMATS["problems"])
@click.option("--online", is_flag=True, help="Also ask the tenant: its platforms and its companies.")
def validate_command(
    path: str | None, cwd: Path, stack: str | None, output: str, out: Path | None, online: bool
) -> int:
    """Check a desired state; every problem is told, with file, line and column.

    PATH is a YAML or Python file or a folder of them; by default the one that the stack's config names.
    """
    from codat_iac.desired import Tenant, load  # noqa: PLC0415  yaml and jsonschema

    session = Session(cwd, stack, stateless=path is not None)
    now = datetime.now(UTC)
    try:
        tenant = None
        file = session.path(path)
        if online:
            load(file)
            platforms = {integration.key: integration for integration in session.client.integrations()}
            pages = session.client.company_pages()
            tenant = Tenant(platforms, frozenset(company.id for page in pages for company in page.results))
        connections = load(file, tenant)
    except CodatIacError as error:
        put(render.problems(render.problems_of(error), output, now, **terminal(output, out)), out)
        return ExitCode.ERROR
    companies = {connection.company_id for connection in connections}
    checked = f"{file}: {len(connections)} connections of {len(companies)} companies"
    put(render.problems((), output, now, checked=checked, **terminal(output, out)), out)
    return ExitCode.IN_SYNC


@click.command("plan")
@click.argument("path", required=False)
@located
@shown_as(*render.FORMATS["plan"])
@COMPANY
@click.option(
    "--stateless",
    is_flag=True,
    help="Read no state and need no engine: match by company and platform, remove nothing. Needs a PATH.",
)
@click.option("--every", is_flag=True, help="Name also what is only counted, in text.")
@DETAILED
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

    Each change says who brought it about: you, in the desired state, or they, in Codat. With
    `--output json --out FILE` the plan can be applied as it is: `codat-iac apply --plan FILE`.
    """
    session = Session(cwd, stack, stateless)
    with told_as(output):
        plan = session.plan(session.desired(path), company)
    shown = render.plan(plan, output, datetime.now(UTC), every=every, **terminal(output, out))
    put(shown, out)
    return exit_code(plan.exit_code, detailed=detailed_exitcode)


@click.command("drift")
@located
@shown_as(*render.FORMATS["drift"])
@COMPANY
@DETAILED
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
    with told_as(output):
        drifted = session.planner(company).drift()
    put(render.drift(drifted, output, datetime.now(UTC), **terminal(output, out)), out)
    return exit_code(ExitCode.CHANGES if drifted else ExitCode.IN_SYNC, detailed=detailed_exitcode)


@click.command("links")
@located
@shown_as(*render.FORMATS["links"])
@COMPANY
@DETAILED
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
    with told_as(output):
        waiting = session.planner(company).links()
    put(render.links(waiting, output, datetime.now(UTC), **terminal(output, out)), out)
    return exit_code(ExitCode.WAITING if waiting else ExitCode.IN_SYNC, detailed=detailed_exitcode)
