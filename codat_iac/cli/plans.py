"""`codat-iac validate`, `plan`, `drift` and `links`: commands that only read."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render
from codat_iac.cli.options import COMPANY, DETAILED, PATH, output_options, stack_options
from codat_iac.cli.output import errors_as_document, exit_code, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.model.errors import ConfigError
from codat_iac.planning.plan import ExitCode


@click.command("validate")
@PATH
@click.option("--online", is_flag=True, help="Ask the tenant too: for its platforms and its companies.")
@output_options(*render.FORMATS["problems"])
@stack_options
def validate_command(
    path: str | None, cwd: Path, stack: str | None, output: str, out: Path | None, online: bool
) -> int:
    """Check a desired state; every problem is told, with file, line and column.

    PATH is a YAML or Python file, or a folder of them, or - for YAML on stdin; by default what the project's
    config names, which needs no login. With --online, the API key comes from CODAT_API_KEY, or else from the
    stack's config.
    """
    from codat_iac.desired import Tenant  # noqa: PLC0415  yaml and jsonschema

    # No stack is needed if the file is given and the tenant isn't asked, or its key is in the environment.
    stateless = path is not None and (not online or bool(os.environ.get("CODAT_API_KEY")))
    session = Session(cwd, stack, stateless, offline=not online)
    now = datetime.now(UTC)
    with errors_as_document(output, out):
        try:
            connections = session.desired(path)
            if online:
                platforms = {integration.key: integration for integration in session.reader.integrations()}
                pages = session.reader.company_pages()
                ids = frozenset(company.id for page in pages for company in page.results)
                connections = session.desired(path, Tenant(platforms, ids))
        except ConfigError as error:
            if not error.problems:
                raise
            write_output(render.problems(error.problems, output, now, **terminal_options(output, out)), out)
            return ExitCode.ERROR
    companies = {connection.company_id for connection in connections}
    checked = f"{session.path(path)}: {len(connections)} connections of {len(companies)} companies"
    write_output(render.problems((), output, now, checked=checked, **terminal_options(output, out)), out)
    return ExitCode.IN_SYNC


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
        plan = session.plan(session.desired(path), company)
    shown = render.plan(plan, output, datetime.now(UTC), every=every, **terminal_options(output, out))
    write_output(shown, out)
    return exit_code(plan.exit_code, detailed=detailed_exitcode)


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
