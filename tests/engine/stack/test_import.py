"""Imports into a real stack: what is found is managed afterwards, and nothing else has happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from codat_iac.codat.client import Client
from codat_iac.desired import load
from codat_iac.emulator import Emulator
from codat_iac.model.errors import ConfigError
from codat_iac.model.record import recorded
from codat_iac.reconcile.planner import Planner
from codat_iac.stack.importing import discovery
from codat_iac.stack.importing.discovery import Filters
from codat_iac.stack.importing.draft import Draft
from codat_iac.stack.importing.importer import ImportFailed, export, import_into
from codat_iac.stack.stack import Stack
from tests.support.builders import connected
from tests.support.project import Project, connections
from tests.support.waiting import until

pytestmark = pytest.mark.engine

UP_TO_DATE = "--expect-no-changes"


class Importer:
    """Imports into the stack of a project, as the command line does."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.stack = Stack.open(project.folder)
        self.settings = self.stack.settings()
        self.client = Client(self.settings.api_key, self.settings.base_url)

    def run(self, tell: Callable[[str], None] = lambda _: None, **rest: Any) -> Draft:
        """Import everything; *tell* hears each step before it is done."""
        found = discovery.find(self.client, rest.pop("filters", Filters()))
        return import_into(
            self.stack, self.client, self.settings, found, self.stack.desired_path(), tell=tell, **rest
        )

    def export(self) -> str:
        """Write everything as a desired state, with what the stack knows."""
        found = discovery.find(self.client, Filters())
        declared = load(self.stack.desired_path(), required=False)
        return export(found, declared, self.stack.export())[0]

    def changes(self) -> list[str]:
        """What a plan of the project would do."""
        planner = Planner(self.client, self.settings, recorded(self.stack.export()))
        plan = planner.plan(load(self.stack.desired_path(), required=False))
        changes = [f"{change.action} {change.address}" for change in plan.changes]
        return changes + [problem.text for problem in plan.problems]


@pytest.fixture
def importer(project: Project, monkeypatch: pytest.MonkeyPatch) -> Importer:
    """Imports into a stack that is empty yet."""
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    return Importer(project)


def resources(project: Project) -> list[dict[str, Any]]:
    """All that the state holds, Pulumi's own things too."""
    exported = json.loads(project.pulumi("stack", "export").shown)
    return list(exported["deployment"].get("resources") or [])


def at_step(step: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Do something right before a step."""

    def tell(told: str) -> None:
        if told.startswith(step):
            act()

    return tell


def files(project: Project) -> set[str]:
    """What lies in the project's folder."""
    return {file.name for file in project.folder.iterdir()}


def written(project: Project) -> str:
    """The desired state as it stands."""
    return (project.folder / "connections.yaml").read_text("utf-8")


def applied_elsewhere(project: Project, text: str) -> None:
    """Let somebody bring *text* about from a folder of their own: the file here stays as it is."""
    here = written(project)
    project.declare(text)
    assert project.up().code == 0
    (project.folder / "connections.yaml").write_text(here)


@pytest.mark.slow
def test_a_mixed_tenant_is_managed_after_an_import(importer: Importer, emulator: Emulator) -> None:
    """Whatever is in it: the preview is empty, Codat was only read, and again there is nothing to do."""
    project = importer.project
    names = ["Acme & Sons", "Acme & Sons", "", "🍕", "x" * 200, "no", "# %TAG: {"]
    companies = [str(emulator.add_company(name or " ")["id"]) for name in names]
    statuses = ["PendingAuth", "Linked", "Deauthorized", "Unlinked", "Something new"]
    for company in companies[:2]:
        for status in statuses:
            connected(emulator, company, "suuo", status)
    for company in companies:
        connected(emulator, company, "gbol")

    before = files(project)

    done = importer.run()

    assert files(project) - before == {"connections.yaml"}
    assert len(done.arrivals) == len(project.recorded()) == 17
    assert done.skipped == ()
    assert set(project.recorded().values()) == {each.live.id for each in done.arrivals}
    assert "connectionId" not in written(project)
    assert importer.changes() == []
    preview = project.preview(UP_TO_DATE)
    assert preview.code == 0, preview.shown
    assert "18 unchanged" in preview.shown

    state, text = resources(project), written(project)
    again = importer.run(confirm=lambda draft: None if draft.arrivals == () else pytest.fail("again?"))
    assert {each.held for each in again.skipped} == {True}
    assert (resources(project), written(project)) == (state, text)

    (project.folder / "connections.yaml").write_text(importer.export(), "utf-8")
    assert importer.changes() == []
    assert project.preview(UP_TO_DATE).code == 0
    assert project.writes() == []


@pytest.mark.slow
def test_an_import_fits_around_what_is_there(importer: Importer, acme: str, emulator: Emulator) -> None:
    """An id that another address holds stays there, names are kept, and what is declared comes in there."""
    project = importer.project
    folder = project.folder / "desired"
    folder.mkdir()
    project.pulumi("config", "set", "codat:desired", "desired")
    mine = [connections(acme, "ledger: {platformKey: gbol}", "xero-2: {platformKey: qhyg}")]
    (folder / "mine.yaml").write_text(f"version: 1\n{mine[0]}")
    project.settle()
    ids = project.recorded()
    kept = resources(project)
    more = [connected(emulator, acme, "gbol"), connected(emulator, acme, "gbol", "PendingAuth")]
    pinned = connected(emulator, acme, "suuo", "Unlinked")
    mine.append(f"bank: {{platformKey: suuo, connectionId: {pinned}, onRemoval: retain, status: Unlinked}}")
    (folder / "mine.yaml").write_text("version: 1\n" + "      ".join(mine))

    done = importer.run()

    assert sorted((each.address, each.held) for each in done.skipped) == [
        ("acme/ledger", True),
        ("acme/xero-2", True),
    ]
    new = {"acme/bank": pinned, "acme/xero": more[0], "acme/xero-3": more[1]}
    assert project.recorded() == ids | new
    assert [each for each in resources(project) if each["urn"].split("::")[-1] not in new] == kept
    assert (
        (folder / "imported.yaml")
        .read_text()
        .endswith(
            f"  acme: # Acme\n    id: {acme}\n    connections:\n"
            "      xero: { platformKey: gbol }\n      xero-3: { platformKey: gbol }\n"
        )
    )
    assert project.preview(UP_TO_DATE).code == 0
    assert project.writes() == []


PEOPLES = """\
# yaml-language-server: $schema=connections.schema.json\r
version: 1\r
defaults: {onRemoval: retain, protect: true} # for all\r
\r
companies:\r
    acme: # our first\r
        id: "ACME"\r
        connections:\r
            ledger: &xero {platformKey:   gbol} #\tmine\r
\r
            # bank: paused\r
\r
# The end.\r"""
"""A file as people write it on Windows, with an anchor, and without an end of its last line."""


def test_a_file_of_people_is_added_to_only_when_told_to(
    importer: Importer, acme: str, emulator: Emulator
) -> None:
    """All that stood there still does, its link and mode too; what comes follows the defaults."""
    project = importer.project
    file, real = project.folder / "connections.yaml", project.folder / "of people.yaml"
    text = PEOPLES.replace("ACME", acme).encode()
    real.write_bytes(text)
    real.chmod(0o640)
    file.symlink_to(real.name)
    project.settle()
    bolt = str(emulator.add_company("Bölt")["id"])
    new = {"acme/plaid": connected(emulator, acme, "suuo"), "bolt/xero": connected(emulator, bolt)}

    with pytest.raises(ConfigError, match=r"connections\.yaml exists already; --overwrite adds to it"):
        importer.run()
    assert real.read_bytes() == text
    importer.run(overwrite=True)

    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    comes = f"""\
            plaid: {{ platformKey: suuo }}
    bolt: # Bölt
        id: {bolt}
        connections:
            xero: {{ platformKey: gbol }}
""".replace("\n", "\r\n").encode()
    before, after = text.split(b"\r\n# The end.")
    assert real.read_bytes() == before + comes + b"\r\n# The end." + after
    assert new.items() <= project.recorded().items()
    assert [each["protect"] for each in project.resources()] == [True, True, True]
    assert importer.changes() == []
    assert project.preview(UP_TO_DATE).code == 0
    assert project.writes() == []


@pytest.mark.slow
def test_changes_that_waited_before_are_no_reason_to_fail(
    importer: Importer, acme: str, emulator: Emulator
) -> None:
    """What the user has yet to apply, and what drifted, is as it was; the import adds nothing to it."""
    project = importer.project
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    project.settle()
    emulator.delete_connection(project.recorded()["acme/ledger"])
    project.declare(connections(acme, "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"))
    bank = connected(emulator, acme, "suuo")
    changes = importer.changes()

    importer.run(overwrite=True)

    assert changes == importer.changes() == ["replace acme/ledger", "create acme/shop"]
    assert project.recorded()["acme/plaid"] == bank


def test_an_import_that_is_not_confirmed_does_nothing(
    importer: Importer, acme: str, emulator: Emulator
) -> None:
    """What `confirm` raises ends it."""
    connected(emulator, acme)

    def no(draft: Draft) -> None:
        assert [each.address for each in draft.arrivals] == ["acme/xero"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        importer.run(confirm=no)

    assert not (importer.project.folder / "connections.yaml").exists()
    assert resources(importer.project) == []


# When it fails.


def a_tenant(emulator: Emulator, count: int = 4) -> dict[str, str]:
    """The connection ids of some companies, by the addresses that they will get."""
    found = {}
    for number in range(count):
        company = str(emulator.add_company(f"Company {number}")["id"])
        found[f"company-{number}/xero"] = connected(emulator, company)
    return found


@pytest.mark.slow
def test_a_plan_that_is_not_empty_undoes_the_import(importer: Importer, emulator: Emulator) -> None:
    """One that somebody deleted meanwhile would be made again: all is as it was, and the reason is said."""
    tenant = a_tenant(emulator)
    gone = tenant["company-1/xero"]
    before = files(importer.project)

    with pytest.raises(
        ImportFailed, match="nothing was imported: the plan afterwards would not be empty: company-1"
    ):
        importer.run(at_step("proving", lambda: emulator.delete_connection(gone)))

    assert resources(importer.project) == []
    assert files(importer.project) == before
    assert importer.project.writes() == []
    assert len(importer.run().arrivals) == 3
    assert importer.changes() == []


@pytest.mark.slow
def test_an_import_that_fails_half_way_is_undone(importer: Importer, acme: str, emulator: Emulator) -> None:
    """Pulumi records what it can; what somebody else recorded meanwhile stays, at whatever address."""
    project = importer.project
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    project.settle()
    tenant = a_tenant(emulator)
    mine = written(project)

    def somebody_else() -> None:
        # Another run declares one of the addresses first, and gets a connection of its own.
        other = emulator.add_company("Other")["id"]
        other_text = connections(str(other), "xero: {platformKey: suuo}").replace("acme", "company-2")
        applied_elsewhere(
            project, connections(acme, "ledger: {platformKey: gbol}") + other_text.partition("\n")[2]
        )

    with pytest.raises(ImportFailed, match=r"`pulumi import --yes` failed: .*company-2/xero' already exists"):
        importer.run(at_step("importing", somebody_else), overwrite=True)

    assert set(project.recorded()) == {"acme/ledger", "company-2/xero"}
    assert project.recorded()["company-2/xero"] != tenant["company-2/xero"]
    assert written(project) == mine


def test_an_id_that_somebody_else_recorded_meanwhile_is_given_back(
    importer: Importer, acme: str, emulator: Emulator
) -> None:
    """Pulumi takes one id at two addresses; this must not."""
    project = importer.project
    ledger = connected(emulator, acme)

    def somebody_else() -> None:
        applied_elsewhere(project, connections(acme, f"mine: {{platformKey: gbol, connectionId: {ledger}}}"))

    with pytest.raises(
        ImportFailed, match=f"connection {ledger} is recorded as acme/mine, acme/xero and not as"
    ):
        importer.run(at_step("importing", somebody_else))

    assert project.recorded() == {"acme/mine": ledger}


@pytest.mark.parametrize("locked", [False, True])
def test_what_another_import_recorded_meanwhile_stays(
    importer: Importer, acme: str, emulator: Emulator, *, locked: bool
) -> None:
    """A colleague imports the same from another clone, and this one is interrupted, or finds the lock."""
    project = importer.project
    ledger = connected(emulator, acme)

    def a_colleague() -> None:
        applied_elsewhere(project, connections(acme, f"xero: {{platformKey: gbol, connectionId: {ledger}}}"))
        if locked:
            project.lock(1, "laptop")

    def at(step: str) -> None:
        if step.startswith("importing"):
            a_colleague()
        elif step.startswith("proving"):
            raise KeyboardInterrupt

    with pytest.raises(ImportFailed if locked else KeyboardInterrupt):
        importer.run(at)

    assert project.recorded() == {"acme/xero": ledger}
    assert not (project.folder / "connections.yaml").exists()


def test_an_interrupted_import_is_undone(importer: Importer, acme: str, emulator: Emulator) -> None:
    """Ctrl-C reaches Pulumi once, which leaves no lock; then all is as it was."""
    a_tenant(emulator, 40)
    file = importer.project.folder / "connections.yaml"
    text = PEOPLES.replace("ACME", acme).encode()
    file.write_bytes(text)
    before = files(importer.project)

    def interrupt_it_as_it_reads() -> None:
        until(emulator.counts, "Pulumi reads")
        os.kill(os.getpid(), signal.SIGINT)

    def interrupt() -> None:
        emulator.clear_requests()
        threading.Thread(target=interrupt_it_as_it_reads).start()

    with pytest.raises(KeyboardInterrupt):
        importer.run(at_step("importing", interrupt), overwrite=True)

    assert resources(importer.project) == []
    assert files(importer.project) == before
    assert file.read_bytes() == text
    assert len(importer.run(overwrite=True).arrivals) == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "said", "recorded"),
    [
        ("writing", r"nothing was imported: .*\.yaml was changed meanwhile, and is left as it is", 0),
        ("proving", r"all is imported, but .*\.yaml was changed meanwhile, and is left as it is", 1),
    ],
)
def test_what_is_saved_meanwhile_is_not_written_over(
    importer: Importer, acme: str, emulator: Emulator, step: str, said: str, recorded: int
) -> None:
    """By an editor that was open all the time."""
    project = importer.project
    project.declare("companies: {} # none\n")
    connected(emulator, acme)
    file = project.folder / "connections.yaml"

    with pytest.raises(ImportFailed, match=said):
        importer.run(at_step(step, lambda: file.write_text(f"{file.read_text()}# saved\n")), overwrite=True)

    assert written(project).endswith("# saved\n")
    assert len(project.recorded()) == recorded
    assert written(project).count("connectionId") == recorded
    assert importer.changes() == []


@pytest.mark.slow
def test_what_is_saved_before_it_is_undone_is_told(importer: Importer, emulator: Emulator) -> None:
    """The file then declares by their ids what the state no longer holds; an import completes it."""
    project = importer.project
    project.declare("companies: {} # none\n")
    tenant = a_tenant(emulator)

    def save() -> None:
        emulator.delete_connection(tenant["company-1/xero"])
        (project.folder / "connections.yaml").write_text(written(project) + "# saved\n")

    with pytest.raises(ImportFailed, match=r"and the file can't be put back \(.*was changed meanwhile"):
        importer.run(at_step("proving", save), overwrite=True)

    assert resources(project) == []
    assert written(project).endswith("# saved\n")
    assert len(importer.run().arrivals) == 3


def test_a_file_that_nothing_can_be_added_to_is_left_alone(
    importer: Importer, acme: str, emulator: Emulator
) -> None:
    """One line says where and what to do, and the state is as it was."""
    connected(emulator, acme)
    importer.project.declare(f"x-a: &a {{id: {acme}, connections: {{}}}}\ncompanies: {{acme: *a}}\n")
    text = written(importer.project)

    with pytest.raises(ImportFailed, match=r"nothing was imported: .*line 3, column 19: acme is an alias"):
        importer.run(overwrite=True)

    assert written(importer.project) == text
    assert resources(importer.project) == []


@pytest.mark.slow
def test_an_undoing_that_fails_says_how_to_go_on(
    importer: Importer, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays as long as the state may hold what it declares."""
    project = importer.project
    a_tenant(emulator)
    backend = project.environment["PULUMI_BACKEND_URL"]

    with pytest.raises(
        ImportFailed, match=r"and the state can't be put back .*same import again, completes it"
    ):
        importer.run(at_step("proving", lambda: monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///nowhere")))

    monkeypatch.setenv("PULUMI_BACKEND_URL", backend)
    assert len(project.recorded()) == written(project).count("connectionId") == 4
    assert importer.run().arrivals == ()
    assert project.preview(UP_TO_DATE).code == 0


KILLED = """\
import os, signal, sys
from pathlib import Path
from codat_iac.codat.client import Client
from codat_iac.stack.importing import discovery, importer
from codat_iac.stack.stack import Stack

stack = Stack.open(Path.cwd())
settings = stack.settings()
client = Client(settings.api_key, settings.base_url)
found = discovery.find(client, discovery.Filters())

def tell(step):
    if step.startswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

importer.import_into(stack, client, settings, found, stack.desired_path(), overwrite=True, tell=tell)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "recorded_by_then", "completed_by"),
    [("writing", 0, "import"), ("importing", 0, "import"), ("importing", 0, "up"), ("proving", 3, "import")],
)
def test_an_import_that_is_killed_is_completed_by_the_next(
    importer: Importer, acme: str, emulator: Emulator, step: str, recorded_by_then: int, completed_by: str
) -> None:
    """Before and after each step; several connections to one platform are never mistaken for each other."""
    project = importer.project
    project.declare("companies: {} # none yet\n")
    ids = {connected(emulator, acme, "suuo", status) for status in ("Linked", "PendingAuth", "Unlinked")}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, step], cwd=project.folder, env=os.environ, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(project.recorded()) == recorded_by_then

    if completed_by == "import":
        importer.run(overwrite=True)
    else:
        assert project.up().code == 0

    assert set(project.recorded().values()) == ids
    assert "companies: # none yet\n" in written(project)
    assert project.preview(UP_TO_DATE).code == 0
    assert importer.changes() == []
    assert project.writes() == []


@pytest.mark.slow
def test_an_import_uses_the_key_of_today(
    importer: Importer, acme: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state holds a copy of the config, in which there was no key yet; `pulumi import` believes it."""
    project = importer.project
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    project.settle()
    a_tenant(emulator, 2)
    project.pulumi("config", "set", "--secret", "codat:apiKey", emulator.api_key)
    monkeypatch.delenv("CODAT_API_KEY")

    assert len(importer.run(overwrite=True).arrivals) == 2

    assert emulator.api_key not in project.everything_written()
