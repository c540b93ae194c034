"""A state that an older version recorded is one that this version has nothing to do with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codat_iac import __version__
from codat_iac.emulator import Emulator
from codat_iac.model.record import recorded
from tests.support import ROOT
from tests.support.builders import connected
from tests.support.project import Project, connections

pytestmark = pytest.mark.engine

STATES = sorted((Path(__file__).parent / "states").glob("*.json"))

DECLARED = (
    "ledger: {platformKey: gbol}",
    "bank: {platformKey: suuo, onRemoval: delete, protect: true}",
    "shop: {platformKey: fztf, onExisting: adopt}",
    "old: {platformKey: qhyg, status: Unlinked}",
)
"""What each of the states was made from, by `pulumi up`; `shop` waits for its customer."""

STATUSES = {"acme/shop": "PendingAuth", "acme/old": "Unlinked"}


@pytest.mark.slow
@pytest.mark.parametrize("file", STATES, ids=lambda file: file.stem)
def test_an_upgrade_changes_nothing(project: Project, emulator: Emulator, acme: str, file: Path) -> None:
    """Neither by `pulumi preview` nor by `codat-iac plan`; what it protects stays protected."""
    text = file.read_text()
    old = recorded(json.loads(text))
    assert len(old) == len(DECLARED)
    for prior in old:
        status = STATUSES.get(prior.address, "Linked")
        live = connected(emulator, acme, prior.desired.platform_key, status)
        text = text.replace(prior.id, live).replace(prior.desired.company_id, acme)
    project.declare(connections(acme, *DECLARED))
    (project.folder / "state.json").write_text(text)
    assert project.pulumi("stack", "import", "--file", "state.json").code == 0

    preview = project.preview("--expect-no-changes")
    plan = project.codat_iac("plan", "-o", "json")

    assert preview.code == 0, preview.shown
    assert plan.json["changes"] == plan.json["problems"] == []
    assert [prior.address for prior in recorded(project.state()) if prior.protected] == ["acme/bank"]


def test_there_is_a_state_of_this_version_or_of_one_before() -> None:
    """docs/releasing.md says when to add one, and the upgrade page has a section for each."""
    page = (ROOT / "docs/upgrading.md").read_text()

    assert STATES
    assert all(f"\n## {file.stem}\n" in page for file in STATES)
    assert f"\n## {__version__}\n" in page
