"""What could lose or double a connection, tried on the real engine."""

from __future__ import annotations

import os
import signal
import time

import pytest

from codat_iac import Client
from codat_iac.provider import engine_link
from tests.support.project import Project, connections, holding_posts
from tests.support.waiting import PATIENCE, alive, descendants, until

pytestmark = pytest.mark.engine

LEDGER = "ledger: {platformKey: gbol}"


def many(company_id: str, count: int) -> str:
    """A desired state of *count* connections to one platform."""
    return connections(company_id, *(f"bank-{n:02}: {{platformKey: suuo}}" for n in range(count)))


def link_all(project: Project) -> None:
    """The customer authorises everything."""
    for connection_id in project.recorded().values():
        project.emulator.authorise(connection_id)


def live(project: Project, company_id: str) -> list[tuple[str, str]]:
    """What the company has: platform keys and statuses."""
    client = Client(project.emulator.api_key, project.emulator.url)
    return sorted((str(c.platform_key), c.status) for c in client.list(company_id).results)


# Absence.


@pytest.mark.slow
def test_the_key_of_another_tenant_takes_nothing_out_of_the_state(project: Project, acme: str) -> None:
    """Neither up, nor refresh, nor destroy believes a tenant that doesn't know the company."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    recorded = project.recorded()
    project.emulator.add_key("the-key-of-another", tenant="another")
    other = {"CODAT_API_KEY": "the-key-of-another"}

    for command in (("up", "--yes"), ("refresh", "--yes"), ("destroy", "--yes")):
        outcome = project.pulumi(*command, env=other)
        assert outcome.code != 0
        assert "can't be seen with this API key, nor any other of this stack so far" in outcome.shown
        assert "Traceback" not in outcome.shown
        assert project.recorded() == recorded
    assert project.writes() == []


def test_a_company_that_really_is_gone_has_to_be_confirmed(project: Project, acme: str) -> None:
    """Only CODAT_ACCEPT_MISSING drops what a deleted company had."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    project.emulator.delete_company(acme)
    project.declare("companies: {}\n")
    assert project.up().code != 0
    assert set(project.recorded()) == {"acme/ledger"}

    assert project.up(env={"CODAT_ACCEPT_MISSING": "true"}).code == 0

    assert project.recorded() == {}
    assert project.writes() == []


@pytest.mark.slow
def test_a_mass_disappearance_is_no_drift(project: Project, acme: str) -> None:
    """When over 30 % (and at least 10) are gone at once, nothing leaves the state and nothing is made."""
    project.declare(many(acme, 20))
    project.settle()
    recorded = project.recorded()
    for connection_id in list(recorded.values())[:12]:
        project.emulator.delete_connection(connection_id)

    outcome = project.up()

    assert outcome.code != 0
    assert "12 of 20 recorded connections are gone at once; is it the key of the right" in outcome.shown
    assert project.pulumi("refresh", "--yes").code == 0
    assert project.recorded() == recorded
    assert project.writes() == []


# Renames.


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="plain"),
        pytest.param(("--continue-on-error",), id="continue-on-error"),
        pytest.param(("--target", "**acme/ledger", "--target", "**acme/books"), id="both targeted"),
    ],
)
def test_a_rename_calls_nothing(project: Project, acme: str, arguments: tuple[str, ...]) -> None:
    """It is one update, at the new address: nothing is created or deleted."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    link_all(project)
    before = project.recorded()
    project.declare(connections(acme, "books: {platformKey: gbol}"))

    outcome = project.up(*arguments)

    assert outcome.code == 0, outcome.shown
    assert project.writes() == []
    assert project.recorded() == {"acme/books": before["acme/ledger"]}
    assert "~ 1 updated" in outcome.shown
    assert "[diff: ~address]" in outcome.shown
    assert "adopts" not in outcome.shown
    assert project.preview("--expect-no-changes").code == 0


@pytest.mark.slow
def test_a_rename_among_siblings_keeps_each_id(project: Project, acme: str) -> None:
    """With two connections to one platform, the renamed one keeps its own."""
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}"))
    project.settle()
    link_all(project)
    before = project.recorded()
    project.declare(connections(acme, "a: {platformKey: suuo}", "c: {platformKey: suuo}"))

    assert project.up().code == 0

    assert project.writes() == []
    assert project.recorded() == {"acme/a": before["acme/a"], "acme/c": before["acme/b"]}


@pytest.mark.slow
def test_nothing_is_removed_where_a_create_failed(project: Project, acme: str) -> None:
    """With --continue-on-error, the old connection outlives the failure of the one that replaces it."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    link_all(project)
    project.declare(connections(acme, "books: {platformKey: gbol, connectionId: " + acme + "}"))

    outcome = project.up("--continue-on-error", "--skip-preview")

    assert outcome.code != 0
    assert "acme/ledger" in project.recorded()
    assert project.writes() == []
    assert live(project, acme) == [("gbol", "Linked")]


UNREADABLE = """
from codat_iac import Connection
other = Connection("acme/other", company_id="{company}", platform_key="fztf")
Connection("acme/books", company_id=other.id.apply(lambda _: "7"), platform_key="gbol")
"""


@pytest.mark.slow
def test_nothing_is_removed_where_nobody_knows_what_a_resource_wants(project: Project, acme: str) -> None:
    """What can't be read may be the new name of just what would go."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    link_all(project)
    project.program(UNREADABLE.format(company=acme))

    outcome = project.up("--continue-on-error", "--skip-preview")

    assert outcome.code != 0
    assert "'7' is not the id of a company" in outcome.shown
    assert "acme/ledger" in project.recorded()
    assert ("gbol", "Linked") in live(project, acme)


# What is there already.


@pytest.mark.slow
def test_a_connection_that_the_customer_made_is_refused_or_adopted(project: Project, acme: str) -> None:
    """By default preview refuses and says the ways out; `onExisting: adopt` takes it without a call."""
    made = project.emulator.connect(acme, "gbol", "Linked")
    project.declare(connections(acme, LEDGER))

    refused = project.preview()
    assert refused.code != 0
    assert f"{made['id']} (Linked); if this is the right stack, set `onExisting: adopt`" in refused.shown
    project.declare(connections(acme, "ledger: {platformKey: gbol, onExisting: adopt}"))
    assert project.up().code == 0

    assert project.recorded() == {"acme/ledger": made["id"]}
    assert project.writes() == []


@pytest.mark.slow
def test_a_state_that_lost_a_resource_makes_no_second_connection(project: Project, acme: str) -> None:
    """A waiting one is taken up again; a Linked one is refused, since it may be somebody else's."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    before = project.recorded()
    urn = project.resources()[0]["urn"]
    assert project.pulumi("state", "delete", urn, "--yes").code == 0
    assert project.up().code == 0
    assert project.recorded() == before

    link_all(project)
    assert project.pulumi("state", "delete", urn, "--yes").code == 0
    assert project.up().code != 0
    assert project.writes() == []


# Crashes.


@pytest.mark.slow
def test_a_crash_between_post_and_checkpoint_makes_no_second_connection(project: Project, acme: str) -> None:
    """All is killed while the answer to the first of two POSTs is under way; the next run finds it."""
    project.declare(connections(acme, LEDGER, "shop: {platformKey: fztf}"))
    project.emulator.faults(
        [{"on": "POST /companies/*/connections", "do": "slow-body", "seconds": 20, "times": 1}]
    )
    process = project.start("up", "--yes", "--skip-preview")
    until(lambda: len(live(project, acme)) == 1, "the first POST is committed")
    for pid, _ in [(process.pid, ""), *descendants(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert project.recorded() == {}
    project.pulumi("cancel", "--yes")

    assert project.up().code == 0

    assert len(live(project, acme)) == 2
    assert len(set(project.recorded().values())) == 2


@pytest.mark.slow
def test_a_provider_that_outlives_its_engine_writes_nothing(project: Project, acme: str) -> None:
    """The engine alone is killed while the provider waits for a quota; after the wait nothing is posted."""
    project.declare(connections(acme, LEDGER))
    project.emulator.faults(
        [
            {
                "on": "POST /companies/*/connections",
                "do": "status",
                "status": 429,
                "headers": {"Retry-After": "8"},
                "times": 1,
            }
        ]
    )
    process = project.start("up", "--yes", "--skip-preview")
    until(lambda: project.emulator.counts().get("create-connection", 0) == 1, "the first POST is refused")
    (provider,) = [pid for pid, shown in descendants(process.pid) if "-m pulumi.dynamic" in shown]
    process.kill()
    process.communicate()
    until(lambda: not alive(provider), "the provider leaves")

    assert project.emulator.counts()["create-connection"] == 1
    assert live(project, acme) == []


@pytest.mark.slow
def test_a_provider_with_nothing_to_do_leaves_too(project: Project, acme: str) -> None:
    """It holds the API key, and nobody else would end it."""
    project.declare(connections(acme, LEDGER))
    post = "POST /companies/*/connections"
    project.emulator.faults([{"on": post, "do": "delay-after-commit", "seconds": 8, "times": 1}])
    process = project.start("up", "--yes", "--skip-preview")
    until(lambda: project.emulator.counts().get("create-connection", 0) == 1, "a POST")
    (provider,) = [pid for pid, shown in descendants(process.pid) if "-m pulumi.dynamic" in shown]
    process.kill()
    process.communicate()

    until(lambda: not alive(provider), "the provider leaves")


@pytest.mark.slow
def test_an_engine_that_is_merely_stopped_is_waited_for(project: Project, acme: str) -> None:
    """Ctrl-Z, or a machine that sleeps: slow is not gone, and what it asked for is done when it goes on."""
    project.declare(connections(acme, LEDGER))
    with holding_posts(project):
        process = project.start("up", "--yes", "--skip-preview")
        until(lambda: "create-connection" in project.emulator.counts(), "a POST")
        process.send_signal(signal.SIGSTOP)
        time.sleep(4 * engine_link.WATCH_SECONDS)
    process.send_signal(signal.SIGCONT)
    shown, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0, shown
    assert project.writes().count("POST 200") == len(live(project, acme)) == 1
    assert len(project.recorded()) == 1


# Losses.


@pytest.mark.slow
def test_more_losses_than_the_limit_are_none(project: Project, acme: str) -> None:
    """Removing 11 Linked connections does nothing, by up or by destroy, until the limit is raised."""
    project.declare(many(acme, 12))
    project.settle()
    link_all(project)
    project.declare(many(acme, 1))

    outcome = project.up()
    assert outcome.code != 0
    assert "error: connections.yaml on stack dev: would end 11 authorisations of 12 recorded" in outcome.shown
    assert "set CODAT_MAX_LOSSES=11 for this run" in outcome.shown
    destroyed = project.destroy()
    assert destroyed.code != 0
    assert "would end 12 authorisations of 12 recorded connections" in destroyed.shown
    assert project.writes() == []
    assert len(project.recorded()) == 12

    assert project.up(env={"CODAT_MAX_LOSSES": "11"}).code == 0
    assert project.writes() == ["PATCH 200"] * 11


@pytest.mark.slow
@pytest.mark.parametrize("command", ["up", "destroy"])
def test_a_loss_that_nobody_can_count_is_refused(project: Project, acme: str, command: str) -> None:
    """Without a refresh the provider knows no stack, so a loss needs an explicit limit.

    The stock program counts from the record by itself: see the test after this one.
    """
    own = "from codat_iac import Connection\n"
    declared = f'Connection("acme/ledger", company_id="{acme}", platform_key="gbol")\n'
    project.program(own + declared)
    project.settle()
    link_all(project)
    before = project.recorded()
    project.program(own)

    outcome = project.pulumi(command, "--yes", "--refresh=false")

    assert outcome.code != 0
    assert "run again with `--refresh`, or set CODAT_MAX_LOSSES" in outcome.shown
    assert project.writes() == []
    assert project.recorded() == before
    assert project.pulumi(command, "--yes", "--refresh=false", env={"CODAT_MAX_LOSSES": "1"}).code == 0
    assert project.writes() == ["PATCH 200"]


def test_the_stock_program_counts_without_a_refresh_too(project: Project, acme: str) -> None:
    """From the record and from what is live: one loss of two is allowed, and one too many is refused."""
    project.declare(many(acme, 2))
    project.settle()
    link_all(project)
    project.declare(many(acme, 1))

    refused = project.up("--refresh=false", env={"CODAT_MAX_LOSSES": "0"})

    assert refused.code != 0
    assert "would end 1 authorisation of 2 recorded connections (acme/bank-01)" in refused.shown
    assert project.writes() == []
    assert len(project.recorded()) == 2


# Saying.


@pytest.mark.slow
def test_many_notices_become_one_on_the_stack(project: Project, acme: str) -> None:
    """21 waiting connections are one warning, which counts them."""
    project.declare(many(acme, 21))
    project.settle()

    preview = project.preview("--expect-no-changes")

    assert preview.code == 0
    (warning,) = preview.warnings
    assert warning == (
        "warning: 21 connections wait for their customers (21 PendingAuth): acme/bank-00, acme/bank-01,"
        " acme/bank-02, acme/bank-03, acme/bank-04 and 16 more; `codat-iac plan --every` names all"
    )
