"""Change connections safely: create exactly once, unlink, remove.

Every call that changes something starts here. `Preview` decides about it, and `CreateOnce` creates.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable

from codat_iac.codat.client import Client
from codat_iac.model.connection import DesiredConnection, LiveConnection, OnRemoval, PriorConnection, Status
from codat_iac.model.errors import NotFound, Refused, Rejected, saying_if_unsure
from codat_iac.model.settings import Settings
from codat_iac.planning import rule_table
from codat_iac.planning.decision import decide_removal
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action, Cell
from codat_iac.reconcile.create_once import SETTLING, CreateOnce
from codat_iac.reconcile.preview import Preview, raise_if_refused


class Operations(Preview):
    """The operations of one process on one tenant. Threads may share it.

    *notify* is called for each notice, with kind, address and text. *sleep* waits for a number of seconds.
    *settling* is how many seconds to wait after a POST with an uncertain outcome.
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
        self._create_once = CreateOnce(client, sleep, settling)

    # Creating.

    def create(self, desired: DesiredConnection) -> LiveConnection:
        """Adopt an existing connection, or create one: never two for one address.

        An adopted connection is only recorded; if the file asks to unlink it, the next run does. Raises
        `Refused` if it isn't certain what is right, and `ApiError` if Codat didn't do it. After either,
        nothing of the same company and platform is removed in this process.
        """
        with self.snapshot.locked(desired.company_id), self._remember_failure(desired):
            before = self._relist(desired)
            decision = self._new(desired, before)
            if decision.live:
                live = decision.live
                self._report_adopted(desired, live)
                if decision.notice and decision.notice is not Notice.WAITING:
                    self._report(decision.notice, desired.address, live)
            else:
                known = {connection.id for connection in before}
                made = self._create_once.create(desired, lambda: self._find_made(desired, known))
                # If Codat leaves the platform key out, it is the one that was asked for.
                live = dataclasses.replace(made, platform_key=made.platform_key or desired.platform_key)
                self.snapshot.put(live)
            self.state.hold(live.id, desired.address, made=decision.posts)
            return live

    def _relist(self, desired: DesiredConnection) -> tuple[LiveConnection, ...]:
        try:
            return self.snapshot.relist(desired.company_id)
        except NotFound as error:
            raise self._unseen(desired.address, desired.company_id) from error

    def _find_made(self, desired: DesiredConnection, known: set[str]) -> LiveConnection | None:
        """Find the connection that an ambiguous POST made: new, not authorised yet, and nobody else's."""
        live = self.snapshot.relist(desired.company_id)
        view = self.state.slot_view(desired)
        return next(
            (
                c
                for c in live
                if not (c.id in known or c.id in view.recorded or c.id in view.claimed)
                and c.platform_key in {desired.platform_key, None}
                and c.status not in {Status.LINKED, Status.DEAUTHORIZED, Status.UNLINKED}
            ),
            None,
        )

    # Changing.

    def update(self, prior: PriorConnection, desired: DesiredConnection) -> LiveConnection:
        """Do what the rule table asks of a declared connection; changed inputs are recorded without a call.

        Raises `Refused` if the connection is gone by now.
        """
        with self.snapshot.locked(desired.company_id):
            found = self.find(prior)
            if rule_table.still_declared(prior, desired.status, found).action is Action.UNLINK:
                found = self.snapshot.fresh(desired.company_id, prior.id)
            if found is None:
                raise Refused(f"{desired.address}: its connection is gone meanwhile; run again")
            self.state.hold(prior.id, desired.address)
            cell = rule_table.still_declared(prior, desired.status, found)
            return self._unlink(found, desired.address, cell) if cell.action is Action.UNLINK else found

    def remove(self, prior: PriorConnection) -> None:
        """Do what the policy asks of a connection that is recorded and no longer declared.

        A connection that a declared address has is only forgotten. Raises `Refused` if a create of the same
        company and platform failed, and `UnsafePlan` if the limit on losses is exceeded: then nothing is
        forgotten either.
        """
        if self.state.is_kept(prior.id):
            return
        shard = self._settings.shard
        if shard and not shard.owns(prior.desired.company_id):
            raise Refused(
                f"{prior.address}: it belongs to another shard than {shard}, so it isn't removed here; run"
                " `codat-iac reshard STACK...` with all stacks that have a shard, which moves it"
            )
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
        if self.preview_removal(prior).removal is Action.FORGET:
            return
        with self.snapshot.locked(prior.desired.company_id):
            fresh = self.snapshot.fresh(prior.desired.company_id, prior.id)
            cell = rule_table.removed(prior.desired.on_removal, fresh)
            raise_if_refused(decide_removal(prior, fresh))
            if fresh and cell.action is Action.UNLINK:
                self._unlink(fresh, prior.address, cell)
            elif fresh and cell.action is Action.DELETE:
                self._delete(fresh, prior.address)

    def _unlink(self, live: LiveConnection, address: str, cell: Cell) -> LiveConnection:
        self._count(live, address)
        try:
            with saying_if_unsure(address, "unlinked"):
                unlinked = self._client.unlink(live.company_id, live.id)
        except Rejected:
            if not cell.tolerant:
                raise
            self._report(Notice.UNLINK_REFUSED, address, live)
            return live
        self.snapshot.put(unlinked)
        return self.snapshot.with_platform_key(unlinked)

    def _delete(self, live: LiveConnection, address: str) -> None:
        self._count(live, address)
        # Somebody else, or an earlier try of ours, may have deleted it.
        with contextlib.suppress(NotFound), saying_if_unsure(address, "deleted"):
            self._client.delete(live.company_id, live.id)
        self.snapshot.drop(live.company_id, live.id)

    def _count(self, live: LiveConnection, address: str) -> None:
        if rule_table.loses(Action.DELETE, live):
            self._losses.count(live.id, address)
