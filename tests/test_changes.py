"""Decisions as changes: what is done, who brought it about, what differs, what is lost."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from codat_iac import changes, rules
from codat_iac.model import DataConnectionError, DesiredConnection, LiveConnection, OnRemoval, Status
from codat_iac.plan import Cause, Change, Field, Step, Waiting
from tests.builders import COMPANY, a_desired, a_live, a_prior, an_id

UNLINKED = Status.UNLINKED


def altered(
    was: DesiredConnection, recorded: str, now: DesiredConnection, live: str | None, **rest: Any
) -> Change:
    """What becomes of a recorded connection: the desired and the status of then, and those of now."""
    prior = a_prior(1, was, recorded, **rest)
    found = a_live(1, live) if live else None
    return changes.altered(prior, now, found, rules.compare(prior, now, found))


def broken(*causes: DataConnectionError) -> LiveConnection:
    """A connection that lost its authorisation."""
    return a_live(1, "Deauthorized", data_connection_errors=causes)


# New ones.


def test_what_is_made_starts_from_nothing() -> None:
    """Its company and platform are what there is to say."""
    assert changes.made(a_desired()) == Change(
        "acme/ledger", Step.CREATE, Cause.YOU, COMPANY, "gbol", "absent"
    )


@pytest.mark.parametrize(
    ("desired", "status", "fields", "loses"),
    [
        pytest.param(a_desired(), "Linked", (), False, id="as it is"),
        pytest.param(
            a_desired(status=UNLINKED),
            "Linked",
            (Field("status", "Linked", "Unlinked"),),
            True,
            id="unlinked",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "Deauthorized",
            (Field("status", "Deauthorized", "Unlinked"),),
            False,
            id="unlinked, with nothing to lose",
        ),
        pytest.param(a_desired(status=UNLINKED), "PendingAuth", (), False, id="nothing to unlink"),
    ],
)
def test_what_is_adopted_says_what_is_done_to_it(
    desired: DesiredConnection, status: str, fields: tuple[Field, ...], loses: bool
) -> None:
    """An adoption calls nothing, but for an unlink."""
    change = changes.taken(desired, a_live(1, status), None)

    assert (change.step, change.cause, change.moved_from) == (Step.ADOPT, Cause.YOU, None)
    assert (change.connection_id, change.status) == (an_id(1), status)
    assert (change.fields, change.loses) == (fields, loses)


@pytest.mark.parametrize(
    ("recorded", "live", "cause"),
    [
        ("Linked", "Linked", Cause.YOU),
        ("PendingAuth", "Linked", Cause.YOU),
        ("Linked", "Unlinked", Cause.BOTH),
    ],
)
def test_what_is_moved_says_where_from_and_what_else_differs(recorded: str, live: str, cause: Cause) -> None:
    """A new address may come with a new policy; the customer's own doing is told, too."""
    origin = a_prior(1, a_desired("acme/old", on_removal=OnRemoval.RETAIN), recorded)

    change = changes.taken(a_desired(), a_live(1, live), origin)

    assert (change.step, change.cause, change.moved_from) == (Step.MOVE, cause, "acme/old")
    assert change.fields == (Field("onRemoval", "retain", "unlink"),)
    assert not change.loses


def test_what_is_moved_and_unlinked_is_lost() -> None:
    """The live status is what the unlink starts from."""
    change = changes.taken(a_desired(status=UNLINKED), a_live(1), a_prior(1, a_desired("acme/old")))

    assert change.fields == (Field("status", "Linked", "Unlinked"),)
    assert change.loses


# Recorded ones.


@pytest.mark.parametrize(
    ("was", "recorded", "now", "live", "step", "cause"),
    [
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(on_removal=OnRemoval.DELETE),
            "Linked",
            Step.UPDATE,
            Cause.YOU,
            id="another policy",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(on_removal=OnRemoval.DELETE),
            "Deauthorized",
            Step.UPDATE,
            Cause.BOTH,
            id="another policy, and revoked",
        ),
        pytest.param(
            a_desired(),
            "PendingAuth",
            a_desired(on_removal=OnRemoval.DELETE),
            "Linked",
            Step.UPDATE,
            Cause.YOU,
            id="another policy, and authorised at last",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(status=UNLINKED),
            "Linked",
            Step.UNLINK,
            Cause.YOU,
            id="to be unlinked",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "Unlinked",
            a_desired(status=UNLINKED),
            "Linked",
            Step.UNLINK,
            Cause.THEY,
            id="linked again",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "PendingAuth",
            a_desired(status=UNLINKED),
            "Linked",
            Step.UNLINK,
            Cause.THEY,
            id="linked for the first time",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "Linked",
            a_desired(status=UNLINKED),
            "Linked",
            Step.UNLINK,
            Cause.THEY,
            id="linked again, and a refresh recorded it",
        ),
        pytest.param(
            a_desired(status=UNLINKED),
            "Linked",
            a_desired(status=UNLINKED, on_removal=OnRemoval.DELETE),
            "Linked",
            Step.UNLINK,
            Cause.BOTH,
            id="linked again, and another policy",
        ),
        pytest.param(
            a_desired(), "Linked", a_desired(), None, Step.REPLACE, Cause.THEY, id="deleted by somebody"
        ),
        pytest.param(
            a_desired(), "absent", a_desired(), None, Step.REPLACE, Cause.THEY, id="deleted, and recorded so"
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(platform_key="qhyg"),
            "Linked",
            Step.REPLACE,
            Cause.YOU,
            id="another platform",
        ),
        pytest.param(
            a_desired(),
            "absent",
            a_desired(platform_key="qhyg"),
            None,
            Step.REPLACE,
            Cause.BOTH,
            id="another platform, and deleted",
        ),
        pytest.param(
            a_desired(),
            "Linked",
            a_desired(connection_id=an_id(2)),
            "Unlinked",
            Step.REPLACE,
            Cause.BOTH,
            id="another connection, and unlinked",
        ),
    ],
)
def test_a_change_names_who_brought_it_about(
    was: DesiredConnection,
    recorded: str,
    now: DesiredConnection,
    live: str | None,
    step: Step,
    cause: Cause,
) -> None:
    """You, where desired moved against recorded; they, where live did; or both."""
    change = altered(was, recorded, now, live)

    assert (change.step, change.cause) == (step, cause)
    assert (change.connection_id, change.status) == (an_id(1), live or "absent")


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
            id="the recorded id, where another is named",
        ),
        pytest.param(
            a_desired(connection_id=an_id(1)),
            a_desired(on_removal=OnRemoval.RETAIN),
            "Linked",
            [("connectionId", an_id(1), None), ("onRemoval", "unlink", "retain")],
            id="an id that is named no longer",
        ),
    ],
)
def test_a_change_names_what_differs(
    was: DesiredConnection, now: DesiredConnection, live: str | None, fields: list[tuple[str, str, str]]
) -> None:
    """In Codat's spelling, sorted; `onExisting` and the siblings are no part of it."""
    change = altered(was, "Linked", now, live)

    assert [(field.name, field.before, field.after) for field in change.fields] == fields


@pytest.mark.parametrize(
    ("policy", "live", "removal", "loses"),
    [
        (OnRemoval.UNLINK, "Linked", "unlink", True),
        (OnRemoval.UNLINK, "PendingAuth", "delete", False),
        (OnRemoval.UNLINK, "Deauthorized", "unlink", False),
        (OnRemoval.UNLINK, "Unlinked", "forget", False),
        (OnRemoval.UNLINK, None, "forget", False),
        (OnRemoval.DELETE, "Linked", "delete", True),
        (OnRemoval.DELETE, "Unlinked", "delete", False),
        (OnRemoval.RETAIN, "Linked", "forget", False),
    ],
)
def test_what_goes_says_what_it_comes_to(
    policy: OnRemoval, live: str | None, removal: str, loses: bool
) -> None:
    """As the recorded policy has it, for a removal and for the old one of a replacement alike."""
    prior = a_prior(1, a_desired(on_removal=policy))
    found = a_live(1, live) if live else None
    replaced = altered(prior.desired, "Linked", a_desired(platform_key="qhyg", on_removal=policy), live)
    gone = changes.removed(prior, found)

    assert (replaced.removal, replaced.loses) == (removal, loses)
    assert (gone.removal, gone.loses, gone.step) == (removal, loses, Step.REMOVE)
    assert gone.cause is (Cause.YOU if live == "Linked" else Cause.BOTH)
    kept = changes.kept_by_another(gone)
    assert (kept.removal, kept.loses, kept.address) == ("forget", False, "acme/ledger")


# Who waits, and since when.


@pytest.mark.parametrize(
    ("desired", "status", "waits"),
    [
        (Status.LINKED, "PendingAuth", True),
        (Status.LINKED, "Deauthorized", True),
        (Status.LINKED, "Unlinked", True),
        (Status.LINKED, "Linked", False),
        (Status.LINKED, "Migrating", False),
        (Status.LINKED, None, False),
        (Status.UNLINKED, "PendingAuth", False),
        (Status.UNLINKED, "Unlinked", False),
    ],
)
def test_only_what_its_customer_can_bring_about_waits(
    desired: Status, status: str | None, waits: bool
) -> None:
    """Nobody has to authorise what shall be unlinked."""
    live = a_live(1, status) if status else None

    assert bool(list(changes.waiting(a_desired(status=desired), live))) is waits


def test_who_waits_is_told_with_the_words_and_the_time() -> None:
    """What the provider's warning says, too."""
    live = a_live(7, "PendingAuth")

    assert list(changes.waiting(a_desired(), live)) == [
        Waiting(
            "acme/ledger",
            COMPANY,
            an_id(7),
            "gbol",
            "PendingAuth",
            "2026-11-24T00:07:00Z",
            "acme/ledger: PendingAuth, it waits for its customer to follow the link",
        )
    ]


@pytest.mark.parametrize(
    ("live", "since"),
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
        pytest.param(broken(), "", id="nobody knows when it broke"),
        pytest.param(a_live(7, "Unlinked"), "", id="nobody knows when it was unlinked"),
    ],
)
def test_it_is_told_since_when_it_waits(live: LiveConnection, since: str) -> None:
    """When it was made, or when it broke; that it was made years ago says nothing of either."""
    assert changes.since(live) == since


# Several at one address.


@pytest.mark.parametrize(
    ("first", "second", "removal", "loses"),
    [
        ((None, False), ("unlink", True), "unlink", True),
        ((None, True), ("forget", False), "forget", True),
        (("forget", False), ("delete", False), "delete", False),
        (("unlink", True), ("forget", False), "unlink", True),
    ],
)
def test_one_change_stands_for_all_of_an_address(
    first: tuple[str | None, bool], second: tuple[str, bool], removal: str, loses: bool
) -> None:
    """What an earlier run replaced is removed along with what is done now: the graver of both is told."""
    update = altered(a_desired(), "Linked", a_desired(on_removal=OnRemoval.DELETE), "Linked")
    update = dataclasses.replace(update, removal=first[0], loses=first[1])
    gone = dataclasses.replace(changes.removed(a_prior(2), a_live(2)), removal=second[0], loses=second[1])
    new = changes.made(a_desired("acme/a"))

    assert changes.merged([update, gone, new]) == (
        new,
        dataclasses.replace(update, removal=removal, loses=loses),
    )
