"""Random desired states and edits, every fault and every knob, against the operations layer.

A run has one small tenant: connections are declared and created, customers act, the file is edited, and then
a few processes try to apply it while Codat fails, and some of them are killed. After a last process without
faults nothing must be left to do, nothing created twice, and nothing else touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from codat_iac.codat.client import Client
from codat_iac.emulator import Emulator, serving
from codat_iac.model import properties
from codat_iac.model.connection import DesiredConnection, PriorConnection
from codat_iac.model.errors import ApiError, CodatIacError, Refused
from codat_iac.model.settings import Settings
from codat_iac.planning import rule_table
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile.operations import Operations
from tests.campaign.faults import CELLS, FAULTS, OPERATIONS, SLOW
from tests.campaign.story import LIMIT, Cell, Found, Story
from tests.campaign.tables import table
from tests.support.worlds import Declared, a_urn, decided, declared, refreshed

FEWEST = 30
"""The fewest hits that each cell must have in a full campaign."""

OUTCOMES = ("went on", "failed", "in doubt", "refused", "killed")
"""The possible outcomes of a step that a fault struck."""


class Killed(BaseException):
    """The simulated process is killed here."""


def campaign(runs: int, seed: int, tell: Callable[[str], None], jobs: int = 2) -> list[str]:
    """Make *runs* runs, *jobs* at once, report how often each cell was hit, and return the violations."""
    found = Found()
    chunks = [range(start, runs, jobs) for start in range(jobs)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as processes:
        for each in processes.map(some_runs, [seed] * jobs, chunks):
            found.add(each)
    return found.violations + report(found, runs, seed, tell)


def report(found: Found, runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Report the table, and return the cells that were hit too rarely."""
    tell(f"operations: {runs} runs from seed {seed}")
    for line in table(("fault", *OPERATIONS), _lines(found.hits)):
        tell(line)
    tell(f"each cell: how often it {', '.join(OUTCOMES)}")
    tell(
        f"{len(found.knobs)} settings of Codat's open points, each in force"
        f" {min(found.knobs.values(), default=0)} times or more"
    )
    rare = [
        f"{fault} at {operation}: {hits} hits"
        for fault, operation in CELLS
        if (hits := sum(found.hits[fault, operation, outcome] for outcome in OUTCOMES)) < FEWEST
    ]
    whole = runs >= len(CELLS) * 10
    return [f"operations, seed {seed}: too rare to say anything: {each}" for each in rare] if whole else []


def _lines(hits: Counter[Cell]) -> Iterator[tuple[str, ...]]:
    for fault in FAULTS:
        cells = (
            " ".join(str(hits[fault, operation, outcome]) for outcome in OUTCOMES) for operation in OPERATIONS
        )
        yield fault, *cells


def some_runs(seed: int, numbers: Sequence[int]) -> Found:
    """Make the runs with these *numbers*, on an emulator of their own."""
    found = Found()
    with serving() as emulator:
        for number in numbers:
            emulator.reset()
            found.add(Run(emulator, seed, number).everything())
    return found


class Run(Story):
    """A run whose processes are made of the provider's hooks, in the engine's order, without an engine."""

    def __init__(self, emulator: Emulator, seed: int, number: int) -> None:
        super().__init__(emulator, "operations", tuple(FAULTS), seed, number)
        self.slow = any(fault in SLOW for fault, _ in self.cells)

    # Processes.

    def process(self) -> None:
        """Do what one `pulumi up` does: read all, decide about all, then create, update and remove."""
        client = Client(
            self.emulator.api_key,
            self.emulator.url,
            timeout=0.2 if self.slow and self.failing else 10.0,
            retries=1,
            guard=self.guard,
            sleep=self.pass_time,
        )
        settings = Settings(self.emulator.api_key, self.emulator.url, max_losses=LIMIT)
        operations = Operations(client, settings, lambda *_: None, sleep=self.settle)
        self.whole = False
        with contextlib.suppress(Killed):
            self.whole = self.steps(operations)

    def steps(self, operations: Operations) -> bool:
        """Take the steps of one process, and return whether all succeeded.

        A refusal or error while reading or deciding ends it, as it ends the engine. After that an error ends
        it unless there is `--continue-on-error`, which is chosen by chance.
        """
        recorded = []
        for prior in self.stack.recorded:
            with self.watching() as step:
                recorded.append(refreshed(operations, prior))
            if step.failed:
                return False
        self.stack.recorded = recorded
        program = declared(self.desired, recorded)
        if program.refused:
            return False
        steps = []
        for desired in self.shuffled(program.desired):
            with self.watching() as step:
                steps.append((desired, decided(operations, program, desired)))
            if step.failed:
                return False
        goes_on, failed = not self.failing or self.dice.random() < 0.5, False
        for desired, action in steps:
            with self.watching() as step:
                self.make(operations, program.priors.get(desired.address), desired, action)
            failed = failed or step.failed
            if failed and not goes_on:
                return False
        return self.remove_leaving(operations, program) and not failed

    def shuffled(self, desired: Sequence[DesiredConnection]) -> list[DesiredConnection]:
        """Return them in random order, since the engine's order isn't certain."""
        return self.dice.sample(desired, len(desired))

    def make(
        self,
        operations: Operations,
        prior: PriorConnection | None,
        desired: DesiredConnection,
        action: Action,
    ) -> None:
        """Create, replace or update, and record the result, unless the process is killed in between."""
        if prior and action is Action.NONE:
            self.record_at(prior, a_urn(desired.address))
            return
        if prior and action is not Action.REPLACE:
            live = operations.update(prior, desired)
            self.stack.recorded.remove(prior)
        else:
            live = operations.create(desired)
            self.die(0.08)
            if prior:
                # The engine moves an old half to the new URN too.
                half = dataclasses.replace(prior, pending_removal=True, urn=a_urn(desired.address))
                self.stack.recorded[self.stack.recorded.index(prior)] = half
        updated = prior is not None and action is not Action.REPLACE
        refused = updated and rule_table.refused_unlink(desired.status, live)
        outputs = properties.outputs(desired, live.id, live, unlink_refused=refused)
        self.stack.recorded.append(properties.prior(live.id, outputs, urn=a_urn(desired.address)))
        self.ours.add(live.id)

    def remove_leaving(self, operations: Operations, program: Declared) -> bool:
        """Remove replaced and undeclared connections; return whether all succeeded."""
        declared = {each.place for each in program.desired}
        whole = True
        for prior in list(self.stack.recorded):
            if prior.pending_removal or prior.place not in declared:
                with self.watching() as step:
                    operations.remove(prior)
                    self.die(0.05)
                if step.failed:
                    whole = False
                else:
                    self.stack.recorded.remove(prior)
        return whole

    @dataclass
    class Step:
        """One step, and whether it failed."""

        failed: bool = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[Step]:
        """Count, for each fault that strikes in this context, the outcome of the step."""
        before = self.strikes()
        step, outcome = self.Step(), "went on"
        try:
            yield step
        except Killed:
            outcome = "killed"
            raise
        except Refused:
            outcome = "refused"
        except ApiError as error:
            outcome = "in doubt" if error.in_doubt else "failed"
            self.is_one_line(error)
        except CodatIacError as error:
            outcome = "failed"
            self.is_one_line(error)
        finally:
            step.failed = outcome != "went on"
            for cell, times in (self.strikes() - before).items():
                self.found.hits[*cell, outcome] += times

    def is_one_line(self, error: Exception) -> None:
        """Check that an error is one line and holds no secret."""
        text = str(error)
        if "\n" in text or self.emulator.api_key in text or "otp=" in text:
            self.violated(f"an error that is no line for a user: {text!r}")

    # Time and death.

    def pass_time(self, seconds: float) -> None:
        """Let time pass at Codat, after some real time if there are slow faults.

        The real time comes first, since a late commit must be done, and its read lag begun, before the clock
        jumps.
        """
        if self.slow and self.failing:
            time.sleep(0.4)
        super().pass_time(seconds)

    def settle(self, seconds: float) -> None:
        """Wait after a POST with an unknown result, or be killed there."""
        self.die(0.1)
        self.pass_time(seconds)

    def guard(self) -> None:
        """Be killed before a write, by chance."""
        self.die(0.03)

    def die(self, chance: float) -> None:
        """Kill the process here, by chance."""
        if self.failing and self.dice.random() < chance:
            raise Killed
