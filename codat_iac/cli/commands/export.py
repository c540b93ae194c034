"""`codat-iac export`: write the desired state of connections that exist."""

from __future__ import annotations

from pathlib import Path

import click

from codat_iac.cli.connection_filters import declared_by, filter_options, find_connections, tell_skipped
from codat_iac.cli.options import OUT, stack_options
from codat_iac.cli.output import write_output
from codat_iac.cli.session import Session
from codat_iac.model.errors import ConfigError
from codat_iac.stack.importing.discovery import Filters


@click.command("export")
@stack_options
@filter_options
@OUT
@click.option("--overwrite", is_flag=True, help="Replace --out if it exists: all that it said is gone.")
@click.option("--stateless", is_flag=True, help="Read no stack: CODAT_API_KEY is all that is needed.")
def export_command(
    *,
    cwd: Path,
    stack: str | None,
    filters: Filters,
    out: Path | None,
    overwrite: bool,
    stateless: bool,
) -> int:
    """Write the desired state of connections that exist; no state is touched.

    A stateless plan of what is written is empty. What the stack names already keeps its name.
    """
    from codat_iac.stack.importing.importer import export  # noqa: PLC0415  pulumi is slow to import

    if out and out.is_file() and out.stat().st_size and not overwrite:
        raise ConfigError(f"{out} exists already; choose another --out, or replace all of it: --overwrite")
    session = Session(cwd, stack, stateless)
    text, skipped = export(find_connections(session, filters), declared_by(session), session.state)
    tell_skipped(skipped)
    write_output(text, out)
    return 0
