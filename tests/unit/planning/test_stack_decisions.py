"""All addresses at once: who has what in the end, what that comes to, and what can't be done.

Data in, decisions out. That the hooks decide alike is in `api/reconcile/test_planner.py`, and on a real
engine in `engine/test_agreement.py`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from codat_iac.model.connection import (
    ABSENT,
    Address,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.planning import rule_table
from codat_iac.planning.decision import Cause, Decision
from codat_iac.planning.moves import Moves
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import EMPTY_STACK, MANY_UNMANAGED, unseen_company
from codat_iac.planning.slot_description import SlotDescription
from codat_iac.planning.stack_decisions import Program, StackDecisions, decide
from tests.support.builders import COMPANY, a_desired, a_live, a_prior, an_id, siblings
from tests.support.worlds import COMPONENT, STATUSES, a_urn

ELSEWHERE = an_id(900)
"""The id of another company."""

Told = list[tuple[str, Action, str | None, Action | None, bool]]


def decided(
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    live: Iterable[LiveConnection] = (),
    *,
    accepts_missing: bool = False,
    chosen: Collection[str] | None = None,
    unseen: Collection[str] = (),
    program: Program | None = None,
) -> StackDecisions:
    """Decide where *live* lives, and the companies *unseen* answer 404."""
    companies: dict[str, dict[str, LiveConnection] | None] = {COMPANY: {}, ELSEWHERE: {}}
    for each in live:
        companies[each.company_id] = {**(companies[each.company_id] or {}), each.id: each}
    companies |= dict.fromkeys(unseen)
    return decide(
        declared, recorded, companies, accepts_missing=accepts_missing, chosen=chosen, program=program
    )


def told(found: StackDecisions) -> Told:
    """The changes by address: what is done, from where, what the old one comes to, and whether that loses."""
    return sorted(
        (each.address, each.action, each.moved_from, each.removal, each.loses)
        for each in found.decisions
        if each.action is not Action.NONE and not each.problem
    )


def problems(found: StackDecisions) -> dict[str, str]:
    """Why addresses are refused."""
    return {each.address: each.problem for each in found.decisions if each.problem}


def only(found: StackDecisions) -> Decision:
    """The one change that there is."""
    assert problems(found) == {}
    (change,) = [each for each in found.decisions if each.action is not Action.NONE]
    return change


# Who has what.


@pytest.mark.parametrize(
    ("was", "urn", "moved_from"),
    [
        pytest.param("acme/old", "", "acme/old", id="another address"),
        pytest.param("acme-ltd/ledger", "", "acme-ltd/ledger", id="another key of its company"),
        pytest.param(
            "acme/ledger", a_urn("acme/ledger", COMPONENT), COMPONENT, id="another parent of its own"
        ),
        pytest.param("acme/ledger", a_urn("acme/ledger-s"), "acme/ledger-s", id="renamed in the state"),
    ],
)
def test_what_another_urn_continues_is_not_removed(was: str, urn: str, moved_from: str) -> None:
    """A rename is one change, and its old address none."""
    prior = a_prior(1, a_desired(was), urn=urn)

    change = only(decided([a_desired()], [prior], [a_live(1)]))

    assert (change.action, change.connection_id, change.becomes) == (Action.MOVE, an_id(1), an_id(1))
    assert (change.moved_from or "").startswith(moved_from)
    assert (change.loses, change.reads, change.writes) == (False, 0, 0)


def test_a_second_entry_of_what_an_address_has_is_only_forgotten() -> None:
    """As after a rename that was cut off: whatever its policy, nobody loses it."""
    second = a_prior(1, a_desired("acme/old", on_removal=OnRemoval.DELETE))

    found = decided([a_desired()], [a_prior(1), second], [a_live(1)])

    assert told(found) == [("acme/old", Action.REMOVE, None, Action.FORGET, False)]
    assert only(found).status == "Linked"


def test_a_second_entry_of_what_has_an_unknown_status_is_forgotten_too() -> None:
    """Letting go of an entry ends nothing, so nobody need know what the status means."""
    second = a_prior(1, a_desired("acme/old"))

    found = decided([a_desired()], [a_prior(1), second], [a_live(1, "Migrating")])

    assert told(found) == [("acme/old", Action.REMOVE, None, Action.FORGET, False)]
    assert problems(found) == {}


@pytest.mark.parametrize("policy", [OnRemoval.UNLINK, OnRemoval.DELETE])
def test_what_an_address_replaces_and_another_has_is_only_forgotten(policy: OnRemoval) -> None:
    """The file asks for another platform at one address, and at the other one for what is there."""
    was = a_desired("acme/bank", on_removal=policy)
    bank = a_desired("acme/bank", platform_key="suuo", on_removal=policy)

    found = decided([bank, a_desired()], [a_prior(1, was), a_prior(1)], [a_live(1)])

    assert told(found) == [("acme/bank", Action.REPLACE, None, Action.FORGET, False)]


@pytest.mark.parametrize("platform_key", ["gbol", "suuo"])
def test_one_that_is_recorded_twice_goes_on_nowhere_and_stays(platform_key: str) -> None:
    """Nobody knows which entry is right, so it is refused with the way out, and neither is removed."""
    priors = [a_prior(1, a_desired("acme/a")), a_prior(1, a_desired("acme/c"))]
    declared = [a_desired("acme/a", platform_key=platform_key), a_desired("acme/b")]

    for order in (priors, priors[::-1]):
        found = decided(declared[platform_key == "gbol" :], order, [a_live(1)])

        assert "is recorded 2 times" in problems(found)["acme/b"]
        assert "pulumi state delete" in problems(found)["acme/b"]
        assert not any(each.loses for each in found.decisions)
        assert {change[0] for change in told(found)} <= {"acme/a"}


def test_one_connection_at_two_declared_addresses_is_a_problem_of_both() -> None:
    """Which of them is right isn't known."""
    a, b = siblings("acme/a", "acme/b")

    found = decided([a, b], [a_prior(1, a), a_prior(1, b)], [a_live(1)])

    assert sorted(problems(found)) == ["acme/a", "acme/b"]
    assert told(found) == []


def test_two_that_swap_what_they_have_are_refused() -> None:
    """Pulumi can't do that in one step; nothing is called, and nothing removed."""
    a, b = a_desired("acme/a"), a_desired("acme/b", platform_key="suuo")
    declared = [dataclasses.replace(a, platform_key="suuo"), dataclasses.replace(b, platform_key="gbol")]

    found = decided(declared, [a_prior(1, a), a_prior(2, b)], [a_live(1), a_live(2, platform_key="suuo")])

    assert sorted(problems(found)) == ["acme/a", "acme/b"]
    assert told(found) == []


def test_what_would_replace_by_what_another_had_is_refused() -> None:
    """Its own name still holds another connection, so that takes two runs, and the message says which."""
    a, b = a_desired("acme/a"), a_desired("acme/b", platform_key="suuo")
    declared = dataclasses.replace(a, platform_key="suuo")

    found = decided([declared], [a_prior(1, a), a_prior(2, b)], [a_live(1), a_live(2, platform_key="suuo")])

    assert list(problems(found)) == ["acme/a"]
    assert not any(each.loses for each in found.decisions)


def test_what_replaces_may_be_there_already() -> None:
    """One that the customer made: it is taken over, and was recorded nowhere."""
    declared = a_desired(platform_key="suuo", on_existing=OnExisting.ADOPT)

    found = decided([declared], [a_prior(1)], [a_live(1), a_live(2, platform_key="suuo")])

    assert told(found) == [("acme/ledger", Action.REPLACE, None, Action.UNLINK, True)]
    change = only(found)
    assert (change.becomes, change.posts, change.replaces) == (an_id(2), False, ("platformKey",))


@pytest.mark.parametrize(
    ("waiting", "becomes"),
    [
        pytest.param(0, [None, None], id="both are made"),
        pytest.param(1, [an_id(1), None], id="one waits"),
        pytest.param(3, [an_id(1), an_id(2)], id="more wait than are declared"),
    ],
)
def test_each_that_waits_is_taken_once(waiting: int, becomes: list[str | None]) -> None:
    """What an earlier run left: in the order in which they were made, and of the addresses."""
    live = [a_live(number, "PendingAuth") for number in range(1, waiting + 1)]

    found = decided(siblings("acme/b", "acme/a"), [], live)

    by_address: dict[str, Decision] = {each.address: each for each in found.decisions}
    assert [by_address[address].becomes for address in ("acme/a", "acme/b")] == becomes
    assert [each.action for _, each in sorted(by_address.items())] == [
        Action.ADOPT if connection_id else Action.CREATE for connection_id in becomes
    ]


def test_what_is_gone_gets_one_after_what_is_new() -> None:
    """So the hooks decide alike, whichever they are asked about first."""
    gone = a_prior(7, a_desired("acme/a"))

    found = decided(siblings("acme/a", "acme/b"), [gone], [a_live(1, "PendingAuth")])

    assert {each.address: (each.action, each.becomes) for each in found.decisions} == {
        "acme/a": (Action.REPLACE, None),
        "acme/b": (Action.ADOPT, an_id(1)),
    }


def test_what_is_gone_and_renamed_gets_one_each() -> None:
    """The company's key was renamed too: they are told apart by their old names."""
    gone = [a_prior(number, a_desired(f"acme/{key}")) for number, key in ((7, "a"), (8, "b"))]

    found = decided(siblings("new/a", "new/b"), gone, [a_live(1, "PendingAuth"), a_live(2, "PendingAuth")])

    assert {each.address: (each.action, each.moved_from, each.becomes) for each in found.decisions} == {
        "new/a": (Action.REPLACE, "acme/a", an_id(1)),
        "new/b": (Action.REPLACE, "acme/b", an_id(2)),
    }


def test_what_is_tainted_gets_what_the_others_leave() -> None:
    """No hook is told what is tainted; the first of two may adopt, and no id goes to both."""
    priors = [a_prior(number, a_desired(f"acme/{key}"), tainted=True) for number, key in ((1, "a"), (2, "b"))]

    found = decided(
        siblings("acme/a", "acme/b", "acme/c", on_existing=OnExisting.ADOPT),
        priors,
        [a_live(1), a_live(2), a_live(3, "PendingAuth"), a_live(4, "PendingAuth")],
    )

    assert {each.address: each.becomes for each in found.decisions} == {
        "acme/a": an_id(4),
        "acme/b": None,
        "acme/c": an_id(3),
    }
    assert [change for change in told(found) if change[4]] == [
        ("acme/a", Action.REPLACE, None, Action.UNLINK, True),
        ("acme/b", Action.REPLACE, None, Action.UNLINK, True),
    ]


@pytest.mark.parametrize(
    ("prior", "declared", "told_of"),
    [
        pytest.param(None, a_desired(status=Status.UNLINKED), 1, id="new"),
        pytest.param(
            a_prior(9, a_desired(platform_key="suuo", on_removal=OnRemoval.RETAIN)),
            a_desired(status=Status.UNLINKED, connection_id=an_id(1)),
            1,
            id="in the place of another",
        ),
        pytest.param(None, a_desired(), None, id="as it is declared"),
    ],
)
def test_what_is_adopted_and_has_to_be_unlinked_says_so(
    prior: PriorConnection | None, declared: DesiredConnection, told_of: int | None
) -> None:
    """Adopting never unlinks in the same step: the next run does, and nobody is surprised by that."""
    declared = dataclasses.replace(declared, on_existing=OnExisting.ADOPT)
    live = [a_live(1), a_live(9, platform_key="suuo")]

    (change,) = decided([declared], [prior] if prior else [], live).decisions

    assert (change.becomes, change.loses) == (an_id(1), False)
    assert (change.notice is Notice.ADOPTED_FIRST) is (told_of is not None)
    if told_of:
        assert change.live == a_live(told_of)


# What has to wait for the next run.


def test_what_takes_the_name_of_what_moves_away_waits_a_run() -> None:
    """`b` goes on as `c` and `a` as `b`: the second half of it comes when the name is free."""
    a, b = siblings("acme/a", "acme/b")
    declared = [
        dataclasses.replace(b, connection_id=an_id(1)),
        a_desired("acme/c", connection_id=an_id(2)),
    ]

    found = decided(declared, [a_prior(1, a), a_prior(2, b)], [a_live(1), a_live(2)])

    assert problems(found) == {}
    assert {each.address: (each.action, each.moved_from, each.later) for each in found.decisions} == {
        "acme/b": (Action.MOVE, "acme/a", True),
        "acme/c": (Action.MOVE, "acme/b", False),
    }
    assert [prior.address for prior in found.moved.staying] == ["acme/a"], "what waits stays as it is"


def test_what_is_new_at_the_name_of_what_moves_away_waits_a_run() -> None:
    """It is shown, and costs nothing in this one."""
    declared = [a_desired("acme/new"), a_desired("acme/old", platform_key="suuo")]

    found = decided(declared, [a_prior(1, a_desired("acme/old"))], [a_live(1)])

    assert {each.address: (each.action, each.later) for each in found.decisions} == {
        "acme/new": (Action.MOVE, False),
        "acme/old": (Action.CREATE, True),
    }
    assert sum(each.reads + each.writes for each in found.decisions) == 0


def test_what_the_next_run_will_refuse_is_not_refused_in_this_one() -> None:
    """As in a preview, which declares it in the next run only; what moves needn't wait for it."""
    declared = [a_desired("acme/new"), a_desired("acme/old", platform_key="suuo")]

    found = decided(
        declared, [a_prior(1, a_desired("acme/old"))], [a_live(1), a_live(2, platform_key="suuo")]
    )

    assert problems(found) == {}
    assert {each.address: (each.action, each.later) for each in found.decisions} == {
        "acme/new": (Action.MOVE, False),
        "acme/old": (Action.CREATE, True),
    }


# What an earlier run replaced.


@pytest.mark.parametrize("declared", [True, False])
def test_what_was_replaced_and_not_yet_removed_still_goes(declared: bool) -> None:
    """A run broke off before it; whether its address is still declared makes no difference."""
    old = a_prior(2, a_desired(platform_key="suuo", on_removal=OnRemoval.DELETE), pending_removal=True)
    live = [a_live(1), a_live(2, platform_key="suuo")]

    found = decided([a_desired()] if declared else [], [a_prior(1)] * declared + [old], live[not declared :])

    assert told(found) == [("acme/ledger", Action.REMOVE, None, Action.DELETE, True)]
    assert only(found).connection_id == an_id(2)


@pytest.mark.parametrize("status", ["PendingAuth", "Linked"])
def test_what_was_replaced_is_taken_back_when_the_file_is_reverted(status: str) -> None:
    """The old half is alive and wanted: it is neither ended nor made a second time, and no call is made."""
    now = a_prior(1, a_desired(platform_key="suuo"), "PendingAuth")
    old = a_prior(2, a_desired(), status, pending_removal=True)

    found = decided(
        [a_desired()], [now, old], [a_live(1, "PendingAuth", platform_key="suuo"), a_live(2, status)]
    )

    assert told(found) == [
        ("acme/ledger", Action.REMOVE, None, Action.FORGET, False),
        ("acme/ledger", Action.REPLACE, None, Action.DELETE, False),
    ]
    assert {each.connection_id: each.becomes for each in found.decisions} == {
        an_id(1): an_id(2),
        an_id(2): None,
    }


def test_what_was_replaced_is_taken_back_by_its_own_address_alone() -> None:
    """Another takes nothing that the state holds; only what was replaced goes, as the file once asked."""
    old = a_prior(1, a_desired("acme/old"), pending_removal=True)

    found = decided([a_desired()], [old], [a_live(1)])

    assert told(found) == [
        ("acme/ledger", Action.CREATE, None, None, False),
        ("acme/old", Action.REMOVE, None, Action.UNLINK, True),
    ]


def test_what_was_replaced_comes_back_beside_a_sibling_that_is_made() -> None:
    """It waits for its customer, so a sibling would have taken it, if it weren't recorded."""
    old = a_prior(1, a_desired("acme/b"), "PendingAuth", pending_removal=True)

    found = decided(siblings("acme/a", "acme/b"), [old], [a_live(1, "PendingAuth")])

    assert told(found) == [
        ("acme/a", Action.CREATE, None, None, False),
        ("acme/b", Action.ADOPT, None, None, False),
        ("acme/b", Action.REMOVE, None, Action.FORGET, False),
    ]


def test_of_two_old_halves_the_same_one_is_taken_back_whichever_is_read_first() -> None:
    """Two replacements broke off, one after the other; the other old half goes as the file once asked."""
    halves = [a_prior(number, pending_removal=True) for number in (2, 3)]
    live = [a_live(2), a_live(3)]

    for order in (halves, halves[::-1]):
        found = decided([a_desired()], [a_prior(1), *order], live)

        assert {each.connection_id: (each.becomes, each.loses) for each in found.decisions} == {
            an_id(1): (an_id(2), False),
            an_id(2): (None, False),
            an_id(3): (None, True),
        }


@pytest.mark.parametrize("pending", [True, False])
def test_an_old_half_that_is_recorded_elsewhere_too_is_not_taken_back(pending: bool) -> None:
    """One id never goes to two addresses, and nobody knows whose it is."""
    a, b = siblings("acme/a", "acme/b")
    half, other = a_prior(1, a, pending_removal=True), a_prior(1, b, pending_removal=pending)

    found = decided([a, b], [half, other], [a_live(1)])

    assert {each.address: each.becomes for each in found.decisions if each.action is not Action.REMOVE} == {
        "acme/a": None,
        "acme/b": None if pending else an_id(1),
    }


def test_an_old_half_that_is_recorded_twice_at_its_address_is_taken_back() -> None:
    """As one: it is the same entry, which somebody's edit of the state has doubled."""
    half = a_prior(1, pending_removal=True)

    found = decided([a_desired()], [half, half], [a_live(1)])

    assert told(found) == [
        ("acme/ledger", Action.ADOPT, None, None, False),
        ("acme/ledger", Action.REMOVE, None, Action.FORGET, False),
        ("acme/ledger", Action.REMOVE, None, Action.FORGET, False),
    ]


def test_an_old_half_goes_to_whom_the_file_names_it_for() -> None:
    """Another address of its company and platform takes it by its id; nothing is then ended."""
    old = a_prior(1, a_desired("acme/old"), pending_removal=True)

    found = decided([a_desired(connection_id=an_id(1))], [old], [a_live(1)])

    assert problems(found) == {}
    assert told(found) == [
        ("acme/ledger", Action.ADOPT, None, None, False),
        ("acme/old", Action.REMOVE, None, Action.FORGET, False),
    ]


@pytest.mark.parametrize(
    "halves",
    [
        pytest.param([a_desired("acme/old", platform_key="suuo")], id="on another platform"),
        pytest.param([a_desired("acme/old"), a_desired("acme/older")], id="of two addresses"),
    ],
)
def test_another_old_half_can_not_be_named(halves: Sequence[DesiredConnection]) -> None:
    """Whose it is isn't certain. Codat doesn't say its platform, so its id alone doesn't tell."""
    old = [a_prior(1, each, pending_removal=True) for each in halves]

    found = decided([a_desired(connection_id=an_id(1))], old, [a_live(1, platform_key=None)])

    assert problems(found) == {
        "acme/ledger": f"connection {an_id(1)} is recorded in this stack already; to let it go on at another"
        " address, pass that resource's URN as `aliases`, or rename it in the desired state alone"
    }


def test_what_is_gone_again_is_not_taken_back() -> None:
    """An old half that is absent is no connection."""
    old = a_prior(2, a_desired(), pending_removal=True)

    found = decided([a_desired()], [a_prior(1), old], [])

    assert told(found) == [
        ("acme/ledger", Action.REMOVE, None, Action.FORGET, False),
        ("acme/ledger", Action.REPLACE, None, Action.FORGET, False),
    ]


def test_what_was_replaced_and_can_not_be_let_go_is_a_problem() -> None:
    """Of its address, whatever else is done there; what can't be read is left alone."""
    old = a_prior(2, a_desired(platform_key="suuo"), pending_removal=True)
    gone = a_prior(3, a_desired("gone/a", company_id=ELSEWHERE), pending_removal=True)

    found = decided(
        [a_desired(on_removal=OnRemoval.RETAIN)],
        [a_prior(1), old, gone],
        [a_live(1), a_live(2, "Migrating", platform_key="suuo")],
        unseen=[ELSEWHERE],
    )

    assert sorted(problems(found)) == ["acme/ledger", "gone/a"]
    assert "so it stays recorded" in problems(found)["acme/ledger"]
    assert told(found) == [("acme/ledger", Action.UPDATE, None, None, False)]


# Who waits.


@pytest.mark.parametrize(
    ("changed", "action", "notice"),
    [
        pytest.param({}, Action.NONE, Notice.WAITING, id="nothing to do"),
        pytest.param({"on_removal": OnRemoval.DELETE}, Action.UPDATE, Notice.WAITING, id="recorded anew"),
        pytest.param({"address": Address("acme/new")}, Action.MOVE, Notice.WAITING, id="moved"),
        pytest.param({"platform_key": "suuo"}, Action.REPLACE, None, id="replaced"),
        pytest.param(
            {"status": Status.UNLINKED}, Action.UPDATE, Notice.NEVER_AUTHORISED, id="not wanted any more"
        ),
    ],
)
def test_what_waits_goes_on_waiting_whatever_else_is_done(
    changed: dict[str, Any], action: Action, notice: Notice | None
) -> None:
    """A change that calls nothing brings no customer; a new connection is told as a change."""
    declared = dataclasses.replace(a_desired(), **changed)

    (decision,) = decided(
        [declared], [a_prior(1, status="PendingAuth")], [a_live(1, "PendingAuth")]
    ).decisions

    assert (decision.action, decision.notice) == (action, notice)


def test_what_is_adopted_may_wait() -> None:
    """It is somebody's already; what is made is told as a change."""
    declared = [a_desired(), a_desired("acme/bank", platform_key="suuo")]

    found = decided(declared, [], [a_live(1, "PendingAuth")])

    assert {each.address: each.notice for each in found.decisions} == {
        "acme/ledger": Notice.WAITING,
        "acme/bank": None,
    }


# What can't be done.


def test_each_address_has_its_own_problem() -> None:
    """All of them at once; a sibling's problem is its own, and what is in order is decided."""
    declared = [*siblings("acme/a", "acme/b"), a_desired("acme/c", platform_key="suuo")]

    found = decided(declared, [], [a_live(1)])

    assert sorted(problems(found)) == ["acme/a", "acme/b"]
    for problem in problems(found).values():
        assert problem.startswith(f"company {COMPANY} has a connection to gbol that nobody manages here")
    assert told(found) == [("acme/c", Action.CREATE, None, None, False)]


def test_what_is_refused_is_shown_as_it_is_declared() -> None:
    """With no action, no connection, and no share in what the plan counts."""
    declared = siblings("acme/a", "acme/b", on_removal=OnRemoval.DELETE)

    found = decided(declared, [a_prior(1, a_desired("acme/old"))], [a_live(1)])

    assert found.decisions == tuple(
        Decision(each.address, Action.NONE, Cause.YOU, COMPANY, "gbol") for each in declared
    )
    for each in found.decisions:
        assert (each.problem or "").startswith(
            "which of the new acme/a, acme/b goes on with what is recorded"
        )
        assert (each.status, each.becomes, each.live) == (ABSENT, None, None)


@pytest.mark.parametrize("declared_first", [True, False])
def test_the_order_of_a_file_lets_nobody_pass_over_one_without_a_platform(declared_first: bool) -> None:
    """It may be the bank's; that another address names it is no news of its platform."""
    ledger, bank = a_desired(connection_id=an_id(1)), a_desired("acme/bank", platform_key="suuo")
    priors = [a_prior(2, a_desired("acme/bank"))]

    found = decided(
        [ledger, bank] if declared_first else [bank, ledger],
        priors,
        [a_live(1, platform_key=None), a_live(2)],
    )

    assert list(problems(found)) == ["acme/bank"]
    assert problems(found)["acme/bank"].startswith(f"Codat doesn't say which platform {an_id(1)} of this")


def test_nothing_of_a_slot_leaves_where_a_rename_is_not_certain() -> None:
    """Which of the two new ones was the old one isn't known, so the old one stays; others go."""
    priors = [a_prior(1, a_desired("acme/old")), a_prior(2, a_desired("acme/x", platform_key="suuo"))]

    found = decided(siblings("acme/a", "acme/b"), priors, [a_live(1), a_live(2, platform_key="suuo")])

    assert sorted(problems(found)) == ["acme/a", "acme/b"]
    assert told(found) == [("acme/x", Action.REMOVE, None, Action.UNLINK, True)]


@pytest.mark.parametrize(
    ("declared", "recorded"),
    [
        pytest.param(a_desired(company_id=ELSEWHERE), [], id="new"),
        pytest.param(a_desired(company_id=ELSEWHERE), [a_prior()], id="moved there"),
        pytest.param(a_desired(), [a_prior(1, a_desired(company_id=ELSEWHERE))], id="moved away"),
    ],
)
def test_the_company_that_can_not_be_seen_is_named(
    declared: DesiredConnection, recorded: Sequence[PriorConnection]
) -> None:
    """It may be another one than the declared one."""
    (refused,) = decided([declared], recorded, unseen=[ELSEWHERE]).decisions

    assert refused == Decision(declared.address, Action.NONE, Cause.YOU, declared.company_id, "gbol")
    assert refused.problem == unseen_company(ELSEWHERE, accepted=False)


def test_what_goes_with_a_company_that_can_not_be_seen_names_it_too() -> None:
    """Unless the caller says otherwise, a company that can't be seen isn't gone."""
    prior = a_prior(1, a_desired(company_id=ELSEWHERE))

    (refused,) = decide([], [prior], {ELSEWHERE: None, COMPANY: {}}).decisions

    assert refused.action is Action.REMOVE
    assert refused.problem == unseen_company(ELSEWHERE, accepted=False)
    assert (refused.company_id, refused.loses, refused.ends) == (ELSEWHERE, False, False)


def test_if_no_company_can_be_seen_all_have_the_same_problem() -> None:
    """The key, the base URL or the stack is wrong, so it isn't told company by company."""
    priors = [a_prior(1), a_prior(2, a_desired("else/a", company_id=ELSEWHERE))]
    declared = [priors[0].desired, a_desired("else/b", company_id=ELSEWHERE, platform_key="suuo")]

    found = decide(declared, priors, {ELSEWHERE: None, COMPANY: None})

    same = unseen_company(min(ELSEWHERE, COMPANY), others_seen=False)
    assert problems(found) == dict.fromkeys(["acme/ledger", "else/a", "else/b"], same)
    assert told(found) == []


@pytest.mark.parametrize(
    ("existing", "recorded", "same"),
    [
        pytest.param(MANY_UNMANAGED + 1, 0, True, id="an empty stack"),
        pytest.param(MANY_UNMANAGED, 0, False, id="few"),
        pytest.param(MANY_UNMANAGED + 1, 1, False, id="another stack"),
    ],
)
def test_if_all_exists_and_nothing_is_recorded_it_is_the_wrong_stack(
    existing: int, recorded: int, same: bool
) -> None:
    """Rather than a reason to adopt each of them; what can be created is decided as ever."""
    companies = {an_id(100 + number): f"c{number}" for number in range(existing)}
    declared = [a_desired(f"{name}/a", company_id=each) for each, name in companies.items()]
    live = {each: {an_id(1): a_live(1)} for each in companies}
    priors = [a_prior(2, a_desired("old/a"))] * recorded

    found = decide([*declared, a_desired("new/a")], priors, {**live, COMPANY: {}})

    assert sorted(problems(found)) == sorted(each.address for each in declared)
    assert (set(problems(found).values()) == {EMPTY_STACK}) is same
    assert "new/a" in {address for address, *_ in told(found)}


@pytest.mark.parametrize("moved", [True, False])
def test_what_can_not_be_read_is_left_alone(moved: bool) -> None:
    """A company that isn't seen: no change of what is recorded, declared or not; the rest is decided."""
    there = a_desired("gone/a", company_id=ELSEWHERE)
    priors = [a_prior(1, there), a_prior(2, a_desired("gone/b", company_id=ELSEWHERE, platform_key="suuo"))]
    declared = [
        dataclasses.replace(there, company_id=COMPANY if moved else ELSEWHERE),
        a_desired("gone/c", company_id=ELSEWHERE, platform_key="fztf"),
        a_desired(platform_key="suuo"),
    ]

    found = decided(declared, priors, unseen=[ELSEWHERE])

    assert sorted(problems(found)) == ["gone/a", "gone/b", "gone/c"]
    assert all(
        "can't be seen with this API key; is it the right" in text for text in problems(found).values()
    )
    assert told(found) == [("acme/ledger", Action.CREATE, None, None, False)]


def test_what_can_not_be_seen_and_is_accepted_as_gone_is_forgotten() -> None:
    """Where it is no longer declared, protected or not: a refresh drops it, and asks nobody."""
    there = a_desired("gone/a", company_id=ELSEWHERE)
    priors = [
        a_prior(1, there),
        a_prior(2, dataclasses.replace(there, address=Address("gone/b")), protected=True),
    ]

    found = decided([there], priors, unseen=[ELSEWHERE], accepts_missing=True)

    assert told(found) == [("gone/b", Action.REMOVE, None, Action.FORGET, False)]
    assert problems(found) == {
        "gone/a": f"company {ELSEWHERE} can't be seen with this API key; it can have no connection; correct"
        " its id, or take it out of the file"
    }


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        pytest.param(
            None,
            "its status is none that codat-iac knows, so it stays recorded; set `onRemoval: retain` and apply"
            " to let go of it",
            id="removed",
        ),
        pytest.param(
            {"platform_key": "suuo", "on_removal": OnRemoval.RETAIN},
            "what it replaces has a status that codat-iac doesn't know, so it stays; declare it as it was,"
            " with `onRemoval: retain`, apply, and then change it",
            id="replaced",
        ),
        pytest.param({"on_removal": OnRemoval.RETAIN}, None, id="still declared"),
    ],
)
def test_what_has_an_unknown_status_can_not_be_let_go(
    changed: dict[str, Any] | None, refused: str | None
) -> None:
    """Nobody knows what that would do. It is said before a replacement is made, with the way out."""
    declared = [] if changed is None else [a_desired(**changed)]

    found = decided(declared, [a_prior(1)], [a_live(1, "Migrating")])

    assert problems(found) == ({"acme/ledger": refused} if refused else {})
    assert told(found) == ([] if refused else [("acme/ledger", Action.UPDATE, None, None, False)])


@pytest.mark.parametrize(
    ("declared", "refused"),
    [
        pytest.param([], True, id="removed"),
        pytest.param([a_desired(platform_key="suuo", protect=True)], True, id="replaced"),
        pytest.param([a_desired(platform_key="suuo")], False, id="replaced, and no longer protected"),
        pytest.param([a_desired(status=Status.UNLINKED, protect=True)], False, id="unlinked"),
        pytest.param([a_desired("acme/new", protect=True)], False, id="moved"),
    ],
)
def test_what_is_protected_is_neither_removed_nor_replaced(
    declared: list[DesiredConnection], refused: bool
) -> None:
    """Pulumi refuses that by itself, and in the middle of a run; what is declared may be changed."""
    prior = a_prior(1, a_desired(protect=True), protected=True)

    found = decided(declared, [prior], [a_live(1)])

    assert bool(problems(found)) is refused
    if refused:
        assert problems(found)["acme/ledger"].startswith("it is protected, so Pulumi neither removes nor")


MANY = [a_prior(number, a_desired(f"acme/b{number}")) for number in range(1, 11)]


@pytest.mark.parametrize("accepts", [True, False])
def test_too_many_missing_are_a_problem_of_each(accepts: bool) -> None:
    """Ten of ten: it is likelier the wrong key, so none is made anew or forgotten, until it is accepted."""
    found = decided([prior.desired for prior in MANY[:5]], MANY, accepts_missing=accepts)

    if accepts:
        assert Counter(change[1] for change in told(found)) == {Action.REPLACE: 5, Action.REMOVE: 5}
        assert problems(found) == {}
    else:
        assert all(
            "10 of 10 recorded connections are gone at once" in text for text in problems(found).values()
        )
        assert len(problems(found)) == 10
        assert told(found) == []


def test_a_second_entry_of_what_is_refused_stays_recorded() -> None:
    """Nobody has the connection for certain, so its absence has to be believed first."""
    unlinked = a_desired("acme/ledger", status=Status.UNLINKED)
    priors = [*MANY, a_prior(11, unlinked), a_prior(11, a_desired("acme/old"))]

    found = decided([unlinked], priors)

    assert told(found) == []
    assert "recorded connections are gone at once" in problems(found)["acme/old"]


@pytest.mark.parametrize(
    ("live", "chosen", "unseen"),
    [
        pytest.param([a_live(number) for number in range(1, 11)], None, [], id="they are there"),
        pytest.param([], {"acme/ledger"}, [], id="they aren't chosen"),
        pytest.param([], {"acme/ledger"}, [COMPANY], id="they aren't chosen, and weren't read"),
    ],
)
def test_only_what_was_looked_for_in_vain_is_missing(
    live: Sequence[LiveConnection], chosen: Collection[str] | None, unseen: Collection[str]
) -> None:
    """Ten others don't count, so the only one that is gone is made anew."""
    ledger = a_desired(company_id=ELSEWHERE)

    found = decided([ledger], [*MANY, a_prior(20, ledger)], live, chosen=chosen, unseen=unseen)

    assert problems(found) == {}
    assert ("acme/ledger", Action.REPLACE, None, Action.FORGET, False) in told(found)


def test_where_too_many_are_missing_the_rest_is_still_decided() -> None:
    """What is there is; and a second entry of what an address has is forgotten, whatever is missing."""
    there = a_prior(20, a_desired("acme/there", on_removal=OnRemoval.DELETE))

    found = decided([], [*MANY, there], [a_live(20)])

    assert told(found) == [("acme/there", Action.REMOVE, None, Action.DELETE, True)]
    assert len(problems(found)) == 10


def test_old_halves_that_are_missing_count_too() -> None:
    """All that the state holds and Codat doesn't."""
    old = dataclasses.replace(MANY[0], id=an_id(11), pending_removal=True)

    found = decided([], [*MANY[:9], old])

    assert "10 of 10 recorded connections are gone at once" in problems(found)["acme/b1"]


# Who brought it about.


@pytest.mark.parametrize(
    ("declared", "prior", "live", "cause"),
    [
        pytest.param([a_desired(platform_key="suuo")], a_prior(1), a_live(1), Cause.YOU, id="you"),
        pytest.param([a_desired()], a_prior(1), None, Cause.THEY, id="they"),
        pytest.param([a_desired(platform_key="suuo")], a_prior(1), None, Cause.BOTH, id="both"),
        pytest.param([a_desired()], a_prior(1, tainted=True), a_live(1), Cause.YOU, id="you tainted it"),
        pytest.param([], a_prior(1), a_live(1, "Unlinked"), Cause.BOTH, id="removed, and unlinked before"),
    ],
)
def test_a_change_names_who_brought_it_about(
    declared: list[DesiredConnection], prior: PriorConnection, live: LiveConnection | None, cause: Cause
) -> None:
    """Desired against recorded is yours, recorded against live is theirs."""
    assert only(decided(declared, [prior], [live] if live else [])).cause == cause


# A part of the stack.


def test_only_what_is_chosen_is_decided_and_all_of_it_counts() -> None:
    """What isn't chosen is neither read nor changed, but keeps what it has."""
    priors = [a_prior(1, a_desired("acme/a")), a_prior(2, a_desired("beta/a", company_id=ELSEWHERE))]
    declared = [a_desired("acme/b", platform_key="suuo"), a_desired("beta/b", company_id=ELSEWHERE)]

    found = decided(declared, priors, [a_live(1)], chosen={"acme/a", "acme/b"}, unseen=[ELSEWHERE])

    assert told(found) == [
        ("acme/a", Action.REMOVE, None, Action.UNLINK, True),
        ("acme/b", Action.CREATE, None, None, False),
    ]
    assert problems(found) == {}
    assert set(found.moved.origins) == {"beta/b"}
    assert set(found.descriptions) == {"acme/b", "beta/b"}


# Whatever there is.

SEEDS = 2_000


@dataclasses.dataclass
class Picture:
    """One company and another, with few platforms, so that connections get in each other's way."""

    declared: list[DesiredConnection]
    recorded: list[PriorConnection]
    live: list[LiveConnection]

    def decided(self, **options: Any) -> StackDecisions:
        """Decide about it."""
        return decided(self.declared, self.recorded, self.live, **options)


def a_picture(dice: Random) -> Picture:
    """Roll what lives, then what is recorded of it, then what is declared."""
    companies = {"acme": COMPANY, "acme-ltd": COMPANY, "beta": ELSEWHERE}
    addresses = [f"{company}/{key}" for company in companies for key in "abc"]

    def a_connection(number: int) -> LiveConnection:
        return dataclasses.replace(
            a_live(number, dice.choice(STATUSES), platform_key=dice.choice(["gbol", "gbol", "suuo"])),
            company_id=dice.choice([COMPANY, COMPANY, ELSEWHERE]),
        )

    connections = [a_connection(number) for number in range(1, dice.randint(2, 9))]

    def desire(address: str, **rest: Any) -> DesiredConnection:
        return a_desired(
            address,
            **{
                "company_id": companies[address.partition("/")[0]],
                "platform_key": dice.choice(["gbol", "gbol", "suuo"]),
                "status": dice.choice([Status.LINKED, Status.LINKED, Status.UNLINKED]),
                "on_removal": dice.choice(list(OnRemoval)),
                "on_existing": dice.choice(list(OnExisting)),
                **rest,
            },
        )

    recorded: dict[str, PriorConnection] = {}
    for each in dice.sample(connections, dice.randint(0, len(connections))):
        homes = [a for a in addresses if companies[a.partition("/")[0]] == each.company_id]
        for address in dice.sample(homes, 2 if dice.random() < 0.1 else 1):
            desired = desire(address, company_id=each.company_id, platform_key=each.platform_key)
            urn = dice.choice(["", "", a_urn(address), a_urn(address, COMPONENT), a_urn(f"{address}-s")])
            prior = a_prior(each.id, desired, each.status, urn=urn, tainted=dice.random() < 0.1)
            # One that is there already was replaced by this one.
            pending = prior.place in recorded
            key = f"{prior.place} {each.id}" if pending else prior.place
            recorded[key] = dataclasses.replace(
                prior, pending_removal=pending, tainted=prior.tainted and not pending
            )
    ids = [each.id for each in connections]
    dice.shuffle(ids)
    declared = []
    for address in dice.sample(addresses, dice.randint(0, 6)):
        before = recorded.get(desire(address).place)
        desired = before.desired if before and dice.random() < 0.6 else desire(address)
        named = ids.pop() if ids and dice.random() < 0.15 else desired.connection_id
        declared.append(dataclasses.replace(desired, address=Address(address), connection_id=named))
    live = [each for each in connections if each.status != ABSENT]
    return Picture(declared, list(recorded.values()), live)


@pytest.fixture(scope="module")
def pictures() -> Mapping[int, tuple[Picture, StackDecisions]]:
    """Thousands of them, with what is decided; the same in every run."""
    rolled = {seed: a_picture(Random(seed)) for seed in range(SEEDS)}  # noqa: S311  no secret
    return {seed: (picture, picture.decided()) for seed, picture in rolled.items()}


Pictures = Mapping[int, tuple[Picture, StackDecisions]]


def certain(found: StackDecisions) -> list[Decision]:
    """What is decided and not refused."""
    return [each for each in found.decisions if not each.problem]


def test_the_pictures_show_what_there_is_to_decide(pictures: Pictures) -> None:
    """Every action often, with and without a loss, and most without a problem."""
    actions = Counter(each.action for _, found in pictures.values() for each in certain(found))
    assert min(actions[action] for action in Action if action not in {Action.DELETE, Action.FORGET}) > 50
    assert sum(found.moved.later != {} for _, found in pictures.values()) > 10
    assert sum(not problems(found) for _, found in pictures.values()) > SEEDS / 5
    assert sum(any(prior.pending_removal for prior in each.recorded) for each, _ in pictures.values()) > 50


def test_no_connection_goes_to_two_addresses(pictures: Pictures) -> None:
    """Whatever is declared, recorded and live; what waits for the next run counts as well."""
    for seed, (_, found) in pictures.items():
        held = Counter(each.becomes for each in certain(found) if each.becomes)
        assert all(times == 1 for times in held.values()), seed


def test_no_connection_that_an_address_has_is_ended_elsewhere(pictures: Pictures) -> None:
    """What one address gives up and another has is only forgotten; only its own file may unlink it."""
    for seed, (_, found) in pictures.items():
        held = {each.becomes for each in certain(found)} - {None}
        for each in certain(found):
            if each.removal not in {None, Action.FORGET}:
                assert each.connection_id not in held, seed
            assert each.loses or each.removal is not Action.UNLINK or each.status != "Linked", seed


def test_every_address_is_decided_once_and_nothing_else_is(pictures: Pictures) -> None:
    """And each recorded connection is continued, removed, or left because something is refused."""
    for seed, (picture, found) in pictures.items():
        declared = {each.address for each in picture.declared}
        decisions = Counter(each.address for each in found.decisions if each.action is not Action.REMOVE)
        assert {address for address in decisions if decisions[address] == 1} >= declared, seed
        if problems(found):
            continue
        told_of = {each.connection_id for each in found.decisions}
        assert {prior.id for prior in picture.recorded} <= told_of, seed


def test_what_is_adopted_was_nobodys(pictures: Pictures) -> None:
    """An address gets what it had, what is recorded nowhere, its own old half, or one that it names."""
    for seed, (picture, found) in pictures.items():
        recorded = {prior.id for prior in picture.recorded if not prior.pending_removal}
        halves = {prior.id: prior.place for prior in picture.recorded if prior.pending_removal}
        desired = {each.address: each for each in picture.declared}
        for each in certain(found):
            if each.action in {Action.ADOPT, Action.REPLACE} and each.becomes:
                one = desired[each.address]
                assert each.becomes not in recorded, seed
                named = one.connection_id == each.becomes
                assert named or halves.get(each.becomes, one.place) == one.place, seed


def test_an_authorisation_ends_only_where_the_file_asks_for_it(pictures: Pictures) -> None:
    """It asks to unlink it, to replace it, or takes it out and makes nothing new beside it."""
    for seed, (picture, found) in pictures.items():
        desired = {each.address: each for each in picture.declared}
        for each in certain(found):
            entries = [prior for prior in picture.recorded if prior.id == each.connection_id]
            if not each.loses:
                continue
            if each.action is Action.UNLINK:
                assert desired[each.address].status is Status.UNLINKED, seed
                continue
            assert {prior.desired.on_removal for prior in entries} != {OnRemoval.RETAIN}, seed
            if each.action is Action.REPLACE:
                now = desired[each.address]
                assert any(prior.tainted or rule_table.replacing_inputs(prior, now) for prior in entries), (
                    seed
                )
            elif not any(prior.pending_removal for prior in entries):
                slots = {prior.slot for prior in entries}
                asked = {d.address for d in picture.declared if d.slot in slots and not d.connection_id}
                made = {d.address for d in certain(found) if d.action in {Action.CREATE, Action.ADOPT}}
                assert not made & asked, seed


def test_the_order_of_what_is_read_decides_nothing(pictures: Pictures) -> None:
    """A file and a state may list their connections in any order."""
    for seed, (picture, found) in pictures.items():
        turned = Picture(picture.declared[::-1], picture.recorded[::-1], picture.live[::-1]).decided()
        assert sorted(turned.decisions, key=repr) == sorted(found.decisions, key=repr), seed


def test_one_company_alone_is_decided_as_with_the_others(pictures: Pictures) -> None:
    """`--company` shows a part of the same plan."""
    for seed, (picture, found) in pictures.items():
        mine = {prior.address for prior in picture.recorded} | {each.address for each in picture.declared}
        chosen = {address for address in mine if address.startswith("acme")}
        part = picture.decided(chosen=chosen, unseen=[ELSEWHERE])
        whole = [each for each in found.decisions if each.address in chosen]
        assert sorted(part.decisions, key=repr) == sorted(whole, key=repr), seed


# Programs of the user's own.


def of_a_program(
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    live: Iterable[LiveConnection] = (),
    moved: Moves | None = None,
    *,
    chosen: Collection[str] | None = None,
    **rest: Any,
) -> StackDecisions:
    """Decide about what a program declares, which describes the slots in the order of *declared*."""
    described: dict[str, SlotDescription] = {
        each.address: SlotDescription(n + 1, n, ids=()) for n, each in enumerate(declared)
    }
    told_by = Program(tuple(declared), tuple(recorded), moved or Moves(), described, **rest)
    return decided(declared, recorded, live, chosen=chosen, program=told_by)


def test_what_a_program_continues_is_for_the_engine_to_say() -> None:
    """In a file the only one that comes goes on with the only one that goes. A program says it."""
    old, new = a_prior(1, a_desired("acme/old"), urn=a_urn("acme/old")), a_desired(urn=a_urn("acme/ledger"))
    live = [a_live(1)]

    assert told(of_a_program([new], [old], live, Moves({new.address: old}))) == [
        ("acme/ledger", Action.MOVE, "acme/old", None, False)
    ]
    assert told(of_a_program([new], [old], live)) == [
        ("acme/ledger", Action.CREATE, None, None, False),
        ("acme/old", Action.REMOVE, None, Action.UNLINK, True),
    ]


def test_what_a_component_declares_is_where_it_is_recorded() -> None:
    """Its parents are in its URN."""
    urn = a_urn("acme/ledger", COMPONENT)

    assert told(of_a_program([a_desired(urn=urn)], [a_prior(1, urn=urn)], [a_live(1)])) == []


def test_who_takes_what_is_free_is_told_by_the_program() -> None:
    """In the order in which it declares them: so does a preview."""
    free = [a_live(1, "PendingAuth"), a_live(2, "PendingAuth")]

    found = of_a_program(siblings("acme/b", "acme/a"), [], free)

    assert {each.address: each.becomes for each in found.decisions} == {
        "acme/b": an_id(1),
        "acme/a": an_id(2),
    }


@pytest.mark.parametrize(
    ("names", "said"), [(("companyId",), "companyId is"), (("companyId", "status"), "companyId, status are")]
)
def test_what_a_preview_cant_know_is_refused(names: tuple[str, ...], said: str) -> None:
    """And what is recorded for it isn't removed, though it isn't among what is declared."""
    address = Address("acme/ledger")
    staying = Moves(staying=(a_prior(1),))

    found = of_a_program([], [a_prior(1)], [a_live(1)], staying, unknown={address: names})

    assert told(found) == []
    assert problems(found) == {
        "acme/ledger": f"{said} known only while `pulumi up` runs, so what happens to it can't be planned;"
        " run `pulumi up` for what that comes from, then this again"
    }
    elsewhere = of_a_program([], [a_prior(1)], [], staying, unknown={address: names}, chosen=["beta/a"])
    assert elsewhere.decisions == ()
