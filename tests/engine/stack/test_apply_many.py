"""`codat-iac apply` writes the state once, whatever it changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import Project

pytestmark = pytest.mark.engine


NEW = 12
"""How many connections are made."""


def checkpoints(project: Project) -> int:
    """How many times the state was written: the engine keeps each in a file of its own if it is asked to."""
    return len([*Path(project.folder, "state/.pulumi/stacks/shop").glob("dev.json.*[0-9]")])


def test_creates_beside_other_changes(project: Project, emulator: Emulator) -> None:
    """An unlink, a move, a removal and many creates, of which one fails: what is done is recorded."""
    old = str(emulator.add_company("Old")["id"])
    priors = [
        a_prior(connected(emulator, old, key), a_desired(name, company_id=old, platform_key=key))
        for name, key in (("old/ledger", "gbol"), ("old/bank", "suuo"), ("old/shop", "fztf"))
    ]
    project.record(priors, besides="what a user exported")
    yaml = f"companies:\n  old:\n    id: {old}\n    connections:\n"
    yaml += "      ledger: {platformKey: gbol, status: Unlinked}\n      bank-moved: {platformKey: suuo}\n"
    for number in range(NEW):
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
    assert sorted(results) == ["done"] * (NEW + 2) + ["failed"]
    assert checkpoints(project) == 1
    assert len(project.recorded()) == NEW + 1

    again = project.codat_iac("apply", "--yes", "-o", "json")
    assert [each["result"] for each in again.json["outcomes"]] == ["done"]
    assert project.preview("--expect-no-changes").code == 0
    exported = json.loads(project.pulumi("stack", "output", "--json").shown)
    assert exported["connections"] == {"Linked": 1, "PendingAuth": NEW, "Unlinked": 1}
    assert exported["besides"] == "what a user exported"
    assert emulator.counts()["create-connection"] == NEW + 1
