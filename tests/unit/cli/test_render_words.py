"""Ages, counts and sentences, as all formats say them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.cli.render import words
from codat_iac.model.errors import FileProblem
from codat_iac.planning.decision import Cause, Decision
from codat_iac.planning.notices import Notice
from codat_iac.planning.plan import Calls, Plan
from codat_iac.planning.rule_table import Action
from tests.support.samples import DRIFTED, EVERYTHING, NOW, a_change, a_waiting, an_unmanaged


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("2026-11-24T11:05:00Z", "1 minute"),
        ("2026-11-24T10:04:01Z", "60 minutes"),
        ("2026-11-24T09:05:00Z", "2 hours"),
        ("2026-11-22T11:05:01Z", "47 hours"),
        ("2026-11-22T11:05:00Z", "2 days"),
        ("2023-01-01", "1,423 days"),
        ("2026-11-21T11:05:00.6464237Z", "2 days"),
        ("2026-11-21T11:05:00", "3 days"),
        ("2026-11-21T13:05:00+02:00", "3 days"),
        (" 2026-11-21T11:05:00Z ", "3 days"),
        ("2026-11-25T11:00:00Z", "1 minute"),
        ("2026-11-25T11:06:00Z", "-"),
        ("2027-01-01T00:00:00Z", "-"),
        ("9999-12-31T23:59:59.9999999", "-"),
        ("0001-01-01T00:00:00", "-"),
        ("0001-01-01T00:00:00+14:00", "-"),
        ("1999-12-31T23:59:59Z", "-"),
        ("", "-"),
        ("yesterday", "-"),
        ("\x1b[31m", "-"),
    ],
)
def test_an_age_is_said_the_way_people_do(since: str, said: str) -> None:
    """With every form of date that Codat documents; what can't be read or can't be true has none."""
    assert words.age(since, NOW) == said


@given(
    since=st.text() | st.datetimes(timezones=st.none() | st.timezones()).map(datetime.isoformat),
    now=st.datetimes(timezones=st.just(UTC)),
)
def test_any_date_has_an_age(since: str, now: datetime) -> None:
    """Nothing that Codat writes there stops a plan."""
    assert words.age(since, now)


def test_a_moment_is_written_in_utc_wherever_it_was_taken() -> None:
    """A plan that was made in Tokyo says the same."""
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))

    assert words.timestamp(tokyo) == "2026-11-24T11:05:00Z"
    assert words.human_time(tokyo) == "11:05 UTC on 24 November 2026"


def test_what_broke_last_comes_first() -> None:
    """Before what was never authorised, the oldest of that first; of each, the undated last."""
    waiting = [
        a_waiting(1, since="2026-11-20", status="PendingAuth"),
        a_waiting(2, since="0001-01-01T00:00:00", status="PendingAuth"),
        a_waiting(3, since="2026-11-19", status="PendingAuth"),
        a_waiting(4, since="", status="Unlinked"),
        a_waiting(5, since="2026-11-23T00:00:00Z", status="Deauthorized"),
        a_waiting(6, since="9999-12-31", status="Deauthorized"),
        a_waiting(7, since="2026-11-24T00:00:00Z", status="Unlinked"),
    ]

    sorted_ = words.newest_breaks_first(waiting, NOW)
    assert [each.connection_id[-1] for each in sorted_] == ["7", "5", "4", "6", "3", "1", "2"]


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (Calls(), "An apply makes no call to Codat."),
        (Calls(1, 1), "An apply makes 2 calls (1 read, 1 write)."),
        (Calls(0, 1, 1), "An apply makes 1 call (0 reads, 1 write); 1 is left of today's quota."),
        (
            Calls(1000, 1, 1001),
            "An apply makes 1,001 calls (1,000 reads, 1 write); 1,001 are left of today's",
        ),
        (
            Calls(2, 0, 1, "2026-11-25T00:00:00Z"),
            "MORE than the 1 left of today's quota, which resets at 00:00 UTC on 25 November 2026.",
        ),
        (Calls(1, 0, 9, "1795478400"), "which resets at 00:00 UTC on 24 November 2026."),
        (Calls(1, 0, 9, "at midnight\x1b[0m"), "which resets at at midnight [0m."),
    ],
)
def test_the_forecast_says_the_calls_and_what_is_left(calls: Calls, said: str) -> None:
    """The form of the reset is Codat's secret, so each is coped with."""
    assert said in words.forecast(Plan(changes=(a_change(),), calls=calls))


def test_a_plan_without_changes_forecasts_nothing() -> None:
    """An apply would not run."""
    assert words.forecast(Plan(calls=Calls(5, 5, 5))) == ""


@pytest.mark.parametrize(
    ("action", "removal", "said"),
    [
        (Action.REMOVE, Action.UNLINK, "the connection is unlinked"),
        (Action.REMOVE, Action.DELETE, "the connection is deleted"),
        (Action.REMOVE, Action.FORGET, "the connection is removed from our records and stays in Codat"),
        (Action.REPLACE, Action.UNLINK, "the old one is unlinked"),
    ],
)
def test_what_the_old_one_comes_to_is_said_in_words(action: Action, removal: Action, said: str) -> None:
    """Of a removal it is the connection itself."""
    change = a_change(action=action, removal=removal, status="Linked", becomes="x")

    assert words.consequences(change)[1:] == [said]


def test_what_has_to_wait_says_that_it_comes_in_a_second_run() -> None:
    """And why: an engine can't give one name to two resources at once."""
    change = a_change(action=Action.MOVE, moved_from="my:Shop$type::acme/books", later=True)

    assert words.consequences(change) == [
        "changed in your file",
        "was my:Shop$type::acme/books",
        "comes in a second run, since its name is taken until then",
    ]


def test_a_cell_is_one_short_line_and_a_dash_where_there_is_nothing() -> None:
    """Whatever a status, a key or a name holds."""
    assert words.fit(None) == words.fit("") == words.fit(" ") == words.fit("\x1b") == "-"
    assert words.fit(" a\nb\x1b[1m ") == "a b [1m"
    assert len(words.fit("é" * 1000)) == 303


def test_a_sentence_of_ours_is_never_cut() -> None:
    """Its end says what to do."""
    long = "would lose: " + "é " * 500 + "refused"

    assert words.sentence(long).endswith("refused")
    assert words.sentence(" plain ") == "plain"


def test_the_address_is_said_once() -> None:
    """A notice begins with it, and so does its row."""
    waiting = a_waiting(1)

    assert words.statement(waiting) == "it waits for its customer to follow the link"
    assert (
        words.statement(dataclasses.replace(waiting, text="Unlinked by somebody")) == "Unlinked by somebody"
    )
    assert words.without_address("a/b", "a/b: gone") == "gone"


def test_of_many_kinds_the_most_frequent_are_counted() -> None:
    """A hostile tenant could have a status of its own for each connection."""
    statuses = ["Linked", "Linked", "f", "e", "d", "c", "b", "a"]
    unmanaged = [an_unmanaged(index, status) for index, status in enumerate(statuses)]

    assert words.count_statuses(unmanaged) == "2 Linked, 1 a, 1 b, 1 c, 1 d and 2 more"


def test_drift_is_summed_up_in_one_line() -> None:
    """With what moved whither."""
    assert words.drift_summary(DRIFTED) == (
        "Drift: 3 connections are not as recorded: 2 Linked -> Deauthorized, 1 Linked -> absent."
    )
    assert words.drift_summary(DRIFTED[:1]) == (
        "Drift: 1 connection is not as recorded: 1 Linked -> Deauthorized."
    )


def test_links_are_counted() -> None:
    """One, and many."""
    assert words.links_summary(1) == "1 connection waits for a customer."
    assert words.links_summary(2000) == "2,000 connections wait for a customer."


def test_a_company_is_named_as_the_file_names_it_or_else_by_its_id() -> None:
    """An id tells people little."""
    assert words.company_of(EVERYTHING.unmanaged[0]) == "beta"
    assert words.company_of(EVERYTHING.unmanaged[1]) == "00000000-0000-0000-0000-000000000002"


def test_the_companies_of_a_group_are_named_once_each() -> None:
    """A changed company id puts two under one name."""
    changes = [a_change(), a_change(), a_change(company_id="other")]

    assert words.company_ids(changes) == "8a210b68-6988-11ed-a1eb-0242ac120002, other"


def test_a_problem_says_where_it_is_where_it_has_a_place() -> None:
    """As the error message does."""
    assert words.place(FileProblem("a.yaml", 2, 3, "x")) == "a.yaml, line 2, column 3"
    assert words.place(FileProblem("a.yaml", 0, 0, "x")) == "a.yaml"
    assert words.place(FileProblem("", 0, 0, "x")) == ""


def test_a_link_is_given_whole_but_for_what_can_do_harm() -> None:
    """Its one-time password included; control characters and quotes are percent-encoded."""
    assert words.safe_url("https://x/a%20b?otp=A-b_c~d.e&x=[1]#y") == (
        "https://x/a%20b?otp=A-b_c~d.e&x=[1]#y"
    )
    assert words.safe_url(' https://x/\x1b[1m"<é\u202e ') == ("https://x/%1B[1m%22%3C%C3%A9%E2%80%AE")


def test_only_what_was_made_or_taken_over_waiting_gets_a_link() -> None:
    """What failed isn't there, and what was taken over Linked needs nobody."""
    plan = Plan(
        changes=(
            a_change("acme/made"),
            a_change("acme/failed"),
            a_change("acme/adopted", Action.ADOPT, becomes="x", notice=Notice.WAITING),
            a_change("acme/linked", Action.ADOPT, becomes="y"),
            a_change("acme/again", Action.REPLACE),
        )
    )
    done = {"acme/made", "acme/adopted", "acme/linked", "acme/again"}

    assert words.made_to_wait(plan, done) == 3
    assert words.links_to_send(1, None) == (
        "1 new connection waits for its customer; send the link now: `codat-iac links`."
    )
    assert words.links_to_send(1200, "prod") == (
        "1,200 new connections wait for their customers; send the links now: `codat-iac links --stack prod`."
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (a_change(action=Action.CREATE), "new in your file"),
        (a_change(action=Action.ADOPT), "new in your file"),
        (a_change(action=Action.REMOVE, status="Linked"), "no longer in your file"),
        (a_change(action=Action.UPDATE, status="Linked"), "changed in your file"),
        (a_change(action=Action.UNLINK, cause=Cause.THEY, status="Linked"), "changed in Codat"),
        (a_change(action=Action.REPLACE, cause=Cause.THEY), "deleted in Codat"),
        (
            a_change(action=Action.REMOVE, cause=Cause.BOTH),
            "no longer in your file, and deleted in Codat",
        ),
    ],
)
def test_who_brought_a_change_about_is_said_in_plain_words(change: Decision, said: str) -> None:
    """A first create changes nothing that was there."""
    assert words.cause(change) == said


def test_names_are_said_where_they_are_known() -> None:
    """And keys and ids where they aren't."""
    plan = Plan(stack="dev", declared=1, platforms={"gbol": "Xero"}, companies={"c": "Acme Ltd"})

    assert words.platform("gbol", plan) == "Xero (gbol)"
    assert words.platform("fztf", plan) == "fztf"
    assert words.company_names([a_change(company_id="c"), a_change(company_id="c")], plan) == "Acme Ltd"
    assert words.company_names([a_change()], plan) == ""
    assert words.stack_summary(plan) == "Stack dev: 1 connection declared, 0 recorded."
    assert words.stack_summary(Plan()) == ""
