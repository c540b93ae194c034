"""All addresses at once: who has what in the end, what that comes to, and what can't be done."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codat_iac.deciding import Decisions, decide
from codat_iac.emulator import Emulator, serving
from codat_iac.errors import CodatBroken
from codat_iac.model import DesiredConnection, OnExisting, OnRemoval, PriorConnection, Status
from codat_iac.plan import Change, Step
from codat_iac.rules import Action
from tests.builders import Run, a_desired, a_prior, a_run, connected, siblings
from tests.worlds import a_planner, a_world, preview


@pytest.fixture
def run(emulator: Emulator) -> Run:
    """The process that plans."""
    return a_run(emulator)


def recorded(emulator: Emulator, desired: DesiredConnection, status: str = "Linked") -> PriorConnection:
    """A connection that lives, and that the state holds as it is."""
    connection_id = connected(emulator, desired.company_id, desired.platform_key, status)
    return a_prior(connection_id, desired, status)


def told(found: Decisions) -> list[tuple[str, Step, str | None, str | None, bool]]:
    """The changes by address: what is done, from where, what the old one comes to, and whether that loses."""
    return sorted((c.address, c.step, c.moved_from, c.removal, c.loses) for c in found.changes)


def only(found: Decisions) -> Change:
    """The one change that there is."""
    assert found.problems == []
    (change,) = found.changes
    return change


# Who has what.


def test_what_another_takes_over_is_not_removed(emulator: Emulator, run: Run, acme: str) -> None:
    """A rename is one change, and its old address none."""
    prior = recorded(emulator, a_desired("acme/old", company_id=acme))

    change = only(decide(run.operations, [a_desired(company_id=acme)], [prior]))

    assert (change.step, change.moved_from, change.connection_id) == (Step.MOVE, "acme/old", prior.id)


def test_a_rename_that_was_cut_off_still_has_to_forget(emulator: Emulator, run: Run, acme: str) -> None:
    """The new address has it already, and the old one, which is recorded too, only goes."""
    desired = a_desired(company_id=acme)
    prior = recorded(emulator, desired)
    old = dataclasses.replace(prior, desired=a_desired("acme/old", company_id=acme))

    found = decide(run.operations, [desired], [prior, old])

    assert told(found) == [("acme/old", Step.REMOVE, None, "forget", False)]
    assert only(found).status == "Linked"


def test_one_that_is_recorded_twice_moves_once(emulator: Emulator, run: Run, acme: str) -> None:
    """The second of the old addresses forgets it, whatever its status: nobody loses it."""
    prior = recorded(emulator, a_desired("acme/a", company_id=acme), "Migrating")
    again = dataclasses.replace(prior, desired=a_desired("acme/b", company_id=acme))

    found = decide(run.operations, [a_desired("acme/c", company_id=acme)], [prior, again])

    assert told(found) == [
        ("acme/b", Step.REMOVE, None, "forget", False),
        ("acme/c", Step.MOVE, "acme/a", None, False),
    ]


@pytest.mark.parametrize("first", ["acme/a", "acme/c"])
def test_one_that_is_recorded_twice_moves_from_where_it_is_no_longer_declared(
    emulator: Emulator, run: Run, acme: str, first: str
) -> None:
    """Whichever is read first. The address that gets another one instead is replaced, and loses nothing."""
    prior = recorded(emulator, a_desired("acme/a", company_id=acme))
    again = dataclasses.replace(prior, desired=a_desired("acme/c", company_id=acme))
    priors = sorted([prior, again], key=lambda each: each.address != first)
    declared = [
        a_desired("acme/a", company_id=acme, platform_key="suuo"),
        a_desired("acme/b", company_id=acme),
    ]

    found = decide(run.operations, declared, priors)

    assert told(found) == [
        ("acme/a", Step.REPLACE, None, "forget", False),
        ("acme/b", Step.MOVE, "acme/c", None, False),
    ]


def test_two_that_swap_their_platforms_swap_their_connections(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """Both are replaced, each by what the other had, and neither customer notices."""
    a, b = a_desired("acme/a", company_id=acme), a_desired("acme/b", company_id=acme, platform_key="suuo")
    priors = [recorded(emulator, a), recorded(emulator, b)]
    declared = [dataclasses.replace(a, platform_key="suuo"), dataclasses.replace(b, platform_key="gbol")]

    found = decide(run.operations, declared, priors)

    assert told(found) == [
        ("acme/a", Step.REPLACE, "acme/b", "forget", False),
        ("acme/b", Step.REPLACE, "acme/a", "forget", False),
    ]
    assert {address: takeover.live.id for address, takeover in found.takeovers.items()} == {
        "acme/a": priors[1].id,
        "acme/b": priors[0].id,
    }


def test_what_replaces_may_be_what_another_had(emulator: Emulator, run: Run, acme: str) -> None:
    """An address moves on, and another that is gone leaves its connection to it."""
    a = a_desired("acme/a", company_id=acme)
    priors = [
        recorded(emulator, a),
        recorded(emulator, a_desired("acme/b", company_id=acme, platform_key="suuo")),
    ]

    found = decide(run.operations, [dataclasses.replace(a, platform_key="suuo")], priors)

    assert told(found) == [("acme/a", Step.REPLACE, "acme/b", "unlink", True)]


def test_what_replaces_may_be_there_already(emulator: Emulator, run: Run, acme: str) -> None:
    """One that the customer made: it is taken over, and was recorded nowhere."""
    a = a_desired(company_id=acme)
    prior = recorded(emulator, a)
    made = connected(emulator, acme, "suuo")
    declared = dataclasses.replace(a, platform_key="suuo", on_existing=OnExisting.ADOPT)

    found = decide(run.operations, [declared], [prior])

    assert told(found) == [("acme/ledger", Step.REPLACE, None, "unlink", True)]
    takeover = found.takeovers["acme/ledger"]
    assert (takeover.live.id, takeover.recorded, takeover.unlinks) == (made, False, False)


def test_what_is_foreseen_for_one_is_not_for_another(emulator: Emulator, run: Run, acme: str) -> None:
    """Of two new siblings one takes what waits, and the other is made."""
    connected(emulator, acme, status="PendingAuth")

    found = decide(run.operations, siblings("acme/a", "acme/b", company_id=acme), [])

    assert told(found) == [
        ("acme/a", Step.ADOPT, None, None, False),
        ("acme/b", Step.CREATE, None, None, False),
    ]


# What an earlier run replaced.


@pytest.mark.parametrize("declared", [True, False])
def test_what_was_replaced_and_not_yet_removed_still_goes(
    emulator: Emulator, run: Run, acme: str, declared: bool
) -> None:
    """A run broke off before it; whether its address is still declared makes no difference."""
    desired = a_desired(company_id=acme)
    prior = recorded(emulator, desired)
    old = recorded(emulator, a_desired(company_id=acme, platform_key="suuo", on_removal=OnRemoval.DELETE))

    found = decide(run.operations, [desired] if declared else [], [prior] if declared else [], [old])

    assert told(found) == [("acme/ledger", Step.REMOVE, None, "delete", True)]
    assert only(found).connection_id == old.id


def test_what_was_replaced_goes_beside_what_is_done_now(emulator: Emulator, run: Run, acme: str) -> None:
    """Two changes at one address; nobody takes over what is still to be removed from a declared one."""
    a, b = siblings("acme/a", "acme/b", company_id=acme)
    old = recorded(emulator, a_desired("acme/a", company_id=acme), "PendingAuth")

    found = decide(run.operations, [a, b], [], [old])

    assert told(found) == [
        ("acme/a", Step.CREATE, None, None, False),
        ("acme/a", Step.REMOVE, None, "delete", False),
        ("acme/b", Step.CREATE, None, None, False),
    ]


def test_what_was_replaced_may_be_taken_over_by_another_address(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """Where its own is declared no longer: then it is only forgotten, and no call is made."""
    old = recorded(emulator, a_desired("acme/old", company_id=acme))

    found = decide(run.operations, [a_desired(company_id=acme)], [], [old])

    assert told(found) == [
        ("acme/ledger", Step.ADOPT, None, None, False),
        ("acme/old", Step.REMOVE, None, "forget", False),
    ]
    assert found.takeovers["acme/ledger"].recorded


def test_what_was_replaced_and_can_not_be_let_go_is_a_problem(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """Of its address, whatever else is done there; what can't be read is left alone."""
    desired = a_desired(company_id=acme)
    prior = recorded(emulator, desired)
    old = recorded(emulator, a_desired(company_id=acme, platform_key="suuo"), "Migrating")
    gone = str(emulator.add_company("Gone")["id"])
    unseen = a_prior(1, a_desired("gone/a", company_id=gone))
    emulator.delete_company(gone)

    changed = dataclasses.replace(desired, on_removal=OnRemoval.RETAIN)
    found = decide(run.operations, [changed], [prior], [old, unseen])

    assert [(each.address, "stays recorded" in each.text) for each in found.problems] == [
        ("gone/a", False),
        ("acme/ledger", True),
    ]
    assert told(found) == [("acme/ledger", Step.UPDATE, None, None, False)]


# Who waits.


@pytest.mark.parametrize(
    ("changed", "step"),
    [
        pytest.param({}, None, id="nothing to do"),
        pytest.param({"on_removal": OnRemoval.DELETE}, Step.UPDATE, id="recorded anew"),
        pytest.param({"address": "acme/new"}, Step.MOVE, id="moved"),
        pytest.param({"platform_key": "suuo"}, Step.REPLACE, id="replaced"),
        pytest.param({"status": Status.UNLINKED}, Step.UPDATE, id="not wanted any more"),
    ],
)
def test_what_waits_goes_on_waiting_whatever_else_is_done(
    emulator: Emulator, run: Run, acme: str, changed: dict[str, Any], step: Step | None
) -> None:
    """A change that calls nothing brings no customer; a new connection is told as a change."""
    desired = a_desired(company_id=acme)
    prior = recorded(emulator, desired, "PendingAuth")

    found = decide(run.operations, [dataclasses.replace(desired, **changed)], [prior])

    assert [change.step for change in found.changes] == ([step] if step else [])
    waits = "platform_key" not in changed and "status" not in changed
    assert [each.connection_id for each in found.waiting] == ([prior.id] if waits else [])


def test_what_is_adopted_may_wait(emulator: Emulator, run: Run, acme: str) -> None:
    """It is somebody's already; what is made is told as a change."""
    waiting = connected(emulator, acme, status="PendingAuth")

    found = decide(
        run.operations,
        [a_desired(company_id=acme), a_desired("acme/bank", company_id=acme, platform_key="suuo")],
        [],
    )

    assert [each.connection_id for each in found.waiting] == [waiting]


# What can't be done.


def test_each_address_has_its_own_problem(emulator: Emulator, run: Run, acme: str) -> None:
    """All of them in one plan; a sibling's problem is not told twice, and what is in order is planned."""
    connected(emulator, acme)
    declared = [
        *siblings("acme/a", "acme/b", company_id=acme),
        a_desired("acme/c", company_id=acme, platform_key="suuo"),
    ]

    found = decide(run.operations, declared, [])

    assert [problem.address for problem in found.problems] == ["acme/a", "acme/b"]
    for problem in found.problems:
        assert problem.text.startswith(f"{problem.address}: company {acme} has a connection to gbol that")
    assert told(found) == [("acme/c", Step.CREATE, None, None, False)]


def test_one_connection_at_two_declared_addresses_is_a_problem_of_the_second(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """The first keeps it."""
    a, b = siblings("acme/a", "acme/b", company_id=acme)
    prior = recorded(emulator, a)

    found = decide(run.operations, [a, b], [prior, dataclasses.replace(prior, desired=b)])

    (problem,) = found.problems
    assert problem.text.startswith(f"acme/b: connection {prior.id} is declared as acme/a too")
    assert found.changes == []


def test_what_can_not_be_read_is_left_alone(emulator: Emulator, run: Run, acme: str) -> None:
    """A company that isn't there: no change of what is recorded, declared or not; the rest is planned."""
    gone = str(emulator.add_company("Gone")["id"])
    declared = a_desired("gone/a", company_id=gone)
    priors = [a_prior(1, declared), a_prior(2, a_desired("gone/b", company_id=gone))]
    emulator.delete_company(gone)

    found = decide(
        run.operations,
        [declared, a_desired("gone/c", company_id=gone), a_desired(company_id=acme)],
        priors,
    )

    assert [problem.address for problem in found.problems] == ["gone/a", "gone/b", "gone/c"]
    assert all("can't be seen with this API key" in problem.text for problem in found.problems)
    assert told(found) == [("acme/ledger", Step.CREATE, None, None, False)]


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
    emulator: Emulator, run: Run, acme: str, changed: dict[str, Any] | None, refused: str | None
) -> None:
    """Nobody knows what that would do. It is said before a replacement is made, with the way out."""
    desired = a_desired(company_id=acme)
    prior = recorded(emulator, desired, "Migrating")
    declared = [] if changed is None else [dataclasses.replace(desired, **changed)]

    found = decide(run.operations, declared, [prior])

    if refused:
        (problem,) = found.problems
        assert problem.text == f"acme/ledger: {refused}"
        assert found.changes == []
    else:
        assert only(found).step is Step.UPDATE


@pytest.mark.parametrize("moved", [True, False])
def test_what_is_protected_is_neither_removed_nor_renamed(
    emulator: Emulator, run: Run, acme: str, moved: bool
) -> None:
    """Pulumi refuses that by itself, and in the middle of a run; what is declared may be changed."""
    prior = recorded(emulator, a_desired("acme/old", company_id=acme))
    kept = recorded(emulator, a_desired("acme/kept", company_id=acme, platform_key="suuo"))
    declared = [dataclasses.replace(kept.desired, status=Status.UNLINKED)]
    declared += [a_desired(company_id=acme)] if moved else []
    priors = [dataclasses.replace(each, protected=True) for each in (prior, kept)]

    found = decide(run.operations, declared, priors)

    (problem,) = found.problems
    assert problem.text == (
        "acme/old: it is protected in the stack's state, so Pulumi neither removes nor renames it; `pulumi"
        " state unprotect` it, if you mean it"
    )
    assert {change.step for change in found.changes} == {Step.UNLINK, *([Step.MOVE] if moved else [])}


def test_what_is_accepted_as_gone_is_forgotten_though_it_is_protected(emulator: Emulator, acme: str) -> None:
    """A refresh drops it, and asks nobody."""
    run = a_run(emulator, accept_missing=True)
    connected(emulator, acme)

    found = decide(run.operations, [], [a_prior(1, a_desired(company_id=acme), protected=True)])

    assert told(found) == [("acme/ledger", Step.REMOVE, None, "forget", False)]


def test_an_answer_that_is_none_ends_the_plan(emulator: Emulator, run: Run, acme: str) -> None:
    """Where Codat breaks nothing is certain of anything; the error names the address."""
    emulator.faults([{"on": "GET /companies/*/connections", "do": "status", "status": 500}])

    with pytest.raises(CodatBroken, match=r"^acme/ledger: GET /companies/"):
        decide(run.operations, [], [a_prior(1, a_desired(company_id=acme))])


def test_too_many_missing_are_a_problem_of_each(emulator: Emulator, run: Run, acme: str) -> None:
    """Ten of ten: it is likelier the wrong key, so none is made anew and none forgotten."""
    connected(emulator, acme)
    priors = [a_prior(n, a_desired(f"acme/b{n}", company_id=acme)) for n in range(1, 11)]
    declared = [prior.desired for prior in priors[:5]]

    found = decide(run.operations, declared, priors)

    assert len(found.problems) == 10
    assert "10 of 10 recorded connections are gone at once" in found.problems[9].text
    assert found.changes == []


# As a preview has it.


DOES = {
    Step.CREATE: Action.CREATE,
    Step.ADOPT: Action.CREATE,
    Step.MOVE: Action.CREATE,
    Step.UPDATE: Action.UPDATE,
    Step.UNLINK: Action.UNLINK,
    Step.REPLACE: Action.REPLACE,
}
"""What the hooks do of a plan's steps; a removal is no hook's."""


@pytest.fixture(scope="module")
def crowd() -> Iterator[Emulator]:
    """An emulator for many worlds, one after the other."""
    with serving() as running:
        yield running


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=False))
def test_the_hooks_decide_alike_in_whatever_order_the_engine_calls_them(
    crowd: Emulator, dice: Random
) -> None:
    """Nobody knows in which order it hears of what a program declares; `test_pulumi_agreement.py` is real."""
    crowd.reset()
    world = a_world(crowd, dice)
    plan = a_planner(crowd, world.recorded, replaced=world.replaced, max_losses=100).plan(world.desired)
    declared = {each.address for each in world.desired}
    # A removal's problem comes later than a preview looks, and Pulumi itself knows what is protected.
    said = {p.text for p in plan.problems if not re.search("stays recorded|is protected", p.text)}

    actions, errors = preview(crowd, world, dice, max_losses=100)

    assert bool(errors) == bool(said)
    if not errors:
        assert {address: action for address, action in actions.items() if action is not Action.NONE} == {
            change.address: DOES[change.step]
            for change in plan.changes
            if change.address in declared and change.step is not Step.REMOVE
        }
