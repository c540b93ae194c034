"""Companies by the user's own key, and rules over tags, through both doors on the real engine."""

from __future__ import annotations

import pytest
import requests

from codat_iac.emulator import Emulator
from tests.support.builders import connected, rows, writes
from tests.support.project import Project

pytestmark = pytest.mark.engine

MATCH = """\
companies:
  acme:
    match: {tag: customerId=42}
    connections:
      ledger: {platformKey: gbol}
"""

RULE = """\
companies: {}
rules:
  lending:
    forEach: {tag: segment=lending, key: {tag: customerId}}
    connections:
      ledger: {platformKey: gbol}
"""


def tag(emulator: Emulator, company_id: str, **tags: str) -> None:
    """Give a company exactly these tags, as somebody in the Portal does."""
    url, headers = f"{emulator.url}/companies/{company_id}", {"Authorization": emulator.authorization}
    name = requests.get(url, headers=headers, timeout=10).json()["name"]
    answer = requests.put(url, json={"name": name, "tags": tags}, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text


@pytest.mark.slow
def test_a_company_is_found_by_its_tag_and_never_taken_for_another_one(project: Project) -> None:
    """Both doors find it, both refuse when the tag moves, and the id that the refusal names goes on."""
    emulator = project.emulator
    acme, other = (str(emulator.add_company(name)["id"]) for name in ("Acme", "Other"))
    tag(emulator, acme, customerId="42")
    project.declare(MATCH)
    project.settle()
    assert list(rows(emulator, acme).values()) == ["PendingAuth"]
    emulator.authorise(project.recorded()["acme/ledger"])
    [held] = project.resources()
    assert held["outputs"]["matchedBy"] == "tag:customerId=42"
    assert project.codat_iac("plan", "--detailed-exitcode").code == 0

    tag(emulator, acme)
    tag(emulator, other, customerId="42")
    emulator.clear_requests()
    refusal = f"the tag customerId=42 is that of {other} (Other), and recorded here is {acme} (Acme)"
    for outcome in (project.preview(), project.up()):
        assert outcome.code != 0
        assert any(refusal in line for line in outcome.errors), outcome.shown
    planned = project.codat_iac("plan")
    assert planned.code == 1
    assert refusal in " ".join(planned.said)
    assert writes(emulator) == []

    project.declare(MATCH.replace("match: {tag: customerId=42}", f"id: {acme}"))
    project.settle()
    assert rows(emulator, acme) == {project.recorded()["acme/ledger"]: "Linked"}
    assert rows(emulator, other) == {}
    [held] = project.resources()
    assert "matchedBy" not in held["outputs"]


def test_a_rule_makes_what_it_says_and_lets_nobody_go_unasked(project: Project) -> None:
    """Its limits hold in `pulumi up` and in `codat-iac apply`, and are lifted for one run."""
    emulator = project.emulator
    companies = [str(emulator.add_company(f"Company {number}")["id"]) for number in range(3)]
    for number, company_id in enumerate(companies[:2]):
        tag(emulator, company_id, segment="lending", customerId=str(number))
    project.declare(RULE)
    emulator.clear_requests()

    shown = project.preview(env={"CODAT_MAX_CREATES": "1"})
    assert shown.code == 0, shown.shown
    assert "segment=lending is on 2 companies: 2 connections, 2 of them new; 0 left the tag" in shown.shown
    assert (
        "an update will be refused: the rules would make 2 new connections (0/ledger, 1/ledger)"
        in shown.shown
    )
    refused = project.up(env={"CODAT_MAX_CREATES": "1"})
    assert any("the rules would make 2 new connections" in line for line in refused.errors), refused.shown
    planned = project.codat_iac("apply", "--yes", "--max-creates", "1", "--detailed-exitcode")
    assert planned.code == 4
    assert "pass --max-creates 2 if you mean it" in " ".join(planned.said)
    assert writes(emulator) == []

    project.settle()
    assert set(project.recorded()) == {"0/ledger", "1/ledger"}
    emulator.authorise(project.recorded()["1/ledger"])
    tag(emulator, companies[1], customerId="1")

    shown = project.preview()
    assert shown.code == 0, shown.shown
    assert "- 1 to delete" in shown.shown
    assert "an update will be refused: 1 connection of rules would end (1/ledger)" in shown.shown
    refused = project.up()
    assert any("1 connection of rules would end (1/ledger)" in line for line in refused.errors), refused.shown
    planned = project.codat_iac("apply", "--yes", "--detailed-exitcode")
    assert planned.code == 4
    assert "pass --accept-leavers if they are to go" in " ".join(planned.said)
    assert list(rows(emulator, companies[1]).values()) == ["Linked"]

    applied = project.codat_iac("apply", "--yes", "--accept-leavers")
    assert applied.code == 0, applied.err
    assert set(project.recorded()) == {"0/ledger"}
    assert list(rows(emulator, companies[1]).values()) == ["Unlinked"]


def test_a_rule_that_is_renamed_when_its_last_company_has_left_lets_nobody_go_unasked(
    project: Project,
) -> None:
    """Nothing shows that it is the same rule, so it may be, and nobody is known to have taken them out."""
    emulator = project.emulator
    acme, other = (str(emulator.add_company(name)["id"]) for name in ("Acme", "Other"))
    tag(emulator, acme, segment="lending", customerId="42")
    written_out = f"companies: {{other: {{id: {other}, connections: {{ledger: {{platformKey: gbol}}}}}}}}"
    file = RULE.replace("companies: {}", written_out)
    project.declare(file)
    project.settle()
    emulator.authorise(project.recorded()["42/ledger"])
    tag(emulator, acme, customerId="42")
    project.declare(file.replace("lending:", "renamed:", 1))
    emulator.clear_requests()

    planned = project.codat_iac("apply", "--yes", "--detailed-exitcode")
    assert planned.code == 4
    assert "pass --accept-leavers if they are to go" in " ".join(planned.said)
    refused = project.up()
    said = "1 connection of rules would end (42/ledger)"
    assert any(said in line for line in refused.errors), refused.shown
    assert writes(emulator) == []

    assert project.codat_iac("apply", "--yes", "--accept-leavers").code == 0
    assert list(rows(emulator, acme).values()) == ["Unlinked"]


def test_an_import_writes_matches(project: Project) -> None:
    """By a tag that a company has alone, and by the id where it has none; a second one finds nothing."""
    emulator = project.emulator
    acme, other = (str(emulator.add_company(name)["id"]) for name in ("Acme", "Other"))
    tag(emulator, acme, customerId="42")
    for company_id in (acme, other):
        connected(emulator, company_id)

    first = project.codat_iac("import", "--all", "--yes", "--match-by", "tag:customerId")
    assert first.code == 0, first.err
    assert f"{other} is written by its id: its tag:customerId is missing, or not its alone" in first.err
    text = (project.folder / "connections.yaml").read_text()
    assert "    match: { tag: customerId=42 }\n" in text
    assert f"    id: {other}\n" in text

    again = project.codat_iac("import", "--all", "--yes", "--match-by", "tag:customerId", "--overwrite")
    assert "Nothing to import." in again.err
    assert (project.folder / "connections.yaml").read_text() == text
    assert project.preview("--expect-no-changes").code == 0
