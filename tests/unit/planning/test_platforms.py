"""What Codat advises about platforms: warnings, each with what to do, and never a refusal."""

from __future__ import annotations

import pytest

from codat_iac.model.connection import DesiredConnection, OnRemoval, Status
from codat_iac.planning.platforms import advice, xero_advice
from tests.support.builders import a_desired, an_id


def ledger(key: str, name: str = "", company: int = 1, status: Status = Status.LINKED) -> DesiredConnection:
    """Declare a connection of a company to a platform."""
    return a_desired(f"c{company}/{name or key}", company_id=an_id(company), platform_key=key, status=status)


def test_two_active_accounting_sources_of_one_company_are_told() -> None:
    """Codat lets a company have one."""
    (said,) = advice([ledger("qhyg"), ledger("gbol"), ledger("fztf"), ledger("gbol", company=2)])

    assert said == (
        "c1/gbol, c1/qhyg: they are accounting connections of one company, and Codat allows a company one"
        " active accounting source; declare the others `Unlinked`, or make a new company if the customer"
        " changes the software"
    )


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param([], id="nothing"),
        pytest.param([ledger("gbol")], id="one"),
        pytest.param([ledger("gbol"), ledger("qhyg", company=2)], id="one each"),
        pytest.param([ledger("gbol"), ledger("qhyg", status=Status.UNLINKED)], id="the old one unlinked"),
        pytest.param([ledger("suuo", "a"), ledger("suuo", "b"), ledger("fztf")], id="banks and a shop"),
    ],
)
def test_what_codat_allows_is_not_told(declared: list[DesiredConnection]) -> None:
    """Banks and shops may be many, and what is Unlinked isn't active."""
    assert advice(declared) == []


def test_what_codat_says_of_a_connection_counts_for_more_than_its_key() -> None:
    """Xero can be a bank feed, and a platform may be newer than this list."""
    two = [ledger("gbol", "books"), ledger("gbol", "feed"), ledger("zzzz", "new")]

    assert advice(two, {two[1].address: "BankFeed"}) == []
    assert len(advice(two, {two[1].address: "BankFeed", two[2].address: "Accounting"})) == 1
    assert len(advice(two, {two[1].address: ""})) == 1


def test_a_retired_platform_is_told_once() -> None:
    """With its name, and since when."""
    (said,) = advice([ledger("dfxm", "a"), ledger("dfxm", "b", company=2)])

    assert said.startswith("c1/a, c2/b: Codat retired Basiq (dfxm) on 2025-10-31, so nobody can connect")


def test_xeros_rule_is_told_once_for_what_would_be_unlinked() -> None:
    """Only by whoever is certified, and not where the file deletes or keeps it."""
    deleted = a_desired("acme/books", on_removal=OnRemoval.DELETE)

    assert xero_advice([ledger("qhyg"), deleted]) == ""
    assert xero_advice([ledger("gbol")]) == (
        "c1/gbol: it is unlinked on removal, and Xero's certified partners must delete a connection that its"
        " customer ends; if you are one, set `onRemoval: delete`"
    )
    assert xero_advice([ledger("gbol"), ledger("gbol", company=2)]).startswith("c1/gbol, c2/gbol: they are")
