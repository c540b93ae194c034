"""Count what a run loses, by what is live, before the first loss."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping

from codat_iac.model.connection import LiveConnection, PriorConnection
from codat_iac.model.errors import UnsafePlan
from codat_iac.planning.decision import decide_removal
from codat_iac.planning.safety_limits import LossLimit
from codat_iac.reconcile.run_state import RunState


class Losses:
    """The authorisations that this process ends, under one limit. Threads may share it.

    A loss is a `Linked` connection that is unlinked, deleted or replaced. *find* returns the live connection,
    None if it is absent.
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

    def approve(self, ids: Collection[str]) -> None:
        """Let only the connections with these *ids* be lost."""
        with self._lock:
            self._limit = dataclasses.replace(self._limit, approved=frozenset(ids))

    def count(self, connection_id: str, address: str) -> None:
        """Count one more loss. Raises `UnsafePlan`, and doesn't count it, if that exceeds the limit."""
        self.require_counted(address)
        with self._lock:
            losing = {**self._losing, connection_id: address}
            self._check(losing, "at least ")
            self._losing = losing

    def require_counted(self, address: str) -> None:
        """Raise `UnsafePlan` if the run's other losses can't be counted and no limit is set for it."""
        if not self._state.recorded_count and self._limit.is_default:
            raise UnsafePlan(
                f"{address}: nothing was read before this run, so what else it ends can't be counted; run"
                " again with `--refresh`, or set CODAT_MAX_LOSSES for this run"
            )

    def total(self) -> None:
        """Count everything that is recorded and no longer declared, once, before the first removal.

        Raises `UnsafePlan` if that exceeds the limit, also at every later removal, and any error of reading
        what is live. It reads companies, so don't call it while you hold the lock of one.
        """
        with self._totalling:
            if not self._totalled:
                leaving = {
                    connection_id: prior.address
                    for connection_id, prior in self._state.leaving().items()
                    if decide_removal(prior, self._find(prior)).loses
                }
                with self._lock:
                    losing = {**self._losing, **leaving}
                    try:
                        self._check(losing, "")
                        self._losing = losing
                    except UnsafePlan as refusal:
                        self._refusal = str(refusal)
                self._totalled = True
            if self._refusal:
                raise UnsafePlan(self._refusal)

    def _check(self, losing: Mapping[str, str], certainty: str) -> None:
        state = self._state
        refusal = self._limit.unapproved(losing) or self._limit.refusal(
            losing.values(), state.recorded_count, declares=state.declares, certainty=certainty
        )
        if refusal:
            raise UnsafePlan(refusal)
