"""Who continues which recorded connection, and what is refused: by example, and in random stacks.

The random stacks have two judges that share no code with what they judge: one knows what the user meant,
and follows the refusals' own advice until it is done; the other reads the rules again, slot by slot.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codat_iac.model.connection import (
    RESOURCE_TYPE,
    Address,
    DesiredConnection,
    OnRemoval,
    PriorConnection,
    Slot,
    Status,
)
from codat_iac.planning.moves import Moves, in_this_run, managed_already, moves, stays
from tests.support.builders import COMPANY, a_desired, a_prior, an_id

EXAMPLES = int(os.environ.get("MOVES_EXAMPLES", "300"))
"""How many random stacks each property is tried on."""

OTHER_COMPANY = "0b3d3c57-0d5c-4f5c-9a55-2b7d0a9f5c11"
CUSTOMER = "shop:index:Customer"
GROUP = "shop:index:Group"

NONE: tuple[PriorConnection, ...] = ()


def urn(address: str, *parents: str) -> str:
    """The URN of a connection under components of some types."""
    return f"urn:pulumi:dev::shop::{'$'.join([*parents, RESOURCE_TYPE])}::{address}"


def a_recorded(
    number: int, address: str, *parents: str, was: str | None = None, **desired: object
) -> PriorConnection:
    """A recorded connection; *was*: it was declared as that, and then renamed in the state."""
    return a_prior(number, a_desired(was or address, **desired), urn=urn(address, *parents))


def unread(prior: PriorConnection) -> PriorConnection:
    """The same as an older version recorded it, without its id."""
    return dataclasses.replace(prior, id="")


def pairs(moved: Moves) -> dict[str, str]:
    """The ids that addresses continue, where nothing waits or is refused."""
    assert (moved.later, moved.staying, moved.problems, moved.surplus) == ({}, (), {}, ())
    return {address: prior.id for address, prior in moved.origins.items()}


def refused(moved: Moves) -> dict[str, str]:
    """The refusals, where nothing else is told."""
    assert (moved.origins, moved.later, moved.staying, moved.surplus) == ({}, {}, (), ())
    return dict(moved.problems)


# The evidence.

GBOL = {"platform_key": "gbol"}
QHYG = {"platform_key": "qhyg"}
UNLINKED = {"status": Status.UNLINKED}

PAIRED = {
    "nothing is recorded": ([a_desired()], NONE, {}),
    "nothing is declared": ([], [a_recorded(1, "acme/a")], {}),
    "at its own URN": ([a_desired("acme/a")], [a_recorded(1, "acme/a")], {}),
    "at its own URN, and named": (
        [a_desired("acme/a", connection_id=an_id(1))],
        [a_recorded(1, "acme/a")],
        {},
    ),
    "at its own URN, and named, recorded without its id": (
        [a_desired("acme/a", connection_id=an_id(1))],
        [unread(a_recorded(1, "acme/a"))],
        {},
    ),
    "case 1: a company's key is renamed, of two in one slot, one of them to be unlinked": (
        [a_desired("acme-ltd/ledger"), a_desired("acme-ltd/old", **UNLINKED)],
        [a_recorded(1, "acme/old"), a_recorded(2, "acme/ledger")],
        {"acme-ltd/ledger": an_id(2), "acme-ltd/old": an_id(1)},
    ),
    "case 2: a company's key is renamed, of two in one slot": (
        [a_desired("acme-ltd/a"), a_desired("acme-ltd/b")],
        [a_recorded(2, "acme/a"), a_recorded(1, "acme/b")],
        {"acme-ltd/a": an_id(2), "acme-ltd/b": an_id(1)},
    ),
    "a company's key is renamed, and a sibling comes": (
        [a_desired("acme-ltd/a"), a_desired("acme-ltd/c")],
        [a_recorded(1, "acme/a")],
        {"acme-ltd/a": an_id(1)},
    ),
    "a company's key is renamed, and a sibling goes": (
        [a_desired("acme-ltd/a")],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")],
        {"acme-ltd/a": an_id(1)},
    ),
    "a company's key and one of two second halves are renamed": (
        [a_desired("acme-ltd/a"), a_desired("acme-ltd/c")],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")],
        {"acme-ltd/a": an_id(1), "acme-ltd/c": an_id(2)},
    ),
    "the same second half on two platforms, each its own": (
        [a_desired("new/a", **GBOL), a_desired("new/b", **QHYG)],
        [a_recorded(1, "acme/b", **GBOL), a_recorded(2, "acme/a", **QHYG)],
        {"new/a": an_id(1), "new/b": an_id(2)},
    ),
    "case 5: it goes under a component's name, or comes from one": (
        [a_desired("acme/ledger")],
        [a_recorded(1, "acme/ledger", CUSTOMER)],
        {"acme/ledger": an_id(1)},
    ),
    "case 6: from a program with components to the stock one, two in one slot": (
        [a_desired("acme/a"), a_desired("acme/b")],
        [a_recorded(2, "acme/a", CUSTOMER), a_recorded(1, "acme/b", GROUP, CUSTOMER)],
        {"acme/a": an_id(2), "acme/b": an_id(1)},
    ),
    "the same address goes before the same second half": (
        [a_desired("acme/a"), a_desired("beta/c")],
        [a_recorded(1, "acme/a", CUSTOMER), a_recorded(2, "beta/a")],
        {"acme/a": an_id(1), "beta/c": an_id(2)},
    ),
    "case 7: renamed in the state, and in the file": (
        [a_desired("acme/books")],
        [a_recorded(1, "acme/books", was="acme/ledger")],
        {},
    ),
    "case 7: renamed in the state, and not in the file, which has a new one besides": (
        [a_desired("acme/ledger"), a_desired("acme/new")],
        [a_recorded(1, "acme/books", was="acme/ledger")],
        {"acme/ledger": an_id(1)},
    ),
    "its URN's name goes before what it was declared as": (
        [a_desired("acme/a"), a_desired("acme/new")],
        [a_recorded(1, "acme/a", CUSTOMER, was="acme/b"), a_recorded(2, "acme/b", was="acme/a")],
        {"acme/a": an_id(1), "acme/new": an_id(2)},
    ),
    "what it was declared as goes before the second half": (
        [a_desired("acme/a"), a_desired("beta/c")],
        [a_recorded(1, "acme/s", was="acme/a"), a_recorded(2, "beta/a")],
        {"acme/a": an_id(1), "beta/c": an_id(2)},
    ),
    "the only one": ([a_desired("acme/z")], [a_recorded(1, "acme/a")], {"acme/z": an_id(1)}),
    "the only one, recorded without its id": (
        [a_desired("acme/z")],
        [unread(a_recorded(1, "acme/a"))],
        {"acme/z": ""},
    ),
    "the only one beside one that stays": (
        [a_desired("acme/b"), a_desired("acme/z")],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")],
        {"acme/z": an_id(1)},
    ),
    "the only one of each platform": (
        [a_desired("acme/y", **GBOL), a_desired("acme/z", **QHYG)],
        [a_recorded(2, "acme/a", **QHYG), a_recorded(1, "acme/b", **GBOL)],
        {"acme/y": an_id(1), "acme/z": an_id(2)},
    ),
    "not the only one of another platform": (
        [a_desired("acme/z", **QHYG)],
        [a_recorded(1, "acme/a", **GBOL)],
        {},
    ),
    "not the only one of another company": (
        [a_desired("acme/a-2", company_id=OTHER_COMPANY)],
        [a_recorded(1, "acme/a")],
        {},
    ),
    "another platform at its own URN: replaced in place": (
        [a_desired("acme/a", **QHYG)],
        [a_recorded(1, "acme/a", **GBOL)],
        {},
    ),
    "another company at its own URN: replaced in place": (
        [a_desired("acme/a", company_id=OTHER_COMPANY)],
        [a_recorded(1, "acme/a")],
        {},
    ),
    "another id at its own URN: replaced in place": (
        [a_desired("acme/a", connection_id=an_id(2))],
        [a_recorded(1, "acme/a")],
        {},
    ),
    "by its id, though a sibling comes": (
        [a_desired("acme/b"), a_desired("acme/z", connection_id=an_id(1))],
        [a_recorded(1, "acme/a")],
        {"acme/z": an_id(1)},
    ),
    "by its id, before the same address and the same second half": (
        [a_desired("acme/a", connection_id=an_id(2)), a_desired("acme/c")],
        [a_recorded(1, "acme/a", CUSTOMER), a_recorded(2, "acme/b")],
        {"acme/a": an_id(2), "acme/c": an_id(1)},
    ),
    "who names a new id doesn't continue what has its name": (
        [a_desired("acme-ltd/a", connection_id=an_id(9))],
        [a_recorded(1, "acme/a")],
        {},
    ),
    "who names a new id doesn't continue what has its address": (
        [a_desired("acme/a", connection_id=an_id(9))],
        [a_recorded(1, "acme/a", CUSTOMER, was="acme/b"), a_recorded(2, "acme/b", was="acme/a")],
        {},
    ),
    "who names a new id is none of the only ones": (
        [a_desired("acme/z", connection_id=an_id(9)), a_desired("acme/y")],
        [a_recorded(1, "acme/a")],
        {"acme/y": an_id(1)},
    ),
    "what an older version recorded elsewhere is no matter of who names an id": (
        [a_desired("acme/z", connection_id=an_id(9), **GBOL)],
        [unread(a_recorded(1, "acme/a", **QHYG))],
        {},
    ),
}


@pytest.mark.parametrize(("declared", "recorded", "expected"), PAIRED.values(), ids=PAIRED.keys())
def test_what_continues_what(
    declared: list[DesiredConnection], recorded: list[PriorConnection], expected: dict[str, str]
) -> None:
    """Each address continues what the evidence says, and there is nothing to wait for or to refuse."""
    assert pairs(moves(declared, recorded)) == expected
    assert in_this_run(declared, moves(declared, recorded)) == declared


@pytest.mark.parametrize(
    "statuses", [("Linked", "Unlinked"), ("Unlinked", "Linked"), ("PendingAuth", "Linked")]
)
def test_a_status_is_no_evidence(statuses: tuple[str, str]) -> None:
    """Which one to unlink, and which is recorded as unlinked, breaks no tie."""
    recorded = [
        a_prior(number, a_desired(address), status, urn=urn(address))
        for number, address, status in zip((1, 2), ("acme/a", "acme/b"), statuses, strict=True)
    ]
    declared = [a_desired("acme/y", status=Status.UNLINKED), a_desired("acme/z")]
    assert refused(moves(declared, recorded)).keys() == {"acme/y", "acme/z"}


# The refusals.


def which(new: str, old: str) -> str:
    """What is said where it isn't known which of some continue which."""
    return (
        f"which of the new {new} goes on with what is recorded as {old}, of the same company and platform,"
        " isn't known; give that one its `connectionId` (nothing is then called), or take out what is to go"
        " in a run of its own before you add what is new"
    )


def twice(number: int, *urns: str) -> str:
    """What is said of an id that the state holds more than once."""
    return (
        f"connection {an_id(number)} is recorded {len(urns)} times, as {' and '.join(urns)}; take the wrong"
        f" one out of the state, which calls nothing: pulumi state delete '{urns[-1]}' --yes"
    )


A, B, C = an_id(1), an_id(2), an_id(3)

REFUSED = {
    "case 4: of two new ones one may be the renamed one": (
        [a_desired("acme/b"), a_desired("acme/z")],
        [a_recorded(1, "acme/a")],
        dict.fromkeys(["acme/b", "acme/z"], which("acme/b, acme/z", f"acme/a ({A})")),
    ),
    "of two that leave one may be the renamed one": (
        [a_desired("acme/z")],
        [a_recorded(1, "acme/a"), unread(a_recorded(2, "acme/b"))],
        {"acme/z": which("acme/z", f"acme/a ({A}), acme/b")},
    ),
    "two of one address under two components": (
        [a_desired("acme/a")],
        [a_recorded(1, "acme/a", CUSTOMER), a_recorded(2, "acme/a", GROUP)],
        {"acme/a": which("acme/a", f"acme/a ({A}), acme/a ({B})")},
    ),
    "two of one second half": (
        [a_desired("new/a")],
        [a_recorded(1, "acme/a"), a_recorded(2, "beta/a")],
        {"new/a": which("new/a", f"acme/a ({A}), beta/a ({B})")},
    ),
    "one second half comes twice": (
        [a_desired("new/a"), a_desired("other/a")],
        [a_recorded(1, "acme/a")],
        dict.fromkeys(["new/a", "other/a"], which("new/a, other/a", f"acme/a ({A})")),
    ),
    "what was renamed in the state, and whose company's key is renamed": (
        [a_desired("new/a"), a_desired("new/c")],
        [a_recorded(1, "acme/s", was="acme/a"), a_recorded(2, "acme/b")],
        dict.fromkeys(["new/a", "new/c"], which("new/a, new/c", f"acme/b ({B}), acme/s ({A})")),
    ),
    "who would replace one of those in doubt is refused, too": (
        [a_desired("acme/a", **QHYG), a_desired("acme/y"), a_desired("acme/z")],
        [a_recorded(1, "acme/a")],
        dict.fromkeys(["acme/a", "acme/y", "acme/z"], which("acme/y, acme/z", f"acme/a ({A})")),
    ),
    "each slot by itself": (
        [a_desired(f"acme/{key}", **slot) for slot, keys in ((GBOL, "wx"), (QHYG, "yz")) for key in keys],
        [a_recorded(1, "acme/a", **GBOL), a_recorded(2, "acme/b", **QHYG)],
        {
            **dict.fromkeys(["acme/w", "acme/x"], which("acme/w, acme/x", f"acme/a ({A})")),
            **dict.fromkeys(["acme/y", "acme/z"], which("acme/y, acme/z", f"acme/b ({B})")),
        },
    ),
    "an id that another declared address has": (
        [a_desired("acme/a"), a_desired("acme/b", connection_id=A)],
        [a_recorded(1, "acme/a")],
        {"acme/b": f"connection {A} is managed as acme/a already; declare it once"},
    ),
    "an id that is declared twice": (
        [a_desired("acme/y", connection_id=A), a_desired("acme/z", connection_id=A)],
        NONE,
        dict.fromkeys(["acme/y", "acme/z"], f"{A} is declared twice; declare it once"),
    ),
    "an id that is recorded for another platform": (
        [a_desired("acme/z", connection_id=A, **QHYG)],
        [a_recorded(1, "acme/a", **GBOL)],
        {
            "acme/z": f"connection {A} is recorded as acme/a, for another company or platform; correct"
            " `connectionId`, the company or `platformKey`"
        },
    ),
    "an id that is recorded for another company, at the same URN": (
        [a_desired("acme/a", connection_id=A, company_id=OTHER_COMPANY)],
        [a_recorded(1, "acme/a")],
        {
            "acme/a": f"connection {A} is recorded as acme/a, for another company or platform; correct"
            " `connectionId`, the company or `platformKey`"
        },
    ),
    "an id, where an older version recorded none": (
        [a_desired("acme/y", connection_id=A), a_desired("acme/z", **QHYG)],
        [unread(a_recorded(1, "acme/a")), unread(a_recorded(2, "acme/b"))],
        {
            "acme/y": f"whether {A} is what is recorded as acme/a, acme/b isn't known, since an older version"
            " recorded that without its id; run `pulumi refresh`, which changes nothing in Codat, then this"
            " again"
        },
    ),
    "case 14: one id at two declared addresses": (
        [a_desired("acme/a"), a_desired("acme/b")],
        [a_recorded(1, "acme/b"), a_recorded(1, "acme/a")],
        dict.fromkeys(["acme/a", "acme/b"], twice(1, urn("acme/a"), urn("acme/b"))),
    ),
    "case 14: one id at two addresses that are both renamed": (
        [a_desired("new/a"), a_desired("new/b")],
        [a_recorded(1, "acme/b"), a_recorded(1, "acme/a")],
        dict.fromkeys(["new/a", "new/b"], twice(1, urn("acme/a"), urn("acme/b"))),
    ),
    "case 14: one id at two addresses, and its name is given": (
        [a_desired("acme/z", connection_id=A)],
        [a_recorded(1, "acme/b"), a_recorded(1, "acme/a")],
        {"acme/z": twice(1, urn("acme/a"), urn("acme/b"))},
    ),
    "case 14: one id at two addresses, and its name isn't given": (
        [a_desired("acme/z")],
        [a_recorded(1, "acme/b"), a_recorded(1, "acme/a")],
        {"acme/z": twice(1, urn("acme/a"), urn("acme/b"))},
    ),
    "case 14: one id three times, without URNs": (
        [a_desired("acme/z")],
        [a_prior(1, a_desired(f"acme/{key}")) for key in "abc"],
        {"acme/z": twice(1, *(a_desired(f"acme/{key}").place for key in "abc"))},
    ),
    "case 14: that goes before a name that still holds another": (
        [a_desired("new/a"), a_desired("new/b")],
        [a_recorded(1, "acme/a"), a_recorded(1, "acme/b"), a_recorded(2, "new/a", **QHYG)],
        dict.fromkeys(["new/a", "new/b"], twice(1, urn("acme/a"), urn("acme/b"))),
    ),
    "case 14: one of two of one id, by its second half": (
        [a_desired("new/a")],
        [a_recorded(1, "acme/a"), a_recorded(1, "acme/b")],
        {"new/a": twice(1, urn("acme/a"), urn("acme/b"))},
    ),
}


@pytest.mark.parametrize(("declared", "recorded", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(
    declared: list[DesiredConnection], recorded: list[PriorConnection], expected: dict[str, str]
) -> None:
    """Nothing is guessed: both sides are named, and the way out."""
    assert refused(moves(declared, recorded)) == expected


def test_what_is_refused_names_a_few() -> None:
    """Five names are enough."""
    declared = [a_desired(f"acme/n{number}") for number in range(7)]
    recorded = [a_recorded(number, f"acme/o{number}") for number in range(1, 8)]
    new = "acme/n0, acme/n1, acme/n2, acme/n3, acme/n4 and 2 more"
    old = ", ".join(f"acme/o{number} ({an_id(number)})" for number in range(1, 6)) + " and 2 more"
    assert refused(moves(declared, recorded)) == dict.fromkeys(
        (each.address for each in declared), which(new, old)
    )


def test_a_refusal_of_one_leaves_the_others_as_they_are() -> None:
    """What is certain is told besides."""
    declared = [a_desired("acme/y"), a_desired("acme/z"), a_desired("acme-ltd/q", **QHYG)]
    moved = moves(declared, [a_recorded(1, "acme/a"), a_recorded(2, "acme/q", **QHYG)])
    assert {address: prior.id for address, prior in moved.origins.items()} == {"acme-ltd/q": B}
    assert moved.problems.keys() == {"acme/y", "acme/z"}


def test_one_text_says_who_manages_it() -> None:
    """The hooks say it in the same words."""
    said = "connection X is managed as acme/a already; declare it once"
    assert managed_already("X", "acme/a") == said
    assert managed_already("X", a_desired("acme/a").place) == said


# What is recorded twice.


def test_a_second_entry_is_only_forgotten() -> None:
    """If one of the two is declared, the other one is continued by nobody, whatever comes."""
    kept, second = a_recorded(1, "acme/a"), a_recorded(1, "acme/b")
    for declared in ([a_desired("acme/a")], [a_desired("acme/a"), a_desired("acme/z")]):
        assert moves(declared, [second, kept]) == Moves(surplus=(second,))


def test_second_entries_of_several_ids() -> None:
    """Each id by itself, and one that is recorded once is none."""
    recorded = [a_recorded(number, f"acme/{key}{number}") for number in (1, 2, 3) for key in "ab"]
    del recorded[-1]
    moved = moves([a_desired(f"acme/a{number}") for number in (1, 2, 3)], recorded)
    assert moved == Moves(surplus=(a_recorded(1, "acme/b1"), a_recorded(2, "acme/b2")))


def test_each_of_several_that_are_recorded_twice_is_refused() -> None:
    """Both entries of each id are declared."""
    addresses = [f"acme/{key}{number}" for number in (1, 2) for key in "ab"]
    recorded = [a_recorded(int(address[-1]), address) for address in addresses]
    moved = moves([a_desired(address) for address in addresses], recorded)
    assert [*moved.problems] == addresses
    assert [said.split(";")[0].split(",")[0] for said in moved.problems.values()] == [
        f"connection {connection_id} is recorded 2 times" for connection_id in (A, A, B, B)
    ]


def test_what_has_no_id_is_never_recorded_twice() -> None:
    """An older version recorded no ids: that isn't one id."""
    recorded = [unread(a_recorded(1, "acme/a")), unread(a_recorded(2, "acme/b"))]
    assert moves([a_desired("acme/a")], recorded) == Moves()
    moved = moves([a_desired("new/a"), a_desired("new/b")], recorded)
    assert pairs(moved) == {"new/a": "", "new/b": ""}
    assert [moved.origins[address].address for address in ("new/a", "new/b")] == ["acme/a", "acme/b"]


# What has to wait.


def test_case_16_a_shift_by_ids() -> None:
    """The first moves, what it held stays for a run as it is, and the second follows."""
    recorded = [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")]
    declared = [a_desired("acme/b", connection_id=A), a_desired("acme/c", connection_id=B, **UNLINKED)]
    moved = moves(declared, recorded)
    assert moved == Moves(
        origins={"acme/c": recorded[1]}, later={"acme/b": recorded[0]}, staying=(recorded[0],)
    )
    assert in_this_run(declared, moved) == [a_desired("acme/a"), declared[1]]

    moved = moves(declared, [recorded[0], a_recorded(2, "acme/c")])
    assert moved == Moves(origins={"acme/b": recorded[0]})
    assert in_this_run(declared, moved) == declared


def test_a_name_that_is_taken_over_is_made_in_the_next_run() -> None:
    """A new one gets the name, on another platform, and a new name gets what was there."""
    recorded = [a_recorded(1, "acme/a")]
    declared = [a_desired("acme/a", **QHYG), a_desired("acme/b")]
    moved = moves(declared, recorded)
    assert moved == Moves(origins={"acme/b": recorded[0]}, later={"acme/a": None})
    assert in_this_run(declared, moved) == [declared[1]]


def test_what_is_replaced_in_place_hinders_no_other_from_waiting() -> None:
    """Each name that is taken is looked at, whatever becomes of those before it."""
    recorded = [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")]
    declared = [
        a_desired("acme/a", **QHYG),
        a_desired("acme/b", **QHYG),
        a_desired("acme/c", connection_id=B),
    ]
    moved = moves(declared, recorded)
    assert moved == Moves(origins={"acme/c": recorded[1]}, later={"acme/b": None})


def test_what_stays_is_declared_as_it_was_recorded() -> None:
    """Not as the file says now: that is the next run's."""
    was = a_desired("acme/a", on_removal=OnRemoval.RETAIN, **UNLINKED)
    recorded = [a_prior(1, was), a_recorded(2, "acme/b", **QHYG)]
    declared = [a_desired("acme/b"), a_desired("acme/c", **QHYG)]
    moved = moves(declared, recorded)
    assert (moved.staying, moved.later) == ((recorded[0],), {"acme/b": recorded[0]})
    assert in_this_run(declared, moved) == [was, declared[1]]


def swap(one: str, other: str) -> str:
    """What is said of the first of two that would swap names, up to the way out."""
    return (
        f"it and {other} would swap what is recorded for them, which Pulumi can't do in one step; name it"
        f" {one}-2 with `connectionId: {{}}`, apply until nothing is left, then name it {one} again"
    )


CIRCLES = {
    "case 17: two names swap platforms": (
        [a_desired("acme/a", **QHYG), a_desired("acme/b", **GBOL)],
        [a_recorded(1, "acme/a", **GBOL), a_recorded(2, "acme/b", **QHYG)],
        {"acme/a": swap("acme/a", "acme/b").format(B), "acme/b": swap("acme/b", "acme/a").format(A)},
    ),
    "two names swap ids": (
        [a_desired("acme/a", connection_id=B), a_desired("acme/b", connection_id=A)],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")],
        {"acme/a": swap("acme/a", "acme/b").format(B), "acme/b": swap("acme/b", "acme/a").format(A)},
    ),
    "three names go round": (
        [
            a_desired(f"acme/{key}", connection_id=an_id(number))
            for key, number in (("a", 3), ("b", 1), ("c", 2))
        ],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/b"), a_recorded(3, "acme/c")],
        {
            "acme/a": swap("acme/a", "acme/b").format(C),
            "acme/b": swap("acme/b", "acme/c").format(A),
            "acme/c": swap("acme/c", "acme/a").format(B),
        },
    ),
}


@pytest.mark.parametrize(("declared", "recorded", "expected"), CIRCLES.values(), ids=CIRCLES.keys())
def test_a_circle_is_refused(
    declared: list[DesiredConnection], recorded: list[PriorConnection], expected: dict[str, str]
) -> None:
    """Each URN is recorded itself, and would win over an alias."""
    assert refused(moves(declared, recorded)) == expected


def test_a_circle_of_what_has_no_ids() -> None:
    """No id is named that nobody knows."""
    recorded = [unread(a_recorded(1, "acme/a", **GBOL)), unread(a_recorded(2, "acme/b", **QHYG))]
    moved = moves([a_desired("acme/a", **QHYG), a_desired("acme/b", **GBOL)], recorded)
    assert refused(moved)["acme/a"] == (
        "it and acme/b would swap what is recorded for them, which Pulumi can't do in one step; name it"
        " acme/a-2, apply until nothing is left, then name it acme/a again"
    )


def occupied(name: str, origin: str, platform_key: str, number: int) -> str:
    """What is said of one whose name holds what nobody continues, or whose own can't stay for a run."""
    return (
        f"it would go on with what is recorded as {origin}, while its own name still holds another connection"
        f" ({platform_key}), which Pulumi can't do in one step; name it {name}-2 with `connectionId:"
        f" {an_id(number)}`, apply until nothing is left, then name it {name} again"
    )


OCCUPIED = {
    "what its name holds is to go": (
        [a_desired("acme/a", connection_id=B)],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/b")],
        {"acme/a": occupied("acme/a", "acme/b", "gbol", 2)},
    ),
    "what its name holds is to go, of another platform": (
        [a_desired("acme/a", **QHYG)],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/b", **QHYG)],
        {"acme/a": occupied("acme/a", "acme/b", "gbol", 2)},
    ),
    "two of one name, one of them under a component": (
        [a_desired("acme/a", **QHYG)],
        [a_recorded(1, "acme/a"), a_recorded(2, "acme/a", CUSTOMER, **QHYG)],
        {"acme/a": occupied("acme/a", "acme/a", "gbol", 2)},
    ),
}


@pytest.mark.parametrize(("declared", "recorded", "expected"), OCCUPIED.values(), ids=OCCUPIED.keys())
def test_a_name_that_holds_another_is_refused(
    declared: list[DesiredConnection], recorded: list[PriorConnection], expected: dict[str, str]
) -> None:
    """An alias is nothing where the URN itself is recorded, and the old one would be replaced."""
    assert refused(moves(declared, recorded)) == expected


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param(a_recorded(2, "acme/b", CUSTOMER, **QHYG), id="under a component"),
        pytest.param(a_recorded(2, "acme/s", was="acme/b", **QHYG), id="renamed in the state"),
    ],
)
def test_what_cannot_stay_for_a_run_does_not_wait(origin: PriorConnection) -> None:
    """Declared at the top, or under its new name, it would lose the evidence of whose it is."""
    declared = [a_desired("acme/a", **QHYG), a_desired("acme/z", **GBOL)]
    recorded = [a_recorded(1, "acme/a", **GBOL), origin]
    moved = moves(declared, recorded)
    assert moved.problems == {"acme/a": occupied("acme/a", origin.address, "gbol", 2)}
    assert moved.origins == {"acme/z": recorded[0]}
    assert (moved.later, moved.staying) == ({}, ())


def test_a_second_entry_in_the_way_of_a_move() -> None:
    """It is nobody's to continue, and holds the name all the same."""
    recorded = [a_recorded(1, "acme/a"), a_recorded(1, "acme/b"), a_recorded(2, "acme/c")]
    moved = moves([a_desired("acme/a"), a_desired("acme/b", connection_id=B)], recorded)
    assert moved == Moves(
        problems={"acme/b": occupied("acme/b", "acme/c", "gbol", 2)}, surplus=(recorded[1],)
    )


def test_a_chain_moves_one_by_one() -> None:
    """Of four names that shift by one, one moves in each run, and none loses what it has."""
    declared = [a_desired(f"acme/n{n + 1}", connection_id=an_id(n)) for n in (1, 2, 3)]
    engine = Engine([a_recorded(n, f"acme/n{n}") for n in (1, 2, 3)])
    assert engine.settle(declared) == 3
    assert engine.ids() == {f"acme/n{n + 1}": an_id(n) for n in (1, 2, 3)}
    assert engine.ended == set()


@pytest.mark.parametrize(
    ("desired", "prior", "expected"),
    [
        (a_desired(), a_prior(1), True),
        (a_desired(connection_id=A), a_prior(1), True),
        (a_desired(connection_id=A), a_prior(""), True),
        (a_desired(connection_id=B), a_prior(1), False),
        (a_desired(**QHYG), a_prior(1), False),
        (a_desired(company_id=OTHER_COMPANY), a_prior(1), False),
        (a_desired(connection_id=A, **QHYG), a_prior(1), False),
    ],
)
def test_what_stays_at_its_urn(desired: DesiredConnection, prior: PriorConnection, expected: bool) -> None:
    """The same slot, and no other id."""
    assert stays(desired, prior) is expected


# An engine in a few lines: what Pulumi does with what `moves` says.


class RefusedByCreate(Exception):
    """The hook of a new one sees that the state has the id that the file names."""


@dataclass
class Engine:
    """A state. `hidden` are the ids, by place, that an older version didn't record; `ended` are removed."""

    recorded: list[PriorConnection]
    hidden: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    made: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def ids(self) -> dict[str, str]:
        """The ids by address."""
        return {prior.address: self.id_of(prior) for prior in self.recorded}

    def id_of(self, prior: PriorConnection) -> str:
        """The id of a recorded connection, known to the program or not."""
        return prior.id or self.hidden[prior.place]

    def settle(self, declared: Sequence[DesiredConnection]) -> int:
        """Apply until nothing is left; gives the number of runs. A refusal is an error here."""
        most = max(1, len(declared))
        for run in range(most + 1):
            moved = moves(declared, self.recorded)
            assert moved.problems == {}
            if self._is_settled(declared, moved):
                return run
            self.apply(declared, moved)
        raise AssertionError(f"not settled after {most} runs")

    def _is_settled(self, declared: Sequence[DesiredConnection], moved: Moves) -> bool:
        """Say whether each declared one is recorded as it is declared, and nothing else is."""
        at = {prior.place: prior for prior in self.recorded}
        return (
            moved == Moves()
            and at.keys() == {each.place for each in declared}
            and all(stays(each, at[each.place]) for each in declared)
        )

    def apply(self, declared: Sequence[DesiredConnection], moved: Moves) -> None:
        """Do one run: what is recorded at a URN wins over an alias, and what isn't declared goes."""
        at = {prior.place: prior for prior in self.recorded}
        after: list[PriorConnection] = []
        goes_on: set[str] = set()
        now = in_this_run(declared, moved)
        assert len({each.place for each in now}) == len(now), "a URN is declared twice"
        for each in now:
            origin = moved.origins.get(each.address)
            assert origin is None or each.place not in at, f"{each.address}: the alias does nothing"
            prior = origin or at.get(each.place)
            connection_id = self._continued(each, prior)
            if prior and connection_id:
                assert prior.place not in goes_on, f"{prior.place} is continued twice"
                goes_on.add(prior.place)
            connection_id = connection_id or self._made(each)
            as_recorded = dataclasses.replace(each, connection_id=None)
            after.append(PriorConnection(connection_id, as_recorded, "Linked", urn=urn(each.address)))
        self.ended |= {self.id_of(prior) for prior in self.recorded if prior.place not in goes_on}
        held = Counter(prior.id for prior in after)
        assert max(held.values(), default=1) == 1, "one id at two URNs"
        self.ended -= held.keys()  # a delete of what a declared address has only forgets
        self.recorded, self.hidden = after, {}

    def _continued(self, desired: DesiredConnection, prior: PriorConnection | None) -> str | None:
        """The id that is gone on with; another slot or another id is a replacement."""
        if prior is None or desired.slot != prior.slot:
            return None
        connection_id = self.id_of(prior)
        return connection_id if desired.connection_id in {None, connection_id} else None

    def _made(self, desired: DesiredConnection) -> str:
        """The id of a new one: the one that is named, which `create` takes unless it is recorded."""
        if desired.connection_id is None:
            return an_id(next(self.made))
        if desired.connection_id in {self.id_of(prior) for prior in self.recorded}:
            raise RefusedByCreate(desired.address)
        return desired.connection_id

    def refresh(self) -> None:
        """Record the ids: `pulumi refresh` does, and each `pulumi up` with a refresh, even one that fails."""
        self.recorded = [dataclasses.replace(prior, id=self.id_of(prior)) for prior in self.recorded]
        self.hidden = {}


# Random stacks, and a user who knows what they mean.


@dataclass
class Intent:
    """One connection that the user has in mind: `id` is its own, None for one that is to be made."""

    name: str
    slot: Slot
    id: str | None
    says: bool = False
    """The file gives the `connectionId`."""


@dataclass
class Story:
    """A recorded stack, and what a user then means by the file. `keys` are the companies' keys in it."""

    engine: Engine
    keys: dict[str, str]
    intents: list[Intent]

    def declared(self) -> list[DesiredConnection]:
        """What the file says."""
        return [
            DesiredConnection(
                Address(f"{self.keys[each.slot.company_id]}/{each.name}"),
                *each.slot,
                connection_id=each.id if each.says else None,
            )
            for each in self.intents
        ]

    def meant(self) -> dict[str, str]:
        """The ids that the user means to keep, by address."""
        return {
            declared.address: each.id
            for declared, each in zip(self.declared(), self.intents, strict=True)
            if each.id is not None
        }


COMPANIES = {COMPANY: "acme", OTHER_COMPANY: "beta"}
PLATFORMS = ("gbol", "qhyg")
STATUSES = ("Linked", "PendingAuth", "Unlinked", "Deauthorized")


@dataclass
class Telling:
    """Makes up a story: what is recorded, and what the user has in mind."""

    draw: st.DrawFn
    recorded: list[PriorConnection] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    names: Iterator[str] = field(default_factory=lambda: (f"n{number}" for number in itertools.count()))

    def one(self, number: int) -> None:
        """Record one connection, and say what the user wants of it."""
        company_id, platform_key = self.slot()
        key, name, there = COMPANIES[company_id], next(self.names), next(self.names)
        in_state = there if self.rarely(5) else name
        parents = self.draw(st.sampled_from([(), (), (), (), (CUSTOMER,), (GROUP, CUSTOMER)]))
        desired = DesiredConnection(Address(f"{key}/{name}"), company_id, platform_key)
        status = self.draw(st.sampled_from(STATUSES))
        prior = PriorConnection(an_id(number), desired, status, urn=urn(f"{key}/{in_state}", *parents))
        self.recorded.append(prior)
        if self.rarely(8):
            again = in_state if parents and self.rarely(2) else next(self.names)
            self.recorded.append(dataclasses.replace(prior, urn=urn(f"{key}/{again}")))
        other = PLATFORMS[platform_key == PLATFORMS[0]]
        mind = {
            "keep": Intent(name, prior.slot, prior.id),
            "follow the state": Intent(in_state, prior.slot, prior.id),
            "rename": Intent(next(self.names), prior.slot, prior.id),
            "rename and say": Intent(next(self.names), prior.slot, prior.id, says=True),
            "say": Intent(name, prior.slot, prior.id, says=True),
            "another platform": Intent(name, Slot(company_id, other), None),
            "remove": None,
        }
        intent = mind[self.draw(st.sampled_from(list(mind)))]
        self.intents += [intent] if intent else []
        self.freed += [] if intent else [name]

    def new(self, number: int) -> None:
        """Have one made in mind, or adopted."""
        adopts = self.rarely(4)
        connection_id = an_id(number) if adopts else None
        self.intents.append(Intent(next(self.names), self.slot(), connection_id, says=adopts))

    def pass_names_around(self) -> None:
        """Give names to others; who gets one that stands for another connection of its slot says its id."""
        had: dict[tuple[Slot, str], set[str]] = {}
        for prior in self.recorded:
            for address in (prior.address, prior.desired.address):
                had.setdefault((prior.slot, address.partition("/")[2]), set()).add(prior.id)
        shuffled = self.draw(st.permutations([*(each.name for each in self.intents), *self.freed]))
        given_out = list(zip(self.intents, shuffled, strict=False))
        doubtful = [each for each, name in given_out if had.get((each.slot, name), set()) - {each.id}]
        if any(each.id is None for each in doubtful):
            return  # a new one under the name of another can't be told from that, so nobody means it
        for each in doubtful:
            each.says = True
        for each, name in given_out:
            each.name = name

    def slot(self) -> Slot:
        """Choose a company and a platform."""
        return Slot(self.draw(st.sampled_from(list(COMPANIES))), self.draw(st.sampled_from(PLATFORMS)))

    def rarely(self, one_in: int) -> bool:
        """Say yes once in so many times."""
        return self.draw(st.integers(1, one_in)) == one_in


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Make up a stack, and edits of its file that leave no doubt to the user, who reuses a name with an id.

    Connections are renamed, removed, given another platform, named by id, made; companies' keys are renamed;
    names are passed around; in the state some stand under components, are renamed, or stand twice.
    """
    telling = Telling(draw)
    for number in range(1, draw(st.integers(1, 6)) + 1):
        telling.one(number)
    for number in range(draw(st.integers(0, 3))):
        telling.new(500 + number)
    if draw(st.booleans()):
        telling.pass_names_around()
    recorded = telling.recorded
    hidden: dict[str, str] = {}
    if telling.rarely(8) and len({prior.id for prior in recorded}) == len(recorded):
        hidden = {prior.place: prior.id for prior in recorded}
        recorded = [unread(prior) for prior in recorded]
    keys = {i: f"{key}-ltd" if telling.rarely(3) else key for i, key in COMPANIES.items()}
    return Story(Engine(recorded, hidden), keys, telling.intents)


class Follower:
    """A user who does what each refusal says, and nothing else, until nothing is refused."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.engine = story.engine

    def settle(self) -> None:
        """Apply until nothing is left, following the advice."""
        for _ in range(40):
            declared = self.story.declared()
            problems = moves(declared, self.engine.recorded).problems
            if problems:
                self.follow(problems)
                continue
            try:
                self.engine.settle(declared)
            except RefusedByCreate:
                assert self.engine.hidden, "the record has all ids, and they weren't looked at"
                self.engine.refresh()
            else:
                return
        raise AssertionError(f"the advice leads nowhere: {problems}")

    def follow(self, problems: Mapping[str, str]) -> None:
        """Do what the first of the refusals says."""
        address, said = min(problems.items())
        pairs = zip(self.story.declared(), self.story.intents, strict=True)
        by_address: dict[str, Intent] = {desired.address: intent for desired, intent in pairs}
        if match := re.search(r"pulumi state delete '(\S+)' --yes", said):
            (wrong,) = (prior for prior in self.engine.recorded if prior.urn == match[1])
            self.engine.recorded.remove(wrong)
        elif "run `pulumi refresh`" in said:
            assert self.engine.hidden
            self.engine.refresh()
        elif match := re.search(r"name it (\S+)-2( with `connectionId: (\S+)`)?, apply until", said):
            assert match[1] == address
            intent = by_address[address]
            if intent.id is None and match[3] not in self.story.meant().values():
                intent.id = match[3]  # a new one may as well go on with what would only go
            assert match[3] in {None, intent.id}, "the message names another connection than is meant"
            was, intent.name = intent.name, f"{intent.name}-2"
            intent.says = intent.says or match[3] is not None
            self.settle()
            intent.name = was
        else:
            assert "give that one its `connectionId`" in said, said
            self.say_which([by_address[each] for each, text in problems.items() if text == said], said)

    def say_which(self, doubted: Sequence[Intent], said: str) -> None:
        """Give the ids of those that go on; if none does, take out what is to go in a run of its own."""
        recorded = set(self.engine.ids().values())
        going_on = [each for each in doubted if each.id in recorded and not each.says]
        for each in going_on:
            assert self.engine.hidden or str(each.id) in said, "the message doesn't name what is meant"
            each.says = True
        if not going_on:
            whole = self.story.intents
            self.story.intents = [each for each in whole if each not in doubted]
            self.settle()
            self.story.intents = whole


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_each_id_ends_where_the_user_means_it(story: Story) -> None:
    """At once, or by the refusals' advice: no id that is meant to stay ends, or goes elsewhere."""
    meant = set(story.meant().values())
    Follower(story).settle()
    ids = story.engine.ids()
    assert {address: ids[address] for address in story.meant()} == story.meant()
    assert story.engine.ended & meant == set()
    assert len(set(ids.values())) == len(ids)


# Any stack at all, and the rules read once more.

ADDRESSES = [Address(f"{key}/{name}") for key in ("acme", "beta") for name in "abc"]

wild_desired = st.builds(
    DesiredConnection,
    st.sampled_from(ADDRESSES),
    st.sampled_from([COMPANY, COMPANY, OTHER_COMPANY]),
    st.sampled_from(["gbol", "gbol", "qhyg"]),
    status=st.sampled_from([Status.LINKED, Status.UNLINKED]),
    connection_id=st.sampled_from([None, None, None, *(an_id(number) for number in range(1, 8))]),
)
wild_prior = st.builds(
    lambda number, desired, in_state, parents: PriorConnection(
        an_id(number) if number else "",
        dataclasses.replace(desired, connection_id=None),
        "Linked",
        urn=urn(in_state or desired.address, *parents),
    ),
    st.integers(0, 6),
    wild_desired,
    st.sampled_from([None, None, None, None, *ADDRESSES]),
    st.sampled_from([(), (), (), (CUSTOMER,), (GROUP,)]),
)
wild_declared = st.lists(wild_desired, max_size=6, unique_by=lambda each: each.address)
wild_recorded = st.lists(wild_prior, max_size=6, unique_by=lambda each: each.place)

Verdict = tuple[str, str | None]
"""`stays`, `goes on`, `waits`, `new` or `refused`, and the place of what it continues."""


class Judge:
    """The rules once more, in other words: what stands in each slot, key by key."""

    def __init__(self, declared: Sequence[DesiredConnection], recorded: Sequence[PriorConnection]) -> None:
        self.declared = {each.address: each for each in declared}
        self.at = {prior.place: prior for prior in recorded}
        self.verdicts: dict[str, Verdict] = {}
        self.pairs: dict[str, str] = {}
        self.bad: set[str] = set()
        self.said: dict[str, str] = {}
        self.only: set[str] = set()
        for each in declared:
            prior = self.at.get(each.place)
            if (
                prior
                and prior.slot == each.slot
                and {each.connection_id, prior.id} - {None, ""}
                in (
                    set(),
                    {prior.id},
                    {each.connection_id},
                )
            ):
                self.verdicts[each.address] = ("stays", prior.place)
        held = Counter(self.at[place].id for _, place in self.verdicts.values() if place)
        self.held = {i for i in held if i}
        self.bad |= {
            a
            for a, (_, place) in self.verdicts.items()
            if place and held[self.at[place].id] > 1 and self.at[place].id
        }
        own = {place for _, place in self.verdicts.values()}
        self.surplus = {
            p.place for p in recorded if p.place not in own and p.id in self.held and held[p.id] == 1
        }
        self.free = {p.place: p for p in recorded if p.place not in own | self.surplus}
        self.times = Counter(p.id for p in self.free.values() if p.id)

    def judge(self) -> dict[str, Verdict]:
        """Give each declared address its verdict."""
        coming = [each for each in self.declared.values() if each.address not in self.verdicts]
        self._ids([each for each in coming if each.connection_id])
        for slot in {each.slot for each in coming}:
            self._slot(
                [each for each in coming if each.slot == slot],
                [prior for prior in self.free.values() if prior.slot == slot],
            )
        for address, place in self.pairs.items():
            if self.times[self.at[place].id] > 1:
                self.bad.add(address)
        self.said = {address: text for address, text in self.said.items() if address not in self.pairs}
        taken = {place: address for address, place in self.pairs.items()}
        for each in coming:
            self.verdicts[each.address] = self._when(each, taken)
        self.verdicts |= dict.fromkeys(self.bad, ("refused", None))
        return self.verdicts

    def _ids(self, named: Sequence[DesiredConnection]) -> None:
        for each in named:
            entries = [prior for prior in self.free.values() if prior.id == each.connection_id]
            rivals = sum(other.connection_id == each.connection_id for other in named)
            unknown = any(prior.slot == each.slot and not prior.id for prior in self.free.values())
            match [prior.slot == each.slot for prior in entries]:
                case [True]:
                    wrong = rivals > 1
                case []:
                    wrong = rivals > 1 or unknown
                case _:
                    wrong = True
            if wrong or each.connection_id in self.held:
                self.bad.add(each.address)
            elif entries:
                self.pairs[each.address] = entries[0].place

    def _slot(self, comers: Sequence[DesiredConnection], leavers: Sequence[PriorConnection]) -> None:
        new = {each.address: each for each in comers if not each.connection_id}
        old = {prior.place: prior for prior in leavers if prior.place not in self.pairs.values()}
        for mine, theirs in (
            (lambda address: address, lambda prior: prior.address),
            (lambda address: address, lambda prior: prior.desired.address),
            (lambda address: address.split("/")[1], lambda prior: prior.address.split("/")[1]),
            (lambda _: "", lambda _: ""),
        ):
            ours = Counter(mine(address) for address in new)
            others = Counter(theirs(prior) for prior in old.values())
            sure = {key for key in ours if ours[key] == others[key] == 1}
            self.only = self.only | set(new) if sure == {""} else self.only
            found = {theirs(p): place for place, p in old.items() if theirs(p) in sure}
            self.pairs |= {address: found[mine(address)] for address in new if mine(address) in sure}
            new = {address: each for address, each in new.items() if mine(address) not in sure}
            old = {place: prior for place, prior in old.items() if place not in found.values()}
        if new and old:
            self._doubt(sorted(new), [old[place] for place in sorted(old)])

    def _doubt(self, new: Sequence[str], old: Sequence[PriorConnection]) -> None:
        """Refuse those that come, and who would replace one of those that leave; with both sides named."""
        text = which(_few(new), _few([f"{p.address} ({p.id})" if p.id else p.address for p in old]))
        for prior in reversed(old):
            if self.times[prior.id] > 1:
                urns = sorted((p.place, p.urn) for p in self.free.values() if p.id == prior.id)
                text = twice(int(prior.id[-1]), *(urn for _, urn in urns))
        places = {prior.place for prior in old}
        replacing = [each.address for each in self.declared.values() if each.place in places]
        self.said = dict.fromkeys([a for a in replacing if a not in self.bad], text) | self.said
        self.said |= dict.fromkeys(new, text)
        self.bad |= {*new, *replacing}

    def _when(self, each: DesiredConnection, taken: Mapping[str, str]) -> Verdict:
        """Say when it gets what it continues: what stands at its URN has to leave first."""
        origin = self.pairs.get(each.address)
        if each.place not in self.at:
            return ("goes on", origin) if origin else ("new", None)
        if not origin:
            return ("waits" if each.place in taken else "new", None)
        stands_as_declared = origin.endswith(f"::{self.at[origin].desired.address}") and "$" not in origin
        round_trip: str = each.address
        for _ in self.declared:
            round_trip = taken.get(self.declared[Address(round_trip)].place, "")
            if round_trip in {"", each.address}:
                break
        if each.place not in taken or not stands_as_declared or round_trip:
            return ("refused", None)
        return ("waits", origin)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and 1 more" if len(names) == 6 else "")


def told(
    declared: Iterable[DesiredConnection], recorded: Sequence[PriorConnection], moved: Moves
) -> dict[str, Verdict]:
    """What `moves` says of each declared address, as a verdict."""
    at = {prior.place: prior for prior in recorded}
    found: dict[str, Verdict] = {}
    for each in declared:
        prior = at.get(each.place)
        if each.address in moved.problems:
            found[each.address] = ("refused", None)
        elif each.address in moved.later:
            origin = moved.later[each.address]
            found[each.address] = ("waits", origin.place if origin else None)
        elif each.address in moved.origins:
            found[each.address] = ("goes on", moved.origins[each.address].place)
        else:
            kept = prior is not None and stays(each, prior)
            found[each.address] = ("stays", each.place) if kept else ("new", None)
    return found


@settings(max_examples=EXAMPLES, deadline=None)
@given(wild_declared, wild_recorded, st.randoms(use_true_random=False))
def test_any_stack_is_judged_by_the_rules(
    declared: list[DesiredConnection], recorded: list[PriorConnection], dice: Random
) -> None:
    """Each address has one verdict, the one of the rules, whatever the order of what is given."""
    moved = moves(declared, recorded)
    judge = Judge(declared, recorded)

    assert told(declared, recorded, moved) == judge.judge()
    assert {address: moved.problems[address] for address in judge.said} == judge.said
    assert {prior.place for prior in moved.surplus} == judge.surplus
    assert {prior.place for prior in moved.staying} == {p.place for p in moved.later.values() if p}
    assert moved.problems.keys().isdisjoint(moved.origins.keys() | moved.later.keys())
    assert moved.origins.keys().isdisjoint(moved.later)

    dice.shuffle(declared)
    dice.shuffle(recorded)
    assert moves(declared, recorded) == moved


@settings(max_examples=EXAMPLES, deadline=None)
@given(wild_declared, wild_recorded)
def test_any_stack_settles_or_is_refused(
    declared: list[DesiredConnection], recorded: list[PriorConnection]
) -> None:
    """Applied again and again it comes to rest, and what is named, or kept at its URN, never ends."""
    moved = moves(declared, recorded)
    if moved.problems:
        return
    hidden = {p.place: an_id(100 + n) for n, p in enumerate(recorded) if not p.id}
    engine = Engine(recorded, hidden)
    before = [(prior, engine.id_of(prior)) for prior in recorded]
    going_on = {engine.id_of(prior) for prior in (*moved.origins.values(), *moved.staying)}
    if any(hidden.get(each.place) and each.connection_id for each in declared):
        return  # whether that is the id isn't known before it is read
    engine.settle(declared)
    ids = engine.ids()
    assert engine.ended & going_on == set()
    judge = Judge(declared, recorded)
    judge.judge()
    for each in declared:
        assert each.connection_id in {None, ids[each.address]}
        had = {
            half
            for prior, i in before
            if i == ids[each.address]
            for half in (_half(prior.address), _half(prior.desired.address))
        }
        assert each.connection_id or not had or _half(each.address) in had or each.address in judge.only


def _half(address: str) -> str:
    return address.partition("/")[2]
