"""What moves between the states of shards: all of it, to one place each, also after a kill at any step."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.model.connection import PriorConnection
from codat_iac.model.errors import ConfigError
from codat_iac.model.record import connections, recorded, shard_marker
from codat_iac.model.shard import Shard, shard_number
from codat_iac.stack.sharding.shard_states import (
    MOVING_TYPE,
    Arrival,
    Member,
    arrivals,
    check_members,
    giving,
    receiving,
    with_marker,
)
from tests.support.builders import a_desired, a_prior, an_id
from tests.support.project import recorded_resources

State = Mapping[str, Any]


def a_member(number: int, of: int | None, marker: str = "") -> Member:
    """The stack of a shard: its name has the same number."""
    return Member(f"s{number}", "shop", Shard(number, of) if of else None, marker)


def company(number: int, of: int, *, after: int = 0) -> str:
    """The id of a company of a shard: the first one *after* a number."""
    ids = (str(uuid.UUID(int=each)) for each in count(after + 1))
    return next(id_ for id_ in ids if shard_number(id_, of) == number)


def a_state(name: str, *priors: PriorConnection) -> State:
    """What a run of the stock program leaves of a stack."""
    text = json.dumps(
        {"version": 3, "deployment": {"resources": recorded_resources(priors, {"waiting": []})}}
    )
    state: State = json.loads(
        text.replace("urn:pulumi:dev:", f"urn:pulumi:{name}:").replace("-dev", f"-{name}")
    )
    return state


EMPTY: State = {"version": 3, "deployment": {"manifest": {}}}
"""What `pulumi stack export` says of a stack that was never used."""


def of_second(address: str = "acme/ledger", number: int = 1, **rest: Any) -> PriorConnection:
    """A recorded connection of the second shard of two."""
    return a_prior(number, a_desired(address, company_id=company(2, 2)), **rest)


# Which stacks.


@pytest.mark.parametrize(
    ("members", "shards"),
    [
        pytest.param([a_member(1, 2), a_member(2, 2)], 2, id="new"),
        pytest.param([a_member(1, 2), a_member(2, 2), a_member(3, None)], 2, id="from one"),
        pytest.param([a_member(n, 3, f"{n}/2" if n < 3 else "") for n in (1, 2, 3)], 3, id="one more"),
        pytest.param(
            [a_member(1, 1, "1/2"), a_member(2, None, "2/2")],
            1,
            id="fewer",
        ),
        pytest.param([a_member(1, 2, "2/2"), a_member(2, 2, "1/2")], 2, id="exchanged"),
        pytest.param(
            [a_member(1, 2, "1/2"), a_member(2, 2, "2/5 moving")],
            2,
            id="nearly done before",
        ),
    ],
)
def test_stacks_that_have_each_shard_once_fit_together(members: Sequence[Member], shards: int) -> None:
    """And all of what they were before."""
    assert check_members(members) == shards


@pytest.mark.parametrize(
    ("members", "said"),
    [
        pytest.param([a_member(1, None)], "none of the stacks has a codat:shard; set it", id="none"),
        pytest.param([a_member(1, 2), a_member(2, 3)], r"the stacks are shards of \[2, 3\]; set", id="mixed"),
        pytest.param(
            [a_member(1, 3), a_member(3, 3)], "no stack is named that is or was shard 2/3;", id="gap"
        ),
        pytest.param(
            [a_member(1, 2), a_member(2, 2), Member("old", "shop", Shard(2, 2), "")],
            "stacks s2 and old both have codat:shard 2/2; give each its own",
            id="twice",
        ),
        pytest.param(
            [a_member(1, 1, "1/3"), a_member(2, None, "2/3 moving")], "is or was shard 3/3", id="forgotten"
        ),
        pytest.param([a_member(1, 2, "1/2"), a_member(2, 2)], "is or was shard 2/2", id="one made anew"),
    ],
)
def test_stacks_that_do_not_are_refused(members: Sequence[Member], said: str) -> None:
    """What nobody named may have recorded what a new shard would make again."""
    with pytest.raises(ConfigError, match=said):
        check_members(members)


# What moves.

TWO = (a_member(1, 2), a_member(2, 2))
BY_NAME = {each.name: each for each in TWO}


def test_a_connection_moves_as_it_is_recorded() -> None:
    """Only the names of the stack change: what protects it, and an old half, too."""
    states = {
        "s1": a_state("s1", of_second(protected=True), of_second(number=2, pending_removal=True)),
        "s2": EMPTY,
    }
    stays = a_state("s1")

    found = arrivals(TWO, states)
    after = receiving(TWO[1], states["s2"], found, BY_NAME)

    assert [(each.giver, each.receiver, each.address) for each in found] == [("s1", "s2", "acme/ledger")] * 2
    was = [json.loads(json.dumps(each).replace("s1", "s2")) for each in connections(states["s1"])]
    ids = {"provider": "urn:pulumi:s2::shop::pulumi:providers:pulumi-python::default::" + an_id(1)}
    assert connections(after) == [each | ids for each in was]
    assert [each.protected for each in recorded(after)] == [True, False]
    assert giving(states["s1"], found) == stays
    assert shard_marker(with_marker(TWO[0], stays, "1/2")) == "1/2"


def test_what_arrives_uses_the_provider_that_is_there() -> None:
    """A stack has one, with its own config in it."""
    states = {"s1": a_state("s1", of_second()), "s2": a_state("s2")}

    after = receiving(TWO[1], states["s2"], arrivals(TWO, states), BY_NAME)

    assert [each["type"] for each in after["deployment"]["resources"]] == [
        "pulumi:pulumi:Stack",
        "pulumi:providers:pulumi-python",
        "pulumi-python:dynamic/codat:Connection",
    ]


def test_what_has_arrived_already_is_not_added_again() -> None:
    """A run before this one was killed between the two stacks."""
    states = {"s1": a_state("s1", of_second()), "s2": a_state("s2", of_second())}

    found = arrivals(TWO, states)

    assert len(found) == 1
    assert receiving(TWO[1], states["s2"], found, BY_NAME) is states["s2"]


def test_the_marker_goes_to_the_stack_and_nowhere_else() -> None:
    """Beside its other outputs; what it has only while it moves goes."""
    state = a_state("s1", of_second())
    moving = {"urn": f"urn:pulumi:s1::shop::{MOVING_TYPE}::moving", "type": MOVING_TYPE}
    state["deployment"]["resources"].append(moving)

    after = with_marker(TWO[0], state, "1/2")

    assert after["deployment"]["resources"][0]["outputs"] == {"waiting": [], "codat:shard": "1/2"}
    assert after["deployment"]["resources"][1:] == state["deployment"]["resources"][1:-1]


@pytest.mark.parametrize(
    ("member", "was", "moving", "final"),
    [
        (a_member(1, 2), "", "moving", "1/2"),
        (a_member(1, 2, "1/3"), "1/3", "1/3 moving", "1/2"),
        (a_member(1, None, "1/3 moving"), "1/3", "1/3 moving", "left"),
    ],
)
def test_a_marker_says_what_was_and_what_comes(member: Member, was: str, moving: str, final: str) -> None:
    """So that a run after a kill knows who has to take part."""
    assert (member.was, member.moving, member.final) == (was, moving, final)


# What can't be moved.


def both(*receivers: PriorConnection) -> dict[str, State]:
    """The first stack has one of the second's, which has *receivers*."""
    return {"s1": a_state("s1", of_second()), "s2": a_state("s2", *receivers)}


def test_an_address_with_two_connections_is_refused_with_the_way_out() -> None:
    """Somebody made another one there: which is meant isn't known."""
    states = both(of_second(number=9))

    with pytest.raises(ConfigError) as refused:
        arrivals(TWO, states)

    assert str(refused.value) == (
        f"acme/ledger is recorded in stack s1 as {an_id(1)} and in s2 as {an_id(9)}, and which is meant"
        " isn't known; forget one, which calls nothing: `pulumi state delete --stack s1"
        " 'urn:pulumi:s1::shop::pulumi-python:dynamic/codat:Connection::acme/ledger'`, or the one in s2"
    )


def test_of_two_givers_with_one_connection_either_will_do() -> None:
    """It arrives once, and both let go of it."""
    three = (a_member(1, 3), a_member(2, 3), a_member(3, 3))
    prior = a_prior(1, a_desired(company_id=company(3, 3)))
    states = {"s1": a_state("s1", prior), "s2": a_state("s2", prior), "s3": EMPTY}

    found = arrivals(three, states)

    assert [each.giver for each in found] == ["s1", "s2"]
    after = receiving(three[2], EMPTY, found, {each.name: each for each in three})
    assert len(connections(after)) == 1


SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"gbol"'}


def test_what_a_program_of_ones_own_declares_is_not_sharded() -> None:
    """A connection with a parent, with a secret, or with something that depends on it."""
    parent, secret, needed = both(), both(), both()
    resources = [each["s1"]["deployment"]["resources"] for each in (parent, secret, needed)]
    resources[0][-1]["parent"] = "urn:pulumi:s1::shop::a:b:C::c"
    resources[1][-1]["outputs"]["platformKey"] = SECRET
    resources[2].append({"urn": "urn:x", "type": "a:b:C", "dependencies": [resources[2][-1]["urn"]]})

    for states, said in (
        (parent, "acme/ledger has a parent"),
        (secret, "a connection holds a secret"),
        (needed, "urn:x depends on urn:pulumi:s1::.*acme/ledger"),
    ):
        with pytest.raises(
            ConfigError, match=f"^stack s1: .*{said}, which only a program of your own declares"
        ):
            arrivals(TWO, states)


# A kill at any step.


def steps(members: Sequence[Member], states: dict[str, State]) -> Iterator[None]:
    """Do what `reshard` does, and stop after each write."""
    by_name = {each.name: each for each in members}
    found: Sequence[Arrival] = arrivals(members, states)
    for each in members:
        coming = [one for one in found if one.receiver == each.name]
        states[each.name] = receiving(each, states[each.name], coming, by_name)
        yield
    for each in members:
        states[each.name] = giving(states[each.name], [one for one in found if one.giver == each.name])
        yield


@given(
    before=st.integers(1, 6),
    after=st.integers(1, 6),
    numbers=st.sets(st.integers(1, 10_000), max_size=30),
    kills=st.lists(st.integers(0, 12), max_size=3),
)
def test_from_n_to_m_nothing_is_lost_or_recorded_twice(
    before: int, after: int, numbers: set[int], kills: list[int]
) -> None:
    """Killed at any step: each is always recorded somewhere, and at the end once, where it belongs."""
    most = max(before, after)
    members = [a_member(n, after if n <= after else None) for n in range(1, most + 1)]
    all_ = [a_prior(n, a_desired(f"c{n}/a", company_id=str(uuid.UUID(int=n * 31)))) for n in sorted(numbers)]
    states: dict[str, State] = {
        f"s{shard}": a_state(
            f"s{shard}", *(p for p in all_ if shard_number(p.desired.company_id, before) == shard)
        )
        for shard in range(1, most + 1)
    }
    ids = {prior.id for prior in all_}

    for kill in [*kills, 10_000]:
        for _, _ in zip(range(kill), steps(members, states), strict=False):
            assert {each.id for state in states.values() for each in recorded(state)} == ids

    there = [(prior.id, name) for name, state in states.items() for prior in recorded(state)]
    assert sorted(there) == sorted((p.id, f"s{shard_number(p.desired.company_id, after)}") for p in all_)
    assert arrivals(members, states) == []
