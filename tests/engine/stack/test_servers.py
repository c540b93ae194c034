"""A stack whose state is in PostgreSQL or on S3: locks of the living and of the dead, as on files."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from codat_iac.emulator import Emulator
from tests.support import servers
from tests.support.builders import rows
from tests.support.project import Project, connections, holding_posts
from tests.support.servers import Server
from tests.support.terminal import Terminal
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

LEDGER = "ledger: {platformKey: gbol}"
SHOP = "shop: {platformKey: fztf}"


class Backend(Protocol):
    """What runs a server."""

    def __call__(self) -> AbstractContextManager[Server]:
        """Run it as long as the context."""
        ...


@pytest.fixture(params=[servers.postgres, servers.s3], ids=lambda each: each.__name__)
def remote(request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator) -> Iterator[Project]:
    """A project whose state is on a server."""
    start: Backend = request.param
    with start() as server:
        backend = {"PULUMI_BACKEND_URL": server.url, **server.environment}
        made = Project(tmp_path / "project", emulator, backend)
        yield made
        assert made.leaks() == []


def test_a_state_on_a_server_is_locked_and_unlocked_as_on_files(remote: Project, acme: str) -> None:
    """Of two runs one waits; a killed run's lock is cancelled when a person says so; all is made once."""
    remote.declare(connections(acme, LEDGER))
    remote.settle()
    assert remote.codat_iac("plan", "--detailed-exitcode").code == 3
    remote.declare(connections(acme, LEDGER, SHOP))
    with holding_posts(remote):
        up = remote.start("up", "--yes", "--skip-preview")
        until(lambda: "create-connection" in remote.emulator.counts(), "a POST")
        second = remote.codat_iac("apply", "--yes")
        os.killpg(up.pid, signal.SIGKILL)
        up.communicate(timeout=PATIENCE)

    assert second.code == 1
    assert second.said == [
        "the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead"
    ]
    terminal = Terminal(remote, "apply")
    terminal.wait_for("Apply 1 change? [y/N]: ")
    terminal.type("y\n")
    terminal.wait_for("Cancel its lock and go on? [y/N]: ")
    assert f"The stack is locked by pid {up.pid} of this machine, which is dead." in terminal.shown
    terminal.type("y\n")
    assert terminal.end() == 0, terminal.shown
    assert set(remote.recorded().values()) == set(rows(remote.emulator, acme))
    assert len(remote.recorded()) == 2
    assert remote.preview("--expect-no-changes").code == 0
