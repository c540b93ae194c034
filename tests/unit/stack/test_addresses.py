"""Addresses for connections that have none yet."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.model.connection import ADDRESS, Address, Company, LiveConnection
from codat_iac.stack.importing.addresses import addresses, slug
from tests.support.builders import an_id


def a_company(number: int, name: str, *connections: LiveConnection) -> Company:
    """A company whose id begins with its number."""
    return Company(company_id(number), name, connections)


def company_id(number: int) -> str:
    """An id that is easy to tell from others by its beginning."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def a_live(number: int, key: str | None = "gbol", name: str = "Xero", created: str = "") -> LiveConnection:
    """A connection, made in the order of the numbers."""
    return LiveConnection(
        an_id(number),
        company_id(1),
        "Linked",
        key,
        platform_name=name,
        created=created or f"2026-01-{number:02}",
    )


@pytest.mark.parametrize(
    ("name", "half"),
    [
        ("Acme", "acme"),
        ("  Alder Bakery & Sons, Ltd. ", "alder-bakery-and-sons-ltd"),
        ("Joe's Café—Straße", "joes-cafe-strasse"),
        ("Łódź Smørrebrød", "lodz-smorrebrod"),
        ("ﬁnance №½", "finance-no1-2"),
        ("ACME_2.0", "acme-2-0"),
        ("007", "007"),
        ("x" * 200, "x" * 60),
        (f"{'x' * 59} y", "x" * 59),
        ("", ""),
        ("🍕🍕", ""),
        ("株式会社", ""),
        ("-- \x00\n --", ""),
    ],
)
def test_a_name_becomes_half_of_an_address(name: str, half: str) -> None:
    """Letters and digits stay, in small letters without accents; what is between words is one hyphen."""
    assert slug(name) == half


def test_a_company_and_its_platforms_are_named_after_themselves() -> None:
    """The second connection to a platform has a number; a platform without a name is its key."""
    acme = a_company(
        1,
        "Acme Ltd",
        a_live(3, "suuo", "Plaid"),
        a_live(2, "suuo", "Plaid"),
        a_live(1, "qhyg", "QuickBooks Online"),
        a_live(4, "zsth", "☁"),
        a_live(5, None),
    )

    assert addresses([acme]) == {
        an_id(1): "acme-ltd/quickbooks-online",
        an_id(2): "acme-ltd/plaid",
        an_id(3): "acme-ltd/plaid-2",
        an_id(4): "acme-ltd/zsth",
    }


def test_platforms_of_one_name_are_told_apart_by_their_keys() -> None:
    """Neither gets the bare name, so that none depends on which came first."""
    acme = a_company(1, "Acme", a_live(1, "suuo", "Bank"), a_live(2, "upvr", "BANK"), a_live(3, "suuo", ""))

    assert addresses([acme]) == {
        an_id(1): "acme/bank-suuo",
        an_id(2): "acme/bank-upvr",
        an_id(3): "acme/bank-suuo-2",
    }


def test_companies_of_one_name_are_told_apart_by_their_ids() -> None:
    """Each has a piece of its id, more of it where even that is taken, and a number where all is."""
    whole = company_id(1).replace("-", "")
    companies = [
        a_company(1, "Acme", a_live(1)),
        a_company(2, "ACME!", a_live(2)),
        a_company(3, f"Acme {whole[:8]}", a_live(3)),
        a_company(4, f"Acme {whole}", a_live(4)),
    ]

    assert addresses(companies) == {
        an_id(1): f"acme-{whole}-2/xero",
        an_id(2): "acme-00000002/xero",
        an_id(3): f"acme-{whole[:8]}/xero",
        an_id(4): f"acme-{whole}/xero",
    }


def test_a_company_without_a_usable_name_is_named_after_its_id() -> None:
    """Never empty, and the same at each time."""
    companies = [a_company(1, "", a_live(1)), a_company(2, "🍕", a_live(2))]

    assert addresses(companies) == {an_id(1): "company-00000001/xero", an_id(2): "company-00000002/xero"}


def test_a_company_whose_id_is_none_gets_no_addresses() -> None:
    """Nothing could be declared of it."""
    assert addresses([Company("what", "Acme", (a_live(1),))]) == {}


def test_what_is_named_keeps_its_name() -> None:
    """By the company's id, by the connection's id, and by being taken."""
    companies = [
        a_company(1, "Acme", a_live(1), a_live(2), a_live(3)),
        a_company(2, "Bolt", a_live(4)),
        a_company(3, "Crux"),
    ]

    named = addresses(
        companies,
        halves={company_id(1): "first-customer"},
        known={an_id(2): Address("first-customer/ledger")},
        taken={Address("first-customer/xero"), Address("bolt/x"), Address("crux/x")},
    )

    assert named == {
        an_id(1): "first-customer/xero-2",
        an_id(2): "first-customer/ledger",
        an_id(3): "first-customer/xero-3",
        an_id(4): "bolt-00000002/xero",
    }


NAMES = (
    st.sampled_from(["Acme", "acme", "", "🍕", "x" * 200, "Acme 00000001", "company", "Bolt 2"]) | st.text()
)
PLATFORMS = st.sampled_from(
    [("gbol", "Xero"), ("suuo", "Plaid"), ("upvr", "Plaid"), ("zsth", ""), (None, "")]
)


@st.composite
def tenants(draw: st.DrawFn) -> list[Company]:
    """Some companies with some connections."""
    companies = []
    for number in range(draw(st.integers(0, 5))):
        connections = tuple(
            LiveConnection(an_id(number * 100 + n), company_id(number), "Linked", key, platform_name=name)
            for n, (key, name) in enumerate(draw(st.lists(PLATFORMS, max_size=4)))
        )
        companies.append(Company(company_id(number), draw(NAMES), connections))
    return companies


@settings(max_examples=200, deadline=None)
@given(tenant=tenants(), seed=st.integers())
def test_addresses_are_valid_unique_and_independent_of_order(tenant: list[Company], seed: int) -> None:
    """Whatever companies are called, and however Codat lists them."""
    named = addresses(tenant)

    assert len(set(named.values())) == len(named)
    assert set(named) == {c.id for company in tenant for c in company.connections or () if c.platform_key}
    for address in named.values():
        assert ADDRESS.fullmatch(address)
        assert all(len(half) <= 100 for half in address.split("/"))

    dice = random.Random(seed)  # noqa: S311  no secret
    mixed = [
        Company(c.id, c.name, tuple(dice.sample(c.connections or (), len(c.connections or ()))))
        for c in tenant
    ]
    assert addresses(dice.sample(mixed, len(mixed))) == named


@settings(max_examples=200, deadline=None)
@given(tenant=tenants(), fewer=st.integers(0, 4))
def test_a_later_import_renames_nothing(tenant: list[Company], fewer: int) -> None:
    """What was named when there was less keeps its name, and the rest fits around it."""
    earlier = [Company(c.id, c.name, (c.connections or ())[:fewer]) for c in tenant[:fewer]]
    before = addresses(earlier)
    homes = {c.id: company.id for company in earlier for c in company.connections or ()}

    after = addresses(
        tenant,
        halves={homes[each]: address.partition("/")[0] for each, address in before.items()},
        known=before,
        taken=set(before.values()),
    )

    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)
