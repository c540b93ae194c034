"""`codat-iac apply` on the real engine: what it does, what it leaves alone, and what it says at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codat_iac.emulator import Emulator
from codat_iac.model.connection import OnRemoval, PriorConnection
from tests.support.builders import a_desired, a_prior, connected, rows
from tests.support.project import PROGRAM, Project, Ran, connections, holding_posts, pulumi_after
from tests.support.waiting import PATIENCE, alive, descendants, until

pytestmark = pytest.mark.engine

Outcomes = dict[str, tuple[str, str]]


def outcomes(ran: Ran) -> Outcomes:
    """What became of each address: the step, and the result."""
    return {each["address"]: (each["step"], each["result"]) for each in ran.json["outcomes"]}


def applied(project: Project, *arguments: str, env: dict[str, str] | None = None) -> Ran:
    """`codat-iac apply`, without asking, with its outcomes as JSON."""
    project.emulator.clear_requests()
    return project.codat_iac("apply", "--yes", "-o", "json", *arguments, env=env)


def succeeds(ran: Ran) -> Ran:
    """An apply that did all that there was."""
    assert ran.code == 0, ran.out + ran.err
    return ran


def in_sync(project: Project) -> None:
    """Both doors agree that there is nothing left to do."""
    plan = project.codat_iac("plan", "-o", "json").json
    assert plan["changes"] == []
    assert plan["problems"] == []
    preview = project.preview("--expect-no-changes")
    assert preview.code == 0, preview.shown


def state(project: Project) -> dict[str, Any]:
    """All that the state holds, by URN, with what is about to be deleted under a name of its own."""
    exported = json.loads(project.pulumi("stack", "export", "--show-secrets").shown)
    return {
        f"{resource['urn']}{' to delete' * bool(resource.get('delete'))}": resource
        for resource in exported["deployment"]["resources"]
    }


def untouched(before: dict[str, Any], after: dict[str, Any], *addresses: str) -> None:
    """Every connection is as it was, but for those at *addresses*."""
    for resources in (before, after):
        assert len(resources) >= 2
    kept = [urn for urn in {**before, **after} if not urn.endswith((*addresses, "shop-dev", "::default"))]
    assert kept
    assert {urn: before.get(urn) for urn in kept} == {urn: after.get(urn) for urn in kept}


def outputs(project: Project) -> dict[str, Any]:
    """The stack's outputs, with `[secret]` for those that are."""
    found: dict[str, Any] = json.loads(project.pulumi("stack", "output", "--json").shown)
    return found


# Everything at once.


@pytest.mark.slow
def test_ten_changes_of_all_kinds_in_one_run(project: Project, emulator: Emulator) -> None:
    """Created, adopted, moved, recorded anew, unlinked, replaced, removed: done, and nothing else touched."""
    acme, beta = (str(emulator.add_company(name)["id"]) for name in ("Acme", "Beta"))

    def recorded(name: str, key: str, status: str = "Linked", **rest: Any) -> PriorConnection:
        desired = a_desired(f"acme/{name}", company_id=acme, platform_key=key, **rest)
        return a_prior(connected(emulator, acme, key, status), desired, status)

    priors = [
        recorded("stays", "gbol"),
        recorded("renamed", "fztf"),
        recorded("policy", "suuo"),
        recorded("unlinks", "mqjo"),
        recorded("deleted", "pqsw"),
        recorded("platform", "rwuv"),
        recorded("removed", "qhyg"),
        recorded("retained", "hcws", on_removal=OnRemoval.RETAIN),
        recorded("pending", "qudb", "PendingAuth"),
    ]
    project.record(priors, foreign="kept")
    emulator.delete_connection(priors[4].id)
    waits = connected(emulator, beta, "fztf", "PendingAuth")
    before = state(project)
    project.declare(
        connections(
            acme,
            "stays: {platformKey: gbol}",
            "shop: {platformKey: fztf}",
            "policy: {platformKey: suuo, onRemoval: delete}",
            "unlinks: {platformKey: mqjo, status: Unlinked}",
            "deleted: {platformKey: pqsw}",
            "platform: {platformKey: pbbf}",
        )
        + f"  beta:\n    id: {beta}\n    connections:\n      ledger: {{platformKey: gbol}}\n"
        "      shop: {platformKey: fztf}\n"
    )

    ran = applied(project)

    assert ran.code == 0, ran.err
    assert outcomes(ran) == {
        "acme/deleted": ("replace", "done"),
        "acme/pending": ("remove", "done"),
        "acme/platform": ("replace", "done"),
        "acme/policy": ("update", "done"),
        "acme/removed": ("remove", "done"),
        "acme/retained": ("remove", "done"),
        "acme/shop": ("move", "done"),
        "acme/unlinks": ("unlink", "done"),
        "beta/ledger": ("create", "done"),
        "beta/shop": ("adopt", "done"),
    }
    assert sorted(project.writes()) == ["DELETE 200", *["PATCH 200"] * 3, *["POST 200"] * 3]
    recorded_now = project.recorded()
    assert recorded_now["acme/shop"] == priors[1].id
    assert recorded_now["beta/shop"] == waits
    untouched(before, state(project), *outcomes(ran), "acme/renamed")
    assert outputs(project) == {
        "connections": {"Linked": 3, "PendingAuth": 4, "Unlinked": 1},
        "foreign": "kept",
        "waiting": ["acme/deleted", "acme/platform", "beta/ledger", "beta/shop"],
    }
    in_sync(project)


@pytest.mark.slow
def test_the_forecast_of_the_calls_comes_true(project: Project, acme: str, emulator: Emulator) -> None:
    """What a plan says that an apply will call is what the provider calls."""
    leaving = a_desired("acme/leaving", company_id=acme, platform_key="suuo")
    project.record([a_prior(connected(emulator, acme, "suuo"), leaving)])
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))
    plan = project.codat_iac("plan", "-o", "json")
    emulator.clear_requests()
    project.codat_iac("plan")
    planning = emulator.requests()["total"]

    succeeds(applied(project))

    calls = plan.json["calls"]
    assert emulator.requests()["total"] - planning == calls["reads"] + calls["writes"]
    assert len(project.writes()) == calls["writes"] == 3


# What it leaves alone.


def a_tenant(
    project: Project, companies: int, *, status: str = "Linked"
) -> tuple[list[str], list[PriorConnection]]:
    """A stack of so many companies with one recorded Xero connection each: ids, and what is recorded."""
    ids = [str(project.emulator.add_company(f"Company {n}")["id"]) for n in range(companies)]
    priors = [
        a_prior(
            connected(project.emulator, company, "gbol", status),
            a_desired(f"c{n}/ledger", company_id=company),
            status,
        )
        for n, company in enumerate(ids)
    ]
    project.record(priors)
    return ids, priors


def declared(company_ids: list[str], *more: str) -> str:
    """One Xero connection for each company, and *more* lines for the first."""
    return "companies:\n" + "".join(
        f"  c{n}:\n    id: {company}\n    connections:\n      ledger: {{platformKey: gbol}}\n"
        + "".join(f"      {line}\n" for line in more if n == 0)
        for n, company in enumerate(company_ids)
    )


@pytest.mark.slow
def test_one_that_was_deleted_in_the_portal_is_made_again(project: Project, emulator: Emulator) -> None:
    """In a stack of 200, without the engine reading or touching any of the other 199."""
    company_ids, priors = a_tenant(project, 200)
    project.declare(declared(company_ids))
    before = state(project)
    emulator.delete_connection(priors[7].id)
    project.codat_iac("plan")
    planning = emulator.requests()["total"]

    ran = applied(project)

    assert outcomes(ran) == {"c7/ledger": ("replace", "done")}
    asked = emulator.requests()
    assert asked["total"] == planning + 3  # the platforms, a listing of that company, the POST
    assert [each["path"] for each in asked["requests"][-2:]] == [
        f"/companies/{company_ids[7]}/connections"
    ] * 2
    assert project.writes() == ["POST 200"]
    untouched(before, state(project), "c7/ledger")
    assert outputs(project)["connections"] == {"Linked": 199, "PendingAuth": 1}


@pytest.mark.slow
def test_one_company_alone(project: Project) -> None:
    """`--company` leaves the changes of others to others, and the outputs still tell of all."""
    company_ids, _ = a_tenant(project, 3)
    project.declare(declared(company_ids, "shop: {platformKey: fztf}").replace("c2:", "c3:"))

    ran = applied(project, "--company", "c0")

    assert outcomes(ran) == {"c0/shop": ("create", "done")}
    assert outputs(project)["connections"] == {"Linked": 3, "PendingAuth": 1}
    assert outcomes(applied(project, "--company", "c3")) == {"c3/ledger": ("move", "done")}
    assert project.writes() == []
    in_sync(project)


@pytest.mark.slow
def test_what_costs_no_call(project: Project, acme: str, emulator: Emulator) -> None:
    """A rename, a policy and what is only forgotten, also where a removal with a call goes along."""

    def recorded(name: str, key: str, **rest: Any) -> PriorConnection:
        desired = a_desired(f"acme/{name}", company_id=acme, platform_key=key, **rest)
        return a_prior(connected(emulator, acme, key), desired)

    priors = [
        recorded("old", "gbol"),
        recorded("kept", "fztf", on_removal=OnRemoval.RETAIN),
        recorded("policy", "suuo"),
        recorded("gone", "mqjo"),
    ]
    project.record(priors)
    emulator.delete_connection(priors[3].id)
    project.declare(
        connections(acme, "new: {platformKey: gbol}", "policy: {platformKey: suuo, onRemoval: delete}")
    )

    ran = applied(project)

    assert outcomes(ran) == {
        "acme/gone": ("remove", "done"),
        "acme/kept": ("remove", "done"),
        "acme/new": ("move", "done"),
        "acme/policy": ("update", "done"),
    }
    assert project.writes() == []
    assert project.recorded() == {"acme/new": priors[0].id, "acme/policy": priors[2].id}
    in_sync(project)


def test_outputs_of_other_makes_are_kept_and_secrets_stay_secret(project: Project, acme: str) -> None:
    """However deep they lie, also where a change fails; what failed is counted as it was."""
    project.program(
        "import pulumi\n"
        "hush = pulumi.Output.secret\n"
        "pulumi.export('open', {'numbers': [1, 2.5, None, True], 'text': '[secret]'})\n"
        "pulumi.export('secret', hush('one-canary'))\n"
        "pulumi.export('deep', {'list': [hush({'key': 'two-canary'}), 'open'], 'number': hush(3)})\n"
    )
    assert project.up().code == 0
    before = json.loads(project.pulumi("stack", "output", "--json", "--show-secrets").shown)
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))
    project.emulator.faults(
        [{"on": "POST /companies/*/connections", "do": "status", "status": 400, "times": 1}]
    )

    assert applied(project).code == 1
    assert outputs(project)["connections"] == {"PendingAuth": 1, "absent": 1}
    succeeds(applied(project))

    assert outputs(project) == {
        "connections": {"PendingAuth": 2},
        "deep": {"list": ["[secret]", "open"], "number": "[secret]"},
        "open": {"numbers": [1, 2.5, None, True], "text": "[secret]"},
        "secret": "[secret]",
        "waiting": ["acme/ledger", "acme/shop"],
    }
    after = json.loads(project.pulumi("stack", "output", "--json", "--show-secrets").shown)
    assert {name: after[name] for name in before} == before
    assert "canary" not in project.everything_written()


# What goes wrong.


@pytest.mark.slow
def test_a_create_that_fails_holds_nothing_else_up(project: Project, acme: str) -> None:
    """Done and failed are told for each; the exit code is 1, and the next run does the rest."""
    project.declare(
        connections(acme, *(f"{key}: {{platformKey: {key}}}" for key in ("gbol", "fztf", "suuo", "mqjo")))
    )
    project.emulator.faults(
        [{"on": "POST /companies/*/connections", "do": "status", "status": 400, "times": 1, "skip": 1}]
    )

    ran = applied(project)

    assert ran.code == 1
    assert sorted(result for _, result in outcomes(ran).values()) == ["done"] * 3 + ["failed"]
    (failed,) = (each for each in ran.json["outcomes"] if each["result"] == "failed")
    assert re.fullmatch(
        rf"{failed['address']}: POST /companies/\S+ .*\(HTTP 400, .*\); correct the request", failed["error"]
    )
    assert "Traceback" not in ran.err
    again = applied(project)
    assert outcomes(again) == {failed["address"]: ("create", "done")}
    assert project.writes() == ["POST 200"]
    in_sync(project)


@pytest.mark.slow
def test_a_removal_waits_for_the_create_beside_it(project: Project, acme: str, emulator: Emulator) -> None:
    """Where a create fails, nothing of the same company and platform is removed, and each says why."""
    old = a_desired("acme/old", company_id=acme, connection_id=None)
    project.record([a_prior(connected(emulator, acme, "gbol"), old)])
    other = connected(emulator, acme, "gbol")
    project.declare(connections(acme, f"new: {{platformKey: gbol, connectionId: {other}}}"))
    # The plan lists the company once; before it creates, the provider does again.
    emulator.faults(
        [{"on": "GET /companies/*/connections", "do": "status", "status": 400, "skip": 1, "times": 1}]
    )

    ran = applied(project)

    assert ran.code == 1
    assert outcomes(ran) == {"acme/new": ("adopt", "failed"), "acme/old": ("remove", "failed")}
    assert "acme/old: it stays, since a create for the same company and platform failed" in ran.out
    emulator.faults([])
    assert set(rows(emulator, acme).values()) == {"Linked"}
    succeeds(applied(project))
    in_sync(project)


@pytest.mark.slow
def test_a_post_of_which_nobody_knows_is_uncertain_and_converges(project: Project, acme: str) -> None:
    """The reset comes after the commit, keys are ignored, lists lag: the next run adopts what was made."""
    project.emulator.knobs({"idempotency": "ignore", "readLagSeconds": 600})
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": "reset-after-commit"}])
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))

    ran = applied(project)

    assert ran.code == 1
    assert outcomes(ran) == {"acme/ledger": ("create", "uncertain")}
    assert ran.json["outcomes"][0]["error"].endswith(
        "run again: it adopts what was made instead of making a second one"
    )
    project.emulator.knobs({"readLagSeconds": 0})
    project.emulator.faults([])
    made = set(rows(project.emulator, acme))
    again = applied(project)
    assert outcomes(again) == {"acme/ledger": ("adopt", "done")}
    assert project.writes() == []
    assert set(rows(project.emulator, acme)) == made


@pytest.mark.slow
def test_the_old_half_of_a_replacement_is_not_forgotten(
    project: Project, acme: str, emulator: Emulator
) -> None:
    """Where its unlink fails, the change failed, and the next plan and run have it as a removal."""
    connection_id = connected(emulator, acme, "gbol")
    project.record([a_prior(connection_id, a_desired(company_id=acme))])
    project.declare(connections(acme, "ledger: {platformKey: fztf}"))
    emulator.faults([{"on": "PATCH /companies/*/connections/*", "do": "status", "status": 400, "times": 1}])
    assert outcomes(applied(project)) == {"acme/ledger": ("replace", "failed")}

    plan = project.codat_iac("plan", "-o", "json").json
    (change,) = plan["changes"]
    assert (change["step"], change["connectionId"], change["loses"]) == ("remove", connection_id, True)
    assert plan["unmanaged"] == []
    assert outcomes(applied(project)) == {"acme/ledger": ("remove", "done")}

    assert project.writes() == ["PATCH 200"]
    assert sorted(rows(emulator, acme).values()) == ["PendingAuth", "Unlinked"]
    in_sync(project)


@pytest.mark.slow
def test_the_old_half_of_a_replacement_goes_with_the_next_change(
    project: Project, acme: str, emulator: Emulator
) -> None:
    """The engine knows both by one address: the change is done when both are, and else it failed."""
    connection_id = connected(emulator, acme, "gbol")
    project.record([a_prior(connection_id, a_desired(company_id=acme))])
    project.declare(connections(acme, "ledger: {platformKey: fztf}"))
    unlinking_fails = [{"on": "PATCH /companies/*/connections/*", "do": "status", "status": 400, "times": 1}]
    emulator.faults(unlinking_fails)
    applied(project)
    project.declare(connections(acme, "ledger: {platformKey: fztf, onRemoval: delete}"))
    emulator.faults(unlinking_fails)

    failed = applied(project)

    assert outcomes(failed) == {"acme/ledger": ("update", "failed")}
    assert "done:" not in failed.err
    assert outcomes(applied(project)) == {"acme/ledger": ("remove", "done")}
    assert project.writes() == ["PATCH 200"]
    in_sync(project)


# Limits.


def test_losses_over_the_limit_are_refused_before_the_first(project: Project, emulator: Emulator) -> None:
    """Exit code 4 and not one call; the message names the flag, and the flag raises the limit."""
    company_ids, priors = a_tenant(project, 4)
    project.declare("companies: {}\n")
    limit = {"CODAT_MAX_LOSSES": "2"}
    before = state(project)

    ran = applied(project, env=limit)

    assert (ran.code, outcomes(ran)) == (4, {})
    assert "--allow-losing 4" in ran.err
    typed = applied(project, "--allow-losing", "3", env=limit)
    assert (typed.code, outcomes(typed)) == (4, {})
    assert "If you mean it, pass --allow-losing 4" in " ".join(typed.err.split())
    assert "CODAT_MAX_LOSSES" not in typed.err
    assert project.writes() == []
    assert state(project) == before
    succeeds(applied(project, "--allow-losing", "4", env=limit))
    assert project.writes() == ["PATCH 200"] * 4
    assert project.recorded() == {}
    assert rows(emulator, company_ids[0]) == {priors[0].id: "Unlinked"}


# A saved plan.


def saved(project: Project, *arguments: str) -> str:
    """Save the plan as it is now."""
    ran = project.codat_iac("plan", "-o", "json", "--out", "plan.json", *arguments)
    assert ran.code == 0, ran.err
    return "plan.json"


def an_unlink_and_a_create(project: Project) -> tuple[list[str], list[PriorConnection]]:
    """A stack of three; the first company gets a shop, and the second one's ledger is unlinked."""
    company_ids, priors = a_tenant(project, 3)
    text = declared(company_ids, "shop: {platformKey: fztf}")
    one = f"id: {company_ids[1]}\n    connections:\n      ledger: {{platformKey: gbol"
    project.declare(text.replace(one, f"{one}, status: Unlinked"))
    return company_ids, priors


def customer_revokes(project: Project, company_ids: list[str], priors: list[PriorConnection]) -> None:
    """What the plan would unlink is Deauthorized by now."""
    del company_ids
    project.emulator.revoke(priors[1].id)


def somebody_connects(project: Project, company_ids: list[str], priors: list[PriorConnection]) -> None:
    """What the plan would create is there by now."""
    del priors
    connected(project.emulator, company_ids[0], "fztf", "PendingAuth")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("happens", "text"),
    [
        pytest.param(customer_revokes, "c1/ledger: its status was Linked and is Deauthorized", id="status"),
        pytest.param(somebody_connects, "c0/shop: what is done was create and is adopt", id="another action"),
    ],
)
def test_a_saved_plan_is_refused_where_its_changes_moved(
    project: Project, happens: Callable[[Project, list[str], list[PriorConnection]], None], text: str
) -> None:
    """Exit code 4, and the address with what moved; nothing is done."""
    company_ids, priors = an_unlink_and_a_create(project)
    file = saved(project)
    happens(project, company_ids, priors)

    ran = applied(project, "--plan", file)

    assert ran.code == 4
    (said,) = ran.said
    assert said.startswith("the saved plan no longer holds: ")
    assert text in said
    assert ran.json["problems"]
    assert project.writes() == []


@pytest.mark.slow
def test_a_saved_plan_goes_on_where_others_moved(project: Project, emulator: Emulator) -> None:
    """A customer elsewhere revokes, a connection elsewhere is deleted: that is for the next plan."""
    company_ids, priors = an_unlink_and_a_create(project)
    elsewhere = connected(emulator, company_ids[2], "suuo")
    file = saved(project)
    emulator.delete_connection(priors[2].id)
    emulator.revoke(elsewhere)

    ran = applied(project, "--plan", file)

    assert ran.code == 0, ran.err
    assert outcomes(ran) == {"c0/shop": ("create", "done"), "c1/ledger": ("unlink", "done")}
    assert "Not in the saved plan, and left to the next one: 1 change." in ran.err
    assert outcomes(applied(project)) == {"c2/ledger": ("replace", "done")}
    in_sync(project)


def test_a_saved_plan_of_everything_leaves_nothing(project: Project, acme: str) -> None:
    """And says nothing of a rest."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    file = saved(project)

    ran = applied(project, "--plan", file)

    assert outcomes(ran) == {"acme/ledger": ("create", "done")}
    assert "Not in the saved plan" not in ran.err
    in_sync(project)


def test_a_plan_of_one_company_is_saved_like_any(project: Project) -> None:
    """What is to be done elsewhere is left to the next plan, without naming the company again."""
    an_unlink_and_a_create(project)
    file = saved(project, "--company", "c1")

    assert outcomes(applied(project, "--plan", file)) == {"c1/ledger": ("unlink", "done")}
    assert applied(project, "--plan", file).code == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("companies: {}", "is not JSON, so it is no saved plan", id="yaml"),
        pytest.param('{"formatVersion": 1}', "is no plan of codat-iac's", id="another JSON"),
        pytest.param("\udcff", "can't be read", id="no text"),
    ],
)
def test_what_is_no_saved_plan_is_said_so(project: Project, acme: str, text: str, said: str) -> None:
    """One line, before anything is read."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    (project.folder / "plan.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    ran = applied(project, "--plan", "plan.json")

    assert ran.code == 1
    assert len(ran.said) == 1
    assert said in ran.said[0]
    assert project.emulator.requests()["total"] == 0


# The stack.


@pytest.mark.slow
def test_the_selected_stack_stays_selected(project: Project, acme: str) -> None:
    """`--stack` names another for this run alone, and `--cwd` another folder."""
    project.pulumi("stack", "init", "other")
    project.pulumi("stack", "select", "dev")
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))

    ran = project.codat_iac(
        "apply", "--yes", "-o", "json", "--stack", "other", "--cwd", str(project.folder), cwd=Path("/")
    )

    assert outcomes(ran) == {"acme/ledger": ("create", "done")}
    assert project.pulumi("stack", "--show-name").lines == ["dev"]
    assert project.recorded() == {}
    assert project.codat_iac("plan", "--stack", "other", "--detailed-exitcode").code == 3


COMPONENT = """\
import pulumi
from codat_iac import Connection

class Customer(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("my:index:Customer", "acme")
        options = pulumi.ResourceOptions(parent=self{more})
        Connection("acme/ledger", company_id="{company}", platform_key="gbol", opts=options)

Customer()
"""


@pytest.mark.slow
def test_what_a_component_declared_moves_with_its_first_change(project: Project, acme: str) -> None:
    """An apply declares it without the component, beside what is new, and calls nothing for it."""
    project.program(COMPONENT.format(company=acme, more=""))
    project.settle()
    before = project.recorded()
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))

    ran = applied(project)

    assert outcomes(ran) == {"acme/ledger": ("move", "done"), "acme/shop": ("create", "done")}
    assert project.writes() == ["POST 200"]
    assert project.recorded()["acme/ledger"] == before["acme/ledger"]
    assert not any("my:index:Customer$" in resource["urn"] for resource in project.resources())
    project.program(PROGRAM)
    project.settle()  # takes the component away, which has no connection any more
    assert project.writes() == []
    in_sync(project)


@pytest.mark.slow
def test_options_of_a_program_of_ones_own_are_left_to_it(project: Project, acme: str) -> None:
    """No file can say `ignore_changes`, so an apply would take it away: one line says so."""
    project.program(COMPONENT.format(company=acme, more=', ignore_changes=["status"]'))
    project.settle()
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))
    before = state(project)

    ran = applied(project)

    assert ran.code == 1
    (said,) = ran.said
    assert "was declared with `ignore_changes`" in said
    assert said.endswith("and an apply would take away; use `pulumi up`")
    assert state(project) == before
    assert project.writes() == []


@pytest.mark.slow
def test_two_runs_at_once_and_one_wins(project: Project, acme: str) -> None:
    """While `pulumi up` has the stack, apply says so in one line, and the other way round."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    with holding_posts(project):
        up = project.start("up", "--yes", "--skip-preview")
        until(lambda: "create-connection" in project.emulator.counts(), "a POST")
        ran = project.codat_iac("apply", "--yes")

    assert (ran.code, ran.out) == (1, "")
    assert ran.said == ["the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead"]
    shown, _ = up.communicate(timeout=PATIENCE)
    assert up.returncode == 0, shown
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))
    project.emulator.clear_requests()
    with holding_posts(project):
        apply = project.start_codat_iac("apply", "--yes")
        until(lambda: "create-connection" in project.emulator.counts(), "a POST")
        outcome = project.up("--skip-preview")
    assert outcome.code != 0
    assert "the stack is currently locked" in outcome.shown
    apply.communicate(timeout=PATIENCE)
    assert apply.returncode == 0
    assert len(rows(project.emulator, acme)) == 2
    in_sync(project)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "text"),
    [
        pytest.param({"PULUMI_CONFIG_PASSPHRASE": "another"}, "has another passphrase", id="passphrase"),
        pytest.param(
            {"PULUMI_BACKEND_URL": "file:///nowhere"}, "unable to open state directory", id="backend"
        ),
    ],
)
def test_a_stack_that_cant_be_used_is_one_line(
    project: Project, acme: str, environment: dict[str, str], text: str
) -> None:
    """It says what Pulumi says, and nothing is begun."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    project.settle()
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))

    ran = applied(project, env=environment)

    assert ran.code == 1
    assert len(ran.said) == 1
    assert text in ran.said[0]
    assert project.writes() == []


def test_a_run_that_never_began_is_one_line(project: Project, acme: str) -> None:
    """Here a provider's host that can't start, which the plan had no need of; nothing is said to be done."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    broken = project.folder / "broken" / "pulumi-resource-pulumi-python"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'no Python here' >&2\nexit 1\n")
    broken.chmod(0o755)
    file = project.folder / "Pulumi.yaml"
    file.write_text(
        f"{file.read_text()}plugins:\n  providers:\n  - name: pulumi-python\n    path: {broken.parent}\n"
    )

    ran = applied(project)

    assert ran.code == 1
    assert ran.json["kind"] == "problems"
    (said,) = ran.said
    assert said.startswith("`pulumi up` failed: ")
    assert said.endswith("(no Python here)")
    assert project.writes() == []


@pytest.mark.slow
def test_a_key_in_the_open_is_refused(project: Project, acme: str) -> None:
    """As by `pulumi up`: the engine would copy it into the state."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    project.pulumi("config", "set", "codat:apiKey", project.emulator.api_key)

    ran = applied(project, env={"CODAT_API_KEY": ""})

    assert ran.code == 1
    assert "codat:apiKey is not a secret" in ran.said[0]
    assert project.writes() == []
    assert project.emulator.api_key not in project.everything_written()


# Interrupts.


def interrupted(project: Project, send: Callable[[subprocess.Popen[str]], None], held: str = "delay") -> Ran:
    """An apply of twelve companies that is told to stop while the first POSTs are under way."""
    company_ids = [str(project.emulator.add_company(f"Company {n}")["id"]) for n in range(12)]
    project.declare(declared(company_ids))
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": held, "seconds": 3}])
    process = project.start_codat_iac("apply", "--yes", "-o", "json")
    until(lambda: "create-connection" in project.emulator.counts(), "a POST")
    below = descendants(process.pid)
    assert any("pulumi.dynamic" in name for _, name in below)
    send(process)
    out, err = process.communicate(timeout=PATIENCE)
    until(lambda: not any(alive(pid) for pid, _ in below), "nothing is left running")
    return Ran(process.returncode, out, err)


def twice(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, and once more before what is under way has finished."""
    process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in (process.stderr.readline() if process.stderr else ""), "it heard")
    process.send_signal(signal.SIGINT)


def the_provider(process: subprocess.Popen[str]) -> None:
    """The host dies, of too little memory for one."""
    for pid, name in descendants(process.pid):
        if "pulumi.dynamic" in name:
            os.kill(pid, signal.SIGKILL)


def all_of_it(process: subprocess.Popen[str]) -> None:
    """A service manager or a CI job is stopped."""
    for pid, _ in [*descendants(process.pid), (process.pid, "")]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("stop", [twice, the_provider, all_of_it])
def test_only_what_isnt_done_is_called_so(
    project: Project, stop: Callable[[subprocess.Popen[str]], None]
) -> None:
    """What was under way, and of which nobody tells how it ended, is uncertain: here it was done."""
    ran = interrupted(project, stop, held="delay-after-commit")

    text = (project.folder / "connections.yaml").read_text()
    company_ids = {f"{key}/ledger": each for key, each in re.findall(r"(c\d+):\n    id: (\S+)", text)}
    there = {address for address, each in company_ids.items() if rows(project.emulator, each)}
    became = outcomes(ran)
    by_result = {
        result: {address for address, (_, each) in became.items() if each == result}
        for result in ("done", "failed", "not tried", "uncertain")
    }
    assert sum(map(len, by_result.values())) == 12
    assert by_result["done"] <= there
    assert there.isdisjoint(by_result["failed"] | by_result["not tried"])
    assert by_result["uncertain"]
    project.emulator.faults([])
    succeeds(applied(project))
    assert [len(rows(project.emulator, each)) for each in company_ids.values()] == [1] * 12
    in_sync(project)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whom", ["alone", "group"])
def test_an_interrupt_ends_it_between_two_changes(
    project: Project, number: signal.Signals, whom: str
) -> None:
    """Ctrl-C, or a signal for this process alone: what is under way is finished, and nothing half known."""
    kill = os.kill if whom == "alone" else os.killpg

    ran = interrupted(project, lambda process: kill(process.pid, number))

    assert ran.code == 130
    assert ran.said[-1] == "interrupted; run again for what isn't done"
    assert "stopping when what is under way is finished; once more leaves it uncertain" in ran.said
    became = outcomes(ran)
    done = {address for address, (_, result) in became.items() if result == "done"}
    assert set(became.values()) <= {("create", "done"), ("create", "not tried")}
    assert 1 <= len(done) < len(became)
    assert set(project.recorded()) == done
    assert project.emulator.counts()["create-connection"] == len(done)
    project.emulator.faults([])
    succeeds(applied(project))
    assert project.emulator.counts()["create-connection"] == 12 - len(done)


def test_a_hangup_that_is_ignored_stays_so(project: Project) -> None:
    """As under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ran = interrupted(project, lambda process: process.send_signal(signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    assert ran.code == 0
    assert set(outcomes(ran).values()) == {("create", "done")}


@pytest.mark.slow
def test_killed_without_warning_pulumi_finishes_what_is_under_way(project: Project) -> None:
    """It records what was made, and leaves no lock: the next run does the rest."""
    ran = interrupted(project, lambda process: process.kill())

    assert ran.code == -signal.SIGKILL
    made = set(project.recorded())
    assert 1 <= len(made) < 12
    assert project.emulator.counts()["create-connection"] == len(made)
    project.emulator.faults([])
    assert set(outcomes(applied(project))) == {f"c{n}/ledger" for n in range(12)} - made
    in_sync(project)


@pytest.mark.slow
def test_killed_without_warning_nothing_that_is_declared_goes(project: Project, emulator: Emulator) -> None:
    """The program dies before it declared what is targeted: that must not count as no longer declared."""
    company_ids, priors = a_tenant(project, 8)
    retained = [
        replace(prior, desired=replace(prior.desired, on_removal=OnRemoval.RETAIN)) for prior in priors
    ]
    project.record(retained)
    project.declare("defaults: {onRemoval: delete}\n" + declared(company_ids))
    process = project.start_codat_iac("apply", "--yes")
    until(lambda: any(" up " in name for _, name in descendants(process.pid)), "an update")
    below = descendants(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not any(alive(pid) for pid, _ in below), "nothing is left running")

    assert set(project.recorded().values()) == {prior.id for prior in priors}
    assert set(outcomes(applied(project)).values()) == {("update", "done")}
    assert project.writes() == []
    assert set(rows(emulator, company_ids[0]).values()) == {"Linked"}
    in_sync(project)


def test_what_a_pulumi_did_that_tells_nothing_is_uncertain(project: Project, tmp_path: Path) -> None:
    """A wrapper of the user's own that can't see our files, in a container for one; the next run finds it."""
    company_id = str(project.emulator.add_company("Company")["id"])
    project.declare(declared([company_id]))
    elsewhere = 'case "$*" in *--event-log*) exec $PULUMI "$@" --event-log /nowhere/log;; esac'
    path = pulumi_after(tmp_path / "bin", elsewhere)

    ran = project.codat_iac("apply", "--yes", "-o", "json", env={"PATH": path})

    assert ran.code == 1
    assert ran.said[-1].startswith("`pulumi up` ended without telling what it did; run again")
    assert outcomes(ran) == {"c0/ledger": ("create", "uncertain")}
    assert len(rows(project.emulator, company_id)) == 1
    in_sync(project)


def test_pulumi_killed_in_the_middle_is_an_error(project: Project) -> None:
    """What was done is told, what may be, and how Pulumi ended; the next run names the lock that it left."""
    company_ids = [str(project.emulator.add_company(f"Company {n}")["id"]) for n in range(3)]
    project.declare(declared(company_ids))
    with holding_posts(project, company_ids[0]):
        process = project.start_codat_iac("apply", "--yes", "-o", "json")
        assert process.stderr is not None
        heard = ""
        while "done: " not in heard:
            heard = process.stderr.readline()
            assert heard, process.communicate(timeout=PATIENCE)
        (engine,) = (pid for pid, name in descendants(process.pid) if " up " in name)
        os.kill(engine, signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
    ran = Ran(process.returncode, out, err)

    assert ran.code == 1
    assert ran.said == ["`pulumi up` was ended by SIGKILL"]
    # Its POST is under way.
    assert outcomes(ran)["c0/ledger"] == ("create", "uncertain")
    assert ("create", "done") in outcomes(ran).values()
    cancel = "pulumi cancel --yes --stack dev"
    for _ in range(2):
        (said,) = applied(project).said
        assert said.startswith(
            f"the stack is locked; run `{cancel}` and try again, since pid {engine} of this"
        )
    assert project.pulumi(*cancel.split()[1:]).code == 0
    succeeds(applied(project))
    assert [len(rows(project.emulator, each)) for each in company_ids] == [1, 1, 1]
    in_sync(project)
