"""Who has which connection, whatever a user does around it in Pulumi: on the real engine, by both doors.

An id keeps its company and the second half of its address, and nothing is called for one that merely got
another URN. What can't be known is refused, and then nothing happens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from codat_iac.model.connection import RESOURCE_TYPE
from tests.support.builders import a_prior, siblings
from tests.support.project import PROGRAM, Outcome, Project, Ran, connections
from tests.support.terminal import Terminal

pytestmark = pytest.mark.engine

COMPONENT = """
import pulumi
from codat_iac import Connection

class Customer(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("shop:index:Customer", name)
        {body}

Customer("acme")
"""


@dataclass(frozen=True)
class Door:
    """One of the two ways to bring a desired state about."""

    name: str
    apply: Callable[[Project], Outcome | Ran]

    def settle(self, project: Project) -> None:
        """Apply, which has to succeed, with no request logged before."""
        project.emulator.clear_requests()
        done = self.apply(project)
        assert done.code == 0, done


UP = Door("up", lambda project: project.up())
APPLY = Door("apply", lambda project: project.codat_iac("apply", "--yes"))

both_doors = pytest.mark.parametrize("door", [pytest.param(door, id=door.name) for door in (UP, APPLY)])


def up(project: Project, *arguments: str) -> None:
    """`pulumi up`, which has to succeed, with no request logged before."""
    project.emulator.clear_requests()
    outcome = project.up(*arguments)
    assert outcome.code == 0, outcome.shown


def link(project: Project, *addresses: str) -> None:
    """Let the customers of some addresses authorise, or of all."""
    recorded = project.recorded()
    for address in addresses or recorded:
        project.emulator.authorise(recorded[address])


def statuses(project: Project) -> dict[str, str]:
    """The status of each recorded connection, by address."""
    live = {
        each["id"]: each["status"]
        for company in {r["outputs"]["companyId"] for r in project.resources()}
        for each in project.emulator.connections(company)
    }
    return {address: live.get(i, "absent") for address, i in project.recorded().items()}


def plan(project: Project) -> dict[str, str]:
    """What `codat-iac plan` says is done, by address; it must have no problem."""
    document = project.codat_iac("plan", "-o", "json").json
    assert document["problems"] == [], document["problems"]
    return {each["address"]: each["step"] for each in document["changes"]}


def problems(project: Project) -> list[str]:
    """What `codat-iac plan` says can't be done."""
    return [each["text"] for each in project.codat_iac("plan", "-o", "json").json["problems"]]


def previewed(project: Project, *arguments: str) -> dict[str, str]:
    """What `pulumi preview` says is done about connections, by address, without what stays as it is."""
    outcome = project.preview("--json", *arguments)
    assert outcome.code == 0, outcome.shown
    shown, _ = json.JSONDecoder().raw_decode(outcome.shown[outcome.shown.index("{") :])
    return {
        step["urn"].rpartition("::")[2]: step["op"]
        for step in shown["steps"]
        if f"{RESOURCE_TYPE}::" in step["urn"] and step["op"] not in {"same", "refresh"}
    }


def in_company(name: str, company_id: str, *lines: str) -> str:
    """The part of a desired-state file for one company."""
    return connections(company_id, *lines).replace("  acme:", f"  {name}:", 1)


# Renames.


@pytest.mark.slow
@both_doors
@pytest.mark.parametrize("old", ["{platformKey: gbol, status: Unlinked}", "{platformKey: gbol}"])
def test_a_renamed_company_key_moves_each_connection(
    project: Project, acme: str, door: Door, old: str
) -> None:
    """Two of one platform keep their names' connections, whatever their statuses."""
    project.declare(connections(acme, "old: {platformKey: gbol}"))
    project.settle()
    link(project, "acme/old")
    lines = (f"old: {old}", "ledger: {platformKey: gbol, onExisting: create}")
    project.declare(connections(acme, *lines))
    project.settle()
    link(project, "acme/ledger")
    before, was = project.recorded(), statuses(project)

    project.declare(in_company("acme-ltd", acme, *lines))
    assert plan(project) == {"acme-ltd/ledger": "move", "acme-ltd/old": "move"}
    assert previewed(project) == {"acme-ltd/ledger": "update", "acme-ltd/old": "update"}
    door.settle(project)

    assert project.writes() == []
    assert project.recorded() == {
        "acme-ltd/ledger": before["acme/ledger"],
        "acme-ltd/old": before["acme/old"],
    }
    assert statuses(project) == {f"acme-ltd/{a.partition('/')[2]}": s for a, s in was.items()}
    assert plan(project) == {}


@pytest.mark.slow
@both_doors
def test_a_renamed_company_key_with_one_gone(project: Project, acme: str, door: Door) -> None:
    """What was deleted in Codat is made again at its own name; the other one moves."""
    lines = ("a: {platformKey: suuo}", "b: {platformKey: suuo}")
    project.declare(connections(acme, *lines))
    project.settle()
    link(project)
    before = project.recorded()
    project.emulator.delete_connection(before["acme/a"])
    project.declare(in_company("acme-ltd", acme, *lines))

    assert plan(project) == {"acme-ltd/a": "replace", "acme-ltd/b": "move"}
    door.settle(project)

    assert project.writes() == ["POST 200"]
    assert project.recorded()["acme-ltd/b"] == before["acme/b"]
    assert project.recorded().keys() == {"acme-ltd/a", "acme-ltd/b"}
    assert statuses(project)["acme-ltd/b"] == "Linked"
    assert plan(project) == {}


@both_doors
def test_which_of_two_new_ones_is_the_renamed_one_is_refused(project: Project, acme: str, door: Door) -> None:
    """Nothing is done until the file says it by id, or says it in two steps."""
    project.declare(connections(acme, "a: {platformKey: suuo}"))
    project.settle()
    link(project)
    before = project.recorded()
    project.declare(connections(acme, "b: {platformKey: suuo}", "z: {platformKey: suuo}"))

    said = "which of the new acme/b, acme/z goes on with what is recorded as acme/a"
    assert all(said in text for text in problems(project))
    project.emulator.clear_requests()
    refused = door.apply(project)
    assert refused.code != 0
    assert project.writes() == []
    assert project.recorded() == before

    name = f"z: {{platformKey: suuo, connectionId: {before['acme/a']}}}"
    project.declare(connections(acme, "b: {platformKey: suuo}", name))
    assert plan(project) == {"acme/b": "create", "acme/z": "move"}
    door.settle(project)
    assert project.writes() == ["POST 200"]
    assert project.recorded()["acme/z"] == before["acme/a"]
    assert statuses(project)["acme/z"] == "Linked"


# Components, and programs of one's own.


@pytest.mark.slow
def test_a_component_comes_and_goes(project: Project, acme: str) -> None:
    """Wrapped in a component and taken out again, by a program of one's own: no change either time."""
    make = f'Connection("acme/ledger", company_id="{acme}", platform_key="gbol"'
    project.program(f"from codat_iac import Connection\n{make})\n")
    project.settle()
    link(project)
    before = project.recorded()
    for program in (
        COMPONENT.format(body=f"{make}, opts=pulumi.ResourceOptions(parent=self))"),
        f"from codat_iac import Connection\n{make})\n",
    ):
        project.program(program)
        assert previewed(project) == {}
        up(project)
        assert project.writes() == []
        assert project.recorded() == before
        assert statuses(project) == {"acme/ledger": "Linked"}


@pytest.mark.slow
@both_doors
def test_from_a_component_to_the_stock_program(project: Project, acme: str, door: Door) -> None:
    """The same addresses go on, and plan says so."""
    make = f'Connection("acme/ledger", company_id="{acme}", platform_key="gbol"'
    project.program(COMPONENT.format(body=f"{make}, opts=pulumi.ResourceOptions(parent=self))"))
    project.settle()
    link(project)
    before = project.recorded()
    project.program(PROGRAM)
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))

    assert plan(project) == {"acme/ledger": "move"}
    assert previewed(project) == {}
    door.settle(project)

    assert project.writes() == []
    assert project.recorded() == before
    assert plan(project) == {}
    up(project)
    assert project.writes() == []
    assert statuses(project) == {"acme/ledger": "Linked"}


# The state, edited by hand.


@pytest.mark.slow
@both_doors
def test_a_state_rename(project: Project, acme: str, door: Door) -> None:
    """With the file renamed too, it is recorded anew; without, it goes back to its name."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    project.settle()
    link(project)
    before = project.recorded()
    (resource,) = project.resources()
    renamed = project.pulumi("state", "rename", resource["urn"], "acme/books", "--yes")
    assert renamed.code == 0, renamed.shown

    project.declare(connections(acme, "books: {platformKey: gbol}"))
    door.settle(project)
    assert project.writes() == []
    assert project.recorded() == {"acme/books": before["acme/ledger"]}
    assert plan(project) == {}

    (resource,) = project.resources()
    project.pulumi("state", "rename", resource["urn"], "acme/other", "--yes")
    door.settle(project)
    assert project.writes() == []
    assert project.recorded() == {"acme/books": before["acme/ledger"]}
    assert plan(project) == {}
    assert statuses(project) == {"acme/books": "Linked"}


@pytest.mark.slow
@both_doors
def test_a_taint_is_planned_as_the_replacement_that_it_is(project: Project, acme: str, door: Door) -> None:
    """The plan shows it with the loss, and nothing of it is done twice."""
    project.declare(connections(acme, "a: {platformKey: suuo}"))
    project.settle()
    link(project)
    before = project.recorded()
    (resource,) = project.resources()
    assert project.pulumi("state", "taint", resource["urn"], "--yes").code == 0

    (change,) = project.codat_iac("plan", "-o", "json").json["changes"]
    assert (change["step"], change["removal"], change["loses"]) == ("replace", "unlink", True)
    assert previewed(project) == {"acme/a": "replace"}
    door.settle(project)

    assert project.writes() == ["POST 200", "PATCH 200"]
    assert project.recorded()["acme/a"] != before["acme/a"]
    assert plan(project) == {}


@pytest.mark.slow
def test_an_id_recorded_twice_is_refused_with_the_line_that_helps(project: Project, acme: str) -> None:
    """One id at two declared addresses: neither door does anything until the state is mended."""
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}"))
    made = project.emulator.connect(acme, "suuo", "Linked")
    a, b = siblings("acme/a", "acme/b", company_id=acme, platform_key="suuo")
    project.record([a_prior(str(made["id"]), a), a_prior(str(made["id"]), b)])

    (said, _) = problems(project)
    remedy = re.search(r"pulumi (state delete) '([^']+)' --yes", said)
    assert remedy
    for door in (UP, APPLY):
        assert door.apply(project).code != 0
    assert project.writes() == []
    assert project.pulumi("state", "delete", remedy[2], "--yes").code == 0
    project.declare(connections(acme, "a: {platformKey: suuo}"))
    for door in (UP, APPLY):
        door.settle(project)
    assert project.recorded() == {"acme/a": made["id"]}
    assert statuses(project) == {"acme/a": "Linked"}


# A changed setting in the same step: refresh and program are then two provider processes.

SETTING = ("config", "set", "codat:requestsPerMinute", "900")


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["refuse", "create"])
@pytest.mark.parametrize("arguments", [(), ("--refresh=false",), ("--run-program",)], ids=" ".join)
def test_a_rename_beside_a_changed_setting(
    project: Project, acme: str, policy: str, arguments: tuple[str, ...]
) -> None:
    """It is a move, whatever the process that creates has read."""
    if policy == "create":
        project.emulator.connect(acme, "gbol", "Linked")  # the customer's own
    project.declare(connections(acme, f"a: {{platformKey: gbol, onExisting: {policy}}}"))
    project.settle()
    link(project)
    before = project.recorded()
    project.pulumi(*SETTING)
    project.declare(connections(acme, f"b: {{platformKey: gbol, onExisting: {policy}}}"))

    assert plan(project) == {"acme/b": "move"}
    up(project, *arguments)

    assert project.writes() == []
    assert project.recorded() == {"acme/b": before["acme/a"]}
    assert statuses(project) == {"acme/b": "Linked"}


@pytest.mark.slow
@both_doors
def test_a_replacement_that_broke_off_is_taken_back(project: Project, acme: str, door: Door) -> None:
    """The unlink of the old half fails, and the file goes back: the old one is wanted again, and alive."""
    project.declare(connections(acme, "a: {platformKey: gbol, onExisting: create}"))
    project.settle()
    link(project)
    before = project.recorded()
    on = "PATCH /companies/*/connections/*"
    project.emulator.faults([{"on": on, "do": "status", "status": 403, "times": 99}])
    project.declare(connections(acme, "a: {platformKey: qhyg}"))
    assert door.apply(project).code != 0
    project.emulator.faults([])

    project.declare(connections(acme, "a: {platformKey: gbol, onExisting: create}"))
    assert plan(project) == {"acme/a": "replace"}
    assert previewed(project)["acme/a"] in {"replace", "create-replacement", "delete-replaced"}
    door.settle(project)

    assert project.writes() == ["DELETE 200"]  # of the new one, which nobody authorised
    assert project.recorded() == before
    assert statuses(project) == {"acme/a": "Linked"}
    assert plan(project) == {}
    up(project)
    assert project.writes() == []


# Parts of a stack.


@pytest.mark.slow
def test_a_partial_run_takes_nothing_that_another_address_has(project: Project, acme: str) -> None:
    """`--exclude` reads a part of the stack only: the new one never takes what the excluded one has."""
    project.declare(
        connections(acme, "a: {platformKey: suuo}", "other: {platformKey: fztf}"),
    )
    project.settle()
    before = project.recorded()
    stray = project.emulator.connect(acme, "suuo", "PendingAuth")
    project.declare(
        connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}", "other: {platformKey: fztf}")
    )

    outcome = project.up("--exclude", "**acme/a")

    assert outcome.code == 0, outcome.shown
    assert project.recorded() == {**before, "acme/b": stray["id"]}
    assert plan(project) == {}
    up(project)
    assert project.writes() == []


@pytest.mark.slow
def test_a_partial_run_refuses_what_it_cant_know(project: Project, acme: str) -> None:
    """What is gone is made again only if it is known who has what stands beside it."""
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}"))
    project.settle()
    link(project, "acme/a")
    before = project.recorded()
    project.emulator.delete_connection(before["acme/b"])
    project.emulator.clear_requests()

    outcome = project.up("--exclude", "**acme/a")

    assert outcome.code != 0
    assert "this run doesn't know whether another address has that" in outcome.shown
    assert project.writes() == []
    assert project.recorded() == before
    assert project.up().code == 0
    assert project.recorded()["acme/a"] == before["acme/a"]
    assert project.writes() == ["POST 200"]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["**acme/a", "**acme/b"])
def test_a_rename_in_a_targeted_run_ends_nothing(project: Project, acme: str, target: str) -> None:
    """Whichever of the two names is the target."""
    project.declare(connections(acme, "a: {platformKey: suuo}"))
    project.settle()
    link(project)
    before = project.recorded()
    project.declare(connections(acme, "b: {platformKey: suuo}"))

    project.up("--target", target)

    assert project.writes() == []
    assert list(project.recorded().values()) == list(before.values())
    up(project)
    assert project.writes() == []
    assert project.recorded() == {"acme/b": before["acme/a"]}


# Programs of one's own.

OWN = "import pulumi\nfrom codat_iac import Connection\n"


def own(address: str, company_id: str, *rest: str) -> str:
    """A line of a program that declares a connection to one platform."""
    return f'Connection("{address}", company_id="{company_id}", platform_key="suuo"{"".join(rest)})\n'


@pytest.fixture
def recorded_a(project: Project, acme: str) -> str:
    """A program of one's own has declared `acme/a`, which is authorised; its id."""
    project.program(OWN + own("acme/a", acme))
    project.settle()
    link(project)
    project.emulator.clear_requests()
    return project.recorded()["acme/a"]


@pytest.mark.slow
def test_a_new_one_above_a_recorded_one_is_refused_at_once(
    project: Project, acme: str, recorded_a: str
) -> None:
    """It may be the recorded one renamed: nobody can tell from its place in the program."""
    project.program(OWN + own("acme/b", acme) + own("acme/a", acme))

    outcome = project.up("--skip-preview")

    assert outcome.code != 0
    assert "acme/b is new, and acme/a of the same company and platform is recorded" in outcome.shown
    assert "Traceback" not in outcome.shown
    assert project.writes() == []
    assert project.recorded() == {"acme/a": recorded_a}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["order", "siblings", "aliases", "connection_id"])
def test_each_way_out_that_the_refusal_names_works(
    project: Project, acme: str, recorded_a: str, way: str
) -> None:
    """One more beside it, or the same one under a new name: as the message says, word by word."""
    project.program(OWN + own("acme/b", acme))
    said = project.preview().shown
    aliases = re.search(r"opts=ResourceOptions\(aliases=\['[^']+'\]\)", said)
    named = re.search(r"connection_id='[^']+'", said)
    siblings_ = re.search(r"siblings=\['[^']+'\]", said)
    assert aliases
    assert named
    assert siblings_
    programs = {
        "order": own("acme/a", acme) + own("acme/b", acme),
        "siblings": own("acme/b", acme, ", ", siblings_[0]) + own("acme/a", acme),
        "aliases": own("acme/b", acme, ", ", aliases[0].replace("Resource", "pulumi.Resource")),
        "connection_id": own("acme/b", acme, ", ", named[0]),
    }
    project.program(OWN + programs[way])

    up(project)

    moved = way in {"aliases", "connection_id"}
    assert project.writes() == ([] if moved else ["POST 200"])
    assert project.recorded()["acme/b" if moved else "acme/a"] == recorded_a
    assert len(project.recorded()) == (1 if moved else 2)
    project.program(OWN + (own("acme/b", acme) if moved else programs[way]))
    up(project)
    assert project.writes() == []


@pytest.mark.slow
def test_an_address_declared_twice_is_an_error(project: Project, acme: str) -> None:
    """Also below another parent, where Pulumi itself would allow it."""
    project.program(
        OWN
        + own("acme/a", acme)
        + "group = pulumi.ComponentResource('shop:index:Group', 'group')\n"
        + own("acme/a", acme, ", opts=pulumi.ResourceOptions(parent=group)")
    )

    outcome = project.up("--skip-preview")

    assert outcome.code != 0
    assert "acme/a is declared twice; an address is the name of one connection" in outcome.shown
    assert "POST 200" not in project.writes()[1:]


@pytest.mark.slow
def test_import_is_one_line_that_names_the_ways(project: Project, acme: str) -> None:
    """`import_` is none of them, and each that the line names works."""
    made = project.emulator.connect(acme, "suuo", "Linked")
    project.program(OWN + own("acme/a", acme, f", opts=pulumi.ResourceOptions(import_='{made['id']}')"))
    outcome = project.preview()
    assert outcome.code != 0
    assert "pass `connection_id=` to take over one that exists" in outcome.shown
    assert "KeyError" not in outcome.shown

    project.program(OWN + own("acme/a", acme, f", connection_id='{made['id']}'"))
    up(project)
    assert project.recorded() == {"acme/a": made["id"]}
    assert project.writes() == []


@pytest.mark.slow
def test_outputs_and_secrets_may_say_company_and_platform(project: Project, acme: str) -> None:
    """What is known only while the program runs is described then; a secret is read by each command."""
    program = OWN + (
        f'company = pulumi.Output.secret("{acme}")\n'
        'Connection("acme/a", company_id=company, platform_key=pulumi.Output.from_input("suuo"))\n'
        'Connection("acme/b", company_id=company, platform_key=pulumi.Output.from_input("suuo"))\n'
    )
    project.program(program)
    project.settle()
    before = project.recorded()
    assert len(set(before.values())) == 2
    for command in ("drift", "links"):
        ran = project.codat_iac(command)
        assert ran.code == 0, ran.err
    up(project)
    assert project.writes() == []
    assert project.recorded() == before


# What apply leaves as it was declared.


def test_apply_keeps_what_a_program_of_ones_own_protects(project: Project, acme: str) -> None:
    """It updates under `protect`, and neither replaces nor removes what has it."""
    project.program(OWN + own("acme/a", acme, ", opts=pulumi.ResourceOptions(protect=True)"))
    project.settle()
    link(project)
    before = project.recorded()
    project.declare(connections(acme, "a: {platformKey: suuo, onRemoval: delete}"))
    APPLY.settle(project)
    assert project.resources()[0]["protect"] is True

    project.declare(connections(acme, "a: {platformKey: fztf}"))
    assert project.codat_iac("apply", "--yes").code != 0
    project.declare("companies: {}\n")
    assert project.codat_iac("apply", "--yes", "--allow-losing", "1").code != 0
    assert project.writes() == []
    assert project.recorded() == before
    assert statuses(project) == {"acme/a": "Linked"}


@pytest.mark.slow
def test_apply_refuses_options_that_it_would_lose(project: Project, acme: str) -> None:
    """`retain_on_delete` can't be said in a file, so an apply would take it away."""
    project.program(OWN + own("acme/a", acme, ", opts=pulumi.ResourceOptions(retain_on_delete=True)"))
    project.settle()
    project.declare(connections(acme, "a: {platformKey: suuo, onRemoval: delete}"))

    ran = project.codat_iac("apply", "--yes")

    assert ran.code == 1
    assert (
        "was declared with `retain_on_delete`, which only a program of your own can declare" in ran.said[-1]
    )
    assert project.writes() == []


@pytest.mark.slow
def test_apply_keeps_outputs_that_are_not_its_own(project: Project, acme: str) -> None:
    """A program of one's own may call its outputs as the stock program calls its own."""
    outputs = 'pulumi.export("connections", "mine")\npulumi.export("waiting", {"for": "Godot"})\n'
    project.program(OWN + own("acme/a", acme) + outputs)
    project.settle()
    project.declare(connections(acme, "a: {platformKey: suuo, onRemoval: delete}"))

    APPLY.settle(project)

    assert json.loads(project.pulumi("stack", "output", "--json").shown) == {
        "connections": "mine",
        "waiting": {"for": "Godot"},
    }


# Somebody else's run in between.


def test_apply_stops_if_a_colleague_was_faster(project: Project, acme: str) -> None:
    """While it waits at its question, another run adds a sibling: nothing is done after the answer."""
    project.declare(connections(acme, "a: {platformKey: suuo}"))
    project.settle()
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}"))
    terminal = Terminal(project, "apply")
    terminal.wait_for("Apply 1 change?")
    project.declare(connections(acme, "a: {platformKey: suuo}", "c: {platformKey: suuo}"))
    project.settle()
    before = project.recorded()

    terminal.type("y\n")

    assert terminal.end() == 1
    said = "the stack changed since this plan was made, so nothing is done; run again (acme/c)"
    assert said in " ".join(terminal.shown.split())
    assert project.writes() == []
    assert project.recorded() == before


# Shifts and swaps.


@pytest.mark.slow
@both_doors
def test_a_shift_by_ids_takes_two_runs(project: Project, acme: str, door: Door) -> None:
    """`b` goes on with what `a` had, and `c` with what `b` had: nothing is called for either."""
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}"))
    project.settle()
    link(project)
    x, y = project.recorded()["acme/a"], project.recorded()["acme/b"]
    project.declare(
        connections(
            acme,
            f"b: {{platformKey: suuo, connectionId: {x}}}",
            f"c: {{platformKey: suuo, connectionId: {y}}}",
        )
    )
    shown = project.codat_iac("plan", "-o", "json").json
    assert {(c["address"], c["step"], c["later"], c["loses"]) for c in shown["changes"]} == {
        ("acme/b", "move", True, False),
        ("acme/c", "move", False, False),
    }

    door.settle(project)
    if door is UP:
        assert project.recorded() == {"acme/a": x, "acme/c": y}
        door.settle(project)

    assert project.recorded() == {"acme/b": x, "acme/c": y}
    assert project.writes() == []
    assert statuses(project) == {"acme/b": "Linked", "acme/c": "Linked"}
    assert plan(project) == {}


@pytest.mark.slow
def test_a_swap_of_platforms_is_refused_by_all(project: Project, acme: str) -> None:
    """Each name would go on with the other's connection; the way that the message names loses nothing."""
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: fztf}"))
    project.settle()
    link(project)
    before = project.recorded()
    project.declare(connections(acme, "a: {platformKey: fztf}", "b: {platformKey: suuo}"))
    (first, second) = problems(project)
    assert "acme/a: it and acme/b would swap what is recorded for them" in first
    assert "acme/b: it and acme/a would swap what is recorded for them" in second
    outcome = project.preview()
    assert outcome.code != 0
    assert first in outcome.shown
    for door in (UP, APPLY):
        assert door.apply(project).code != 0
    assert project.writes() == []
    assert project.recorded() == before

    project.declare(connections(acme, "a-2: {platformKey: fztf}", "b: {platformKey: suuo}"))
    APPLY.settle(project)
    project.declare(connections(acme, "a: {platformKey: fztf}", "b: {platformKey: suuo}"))
    APPLY.settle(project)
    assert project.writes() == []
    assert project.recorded() == {"acme/a": before["acme/b"], "acme/b": before["acme/a"]}


# Losses, before the first.


@pytest.mark.slow
def test_a_limit_in_the_config_is_refused_with_the_variable_to_set(project: Project, acme: str) -> None:
    """It would outlive its run in the copy that `destroy` uses; as the message says, it works."""
    project.declare(connections(acme, *(f"a{n}: {{platformKey: suuo}}" for n in range(3))))
    project.settle()
    link(project)
    project.pulumi("config", "set", "codat:maxLosses", "0")
    refusal = "codat:maxLosses is not read from the stack's config"
    assert refusal in project.preview().shown
    assert refusal in project.codat_iac("plan").err
    assert refusal in project.codat_iac("apply", "--yes").err

    destroyed = project.destroy()
    assert destroyed.code != 0
    assert "set CODAT_MAX_LOSSES=3 for this run" in destroyed.shown
    assert project.writes() == []
    assert len(project.recorded()) == 3
    assert project.destroy(env={"CODAT_MAX_LOSSES": "3"}).code == 0
    assert project.writes() == ["PATCH 200"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--skip-preview",), ("--continue-on-error",)], ids=" ".join)
@pytest.mark.parametrize("what", ["unlink", "replace", "remove"])
def test_of_too_many_losses_not_one_is_made(
    project: Project, acme: str, what: str, arguments: tuple[str, ...]
) -> None:
    """Whether they are unlinked, replaced or removed; and what would only be forgotten stays recorded."""
    lines = [f"a{n:02}: {{platformKey: suuo}}" for n in range(12)]
    gone = "gone: {platformKey: fztf, status: Unlinked}"
    project.declare(connections(acme, *lines, "gone: {platformKey: fztf}"))
    project.settle()
    link(project)
    project.declare(connections(acme, *lines, gone))
    project.settle(env={"CODAT_MAX_LOSSES": "1"})
    before = project.recorded()
    changed = {
        "unlink": [line.replace("suuo", "suuo, status: Unlinked") for line in lines],
        "replace": [line.replace("suuo", "yzth") for line in lines],
        "remove": ["b: {platformKey: yzth}"],
    }
    project.declare(connections(acme, *changed[what]))

    outcome = project.up(*arguments)

    assert outcome.code != 0
    assert "would end 12 authorisations of 13 recorded connections" in outcome.shown
    assert project.writes() == []
    assert project.recorded() == before
    assert project.codat_iac("apply", "--yes").code == 4
    assert project.writes() == []


@pytest.mark.slow
def test_a_run_that_declares_nothing_asks_whether_it_is_the_right_file(project: Project, acme: str) -> None:
    """One Linked connection is enough; what would only be forgotten stays, too; then it works as it says."""
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: fztf}"))
    project.settle()
    link(project)
    project.emulator.unlink(project.recorded()["acme/b"])
    project.emulator.clear_requests()
    before = project.recorded()
    project.declare("companies: {}\n")
    refusal = "nothing is declared: is it the right file, and the right stack? It would end 1 authorisation"
    for outcome in (project.preview(), project.up(), project.destroy()):
        assert outcome.code != 0
        assert refusal in outcome.shown
        assert project.recorded() == before
    refused = project.codat_iac("apply", "--yes")
    assert refused.code == 4
    assert refusal in refused.err
    assert project.writes() == []

    assert project.up(env={"CODAT_MAX_LOSSES": "1"}).code == 0
    assert project.writes() == ["PATCH 200"]
    assert project.recorded() == {}


@pytest.mark.slow
def test_a_preview_warns_of_each_loss_and_in_sum(project: Project, acme: str) -> None:
    """A removal, a replacement and an unlink: each on its own resource."""
    lines = ("a: {platformKey: suuo}", "b: {platformKey: fztf}", "c: {platformKey: gbol}")
    project.declare(connections(acme, *lines))
    project.settle()
    link(project)
    project.declare(connections(acme, "b: {platformKey: yzth}", "c: {platformKey: gbol, status: Unlinked}"))

    outcome = project.preview()

    assert outcome.code == 0, outcome.shown
    diagnostics = outcome.shown.partition("Diagnostics:")[2]
    for address in ("acme/a", "acme/b", "acme/c"):
        block = diagnostics.partition(f"({address}):")[2]
        assert f"warning: {address}: its customer authorised it, and would have to do so again" in block
    summed = (
        "this run ends 3 authorisations, whose customers would have to authorise again: acme/a, acme/b,"
        " acme/c"
    )
    assert f"warning: {summed}" in diagnostics
    assert project.codat_iac("plan", "-o", "json").json["losses"] == 3


# What the record costs, and what it says.


@pytest.mark.slow
def test_siblings_cost_the_state_no_square(project: Project, acme: str) -> None:
    """Each resource is as large beside 60 siblings as beside none."""
    project.declare(connections(acme, "a: {platformKey: suuo}"))
    project.settle()
    (alone,) = project.resources()
    project.declare(
        connections(acme, "a: {platformKey: suuo}", *(f"b{n}: {{platformKey: suuo}}" for n in range(60)))
    )
    project.settle("--skip-preview")

    sizes = [len(json.dumps({k: each[k] for k in ("inputs", "outputs")})) for each in project.resources()]

    assert max(sizes) <= len(json.dumps({k: alone[k] for k in ("inputs", "outputs")})) + 20


@pytest.mark.slow
def test_what_two_adopt_in_one_run_is_said_of_each_on_its_own(project: Project, acme: str) -> None:
    """A free connection that waits is taken by one address, and the warning stands on that one."""
    first = project.emulator.connect(acme, "suuo", "PendingAuth")
    second = project.emulator.connect(acme, "suuo", "PendingAuth")
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}"))

    outcome = project.up("--skip-preview")

    diagnostics = outcome.shown.partition("Diagnostics:")[2]
    for address, made in (("acme/a", first), ("acme/b", second)):
        block = diagnostics.partition(f"({address}):")[2].partition("\n\n")[0]
        assert (
            f"warning: {address}: adopts the connection {made['id']} (PendingAuth); nothing changes in Codat"
            in block
        )
    assert project.recorded() == {"acme/a": first["id"], "acme/b": second["id"]}


@pytest.mark.slow
def test_an_unknown_status_waits_for_nobody(project: Project, acme: str) -> None:
    """Plan and the stack's output agree: what Codat means by it isn't known."""
    made = project.emulator.connect(acme, "suuo", "Migrating")
    project.declare(connections(acme, f"a: {{platformKey: suuo, connectionId: {made['id']}}}"))
    project.settle()

    outputs = json.loads(project.pulumi("stack", "output", "--json").shown)

    assert outputs == {"connections": {"Migrating": 1}, "waiting": []}
    assert project.codat_iac("plan", "-o", "json").json["waiting"] == []


# Upgrades.


@pytest.mark.slow
def test_a_stack_of_the_version_before_previews_empty(project: Project, acme: str) -> None:
    """It recorded no ids among the outputs, and lists of siblings among the inputs."""
    project.declare(connections(acme, "a: {platformKey: suuo}", "b: {platformKey: suuo}"))
    project.settle()
    link(project)
    before = project.recorded()
    state = project.state()
    for resource in state["deployment"]["resources"]:
        if resource["type"] == RESOURCE_TYPE:
            for bag in (resource["inputs"], resource["outputs"]):
                bag.pop("connectionId", None)
                bag["siblings"] = ["acme/a", "acme/b"]
    (project.folder / "state.json").write_text(json.dumps(state))
    assert project.pulumi("stack", "import", "--file", "state.json").code == 0

    assert previewed(project) == {}
    assert project.preview("--expect-no-changes").code == 0
    assert plan(project) == {}
    project.declare(connections(acme, "a: {platformKey: suuo}", "c: {platformKey: suuo}"))
    up(project)
    assert project.writes() == []
    assert project.recorded() == {"acme/a": before["acme/a"], "acme/c": before["acme/b"]}


# What fresh eyes found.


def test_what_stays_for_a_run_is_left_alone(project: Project, acme: str) -> None:
    """It is recorded Unlinked, its customer authorised again, and another name wants it Linked."""
    project.declare(connections(acme, "a: {platformKey: gbol}", "b: {platformKey: suuo}"))
    project.settle()
    link(project)
    before = project.recorded()
    project.declare(connections(acme, "a: {platformKey: gbol, status: Unlinked}", "b: {platformKey: suuo}"))
    project.settle()
    project.emulator.authorise(before["acme/a"])
    project.declare(connections(acme, "b: {platformKey: gbol}", "c: {platformKey: suuo}"))

    assert previewed(project) == {"acme/c": "update"}
    for _ in range(2):
        up(project)
        assert project.writes() == []

    assert project.recorded() == {"acme/b": before["acme/a"], "acme/c": before["acme/b"]}
    assert statuses(project) == {"acme/b": "Linked", "acme/c": "Linked"}


@pytest.mark.slow
def test_a_rename_into_a_component_by_its_name_alone(project: Project, acme: str, recorded_a: str) -> None:
    """The engine looks for the alias below the new parent; the record says where it is."""
    alias = ', opts=pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(name="acme/a")])'
    project.program(COMPONENT.format(body=own("acme/b", acme, alias)))

    up(project)

    assert project.writes() == []
    assert project.recorded() == {"acme/b": recorded_a}


def test_a_program_of_ones_own_is_warned_of_what_it_ends(
    project: Project, acme: str, recorded_a: str
) -> None:
    """What it no longer declares, on its own resource and in sum."""
    project.program(OWN + own("acme/b", acme).replace("suuo", "fztf"))

    diagnostics = project.preview().shown.partition("Diagnostics:")[2]

    assert "warning: acme/a: its customer authorised it" in diagnostics.partition("(acme/a):")[2]
    assert (
        "this run ends 1 authorisation, whose customer would have to authorise again: acme/a" in diagnostics
    )
    assert project.recorded() == {"acme/a": recorded_a}


def test_what_a_preview_doesnt_know_may_be_a_replacement(
    project: Project, acme: str, recorded_a: str
) -> None:
    """A company that only comes of what is made in this run: the preview shows the most that may happen."""
    new = f'x = Connection("acme/x", company_id="{acme}", platform_key="fztf")\n'
    company = f'x.created.apply(lambda _: "{acme}")'
    rest = f'Connection("acme/a", company_id={company}, platform_key="suuo")\n'
    project.program(OWN + new + rest)

    assert previewed(project)["acme/a"] == "replace"
    up(project)

    assert project.writes() == ["POST 200"]
    assert project.recorded()["acme/a"] == recorded_a
    assert statuses(project)["acme/a"] == "Linked"


def test_the_stock_program_is_alone_in_its_stack(project: Project, acme: str) -> None:
    """It takes for gone what the file doesn't say."""
    project.declare(connections(acme, "a: {platformKey: gbol}"))
    mine = own("acme/own", acme)
    for program in (PROGRAM + OWN + mine, OWN + mine + PROGRAM):
        project.program(program)
        outcome = project.preview()
        assert outcome.code != 0
        assert "the stock program (`codat_iac.program.main`) declares all connections" in outcome.shown
        assert "Traceback" not in outcome.shown


@pytest.mark.slow
def test_a_changed_setting_beside_a_loss_is_no_dead_end(project: Project, acme: str) -> None:
    """The process that ends it has read nothing, and its program has counted everything."""
    project.declare(connections(acme, "a: {platformKey: gbol}", "b: {platformKey: suuo}"))
    project.settle()
    link(project)
    project.pulumi(*SETTING)
    project.declare(connections(acme, "a: {platformKey: gbol, status: Unlinked}"))

    assert previewed(project) == {"acme/a": "update", "acme/b": "delete"}
    up(project)

    assert project.writes() == ["PATCH 200"] * 2
    assert plan(project) == {}


def test_an_apply_refuses_to_take_away_what_another_one_needs(project: Project, acme: str) -> None:
    """The engine wouldn't let it, half-way."""
    program = f'a = Connection("acme/a", company_id="{acme}", platform_key="gbol")\n' + own(
        "acme/b", acme, ", opts=pulumi.ResourceOptions(depends_on=[a])"
    )
    project.program(OWN + program)
    project.settle()
    project.program(PROGRAM)
    for lines in (("b: {platformKey: suuo}",), ("a: {platformKey: fztf}", "b: {platformKey: suuo}")):
        project.declare(connections(acme, *lines))
        ran = project.codat_iac("apply", "--yes")
        assert ran.code == 1
        assert "was declared to depend on" in ran.said[-1]
    assert project.writes() == []
    project.settle()
    assert plan(project) == {}


@pytest.mark.slow
@both_doors
def test_an_old_half_goes_on_at_another_address_that_names_it(
    project: Project, acme: str, door: Door
) -> None:
    """A replacement broke off, and the file wants the old one after all, by its id."""
    project.declare(connections(acme, "a: {platformKey: gbol}"))
    project.settle()
    link(project)
    old = project.recorded()["acme/a"]
    on = "PATCH /companies/*/connections/*"
    project.emulator.faults([{"on": on, "do": "status", "status": 403, "times": 99}])
    project.declare(connections(acme, "a: {platformKey: suuo}"))
    assert UP.apply(project).code != 0
    project.emulator.faults([])
    project.declare(
        connections(acme, "a: {platformKey: suuo}", f"b: {{platformKey: gbol, connectionId: {old}}}")
    )

    door.settle(project)

    assert project.writes() == []
    assert project.recorded()["acme/b"] == old
    assert statuses(project)["acme/b"] == "Linked"
