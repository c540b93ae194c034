"""What belongs together: declared and live connections without a state, a company and its names."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from codat_iac.model.connection import DesiredConnection, LiveConnection, PriorConnection
from codat_iac.model.shard import Shard
from codat_iac.planning.matching import Matching, belongs, match, of_shard, scope
from tests.support.builders import COMPANY, a_desired, a_live, a_prior, an_id, siblings

OTHER = an_id(99)


def matched(declared: tuple[DesiredConnection, ...], *live: LiveConnection) -> Matching:
    """Match what is declared with what lives in one company."""
    return match(declared, {COMPANY: live, OTHER: ()}.__getitem__)


def ids(matching: Matching) -> dict[str, str]:
    """The ids that were matched, by address."""
    return {address: prior.id for address, prior in matching.recorded.items()}


# Without a state.


def test_one_of_a_kind_is_matched() -> None:
    """As if it were recorded, with the live status and the desired of now: nothing has changed."""
    desired = a_desired()

    matching = matched((desired,), a_live(1, "Deauthorized"), a_live(2, platform_key="suuo"))

    assert matching == Matching(
        {"acme/ledger": PriorConnection(an_id(1), desired, "Deauthorized")}, (desired,), (), frozenset()
    )


def test_where_nothing_lives_all_are_surely_new() -> None:
    """However many are declared."""
    declared = siblings("acme/a", "acme/b")

    assert matched(declared) == Matching({}, declared, (), frozenset())


@pytest.mark.parametrize(
    ("declared", "live", "count"),
    [
        pytest.param(siblings("acme/a"), 2, 1, id="one of two"),
        pytest.param(siblings("acme/a", "acme/b"), 1, 2, id="two and one"),
        pytest.param(siblings("acme/a", "acme/b"), 2, 2, id="two and two"),
    ],
)
def test_what_is_ambiguous_is_said_and_left_out(
    declared: tuple[DesiredConnection, ...], live: int, count: int
) -> None:
    """Which is which isn't known, and making one more would be worse than nothing."""
    matching = matched(declared, *(a_live(number) for number in range(1, live + 1)))

    assert (matching.recorded, matching.certain) == ({}, ())
    assert sorted(matching.notes) == [
        f"{each.address}: {live} connections to gbol exist and {count} are declared, so which is which isn't"
        " known; name each by `connectionId`"
        for each in declared
    ]
    assert matching.candidates == {an_id(number) for number in range(1, live + 1)}


def test_a_name_settles_it() -> None:
    """With one of two named, the other is the other one."""
    a, b = siblings("acme/a", "acme/b")
    a = dataclasses.replace(a, connection_id=an_id(2))

    matching = matched((a, b), a_live(1), a_live(2))

    assert ids(matching) == {"acme/a": an_id(2), "acme/b": an_id(1)}
    assert (matching.certain, matching.notes) == ((a, b), ())


def test_where_all_are_named_the_rest_is_nobodys() -> None:
    """It is no candidate for anything, so a plan calls it unmanaged."""
    matching = matched((a_desired(connection_id=an_id(2)),), a_live(1), a_live(2))

    assert ids(matching) == {"acme/ledger": an_id(2)}
    assert matching.candidates == frozenset()


def test_a_name_settles_only_its_own() -> None:
    """One of three is named: the other two stay as they are."""
    a, b, c = siblings("acme/a", "acme/b", "acme/c")
    a = dataclasses.replace(a, connection_id=an_id(3))

    matching = matched((a, b, c), a_live(1), a_live(2), a_live(3))

    assert ids(matching) == {"acme/a": an_id(3)}
    assert matching.certain == (a,)
    assert matching.candidates == {an_id(1), an_id(2)}


def test_a_name_that_nothing_has_is_left_to_the_rules() -> None:
    """It is a mistake in the file, which the plan explains; it takes nothing from the others."""
    a, b = siblings("acme/a", "acme/b")
    a = dataclasses.replace(a, connection_id=an_id(7))

    matching = matched((a, b), a_live(1))

    assert ids(matching) == {"acme/b": an_id(1)}
    assert matching.certain == (a, b)


def test_companies_and_platforms_are_matched_apart() -> None:
    """What is ambiguous in one says nothing of another."""
    ledger, elsewhere = a_desired(), a_desired("beta/ledger", company_id=OTHER)
    bank_a, bank_b = siblings("acme/bank-a", "acme/bank-b", platform_key="suuo")

    matching = matched((ledger, bank_a, bank_b, elsewhere), a_live(1), a_live(2, platform_key="suuo"))

    assert ids(matching) == {"acme/ledger": an_id(1)}
    assert set(matching.certain) == {ledger, elsewhere}
    assert len(matching.notes) == 2


# A company and its names.


def desired_at(address: str, company: int) -> DesiredConnection:
    """A connection of a company that is known by its number."""
    return a_desired(address, company_id=an_id(company))


def prior_at(address: str, company: int) -> PriorConnection:
    """The same, recorded."""
    return a_prior(1, desired_at(address, company))


@pytest.mark.parametrize(
    ("declared", "recorded", "found"),
    [
        pytest.param([("acme/a", 1), ("beta/a", 2)], [], {"acme/a"}, id="its own"),
        pytest.param(
            [], [("acme/a", 1), ("acme/b", 1), ("acme-2/a", 2)], {"acme/a", "acme/b"}, id="recorded"
        ),
        pytest.param(
            [("new/a", 1)], [("acme/a", 1), ("beta/a", 2)], {"acme/a", "new/a"}, id="it has a new name"
        ),
        pytest.param(
            [("acme/a", 2), ("beta/a", 1), ("gamma/a", 3)],
            [("acme/a", 1), ("beta/a", 2), ("gamma/a", 3)],
            {"acme/a", "beta/a"},
            id="two companies swapped their names",
        ),
        pytest.param(
            [("acme/a", 1), ("b/a", 2), ("c/a", 3)],
            [("b/a", 1), ("c/a", 2)],
            {"acme/a", "b/a", "c/a"},
            id="a chain of names",
        ),
        pytest.param([("beta/a", 2)], [], set(), id="nobody knows it"),
    ],
)
def test_a_company_comes_with_all_that_shares_it(
    declared: list[tuple[str, int]], recorded: list[tuple[str, int]], found: set[str]
) -> None:
    """By its id, whatever it is called: an old name looked at by itself would only go."""
    got: Any = scope("acme", [desired_at(*each) for each in declared], [prior_at(*each) for each in recorded])

    assert got == found


def test_the_first_half_is_the_company() -> None:
    """The whole of it."""
    assert belongs("acme/ledger", "acme")
    assert not belongs("acme-2/ledger", "acme")


def test_each_shard_has_its_companies_with_all_that_is_declared_of_them() -> None:
    """Together they have all, and each connection once; without shards a stack has all."""
    declared = [a_desired(f"c{n}/{key}", company_id=an_id(n)) for n in range(20) for key in ("a", "b")]

    shards = [of_shard(declared, Shard(number, 3)) for number in (1, 2, 3)]

    assert sorted(each.address for own in shards for each in own) == sorted(each.address for each in declared)
    assert all(len(own) == 2 * len({each.company_id for each in own}) > 0 for own in shards)
    assert of_shard(declared, None) == tuple(declared)
