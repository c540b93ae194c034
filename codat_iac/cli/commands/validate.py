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
from codat_iac.model.connection import Declaration
from codat_iac.model.errors import ConfigError, ExitCode
from codat_iac.model.text import count, join_names, safe_text
from codat_iac.planning.platforms import advice, xero_advice
from codat_iac.reconcile.companies.finding import find_companies
from codat_iac.reconcile.companies.rules import Expansion
from codat_iac.reconcile.companies.tenant_readings import read_ids


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
    config names, which needs no login. With --online, companies that are named by `match` are looked up, too;
    the API key comes from CODAT_API_KEY, or else from the stack's config. What Codat advises about platforms
    is a warning, and no problem.
    """
    from codat_iac.desired import Tenant  # noqa: PLC0415  yaml and jsonschema

    # No stack is needed if the file is given and the tenant isn't asked, or its key is in the environment.
    stateless = path is not None and (not online or bool(os.environ.get("CODAT_API_KEY")))
    session = Session(cwd, stack, stateless, offline=not online)
    now = datetime.now(UTC)
    kinds = {}
    rules: tuple[Expansion, ...] = ()
    with errors_as_document(output, out):
        try:
            declared = session.declaration(path)
            connections = declared.connections
            if online:
                platforms = {integration.key: integration for integration in session.reader.integrations()}
                declared = session.declaration(path, Tenant(platforms, read_ids(session.reader)))
                found = find_companies(
                    declared, lambda: session.recorded, lambda: session.reader, session.shard
                )
                connections, rules = found.connections, found.rules.expansions
                kinds = {each.address: platforms[each.platform_key].source_type for each in connections}
        except ConfigError as error:
            if not error.problems:
                raise
            write_output(render.problems(error.problems, output, now, **terminal_options(output, out)), out)
            return ExitCode.ERROR
    companies = {connection.company_id for connection in connections}
    sizes = f"{count(len(connections), 'connection')} of {count(len(companies), 'company', 'companies')}"
    checked = f"{session.path(path)}: {sizes}"
    if not online:
        checked += _unchecked(declared)
    warnings = [
        f"rule {each.name}: no company has {safe_text(each.tag)}; is that how it is written in Codat?"
        for each in rules
        if not each.companies
    ]
    warnings += [each for each in (*advice(connections, kinds), xero_advice(connections)) if each]
    shown = render.problems(
        (), output, now, checked=checked, warnings=warnings, **terminal_options(output, out)
    )
    write_output(shown, out)
    return ExitCode.IN_SYNC


def _unchecked(declared: Declaration) -> str:
    """Return what a check without the tenant leaves open; empty if that is nothing."""
    left = {f"company {each.key} ({each.match})" for each in declared.matched}
    left |= {f"rule {each.name} ({each.tag})" for each in declared.rules}
    if not left:
        return ""
    return f", and what can only be found online ({join_names(sorted(left))}), as --online, plan and apply do"
