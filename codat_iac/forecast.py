"""How many calls an apply will make. Pure.

Counted is what `Operations` calls: a listing before a POST or an adoption, since both must be certain, and
a fresh GET before each unlink or DELETE, since neither can be taken back. What is merely recorded calls
nothing. An answer that has to be asked for again costs more than this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from codat_iac import rules
from codat_iac.model import DesiredConnection, LiveConnection, Quota
from codat_iac.plan import Calls, Change, Step
from codat_iac.rules import Action


@dataclass(frozen=True, slots=True)
class Takeover:
    """A connection that is there, which an address will have; `recorded`: the state holds it already."""

    live: LiveConnection
    recorded: bool
    unlinks: bool

    @classmethod
    def of(cls, desired: DesiredConnection, live: LiveConnection, *, recorded: bool) -> Takeover:
        """Say what *desired* does to *live*."""
        return cls(live, recorded, rules.declared(desired.status, live).action is Action.UNLINK)


def forecast(changes: Iterable[Change], takeovers: Mapping[str, Takeover], quota: Quota) -> Calls:
    """Count the calls; *takeovers* are what the changed addresses take over, by address."""
    lists = posts = 0
    ending: set[str | None] = set()  # ids: one may be recorded at two addresses, and ends once
    for change in changes:
        takeover = takeovers.get(change.address) if change.step is not Step.REMOVE else None
        if takeover:
            lists += not takeover.recorded
            ending |= {takeover.live.id} if takeover.unlinks else set()
        elif change.step in {Step.CREATE, Step.REPLACE}:
            lists += 1
            posts += 1
        if change.step is Step.UNLINK or change.removal in {Action.UNLINK, Action.DELETE}:
            ending.add(change.connection_id)
    platforms = posts > 0  # whether they are enabled is asked once
    return Calls(lists + len(ending) + platforms, posts + len(ending), quota.remaining, quota.reset)
