"""Compute a plan: the decisions that the provider's hooks make, asked for all addresses at once.

One code path decides for both doors, so `pulumi preview` and `codat-iac plan` agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from codat_iac import props, rules
from codat_iac.client import Client
from codat_iac.errors import ApiError, NotFound, Refused, naming
from codat_iac.model import DesiredConnection, LiveConnection, PriorConnection, Slot, Status
from codat_iac.operations import Operations
from codat_iac.plan import (
    WAITS,
    Calls,
    Cause,
    Change,
    Drifted,
    Field,
    Link,
    Plan,
    Problem,
    Step,
    Unmanaged,
    Waiting,
    cause,
)
from codat_iac.rules import ABSENT, Action, LossLimit, Notice, Verdict
from codat_iac.settings import Settings

UNLIMITED = 10**9
"""The limit while planning: a plan shows everything, and is refused as a whole."""


class Planner:
    """Plans for one tenant, with what one process learns of it.

    *recorded* is what the state holds, by address.
    """

    def __init__(self, client: Client, settings: Settings, recorded: Mapping[str, PriorConnection]) -> None:
        self._client = client
        self._limit = LossLimit(settings.max_losses)
        self.recorded = recorded
        self._notices: dict[str, list[tuple[Notice, str]]] = {}
        self.operations = Operations(client, dataclasses.replace(settings, max_losses=UNLIMITED), self._hear)

    def _hear(self, notice: Notice, address: str, text: str) -> None:
        self._notices.setdefault(address, []).append((notice, text))

    def plan(self, desired: Sequence[DesiredConnection]) -> Plan:
        """Compare desired, recorded and live. Raises `ApiError` where live can't be read."""
        problems: list[Problem] = []
        changes: list[Change] = []
        waiting: list[Waiting] = []
        companies = {d.company_id for d in desired} | {p.desired.company_id for p in self.recorded.values()}
        self.operations.snapshot.prefetch(companies)
        ledger = self.operations.ledger
        unread = self._read(problems)
        ledger.read_all()
        for each in desired:
            ledger.declare(each.address)
        for each in desired:
            if each.address in unread:
                continue
            try:
                with naming(each.address):
                    change = self._declared(each, waiting)
            except Refused as refusal:
                problems.append(Problem(each.address, str(refusal)))
            else:
                changes += [change] if change else []
        declared = {each.address for each in desired}
        for prior in self.recorded.values():
            if prior.address in declared or prior.address in unread or ledger.holder(prior.id):
                continue
            try:
                changes.append(self._leaving(prior))
            except Refused as refusal:
                problems.append(Problem(prior.address, str(refusal)))
        return self._whole(desired, changes, waiting, problems)

    def drift(self) -> tuple[Drifted, ...]:
        """Compare recorded with live, whatever is desired. Raises `Refused` where one is uncertain."""
        self.operations.snapshot.prefetch({prior.desired.company_id for prior in self.recorded.values()})
        found = []
        for prior in self.recorded.values():
            live = self.operations.read(prior)
            now = live.status if live else ABSENT
            if rules.is_drift(prior.status, now):
                found.append(
                    Drifted(
                        prior.address,
                        prior.desired.company_id,
                        prior.id,
                        prior.desired.platform_key,
                        prior.status,
                        now,
                    )
                )
        return tuple(found)

    def _read(self, problems: list[Problem]) -> set[str]:
        unread = set()
        for prior in self.recorded.values():
            try:
                self.operations.read(prior)
            except Refused as refusal:
                problems.append(Problem(prior.address, str(refusal)))
                unread.add(prior.address)
        return unread

    def plan_stateless(self, desired: Sequence[DesiredConnection]) -> Plan:
        """Compare desired with live alone, matched by company and platform where that is unambiguous.

        Nothing is ever removed: without a state nobody knows what was ours.
        """
        self.operations.snapshot.prefetch({each.company_id for each in desired})
        slots: dict[Slot, list[DesiredConnection]] = {}
        for each in desired:
            slots.setdefault(each.slot, []).append(each)
        certain: list[DesiredConnection] = []
        notes: list[str] = []
        for slot, declared in slots.items():
            live = [c for c in self._company(slot.company_id) if c.platform_key == slot.platform_key]
            matched, unmatched = match(declared, live)
            self.recorded = {**self.recorded, **matched}
            certain += [each for each in declared if each not in unmatched]
            notes += [
                f"{each.address}: {len(live)} connections to {slot.platform_key} exist and {len(declared)}"
                " are declared, so which is which isn't known; name each by `connectionId`"
                for each in unmatched
            ]
        plan = self.plan(sorted(certain, key=lambda each: each.address))
        return dataclasses.replace(
            plan, stateless=True, declared=len(desired), notes=tuple(sorted([*plan.notes, *notes]))
        )

    def _company(self, company_id: str) -> tuple[LiveConnection, ...]:
        try:
            return self.operations.snapshot.company(company_id)
        except NotFound:
            return ()  # the plan says so, for each of its addresses

    def links(self) -> tuple[Link, ...]:
        """Give a fresh link for each recorded connection that waits for its customer."""
        found = []
        for each in self.recorded.values():
            live = self.operations.read(each)
            if live and rules.declared(each.desired.status, live).notice in WAITS:
                found.append((each, self._client.get(live.company_id, live.id)))
        names = {
            company_id: self._client.get_company(company_id).name
            for company_id in {each.desired.company_id for each, _ in found}
        }
        return tuple(
            Link(
                each.address,
                names[each.desired.company_id],
                live.platform_name or each.desired.platform_key,
                live.status,
                since(live),
                live.link_url,
            )
            for each, live in found
        )

    def status(self, desired: DesiredConnection) -> str:
        """Give the live status of a declared connection that is recorded, `absent` where there is none."""
        prior = self.recorded.get(desired.address)
        live = self.operations.find(prior) if prior else None
        return live.status if live else ABSENT

    # One address.

    def _declared(self, desired: DesiredConnection, waiting: list[Waiting]) -> Change | None:
        prior = self.recorded.get(desired.address)
        if prior is None:
            self.operations.foresee(desired)
            return self._new(desired)
        verdict = self.operations.compare(prior, desired)
        live = self.operations.find(prior)
        if verdict.action is Action.NONE:
            waiting += self._waits(desired, live)
            return None
        return self._changed(prior, desired, live, verdict)

    def _new(self, desired: DesiredConnection) -> Change:
        claimed = self.operations.ledger.claimed_by(desired.address)
        change = Change(
            desired.address, Step.CREATE, Cause.YOU, desired.company_id, desired.platform_key, ABSENT
        )
        if claimed is None:
            return change
        live = next(c for c in self.operations.snapshot.company(desired.company_id) if c.id == claimed)
        unlinks = rules.declared(desired.status, live).action is Action.UNLINK
        origin = next((p.address for p in self.recorded.values() if p.id == claimed), None)
        return dataclasses.replace(
            change,
            step=Step.MOVE if origin else Step.ADOPT,
            status=live.status,
            connection_id=claimed,
            moved_from=origin,
            fields=(Field("status", live.status, str(desired.status)),) if unlinks else (),
            loses=unlinks and live.status == Status.LINKED,
        )

    def _changed(
        self,
        prior: PriorConnection,
        desired: DesiredConnection,
        live: LiveConnection | None,
        verdict: Verdict,
    ) -> Change:
        status = live.status if live else ABSENT
        removal = None
        loses = rules.loses(verdict.action, live)
        if verdict.action is Action.REPLACE:
            going = rules.removed(prior.desired.on_removal, live).action
            removal, loses = str(going), rules.loses(going, live)
        return Change(
            address=desired.address,
            step=Step(verdict.action),
            cause=cause(
                you=rules.record(prior.desired) != rules.record(desired)
                or bool(rules.replaced_by(prior, desired)),
                they=rules.is_drift(prior.status, status),
            ),
            company_id=desired.company_id,
            platform_key=desired.platform_key,
            status=status,
            connection_id=prior.id,
            removal=removal,
            fields=_fields(prior, desired, status, verdict),
            loses=loses,
        )

    def _leaving(self, prior: PriorConnection) -> Change:
        cell, live = self.operations.foresee_removal(prior)
        status = live.status if live else ABSENT
        return Change(
            address=prior.address,
            step=Step.REMOVE,
            cause=cause(you=True, they=rules.is_drift(prior.status, status)),
            company_id=prior.desired.company_id,
            platform_key=prior.desired.platform_key,
            status=status,
            connection_id=prior.id,
            removal=str(cell.action),
            loses=rules.loses(cell.action, live),
        )

    def _waits(self, desired: DesiredConnection, live: LiveConnection | None) -> Iterable[Waiting]:
        for notice, text in self._notices.get(desired.address, ()):
            if notice in WAITS and live:
                yield Waiting(
                    desired.address,
                    desired.company_id,
                    live.id,
                    desired.platform_key,
                    live.status,
                    since(live),
                    text,
                )

    # The whole.

    def _whole(
        self,
        desired: Sequence[DesiredConnection],
        changes: list[Change],
        waiting: list[Waiting],
        problems: list[Problem],
    ) -> Plan:
        changes.sort(key=lambda change: change.address)
        losing = [change.address for change in changes if change.loses]
        recorded = len(self.recorded)
        refused = self._limit.exceeded(len(losing), recorded)
        said = [
            text
            for notices in self._notices.values()
            for notice, text in notices
            if notice not in WAITS | {Notice.GONE, Notice.ADOPTED}
        ]
        return Plan(
            changes=tuple(changes),
            waiting=tuple(waiting),
            unmanaged=tuple(self._unmanaged(desired)),
            problems=tuple(sorted(problems, key=lambda problem: problem.address)),
            notes=tuple(sorted(said)),
            declared=len(desired),
            recorded=recorded,
            calls=self._forecast(changes),
            refusal=rules.too_many_losses(losing, recorded, "") if refused else None,
        )

    def _unmanaged(self, desired: Sequence[DesiredConnection]) -> Iterable[Unmanaged]:
        """Find what lives in the declared companies, and which nobody here declares or records."""
        recorded = {prior.id for prior in self.recorded.values()}
        names = {each.company_id: each.address.partition("/")[0] for each in desired}
        for company_id in sorted(names):
            try:
                live = self.operations.snapshot.company(company_id)
            except ApiError:
                continue  # it is among the problems
            for each in live:
                if each.id not in recorded and not self.operations.ledger.holder(each.id):
                    yield Unmanaged(
                        company_id, each.id, each.platform_key or "", each.status, names[company_id]
                    )

    def _forecast(self, changes: Iterable[Change]) -> Calls:
        """Count what the provider will call: a listing before a POST, a GET before what can't be undone."""
        reads = writes = 0
        posts = False
        for change in changes:
            makes = change.step in {Step.CREATE, Step.REPLACE}
            posts |= makes
            lists = makes or change.step is Step.ADOPT
            acts = change.step is Step.UNLINK or change.removal in {Action.UNLINK, Action.DELETE}
            unlinks = change.step in {Step.ADOPT, Step.MOVE} and bool(change.fields)
            reads += lists + acts
            writes += makes + acts + unlinks
        quota = self._client.quota
        return Calls(reads + posts, writes, quota.remaining, quota.reset)


def match(
    declared: Sequence[DesiredConnection], live: Sequence[LiveConnection]
) -> tuple[dict[str, PriorConnection], list[DesiredConnection]]:
    """Match what is declared for one company and platform with what lives there, as if it were recorded.

    Gives the matches by address, and what can't be matched for sure.
    """
    by_id = {connection.id: connection for connection in live}
    named = {each.address: by_id[each.connection_id] for each in declared if each.connection_id in by_id}
    rest = [each for each in declared if not each.connection_id]
    free = [connection for connection in live if connection not in named.values()]
    if len(rest) == len(free) == 1:
        named[rest[0].address], rest = free[0], []
    matched = {
        each.address: PriorConnection(named[each.address].id, each, named[each.address].status)
        for each in declared
        if each.address in named
    }
    return matched, rest if free else []


def since(live: LiveConnection) -> str:
    """Say when a connection began to wait: when it broke, or else when it was made."""
    broke = [error.errored_on_utc for error in live.data_connection_errors if error.errored_on_utc]
    return broke[-1] if broke and live.status != Status.PENDING_AUTH else live.created


def _fields(
    prior: PriorConnection, desired: DesiredConnection, status: str, verdict: Verdict
) -> tuple[Field, ...]:
    """Name what differs, in Codat's spelling: the recorded inputs against the declared ones, and live."""
    from deepdiff import DeepDiff  # noqa: PLC0415  slow to import, and few plans have changes

    shown = {"companyId", "platformKey", "connectionId", "onRemoval", "address", "status"}
    before = {k: v for k, v in props.inputs(prior.desired).items() if k in shown}
    after = {k: v for k, v in props.inputs(desired).items() if k in shown}
    if verdict.action is not Action.UPDATE:
        before["status"] = status
    if verdict.action is Action.REPLACE and status != ABSENT:
        before.pop("status")
        after.pop("status")
    diff = DeepDiff(before, after, view="tree")
    found = [
        Field(item.path(output_format="list")[0], _text(item.t1), _text(item.t2))
        for kind in ("values_changed", "dictionary_item_added", "dictionary_item_removed")
        for item in diff.get(kind, ())
    ]
    return tuple(sorted(found, key=lambda each: each.name))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
