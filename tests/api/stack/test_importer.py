"""The parts of an import and an export that need no engine; the rest is in `tests/engine/stack/`."""

from __future__ import annotations

from pathlib import Path

from codat_iac import desired
from codat_iac.codat.client import Reader
from codat_iac.emulator import Emulator
from codat_iac.model.connection import Status
from codat_iac.stack.importing import discovery, importer
from codat_iac.stack.importing.discovery import Filters
from tests.support.builders import connected


def test_an_export_is_a_desired_state_by_itself(emulator: Emulator, tmp_path: Path) -> None:
    """It names each connection by its id and each company by its name, and says what it leaves out."""
    acme, bolt = (str(emulator.add_company(name)["id"]) for name in ("Acme, Ltd\n", "Bölt"))
    ledger = connected(emulator, acme, "gbol")
    bank = connected(emulator, acme, "suuo", "Unlinked")
    shop = connected(emulator, bolt, "fztf", "PendingAuth")
    reader = Reader(emulator.api_key, emulator.url)

    text, skipped = importer.export(discovery.find(reader, Filters()))

    assert skipped == ()
    assert "  acme-ltd: # Acme, Ltd\n" in text
    assert "  bolt: # Bölt\n" in text
    (tmp_path / "c.yaml").write_text(text, "utf-8")
    assert {
        (each.address, each.connection_id, each.status) for each in desired.load(tmp_path / "c.yaml")
    } == {
        ("acme-ltd/plaid", bank, Status.UNLINKED),
        ("acme-ltd/xero", ledger, Status.LINKED),
        ("bolt/shopify", shop, Status.LINKED),
    }
    assert all(request["method"] == "GET" for request in emulator.requests()["requests"])
