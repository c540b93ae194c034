"""What is decided about connections, without a call that changes something: what `pulumi preview` asks.

`rules.py` and `creation.py` decide, `Ledger` remembers who holds what, `Snapshot` knows what is live and
`Losses` counts. `Operations` is this, and carries it out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property

from codat_iac import rules
from codat_iac.client import Client
from codat_iac.creation import Adopt, Decision, Post, Refuse, decide
from codat_iac.errors import NotFound, Refused
from codat_iac.ledger import Ledger
from codat_iac.losses import Losses, loses_on_removal
from codat_iac.model import DesiredConnection, Integration, LiveConnection, PriorConnection
from codat_iac.rules import Action, Cell, LossLimit, Notice, Verdict
from codat_iac.settings import Settings
from codat_iac.snapshot import Snapshot


class Foresight:
    """The decisions of one process, on one tenant. May be shared by threads.

    *notify* is told each notice, as (kind, address, text).
    """

    def __init__(
        self, client: Client, settings: Settings, notify: Callable[[Notice, str, str], None]
    ) -> None:
        self.snapshot = Snapshot(client)
        self.ledger = Ledger()
        self._client = client
        self._settings = settings
        self._notify = notify
        self._losses = Losses(LossLimit(settings.max_losses), self.ledger, self.find)

    # Reading.

    def read(self, prior: PriorConnection) -> LiveConnection | None:
        """Read a recorded connection: None where it is absent, and an error wherever that isn't certain.

        Raises `Refused` for a company that answers 404, unless that is accepted.
        """
        self.ledger.read(prior)
        live = self.find(prior)
        if live is None:
            self._say(Notice.GONE, prior.address)
        return live

    @property
    def forgets_missing(self) -> bool:
        """Say whether a read may drop what it finds absent: one read doesn't see how much else is."""
        return self._settings.accept_missing

    def find(self, prior: PriorConnection) -> LiveConnection | None:
        """Look a recorded connection up in the snapshot: None where it is absent, see `read`."""
        live = None
        try:
            live = self.snapshot.find(prior.desired.company_id, prior.id)
        except NotFound as error:
            if not self._settings.accept_missing:
                raise self._unseen(prior.desired) from error
        if live is None:
            self.ledger.missing(prior.id)
        return live

    def _unseen(self, desired: DesiredConnection) -> Refused:
        rest = (
            "it can have no connection; correct its id, or take it out of the file"
            if self._settings.accept_missing
            else "is it the right key and the right id? If the company really is gone, set"
            " CODAT_ACCEPT_MISSING=true (or codat:acceptMissing)"
        )
        return Refused(
            f"{desired.address}: company {desired.company_id} can't be seen with this API key; {rest}"
        )

    def _believe_absence(self, address: str) -> None:
        """Refuse to act on an absence while suspiciously much is absent."""
        gone, recorded = self.ledger.gone, self.ledger.recorded
        if rules.too_many_missing(gone, recorded) and not self._settings.accept_missing:
            raise Refused(
                f"{address}: {gone} of {recorded or 'all'} recorded connections are gone at once; is it the"
                " right API key? If they really are gone, set CODAT_ACCEPT_MISSING=true (or"
                " codat:acceptMissing)"
            )

    # Deciding.

    def outlook(self) -> dict[Notice, list[str]]:
        """Tell which notices the recorded connections give rise to, by kind the addresses."""
        coming: dict[Notice, list[str]] = {}
        for prior in self.ledger.leaving().values():
            notice = rules.declared_again(prior, prior.desired.status, self.find(prior)).notice
            if notice:
                coming.setdefault(notice, []).append(prior.address)
        return coming

    def foresee(self, desired: DesiredConnection) -> None:
        """Decide about a connection that isn't recorded, so that a preview shows what a create would do.

        Raises as the create would, and then nothing of the same company and platform is removed either.
        """
        self.ledger.expect(desired)  # at once, since a sibling's create that is under way may ask
        self._foresee_with(desired)

    def _foresee_with(self, desired: DesiredConnection) -> None:
        """Decide about those that only waited for word of *desired*."""
        ready = self.ledger.foreseeable(desired)
        if not ready:
            return
        with self.snapshot.locked(desired.company_id):
            for each in ready:
                if self.ledger.claimed_by(each.address) is None:
                    with self._failing(each):
                        self._foresee(each)

    def _foresee(self, desired: DesiredConnection) -> None:
        decision = self._decide(desired, self._company(desired))
        if isinstance(decision, Adopt):
            adopted = decision.connection
            self._count(rules.declared(desired.status, adopted).action, adopted, desired.address)
            self.ledger.claim(adopted.id, desired.address, foreseen=True)
            self._say(Notice.ADOPTED, desired.address, adopted)

    @contextlib.contextmanager
    def _failing(self, desired: DesiredConnection) -> Iterator[None]:
        """Remember that *desired* was not created, where that is so."""
        try:
            yield
        except Exception:
            self.ledger.fail(desired)
            raise

    def compare(self, prior: PriorConnection, desired: DesiredConnection) -> Verdict:
        """Decide about a connection that is recorded and declared. Raises `Refused` where the table does."""
        holder = self.ledger.holder(prior.id)
        taken = holder not in {None, desired.address}
        if taken and not rules.replaced_by(prior, desired):
            raise Refused(
                f"{desired.address}: connection {prior.id} is declared as {holder} too; declare it once, or"
                " pass `siblings` where several are meant"
            )
        live = self.find(prior)
        if live is None:
            self._believe_absence(prior.address)
        verdict = rules.compare(prior, desired, live)
        raise_problem(verdict.cell, desired.address)
        if verdict.action is Action.REPLACE:
            if rules.removed(prior.desired.on_removal, live).problem:
                raise Refused(
                    f"{desired.address}: what it replaces has a status that codat-iac doesn't know, so it"
                    " stays; declare it as it was, with `onRemoval: retain`, apply, and then change it"
                )
            self.ledger.release(desired.address)
            self.foresee(desired)
            lost = loses_on_removal(prior, live) and not taken
        else:
            self.ledger.claim(prior.id, desired.address)
            lost = rules.loses(verdict.action, live)
        if lost:
            self._losses.count(prior.id, desired.address)
        if verdict.cell.notice:
            self._say(verdict.cell.notice, desired.address, live)
        self._foresee_with(desired)
        return verdict

    def foresee_removal(self, prior: PriorConnection) -> tuple[Cell, LiveConnection | None]:
        """Decide about a connection that is recorded and no longer declared.

        Raises `Refused` where the table does, or where its absence isn't believed.
        """
        live = self.find(prior)
        if live is None:
            self._believe_absence(prior.address)
        cell = rules.removed(prior.desired.on_removal, live)
        raise_problem(cell, prior.address)
        return cell, live

    def _decide(self, desired: DesiredConnection, live: tuple[LiveConnection, ...]) -> Decision:
        decision = decide(desired, live, self.ledger.holdings(desired, (each.id for each in live)))
        if isinstance(decision, Post):
            raise_problem(rules.declared(desired.status, None), desired.address)
            self._check_platform(desired)
        if isinstance(decision, Refuse):
            raise Refused(f"{desired.address}: {decision.reason}")
        return decision

    def _company(self, desired: DesiredConnection) -> tuple[LiveConnection, ...]:
        try:
            return self.snapshot.company(desired.company_id)
        except NotFound as error:
            raise self._unseen(desired) from error

    def _check_platform(self, desired: DesiredConnection) -> None:
        problem = rules.platform_problem(desired.platform_key, self._integrations)
        if problem:
            raise Refused(f"{desired.address}: {problem}")

    @cached_property
    def _integrations(self) -> dict[str, Integration]:
        return {integration.key: integration for integration in self._client.integrations()}

    def _count(self, action: Action, live: LiveConnection, address: str) -> None:
        if rules.loses(action, live):
            self._losses.count(live.id, address)

    def _say(self, notice: Notice, address: str, live: LiveConnection | None = None) -> None:
        self._notify(notice, address, rules.say(notice, address, live))


def raise_problem(cell: Cell, address: str) -> None:
    """Raise `Refused` where the rule table has no action but an error."""
    if cell.problem:
        raise Refused(f"{address}: {cell.problem}")
