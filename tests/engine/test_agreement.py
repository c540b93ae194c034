"""`pulumi preview` and `codat-iac plan` agree, on random stacks and on the real engine.

Both doors look at the same state, the same desired-state file and the same Codat, and show the same changes
at the same addresses. One thing a preview cannot show, since the engine asks a provider nothing about what it
is going to delete: that a removal is refused. There the plan says more, and the preview shows a plain delete.

Twelve stacks by default. `CODAT_AGREEMENT_CASES=200` tries more, from `CODAT_AGREEMENT_SEED=1000` on; the
seed of a stack is the number in its test's name.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from codat_iac.emulator import Emulator, serving
from codat_iac.model import properties
from codat_iac.model.connection import ABSENT, RESOURCE_TYPE, PriorConnection
from codat_iac.planning.decision import _PROTECTED
from codat_iac.stack import engine
from tests.support.project import Project, connections
from tests.support.worlds import COMPONENT, PREFIX, World, a_planner, a_world, living

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CASES = int(os.environ.get("CODAT_AGREEMENT_CASES", "12"))
FIRST = int(os.environ.get("CODAT_AGREEMENT_SEED", "1"))

OPERATIONS = {"create": "create", "update": "update", "delete": "delete", "replace": "replace"}
"""The steps of the engine that are changes. What stays and what is only refreshed is none."""

STEPS = {
    "create": "create",
    "adopt": "create",
    "move": "update",
    "update": "update",
    "unlink": "update",
    "replace": "replace",
    "remove": "delete",
}
"""What the engine makes of a plan's steps. A move that keeps its address changes only parents: no step."""

STACK_URN = f"{PREFIX}pulumi:pulumi:Stack::shop-dev"
COMPONENT_URN = f"{PREFIX}{COMPONENT}::customer"

Changes = set[tuple[str, str]]
"""Addresses, each with what is done there."""


@dataclass
class Stacks:
    """One project whose stack becomes any world."""

    project: Project
    base: dict[str, Any]
    """Its state, with the stack and the provider in it."""

    connection: dict[str, Any]
    """A connection as a state holds it."""

    def hold(self, world: World) -> None:
        """Make the stack hold what is recorded, what is still to be removed, and nothing else."""
        resources = [
            *self.base["deployment"]["resources"],
            {"urn": COMPONENT_URN, "custom": False, "type": COMPONENT, "parent": STACK_URN},
            *(self._resource(prior) for prior in world.recorded),
        ]
        state = {**self.base, "deployment": {**self.base["deployment"], "resources": resources}}
        file = self.project.folder / "state.json"
        file.write_text(json.dumps(state))
        outcome = self.project.pulumi("stack", "import", "--file", str(file))
        assert outcome.code == 0, outcome.shown

    def _resource(self, prior: PriorConnection) -> dict[str, Any]:
        provider = {"__provider": self.connection["inputs"]["__provider"]}
        kept = {key: self.connection[key] for key in ("custom", "type", "provider")}
        return {
            **kept,
            "urn": prior.urn or self.connection["urn"].rpartition("::")[0] + f"::{prior.address}",
            "id": prior.id,
            "inputs": {**properties.inputs(prior.desired), **provider},
            "outputs": {**properties.recorded(prior), **provider},
            "protect": prior.protected,
            "taint": prior.tainted,
            "delete": prior.pending_removal,
            "parent": COMPONENT_URN if COMPONENT in prior.urn else self.connection["parent"],
        }

    def preview(self, environment: Mapping[str, str]) -> tuple[Changes, list[str]]:
        """What `pulumi preview` shows: the changes by address, and its errors where it fails."""
        outcome = self.project.preview("--json", "--show-replacement-steps", env=environment)
        shown, _ = json.JSONDecoder().raw_decode(outcome.shown[outcome.shown.index("{") :])
        steps = [each for each in shown.get("steps", ()) if f"{RESOURCE_TYPE}::" in each["urn"]]
        fresh = {each["oldState"]["id"] for each in steps if each["op"] == "replace"}
        changes = {(_address(each), OPERATIONS[each["op"]]) for each in steps if each["op"] in OPERATIONS}
        # What an earlier run replaced, and this one doesn't.
        changes |= {
            (_address(each), "delete")
            for each in steps
            if each["op"] == "delete-replaced" and each["oldState"]["id"] not in fresh
        }
        errors = [
            " ".join(each["message"].removeprefix("error: ").removeprefix("Preview failed: ").split())
            for each in shown.get("diagnostics", ())
            if each["severity"] == "error"
        ]
        assert bool(errors) == (outcome.code != 0), outcome.shown
        return changes, [error for error in errors if error != "preview failed"]

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


def _address(step: Mapping[str, Any]) -> str:
    return str(step["urn"].rpartition("::")[2])


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
    world = _roll(stacks.project.emulator, dice)
    # A program isn't told of old halves and of what is tainted, so a preview can't count what these lose.
    untold = any(prior.pending_removal or prior.tainted for prior in world.recorded)
    limit = "" if untold else dice.choice(["", "", "0", "1"])
    accepts = dice.random() < 0.25
    environment = {"CODAT_MAX_LOSSES": limit, "CODAT_ACCEPT_MISSING": str(accepts)}
    live = living(stacks.project.emulator, world)
    stacks.hold(world)
    stacks.project.declare(world.yaml())

    previewed, errors = stacks.preview(environment)
    plan = stacks.plan(environment)

    refused = plan["refusal"] if world.desired or not untold else None
    problems = _problems(plan)
    assert bool(errors) == bool(problems or refused), (errors, plan)
    if not errors:
        assert previewed == _expected(world, plan, live if accepts else None)
    elif not refused:
        assert set(map(_plain, errors)) <= problems, "the preview names no other problem"


def _roll(emulator: Emulator, dice: Random) -> World:
    """Roll a stack; only one in four may have a problem, since the preview ends there and shows little."""
    problems = dice.random() < 0.25
    while True:
        emulator.reset()
        emulator.knobs({"deauthorisedUnlink": dice.choice(["allow", "refuse"])})
        world = a_world(emulator, dice)
        if problems or not a_planner(emulator, world.recorded).plan(world.desired).problems:
            return world


REMOVAL = "so it stays recorded"
"""What a problem says that is about a removal."""


def _problems(plan: Mapping[str, Any]) -> set[str]:
    """The problems that a preview shows too: all but those of removals."""
    return {_plain(problem["text"]) for problem in plan["problems"] if REMOVAL not in problem["text"]}


def _plain(text: str) -> str:
    """Put alike what both say in words of their own: what Pulumi finds."""
    protected = re.match(r'resource ".*::(.*)" cannot be deleted because it is protected', text)
    return f"{protected[1]}: {_PROTECTED}" if protected else text


def _expected(world: World, plan: Mapping[str, Any], accepted: Mapping[str, str] | None) -> Changes:
    """What a preview shows of a plan; where absence is *accepted*, for all but what it names as live.

    The refresh before a preview takes what is absent out of the state then: it need not be removed any more,
    and what is still declared is new. What has to wait for a second run isn't shown in the first.
    """
    refused = {problem["address"] for problem in plan["problems"] if REMOVAL in problem["text"]}
    changes = {(address, "delete") for address in refused}
    for change in plan["changes"]:
        address, step = change["address"], change["step"]
        other_parents = step == "move" and "::" in change["movedFrom"] and not change["fields"]
        if change["later"] or other_parents:
            continue
        if accepted is None or change["status"] != ABSENT:
            changes.add((address, STEPS[step]))
        elif step != "remove":
            changes.add((address, "create"))
    changing = refused | {change["address"] for change in plan["changes"]}
    return changes | {
        (prior.address, "delete")
        for prior in world.recorded
        if prior.pending_removal and prior.address in changing and (accepted is None or prior.id in accepted)
    }
