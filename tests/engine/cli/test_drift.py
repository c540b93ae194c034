"""`codat-iac drift`: what moved can be acknowledged, and a status can raise an alert."""

from __future__ import annotations

import json

import pytest

from codat_iac.emulator import Emulator
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import Project, connections

pytestmark = pytest.mark.engine


def test_what_moved_can_be_acknowledged(project: Project, acme: str, emulator: Emulator) -> None:
    """It is recorded as it was shown, without a write to Codat, and what is gone stays recorded."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))
    broken = connected(emulator, acme, "gbol", "Deauthorized")
    linked = connected(emulator, acme, "fztf", "Linked")
    gone = connected(emulator, acme, "suuo", "Linked")
    priors = [
        a_prior(broken, a_desired(company_id=acme), "Linked"),
        a_prior(linked, a_desired("acme/shop", company_id=acme, platform_key="fztf"), "PendingAuth"),
        a_prior(gone, a_desired("acme/bank", company_id=acme, platform_key="suuo"), "Linked"),
    ]
    project.record(priors)
    emulator.delete_connection(gone)
    before = project.recorded()

    alone = project.codat_iac("drift", "--yes")
    forgetting = project.codat_iac("drift", "--acknowledge", "--yes", env={"CODAT_ACCEPT_MISSING": "true"})
    unasked = project.codat_iac("drift", "--acknowledge")
    assert (alone.code, forgetting.code, unasked.code) == (1, 1, 1)
    assert "--yes is for --acknowledge" in alone.err
    assert "unset it" in forgetting.err
    assert "pass --yes" in unasked.err
    assert json.loads(project.codat_iac("drift", "-o", "json").out)["drifted"] != []

    done = project.codat_iac("drift", "--acknowledge", "--yes")
    assert done.code == 0, done.err
    assert "Recorded 3 connections; nothing is changed in Codat." in done.err
    assert "Linked -> absent" in done.out
    assert "drift --acknowledge" not in done.out
    assert "Progress: 1 connection has been authorised since: 1 PendingAuth -> Linked." in done.out
    assert project.recorded() == before
    assert project.writes() == []

    again = project.codat_iac("drift", "--acknowledge", "--yes", "--detailed-exitcode")
    assert (again.code, again.out) == (
        0,
        "Stack dev: 3 connections recorded.\n\nNo drift. What was recorded is what there is.\n",
    )
    alert = project.codat_iac("drift", "--fail-on", "Deauthorized,absent")
    assert alert.code == 2
    assert "Alert: 2 connections have a status that --fail-on names: 1 Deauthorized, 1 absent." in alert.out
    assert project.codat_iac("drift", "--fail-on", "Unlinked").code == 0
    assert project.codat_iac("drift", "--fail-on", "lost").code == 1
    assert len(project.codat_iac("links", "--platform", "gbol", "-o", "csv").out.splitlines()) == 2
    assert len(project.codat_iac("links", "--platform", "suuo", "-o", "csv").out.splitlines()) == 1
    assert project.codat_iac("links", "--platform", "Xero").code == 1
    assert project.codat_iac("links").out.startswith("Stack dev: 3 connections recorded.\n\nADDRESS")
    emulator.unlink(linked)
    undated = project.codat_iac("links", "--older-than", "7d").err
    assert undated == "codat-iac: left out, since Codat doesn't say since when they wait: acme/shop\n"
