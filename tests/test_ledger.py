"""What a process adds up from hooks that are called one by one."""

from __future__ import annotations

import dataclasses
import threading
from itertools import permutations

import pytest

from codat_iac.ledger import Ledger
from codat_iac.model import Slot
from tests.builders import COMPANY, a_desired, a_prior, an_id, siblings

LEDGER = "acme/ledger"
SLOT = Slot(COMPANY, "gbol")


@pytest.fixture
def ledger() -> Ledger:
    """An empty one: nothing was read yet."""
    return Ledger()


# Recorded.


def test_reads_are_counted_by_id(ledger: Ledger) -> None:
    """One connection at two addresses, as after a crash in a rename, is one connection."""
    ledger.read(a_prior(1))
    ledger.read(a_prior(1, a_desired("acme/books")))
    ledger.read(a_prior(2))

    assert ledger.recorded == 2


def test_what_was_read_is_recorded(ledger: Ledger) -> None:
    """Whatever its address."""
    ledger.read(a_prior(1))

    assert ledger.is_recorded(an_id(1))
    assert not ledger.is_recorded(an_id(2))


def test_what_is_missing_is_counted_once(ledger: Ledger) -> None:
    """Finding the same absence twice is one absence."""
    ledger.missing(an_id(1))
    ledger.missing(an_id(1))
    ledger.missing(an_id(2))

    assert ledger.gone == 2


@pytest.mark.parametrize(
    ("connection_id", "address", "status", "moved"),
    [
        pytest.param(an_id(1), LEDGER, "Linked", False, id="as recorded"),
        pytest.param(an_id(1), LEDGER, "Unlinked", True, id="another status"),
        pytest.param(an_id(1), LEDGER, None, True, id="no status"),
        pytest.param(an_id(1), "acme/books", "Unlinked", False, id="another address"),
        pytest.param(an_id(2), LEDGER, "Unlinked", False, id="never read"),
    ],
)
def test_a_refresh_can_tell_what_moved(
    ledger: Ledger, connection_id: str, address: str, status: str | None, moved: bool
) -> None:
    """The status before the read is remembered, so that `pulumi refresh` shows what became of it."""
    ledger.read(a_prior(1, status="Linked"))

    assert ledger.moved(connection_id, address, status) is moved


def test_an_address_counts_once_a_program_declared_it(ledger: Ledger) -> None:
    """Refresh and destroy diff what is recorded too; only a check says that it is declared."""
    ledger.read(a_prior(1))
    assert not ledger.is_declared(LEDGER)

    ledger.declare(LEDGER)

    assert ledger.is_declared(LEDGER)


# Held.


def test_an_address_has_one_connection_at_a_time(ledger: Ledger) -> None:
    """A claim lets go of what the address had before."""
    ledger.claim(an_id(1), LEDGER)
    ledger.claim(an_id(2), LEDGER)

    assert ledger.holder(an_id(1)) is None
    assert ledger.holder(an_id(2)) == LEDGER


def test_what_is_released_has_no_holder(ledger: Ledger) -> None:
    """A replacement takes its own old connection out of what must stay."""
    ledger.claim(an_id(1), LEDGER)
    ledger.release(LEDGER)
    ledger.release(LEDGER)

    assert ledger.holder(an_id(1)) is None
    assert not ledger.is_held(an_id(1))


def test_an_address_tells_which_connection_it_has(ledger: Ledger) -> None:
    """Foreseen or had; None where it will be a new one."""
    ledger.claim(an_id(1), LEDGER, foreseen=True)

    assert ledger.claimed_by(LEDGER) == an_id(1)
    assert ledger.claimed_by("acme/books") is None


def test_what_is_foreseen_is_not_held(ledger: Ledger) -> None:
    """A create that was foreseen may never come, so its claim keeps others off and proves nothing."""
    ledger.claim(an_id(1), LEDGER, foreseen=True)
    assert ledger.holder(an_id(1)) == LEDGER
    assert not ledger.is_held(an_id(1))

    ledger.claim(an_id(1), LEDGER)

    assert ledger.is_held(an_id(1))


def test_a_failed_create_holds_nothing_and_marks_its_slot(ledger: Ledger) -> None:
    """What it may have wanted must stay, and what it had foreseen isn't its own."""
    ledger.claim(an_id(1), LEDGER, foreseen=True)

    ledger.fail(a_desired())

    assert ledger.holder(an_id(1)) is None
    assert ledger.has_failed(SLOT)
    assert not ledger.has_failed(Slot(COMPANY, "qhyg"))


def test_what_nobody_declares_is_leaving(ledger: Ledger) -> None:
    """Recorded, and without a claim: by id what it was recorded as."""
    kept, gone = a_prior(1), a_prior(2, a_desired("acme/shop"))
    ledger.read(kept)
    ledger.read(gone)
    ledger.claim(kept.id, LEDGER)

    assert ledger.leaving() == {gone.id: gone}


def test_a_rename_leaves_nothing(ledger: Ledger) -> None:
    """The id has a claim, whatever the address."""
    ledger.read(a_prior(1))
    ledger.claim(an_id(1), "acme/books")

    assert ledger.leaving() == {}


# For deciding a create.


def test_holdings_tell_what_is_recorded_and_claimed(ledger: Ledger) -> None:
    """Of the ids that were asked for, and no others."""
    first, second, third = siblings("acme/a", "acme/b", "acme/c")
    ledger.read(a_prior(1, first))
    ledger.claim(an_id(1), first.address)
    ledger.claim(an_id(2), second.address, foreseen=True)
    ledger.claim(an_id(3), "globex/other")

    known = ledger.holdings(third, [an_id(1), an_id(2), an_id(4)])

    assert known.recorded == {an_id(1): {"acme/a"}}
    assert known.claimed == {an_id(1): {"acme/a"}, an_id(2): {"acme/b"}}
    assert known.read
    assert known.unknown == 0


def test_a_sibling_is_known_once_it_was_read_checked_or_has_something(ledger: Ledger) -> None:
    """Without a refresh nothing is read, and with `--target` not everything."""
    first, read, claims, new = siblings("acme/a", "acme/b", "acme/c", "acme/d")
    assert ledger.holdings(first, []).unknown == 3
    assert not ledger.holdings(first, []).read

    ledger.read(a_prior(1, read))
    ledger.claim(an_id(2), claims.address)
    assert ledger.holdings(first, []).unknown == 1
    ledger.expect(new)

    assert ledger.holdings(first, []).unknown == 0


def test_a_namesake_elsewhere_is_no_sibling(ledger: Ledger) -> None:
    """What is expected of an address on another platform says nothing about this one."""
    first, second = siblings("acme/a", "acme/b")

    ledger.expect(a_desired(second.address, platform_key="fztf"))

    assert ledger.holdings(first, []).unknown == 1


def test_one_alone_has_no_unknown_sibling(ledger: Ledger) -> None:
    """There is nobody whose connection it could be mistaken for."""
    assert ledger.holdings(a_desired(), []).unknown == 0
    assert ledger.holdings(siblings("acme/a")[0], []).unknown == 0


def test_a_state_that_was_read_as_a_whole_leaves_nothing_unknown(ledger: Ledger) -> None:
    """Who has the state itself, as a plan has, knows what isn't recorded."""
    first, _ = siblings("acme/a", "acme/b")

    ledger.read_all()
    ledger.expect(first)

    assert ledger.holdings(first, []).unknown == 0
    assert ledger.foreseeable(first) == [first]


def test_the_last_sibling_speaks_for_all(ledger: Ledger) -> None:
    """None can be foreseen before all were heard of; then all are that have nothing yet, and once."""
    first, second, third = siblings("acme/a", "acme/b", "acme/c")
    other = a_desired("acme/other", platform_key=first.platform_key)
    for each in (second, other):
        ledger.expect(each)

    assert ledger.foreseeable(second) == []
    assert ledger.foreseeable(other) == [other]
    ledger.claim(an_id(1), first.address)
    assert ledger.foreseeable(first) == []
    ledger.expect(third)
    assert ledger.foreseeable(third) == [second, third]
    assert ledger.foreseeable(third) == []


def test_who_keeps_what_it_has_may_be_the_last_to_be_heard(ledger: Ledger) -> None:
    """What is recorded may still be replaced, so a sibling waits for what becomes of it."""
    first, second = siblings("acme/a", "acme/b")
    ledger.read(a_prior(1, second))
    ledger.expect(first)

    assert ledger.foreseeable(first) == []
    ledger.claim(an_id(1), second.address)
    assert ledger.foreseeable(second) == [first]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_siblings_choose_in_an_order_of_their_own(ledger: Ledger, order: tuple[int, ...]) -> None:
    """Whoever is called first: who names an id, then who is new, then who had another, by address."""
    had, new_a, new_b, named = siblings("acme/a", "acme/b", "acme/c", "acme/d")
    named = dataclasses.replace(named, connection_id=an_id(7))
    ledger.read(a_prior(1, had))
    called = [(had, new_a, new_b, named)[number] for number in order]
    given = []

    for each in called:
        ledger.expect(each)
        given += ledger.foreseeable(each)

    assert [each for each in given if each is not named] == [new_a, new_b, had]
    assert given.index(named) == 0


def test_who_names_an_id_waits_for_nobody(ledger: Ledger) -> None:
    """A connectionId is certain by itself."""
    first, _ = siblings("acme/a", "acme/b", connection_id=an_id(1))
    ledger.expect(first)

    assert ledger.foreseeable(first) == [first]


def test_who_failed_is_not_foreseen_again(ledger: Ledger) -> None:
    """A sibling that comes later says nothing more of it."""
    first, second = siblings("acme/a", "acme/b")
    ledger.expect(first)
    ledger.fail(first)
    ledger.expect(second)

    assert ledger.foreseeable(second) == [second]


def test_threads_lose_nothing(ledger: Ledger) -> None:
    """The host calls from four threads at once."""

    def work(part: int) -> None:
        for number in range(part, 400, 4):
            prior = a_prior(number, a_desired(f"acme/bank-{number}"))
            ledger.read(prior)
            ledger.claim(prior.id, prior.address)
            ledger.missing(prior.id)
            ledger.leaving()

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (ledger.recorded, ledger.gone, len(ledger.leaving())) == (400, 400, 0)
