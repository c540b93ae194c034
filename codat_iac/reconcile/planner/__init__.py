"""Compute a plan: read what is live, decide about all addresses at once, and collect the result.

Nothing here can write, since it has a `Reader`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from codat_iac.codat.client import Reader
from codat_iac.model.connection import (
    ABSENT,
    Company,
    DesiredConnection,
    Integration,
    LiveConnection,
    PriorConnection,
)
from codat_iac.model.errors import NotFound
from codat_iac.model.settings import Settings
from codat_iac.model.text import safe_text
from codat_iac.planning import notices, rule_table, stack_decisions
from codat_iac.planning.decision import Decision
from codat_iac.planning.matching import belongs, match, scope
from codat_iac.planning.moves import Moves
from codat_iac.planning.notices import Notice
from codat_iac.planning.plan import (
    Calls,
    Plan,
    Problem,
    Unmanaged,
    Waiting,
)
from codat_iac.planning.platforms import advice, platform_problem, xero_advice
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import Limit, LossLimit
from codat_iac.planning.stack_decisions import Program, StackDecisions
from codat_iac.reconcile import handover
from codat_iac.reconcile.companies.rules import Rules, effect
from codat_iac.reconcile.planner.drift_and_links import waiting_since
from codat_iac.reconcile.snapshot import Snapshot

_NOTED = frozenset(
    {Notice.UNKNOWN_STATUS, Notice.NEVER_AUTHORISED, Notice.UNLINK_REFUSED, Notice.ADOPTED_FIRST}
)
"""The notices that a plan shows as notes; the others are about what waits, or about a change."""


class Planner:
    """Makes plans for one tenant.

    *recorded* are all connections of the state, including old halves of replacements. *company*, the first
    half of addresses, restricts what is looked at. *rules* is what the rules of the desired state expand to.
    *snapshot* is what was read already.
    """

    def __init__(
        self,
        reader: Reader,
        settings: Settings,
        recorded: Sequence[PriorConnection],
        company: str | None = None,
        rules: Rules | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._reader = reader
        self._settings = settings
        self._only_company = company
        self._rules = rules or Rules()
        self._recorded = tuple(recorded)
        self._snapshot = snapshot or Snapshot(reader)
        self._recorded_at: Mapping[str, PriorConnection] = {}
        self._live_at_plan: Mapping[str, Mapping[str, LiveConnection] | None] = {}
        self.decided = StackDecisions((), Moves())
        self._integrations: Mapping[str, Integration] = {}

    def seed(self, companies: Iterable[Company]) -> None:
        """Take *companies*, with all their connections, as what was read of them just now."""
        for company in companies:
            self._snapshot.seed(company.id, company.connections or (), ())

    def known_ids(
        self, desired: Sequence[DesiredConnection], companies: Iterable[Company], *, stateless: bool = False
    ) -> frozenset[str]:
        """Return the ids of the connections that are recorded, or that *desired* means. Nothing is read.

        *companies* are all that can be seen, with all their connections.
        """
        live = {company.id: {each.id: each for each in company.connections or ()} for company in companies}
        recorded, certain, candidates = self._recorded, tuple(desired), frozenset[str]()
        if stateless:
            matching = match(desired, lambda company_id: live.get(company_id, {}).values())
            recorded, candidates = tuple(matching.recorded.values()), matching.candidates
            certain = tuple(sorted(matching.certain, key=lambda each: each.address))
        seen = {each.company_id: live.get(each.company_id) for each in certain}
        seen |= {prior.desired.company_id: live.get(prior.desired.company_id) for prior in recorded}
        decided = stack_decisions.decide(
            certain, recorded, seen, accepts_missing=self._settings.accept_missing
        )
        becoming = {each.becomes for each in decided.decisions if each.becomes}
        return candidates | {prior.id for prior in recorded} | becoming

    # Plans.

    def plan(self, desired: Sequence[DesiredConnection], program: Program | None = None) -> Plan:
        """Compare all that is *desired* with what is recorded and live.

        *program* has declared it all, if it wasn't the stock program.

        Raises `ApiError` if live can't be read. What is impossible is a problem of the plan.
        """
        chosen = scope(self._only_company, desired, self._recorded) if self._only_company else None
        declared = [each for each in desired if chosen is None or each.address in chosen]
        unknown = {each for each in program.unknown if self._belongs(each)} if program else set()
        chosen = None if chosen is None else chosen | unknown
        priors = [prior for prior in self._recorded if chosen is None or prior.address in chosen]
        live = self._live_at_plan = self._snapshot.of_recorded(priors, (each.company_id for each in declared))
        self._recorded_at = {prior.place: prior for prior in self._recorded if not prior.pending_removal}
        decided = stack_decisions.decide(
            desired,
            self._recorded,
            live,
            accepts_missing=self._settings.accept_missing,
            chosen=chosen,
            program=program,
        )
        self.decided = dataclasses.replace(decided, decisions=tuple(self._check_platforms(decided.decisions)))
        plan = self._assemble(desired, declared, chosen, declares=bool(desired or unknown))
        return dataclasses.replace(plan, declared=plan.declared + len(unknown))

    def plan_stateless(self, desired: Sequence[DesiredConnection]) -> Plan:
        """Compare *desired* with live alone, matched if that is unambiguous.

        Nothing is ever removed: without a state nobody knows which connections were ours.
        """
        chosen = [each for each in desired if self._belongs(each.address)]
        self._snapshot.prefetch({each.company_id for each in chosen})
        matching = match(chosen, self._company)
        self._recorded = tuple(matching.recorded.values())
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

    def _company(self, company_id: str) -> tuple[LiveConnection, ...]:
        try:
            return self._snapshot.company(company_id)
        except NotFound:
            return ()  # each of its addresses has a problem, unless the company is accepted as gone

    def _check_platforms(self, decisions: Iterable[Decision]) -> Iterator[Decision]:
        """Refuse to create on a platform that doesn't allow it."""
        for each in decisions:
            if each.problem or not each.posts:
                yield each
                continue
            self._integrations = self._integrations or {one.key: one for one in self._reader.integrations()}
            yield dataclasses.replace(each, problem=platform_problem(each.platform_key, self._integrations))

    def _assemble(
        self,
        desired: Sequence[DesiredConnection],
        declared: Sequence[DesiredConnection],
        chosen: Collection[str] | None,
        *,
        declares: bool,
    ) -> Plan:
        decisions = self.decided.decisions
        certain = [each for each in decisions if not each.problem]
        changes = [each for each in certain if each.action is not Action.NONE]
        losing = {lost: each.address for each in changes for lost in each.losing}
        given = self._settings
        limit = LossLimit(given.max_losses, given.approved_losses, given.shards, given.loss_option)
        quota = self._reader.quota
        now = datetime.now(UTC)
        unapproved = limit.unapproved(losing)
        losses = unapproved or limit.refusal(
            losing.values(), len({prior.id for prior in self._recorded}), declares=declares
        )
        exceeded = {Limit.LOSSES: len(losing)} if losses and not unapproved else {}
        ruled = effect(self._rules, desired, self._recorded, self.decided.moved, self._settings, chosen)
        return Plan(
            changes=merged(changes),
            waiting=tuple(sorted(_waiting(certain, now), key=lambda waiting: waiting.address)),
            unmanaged=tuple(self._unmanaged(declared)),
            problems=tuple(
                Problem(each.address, f"{each.address}: {each.problem}")
                for each in sorted(decisions, key=lambda each: each.address)
                if each.problem
            ),
            notes=tuple(sorted([*_notes(certain), *self._advice(declared, changes), *ruled.notes])),
            declared=len(declared),
            recorded=len({prior.place for prior in self._recorded if not prior.pending_removal}),
            calls=_calls(changes, quota.remaining, quota.reset),
            refusal="; and ".join(filter(None, (losses, *ruled.refusals))) or None,
            platforms=self._platform_names(),
            companies=self._company_names(),
            exceeded={**exceeded, **ruled.exceeded},
        )

    def _advice(self, declared: Sequence[DesiredConnection], changes: Sequence[Decision]) -> Iterator[str]:
        """Yield what Codat advises about the platforms; about Xero only if a connection to it is unlinked."""
        kinds = {each.address: each.live.source_type for each in self.decided.decisions if each.live}
        yield from advice(declared, kinds)
        ending = {each.connection_id for each in changes if each.removal is Action.UNLINK}
        if said := xero_advice(prior.desired for prior in self._recorded if prior.id in ending):
            yield said

    def _platform_names(self) -> dict[str, str]:
        """Return the names of the platforms by key, from what was read anyway."""
        live = [each for company in self._live_at_plan.values() for each in (company or {}).values()]
        names = {each.platform_key: each.platform_name for each in live if each.platform_key}
        needed = {each.platform_key for each in self.decided.decisions}
        names |= {key: each.name for key, each in self._integrations.items() if key in needed}
        return _said(names)

    def _company_names(self) -> dict[str, str]:
        """Return the names of the companies by id, from what was read anyway."""
        known = self._snapshot.company_names
        return _said({each: known[each] for each in self._live_at_plan if each in known})

    def _unmanaged(self, declared: Sequence[DesiredConnection]) -> Iterator[Unmanaged]:
        """Yield the live connections of the declared companies that are neither declared nor recorded."""
        ours = {prior.id for prior in self._recorded} | {each.becomes for each in self.decided.decisions}
        names = {each.company_id: each.address.company for each in declared}
        for company_id, name in sorted(names.items()):
            for each in self._company(company_id):
                if each.id not in ours:
                    yield Unmanaged(company_id, each.id, each.platform_key or "", each.status, name)

    def _belongs(self, address: str) -> bool:
        return self._only_company is None or belongs(address, self._only_company)

    # For the process that carries the plan out.

    @property
    def protected(self) -> frozenset[str]:
        """The places of the connections that are protected in the state."""
        return frozenset(prior.place for prior in self._recorded if prior.protected)

    def status(self, desired: DesiredConnection) -> str:
        """Return the status of a declared connection, `absent` if none is recorded.

        It is the live status if a plan has looked at the company, or else the recorded one.
        """
        moved = self.decided.moved
        prior = (
            moved.origins.get(desired.address)
            or moved.later.get(desired.address)
            or self._recorded_at.get(desired.place)
        )
        if prior is None:
            return ABSENT
        if prior.desired.company_id not in self._live_at_plan:
            return prior.status
        live = (self._live_at_plan[prior.desired.company_id] or {}).get(prior.id)
        return live.status if live else ABSENT

    def hand_over(self, plan: Plan) -> str:
        """Return what the process that carries out *plan* has to know, as JSON text: see `handover.py`.

        It may end the authorisations that the plan shows, or those that the user approved by name, and no
        other: a customer may authorise meanwhile what was to be removed.
        """
        approved = self._settings.approved_losses
        changing = {change.address for change in plan.changes} | {each.moved_from for each in plan.changes}
        # A place may also have an old half.
        staying = {
            f"{prior.place} {prior.id}" if prior.pending_removal else prior.place: prior.id
            for prior in self._recorded
            if prior.address not in changing
        }
        company_ids = {change.company_id for change in plan.changes} | {
            prior.desired.company_id for prior in self._recorded if prior.address in changing
        }
        return handover.to_json(
            self._recorded,
            staying,
            {company_id: self._company(company_id) for company_id in sorted(company_ids)},
            approved=plan.losing if approved is None else approved,
        )


def _said(names: Mapping[str, str]) -> dict[str, str]:
    """Return names of Codat's, sorted and made safe to show, without the empty ones."""
    return {key: said for key, name in sorted(names.items()) if (said := safe_text(name))}


def merged(changes: Iterable[Decision]) -> tuple[Decision, ...]:
    """Return one change for each address, sorted; a removal at the same address becomes part of it.

    The engine has one name for both, so neither is done without the other.
    """
    whole: dict[str, Decision] = {}
    for change in changes:
        first = whole.setdefault(change.address, change)
        if first is not change:
            if first.action is Action.REMOVE and change.loses and not first.loses:
                first, change = change, first  # noqa: PLW2901  the lost one is the one to name
            removal = change.removal if first.removal in {None, Action.FORGET} else first.removal
            losing = tuple(sorted({*first.losing, *change.losing}))
            whole[change.address] = dataclasses.replace(first, removal=removal, losing=losing)
    return tuple(whole[address] for address in sorted(whole))


def _waiting(decisions: Iterable[Decision], now: datetime) -> Iterator[Waiting]:
    """Yield the connections that only their customers can bring to the desired status."""
    for each in decisions:
        live = each.live
        if live and each.notice and rule_table.waits(each.notice):
            yield Waiting(
                each.address,
                each.company_id,
                live.id,
                each.platform_key,
                live.status,
                waiting_since(live, now),
                notices.message(each.notice, each.address, live),
            )


def _notes(decisions: Iterable[Decision]) -> Iterator[str]:
    for each in decisions:
        if each.notice in _NOTED:
            yield notices.message(each.notice, each.address, each.live)


def _calls(changes: Sequence[Decision], left: int | None, resets: str | None) -> Calls:
    """Count the calls. One id may be recorded at two addresses, but ends once."""
    ends = len({each.connection_id for each in changes if each.ends})
    posts = sum(each.posts for each in changes)
    lists = sum(each.reads - each.ends for each in changes)
    platforms = posts > 0  # one call lists the enabled platforms
    return Calls(lists + platforms + ends, posts + ends, left, resets)
