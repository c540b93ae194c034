"""How much of a tenant is managed, and what the policy for the rest makes of a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.model.connection import Company
from codat_iac.planning.plan import Plan, Problem
from codat_iac.planning.plan.coverage import Coverage, Group, Kind, Known, Tally, Uncovered, measure
from codat_iac.planning.plan.enforcement import notes, obey, problems
from codat_iac.planning.plan.unmanaged import OnUnmanaged, UnmanagedPolicy, folded_tag
from tests.support.builders import COMPANY, a_live, an_id
from tests.support.samples import an_unmanaged

OTHER = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
IGNORE, REPORT, ERROR = OnUnmanaged.IGNORE, OnUnmanaged.REPORT, OnUnmanaged.ERROR


def a_company(
    number: int, *connections: int, company_id: str = OTHER, tags: Mapping[str, str] | None = None
) -> Company:
    """A company with Linked connections of these numbers."""
    live = [dataclasses.replace(a_live(each), company_id=company_id) for each in connections]
    return Company(company_id, f"Company {number}", tuple(live), dict(tags or {}))


TENANT = (
    a_company(1, 1, 2, 3, company_id=COMPANY, tags={"segment": "lending", "region": "uk"}),
    a_company(2, 4, tags={"segment": "demo"}),
    Company(an_id(99), "Empty"),
)
KNOWN = Known({an_id(1)}, {an_id(2)}, {COMPANY: "acme"})


def test_every_connection_is_counted_once() -> None:
    """As what it is to us; companies count with connections or without."""
    found = measure(TENANT, KNOWN, UnmanagedPolicy())

    assert found == Coverage(
        complete=True,
        companies_declared=1,
        companies_undeclared=2,
        connections=Tally(1, 1, 1, 1),
        platforms=(Group("gbol", Tally(1, 1, 1, 1)),),
        statuses=(Group("Linked", Tally(1, 1, 1, 1)),),
        tags=(
            Group("region=uk", Tally(1, 1, 1)),
            Group("segment=demo", Tally(undeclared=1)),
            Group("segment=lending", Tally(1, 1, 1)),
        ),
        uncovered=(
            Uncovered(OTHER, "Company 2", an_id(4), "gbol", "Linked", Kind.UNDECLARED, REPORT),
            Uncovered(COMPANY, "acme", an_id(3), "gbol", "Linked", Kind.UNMANAGED, REPORT),
        ),
    )
    assert not measure(TENANT, KNOWN, UnmanagedPolicy(), complete=False).complete


def test_what_is_ignored_is_hidden_and_counted_apart() -> None:
    """What is managed stays so, whatever the tag of its company says."""
    found = measure(TENANT, KNOWN, UnmanagedPolicy(ERROR, {"segment=lending": IGNORE}))

    assert found.connections == Tally(1, 1, undeclared=1, ignored=1)
    assert [(each.connection_id, each.policy) for each in found.uncovered] == [(an_id(4), ERROR)]


def test_the_worst_group_comes_first_and_a_platform_may_have_no_name() -> None:
    """Where there is the most to do."""
    live = [a_live(1), a_live(2, platform_key=None), a_live(3, platform_key="suuo"), a_live(4, "Odd")]
    found = measure([Company(COMPANY, "", tuple(live))], Known({an_id(3)}, (), {}), UnmanagedPolicy())

    assert [each.name for each in found.platforms] == ["gbol", "", "suuo"]
    assert [each.name for each in found.statuses] == ["Linked", "Odd"]


@pytest.mark.parametrize(
    ("tally", "percent"),
    [
        (Tally(), 100.0),
        (Tally(ignored=3), 100.0),
        (Tally(managed=1999, undeclared=1), 99.9),
        (Tally(managed=1, declared=1, unmanaged=1), 66.6),
        (Tally(unmanaged=5), 0.0),
    ],
)
def test_a_share_is_rounded_down(tally: Tally, percent: float) -> None:
    """100 % is said only of what is covered whole."""
    assert tally.percent == percent


def test_a_share_is_compared_exactly() -> None:
    """And not as it is shown."""
    third = Tally(managed=1, unmanaged=2)
    assert (third.reaches(33.33), third.reaches(33.34), third.reaches(0)) == (True, False, True)
    assert Tally(declared=1).reaches(100)
    assert Tally(ignored=1).reaches(100)
    assert not Tally(managed=10**9 - 1, undeclared=1).reaches(100)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.sampled_from(OnUnmanaged))))
def test_nothing_is_counted_twice_or_lost(rows: list[tuple[bool, bool, bool, OnUnmanaged]]) -> None:
    """Whatever is known of it."""
    tenant = [
        a_company(n, n, company_id=an_id(1000 + n), tags={"p": str(policy)})
        for n, (_, _, _, policy) in enumerate(rows)
    ]
    known = Known(
        {an_id(n) for n, row in enumerate(rows) if row[0]},
        {an_id(n) for n, row in enumerate(rows) if row[1]},
        {an_id(1000 + n): f"c{n}" for n, row in enumerate(rows) if row[2]},
    )
    policy = UnmanagedPolicy(REPORT, {f"p={each}": each for each in OnUnmanaged})
    found = measure(tenant, known, policy)

    assert found.connections.total + found.connections.ignored == len(rows)
    assert found.connections.total - found.connections.covered == len(found.uncovered)
    assert all(each.policy is not IGNORE for each in found.uncovered)
    assert sum(group.connections.total for group in found.tags) == found.connections.total


# The policy.


@pytest.mark.parametrize(
    ("tags", "policy"),
    [
        ({}, REPORT),
        ({"segment": "other"}, REPORT),
        ({"Segment": "DEMO"}, IGNORE),
        ({" segment ": " demo "}, IGNORE),
        ({"segment": "demo", "vip": "yes"}, ERROR),
        ({"segment": "demo", "eye": "on"}, REPORT),
        ({"a": "b=c"}, ERROR),
    ],
)
def test_a_tag_goes_before_the_tenant_and_the_strictest_of_the_tags_holds(
    tags: dict[str, str], policy: OnUnmanaged
) -> None:
    """So the order in which they are written doesn't matter."""
    by_tag = {"segment=demo": IGNORE, "vip=yes": ERROR, "eye=on": REPORT, "a=b=c": ERROR}

    assert UnmanagedPolicy(REPORT, by_tag).of(tags) is policy


def test_tags_are_compared_without_case_and_space() -> None:
    """As Codat's own queries do."""
    assert folded_tag(" Segment = LENDING ") == "segment=lending"


@pytest.mark.parametrize(
    ("policy", "needs_tenant", "demands"),
    [
        (UnmanagedPolicy(), False, False),
        (UnmanagedPolicy(IGNORE), False, False),
        (UnmanagedPolicy(ERROR), True, True),
        (UnmanagedPolicy(REPORT, {"a=b": IGNORE}), True, False),
        (UnmanagedPolicy(IGNORE, {"a=b": ERROR}), True, True),
    ],
)
def test_what_it_takes_to_obey(policy: UnmanagedPolicy, needs_tenant: bool, demands: bool) -> None:
    """The whole tenant, where tags matter or nothing may be left over."""
    assert (policy.needs_tenant, policy.demands) == (needs_tenant, demands)


FORBIDS = (
    "nobody here manages some of its live connections, which `unmanaged: error` forbids; `codat-iac import"
    " --new` brings them in; or let `unmanaged`, or `unmanagedByTag` for a tag of the company, be report or"
    " ignore"
)
UNCHECKED = Problem(
    "tenant",
    "tenant: companies came or went while the tenant was read, so what is said of it may lack some or hold"
    " some that are gone, and `unmanaged: error` can't be checked; run again when it is at rest",
)


def test_what_is_an_error_is_a_problem_for_each_company() -> None:
    """Its key, or else its id, and what to do."""
    policy = UnmanagedPolicy(ERROR)
    found = measure([*TENANT, a_company(3, 5, 6, company_id=an_id(7))], KNOWN, policy)

    assert problems(found, policy) == (
        Problem(OTHER, f"{OTHER}: {FORBIDS}"),
        Problem(an_id(7), f"{an_id(7)}: {FORBIDS}"),
        Problem("acme", f"acme: {FORBIDS}"),
    )
    assert problems(measure(TENANT, KNOWN, UnmanagedPolicy()), UnmanagedPolicy()) == ()


def test_an_error_that_cannot_be_checked_is_an_error() -> None:
    """Nothing is called fine that isn't known; where nothing may be an error, a note is enough."""
    moving = Coverage(complete=False)

    assert problems(moving, UnmanagedPolicy(IGNORE, {"a=b": ERROR})) == (UNCHECKED,)
    assert problems(moving, UnmanagedPolicy()) == ()
    assert notes(Coverage()) == ()
    assert notes(moving)[0].startswith("companies came or went while the tenant was read")


BETA, GAMMA = an_id(2), an_id(3)
PLAN = Plan(
    unmanaged=(an_unmanaged(31), dataclasses.replace(an_unmanaged(32, company="gamma"), company_id=GAMMA)),
    problems=(Problem("a/b", "a/b: bad"),),
    notes=("a note",),
)


def test_a_plan_hides_what_is_ignored_and_refuses_what_is_an_error() -> None:
    """Company by company, by their tags."""
    policy = UnmanagedPolicy(ERROR, {"t=x": IGNORE})

    made = obey(PLAN, policy, {BETA: {"T": "x"}})

    assert made.unmanaged == PLAN.unmanaged[1:]
    assert made.problems == (*PLAN.problems, Problem("gamma", f"gamma: {FORBIDS}"))
    assert made.exit_code == 1
    assert made.notes == PLAN.notes
    assert obey(PLAN, UnmanagedPolicy(), {}) == PLAN
    assert obey(PLAN, UnmanagedPolicy(IGNORE), {}) == dataclasses.replace(PLAN, unmanaged=())


def test_a_plan_of_the_whole_tenant_counts_companies_that_nobody_declares() -> None:
    """What the plan itself found of declared ones isn't told twice."""
    policy = UnmanagedPolicy(REPORT, {"segment=demo": ERROR, "segment=lending": ERROR})
    found = measure(TENANT, KNOWN, policy)

    made = obey(Plan(), policy, {}, found)

    assert made.problems == (Problem(OTHER, f"{OTHER}: {FORBIDS}"),)
    moving = obey(PLAN, policy, {}, Coverage(complete=False))
    assert moving.problems[-1] == UNCHECKED
    assert moving.notes == ("a note", *notes(Coverage(complete=False)))
