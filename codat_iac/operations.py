"""What is done to connections, safely: create exactly once, unlink, remove.

Every call that changes something starts here, decided about by `Foresight`; `Posting` makes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable

from codat_iac import rules
from codat_iac.client import Client
from codat_iac.creation import Adopt, decide
from codat_iac.errors import NotFound, Refused, Rejected
from codat_iac.foresight import Foresight, raise_problem
from codat_iac.model import DesiredConnection, LiveConnection, OnRemoval, PriorConnection, Status
from codat_iac.posting import SETTLING, Posting
from codat_iac.rules import Action, Cell, Notice
from codat_iac.settings import Settings


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
        self._posting = Posting(client, sleep, settling)

    # Creating.

    def create(self, desired: DesiredConnection) -> LiveConnection:
        """Adopt the connection that is there, or make one: never two where one was asked.

        Raises `Refused` where neither is certain to be right, `ApiError` where Codat didn't do it; after
        either, nothing of the same company and platform is removed in this process.
        """
        with self.snapshot.locked(desired.company_id), self._failing(desired):
            live = self._reach(desired, self._adopt_or_post(desired))
            self.ledger.claim(live.id, desired.address)
            return live

    def _adopt_or_post(self, desired: DesiredConnection) -> LiveConnection:
        moved = self._moved(desired)
        if moved:
            self._say(Notice.ADOPTED, desired.address, moved)
            return moved
        before = self._relist(desired)
        decision = self._decide(desired, before)
        if isinstance(decision, Adopt):
            self._say(Notice.ADOPTED, desired.address, decision.connection)
            live = decision.connection
        else:
            known = {connection.id for connection in before}
            made = self._posting.post(desired, lambda: self._made(desired, known))
            # Codat may leave the key out, and then it is the one that was asked for.
            live = dataclasses.replace(made, platform_key=made.platform_key or desired.platform_key)
            self.snapshot.put(live)
        return live

    def _moved(self, desired: DesiredConnection) -> LiveConnection | None:
        """Find what the state holds at an address that is no longer declared: a rename needs no call."""
        known = self.snapshot.known(desired.company_id)
        match decide(desired, known, self.ledger.holdings(desired, (each.id for each in known))):
            case Adopt(connection) if self.ledger.is_recorded(connection.id):
                return connection
        return None

    def _relist(self, desired: DesiredConnection) -> tuple[LiveConnection, ...]:
        try:
            return self.snapshot.relist(desired.company_id)
        except NotFound as error:
            raise self._unseen(desired) from error

    def _made(self, desired: DesiredConnection, known: set[str]) -> LiveConnection | None:
        """Find the row that an ambiguous POST left: new, not authorised by anybody, and nobody's."""
        live = self.snapshot.relist(desired.company_id)
        holdings = self.ledger.holdings(desired, (each.id for each in live))
        return next(
            (
                c
                for c in live
                if c.id not in known
                and c.platform_key in {desired.platform_key, None}
                and c.status not in {Status.LINKED, Status.DEAUTHORIZED, Status.UNLINKED}
                and holdings.holder(c.id, desired) is None
            ),
            None,
        )

    def _reach(self, desired: DesiredConnection, live: LiveConnection) -> LiveConnection:
        """Bring what was just adopted to the desired status: only an unlink can be asked for."""
        if rules.declared(desired.status, live).action is Action.UNLINK:
            live = self._there(desired, self.snapshot.fresh(desired.company_id, live.id))
        cell = rules.declared(desired.status, live)
        if cell.action is Action.UNLINK:
            return self._unlink(live, desired.address, cell)
        if cell.notice and cell.notice is not Notice.WAITING:
            self._say(cell.notice, desired.address, live)
        return live

    # Changing.

    def update(self, prior: PriorConnection, desired: DesiredConnection) -> LiveConnection:
        """Do what the table asks of a declared connection; merely recording it anew is no call.

        Raises `Refused` where it has gone meanwhile.
        """
        with self.snapshot.locked(desired.company_id):
            found = self.find(prior)
            if rules.declared_again(prior, desired.status, found).action is Action.UNLINK:
                found = self.snapshot.fresh(desired.company_id, prior.id)
            live = self._there(desired, found)
            self.ledger.claim(prior.id, desired.address)
            cell = rules.declared_again(prior, desired.status, live)
            return self._unlink(live, desired.address, cell) if cell.action is Action.UNLINK else live

    def _there(self, desired: DesiredConnection, live: LiveConnection | None) -> LiveConnection:
        if live is None:
            raise Refused(f"{desired.address}: its connection is gone meanwhile; run again")
        return live

    def remove(self, prior: PriorConnection) -> None:
        """Do what the policy asks of a connection that is recorded and no longer declared.

        An id that a declared address holds is left alone: that was a rename. Raises `Refused` where a
        create of the same company and platform failed or never came, and `UnsafePlan` over the limit on
        losses.
        """
        if self.ledger.is_held(prior.id):
            return
        heir = self.ledger.holder(prior.id)
        if heir:
            raise Refused(
                f"{prior.address}: it stays, since {heir} was to take it over and didn't; run `pulumi up`"
            )
        if self.ledger.has_failed(prior.slot):
            raise Refused(
                f"{prior.address}: it stays, since a create for the same company and platform failed in this"
                " run; see that error, then run again"
            )
        if prior.desired.on_removal is OnRemoval.RETAIN:
            return
        cell, _ = self.foresee_removal(prior)
        if cell.action is Action.FORGET:
            return
        self._losses.total()
        with self.snapshot.locked(prior.desired.company_id):
            fresh = self.snapshot.fresh(prior.desired.company_id, prior.id)
            cell = rules.removed(prior.desired.on_removal, fresh)
            raise_problem(cell, prior.address)
            if fresh and cell.action is Action.UNLINK:
                self._unlink(fresh, prior.address, cell)
            elif fresh and cell.action is Action.DELETE:
                self._delete(fresh, prior.address)

    def _unlink(self, live: LiveConnection, address: str, cell: Cell) -> LiveConnection:
        self._count(Action.UNLINK, live, address)
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
        self._count(Action.DELETE, live, address)
        with contextlib.suppress(NotFound):  # somebody was faster, or an earlier try of ours was
            self._client.delete(live.company_id, live.id)
        self.snapshot.drop(live.company_id, live.id)
