"""How `pulumi` is run for an apply, apart from the engine: an interrupt that comes before it has begun."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pulumi import automation

from codat_iac.stack.pulumi_command import Pulumi, Workspace

FAKE = """#!/bin/sh
case "$*" in *version*) echo v3.259.0; exit;; esac
exec sleep 600
"""
"""Runs until it is told to stop, or for ten minutes."""


@pytest.fixture
def told() -> list[str]:
    """What the user was told."""
    return []


@pytest.fixture
def command(tmp_path: Path, told: list[str]) -> Pulumi:
    """A `pulumi` that only waits."""
    path = tmp_path / "bin" / "pulumi"
    path.parent.mkdir()
    path.write_text(FAKE)
    path.chmod(0o755)
    return Pulumi(path, told.append)


def test_what_the_user_set_for_a_pulumi_of_their_own_breaks_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for in an environment of ours."""
    path = tmp_path / "bin" / "pulumi"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\n[ -z "$PULUMI_OPTION_CWD" ] && echo v3.259.0\n')
    path.chmod(0o755)
    monkeypatch.setenv("PULUMI_OPTION_CWD", "/nowhere")

    workspace = Workspace(work_dir=str(tmp_path), pulumi_command=Pulumi(path, pytest.fail))

    assert workspace.pulumi_version == "3.259.0"


class Interrupting(Mapping[str, str]):
    """An environment that is interrupted while it is read: just before the process begins."""

    def __init__(self, command: Pulumi) -> None:
        self._command = command

    def __getitem__(self, key: str) -> str:
        return "/usr/bin:/bin"

    def __iter__(self) -> Iterator[str]:
        self._command._interrupt()
        return iter(["PATH"])

    def __len__(self) -> int:
        return 1


def test_what_is_interrupted_before_it_begins_does_not_begin(
    command: Pulumi, told: list[str], tmp_path: Path
) -> None:
    """Between two commands there is nothing to hand the signal on to."""
    command._interrupt()

    with pytest.raises(automation.CommandError, match="interrupted"):
        command.run(["up"], str(tmp_path), {})

    assert told == ["stopping when what is under way is finished; once more ends it in the middle"]


def test_an_interrupt_as_it_begins_is_handed_on(command: Pulumi, told: list[str], tmp_path: Path) -> None:
    """Else nobody would have heard it."""
    began = time.monotonic()
    with pytest.raises(automation.CommandError):
        command.run(["up"], str(tmp_path), Interrupting(command))

    assert time.monotonic() - began < 300
    assert command.interrupted
    assert len(told) == 1
