"""Which connections an import brings in, at which addresses, and which it leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.model.connection import (
    Address,
    Company,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.planning import rule_table
from codat_iac.planning.decision import SlotView, decide_existing, decide_new
from codat_iac.planning.rule_table import Action
from codat_iac.stack.importing.discovery import Found
from codat_iac.stack.importing.draft import draft, exported
from tests.support.builders import COMPANY, a_desired, a_live, a_prior, an_id

OTHER = "2e9d2c44-f675-40ba-8049-353bfcb5e171"


def a_found(*connections: LiveConnection, chosen: Sequence[int] | None = None) -> Found:
    """A tenant with one company `Acme`; all its connections are chosen, or those of these numbers."""
    ids = {connection.id for connection in connections} if chosen is None else set(map(an_id, chosen))
    return Found((Company(COMPANY, "Acme", connections),), frozenset(ids))


def drafted(
    found: Found, declared: Sequence[DesiredConnection] = (), recorded: Sequence[PriorConnection] = ()
) -> tuple[dict[str, str], list[str]]:
    """Which id comes in where, and why the rest doesn't."""
    result = draft(found, declared, recorded)
    return {each.address: each.live.id for each in result.arrivals}, [each.reason for each in result.skipped]


def test_what_nobody_knows_comes_in_as_it_is() -> None:
    """A waiting or broken one counts as Linked, an unlinked one is to stay unlinked."""
    statuses = ["PendingAuth", "Linked", "Deauthorized", "Unlinked", "Something new"]
    found = a_found(*(a_live(n, status, platform_name="Plaid") for n, status in enumerate(statuses, 1)))

    result = draft(found)

    assert [(each.address, each.desired.status, each.declared) for each in result.arrivals] == [
        ("acme/plaid", Status.LINKED, False),
        ("acme/plaid-2", Status.LINKED, False),
        ("acme/plaid-3", Status.LINKED, False),
        ("acme/plaid-4", Status.UNLINKED, False),
        ("acme/plaid-5", Status.LINKED, False),
    ]
    assert result.undeclared[0] == DesiredConnection(
        Address("acme/plaid"), COMPANY, "gbol", connection_id=an_id(1)
    )
    assert result.names == {COMPANY: "Acme"}


def test_a_filter_never_changes_an_address() -> None:
    """All connections of the company count, also those that nobody asked for."""
    found = a_found(a_live(1), a_live(2), a_live(3), chosen=[2])

    assert drafted(found) == ({"acme/gbol-2": an_id(2)}, [])


def test_what_the_state_holds_is_skipped_at_whatever_address() -> None:
    """Under another name, and for another company as far as we know: it is somebody's."""
    recorded = [a_prior(1, a_desired("first/ledger")), a_prior(2, a_desired("x/y", company_id=OTHER))]

    result = draft(a_found(a_live(1), a_live(2), a_live(3)), recorded=recorded)

    assert [(each.address, each.held, each.reason) for each in result.skipped] == [
        ("first/ledger", True, "is managed as first/ledger already"),
        ("x/y", True, "is managed as x/y already"),
    ]
    assert [each.address for each in result.arrivals] == ["first/gbol"]


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (a_live(platform_key=None), "is on a platform that Codat doesn't name; see it in the Portal"),
        (
            a_live(platform_key="plaid"),
            "has the platform key 'plaid', which is none of four lower-case letters",
        ),
        (dataclasses.replace(a_live(), id="1"), "has an id that is no UUID"),
        (dataclasses.replace(a_live(), company_id="1"), "has an id that is no UUID"),
    ],
)
def test_what_no_desired_state_can_say_is_skipped(live: LiveConnection, reason: str) -> None:
    """An import of the rest goes on; an export leaves it out too."""
    found = Found((Company(live.company_id, "Acme", (live, a_live(2))),), frozenset({live.id, an_id(2)}))

    assert drafted(dataclasses.replace(found, chosen=frozenset({live.id}))) == ({}, [reason])
    assert [each.reason for each in exported(dataclasses.replace(found, chosen=frozenset({live.id})))[1]] == [
        reason
    ]


# What is declared already.


def test_what_the_desired_state_names_comes_in_at_its_address() -> None:
    """By its id, or since nothing else can be meant."""
    pinned = a_desired("acme/ledger", connection_id=an_id(1), status=Status.UNLINKED)
    only = a_desired("acme/bank", platform_key="suuo", on_removal=OnRemoval.DELETE)
    found = a_found(a_live(1, "Unlinked"), a_live(2), a_live(3, platform_key="suuo"))

    result = draft(found, [pinned, only])

    assert {each.address: (each.live.id, each.declared) for each in result.arrivals} == {
        "acme/bank": (an_id(3), True),
        "acme/gbol": (an_id(2), False),
        "acme/ledger": (an_id(1), True),
    }
    assert [each.address for each in result.undeclared] == ["acme/gbol"]


@pytest.mark.parametrize(
    ("declared", "lives"),
    [
        ([a_desired("acme/a"), a_desired("acme/b")], [a_live(1), a_live(2)]),
        ([a_desired("acme/a"), a_desired("acme/b")], [a_live(1)]),
        ([a_desired("acme/a")], [a_live(1), a_live(2)]),
    ],
)
def test_what_may_be_declared_stays_out(
    declared: list[DesiredConnection], lives: list[LiveConnection]
) -> None:
    """Nobody knows which is which, and a guess would be taken for a fact by all later runs."""
    arrivals, reasons = drafted(a_found(*lives), declared)

    assert arrivals == {}
    there = ", ".join(each.address for each in declared)
    assert all(reason.startswith(f"may be what {there} declares") for reason in reasons)
    assert len(reasons) == len(lives)


def test_what_is_recorded_or_named_leaves_no_doubt() -> None:
    """Of three declared and three live ones, two are known, so the third is certain."""
    declared = [a_desired("acme/a"), a_desired("acme/b", connection_id=an_id(2)), a_desired("acme/c")]
    found = a_found(a_live(1), a_live(2), a_live(3))

    arrivals, reasons = drafted(found, declared, [a_prior(1, a_desired("acme/a"))])

    assert arrivals == {"acme/b": an_id(2), "acme/c": an_id(3)}
    assert reasons == ["is managed as acme/a already"]


@pytest.mark.parametrize(("status", "address"), [("Linked", "acme/gbol"), ("PendingAuth", "acme/more")])
def test_one_more_is_not_the_one_that_is_there(status: str, address: str) -> None:
    """`onExisting: create` means another connection than one that a customer authorised."""
    declared = [a_desired("acme/more", on_existing=OnExisting.CREATE)]

    assert drafted(a_found(a_live(1, status)), declared) == ({address: an_id(1)}, [])


@pytest.mark.parametrize(
    ("declared", "recorded", "reason"),
    [
        (
            a_desired("acme/ledger", connection_id=an_id(1)),
            [a_prior(9, a_desired("acme/ledger"))],
            "where the state holds another connection; see `pulumi preview`",
        ),
        (
            a_desired("acme/ledger", connection_id=an_id(1), platform_key="suuo"),
            [],
            "with another company or platform; correct `connectionId`",
        ),
        (
            a_desired("acme/ledger", status=Status.UNLINKED),
            [],
            "as Unlinked, and it is Linked; `pulumi up` takes it and does that",
        ),
    ],
)
def test_what_is_declared_otherwise_stays_out(
    declared: DesiredConnection, recorded: list[PriorConnection], reason: str
) -> None:
    """An import records what is, and changes nothing, now or later."""
    assert drafted(a_found(a_live(1)), [declared], recorded) == ({}, [f"is declared as acme/ledger {reason}"])


# Renamed in the desired state, and not applied yet.


def test_what_is_renamed_has_its_connection_and_waits_for_none() -> None:
    """The newcomer beside it is one more; its address is taken already."""
    renamed = [a_desired("acme/ledger", on_existing=OnExisting.ADOPT)]
    result = draft(a_found(a_live(1), a_live(2)), renamed, [a_prior(1, a_desired("acme/old"))])

    assert [(each.address, each.live.id, each.declared) for each in result.arrivals] == [
        ("acme/gbol", an_id(2), False)
    ]


def test_what_is_renamed_and_gone_may_have_been_connected_again() -> None:
    """As at its old name: its customer knows nothing of names."""
    arrivals, reasons = drafted(
        a_found(a_live(2)), [a_desired("acme/ledger")], [a_prior(1, a_desired("acme/old"))]
    )

    assert arrivals == {}
    assert [each.partition(",")[0] for each in reasons] == ["may be in place of what acme/ledger means"]


def test_where_a_rename_is_unclear_a_newcomer_may_be_any_of_the_new_ones() -> None:
    """The way out that is named decides it."""
    recorded = [a_prior(1, a_desired("acme/a")), a_prior(2, a_desired("acme/b"))]
    found = a_found(a_live(1), a_live(2), a_live(3), chosen=[3])
    for declared in (["acme/x"], ["acme/x", "acme/y"]):
        arrivals, reasons = drafted(found, [a_desired(each) for each in declared], recorded)
        assert arrivals == {}
        assert [each.partition(" and the state")[0] for each in reasons] == [
            f"may be what {', '.join(declared)} declares"
        ]

    named = [a_desired("acme/x", connection_id=an_id(3)), a_desired("acme/b")]
    assert drafted(found, named, recorded) == ({"acme/x": an_id(3)}, [])


# Names of companies.


def test_a_company_keeps_its_name() -> None:
    """The one that the desired state has, or else the state's, as long as no other company has that."""
    found = Found(
        (
            Company(COMPANY, "Acme", (a_live(1),)),
            Company(OTHER, "Acme", (dataclasses.replace(a_live(2), company_id=OTHER),)),
        ),
        frozenset({an_id(1), an_id(2)}),
    )
    declared = [a_desired("acme/bank", platform_key="suuo")]

    assert set(drafted(found, declared)[0]) == {"acme/gbol", "acme-2e9d2c44/gbol"}
    state = [a_prior(8, a_desired("acme/x", company_id=OTHER)), a_prior(9, a_desired("old/x"))]
    assert set(drafted(found, declared, state)[0]) == {"acme/gbol", "acme-2e9d2c44/gbol"}
    assert set(drafted(found, [], state)[0]) == {"old/gbol", "acme/gbol"}


# Export.


def test_an_export_says_what_the_state_says() -> None:
    """Policies and statuses that need no call stay, so that a plan of the same stack has nothing to do."""
    recorded = [
        a_prior(1, a_desired("acme/ledger", on_removal=OnRemoval.DELETE, on_existing=OnExisting.CREATE)),
        a_prior(2, a_desired("acme/bank", status=Status.UNLINKED)),
        a_prior(3, a_desired("elsewhere/x")),
    ]

    whole, skipped, names = exported(
        a_found(a_live(1, "Unlinked"), a_live(2), a_live(3), a_live(4, "Unlinked")), (), recorded
    )

    assert whole == (
        a_desired("acme/ledger", on_removal=OnRemoval.DELETE, connection_id=an_id(1)),
        a_desired("acme/bank", connection_id=an_id(2)),
        a_desired("acme/gbol", connection_id=an_id(3)),
        a_desired("acme/gbol-2", status=Status.UNLINKED, connection_id=an_id(4)),
    )
    assert skipped == ()
    assert names == {COMPANY: "Acme"}


def test_an_export_keeps_the_names_of_the_desired_state() -> None:
    """What it names by an id, and the company."""
    declared = [a_desired("first/ledger", connection_id=an_id(1))]

    assert [each.address for each in exported(a_found(a_live(1), a_live(2)), declared)[0]] == [
        "first/ledger",
        "first/gbol",
    ]


STATUSES = st.sampled_from([*Status, "Something new"])
POLICIES = st.builds(
    a_desired,
    on_removal=st.sampled_from(list(OnRemoval)),
    status=st.sampled_from([Status.LINKED, Status.UNLINKED]),
)


@settings(max_examples=200, deadline=None)
@given(statuses=st.lists(STATUSES, max_size=4), policies=st.lists(POLICIES, max_size=3))
def test_after_an_import_and_an_export_nothing_is_to_be_done(
    statuses: list[str], policies: list[DesiredConnection]
) -> None:
    """By the rule table: with the state that an import leaves, and with none at all."""
    found = a_found(*(a_live(number, status) for number, status in enumerate(statuses, 1)))
    lives = {live.id: live for live in found}
    recorded = [
        a_prior(n, dataclasses.replace(policy, address=Address(f"acme/p{n}")))
        for n, policy in enumerate(policies, 1)
        if n <= len(statuses) and rule_table.declared(policy.status, lives[an_id(n)]).action is Action.NONE
    ]

    imported = {a.live.id: a_prior(a.live.id, a.desired) for a in draft(found, (), recorded).arrivals}
    state = imported | {prior.id: prior for prior in recorded}
    assert state.keys() == lives.keys()
    for connection_id, prior in imported.items():
        wanted = dataclasses.replace(prior.desired, connection_id=None)
        assert decide_existing(prior, wanted, lives[connection_id]).action is Action.NONE

    for wanted in exported(found, (), state.values())[0]:
        assert wanted.connection_id
        prior = state[wanted.connection_id]
        assert decide_existing(prior, wanted, lives[prior.id]).action is Action.NONE

    for wanted in exported(found)[0]:
        assert wanted.connection_id
        decision = decide_new(wanted, lives.values(), SlotView())
        assert (decision.action, decision.becomes) == (Action.ADOPT, wanted.connection_id)
        assert decision.problem is None
        assert rule_table.declared(wanted.status, lives[wanted.connection_id]).action is Action.NONE
