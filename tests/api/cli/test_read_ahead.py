"""What a command asks Codat while the state is still being exported."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from codat_iac.cli import tenant_coverage
from codat_iac.cli.session import Session
from codat_iac.emulator import Emulator
from codat_iac.model.errors import ConfigError
from codat_iac.model.settings import Settings
from codat_iac.model.shard import Shard
from codat_iac.planning.plan import Plan
from tests.support.builders import connected
from tests.support.project import connections
from tests.support.waiting import until

PATIENCE = 30.0


class SlowStack:
    """A stack whose export ends when it is let."""

    short_name = "dev"

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def export(self) -> dict[str, Any]:
        """Return an empty state, in the end."""
        assert self.may_end.wait(PATIENCE)
        return {}


@pytest.fixture
def stack() -> SlowStack:
    """A stack that takes its time."""
    return SlowStack()


@pytest.fixture
def session(emulator: Emulator, stack: SlowStack, tmp_path: Path) -> Session:
    """A session in a project that declares one connection, which is live and not recorded."""
    company_id = str(emulator.add_company("Acme")["id"])
    connected(emulator, company_id)
    (tmp_path / "connections.yaml").write_text(
        f"version: 1\n{connections(company_id, 'ledger: {platformKey: gbol}')}"
    )
    emulator.clear_requests()
    made = Session(tmp_path)
    made.__dict__.update(stack=stack, settings=Settings(emulator.api_key, emulator.url))
    return made


def plan(session: Session) -> Plan:
    """Plan as `codat-iac plan` does."""
    return tenant_coverage.plan(session, session.declared_state("connections.yaml"), None)


def test_the_tenant_is_read_while_the_state_is_exported(
    emulator: Emulator, stack: SlowStack, session: Session
) -> None:
    """And what was read is not read again for the plan."""
    session.read_ahead()
    with ThreadPoolExecutor(1) as thread:
        planned = thread.submit(plan, session)
        try:
            until(lambda: bool(emulator.counts()), "Codat is asked")
            before = emulator.counts()
        finally:
            stack.may_end.set()

    assert before == {"list-connections": 1}
    assert emulator.counts() == before
    assert [problem.address for problem in planned.result().problems] == ["acme/ledger"]


def test_what_needs_the_whole_tenant_reads_it_once(
    emulator: Emulator, stack: SlowStack, session: Session
) -> None:
    """A policy for what nobody manages: then no company is read before."""
    stack.may_end.set()
    file = session.cwd / "connections.yaml"
    file.write_text(f"{file.read_text()}unmanaged: error\n")
    session.read_ahead()

    plan(session)

    assert emulator.counts() == {"list-companies": 1}


def test_one_company_is_not_all_of_them(emulator: Emulator, stack: SlowStack, session: Session) -> None:
    """With `--company` nothing is read before it is known which ones those are."""
    stack.may_end.set()
    session.read_ahead(live=False)

    session.declared_state("connections.yaml")

    assert emulator.counts() == {}


def test_a_stack_that_is_not_ready_is_refused_all_the_same(
    stack: SlowStack, session: Session, emulator: Emulator
) -> None:
    """Though the tenant was read already."""
    stack.may_end.set()
    session.__dict__["settings"] = Settings(emulator.api_key, emulator.url, shard=Shard(1, 2))
    session.read_ahead()

    with pytest.raises(ConfigError, match="its state wasn't set up"):
        session.declared_state("connections.yaml")
