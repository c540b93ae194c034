"""What a command asks Codat while the state is still being exported."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from codat_iac.cli.session import Session
from codat_iac.codat.client import Reader
from codat_iac.emulator import Emulator
from codat_iac.model.settings import Settings
from tests.support.builders import a_desired, connected

PATIENCE = 30.0


def test_the_tenant_is_read_while_the_state_is_exported(emulator: Emulator) -> None:
    """And what was read is not read again for the plan."""
    company_id = str(emulator.add_company("Acme")["id"])
    connected(emulator, company_id)
    desired = (a_desired(company_id=company_id),)
    may_end = threading.Event()

    class Stack:
        short_name = "dev"

        def export(self) -> dict[str, Any]:
            assert may_end.wait(PATIENCE)
            return {}

    session = Session(Path())
    reader = Reader(emulator.api_key, emulator.url)
    session.__dict__.update(stack=Stack(), reader=reader, settings=Settings(emulator.api_key, emulator.url))
    session.read_ahead()
    emulator.clear_requests()
    read = threading.Thread(
        target=lambda: planned.append(session.plan_by(session.planner(None, desired), desired))
    )
    planned: list[Any] = []
    read.start()
    deadline = threading.Event()
    while not emulator.counts():
        assert not deadline.wait(0.01)
    before = emulator.counts()
    may_end.set()
    read.join(PATIENCE)

    assert before == {"list-connections": 1}
    assert emulator.counts() == before
    assert [problem.address for problem in planned[0].problems] == ["acme/ledger"]
