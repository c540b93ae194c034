"""`codat-iac apply` of so many creates that the engine writes the state once for all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator
from codat_iac.stack.engine_runs import FEWEST
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import Project

pytestmark = [pytest.mark.engine, pytest.mark.unmeasured]


def checkpoints(project: Project) -> int:
    """How many times the state was written: the engine keeps each in a file of its own if it is asked to."""
    return len([*Path(project.folder, "state/.pulumi/stacks/shop").glob("dev.json.[0-9]*")])


def test_many_creates_beside_an_unlink(project: Project, emulator: Emulator) -> None:
    """Two runs of the engine: the unlink with its checkpoints, then all creates, of which one fails."""
    unlinked = str(emulator.add_company("Unlinked")["id"])
    prior = a_prior(connected(emulator, unlinked), a_desired("old/ledger", company_id=unlinked))
    project.record([prior], besides="what a user exported")
    yaml = "companies:\n  old:\n    id: " + unlinked
    yaml += "\n    connections:\n      ledger: {platformKey: gbol, status: Unlinked}\n"
    for number in range(FEWEST + 2):
        company_id = emulator.add_company(f"Company {number}")["id"]
        yaml += f"  c{number}:\n    id: {company_id}\n    connections:\n      shop: {{platformKey: fztf}}\n"
    project.declare(yaml)
    emulator.faults(
        [{"on": "POST /companies/*/connections", "do": "status", "status": 400, "times": 1, "skip": 3}]
    )

    ran = project.codat_iac(
        "apply", "--yes", "-o", "json", env={"PULUMI_DIY_BACKEND_RETAIN_CHECKPOINTS": "true"}
    )

    assert ran.code == 1
    results = [each["result"] for each in ran.json["outcomes"]]
    assert sorted(results) == ["done"] * (FEWEST + 2) + ["failed"]
    assert 1 < checkpoints(project) < 15
    assert len(project.recorded()) == FEWEST + 2

    again = project.codat_iac("apply", "--yes", "-o", "json")
    assert [each["result"] for each in again.json["outcomes"]] == ["done"]
    assert project.preview("--expect-no-changes").code == 0
    exported = json.loads(project.pulumi("stack", "output", "--json").shown)
    assert exported["connections"] == {"PendingAuth": FEWEST + 2, "Unlinked": 1}
    assert exported["besides"] == "what a user exported"
    assert emulator.counts()["create-connection"] == FEWEST + 3
