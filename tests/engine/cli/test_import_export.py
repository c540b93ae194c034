"""`codat-iac import` and `codat-iac export`."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.cli.connection_filters import tell_skipped
from codat_iac.emulator import Emulator
from codat_iac.model.connection import LiveConnection
from codat_iac.stack.importing.draft import Skipped
from tests.support.project import Project, connections

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def codat(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulated Codat, named by the environment."""
    monkeypatch.setenv("CODAT_API_KEY", emulator.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", emulator.url)
    return emulator


def test_which_connections_has_to_be_said(codat: Emulator, capsys: Shown) -> None:
    """Neither nothing nor a filter together with --all is an answer."""
    assert codat.counts() == {}
    for arguments in (
        ["export"],
        ["export", "--all", "--company", "Acme"],
        ["import"],
        ["import", "--new", "--all", "--tag", "a=b"],
    ):
        assert run([*arguments, *(["--stateless"] if arguments[0] == "export" else [])]) == 1
        assert "say which connections" in capsys.readouterr().err


def test_a_stateless_export_is_what_a_stateless_plan_finds_empty(
    codat: Emulator, tmp_path: Path, capfd: Shown
) -> None:
    """The file says what there is, and stdout holds nothing else."""
    acme = str(codat.add_company("Acme")["id"])
    for key in ("gbol", "suuo", "suuo"):
        codat.connect(acme, key, "Linked")
    file = tmp_path / "exported.yaml"

    assert run(["export", "--all", "--stateless"]) == 0
    shown = capfd.readouterr()
    assert shown.out.startswith("# Written by `codat-iac export`")
    assert shown.err == ""
    assert run(["export", "--all", "--stateless", "--out", str(file)]) == 0
    assert run(["plan", str(file), "--stateless", "--detailed-exitcode"]) == 0
    assert "plaid-2: { platformKey: suuo, connectionId: " in file.read_text()


def test_an_export_replaces_nothing_unless_told_to(codat: Emulator, tmp_path: Path, capsys: Shown) -> None:
    """Somebody's file would be gone; an empty one, such as `mktemp` makes, is nobody's."""
    codat.connect(str(codat.add_company("Acme")["id"]), "gbol", "Linked")
    file = tmp_path / "connections.yaml"
    export = ["export", "--all", "--stateless", "--out", str(file)]
    file.touch()

    assert run(export) == 0
    file.write_text("mine")
    capsys.readouterr()
    assert run(export) == 1
    said = capsys.readouterr().err
    assert f"{file} exists already; choose another --out, or replace all of it: --overwrite" in said
    assert file.read_text() == "mine"
    assert run([*export, "--overwrite"]) == 0
    assert "acme:" in file.read_text()


def test_filters_narrow_each_other_down(codat: Emulator, capfd: Shown) -> None:
    """Platform and status both have to fit."""
    acme = str(codat.add_company("Acme")["id"])
    codat.connect(acme, "gbol", "Linked")
    codat.connect(acme, "suuo", "Linked")
    codat.connect(acme, "suuo", "PendingAuth")

    run(["export", "--stateless", "--company", "acme", "--platform", "suuo", "--status", "Linked"])

    assert capfd.readouterr().out.count("platformKey") == 1


def test_what_is_left_alone_is_told(capsys: Shown) -> None:
    """With the reason, unless the state simply has it; twenty are named, the rest is a number."""
    live = LiveConnection("an-id", "a-company", "Linked")

    tell_skipped([Skipped(live, "is odd")] * 25 + [Skipped(live, "", held=True)] * 2)

    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "2 connections are left alone: in the state already",
        "left alone: an-id: is odd",
    ]
    assert (len(lines), lines[-1]) == (22, "and 5 more")


@pytest.mark.slow
@pytest.mark.engine
def test_an_import_asks_and_then_proves_itself(project: Project, acme: str) -> None:
    """Without a person to ask it stops; with --yes the preview after it is empty."""
    (project.folder / "connections.yaml").unlink(missing_ok=True)
    for key in ("gbol", "suuo"):
        project.emulator.connect(acme, key, "Linked")

    refused = project.codat_iac("import", "--all")
    assert refused.code == 1
    assert "pass --yes" in refused.err
    done = project.codat_iac("import", "--all", "--yes")
    assert (done.code, done.out) == (0, "Imported 2 connections; the plan is empty.\n")
    again = project.codat_iac("import", "--all", "--yes", "--overwrite")
    assert "2 connections are left alone: in the state already" in again.err
    assert "Nothing to import." in again.err
    assert project.preview("--expect-no-changes").code == 0
    file = project.folder / "connections.yaml"
    file.write_text(file.read_text().replace("acme:", "first:"))
    exported = project.codat_iac("export", "--company", "first")
    assert "first: # Acme" in exported.out
    assert project.writes() == []
    project.declare(connections(acme, "xero: {platformKey: gbol}"))


@pytest.mark.engine
def test_what_is_new_comes_in_once(project: Project, acme: str) -> None:
    """In CI too, with --yes; a second run asks nothing, and writes neither a file nor the state."""
    emulator = project.emulator
    folder = project.folder / "desired"
    folder.mkdir()
    project.pulumi("config", "set", "codat:desired", "desired")
    mine = f"version: 1\nunmanaged: error\ncompanies:\n  first: {{id: {acme}, connections: {{}}}} # ours\n"
    (folder / "mine.yaml").write_text(mine)
    emulator.connect(acme, "gbol", "Linked")
    emulator.connect(str(emulator.add_company("Bolt")["id"]), "suuo", "PendingAuth")
    assert project.codat_iac("plan").code == project.codat_iac("coverage").code == 1

    refused = project.codat_iac("import", "--new")
    assert (refused.code, refused.said) == (1, ["nobody can be asked here; pass --yes if you mean it"])
    assert [file.name for file in folder.iterdir()] == ["mine.yaml"]
    done = project.codat_iac("import", "--new", "--yes")
    assert (done.code, done.out) == (0, "Imported 2 connections; the plan is empty.\n")

    assert sorted(project.recorded()) == ["bolt/plaid", "first/xero"]
    assert (folder / "mine.yaml").read_text() == mine.replace("{}", "{ xero: { platformKey: gbol } }")
    written = {
        file: file.read_bytes() for file in (*folder.iterdir(), *(project.folder / "state").rglob("*.json"))
    }
    again = project.codat_iac("import", "--new")
    assert (again.code, again.out, again.err) == (0, "", "Nothing to import.\n")
    files = (*folder.iterdir(), *(project.folder / "state").rglob("*.json"))
    assert {file: file.read_bytes() for file in files} == written
    assert project.codat_iac("coverage", "--fail-under", "100").code == 0
    assert project.codat_iac("plan", "--detailed-exitcode").code == 3
    recorded = project.recorded()
    appeared = emulator.connect(acme, "fztf", "Linked")
    alone = ("import", "--new", "--files-only", "--yes")
    assert project.codat_iac(*alone).out == "Written: 1; an apply takes up what is written.\n"
    assert f"connectionId: {appeared['id']}" in (folder / "mine.yaml").read_text()
    nothing = project.codat_iac(*alone)
    assert (nothing.out, nothing.err) == ("Nothing is new.\n", "Nothing to import.\n")
    assert project.recorded() == recorded
    assert project.writes() == []


def test_what_is_hidden_is_told_as_a_number(capsys: Shown) -> None:
    """And not by name."""
    live = LiveConnection("an-id", "a-company", "Linked")

    tell_skipped([Skipped(live, "is hidden", counted="hidden by `unmanaged: ignore`")] * 3)

    hidden = "3 connections are left alone: hidden by `unmanaged: ignore`\n"
    assert capsys.readouterr().err == hidden
