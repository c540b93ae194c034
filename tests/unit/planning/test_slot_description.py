"""What a program tells of what stands beside an address, how it is written, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.model.connection import DesiredConnection, PriorConnection
from codat_iac.model.errors import ConfigError
from codat_iac.planning.decision import SlotView
from codat_iac.planning.moves import Moves, in_this_run, moves
from codat_iac.planning.slot_description import (
    INPUT,
    SlotDescription,
    describe,
    digest,
    parse,
    slot_view,
    with_totals,
)
from tests.support.builders import a_desired, a_prior, an_id

OTHER_COMPANY = "0b3d3c57-0d5c-4f5c-9a55-2b7d0a9f5c11"


def a_recorded(number: int, address: str, **desired: object) -> PriorConnection:
    """A connection that is recorded under its address."""
    return a_prior(number, a_desired(address, **desired))


def place(address: str) -> str:
    """The end of the URN that the stock program gives an address."""
    return a_desired(address).place


def described(
    declared: list[DesiredConnection], recorded: list[PriorConnection] | None = None
) -> dict[str, SlotDescription]:
    """What a program tells, in a run in which nothing waits."""
    recorded = recorded or []
    return dict(describe(declared, recorded, moves(declared, recorded)))


# What is described.


def test_a_new_one_alone() -> None:
    """It is the first of one, and the state holds nothing in its slot."""
    assert described([a_desired("acme/a")]) == {"acme/a": SlotDescription(1, 0, ids=())}


def test_new_ones_of_one_slot_are_counted_and_ranked_by_address() -> None:
    """Whoever is declared first; another platform and another company count for themselves."""
    declared = [
        a_desired("acme/b"),
        a_desired("acme/a"),
        a_desired("acme/c", platform_key="qhyg"),
        a_desired("acme/d", company_id=OTHER_COMPANY),
    ]
    assert described(declared) == {
        "acme/a": SlotDescription(2, 0, ids=()),
        "acme/b": SlotDescription(2, 1, ids=()),
        "acme/c": SlotDescription(1, 0, ids=()),
        "acme/d": SlotDescription(1, 0, ids=()),
    }


def test_what_goes_on_tells_the_places_of_its_slot_in_a_few_letters() -> None:
    """So that nothing grows with the square of the siblings; and how many come."""
    recorded = [
        a_recorded(1, "acme/a"),
        a_recorded(2, "acme/b"),
        a_recorded(3, "acme/c", platform_key="qhyg"),
    ]
    declared = [*(prior.desired for prior in recorded), a_desired("acme/d")]
    both = digest([place("acme/a"), place("acme/b")])
    assert described(declared, recorded) == {
        "acme/a": SlotDescription(1, digest=both),
        "acme/b": SlotDescription(1, digest=both),
        "acme/c": SlotDescription(0, digest=digest([place("acme/c")])),
        "acme/d": SlotDescription(1, 0, ids=(an_id(1), an_id(2))),
    }


def test_what_was_renamed_goes_on_and_does_not_come() -> None:
    """By another name it is recorded all the same."""
    recorded = [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")]
    declared = [a_desired("acme-ltd/a"), a_desired("acme-ltd/b"), a_desired("acme-ltd/c")]
    both = digest([place("acme/a"), place("acme/b")])
    assert described(declared, recorded) == {
        "acme-ltd/a": SlotDescription(1, digest=both),
        "acme-ltd/b": SlotDescription(1, digest=both),
        "acme-ltd/c": SlotDescription(1, 0, ids=(an_id(1), an_id(2))),
    }


def test_what_is_replaced_in_place_comes() -> None:
    """Another platform is another connection; of the new slot the ids are told."""
    recorded = [a_recorded(1, "acme/a"), a_recorded(2, "acme/b", platform_key="qhyg")]
    declared = [a_desired("acme/a", platform_key="qhyg"), recorded[1].desired]
    assert described(declared, recorded)["acme/a"] == SlotDescription(1, 0, ids=(an_id(2),))


def test_ids_that_are_named_are_nobody_elses() -> None:
    """All but one's own, sorted; not those that the state holds, which are told as such."""
    recorded = [a_recorded(1, "acme/a")]
    declared = [
        a_desired("acme/a", connection_id=an_id(1)),
        a_desired("acme/b", connection_id=an_id(8)),
        a_desired("acme/c", connection_id=an_id(7)),
        a_desired("acme/d"),
        a_desired("acme/e", platform_key="qhyg", connection_id=an_id(9)),
    ]
    assert described(declared, recorded) == {
        "acme/a": SlotDescription(1, named=(an_id(7), an_id(8)), digest=digest([place("acme/a")])),
        "acme/b": SlotDescription(1, named=(an_id(7),), ids=(an_id(1),)),
        "acme/c": SlotDescription(1, named=(an_id(8),), ids=(an_id(1),)),
        "acme/d": SlotDescription(1, 0, named=(an_id(7), an_id(8)), ids=(an_id(1),)),
        "acme/e": SlotDescription(0, ids=()),
    }


def test_places_whose_ids_are_not_recorded() -> None:
    """An older version recorded none: a refresh of the same run may tell them."""
    recorded = [a_prior("", a_desired("acme/a")), a_recorded(2, "acme/b")]
    declared = [a_desired("acme/a"), a_desired("acme/b"), a_desired("acme/c")]
    assert described(declared, recorded)["acme/c"] == SlotDescription(
        1, 0, ids=(an_id(2),), unread=(place("acme/a"),)
    )


def test_what_waits_for_the_next_run_counts_in_this_one() -> None:
    """What it names isn't free, what it goes on with doesn't come, and a new one gets what others leave."""
    recorded = [a_recorded(1, "acme/a"), a_recorded(2, "acme/b", platform_key="qhyg")]
    declared = [
        a_desired("acme/a", platform_key="qhyg", connection_id=an_id(2)),
        a_desired("acme/b", platform_key="wxyz"),
        a_desired("acme/c", connection_id=an_id(1)),
        a_desired("acme/d", platform_key="wxyz"),
        a_desired("acme/e", platform_key="qhyg"),
    ]
    moved = moves(declared, recorded)
    assert moved.later == {"acme/a": recorded[1], "acme/b": None}
    assert moved.problems == {}

    whole = describe(declared, recorded, moved)
    waiting = [each for each in declared if each.address in moved.later]
    first = describe(in_this_run(declared, moved), recorded, moved, waiting)

    in_qhyg = digest([place("acme/b")])
    assert whole == {
        "acme/a": SlotDescription(1, digest=in_qhyg),
        "acme/b": SlotDescription(2, 1, ids=()),
        "acme/c": SlotDescription(0, digest=digest([place("acme/a")])),
        "acme/d": SlotDescription(2, 0, ids=()),
        "acme/e": SlotDescription(1, 0, ids=(an_id(2),)),
    }
    assert first == {
        **{address: whole[address] for address in ("acme/c", "acme/d", "acme/e")},
        "acme/b": SlotDescription(1, digest=in_qhyg),
    }


def test_what_is_made_in_the_next_run_is_ranked_last() -> None:
    """Both runs and the plan of the two agree on who takes the first free one, and on what is named."""
    recorded = [a_recorded(1, "acme/a"), a_recorded(2, "acme/b", platform_key="wxyz")]
    declared = [
        a_desired("acme/a", platform_key="qhyg"),
        a_desired("acme/b", platform_key="qhyg", connection_id=an_id(9)),
        a_desired("acme/c"),
        a_desired("acme/d", platform_key="wxyz"),
        a_desired("acme/e", platform_key="qhyg"),
    ]
    moved = moves(declared, recorded)
    assert moved.later == {"acme/a": None, "acme/b": None}

    whole = describe(declared, recorded, moved)
    waiting = [each for each in declared if each.address in moved.later]
    first = describe(in_this_run(declared, moved), recorded, moved, waiting)

    assert whole["acme/e"] == SlotDescription(2, 0, named=(an_id(9),), ids=())
    assert whole["acme/a"] == SlotDescription(2, 1, named=(an_id(9),), ids=())
    assert whole["acme/b"] == SlotDescription(2, ids=())
    assert first == {address: whole[address] for address in ("acme/c", "acme/d", "acme/e")}


def test_what_stays_for_a_run_is_described_as_what_it_is() -> None:
    """Its address is declared otherwise, and waits."""
    recorded = [a_recorded(number, f"acme/{key}") for number, key in ((1, "a"), (2, "b"), (3, "c"))]
    declared = [
        a_desired("acme/b", connection_id=an_id(1)),
        a_desired("acme/c", connection_id=an_id(2)),
        a_desired("acme/d", connection_id=an_id(3)),
    ]
    moved = moves(declared, recorded)
    assert moved.later == {"acme/b": recorded[0], "acme/c": recorded[1]}
    waiting = [each for each in declared if each.address in moved.later]
    known = digest(prior.place for prior in recorded)
    assert describe(in_this_run(declared, moved), recorded, moved, waiting) == dict.fromkeys(
        ["acme/a", "acme/b", "acme/d"], SlotDescription(0, digest=known)
    )


# How it is written.

DESCRIPTIONS = st.builds(
    SlotDescription,
    st.integers(0, 9),
    st.none() | st.integers(0, 9),
    st.lists(st.uuids().map(str)).map(tuple),
    st.none() | st.lists(st.uuids().map(str)).map(tuple),
    st.lists(st.text()).map(tuple),
    st.text(),
)


@given(DESCRIPTIONS)
def test_what_is_written_is_read_again(description: SlotDescription) -> None:
    """Whatever it says, the first rank and no ids among it."""
    assert parse(description.to_json()) == description


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (SlotDescription(), {}),
        (SlotDescription(2, digest="f00"), {"comers": 2, "digest": "f00"}),
        (SlotDescription(1, 0, ids=()), {"comers": 1, "rank": 0, "ids": []}),
        (
            SlotDescription(1, 0, ("n",), ("i",), ("u",)),
            {"comers": 1, "rank": 0, "named": ["n"], "ids": ["i"], "unread": ["u"]},
        ),
    ],
)
def test_only_what_there_is_is_written(description: SlotDescription, expected: dict[str, Any]) -> None:
    """An address beside nothing costs two letters."""
    assert json.loads(description.to_json()) == expected
    assert INPUT == "beside"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"colour": 1}', '{"named": 7}', '{"ids": 1}', None, 7, {"a": 1}]
)
def test_what_somebody_else_wrote_is_an_error(text: Any) -> None:
    """With what to do, and no traceback."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value) == "beside: is written by codat-iac itself; leave it out"


def test_a_digest_stands_for_a_set() -> None:
    """Short, the same in each order, and another for each set."""
    assert digest(["b", "a"]) == digest(["a", "b"]) == "7e18f737311b2dc3"
    assert digest([]) == "e3b0c44298fc1c14"
    assert len({digest(each) for each in ([], ["a"], ["b"], ["a", "b"], ["ab"])}) == 5


@pytest.mark.parametrize(
    ("description", "read", "expected"),
    [
        (SlotDescription(ids=()), (), True),
        (SlotDescription(ids=("i",)), ("p",), True),
        (SlotDescription(ids=(), unread=("p", "q")), ("q", "p", "r"), True),
        (SlotDescription(ids=(), unread=("p", "q")), ("q",), False),
        (SlotDescription(digest=digest(["p", "q"])), ("q", "p"), True),
        (SlotDescription(digest=digest(["p", "q"])), ("p",), False),
        (SlotDescription(digest=digest(["p"])), ("p", "q"), False),
        (SlotDescription(digest=digest([])), (), True),
        (SlotDescription(), (), False),
    ],
)
def test_whether_all_ids_of_a_slot_are_known(
    description: SlotDescription, read: tuple[str, ...], expected: bool
) -> None:
    """The ids themselves, or all places that are read; without either nobody knows."""
    assert description.is_complete(read) is expected


# What comes of it.


def together(description: SlotDescription, address: str = "acme/a", **known: Any) -> SlotView:
    """What stands beside an address, of which nothing is known but *known*."""
    return slot_view(description, address, **{"ids": set(), "absent": (), "complete": True, **known})


def test_nothing_is_known() -> None:
    """Then it is the only one."""
    assert together(SlotDescription()) == SlotView(
        frozenset(), frozenset(), {}, 0, 1, complete=True, old_half=None
    )


def test_what_is_told_and_what_is_read_are_put_together() -> None:
    """Ids of both, what is named and claimed, and the rest as it is given."""
    found = together(
        SlotDescription(3, 2, ("n",), ("told",), ("u",)),
        ids={"read"},
        complete=False,
        claimed={"c": "acme/c"},
        old_half="h",
    )
    assert found == SlotView(
        {"told", "read"}, frozenset({"n"}), {"c": "acme/c"}, 2, 3, complete=False, old_half="h"
    )


@pytest.mark.parametrize(
    ("description", "address", "absent", "expected"),
    [
        (SlotDescription(2, 1, ids=()), "acme/n", ["acme/a", "acme/b"], (1, 4)),
        (SlotDescription(2), "acme/a", ["acme/b", "acme/a"], (2, 4)),
        (SlotDescription(2), "acme/b", ["acme/b", "acme/a"], (3, 4)),
        (SlotDescription(2), "acme/c", ["acme/b", "acme/a"], (2, 4)),
        (SlotDescription(), "acme/b", ["acme/b", "acme/a"], (1, 2)),
        (SlotDescription(1, 0, ids=()), "acme/n", [], (0, 1)),
    ],
)
def test_what_is_gone_gets_one_after_what_comes(
    description: SlotDescription, address: str, absent: list[str], expected: tuple[int, int]
) -> None:
    """In the order of their names, so that each free one has one taker."""
    found = together(description, address, absent=absent)
    assert (found.rank, found.comers) == expected


def test_what_a_whole_program_knows_is_added() -> None:
    """How many are recorded, whose connections stand twice, and what has to be left alone."""
    first, second = a_prior(1, a_desired("acme/a")), a_prior(1, a_desired("acme/b"))
    moved = Moves(staying=(second,), surplus=(first,))

    found = with_totals(
        {"acme/a": SlotDescription(rank=0), "acme/b": SlotDescription()}, [first, second], moved
    )

    assert found == {
        "acme/a": SlotDescription(rank=0, kept=(an_id(1),), counted=2),
        "acme/b": SlotDescription(stays=True, kept=(an_id(1),), counted=2),
    }
    assert {parse(each.to_json()) for each in found.values()} == set(found.values())
