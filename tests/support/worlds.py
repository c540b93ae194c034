"""Small random worlds: desired, recorded and live connections on an emulated Codat.

And functions that carry out a plan in a world as the engine would: the same hooks in the same order, without
an engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from codat_iac.codat.client import Reader
from codat_iac.emulator import Emulator
from codat_iac.model import properties
from codat_iac.model.connection import (
    ABSENT,
    RESOURCE_TYPE,
    Address,
    DesiredConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.model.errors import Refused
from codat_iac.model.properties import DECLARABLE
from codat_iac.model.settings import Settings
from codat_iac.planning import rule_table
from codat_iac.planning.moves import in_this_run, moves
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.planning.slot_description import SlotDescription, describe
from codat_iac.reconcile import handover
from codat_iac.reconcile.operations import Operations
from codat_iac.reconcile.planner import Planner
from codat_iac.reconcile.planner.drift_and_links import RecordedConnections
from tests.support.builders import a_run, an_id, rows

COMPANIES = ("acme", "beta", "gamma")
PLATFORMS = ("gbol", "suuo")
STATUSES = ("PendingAuth", "Linked", "Linked", "Deauthorized", "Unlinked", "Migrating", ABSENT)
"""Linked twice, since most connections are; and one unknown status."""

MOST = 6
"""The most addresses that are declared or recorded."""

PREFIX = "urn:pulumi:dev::shop::"
COMPONENT = "shop:index:Customer"
"""The type of a component that a user's own program may have declared."""


def a_urn(address: str, parent: str = "") -> str:
    """Return a connection's URN in the tests' stack, below a component of the type *parent* if given."""
    return f"{PREFIX}{parent + '$' if parent else ''}{RESOURCE_TYPE}::{address}"


@dataclass
class World:
    """Desired and recorded connections; the live ones are in the emulator. `company_ids` are by our names."""

    company_ids: dict[str, str]
    desired: tuple[DesiredConnection, ...] = ()
    recorded: list[PriorConnection] = field(default_factory=list)
    """Including old halves of replacements that an interrupted run had not yet removed."""

    def yaml(self) -> str:
        """Return the desired connections as a desired-state file, without its `version`."""
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
        "protect": "true" if desired.protect else None,
    }
    return "{" + ", ".join(f"{name}: {value}" for name, value in given.items() if value) + "}"


def a_world(emulator: Emulator, dice: Random) -> World:
    """Make a random world: two or three companies, several connections in a slot, any status and policy.

    Half of the worlds are then edited as users do: a company's key changes, a component is added or removed,
    the state is renamed or tainted by hand.
    """
    names = COMPANIES[: dice.randint(2, 3)]
    world = World({name: str(emulator.add_company(name)["id"]) for name in names})
    _Roll(emulator, dice, world).everything()
    if dice.random() < 0.5:
        Edits(world, dice).some()
    return world


class Edits:
    """Edits that users make: to the file, to the program, to the state."""

    def __init__(self, world: World, dice: Random) -> None:
        self.world = world
        self.dice = dice

    def some(self) -> None:
        """Make one or two edits."""
        everything = (
            self.rename_key,
            self.rename_second_half,
            self.move_parents,
            self.rename_state,
            self.taint,
        )
        for edit in self.dice.sample(everything, self.dice.randint(1, 2)):
            edit()

    def rename_key(self) -> None:
        """Give a company another key in the file."""
        old = self.dice.choice(list(self.world.company_ids))
        new = f"{old}-ltd"
        ids = self.world.company_ids
        self.world.company_ids = {new if name == old else name: each for name, each in ids.items()}
        self.world.desired = tuple(
            dataclasses.replace(each, address=Address(each.address.replace(f"{old}/", f"{new}/", 1)))
            if each.address.startswith(f"{old}/")
            else each
            for each in self.world.desired
        )

    def rename_second_half(self) -> None:
        """Give one connection another name in the file."""
        if self.world.desired:
            one = self.dice.choice(self.world.desired)
            renamed = dataclasses.replace(one, address=Address(f"{one.address}-z"))
            self.world.desired = tuple(renamed if each is one else each for each in self.world.desired)

    def move_parents(self) -> None:
        """Record some connections below a component."""
        self._each(lambda prior: a_urn(prior.address, COMPONENT), 0.5)

    def rename_state(self) -> None:
        """Rename some connections in the state, as by hand."""
        self._each(lambda prior: a_urn(f"{prior.address}-s"), 0.2)

    def taint(self) -> None:
        """Taint some connections in the state."""
        self.world.recorded = [
            dataclasses.replace(prior, tainted=not prior.pending_removal and self.dice.random() < 0.2)
            for prior in self.world.recorded
        ]

    def _each(self, urn: Callable[[PriorConnection], str], share: float) -> None:
        pending = {prior.address for prior in self.world.recorded if prior.pending_removal}
        self.world.recorded = [
            dataclasses.replace(prior, urn=urn(prior))
            if prior.address not in pending and self.dice.random() < share
            else prior
            for prior in self.world.recorded
        ]


class _Roll:
    def __init__(self, emulator: Emulator, dice: Random, world: World) -> None:
        self.emulator = emulator
        self.dice = dice
        self.world = world
        self.live: dict[str, list[str]] = defaultdict(list)
        self.recorded: dict[str, PriorConnection] = {}

    def everything(self) -> None:
        """Record some addresses, declare some, and add unmanaged live connections."""
        addresses = [f"{name}/{key}" for name in self.world.company_ids for key in "abc"]
        chosen = sorted(self.dice.sample(addresses, self.dice.randint(1, MOST)))
        for address in chosen:
            if self.chance(0.7):
                protected = self.chance(0.04)
                self.recorded[address] = dataclasses.replace(self.prior(address), protected=protected)
        self.world.recorded = list(self.recorded.values())
        for address in self.recorded:
            if self.chance(0.06):
                half = dataclasses.replace(self.prior(address, alone=True), pending_removal=True)
                self.world.recorded.append(half)
        for _ in range(self.dice.randint(0, 2)):
            self.connection(self.any_company(), self.platform())
        declared = [
            self.desired(address) for address in chosen if address not in self.recorded or self.chance(0.7)
        ]
        self.world.desired = tuple(_named_once(declared))
        if self.chance(0.05):
            self.emulator.delete_company(self.any_company())

    def any_company(self) -> str:
        """Choose a company by name, since the ids differ from run to run."""
        return self.world.company_ids[self.dice.choice(list(self.world.company_ids))]

    def chance(self, share: float) -> bool:
        """Return true with this probability."""
        return self.dice.random() < share

    def platform(self) -> str:
        """Choose a platform, more likely the first, so that there are several connections to one platform."""
        return PLATFORMS[self.chance(0.3)]

    def connection(self, company_id: str, platform_key: str, status: str | None = None) -> tuple[str, str]:
        """Make a live connection and return its id and status; an absent one is deleted again."""
        status = status or self.dice.choice(STATUSES)
        there = "Linked" if status == ABSENT else status
        connection_id = str(self.emulator.connect(company_id, platform_key, there)["id"])
        if status == ABSENT:
            self.emulator.delete_connection(connection_id)
        else:
            self.live[company_id].append(connection_id)
        return connection_id, status

    def prior(self, address: str, *, alone: bool = False) -> PriorConnection:
        """Return a recorded connection, mostly as it is live; sometimes a recorded one, unless *alone*."""
        desired = self.desired(address, connection_ids=False)
        company = address.partition("/")[0]
        others = [prior for prior in self.recorded.values() if prior.address.startswith(f"{company}/")]
        if others and not alone and self.chance(0.1):
            other = others[-1]
            return dataclasses.replace(
                other, desired=dataclasses.replace(other.desired, address=Address(address))
            )
        connection_id, status = self.connection(desired.company_id, desired.platform_key)
        if self.chance(0.3):
            status = self.dice.choice(STATUSES)
        refused = desired.status is Status.UNLINKED and status == Status.DEAUTHORIZED and self.chance(0.5)
        return PriorConnection(connection_id, desired, status, refused)

    def desired(self, address: str, *, connection_ids: bool = True) -> DesiredConnection:
        """Return a desired connection for an address, mostly as it is recorded."""
        prior = self.recorded.get(address)
        if prior and self.chance(0.4):
            return dataclasses.replace(prior.desired, connection_id=None)
        company_id = self.world.company_ids[address.partition("/")[0]]
        given = [*self.live[company_id], an_id(1)]
        connection_id = self.dice.choice(given) if connection_ids and self.chance(0.2) else None
        # A connection named by its id exists already, so a file may not say `create` for it.
        existing = [each for each in OnExisting if not connection_id or each is not OnExisting.CREATE]
        return DesiredConnection(
            address=Address(address),
            company_id=company_id,
            platform_key=prior.desired.platform_key if prior and self.chance(0.7) else self.platform(),
            status=DECLARABLE[self.chance(0.3)],
            on_removal=self.dice.choice(list(OnRemoval)),
            on_existing=self.dice.choice(existing),
            connection_id=connection_id,
        )


def _named_once(declared: Sequence[DesiredConnection]) -> list[DesiredConnection]:
    """Remove a `connectionId` that is declared before: a file may not name one twice."""
    seen: set[str | None] = {None}
    kept = []
    for each in declared:
        kept.append(dataclasses.replace(each, connection_id=None) if each.connection_id in seen else each)
        seen.add(each.connection_id)
    return kept


def living(emulator: Emulator, world: World) -> dict[str, str]:
    """Return the statuses of all live connections by id, of the companies that exist."""
    found: dict[str, str] = {}
    for company_id in world.company_ids.values():
        with contextlib.suppress(ValueError):
            found |= rows(emulator, company_id)
    return found


def a_planner(
    emulator: Emulator,
    recorded: Sequence[PriorConnection],
    company: str | None = None,
    *,
    api_key: str = "",
    max_losses: int | None = None,
    accept_missing: bool = False,
    approved_losses: frozenset[str] | None = None,
) -> Planner:
    """Return a planner with a reader of its own, as a new process has it."""
    settings = Settings(
        api_key or emulator.api_key,
        emulator.url,
        max_losses=max_losses,
        accept_missing=accept_missing,
        approved_losses=approved_losses,
    )
    return Planner(_a_reader(settings), settings, recorded, company)


def recorded_connections(
    emulator: Emulator,
    recorded: Sequence[PriorConnection],
    company: str | None = None,
    *,
    accept_missing: bool = False,
) -> RecordedConnections:
    """Return what is recorded, with a reader of its own, as a new process has it."""
    settings = Settings(emulator.api_key, emulator.url, accept_missing=accept_missing)
    return RecordedConnections(_a_reader(settings), settings, recorded, company)


def _a_reader(settings: Settings) -> Reader:
    return Reader(settings.api_key, settings.base_url, retries=1, sleep=lambda _: None)


@dataclass(frozen=True)
class Declared:
    """The connections that a program declares in one run, matched with the recorded ones by aliases."""

    desired: tuple[DesiredConnection, ...]
    priors: Mapping[Address, PriorConnection]
    """The recorded connection of each address, at its own URN or at an alias."""

    beside: Mapping[str, SlotDescription]
    leaving: tuple[PriorConnection, ...]
    """Undeclared connections and old halves of replacements, which are removed at the end."""

    refused: tuple[str, ...] = ()
    """The program's refusals, one line each; if there are any, it declares nothing."""

    waits: bool = False
    """Whether a change has to wait for the next run."""


def declared(desired: Sequence[DesiredConnection], recorded: Sequence[PriorConnection]) -> Declared:
    """Return what the stock program declares, and how the engine matches it with the recorded connections."""
    standing = [prior for prior in recorded if not prior.pending_removal]
    moved = moves(desired, standing)
    if moved.problems:
        lines = tuple(f"{address}: {said}" for address, said in moved.problems.items())
        return Declared((), {}, {}, (), lines)
    now = in_this_run(desired, moved)
    at = {prior.place: prior for prior in standing}
    priors = {}
    for each in now:
        prior = moved.origins.get(each.address) or at.get(each.place)
        if prior:
            priors[each.address] = prior
    taken = {prior.place for prior in priors.values()}
    leaving = [prior for prior in standing if prior.place not in taken]
    pending = [prior for prior in recorded if prior.pending_removal]
    beside = describe(now, standing, moved)
    return Declared(tuple(now), priors, beside, (*pending, *leaving), waits=bool(moved.later))


def decided(operations: Operations, program: Declared, desired: DesiredConnection) -> Action:
    """Return the action for one address, as the hooks `check` and `diff` decide it."""
    prior = program.priors.get(desired.address)
    operations.state.declare(desired.address, program.beside[desired.address])
    if prior is None:
        operations.preview_create(desired)
        return Action.CREATE
    action = operations.compare(dataclasses.replace(prior, tainted=False), desired).action
    if action is not Action.REPLACE and prior.tainted:
        # The engine replaces a tainted resource by itself, without calling a hook.
        operations.state.mark_replaced(prior.id, desired.address)
        return Action.REPLACE
    return action


def carry_out(
    emulator: Emulator,
    planner: Planner,
    plan: Plan,
    desired: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    file: Path,
    *,
    dice: Random | None = None,
    max_losses: int | None = None,
    accept_missing: bool = False,
) -> list[PriorConnection]:
    """Carry out *plan* as `codat-iac apply` does in a new process; return what is recorded afterwards.

    The request log is cleared before, so that it holds only the requests of this.
    """
    file.write_text(planner.hand_over(plan))
    operations = a_run(emulator, max_losses=max_losses, accept_missing=accept_missing).operations
    handover.load(file, operations)
    emulator.clear_requests()
    program = declared(desired, recorded)
    changes = {change.address: change for change in plan.changes if not change.later}
    acting = [each for each in program.desired if each.address in changes]
    removed = {each.urn or each.address for each in planner.decided.decisions if each.address in changes}
    leaving = [prior for prior in program.leaving if (prior.urn or prior.address) in removed]
    return run(operations, recorded, program, _shuffled(acting, dice), leaving)


def run(
    operations: Operations,
    recorded: Sequence[PriorConnection],
    program: Declared,
    acting: Sequence[DesiredConnection],
    leaving: Sequence[PriorConnection],
) -> list[PriorConnection]:
    """Check and diff, then create and update, then delete; return the recorded connections afterwards."""
    state = {(prior.place, prior.id): prior for prior in recorded}
    replaced = []
    steps = [(desired, decided(operations, program, desired)) for desired in acting]
    for desired, action in steps:
        prior = program.priors.get(desired.address)
        if prior:
            del state[prior.place, prior.id]
            if action is Action.NONE:
                prior = dataclasses.replace(prior, urn=a_urn(desired.address) if prior.urn else "")
                state[prior.place, prior.id] = prior
                continue
        if prior and action is not Action.REPLACE:
            live = operations.update(prior, desired)
        else:
            # If the file doesn't protect it, the engine replaces it. `delete` isn't told of protection.
            replaced += [dataclasses.replace(prior, protected=False)] if prior else []
            live = operations.create(desired)
        updated = prior is not None and action is not Action.REPLACE
        refused = updated and rule_table.refused_unlink(desired.status, live)
        now = properties.prior(live.id, properties.outputs(desired, live.id, live, unlink_refused=refused))
        state[now.place, now.id] = now
    for prior in [*replaced, *leaving]:
        operations.remove(prior)
        state = {key: each for key, each in state.items() if each is not prior}
    return list(state.values())


def _shuffled(acting: Iterable[DesiredConnection], dice: Random | None) -> list[DesiredConnection]:
    """Return them in random order: the engine may get a program's declarations in any order."""
    shuffled = list(acting)
    if dice:
        dice.shuffle(shuffled)
    return shuffled


def up(emulator: Emulator, world: World, dice: Random | None = None) -> list[PriorConnection]:
    """Do what `pulumi up` with a refresh does; return the recorded connections afterwards."""
    operations = a_run(emulator).operations
    read = [refreshed(operations, prior) for prior in world.recorded]
    program = declared(world.desired, read)
    if program.refused:
        raise Refused("; ".join(program.refused))
    return run(operations, read, program, _shuffled(program.desired, dice), program.leaving)


def preview(
    emulator: Emulator, world: World, dice: Random, *, max_losses: int | None = None
) -> tuple[dict[str, Action], set[str]]:
    """Do what `pulumi preview` does; return the action for each declared address, and the errors."""
    operations = a_run(emulator, max_losses=max_losses).operations
    actions: dict[str, Action] = {}
    errors: set[str] = set()
    for prior in world.recorded:
        try:
            operations.read(_as_hooks_know(prior))
        except Refused as refusal:
            errors.add(str(refusal))
    program = declared(world.desired, world.recorded)
    for desired in [] if errors else _shuffled(program.desired, dice):
        try:
            actions[desired.address] = decided(operations, program, desired)
        except Refused as refusal:
            errors.add(str(refusal))
    return actions, errors | set(program.refused)


def _as_hooks_know(prior: PriorConnection) -> PriorConnection:
    """Return a recorded connection with the facts that a refresh gives to the hooks: properties and URN."""
    return dataclasses.replace(prior, protected=False, tainted=False, pending_removal=False)


def refreshed(operations: Operations, prior: PriorConnection) -> PriorConnection:
    """Return one recorded connection as a refresh records it."""
    live = operations.read(_as_hooks_know(prior))
    refused = prior.unlink_refused and rule_table.refused_unlink(prior.desired.status, live)
    outputs = properties.outputs(prior.desired, prior.id, live, unlink_refused=refused)
    now = properties.prior(prior.id, outputs, urn=prior.urn)
    return dataclasses.replace(
        now, protected=prior.protected, tainted=prior.tainted, pending_removal=prior.pending_removal
    )
