"""Choose connections of the tenant by options, and say which are left alone: for import and export."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from codat_iac.cli.session import Session
from codat_iac.model.connection import DesiredConnection, Status
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import count
from codat_iac.stack.importing.discovery import Filters, Found, find

if TYPE_CHECKING:
    from codat_iac.stack.importing.draft import Skipped

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
        narrowed = any((companies, tags, platforms, statuses))
        if everything == narrowed and (everything or not rest.get("new")):
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


def find_connections(session: Session, filters: Filters) -> Found:
    """Read the connections that *filters* choose, of the stack's shard if it has one.

    Raises `ConfigError` if the stack isn't ready for a run as that shard.
    """
    session.check_shard()
    keys = session.company_ids(declared_by(session)) if filters.companies else {}
    found = find(session.reader, filters, keys)
    own = found.of_shard(session.shard)
    if others := len(found.companies) - len(own.companies):
        number = count(others, "company is", "companies are")
        click.echo(f"{number} of other shards than {session.shard}", err=True)
    return own


def declared_by(session: Session) -> Sequence[DesiredConnection]:
    """Return what the stack's desired state declares for all shards, if there is one yet."""
    return () if session.stateless else session.desired(None, required=False)


def tell_skipped(skipped: Sequence[Skipped]) -> None:
    """Say which connections are left alone, and why."""
    held = ["in the state already" for each in skipped if each.held]
    for why, number in Counter([*held, *(each.counted for each in skipped if each.counted)]).items():
        click.echo(f"{count(number, 'connection is', 'connections are')} left alone: {why}", err=True)
    others = [each for each in skipped if not (each.held or each.counted)]
    tell_lines([f"left alone: {each.live.id}: {each.reason}" for each in others])


def tell_lines(lines: Sequence[str]) -> None:
    """Show the first of the *lines* on stderr."""
    for line in lines[:MOST_SHOWN]:
        click.echo(line, err=True)
    if len(lines) > MOST_SHOWN:
        click.echo(f"and {len(lines) - MOST_SHOWN} more", err=True)
