"""The parts of an import and an export that need no engine; the rest is in `test_pulumi_import.py`."""

from __future__ import annotations

from pathlib import Path

from codat_iac import desired, discovery, importing, props
from codat_iac.client import Client
from codat_iac.discovery import Filters
from codat_iac.emulator import Emulator
from codat_iac.model import Status
from codat_iac.stack import RESOURCE_TYPE
from tests.builders import a_desired, a_live, a_prior, connected


def a_state(*numbers: int, **rest: object) -> dict[str, object]:
    """An exported state that holds connections of these numbers at `acme/c1` and so on."""
    resources = [
        {
            "urn": f"urn:pulumi:dev::shop::{RESOURCE_TYPE}::acme/c{number}",
            "type": RESOURCE_TYPE,
            "id": a_live(number).id,
            "outputs": props.outputs(a_desired(f"acme/c{number}"), a_live(number)),
            **rest,
        }
        for number in numbers
    ]
    return {"deployment": {"resources": [{"urn": "x", "type": "pulumi:pulumi:Stack"}, *resources]}}


def test_everything_that_a_state_holds_counts() -> None:
    """What is about to be deleted is still held; a stack that never ran has nothing."""
    assert importing.everything({}) == []
    assert importing.everything({"deployment": {}}) == []
    assert importing.everything(a_state(1, 2, delete=True)) == [
        a_prior(n, a_desired(f"acme/c{n}", siblings=frozenset({f"acme/c{n}"}))) for n in (1, 2)
    ]


def test_an_export_is_a_desired_state_by_itself(emulator: Emulator, tmp_path: Path) -> None:
    """It names each connection by its id and each company by its name, and says what it leaves out."""
    acme, bolt = (str(emulator.add_company(name)["id"]) for name in ("Acme, Ltd\n", "Bölt"))
    ledger = connected(emulator, acme, "gbol")
    bank = connected(emulator, acme, "suuo", "Unlinked")
    shop = connected(emulator, bolt, "fztf", "PendingAuth")
    client = Client(emulator.api_key, emulator.url)

    text, skipped = importing.export(discovery.find(client, Filters()))

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
