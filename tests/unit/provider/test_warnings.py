"""Each thing is said once, and many of a kind become one."""

from __future__ import annotations

import threading

import pytest

from codat_iac.planning.notices import Notice
from codat_iac.provider.warnings import MOST, Notices


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


def test_the_first_twenty_are_shown_and_the_rest_is_one_line(shown: Shown) -> None:
    """Who couldn't be warned of is said on the stack, once."""
    shown.say(MOST + 30)

    assert len(shown.on_resource) == MOST == 20
    assert shown.on_stack == ["waits for its customer: over 20 connections; the others are not named"]


def test_what_is_expected_to_be_many_is_one_line_from_the_start(shown: Shown) -> None:
    """It counts them and names the first ones; none is shown on its resource."""
    shown.notices.expect({Notice.WAITING: [f"acme/bank-{number:02}" for number in reversed(range(21))]})
    shown.say(21)

    assert shown.on_resource == []
    (summary,) = shown.on_stack
    assert summary == (
        "waits for its customer: 21 connections (acme/bank-00, acme/bank-01, acme/bank-02, acme/bank-03,"
        " acme/bank-04 and 16 more)"
    )


def test_what_is_expected_to_be_few_is_shown_on_its_resource(shown: Shown) -> None:
    """Twenty are not many."""
    shown.notices.expect({Notice.WAITING: [f"acme/bank-{number:02}" for number in range(20)]})
    shown.say(20)

    assert len(shown.on_resource) == 20
    assert shown.on_stack == []


def test_each_kind_has_its_own_count(shown: Shown) -> None:
    """A flood of one kind hides no other."""
    shown.say(MOST + 5)
    shown.say(MOST, Notice.DEAUTHORIZED)

    assert len(shown.on_resource) == 2 * MOST
    assert len(shown.on_stack) == 1


def test_what_was_expected_twice_is_said_once(shown: Shown) -> None:
    """The summary of a kind is said once in a process."""
    many = {Notice.WAITING: [f"acme/bank-{number}" for number in range(30)]}
    shown.notices.expect(many)
    shown.notices.expect(many)

    assert len(shown.on_stack) == 1


def test_threads_say_no_more_than_one(shown: Shown) -> None:
    """Four threads with the same hundred notices show twenty and one summary."""
    threads = [threading.Thread(target=shown.say, args=(100,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(shown.on_resource)) == len(shown.on_resource) == MOST
    assert len(shown.on_stack) == 1
