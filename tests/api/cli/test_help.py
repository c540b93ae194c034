"""The help of every command, how fast it comes, and what the shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from codat_iac import __version__
from codat_iac.cli import COMMANDS, command, run

WIDTH = 80

SLOW = (
    "pulumi",
    "grpc",
    "requests",
    "urllib3",
    "yaml",
    "jsonschema",
    "jinja2",
    "rich",
    "deepdiff",
    "aiohttp",
)
"""What takes long to import, and what no help needs."""


def help_of(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """What `--help` shows on a terminal of 80 columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(WIDTH))
        code = run([*words, "--help"])
    out, err = capfd.readouterr()
    assert (code, err) == (0, "")
    return out


def every_command() -> list[tuple[str, ...]]:
    """The words of each command, those of a group in it too."""
    context = click.Context(command)
    found: list[tuple[str, ...]] = [()]
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        found.append((name,))
        if isinstance(inner, click.Group):
            found += [(name, part) for part in inner.list_commands(context)]
    return found


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_the_help_fits_80_columns(capfd: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """It says in a sentence what the command does, explains each option, and cuts nothing off."""
    shown = help_of(capfd, *words)

    lines = shown.splitlines()
    assert lines[0].startswith(" ".join(["Usage: codat-iac", *words]))
    assert lines[2].strip()
    assert max(map(len, lines)) <= WIDTH
    assert "..." not in shown.replace("[ARGS]...", "")
    context = click.Context(command)
    inner: click.Command | None = command
    for word in words:
        assert isinstance(inner, click.Group)
        inner = inner.get_command(context, word)
    assert inner is not None
    for parameter in inner.params:
        assert isinstance(parameter, click.Argument) or (parameter.name and parameter.help), parameter


def test_the_list_of_commands_says_what_each_is_for(capfd: pytest.CaptureFixture[str]) -> None:
    """In one line each, in the order of use."""
    shown = help_of(capfd).splitlines()

    first = shown.index("Commands:") + 1
    assert [line.split()[0] for line in shown[first:]] == list(COMMANDS)


def test_help_and_version_have_short_ways(capfd: pytest.CaptureFixture[str]) -> None:
    """`-h` is `--help`; the version is the package's."""
    assert run(["-h"]) == 0
    assert capfd.readouterr().out == help_of(capfd)
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"codat-iac, version {__version__}\n"


def test_who_names_no_command_is_shown_all(capfd: pytest.CaptureFixture[str]) -> None:
    """And who names one that isn't there, where they are listed. Both are an error."""
    help_ = help_of(capfd)

    assert run([]) == 1
    assert capfd.readouterr() == ("", help_)
    assert run(["nope"]) == 1
    assert capfd.readouterr() == ("", "codat-iac: No such command 'nope'; see `codat-iac --help`\n")


def test_debug_may_stand_anywhere(capfd: pytest.CaptureFixture[str]) -> None:
    """Before the command or after it."""
    for arguments in (["--debug", "plan", "--help"], ["plan", "--debug", "--help"]):
        assert run(arguments) == 0
        assert capfd.readouterr().out.startswith("Usage: codat-iac plan")


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("plan", "--help"), ("apply", "--help")])
def test_what_is_slow_to_import_waits_until_it_is_needed(arguments: tuple[str, ...]) -> None:
    """The help of the program imports none of it; that of a command no pulumi, YAML or colours."""
    source = (
        "import sys, json; from codat_iac.cli import run; run(sys.argv[1:]);"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=True
    )

    client = {"requests", "urllib3"} if len(arguments) > 1 else set()
    assert set(json.loads(ran.stderr)) & set(SLOW) <= client


def completed(line: str, shell: str = "bash") -> list[str]:
    """What *shell* is told after *line* and a press of Tab."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_CODAT_IAC_COMPLETE": f"{shell}_complete",
    }
    ran = subprocess.run(
        [Path(sys.executable).parent / "codat-iac"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    return [item.partition(",")[2] for item in ran.stdout.splitlines()]


def test_the_shell_completes() -> None:
    """Commands, options, and the values of options."""
    assert completed("codat-iac ") == list(COMMANDS)
    assert completed("codat-iac e") == ["export", "emulator", "engine"]
    assert completed("codat-iac engine ") == ["install", "path"]
    assert completed("codat-iac plan --o") == ["--output", "--out"]
    assert completed("codat-iac links -o ") == ["text", "csv", "json", "html"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_teaches_the_shell(shell: str) -> None:
    """It is printed by the installed program, and calls it by its name."""
    ran = subprocess.run(
        [Path(sys.executable).parent / "codat-iac"],
        env={**os.environ, "_CODAT_IAC_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "codat-iac" in ran.stdout
    assert f"_CODAT_IAC_COMPLETE={shell}_complete" in ran.stdout
