"""What a plan is put together from: one change for each address, who waits since when, and the calls."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from codat_iac.model.connection import Address, DataConnectionError, LiveConnection, OnRemoval
from codat_iac.planning.decision import Cause, Decision, SlotView, decide_existing, decide_new, decide_removal
from codat_iac.planning.plan import Calls, Plan
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile import planner
from codat_iac.reconcile.planner import merged
from codat_iac.reconcile.planner.drift_and_links import waiting_since
from tests.support.builders import COMPANY, a_desired, a_live, a_prior, an_id
from tests.support.samples import NOW


def broken(*causes: DataConnectionError) -> LiveConnection:
    """A connection that lost its authorisation."""
    return a_live(1, "Deauthorized", data_connection_errors=causes)


@pytest.mark.parametrize(
    ("live", "when"),
    [
        pytest.param(a_live(7, "PendingAuth"), "2026-11-24T00:07:00Z", id="since it was made"),
        pytest.param(
            a_live(
                7,
                "PendingAuth",
                data_connection_errors=(DataConnectionError(errored_on_utc="2026-11-25T00:00:00Z"),),
            ),
            "2026-11-24T00:07:00Z",
            id="a failed attempt doesn't begin anything",
        ),
        pytest.param(
            broken(
                DataConnectionError(errored_on_utc="2026-01-01T00:00:00Z", status="Active"),
                DataConnectionError(errored_on_utc="2026-02-01T00:00:00Z"),
            ),
            "2026-02-01T00:00:00Z",
            id="since it broke last",
        ),
        pytest.param(
            broken(
                DataConnectionError(errored_on_utc="2026-01-01T00:00:00Z"),
                DataConnectionError(errored_on_utc=None),
                DataConnectionError(errored_on_utc="2026-03-01T00:00:00Z", status="Resolved"),
            ),
            "2026-01-01T00:00:00Z",
            id="what was resolved doesn't count",
        ),
        pytest.param(
            a_live(7, "PendingAuth", created="0001-01-01T00:00:00"), "", id="nobody knows when it was made"
        ),
        pytest.param(a_live(7, "PendingAuth", created="2027-01-01T00:00:00Z"), "", id="made in a year"),
        pytest.param(a_live(7, "PendingAuth", created="soon"), "", id="no date"),
        pytest.param(
            broken(
                DataConnectionError(errored_on_utc="2026-01-01T00:00:00Z"),
                DataConnectionError(errored_on_utc="0001-01-01T00:00:00"),
                DataConnectionError(errored_on_utc="9999-12-31T23:59:59Z"),
            ),
            "2026-01-01T00:00:00Z",
            id="the last date that makes sense",
        ),
        pytest.param(broken(), "", id="nobody knows when it broke"),
        pytest.param(a_live(7, "Unlinked"), "", id="nobody knows when it was unlinked"),
    ],
)
def test_it_is_told_since_when_it_waits(live: LiveConnection, when: str) -> None:
    """When it was made, or when it broke; that it was made years ago says nothing of either."""
    assert waiting_since(live, NOW) == when


@pytest.mark.parametrize(
    ("first", "second", "removal", "loses"),
    [
        ((None, False), (Action.UNLINK, True), Action.UNLINK, True),
        ((None, True), (Action.FORGET, False), Action.FORGET, True),
        ((Action.FORGET, False), (Action.DELETE, False), Action.DELETE, False),
        ((Action.UNLINK, True), (Action.FORGET, False), Action.UNLINK, True),
    ],
)
def test_one_change_stands_for_all_of_an_address(
    first: tuple[Action | None, bool], second: tuple[Action, bool], removal: Action, loses: bool
) -> None:
    """What an earlier run replaced is removed along with what is done now: the graver of both is told."""
    update = decide_existing(a_prior(), a_desired(on_removal=OnRemoval.DELETE), a_live())
    lost = {1: (an_id(1),) if first[1] else (), 2: (an_id(2),) if second[1] else ()}
    update = dataclasses.replace(update, removal=first[0], losing=lost[1])
    gone = dataclasses.replace(decide_removal(a_prior(2), a_live(2)), removal=second[0], losing=lost[2])
    made: Decision = decide_new(a_desired("acme/a"), [], SlotView())

    assert merged([update, gone, made]) == (
        made,
        dataclasses.replace(update, removal=removal, losing=(*lost[1], *lost[2])),
    )
    assert merged([update, gone, made])[1].loses is loses


def a_change(action: Action, address: str = "acme/ledger", **rest: Any) -> Decision:
    """One change of the connection 1, unless another is said."""
    given = {"connection_id": an_id(1), **rest}
    return Decision(Address(address), action, Cause.YOU, COMPANY, "gbol", "Linked", **given)


def test_the_platforms_are_asked_once() -> None:
    """However many are made."""
    made = [a_change(Action.CREATE, f"acme/c{number}", connection_id=None) for number in range(3)]

    assert planner._calls(made, None, None) == Calls(reads=4, writes=3)


def test_a_connection_ends_once() -> None:
    """Though it is recorded at two addresses; the second finds it ended."""
    both = [a_change(Action.REMOVE, address, removal=Action.UNLINK) for address in ("acme/a", "acme/b")]

    assert planner._calls(both, None, None) == Calls(reads=1, writes=1)


def test_what_is_removed_beside_is_counted_too() -> None:
    """At the address of an adoption, what an earlier run replaced there is still to be removed."""
    changes = [
        a_change(Action.ADOPT, connection_id=an_id(2), becomes=an_id(2)),
        a_change(Action.REMOVE, removal=Action.DELETE),
    ]

    assert planner._calls(changes, None, None) == Calls(reads=2, writes=1)


def test_the_quota_is_told_beside() -> None:
    """What is left of today's, and when it starts anew, as Codat said it last."""
    assert planner._calls([], 7, "tomorrow") == Calls(0, 0, 7, "tomorrow")


def test_of_two_that_go_from_one_address_the_one_that_is_lost_is_named() -> None:
    """What was made instead goes without a loss; the old half loses its customer's authorisation."""
    made = decide_removal(
        a_prior(2, a_desired(platform_key="suuo")), a_live(2, "PendingAuth", platform_key="suuo")
    )
    half = decide_removal(a_prior(1, pending_removal=True), a_live(1))

    (change,) = merged([made, half])

    assert (change.connection_id, change.platform_key, change.status) == (an_id(1), "gbol", "Linked")
    assert change.losing == (an_id(1),)


def test_two_that_are_lost_at_one_address_are_both_counted() -> None:
    """A replacement, and the old half of the one before."""
    replaced = decide_existing(a_prior(2), a_desired(platform_key="suuo"), a_live(2))
    half = decide_removal(a_prior(1, pending_removal=True), a_live(1))

    changes = merged([replaced, half])

    assert [(each.connection_id, each.losing) for each in changes] == [(an_id(2), (an_id(1), an_id(2)))]
    assert Plan(changes).losses == 2


@pytest.mark.parametrize("stays", [True, False])
def test_each_that_is_lost_at_one_address_is_named(stays: bool) -> None:
    """And only those: what is kept there, or isn't lost, must not be approved with them."""
    first = a_change(Action.UPDATE) if stays else a_change(Action.UNLINK, losing=(an_id(1),))
    halves = [decide_removal(a_prior(number, pending_removal=True), a_live(number)) for number in (2, 3)]
    waiting = decide_removal(a_prior(4, pending_removal=True), a_live(4, "PendingAuth"))

    changes = merged([first, *halves, waiting])

    assert set(Plan(changes).losing) == {an_id(2), an_id(3)} | (set() if stays else {an_id(1)})
