"""Rules over tags: what they expand to, what they refuse, and who left them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.model.connection import (
    Address,
    Company,
    DesiredConnection,
    PriorConnection,
    Rule,
    RuleMark,
    Status,
)
from codat_iac.model.settings import Settings
from codat_iac.planning.moves import moves
from codat_iac.planning.safety_limits import Limit
from codat_iac.reconcile.companies.rules import (
    Effect,
    Expansion,
    Rules,
    effect,
    expand,
    leavers,
    left_their_tags,
    newcomers,
)
from tests.support.builders import a_desired, a_prior, an_id

A, B, C = an_id(0xA), an_id(0xB), an_id(0xC)

TAG = "segment=lending"


def a_company(company_id: str, **tags: str) -> Company:
    """A company in lending, with a customer's number."""
    return Company(company_id, f"Company {company_id[-1]}", tags={"segment": "lending", **tags})


def tenant(*companies: Company) -> dict[str, Company]:
    """The companies by id."""
    return {each.id: each for each in companies}


def a_rule(name: str = "lending", key: str | None = "customerId", tag: str = TAG, **platforms: str) -> Rule:
    """A rule with the connections *platforms*, by their keys; a ledger if there are none."""
    mark = RuleMark(name, key or "", tag)
    template = tuple(
        DesiredConnection(Address(f"rule:{name}/{each}"), "", platform, matched_by=str(mark))
        for each, platform in (platforms or {"ledger": "gbol"}).items()
    )
    return Rule(name, tag, key, template, ("c.yaml", 5, 3))


def made(
    address: str, company_id: str, rule: str = "lending", tag: str = TAG, **rest: Any
) -> DesiredConnection:
    """A connection of a rule."""
    return a_desired(
        address, company_id=company_id, matched_by=str(RuleMark(rule, "customerId", tag)), **rest
    )


def recorded(*desired: DesiredConnection) -> tuple[PriorConnection, ...]:
    """Each of them, recorded."""
    return tuple(a_prior(number, each) for number, each in enumerate(desired, 1))


def said(companies: dict[str, Company], *declared: DesiredConnection, **rest: Any) -> str:
    """Why the only rule isn't expanded."""
    [expansion] = expand([rest.pop("rule", a_rule())], companies, declared, rest.pop("recorded", ()))
    assert expansion.connections == ()
    [problem] = expansion.problems
    assert (problem.path, problem.line, problem.column) == ("c.yaml", 5, 3)
    return problem.message


def test_each_company_with_the_tag_gets_all_connections() -> None:
    """Under its own key, in lower case; others get nothing."""
    companies = tenant(
        a_company(A, customerId="42"),
        a_company(B, customerId="CUST-7"),
        Company(C, "Other", tags={"segment": "retail"}),
    )

    [expansion] = expand([a_rule(ledger="gbol", bank="suuo")], companies, (), ())

    assert [(each.address, each.company_id, each.platform_key) for each in expansion.connections] == [
        ("42/ledger", A, "gbol"),
        ("42/bank", A, "suuo"),
        ("cust-7/ledger", B, "gbol"),
        ("cust-7/bank", B, "suuo"),
    ]
    assert {each.matched_by for each in expansion.connections} == {"rule:lending:customerId:segment=lending"}
    assert expansion.companies == {A, B}


def test_without_a_key_a_company_is_named_by_its_id() -> None:
    """That can be half an address, too."""
    [expansion] = expand([a_rule(key=None)], tenant(a_company(A)), (), ())

    assert [each.address for each in expansion.connections] == [f"{A}/ledger"]


@pytest.mark.parametrize("tags", [{}, {"customerId": "4 2"}, {"customerId": "x" * 101}], ids=str)
def test_a_key_that_can_not_be_used_is_refused(tags: dict[str, str]) -> None:
    """The company is named."""
    assert said(tenant(a_company(A, **tags), a_company(B, customerId="7"))) == (
        f"rule lending: the tag customerId of {A} (Company a) is missing, or can't name a company in an"
        " address (letters, digits, '.', '_' and '-', at most 100); correct it in Codat, or leave `key:` out"
    )


def test_two_companies_of_one_key_are_refused() -> None:
    """Also if they differ in upper case only."""
    assert said(tenant(a_company(A, customerId="c42"), a_company(B, customerId="C42"))) == (
        f"rule lending: c42 is the key of {A} (Company a), {B} (Company b); leave it to one of them in Codat"
    )


@pytest.mark.parametrize(
    ("declared", "clash"),
    [
        (a_desired("acme/x", company_id=A, platform_key="suuo"), f"{A} (Company a) is declared as acme"),
        (a_desired("42/x", company_id=B), f"42 names another company than {A} (Company a)"),
        (a_desired("42/books", company_id=A), "42/books (gbol) is declared"),
        (a_desired("42/ledger", company_id=A, platform_key="suuo"), "42/ledger (suuo) is declared"),
    ],
    ids=["name", "key", "platform", "address"],
)
def test_what_is_declared_elsewhere_is_refused(declared: DesiredConnection, clash: str) -> None:
    """No customer is asked twice."""
    assert said(tenant(a_company(A, customerId="42")), declared) == (
        f"rule lending: {clash} elsewhere in the desired state; declare it once, under the key that the rule"
        " gives it"
    )


def test_more_of_a_rules_company_may_be_written_out() -> None:
    """Under the same key, on another platform."""
    more = a_desired("42/shop", company_id=A, platform_key="fztf")
    [expansion] = expand([a_rule()], tenant(a_company(A, customerId="42")), [more], ())

    assert expansion.problems == ()


def test_two_rules_do_not_ask_a_customer_twice() -> None:
    """The second one is refused."""
    first, second = expand(
        [a_rule("second", books="gbol"), a_rule("first")], tenant(a_company(A, customerId="42")), (), ()
    )

    assert (first.name, len(first.connections)) == ("first", 1)
    assert "42/ledger (gbol) is declared" in second.problems[0].message


def test_a_key_that_another_company_has_now_is_refused() -> None:
    """What is recorded at its addresses would go over to a stranger."""
    held = recorded(made("42/ledger", B))

    assert said(tenant(a_company(A, customerId="42"), Company(B, "B")), recorded=held) == (
        f"rule lending: 42 is the key of {A} (Company a), and recorded there is {B} (B); give the key back in"
        " Codat, or leave `key:` out for a run, which moves all of the rule to addresses by Codat's ids, and"
        " then put it in again"
    )


def expanded(
    rules: list[Rule],
    companies: dict[str, Company],
    priors: tuple[PriorConnection, ...],
    declared: tuple[DesiredConnection, ...] = (),
) -> Rules:
    """What rules come to."""
    return Rules(expand(rules, companies, declared, priors), left_their_tags(rules, companies, priors))


def test_without_its_key_a_rule_moves_what_it_has_and_then_back() -> None:
    """The way out that the refusal names, where customers' numbers have moved on."""
    companies = tenant(a_company(A, customerId="2"), a_company(B, customerId="3"))
    held = recorded(made("1/ledger", A), made("2/ledger", B))
    assert "2 is the key of" in said(companies, recorded=held)

    assert look(companies, [a_rule(key=None)], *held) == ([], [])

    moved = recorded(made(f"{A}/ledger", A), made(f"{B}/ledger", B))
    assert look(companies, [a_rule()], *moved) == ([], [])


def look(
    companies: dict[str, Company],
    rules: list[Rule],
    *priors: PriorConnection,
    declared: tuple[DesiredConnection, ...] = (),
) -> tuple[list[str], list[str]]:
    """The addresses of who left, and of who is new."""
    found = expanded(rules, companies, priors, declared)
    assert [each.problems for each in found.expansions] == [()] * len(rules)
    everything = [*declared, *(each for rule in found.expansions for each in rule.connections)]
    moved = moves(everything, priors)
    left = leavers(found, everything, priors, moved)
    new = newcomers(everything, priors, moved)
    return [each.address for each in left], [each.address for each in new]


def test_who_lost_the_tag_or_is_gone_has_left() -> None:
    """Who stays is neither new nor gone."""
    companies = tenant(a_company(A, customerId="1"), Company(B, "B", tags={"customerId": "2"}))
    priors = recorded(made("1/ledger", A), made("2/ledger", B), made("3/ledger", C))

    assert look(companies, [a_rule()], *priors) == (["2/ledger", "3/ledger"], [])


def test_what_is_taken_out_of_the_rule_has_not_left() -> None:
    """Somebody edited the file."""
    companies = tenant(a_company(A, customerId="1"))
    priors = recorded(made("1/ledger", A), made("1/shop", A, platform_key="fztf"))

    assert look(companies, [a_rule()], *priors) == ([], [])


def test_a_company_that_got_another_key_has_not_left() -> None:
    """Its connection moves to the new address."""
    companies = tenant(a_company(A, customerId="new"))

    assert look(companies, [a_rule()], *recorded(made("old/ledger", A))) == ([], [])


def test_a_rule_that_is_taken_out_lets_nobody_leave() -> None:
    """Without rules, and beside another rule: what is removed is what somebody took out."""
    priors = recorded(made("1/ledger", A))

    assert look(tenant(), [], *priors) == ([], [])
    assert look(tenant(a_company(A)), [a_rule("other", tag="segment=retail")], *priors) == ([], [])


def two(*, left: dict[str, str], stays: dict[str, str] | None = None) -> dict[str, Company]:
    """Company A as it was, or with other tags, and B with the tags that it has now."""
    kept = {"segment": "lending", "all": "yes"} if stays is None else stays
    return {
        A: Company(A, "A", tags={"customerId": "1", **kept}),
        B: Company(B, "B", tags={"customerId": "2", **left}),
    }


LEDGERS = recorded(made("1/ledger", A), made("2/ledger", B))
BOTH = recorded(
    made("1/ledger", A),
    made("1/shop", A, platform_key="fztf"),
    made("2/ledger", B),
    made("2/shop", B, platform_key="fztf"),
)
ALL, RETAIL = {"all": "yes"}, {"segment": "retail"}


@pytest.mark.parametrize(
    ("priors", "companies", "rules"),
    [
        pytest.param(LEDGERS, two(left={}), [a_rule()], id="nothing else"),
        pytest.param(LEDGERS, two(left={}), [a_rule("renamed")], id="the rule is renamed"),
        pytest.param(
            recorded(made("1/ledger", A, "renamed"), made("2/ledger", B)),
            two(left={}),
            [a_rule("renamed")],
            id="it was renamed, and that is recorded in part",
        ),
        pytest.param(
            BOTH,
            two(left=ALL),
            [a_rule("b"), a_rule("c", tag="all=yes", shop="fztf")],
            id="it is split in two, of which one finds all",
        ),
        pytest.param(
            BOTH,
            two(left=ALL),
            [a_rule("b"), a_rule("lending", tag="all=yes", shop="fztf")],
            id="and that one keeps the name",
        ),
        pytest.param(
            LEDGERS,
            two(left=RETAIL),
            [a_rule("b"), a_rule("lending", tag="segment=retail", shop="fztf")],
            id="its name goes to another rule, which finds the company",
        ),
        pytest.param(
            LEDGERS, two(left={}), [a_rule("b", tag="all=yes")], id="it is merged into a broader one"
        ),
        pytest.param(
            LEDGERS,
            two(left=RETAIL),
            [a_rule(), a_rule("retail", tag="segment=retail", ledger="qhyg")],
            id="another rule replaces what it has",
        ),
    ],
)
def test_who_lost_the_tag_in_codat_has_left_whatever_the_file_does(
    priors: tuple[PriorConnection, ...], companies: dict[str, Company], rules: list[Rule]
) -> None:
    """By the tag that is recorded, and not by the names that rules have now; a reader lost one by each."""
    left, _ = look(companies, rules, *priors)

    assert "2/ledger" in left
    assert not any(each.startswith("1/") for each in left)


def test_an_old_half_says_nothing_of_who_goes_on_at_its_address() -> None:
    """Another rule finds the company and goes on with what it has; only the old half differs."""
    now, old = recorded(made("2/ledger", B), made("2/ledger", B, platform_key="qhyg"))
    old = dataclasses.replace(old, pending_removal=True)

    assert look(two(left=RETAIL), [a_rule("retail", tag="segment=retail")], now, old)[0] == []


def test_a_tag_that_brings_a_company_to_a_rule_that_unlinks_ends_nothing_unasked() -> None:
    """Somebody gave it another tag in Codat, and the file is what it was."""
    blocked = a_rule("blocked", tag="segment=retail")
    template = tuple(dataclasses.replace(each, status=Status.UNLINKED) for each in blocked.connections)
    rules = [a_rule(), dataclasses.replace(blocked, connections=template)]

    assert look(two(left=RETAIL), rules, *LEDGERS)[0] == ["2/ledger"]
    assert look(two(left={"segment": "lending"}), [rules[1]], *LEDGERS)[0] == []


def test_the_notes_count_who_left_by_tag_and_by_name() -> None:
    """Also under another name."""
    companies = two(left={}, stays={})
    priors = recorded(made("1/ledger", A), made("2/ledger", B, "other", tag="segment=retail"))
    found = expanded([a_rule("renamed"), a_rule("other", tag="all=yes")], companies, priors)

    told = effect(found, (), priors, moves((), priors), Settings("key"))

    assert [note.partition("new; ")[2] for note in told.notes] == ["1 left the tag"] * 2
    assert told.exceeded == {Limit.LEAVERS: 2}


def test_a_tag_that_is_edited_to_one_that_they_have_not_lets_nobody_leave_unasked() -> None:
    """It may be mistyped; under another name it is another rule, and the old one was taken out."""
    companies = two(left={"segment": "lending"}, stays={"segment": "lending"})

    assert look(companies, [a_rule(tag="segment=lendign")], *LEDGERS)[0] == ["1/ledger", "2/ledger"]
    assert look(companies, [a_rule("other", tag="segment=retail")], *LEDGERS)[0] == []


def test_what_a_version_before_recorded_has_the_tag_of_the_rule_of_its_name() -> None:
    """It recorded the name alone; without such a rule nobody knows the tag, so they have left."""
    old = recorded(
        *(
            a_desired(f"{number}/ledger", company_id=each, matched_by="rule:lending")
            for number, each in ((1, A), (2, B))
        )
    )

    assert look(two(left={}), [a_rule()], *old)[0] == ["2/ledger"]
    assert look(two(left={}, stays={}), [a_rule("renamed")], *old)[0] == ["1/ledger", "2/ledger"]


def test_what_is_written_out_ends_as_that_says() -> None:
    """Somebody wrote each line of it."""
    mine = (a_desired("2/ledger", company_id=B, status=Status.UNLINKED),)

    assert look(two(left={}), [a_rule()], *LEDGERS, declared=mine)[0] == []


@pytest.mark.parametrize("value", ["2", "CUST-2"])
def test_a_key_that_was_a_match_of_another_company_is_refused(value: str) -> None:
    """The tag moved to a stranger as the block became a rule; the way out keeps what is recorded."""
    held = recorded(a_desired("acme/ledger", company_id=B, matched_by=f"tag:customerId={value}"))
    companies = tenant(a_company(A, customerId=value), Company(B, "Acme"))

    assert said(companies, recorded=held) == (
        f"rule lending: {value.lower()} is the key of {A} (Company a), and recorded by that tag is {B}"
        " (Acme); give the tag back in Codat, or write that company out under `companies:` with its `id:`,"
        " which keeps its connections"
    )
    mine = (a_desired("acme/ledger", company_id=B),)
    assert look(companies, [a_rule()], *held, declared=mine) == ([], [f"{value.lower()}/ledger"])


def test_who_leaves_a_rule_that_is_renamed_has_left_all_the_same() -> None:
    """The rule goes on under its new name."""
    companies = tenant(a_company(A, customerId="1"))
    priors = recorded(made("1/ledger", A), made("2/ledger", B))

    assert look(companies, [a_rule("renamed")], *priors) == (["2/ledger"], [])


def test_who_left_one_of_two_rules_has_left_that_one() -> None:
    """The other rule's tag says nothing about what this rule made."""
    companies = tenant(
        dataclasses.replace(a_company(A, customerId="1"), tags={"customerId": "1", "tier": "vip"})
    )
    vip = a_rule("vip", tag="tier=vip", shop="fztf")
    priors = recorded(made("1/ledger", A), made("1/shop", A, "vip", "tier=vip", platform_key="fztf"))

    assert look(companies, [a_rule(), vip], *priors) == (["1/ledger"], [])


def test_a_connection_that_is_replaced_is_asked_for_anew() -> None:
    """Its customer must authorise it again, as a new one."""
    companies = tenant(a_company(A, customerId="1"))

    assert look(companies, [a_rule(ledger="qhyg")], *recorded(made("1/ledger", A))) == ([], ["1/ledger"])


def test_who_is_written_out_instead_has_not_left() -> None:
    """It stays declared; what somebody wrote out is not new by a rule either."""
    mine = (a_desired("acme/ledger", company_id=A), a_desired("bolt/ledger", company_id=B))

    assert look(tenant(), [a_rule()], *recorded(made("1/ledger", A)), declared=mine) == ([], [])


def test_an_old_half_neither_leaves_nor_stands_for_a_new_one() -> None:
    """It is removed in any case."""
    companies = tenant(a_company(A, customerId="1"))
    old = dataclasses.replace(recorded(made("1/ledger", A))[0], pending_removal=True)
    gone = dataclasses.replace(recorded(made("2/ledger", B))[0], pending_removal=True)

    found = expanded([a_rule()], companies, (old, gone))
    declared = found.expansions[0].connections
    moved = moves(declared, ())

    assert leavers(found, declared, (old, gone), moved) == ()
    assert newcomers(declared, (old, gone), moved) == declared


def an_effect(*priors: PriorConnection, chosen: set[str] | None = None, **settings: Any) -> Effect:
    """What a rule over 11 companies does."""
    companies = tenant(*(a_company(an_id(number), customerId=str(number)) for number in range(1, 12)))
    found = expanded([a_rule()], companies, priors)
    declared = found.expansions[0].connections
    return effect(found, declared, priors, moves(declared, priors), Settings("key", **settings), chosen)


def test_a_run_says_what_its_rules_do() -> None:
    """With counts."""
    priors = recorded(made("1/ledger", an_id(1)), made("99/ledger", an_id(99)))

    assert an_effect(*priors).notes == (
        "rule lending: segment=lending is on 11 companies: 11 connections, 10 of them new; 1 left the tag",
    )


def test_a_rule_of_one_company_says_one() -> None:
    """As everywhere."""
    found = expanded([a_rule()], tenant(a_company(A, customerId="1")), ())
    (note,) = effect(found, (), (), moves((), ()), Settings("key")).notes

    assert (
        note == "rule lending: segment=lending is on 1 company: 1 connection, 0 of them new; 0 left the tag"
    )


def test_a_wrong_tag_invites_no_thousand_customers() -> None:
    """Ten at a time, or what is allowed in this run."""
    [refusal] = an_effect().refusals

    assert refusal.startswith(
        "the rules would make 11 new connections (1/ledger, 10/ledger, 11/ledger, 2/ledger,"
    )
    assert refusal.endswith("If you mean it, set CODAT_MAX_CREATES=11 for this run")
    assert an_effect().exceeded == {Limit.CREATES: 11}
    assert an_effect(max_creates=11).refusals == ()
    assert an_effect(max_creates=11).exceeded == {}
    assert "would make 11" in an_effect(max_creates=0).refusals[0]
    assert an_effect(*recorded(made("1/ledger", an_id(1)))).refusals == ()
    assert an_effect(chosen={"1/ledger"}).refusals == ()


def test_who_leaves_is_let_go_only_if_that_is_said() -> None:
    """In this run."""
    left = recorded(made("1/ledger", an_id(1)), made("99/ledger", an_id(99)))

    [refusal] = an_effect(*left).refusals

    assert refusal == (
        "1 connection of rules would end (99/ledger), since their companies haven't the tag of their rule in"
        " Codat any more; nothing is done. Give the tag back there, or correct the rule's, or, if they are to"
        " go, set CODAT_ACCEPT_LEAVERS=true for this run"
    )
    assert an_effect(*left).exceeded == {Limit.LEAVERS: 1}
    assert an_effect(*left, accept_leavers=True).refusals == ()
    assert an_effect(*left, chosen={"1/ledger"}).refusals == ()


@given(name=st.from_regex(r"[a-z0-9._-]{1,9}", fullmatch=True), key=st.text(), tag=st.text(min_size=1))
def test_a_mark_is_read_as_it_was_written(name: str, key: str, tag: str) -> None:
    """Whatever tags are called in Codat."""
    mark = RuleMark(name, key, tag)

    assert RuleMark.of(a_desired(matched_by=str(mark))) == mark


def test_no_rules_no_effect() -> None:
    """Nothing is said."""
    assert effect(Rules(), (), (), moves((), ()), Settings("key")) == Effect()
    assert Expansion("a", "b=c").companies == frozenset()
