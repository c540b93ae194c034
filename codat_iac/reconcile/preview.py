"""The decisions of the provider's hooks, without any call that changes something: what `pulumi preview` does.

`decision.py` decides, `RunState` knows what this process was told about the stack, `Snapshot` knows what is
live, and `Losses` counts. `Operations` extends `Preview` and carries the decisions out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Collection, Iterator
from functools import cached_property

from codat_iac.codat.client import Reader
from codat_iac.model.connection import DesiredConnection, Integration, LiveConnection, PriorConnection
from codat_iac.model.errors import Mismatch, NotFound, Refused
from codat_iac.model.settings import Settings
from codat_iac.planning import notices, rule_table
from codat_iac.planning.decision import Decision, decide_existing, decide_new, decide_removal
from codat_iac.planning.notices import Expected, Notice
from codat_iac.planning.platforms import platform_problem
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import LossLimit, missing_refusal, unseen_company
from codat_iac.reconcile.losses import Losses
from codat_iac.reconcile.run_state import RunState
from codat_iac.reconcile.snapshot import Snapshot


class Preview:
    """The decisions of one process on one tenant. Threads may share it.

    *notify* is called for each notice, with kind, address and text.
    """

    def __init__(
        self, client: Reader, settings: Settings, notify: Callable[[Notice, str, str], None]
    ) -> None:
        self.snapshot = Snapshot(client)
        self.state = RunState()
        self._reader = client
        self._settings = settings
        self._notify = notify
        self._seeing = threading.Lock()
        self._any_seen = False
        self._first_unseen: str | None = None
        self._losses = Losses(
            LossLimit(settings.max_losses, settings.approved_losses, settings.shards), self.state, self.find
        )

    def approve_losses(self, ids: Collection[str]) -> None:
        """Let this process end only the authorisations of the connections with these *ids*."""
        self._losses.approve(ids)

    # Reading.

    def read(self, prior: PriorConnection) -> LiveConnection | None:
        """Read a recorded connection; None means that it is certainly absent.

        Raises `Mismatch` for a company that answers 404, unless that is accepted, and `ApiError` if live
        can't be read.
        """
        self.state.record(prior)
        live = self.find(prior)
        if live is None:
            self._report(Notice.GONE, prior.address)
        return live

    @property
    def forgets_missing(self) -> bool:
        """Whether a read may drop an absent connection: one read doesn't know how many others are absent."""
        return self._settings.accept_missing

    def find(self, prior: PriorConnection) -> LiveConnection | None:
        """Return the live connection, from the snapshot, of a recorded one. Returns and raises as `read`."""
        live = None
        try:
            live = self.snapshot.find(prior.desired.company_id, prior.id)
            self._any_seen = True
        except NotFound as error:
            if not self._settings.accept_missing:
                raise self._unseen(prior.address, prior.desired.company_id) from error
        if live is None:
            self.state.mark_missing(prior.id)
        return live

    def _check_absence(self, address: str) -> None:
        """Refuse to act on an absence if suspiciously many connections are absent."""
        refusal = missing_refusal(self.state.missing_count, self.state.recorded_count)
        if refusal and not self._settings.accept_missing:
            raise Mismatch(f"{address}: {refusal}")

    # Deciding.

    def expected_notices(self) -> list[Expected]:
        """Return the notices about the recorded connections."""
        coming = []
        for prior in self.state.leaving().values():
            live = self.find(prior)
            notice = rule_table.still_declared(prior, prior.desired.status, live).notice
            if live and notice:
                fresh = self.state.status_changed(prior.id, live.status)
                coming.append(Expected(notice, prior.address, live.status, fresh))
        return coming

    def preview_create(self, desired: DesiredConnection) -> Decision:
        """Decide about an address that gets a connection, so that a preview shows what its create would do.

        Raises what the create would raise, and then nothing of the same company and platform is removed
        either.
        """
        with self.snapshot.locked(desired.company_id), self._remember_failure(desired):
            try:
                company = self.snapshot.company(desired.company_id)
                self._any_seen = True
            except NotFound as error:
                raise self._unseen(desired.address, desired.company_id) from error
            decision = self._new(desired, company)
        if decision.live:  # adopted
            self._report_adopted(desired, decision.live)
        return decision

    def _report_adopted(self, desired: DesiredConnection, live: LiveConnection) -> None:
        unlinks = rule_table.declared(desired.status, live).action is Action.UNLINK
        self._report(Notice.ADOPTED_FIRST if unlinks else Notice.ADOPTED, desired.address, live)

    def _unseen(self, address: str, company_id: str) -> Mismatch:
        """Return the error for a company that can't be seen: the same for all as long as none is seen."""
        accepted = self._settings.accept_missing
        with self._seeing:
            others_seen = accepted or (self._any_seen and company_id != self._first_unseen)
            if not others_seen:
                company_id = self._first_unseen = self._first_unseen or company_id
        said = unseen_company(company_id, accepted=accepted, others_seen=others_seen)
        return Mismatch(f"{address}: {said}")

    @contextlib.contextmanager
    def _remember_failure(self, desired: DesiredConnection) -> Iterator[None]:
        """Remember if *desired* wasn't created."""
        try:
            yield
        except Exception:
            self.state.mark_failed(desired.slot)
            raise

    def compare(self, prior: PriorConnection, desired: DesiredConnection) -> Decision:
        """Decide about a connection that is recorded and declared. Raises `Refused` if it is refused."""
        holder = self.state.holder(prior.id)
        live = self.find(prior)
        if live is None:
            self._check_absence(prior.address)
        decision = raise_if_refused(decide_existing(prior, desired, live))
        if decision.action is Action.REPLACE:
            self.state.mark_replaced(prior.id, desired.address)
            self.preview_create(desired)
        elif holder not in {None, desired.address}:
            raise Refused(
                f"{desired.address}: connection {prior.id} is recorded as {holder} too; take the wrong one"
                " out of the state, which calls nothing: `pulumi state delete` its URN, which"
                " `pulumi stack --show-urns` shows"
            )
        else:
            self.state.hold(prior.id, desired.address)
        if decision.loses and holder is None:
            self._losses.count(prior.id, desired.address)
            self._report(Notice.LOSES, desired.address)
        if decision.notice:
            self._report(decision.notice, desired.address, live)
        return decision

    def preview_removal(self, prior: PriorConnection) -> Decision:
        """Decide about a connection that is recorded and no longer declared.

        Raises `Refused` if that is refused, or if its absence isn't believed.
        """
        live = self.find(prior)
        if live is None:
            self._check_absence(prior.address)
        return raise_if_refused(decide_removal(prior, live))

    def _new(self, desired: DesiredConnection, company: tuple[LiveConnection, ...]) -> Decision:
        decision = raise_if_refused(decide_new(desired, company, self.state.slot_view(desired)))
        if decision.posts:
            problem = platform_problem(desired.platform_key, self._integrations)
            raise_if_refused(dataclasses.replace(decision, problem=problem))
        return decision

    @cached_property
    def _integrations(self) -> dict[str, Integration]:
        return {integration.key: integration for integration in self._reader.integrations()}

    def _report(self, notice: Notice, address: str, live: LiveConnection | None = None) -> None:
        self._notify(notice, address, notices.message(notice, address, live))


def raise_if_refused(decision: Decision) -> Decision:
    """Return *decision*. Raises `Refused` if it has a problem."""
    if decision.problem:
        raise Refused(f"{decision.address}: {decision.problem}")
    return decision
