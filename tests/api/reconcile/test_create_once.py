"""POST exactly once, whatever comes back."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from codat_iac.codat.client import Client
from codat_iac.emulator import Emulator
from codat_iac.model.connection import DesiredConnection, LiveConnection
from codat_iac.model.errors import (
    AccountLimit,
    ApiError,
    CodatBroken,
    NotCodat,
    Orphaned,
    RateLimited,
    Rejected,
    TransportError,
    Unauthorized,
)
from codat_iac.reconcile.create_once import ATTEMPTS, CreateOnce
from tests.support.builders import a_desired, keys, rows, writes
from tests.support.waiting import Naps

POST = "POST /companies/*/connections"


def never() -> LiveConnection | None:
    """Look, and find nothing."""
    return None


class Post:
    """One POST for `acme/ledger`, and the waits that it took."""

    def __init__(self, emulator: Emulator, company_id: str, guard: Callable[[], None] = lambda: None) -> None:
        self.emulator = emulator
        self.desired: DesiredConnection = a_desired(company_id=company_id)
        self.waits: list[float] = []
        self.client = Client(
            emulator.api_key, emulator.url, timeout=5, retries=1, guard=guard, sleep=self.waits.append
        )
        self.create_once = CreateOnce(self.client, self.waits.append, 5.0)

    def fault(self, do: str, times: int | None = 1, **rest: Any) -> None:
        """Let something go wrong with the next POSTs, after what goes wrong already."""
        given = {"on": POST, "do": do, "times": times, **rest}
        self.emulator.faults([*self.emulator.faults(), given])

    def make(self, look: Callable[[], LiveConnection | None] | None = None) -> LiveConnection:
        """Make it; by default what was made is looked for in the listing."""
        return self.create_once.create(self.desired, look or self.look)

    def look(self) -> LiveConnection | None:
        """Find what the company has."""
        return next(iter(self.client.list(self.desired.company_id).results), None)


@pytest.fixture
def post(emulator: Emulator, acme: str) -> Post:
    """A POST to the emulator."""
    return Post(emulator, acme)


def test_one_post_is_enough(post: Post, emulator: Emulator, acme: str) -> None:
    """Nothing went wrong, so nothing is waited for."""
    made = post.make(never)

    assert rows(emulator, acme) == {made.id: "PendingAuth"}
    assert writes(emulator) == ["POST 200"]
    assert post.waits == []


def test_listings_are_given_five_seconds_to_settle(post: Post) -> None:
    """Unless somebody says otherwise: so long an effect may stay unseen."""
    post.create_once = CreateOnce(post.client, post.waits.append)
    post.fault("reset-after-commit")

    post.make()

    assert post.waits == [5.0]


def test_after_a_reset_the_same_key_is_used(post: Post, emulator: Emulator, acme: str) -> None:
    """Nobody knows what happened, so Codat may recognise the request by its key."""
    post.fault("reset-before")

    made = post.make()

    assert rows(emulator, acme) == {made.id: "PendingAuth"}
    assert len(keys(emulator)) == 2
    assert len(set(keys(emulator))) == 1
    assert post.waits == [5.0]


@pytest.mark.parametrize("status", [408, 500, 503, 504])
def test_after_a_failure_of_codats_the_key_is_burnt(
    post: Post, emulator: Emulator, acme: str, status: int
) -> None:
    """Codat replays an answer for 90 minutes, its own failures included."""
    post.fault("status", status=status)

    made = post.make()

    assert rows(emulator, acme) == {made.id: "PendingAuth"}
    assert len({str(uuid.UUID(key)) for key in keys(emulator)}) == len(keys(emulator)) == 2


def test_the_key_after_a_burnt_one_is_kept_like_the_first(post: Post, emulator: Emulator) -> None:
    """A reset leaves open whether Codat knows it by now."""
    post.fault("status", status=503)
    post.fault("reset-before")

    post.make()

    first, second, third = keys(emulator)
    assert first != second == third


def test_what_is_still_in_progress_is_waited_for_with_the_same_key(post: Post, emulator: Emulator) -> None:
    """It may yet come to pass, so another key could make another one."""
    emulator.knobs({"idempotency": "ignore"})  # else this 409, which is not Codat's own, is replayed
    post.fault("status", status=409)

    post.make()

    assert len(keys(emulator)) == 2
    assert len(set(keys(emulator))) == 1


def test_what_was_made_is_found_instead_of_made_again(post: Post, emulator: Emulator, acme: str) -> None:
    """It is looked for first, after waiting for listings to catch up."""
    post.fault("reset-after-commit")

    made = post.make()

    assert rows(emulator, acme) == {made.id: "PendingAuth"}
    assert len(keys(emulator)) == 1
    assert post.waits == [5.0]


def test_a_request_that_is_in_progress_at_codat_is_not_sent_anew(emulator: Emulator, acme: str) -> None:
    """The first one takes longer than our patience, the second is told so, and one connection is made."""
    post = Post(emulator, acme)
    client = Client(emulator.api_key, emulator.url, timeout=0.3, retries=1, sleep=lambda _: None)
    post.fault("delay", seconds=0.7)

    def sleep(seconds: float) -> None:
        post.waits.append(seconds)
        if len(post.waits) == 2:
            while not any(each["committed"] for each in emulator.requests()["requests"]):
                time.sleep(0.02)

    made = CreateOnce(client, sleep).create(post.desired, never)

    assert rows(emulator, acme) == {made.id: "PendingAuth"}
    assert len(set(keys(emulator))) == 1
    assert writes(emulator)[1] == "POST 409"


def test_a_429_is_certain_and_waited_for(post: Post, emulator: Emulator) -> None:
    """The client waits as long as Codat asks, with the same key, and nothing is looked for."""
    post.fault("status", status=429, headers={"Retry-After": "7"})

    post.make(never)

    assert writes(emulator) == ["POST 429", "POST 200"]
    assert len(set(keys(emulator))) == 1
    assert 5.0 not in post.waits
    assert sum(post.waits) >= 7


@pytest.mark.parametrize(
    ("fault", "error", "same_key"),
    [
        pytest.param({"do": "reset-before"}, TransportError, True, id="reset"),
        pytest.param({"do": "status", "status": 503}, CodatBroken, False, id="503"),
        pytest.param({"do": "status", "status": 409}, Rejected, True, id="409"),
        pytest.param({"do": "html"}, NotCodat, True, id="html"),
    ],
)
def test_what_stays_uncertain_ends_in_saying_so(
    post: Post, emulator: Emulator, fault: dict[str, Any], error: type[ApiError], same_key: bool
) -> None:
    """After a bounded number of tries the error says what isn't certain, and that running again is safe."""
    post.fault(**fault, times=None)

    with pytest.raises(error) as caught:
        post.make()

    text = str(caught.value)
    assert text.startswith("acme/ledger: not certain whether a connection was made (POST /companies/")
    assert text.endswith("run again: it adopts what was made instead of making a second one")
    assert caught.value.in_doubt
    assert len(keys(emulator)) == ATTEMPTS == 4
    assert len(set(keys(emulator))) == (1 if same_key else ATTEMPTS)
    assert post.waits == [5.0] * ATTEMPTS


@pytest.mark.parametrize(
    ("status", "error"), [(400, Rejected), (401, Unauthorized), (402, AccountLimit), (403, Unauthorized)]
)
def test_a_plain_refusal_is_certain(
    post: Post, emulator: Emulator, status: int, error: type[ApiError]
) -> None:
    """Nothing was made, so it comes as it is, at once."""
    post.fault("status", status=status)

    with pytest.raises(error) as caught:
        post.make(never)

    assert "not certain" not in str(caught.value)
    assert not caught.value.in_doubt
    assert len(keys(emulator)) == 1
    assert post.waits == []


@pytest.mark.parametrize(("status", "error"), [(400, Rejected), (401, Unauthorized), (429, RateLimited)])
def test_a_plain_refusal_after_an_uncertain_try_leaves_it_uncertain(
    post: Post, emulator: Emulator, status: int, error: type[ApiError]
) -> None:
    """The second answer says nothing about what the first request did."""
    emulator.knobs({"idempotency": "ignore"})
    post.fault("reset-after-commit")
    post.fault("status", None, status=status, headers={"Retry-After": "4000"})

    with pytest.raises(error, match=r"^acme/ledger: not certain whether a connection was made") as caught:
        post.make(never)

    assert caught.value.status == status
    assert caught.value.in_doubt
    assert getattr(caught.value, "retry_after", 4000) == 4000
    assert caught.value.body.error is not None


def test_where_nobody_can_look_it_is_not_posted_again(post: Post, emulator: Emulator) -> None:
    """A listing that fails leaves the first answer's doubt, and the error says so."""
    post.fault("reset-after-commit")

    def broken() -> LiveConnection | None:
        raise CodatBroken("GET: later")

    with pytest.raises(TransportError, match="not certain whether a connection was made") as caught:
        post.make(broken)

    assert str(caught.value.__cause__) == "GET: later"
    assert len(keys(emulator)) == 1


def test_what_reached_nobody_made_nothing(acme: str, naps: Naps) -> None:
    """No doubt, so nothing to wait for or to look for, and the next run need not adopt anything."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        client = Client("k", f"http://127.0.0.1:{silent.getsockname()[1]}", retries=0, sleep=naps)
        with pytest.raises(TransportError) as caught:
            CreateOnce(client, naps, 5.0).create(a_desired(company_id=acme), never)

    assert "not certain" not in str(caught.value)
    assert (caught.value.sent, naps) == (False, [])


def test_an_orphan_posts_no_more(emulator: Emulator, acme: str) -> None:
    """The engine dies while we wait to look again: nothing more is written."""
    alive = [True]

    def guard() -> None:
        if not alive.pop():
            raise Orphaned("the engine is gone")
        alive.append(False)

    post = Post(emulator, acme, guard)
    post.fault("reset-before")

    with pytest.raises(Orphaned):
        post.make()

    assert len(keys(emulator)) == 1
    assert rows(emulator, acme) == {}
