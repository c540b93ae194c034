"""`codat-iac drift`: show what somebody else moved, and record it if that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render
from codat_iac.cli.options import COMPANY, DETAILED, output_options, stack_options
from codat_iac.cli.output import ask, errors_as_document, exit_code, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.model.connection import ABSENT, Status
from codat_iac.model.errors import ConfigError, ExitCode
from codat_iac.model.record import recorded
from codat_iac.model.text import count, join_names
from codat_iac.planning.plan import Drifted
from codat_iac.stack.stack import StackError


def parse_statuses(
    _context: click.Context | None, _option: click.Parameter | None, given: str | None
) -> frozenset[str]:
    """Return the statuses that *given* names, with commas between them. Fails as a usage error."""
    known = {status.casefold(): str(status) for status in (*Status, ABSENT)}
    words = [word.strip() for word in given.split(",")] if given is not None else []
    for word in words:
        if word.casefold() not in known:
            raise click.BadParameter(f"{word!r} is none of {', '.join(known.values())}")
    return frozenset(known[word.casefold()] for word in words)


@click.command("drift")
@COMPANY
@click.option(
    "--fail-on",
    callback=parse_statuses,
    metavar="STATUSES",
    help="Exit with 2 if a connection has one of these statuses, and wasn't asked to, also if it is recorded"
    " so; such as Deauthorized,Unlinked,absent.",
)
@click.option(
    "--acknowledge",
    is_flag=True,
    help="Record what moved, so that it is no longer shown. Nothing is changed in Codat, and nothing is"
    " forgotten.",
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask whether to record it.")
@output_options(*render.FORMATS["drift"])
@DETAILED
@stack_options
def drift_command(
    *,
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    company: str | None,
    fail_on: frozenset[str],
    acknowledge: bool,
    yes: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what somebody else moved: recorded against live, whatever the desired state says.

    What a customer has authorised since is progress and no drift.
    """
    if yes and not acknowledge:
        raise ConfigError("--yes is for --acknowledge; add it, or leave --yes out")
    session = Session(cwd, stack)
    with errors_as_document(output, out):
        if acknowledge and session.settings.accept_missing:
            raise ConfigError(
                "--acknowledge forgets nothing, and CODAT_ACCEPT_MISSING says that what is missing may be"
                " forgotten; unset it, or run `pulumi refresh`"
            )
        recorded = session.recorded_connections(company)
        drifted, progress = recorded.drift(), recorded.progress()
        failing = recorded.in_status(fail_on)
    shown = render.drift(
        drifted,
        output,
        datetime.now(UTC),
        progress=progress,
        failing=failing,
        acknowledging=acknowledge,
        of=render.Recorded(session.stack.short_name, recorded.count),
        **terminal_options(output, out),
    )
    write_output(shown, out)
    moved = [*drifted, *progress]
    if acknowledge and moved:
        if not yes:
            ask(f"Record {count(len(moved), 'connection')} in stack {session.stack.short_name} as shown?")
        _record(session, moved)
        drifted = ()
    if failing:
        return ExitCode.CHANGES
    return exit_code(ExitCode.CHANGES if drifted else ExitCode.IN_SYNC, detailed=detailed_exitcode)


def _record(session: Session, moved: Sequence[Drifted]) -> None:
    """Record what *moved*. Raises `StackError` if something else was recorded, since it moved once more."""
    session.stack.refresh(dict.fromkeys(each.urn for each in moved))
    now = {(prior.urn, prior.id): prior.status for prior in recorded(session.stack.export())}
    other = [each.address for each in moved if now.get((each.urn, each.connection_id)) != each.now]
    if other:
        raise StackError(
            f"{join_names(other)} moved once more while this was recorded; look at `codat-iac plan`, and run"
            " again"
        )
    click.echo(f"Recorded {count(len(moved), 'connection')}; nothing is changed in Codat.", err=True)
