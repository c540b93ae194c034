"""What a process adds up from hooks that are called one by one."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import replace

import pytest

from codat_iac.model.connection import RESOURCE_TYPE, DesiredConnection, PriorConnection, Slot
from codat_iac.planning.decision import SlotView
from codat_iac.planning.moves import moves
from codat_iac.planning.slot_description import SlotDescription, describe, digest
from codat_iac.reconcile.run_state import RunState, _HeldByOthers
from tests.support.builders import COMPANY, a_desired, a_prior, an_id, siblings

LEDGER = "acme/ledger"
SLOT = Slot(COMPANY, "gbol")


@pytest.fixture
def state() -> RunState:
    """An empty one: nothing was read yet."""
    return RunState()


def a_urn(address: str, parents: str = "") -> str:
    """The URN of a connection in some stack, below the *parents*."""
    return f"urn:pulumi:test::shop::{parents}{RESOURCE_TYPE}::{address}"


# Recorded.


def test_what_is_recorded_is_counted_by_id(state: RunState) -> None:
    """One connection at two addresses, as after a mistaken import, is one connection."""
    state.record(a_prior(1))
    state.record(a_prior(1, a_desired("acme/books")))
    state.record(a_prior(2))
    state.record(a_prior(2, status="Unlinked"))

    assert state.recorded_count == 2


def test_without_a_refresh_nothing_is_recorded(state: RunState) -> None:
    """And nothing is declared, gone or leaving."""
    assert (state.recorded_count, state.missing_count, state.declares, state.leaving()) == (0, 0, False, {})


def test_what_is_missing_is_counted_once(state: RunState) -> None:
    """Finding the same absence twice is one absence."""
    state.mark_missing(an_id(1))
    state.mark_missing(an_id(1))
    state.mark_missing(an_id(2))

    assert state.missing_count == 2


@pytest.mark.parametrize(
    ("connection_id", "status", "moved"),
    [
        pytest.param(an_id(1), "Linked", False, id="as recorded"),
        pytest.param(an_id(1), "Deauthorized", False, id="as recorded at its other address"),
        pytest.param(an_id(1), "Unlinked", True, id="another status"),
        pytest.param(an_id(1), None, True, id="no status"),
        pytest.param(an_id(2), "Unlinked", False, id="never read"),
    ],
)
def test_a_refresh_can_tell_what_moved(
    state: RunState, connection_id: str, status: str | None, moved: bool
) -> None:
    """The status before the read is remembered, so that `pulumi refresh` shows what became of it."""
    state.record(a_prior(1, status="Linked"))
    state.record(a_prior(1, a_desired("acme/books"), status="Deauthorized"))

    assert state.status_changed(connection_id, status) is moved


# Declared.


def test_an_address_counts_once_a_program_declared_it(state: RunState) -> None:
    """Refresh and destroy diff what is recorded too; only a check says that it is declared."""
    state.record(a_prior(1))
    assert not state.is_declared(LEDGER)
    assert not state.declares

    state.declare(LEDGER)

    assert state.is_declared(LEDGER)
    assert not state.is_declared("acme/books")
    assert state.declares


# Who has what.


def test_an_address_has_one_connection_at_a_time(state: RunState) -> None:
    """It lets go of what it had before."""
    state.hold(an_id(1), LEDGER)
    state.hold(an_id(2), LEDGER)

    assert state.holder(an_id(1)) is None
    assert state.holder(an_id(2)) == LEDGER


def test_of_two_holders_the_first_by_name_is_named(state: RunState) -> None:
    """The same one whoever was first."""
    state.hold(an_id(1), "acme/b")
    state.hold(an_id(1), "acme/a")

    assert state.holder(an_id(1)) == "acme/a"


def test_what_is_replaced_has_no_holder(state: RunState) -> None:
    """A replacement takes its own old connection out of what must stay."""
    state.hold(an_id(1), LEDGER)
    state.mark_replaced(an_id(1), LEDGER)
    state.mark_replaced(an_id(1), LEDGER)

    assert state.holder(an_id(1)) is None


def test_a_replacement_takes_nothing_from_another_address(state: RunState) -> None:
    """Who holds the same id still does."""
    state.hold(an_id(1), "acme/books")

    state.mark_replaced(an_id(1), LEDGER)

    assert state.holder(an_id(1)) == "acme/books"


def test_a_failed_create_marks_its_slot(state: RunState) -> None:
    """What it may have wanted must stay; another platform has nothing to do with it."""
    state.mark_failed(SLOT)

    assert state.has_failed(SLOT)
    assert not state.has_failed(Slot(COMPANY, "qhyg"))


def test_what_nobody_declares_is_leaving(state: RunState) -> None:
    """Recorded, and held by nobody: by id what it was recorded as."""
    kept, gone = a_prior(1), a_prior(2, a_desired("acme/shop"))
    state.record(kept)
    state.record(gone)
    state.hold(kept.id, LEDGER)

    assert state.leaving() == {gone.id: gone}


def test_what_is_held_elsewhere_is_not_leaving(state: RunState) -> None:
    """The id has a holder, whatever the address at which it is recorded."""
    state.record(a_prior(1))
    state.hold(an_id(1), "acme/books")

    assert state.leaving() == {}


# What stands beside an address that gets a connection.


def test_of_an_address_of_which_nothing_is_told_little_is_known(state: RunState) -> None:
    """It may not be the only one, and what is there may be recorded: not complete."""
    assert state.slot_view(a_desired()) == SlotView(comers=1, complete=False)


def test_what_is_recorded_and_held_is_taken(state: RunState) -> None:
    """Of every slot, since an id may be named; but its own holding is no hindrance."""
    first, second, third = siblings("acme/a", "acme/b", "acme/c")
    state.record(a_prior(1, first))
    state.record(a_prior(2, a_desired("acme/shop", platform_key="fztf")))
    state.hold(an_id(1), first.address)
    state.hold(an_id(3), second.address)
    state.hold(an_id(4), third.address)

    beside = state.slot_view(third)

    assert beside.recorded == {an_id(1), an_id(2)}
    assert beside.claimed == {an_id(1): "acme/a", an_id(3): "acme/b"}


def test_what_was_made_in_this_run_is_as_good_as_recorded(state: RunState) -> None:
    """What waits since then waits for its own customer, and has no taker; what was adopted waited before."""
    first, second, third = siblings("acme/a", "acme/b", "acme/c")
    state.hold(an_id(1), first.address)
    state.hold(an_id(2), second.address, made=True)

    beside = state.slot_view(third)

    assert beside.recorded == {an_id(2)}
    assert beside.claimed == {an_id(1): "acme/a", an_id(2): "acme/b"}
    assert state.recorded_count == 0


def test_what_the_program_tells_counts_with_what_was_read(state: RunState) -> None:
    """Ids, names, and its place among those that come."""
    told = SlotDescription(comers=3, rank=2, named=(an_id(7),), ids=(an_id(5),))
    state.record(a_prior(1))
    state.declare("acme/new", told)

    assert state.slot_view(a_desired("acme/new")) == SlotView(
        recorded=frozenset({an_id(1), an_id(5)}),
        named=frozenset({an_id(7)}),
        rank=2,
        comers=3,
        old_halves=frozenset({an_id(1)}),  # a program is told of all but what waits for its removal
    )


def test_an_old_half_is_known_by_what_the_program_is_not_told(state: RunState) -> None:
    """Only if the program knows every id; what a handover says is believed."""
    state.record(a_prior(1))
    for told, expected in (
        (SlotDescription(ids=(an_id(1),)), set()),
        (SlotDescription(ids=()), {an_id(1)}),
        (SlotDescription(ids=(), unread=(a_desired().place,)), set()),
        (SlotDescription(digest="x"), set()),
        (None, set()),
    ):
        state.declare("acme/new", told)
        assert state.slot_view(a_desired("acme/new")).old_halves == expected
    state.record(a_prior(2, a_desired("acme/b"), pending_removal=True))
    assert state.slot_view(a_desired("acme/new")).old_halves == {an_id(2)}


def test_what_stays_for_a_run_is_left_alone(state: RunState) -> None:
    """Another address waits for its connection."""
    state.declare("acme/a", SlotDescription(stays=True))
    state.declare("acme/b", SlotDescription())
    state.declare("acme/c")

    assert [state.stays(f"acme/{each}") for each in "abcd"] == [True, False, False, False]


def test_what_a_declared_address_has_is_kept_wherever_else_it_is_recorded(state: RunState) -> None:
    """The program knows it, also if the run doesn't touch that address."""
    state.record(a_prior(1))
    state.record(a_prior(2, a_desired("acme/b")))
    state.declare("acme/c", SlotDescription(kept=(an_id(1),)))
    state.hold(an_id(3), "acme/d")

    assert [state.is_kept(an_id(number)) for number in (1, 2, 3)] == [True, False, True]
    assert state.leaving().keys() == {an_id(2)}


def test_what_a_program_totalled_counts_as_recorded(state: RunState) -> None:
    """It read the record of the stack, if this process didn't."""
    assert state.recorded_count == 0
    state.declare("acme/c", SlotDescription(counted=12))
    state.declare("acme/d", SlotDescription())
    assert state.recorded_count == 12
    state.record(a_prior(1))
    assert state.recorded_count == 12


@pytest.mark.parametrize(
    ("told", "read", "complete"),
    [
        pytest.param(SlotDescription(ids=()), [], True, id="new, and nothing is recorded"),
        pytest.param(SlotDescription(ids=(an_id(1),)), [], True, id="new, and every id is told"),
        pytest.param(
            SlotDescription(ids=(), unread=(a_desired().place,)), [], False, id="new, and an id isn't told"
        ),
        pytest.param(
            SlotDescription(ids=(), unread=(a_desired().place,)),
            [a_prior(1)],
            True,
            id="new, and that one was read",
        ),
        pytest.param(
            SlotDescription(digest=digest([a_desired().place])),
            [a_prior(1)],
            True,
            id="recorded, and all were read",
        ),
        pytest.param(
            SlotDescription(digest=digest([a_desired().place])), [], False, id="recorded, and none was read"
        ),
        pytest.param(
            SlotDescription(digest=digest([a_desired().place, a_desired("acme/b").place])),
            [a_prior(1)],
            False,
            id="recorded, and another wasn't read",
        ),
        pytest.param(
            SlotDescription(digest=digest([a_desired().place])),
            [a_prior(1), a_prior(2, a_desired("acme/shop", platform_key="fztf"))],
            True,
            id="another platform is none of it",
        ),
    ],
)
def test_it_is_complete_if_all_that_is_recorded_is_known(
    state: RunState, told: SlotDescription, read: Collection[PriorConnection], complete: bool
) -> None:
    """With `--target` a run reads a part of the stack, and without a refresh nothing."""
    for prior in read:
        state.record(prior)
    state.declare(LEDGER, told)

    assert state.slot_view(a_desired()).complete is complete


def test_a_state_that_is_known_as_a_whole_is_complete(state: RunState) -> None:
    """Who has the state itself, as a plan has, knows what isn't recorded, whatever a program tells."""
    state.record_all([a_prior(1), a_prior(2, a_desired("acme/b"))])

    assert state.recorded_count == 2
    assert state.slot_view(a_desired("acme/new")).complete


def test_what_is_gone_comes_after_what_is_new(state: RunState) -> None:
    """The recorded addresses whose connection is gone get one in the order of their names."""
    first, second, third = siblings("acme/a", "acme/b", "acme/c")
    elsewhere = a_desired("acme/shop", platform_key="fztf")
    for number, each in enumerate((first, second, third, elsewhere), 1):
        state.record(a_prior(number, each))
        state.declare(each.address, SlotDescription(comers=2))
    for number in (1, 3, 4):
        state.mark_missing(an_id(number))

    found = {each.address: state.slot_view(each) for each in (first, third, elsewhere)}

    assert {address: (each.rank, each.comers) for address, each in found.items()} == {
        "acme/a": (2, 4),
        "acme/c": (3, 4),
        "acme/shop": (2, 3),
    }


def test_what_is_gone_and_moved_keeps_its_turn(state: RunState) -> None:
    """It goes on at another address, and is counted where it was recorded: so does a plan."""
    first, moved = siblings("acme/a", "acme/b")
    for number, each in enumerate((first, moved), 1):
        state.record(a_prior(number, each))
        state.mark_missing(an_id(number))
    renamed = a_desired("acme/0")
    state.declare(renamed.address, SlotDescription())

    state.mark_replaced(an_id(2), renamed.address)

    assert (state.slot_view(renamed).rank, state.slot_view(renamed).comers) == (1, 2)


def test_who_replaces_what_is_there_comes_after_what_is_new(state: RunState) -> None:
    """An address that comes from another platform isn't recorded in this slot."""
    state.record(a_prior(1, a_desired(platform_key="qhyg")))
    state.declare(LEDGER, SlotDescription(comers=2, rank=1, ids=()))

    beside = state.slot_view(a_desired())

    assert (beside.rank, beside.comers) == (1, 2)


# An old half: what an address had before a replacement that broke off.


def test_an_old_half_is_what_the_state_says_is_one(state: RunState) -> None:
    """At the same URN and in the same slot."""
    old = a_prior(1, pending_removal=True)
    state.record_all([old, a_prior(2, a_desired(platform_key="qhyg"))])

    assert state.slot_view(a_desired()).old_half == old.id
    assert state.slot_view(a_desired("acme/books")).old_half is None
    assert state.slot_view(a_desired(platform_key="fztf")).old_half is None


def test_an_old_half_that_another_address_has_too_is_none(state: RunState) -> None:
    """It would then serve two."""
    state.record(a_prior(1, pending_removal=True))
    state.record(a_prior(1, a_desired("acme/books")))

    assert state.slot_view(a_desired()).old_half is None


def test_of_several_old_halves_the_same_one_is_taken_back(state: RunState) -> None:
    """Two replacements broke off, one after the other: whichever was read first."""
    for number in (2, 1):
        state.record(a_prior(number, pending_removal=True))

    assert state.slot_view(a_desired()).old_half == an_id(1)


def test_an_old_half_at_another_place_is_none(state: RunState) -> None:
    """One below a component is another resource."""
    state.record(a_prior(1, pending_removal=True, urn=a_urn(LEDGER, "shop:index:Customer$")))

    assert state.slot_view(a_desired()).old_half is None


@pytest.mark.parametrize("urn", ["", a_urn(LEDGER), a_urn(LEDGER, "shop:index:Customer$")])
def test_a_refresh_shows_an_old_half_by_reading_two_at_one_place(state: RunState, urn: str) -> None:
    """The hooks aren't told which is which: what is replaced now is the new half."""
    old, newer = a_prior(1, urn=urn), a_prior(2, a_desired(platform_key="qhyg"), urn=urn)
    state.record(old)
    state.record(newer)

    state.mark_replaced(newer.id, LEDGER)

    assert state.slot_view(a_desired()).old_half == old.id


def test_what_is_replaced_now_is_no_old_half(state: RunState) -> None:
    """Both halves are of one slot: the one that is there isn't taken instead of itself."""
    newer, old = a_prior(1), a_prior(2)
    state.record(newer)
    state.record(old)

    state.mark_replaced(newer.id, LEDGER)

    assert state.slot_view(a_desired()).old_half == old.id


def test_one_alone_at_its_place_is_no_old_half(state: RunState) -> None:
    """It is just recorded."""
    state.record(a_prior(1))
    state.record(a_prior(2, a_desired("acme/b")))

    assert state.slot_view(a_desired()).old_half is None


# As a program describes it.


def declare_all(state: RunState, declared: Collection[DesiredConnection], *priors: PriorConnection) -> None:
    """Declare as a program does that has read its own record."""
    told = describe(declared, priors, moves(declared, priors))
    for each in declared:
        state.declare(each.address, told[each.address])


def test_siblings_that_come_have_a_place_each(state: RunState) -> None:
    """In the order of their names, beside what is recorded; nothing was read."""
    kept, first, second = siblings("acme/a", "acme/b", "acme/c")
    declare_all(state, [second, kept, first], a_prior(1, kept))

    besides = [state.slot_view(each) for each in (first, second)]

    assert [(each.rank, each.comers) for each in besides] == [(0, 2), (1, 2)]
    assert all(each.complete and each.recorded == {an_id(1)} for each in besides)


def test_who_names_an_id_is_none_of_those_that_come(state: RunState) -> None:
    """The others leave that one alone."""
    first, second = siblings("acme/a", "acme/b")
    named = replace(first, connection_id=an_id(7))
    declare_all(state, [named, second])

    assert state.slot_view(second).named == {an_id(7)}
    assert (state.slot_view(second).rank, state.slot_view(second).comers) == (0, 1)
    assert state.slot_view(named).named == frozenset()


def test_threads_lose_nothing(state: RunState) -> None:
    """The host calls from four threads at once."""

    def work(part: int) -> None:
        for number in range(part, 400, 4):
            prior = a_prior(number, a_desired(f"acme/bank-{number}"))
            state.record(prior)
            state.hold(prior.id, prior.address)
            state.mark_missing(prior.id)
            state.leaving()

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (state.recorded_count, state.missing_count, len(state.leaving())) == (400, 400, 0)


def test_what_others_hold_is_a_mapping() -> None:
    """Without what the address itself holds; of several holders the first by name is meant."""
    held = _HeldByOthers({"1": {"acme/b", "acme/a"}, "2": {"acme/c"}, "3": set()}, "acme/c")

    assert dict(held) == {"1": "acme/a"}
    assert len(held) == 1
    assert "2" not in held
