"""The whole loop on the real engine: preview, up, drift, removal, destroy."""

from __future__ import annotations

import json

import pytest

from tests.support.project import Project, connections

pytestmark = pytest.mark.engine


LEDGER = "ledger: {platformKey: gbol}"
SHOP = "shop: {platformKey: fztf}"


@pytest.mark.slow
def test_apply_then_preview_is_empty_and_waiting_is_a_warning(project: Project, acme: str) -> None:
    """What only a customer can do is a warning on its resource, never a change."""
    project.declare(connections(acme, LEDGER, SHOP))
    first = project.preview()
    assert "+ 3 to create" in first.shown
    assert project.writes() == []

    project.settle()
    again = project.preview("--expect-no-changes")

    assert again.code == 0
    assert sorted(again.warnings) == [
        "warning: acme/ledger: PendingAuth, it waits for its customer to follow the link",
        "warning: acme/shop: PendingAuth, it waits for its customer to follow the link",
    ]


@pytest.mark.slow
def test_the_stack_tells_how_many_have_which_status_and_who_waits(project: Project, acme: str) -> None:
    """The outputs count by status and name the waiting ones."""
    project.declare(connections(acme, LEDGER, SHOP))
    project.settle()
    project.emulator.authorise(project.recorded()["acme/shop"])
    project.settle()

    assert json.loads(project.pulumi("stack", "output", "--json").shown) == {
        "connections": {"Linked": 1, "PendingAuth": 1},
        "waiting": ["acme/ledger"],
    }


@pytest.mark.slow
def test_drift_is_shown_as_what_it_is(project: Project, acme: str) -> None:
    """A deleted one is made again; an unlinked and a revoked one are warnings that name the cause."""
    project.declare(connections(acme, LEDGER, SHOP, "bank: {platformKey: suuo}"))
    project.settle()
    ids = project.recorded()
    for connection_id in ids.values():
        project.emulator.authorise(connection_id)
    project.settle()
    project.emulator.unlink(ids["acme/ledger"])
    project.emulator.delete_connection(ids["acme/shop"])
    project.emulator.revoke(ids["acme/bank"])

    preview = project.preview()

    assert "+-1 to replace" in preview.shown
    assert len(preview.warnings) == 3
    assert "warning: acme/ledger: Unlinked by somebody else" in preview.shown
    assert "warning: acme/shop: it is gone from Codat; a new one is made" in preview.shown
    assert "(cause: The customer revoked access at Plaid)" in preview.shown
    assert project.writes() == []

    assert project.up().code == 0
    assert project.writes() == ["POST 200"]
    assert project.preview("--expect-no-changes").code == 0


@pytest.mark.slow
def test_unlinked_in_the_file_is_one_patch(project: Project, acme: str) -> None:
    """`status: Unlinked` on a Linked connection becomes a PATCH, shown as such."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    project.emulator.authorise(project.recorded()["acme/ledger"])
    project.declare(connections(acme, "ledger: {platformKey: gbol, status: Unlinked}"))

    preview = project.preview("--diff")
    assert '~ status     : "Linked" => "Unlinked"' in preview.shown
    assert project.up().code == 0
    assert project.writes() == ["PATCH 200"]
    project.emulator.authorise(project.recorded()["acme/ledger"])
    drift = project.preview("--diff")
    assert '~ status     : "Linked" => "Unlinked"' in drift.shown, "the customer linked it again"


@pytest.mark.slow
def test_what_is_adopted_is_unlinked_by_the_run_after_it(project: Project, acme: str) -> None:
    """Never in the same step; the warning says so, and the next preview shows it."""
    made = project.emulator.connect(acme, "gbol", "Linked")
    project.declare(connections(acme, "ledger: {platformKey: gbol, status: Unlinked, onExisting: adopt}"))

    adopting = project.up()

    assert adopting.code == 0, adopting.shown
    said = (
        f"acme/ledger: adopts the connection {made['id']} (Linked); "
        f"nothing changes in Codat, and the next run unlinks it"
    )
    assert f"warning: {said}" in adopting.warnings
    assert project.writes() == []
    assert project.recorded() == {"acme/ledger": made["id"]}
    assert "~ 1 to update" in project.preview().shown
    assert project.up().code == 0
    assert project.writes() == ["PATCH 200"]
    assert project.preview("--expect-no-changes").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "linked", "writes"),
    [
        ("unlink", True, ["PATCH 200"]),
        ("unlink", False, ["DELETE 200"]),
        ("delete", True, ["DELETE 200"]),
        ("retain", True, []),
    ],
)
def test_a_removal_does_what_the_policy_says(
    project: Project, acme: str, policy: str, linked: bool, writes: list[str]
) -> None:
    """A connection that is taken out of the file is really unlinked, deleted, or left alone."""
    project.declare(connections(acme, f"ledger: {{platformKey: gbol, onRemoval: {policy}}}", SHOP))
    project.settle()
    if linked:
        project.emulator.authorise(project.recorded()["acme/ledger"])
    project.declare(connections(acme, SHOP))

    assert project.up().code == 0

    assert project.writes() == writes
    assert set(project.recorded()) == {"acme/shop"}


@pytest.mark.parametrize("arguments", [(), ("--skip-preview",)], ids=["with a preview", "without"])
def test_where_a_removal_is_refused_nothing_else_is_done(
    project: Project, acme: str, arguments: tuple[str, ...]
) -> None:
    """The engine removes last, so what is unlinked in the same run would be unlinked before."""
    ledger = project.emulator.connect(acme, "gbol", "Migrating")["id"]
    project.declare(connections(acme, f"ledger: {{platformKey: gbol, connectionId: {ledger}}}", SHOP))
    project.settle()
    project.emulator.authorise(project.recorded()["acme/shop"])
    project.declare(connections(acme, SHOP.replace("}", ", status: Unlinked}")))
    said = "acme/ledger: its status is none that codat-iac knows, so it stays recorded"

    shown = project.preview()
    assert shown.code == 0, shown.shown
    assert any(f"warning: an update will be refused: {said}" in line for line in shown.warnings)
    refused = project.up(*arguments)
    assert refused.code != 0
    assert any(said in line for line in refused.errors), refused.shown
    assert project.writes() == []
    assert set(project.recorded()) == {"acme/ledger", "acme/shop"}

    project.declare(
        connections(acme, f"ledger: {{platformKey: gbol, connectionId: {ledger}, onRemoval: retain}}", SHOP)
    )
    project.settle()
    project.declare(connections(acme, SHOP.replace("}", ", status: Unlinked}")))
    assert project.up(*arguments).code == 0
    assert project.writes() == ["PATCH 200"]


@pytest.mark.slow
def test_a_changed_policy_holds_for_the_removal_after_it(project: Project, acme: str) -> None:
    """A new `onRemoval` is recorded without a call, and then obeyed."""
    project.declare(connections(acme, LEDGER, SHOP))
    project.settle()
    project.emulator.authorise(project.recorded()["acme/ledger"])
    project.declare(connections(acme, "ledger: {platformKey: gbol, onRemoval: delete}", SHOP))
    assert "~ 1 updated" in project.up().shown
    assert project.writes() == []
    project.declare(connections(acme, SHOP))

    project.up()

    assert project.writes() == ["DELETE 200"]


@pytest.mark.slow
def test_another_platform_is_made_before_the_old_one_is_let_go(project: Project, acme: str) -> None:
    """A changed platform key is a replacement: POST, then what the policy says of the old one."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    project.emulator.authorise(project.recorded()["acme/ledger"])
    project.declare(connections(acme, "ledger: {platformKey: qhyg}"))

    assert "+-1 replaced" in project.up().shown
    assert project.writes() == ["POST 200", "PATCH 200"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--refresh=false",)], ids=["with a refresh", "without one"])
def test_destroy_really_lets_go(project: Project, acme: str, arguments: tuple[str, ...]) -> None:
    """Once its losses are allowed, it unlinks what is Linked and deletes what nobody authorised."""
    project.declare(connections(acme, LEDGER, SHOP))
    project.settle()
    project.emulator.authorise(project.recorded()["acme/ledger"])
    before = project.recorded()
    assert project.destroy(*arguments).code != 0
    assert project.writes() == []
    assert project.recorded() == before

    outcome = project.destroy(*arguments, env={"CODAT_MAX_LOSSES": "1"})

    assert outcome.code == 0, outcome.shown
    assert sorted(project.writes()) == ["DELETE 200", "PATCH 200"]
    assert project.recorded() == {}


@pytest.mark.slow
def test_refresh_records_what_is_live(project: Project, acme: str) -> None:
    """`pulumi refresh` shows what moved, calls nothing, and keeps what is gone until an up says so."""
    project.declare(connections(acme, LEDGER, SHOP))
    project.settle()
    ids = project.recorded()
    project.emulator.authorise(ids["acme/ledger"])
    project.emulator.delete_connection(ids["acme/shop"])

    outcome = project.pulumi("refresh", "--yes", "--diff")

    assert outcome.code == 0
    assert '"PendingAuth" => "Linked"' in outcome.shown
    assert '"PendingAuth" => "absent"' in outcome.shown
    assert project.recorded() == ids
    assert project.writes() == []
