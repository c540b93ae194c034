"""Reading the whole tenant once: all of it, or the word that it may not be."""

from __future__ import annotations

import pytest

from codat_iac.emulator import Emulator, serving
from codat_iac.model.errors import Unauthorized
from codat_iac.reconcile.companies import tenant_readings
from codat_iac.reconcile.companies.tenant_readings import Scan
from tests.support.builders import a_reader, connected, listings, tagged


def once(emulator: Emulator) -> Scan:
    """Read the tenant once; nothing waits."""
    return tenant_readings.read_once(a_reader(emulator))


def test_one_reading_of_the_tenant_has_all_companies(emulator: Emulator) -> None:
    """In a single call, with connections, tags, and companies that have none."""
    acme, bolt = tagged(emulator, "Acme", region="uk"), tagged(emulator, "Bolt")
    ids = [connected(emulator, acme, key) for key in ("gbol", "suuo")]
    emulator.clear_requests()

    read = once(emulator)

    assert read.complete
    assert {each.id: each.tags for each in read.companies} == {acme: {"region": "uk"}, bolt: {}}
    by_id = {each.id: each.connections or () for each in read.companies}
    assert [(c.id, c.platform_key) for c in by_id[acme]] == [(ids[0], "gbol"), (ids[1], "suuo")]
    assert emulator.counts() == {"list-companies": 1}


def test_pages_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large tenant takes as many calls as it has pages."""
    monkeypatch.setattr(tenant_readings, "PAGE_SIZE_ONCE", 25)
    with serving(companies=60, linked=True) as emulator:
        read = once(emulator)

        assert (read.complete, len(read.companies)) == (True, 60)
        assert emulator.counts() == {"list-companies": 3}


def test_a_reading_during_which_rows_move_is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and doesn't go on until the tenant rests."""
    monkeypatch.setattr(tenant_readings, "PAGE_SIZE_ONCE", 25)
    with serving(companies=60, linked=True) as emulator:
        emulator.knobs({"rowShift": 1})

        read = once(emulator)

        assert not read.complete
        assert len({each.id for each in read.companies}) == len(read.companies) < 60
        assert listings(emulator) == 3


def test_a_company_that_goes_while_its_connections_are_listed_is_told(emulator: Emulator) -> None:
    """Where Codat sends none inline, each company is one more call."""
    emulator.knobs({"inlineConnections": "absent"})
    acme, bolt = (str(emulator.add_company(name)["id"]) for name in ("Acme", "Bolt"))
    ledger = connected(emulator, bolt)
    assert once(emulator).complete
    emulator.faults([{"on": f"GET /companies/{acme}/connections", "do": "status", "status": 404}])

    read = once(emulator)

    assert not read.complete
    assert [c.id for each in read.companies for c in each.connections or ()] == [ledger]


def test_a_reading_that_fails_is_an_error(emulator: Emulator) -> None:
    """And never an empty tenant."""
    emulator.faults([{"on": "GET /companies", "do": "status", "status": 401}])

    with pytest.raises(Unauthorized):
        once(emulator)
