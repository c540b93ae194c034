"""`codat-iac init` on the real engine: the whole of it, broken off anywhere, and asked by a person."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.emulator import Emulator
from codat_iac.stack import engine
from codat_iac.stack.new_project import files as new_project
from codat_iac.stack.stack import PASSPHRASE
from tests.support.builders import connected
from tests.support.project import Project, leaked
from tests.support.streams import FULL, run_with
from tests.support.terminal import Terminal

pytestmark = pytest.mark.engine

IN_SYNC = "No changes."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    made = tmp_path / "clients"
    made.mkdir()
    return made


@pytest.fixture
def environment(emulator: Emulator, acme: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a user has set, in this process too; the tenant has two connections."""
    connected(emulator, acme, "gbol")
    connected(emulator, acme, "fztf", "PendingAuth")
    variables = {
        "CODAT_API_KEY": emulator.api_key,
        "CODAT_BASE_URL": emulator.url,
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
    }
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def files(folder: Path) -> dict[str, str]:
    """Return the text of the files that git would take."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".venv", ".pulumi-state"} & set(path.relative_to(folder).parts)
    }


def has_nothing_to_do(folder: Path) -> bool:
    """Return whether `pulumi preview` agrees, started as a user would."""
    previewed = subprocess.run(
        ["pulumi", "preview", "--expect-no-changes", "--non-interactive"],
        cwd=folder,
        env=engine.environment(os.environ),
        capture_output=True,
        check=False,
    )
    return previewed.returncode == 0


def test_an_empty_folder_becomes_a_project_with_nothing_to_do(
    folder: Path, environment: Mapping[str, str], emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one command, and again without a change; nothing is changed in Codat, and the key is in no file."""
    arguments = ["init", "--yes", "--local", "--cwd", str(folder), "--ci", "github", "--key-in-config"]
    assert run(arguments) == 0
    first = capfd.readouterr()
    before = files(folder)

    assert IN_SYNC in first.out
    assert "imported: 2\n" in first.err
    assert "set for each run, also in CI: CODAT_BASE_URL, PULUMI_CONFIG_PASSPHRASE\n" in first.err
    assert "acme:" in before["connections.yaml"]
    assert "connectionId" not in before["connections.yaml"]
    assert "codat:apiKey:\n    secure: " in before["Pulumi.dev.yaml"]
    assert [leak for text in before.values() for leak in leaked(text, emulator.api_key)] == []
    assert {request["method"] for request in emulator.requests()["requests"]} == {"GET"}
    assert has_nothing_to_do(folder)

    assert run([*arguments[:-1], "--no-import", "--key-in-config"]) == 0
    again = capfd.readouterr()
    assert IN_SYNC in again.out
    assert "there already, and left as it is: .gitignore, requirements.txt, connections.yaml" in again.err
    assert "written" not in again.err
    lost = run_with(FULL, *arguments[:-1], "--no-import")
    assert (lost.code, len(lost.about_streams)) == (0, 1), lost.err
    assert files(folder) == before
    assert environment["CODAT_API_KEY"] not in first.out + first.err + again.out + again.err


@pytest.mark.usefixtures("environment")
def test_a_stack_that_outlived_its_folder_is_refused(
    tmp_path: Path,
    folder: Path,
    emulator: Emulator,
    acme: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Else the file would declare only what is new, and an apply would unlink the rest; its remedy works."""
    backend = tmp_path / "states"
    backend.mkdir()
    init = ["init", "--yes", "--backend", f"file://{backend}", "--cwd", str(folder)]
    assert run(init) == 0
    shutil.rmtree(folder)
    folder.mkdir()
    connected(emulator, acme, "rwuv")
    capfd.readouterr()

    assert run(init) == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert "connections.yaml doesn't declare 2 connections of stack dev (acme/" in said
    assert files(folder)["connections.yaml"].count("connections:") == 0

    remedy = shlex.split(said.rpartition(": codat-iac ")[2])
    assert remedy[0] == "export"
    assert run(remedy) == 0
    assert run(["apply", "--yes", "--cwd", str(folder)]) == 0
    assert run(init) == 0
    assert "No changes." in capfd.readouterr().out
    assert has_nothing_to_do(folder)
    assert {request["method"] for request in emulator.requests()["requests"]} == {"GET"}

    (folder / "connections.yaml").write_text("version: 1\ncompanies: {} # all gone\n")
    assert run(init) == 1  # what a person wrote isn't overwritten
    assert capfd.readouterr().err.endswith(f"or write them down: codat-iac export --all --cwd {folder}\n")


@pytest.mark.slow
def test_what_is_wrong_stops_it_before_the_stack(
    folder: Path, environment: Mapping[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """A virtualenv without codat-iac, or another passphrase: one line each, and what to do."""
    assert environment
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    arguments = ["init", "--yes", "--local", "--cwd", str(folder), "--company", "Acme"]
    assert run(arguments) == 1
    told = capfd.readouterr().err.splitlines()[-1]
    assert "can't run the project's program: ModuleNotFoundError" in told
    assert f"{folder}/.venv/bin/python -m pip install codat-iac" in told
    assert not (folder / "Pulumi.dev.yaml").exists()

    subprocess.run(["rm", "-r", folder / ".venv"], check=True)
    assert run(arguments) == 0
    assert "imported: 2\n" in capfd.readouterr().err
    os.environ[PASSPHRASE] = "another"
    assert run(arguments) == 1
    assert (
        capfd.readouterr()
        .err.splitlines()[-1]
        .endswith("set it to the one that its secrets were encrypted with")
    )


KILLED = """
import os, signal, sys
event, what, times = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))

def hook(name, arguments):
    global times
    if name == event and what in str(arguments[:2]):
        times -= 1
        if not times:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
from codat_iac.__main__ import main
main()
"""
"""Runs `codat-iac` until just before it does something for the n-th time, and is killed there."""

MOMENTS = (
    ("os.rename", "/Pulumi.yaml", 1),
    ("subprocess.Popen", "'select'", 1),
    ("subprocess.Popen", "'import'", 1),
    ("os.rename", "/connections.yaml", 3),
)
"""The last two: the file has the ids, and the state hasn't; the state has them, and the file still has."""


def test_killed_anywhere_it_goes_on_and_ends_in_the_same(
    folder: Path, environment: Mapping[str, str], acme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each time it comes further, and what came before it stays."""
    assert environment
    arguments = ("init", "--yes", "--local", "--name", "clients")
    for event, what, times in MOMENTS:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, event, what, str(times), *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, (event, what, killed.stderr)
    assert "connectionId" in (folder / "connections.yaml").read_text()

    assert run([*arguments, "--cwd", str(folder)]) == 0

    ours = files(folder)
    assert ours.pop("Pulumi.dev.yaml").startswith("encryptionsalt: ")
    expected = new_project.files(new_project.Choices("clients", "dev", new_project.LOCAL_BACKEND))
    company = f"  acme: # Acme\n    id: {acme}\n    connections:\n"
    both = "      shopify: { platformKey: fztf }\n      xero: { platformKey: gbol }\n"
    expected["connections.yaml"] = expected["connections.yaml"].replace(" {}\n", f"\n{company}{both}")
    assert ours == expected
    assert IN_SYNC in capfd.readouterr().out


@pytest.mark.slow
def test_a_person_is_asked(project: Project, folder: Path, acme: str, emulator: Emulator) -> None:
    """From the key to the import; the key is never shown."""
    connected(emulator, acme)
    nothing = {"CODAT_API_KEY": "", "PULUMI_BACKEND_URL": ""}
    terminal = Terminal(project, "init", "--cwd", str(folder), env=nothing)
    for question, answer in {
        "it isn't shown): ": f"{emulator.api_key}\n",
        "The project's name [clients]: ": "\n",
        "to try it out [here]: ": "\n",
        "The stack's name [dev]: ": "\n",
        "for each run [y/N]: ": "\n",
        "(github, gitlab, none) [none]: ": "\n",
        "name or id [all]: ": "Acme\n",
    }.items():
        terminal.wait_for(question)
        terminal.type(answer)
    code = terminal.end()

    assert (code, terminal.shown.count(IN_SYNC)) == (0, 1), terminal.shown
    assert emulator.api_key not in terminal.shown
    assert "imported: 1\n" in terminal.shown
