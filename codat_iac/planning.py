"""Compute a plan: the decisions that the provider's hooks make, asked for all addresses at once.

`matching.py` says what belongs together, `deciding.py` decides, `changes.py` puts that into changes, and
`forecast.py` counts the calls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from codat_iac import changes, handover, rules
from codat_iac.client import Client
from codat_iac.deciding import Decisions, decide
from codat_iac.errors import NotFound
from codat_iac.forecast import Takeover, forecast
from codat_iac.matching import belongs, match, scope
from codat_iac.model import DesiredConnection, LiveConnection, PriorConnection
from codat_iac.operations import Operations
from codat_iac.plan import WAITS, Drifted, Link, Plan, Unmanaged
from codat_iac.rules import ABSENT, LossLimit, Notice
from codat_iac.settings import Settings
from codat_iac.snapshot import AT_A_TIME

UNLIMITED = 10**9
"""The limit while planning: a plan shows everything, and is refused as a whole."""

_ELSEWHERE = WAITS | {Notice.GONE, Notice.ADOPTED}
"""The notices that a plan tells as what waits, or as a change."""


class Planner:
    """Plans for one tenant, with what one process learns of it.

    *recorded* is all that the state holds, by address, but for what was *replaced* and is still to be
    removed; *company*, the first half of its addresses, narrows down what is looked at.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        recorded: Mapping[str, PriorConnection],
        company: str | None = None,
        replaced: Sequence[PriorConnection] = (),
    ) -> None:
        self._client = client
        self._only = company
        self._limit = LossLimit(settings.max_losses)
        self.recorded = recorded
        self._replaced = replaced
        self._takeovers: dict[str, Takeover] = {}
        self._notes: list[str] = []
        self._seen: set[str] = set()
        unlimited = dataclasses.replace(settings, max_losses=UNLIMITED)
        self.operations = Operations(client, unlimited, self._hear)

    def _hear(self, notice: Notice, _address: str, text: str) -> None:
        if notice not in _ELSEWHERE:
            self._notes.append(text)

    # Plans.

    def plan(self, desired: Sequence[DesiredConnection]) -> Plan:
        """Compare all that is *desired* with what is recorded and live.

        Raises `ApiError` where live can't be read. What can't be done is a problem of the plan.
        """
        everything = [*self.recorded.values(), *self._replaced]
        chosen = scope(self._only, desired, everything) if self._only else None
        declared = [each for each in desired if chosen is None or each.address in chosen]
        priors = []
        for prior in self.recorded.values():
            if chosen is None or prior.address in chosen:
                priors.append(prior)
            else:
                self.operations.ledger.read(prior)  # it counts, and isn't looked at
        replaced = [prior for prior in self._replaced if chosen is None or prior.address in chosen]
        self._prefetch([*declared, *(prior.desired for prior in (*priors, *replaced))])
        self._seen = {prior.address for prior in priors}
        decisions = decide(self.operations, declared, priors, replaced)
        self._takeovers = decisions.takeovers
        return self._whole(declared, decisions)

    def plan_stateless(self, desired: Sequence[DesiredConnection]) -> Plan:
        """Compare desired with live alone, matched where that is unambiguous.

        Nothing is ever removed: without a state nobody knows what was ours.
        """
        chosen = [each for each in desired if self._belongs(each.address)]
        self._prefetch(chosen)
        matching = match(chosen, self._company)
        self.recorded = matching.recorded
        plan = self.plan(sorted(matching.certain, key=lambda each: each.address))
        return dataclasses.replace(
            plan,
            stateless=True,
            declared=len(chosen),
            recorded=0,
            notes=tuple(sorted([*plan.notes, *matching.notes])),
            unmanaged=tuple(
                each for each in self._unmanaged(chosen) if each.connection_id not in matching.candidates
            ),
        )

    def _prefetch(self, connections: Iterable[DesiredConnection]) -> None:
        self.operations.snapshot.prefetch({each.company_id for each in connections})

    def _company(self, company_id: str) -> tuple[LiveConnection, ...]:
        try:
            return self.operations.snapshot.company(company_id)
        except NotFound:
            return ()  # a problem of each of its addresses, unless it is accepted as gone

    def _whole(self, declared: Sequence[DesiredConnection], decisions: Decisions) -> Plan:
        losing = {change.connection_id: change.address for change in decisions.changes if change.loses}
        recorded = self.operations.ledger.recorded
        # On an empty stack the provider can't tell whether all was read, and so refuses any loss.
        uncounted = bool(losing) and not recorded and self._limit.explicit is None
        refused = uncounted or self._limit.exceeded(len(losing), recorded)
        return Plan(
            changes=changes.merged(decisions.changes),
            waiting=tuple(sorted(decisions.waiting, key=lambda waiting: waiting.address)),
            unmanaged=tuple(self._unmanaged(declared)),
            problems=tuple(sorted(decisions.problems, key=lambda problem: problem.address)),
            notes=tuple(sorted(self._notes)),
            declared=len(declared),
            recorded=len(self.recorded),
            calls=forecast(decisions.changes, decisions.takeovers, self._client.quota),
            refusal=rules.too_many_losses(losing.values(), recorded, "") if refused else None,
        )

    def _unmanaged(self, declared: Sequence[DesiredConnection]) -> Iterator[Unmanaged]:
        """Find what lives in the declared companies, and which nobody here declares or records."""
        recorded = {prior.id for prior in (*self.recorded.values(), *self._replaced)}
        names = {each.company_id: each.address.partition("/")[0] for each in declared}
        for company_id, name in sorted(names.items()):
            for each in self._company(company_id):
                if each.id not in recorded and not self.operations.ledger.holder(each.id):
                    yield Unmanaged(company_id, each.id, each.platform_key or "", each.status, name)

    # What else there is to ask.

    def drift(self) -> tuple[Drifted, ...]:
        """Compare recorded with live, whatever is desired. Raises `Refused` where one is uncertain."""
        priors = [prior for prior in self.recorded.values() if self._belongs(prior.address)]
        self._prefetch(prior.desired for prior in priors)
        found = []
        for prior in priors:
            live = self.operations.read(prior)
            now = live.status if live else ABSENT
            if rules.is_drift(prior.status, now):
                company_id, platform_key = prior.slot
                drifted = Drifted(prior.address, company_id, prior.id, platform_key, prior.status, now)
                found.append(drifted)
        return tuple(found)

    def links(self) -> tuple[Link, ...]:
        """Give a fresh link for each recorded connection that waits for its customer at this moment."""
        priors = [prior for prior in self.recorded.values() if self._belongs(prior.address)]
        self._prefetch(prior.desired for prior in priors)
        waiting = [prior for prior in priors if _waits(prior, self.operations.read(prior))]
        company_ids = sorted({prior.desired.company_id for prior in waiting})
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            names = dict(zip(company_ids, threads.map(self._name, company_ids), strict=True))
            # Last of all: whatever reads a connection may put a new link in the place of the one before.
            fresh = list(threads.map(self._fresh, waiting))
        return tuple(
            Link(
                prior.address,
                names[prior.desired.company_id],
                live.platform_name or prior.desired.platform_key,
                live.status,
                changes.since(live),
                live.link_url,
            )
            for prior, live in zip(waiting, fresh, strict=True)
            if live and _waits(prior, live)
        )

    def _belongs(self, address: str) -> bool:
        return self._only is None or belongs(address, self._only)

    def _fresh(self, prior: PriorConnection) -> LiveConnection | None:
        return self.operations.snapshot.fresh(prior.desired.company_id, prior.id)

    def _name(self, company_id: str) -> str:
        return self._client.get_company(company_id).name

    # For the process that carries the plan out.

    def status(self, desired: DesiredConnection) -> str:
        """Give the status of a declared connection that is recorded, `absent` where there is none.

        It is the live one where a plan looked at it.
        """
        prior = self.recorded.get(desired.address)
        if prior is None:
            return ABSENT
        if prior.address not in self._seen:
            return prior.status
        live = self.operations.find(prior)
        return live.status if live else ABSENT

    def hand_over(self, plan: Plan) -> str:
        """Put down what the process that carries out *plan* has to know: see `handover.py`."""
        changing = {change.address for change in plan.changes} | {each.moved_from for each in plan.changes}
        recorded = (*self.recorded.values(), *self._replaced)
        staying = {prior.address: prior.id for prior in self.recorded.values()}
        staying |= {f"{prior.address} (replaced)": prior.id for prior in self._replaced}
        company_ids = {change.company_id for change in plan.changes} | {
            prior.desired.company_id for prior in recorded if prior.address in changing
        }
        return handover.write(
            recorded,
            {address: each for address, each in staying.items() if address.partition(" ")[0] not in changing},
            {address: each.live.id for address, each in self._takeovers.items() if address in changing},
            {company_id: self._company(company_id) for company_id in sorted(company_ids)},
        )


def _waits(prior: PriorConnection, live: LiveConnection | None) -> bool:
    return live is not None and rules.declared(prior.desired.status, live).notice in WAITS
