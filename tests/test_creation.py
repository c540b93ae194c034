"""Adopt, make, or refuse: each case of creating a connection, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codat_iac.creation import Adopt, Decision, Holdings, Post, Refuse, decide
from codat_iac.model import DesiredConnection, LiveConnection, OnExisting, Status
from tests.builders import COMPANY, a_desired, a_live, an_id, siblings

LEDGER = "acme/ledger"


def holdings(
    recorded: Mapping[int, AbstractSet[str]] | None = None,
    claimed: Mapping[int, AbstractSet[str]] | None = None,
    *,
    unknown: int = 0,
    read: bool = True,
) -> Holdings:
    """Who has what, with ids by their number."""
    return Holdings(
        {an_id(number): at for number, at in (recorded or {}).items()},
        {an_id(number): at for number, at in (claimed or {}).items()},
        unknown,
        read,
    )


def outcome(decision: Decision) -> str | int:
    """A decision in a word: the number of the adopted connection, `post`, or the reason of a refusal."""
    match decision:
        case Adopt(connection):
            return int(connection.id[-12:], 16)
        case Refuse(reason):
            return reason
        case _:
            assert decision == Post()
            return "post"


# One connection of its platform.


@pytest.mark.parametrize(
    ("live", "decided"),
    [
        pytest.param([], "post", id="none"),
        pytest.param([a_live(1, platform_key="qhyg")], "post", id="another platform"),
        pytest.param([a_live(1, "PendingAuth")], 1, id="PendingAuth"),
        pytest.param([a_live(2, "PendingAuth"), a_live(1, "PendingAuth")], 1, id="the oldest PendingAuth"),
        pytest.param([a_live(1), a_live(2, "PendingAuth")], 2, id="PendingAuth beside somebody's"),
    ],
)
def test_what_nobody_authorised_is_adopted_and_else_one_is_made(
    live: Sequence[LiveConnection], decided: str | int
) -> None:
    """A waiting connection is what a crash left, or as good: no second one is made beside it."""
    assert outcome(decide(a_desired(), live, holdings())) == decided


@pytest.mark.parametrize("status", ["Linked", "Deauthorized", "Unlinked", "Migrating"])
@pytest.mark.parametrize(
    ("on_existing", "decided"),
    [(OnExisting.REFUSE, "refused"), (OnExisting.ADOPT, 1), (OnExisting.CREATE, "post")],
)
def test_what_somebody_authorised_is_theirs_until_the_file_says_otherwise(
    status: str, on_existing: OnExisting, decided: str | int
) -> None:
    """OnExisting decides about a free connection of any status but PendingAuth."""
    decision = decide(a_desired(on_existing=on_existing), [a_live(1, status)], holdings())

    assert ("refused" if isinstance(decision, Refuse) else outcome(decision)) == decided


def test_a_refusal_names_every_id_and_the_ways_out() -> None:
    """It stands alone, whoever reads it."""
    assert outcome(decide(a_desired(), [a_live(2, "Unlinked"), a_live(1)], holdings())) == (
        f"company {COMPANY} has a connection to gbol that nobody manages here: {an_id(1)} (Linked),"
        f" {an_id(2)} (Unlinked); set `onExisting: adopt` to take it, `connectionId` to name it, or"
        " `onExisting: create` for one more"
    )


def test_of_several_none_is_adopted_by_guess() -> None:
    """Which of two authorised connections is meant, only a connectionId can say."""
    decision = decide(a_desired(on_existing=OnExisting.ADOPT), [a_live(1), a_live(2)], holdings())

    assert outcome(decision) == (
        f"more than one connection to gbol could be adopted: {an_id(1)} (Linked), {an_id(2)} (Linked); name"
        " one by `connectionId`"
    )


def test_a_foreign_status_can_not_break_the_line() -> None:
    """What Codat calls a status is shown as one line, whatever it is."""
    decision = decide(a_desired(), [a_live(1, "A\nB")], holdings())

    assert "(A B)" in str(outcome(decision))


@pytest.mark.parametrize("status", [*Status, "Migrating"])
def test_a_rename_takes_its_connection_along(status: str) -> None:
    """An id recorded at an address that is no longer declared is adopted, whatever its status."""
    renamed = holdings({1: {"acme/old"}})

    assert outcome(decide(a_desired(), [a_live(1, status)], renamed)) == 1


def test_who_knows_nothing_holds_nothing() -> None:
    """And has read the state, where nobody says otherwise."""
    assert Holdings() == Holdings({}, {}, unknown=0, read=True)


@pytest.mark.parametrize("recorded", [{2: {"acme/old"}}, {1: {"acme/older"}, 2: {"acme/old"}}])
def test_an_authorisation_is_worth_more_than_a_link(recorded: dict[int, set[str]]) -> None:
    """Of a renamed Linked one and a waiting one, the Linked one is adopted, even if both are renamed."""
    live = [a_live(1, "PendingAuth"), a_live(2)]

    assert outcome(decide(a_desired(), live, holdings(recorded))) == 2


@pytest.mark.parametrize(
    "taken",
    [
        pytest.param(holdings({1: {"acme/b"}}), id="recorded at a sibling"),
        pytest.param(holdings({}, {1: {"acme/b"}}), id="claimed by a sibling"),
        pytest.param(holdings({}, {1: {"globex/z"}}), id="claimed by anybody"),
        pytest.param(holdings({1: {"acme/old"}}, {1: {"acme/b"}}), id="a rename that a sibling took"),
        pytest.param(holdings({1: {"acme/a"}}), id="recorded here, so this is what is replaced"),
    ],
)
@pytest.mark.parametrize("status", ["PendingAuth", "Linked"])
def test_what_a_declared_address_has_is_not_free(taken: Holdings, status: str) -> None:
    """No connection serves two declared addresses."""
    first, _ = siblings("acme/a", "acme/b")

    assert outcome(decide(first, [a_live(1, status)], taken)) == "post"


def test_its_own_claim_is_no_hindrance() -> None:
    """What a preview foresaw for this address, this address may take."""
    assert outcome(decide(a_desired(), [a_live(1, "PendingAuth")], holdings({}, {1: {LEDGER}}))) == 1


# The one that is named.


@pytest.mark.parametrize(
    ("live", "known", "decided"),
    [
        pytest.param([a_live(1), a_live(2)], holdings(), 2, id="exactly that one"),
        pytest.param([a_live(2, "Migrating")], holdings(), 2, id="whatever its status"),
        pytest.param([a_live(2)], holdings({2: {"acme/old"}}), 2, id="a rename"),
        pytest.param([a_live(2)], holdings({}, {2: {LEDGER}}), 2, id="foreseen for itself"),
        pytest.param([a_live(2, platform_key=None)], holdings(), 2, id="of a platform that isn't said"),
        pytest.param(
            [a_live(1, "PendingAuth")],
            holdings(),
            f"company {COMPANY} has no connection {an_id(2)}; correct `connectionId`, or leave it out to make"
            " a new one",
            id="absent",
        ),
        pytest.param(
            [a_live(2, platform_key="qhyg")],
            holdings(),
            f"connection {an_id(2)} is on qhyg, not on gbol; correct `platformKey` or `connectionId`",
            id="of another platform",
        ),
        pytest.param(
            [a_live(2)],
            holdings({}, {2: {"acme/books"}}),
            f"connection {an_id(2)} is managed as acme/books already; declare it once",
            id="held elsewhere",
        ),
    ],
)
def test_a_connection_id_means_exactly_that_one(
    live: Sequence[LiveConnection], known: Holdings, decided: str | int
) -> None:
    """It is adopted or refused; a POST could not make it."""
    desired = a_desired(connection_id=an_id(2), on_existing=OnExisting.CREATE)

    assert outcome(decide(desired, live, known)) == decided


# Where Codat doesn't say the platform.


@pytest.mark.parametrize("unknown", [0, 1])
@pytest.mark.parametrize("read", [True, False])
def test_a_nameless_connection_is_not_passed_over(unknown: int, read: bool) -> None:
    """It may be this very connection, so none is made beside it; naming it by its id is the way out."""
    nameless = [a_live(1, "PendingAuth", platform_key=None)]

    refused = outcome(decide(a_desired(), nameless, holdings(unknown=unknown, read=read)))

    assert refused == (
        f"Codat doesn't say which platform {an_id(1)} of this company is, so it may be this very connection;"
        " see it in the Portal, then name it by `connectionId`, or delete it there"
    )
    assert outcome(decide(a_desired(connection_id=an_id(1)), nameless, holdings())) == 1


@pytest.mark.parametrize(
    "known", [holdings({1: {"acme/other"}}), holdings({}, {1: {"acme/other"}})], ids=["recorded", "claimed"]
)
def test_a_nameless_connection_that_is_managed_is_none_of_this(known: Holdings) -> None:
    """Whose it is, is known, whatever its platform."""
    assert outcome(decide(a_desired(), [a_live(1, platform_key=None)], known)) == "post"


# Siblings of which nothing is known.


@pytest.mark.parametrize("read", [True, False], ids=["with --target", "without a refresh"])
@pytest.mark.parametrize("status", ["PendingAuth", "Linked", "Deauthorized", "Unlinked", "Migrating"])
@pytest.mark.parametrize("on_existing", OnExisting)
def test_what_may_be_an_unknown_siblings_is_left_alone(
    read: bool, status: str, on_existing: OnExisting
) -> None:
    """As many as there are siblings that nobody read may all be theirs: one more is made."""
    first, _ = siblings("acme/a", "acme/b", on_existing=on_existing)

    assert outcome(decide(first, [a_live(1, status)], holdings(unknown=1, read=read))) == "post"


@pytest.mark.parametrize(
    ("live", "known", "decided"),
    [
        pytest.param([], holdings(unknown=1, read=False), "post", id="none is there"),
        pytest.param([a_live(1)], holdings({}, {1: {"acme/b"}}, unknown=1, read=False), "post", id="theirs"),
        pytest.param([a_live(1), a_live(2)], holdings(unknown=1, read=False), "refused", id="one too many"),
        pytest.param(
            [a_live(1, "PendingAuth"), a_live(2)],
            holdings(unknown=1, read=False),
            "refused",
            id="one too many, and one waits",
        ),
        pytest.param([a_live(1, "PendingAuth")], holdings(read=False), 1, id="all are known"),
        pytest.param(
            [a_live(1, "PendingAuth"), a_live(2)],
            holdings(unknown=1),
            1,
            id="one too many, but something was read",
        ),
        pytest.param(
            [a_live(1), a_live(2)], holdings(unknown=1), "refused", id="somebody's, but something was read"
        ),
        pytest.param([a_live(1)], holdings({1: {"acme/old"}}, unknown=5), 1, id="a rename is certain"),
    ],
)
def test_what_is_not_known_is_counted(
    live: Sequence[LiveConnection], known: Holdings, decided: str | int
) -> None:
    """Nothing is adopted by guess, and no more are made than are declared."""
    decision = decide(siblings("acme/a", "acme/b")[0], live, known)

    assert ("refused" if isinstance(decision, Refuse) else outcome(decision)) == decided


def test_a_refusal_for_want_of_a_refresh_names_the_ids_and_the_ways_out() -> None:
    """A refresh helps where there is a state, a connectionId where there is none."""
    live = [a_live(1, "PendingAuth"), a_live(2)]

    assert outcome(decide(a_desired(), live, holdings(unknown=1, read=False))) == (
        f"2 connections to gbol are there ({an_id(1)} (PendingAuth), {an_id(2)} (Linked)), and without a"
        " refresh it isn't known which of them 1 other addresses have; run again with a refresh, or, where"
        " nothing is recorded yet, name one of them by `connectionId`"
    )


# What holds whatever happens.


ADDRESSES = [f"acme/{letter}" for letter in "abcde"]


@dataclass
class World:
    """One company on one platform, its state, and runs over it that may die at any moment.

    `recorded` is the state: ids by address. `made` are the ids that a POST made.
    """

    live: list[LiveConnection]
    recorded: dict[str, str]
    made: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def copy(self) -> World:
        """Give another world like this one."""
        return World(list(self.live), dict(self.recorded))

    def run(
        self,
        declared: Sequence[DesiredConnection],
        *,
        read: AbstractSet[str] | None = None,
        one_by_one: bool = False,
        dies_after: int | None = None,
        forgotten: int = 0,
    ) -> dict[str, str]:
        """Do what an apply does, in the order of *declared*; it dies after so many creates.

        *read* are the addresses that a refresh reads, all of them where it is None. *one_by_one*: each is
        created before the next one is even checked. The last *forgotten* creates were made but not recorded.
        Gives the claims, by address.
        """
        seen = self.recorded.keys() if read is None else read & self.recorded.keys()
        names = {desired.address for desired in declared}
        known = set(seen) if one_by_one else seen | names
        claims = {} if one_by_one else {a: i for a, i in self.recorded.items() if a in names}
        done: list[str] = []
        self.refused = set()
        for desired in declared:
            known.add(desired.address)
            if desired.address in self.recorded:
                claims[desired.address] = self.recorded[desired.address]
                continue
            if dies_after is not None and len(done) >= dies_after:
                break
            match decide(desired, self.live, self._holdings(claims, seen, len(desired.siblings - known))):
                case Adopt(connection):
                    assert desired.connection_id in {None, connection.id}
                    holders = {a for a, i in (self.recorded | claims).items() if i == connection.id}
                    assert not holders & names - {desired.address}, "another declared address has it"
                    claims[desired.address] = connection.id
                case Refuse():
                    self.refused.add(desired.address)
                    continue
                case Post():
                    assert desired.connection_id is None, "a POST can't make the one that is named"
                    claims[desired.address] = self._post()
            done.append(desired.address)
        kept = done[: len(done) - forgotten] if forgotten else done
        self.recorded |= {address: claims[address] for address in kept}
        if dies_after is None and not self.refused:
            self.recorded = {a: i for a, i in self.recorded.items() if a in names}
        return claims

    def settle(self, declared: Sequence[DesiredConnection]) -> dict[str, str]:
        """Run until nothing changes: where one address is refused, another's adoption may clear the way."""
        while True:
            before = dict(self.recorded)
            claims = self.run(declared)
            if self.recorded == before:
                return claims

    def _holdings(self, claims: Mapping[str, str], read: AbstractSet[str], unknown: int) -> Holdings:
        recorded: dict[str, set[str]] = {}
        claimed: dict[str, set[str]] = {}
        for address in read:
            recorded.setdefault(self.recorded[address], set()).add(address)
        for address, connection_id in claims.items():
            claimed.setdefault(connection_id, set()).add(address)
        return Holdings(recorded, claimed, unknown, bool(read))

    def _post(self) -> str:
        made = a_live(40 + len(self.live), "PendingAuth")
        self.live.append(made)
        self.made.add(made.id)
        return made.id


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, list[DesiredConnection]]:
    """Any state of a slot, and any declaration over it."""
    statuses = st.sampled_from([*Status, "Migrating"])
    live = [a_live(number, status) for number, status in enumerate(draw(st.lists(statuses, max_size=6)), 1)]
    ids = draw(st.permutations([connection.id for connection in live]))
    addresses = draw(st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=len(ids)))
    recorded = dict(zip(addresses, ids, strict=False))
    names = draw(st.lists(st.sampled_from(ADDRESSES), unique=True, min_size=1))
    free_to_name = [connection.id for connection in live] + [an_id(30)]
    declared = [
        a_desired(
            name,
            siblings=frozenset(names),
            on_existing=draw(st.sampled_from(OnExisting)),
            connection_id=None
            if name in recorded
            else draw(st.none() | st.none() | st.sampled_from(free_to_name)),
        )
        for name in names
    ]
    return World(live, recorded), declared


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_in_any_order_each_address_gets_a_connection_of_its_own(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """Whatever is live and recorded, no two addresses share an id, and none is named twice."""
    world, declared = given_world

    claims = world.run(data.draw(st.permutations(declared)))

    assert len(set(claims.values())) == len(claims)
    assert claims.keys() | world.refused == {desired.address for desired in declared}
    assert {connection.id for connection in world.live} >= set(claims.values())


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_applying_again_makes_nothing(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """Apply, then apply, calls nothing, and every address keeps its id, unless something was refused."""
    world, declared = given_world
    world.run(data.draw(st.permutations(declared)))
    assume(not world.refused)
    before, made = dict(world.recorded), set(world.made)

    world.run(data.draw(st.permutations(declared)))

    assert world.made == made
    assert world.recorded == before


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_a_crash_costs_no_second_connection(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """Dying anywhere, with any number of POSTs unrecorded, and running again leaves none over.

    Nor does it make more than a run without a crash, but for an address that was refused there.
    """
    world, mixed = given_world
    declared = [replace(desired, on_existing=mixed[0].on_existing) for desired in mixed]
    declared.sort(key=lambda desired: desired.connection_id is None)
    twin = world.copy()
    twin.settle(declared)
    dies_after = data.draw(st.integers(0, len(declared)))
    forgotten = data.draw(st.integers(0, dies_after))

    world.run(declared, dies_after=dies_after, forgotten=forgotten)
    claims = world.settle(declared)

    assert world.made <= set(claims.values())
    assert len(set(claims.values())) == len(claims)
    assert len(world.made) <= len(twin.made) + len(twin.refused - world.refused)


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), one_by_one=st.booleans(), data=st.data())
def test_what_was_not_read_is_never_adopted(
    given_world: tuple[World, list[DesiredConnection]], one_by_one: bool, data: st.DataObject
) -> None:
    """A run without a refresh gives nobody what a declared address has, and makes no more than declared."""
    world, declared = given_world
    ordered = [replace(each, connection_id=None) for each in data.draw(st.permutations(declared))]
    most = max(len(world.live), len(declared))
    makes_one_more = sum(each.on_existing is OnExisting.CREATE for each in declared)

    claims = world.run(ordered, read=frozenset(), one_by_one=one_by_one)

    assert len(set(claims.values())) == len(claims)
    assert len(world.live) <= most + makes_one_more


@settings(deadline=None, max_examples=60)
@given(given_world=worlds(), data=st.data())
def test_a_targeted_run_takes_nothing_from_what_it_did_not_read(
    given_world: tuple[World, list[DesiredConnection]], data: st.DataObject
) -> None:
    """With `--target`, only the targets are read and declared; a new one among them gets its own."""
    world, declared = given_world
    names = {each.address for each in declared}
    world.recorded = {address: i for address, i in world.recorded.items() if address in names}
    world.live = [connection for connection in world.live if connection.id in world.recorded.values()]
    targets = [each for each in declared if each.connection_id is None and data.draw(st.booleans())]
    targeted = {each.address for each in targets}
    rest = {address: i for address, i in world.recorded.items() if address not in targeted}

    claims = world.run(targets, read=targeted)

    after = rest | claims
    assert len(set(after.values())) == len(after)
    assert targeted <= after.keys()
