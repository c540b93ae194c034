"""Total what a run would throw away, before the first of it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable

from codat_iac import rules
from codat_iac.errors import UnsafePlan
from codat_iac.ledger import Ledger
from codat_iac.model import LiveConnection, PriorConnection
from codat_iac.rules import LossLimit


class Losses:
    """The authorisations that this process throws away, under one limit.

    A loss is a `Linked` connection that is unlinked, deleted or replaced. *find* reads what is live.
    """

    def __init__(
        self, limit: LossLimit, ledger: Ledger, find: Callable[[PriorConnection], LiveConnection | None]
    ) -> None:
        self._limit = limit
        self._ledger = ledger
        self._find = find
        self._losing: dict[str, str] = {}
        self._lock = threading.Lock()
        self._totalling = threading.Lock()
        self._totalled = False
        self._refusal: str | None = None

    def count(self, connection_id: str, address: str) -> None:
        """Count one loss more. Raises `UnsafePlan` where that is one too many, and doesn't count it."""
        if not self._ledger.recorded and self._limit.explicit is None:
            raise UnsafePlan(
                f"{address}: it is Linked, and without a refresh nobody can count what else this run throws"
                " away; run again with a refresh, or set CODAT_MAX_LOSSES"
            )
        with self._lock:
            losing = {**self._losing, connection_id: address}
            self._check(losing, "at least ")
            self._losing = losing

    def total(self) -> None:
        """Count all that is recorded and no longer declared, once, before the first removal.

        Raises `UnsafePlan` where that is too much, then and at every removal after, and what reading raises
        where it can't be counted. Reads companies, so never call it while you hold one.
        """
        with self._totalling:
            if not self._totalled:
                leaving = self._leaving()
                try:
                    self._add(leaving)
                except UnsafePlan as refusal:
                    self._refusal = str(refusal)
                self._totalled = True
            if self._refusal:
                raise UnsafePlan(self._refusal)

    def _add(self, leaving: dict[str, str]) -> None:
        with self._lock:
            losing = {**self._losing, **leaving}
            self._check(losing, "")
            self._losing = losing

    def _leaving(self) -> dict[str, str]:
        return {
            connection_id: prior.address
            for connection_id, prior in self._ledger.leaving().items()
            if loses_on_removal(prior, self._find(prior))
        }

    def _check(self, losing: dict[str, str], certainty: str) -> None:
        recorded = self._ledger.recorded
        if self._limit.exceeded(len(losing), recorded):
            raise UnsafePlan(rules.too_many_losses(losing.values(), recorded, certainty))


def loses_on_removal(prior: PriorConnection, live: LiveConnection | None) -> bool:
    """Say whether removing *prior* would throw an authorisation away."""
    return rules.loses(rules.removed(prior.desired.on_removal, live).action, live)
