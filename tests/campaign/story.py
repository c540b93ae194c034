"""The story of one run: declarations, edits and acts of others, and the checks at its end.

`operations.py` and `machine.py` implement how one process takes part in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from codat_iac.codat.client import Reader
from codat_iac.emulator import Emulator
from codat_iac.model.connection import (
    Address,
    DesiredConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.model.settings import Settings
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import Plan
from codat_iac.reconcile.planner import Planner
from tests.campaign.faults import CELLS, ENDING, OPERATIONS, PASSING, SLOW, some_knobs, struck
from tests.support.builders import rows, writes
from tests.support.worlds import COMPONENT, a_urn

COMPANIES = ("acme", "beta", "gamma")
PLATFORMS = ("gbol", "suuo", "fztf")
FOREIGN = "exgd"
"""The platform of unmanaged connections."""

LIMIT = 1000
"""The allowed losses: all losses of the story are intended."""

EDITS = (
    "file",
    "file",
    "file",
    "file",
    "file",
    "key",
    "pass on",
    "revert",
    "state",
    "parents",
    "second user",
)
"""Edits that users make to the file, the state and the program; the first is the usual one."""

Cell = tuple[str, str, str]
"""A fault, an operation of Codat's, and the outcome."""


@dataclass
class Stack:
    """The engine's state: all that one process leaves to the next."""

    recorded: list[PriorConnection] = field(default_factory=list)
    """Including old halves of replacements."""

    @property
    def standing(self) -> list[PriorConnection]:
        """The recorded connections without old halves of replacements."""
        return [prior for prior in self.recorded if not prior.pending_removal]

    def at(self, address: str) -> PriorConnection | None:
        """Return the connection recorded at an address, None if there is none."""
        return next((prior for prior in self.standing if prior.address == address), None)


@dataclass
class Found:
    """The findings of one or more runs."""

    hits: Counter[Cell] = field(default_factory=Counter)
    knobs: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Add another's findings."""
        self.hits += other.hits
        self.knobs += other.knobs
        self.violations += other.violations


class Story(ABC):
    """One run, which is determined by its seed and number.

    *door* is the campaign's name; *faults* are the faults, of which each run has the next one.
    """

    def __init__(self, emulator: Emulator, door: str, faults: Sequence[str], seed: int, number: int) -> None:
        self.emulator = emulator
        self.name = f"{door}, seed {seed}, run {number}"
        self.dice = Random(f"{door}/{seed}/{number}")  # noqa: S311  reproducible, not secret
        rounds, turn = divmod(number, len(faults) + len(ENDING))
        fault = [*faults, *sorted(ENDING)][turn]
        quick = [cell for cell in CELLS if cell[0] not in SLOW]
        reads, writes = list(OPERATIONS)[:4], list(OPERATIONS)[4:]
        # If all reads had the fault at once, hardly a process would get as far as a write.
        struck_at = [*self.dice.sample(reads, 2), *writes]
        if fault in ENDING and rounds % 2:
            struck_at = writes[1:]
        self.cells = [(fault, operation) for operation in struck_at] + self.dice.sample(quick, 1)
        self.found = Found()
        self.stack = Stack()
        self.desired: tuple[DesiredConnection, ...] = ()
        self.settled: tuple[DesiredConnection, ...] = ()
        """What was desired when a process last succeeded."""
        self.companies = {name: str(emulator.add_company(name)["id"]) for name in COMPANIES}
        self.settled_companies = dict(self.companies)
        self.edits = 0
        self.ahead = 0.0
        self.failing = False
        """Whether the faults are active."""
        self.whole = False
        """Whether the last process ended without an error."""
        self.waited = False
        """Whether a change had to wait for the process after the last one."""
        self.ours: set[str] = set()
        self.released: set[str] = set()
        self.theirs: dict[str, str] = {}

    @abstractmethod
    def process(self) -> None:
        """Run one process that applies what is desired, and set `stack`, `whole` and `found.hits`."""

    def pass_time(self, seconds: float) -> None:
        """Let time pass at Codat."""
        self.ahead += seconds
        self.emulator.knobs({"clockAheadSeconds": self.ahead})

    def strikes(self) -> Counter[tuple[str, str]]:
        """Return how often each cell's fault has struck."""
        if not self.failing:
            return Counter()
        hits: Counter[tuple[str, str]] = Counter()
        for cell, fault in zip(self.cells, self.emulator.faults(), strict=True):
            hits[cell] += fault["hits"]
        return hits

    # The story.

    def everything(self) -> Found:
        """Declare, edit, apply under faults and then without, and check the result."""
        for company_id in self.companies.values():
            stranger = self.emulator.connect(company_id, FOREIGN, self.dice.choice(list(Status)))
            self.theirs[str(stranger["id"])] = str(stranger["status"])
        self.declare()
        if self.dice.random() < 0.8:
            self.apply()
            self.customers()
            self.edit()
            if self.dice.random() < 0.5:
                self.change()
        knobs = some_knobs(self.dice)
        self.emulator.knobs(knobs)
        self.found.knobs.update((name, str(value)) for name, value in knobs.items())
        self.emulator.faults([struck(cell, self.dice) for cell in self.cells])
        self.failing = True
        for _ in range(self.dice.randint(2, 5)):
            self.apply()
            self.pass_time(5)  # a listing may lag so far behind; see docs/reliability.md
            if self.dice.random() < 0.5:
                self.customers()
            # What a dead run made, and then leaves the file, is unmanaged: see docs/reliability.md.
            if self.whole and self.dice.random() < 0.9:
                self.change()
        self.emulator.faults([])
        self.emulator.knobs(PASSING)
        self.failing = False
        self.pass_time(24 * 3600)
        self.apply()
        for _ in self.desired:
            if not self.waited:
                break
            self.apply()
        self.check()
        return self.found

    def change(self) -> None:
        """Make one of the edits of `EDITS`, by chance."""
        match self.dice.choice(EDITS):
            case "file":
                self.edit()
            case "key":
                self.rename_key()
            case "pass on":
                self.pass_on()
            case "revert":
                self.go_back()
            case "state":
                self.rename_state()
            case "parents":
                self.move_parents()
            case "second user":
                mine, names = self.desired, self.companies
                self.go_back()
                self.apply()
                # Connections that a dead run made for their file must be taken up with their file.
                if self.whole and not self.waited:
                    self.desired, self.companies = mine, names

    def go_back(self) -> None:
        """Restore the file as it was when a process last succeeded."""
        self.companies = dict(self.settled_companies)
        self.desired = self.settled

    def declare_what_can_be(self) -> None:
        """Declare missing connections as Linked: they can't be unlinked, so no user would leave that."""
        there, living = read(self.desired, self.stack.standing).goes_on, self.living()
        self.set_desired(
            each
            if each.status is Status.LINKED or (each.address in there and there[each.address].id in living)
            else dataclasses.replace(each, status=Status.LINKED)
            for each in self.desired
        )

    def apply(self) -> None:
        """Run one process that applies what is desired, if its meaning is clear.

        If it isn't, the process must refuse: it may not write, and must leave the state unchanged. Then the
        user says what was meant, as the refusal asks.
        """
        self.declare_what_can_be()
        reading = read(self.desired, self.stack.standing)
        if reading.refused:
            self.refuse()
            self.say_what_was_meant(reading)
            self.declare_what_can_be()
            reading = read(self.desired, self.stack.standing)
        self.released |= ending(self.desired, self.stack.recorded, reading)
        before = {prior.id: prior for prior in self.stack.standing}
        self.waited = bool(reading.waiting)
        self.process()
        self.check_names(before, reading)
        if self.whole:
            self.settled, self.settled_companies = self.desired, dict(self.companies)
            # A connection named by its id can't be created again once it is deleted.
            self.set_desired(dataclasses.replace(each, connection_id=None) for each in self.desired)

    def refuse(self) -> None:
        """Run a process, and check that it refuses the unclear file."""
        self.emulator.clear_requests()
        before = {(prior.place, prior.id) for prior in self.stack.recorded}
        self.process()
        if self.whole:
            self.violated("what nobody can know was not refused")
        if written := writes(self.emulator):
            self.violated(f"what nobody can know was not refused: {written}")
        if {(prior.place, prior.id) for prior in self.stack.recorded} != before:
            self.violated("what nobody can know was not refused: the state is another")

    def say_what_was_meant(self, reading: Reading) -> None:
        """Do as the refusal says: name the continued connections by id; restore the rest of the file."""
        named = {prior.id for prior in self.stack.standing}
        edited = []
        for each in self.desired:
            old = next((p for p in reading.refused.get(each.address, ()) if p.id in named), None)
            if old is not None and each.connection_id is None and each.on_existing is not OnExisting.CREATE:
                named.discard(old.id)
                each = dataclasses.replace(each, connection_id=old.id)  # noqa: PLW2901  the edited one
            edited.append(each)
        self.set_desired(edited)
        if read(self.desired, self.stack.standing).refused:
            self.set_desired(
                dataclasses.replace(prior.desired, address=prior.address) for prior in self.stack.standing
            )
            self.companies = dict(self.settled_companies)

    def declare(self) -> None:
        """Declare five to eight connections, some of them in one slot."""
        addresses = [f"{company}/{key}" for company in COMPANIES for key in "abcd"]
        self.set_desired(
            self.a_desired(each) for each in self.dice.sample(addresses, self.dice.randint(5, 8))
        )

    def set_desired(self, declared: Iterable[DesiredConnection]) -> None:
        """Declare these and no others."""
        self.desired = tuple(sorted(declared, key=lambda each: each.address))

    def a_desired(self, address: str) -> DesiredConnection:
        """Return a desired connection that doesn't exist yet."""
        return DesiredConnection(
            address=Address(address),
            company_id=self.companies[address.partition("/")[0]],
            platform_key=self.dice.choice(PLATFORMS),
            on_removal=self.dice.choice(list(OnRemoval)),
            on_existing=OnExisting.CREATE,  # a forgotten connection may exist there
        )

    def edit(self) -> None:
        """Edit each entry of the file by chance, and perhaps add new ones."""
        self.edits += 1
        edited: dict[str, DesiredConnection] = {}
        for each in self.desired:
            new = self.edited(each, self.stack.at(each.address))
            if new:
                edited[new.address] = new
        for name in self.companies:
            if self.dice.random() < 0.25:  # in a slot that another one leaves, it continues that one
                edited[f"{name}/new-{self.edits}"] = self.a_desired(f"{name}/new-{self.edits}")
        self.set_desired(edited.values())

    def edited(self, desired: DesiredConnection, prior: PriorConnection | None) -> DesiredConnection | None:
        """Return an edited entry of the file, or None to remove it."""
        kinds = ("keep", "policy", "rename", "replace", *("remove",) * 3, *("unlink",) * 3)
        match self.dice.choice(kinds):
            case "remove":
                return None
            case "rename":
                return dataclasses.replace(desired, address=Address(f"{desired.address}-{self.edits}"))
            case "unlink" if prior and prior.id in self.living():  # a missing one can't be unlinked
                return dataclasses.replace(desired, status=Status.UNLINKED)
            case "replace":
                platform_key = self.dice.choice(PLATFORMS)
                return dataclasses.replace(desired, platform_key=platform_key, status=Status.LINKED)
            case "policy":
                return dataclasses.replace(desired, on_removal=self.dice.choice(list(OnRemoval)))
        return desired

    def rename_key(self) -> None:
        """Give a company another key in the file."""
        self.edits += 1
        old = self.dice.choice(list(self.companies))
        new = f"{old}-{self.edits}"
        self.companies = {new if name == old else name: each for name, each in self.companies.items()}
        self.set_desired(
            dataclasses.replace(each, address=Address(each.address.replace(f"{old}/", f"{new}/", 1)))
            if each.address.partition("/")[0] == old
            else each
            for each in self.desired
        )

    def pass_on(self) -> None:
        """Give a connection to a new name, and its old name another platform, which takes two runs."""
        self.edits += 1
        one = self.dice.choice(self.desired) if self.desired else None
        if one:
            new_owner = dataclasses.replace(one, address=Address(f"{one.address}-p{self.edits}"))
            others = [each for each in PLATFORMS if each != one.platform_key]
            own = dataclasses.replace(one, platform_key=self.dice.choice(others), status=Status.LINKED)
            self.set_desired([*(each for each in self.desired if each is not one), new_owner, own])

    def rename_state(self) -> None:
        """Rename a connection in the state, as `pulumi state rename` does."""
        self.edits += 1
        one = self.dice.choice(self.stack.standing) if self.stack.standing else None
        if one and not any(half.place == one.place for half in self.stack.recorded if half.pending_removal):
            self.record_at(one, a_urn(f"{one.address}-s{self.edits}"))

    def move_parents(self) -> None:
        """Record some connections below a component, as a user's own program does."""
        pending = {prior.place for prior in self.stack.recorded if prior.pending_removal}
        for each in self.stack.standing:
            if each.place not in pending and self.dice.random() < 0.4:
                self.record_at(each, a_urn(each.address, COMPONENT))

    def record_at(self, prior: PriorConnection, urn: str) -> None:
        """Record a connection at another URN."""
        moved = dataclasses.replace(prior, urn=urn)
        self.stack.recorded = [moved if each is prior else each for each in self.stack.recorded]

    def customers(self) -> None:
        """Let customers authorise, revoke and disconnect, and somebody delete a connection in the Portal."""
        living = self.living()
        unlinked = {each.address for each in self.desired if each.status is Status.UNLINKED}
        # Sorted by address, since the ids differ when a seed is run again.
        by_id = {prior.id: prior.address for prior in self.stack.standing}
        for each in sorted(by_id.keys() & living.keys(), key=lambda each: by_id[each]):
            with contextlib.suppress(ValueError):  # a late commit of ours came first
                self.act(each, living[each], deletes=not unlinked)
        self.theirs |= {
            connection_id: status
            for connection_id, status in self.living().items()
            if connection_id in self.theirs or connection_id in self.recorded_ids()
        }

    def act(self, connection_id: str, status: str, *, deletes: bool) -> None:
        """Let somebody act on one connection, by chance; *deletes* says whether it may be deleted."""
        if self.dice.random() < 0.4:
            return
        if status == Status.PENDING_AUTH:
            self.emulator.authorise(connection_id)
        elif status == Status.LINKED and self.dice.random() < 0.5:
            revokes = self.dice.random() < 0.5
            (self.emulator.revoke if revokes else self.emulator.unlink)(connection_id)
        elif deletes and self.dice.random() < 0.15:
            self.emulator.delete_connection(connection_id)
            self.theirs.pop(connection_id, None)

    # What must hold.

    def living(self) -> dict[str, str]:
        """Return the statuses of all live connections by id."""
        return {
            each: status
            for company in self.companies.values()
            for each, status in rows(self.emulator, company).items()
        }

    def recorded_ids(self) -> set[str]:
        """Return the ids in the state."""
        return {prior.id for prior in self.stack.recorded}

    def plan(self) -> Plan:
        """Return a new plan, made as by another process."""
        settings = Settings(self.emulator.api_key, self.emulator.url, max_losses=LIMIT)
        reader = Reader(self.emulator.api_key, self.emulator.url)
        return Planner(reader, settings, self.stack.recorded).plan(self.desired)

    def check_names(self, before: Mapping[str, PriorConnection], reading: Reading) -> None:
        """Check that each id keeps slot and key of its address, or moved to where the file means it to."""
        meant = {prior.id: address for address, prior in reading.goes_on.items()}
        for prior in self.stack.standing:
            was = before.get(prior.id)
            if was is None or was.address == prior.address:
                continue
            same = _second_half(was.address) == _second_half(prior.address) and was.slot == prior.slot
            if not same and meant.get(prior.id) != prior.address:
                self.violated(f"{prior.id} was {was.address} and is {prior.address}")

    def check(self) -> None:
        """Check that all promises hold at the end."""
        living = self.living()
        recorded = self.recorded_ids()
        unrecorded = living.keys() - recorded - self.ours - self.theirs.keys()
        for each in sorted(unrecorded):
            self.violated(f"{each} was made and is recorded nowhere: a second connection")
        for each in sorted((self.ours & living.keys()) - recorded - self.released):
            self.violated(f"{each} was recorded and is no more, which nobody asked for")
        by_address = Counter(prior.id for prior in self.stack.standing)
        refuses = self.emulator.knobs()["secondAccounting"] == "reject"
        for each, times in by_address.items():
            # After a refused replacement, the old connection may have been taken up elsewhere already.
            if times > 1 and not refuses:
                self.violated(f"{each} is recorded at {times} addresses")
        for each, status in sorted(self.theirs.items()):
            if each not in self.released and living.get(each) != status:
                self.violated(f"{each} was {status} and is {living.get(each)}, which nobody asked for")
        plan = self.plan()
        left = [each for each in plan.changes if not self.is_refused(each)]
        for change in left:
            self.violated(f"still to do: {change.action} {change.address}")
        for problem in plan.problems:
            self.violated(f"a problem is left: {problem.text}")

    def is_refused(self, change: Decision) -> bool:
        """Return whether Codat refuses the change: a second Accounting connection, if the knob says so.

        Then nothing of that company and platform is removed either.
        """
        accounting = [each for each in self.desired if each.platform_key == PLATFORMS[0]]
        alike = [each for each in accounting if each.company_id == change.company_id]
        return self.emulator.knobs()["secondAccounting"] == "reject" and len(alike) > 0

    def violated(self, what: str) -> None:
        """Add a violation, with the run that reproduces it."""
        self.found.violations.append(f"{self.name}: {what}")


# The meaning of a file, given the recorded connections: the rules written independently of the product.


@dataclass
class Reading:
    """The recorded connection that each address continues, unclear addresses, and those of a second run."""

    goes_on: dict[str, PriorConnection] = field(default_factory=dict)
    refused: dict[str, list[PriorConnection]] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


def read(desired: Sequence[DesiredConnection], standing: Sequence[PriorConnection]) -> Reading:
    """Return the meaning of a file as a careful person would find it who knows the state."""
    reading = Reading()
    at = {prior.place: prior for prior in standing}
    for slot in {each.slot for each in desired}:
        mine = [each for each in desired if each.slot == slot]
        there = [prior for prior in standing if prior.slot == slot]
        for clue in (_own_name, _own_id, _same_name, _name_of_then, _second_halves):
            for each in list(mine):
                fits = [prior for prior in there if clue(each, prior)]
                rivals = [other for other in mine if other is not each and fits and clue(other, fits[0])]
                if len(fits) == 1 and not rivals:
                    reading.goes_on[each.address] = fits[0]
                    there.remove(fits[0])
                    mine.remove(each)
        new = [each for each in mine if each.connection_id is None]
        if len(new) == len(there) == 1:
            reading.goes_on[new[0].address] = there[0]
        elif there:
            reading.refused |= {each.address: there for each in new}
    _order(desired, at, reading)
    return reading


def _order(desired: Sequence[DesiredConnection], at: Mapping[str, PriorConnection], reading: Reading) -> None:
    """Find the addresses that must wait until others have left their names, and those that never can move."""
    leaving = {prior.place: address for address, prior in reading.goes_on.items()}
    for each in desired:
        chain, one = [], each
        while (there := at.get(one.place)) and reading.goes_on.get(one.address) is not there:
            taker = leaving.get(there.place)
            origin = reading.goes_on.get(one.address)
            if taker is None and origin is None:
                break  # what is recorded there is replaced
            if taker is None or taker in chain or taker == each.address or _below_a_component(origin):
                reading.refused.setdefault(each.address, [])
                break
            chain.append(taker)
            reading.waiting.add(each.address)
            one = next(other for other in desired if other.address == taker)
    reading.waiting -= reading.refused.keys()


def _below_a_component(prior: PriorConnection | None) -> bool:
    return prior is not None and "$" in prior.place


def _own_name(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.place == prior.place and desired.connection_id in {None, prior.id}


def _own_id(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id == prior.id


def _same_name(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id is None and desired.address == prior.address


def _name_of_then(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id is None and desired.address == prior.desired.address


def _second_halves(desired: DesiredConnection, prior: PriorConnection) -> bool:
    return desired.connection_id is None and _second_half(desired.address) == _second_half(prior.address)


def _second_half(address: str) -> str:
    return address.partition("/")[2]


def ending(
    desired: Sequence[DesiredConnection], recorded: Sequence[PriorConnection], reading: Reading
) -> set[str]:
    """Return the ids of connections that a file ends: those that it unlinks or doesn't continue."""
    going_on = {prior.id: address for address, prior in reading.goes_on.items()}
    unlinked = {each.address for each in desired if each.status is Status.UNLINKED}
    return {p.id for p in recorded if p.id not in going_on or going_on[p.id] in unlinked}
