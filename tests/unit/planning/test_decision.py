"""Decisions about one address: what is recorded and declared, what is removed, and what is new."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codat_iac.model.connection import (
    ABSENT,
    RESOURCE_TYPE,
    Address,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    OnRemoval,
    Status,
)
from codat_iac.planning.decision import (
    Cause,
    Decision,
    Field,
    SlotView,
    decide_existing,
    decide_new,
    decide_removal,
)
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action
from tests.support.builders import COMPANY, a_desired, a_live, a_prior, an_id

LEDGER = "acme/ledger"
UNLINKED = Status.UNLINKED
STATUSES = ("PendingAuth", "Linked", "Deauthorized", "Unlinked", "Migrating")


def live_as(status: str | None, number: int = 1) -> LiveConnection | None:
    """A connection of that status; None for one that is absent."""
    return None if status in {None, ABSENT} else a_live(number, str(status))


def rows_of(table: str) -> list[pytest.ParameterSet]:
    """The rows of a table, named by what they are about."""
    split = [line.split() for line in table.strip().splitlines()]
    return [pytest.param(*row, id=f"{row[0]}, {row[1]}") for row in split]


def a_urn(address: str, parents: str = "") -> str:
    """The URN of a connection in some stack, below the *parents*."""
    return f"urn:pulumi:test::shop::{parents}{RESOURCE_TYPE}::{address}"


def problem_of(decision: Decision) -> str:
    """Why it is refused."""
    assert decision.problem is not None
    return decision.problem


# What is recorded and declared.

# desired, live: action; what becomes of the old one; what is said; whether it is a loss.
CONTINUED = """
Linked    absent        replace  forget  GONE             -
Linked    PendingAuth   none     -       WAITING          -
Linked    Linked        none     -       -                -
Linked    Deauthorized  none     -       DEAUTHORIZED     -
Linked    Unlinked      none     -       UNLINKED         -
Linked    Migrating     none     -       UNKNOWN_STATUS   -
Unlinked  absent        none     -       error            -
Unlinked  PendingAuth   none     -       NEVER_AUTHORISED -
Unlinked  Linked        unlink   -       -                loss
Unlinked  Deauthorized  unlink   -       -                -
Unlinked  Unlinked      none     -       -                -
Unlinked  Migrating     none     -       UNKNOWN_STATUS   -
"""


@pytest.mark.parametrize(("desired", "live", "action", "removal", "said", "loss"), rows_of(CONTINUED))
def test_what_is_recorded_and_declared_is_decided_as_the_table_says(
    desired: str, live: str, action: str, removal: str, said: str, loss: str
) -> None:
    """Each cell: declared as it was recorded, whatever lives."""
    wanted = a_desired(status=Status(desired))

    decision = decide_existing(a_prior(1, wanted), wanted, live_as(live))

    assert (decision.action, decision.removal or "-") == (action, removal)
    assert ("error" if decision.problem else decision.notice.name if decision.notice else "-") == said
    assert decision.loses is (loss == "loss")
    assert (decision.address, decision.company_id, decision.platform_key) == (LEDGER, COMPANY, "gbol")
    assert (decision.connection_id, decision.status, decision.live) == (an_id(1), live, live_as(live))
    assert decision.becomes == (None if action == "replace" else an_id(1))
    assert decision.replaces == (("status",) if action == "replace" else ())
    assert decision.moved_from is None
    assert not decision.later


def test_there_is_nothing_to_unlink_in_what_is_gone() -> None:
    """It is an error, whatever else was changed with it, and nothing is recorded as if it were done."""
    prior = a_prior()

    decision = decide_existing(prior, a_desired(status=UNLINKED, on_removal=OnRemoval.DELETE), None)

    assert decision.action is Action.NONE
    assert problem_of(decision) == (
        "there is nothing to unlink, since it doesn't exist; declare it `Linked`, or take it out of the file"
    )


@pytest.mark.parametrize(
    ("change", "action"),
    [
        pytest.param({"on_removal": OnRemoval.DELETE}, Action.UPDATE, id="policy"),
        pytest.param({"protect": True}, Action.UPDATE, id="protect"),
        pytest.param({"status": UNLINKED}, Action.UPDATE, id="a status that is reached already"),
        pytest.param({"address": Address("acme/books")}, Action.MOVE, id="address"),
        pytest.param(
            {"address": Address("acme/books"), "on_removal": OnRemoval.DELETE},
            Action.MOVE,
            id="address and policy",
        ),
        pytest.param({"on_existing": OnExisting.ADOPT}, Action.NONE, id="onExisting"),
        pytest.param({"connection_id": an_id(1)}, Action.NONE, id="its own id"),
    ],
)
def test_what_must_stand_in_the_state_is_recorded_without_a_call(
    change: dict[str, Any], action: Action
) -> None:
    """`delete` receives the recorded outputs, so a changed policy is an update before it can be obeyed."""
    desired = a_desired(**change)
    unlinked = a_live(status="Unlinked")

    decision = decide_existing(a_prior(), desired, unlinked)

    assert (decision.action, decision.becomes, decision.loses) == (action, an_id(1), False)
    assert (
        decide_existing(a_prior(1, replace(desired, connection_id=None)), desired, unlinked).action
        is Action.NONE
    )


def test_an_update_still_says_what_there_is_to_say() -> None:
    """A waiting connection whose policy changes is recorded anew, and waits."""
    decision = decide_existing(
        a_prior(), a_desired(on_removal=OnRemoval.RETAIN), a_live(status="PendingAuth")
    )

    assert (decision.action, decision.notice) == (Action.UPDATE, Notice.WAITING)


def test_an_unlink_that_codat_refused_is_not_asked_for_again() -> None:
    """Apply, then plan, is empty; once the connection is Linked again there is something to unlink."""
    desired = a_desired(status=UNLINKED)
    refused = a_prior(1, desired, "Deauthorized", unlink_refused=True)

    decision = decide_existing(refused, desired, a_live(status="Deauthorized"))

    assert (decision.action, decision.notice) == (Action.NONE, Notice.UNLINK_REFUSED)
    assert decide_existing(refused, desired, a_live()).action is Action.UNLINK


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
    ],
)
@pytest.mark.parametrize("live", ["Linked", "absent"])
def test_another_place_forces_a_replacement(
    change: dict[str, Any], replaces: tuple[str, ...], live: str
) -> None:
    """It starts from the old connection, and what it ends in is still to be made."""
    desired = a_desired(**change)

    decision = decide_existing(a_prior(), desired, live_as(live))

    assert (decision.action, decision.replaces, decision.problem) == (Action.REPLACE, replaces, None)
    assert (decision.connection_id, decision.becomes) == (an_id(1), None)
    assert (decision.company_id, decision.platform_key) == (desired.company_id, desired.platform_key)
    assert decision.notice is (Notice.GONE if live == "absent" else None)


@pytest.mark.parametrize("status", STATUSES[:-1])
def test_what_is_tainted_is_replaced_by_the_next_run(status: str) -> None:
    """`pulumi state taint` asks for it, so it is your doing, and loses what is authorised."""
    decision = decide_existing(a_prior(1, tainted=True, status=status), a_desired(), a_live(status=status))

    assert (decision.action, decision.replaces, decision.cause) == (Action.REPLACE, ("status",), Cause.YOU)
    assert (decision.fields, decision.becomes, decision.notice) == ((), None, None)
    assert decision.loses is (status == "Linked")


@pytest.mark.parametrize(
    ("tainted", "platform_key", "live"),
    [
        pytest.param(False, "qhyg", "Linked", id="another platform"),
        pytest.param(True, "gbol", "Linked", id="tainted"),
        pytest.param(False, "gbol", "absent", id="gone"),
    ],
)
def test_what_is_protected_is_not_replaced(tainted: bool, platform_key: str, live: str) -> None:
    """Pulumi would refuse it in the middle of a run, so it is said before."""
    prior = a_prior(1, a_desired(protect=True), protected=True, tainted=tainted)

    decision = decide_existing(prior, a_desired(platform_key=platform_key, protect=True), live_as(live))

    assert problem_of(decision) == (
        "it is protected, so Pulumi neither removes nor replaces it; take its `protect: true` out and apply"
        " first (or `pulumi state unprotect` it), if you mean it"
    )


@pytest.mark.parametrize(("recorded", "declared"), [(True, False), (False, True), (False, False)])
def test_protection_counts_if_it_is_declared_and_recorded(recorded: bool, declared: bool) -> None:
    """The engine goes by what the program says now, and by what stood in the state before."""
    prior = a_prior(1, protected=recorded)

    decision = decide_existing(prior, a_desired(platform_key="qhyg", protect=declared), a_live())

    assert (decision.action, decision.problem) == (Action.REPLACE, None)


def test_protection_by_an_option_is_protection_too() -> None:
    """A program of the user's own protects by Pulumi's option, which no record of the inputs has."""
    desired = a_desired(platform_key="qhyg", protected=True)

    assert decide_existing(a_prior(protected=True), desired, a_live()).problem
    assert decide_existing(a_prior(), desired, a_live()).problem is None
    assert decide_existing(a_prior(), a_desired(protected=True), a_live()).action is Action.NONE


@pytest.mark.parametrize(
    ("desired", "action"),
    [
        pytest.param(a_desired(protect=True), Action.UPDATE, id="declared protected"),
        pytest.param(a_desired(), Action.NONE, id="as it was"),
        pytest.param(a_desired(status=UNLINKED), Action.UNLINK, id="unlinked"),
        pytest.param(a_desired("acme/books"), Action.MOVE, id="moved"),
    ],
)
def test_protection_hinders_nothing_but_the_end(desired: DesiredConnection, action: Action) -> None:
    """A protected connection can be unlinked, recorded anew and moved."""
    decision = decide_existing(a_prior(protected=True), desired, a_live())

    assert (decision.action, decision.problem) == (action, None)


@pytest.mark.parametrize("tainted", [True, False])
def test_what_can_not_be_let_go_of_is_not_replaced(tainted: bool) -> None:
    """Its status is one that nobody knows, so the old one would stay; `retain` lets go of anything."""
    moved = a_desired() if tainted else a_desired(platform_key="qhyg")
    stays, retained = (
        a_prior(1, a_desired(on_removal=policy), tainted=tainted)
        for policy in (OnRemoval.UNLINK, OnRemoval.RETAIN)
    )
    migrating = a_live(status="Migrating")

    assert problem_of(decide_existing(stays, moved, migrating)) == (
        "what it replaces has a status that codat-iac doesn't know, so it stays; declare it as it was, with"
        " `onRemoval: retain`, apply, and then change it"
    )
    assert decide_existing(retained, moved, migrating).problem is None


# Who brought it about.


def test_a_cause_is_what_is_shown() -> None:
    """A change says it in these words, on every page and in JSON."""
    assert [*Cause] == ["you", "they", "both"]


@pytest.mark.parametrize(
    ("was", "recorded", "now", "live", "action", "cause"),
    [
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(on_removal=OnRemoval.DELETE),
            "Linked",
            Action.UPDATE,
            Cause.YOU,
            id="another policy",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(on_removal=OnRemoval.DELETE),
            "Deauthorized",
            Action.UPDATE,
            Cause.BOTH,
            id="another policy, and revoked",
        ),
        pytest.param(
            a_desired(),
            "PendingAuth",
            a_desired(on_removal=OnRemoval.DELETE),
            "Linked",
            Action.UPDATE,
            Cause.YOU,
            id="another policy, and authorised at last",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(status=UNLINKED),
            "Linked",
            Action.UNLINK,
            Cause.YOU,
            id="to be unlinked",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "Unlinked",
            a_desired(status=UNLINKED),
            "Linked",
            Action.UNLINK,
            Cause.THEY,
            id="linked again",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "PendingAuth",
            a_desired(status=UNLINKED),
            "Linked",
            Action.UNLINK,
            Cause.THEY,
            id="linked for the first time",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "Linked",
            a_desired(status=UNLINKED),
            "Linked",
            Action.UNLINK,
            Cause.THEY,
            id="linked again, and a refresh recorded it",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "Linked",
            a_desired(status=UNLINKED, on_removal=OnRemoval.DELETE),
            "Linked",
            Action.UNLINK,
            Cause.BOTH,
            id="linked again, and another policy",
        ),
        pytest.param(
            a_desired(), "Linked", a_desired(), None, Action.REPLACE, Cause.THEY, id="deleted by somebody"
        ),
        pytest.param(
            a_desired(),
            "absent",
            a_desired(),
            None,
            Action.REPLACE,
            Cause.THEY,
            id="deleted, and recorded so",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(platform_key="qhyg"),
            "Linked",
            Action.REPLACE,
            Cause.YOU,
            id="another platform",
        ),
        pytest.param(
            a_desired(),
            "absent",
            a_desired(platform_key="qhyg"),
            None,
            Action.REPLACE,
            Cause.BOTH,
            id="another platform, and deleted",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(connection_id=an_id(2)),
            "Unlinked",
            Action.REPLACE,
            Cause.BOTH,
            id="another connection, and unlinked",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired("acme/books"),
            "Linked",
            Action.MOVE,
            Cause.YOU,
            id="another address",
        ),
        pytest.param(
            a_desired(),
            "PendingAuth",
            a_desired("acme/books"),
            "Linked",
            Action.MOVE,
            Cause.YOU,
            id="another address, and authorised at last",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired("acme/books"),
            "Unlinked",
            Action.MOVE,
            Cause.BOTH,
            id="another address, and unlinked",
        ),
    ],
)
def test_a_change_names_who_brought_it_about(
    was: DesiredConnection,
    recorded: str,
    now: DesiredConnection,
    live: str | None,
    action: Action,
    cause: Cause,
) -> None:
    """You, if desired moved against recorded; they, if live did; or both."""
    decision = decide_existing(a_prior(1, was, recorded), now, live_as(live))

    assert (decision.action, decision.cause) == (action, cause)
    assert (decision.connection_id, decision.status) == (an_id(1), live or "absent")


# What differs.


@pytest.mark.parametrize(
    ("was", "now", "live", "fields"),
    [
        pytest.param(
            a_desired(),
            a_desired(on_removal=OnRemoval.DELETE, status=UNLINKED),
            "Unlinked",
            [("onRemoval", "unlink", "delete"), ("status", "Linked", "Unlinked")],
            id="what is merely recorded",
        ),
        pytest.param(
            a_desired(),
            a_desired(status=UNLINKED),
            "Deauthorized",
            [("status", "Deauthorized", "Unlinked")],
            id="an unlink starts from the live status",
        ),
        pytest.param(
            a_desired(), a_desired(), None, [("status", "absent", "Linked")], id="what is gone is made again"
        ),
        pytest.param(
            a_desired(),
            a_desired(platform_key="qhyg", company_id=an_id(9)),
            "Linked",
            [("companyId", COMPANY, an_id(9)), ("platformKey", "gbol", "qhyg")],
            id="a replacement is of two connections, whose statuses say nothing",
        ),
        pytest.param(
            a_desired(),
            a_desired(connection_id=an_id(2)),
            "Linked",
            [("connectionId", an_id(1), an_id(2))],
            id="the recorded id, if another is named",
        ),
        pytest.param(
            a_desired(),
            a_desired(connection_id=an_id(1), on_removal=OnRemoval.RETAIN),
            "Linked",
            [("onRemoval", "unlink", "retain")],
            id="its own id is no difference",
        ),
        pytest.param(
            a_desired(), a_desired(protect=True), "Linked", [("protect", "false", "true")], id="protected now"
        ),
        pytest.param(
            a_desired(protect=True),
            a_desired(),
            "Linked",
            [("protect", "true", "false")],
            id="no longer protected",
        ),
        pytest.param(
            a_desired(), a_desired(on_existing=OnExisting.ADOPT), "Linked", [], id="onExisting is none of it"
        ),
        pytest.param(
            a_desired(),
            a_desired("acme/books", on_removal=OnRemoval.DELETE),
            "Linked",
            [("onRemoval", "unlink", "delete")],
            id="a move says where from, and what else",
        ),
    ],
)
def test_a_change_names_what_differs(
    was: DesiredConnection, now: DesiredConnection, live: str | None, fields: list[tuple[str, str, str]]
) -> None:
    """In Codat's spelling, sorted."""
    decision = decide_existing(a_prior(1, was), now, live_as(live))

    assert [(each.name, each.before, each.after) for each in decision.fields] == fields


# Moves: another URN.


@pytest.mark.parametrize(
    ("urn", "moved_from"),
    [
        pytest.param(a_urn("acme/old"), "acme/old", id="another address"),
        pytest.param(
            a_urn(LEDGER, "shop:index:Customer$"),
            f"shop:index:Customer${RESOURCE_TYPE}::{LEDGER}",
            id="another parent",
        ),
        pytest.param(a_urn(LEDGER), None, id="the same"),
        pytest.param("", None, id="as the stock program registers it"),
    ],
)
def test_a_move_says_where_from(urn: str, moved_from: str | None) -> None:
    """The address, or if that is the same its whole place with its parents."""
    decision = decide_existing(a_prior(urn=urn), a_desired(), a_live())

    assert (decision.action, decision.moved_from) == (
        Action.MOVE if moved_from else Action.NONE,
        moved_from,
    )


def test_what_pulumi_renamed_in_the_state_is_recorded_under_its_new_name() -> None:
    """`pulumi state rename` leaves the recorded inputs as they were: the next run records the address."""
    prior = a_prior(1, a_desired("acme/old"), urn=a_urn(LEDGER))

    decision = decide_existing(prior, a_desired(), a_live())

    assert (decision.action, decision.moved_from) == (Action.UPDATE, None)
    assert decision.fields == (Field("address", "acme/old", LEDGER),)


def test_what_is_moved_and_unlinked_says_both() -> None:
    """The live status is what the unlink starts from, and an authorisation is lost."""
    decision = decide_existing(a_prior(1, a_desired("acme/old")), a_desired(status=UNLINKED), a_live())

    assert (decision.action, decision.moved_from, decision.loses) == (Action.UNLINK, "acme/old", True)
    assert decision.fields == (Field("status", "Linked", "Unlinked"),)


def test_what_is_moved_and_gone_is_replaced() -> None:
    """The new one is made at the new address."""
    decision = decide_existing(a_prior(1, a_desired("acme/old")), a_desired(), None)

    assert (decision.action, decision.moved_from, decision.cause) == (Action.REPLACE, "acme/old", Cause.BOTH)


# What is removed, or replaced.

# policy, live: what becomes of it; whether it is a loss.
REMOVED = """
unlink  absent        forget  -
unlink  PendingAuth   delete  -
unlink  Linked        unlink  loss
unlink  Deauthorized  unlink  -
unlink  Unlinked      forget  -
unlink  Migrating     error   -
delete  absent        forget  -
delete  PendingAuth   delete  -
delete  Linked        delete  loss
delete  Deauthorized  delete  -
delete  Unlinked      delete  -
delete  Migrating     error   -
retain  absent        forget  -
retain  PendingAuth   forget  -
retain  Linked        forget  -
retain  Deauthorized  forget  -
retain  Unlinked      forget  -
retain  Migrating     forget  -
"""


@pytest.mark.parametrize(("policy", "live", "removal", "loss"), rows_of(REMOVED))
def test_what_goes_goes_as_the_recorded_policy_has_it(
    policy: str, live: str, removal: str, loss: str
) -> None:
    """For a removal and for the old one of a replacement alike, whatever policy is declared now."""
    prior = a_prior(1, a_desired(on_removal=OnRemoval(policy)), live)

    gone = decide_removal(prior, live_as(live))
    replaced = decide_existing(prior, a_desired(platform_key="qhyg"), live_as(live))

    for each in (gone, replaced):
        assert ("error" if each.problem else each.removal) == removal
        assert each.loses is (loss == "loss")
        assert (each.address, each.connection_id, each.status) == (LEDGER, an_id(1), live)
    assert (gone.action, gone.becomes, gone.notice) == (Action.REMOVE, None, None)
    assert gone.replaces == ()


@pytest.mark.parametrize(
    ("recorded", "live", "cause"),
    [
        ("Linked", "Linked", Cause.YOU),
        ("PendingAuth", "Linked", Cause.YOU),
        ("Linked", "Unlinked", Cause.BOTH),
        ("Linked", "absent", Cause.BOTH),
        ("absent", "absent", Cause.BOTH),
    ],
)
def test_a_removal_is_your_doing_and_tells_what_they_did(recorded: str, live: str, cause: Cause) -> None:
    """Somebody took it out of the file; what moved besides is said."""
    assert decide_removal(a_prior(1, status=recorded), live_as(live)).cause is cause


@pytest.mark.parametrize("policy", OnRemoval)
@pytest.mark.parametrize("status", [*STATUSES, ABSENT])
def test_an_id_that_a_declared_address_holds_is_only_forgotten(policy: OnRemoval, status: str) -> None:
    """Whatever its policy and status: another address goes on with it."""
    decision = decide_removal(a_prior(1, a_desired(on_removal=policy)), live_as(status), held=True)

    assert (decision.removal, decision.loses, decision.problem) == (Action.FORGET, False, None)


@pytest.mark.parametrize("policy", OnRemoval)
@pytest.mark.parametrize("status", [*STATUSES, ABSENT])
def test_what_its_program_retains_is_only_forgotten(policy: OnRemoval, status: str) -> None:
    """With `retain_on_delete` the engine asks the provider for nothing, whatever the policy."""
    prior = a_prior(1, a_desired(on_removal=policy), retained=True)

    gone = decide_removal(prior, live_as(status))
    replaced = decide_existing(prior, a_desired(platform_key="qhyg"), live_as(status))

    for each in (gone, replaced):
        assert (each.removal, each.loses, each.problem) == (Action.FORGET, False, None)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("status", ["Linked", "Migrating"])
def test_what_is_protected_is_not_removed(held: bool, status: str) -> None:
    """Pulumi would refuse it, even if it were only forgotten."""
    decision = decide_removal(a_prior(protected=True), a_live(status=status), held=held)

    assert problem_of(decision).startswith("it is protected, so Pulumi neither removes nor replaces it;")


def test_a_removal_names_the_urn_and_the_address_in_it() -> None:
    """The state may have been renamed since, and the engine is told what to delete."""
    urn = a_urn("acme/renamed", "shop:index:Customer$")

    decision = decide_removal(a_prior(1, a_desired("acme/old"), urn=urn), a_live())

    assert (decision.address, decision.urn) == ("acme/renamed", urn)
    assert (decision.company_id, decision.platform_key, decision.live) == (COMPANY, "gbol", a_live())


# What is new.


def outcome(decision: Decision) -> str | int:
    """A decision in a word: the number of the adopted connection, `post`, or why it is refused."""
    assert decision.cause is Cause.YOU
    if decision.problem:
        assert (decision.connection_id, decision.becomes) == (None, None)
        return decision.problem
    if decision.action is Action.ADOPT:
        assert decision.live is not None
        assert decision.connection_id == decision.becomes == decision.live.id
        assert decision.status == decision.live.status
        return int(decision.live.id[-12:], 16)
    assert decision == Decision(
        decision.address,
        Action.CREATE,
        Cause.YOU,
        decision.company_id,
        decision.platform_key,
        ABSENT,
    )
    return "post"


def short(decision: Decision) -> str | int:
    """The same with `refused` for every refusal."""
    return "refused" if decision.problem else outcome(decision)


def a_beside(
    *,
    recorded: Collection[int] = (),
    named: Collection[int] = (),
    claimed: Mapping[int, str] | None = None,
    old_half: int | None = None,
    **rest: Any,
) -> SlotView:
    """What stands beside an address, with ids by their number."""
    return SlotView(
        recorded=frozenset(map(an_id, recorded)),
        named=frozenset(map(an_id, named)),
        claimed={an_id(number): address for number, address in (claimed or {}).items()},
        old_half=None if old_half is None else an_id(old_half),
        **rest,
    )


def test_beside_an_address_alone_there_is_nothing() -> None:
    """It is the only one that comes, and nothing else is recorded, named or claimed."""
    assert SlotView() == SlotView(frozenset(), frozenset(), {}, 0, 1, complete=True, old_half=None)


@pytest.mark.parametrize(
    ("live", "decided"),
    [
        pytest.param([], "post", id="none"),
        pytest.param([a_live(1, platform_key="qhyg")], "post", id="another platform"),
        pytest.param([a_live(1, "PendingAuth")], 1, id="PendingAuth"),
        pytest.param([a_live(2, "PendingAuth"), a_live(1, "PendingAuth")], 1, id="the oldest PendingAuth"),
        pytest.param([a_live(1), a_live(2, "PendingAuth")], 2, id="PendingAuth beside somebody's"),
    ],
)
def test_what_nobody_authorised_is_adopted_and_else_one_is_made(
    live: Sequence[LiveConnection], decided: str | int
) -> None:
    """A waiting connection is what a crash left, or as good: no second one is made beside it."""
    assert outcome(decide_new(a_desired(), live, SlotView())) == decided


@pytest.mark.parametrize("status", ["Linked", "Deauthorized", "Unlinked", "Migrating"])
@pytest.mark.parametrize(
    ("on_existing", "decided"),
    [(OnExisting.REFUSE, "refused"), (OnExisting.ADOPT, 1), (OnExisting.CREATE, "post")],
)
def test_what_somebody_authorised_is_theirs_until_the_file_says_otherwise(
    status: str, on_existing: OnExisting, decided: str | int
) -> None:
    """OnExisting decides about a free connection of any status but PendingAuth."""
    assert short(decide_new(a_desired(on_existing=on_existing), [a_live(1, status)], SlotView())) == decided


def test_a_refusal_names_every_id_and_the_ways_out() -> None:
    """It stands alone, whoever reads it."""
    assert outcome(decide_new(a_desired(), [a_live(2, "Unlinked"), a_live(1)], SlotView())) == (
        f"company {COMPANY} has a connection to gbol that nobody manages here: {an_id(1)} (Linked),"
        f" {an_id(2)} (Unlinked); if this is the right stack, set `onExisting: adopt` to take it,"
        " `connectionId` to name it, or `onExisting: create` for one more"
    )


def test_of_several_none_is_adopted_by_guess() -> None:
    """Which of two authorised connections is meant, only a connectionId can say."""
    decision = decide_new(a_desired(on_existing=OnExisting.ADOPT), [a_live(1), a_live(2)], SlotView())

    assert outcome(decision) == (
        f"more than one connection to gbol could be adopted: {an_id(1)} (Linked), {an_id(2)} (Linked); name"
        " one by `connectionId`"
    )


def test_a_foreign_status_can_not_break_the_line() -> None:
    """What Codat calls a status is shown as one line, whatever it is."""
    assert "(A B)" in problem_of(decide_new(a_desired(), [a_live(1, "A\nB")], SlotView()))


@pytest.mark.parametrize(
    ("status", "notice"),
    [
        ("PendingAuth", Notice.WAITING),
        ("Linked", None),
        ("Deauthorized", Notice.DEAUTHORIZED),
        ("Unlinked", Notice.UNLINKED),
        ("Migrating", Notice.UNKNOWN_STATUS),
    ],
)
def test_what_is_adopted_says_what_its_customer_has_to_do(status: str, notice: Notice | None) -> None:
    """It starts from the connection that is there, and ends with it."""
    assert decide_new(a_desired(on_existing=OnExisting.ADOPT), [a_live(1, status)], SlotView()) == Decision(
        Address(LEDGER), Action.ADOPT, Cause.YOU, COMPANY, "gbol", status, connection_id=an_id(1)
    )
    assert decide_new(a_desired(connection_id=an_id(1)), [a_live(1, status)], SlotView()).notice is notice


@pytest.mark.parametrize("status", ["PendingAuth", "Linked", "Deauthorized", "Unlinked"])
def test_an_adoption_loses_nothing_and_unlinks_nothing(status: str) -> None:
    """What is to be unlinked is adopted first; the next run does the rest."""
    desired = a_desired(status=UNLINKED, on_existing=OnExisting.ADOPT)

    decision = decide_new(desired, [a_live(1, status)], SlotView())

    assert (decision.action, decision.loses, decision.fields) == (Action.ADOPT, False, ())
    assert decision.writes == 0


def test_there_is_nothing_to_unlink_if_nothing_is_there() -> None:
    """Desired Unlinked and absent is an error, and never a POST."""
    assert outcome(decide_new(a_desired(status=UNLINKED), [], SlotView())) == (
        "there is nothing to unlink, since it doesn't exist; declare it `Linked`, or take it out of the file"
    )


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(a_beside(recorded=[1]), id="recorded"),
        pytest.param(a_beside(named=[1]), id="named by another"),
        pytest.param(a_beside(claimed={1: "acme/b"}), id="claimed by another"),
        pytest.param(a_beside(recorded=[1], claimed={1: "acme/b"}), id="recorded and claimed"),
        pytest.param(a_beside(recorded=[1], old_half=2), id="recorded, and no old half"),
    ],
)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("on_existing", OnExisting)
@pytest.mark.parametrize("complete", [True, False])
def test_what_is_somebodys_is_not_free(
    beside: SlotView, status: str, on_existing: OnExisting, complete: bool
) -> None:
    """No connection serves two addresses, and none is taken out of the state: one is made beside it."""
    desired = a_desired(on_existing=on_existing)

    assert outcome(decide_new(desired, [a_live(1, status)], replace(beside, complete=complete))) == "post"


# Which of several gets what waits.


@pytest.mark.parametrize(
    ("rank", "waiting", "claimed", "decided"),
    [
        pytest.param(0, [1, 2], {}, 1, id="the first takes the oldest"),
        pytest.param(1, [1, 2], {}, 2, id="the second takes the next"),
        pytest.param(2, [1, 2], {}, "post", id="the third gets a new one"),
        pytest.param(1, [1], {}, "post", id="the only one is the first's"),
        pytest.param(1, [], {}, "post", id="none waits"),
        pytest.param(1, [1, 2], {1: "acme/a"}, 2, id="the first has its own already"),
        pytest.param(0, [1, 2], {2: "acme/b"}, 1, id="the second was faster"),
        pytest.param(0, [1, 2], {1: "acme/b"}, 2, id="somebody took its own: the other is as good"),
        pytest.param(0, [1], {1: "acme/b"}, "post", id="somebody took the only one"),
    ],
)
def test_each_waiting_connection_has_one_taker(
    rank: int, waiting: Sequence[int], claimed: dict[int, str], decided: str | int
) -> None:
    """By their ranks, so that it doesn't matter who is asked first."""
    live = [a_live(number, "PendingAuth") for number in waiting]

    assert outcome(decide_new(a_desired(), live, a_beside(rank=rank, comers=3, claimed=claimed))) == decided


def test_what_is_recorded_or_named_counts_for_nobodys_rank() -> None:
    """The second of two takes the second of those that are free."""
    live = [a_live(number, "PendingAuth") for number in (1, 2, 3, 4)]

    assert outcome(decide_new(a_desired(), live, a_beside(recorded=[1], named=[3], rank=1, comers=2))) == 4


# Adopting what somebody authorised, among several.


@pytest.mark.parametrize(
    ("live", "rank", "comers", "decided"),
    [
        pytest.param([a_live(1)], 0, 1, 1, id="one comes"),
        pytest.param([a_live(1)], 0, 2, "refused", id="two come"),
        pytest.param([a_live(1)], 1, 2, "refused", id="two come, and this is the second"),
        pytest.param([a_live(1, "PendingAuth"), a_live(2)], 1, 2, 2, id="the other takes what waits"),
        pytest.param([a_live(1, "PendingAuth"), a_live(2)], 1, 3, "refused", id="two are left"),
        pytest.param([a_live(1), a_live(2)], 0, 1, "refused", id="two are there"),
        pytest.param([a_live(1), a_live(2)], 0, 2, "refused", id="two come and two are there"),
    ],
)
def test_an_authorisation_is_adopted_if_it_has_one_taker(
    live: Sequence[LiveConnection], rank: int, comers: int, decided: str | int
) -> None:
    """Which of several addresses is to have it, nobody knows."""
    desired = a_desired(on_existing=OnExisting.ADOPT)

    assert short(decide_new(desired, live, a_beside(rank=rank, comers=comers))) == decided


def test_several_that_could_adopt_one_are_told_how_to_name_it() -> None:
    """The id, and where to put it."""
    desired = a_desired(on_existing=OnExisting.ADOPT)

    assert outcome(decide_new(desired, [a_live(1)], a_beside(comers=2))) == (
        f"several addresses could adopt {an_id(1)} (Linked); name it by `connectionId` at the one that is to"
        " have it"
    )


def test_what_another_address_adopted_is_no_hindrance() -> None:
    """It is claimed, so one is made for this one."""
    desired = a_desired(on_existing=OnExisting.ADOPT)

    assert outcome(decide_new(desired, [a_live(1)], a_beside(comers=2, claimed={1: "acme/b"}))) == "post"


# The one that is named.


@pytest.mark.parametrize(
    ("live", "beside", "decided"),
    [
        pytest.param([a_live(1), a_live(2)], SlotView(), 2, id="exactly that one"),
        pytest.param([a_live(1, "PendingAuth"), a_live(2)], SlotView(), 2, id="not the one that waits"),
        pytest.param([a_live(2, "Migrating")], SlotView(), 2, id="whatever its status"),
        pytest.param([a_live(2)], a_beside(claimed={2: LEDGER}), 2, id="its own already"),
        pytest.param([a_live(2)], a_beside(complete=False, rank=3, comers=4), 2, id="though little is known"),
        pytest.param([a_live(2, platform_key=None)], SlotView(), 2, id="of a platform that isn't said"),
        pytest.param([a_live(2)], a_beside(recorded=[2], old_half=2), 2, id="what it had before"),
        pytest.param(
            [a_live(1, "PendingAuth")],
            SlotView(),
            f"company {COMPANY} has no connection {an_id(2)}; correct `connectionId`, or leave it out to make"
            " a new one",
            id="absent",
        ),
        pytest.param(
            [a_live(2, platform_key="qh\nyg")],
            SlotView(),
            f"connection {an_id(2)} is on qh yg, not on gbol; correct `platformKey` or `connectionId`",
            id="of another platform",
        ),
        pytest.param(
            [a_live(2)],
            a_beside(recorded=[2], claimed={2: "acme/books"}),
            f"connection {an_id(2)} is managed as acme/books already; declare it once",
            id="held elsewhere",
        ),
        pytest.param(
            [a_live(2)],
            a_beside(recorded=[2], old_half=1),
            f"connection {an_id(2)} is recorded in this stack already; to let it go on at another address,"
            " pass that resource's URN as `aliases`, or rename it in the desired state alone",
            id="recorded elsewhere",
        ),
    ],
)
def test_a_connection_id_means_exactly_that_one(
    live: Sequence[LiveConnection], beside: SlotView, decided: str | int
) -> None:
    """It is adopted or refused; a POST could not make it, and nothing is taken out of the state."""
    desired = a_desired(connection_id=an_id(2), on_existing=OnExisting.CREATE)

    assert outcome(decide_new(desired, live, beside)) == decided


# An old half: what this address had before a replacement that broke off.


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("complete", [True, False])
def test_the_old_half_of_a_replacement_is_taken_back(status: str, complete: bool) -> None:
    """The file went back to what it said, so nothing is made and nothing is lost, whatever else is there."""
    live = [a_live(1, "PendingAuth"), a_live(2, status), a_live(3)]

    decision = decide_new(a_desired(), live, a_beside(recorded=[2], old_half=2, rank=3, complete=complete))

    assert outcome(decision) == 2


def test_an_old_half_on_another_platform_is_none() -> None:
    """It isn't what is declared now."""
    live = [a_live(1, platform_key="qhyg")]

    assert outcome(decide_new(a_desired(), live, a_beside(recorded=[1], old_half=1))) == "post"


# If Codat doesn't say the platform.


@pytest.mark.parametrize("on_existing", OnExisting)
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_a_nameless_connection_is_not_passed_over(
    on_existing: OnExisting, complete: bool, status: str
) -> None:
    """It may be this very connection, so none is made beside it; naming it by its id is the way out."""
    nameless = [a_live(1, status, platform_key=None)]
    desired = a_desired(on_existing=on_existing)

    refused = outcome(decide_new(desired, nameless, a_beside(complete=complete)))

    assert refused == (
        f"Codat doesn't say which platform {an_id(1)} of this company is, so it may be this very connection;"
        " see it in the Portal, then name it by `connectionId`, or delete it there"
    )
    assert outcome(decide_new(replace(desired, connection_id=an_id(1)), nameless, SlotView())) == 1


def test_a_nameless_connection_is_no_hindrance_to_what_waits() -> None:
    """A waiting one of the right platform is taken all the same: nothing is made."""
    live = [a_live(1, platform_key=None), a_live(2, "PendingAuth")]

    assert outcome(decide_new(a_desired(), live, SlotView())) == 2


@pytest.mark.parametrize(
    "beside",
    [a_beside(recorded=[1]), a_beside(claimed={1: "acme/other"}), a_beside(named=[1])],
    ids=["recorded", "claimed", "named"],
)
def test_a_nameless_connection_that_is_managed_is_none_of_this(beside: SlotView) -> None:
    """Whose it is, is known, whatever its platform."""
    assert outcome(decide_new(a_desired(), [a_live(1, platform_key=None)], beside)) == "post"


# If not all that is recorded is known.


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("on_existing", OnExisting)
@pytest.mark.parametrize("rank", [0, 1])
def test_what_may_be_another_address_s_is_left_alone(status: str, on_existing: OnExisting, rank: int) -> None:
    """Neither adopted by guess nor passed over by a POST, whatever the file says: it is refused."""
    beside = a_beside(complete=False, rank=rank, comers=2)

    assert outcome(decide_new(a_desired(on_existing=on_existing), [a_live(1, status)], beside)) == (
        f"company {COMPANY} has {an_id(1)} ({status}) on gbol, and this run doesn't know whether another"
        " address has that: it reads a part of the stack only; run `pulumi up --refresh` without"
        " targets (`options: {refresh: always}` in Pulumi.yaml makes every run refresh), or name one by"
        " `connectionId`"
    )


@pytest.mark.parametrize(
    ("live", "beside", "decided"),
    [
        pytest.param([], a_beside(), "post", id="nothing is there"),
        pytest.param([a_live(1)], a_beside(recorded=[1]), "post", id="all that is there is recorded"),
        pytest.param([a_live(1)], a_beside(claimed={1: "acme/b"}), "post", id="another one has it"),
        pytest.param(
            [a_live(1, "PendingAuth")], a_beside(claimed={1: "acme/b"}), "post", id="another one made it"
        ),
        pytest.param([a_live(1, platform_key="qhyg")], a_beside(), "post", id="another platform"),
        pytest.param([a_live(1), a_live(2)], a_beside(recorded=[1]), "refused", id="one is over"),
    ],
)
def test_what_is_known_is_enough_if_nothing_else_is_there(
    live: Sequence[LiveConnection], beside: SlotView, decided: str
) -> None:
    """Only a free connection makes it uncertain."""
    assert short(decide_new(a_desired(), live, replace(beside, complete=False))) == decided


def test_a_refusal_for_want_of_a_refresh_names_the_ids() -> None:
    """What waits comes first."""
    decision = decide_new(a_desired(), [a_live(1), a_live(2, "PendingAuth")], a_beside(complete=False))

    assert f"has {an_id(2)} (PendingAuth), {an_id(1)} (Linked) on gbol" in problem_of(decision)


# How many calls a decision costs.


def a_decision(action: Action, removal: Action | None = None, **rest: Any) -> Decision:
    """One decision about the connection 1."""
    return Decision(
        Address(LEDGER),
        action,
        Cause.YOU,
        COMPANY,
        "gbol",
        "Linked",
        connection_id=an_id(1),
        removal=removal,
        **rest,
    )


@pytest.mark.parametrize(
    ("decision", "reads", "writes", "posts"),
    [
        pytest.param(a_decision(Action.NONE), 0, 0, False, id="nothing"),
        pytest.param(a_decision(Action.CREATE), 1, 1, True, id="create: listing, POST"),
        pytest.param(a_decision(Action.ADOPT, becomes=an_id(1)), 1, 0, False, id="adopt: listing"),
        pytest.param(a_decision(Action.MOVE), 0, 0, False, id="move: nothing"),
        pytest.param(a_decision(Action.UPDATE), 0, 0, False, id="record anew: nothing"),
        pytest.param(a_decision(Action.UNLINK), 1, 1, False, id="unlink: GET, PATCH"),
        pytest.param(a_decision(Action.REMOVE, Action.UNLINK), 1, 1, False, id="remove: GET, PATCH"),
        pytest.param(a_decision(Action.REMOVE, Action.DELETE), 1, 1, False, id="remove: GET, DELETE"),
        pytest.param(a_decision(Action.REMOVE, Action.FORGET), 0, 0, False, id="forget: nothing"),
        pytest.param(
            a_decision(Action.REPLACE, Action.UNLINK), 2, 2, True, id="replace: listing, POST, GET, PATCH"
        ),
        pytest.param(
            a_decision(Action.REPLACE, Action.FORGET), 1, 1, True, id="replace what is gone: as a create"
        ),
        pytest.param(
            a_decision(Action.REPLACE, Action.DELETE, becomes=an_id(2)),
            2,
            1,
            False,
            id="replace by what is there: listing, GET, DELETE",
        ),
    ],
)
def test_each_decision_has_its_calls(decision: Decision, reads: int, writes: int, posts: bool) -> None:
    """A listing before a connection is made or taken, a fresh GET before one ends."""
    assert (decision.reads, decision.writes, decision.posts) == (reads, writes, posts)
    assert isinstance(decision.reads, int)


@pytest.mark.parametrize(
    ("action", "removal"),
    [(Action.CREATE, None), (Action.UNLINK, None), (Action.REPLACE, Action.DELETE), (Action.ADOPT, None)],
)
def test_what_waits_for_the_next_run_costs_nothing_in_this_one(
    action: Action, removal: Action | None
) -> None:
    """It isn't declared yet."""
    later = a_decision(action, removal, later=True)

    assert (later.reads, later.writes, later.posts) == (0, 0, False)


def test_what_is_the_same_change_is_the_same_decision() -> None:
    """A saved plan is compared with a fresh one by what is done, and not by what there is to say of it."""
    change = a_decision(Action.UPDATE)

    assert change == replace(
        change, becomes=an_id(2), replaces=("status",), notice=Notice.WAITING, problem="no", live=a_live()
    )
    assert change != replace(change, later=True)
    assert change != replace(change, losing=(an_id(1),))


def test_no_link_is_shown_with_a_decision() -> None:
    """Whoever has it can authorise."""
    live = a_live(1, "PendingAuth", link_url="https://link.codat.io/start?otp=123456")

    assert "123456" not in repr(decide_new(a_desired(), [live], SlotView()))


# What holds whatever happens.


ADDRESSES = [f"acme/{letter}" for letter in "abcde"]


@dataclass
class World:
    """One company on one platform, its state, and runs over it that may die at any moment.

    `recorded` is the state: ids by address. `made` are the ids that a POST made.
    """

    live: list[LiveConnection]
    recorded: dict[str, str]
    made: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def copy(self) -> World:
        """Return another world like this one."""
        return World(list(self.live), dict(self.recorded))

    def foreseen(self, declared: Sequence[DesiredConnection]) -> dict[str, str | int]:
        """Decide about all that come, without doing anything: what a preview shows."""
        comers = self._comers(declared)
        return {
            each.address: outcome(decide_new(each, self.live, self._beside(each, comers, {}, set())))
            for each in comers
        }

    def run(
        self,
        declared: Sequence[DesiredConnection],
        *,
        dies_after: int | None = None,
        forgotten: int = 0,
        unread: AbstractSet[str] = frozenset(),
    ) -> dict[str, str | int]:
        """Do what an apply does, in the order of *declared*; it dies after so many creates.

        The last *forgotten* creates were made but not recorded. What is recorded at the addresses *unread*
        isn't known. Returns what was done, by address.
        """
        comers = self._comers(declared)
        claims: dict[str, str] = {}
        made: set[str] = set()
        done: dict[str, str | int] = {}
        self.refused = set()
        for desired in comers:
            if dies_after is not None and len(claims) >= dies_after:
                break
            beside = self._beside(desired, comers, claims, made, unread)
            decision = decide_new(desired, self.live, beside)
            done[desired.address] = outcome(decision)
            if decision.problem:
                self.refused.add(desired.address)
                continue
            assert desired.connection_id in {None, decision.becomes}, "only the one that is named"
            connection_id = decision.becomes or self._post(made)
            assert connection_id not in {*self.recorded.values(), *claims.values()}, "another one has it"
            claims[desired.address] = connection_id
        kept = list(claims)[: len(claims) - forgotten] if forgotten else list(claims)
        self.recorded |= {address: claims[address] for address in kept}
        return done

    def settle(self, declared: Sequence[DesiredConnection]) -> None:
        """Run until nothing changes: if one address is refused, another's adoption may clear the way."""
        before = None
        while before != self.recorded:
            before = dict(self.recorded)
            self.run(declared)

    def _comers(self, declared: Sequence[DesiredConnection]) -> list[DesiredConnection]:
        return [each for each in declared if each.address not in self.recorded]

    def _beside(
        self,
        desired: DesiredConnection,
        comers: Sequence[DesiredConnection],
        claims: Mapping[str, str],
        made: AbstractSet[str],
        unread: AbstractSet[str] = frozenset(),
    ) -> SlotView:
        """Tell what the program and the process know; what was made in this run is as good as recorded."""
        nameless = sorted(each.address for each in comers if not each.connection_id)
        known = {i for address, i in self.recorded.items() if address not in unread}
        names = {each.connection_id for each in comers if each.connection_id} - {desired.connection_id}
        return SlotView(
            recorded=known | made,
            named=frozenset(map(str, names)),
            claimed={i: address for address, i in claims.items()},
            rank=nameless.index(desired.address) if not desired.connection_id else len(nameless),
            comers=len(nameless),
            complete=not unread & self.recorded.keys(),
        )

    def _post(self, made: set[str]) -> str:
        live = a_live(40 + len(self.live), "PendingAuth")
        self.live.append(live)
        self.made.add(live.id)
        made.add(live.id)
        return live.id


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, list[DesiredConnection]]:
    """Any state of a slot, and any declaration over it."""
    statuses = st.sampled_from([*Status, "Migrating"])
    live = [a_live(number, status) for number, status in enumerate(draw(st.lists(statuses, max_size=6)), 1)]
    ids = draw(st.permutations([connection.id for connection in live]))
    addresses = draw(st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=len(ids)))
    recorded = dict(zip(addresses, ids, strict=False))
    names = draw(st.lists(st.sampled_from(ADDRESSES), unique=True, min_size=1))
    free_to_name = draw(st.permutations([*(connection.id for connection in live), an_id(30)]))
    declared = [
        a_desired(
            name,
            on_existing=draw(st.sampled_from(OnExisting)),
            connection_id=None
            if name in recorded or not free_to_name
            else draw(st.sampled_from([None, None, free_to_name.pop()])),
        )
        for name in names
    ]
    return World(live, recorded), declared


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_in_any_order_each_address_gets_a_connection_of_its_own(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """Whatever is live and recorded, no two addresses share an id, and nothing recorded is taken."""
    world, declared = given_world
    before = dict(world.recorded)

    done = world.run(data.draw(st.permutations(declared)))

    names = {desired.address for desired in declared}
    assert done.keys() == names - before.keys()
    assert world.recorded.items() >= before.items()
    assert len(set(world.recorded.values())) == len(world.recorded)
    assert {connection.id for connection in world.live} >= set(world.recorded.values())


@settings(deadline=None, max_examples=100)
@given(given_world=worlds(), data=st.data())
def test_in_any_order_what_was_foreseen_is_done(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """A preview sees each address alone; a run sees what the others did before, and does the same."""
    world, declared = given_world
    foreseen = world.foreseen(declared)
    assume(all(isinstance(each, int) or each == "post" for each in foreseen.values()))

    assert world.run(data.draw(st.permutations(declared))) == foreseen


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_applying_again_makes_nothing(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """Apply, then apply, calls nothing, and every address keeps its id, unless something was refused."""
    world, declared = given_world
    world.run(data.draw(st.permutations(declared)))
    assume(not world.refused)
    before, made = dict(world.recorded), set(world.made)

    world.run(data.draw(st.permutations(declared)))

    assert world.made == made
    assert world.recorded == before


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_a_crash_costs_no_second_connection(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """Dying anywhere, with any number of POSTs unrecorded, and running again leaves none over.

    Nor does it make more than a run without a crash, but for an address that was refused there.
    """
    world, mixed = given_world
    declared = [replace(desired, on_existing=mixed[0].on_existing) for desired in mixed]
    declared.sort(key=lambda desired: desired.connection_id is None)
    twin = world.copy()
    twin.settle(declared)
    dies_after = data.draw(st.integers(0, len(declared)))
    forgotten = data.draw(st.integers(0, dies_after))

    world.run(declared, dies_after=dies_after, forgotten=forgotten)
    world.settle(declared)

    assert world.made <= set(world.recorded.values())
    assert len(set(world.recorded.values())) == len(world.recorded)
    assert len(world.made) <= len(twin.made) + len(twin.refused - world.refused)


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_what_was_not_read_is_never_adopted(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """A run that knows a part of the record gives nobody what a recorded address has, and makes none beside.

    An id that is named is asked for by its name, so that is the user's word.
    """
    world, declared = given_world
    unread = data.draw(st.sets(st.sampled_from(ADDRESSES)))
    ordered = [replace(each, connection_id=None) for each in data.draw(st.permutations(declared))]
    hidden = [i for address, i in world.recorded.items() if address in unread]
    before = dict(world.recorded)

    done = world.run(ordered, unread=unread)

    assert world.recorded.items() >= before.items()
    assert len(set(world.recorded.values())) == len(world.recorded)
    if hidden:
        assert world.made == set()
        assert len(world.refused) == len(done)


def test_an_old_half_that_another_address_names_is_not_taken_back() -> None:
    """One id would stand at two addresses; nor is one that another address has by now."""
    recorded = frozenset({an_id(1)})
    others: tuple[dict[str, Any], ...] = ({"named": recorded}, {"claimed": {an_id(1): "acme/b"}})

    for other in others:
        assert (
            decide_new(a_desired(), [a_live(1)], SlotView(recorded, old_half=an_id(1), **other)).becomes
            is None
        )
    assert decide_new(a_desired(), [a_live(1)], SlotView(recorded, old_half=an_id(1))).becomes == an_id(1)
