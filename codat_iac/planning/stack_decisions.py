"""Decide about all addresses of a stack at once. Pure.

It asks `decision.py` about one address after the other, as the hooks do, so `pulumi preview` and `codat-iac
plan` agree.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from codat_iac.model.connection import Address, DesiredConnection, LiveConnection, PriorConnection, Slot
from codat_iac.model.text import join_names
from codat_iac.planning import rule_table
from codat_iac.planning.decision import (
    Cause,
    Decision,
    ExistsAlready,
    decide_existing,
    decide_new,
    decide_removal,
)
from codat_iac.planning.moves import Moves, moves
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import EMPTY_STACK, MANY_UNMANAGED, missing_refusal, unseen_company
from codat_iac.planning.slot_description import SlotDescription, describe, slot_view

Live = Mapping[str, Mapping[str, LiveConnection] | None]
"""Live connections by company id and connection id; None for a company that can't be seen."""


@dataclass(frozen=True, slots=True)
class StackDecisions:
    """One decision for each address, and one more for each old half of a replacement.

    `moved` are the recorded connections that addresses continue, `descriptions` the slots of the declared
    addresses.
    """

    decisions: tuple[Decision, ...]
    moved: Moves
    descriptions: Mapping[str, SlotDescription] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """What a program of the user's own declares, as the engine understood it in a preview.

    `recorded` is what the state holds; what the engine replaces for a reason of its own is tainted. `moved`
    are the recorded connections that the engine continues at other URNs, and `descriptions` what the
    program told of each address's slot. `unknown` are the inputs that a preview can't know, by the address
    that is declared with them; such an address isn't among `connections`, and `moved.staying` is what is
    recorded for it.
    """

    connections: tuple[DesiredConnection, ...]
    recorded: tuple[PriorConnection, ...]
    moved: Moves
    descriptions: Mapping[str, SlotDescription]
    unknown: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)


def decide(
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    live: Live,
    *,
    accepts_missing: bool = False,
    chosen: Collection[str] | None = None,
    program: Program | None = None,
) -> StackDecisions:
    """Decide about everything that is *declared* and *recorded*, including old halves of replacements.

    *live* must have the companies of the *chosen* addresses (None: all addresses). There are no decisions
    about the other addresses, but they count as siblings. *accepts_missing* means that a company that can't
    be seen is gone. *program* has declared it all, if it wasn't the stock program.
    """
    return _Deciding(declared, recorded, live, accepts_missing, chosen, program).result()


class _Deciding:
    def __init__(
        self,
        declared: Sequence[DesiredConnection],
        recorded: Sequence[PriorConnection],
        live: Live,
        accepts_missing: bool,
        chosen: Collection[str] | None,
        program: Program | None,
    ) -> None:
        standing = [prior for prior in recorded if not prior.pending_removal]
        self._declared = declared
        self._recorded = recorded
        self._live = live
        self._accepts_missing = accepts_missing
        self._chosen = chosen
        self._recorded_at = {prior.place: prior for prior in standing}
        self._standing = standing
        self._pending = [prior for prior in recorded if prior.pending_removal]
        self._moved = program.moved if program else moves(declared, standing)
        self._descriptions = program.descriptions if program else describe(declared, standing, self._moved)
        self._unknown = program.unknown if program else {}
        entries = {(prior.id, prior.place, prior.pending_removal) for prior in recorded}
        self._ids = Counter(connection_id for connection_id, *_ in entries)
        self._absent = self._find_absent()
        gone = {prior.id for mine in self._absent.values() for prior in mine}
        self._missing = None if accepts_missing else missing_refusal(len(gone), len(self._ids))

    def _find_absent(self) -> Mapping[Slot, list[PriorConnection]]:
        absent: dict[Slot, list[PriorConnection]] = defaultdict(list)
        for prior in self._recorded:
            if self._is_chosen(prior.address) and self._can_be_read(prior.desired) and not self._find(prior):
                absent[prior.slot].append(prior)
        return absent

    def result(self) -> StackDecisions:
        """Decide about the declared addresses, and then about those that are no longer declared."""
        chosen = [each for each in self._declared if self._is_chosen(each.address)]
        decisions: list[Decision] = []
        # No hook knows which are tainted, so those choose last among the free connections.
        for each in sorted(chosen, key=self._is_tainted):
            decisions.append(self._declare(each, decisions))
        held = {each.becomes for each in decisions if each.becomes and not each.problem}
        decisions += [
            self._remove(prior, held) for prior in self._leaving() if self._is_chosen(prior.address)
        ]
        decisions += [_unknown(*each) for each in self._unknown.items() if self._is_chosen(each[0])]
        if not self._recorded:
            decisions = _of_an_empty_stack(decisions)
        return StackDecisions(
            tuple(_forget_if_held(each, held) for each in decisions), self._moved, self._descriptions
        )

    def _is_tainted(self, desired: DesiredConnection) -> bool:
        prior = self._prior(desired)
        return prior is not None and prior.tainted

    def _prior(self, desired: DesiredConnection) -> PriorConnection | None:
        """Return the recorded connection that *desired* continues or replaces."""
        if desired.address in self._moved.later:
            return self._moved.later[desired.address]
        return self._moved.origins.get(desired.address) or self._recorded_at.get(desired.place)

    def _is_chosen(self, address: str) -> bool:
        return self._chosen is None or address in self._chosen

    def _can_be_read(self, desired: DesiredConnection) -> bool:
        return self._accepts_missing or self._live.get(desired.company_id) is not None

    def _unseen(self, company_id: str) -> str:
        """Return why nothing is done about a company that can't be seen."""
        if any(company is not None for company in self._live.values()):
            return unseen_company(company_id)
        return unseen_company(min(self._live), others_seen=False)

    def _find(self, prior: PriorConnection) -> LiveConnection | None:
        return (self._live.get(prior.desired.company_id) or {}).get(prior.id)

    def _leaving(self) -> list[PriorConnection]:
        """Return the recorded connections that no declared address continues.

        Nothing leaves a slot in which an address is refused.
        """
        continues = {prior.place for prior in self._moved.origins.values()}
        continues |= {prior.place for prior in self._moved.staying}
        continues |= {each.place for each in self._declared}
        refused = {each.slot for each in self._declared if each.address in self._moved.problems}
        left = [p for p in self._standing if p.place not in continues and p.slot not in refused]
        return [*left, *self._pending]

    def _declare(self, desired: DesiredConnection, before: Sequence[Decision]) -> Decision:
        problem = self._moved.problems.get(desired.address)
        if problem:
            return _refused(desired, problem)
        decision = self._decide(desired, before)
        if desired.address in self._moved.later:
            # A problem of the second run is reported by that run, as `pulumi preview` does.
            return dataclasses.replace(decision, later=True, problem=None)
        return decision

    def _decide(self, desired: DesiredConnection, before: Sequence[Decision]) -> Decision:
        prior = self._prior(desired)
        for each in (prior.desired if prior else desired, desired):
            if not self._can_be_read(each):
                return _refused(desired, self._unseen(each.company_id))
        if prior is None:
            return self._new(desired)
        decision = decide_existing(prior, desired, self._find(prior))
        if not self._find(prior) and self._missing:
            return dataclasses.replace(decision, problem=self._missing)
        if decision.action is Action.REPLACE and not decision.problem:
            fresh = self._new(desired, before if prior.tainted else (), was=prior.address)
            decision = dataclasses.replace(decision, becomes=fresh.becomes, problem=fresh.problem)
            if fresh.notice is Notice.ADOPTED_FIRST:
                decision = dataclasses.replace(decision, notice=fresh.notice, live=fresh.live)
        return decision

    def _new(
        self, desired: DesiredConnection, before: Sequence[Decision] = (), was: str | None = None
    ) -> Decision:
        company = self._live.get(desired.company_id)
        if company is None:
            return _refused(desired, unseen_company(desired.company_id, accepted=True))
        old = [
            prior.id
            for prior in self._pending
            if prior.place == desired.place and prior.slot == desired.slot and self._ids[prior.id] == 1
        ]
        view = slot_view(
            self._descriptions[desired.address],
            was or desired.address,
            ids=self._ids.keys(),
            absent={prior.address for prior in self._absent.get(desired.slot, ())},
            complete=True,
            claimed={each.becomes: each.address for each in before if each.becomes},
            old_half=min(old, default=None),
            old_halves={p.id for p in self._pending if p.slot == desired.slot and self._ids[p.id] == 1},
        )
        decision = decide_new(desired, company.values(), view)
        if decision.live and rule_table.declared(desired.status, decision.live).action is Action.UNLINK:
            return dataclasses.replace(decision, notice=Notice.ADOPTED_FIRST)
        return decision

    def _remove(self, prior: PriorConnection, held: Collection[str]) -> Decision:
        live = self._find(prior)
        decision = decide_removal(prior, live, held=prior.id in held)
        if not self._can_be_read(prior.desired):
            return dataclasses.replace(decision, problem=self._unseen(prior.desired.company_id))
        if live is None and self._accepts_missing:
            return dataclasses.replace(decision, problem=None)  # a refresh forgets it even if it is protected
        if live is None and self._missing and prior.id not in held:
            return dataclasses.replace(decision, problem=self._missing)
        return decision


def _of_an_empty_stack(decisions: list[Decision]) -> list[Decision]:
    """Return the decisions with one reason for all connections that exist already, if they are many."""
    many = sum(isinstance(each.problem, ExistsAlready) for each in decisions) > MANY_UNMANAGED
    return [
        dataclasses.replace(each, problem=EMPTY_STACK)
        if many and isinstance(each.problem, ExistsAlready)
        else each
        for each in decisions
    ]


def _forget_if_held(decision: Decision, held: Collection[str]) -> Decision:
    """Return *decision*, only forgetting its connection if a declared address has that."""
    if decision.removal is None or decision.connection_id not in held:
        return decision
    return dataclasses.replace(decision, removal=Action.FORGET, losing=())


def _refused(desired: DesiredConnection, problem: str) -> Decision:
    return Decision(
        desired.address,
        Action.NONE,
        Cause.YOU,
        desired.company_id,
        desired.platform_key,
        problem=problem,
    )


def _unknown(address: Address, names: Sequence[str]) -> Decision:
    """Refuse an address that is declared with what only `pulumi up` will know."""
    known = "is known" if len(names) == 1 else "are known"
    problem = (
        f"{join_names(names)} {known} only while `pulumi up` runs, so what happens to it can't be planned;"
        " run `pulumi up` for what that comes from, then this again"
    )
    return Decision(address, Action.NONE, Cause.YOU, "", "", problem=problem)
