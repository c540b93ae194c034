"""`pulumi preview` and `codat-iac plan` agree, on random stacks and on the real engine.

Both doors look at the same state, the same desired-state file and the same Codat, and show the same changes
at the same addresses. Two things a preview can't show, since the engine asks a provider nothing about what
it is going to delete: that a removal is refused, and that removals lose too much. There the plan says more,
and the preview shows a plain delete.

Twelve stacks by default. `CODAT_AGREEMENT_CASES=200` tries more, from `CODAT_AGREEMENT_SEED=1000` on; the
seed of a stack is the number in its test's name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from codat_iac import engine, props
from codat_iac.emulator import Emulator, serving
from codat_iac.model import PriorConnection
from codat_iac.rules import ABSENT
from codat_iac.stack import RESOURCE_TYPE
from tests.project import Project, connections
from tests.worlds import World, a_planner, a_world

pytestmark = pytest.mark.engine

CASES = int(os.environ.get("CODAT_AGREEMENT_CASES", "12"))
FIRST = int(os.environ.get("CODAT_AGREEMENT_SEED", "1"))

OPERATIONS = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
}
"""What the engine calls its steps, and what they are at one address; a refresh and what stays are none."""

STEPS = {
    "create": "create",
    "adopt": "create",
    "move": "create",
    "update": "update",
    "unlink": "update",
    "replace": "replace",
    "remove": "delete",
}
"""What the engine makes of a plan's steps. A move is also a delete, at the other address."""

Changes = dict[str, str]


@dataclass
class Stacks:
    """One project whose stack becomes any world."""

    project: Project
    base: dict[str, Any]
    """Its state, with the stack and the provider in it."""

    connection: dict[str, Any]
    """A connection as a state holds it."""

    def hold(self, recorded: Mapping[str, PriorConnection]) -> None:
        """Make the stack hold what is recorded, and nothing else."""
        resources = [*self.base["deployment"]["resources"], *map(self._resource, recorded.values())]
        state = {**self.base, "deployment": {**self.base["deployment"], "resources": resources}}
        file = self.project.folder / "state.json"
        file.write_text(json.dumps(state))
        outcome = self.project.pulumi("stack", "import", "--file", str(file))
        assert outcome.code == 0, outcome.shown

    def _resource(self, prior: PriorConnection) -> dict[str, Any]:
        provider = {"__provider": self.connection["inputs"]["__provider"]}
        kept = {key: self.connection[key] for key in ("custom", "type", "parent", "provider")}
        return {
            **kept,
            "urn": self.connection["urn"].rpartition("::")[0] + f"::{prior.address}",
            "id": prior.id,
            "inputs": {**props.inputs(prior.desired), **provider},
            "outputs": {**props.recorded(prior), **provider},
        }

    def preview(self, environment: Mapping[str, str]) -> tuple[Changes, list[str]]:
        """What `pulumi preview` shows: the changes by address, and its errors where it fails."""
        outcome = self.project.preview("--json", env=environment)
        shown, _ = json.JSONDecoder().raw_decode(outcome.shown[outcome.shown.index("{") :])
        changes: Changes = {}
        for step in shown.get("steps", ()):
            if f"::{RESOURCE_TYPE}::" in step["urn"] and step["op"] in OPERATIONS:
                changes[step["urn"].rpartition("::")[2]] = OPERATIONS[step["op"]]
        errors = [
            " ".join(each["message"].removeprefix("error: ").split())
            for each in shown.get("diagnostics", ())
            if each["severity"] == "error"
        ]
        assert bool(errors) == (outcome.code != 0), outcome.shown
        return changes, errors

    def plan(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """What `codat-iac plan` says, as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "codat_iac", "plan", "--output", "json"],
            cwd=self.project.folder,
            env=engine.environment({**os.environ, **self.project.environment, **environment}),
            capture_output=True,
            text=True,
            check=False,
        )
        plan: dict[str, Any] = json.loads(done.stdout)
        assert plan["kind"] == "plan", done.stderr
        return plan


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    """One project for all cases; each has the emulator to itself."""
    with serving() as emulator:
        project = Project(tmp_path_factory.mktemp("agreement") / "project", emulator)
        project.declare(connections(str(emulator.add_company("Acme")["id"]), "ledger: {platformKey: gbol}"))
        project.settle("--skip-preview")
        base = json.loads(project.pulumi("stack", "export").shown)
        resources = base["deployment"]["resources"]
        (connection,) = [each for each in resources if each["type"] == RESOURCE_TYPE]
        resources.remove(connection)
        yield Stacks(project, base, connection)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + CASES))
def test_preview_and_plan_agree(stacks: Stacks, seed: int) -> None:
    """On a random stack, with a random limit on losses, and with or without belief in what is missing."""
    dice = Random(seed)  # noqa: S311  the same seed is the same stack
    environment = {
        "CODAT_MAX_LOSSES": dice.choice(["", "", "0", "1"]),
        "CODAT_ACCEPT_MISSING": dice.choice(["", "", "", "true"]),
    }
    world = _roll(stacks.project.emulator, dice)
    stacks.hold(world.recorded)
    stacks.project.declare(world.yaml())

    previewed, errors = stacks.preview(environment)
    plan = stacks.plan(environment)

    refused = _refused(world, plan, environment["CODAT_MAX_LOSSES"])
    problems = _problems(world, plan)
    assert bool(errors) == bool(problems or refused), (errors, plan)
    if not errors:
        assert previewed == _expected(world, plan, accepts=bool(environment["CODAT_ACCEPT_MISSING"]))
    elif not refused:
        assert set(errors) <= problems, "the preview names no other problem"


def _roll(emulator: Emulator, dice: Random) -> World:
    """Roll a stack; only one in four may have a problem, since the preview ends there and shows little."""
    problems = dice.random() < 0.25
    while True:
        emulator.reset()
        emulator.knobs({"deauthorisedUnlink": dice.choice(["allow", "refuse"])})
        world = a_world(emulator, dice)
        if problems or not a_planner(emulator, world.recorded).plan(world.desired).problems:
            return world


def _problems(world: World, plan: Mapping[str, Any]) -> set[str]:
    """The problems that a preview shows too: of what is declared, and of what can't even be read."""
    declared = {each.address for each in world.desired}
    return {
        problem["text"]
        for problem in plan["problems"]
        if problem["address"] in declared or "can't be seen" in problem["text"]
    }


def _refused(world: World, plan: Mapping[str, Any], limit: str) -> bool:
    """Whether more is lost than may be, removals left out; nothing may on an empty stack, unless it is said."""
    declared = {each.address for each in world.desired}
    losing = [change for change in plan["changes"] if change["loses"] and change["address"] in declared]
    if not limit:
        return bool(losing) and not world.recorded
    return len(losing) > int(limit)


def _expected(world: World, plan: Mapping[str, Any], *, accepts: bool) -> Changes:
    """What a preview shows of a plan."""
    declared = {each.address for each in world.desired}
    changes: Changes = {p["address"]: "delete" for p in plan["problems"] if p["address"] not in declared}
    for change in plan["changes"]:
        address, moved_from = change["address"], change["movedFrom"]
        forgotten = accepts and change["status"] == ABSENT
        if not forgotten:
            changes[address] = STEPS[change["step"]]
        elif change["step"] == "replace":
            changes[address] = "create"  # the refresh before it took the old one out of the state
        elif change["step"] == "create":
            changes[address] = "create"
        if moved_from and moved_from not in declared:
            changes[moved_from] = "delete"
    return changes
