"""Every command that needs no engine: with hostile streams, a chatty desired state, and `-` for a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from codat_iac.cli import COMMANDS, render
from codat_iac.emulator import Emulator, serving
from codat_iac.planning.plan import Plan
from tests.support.project import connections
from tests.support.samples import NOW
from tests.support.streams import (
    AT_WORK,
    HOSTILE,
    WITH_ENGINE,
    WITHOUT_ENGINE,
    Ended,
    Streams,
    run_with,
)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Tenant:
    """An emulated tenant, and a folder with a desired state of it."""

    emulator: Emulator
    folder: Path
    text: bytes

    def run(self, streams: Streams | str, *arguments: str, stdin: bytes = b"") -> Ended:
        """Run `codat-iac` in the folder, with these streams."""
        env = {"CODAT_API_KEY": self.emulator.api_key, "CODAT_BASE_URL": self.emulator.url}
        return run_with(streams, *arguments, env=env, cwd=self.folder, stdin=stdin)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant that all tests read."""
    folder = tmp_path_factory.mktemp("tenant")
    with serving() as emulator:
        company_id = str(emulator.add_company("Acme")["id"])
        text = "version: 1\n" + connections(company_id, "shop: {platformKey: fztf}")
        (folder / "connections.yaml").write_text(text)
        (folder / "plan.json").write_text(render.plan(Plan(), "json", NOW))
        yield Tenant(emulator, folder, text.encode())


@pytest.mark.parametrize("streams", HOSTILE, ids=str)
@pytest.mark.parametrize("command", WITHOUT_ENGINE, ids=" ".join)
def test_a_command_does_what_it_can(tenant: Tenant, command: tuple[str, ...], streams: Streams) -> None:
    """A result that is lost is an error of one line; what a reader does, or stderr, is none."""
    ran = tenant.run(streams, *command)

    assert ran.code == (1 if streams.lost else 0)
    assert bool(ran.out) != (streams.lost or streams.unread)
    assert ran.err.count("\n") == len(ran.about_streams) == (1 if streams.lost and not streams.deaf else 0)


def test_every_command_meets_hostile_streams() -> None:
    """Here, or in the tests of the same name for what needs an engine."""
    assert {command for command, *_ in (*WITHOUT_ENGINE, *WITH_ENGINE, *AT_WORK)} == {*COMMANDS, "--version"}


@pytest.mark.parametrize("streams", HOSTILE, ids=str)
@pytest.mark.parametrize(
    ("command", "line"),
    [
        pytest.param(
            ("plan", "--stateless"), "codat-iac: --stateless reads no config; give the PATH", id="plan"
        ),
        pytest.param(("plan", "--nonsense"), "codat-iac: No such option '--nonsense'", id="usage"),
    ],
)
def test_an_error_keeps_its_code(
    tenant: Tenant, command: tuple[str, ...], line: str, streams: Streams
) -> None:
    """It has nothing to do with stdout, and is told if there is anybody to tell."""
    ran = tenant.run(streams, *command)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(line) == (not streams.deaf)


@pytest.mark.parametrize("streams", HOSTILE, ids=str)
def test_problems_that_can_not_be_written_are_told_all_the_same(tenant: Tenant, streams: Streams) -> None:
    """One line about the stream, if it is lost, and one about each problem."""
    ran = tenant.run(streams, "plan", "--stateless", "nowhere.yaml", "-o", "json")

    assert ran.code == 1
    assert bool(ran.out) != (streams.lost or streams.unread)
    if not streams.deaf:
        assert len(ran.about_streams) == streams.lost
        assert ran.err.splitlines()[-1].startswith("codat-iac: nowhere.yaml: does not exist")
        assert ran.err.count("\n") == 1 + streams.lost


@pytest.mark.parametrize("streams", [">&-", ">/dev/full", ">&GONE", "<&- >&- 2>&-"])
def test_an_emulator_serves_whoever_listens(streams: str) -> None:
    """Also if nobody reads its URL: it has been told the port."""
    with serving() as probe:
        port = probe.url.rpartition(":")[2]
    source = f"""
import os, signal, threading, time, urllib.request
from codat_iac.__main__ import main

def stop():
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:{port}/_emulator/faults").close()
            break
        except OSError:
            time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=stop, daemon=True).start()
main()
"""
    ran = run_with(streams, "emulator", "--port", port, program=("-c", source))

    assert (ran.code, ran.out) == (0, "")
    assert ran.err.count("\n") == len(ran.about_streams) == (streams in {">&-", ">/dev/full"})


CHATTY = """
import atexit, os, subprocess, sys, threading, time, _helper

def say(who):
    print(who)
    subprocess.run(["echo", f"{who}'s child"])
    os.write(1, f"{who}'s descriptor\\n".encode())

class Late(threading.Thread):
    def run(self):
        threading.main_thread().join()
        say("thread")

say("import")
atexit.register(say, "exit")
Late().start()

def desired():
    say("desired")
    return {"version": 1, "companies": {}}
"""


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "chatty.py", "-o", "json"),
        ("validate", "chatty.py", "--online", "-o", "json"),
        ("plan", "--stateless", "chatty.py", "-o", "json"),
        ("plan", "--stateless", "chatty.py", "-o", "json", "--out", "-"),
        ("plan", "--stateless", "chatty.py", "-o", "json", "--out", "/dev/stdout"),
    ],
    ids=" ".join,
)
def test_what_a_desired_state_prints_is_not_in_the_document(tenant: Tenant, command: tuple[str, ...]) -> None:
    """Nor what its modules, children, threads and exit handlers print, before and after it."""
    (tenant.folder / "_helper.py").write_text("print('helper')\n")
    (tenant.folder / "chatty.py").write_text(CHATTY)

    ran = tenant.run("", *command)

    assert ran.code == 0
    assert ran.out.startswith("{")
    assert isinstance(json.loads(ran.out), dict)
    said = {
        f"{who}{what}"
        for who in ("import", "desired", "thread", "exit")
        for what in ("", "'s child", "'s descriptor")
    }
    assert set(ran.err.splitlines()) == said | {"helper"}


# `-`.


@pytest.mark.parametrize(
    "command", [("validate", "-"), ("validate", "-", "--online"), ("plan", "--stateless", "-")], ids=" ".join
)
def test_a_dash_is_stdin(tenant: Tenant, command: tuple[str, ...]) -> None:
    """It is YAML, as a file of no particular name; --online reads it once. Messages call it <stdin>."""
    good = tenant.run("", *command, stdin=tenant.text)
    assert (good.code, good.err) == (0, "")
    assert command[0] == "plan" or good.out.startswith("<stdin>: 1 connection of 1 company")

    bad = tenant.run("", *command, stdin=b"version: 1\ncompanies: 7\n")
    assert bad.code == 1
    assert "<stdin>, line 2, column 12: " in bad.out + bad.err
    closed = tenant.run("<&-", *command)
    assert (closed.code, closed.out) == (1, "")
    assert closed.err == "codat-iac: <stdin>: can't be read (it is closed); pipe a file into it\n"


def test_a_file_may_be_called_dash(tenant: Tenant, tmp_path: Path) -> None:
    """It is named by its folder, as everywhere."""
    (tmp_path / "-").write_bytes(tenant.text)

    for name in ("./-", str(tmp_path / "-")):
        assert run_with("", "validate", name, cwd=tmp_path).code == 0
    assert run_with("", "validate", "./-", "--out", "./-", cwd=tmp_path).err == "written to -\n"
    assert "1 connection of" in (tmp_path / "-").read_text()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_out_may_be_stdout(tenant: Tenant, name: str) -> None:
    """As if it weren't given; nothing is said about it."""
    ran = tenant.run("", "validate", "connections.yaml", "--out", name)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("connections.yaml: 1 connection of")
    assert sorted(file.name for file in tenant.folder.iterdir() if file.name == "-") == []


@pytest.mark.parametrize(
    ("out", "reason", "early"),
    [
        ("", ". can't be written (it is a folder)", True),
        (".", ". can't be written (it is a folder)", True),
        ("nowhere/plan", "nowhere/plan can't be written (/", True),
        ("connections.yaml/plan", "connections.yaml/plan can't be written (/", True),
        ("loop", "loop can't be written (Too many levels of symbolic links)", False),
        ("/dev/full", "/dev/full can't be written (No space left on device)", False),
    ],
)
def test_an_out_that_can_not_be_written_is_one_line(
    tenant: Tenant, out: str, reason: str, early: bool
) -> None:
    """It is told before anything is done, if it is known by then."""
    if out == "loop":
        (tenant.folder / out).symlink_to(out)
    tenant.emulator.clear_requests()
    ran = tenant.run("", "plan", "--stateless", "connections.yaml", "--out", out)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"codat-iac: {reason}")
    assert ran.err.endswith("; choose another --out\n")
    assert ran.err.count("\n") == 1
    assert (tenant.emulator.requests(last=0)["total"] == 0) == early


def test_a_disk_that_is_full_leaves_the_old_result(tenant: Tenant) -> None:
    """Whole, as it was, with a line that says so."""
    file = tenant.folder / "old.json"
    file.write_text("old")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))"
    start = f"{limit}\nfrom codat_iac.__main__ import main\nmain()"
    arguments = ("validate", "connections.yaml", "-o", "json", "--out", "old.json")
    ran = run_with("", *arguments, program=("-c", start), cwd=tenant.folder)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "codat-iac: old.json can't be written (File too large); choose another --out\n"
    assert file.read_text() == "old"
