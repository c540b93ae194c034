"""What a command reads ahead."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from codat_iac.cli.session import Session
from codat_iac.model.errors import ConfigError
from codat_iac.model.settings import Settings
from codat_iac.model.shard import Shard
from codat_iac.stack.stack import StackError

PATIENCE = 30.0


class SlowStack:
    """A stack whose export takes until it may end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_end = threading.Event()
        self.exports = 0
        self._error = error

    def export(self) -> dict[str, Any]:
        """Return a state, or fail."""
        self.exports += 1
        assert self.may_end.wait(PATIENCE)
        if self._error:
            raise self._error
        return {"deployment": {"resources": []}}


def session(stack: SlowStack, *, stateless: bool = False) -> Session:
    """A session of a command on *stack*."""
    made = Session(Path(), stateless=stateless)
    made.__dict__["stack"] = stack
    return made


def test_the_state_is_exported_while_other_things_are_read() -> None:
    """And only once."""
    stack = SlowStack()
    command = session(stack)

    command.read_ahead()
    assert not stack.may_end.is_set()  # so it has returned while the export is under way
    stack.may_end.set()

    assert command.state == {"deployment": {"resources": []}}
    assert command.recorded == []
    assert stack.exports == 1


def test_without_reading_ahead_the_state_is_exported_when_it_is_asked_for() -> None:
    """As links and drift do, which need nothing else."""
    stack = SlowStack()
    stack.may_end.set()

    assert session(stack).state == {"deployment": {"resources": []}}
    assert stack.exports == 1


def test_an_error_waits_until_the_state_is_asked_for() -> None:
    """What is wrong with the desired state is said first, as ever."""
    stack = SlowStack(StackError("locked"))
    stack.may_end.set()
    command = session(stack)

    command.read_ahead()

    with pytest.raises(StackError, match="locked"):
        _ = command.state


def test_without_a_state_nothing_is_read_ahead() -> None:
    """Nor is the engine looked for."""
    stack = SlowStack()
    command = session(stack, stateless=True)

    command.read_ahead()

    assert command.state == {}
    assert stack.exports == 0


def test_whether_a_run_can_encrypt_is_tried_once() -> None:
    """Beside the export if it was read ahead, and else when it is asked for."""

    class Encrypting(SlowStack):
        tried = 0

        def check_secrets(self) -> None:
            self.tried += 1

    stack = Encrypting()
    stack.may_end.set()
    ahead = session(stack)
    ahead.read_ahead(to_write=True)
    ahead.check_secrets()
    assert stack.tried == 1

    session(stack).check_secrets()

    assert stack.tried == 2


def test_no_project_is_no_error_yet(tmp_path: Path) -> None:
    """Whoever needs the stack says it."""
    command = Session(tmp_path)

    command.read_ahead()

    with pytest.raises(ConfigError, match=r"no Pulumi\.yaml"):
        _ = command.state


def test_a_stack_that_is_not_ready_as_its_shard_is_refused() -> None:
    """Before anything of it is planned."""
    made = Session(Path())
    ready: dict[str, Any] = {"stack": SimpleNamespace(short_name="dev"), "state": {"deployment": {}}}
    made.__dict__.update(ready, settings=Settings("key"))
    made.check_shard()

    made.__dict__["settings"] = Settings("key", shard=Shard(2, 5))
    with pytest.raises(ConfigError, match="its config says shard 2/5, and its state wasn't set up"):
        made.check_shard()
