"""`codat-iac import` and `codat-iac export`: declare the connections that a tenant has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codat_iac.cli.options import OUT, stack_options
from codat_iac.cli.output import ask, write_or_tell, write_output
from codat_iac.cli.session import Session
from codat_iac.model.connection import DesiredConnection, Status
from codat_iac.model.errors import ConfigError
from codat_iac.stack.importing.discovery import Filters, Found, find

if TYPE_CHECKING:
    from codat_iac.stack.importing.draft import Draft, Skipped

MOST_SHOWN = 20
"""The most lines shown of each kind: an import may have thousands of connections."""


def filter_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that choose connections; *function* gets them as its argument `filters`."""

    @functools.wraps(function)
    def chosen(
        *,
        companies: Sequence[str],
        tags: Sequence[str],
        platforms: Sequence[str],
        statuses: Sequence[str],
        everything: bool,
        **rest: Any,
    ) -> int:
        if everything == any((companies, tags, platforms, statuses)):
            raise ConfigError("say which connections: --company, --tag, --platform, --status, or --all")
        filters = Filters(tuple(companies), tuple(tags), frozenset(platforms), frozenset(statuses))
        return function(filters=filters, **rest)

    for option in (
        click.option("--all", "everything", is_flag=True, help="All connections of the tenant."),
        click.option(
            "--status",
            "statuses",
            multiple=True,
            type=click.Choice([str(status) for status in Status]),
            help="Only these.",
        ),
        click.option("--platform", "platforms", multiple=True, help="Only this platform key, such as gbol."),
        click.option("--tag", "tags", multiple=True, help="Only companies with this tag, such as region=uk."),
        click.option(
            "--company",
            "companies",
            metavar="COMPANY",
            multiple=True,
            help="Only this company: its key in the desired state (acme of acme/ledger), its id, or its name"
            " in Codat.",
        ),
    ):
        chosen = option(chosen)
    return chosen


@click.command("import")
@stack_options
@filter_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; by default what the stack's config names, or imported.yaml in that folder.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Add to --out if it exists: all that stands in it stays as it is, and its `defaults:` hold for what"
    " is added.",
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def import_command(
    *,
    cwd: Path,
    stack: str | None,
    filters: Filters,
    out: Path | None,
    overwrite: bool,
    yes: bool,
) -> int:
    """Bring connections that exist into the stack, and write their desired state.

    Nothing is changed in Codat. What the state holds already is left alone. At the end the plan has to be
    empty, or else all is undone. The filters narrow each other down; each may be given more than once.
    """
    from codat_iac.stack.importing.importer import import_into  # noqa: PLC0415  pulumi is slow to import

    session = Session(cwd, stack)
    draft = import_into(
        session.stack,
        session.reader,
        session.settings,
        _find(session, filters),
        Path(session.path(None)),
        out,
        overwrite=overwrite,
        confirm=lambda drafted: _confirm(drafted, yes=yes),
        tell=lambda text: click.echo(text, err=True),
    )
    if draft.arrivals:
        write_or_tell(f"Imported {len(draft.arrivals)} connections; the plan is empty.")
    return 0


@click.command("export")
@stack_options
@filter_options
@OUT
@click.option(
    "--overwrite", is_flag=True, help="Replace --out if it exists: nothing that stands in it stays."
)
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
    text, skipped = export(_find(session, filters), _declared(session), session.state)
    _tell_skipped(skipped)
    write_output(text, out)
    return 0


def _find(session: Session, filters: Filters) -> Found:
    keys = session.company_ids(_declared(session)) if filters.companies else {}
    return find(session.reader, filters, keys)


def _declared(session: Session) -> Sequence[DesiredConnection]:
    """Return what the stack's desired state declares, if there is one yet."""
    from codat_iac.desired import load  # noqa: PLC0415  yaml and jsonschema

    return () if session.stateless else load(session.path(None), required=False)


def _confirm(draft: Draft, *, yes: bool) -> None:
    _tell_skipped(draft.skipped)
    if not draft.arrivals:
        click.echo("Nothing to import.", err=True)
        return
    _tell([f"+ {each.address}  {each.live.platform_key}  {each.live.status}" for each in draft.arrivals])
    if not yes:
        ask(f"Import {len(draft.arrivals)} connections?")


def _tell_skipped(skipped: Sequence[Skipped]) -> None:
    held = sum(each.held for each in skipped)
    if held:
        click.echo(f"{held} connections are left alone: the state has them already", err=True)
    _tell([f"left alone: {each.live.id}: {each.reason}" for each in skipped if not each.held])


def _tell(lines: Sequence[str]) -> None:
    for line in lines[:MOST_SHOWN]:
        click.echo(line, err=True)
    if len(lines) > MOST_SHOWN:
        click.echo(f"and {len(lines) - MOST_SHOWN} more", err=True)
