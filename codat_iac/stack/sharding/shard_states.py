"""Move connections between the exported states of shards. Pure.

A connection is moved as it is recorded; only the names of its stack change. While it is on its way it is
recorded in both stacks, and every run of either is refused by its marker.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from codat_iac.model.errors import ConfigError
from codat_iac.model.record import SHARD, STACK, connections, dependents, has_secrets, recorded, resources
from codat_iac.model.shard import Shard, shard_number
from codat_iac.model.text import join_names
from codat_iac.planning.safety_limits import LEFT, MOVING

PROVIDER = "pulumi:providers:pulumi-python"
MOVING_TYPE = "codat:shards:Moving"
"""The type of a resource without any properties that a stack has while connections move."""

_DEFAULT_PROVIDER = "default"
_PROVIDER_ID = "00000000-0000-0000-0000-000000000001"
"""The id of a provider that a receiving stack hasn't made itself yet; it gets its config in the next run."""

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """One stack that takes part. `shard` is None if it has a shard no longer, and gives all that it has."""

    name: str
    project: str
    shard: Shard | None
    marker: str

    @property
    def was(self) -> str:
        """What the stack was set up as, also while it moves."""
        return self.marker.removesuffix(MOVING).strip()

    @property
    def moving(self) -> str:
        """Its marker while connections move."""
        return f"{self.was} {MOVING}".strip()

    @property
    def final(self) -> str:
        """Its marker at the end."""
        return LEFT if self.shard is None else str(self.shard)

    @property
    def prefix(self) -> str:
        """How its URNs begin."""
        return f"urn:pulumi:{self.name}::{self.project}::"

    @property
    def stack_urn(self) -> str:
        """The URN of the stack's own resource, the parent of all."""
        return f"{self.prefix}{STACK}::{self.project}-{self.name}"

    @property
    def moving_urn(self) -> str:
        """The URN of the resource that it has while connections move."""
        return f"{self.prefix}{MOVING_TYPE}::{MOVING}"


class Arrival(NamedTuple):
    """One recorded connection on its way: the stacks that give and receive it, and its resource there."""

    giver: str
    receiver: str
    resource: Mapping[str, Any]

    @property
    def address(self) -> str:
        """Its name in its URN."""
        return str(self.resource["urn"].rpartition("::")[2])


def check_members(members: Sequence[Member]) -> int:
    """Return the number of shards of *members*. Raises `ConfigError` unless each is in exactly one stack.

    What any of the stacks was a shard of before must be there as a whole, too: nobody else knows what is
    recorded in the rest.
    """
    shards: dict[Shard, str] = {}
    for each in members:
        if each.shard:
            if each.shard in shards:
                raise ConfigError(
                    f"stacks {shards[each.shard]} and {each.name} both have codat:shard {each.shard}; give"
                    " each its own"
                )
            shards[each.shard] = each.name
    counts = sorted({shard.count for shard in shards})
    if len(counts) != 1:
        said = "none of the stacks has a codat:shard" if not counts else f"the stacks are shards of {counts}"
        raise ConfigError(f"{said}; set it in each with `pulumi config set codat:shard K/N`")
    (count,) = counts
    _raise_missing(count, {shard.number for shard in shards})
    # If one is done already and another is not, an earlier run has seen all of them, and was interrupted.
    done = any(each.shard and each.marker == each.final for each in members)
    if not (done and any(MOVING in each.marker for each in members)):
        before: dict[int, set[int]] = {}
        for each in members:
            number, _, of = each.was.partition("/")
            if of:
                before.setdefault(int(of), set()).add(int(number))
        for former, numbers in before.items():
            _raise_missing(former, numbers)
    return count


def _raise_missing(count: int, numbers: Iterable[int]) -> None:
    missing = [f"{number}/{count}" for number in range(1, count + 1) if number not in set(numbers)]
    if missing:
        raise ConfigError(
            f"no stack is named that is or was shard {join_names(missing)}; name all stacks that have a"
            " shard, or had one: all that is recorded has to be seen"
        )


def arrivals(members: Sequence[Member], states: Mapping[str, State]) -> list[Arrival]:
    """Return the connections that aren't recorded in the stack of their shard, in the order of *members*.

    Raises `ConfigError` for one that can't be moved as it is.
    """
    owners = {each.shard.number: each for each in members if each.shard}
    found = [
        Arrival(member.name, owner.name, resource)
        for member in members
        for resource, prior in zip(
            connections(states[member.name]), recorded(states[member.name]), strict=True
        )
        if (owner := owners[shard_number(prior.desired.company_id, len(owners))]) is not member
    ]
    by_name = {member.name: member for member in members}
    for giver in {each.giver: None for each in found}:
        _check_giver(by_name[giver], states[giver], [each for each in found if each.giver == giver])
    seen: dict[tuple[str, str], tuple[str, str]] = {
        (member.name, resource["urn"]): (resource["id"], member.name)
        for member in members
        for resource in connections(states[member.name])
        if not resource.get("delete")
    }
    for each in found:
        if each.resource.get("delete"):
            continue
        urn = _renamed(each.resource["urn"], by_name[each.giver], by_name[each.receiver])
        id_, where = seen.setdefault((each.receiver, urn), (each.resource["id"], each.giver))
        if id_ != each.resource["id"]:
            raise ConfigError(
                f"{each.address} is recorded in stack {each.giver} as {each.resource['id']} and in {where}"
                f" as {id_}, and which is meant isn't known; forget one, which calls nothing: `pulumi state"
                f" delete --stack {each.giver} '{each.resource['urn']}'`, or the one in {where}"
            )
    return found


def _check_giver(giver: Member, state: State, leaving: Sequence[Arrival]) -> None:
    """Raise `ConfigError` unless all that leaves was declared by the stock program."""
    own = "which only a program of your own declares, and these aren't sharded"
    if has_secrets({"deployment": {"resources": [each.resource for each in leaving]}}):
        raise ConfigError(f"stack {giver.name}: a connection holds a secret, {own}")
    urns = {each.resource["urn"] for each in leaving}
    for urn, needed in dependents(state, urns):
        raise ConfigError(f"stack {giver.name}: {urn} depends on {needed}, {own}")
    for each in leaving:
        if each.resource.get("parent") != giver.stack_urn:
            raise ConfigError(f"stack {giver.name}: {each.resource['urn']} has a parent, {own}")


def with_marker(member: Member, state: State, marker: str) -> State:
    """Return *state* with the stack's marker, and without what it has only while connections move.

    A stack that was never used gets its own resource.
    """
    own = {"urn": member.stack_urn, "custom": False, "type": STACK}
    return _with(
        state,
        [
            {**each, "outputs": {**(each.get("outputs") or {}), SHARD: marker}}
            if each["type"] == STACK
            else each
            for each in resources(state) or [own]
            if each["urn"] != member.moving_urn
        ],
    )


def receiving(
    receiver: Member, state: State, coming: Iterable[Arrival], givers: Mapping[str, Member]
) -> State:
    """Return *state* with the connections *coming* to it beside its own; what it has already isn't added."""
    there = set(keys_of(state))
    moved = (_moved(each, givers[each.giver], receiver) for each in coming)
    new = {key: each for each in moved if (key := _key(each)) not in there}
    if not new:
        return state
    now = list(resources(state))
    provider = next((each for each in now if each["type"] == PROVIDER), None)
    if provider is None:
        provider = {
            "urn": f"{receiver.prefix}{PROVIDER}::{_DEFAULT_PROVIDER}",
            "custom": True,
            "id": _PROVIDER_ID,
            "type": PROVIDER,
            "inputs": {},
            "outputs": {},
        }
        now.append(provider)
    used = f"{provider['urn']}::{provider['id']}"
    return _with(state, [*now, *({**each, "provider": used} for each in new.values())])


def giving(state: State, leaving: Iterable[Arrival]) -> State:
    """Return *state* without the connections that are *leaving*."""
    gone = {_key(each.resource) for each in leaving}
    return _with(state, [each for each in resources(state) if _key(each) not in gone])


def keys_of(state: State) -> Iterator[tuple[str, str, bool]]:
    """Yield what tells the connections of a state apart: URN, id, and whether it is an old half."""
    return map(_key, connections(state))


def _key(resource: Mapping[str, Any]) -> tuple[str, str, bool]:
    return resource["urn"], resource.get("id", ""), resource.get("delete") is True


def _moved(arrival: Arrival, giver: Member, receiver: Member) -> dict[str, Any]:
    moved = copy.deepcopy(dict(arrival.resource))
    moved["urn"] = _renamed(moved["urn"], giver, receiver)
    moved["parent"] = receiver.stack_urn
    return moved


def _renamed(urn: str, giver: Member, receiver: Member) -> str:
    return receiver.prefix + urn.removeprefix(giver.prefix)


def _with(state: State, changed: Sequence[Mapping[str, Any]]) -> State:
    deployment = state.get("deployment") or {}
    return {"version": 3, **state, "deployment": {**deployment, "resources": [*changed]}}
