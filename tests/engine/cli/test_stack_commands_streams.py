"""The commands that need an engine: hostile streams, a chatty desired state, and files that hold links."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.emulator import Emulator, serving
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import Project, connections
from tests.support.streams import CLOSED, FULL, LEFT, WITH_ENGINE, Ended, Streams, run_with

pytestmark = pytest.mark.engine

LEDGER = "ledger: {platformKey: gbol}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with one connection, recorded and waiting for its customer, which no test changes."""
    with serving() as emulator:
        made = Project(tmp_path_factory.mktemp("shared") / "project", emulator)
        company_id = str(emulator.add_company("Acme")["id"])
        connection_id = connected(emulator, company_id, "gbol", "PendingAuth")
        made.declare(connections(company_id, LEDGER))
        made.record([a_prior(connection_id, a_desired(company_id=company_id), "PendingAuth")])
        yield made


def ran_with(streams: Streams | str, project: Project, *arguments: str) -> Ended:
    """Run `codat-iac` in the project's folder, with these streams."""
    ran = run_with(streams, *arguments, env=project.environment, cwd=project.folder)
    project.said.append((("codat-iac", *arguments), ran.out, ran.err))
    return ran


@pytest.mark.slow
@pytest.mark.parametrize("streams", [FULL, LEFT], ids=str)
@pytest.mark.parametrize("command", WITH_ENGINE, ids=" ".join)
def test_a_command_that_reads_does_what_it_can(
    shared: Project, command: tuple[str, ...], streams: Streams
) -> None:
    """A result that is lost is an error of one line; what a reader does, or stderr, is none."""
    ran = ran_with(streams, shared, *command)

    assert (ran.code, ran.out) == (1 if streams.lost else 0, "")
    assert ran.err.count("\n") == len(ran.about_streams) == (streams.lost and not streams.deaf)


@pytest.mark.slow
@pytest.mark.parametrize("streams", [FULL, LEFT, CLOSED], ids=str)
def test_an_apply_that_is_done_is_done(project: Project, acme: str, streams: Streams) -> None:
    """Whatever becomes of its streams: the exit code says so, and at most one line tells of a stream."""
    project.declare(connections(acme, LEDGER))

    ran = ran_with(streams, project, "apply", "--yes")

    assert ran.code == 0
    assert set(project.recorded()) == {"acme/ledger"}
    assert len(ran.about_streams) == (streams.lost and not streams.deaf)
    assert streams.deaf or "done: create acme/ledger\n" in ran.err
    assert bool(ran.out) != (streams.lost or streams.unread)


@pytest.mark.slow
@pytest.mark.parametrize("streams", [FULL, CLOSED], ids=str)
def test_an_import_that_is_done_is_done(
    project: Project, acme: str, emulator: Emulator, streams: Streams
) -> None:
    """As an apply."""
    connected(emulator, acme)

    ran = ran_with(streams, project, "import", "--all", "--yes")

    assert ran.code == 0, ran.err
    assert len(project.recorded()) == 1
    assert len(ran.about_streams) == (not streams.deaf)


def test_a_reshard_that_is_done_is_done(project: Project) -> None:
    """Its result is lost, and that is said."""
    project.pulumi("config", "set", "codat:shard", "1/1")

    ran = ran_with(FULL, project, "reshard", "dev", "--yes")

    assert ran.code == 0, ran.err
    assert len(ran.about_streams) == ran.err.count("\n") == 1


def test_an_engine_that_is_there_is_there(project: Project) -> None:
    """Its path is lost, and that is said."""
    ran = ran_with(">/dev/full", project, "engine", "install")

    assert ran.code == 0
    assert len(ran.about_streams) == ran.err.count("\n") == 1


def test_nobody_is_asked_on_a_closed_stdin(project: Project, acme: str) -> None:
    """It is one line that says what to do, and nothing is done."""
    project.declare(connections(acme, LEDGER))

    ran = ran_with("<&-", project, "apply")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("codat-iac: nobody can be asked here; pass --yes if you mean it\n")
    assert project.writes() == []


@pytest.mark.slow
def test_an_apply_knows_before_it_begins_where_its_result_goes(project: Project, acme: str) -> None:
    """What it can't know by then is a line after the work, and no error."""
    project.declare(connections(acme, LEDGER))

    refused = project.codat_iac("apply", "--yes", "--out", "nowhere/result")
    assert (refused.code, refused.out, project.writes()) == (1, "", [])
    assert refused.said[0].startswith("nowhere/result can't be written (")

    done = project.codat_iac("apply", "--yes", "--out", "/dev/full")
    assert (done.code, done.out) == (0, "")
    assert done.said == ["/dev/full can't be written (No space left on device); choose another --out"]
    assert set(project.recorded()) == {"acme/ledger"}


@pytest.mark.slow
def test_a_plan_may_come_on_stdin(project: Project, acme: str) -> None:
    """`plan -o json | apply --plan -`; a desired state too."""
    project.declare(connections(acme, LEDGER))
    plan = project.codat_iac("plan", "-o", "json").out.encode()
    desired = (project.folder / "connections.yaml").read_bytes()
    world = {"env": project.environment, "cwd": project.folder}

    asked = run_with("", "apply", "-", stdin=desired, **world)  # type: ignore[arg-type]
    assert (asked.code, project.writes()) == (1, [])
    assert asked.err.endswith("nobody can be asked here; pass --yes if you mean it\n")
    edited = run_with("", "apply", "--yes", "--plan", "-", stdin=b"{}", **world)  # type: ignore[arg-type]
    assert (edited.code, edited.out) == (1, "")
    assert edited.err.startswith("codat-iac: <stdin>: is no plan")
    applied = run_with("", "apply", "--yes", "--plan", "-", stdin=plan, **world)  # type: ignore[arg-type]
    assert applied.code == 0, applied.err
    assert set(project.recorded()) == {"acme/ledger"}
    same = run_with("", "plan", "-", "-o", "json", stdin=desired, **world)  # type: ignore[arg-type]
    assert json.loads(same.out)["changes"] == []


CHATTY = """
import atexit, os, subprocess

def say(who):
    print(who)
    subprocess.run(["echo", f"{who}'s child"])
    os.write(1, f"{who}'s descriptor\\n".encode())

say("import")
atexit.register(say, "exit")

def desired():
    say("desired")
    return {"version": 1, "companies": {"acme": {"id": "COMPANY", "connections": {
        "ledger": {"platformKey": "gbol"}}}}}
"""

SAID = {f"{who}{what}" for who in ("import", "desired", "exit") for what in ("", "'s child", "'s descriptor")}


@pytest.mark.slow
def test_what_a_desired_state_prints_is_shown_by_the_engine(project: Project, acme: str) -> None:
    """Its children's too; `codat-iac` keeps it out of each document."""
    (project.folder / "chatty.py").write_text(CHATTY.replace("COMPANY", acme))
    project.pulumi("config", "set", "codat:desired", "chatty.py")

    assert set(project.preview().lines) >= SAID
    for command in (("plan", "-o", "json"), ("apply", "--yes", "-o", "json"), ("export", "--all")):
        ran = project.codat_iac(*command)
        assert ran.code == 0, ran.err
        assert set(ran.err.splitlines()) >= SAID
        assert SAID.isdisjoint(ran.out.splitlines())
        assert command[0] == "export" or isinstance(ran.json, dict)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["text", "csv", "json", "html"])
def test_a_file_with_links_is_its_owners_alone(shared: Project, tmp_path: Path, output: str) -> None:
    """Whatever its format, what it was before, and what the umask says; a link to it stays one."""
    old, new = shared.folder / f"old-{output}", shared.folder / f"new-{output}"
    old.touch()
    old.chmod(0o644)
    (tmp_path / "link").symlink_to(old)
    umask = os.umask(0)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(shared.folder)
            for name, value in shared.environment.items():
                patch.setenv(name, value)
            for out in (tmp_path / "link", new):
                assert run(["links", "-o", output, "--out", str(out)]) == 0
    finally:
        os.umask(umask)
    for file in (old, new):
        assert "otp=" in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.unlink()
    assert (tmp_path / "link").is_symlink()
