"""Which company a block means that names it by the user's own key: the one that fits, or none."""

from __future__ import annotations

import dataclasses

import pytest

from codat_iac.model.connection import (
    Address,
    Company,
    CompanyMatch,
    Declaration,
    DesiredConnection,
    MatchedCompany,
    PriorConnection,
    RuleMark,
)
from codat_iac.reconcile.companies.binding import Bound, bind, usable_matches
from tests.support.builders import a_desired, a_prior, an_id

A, B, C = an_id(0xA), an_id(0xB), an_id(0xC)
TAG = CompanyMatch("tag", "customerId=42")
NAME = CompanyMatch("name", "Acme Ltd")


def a_company(company_id: str, name: str = "", **tags: str) -> Company:
    """A company with a name and tags."""
    return Company(company_id, name or f"Company {company_id[-1]}", tags=tags)


def tenant(*companies: Company) -> dict[str, Company]:
    """The companies by id."""
    return {each.id: each for each in companies}


def a_block(key: str = "acme", match: CompanyMatch = TAG) -> MatchedCompany:
    """A block with one connection, as the loader returns it."""
    ledger = DesiredConnection(Address(f"{key}/ledger"), "", "gbol", matched_by=str(match))
    return MatchedCompany(key, match, (ledger,), ("c.yaml", 4, 12))


def held(company_id: str, key: str = "acme", matched_by: str = str(TAG), **rest: object) -> PriorConnection:
    """What is recorded of a company."""
    desired = a_desired(f"{key}/ledger", company_id=company_id, matched_by=matched_by)
    return dataclasses.replace(a_prior(1, desired), **rest)  # type: ignore[arg-type]


def look(
    companies: dict[str, Company], *recorded: PriorConnection, block: MatchedCompany | None = None
) -> Bound:
    """Bind one block."""
    return bind(Declaration((), (block or a_block(),)), companies, recorded)


def said(bound: Bound) -> str:
    """Why one block isn't bound."""
    assert bound.connections == ()
    [problem] = bound.problems
    assert (problem.path, problem.line, problem.column) == ("c.yaml", 4, 12)
    return problem.message


@pytest.mark.parametrize(
    ("match", "company"),
    [(TAG, a_company(A, customerId="42")), (NAME, a_company(A, "Acme Ltd"))],
    ids=["tag", "name"],
)
def test_the_one_company_that_fits_is_meant(match: CompanyMatch, company: Company) -> None:
    """Its connections get the company's id, and say how it was found."""
    bound = look(tenant(company, a_company(B, "Acme", customerId="43")), block=a_block(match=match))

    assert bound.problems == ()
    assert [(each.company_id, each.matched_by) for each in bound.connections] == [(A, str(match))]


def test_companies_given_by_id_are_left_as_they_are() -> None:
    """All are sorted by address."""
    declared = (a_desired("zebra/ledger", company_id=C),)

    bound = bind(Declaration(declared, (a_block(),)), tenant(a_company(A, customerId="42")), ())

    assert [(each.address, each.company_id) for each in bound.connections] == [
        ("acme/ledger", A),
        ("zebra/ledger", C),
    ]


def test_what_is_recorded_goes_on_if_it_is_the_same_company() -> None:
    """Also under another key, and if it was given by its id before."""
    companies = tenant(a_company(A, customerId="42"))

    for prior in (held(A), held(A, "old-key"), held(A, matched_by="")):
        assert look(companies, prior).problems == ()


def test_an_old_half_of_another_company_is_no_evidence() -> None:
    """It is on its way out: somebody said `id:` of the new one before."""
    companies = tenant(a_company(A, customerId="42"), a_company(B))

    assert look(companies, held(A), held(B, pending_removal=True)).problems == ()


def test_none_is_refused() -> None:
    """A company that differs in upper case is named."""
    assert said(look(tenant(a_company(A)))) == (
        "company acme: no company has the tag customerId=42; correct one of the two, or write `id:` in"
        " place of `match:`"
    )
    assert f"{A} (Company a) has it in other letters" in said(look(tenant(a_company(A, CustomerID="42"))))
    assert f"{A} (ACME LTD) has it" in said(look(tenant(a_company(A, "ACME LTD")), block=a_block(match=NAME)))


def test_several_are_refused_even_if_one_is_recorded() -> None:
    """All are named."""
    companies = tenant(a_company(A, customerId="42"), a_company(B, customerId="42"))

    assert said(look(companies)) == (
        f"company acme: 2 companies have the tag customerId=42: {A} (Company a), {B} (Company b); leave it to"
        " one of them, or write `id:` in place of `match:`"
    )
    assert f"(recorded here: {A})" in said(look(companies, held(A)))


@pytest.mark.parametrize("prior", [held(A), held(A, "old-key"), held(A, matched_by="")])
def test_a_tag_that_moved_is_refused(prior: PriorConnection) -> None:
    """Whether the block was renamed meanwhile, or was given by its id before."""
    assert said(look(tenant(a_company(A), a_company(B, customerId="42")), prior)) == (
        f"company acme: the tag customerId=42 is that of {B} (Company b), and recorded here is {A} (Company"
        f" a); give it back in Codat, write `id: {A}` in place of `match:` to keep its connections, or"
        f" `id: {B}` to replace them by new ones there"
    )


@pytest.mark.parametrize("value", ["42", "CUST-42"])
def test_a_key_that_a_rule_found_in_a_tag_is_a_match_by_that_tag(value: str) -> None:
    """The rule became a block as the tag moved to another company."""
    mark = str(RuleMark("lending", "customerId", "segment=lending"))
    prior = held(B, value.lower(), mark)
    block = a_block("acme", CompanyMatch("tag", f"customerId={value}"))

    told = said(look(tenant(a_company(A, customerId=value), a_company(B)), prior, block=block))

    assert f"recorded here is {B} (Company b)" in told
    assert look(tenant(a_company(B, customerId=value)), prior, block=block).problems == ()


def test_a_connection_that_was_renamed_in_the_state_is_evidence_by_both_names() -> None:
    """`pulumi state rename` changes the URN and not what is recorded in it."""
    urn = "urn:pulumi:dev::shop::pulumi-python:dynamic/codat:Connection::acme/ledger"
    prior = held(A, "before", "", urn=urn)

    assert "is that of" in said(look(tenant(a_company(A), a_company(B, customerId="42")), prior))


def test_a_company_that_lost_its_tag_is_named() -> None:
    """It goes on by its id."""
    assert said(look(tenant(a_company(A)), held(A))) == (
        f"company acme: no company has the tag customerId=42 any more, and recorded here is {A} (Company a);"
        f" give it back in Codat, write `id: {A}` in place of `match:` to keep its connections"
    )


def test_a_company_that_is_gone_is_not_replaced_by_its_successor() -> None:
    """Nothing can be kept, so its ways out are others."""
    gone = f"recorded here is {A} (gone); take it out of the file, in a run with CODAT_ACCEPT_MISSING=true"

    assert gone in said(look(tenant(), held(A)))
    assert said(look(tenant(a_company(B, customerId="42")), held(A))).endswith(
        f"{gone}, or `id: {B}` to replace them by new ones there"
    )


def test_two_blocks_are_not_the_same_company() -> None:
    """By id and by match, or by two matches."""
    companies = tenant(a_company(A, "Acme Ltd", customerId="42"))
    by_id = bind(Declaration((a_desired("other/x", company_id=A),), (a_block(),)), companies, ())
    by_matches = bind(Declaration((), (a_block(), a_block("other", NAME))), companies, ())

    [first], [second] = by_id.problems, by_matches.problems
    assert first.message == (
        f"company acme: its match finds {A} (Acme Ltd), which is declared as other already; keep one name for"
        " one company"
    )
    assert second.message.startswith(
        f"company other: its match finds {A} (Acme Ltd), which is declared as acme"
    )


def test_a_name_from_codat_is_made_safe() -> None:
    """It may hold a link, or control characters."""
    text = said(look(tenant(a_company(A, "\x1b[31m https://link.codat.io/x")), held(A)))

    assert "\x1b" not in text
    assert "link.codat" not in text


def test_what_names_a_company_alone_can_be_written() -> None:
    """Not what two have, nor what a file can't hold in one line."""
    companies = tenant(
        a_company(A, "Acme", customerId="42"),
        a_company(B, "Acme", customerId="4\n3"),
        a_company(C, "Crux", x="1"),
    )

    assert usable_matches("tag:customerId", companies) == {A: TAG}
    assert usable_matches("name", companies) == {C: CompanyMatch("name", "Crux")}
