"""Find what a run would lose, or can't remove, before its program declares anything.

The record tells what will be unlinked, replaced or removed; only those connections are read, since what is
lost depends on their live status.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from codat_iac.codat.client import Reader
from codat_iac.model.connection import DesiredConnection, LiveConnection, PriorConnection, Status
from codat_iac.model.settings import Settings
from codat_iac.planning import rule_table
from codat_iac.planning.decision import Decision
from codat_iac.planning.moves import Moves
from codat_iac.planning.rule_table import Action
from codat_iac.planning.stack_decisions import decide
from codat_iac.reconcile.snapshot import Snapshot

_PLACEHOLDER = "unknown: "


def addresses_at_risk(
    declared: Sequence[DesiredConnection], recorded: Sequence[PriorConnection], moved: Moves
) -> frozenset[str]:
    """Return the addresses, old and new, at which a connection may be unlinked, replaced or removed. Pure."""
    at = {prior.place: prior for prior in recorded}
    found = set()
    continued = {prior.place for prior in (*moved.staying, *moved.surplus)}
    for each in declared:
        prior = moved.origins.get(each.address) or at.get(each.place)
        if prior is None or each.address in moved.later:
            continue
        continued.add(prior.place)
        if each.status is Status.UNLINKED or rule_table.replacing_inputs(_with_id(prior, each), each):
            found |= {each.address, prior.address}
    return frozenset(found | {prior.address for prior in recorded if prior.place not in continued})


class Ahead(NamedTuple):
    """Decisions that end an authorisation, and refused removals, which no hook of a preview meets."""

    losing: tuple[Decision, ...]
    refused: tuple[Decision, ...]


def look_ahead(
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    asked: Collection[str],
    reader: Reader,
    settings: Settings,
) -> Ahead:
    """Decide about the addresses *asked* for, by what is live.

    A connection that an older version recorded without its id counts with its recorded status. Raises
    `ApiError` if live can't be read. A company that can't be seen loses nothing, since nothing is done about
    it.
    """
    named = {each.place: each for each in declared}
    known = [_with_id(prior, named.get(prior.place)) for prior in recorded]
    live = _live([prior for prior in known if prior.address in asked], declared, asked, reader)
    decided = decide(declared, known, live, accepts_missing=settings.accept_missing, chosen=asked)
    return Ahead(
        tuple(each for each in decided.decisions if each.loses and not each.problem),
        tuple(each for each in decided.decisions if each.action is Action.REMOVE and each.problem),
    )


def _with_id(prior: PriorConnection, desired: DesiredConnection | None) -> PriorConnection:
    """Return *prior* with an id: its own, the declared one, or a placeholder."""
    if prior.id:
        return prior
    named = desired.connection_id if desired else None
    return dataclasses.replace(prior, id=named or f"{_PLACEHOLDER}{prior.place}")


def _is_placeholder(prior: PriorConnection) -> bool:
    return prior.id.startswith(_PLACEHOLDER)


def _live(
    priors: Sequence[PriorConnection],
    declared: Sequence[DesiredConnection],
    asked: Collection[str],
    reader: Reader,
) -> Mapping[str, Mapping[str, LiveConnection] | None]:
    company_ids = {prior.desired.company_id for prior in priors}
    company_ids |= {each.company_id for each in declared if each.address in asked}
    named = [(prior.desired.company_id, prior.id) for prior in priors if not _is_placeholder(prior)]
    live = Snapshot(reader).companies(company_ids, named)
    for prior in priors:
        company = live[prior.desired.company_id]
        if company is not None and _is_placeholder(prior):
            company[prior.id] = LiveConnection(
                prior.id, prior.desired.company_id, prior.status, prior.desired.platform_key
            )
    return live
