"""The rule table, cell by cell, and what is said and counted beside it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac import rules
from codat_iac.model import DataConnectionError, LiveConnection, OnExisting, OnRemoval, Status
from codat_iac.rules import Action, Cell, LossLimit, Notice, Verdict
from tests.builders import a_desired, a_live, a_prior, an_id

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
    loss = rules.loses(cell.action, live)
    return cell.action.value, said, "tolerant" if cell.tolerant else "-", "loss" if loss else "-"


def live_as(status: str) -> LiveConnection | None:
    """A connection of that status, or none."""
    return None if status == "absent" else a_live(status=status)


@pytest.mark.parametrize(("desired", "live", "action", "said", "tolerant", "loss"), cells(DECLARED))
def test_a_declared_connection_asks_for_what_the_table_says(
    desired: str, live: str, action: str, said: str, tolerant: str, loss: str
) -> None:
    """Each cell of the upper half of the table is as written here."""
    cell = rules.declared(Status(desired), live_as(live))

    assert as_row(cell, live_as(live)) == (action, said, tolerant, loss)


@pytest.mark.parametrize(("policy", "live", "action", "said", "tolerant", "loss"), cells(REMOVED))
def test_a_removed_connection_asks_for_what_the_table_says(
    policy: str, live: str, action: str, said: str, tolerant: str, loss: str
) -> None:
    """Each cell of the lower half of the table is as written here."""
    cell = rules.removed(OnRemoval(policy), live_as(live))

    assert as_row(cell, live_as(live)) == (action, said, tolerant, loss)


def test_an_empty_cell_asks_for_nothing() -> None:
    """Nothing is done or said, nothing is wrong or replaced, and no limit was set."""
    assert Cell() == Cell(Action.NONE, None, None, tolerant=False)
    assert Verdict(Cell()) == Verdict(Cell(), ())
    assert LossLimit() == LossLimit(None)


@given(status=st.text())
def test_any_other_status_is_left_alone(status: str) -> None:
    """Whatever Codat may call a status one day, nothing is called because of it."""
    if status in {*Status}:
        return
    live = a_live(status=status)

    acts = [rules.declared(desired, live).action for desired in (Status.LINKED, Status.UNLINKED)]
    acts += [rules.removed(policy, live).action for policy in OnRemoval]

    assert set(acts) == {Action.NONE, Action.FORGET}


@pytest.mark.parametrize("action", [a for a in Action if a not in {Action.UNLINK, Action.DELETE}])
def test_only_an_unlink_or_a_delete_can_be_a_loss(action: Action) -> None:
    """What makes no call on a Linked connection throws nothing away."""
    assert not rules.loses(action, a_live())
    assert not rules.loses(Action.DELETE, None)


# A recorded connection that is still declared.


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
        pytest.param({"siblings": frozenset({"acme/other"})}, (), id="siblings"),
    ],
)
def test_only_another_place_forces_a_replacement(change: dict[str, Any], replaces: tuple[str, ...]) -> None:
    """The company, the platform and another connectionId replace; the rest is no change at all."""
    verdict = rules.compare(a_prior(), a_desired(**change), a_live())

    assert verdict.replaces == replaces
    assert verdict.action is (Action.REPLACE if replaces else Action.NONE)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"on_removal": OnRemoval.DELETE}, id="policy"),
        pytest.param({"address": "acme/books"}, id="address"),
        pytest.param({"status": Status.UNLINKED}, id="a status that is reached already"),
    ],
)
def test_what_must_stand_in_the_state_is_recorded_without_a_call(change: dict[str, str]) -> None:
    """Delete receives the recorded outputs, so a changed policy is an update before it can be obeyed."""
    desired = a_desired(**change)

    assert rules.compare(a_prior(), desired, a_live(status="Unlinked")).action is Action.UPDATE
    assert rules.compare(a_prior(desired=desired), desired, a_live(status="Unlinked")).action is Action.NONE


def test_an_update_still_says_what_there_is_to_say() -> None:
    """A waiting connection whose policy changes is recorded anew, and waits."""
    verdict = rules.compare(a_prior(), a_desired(on_removal=OnRemoval.RETAIN), a_live(status="PendingAuth"))

    assert (verdict.action, verdict.cell.notice) == (Action.UPDATE, Notice.WAITING)


def test_an_absent_connection_is_replaced_and_said_to_be_gone() -> None:
    """What is declared Linked and absent gets a new one."""
    verdict = rules.compare(a_prior(), a_desired(), None)

    assert (
        verdict.action,
        verdict.replaces,
        verdict.cell.notice,
    ) == (Action.REPLACE, ("status",), Notice.GONE)


def test_an_absent_connection_that_should_be_unlinked_is_an_error() -> None:
    """There is nothing to unlink, and nothing is recorded as if there were."""
    verdict = rules.compare(a_prior(), a_desired(status=Status.UNLINKED), None)

    assert verdict.action is Action.NONE
    assert verdict.cell.problem == (
        "there is nothing to unlink, since it doesn't exist; declare it `Linked`, or take it out of the file"
    )


def test_an_unlink_that_codat_refused_is_not_asked_for_again() -> None:
    """Apply, then plan, is empty, even where Codat unlinks only what is Linked."""
    desired = a_desired(status=Status.UNLINKED)
    refused = a_prior(desired=desired, unlink_refused=True)
    deauthorized = a_live(status="Deauthorized")

    verdict = rules.compare(refused, desired, deauthorized)

    assert (verdict.action, verdict.cell.notice) == (Action.NONE, Notice.UNLINK_REFUSED)
    assert not rules.drifted(refused, deauthorized)


def test_a_refused_unlink_is_asked_for_once_the_connection_is_linked_again() -> None:
    """The customer came back, so there is something to unlink."""
    desired = a_desired(status=Status.UNLINKED)
    refused = a_prior(desired=desired, unlink_refused=True)

    assert rules.compare(refused, desired, a_live()).action is Action.UNLINK
    assert rules.drifted(refused, a_live())


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

    assert rules.drifted(prior, a_live(status=live)) is drift


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
    assert rules.is_drift(was, now) is drift


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
            "adopts the connection 00000000-0000-0000-0000-000000000001 (Linked), no call",
        ),
    ],
    ids=str,
)
def test_a_notice_is_one_line_that_stands_alone(notice: Notice, status: str, text: str) -> None:
    """Each names the address, the status, and who does what next."""
    assert rules.say(notice, "acme/ledger", live_as(status)) == f"acme/ledger: {text}"


@pytest.mark.parametrize("notice", Notice)
def test_no_notice_repeats_foreign_text_as_it_came(notice: Notice) -> None:
    """A status with line ends and a one-time password makes neither a second line nor a link."""
    hostile = a_live(
        status="Linked\nerror: https://link.codat.io/company/1?otp=123456",
        data_connection_errors=(DataConnectionError(error_message="see\n\x1b[31mhttps://x/?otp=123456"),),
    )

    text = rules.say(notice, "acme/ledger", hostile)

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
    ]


def test_every_notice_can_be_said_of_what_is_absent() -> None:
    """None of them needs a live connection to be worded."""
    assert all(rules.say(notice, "acme/ledger").startswith("acme/ledger: ") for notice in Notice)


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

    text = rules.say(Notice.DEAUTHORIZED, "acme/ledger", live)

    assert text == f"acme/ledger: Deauthorized, its customer must authorise it again{shown}"


# Limits.


@pytest.mark.parametrize(
    ("missing", "recorded", "too_many"),
    [
        (9, 9, False),
        (10, 10, True),
        (10, 33, True),
        (10, 34, False),
        (30, 100, False),
        (31, 100, True),
        (10, 0, True),
    ],
)
def test_a_mass_disappearance_is_at_least_ten_and_over_30_percent(
    missing: int, recorded: int, too_many: bool
) -> None:
    """Few may be gone, and some of many; else the key is likelier wrong."""
    assert rules.too_many_missing(missing, recorded) is too_many


@pytest.mark.parametrize(
    ("explicit", "losses", "recorded", "exceeded"),
    [
        pytest.param(None, 9, 9, False, id="all of a small stack"),
        pytest.param(None, 3, 10, False, id="30 % of ten"),
        pytest.param(None, 4, 10, True, id="over 30 % of ten"),
        pytest.param(None, 10, 40, False, id="ten"),
        pytest.param(None, 11, 40, True, id="eleven of forty"),
        pytest.param(None, 11, 10_000, True, id="eleven of many"),
        pytest.param(0, 0, 40, False, id="none allowed, none lost"),
        pytest.param(0, 1, 40, True, id="none allowed"),
        pytest.param(11, 11, 11, False, id="an explicit limit is the only one"),
        pytest.param(11, 12, 10_000, True, id="over an explicit limit"),
    ],
)
def test_losses_are_limited_by_number_and_by_share(
    explicit: int | None, losses: int, recorded: int, exceeded: bool
) -> None:
    """Ten, and 30 % of a stack of ten or more, unless the user set a limit."""
    assert LossLimit(explicit).exceeded(losses, recorded) is exceeded


def test_a_refusal_for_losses_names_them_and_the_way_out() -> None:
    """It names five of them, in order, and the number to allow."""
    losing = [f"acme/bank-{number}" for number in range(7)]

    assert rules.too_many_losses(reversed(losing), 20, "at least ") == (
        "would throw away at least 7 Linked connections of 20 (acme/bank-0, acme/bank-1, acme/bank-2,"
        " acme/bank-3, acme/bank-4 and 2 more), whose customers would have to authorise again; refused. Set"
        " CODAT_MAX_LOSSES=7 (or `pulumi config set codat:maxLosses`) if you mean it"
    )


@pytest.mark.parametrize(
    ("names", "shown"), [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more")]
)
def test_a_long_list_is_shortened(names: list[str], shown: str) -> None:
    """The first ones are named, the others counted."""
    assert rules.shortened(names, most=2) == shown
