"""The desired state against its tenant: whether it has these platforms and companies."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.codat.client import Client
from codat_iac.desired import Tenant, load
from codat_iac.emulator import Emulator
from codat_iac.model.connection import Integration
from codat_iac.model.errors import ConfigError

ACME = "8a210b68-6988-11ed-a1eb-0242ac120002"
BETA = "0e8b9b7e-0e6a-4b5c-9f41-3f0b3f1f6a11"
WHERE = "its id is none of this tenant's companies; correct it, or use the key of its tenant"
NO_KEY = "is not the key of a platform of this tenant"
PORTAL = "Settings, Integrations in the Codat Portal"

PLATFORMS = {
    "gbol": Integration("gbol", "Xero", True),
    "suuo": Integration("suuo", "Plaid", True),
    "dfxm": Integration("dfxm", "Brightpearl", False),
}
TENANT = Tenant(PLATFORMS, frozenset({ACME}))


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(text: str, tenant: Tenant = TENANT) -> list[str]:
    """What is wrong with a file c.yaml, without the file's name."""
    Path("c.yaml").write_text(f"version: 1\n{text}")
    with pytest.raises(ConfigError) as caught:
        load("c.yaml", tenant)
    return [line.removeprefix("c.yaml, ") for line in str(caught.value).split("\n")]


def company(name: str, company_id: str, *lines: str) -> str:
    """One company of a file."""
    body = "".join(f"      {line}\n" for line in lines)
    return f"  {name}:\n    id: {company_id}\n    connections:{' {}' if not lines else ''}\n{body}"


def test_what_the_tenant_has_is_in_order() -> None:
    """In whatever case the id is written, and though nothing is connected there."""
    Path("c.yaml").write_text(
        "version: 1\ncompanies:\n" + company("acme", ACME.upper(), "ledger: {platformKey: gbol}")
    )

    (connection,) = load("c.yaml", TENANT)

    assert connection.address == "acme/ledger"


def test_every_company_and_platform_that_it_lacks_is_named_with_its_place() -> None:
    """All of them in one run, in the order of the file."""
    text = "companies:\n" + company(
        "acme",
        ACME,
        "ledger: {platformKey: gbok}",
        "shop: {platformKey: dfxm}",
        "bank: {platformKey: suuo}",
        "odd: {platformKey: zzzz}",
    )
    text += company("beta", BETA, "ledger: {platformKey: gbol}") + company("gamma", f'"{BETA[:-1]}2"')

    assert problems(text) == [
        f"line 6, column 29: acme/ledger: 'gbok' {NO_KEY}; did you mean gbol (Xero)?",
        f"line 7, column 27: acme/shop: Brightpearl (dfxm) is not enabled; enable it under {PORTAL}",
        f"line 9, column 26: acme/odd: 'zzzz' {NO_KEY}; see {PORTAL}",
        f"line 11, column 9: company beta: {WHERE}",
        f"line 15, column 9: company gamma: {WHERE}",
    ]


def test_other_problems_are_told_first() -> None:
    """What breaks the contract can't be compared with anything."""
    (problem,) = problems("companies:\n" + company("acme", BETA, "ledger: {platformKey: 12}"))

    assert "acme/ledger: platformKey: expected text" in problem


def test_all_files_of_a_folder_are_compared() -> None:
    """Each problem stands in its own file; what Python returned has no place."""
    Path("all").mkdir()
    Path("all/a.yaml").write_text("version: 1\ncompanies:\n" + company("beta", BETA))
    Path("all/b.py").write_text(
        "def desired():\n    return {'version': 1, 'companies': {'acme': {'id': '" + ACME + "',"
        " 'connections': {'ledger': {'platformKey': 'gbok'}}}}}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load("all", TENANT)

    assert str(caught.value).splitlines() == [
        f"all/a.yaml, line 4, column 9: company beta: {WHERE}",
        f"all/b.py: companies.acme.connections.ledger: 'gbok' {NO_KEY}; did you mean gbol (Xero)?",
    ]


def test_a_mistake_in_an_anchor_is_one_mistake() -> None:
    """However many connections use it."""
    text = "companies:\n" + company("acme", ACME, "a: &a {platformKey: gbok}", "b: *a")

    assert len(problems(text)) == 1


def test_a_real_tenant_is_compared(emulator: Emulator, acme: str) -> None:
    """As `validate --online` reads it."""
    client = Client(emulator.api_key, emulator.url)
    platforms = {integration.key: integration for integration in client.integrations()}
    ids = frozenset(company.id for page in client.company_pages() for company in page.results)
    tenant = Tenant(platforms, ids)
    ledger = "ledger: {platformKey: gbol}"
    Path("c.yaml").write_text("version: 1\ncompanies:\n" + company("acme", acme, ledger))
    assert len(load("c.yaml", tenant)) == 1

    emulator.delete_company(acme)

    assert problems("companies:\n" + company("acme", ACME, ledger), tenant) == [
        f"line 4, column 9: company acme: {WHERE}"
    ]
