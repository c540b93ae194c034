"""Decide about all addresses at once, as the provider's hooks do about one after the other.

Both ask `Operations`: first what is recorded is read, then what is declared is compared or foreseen, and
then what is left goes. Siblings choose in the same order here and there, whichever the engine calls first.
So `pulumi preview` and `codat-iac plan` agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from codat_iac import changes
from codat_iac.errors import Refused, naming
from codat_iac.forecast import Takeover
from codat_iac.model import DesiredConnection, PriorConnection
from codat_iac.operations import Operations
from codat_iac.plan import Change, Problem, Waiting
from codat_iac.rules import Action


@dataclass
class Decisions:
    """What was decided: several changes at one address where what was replaced there is still to be removed.

    `takeovers` are the connections that are there and that an address will have.
    """

    changes: list[Change] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    takeovers: dict[str, Takeover] = field(default_factory=dict)


def decide(
    operations: Operations,
    declared: Sequence[DesiredConnection],
    priors: Sequence[PriorConnection],
    replaced: Sequence[PriorConnection] = (),
) -> Decisions:
    """Decide about what is *declared*, about *priors*, which are recorded, and about what they *replaced*.

    A refusal is a problem of its address, and what is recorded there is left alone.
    """
    deciding = _Deciding(operations, declared, priors, replaced)
    deciding.read()
    deciding.declare()
    deciding.let_go()
    return deciding.found


class _Deciding:
    def __init__(
        self,
        operations: Operations,
        declared: Sequence[DesiredConnection],
        priors: Sequence[PriorConnection],
        replaced: Sequence[PriorConnection],
    ) -> None:
        self.found = Decisions()
        self._operations = operations
        self._declared = declared
        self._priors = {prior.address: prior for prior in priors}
        self._replaced = replaced
        self._held = {prior.address for prior in (*priors, *replaced)}
        self._unread: set[str] = set()
        self._homes = self._find_homes()

    def _find_homes(self) -> Mapping[str, PriorConnection]:
        """Find where each id is recorded: where it is no longer declared, if that is so anywhere."""
        declared = {each.address for each in self._declared}
        homes: dict[str, PriorConnection] = {}
        for prior in self._priors.values():
            if prior.id not in homes or homes[prior.id].address in declared:
                homes[prior.id] = prior
        return homes

    def read(self) -> None:
        """Read what is recorded, as a refresh does."""
        for prior in (*self._priors.values(), *self._replaced):
            with self._collecting(prior.address):
                self._operations.read(prior)
        self._unread = {problem.address for problem in self.found.problems}
        self._operations.ledger.read_all()

    def declare(self) -> None:
        """Decide about what is declared; then it is certain what becomes of what was replaced."""
        for each in self._declared:
            self._operations.ledger.declare(each.address)
        for each in sorted(self._declared, key=self._turn):
            if each.address not in self._unread:
                with self._collecting(each.address):
                    prior = self._priors.get(each.address)
                    if prior:
                        self._compare(prior, each)
                    else:
                        self._create(each)
        self.found.changes = [
            changes.kept_by_another(each) if each.removal and self._is_kept(each.connection_id) else each
            for each in self.found.changes
        ]

    def _turn(self, desired: DesiredConnection) -> tuple[bool, bool, str]:
        """Give the order in which siblings choose: that of `Ledger.foreseeable`."""
        return desired.connection_id is None, desired.address in self._held, desired.address

    def _create(self, desired: DesiredConnection) -> None:
        self._operations.foresee(desired)
        takeover, origin = self._take_over(desired)
        if not takeover:
            self.found.changes.append(changes.made(desired))
            return
        self.found.changes.append(changes.taken(desired, takeover.live, origin))
        self.found.waiting += changes.waiting(desired, takeover.live)

    def _compare(self, prior: PriorConnection, desired: DesiredConnection) -> None:
        verdict = self._operations.compare(prior, desired)
        live = self._operations.find(prior)
        if verdict.action is Action.REPLACE:
            _, origin = self._take_over(desired)
            change = changes.altered(prior, desired, live, verdict)
            moved_from = origin.address if origin else None
            self.found.changes.append(dataclasses.replace(change, moved_from=moved_from))
            return
        if verdict.action is not Action.NONE:
            self.found.changes.append(changes.altered(prior, desired, live, verdict))
        self.found.waiting += changes.waiting(desired, live)

    def _take_over(self, desired: DesiredConnection) -> tuple[Takeover | None, PriorConnection | None]:
        """Find what *desired* is foreseen to take over, and where that is recorded."""
        claimed = self._operations.ledger.claimed_by(desired.address)
        live = self._operations.snapshot.find(desired.company_id, claimed) if claimed else None
        if not live:
            return None, None
        recorded = self._operations.ledger.is_recorded(live.id)
        takeover = Takeover.of(desired, live, recorded=recorded)
        self.found.takeovers[desired.address] = takeover
        return takeover, self._homes.get(live.id)

    def let_go(self) -> None:
        """Decide about what is no longer declared, and about what was replaced in an earlier run."""
        done = {*self._unread, *(each.address for each in self._declared)}
        moved = {each.moved_from for each in self.found.changes}
        for prior in self._priors.values():
            if prior.address not in done:
                with self._collecting(prior.address):
                    self._check_protection(prior)
                    if prior.address not in moved:
                        self.found.changes.append(self._remove(prior))
        for prior in self._replaced:
            if prior.address not in self._unread:
                with self._collecting(prior.address):
                    self.found.changes.append(self._remove(prior))

    def _check_protection(self, prior: PriorConnection) -> None:
        forgotten = self._operations.forgets_missing and self._operations.find(prior) is None
        if prior.protected and not forgotten:
            raise Refused(
                f"{prior.address}: it is protected in the stack's state, so Pulumi neither removes nor"
                " renames it; `pulumi state unprotect` it, if you mean it"
            )

    def _remove(self, prior: PriorConnection) -> Change:
        if self._is_kept(prior.id):
            return changes.kept_by_another(changes.removed(prior, self._operations.find(prior)))
        self._operations.foresee_removal(prior)
        return changes.removed(prior, self._operations.find(prior))

    def _is_kept(self, connection_id: str | None) -> bool:
        return connection_id is not None and self._operations.ledger.holder(connection_id) is not None

    @contextmanager
    def _collecting(self, address: str) -> Iterator[None]:
        try:
            with naming(address):
                yield
        except Refused as refusal:
            self.found.problems.append(Problem(address, str(refusal)))
