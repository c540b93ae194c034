"""A plan as data: what it adds up to, and whether a saved one still holds."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from codat_iac.model.connection import Address
from codat_iac.model.errors import UnsafePlan
from codat_iac.planning.decision import Cause, Decision, Field
from codat_iac.planning.plan import (
    FORMAT_VERSION,
    STEPS,
    Calls,
    Link,
    Plan,
    Problem,
    Unmanaged,
    Waiting,
    restricted,
    still_holds,
    summary,
)
from codat_iac.planning.rule_table import Action
from tests.support import ROOT
from tests.support.builders import COMPANY, an_id
from tests.support.samples import a_change

PROBLEM = Problem("acme/gone", "acme/gone: there is nothing to unlink")


def a_waiting(number: int = 1) -> Waiting:
    """One connection that waits for its customer."""
    return Waiting(Address(f"acme/w{number}"), COMPANY, an_id(number), "gbol", "PendingAuth", "", "it waits")


def a_loss(address: str, number: int) -> Decision:
    """The removal of a Linked connection."""
    return a_change(
        address,
        Action.REMOVE,
        connection_id=an_id(number),
        removal=Action.UNLINK,
        status="Linked",
        losing=(an_id(number),),
    )


# What it adds up to.


def test_what_is_not_given_is_nothing() -> None:
    """A part that nobody filled in says so, and is of the kind that the others are."""
    assert a_change() == a_change(
        connection_id=None, moved_from=None, removal=None, fields=(), losing=(), later=False
    )
    assert Unmanaged(COMPANY, an_id(1), "gbol", "Linked").company == ""
    assert Calls() == Calls(0, 0, None, None)
    assert Plan() == Plan((), (), (), (), (), 0, 0, Calls(), None, stateless=False, stack=None)


def test_the_form_is_the_one_that_its_schema_describes() -> None:
    """Who changes one changes the other."""
    schema = json.loads((ROOT / "schemas" / "plan.schema.json").read_text())

    assert schema["properties"]["formatVersion"]["const"] == FORMAT_VERSION


def test_losses_are_counted_by_connection() -> None:
    """One connection may be recorded at two addresses, which is still one customer."""
    plan = Plan((a_loss("acme/a", 1), a_loss("acme/b", 1), a_loss("acme/c", 2), a_change()))

    assert plan.losses == 2


def test_changes_are_counted_by_step() -> None:
    """What there is none of counts as none."""
    counts = Plan((a_change("acme/a"), a_change("acme/b"), a_loss("acme/c", 1))).counts

    assert (counts[Action.CREATE], counts[Action.REMOVE], counts[Action.MOVE]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        pytest.param(Plan(), 0, id="nothing"),
        pytest.param(Plan(notes=("a note",)), 0, id="a note"),
        pytest.param(Plan(waiting=(a_waiting(),)), 3, id="waiting"),
        pytest.param(Plan((a_change(),), (a_waiting(),)), 2, id="changes and waiting"),
        pytest.param(Plan((a_change(),), refusal="too much"), 4, id="refused"),
        pytest.param(Plan(problems=(PROBLEM,), refusal="too much"), 1, id="problems"),
    ],
)
def test_the_exit_code_is_the_gravest(plan: Plan, code: int) -> None:
    """Problems before a refusal, that before changes, and those before what waits."""
    assert plan.exit_code == code


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        pytest.param(Plan(), "No changes. What you declared is what there is.", id="nothing"),
        pytest.param(
            Plan((a_change("acme/a"), a_change("acme/b"), a_change("acme/c", Action.MOVE))),
            "Plan: 2 to create, 1 to move. 2 new connections will wait for their customers.",
            id="changes, in the order of the steps",
        ),
        pytest.param(
            Plan(tuple(a_change(f"acme/{step}", step) for step in STEPS)),
            "Plan: 1 to create, 1 to adopt, 1 to move, 1 to update, 1 to unlink, 1 to replace, 1 to remove."
            " 2 new connections will wait for their customers.",
            id="one of each",
        ),
        pytest.param(
            Plan((a_loss("acme/a", 1),), (a_waiting(),)),
            "Plan: 1 to remove. 1 customer would have to authorise again."
            " 1 connection waits for its customer.",
            id="one loss, one waits",
        ),
        pytest.param(
            Plan((a_loss("acme/a", 1), a_loss("acme/b", 2)), (a_waiting(1), a_waiting(2))),
            "Plan: 2 to remove. 2 customers would have to authorise again."
            " 2 connections wait for their customers.",
            id="two of each",
        ),
        pytest.param(
            Plan(shard="2/5"), "Shard 2/5: No changes. What you declared is what there is.", id="a shard"
        ),
        pytest.param(Plan(problems=(PROBLEM,)), "No changes. 1 problem to solve first.", id="a problem"),
        pytest.param(
            Plan((a_change("acme/a"), a_change("acme/b", Action.MOVE, later=True))),
            "Plan: 1 to create, 1 to move. 1 of them comes in a second run."
            " 1 new connection will wait for its customer.",
            id="one in a second run",
        ),
        pytest.param(
            Plan(tuple(a_change(f"acme/c{n:04}", later=True) for n in range(1200))),
            "Plan: 1,200 to create. 1,200 of them come in a second run.",
            id="many in a second run",
        ),
        pytest.param(
            Plan(tuple(a_change(f"acme/c{n:04}") for n in range(1200))),
            "Plan: 1,200 to create. 1,200 new connections will wait for their customers.",
            id="many",
        ),
    ],
)
def test_a_plan_is_said_in_one_line(plan: Plan, words: str) -> None:
    """What to do, what is lost, what is wrong, who waits."""
    assert summary(plan) == words


def test_a_link_does_not_show_itself() -> None:
    """Whoever has it can authorise, so it stays out of logs and tracebacks."""
    link = Link(Address("acme/ledger"), "Acme", "Xero", "PendingAuth", "", "https://link.example/start?otp=1")

    assert "otp" not in repr(link)


# Saved plans.


@pytest.mark.parametrize(("before", "said"), [("prod", "of stack prod"), (None, "of no stack")])
def test_a_plan_of_another_stack_is_none_of_this_one(before: str | None, said: str) -> None:
    """Two stacks may have the very same changes before them."""
    with pytest.raises(UnsafePlan, match=f"{said} and not of stack dev; make a plan"):
        still_holds(Plan((a_change(),), stack=before), Plan((a_change(),), stack="dev"))


def test_a_plan_is_restricted_to_what_was_saved() -> None:
    """All else of it stays; what was saved must still hold."""
    saved = Plan((a_change("acme/a"),))
    now = Plan((a_change("acme/a"), a_change("acme/new")), waiting=(a_waiting(),), declared=7)

    assert restricted(now, saved) == Plan((a_change("acme/a"),), waiting=(a_waiting(),), declared=7)
    with pytest.raises(UnsafePlan, match="acme/a needs no change any more"):
        restricted(Plan((a_change("acme/new"),)), saved)


def test_a_plan_that_says_the_same_still_holds() -> None:
    """Also where other things moved: who waits, what is unmanaged, what it costs, who caused it."""
    saved = Plan((a_change(), a_loss("acme/old", 1)), notes=("a note",))
    caused = dataclasses.replace(a_change(), cause=Cause.BOTH)

    still_holds(saved, Plan((a_loss("acme/old", 1), caused), waiting=(a_waiting(),), declared=7))


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        pytest.param(
            {"action": Action.CREATE},
            {"action": Action.ADOPT, "connection_id": an_id(1), "status": "PendingAuth"},
            "acme/ledger: what is done was create and is adopt",
            id="another step",
        ),
        pytest.param(
            {"connection_id": an_id(1)},
            {"connection_id": an_id(2)},
            f"acme/ledger: its connection was {an_id(1)} and is {an_id(2)}",
            id="another connection",
        ),
        pytest.param(
            {},
            {"connection_id": an_id(2)},
            f"acme/ledger: its connection was none and is {an_id(2)}",
            id="a connection",
        ),
        pytest.param(
            {"status": "PendingAuth"},
            {"status": "Li\x1bnked\n"},
            "acme/ledger: its status was PendingAuth and is Li nked",
            id="another status, which may be anything",
        ),
        pytest.param(
            {},
            {"company_id": an_id(9)},
            f"acme/ledger: its company was {COMPANY} and is {an_id(9)}",
            id="another company",
        ),
        pytest.param(
            {},
            {"platform_key": "qhyg"},
            "acme/ledger: its platform was gbol and is qhyg",
            id="another platform",
        ),
        pytest.param(
            {"moved_from": "acme/a"},
            {"moved_from": "acme/b"},
            "acme/ledger: where it is recorded was acme/a and is acme/b",
            id="moved from elsewhere",
        ),
        pytest.param(
            {"removal": Action.UNLINK},
            {"removal": Action.DELETE},
            "acme/ledger: what becomes of the old one was unlink and is delete",
            id="another removal",
        ),
        pytest.param(
            {},
            {"losing": (an_id(1),)},
            f"acme/ledger: what loses its authorisation was nothing and is {an_id(1)}",
            id="a loss",
        ),
        pytest.param(
            {"losing": (an_id(1), "b")},
            {"losing": (an_id(1), "c")},
            f"acme/ledger: what loses its authorisation was {an_id(1)}, b and is {an_id(1)}, c",
            id="another loss beside",
        ),
        pytest.param(
            {"later": True},
            {"later": False},
            "acme/ledger: whether it has to wait for a second run was yes and is no",
            id="a second run",
        ),
        pytest.param(
            {"fields": (Field("onRemoval", "unlink", "delete"), Field("connectionId", None, "x"))},
            {"fields": ()},
            "acme/ledger: what differs was onRemoval unlink to delete, connectionId none to x and is nothing",
            id="other fields",
        ),
    ],
)
def test_a_plan_whose_changes_are_others_is_refused(
    was: dict[str, Any], now: dict[str, Any], said: str
) -> None:
    """It names what moved, by address; what says most, where several things did."""
    with pytest.raises(UnsafePlan) as caught:
        still_holds(Plan((a_change(**was),)), Plan((a_change(**now),)))

    assert str(caught.value) == f"the saved plan no longer holds: {said}; make another plan"


def test_what_came_and_went_is_named() -> None:
    """A change more and a change less are as bad as another one; many are shortened."""
    saved = Plan(tuple(a_change(f"acme/a{n}") for n in range(3)))
    now = Plan(tuple(a_change(f"acme/b{n}") for n in range(4)))

    with pytest.raises(UnsafePlan) as caught:
        still_holds(saved, now)

    assert str(caught.value) == (
        "the saved plan no longer holds: acme/a0 needs no change any more, acme/a1 needs no change any more,"
        " acme/a2 needs no change any more, acme/b0 is new in it, acme/b1 is new in it and 2 more;"
        " make another plan"
    )


def test_a_plan_of_another_shard_is_not_applied() -> None:
    """The stack was given other companies meanwhile."""
    for saved, now, said in (("1/3", "1/5", "1/3 and not of 1/5"), (None, "1/5", "none and not of 1/5")):
        with pytest.raises(UnsafePlan, match=f"^the saved plan is of shard {said}; make a new one"):
            still_holds(Plan(shard=saved), Plan(shard=now))
