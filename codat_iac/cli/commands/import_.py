"""`codat-iac import`: bring connections that exist into the stack and the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codat_iac.cli.connection_filters import filter_options, find_connections, tell_lines, tell_skipped
from codat_iac.cli.options import stack_options
from codat_iac.cli.output import ask, write_or_tell
from codat_iac.cli.session import Session
from codat_iac.model.text import count
from codat_iac.stack.importing.discovery import Filters

if TYPE_CHECKING:
    from codat_iac.stack.importing.draft import Draft


def _match_by(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("name|tag:[^=]+", value):
        raise click.BadParameter("write tag:KEY, such as tag:customerId, or name")
    return value


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
    help="Add to --out if it exists: what it says already stays as it is, and its `defaults:` hold for what"
    " is added.",
)
@click.option(
    "--new",
    is_flag=True,
    help="Bring in what appeared since, all or what the filters choose, into the file that declares its"
    " company (unless --out names one). Files that exist are added to. What `unmanaged: ignore` hides is left"
    " alone, and what is Unlinked unless --status asks for it.",
)
@click.option(
    "--match-by",
    metavar="tag:KEY|name",
    callback=_match_by,
    help="Name new companies by this tag of theirs, such as tag:customerId, or by their name in Codat: with"
    " `match:` in place of `id:`.",
)
@click.option(
    "--files-only",
    is_flag=True,
    help="Leave the stack as it is: write the files, each connection with its `connectionId`, by which an"
    " apply takes it up. For a pull request.",
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def import_command(
    *,
    cwd: Path,
    stack: str | None,
    filters: Filters,
    out: Path | None,
    overwrite: bool,
    new: bool,
    match_by: str | None,
    files_only: bool,
    yes: bool,
) -> int:
    """Bring connections that exist into the stack, and write their desired state.

    Nothing is changed in Codat. What the state holds already is left alone. At the end the plan has to be
    empty, or else all is undone; with --files-only the plan takes up what is written. The filters narrow each
    other down; each may be given more than once.
    """
    from codat_iac.stack.importing.importer import import_into  # noqa: PLC0415  pulumi is slow to import

    session = Session(cwd, stack)
    draft = import_into(
        session.stack,
        session.reader,
        session.settings,
        find_connections(session, filters),
        Path(session.path(None)),
        out,
        overwrite=overwrite,
        new=new,
        match_by=match_by,
        files_only=files_only,
        unlinked=not new or bool(filters.statuses),
        confirm=lambda drafted: _confirm(drafted, new=new, yes=yes, files_only=files_only),
        tell=lambda text: click.echo(text, err=True),
    )
    if files_only:
        number = len(draft.undeclared)
        write_or_tell(
            f"Written: {number:,}; an apply takes up what is written." if number else "Nothing is new."
        )
    elif draft.arrivals:
        proven = "has nothing new, and what it had before is still to do" if draft.left else "is empty"
        write_or_tell(f"Imported {count(len(draft.arrivals), 'connection')}; the plan {proven}.")
    return 0


def _confirm(draft: Draft, *, new: bool, yes: bool, files_only: bool) -> None:
    tell_skipped([each for each in draft.skipped if not (new and each.held)])
    coming = [each for each in draft.arrivals if not (files_only and each.declared)]
    if not coming:
        click.echo("Nothing to import.", err=True)
        return
    tell_lines([f"+ {each.address}  {each.live.platform_key}  {each.live.status}" for each in coming])
    if not yes:
        ask(f"{'Write' if files_only else 'Import'} {count(len(coming), 'connection')}?")
