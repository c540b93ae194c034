"""Small worlds at random: what is desired, what is recorded, and what lives in an emulated Codat.

And a plan carried out in one, as the engine would: the same hooks in the same order, without an engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from codat_iac import handover, props
from codat_iac.client import Client
from codat_iac.emulator import Emulator
from codat_iac.errors import Refused
from codat_iac.model import DesiredConnection, OnExisting, OnRemoval, PriorConnection, Slot, Status
from codat_iac.operations import Operations
from codat_iac.plan import Plan
from codat_iac.planning import Planner
from codat_iac.props import DESIRABLE
from codat_iac.rules import ABSENT, Action
from codat_iac.settings import Settings
from tests.builders import a_run, an_id, rows

COMPANIES = ("acme", "beta", "gamma")
PLATFORMS = ("gbol", "suuo")
STATUSES = ("PendingAuth", "Linked", "Linked", "Deauthorized", "Unlinked", "Migrating", ABSENT)
"""Linked twice, since most are; and one that nobody knows."""

MOST = 6
"""Addresses that are declared or recorded."""

Recorded = Mapping[str, PriorConnection]


@dataclass
class World:
    """What is desired and recorded. What lives is in the emulator; `company_ids` are by our names."""

    company_ids: dict[str, str]
    desired: tuple[DesiredConnection, ...] = ()
    recorded: dict[str, PriorConnection] = field(default_factory=dict)
    replaced: list[PriorConnection] = field(default_factory=list)
    """What a run that broke off had replaced and not yet removed."""

    def yaml(self) -> str:
        """Write what is desired as the rest of a desired-state file."""
        lines = ["companies:"]
        for name, company_id in self.company_ids.items():
            lines += [f"  {name}:", f"    id: {company_id}", "    connections:"]
            mine = [each for each in self.desired if each.address.startswith(f"{name}/")]
            lines += [f"      {each.address.partition('/')[2]}: {_flow(each)}" for each in mine]
            lines[-1] += "" if mine else " {}"
        return "\n".join(lines) + "\n"


def _flow(desired: DesiredConnection) -> str:
    given = {
        "platformKey": desired.platform_key,
        "status": desired.status,
        "onRemoval": desired.on_removal,
        "onExisting": desired.on_existing,
        "connectionId": desired.connection_id,
    }
    return "{" + ", ".join(f"{name}: {value}" for name, value in given.items() if value) + "}"


def a_world(emulator: Emulator, dice: Random) -> World:
    """Roll a world: two or three companies, several connections to one platform, every status and policy."""
    names = COMPANIES[: dice.randint(2, 3)]
    world = World({name: str(emulator.add_company(name)["id"]) for name in names})
    _Roll(emulator, dice, world).everything()
    return world


class _Roll:
    def __init__(self, emulator: Emulator, dice: Random, world: World) -> None:
        self.emulator = emulator
        self.dice = dice
        self.world = world
        self.live: dict[str, list[str]] = defaultdict(list)

    def everything(self) -> None:
        """Record some addresses, declare some, and let strangers live beside them."""
        addresses = [f"{name}/{key}" for name in self.world.company_ids for key in "abc"]
        chosen = sorted(self.dice.sample(addresses, self.dice.randint(1, MOST)))
        for address in chosen:
            if self.chance(0.7):
                protected = self.chance(0.04)
                self.world.recorded[address] = dataclasses.replace(self.prior(address), protected=protected)
        for address in chosen:
            if self.chance(0.06):
                self.world.replaced.append(self.prior(address, alone=True))
        for _ in range(self.dice.randint(0, 2)):
            self.connection(self.any_company(), self.platform())
        declared = [
            self.desired(address)
            for address in chosen
            if address not in self.world.recorded or self.chance(0.7)
        ]
        self.world.desired = _with_siblings(_named_once(declared))
        if self.chance(0.05):
            self.emulator.delete_company(self.any_company())

    def any_company(self) -> str:
        """Choose a company; its id is another in each world, so that isn't what is rolled."""
        return self.world.company_ids[self.dice.choice(list(self.world.company_ids))]

    def chance(self, share: float) -> bool:
        """Say yes in so many cases."""
        return self.dice.random() < share

    def platform(self) -> str:
        """Choose a platform; the first is the likelier one, so that there are several of a kind."""
        return PLATFORMS[self.chance(0.3)]

    def connection(self, company_id: str, platform_key: str, status: str | None = None) -> tuple[str, str]:
        """Let a connection live, and give its id and status; one that is absent was there once."""
        status = status or self.dice.choice(STATUSES)
        there = "Linked" if status == ABSENT else status
        connection_id = str(self.emulator.connect(company_id, platform_key, there)["id"])
        if status == ABSENT:
            self.emulator.delete_connection(connection_id)
        else:
            self.live[company_id].append(connection_id)
        return connection_id, status

    def prior(self, address: str, *, alone: bool = False) -> PriorConnection:
        """Record a connection: mostly as it lives; unless *alone*, sometimes one that is recorded already."""
        desired = self.desired(address, connection_ids=False)
        company = address.partition("/")[0]
        others = [prior for prior in self.world.recorded.values() if prior.address.startswith(f"{company}/")]
        if others and not alone and self.chance(0.1):
            other = others[-1]
            return dataclasses.replace(
                other, desired=dataclasses.replace(other.desired, address=address, siblings=frozenset())
            )
        connection_id, status = self.connection(desired.company_id, desired.platform_key)
        if self.chance(0.3):
            status = self.dice.choice(STATUSES)
        if self.chance(0.2):
            desired = dataclasses.replace(desired, connection_id=connection_id)
        refused = desired.status is Status.UNLINKED and status == Status.DEAUTHORIZED and self.chance(0.5)
        return PriorConnection(connection_id, desired, status, refused)

    def desired(self, address: str, *, connection_ids: bool = True) -> DesiredConnection:
        """Declare an address, mostly as it is recorded."""
        prior = self.world.recorded.get(address)
        if prior and self.chance(0.4):
            return dataclasses.replace(prior.desired, connection_id=None)
        company_id = self.world.company_ids[address.partition("/")[0]]
        given = [*self.live[company_id], an_id(1)]
        connection_id = self.dice.choice(given) if connection_ids and self.chance(0.2) else None
        # What is named exists already, so a file may not say `create` beside it.
        existing = [each for each in OnExisting if not connection_id or each is not OnExisting.CREATE]
        return DesiredConnection(
            address=address,
            company_id=company_id,
            platform_key=prior.desired.platform_key if prior and self.chance(0.7) else self.platform(),
            status=DESIRABLE[self.chance(0.3)],
            on_removal=self.dice.choice(list(OnRemoval)),
            on_existing=self.dice.choice(existing),
            connection_id=connection_id,
        )


def _named_once(declared: Sequence[DesiredConnection]) -> list[DesiredConnection]:
    """Take back a `connectionId` that is declared twice: no file may."""
    seen: set[str | None] = {None}
    kept = []
    for each in declared:
        kept.append(dataclasses.replace(each, connection_id=None) if each.connection_id in seen else each)
        seen.add(each.connection_id)
    return kept


def _with_siblings(declared: Sequence[DesiredConnection]) -> tuple[DesiredConnection, ...]:
    slots: dict[Slot, set[str]] = defaultdict(set)
    for each in declared:
        slots[each.slot].add(each.address)
    return tuple(dataclasses.replace(each, siblings=frozenset(slots[each.slot])) for each in declared)


def living(emulator: Emulator, world: World) -> dict[str, str]:
    """What lives in the companies that are there: ids and statuses."""
    found: dict[str, str] = {}
    for company_id in world.company_ids.values():
        with contextlib.suppress(ValueError):
            found |= rows(emulator, company_id)
    return found


def a_planner(
    emulator: Emulator,
    recorded: Recorded,
    company: str | None = None,
    *,
    replaced: Sequence[PriorConnection] = (),
    api_key: str = "",
    max_losses: int | None = None,
    accept_missing: bool = False,
) -> Planner:
    """Make a planner as a process of its own would."""
    key = api_key or emulator.api_key
    settings = Settings(key, emulator.url, max_losses=max_losses, accept_missing=accept_missing)
    client = Client(key, emulator.url, retries=1, sleep=lambda _: None)
    return Planner(client, settings, recorded, company, replaced)


def carry_out(
    emulator: Emulator,
    planner: Planner,
    plan: Plan,
    desired: Sequence[DesiredConnection],
    file: Path,
    *,
    dice: Random | None = None,
    max_losses: int | None = None,
    accept_missing: bool = False,
) -> dict[str, PriorConnection]:
    """Do what `codat-iac apply` lets the engine do in a process of its own; gives what is recorded then.

    The log of requests holds only what that cost.
    """
    file.write_text(planner.hand_over(plan))
    operations = a_run(emulator, max_losses=max_losses, accept_missing=accept_missing).operations
    handover.take_over(file, operations)
    emulator.clear_requests()
    changing = {change.address for change in plan.changes}
    olds = {change.moved_from for change in plan.changes if change.moved_from}
    acting = [each for each in desired if each.address in changing]
    leaving = (changing | olds) & planner.recorded.keys() - {each.address for each in desired}
    pending = [prior for prior in planner._replaced if prior.address in changing | olds]
    return _run(operations, planner.recorded, _shuffled(acting, dice), sorted(leaving), pending)


def _run(
    operations: Operations,
    recorded: Recorded,
    acting: Sequence[DesiredConnection],
    leaving: Sequence[str],
    pending: Sequence[PriorConnection],
) -> dict[str, PriorConnection]:
    """Check and diff, then create and update, then delete, and what was to be deleted before."""
    state = dict(recorded)
    replaced = list(pending)
    steps = [(desired, _decided(operations, recorded.get(desired.address), desired)) for desired in acting]
    for desired, action in steps:
        prior = recorded.get(desired.address)
        if action is Action.NONE:
            continue
        if prior and action is not Action.REPLACE:
            live = operations.update(prior, desired)
        else:
            replaced += [prior] if prior else []
            live = operations.create(desired)
        state[desired.address] = props.prior(live.id, props.outputs(desired, live))
    for prior in [*replaced, *(recorded[address] for address in leaving)]:
        operations.remove(prior)
    return {address: prior for address, prior in state.items() if address not in leaving}


def _decided(operations: Operations, prior: PriorConnection | None, desired: DesiredConnection) -> Action:
    operations.ledger.declare(desired.address)
    if prior:
        return operations.compare(prior, desired).action
    operations.foresee(desired)
    return Action.CREATE


def _shuffled(acting: Sequence[DesiredConnection], dice: Random | None) -> list[DesiredConnection]:
    """Put them in any order: that in which the engine hears of what a program declares isn't certain."""
    shuffled = list(acting)
    if dice:
        dice.shuffle(shuffled)
    return shuffled


def up(emulator: Emulator, world: World, dice: Random | None = None) -> dict[str, PriorConnection]:
    """Do what `pulumi up` does with a refresh; gives what is recorded then."""
    operations = a_run(emulator).operations
    read = {address: _refreshed(operations, prior) for address, prior in world.recorded.items()}
    pending = [_refreshed(operations, prior) for prior in world.replaced]
    leaving = read.keys() - {each.address for each in world.desired}
    return _run(operations, read, _shuffled(world.desired, dice), sorted(leaving), pending)


def preview(
    emulator: Emulator, world: World, dice: Random, *, max_losses: int | None = None
) -> tuple[dict[str, Action], set[str]]:
    """Do what `pulumi preview` does; gives what is done at each declared address, and the errors."""
    operations = a_run(emulator, max_losses=max_losses).operations
    actions: dict[str, Action] = {}
    errors: set[str] = set()
    for prior in (*world.recorded.values(), *world.replaced):
        try:
            operations.read(prior)
        except Refused as refusal:
            errors.add(str(refusal))
    for desired in [] if errors else _shuffled(world.desired, dice):
        try:
            actions[desired.address] = _decided(operations, world.recorded.get(desired.address), desired)
        except Refused as refusal:
            errors.add(str(refusal))
    return actions, errors


def _refreshed(operations: Operations, prior: PriorConnection) -> PriorConnection:
    live = operations.read(prior)
    return props.prior(prior.id, props.outputs(prior.desired, live, written=prior.unlink_refused))
