"""The story of one run: what is declared, edited and done by others, and what must hold at its end.

`operations.py` and `machine.py` tell how one process takes part in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from codat_iac.client import Client
from codat_iac.emulator import Emulator
from codat_iac.model import DesiredConnection, OnExisting, OnRemoval, PriorConnection, Status
from codat_iac.plan import Change, Plan
from codat_iac.planning import Planner
from codat_iac.settings import Settings
from tests.builders import rows
from tests.campaign.faults import CELLS, ENDING, OPERATIONS, PASSING, SLOW, some_knobs, struck
from tests.worlds import _with_siblings

COMPANIES = ("acme", "beta", "gamma")
PLATFORMS = ("gbol", "suuo", "fztf")
FOREIGN = "exgd"
"""The platform of the connections that are nobody's here."""

LIMIT = 1000
"""Losses that are allowed: each of the story's is meant."""

Cell = tuple[str, str, str]
"""A fault, an operation of Codat's, and what became of it."""


@dataclass
class Stack:
    """What the engine has written down: all that one process leaves to the next."""

    recorded: dict[str, PriorConnection] = field(default_factory=dict)
    replaced: list[PriorConnection] = field(default_factory=list)


@dataclass
class Found:
    """What one or more runs found."""

    hits: Counter[Cell] = field(default_factory=Counter)
    knobs: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Take another's findings in."""
        self.hits += other.hits
        self.knobs += other.knobs
        self.violations += other.violations


class Story(ABC):
    """One run: `Random` of its seed and number decides all of it.

    *door* is the campaign's name, *faults* which of them strike, one after the other from run to run.
    """

    def __init__(self, emulator: Emulator, door: str, faults: Sequence[str], seed: int, number: int) -> None:
        self.emulator = emulator
        self.name = f"{door}, seed {seed}, run {number}"
        self.dice = Random(f"{door}/{seed}/{number}")  # noqa: S311  reproducible, not secret
        rounds, turn = divmod(number, len(faults) + len(ENDING))
        fault = [*faults, *sorted(ENDING)][turn]
        quick = [cell for cell in CELLS if cell[0] not in SLOW]
        reads, writes = list(OPERATIONS)[:4], list(OPERATIONS)[4:]
        # Of all reads at once hardly a process would come as far as to write.
        struck_at = [*self.dice.sample(reads, 2), *writes]
        if fault in ENDING and rounds % 2:
            struck_at = writes[1:]
        self.cells = [(fault, operation) for operation in struck_at] + self.dice.sample(quick, 1)
        self.found = Found()
        self.stack = Stack()
        self.desired: tuple[DesiredConnection, ...] = ()
        self.companies = {name: str(emulator.add_company(name)["id"]) for name in COMPANIES}
        self.edits = 0
        self.ahead = 0.0
        self.failing = False
        """Faults are in force."""
        self.whole = False
        """The last process came to its end, without an error."""
        self.ours: set[str] = set()
        self.released: set[str] = set()
        self.theirs: dict[str, str] = {}

    @abstractmethod
    def process(self) -> None:
        """Let one process apply what is desired: `stack`, `whole` and `found.hits` say what came of it."""

    def pass_time(self, seconds: float) -> None:
        """Let time go by at Codat."""
        self.ahead += seconds
        self.emulator.knobs({"clockAheadSeconds": self.ahead})

    def strikes(self) -> Counter[tuple[str, str]]:
        """How often each cell's fault has struck."""
        if not self.failing:
            return Counter()
        hits: Counter[tuple[str, str]] = Counter()
        for cell, fault in zip(self.cells, self.emulator.faults(), strict=True):
            hits[cell] += fault["hits"]
        return hits

    # The story.

    def everything(self) -> Found:
        """Declare, edit, fail, and look at what is left."""
        for company_id in self.companies.values():
            stranger = self.emulator.connect(company_id, FOREIGN, self.dice.choice(list(Status)))
            self.theirs[str(stranger["id"])] = str(stranger["status"])
        self.declare()
        if self.dice.random() < 0.8:
            self.process()
            self.customers()
            self.edit()
        knobs = some_knobs(self.dice)
        self.emulator.knobs(knobs)
        self.found.knobs.update((name, str(value)) for name, value in knobs.items())
        self.emulator.faults([struck(cell, self.dice) for cell in self.cells])
        self.failing = True
        for _ in range(self.dice.randint(2, 5)):
            self.process()
            self.pass_time(5)  # a listing may lag so far behind; see docs/reliability.md
            if self.dice.random() < 0.5:
                self.customers()
            # What a dead run made, and what is then taken out of the file, is nobody's: see reliability.md.
            if self.whole and self.dice.random() < 0.6:
                self.edit()
        self.emulator.faults([])
        self.emulator.knobs(PASSING)
        self.failing = False
        self.pass_time(24 * 3600)
        self.process()
        self.check()
        return self.found

    def declare(self) -> None:
        """Declare five to eight connections, some of them of a kind."""
        addresses = [f"{company}/{key}" for company in COMPANIES for key in "abcd"]
        self.set_desired(
            self.a_desired(each) for each in self.dice.sample(addresses, self.dice.randint(5, 8))
        )

    def set_desired(self, declared: Iterable[DesiredConnection]) -> None:
        """Declare these and no others."""
        self.desired = _with_siblings(sorted(declared, key=lambda each: each.address))

    def a_desired(self, address: str) -> DesiredConnection:
        """Declare one connection that doesn't exist yet."""
        return DesiredConnection(
            address=address,
            company_id=self.companies[address.partition("/")[0]],
            platform_key=self.dice.choice(PLATFORMS),
            on_removal=self.dice.choice(list(OnRemoval)),
            on_existing=OnExisting.CREATE,  # what was let go of may stand there
        )

    def edit(self) -> None:
        """Change the file: each kind of edit, by chance."""
        self.edits += 1
        edited: dict[str, DesiredConnection] = {}
        for each in self.desired:
            new = self.edited(each, self.stack.recorded.get(each.address))
            if new:
                edited[new.address] = new
        for name in COMPANIES:
            if self.dice.random() < 0.5:
                edited[f"{name}/new-{self.edits}"] = self.a_desired(f"{name}/new-{self.edits}")
        # Which of several of a kind was renamed, and which was let go of, nobody can tell.
        slots = {prior.slot for prior in self.stack.recorded.values() if prior.id in self.released}
        for address, prior in self.stack.recorded.items():
            if address not in edited and prior.slot in slots:
                self.release(prior)
        self.set_desired(edited.values())

    def edited(self, desired: DesiredConnection, prior: PriorConnection | None) -> DesiredConnection | None:
        """Edit one entry of the file, or take it out."""
        kinds = ("keep", "keep", "remove", "remove", "rename", "unlink", "unlink", "replace", "policy")
        match self.dice.choice(kinds):
            case "remove":
                self.release(prior)
                return None
            case "rename":
                return dataclasses.replace(desired, address=f"{desired.address}-{self.edits}")
            case "unlink" if prior and prior.id in self.living():  # what isn't there can't be declared so
                self.release(prior)
                return dataclasses.replace(desired, status=Status.UNLINKED)
            case "replace":
                self.release(prior)
                platform_key = self.dice.choice(PLATFORMS)
                return dataclasses.replace(desired, platform_key=platform_key, status=Status.LINKED)
            case "policy":
                return dataclasses.replace(desired, on_removal=self.dice.choice(list(OnRemoval)))
        return desired

    def release(self, prior: PriorConnection | None) -> None:
        """From now on it may be unlinked or deleted."""
        if prior:
            self.released.add(prior.id)

    def customers(self) -> None:
        """Let customers authorise, revoke, disconnect, and somebody delete one in the Portal."""
        living = self.living()
        unlinked = {each.address for each in self.desired if each.status is Status.UNLINKED}
        # By address: ids are new ones whenever a seed is run again.
        by_id = {prior.id: prior.address for prior in self.stack.recorded.values()}
        for each in sorted(by_id.keys() & living.keys(), key=lambda each: by_id[each]):
            with contextlib.suppress(ValueError):  # a write of ours that Codat was slow with came first
                self.act(each, living[each], deletes=not unlinked)
        self.theirs |= {
            connection_id: status
            for connection_id, status in self.living().items()
            if connection_id in self.theirs or connection_id in self.recorded_ids()
        }

    def act(self, connection_id: str, status: str, *, deletes: bool) -> None:
        """Let somebody act on one connection, by chance; what isn't there can't be declared Unlinked."""
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
        """What is there: ids and statuses."""
        return {
            each: status
            for company in self.companies.values()
            for each, status in rows(self.emulator, company).items()
        }

    def recorded_ids(self) -> set[str]:
        """The ids that the state holds."""
        return {prior.id for prior in (*self.stack.recorded.values(), *self.stack.replaced)}

    def plan(self) -> Plan:
        """Plan once more, as a process of its own."""
        settings = Settings(self.emulator.api_key, self.emulator.url, max_losses=LIMIT)
        client = Client(self.emulator.api_key, self.emulator.url)
        planner = Planner(client, settings, self.stack.recorded, None, self.stack.replaced)
        return planner.plan(self.desired)

    def check(self) -> None:
        """Look for what must never be."""
        living = self.living()
        recorded = self.recorded_ids()
        unrecorded = living.keys() - recorded - self.ours - self.theirs.keys()
        for each in sorted(unrecorded):
            self.violated(f"{each} was made and is recorded nowhere: a second connection")
        for each in sorted((self.ours & living.keys()) - recorded - self.released):
            self.violated(f"{each} was recorded and is no more, which nobody asked for")
        by_address = Counter(prior.id for prior in self.stack.recorded.values())
        refuses = self.emulator.knobs()["secondAccounting"] == "reject"
        for each, times in by_address.items():
            # What a refused replacement couldn't let go of may have been taken up already.
            if times > 1 and not refuses:
                self.violated(f"{each} is recorded at {times} addresses")
        for each, status in sorted(self.theirs.items()):
            if each not in self.released and living.get(each) != status:
                self.violated(f"{each} was {status} and is {living.get(each)}, which nobody asked for")
        plan = self.plan()
        left = [each for each in plan.changes if not self.is_refused(each)]
        for change in left:
            self.violated(f"still to do: {change.step} {change.address}")
        for problem in plan.problems:
            self.violated(f"a problem is left: {problem.text}")

    def is_refused(self, change: Change) -> bool:
        """Whether Codat refuses it: a second Accounting connection of a company, where the knob says so.

        Nothing of its company and platform is removed then either.
        """
        accounting = [each for each in self.desired if each.platform_key == PLATFORMS[0]]
        alike = [each for each in accounting if each.company_id == change.company_id]
        return self.emulator.knobs()["secondAccounting"] == "reject" and len(alike) > 0

    def violated(self, what: str) -> None:
        """Put a broken promise down, with the way to see it again."""
        self.found.violations.append(f"{self.name}: {what}")
