"""A shard: each company is of exactly one, always of the same."""

from __future__ import annotations

import uuid

import pytest

from codat_iac.model.shard import Shard, shard_number

PINNED = [1, 1, 1, 1, 10, 13, 245]
"""The shards of one company, of 1, 2, 3, 5, 10, 100 and 1,000."""


def companies(count: int) -> list[str]:
    """Ids of companies."""
    return [str(uuid.UUID(int=number * 7919)) for number in range(count)]


def test_the_shard_of_a_company_never_changes() -> None:
    """States depend on it; the case of an id doesn't matter."""
    id_ = "8a210b68-6988-11ed-a1eb-0242ac120002"

    assert [shard_number(id_, count) for count in (1, 2, 3, 5, 10, 100, 1000)] == PINNED
    assert shard_number(id_.upper(), 1000) == PINNED[-1]


def test_a_company_is_of_exactly_one_shard_and_each_has_its_part() -> None:
    """Within a few percent, so that the shards take equally long."""
    ids = companies(5000)
    shards = [Shard(number, 5) for number in range(1, 6)]

    owned = [[id_ for id_ in ids if shard.owns(id_)] for shard in shards]

    assert sorted(id_ for own in owned for id_ in own) == sorted(ids)
    assert all(900 < len(own) < 1100 for own in owned)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 5), (5, 6), (9, 10)])
def test_more_shards_move_only_what_the_new_ones_get(before: int, after: int) -> None:
    """No company moves between two that there were; the other way round it is the same."""
    ids = companies(3000)
    moved = [id_ for id_ in ids if shard_number(id_, before) != shard_number(id_, after)]

    assert all(shard_number(id_, after) > before for id_ in moved)
    assert len(moved) == pytest.approx(len(ids) * (after - before) / after, rel=0.1)
