"""Each thing is said once, and many of a kind become one."""

from __future__ import annotations

import threading

import pytest

from codat_iac.planning.notices import Expected, Notice
from codat_iac.provider.notice_filter import MOST, Notices


class Shown:
    """What was shown on resources, and on the stack."""

    def __init__(self) -> None:
        self.on_resource: list[str] = []
        self.on_stack: list[str] = []
        self.notices = Notices(self.on_resource.append, self.on_stack.append)

    def say(self, count: int, notice: Notice = Notice.WAITING, start: int = 0) -> None:
        """Say it of so many addresses."""
        for number in range(start, start + count):
            self.notices.say(notice, f"acme/bank-{number:02}", f"acme/bank-{number:02}: waits")


@pytest.fixture
def shown() -> Shown:
    """Nothing was said yet."""
    return Shown()


def test_the_same_thing_is_said_once(shown: Shown) -> None:
    """Several hooks find the same; another kind, or another address, is another thing."""
    shown.say(2)
    shown.say(2)
    shown.say(1, Notice.GONE)

    assert shown.on_resource == ["acme/bank-00: waits", "acme/bank-01: waits", "acme/bank-00: waits"]
    assert shown.on_stack == []


def test_the_first_ones_are_shown_and_the_rest_is_one_line(shown: Shown) -> None:
    """Who couldn't be warned of is said on the stack, once."""
    shown.say(MOST + 30)

    assert len(shown.on_resource) == MOST
    assert shown.on_stack == ["waits for its customer: over 5 connections; the others are not named"]


def test_of_what_does_harm_more_is_shown(shown: Shown) -> None:
    """As many as a run may do without being asked, and then some."""
    shown.say(30, Notice.LOSES)

    assert len(shown.on_resource) == 20
    assert len(shown.on_stack) == 1


def expected(
    number: int, status: str = "PendingAuth", *, notice: Notice = Notice.WAITING, fresh: bool = False
) -> Expected:
    """What is to be said of one connection."""
    return Expected(notice, f"acme/bank-{number:02}", status, fresh)


def test_what_is_expected_to_be_many_is_one_line_from_the_start(shown: Shown) -> None:
    """It counts them and names the first ones; none is shown on its resource."""
    shown.notices.expect(expected(number) for number in reversed(range(21)))
    shown.say(21)

    assert shown.on_resource == []
    (summary,) = shown.on_stack
    assert summary == (
        "21 connections wait for their customers (21 PendingAuth): acme/bank-00, acme/bank-01, acme/bank-02,"
        " acme/bank-03, acme/bank-04 and 16 more; `codat-iac plan --every` names all"
    )


def test_all_that_waits_is_summed_up_together(shown: Shown) -> None:
    """Whatever it is that the customer has to do; what nobody waits for is another matter."""
    coming = [
        *(expected(number) for number in range(4)),
        expected(4, "Deauthorized", notice=Notice.DEAUTHORIZED),
        expected(5, "Unlinked", notice=Notice.UNLINKED),
        *(expected(number, "Odd", notice=Notice.UNKNOWN_STATUS) for number in range(10, 16)),
        expected(20, notice=Notice.NEVER_AUTHORISED),
    ]
    shown.notices.expect(coming)
    for each in coming:
        shown.notices.say(each.notice, each.address, each.address)

    assert shown.on_resource == ["acme/bank-20"]
    waiting, odd = shown.on_stack
    assert waiting.startswith(
        "6 connections wait for their customers (4 PendingAuth, 1 Deauthorized, 1 Unlinked): acme/bank-00,"
    )
    assert odd.startswith("has a status that codat-iac doesn't know: 6 connections (6 Odd): acme/bank-10, ")


def test_what_is_new_is_shown_before_what_has_long_waited(shown: Shown) -> None:
    """A customer who revoked today doesn't hide behind a thousand who never began."""
    shown.notices.expect([expected(number, fresh=number in {3, 17}) for number in range(30)])
    shown.say(30)

    assert shown.on_resource == ["acme/bank-03: waits", "acme/bank-17: waits"]
    (summary,) = shown.on_stack
    assert summary.startswith("28 more connections wait for their customers (28 PendingAuth): acme/bank-00, ")


def test_too_many_new_ones_are_named_first_in_the_sum(shown: Shown) -> None:
    """An outage revokes hundreds at once."""
    shown.notices.expect([expected(number, fresh=number >= 20) for number in range(30)])
    shown.say(30)

    assert shown.on_resource == [f"acme/bank-{number}: waits" for number in range(20, 25)]
    (summary,) = shown.on_stack
    assert summary == (
        "25 more connections wait for their customers (25 PendingAuth, 5 of them new): acme/bank-25,"
        " acme/bank-26, acme/bank-27, acme/bank-28, acme/bank-29 and 20 more; `codat-iac plan --every` names"
        " all"
    )


def test_what_is_expected_to_be_few_is_shown_on_its_resource(shown: Shown) -> None:
    """Five are not many."""
    shown.notices.expect(expected(number) for number in range(MOST))
    shown.say(MOST)

    assert len(shown.on_resource) == MOST
    assert shown.on_stack == []


def test_each_kind_has_its_own_count(shown: Shown) -> None:
    """A flood of one kind hides no other."""
    shown.say(MOST + 5)
    shown.say(MOST, Notice.DEAUTHORIZED)

    assert len(shown.on_resource) == 2 * MOST
    assert len(shown.on_stack) == 1


def test_threads_say_no_more_than_one(shown: Shown) -> None:
    """Four threads with the same hundred notices show five and one summary."""
    threads = [threading.Thread(target=shown.say, args=(100,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(shown.on_resource)) == len(shown.on_resource) == MOST
    assert len(shown.on_stack) == 1
