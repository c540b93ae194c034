"""`codat-iac validate`: check a desired state."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render
from codat_iac.cli.options import PATH, output_options, stack_options
from codat_iac.cli.output import errors_as_document, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.model.errors import ConfigError
from codat_iac.model.exit_code import ExitCode
from codat_iac.planning.platforms import advice, xero_advice


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
    stack's config. A warning tells what Codat advises; it never changes the exit code.
    """
    from codat_iac.desired import Tenant  # noqa: PLC0415  yaml and jsonschema

    # No stack is needed if the file is given and the tenant isn't asked, or its key is in the environment.
    stateless = path is not None and (not online or bool(os.environ.get("CODAT_API_KEY")))
    session = Session(cwd, stack, stateless, offline=not online)
    now = datetime.now(UTC)
    kinds = {}
    with errors_as_document(output, out):
        try:
            connections = session.desired(path)
            if online:
                platforms = {integration.key: integration for integration in session.reader.integrations()}
                pages = session.reader.company_pages()
                ids = frozenset(company.id for page in pages for company in page.results)
                connections = session.desired(path, Tenant(platforms, ids))
                kinds = {each.address: platforms[each.platform_key].source_type for each in connections}
        except ConfigError as error:
            if not error.problems:
                raise
            write_output(render.problems(error.problems, output, now, **terminal_options(output, out)), out)
            return ExitCode.ERROR
    companies = {connection.company_id for connection in connections}
    checked = f"{session.path(path)}: {len(connections)} connections of {len(companies)} companies"
    warnings = [each for each in (*advice(connections, kinds), xero_advice(connections)) if each]
    shown = render.problems(
        (), output, now, checked=checked, warnings=warnings, **terminal_options(output, out)
    )
    write_output(shown, out)
    return ExitCode.IN_SYNC
