"""`codat-iac plan` for a program of the user's own: what it says is what `pulumi preview` shows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator
from codat_iac.model.connection import RESOURCE_TYPE
from tests.support.builders import connected
from tests.support.project import Project, connections

pytestmark = pytest.mark.engine

PREAMBLE = """\
import pulumi
from pulumi import Output, ResourceOptions

from codat_iac import Connection

ACME, BOLT = {acme!r}, {bolt!r}


class Customer(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("shop:index:Customer", name, opts=opts)
        connection(f"{{name}}/ledger", "gbol", BOLT, opts=ResourceOptions(parent=self))


def connection(address, key, company=ACME, *, opts=None, **rest):
    return Connection(address, company_id=company, platform_key=key, opts=opts, **rest)


"""

BEFORE = """\
connection("acme/ledger", "gbol")
connection("acme/old", "fztf")
connection("acme/over", "suuo")
connection("acme/kept", "qhyg", opts=ResourceOptions(retain_on_delete=True))
connection("acme/policy", "hcws", opts=ResourceOptions(ignore_changes=["onRemoval"]))
connection("acme/safe", "rwuv", opts=ResourceOptions(protect=True))
connection("acme/trigger", "yzth", opts=ResourceOptions(replacement_trigger="a"))
connection("acme/moves", "mqjo", opts=ResourceOptions(depends_on=[connection("bolt/ledger", "gbol", BOLT)]))
"""

AFTER = """\
connection("acme/ledger", "gbol", Output.secret(ACME), status="Unlinked")
connection("acme/shop", "fztf", opts=ResourceOptions(aliases=[pulumi.Alias(name="acme/old")]))
# acme/over and acme/kept are gone.
connection("acme/policy", "hcws", on_removal="delete", opts=ResourceOptions(ignore_changes=["onRemoval"]))
connection("acme/safe", "rwuv", on_removal="delete", opts=ResourceOptions(protect=True))
connection("acme/trigger", "yzth", opts=ResourceOptions(replacement_trigger="b"))
connection("acme/moves", "mqjo", BOLT)
Customer("bolt", opts=ResourceOptions(protect=True))
new = connection("bolt/new", "suuo", BOLT)
connection("bolt/free", "fztf", BOLT)
"""

UNKNOWN = """\
connection("bolt/later", "gbol", new.connection_id)
"""
"""What is declared with an Output of something new: no preview knows it."""

STEPS = {"create": "create", "adopt": "create", "move": "update", "update": "update", "unlink": "update"} | {
    "replace": "replace",
    "remove": "delete",
}
"""What the engine makes of a plan's steps."""


@dataclass
class Tried:
    """A project with a program of the user's own, and its two companies."""

    project: Project
    acme: str
    bolt: str

    def declare(self, *parts: str) -> None:
        """Write the program."""
        self.project.program(PREAMBLE.format(acme=self.acme, bolt=self.bolt) + "".join(parts))

    def previewed(self) -> set[tuple[str, str]]:
        """Return what `pulumi preview` shows, by address."""
        shown = self.project.preview("--json").shown
        steps = json.JSONDecoder().raw_decode(shown[shown.index("{") :])[0]["steps"]
        return {
            (step["urn"].rpartition("::")[2], step["op"])
            for step in steps
            if RESOURCE_TYPE in step["urn"] and step["op"] in STEPS.values()
        }


@pytest.fixture
def tried(project: Project, emulator: Emulator, acme: str) -> Tried:
    """A stack that knows no desired state, with eight connections that their customers authorised."""
    file: Path = project.folder / "Pulumi.yaml"
    file.write_text(file.read_text().partition("config:")[0])
    made = Tried(project, acme, str(emulator.add_company("Bolt")["id"]))
    made.declare(BEFORE)
    project.settle("--skip-preview")
    for connection_id in project.recorded().values():
        emulator.authorise(connection_id)
    return made


def test_plan_and_preview_agree_on_a_program(tried: Tried, emulator: Emulator) -> None:
    """With components, aliases, protection, secrets, ignored changes, what is retained, and what moved."""
    project = tried.project
    connected(emulator, tried.bolt, "fztf", "PendingAuth")
    tried.declare(AFTER)
    emulator.clear_requests()

    plan = project.codat_iac("plan", "--output", "json").json

    assert emulator.requests()["total"] < 10, "the program's own preview doesn't read Codat"
    changes = {each["address"]: each for each in plan["changes"]}
    # That another parent is no step of the engine's is all that a plan says besides.
    assert changes.pop("bolt/ledger")["step"] == "move"
    assert {(address, STEPS[each["step"]]) for address, each in changes.items()} == tried.previewed()
    assert plan["problems"] == []
    assert {address: (each["step"], each["removal"], each["loses"]) for address, each in changes.items()} == {
        "acme/ledger": ("unlink", None, True),
        "acme/shop": ("move", None, False),
        "acme/over": ("remove", "unlink", True),
        "acme/kept": ("remove", "forget", False),
        "acme/safe": ("update", None, False),
        "acme/trigger": ("replace", "unlink", True),
        "acme/moves": ("replace", "unlink", True),
        "bolt/new": ("create", None, False),
        "bolt/free": ("adopt", None, False),
    }
    assert (plan["losses"], plan["stack"]) == (4, "dev")

    refused = project.codat_iac("apply", "--yes")
    assert (refused.code, project.writes()) == (1, [])
    assert "a program of your own declares it, and `pulumi up` brings that about" in refused.err

    project.settle("--skip-preview")
    again = project.codat_iac("plan", "--output", "json", "--detailed-exitcode")
    assert (again.code, again.json["changes"], again.json["problems"]) == (3, [], [])


def test_what_cant_be_planned_is_said(tried: Tried, emulator: Emulator) -> None:
    """What no preview knows, what the program refuses, what is protected; drift and links need no program."""
    project = tried.project
    tried.declare(BEFORE, 'new = connection("bolt/new", "suuo", BOLT)\n', UNKNOWN)
    unknown = project.codat_iac("plan", "--output", "json")
    assert unknown.code == 1
    assert [each["step"] for each in unknown.json["changes"]] == ["create"]
    (problem,) = unknown.json["problems"]
    assert problem["text"].startswith("bolt/later: companyId is known only while `pulumi up` runs, so what")

    tried.declare(
        BEFORE.replace('"acme/safe", "rwuv"', '"acme/safe", "suuo"').replace('"acme/over"', '"acme/x"')
    )
    renamed = project.codat_iac("plan")
    assert renamed.code == 1
    assert "acme/x is new, and acme/over of the same company and platform is recorded" in renamed.err
    assert "Traceback" not in renamed.err

    tried.declare(BEFORE.replace('"acme/safe", "rwuv"', '"acme/safe", "jnqq"'))
    (protected,) = project.codat_iac("plan", "--output", "json").json["problems"]
    assert protected["text"].startswith(
        "acme/safe: it is protected, so Pulumi neither removes nor replaces it"
    )

    coverage = project.codat_iac("plan", "--coverage")
    assert (coverage.code, coverage.out) == (1, "")
    assert "--coverage compares with a desired state, which this stack has none of" in coverage.err

    tried.declare("1 / 0\n")
    broken = project.codat_iac("plan")
    assert (broken.code, broken.out, broken.err.count("\n")) == (1, "", 1)
    assert broken.err.endswith(
        "Program failed with an unhandled exception: ZeroDivisionError: division by zero\n"
    )

    gone = project.recorded()["acme/ledger"]
    emulator.revoke(gone)
    (drifted,) = project.codat_iac("drift", "--output", "json").json["drifted"]
    assert (drifted["address"], drifted["was"], drifted["now"]) == (
        "acme/ledger",
        "PendingAuth",
        "Deauthorized",
    )
    (link,) = project.codat_iac("links", "--output", "json").json["links"]
    assert link["address"] == "acme/ledger"


@pytest.mark.slow
def test_a_file_is_applied_once_the_stack_names_it(project: Project, acme: str) -> None:
    """Before, it would take away what the program declares; the way that the refusal names leads there."""
    file = project.folder / "Pulumi.yaml"
    file.write_text(file.read_text().partition("config:")[0])
    project.program(PREAMBLE.format(acme=acme, bolt=acme) + 'connection("acme/ledger", "gbol")\n')
    project.settle("--skip-preview")
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))

    refused = project.codat_iac("apply", "--yes", "connections.yaml")
    assert (refused.code, refused.out, project.writes()) == (1, "", [])
    (said,) = refused.said
    remedy = re.findall("`(pulumi config set .*?)`", said)
    assert remedy == ["pulumi config set codat:desired connections.yaml"]

    assert project.pulumi(*remedy[0].split()[1:]).code == 0
    assert "Plan: 1 to create." in project.codat_iac("plan").out
    applied = project.codat_iac("apply", "--yes")
    assert (applied.code, project.writes()) == (0, ["POST 200"])
    assert sorted(project.recorded()) == ["acme/ledger", "acme/shop"]
