"""What is done to connections, safely: read, create exactly once, unlink, remove.

Every call that changes something starts here. `rules.py` and `creation.py` decide, `Ledger` remembers
who holds what, `Snapshot` knows what is live, `Posting` makes and `Losses` counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import cached_property

from codat_iac import rules
from codat_iac.client import Client
from codat_iac.creation import Adopt, Decision, Post, Refuse, decide
from codat_iac.errors import NotFound, Refused, Rejected
from codat_iac.ledger import Ledger
from codat_iac.losses import Losses, loses_on_removal
from codat_iac.model import DesiredConnection, Integration, LiveConnection, OnRemoval, PriorConnection, Status
from codat_iac.posting import SETTLING, Posting
from codat_iac.rules import Action, Cell, LossLimit, Notice, Verdict
from codat_iac.settings import Settings
from codat_iac.snapshot import Snapshot


class Operations:
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
        self.snapshot = Snapshot(client)
        self.ledger = Ledger()
        self._client = client
        self._settings = settings
        self._notify = notify
        self._posting = Posting(client, sleep, settling)
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
        with self.snapshot.locked(desired.company_id):
            for expected in self.ledger.foreseeable(desired):
                with self._failing(expected):
                    self._foresee(expected)

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
        _raise_problem(verdict.cell, desired.address)
        if verdict.action is Action.REPLACE:
            if not taken and rules.removed(prior.desired.on_removal, live).problem:
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
        return verdict

    def foresee_removal(self, prior: PriorConnection) -> tuple[Cell, LiveConnection | None]:
        """Decide about a connection that is recorded and no longer declared.

        Raises `Refused` where the table does, or where its absence isn't believed.
        """
        live = self.find(prior)
        if live is None:
            self._believe_absence(prior.address)
        cell = rules.removed(prior.desired.on_removal, live)
        _raise_problem(cell, prior.address)
        return cell, live

    def _decide(self, desired: DesiredConnection, live: tuple[LiveConnection, ...]) -> Decision:
        decision = decide(desired, live, self.ledger.holdings(desired, (each.id for each in live)))
        if isinstance(decision, Post):
            _raise_problem(rules.declared(desired.status, None), desired.address)
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
            _raise_problem(cell, prior.address)
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

    def _count(self, action: Action, live: LiveConnection, address: str) -> None:
        if rules.loses(action, live):
            self._losses.count(live.id, address)

    def _say(self, notice: Notice, address: str, live: LiveConnection | None = None) -> None:
        self._notify(notice, address, rules.say(notice, address, live))


def _raise_problem(cell: Cell, address: str) -> None:
    if cell.problem:
        raise Refused(f"{address}: {cell.problem}")
