"""Total what a run would lose, from what is live, before the first of it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from codat_iac.model.connection import LiveConnection, PriorConnection
from codat_iac.model.errors import UnsafePlan
from codat_iac.planning.decision import removed
from codat_iac.planning.limits import LossLimit
from codat_iac.reconcile.run_state import RunState


class Losses:
    """The authorisations that this process ends, under one limit.

    A loss is a `Linked` connection that is unlinked, deleted or replaced. *find* reads what is live.
    """

    def __init__(
        self, limit: LossLimit, state: RunState, find: Callable[[PriorConnection], LiveConnection | None]
    ) -> None:
        self._limit = limit
        self._state = state
        self._find = find
        self._losing: dict[str, str] = {}
        self._lock = threading.Lock()
        self._totalling = threading.Lock()
        self._totalled = False
        self._refusal: str | None = None

    def count(self, connection_id: str, address: str) -> None:
        """Count one loss more. Raises `UnsafePlan` if that is one too many, and doesn't count it."""
        self.require_counted(address)
        with self._lock:
            losing = {**self._losing, connection_id: address}
            self._check(losing.values(), "at least ")
            self._losing = losing

    def require_counted(self, address: str) -> None:
        """Raise `UnsafePlan` if nobody knows what else this run ends, and no limit was set for it."""
        if not self._state.recorded and self._limit.explicit is None:
            raise UnsafePlan(
                f"{address}: nothing was read before this run, so what else it ends can't be counted; run"
                " again with `--refresh`, or set CODAT_MAX_LOSSES for this run"
            )

    def total(self) -> None:
        """Count all that is recorded and no longer declared, once, before the first removal.

        Raises `UnsafePlan` if that is too much, then and at every removal after, and what reading raises if
        it can't be counted. Reads companies, so never call it while you hold one.
        """
        with self._totalling:
            if not self._totalled:
                leaving = {
                    connection_id: prior.address
                    for connection_id, prior in self._state.leaving().items()
                    if removed(prior, self._find(prior)).loses
                }
                with self._lock:
                    losing = {**self._losing, **leaving}
                    try:
                        self._check(losing.values(), "")
                        self._losing = losing
                    except UnsafePlan as refusal:
                        self._refusal = str(refusal)
                self._totalled = True
            if self._refusal:
                raise UnsafePlan(self._refusal)

    def _check(self, losing: Collection[str], certainty: str) -> None:
        state = self._state
        refusal = self._limit.refusal(losing, state.recorded, declares=state.declares, certainty=certainty)
        if refusal:
            raise UnsafePlan(refusal)
