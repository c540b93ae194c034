"""The rule table, cell by cell, and what is said and counted beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.model.connection import (
    ABSENT,
    Address,
    DataConnectionError,
    Integration,
    LiveConnection,
    OnExisting,
    OnRemoval,
    Status,
)
from codat_iac.planning import notices, rule_table
from codat_iac.planning.notices import Notice
from codat_iac.planning.platforms import platform_problem
from codat_iac.planning.rule_table import Action, Cell
from tests.support.builders import a_desired, a_live, a_prior, an_id

# desired, live: action; what is said; whether Codat may refuse; whether it is a loss.
DECLARED = """
Linked    absent        create   -                                              -         -
Linked    PendingAuth   none     WAITING                                        -         -
Linked    Linked        none     -                                              -         -
Linked    Deauthorized  none     DEAUTHORIZED                                   -         -
Linked    Unlinked      none     UNLINKED                                       -         -
Linked    Migrating     none     UNKNOWN_STATUS                                 -         -
Unlinked  absent        none     error                                          -         -
Unlinked  PendingAuth   none     NEVER_AUTHORISED                               -         -
Unlinked  Linked        unlink   -                                              -         loss
Unlinked  Deauthorized  unlink   -                                              tolerant  -
Unlinked  Unlinked      none     -                                              -         -
Unlinked  Migrating     none     UNKNOWN_STATUS                                 -         -
"""

REMOVED = """
unlink    absent        forget   -                                              -         -
unlink    PendingAuth   delete   -                                              -         -
unlink    Linked        unlink   -                                              -         loss
unlink    Deauthorized  unlink   -                                              tolerant  -
unlink    Unlinked      forget   -                                              -         -
unlink    Migrating     none     error                                          -         -
delete    absent        forget   -                                              -         -
delete    PendingAuth   delete   -                                              -         -
delete    Linked        delete   -                                              -         loss
delete    Deauthorized  delete   -                                              -         -
delete    Unlinked      delete   -                                              -         -
delete    Migrating     none     error                                          -         -
retain    absent        forget   -                                              -         -
retain    PendingAuth   forget   -                                              -         -
retain    Linked        forget   -                                              -         -
retain    Deauthorized  forget   -                                              -         -
retain    Unlinked      forget   -                                              -         -
retain    Migrating     forget   -                                              -         -
"""


def cells(table: str) -> list[pytest.ParameterSet]:
    """The rows of a table, named by what they are about."""
    split = [line.split() for line in table.strip().splitlines()]
    return [pytest.param(*row, id=f"{row[0]}, {row[1]}") for row in split]


def as_row(cell: Cell, live: LiveConnection | None) -> tuple[str, str, str, str]:
    """A cell as the tables above write it."""
    said = "error" if cell.problem else cell.notice.name if cell.notice else "-"
    loss = rule_table.loses(cell.action, live)
    return cell.action.value, said, "tolerant" if cell.tolerant else "-", "loss" if loss else "-"


def live_as(status: str) -> LiveConnection | None:
    """A connection of that status, or none."""
    return None if status == "absent" else a_live(status=status)


@pytest.mark.parametrize(("desired", "live", "action", "said", "tolerant", "loss"), cells(DECLARED))
def test_a_declared_connection_asks_for_what_the_table_says(
    desired: str, live: str, action: str, said: str, tolerant: str, loss: str
) -> None:
    """Each cell of the upper half of the table is as written here."""
    cell = rule_table.declared(Status(desired), live_as(live))

    assert as_row(cell, live_as(live)) == (action, said, tolerant, loss)


@pytest.mark.parametrize(("policy", "live", "action", "said", "tolerant", "loss"), cells(REMOVED))
def test_a_removed_connection_asks_for_what_the_table_says(
    policy: str, live: str, action: str, said: str, tolerant: str, loss: str
) -> None:
    """Each cell of the lower half of the table is as written here."""
    cell = rule_table.removed(OnRemoval(policy), live_as(live))

    assert as_row(cell, live_as(live)) == (action, said, tolerant, loss)


def test_an_empty_cell_asks_for_nothing() -> None:
    """Nothing is done or said, and nothing is wrong."""
    assert Cell() == Cell(Action.NONE, None, None, tolerant=False)


@given(status=st.text().filter(lambda text: text not in {*Status, ABSENT}))
def test_any_other_status_is_left_alone(status: str) -> None:
    """Whatever Codat may call a status one day, nothing is called because of it."""
    live = a_live(status=status)

    acts = [rule_table.declared(desired, live).action for desired in (Status.LINKED, Status.UNLINKED)]
    acts += [rule_table.removed(policy, live).action for policy in OnRemoval]

    assert set(acts) == {Action.NONE, Action.FORGET}


@pytest.mark.parametrize("action", [a for a in Action if a not in {Action.UNLINK, Action.DELETE}])
def test_only_an_unlink_or_a_delete_can_be_a_loss(action: Action) -> None:
    """What makes no call on a Linked connection throws nothing away."""
    assert not rule_table.loses(action, a_live())
    assert not rule_table.loses(Action.DELETE, None)


# A recorded connection that is still declared; `test_decision.py` shows what becomes of it.


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        pytest.param({"platform_key": "qhyg"}, ("platformKey",), id="platform"),
        pytest.param({"company_id": an_id(99)}, ("companyId",), id="company"),
        pytest.param({"connection_id": an_id(2)}, ("connectionId",), id="another id"),
        pytest.param(
            {"platform_key": "qhyg", "company_id": an_id(99), "connection_id": an_id(2)},
            ("companyId", "platformKey", "connectionId"),
            id="all of them",
        ),
        pytest.param({"connection_id": an_id(1)}, (), id="its own id"),
        pytest.param({"on_existing": OnExisting.ADOPT}, (), id="onExisting"),
        pytest.param({"on_removal": OnRemoval.DELETE}, (), id="policy"),
        pytest.param({"status": Status.UNLINKED}, (), id="status"),
        pytest.param({"address": Address("acme/books")}, (), id="address"),
        pytest.param({"protect": True}, (), id="protect"),
    ],
)
def test_only_another_place_forces_a_replacement(change: dict[str, Any], replaces: tuple[str, ...]) -> None:
    """The company, the platform and another connectionId replace; nothing else does."""
    assert rule_table.replacing_inputs(a_prior(), a_desired(**change)) == replaces


@pytest.mark.parametrize(
    ("change", "recorded"),
    [
        pytest.param({"address": Address("acme/books")}, True, id="address"),
        pytest.param({"status": Status.UNLINKED}, True, id="status"),
        pytest.param({"on_removal": OnRemoval.DELETE}, True, id="policy"),
        pytest.param({"protect": True}, True, id="protect"),
        pytest.param({"on_existing": OnExisting.ADOPT}, False, id="onExisting"),
        pytest.param({"connection_id": an_id(1)}, False, id="its own id"),
    ],
)
def test_what_must_stand_in_the_state_is_recorded_anew(change: dict[str, Any], recorded: bool) -> None:
    """`delete` receives what was recorded, so a changed policy has to be there before it can be obeyed."""
    assert (
        rule_table.recorded_fields(a_desired(**change)) != rule_table.recorded_fields(a_desired())
    ) is recorded


def test_an_unlink_that_codat_refused_is_not_asked_for_again() -> None:
    """Apply, then plan, is empty, even if Codat unlinks only what is Linked."""
    refused = a_prior(desired=a_desired(status=Status.UNLINKED), unlink_refused=True)
    deauthorized = a_live(status="Deauthorized")

    cell = rule_table.still_declared(refused, Status.UNLINKED, deauthorized)

    assert cell == Cell(Action.NONE, Notice.UNLINK_REFUSED)
    assert not rule_table.needs_unlink(refused, deauthorized)


def test_a_refused_unlink_is_asked_for_once_the_connection_is_linked_again() -> None:
    """The customer came back, so there is something to unlink."""
    refused = a_prior(desired=a_desired(status=Status.UNLINKED), unlink_refused=True)

    assert rule_table.still_declared(refused, Status.UNLINKED, a_live()).action is Action.UNLINK
    assert rule_table.needs_unlink(refused, a_live())


def test_an_unlink_that_nobody_refused_yet_is_asked_for() -> None:
    """Codat may refuse it, and until it has, it is tried."""
    prior = a_prior(desired=a_desired(status=Status.UNLINKED))

    cell = rule_table.still_declared(prior, Status.UNLINKED, a_live(status="Deauthorized"))

    assert cell == Cell(Action.UNLINK, tolerant=True)


@pytest.mark.parametrize(
    ("desired", "live", "drift"),
    [
        ("Linked", "PendingAuth", False),
        ("Linked", "Linked", False),
        ("Linked", "Deauthorized", False),
        ("Linked", "Unlinked", False),
        ("Unlinked", "PendingAuth", False),
        ("Unlinked", "Linked", True),
        ("Unlinked", "Deauthorized", True),
        ("Unlinked", "Unlinked", False),
    ],
)
def test_a_refresh_changes_inputs_only_where_a_call_follows(desired: str, live: str, drift: bool) -> None:
    """Else every waiting connection would rewrite the state at each run."""
    prior = a_prior(desired=a_desired(status=Status(desired)))

    assert rule_table.needs_unlink(prior, a_live(status=live)) is drift


@pytest.mark.parametrize(
    ("was", "now", "drift"),
    [
        ("PendingAuth", "PendingAuth", False),
        ("PendingAuth", "Linked", False),
        ("PendingAuth", "Unlinked", True),
        ("Linked", "Deauthorized", True),
        ("Deauthorized", "Linked", True),
        ("Linked", "absent", True),
        ("PendingAuth", "absent", True),
    ],
)
def test_a_first_authorisation_is_progress_and_no_drift(was: str, now: str, drift: bool) -> None:
    """Drift is what somebody else moved since it was recorded."""
    assert rule_table.is_drift(was, now) is drift


@pytest.mark.parametrize(
    ("desired", "live", "waits"),
    [
        ("Linked", "PendingAuth", True),
        ("Linked", "Deauthorized", True),
        ("Linked", "Unlinked", True),
        ("Linked", "Linked", False),
        ("Linked", "Migrating", False),
        ("Linked", "absent", False),
        ("Unlinked", "PendingAuth", False),
        ("Unlinked", "Linked", False),
        ("Unlinked", "Deauthorized", False),
        ("Unlinked", "Unlinked", False),
        ("Unlinked", "Migrating", False),
    ],
)
def test_only_what_its_customer_can_bring_about_waits(desired: str, live: str, waits: bool) -> None:
    """Nobody has to authorise what shall be unlinked, and of an unknown status nobody knows."""
    assert rule_table.is_waiting(Status(desired), live) is waits
    assert rule_table.waits(rule_table.declared(Status(desired), live_as(live)).notice) is waits


# What is said.


@pytest.mark.parametrize(
    ("notice", "status", "text"),
    [
        (
            Notice.WAITING,
            "PendingAuth",
            "PendingAuth, it waits for its customer to follow the link",
        ),
        (
            Notice.DEAUTHORIZED,
            "Deauthorized",
            "Deauthorized, its customer must authorise it again",
        ),
        (
            Notice.UNLINKED,
            "Unlinked",
            (
                "Unlinked by somebody else, or by us before; its customer must authorise it again,"
                " or declare it `Unlinked`"
            ),
        ),
        (
            Notice.UNKNOWN_STATUS,
            "Migrating",
            "its status is 'Migrating', which codat-iac doesn't know, so it is left alone",
        ),
        (
            Notice.NEVER_AUTHORISED,
            "PendingAuth",
            "PendingAuth, it was never authorised, so there is nothing to unlink",
        ),
        (
            Notice.UNLINK_REFUSED,
            "Deauthorized",
            "Deauthorized, and Codat refused to unlink it; it has no access as it is",
        ),
        (
            Notice.GONE,
            "absent",
            (
                "it is gone from Codat; a new one is made if it is still declared, and its customer"
                " must authorise that"
            ),
        ),
        (
            Notice.ADOPTED,
            "Linked",
            "adopts the connection 00000000-0000-0000-0000-000000000001 (Linked); nothing changes in Codat",
        ),
        (
            Notice.ADOPTED_FIRST,
            "Linked",
            (
                "adopts the connection 00000000-0000-0000-0000-000000000001 (Linked); nothing changes in"
                " Codat, and the next run unlinks it"
            ),
        ),
        (
            Notice.LOSES,
            "Linked",
            (
                "its customer authorised it, and would have to do so again: this run unlinks, deletes or"
                " replaces it"
            ),
        ),
    ],
    ids=str,
)
def test_a_notice_is_one_line_that_stands_alone(notice: Notice, status: str, text: str) -> None:
    """Each names the address, the status, and who does what next."""
    assert notices.message(notice, "acme/ledger", live_as(status)) == f"acme/ledger: {text}"


@pytest.mark.parametrize("notice", Notice)
def test_no_notice_repeats_foreign_text_as_it_came(notice: Notice) -> None:
    """A status with line ends and a one-time password makes neither a second line nor a link."""
    hostile = a_live(
        status="Linked\nerror: https://link.codat.io/company/1?otp=123456",
        data_connection_errors=(DataConnectionError(error_message="see\n\x1b[31mhttps://x/?otp=123456"),),
    )

    text = notices.message(notice, "acme/ledger", hostile)

    assert text.isprintable()
    assert "123456" not in text


def test_every_kind_of_notice_can_be_counted() -> None:
    """Where there are too many to name each: what comes before the colon and how many connections."""
    assert list(Notice) == [
        "waits for its customer",
        "lost its customer's authorisation",
        "was unlinked",
        "has a status that codat-iac doesn't know",
        "was never authorised",
        "could not be unlinked",
        "is gone from Codat",
        "is adopted",
        "is adopted, and unlinked by the next run",
        "loses its customer's authorisation",
    ]


def test_every_notice_can_be_said_of_what_is_absent() -> None:
    """None of them needs a live connection to be worded."""
    assert all(notices.message(notice, "acme/ledger").startswith("acme/ledger: ") for notice in Notice)


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        ((), ""),
        ((("Unauthorized", "Token revoked.", "Active"),), " (cause: Token revoked)"),
        ((("Unauthorized", None, None),), " (cause: Unauthorized)"),
        ((("First", None, None), ("Second", None, "Active")), " (cause: Second)"),
        ((("First", None, None), ("Second", None, "Resolved")), " (cause: First)"),
        (((None, None, "Active"),), ""),
        ((("Broken", "See section X...", "Active"),), " (cause: See section X)"),
    ],
    ids=["none", "message", "status text", "the last", "not a resolved one", "nothing said", "full stops"],
)
def test_a_lost_authorisation_names_its_cause(
    errors: tuple[tuple[str | None, str | None, str | None], ...], shown: str
) -> None:
    """The last unresolved of Codat's dataConnectionErrors is the cause."""
    live = a_live(
        data_connection_errors=tuple(
            DataConnectionError(status_text=text, error_message=message, status=status)
            for text, message, status in errors
        )
    )

    text = notices.message(Notice.DEAUTHORIZED, "acme/ledger", live)

    assert text == f"acme/ledger: Deauthorized, its customer must authorise it again{shown}"


# Platforms.

PORTAL = "Settings, Integrations in the Codat Portal"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        pytest.param("gbol", None, id="enabled"),
        pytest.param("dfxm", f"Basiq Bank (dfxm) is not enabled; enable it under {PORTAL}", id="disabled"),
        pytest.param(
            "gbo", "'gbo' is not the key of a platform of this tenant; did you mean gbol (Xero)?", id="a slip"
        ),
        pytest.param(
            "zzzz", f"'zzzz' is not the key of a platform of this tenant; see {PORTAL}", id="unknown"
        ),
    ],
)
def test_a_platform_that_can_not_be_had_is_named_with_the_way_out(key: str, problem: str | None) -> None:
    """Codat doesn't say how it answers a POST for one, and what it calls one stays on its line."""
    platforms = {
        "gbol": Integration("gbol", "Xero", enabled=True),
        "dfxm": Integration("dfxm", "Basiq\nBank", enabled=False),
    }

    assert platform_problem(key, platforms) == problem


@pytest.mark.parametrize("status", [*Status, "Migrating", ABSENT])
@pytest.mark.parametrize("desired", [Status.LINKED, Status.UNLINKED])
def test_only_an_unlink_of_what_is_deauthorized_may_have_been_refused(desired: Status, status: str) -> None:
    """After our own write, what still asks for an unlink is what Codat refused."""
    live = None if status == ABSENT else a_live(status=status)

    refused = rule_table.refused_unlink(desired, live)

    assert refused == ((desired, status) == (Status.UNLINKED, Status.DEAUTHORIZED))


@pytest.mark.parametrize("row", [*rule_table.DECLARED.values(), *rule_table.REMOVED.values()])
def test_each_status_has_a_cell_of_its_own(row: Mapping[str, Cell]) -> None:
    """A new status would else count as one that nobody knows, and no test would fail."""
    assert set(row) == {ABSENT, *Status, rule_table._OTHER}
