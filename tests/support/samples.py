"""The plans that the tests of the renderers show, and that they hold what those tests are about."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from codat_iac.model.connection import Address
from codat_iac.model.text import redact
from codat_iac.planning.decision import Cause, Decision, Field
from codat_iac.planning.plan import STEPS, Calls, Drifted, Link, Plan, Problem, Unmanaged, Waiting
from codat_iac.planning.plan.coverage import Coverage, Group, Kind, Tally, Uncovered
from codat_iac.planning.plan.unmanaged import OnUnmanaged
from codat_iac.planning.rule_table import Action

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine."""

NOW = datetime(2026, 11, 24, 11, 5, tzinfo=UTC)
OTP = "s3cr3t0tp"
URL = f"https://link-api.codat.io/companies/c/connections/d/start?otp={OTP}"
HOSTILE = (
    "<script>alert(1)</script> | `x` **y** [z](http://evil.example) @admin #1 \x1b[31m\u202e\nnext $a$ :x:"
)
"""What a company's name, or a status, could hold."""

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"


def an_id(number: int) -> str:
    """Return an id that is easy to tell from others."""
    return str(uuid.UUID(int=number))


def a_change(address: str = "acme/ledger", action: Action = Action.CREATE, **rest: Any) -> Decision:
    """Return a change, by default of an absent connection that the user declared."""
    given = {
        "cause": Cause.YOU,
        "company_id": COMPANY,
        "platform_key": "gbol",
        "status": "absent",
        **rest,
    }
    return Decision(Address(address), action, **given)


def a_waiting(number: int = 1, status: str = "PendingAuth", since: str = "2026-11-21T11:00:00Z") -> Waiting:
    """Return a waiting connection, by default since three days."""
    address = f"beta/c{number:05}"
    text = f"{address}: {status}, it waits for its customer to follow the link"
    return Waiting(Address(address), an_id(2), an_id(number), "suuo", status, since, text)


def an_unmanaged(number: int = 1, status: str = "Linked", company: str = "beta") -> Unmanaged:
    """Return an unmanaged connection."""
    return Unmanaged(an_id(2), an_id(number), "fztf", status, company)


def a_link(number: int = 1, **rest: str) -> Link:
    """Return a link."""
    given = {
        "address": f"acme/c{number}",
        "company": "Acme Ltd",
        "platform": "Xero",
        "status": "PendingAuth",
        "since": "2026-11-21T11:00:00Z",
        "url": URL,
        **rest,
    }
    return Link(Address(given.pop("address")), **given)


EVERY_STEP = (
    a_change("acme/bank", Action.ADOPT, status="PendingAuth", connection_id=an_id(11)),
    a_change("acme/books", Action.MOVE, status="Linked", connection_id=an_id(12), moved_from="acme/ledger"),
    a_change(
        "acme/cards",
        Action.UPDATE,
        status="Linked",
        connection_id=an_id(13),
        fields=(Field("onRemoval", "unlink", "delete"),),
    ),
    a_change(
        "acme/ledger",
        Action.MOVE,
        status="Linked",
        connection_id=an_id(14),
        moved_from="acme/ledger-2",
        later=True,
    ),
    a_change("acme/shop", platform_key="fztf"),
    a_change(
        "beta/ledger",
        Action.REPLACE,
        cause=Cause.BOTH,
        status="Linked",
        connection_id=an_id(21),
        removal=Action.UNLINK,
        fields=(Field("connectionId", None, an_id(22)), Field("platformKey", "gbol", "fztf")),
        losing=(an_id(21),),
    ),
    a_change(
        "beta/old",
        Action.REMOVE,
        status="Linked",
        platform_key="suuo",
        connection_id=an_id(23),
        removal=Action.DELETE,
        losing=(an_id(23),),
    ),
    a_change(
        "beta/older",
        Action.REMOVE,
        status="Unlinked",
        connection_id=an_id(24),
        removal=Action.FORGET,
        cause=Cause.BOTH,
    ),
    a_change(
        "beta/shop",
        Action.UNLINK,
        cause=Cause.THEY,
        status="Linked",
        connection_id=an_id(25),
        fields=(Field("status", "Linked", "Unlinked"),),
        losing=(an_id(25),),
    ),
)

EVERYTHING = Plan(
    changes=EVERY_STEP,
    waiting=(
        a_waiting(1),
        a_waiting(2, "Deauthorized", "2026-11-24T09:00:00.1234567Z"),
        a_waiting(3, "Unlinked", ""),
    ),
    unmanaged=(an_unmanaged(31), an_unmanaged(32, "PendingAuth", company="")),
    problems=(
        Problem(
            "acme/gone",
            "acme/gone: there is nothing to unlink, since it doesn't exist; declare it `Linked`, or take it"
            " out of the file",
        ),
    ),
    notes=("acme/odd: its status is 'Migrating', which codat-iac doesn't know, so it is left alone",),
    declared=12,
    recorded=14,
    calls=Calls(reads=9, writes=6, quota_left=986, quota_resets="2026-11-25T00:00:00Z"),
    refusal="would end 3 authorisations of 14 recorded connections (beta/ledger, beta/old, beta/shop), whose"
    " customers would have to authorise again; nothing is done. If you mean it, set CODAT_MAX_LOSSES=3 for"
    " this run",
    stack="dev",
    platforms={"gbol": "Xero"},
    companies={COMPANY: "Acme Ltd"},
)

COVERED = Coverage(
    companies_declared=2,
    companies_undeclared=1,
    connections=Tally(3, 1, 1, 2, 4),
    platforms=(Group("fztf", Tally(unmanaged=1, undeclared=2)), Group("gbol", Tally(3, 1, ignored=4))),
    statuses=(Group("Linked", Tally(3, 1, 1, 2, 4)),),
    tags=(Group("segment=lending", Tally(2, unmanaged=1)),),
    uncovered=(
        Uncovered(an_id(9), "Curb & Sons", an_id(33), "fztf", "Linked", Kind.UNDECLARED, OnUnmanaged.REPORT),
        Uncovered(an_id(9), "", an_id(34), "fztf", "Linked", Kind.UNDECLARED, OnUnmanaged.REPORT),
        Uncovered(COMPANY, "acme", an_id(35), "fztf", "Linked", Kind.UNMANAGED, OnUnmanaged.ERROR),
    ),
)
"""A tenant with connections of every kind."""

FORBIDDEN = (Problem("acme", "acme: nobody here manages some of its live connections"),)

DRIFTED = (
    Drifted(Address("acme/bank"), COMPANY, an_id(11), "suuo", "Linked", "Deauthorized"),
    Drifted(Address("acme/ledger"), COMPANY, an_id(12), "gbol", "Linked", "absent"),
    Drifted(Address("beta/shop"), an_id(2), an_id(25), "fztf", "Linked", "Deauthorized"),
)


def many(number: int = 10_000) -> Plan:
    """Return a plan with *number* changes of all kinds, three for each company, and as many waiting."""
    changes = []
    for index in range(number):
        like = EVERY_STEP[index % len(EVERY_STEP)]
        address = f"company-{index // 3:05}/c{index % 3}"
        changes.append(
            a_change(
                address,
                like.action,
                cause=like.cause,
                company_id=an_id(index // 3),
                status=like.status,
                connection_id=like.connection_id and an_id(100_000 + index),
                moved_from=like.moved_from,
                removal=like.removal,
                fields=like.fields,
                losing=(an_id(100_000 + index),) if like.loses else (),
                later=like.later,
            )
        )
    start = NOW - timedelta(minutes=number)
    waiting = [
        a_waiting(each, since=(start + timedelta(minutes=each)).isoformat()) for each in range(number // 10)
    ]
    return Plan(
        changes=tuple(changes),
        waiting=tuple(waiting),
        unmanaged=tuple(map(an_unmanaged, range(number // 10))),
        declared=number,
        recorded=number,
        calls=Calls(number, number, 986, "2026-11-25T00:00:00Z"),
    )


# Any text that Python can hold, half characters and terminal escapes included; but no link, since a
# rendering takes those out (which has its own test).
texts = st.one_of(
    st.sampled_from(["Linked", "PendingAuth", "", "absent", HOSTILE]),
    st.text(st.characters(), max_size=20),
).filter(lambda text: redact(text) == text)
addresses = texts.map(Address)
maybe = st.none() | texts
numbers = st.integers(0, 10**12)
fields = st.builds(Field, texts, maybe, maybe)
changes = st.builds(
    Decision,
    address=addresses,
    action=st.sampled_from(STEPS),
    cause=st.sampled_from(Cause),
    company_id=texts,
    platform_key=texts,
    status=texts,
    connection_id=maybe,
    moved_from=maybe,
    removal=st.sampled_from([Action.UNLINK, Action.DELETE, Action.FORGET, None]),
    fields=st.lists(fields, max_size=3).map(tuple),
    losing=st.lists(texts, max_size=3).map(tuple),
    later=st.booleans(),
)
tallies = st.builds(Tally, *([st.integers(0, 10**6)] * 5))
groups = st.lists(st.builds(Group, texts, tallies), max_size=2).map(tuple)
uncovereds = st.builds(
    Uncovered,
    texts,
    texts,
    texts,
    texts,
    texts,
    st.sampled_from([Kind.UNMANAGED, Kind.UNDECLARED]),
    st.sampled_from([OnUnmanaged.REPORT, OnUnmanaged.ERROR]),
)
coverages = st.builds(
    Coverage,
    complete=st.booleans(),
    companies_declared=numbers,
    companies_undeclared=numbers,
    connections=tallies,
    platforms=groups,
    statuses=groups,
    tags=groups,
    uncovered=st.lists(uncovereds, max_size=3).map(tuple),
)
dates = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
waitings = st.builds(Waiting, addresses, texts, texts, texts, texts, texts | dates, texts)
unmanageds = st.builds(Unmanaged, texts, texts, texts, texts, texts)
plans = st.builds(
    Plan,
    changes=st.lists(changes, max_size=4).map(tuple),
    waiting=st.lists(waitings, max_size=3).map(tuple),
    unmanaged=st.lists(unmanageds, max_size=3).map(tuple),
    problems=st.lists(st.builds(Problem, texts, texts), max_size=2).map(tuple),
    notes=st.lists(texts, max_size=2).map(tuple),
    declared=numbers,
    recorded=numbers,
    calls=st.builds(Calls, numbers, numbers, st.none() | numbers, maybe),
    refusal=maybe,
    stateless=st.booleans(),
    stack=maybe,
    coverage=st.none() | coverages,
    platforms=st.dictionaries(texts, texts, max_size=2),
    companies=st.dictionaries(texts, texts, max_size=2),
)
