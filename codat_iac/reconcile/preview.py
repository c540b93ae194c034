"""What the provider's hooks decide without a call that changes something: what `pulumi preview` asks.

`decision.py` decides, `RunState` knows the whole as far as it was told, `Snapshot` knows what is live and
`Losses` counts. `Operations` is this, and carries it out.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from functools import cached_property

from codat_iac.codat.client import Reader
from codat_iac.model.connection import DesiredConnection, Integration, LiveConnection, PriorConnection
from codat_iac.model.errors import NotFound, Refused
from codat_iac.model.settings import Settings
from codat_iac.planning import notices, rule_table
from codat_iac.planning.decision import Decision, continued, new, removed
from codat_iac.planning.limits import LossLimit, missing_refusal, unseen
from codat_iac.planning.notices import Notice
from codat_iac.planning.platforms import platform_problem
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile.losses import Losses
from codat_iac.reconcile.run_state import RunState
from codat_iac.reconcile.snapshot import Snapshot


class Foresight:
    """The decisions of one process, on one tenant. May be shared by threads.

    *notify* is told each notice, as (kind, address, text).
    """

    def __init__(
        self, client: Reader, settings: Settings, notify: Callable[[Notice, str, str], None]
    ) -> None:
        self.snapshot = Snapshot(client)
        self.state = RunState()
        self._reader = client
        self._settings = settings
        self._notify = notify
        self._losses = Losses(LossLimit(settings.max_losses), self.state, self.find)

    # Reading.

    def read(self, prior: PriorConnection) -> LiveConnection | None:
        """Read a recorded connection: None if it is absent, and an error whenever that isn't certain.

        Raises `Refused` for a company that answers 404, unless that is accepted.
        """
        self.state.record(prior)
        live = self.find(prior)
        if live is None:
            self._say(Notice.GONE, prior.address)
        return live

    @property
    def forgets_missing(self) -> bool:
        """Whether a read may drop what it finds absent: one read doesn't see how much else is."""
        return self._settings.accept_missing

    def find(self, prior: PriorConnection) -> LiveConnection | None:
        """Look a recorded connection up in the snapshot: None if it is absent, see `read`."""
        live = None
        try:
            live = self.snapshot.find(prior.desired.company_id, prior.id)
        except NotFound as error:
            if not self._settings.accept_missing:
                raise Refused(
                    f"{prior.address}: {unseen(prior.desired.company_id, accepted=False)}"
                ) from error
        if live is None:
            self.state.miss(prior.id)
        return live

    def _believe_absence(self, address: str) -> None:
        """Refuse to act on an absence while suspiciously much is absent."""
        refusal = missing_refusal(self.state.gone, self.state.recorded)
        if refusal and not self._settings.accept_missing:
            raise Refused(f"{address}: {refusal}")

    # Deciding.

    def outlook(self) -> dict[Notice, list[str]]:
        """Return the notices that the recorded connections give rise to, by kind the addresses."""
        coming: dict[Notice, list[str]] = {}
        for prior in self.state.leaving().values():
            notice = rule_table.declared_again(prior, prior.desired.status, self.find(prior)).notice
            if notice:
                coming.setdefault(notice, []).append(prior.address)
        return coming

    def foresee(self, desired: DesiredConnection) -> Decision:
        """Decide about an address that gets a connection, so that a preview shows what a create would do.

        Raises as the create would, and then nothing of the same company and platform is removed either.
        """
        with self.snapshot.locked(desired.company_id), self._failing(desired):
            try:
                company = self.snapshot.company(desired.company_id)
            except NotFound as error:
                raise self._unseen(desired) from error
            decision = self._new(desired, company)
        if decision.action is Action.ADOPT and decision.live:
            self._say_adopted(desired, decision.live)
        return decision

    def _say_adopted(self, desired: DesiredConnection, live: LiveConnection) -> None:
        unlinks = rule_table.declared(desired.status, live).action is Action.UNLINK
        self._say(Notice.ADOPTED_FIRST if unlinks else Notice.ADOPTED, desired.address, live)

    def _unseen(self, desired: DesiredConnection) -> Refused:
        return Refused(
            f"{desired.address}: {unseen(desired.company_id, accepted=self._settings.accept_missing)}"
        )

    @contextlib.contextmanager
    def _failing(self, desired: DesiredConnection) -> Iterator[None]:
        """Remember that *desired* was not created, if that is so."""
        try:
            yield
        except Exception:
            self.state.fail(desired.slot)
            raise

    def compare(self, prior: PriorConnection, desired: DesiredConnection) -> Decision:
        """Decide about a connection that is recorded and declared. Raises `Refused` if the table does."""
        holder = self.state.holder(prior.id)
        live = self.find(prior)
        if live is None:
            self._believe_absence(prior.address)
        decision = refused(continued(prior, desired, live))
        if decision.action is Action.REPLACE:
            self.state.replace(prior.id, desired.address)
            self.foresee(desired)
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
            self._say(Notice.LOSES, desired.address, live)
        if decision.notice:
            self._say(decision.notice, desired.address, live)
        return decision

    def foresee_removal(self, prior: PriorConnection) -> Decision:
        """Decide about a connection that is recorded and no longer declared.

        Raises `Refused` if the table does, or if its absence isn't believed.
        """
        live = self.find(prior)
        if live is None:
            self._believe_absence(prior.address)
        return refused(removed(prior, live))

    def _new(self, desired: DesiredConnection, company: tuple[LiveConnection, ...]) -> Decision:
        decision = refused(new(desired, company, self.state.beside(desired)))
        if decision.posts:
            problem = platform_problem(desired.platform_key, self._integrations)
            refused(dataclasses.replace(decision, problem=problem))
        return decision

    @cached_property
    def _integrations(self) -> dict[str, Integration]:
        return {integration.key: integration for integration in self._reader.integrations()}

    def _say(self, notice: Notice, address: str, live: LiveConnection | None = None) -> None:
        self._notify(notice, address, notices.say(notice, address, live))


def refused(decision: Decision) -> Decision:
    """Return *decision*. Raises `Refused` if it has a problem instead of an action."""
    if decision.problem:
        raise Refused(f"{decision.address}: {decision.problem}")
    return decision
