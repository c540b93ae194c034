"""How `pulumi` is run for an apply, apart from the engine: what it tells, and an early interrupt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pulumi import automation

from codat_iac.stack.running.pulumi_command import Pulumi, Untold
from codat_iac.stack.stack import Stack

WAITS = "exec sleep 600"
"""Runs until it is told to stop, or for ten minutes."""


@pytest.fixture
def told() -> list[str]:
    """What the user was told."""
    return []


def a_pulumi(folder: Path, script: str, told: list[str]) -> Pulumi:
    """A `pulumi` that is a shell script, which has the arguments of the real one."""
    path = folder / "bin" / "pulumi"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Pulumi(Stack(folder, "dev", path), told.append)


@pytest.fixture
def command(tmp_path: Path, told: list[str]) -> Pulumi:
    """A `pulumi` that only waits."""
    return a_pulumi(tmp_path, WAITS, told)


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

    assert told == ["stopping when what is under way is finished; once more leaves it uncertain"]


def test_an_interrupt_as_it_begins_is_handed_on(command: Pulumi, told: list[str], tmp_path: Path) -> None:
    """Else nobody would have heard it."""
    began = time.monotonic()
    with pytest.raises(automation.CommandError):
        command.run(["up"], str(tmp_path), Interrupting(command))

    assert time.monotonic() - began < 300
    assert command.interrupted
    assert len(told) == 1


LOG = 'while [ "$1" != --event-log ]; do shift; done; exec >> "$2"'
"""Writes into the log of events from here on."""
PRELUDE = """echo '{"sequence": 0, "timestamp": 1, "preludeEvent": {"config": {}}}'"""
END = """echo '{"sequence": 1, "timestamp": 1, "cancelEvent": {}}'"""


@pytest.mark.parametrize("script", ["true", f"{LOG}; {PRELUDE}"], ids=["nothing", "the first half"])
def test_a_pulumi_that_doesnt_tell_what_it_did_is_no_success(
    tmp_path: Path, told: list[str], script: str
) -> None:
    """Whatever its exit code says: else what it did would be called not tried."""
    with pytest.raises(Untold, match="ended without telling what it did; run again"):
        a_pulumi(tmp_path, script, told).run(["up"], str(tmp_path), {"PATH": "/usr/bin:/bin"})


def test_a_pulumi_that_tells_its_end_is_done(tmp_path: Path, told: list[str]) -> None:
    """Its output is returned."""
    script = f"echo out; {LOG}; {PRELUDE}; {END}"

    result = a_pulumi(tmp_path, script, told).run(["up"], str(tmp_path), {"PATH": "/usr/bin:/bin"})

    assert (result.code, result.stdout) == (0, "out\n")


def test_an_interrupt_between_two_runs_reaches_the_second_as_it_begins(
    tmp_path: Path, told: list[str]
) -> None:
    """The first has ended, so there is nothing else to hand it on to."""
    script = f'case "$*" in *first*) {LOG}; {PRELUDE}; {END};; *) {WAITS};; esac'
    command = a_pulumi(tmp_path, script, told)
    command.run(["first"], str(tmp_path), {"PATH": "/usr/bin:/bin"})

    with pytest.raises(automation.CommandError):
        command.run(["second"], str(tmp_path), Interrupting(command))
