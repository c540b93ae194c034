"""`codat-iac apply` writes the state once, whatever it changes."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator
from codat_iac.stack.apply.engine_runs import LARGEST
from tests.campaign.disks import Disk
from tests.support.builders import a_desired, a_prior, connected, rows
from tests.support.project import Project, Ran, holding_posts, pulumi_after
from tests.support.waiting import PATIENCE, until

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


def declare_many(project: Project) -> dict[str, str]:
    """Declare one connection of each of so many new companies; return the companies' ids by its address."""
    companies = {
        f"c{number}/shop": str(project.emulator.add_company(f"Company {number}")["id"])
        for number in range(NEW)
    }
    project.declare(
        "companies:\n"
        + "".join(
            f"  {address.partition('/')[0]}:\n    id: {company_id}\n"
            "    connections: {shop: {platformKey: fztf}}\n"
            for address, company_id in companies.items()
        )
    )
    return companies


def live(project: Project, companies: dict[str, str]) -> list[tuple[str, str]]:
    """The ids of all connections that there are, each with the address that is to have it."""
    return sorted(
        (address, connection_id)
        for address, company_id in companies.items()
        for connection_id in rows(project.emulator, company_id)
    )


def goes_on(project: Project, companies: dict[str, str]) -> Ran:
    """Apply again: all is recorded then, each once, and nothing is left to do."""
    again = project.codat_iac("apply", "--yes", "-o", "json")
    assert again.code == 0, again.err
    assert {each["result"] for each in again.json["outcomes"]} <= {"done"}
    assert sorted(project.recorded().items()) == live(project, companies)
    assert project.recorded().keys() == companies.keys()
    assert project.codat_iac("plan", "--detailed-exitcode").code == 3, "all wait for their customers"
    return again


@pytest.mark.slow
def test_interrupted_among_many_creates_it_records_what_was_made(project: Project) -> None:
    """The state is written once, at the end, which an interrupt brings about: nothing made is forgotten."""
    companies = declare_many(project)
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": "delay", "seconds": 1}])
    process = project.start_codat_iac("apply", "--yes", "-o", "json")
    until(lambda: len(live(project, companies)) >= 4, "some are made")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    ran = Ran(process.returncode, out, err)

    assert ran.code == 130
    assert ran.said[-1] == "interrupted; run again for what isn't done"
    results = {each["address"]: each["result"] for each in ran.json["outcomes"]}
    done = {address for address, result in results.items() if result == "done"}
    assert list(results) == sorted(companies)
    assert set(results.values()) == {"done", "not tried"}
    assert set(project.recorded()) == done
    assert sorted(project.recorded().items()) == live(project, companies)

    project.emulator.faults([])
    again = goes_on(project, companies)
    assert {each["address"] for each in again.json["outcomes"]} == companies.keys() - done


@pytest.mark.slow
def test_a_state_that_cant_be_written_after_many_creates_is_told_of_each(project: Project) -> None:
    """Nothing of them is recorded; the next run takes up what was made, and makes nothing twice."""
    companies = declare_many(project)
    disk = Disk(project.folder / "state", mounted=False)
    with holding_posts(project):
        process = project.start_codat_iac("apply", "--yes", "-o", "json")
        until(lambda: "create-connection" in project.emulator.counts(), "a POST")
        disk.become_read_only()
    out, err = process.communicate(timeout=PATIENCE)
    ran = Ran(process.returncode, out, err)
    disk.recover()

    assert ran.code == 1
    assert {each["address"]: each["result"] for each in ran.json["outcomes"]} == dict.fromkeys(
        companies, "failed"
    )
    for each in ran.json["outcomes"]:
        assert each["error"].startswith(f"{each['address']}: Pulumi can't write the stack's state (")
        assert each["error"].endswith("then run again: what was done is found, and not done twice")
    assert "Traceback" not in ran.err
    assert project.recorded() == {}
    there = live(project, companies)
    assert [address for address, _ in there] == sorted(companies)

    goes_on(project, companies)
    assert live(project, companies) == there


@pytest.mark.slow
def test_a_colleague_between_two_runs_of_the_engine_ends_it_there(
    project: Project, emulator: Emulator, tmp_path: Path
) -> None:
    """What the first of them did is told as done, and nothing more is done by this apply."""
    old = str(emulator.add_company("Old")["id"])
    many = str(emulator.add_company("Many")["id"])
    prior = a_prior(connected(emulator, old, "gbol"), a_desired("old/ledger", company_id=old))
    project.record([prior])
    urn = project.resources()[0]["urn"]
    yaml = f"companies:\n  old:\n    id: {old}\n    connections: {{ledger: {{platformKey: gbol}}}}\n"
    yaml += f"  many:\n    id: {many}\n    connections:\n"
    yaml += "".join(f"      s{number}: {{platformKey: fztf}}\n" for number in range(LARGEST))
    yaml += f"  one:\n    id: {emulator.add_company('One')['id']}\n"
    yaml += "    connections: {shop: {platformKey: fztf}}\n"
    project.declare(yaml)
    once = tmp_path / "once"
    path = pulumi_after(
        tmp_path / "bin",
        f"""for each in "$@"; do
  [ "$each" = up ] || continue
  [ -e {once} ] && $PULUMI state protect '{urn}' --yes --stack dev
  touch {once}
done""",
    )
    ran = project.codat_iac("apply", "--yes", "-o", "json", env={"PATH": path})

    assert ran.code == 1
    assert ran.said[-1] == (
        "the stack changed since this plan was made, so nothing more is done; run again (old/ledger)"
    )
    assert Counter(each["result"] for each in ran.json["outcomes"]) == {"done": LARGEST, "not tried": 1}
    assert len(project.recorded()) == LARGEST + 1
    assert project.codat_iac("apply", "--yes").code == 0
    assert emulator.counts()["create-connection"] == LARGEST + 1
