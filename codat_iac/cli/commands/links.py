"""`codat-iac links`: list who waits, each with a fresh link."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from codat_iac.cli import render
from codat_iac.cli.options import COMPANY, DETAILED, output_options, stack_options
from codat_iac.cli.output import errors_as_document, exit_code, terminal_options, write_output
from codat_iac.cli.session import Session
from codat_iac.cli.streams import tell
from codat_iac.model.errors import ExitCode
from codat_iac.model.text import join_names
from codat_iac.planning.plan import LinkFilter

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_age(
    _context: click.Context | None, _option: click.Parameter | None, given: str | None
) -> timedelta | None:
    """Return a time such as `7d`: a number of minutes, hours, days or weeks. Fails as a usage error."""
    if given is None:
        return None
    found = re.fullmatch(r"([0-9]{1,5})([mhdw])", given.strip())
    if not found:
        raise click.BadParameter(f"{given!r} is no time such as 7d, 12h, 90m or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.command("links")
@COMPANY
@click.option(
    "--older-than",
    callback=parse_age,
    metavar="AGE",
    help="Only what has waited longer, such as 7d, 12h or 2w.",
)
@click.option(
    "--platform", "platforms", metavar="KEY", multiple=True, help="Only this platform key, such as gbol."
)
@click.option(
    "--tag", "tags", metavar="QUERY", multiple=True, help="Only companies with this tag, such as region=uk."
)
@output_options(*render.FORMATS["links"])
@DETAILED
@stack_options
def links_command(
    *,
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    company: str | None,
    older_than: timedelta | None,
    platforms: Sequence[str],
    tags: Sequence[str],
    detailed_exitcode: bool,
) -> int:
    """List the recorded connections that wait for their customers, each with a fresh link.

    A link lets whoever has it authorise: it goes to stdout or to FILE, and nowhere else. No link is there
    twice, and the columns of `-o csv` stay as they are, so a mail merge can use it.
    """
    from codat_iac.stack.importing.discovery import check_platform_key, tag_test  # noqa: PLC0415

    session = Session(cwd, stack)
    undated: list[str] = []
    with errors_as_document(output, out):
        for key in platforms:
            check_platform_key(key)
        chosen = LinkFilter(frozenset(platforms), tuple(map(tag_test, tags)), older_than)
        recorded = session.recorded_connections(company)
        waiting = recorded.links(chosen, undated.append)
    if undated:
        tell(f"left out, since Codat doesn't say since when they wait: {join_names(undated)}")
    of = render.Recorded(session.stack.short_name, recorded.count)
    shown = render.links(waiting, output, datetime.now(UTC), of=of, **terminal_options(output, out))
    write_output(shown, out, private=True)
    return exit_code(ExitCode.WAITING if waiting else ExitCode.IN_SYNC, detailed=detailed_exitcode)
