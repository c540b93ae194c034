"""`codat-iac apply --approve-losses`: what the reviewed plan loses, and nothing else."""

from __future__ import annotations

import pytest

from codat_iac.emulator import Emulator
from tests.support.builders import a_desired, a_prior, connected, rows
from tests.support.project import Project, connections
from tests.support.terminal import Terminal

pytestmark = pytest.mark.engine


def test_only_what_was_reviewed_is_lost(project: Project, acme: str, emulator: Emulator) -> None:
    """A file that changed since is refused whole; what was reviewed goes, and new ones have links to send."""
    ledger, bank = (connected(emulator, acme, key, "Linked") for key in ("gbol", "suuo"))
    project.record(
        [
            a_prior(ledger, a_desired("acme/ledger", company_id=acme, platform_key="gbol")),
            a_prior(bank, a_desired("acme/bank", company_id=acme, platform_key="suuo")),
        ]
    )
    project.declare(connections(acme, "bank: {platformKey: suuo}", "shop: {platformKey: fztf}"))
    reviewed = project.codat_iac("plan", "--losses-out", "losses.txt")
    assert reviewed.code == 0, reviewed.err
    assert reviewed.out.startswith("Stack dev: 2 connections declared, 2 recorded.\n")
    assert "1 new connection will wait for its customer." in reviewed.out
    assert (project.folder / "losses.txt").read_text().splitlines()[1:] == [f"{ledger}  # acme/ledger"]

    project.declare(connections(acme, "shop: {platformKey: fztf}"))
    refused = project.codat_iac("apply", "--yes", "--approve-losses", "losses.txt")
    assert refused.code == 4, refused.err
    assert f"would end an authorisation that nobody approved: acme/bank ({bank}); nothing is done" in (
        " ".join(refused.err.split())
    )
    assert "--allow-losing" not in refused.err
    assert project.writes() == []

    project.declare(connections(acme, "bank: {platformKey: suuo}", "shop: {platformKey: fztf}"))
    done = project.codat_iac("apply", "--yes", "--approve-losses", "losses.txt", "--stack", "dev")
    assert done.code == 0, done.err
    assert done.out.endswith(
        "Applied: 2 of 2 changes.\n"
        "1 new connection waits for its customer; send the link now: `codat-iac links --stack dev`.\n"
    )
    assert {each: status for each, status in rows(emulator, acme).items() if each in {ledger, bank}} == {
        ledger: "Unlinked",
        bank: "Linked",
    }


def test_what_is_authorised_at_the_prompt_stays(project: Project, acme: str, emulator: Emulator) -> None:
    """The plan showed no loss, so none is carried out; what it did show is. The code is a refusal's."""
    ledger = connected(emulator, acme, status="PendingAuth")
    shop = connected(emulator, acme, "fztf", status="PendingAuth")
    project.declare("companies: {}\n")
    project.record(
        [
            a_prior(ledger, a_desired(company_id=acme), "PendingAuth"),
            a_prior(shop, a_desired("acme/shop", company_id=acme, platform_key="fztf"), "PendingAuth"),
        ]
    )
    terminal = Terminal(project, "apply")
    terminal.wait_for("Apply 2 changes?")
    emulator.authorise(ledger)
    terminal.type("y\n")

    assert terminal.end() == 4
    assert rows(emulator, acme) == {ledger: "Linked"}
    assert "would end an authorisation that nobody approved" in " ".join(terminal.shown.split())
    assert list(project.recorded()) == ["acme/ledger"]
