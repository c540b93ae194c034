"""Finding connections in the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from codat_iac.emulator import Emulator, serving
from codat_iac.model.errors import ConfigError, NotFound, TransportError, Unauthorized
from codat_iac.reconcile.companies import tenant_readings
from codat_iac.stack.importing import discovery
from codat_iac.stack.importing.discovery import Filters, Found, tag_test
from tests.support.builders import a_reader, connected, listings, tagged

NOBODY = "8a210b68-6988-11ed-a1eb-0242ac120002"


def look(emulator: Emulator, keys: Mapping[str, set[str]] | None = None, **filters: Any) -> Found:
    """Find what fits; nothing waits."""
    reader = a_reader(emulator)
    return discovery.find(reader, Filters(**filters), keys)


def found(emulator: Emulator, **filters: Any) -> set[str]:
    """The ids of what fits."""
    return {connection.id for connection in look(emulator, **filters)}


def test_an_empty_tenant_has_nothing(emulator: Emulator) -> None:
    """One page says so."""
    assert look(emulator) == Found((), frozenset())


def test_everything_is_found_by_company_and_age(emulator: Emulator) -> None:
    """Companies in the order of their ids, connections in that of their making; companies without any too."""
    companies = sorted(str(emulator.add_company(name)["id"]) for name in ("Acme", "Bolt", "Crux"))
    ids = [connected(emulator, companies[0], key, "PendingAuth") for key in ("suuo", "gbol", "suuo")]
    last = connected(emulator, companies[2])

    everything = look(emulator)

    assert [company.id for company in everything.companies] == companies
    assert [connection.id for connection in everything] == [*ids, last]
    assert everything.chosen == {*ids, last}
    assert everything.companies[1].connections == ()


def test_platforms_and_statuses_choose_among_connections(emulator: Emulator, acme: str) -> None:
    """A company keeps its other connections in sight: their addresses matter."""
    ledger = connected(emulator, acme, "gbol", "Linked")
    shop = connected(emulator, acme, "fztf", "Deauthorized")
    bank = connected(emulator, acme, "suuo", "Something new")

    assert found(emulator, platforms=frozenset({"gbol", "suuo"})) == {ledger, bank}
    assert found(emulator, statuses=frozenset({"deauthorized", "LINKED"})) == {ledger, shop}
    assert found(emulator, statuses=frozenset({"something new"})) == {bank}
    chosen = look(emulator, platforms=frozenset({"fztf"}), statuses=frozenset({"Linked"}))
    assert chosen.chosen == frozenset()
    assert len(chosen.companies[0].connections or ()) == 3


def test_a_platform_that_is_no_key_is_refused_before_anything_is_read(emulator: Emulator) -> None:
    """`xero` is a name."""
    with pytest.raises(ConfigError, match="'Xero' is not a platform key"):
        look(emulator, platforms=frozenset({"Xero"}))

    assert emulator.requests()["total"] == 0


# Companies.


def test_a_company_is_found_by_its_id_without_reading_the_tenant(emulator: Emulator) -> None:
    """One call for each, in whatever case the id is written, and once where it is given twice."""
    acme, bolt = (str(emulator.add_company(name)["id"]) for name in ("Acme", "Bolt"))
    ledger = connected(emulator, acme)
    connected(emulator, bolt)

    assert found(emulator, companies=(acme.upper(), acme)) == {ledger}
    assert emulator.counts() == {"get-company": 1}


@pytest.mark.parametrize("inline", ["full", "absent"])
def test_a_company_is_found_by_its_name(emulator: Emulator, inline: str) -> None:
    """All that are called so, in whatever case and with whatever gaps; ids may stand beside names."""
    emulator.knobs({"inlineConnections": inline})
    companies = [str(emulator.add_company(name)["id"]) for name in ("Acme  Ltd", "acme ltd", "Acme", "Bolt")]
    ids = [connected(emulator, company) for company in companies]

    assert found(emulator, companies=(" ACME ltd",)) == set(ids[:2])
    assert found(emulator, companies=("acme", companies[3])) == set(ids[2:])


@pytest.mark.parametrize("wanted", ["Nobody\n", NOBODY])
def test_a_company_that_is_not_there_is_an_error(emulator: Emulator, acme: str, wanted: str) -> None:
    """A typing mistake must not end in an empty import."""
    with pytest.raises(ConfigError, match=f"no company '{wanted.strip()}' can be seen with this API key"):
        look(emulator, companies=(acme, wanted))


def test_a_company_is_found_by_its_key_in_the_desired_state(emulator: Emulator) -> None:
    """As plan and the others name it; a key that only the file knows is nobody's."""
    acme, bolt = (str(emulator.add_company(name)["id"]) for name in ("Acme Ltd", "bolt"))
    keys = {"first": {acme}, "bolt": {bolt}, "gone": {NOBODY}}

    assert [company.id for company in look(emulator, keys, companies=("first",)).companies] == [acme]
    both = look(emulator, keys, companies=("Acme LTD", "first", "bolt", acme)).companies
    assert {company.id for company in both} == {acme, bolt}
    with pytest.raises(ConfigError, match="no company 'gone' can be seen with this API key"):
        look(emulator, keys, companies=("gone",))


def test_a_word_that_means_two_companies_is_an_error(emulator: Emulator) -> None:
    """The key of one, and what another one is called in Codat: only an id says which is meant."""
    acme, other = (str(emulator.add_company(name)["id"]) for name in ("Acme Holding", "Acme"))

    with pytest.raises(ConfigError, match=r"'acme' is the key of one company .* give the id: ") as caught:
        look(emulator, {"acme": {acme}}, companies=("acme",))

    assert str(caught.value).endswith(", ".join(sorted([acme, other])))


# Tags.


@pytest.mark.parametrize("refused", [False, True])
def test_tags_choose_companies(emulator: Emulator, refused: bool) -> None:
    """Codat's side filters by them; where it doesn't, all companies are read and it is done here."""
    ids = {
        name: connected(emulator, tagged(emulator, name, **tags))
        for name, tags in {
            "a": {"region": "uk", "team": "Invoice Finance"},
            "b": {"region": "UK"},
            "c": {"region": "fr"},
            "d": {},
        }.items()
    }
    if refused:
        emulator.faults([{"on": "GET /companies", "do": "status", "status": 400, "times": 1}])

    assert found(emulator, tags=("region=uk",)) == {ids["a"], ids["b"]}
    assert listings(emulator) == 1 + refused
    assert found(emulator, tags=("region=uk", "team~finance || team=x")) == {ids["a"]}


def test_tags_and_names_both_count(emulator: Emulator) -> None:
    """A company that is named and hasn't the tag isn't meant."""
    with_tag, without = tagged(emulator, "Acme", region="uk"), tagged(emulator, "Acme")
    ledger = connected(emulator, with_tag)
    connected(emulator, without)

    assert found(emulator, companies=("acme",), tags=("region=uk",)) == {ledger}
    assert found(emulator, companies=(without,), tags=("region=uk",)) == set()


TAGS = {"region": "uk", "Team": "Invoice Finance", "a&b": "x=y"}


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("region=uk", True),
        (" Region = UK ", True),
        ("region=fr", False),
        ("region!=fr", True),
        ("region!=uk", False),
        ("nothing!=uk", False),
        ("team~FINANCE", True),
        ("team~x", False),
        ("team=invoice finance && region=uk", True),
        ("region=fr && team~x || region=uk", True),
        ("region=uk || region=fr && team~x", True),
        ("{region=uk || region=fr} && team~x", False),
        ("{{region=fr} || {team~in && region=uk}}", True),
        ("a&b=x=y", True),
    ],
)
def test_a_tag_query_means_what_codat_says(query: str, fits: bool) -> None:
    """`&&` binds tighter than `||`, braces group, and a tag that isn't there fits nothing."""
    assert tag_test(query)(TAGS) is fits


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "region",
        "=uk",
        "region=",
        "region>3",
        "region=uk &&",
        "|| region=uk",
        "{region=uk",
        "region=uk}",
        "{}",
        "a=b { c=d }",
        "{" * 30 + "a=b" + "}" * 30,
        "region=" + "x" * 3000,
    ],
)
def test_a_tag_query_that_is_none_is_an_error(emulator: Emulator, query: str) -> None:
    """It is found here, whatever Codat makes of it."""
    with pytest.raises(ConfigError, match="is no query like region=uk"):
        look(emulator, tags=(query,))

    assert emulator.requests()["total"] == 0


def test_a_query_that_is_too_long_for_codat_is_asked_here_alone(emulator: Emulator) -> None:
    """Several tags become one query, which has a limit."""
    ledger = connected(emulator, tagged(emulator, "Acme", region="uk"))

    assert found(emulator, tags=tuple(f"region=uk || x={'y' * 1000}{n}" for n in range(3))) == {ledger}


# What Codat leaves open.


@pytest.mark.parametrize(
    "knobs",
    [
        {"integrationKey": "absent"},
        {"inlineConnections": "absent", "integrationKey": "absent"},
        {"inlineConnections": "sparse", "emptyFields": "null", "unknownFields": True},
        {"defaultOrder": "-created", "pageSizeMost": 2000, "pageSizeAboveMost": "reject"},
    ],
    ids=str,
)
def test_whatever_codat_sends_the_platform_is_known(
    emulator: Emulator, acme: str, knobs: Mapping[str, object]
) -> None:
    """`GET /integrations` names the platform where the connection doesn't; connections are listed apart."""
    ids = [connected(emulator, acme, key) for key in ("gbol", "suuo")]
    emulator.knobs(knobs)

    everything = look(emulator)

    assert [(c.id, c.platform_key) for c in everything] == [(ids[0], "gbol"), (ids[1], "suuo")]


def test_an_error_is_never_an_empty_tenant(emulator: Emulator) -> None:
    """A refused key ends it, and so does a company that can't be read."""
    emulator.add_company("Acme")
    emulator.faults([{"on": "GET /companies", "do": "status", "status": 401}])
    with pytest.raises(Unauthorized):
        look(emulator)
    emulator.faults([{"on": "GET /companies/*/connections", "do": "status", "status": 404}])
    emulator.knobs({"inlineConnections": "absent"})
    with pytest.raises(NotFound):
        look(emulator)


# Rows that move.


def test_a_tenant_that_moves_is_read_until_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that rotate under the pages hide some at each reading; bigger pages, or all readings, have all."""
    monkeypatch.setattr(tenant_readings, "PAGE_SIZES", (10, 20, 25))
    with serving(companies=60, linked=True) as emulator:
        emulator.knobs({"rowShift": 1})

        everything = look(emulator)

        assert len(everything.chosen) == len(everything.companies) == 60
        assert emulator.counts()["get-company"] <= 6


def test_what_only_an_earlier_reading_saw_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is gone meanwhile isn't counted, and then the tenant is read again."""
    monkeypatch.setattr(tenant_readings, "PAGE_SIZES", (10, 20, 60))
    with serving(companies=60, linked=True) as emulator:
        emulator.knobs({"rowShift": 1})
        emulator.faults([{"on": "GET /companies/*", "do": "status", "status": 404, "times": 1}])

        assert len(look(emulator).companies) == 60
        assert listings(emulator) == 6 + 3 + 1


def test_a_tenant_that_never_stands_still_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called whole that isn't."""
    monkeypatch.setattr(tenant_readings, "PAGE_SIZES", (10, 10))
    with serving(companies=60) as emulator:
        emulator.knobs({"rowShift": 1})
        emulator.faults([{"on": "GET /companies/*", "do": "status", "status": 404}])

        with pytest.raises(TransportError, match=r"60 companies are announced and 5\d come, 2 times over"):
            look(emulator)
