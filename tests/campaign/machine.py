"""Run the story on the real engine: with `pulumi up` and `codat-iac apply`, as a person would."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from codat_iac.emulator import Emulator, serving
from codat_iac.model.connection import PriorConnection
from codat_iac.model.record import recorded
from tests.campaign.faults import FAULTS, OPERATIONS, SLOW
from tests.campaign.story import LIMIT, Found, Story
from tests.campaign.tables import table
from tests.support.project import Project
from tests.support.worlds import COMPONENT, PREFIX, World

QUICK = tuple(fault for fault in FAULTS if fault not in SLOW)
"""Faults without real delays: a provider waits half a minute for an answer, too long for a campaign."""

OUTCOMES = ("went on", "failed", "in doubt")
"""The possible outcomes of the command in which a fault struck."""


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Make *runs* runs, report how often each fault struck where, and return the violations."""
    found = Found()
    for number in range(runs):
        with serving() as emulator, tempfile.TemporaryDirectory() as folder:
            run = Run(emulator, Path(folder), seed, number)
            found.add(run.everything())
            found.violations += [f"{run.name}: {leak}" for leak in run.project.leaks()]
    tell(f"engine: {runs} runs from seed {seed}")
    for line in table(("fault", *OPERATIONS), (_line(fault, found) for fault in QUICK)):
        tell(line)
    tell(f"each cell: how often the command {', '.join(OUTCOMES)}")
    return found.violations


def _line(fault: str, found: Found) -> tuple[str, ...]:
    return fault, *(
        " ".join(str(found.hits[fault, operation, outcome]) for outcome in OUTCOMES)
        for operation in OPERATIONS
    )


class Run(Story):
    """A run whose processes are those of the engine."""

    def __init__(self, emulator: Emulator, folder: Path, seed: int, number: int) -> None:
        super().__init__(emulator, "engine", QUICK, seed, number)
        limit = {"CODAT_MAX_LOSSES": str(LIMIT)}
        self.project = Project(folder / "project", emulator, limit)

    def process(self) -> None:
        """Run one command, and read the state that it left."""
        before = self.strikes()
        partly: list[str] = []
        if self.dice.random() < 0.2:  # refresh and program are then two processes
            self.project.pulumi("config", "set", "codat:requestsPerMinute", str(self.dice.randint(900, 999)))
        self.project.declare(World(self.companies, self.desired).yaml())
        if self.dice.random() < 0.3:
            ran = self.project.codat_iac("apply", "--yes", "--output", "json")
            code, shown = ran.code, ran.out + ran.err
        else:
            goes_on = ["--continue-on-error"] if self.dice.random() < 0.5 or not self.failing else []
            if self.failing and self.stack.standing and self.dice.random() < 0.15:
                partly = ["--exclude", f"**{self.dice.choice(self.stack.standing).address}"]
            outcome = self.project.up("--skip-preview", *goes_on, *partly)
            code, shown = outcome.code, outcome.shown
        self.whole = code == 0 and not partly
        self.check_shown(shown)
        doubted = "not certain whether" in shown
        became = "went on" if code == 0 else "in doubt" if doubted else "failed"
        self.found.hits += Counter(
            {(*cell, became): times for cell, times in (self.strikes() - before).items()}
        )
        state = self.project.state()
        self.stack.recorded = recorded(state)
        self.ours |= self.recorded_ids()

    def record_at(self, prior: PriorConnection, urn: str) -> None:
        """Record a connection at another URN, as editing an exported state does."""
        state = self.project.state()
        resources = state["deployment"]["resources"]
        stack = next(each for each in resources if each["type"] == "pulumi:pulumi:Stack")
        component = {
            "urn": f"{PREFIX}{COMPONENT}::customer",
            "custom": False,
            "type": COMPONENT,
            "parent": stack["urn"],
        }
        if COMPONENT in urn and all(each["urn"] != component["urn"] for each in resources):
            resources.insert(resources.index(stack) + 1, component)
        for each in [each for each in resources if each["urn"] == prior.urn and each.get("id") == prior.id]:
            each["urn"] = urn
            each["parent"] = component["urn"] if COMPONENT in urn else stack["urn"]
            resources.remove(each)  # a state has parents before their children
            resources.append(each)
        (self.project.folder / "state.json").write_text(json.dumps(state))
        outcome = self.project.pulumi("stack", "import", "--file", "state.json")
        assert outcome.code == 0, outcome.shown
        self.stack.recorded = recorded(self.project.state())

    def check_shown(self, shown: str) -> None:
        """Check that the output has no traceback and no secret."""
        for secret in ("Traceback", self.emulator.api_key, "otp="):
            if secret in shown:
                self.violated(f"{secret!r} was shown: {shown}")
