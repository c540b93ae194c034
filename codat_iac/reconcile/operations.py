"""What is done to connections, safely: create exactly once, unlink, remove.

Every call that changes something starts here, decided about by `Foresight`; `Posting` makes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable

from codat_iac.codat.client import Client
from codat_iac.model.connection import DesiredConnection, LiveConnection, OnRemoval, PriorConnection, Status
from codat_iac.model.errors import NotFound, Refused, Rejected
from codat_iac.model.settings import Settings
from codat_iac.planning import rule_table
from codat_iac.planning.decision import removed
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action, Cell
from codat_iac.reconcile.create_once import SETTLING, Posting
from codat_iac.reconcile.preview import Foresight, refused


class Operations(Foresight):
    """The operations of one process, on one tenant. May be shared by threads.

    *notify* is told each notice, as (kind, address, text). *sleep* is how to wait, *settling* for how
    many seconds after a POST of which nobody knows whether it worked.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        notify: Callable[[Notice, str, str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
        settling: float = SETTLING,
    ) -> None:
        super().__init__(client, settings, notify)
        self._client = client
        self._posting = Posting(client, sleep, settling)

    # Creating.

    def create(self, desired: DesiredConnection) -> LiveConnection:
        """Adopt the connection that is there, or make one: never two where one was asked.

        What is adopted is only recorded: if the file asks to unlink it, the next run does. Raises `Refused`
        if neither is certain to be right, `ApiError` if Codat didn't do it; after either, nothing of the same
        company and platform is removed in this process.
        """
        with self.snapshot.locked(desired.company_id), self._failing(desired):
            before = self._relist(desired)
            decision = self._new(desired, before)
            if decision.live:
                live = decision.live
                self._say_adopted(desired, live)
                if decision.notice and decision.notice is not Notice.WAITING:
                    self._say(decision.notice, desired.address, live)
            else:
                known = {connection.id for connection in before}
                made = self._posting.post(desired, lambda: self._made(desired, known))
                # Codat may leave the key out, and then it is the one that was asked for.
                live = dataclasses.replace(made, platform_key=made.platform_key or desired.platform_key)
                self.snapshot.put(live)
            self.state.hold(live.id, desired.address, made=decision.posts)
            return live

    def _relist(self, desired: DesiredConnection) -> tuple[LiveConnection, ...]:
        try:
            return self.snapshot.relist(desired.company_id)
        except NotFound as error:
            raise self._unseen(desired) from error

    def _made(self, desired: DesiredConnection, known: set[str]) -> LiveConnection | None:
        """Find the row that an ambiguous POST left: new, not authorised by anybody, and nobody's."""
        live = self.snapshot.relist(desired.company_id)
        beside = self.state.beside(desired)
        taken = {*known, *beside.recorded, *beside.claimed}
        return next(
            (
                c
                for c in live
                if c.id not in taken
                and c.platform_key in {desired.platform_key, None}
                and c.status not in {Status.LINKED, Status.DEAUTHORIZED, Status.UNLINKED}
            ),
            None,
        )

    # Changing.

    def update(self, prior: PriorConnection, desired: DesiredConnection) -> LiveConnection:
        """Do what the table asks of a declared connection; merely recording it anew is no call.

        Raises `Refused` if it has gone meanwhile.
        """
        with self.snapshot.locked(desired.company_id):
            found = self.find(prior)
            if rule_table.declared_again(prior, desired.status, found).action is Action.UNLINK:
                found = self.snapshot.fresh(desired.company_id, prior.id)
            if found is None:
                raise Refused(f"{desired.address}: its connection is gone meanwhile; run again")
            self.state.hold(prior.id, desired.address)
            cell = rule_table.declared_again(prior, desired.status, found)
            return self._unlink(found, desired.address, cell) if cell.action is Action.UNLINK else found

    def remove(self, prior: PriorConnection) -> None:
        """Do what the policy asks of a connection that is recorded and no longer declared.

        An id that a declared address holds is only forgotten. Raises `Refused` if a create of the same
        company and platform failed, and `UnsafePlan` over the limit on losses: then nothing is forgotten
        either.
        """
        if self.state.is_kept(prior.id):
            return
        if self.state.has_failed(prior.slot):
            raise Refused(
                f"{prior.address}: it stays, since a create for the same company and platform failed in this"
                " run; see that error, then run again"
            )
        if not self.state.declares:
            self._losses.require_counted(prior.address)
        self._losses.total()
        if prior.desired.on_removal is OnRemoval.RETAIN:
            return
        if self.foresee_removal(prior).removal is Action.FORGET:
            return
        with self.snapshot.locked(prior.desired.company_id):
            fresh = self.snapshot.fresh(prior.desired.company_id, prior.id)
            cell = rule_table.removed(prior.desired.on_removal, fresh)
            refused(removed(prior, fresh))
            if fresh and cell.action is Action.UNLINK:
                self._unlink(fresh, prior.address, cell)
            elif fresh and cell.action is Action.DELETE:
                self._delete(fresh, prior.address)

    def _unlink(self, live: LiveConnection, address: str, cell: Cell) -> LiveConnection:
        self._count(live, address)
        try:
            unlinked = self._client.unlink(live.company_id, live.id)
        except Rejected:
            if not cell.tolerant:
                raise
            self._say(Notice.UNLINK_REFUSED, address, live)
            return live
        self.snapshot.put(unlinked)
        return self.snapshot.named(unlinked)

    def _delete(self, live: LiveConnection, address: str) -> None:
        self._count(live, address)
        with contextlib.suppress(NotFound):  # somebody was faster, or an earlier try of ours was
            self._client.delete(live.company_id, live.id)
        self.snapshot.drop(live.company_id, live.id)

    def _count(self, live: LiveConnection, address: str) -> None:
        if rule_table.loses(Action.DELETE, live):
            self._losses.count(live.id, address)
