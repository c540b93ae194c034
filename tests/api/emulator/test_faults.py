"""What goes wrong on purpose: as a client meets it, and what was done all the same."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest
import requests

from codat_iac.emulator import Emulator

CREATE = "POST /companies/*/connections"


def post(
    emulator: Emulator, company: str, key: str | None = None, platform: str = "gbol"
) -> requests.Response:
    """Codat's answer to a create, perhaps with an idempotency key."""
    headers = {"Authorization": emulator.authorization} | ({"Idempotency-Key": key} if key else {})
    path = f"{emulator.url}/companies/{company}/connections"
    return requests.post(path, json={"platformKey": platform}, headers=headers, timeout=10)


def rows(emulator: Emulator, company: str) -> int:
    """How many connections the company has."""
    path = f"{emulator.url}/companies/{company}/connections"
    answer = requests.get(path, headers={"Authorization": emulator.authorization}, timeout=10)
    return int(answer.json()["totalResults"])


def last(emulator: Emulator) -> Any:
    """The latest request in the log."""
    return emulator.requests()["requests"][-1]


# What a client sees


@pytest.mark.parametrize(
    ("status", "in_body", "text"),
    [
        (402, 429, "You have reached the limit of your account."),
        (403, 403, "You are using an outdated API key or a key not associated with that resource."),
        (500, 500, "There is a problem with our server. Please try again later."),
        (503, 500, "The Codat API is temporarily offline for maintenance. Please try again later."),
        (418, 418, "HTTP 418"),
    ],
)
def test_status(emulator: Emulator, company: str, status: int, in_body: int, text: str) -> None:
    """Nothing is done. The body's `statusCode` is as little to be trusted as Codat's."""
    emulator.faults([{"on": CREATE, "do": "status", "status": status}])

    answer = post(emulator, company)

    assert (answer.status_code, answer.json()["statusCode"], answer.json()["error"]) == (
        status,
        in_body,
        text,
    )
    assert last(emulator)["fault"] == "status"
    assert last(emulator)["committed"] is False
    assert rows(emulator, company) == 0


def test_status_after_commit(emulator: Emulator, company: str) -> None:
    """The answer is an error, and the row is there."""
    emulator.faults([{"on": CREATE, "do": "status-after-commit", "status": 500}])

    assert post(emulator, company).status_code == 500
    assert last(emulator)["committed"] is True
    assert rows(emulator, company) == 1


def test_too_many_requests_say_when_to_come_back(emulator: Emulator, company: str) -> None:
    """In the knob's format, in the fault's own words, or not at all."""
    emulator.faults([{"on": CREATE, "do": "status", "status": 429}])
    assert post(emulator, company).headers["Retry-After"] == "1"

    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    emulator.faults([{"on": CREATE, "do": "status", "status": 429, "headers": {"Retry-After": date}}])
    assert post(emulator, company).headers["Retry-After"] == date

    emulator.faults([{"on": CREATE, "do": "status", "status": 429, "headers": {"Retry-After": None}}])
    assert "Retry-After" not in post(emulator, company).headers


def test_a_fault_brings_its_own_body(emulator: Emulator, company: str) -> None:
    """A text as it is, or any JSON."""
    emulator.faults([{"on": CREATE, "do": "status", "status": 502, "body": "{broken"}])
    assert post(emulator, company).text == "{broken"

    emulator.faults([{"on": CREATE, "do": "status", "status": 502, "body": {"error": None}}])
    assert post(emulator, company).json() == {"error": None}


@pytest.mark.parametrize(("do", "made"), [("reset-before", 0), ("reset-after-commit", 1)])
def test_reset(emulator: Emulator, company: str, do: str, made: int) -> None:
    """A real RST, before or after the work."""
    emulator.faults([{"on": CREATE, "do": do}])

    with pytest.raises(requests.ConnectionError) as raised:
        post(emulator, company)

    assert "ConnectionResetError" in repr(raised.value)
    assert last(emulator)["status"] is None
    assert rows(emulator, company) == made


@pytest.mark.parametrize("do", ["reset-after-commit", "slow-body", "truncate"])
def test_a_client_that_left_before_the_fault_harms_nobody(
    emulator: Emulator, company: str, do: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The work is done, and the emulator goes on."""
    emulator.faults([{"on": CREATE, "do": do}])
    emulator.knobs({"latencySeconds": 0.3})
    path = f"{emulator.url}/companies/{company}/connections"
    headers = {"Authorization": emulator.authorization}

    with pytest.raises(requests.ReadTimeout):
        requests.post(path, json={"platformKey": "gbol"}, headers=headers, timeout=0.1)

    time.sleep(0.4)
    emulator.knobs({"latencySeconds": 0})
    assert rows(emulator, company) == 1
    assert caplog.records == []


def test_a_client_that_leaves_during_a_slow_body_harms_nobody(
    emulator: Emulator, company: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest is not sent, and nobody is told of an error."""
    emulator.faults([{"on": CREATE, "do": "slow-body", "seconds": 1}])
    path = f"{emulator.url}/companies/{company}/connections"
    headers = {"Authorization": emulator.authorization}

    with requests.post(path, json={"platformKey": "gbol"}, headers=headers, timeout=5, stream=True) as answer:
        next(answer.iter_content(10))

    time.sleep(0.4)
    assert rows(emulator, company) == 1
    assert caplog.records == []


@pytest.mark.parametrize(("do", "at_once"), [("delay", 0), ("delay-after-commit", 1)])
def test_delay(emulator: Emulator, company: str, do: str, at_once: int) -> None:
    """A client that stops waiting finds the row later, or already."""
    emulator.faults([{"on": CREATE, "do": do, "seconds": 1}])
    path = f"{emulator.url}/companies/{company}/connections"
    headers = {"Authorization": emulator.authorization}

    with pytest.raises(requests.ReadTimeout):
        requests.post(path, json={"platformKey": "gbol"}, headers=headers, timeout=0.1)

    assert rows(emulator, company) == at_once
    time.sleep(1.2)
    assert rows(emulator, company) == 1


def test_truncate(emulator: Emulator, company: str) -> None:
    """Less than Content-Length says, then the end."""
    emulator.faults([{"on": "* /**", "do": "truncate"}])

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        post(emulator, company)

    emulator.faults([])
    assert rows(emulator, company) == 1


def test_truncate_of_nothing(emulator: Emulator, company: str) -> None:
    """An empty body is promised and not sent."""
    emulator.faults([{"on": "DELETE /companies/*/connections/*", "do": "truncate"}])
    connection = post(emulator, company).json()["id"]
    path = f"{emulator.url}/companies/{company}/connections/{connection}"

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.delete(path, headers={"Authorization": emulator.authorization}, timeout=10)

    assert rows(emulator, company) == 0


@pytest.mark.parametrize(
    ("do", "status", "made"), [("html", None, 0), ("html", 502, 0), ("html-after-commit", 504, 1)]
)
def test_html(emulator: Emulator, company: str, do: str, status: int | None, made: int) -> None:
    """A proxy's page, by default as if all were well."""
    emulator.faults([{"on": CREATE, "do": do, "status": status, "headers": {"Via": "proxy"}}])

    answer = post(emulator, company)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status or 200, "text/html; charset=utf-8")
    assert "<h1>" in answer.text
    assert answer.headers["Via"] == "proxy"
    assert rows(emulator, company) == made


def test_slow_body(emulator: Emulator, company: str) -> None:
    """Every read is quick, the whole isn't: only a deadline for the whole helps."""
    emulator.faults([{"on": CREATE, "do": "slow-body", "seconds": 0.6}])
    path = f"{emulator.url}/companies/{company}/connections"
    start = time.perf_counter()

    answer = requests.post(
        path, json={"platformKey": "gbol"}, headers={"Authorization": emulator.authorization}, timeout=0.5
    )

    assert time.perf_counter() - start > 0.5
    assert answer.json()["status"] == "PendingAuth"


# Which requests


def test_times_and_hits(emulator: Emulator, company: str) -> None:
    """Twice and no more."""
    emulator.faults([{"on": CREATE, "do": "status", "times": 2}])

    assert [post(emulator, company).status_code for _ in range(3)] == [500, 500, 200]
    assert [fault["hits"] for fault in emulator.faults()] == [2]


def test_skip(emulator: Emulator, company: str) -> None:
    """The third one, say."""
    emulator.faults([{"on": CREATE, "do": "status", "skip": 2, "times": 1}])

    assert [post(emulator, company).status_code for _ in range(4)] == [200, 200, 500, 200]


def test_probability_is_reproducible(emulator: Emulator, company: str) -> None:
    """The same seed, the same requests."""

    def statuses(seed: int) -> list[int]:
        emulator.faults([{"on": CREATE, "do": "status", "probability": 0.5, "seed": seed}])
        return [post(emulator, company).status_code for _ in range(20)]

    first = statuses(1)

    assert set(first) == {200, 500}
    assert statuses(1) == first
    assert statuses(2) != first


def test_the_first_that_fits_is_the_one(emulator: Emulator, company: str) -> None:
    """When it is used up, the next."""
    emulator.faults(
        [
            {"on": "GET /companies/*/connections", "do": "status", "status": 500},
            {"on": "POST /companies/*", "do": "status", "status": 501},
            {"on": CREATE, "do": "status", "status": 502, "times": 1},
            {"on": "* /companies/**", "do": "status", "status": 503},
        ]
    )

    assert [post(emulator, company).status_code for _ in range(2)] == [502, 503]


def test_control_and_pages_never_fail(emulator: Emulator, company: str) -> None:
    """Only Codat does."""
    link = post(emulator, company).json()["linkUrl"]
    emulator.faults([{"on": "* /**", "do": "reset-before"}])

    assert requests.get(link, timeout=10).status_code == 200
    assert requests.get(f"{emulator.url}/_emulator/faults", timeout=10).json()["faults"][0]["hits"] == 0


def test_served_faults_can_be_sent_back(emulator: Emulator) -> None:
    """What GET shows, POST takes."""
    faults = emulator.faults([{"on": CREATE, "do": "delay", "times": 3}])

    assert emulator.faults(faults) == faults
    kinds = requests.get(f"{emulator.url}/_emulator/faults", timeout=10).json()["kinds"]
    assert "reset-after-commit" in kinds


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({}, "faults are a list"),
        (["x"], "a fault is an object with `on`"),
        ([{"do": "status"}], "a fault is an object with `on`"),
        ([{"on": "/companies", "do": "status"}], "a fault is an object with `on`"),
        (
            [{"on": CREATE, "do": "explode"}],
            "`do` can't be 'explode'; it can be: status, status-after-commit",
        ),
        ([{"on": CREATE}], "`do` can't be None"),
        ([{"on": CREATE, "do": "status", "wait": 1}], "a fault has no 'wait'; it has: on, do"),
        (
            [{"on": CREATE, "do": "status", "status": 700}],
            "`status` can't be 700; it is a number from 200 to 599",
        ),
        ([{"on": CREATE, "do": "status", "times": "2"}], "`times` can't be '2'"),
        ([{"on": CREATE, "do": "status", "times": True}], "`times` can't be True"),
        ([{"on": CREATE, "do": "status", "headers": []}, 1], "a fault is an object"),
        ([{"on": CREATE, "do": "status", "headers": ["a"]}], "`headers` is an object of texts"),
        ([{"on": CREATE, "do": "status", "headers": {"a": 1}}], "`headers` is an object of texts"),
        (
            [{"on": CREATE, "do": "status", "headers": {"a": "b\r\nc: d"}}],
            "`headers` is an object of texts of one",
        ),
        ([{"on": CREATE, "do": "status", "headers": {"a b": None}}], "`headers` is an object of texts"),
    ],
)
def test_a_wrong_fault_is_refused(emulator: Emulator, faults: Any, words: str) -> None:
    """With what would have been right."""
    answer = requests.post(f"{emulator.url}/_emulator/faults", json=faults, timeout=10)

    assert answer.status_code == 400
    assert words in answer.json()["error"]


# With idempotency keys


def test_a_reset_after_the_commit_and_the_same_key_make_one_row(emulator: Emulator, company: str) -> None:
    """The kept answer is what the first would have been."""
    key = str(uuid.uuid4())
    emulator.faults([{"on": CREATE, "do": "reset-after-commit", "times": 1}])
    with pytest.raises(requests.ConnectionError):
        post(emulator, company, key)

    again = post(emulator, company, key)

    assert again.json()["status"] == "PendingAuth"
    assert rows(emulator, company) == 1
    log = emulator.requests()["requests"]
    assert [(each["replayed"], each["committed"]) for each in log[:2]] == [(False, True), (True, False)]
    assert log[0]["idempotencyKey"] == key


def test_a_reset_before_the_work_keeps_nothing(emulator: Emulator, company: str) -> None:
    """The key is still good."""
    key = str(uuid.uuid4())
    emulator.faults([{"on": CREATE, "do": "reset-before", "times": 1}])
    with pytest.raises(requests.ConnectionError):
        post(emulator, company, key)

    assert post(emulator, company, key).status_code == 200
    assert rows(emulator, company) == 1


@pytest.mark.parametrize("do", ["status", "status-after-commit"])
def test_a_5xx_is_kept_for_its_key(emulator: Emulator, company: str, do: str) -> None:
    """For 90 minutes the key answers nothing else; then it is free."""
    key = str(uuid.uuid4())
    emulator.faults([{"on": CREATE, "do": do, "status": 500, "times": 1}])

    assert [post(emulator, company, key).status_code for _ in range(2)] == [500, 500]
    before = rows(emulator, company)
    emulator.knobs({"clockAheadSeconds": 90 * 60 - 30})
    assert post(emulator, company, key).status_code == 500
    emulator.knobs({"clockAheadSeconds": 90 * 60 + 1})
    assert post(emulator, company, key).status_code == 200
    assert rows(emulator, company) == before + 1


def test_a_429_is_not_kept(emulator: Emulator, company: str) -> None:
    """The same key, a moment later."""
    key = str(uuid.uuid4())
    emulator.faults([{"on": CREATE, "do": "status", "status": 429, "times": 1}])

    assert [post(emulator, company, key).status_code for _ in range(2)] == [429, 200]


def test_a_key_is_for_one_request(emulator: Emulator, company: str) -> None:
    """Another body is a 422; another tenant has its own keys."""
    key = str(uuid.uuid4())
    post(emulator, company, key)

    assert post(emulator, company, key, platform="suuo").status_code == 422
    assert rows(emulator, company) == 1


def test_a_key_in_progress_is_a_409(emulator: Emulator, company: str) -> None:
    """And with another body a 422; when the first is done its answer is given."""
    key = str(uuid.uuid4())
    emulator.faults([{"on": CREATE, "do": "delay", "seconds": 1, "times": 1}])
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(post(emulator, company, key)))
    thread.start()
    time.sleep(0.3)

    assert post(emulator, company, key).status_code == 409
    assert post(emulator, company, key, platform="suuo").status_code == 422
    thread.join()
    assert post(emulator, company, key).json() == answers[0].json()
    assert rows(emulator, company) == 1


def test_unlinking_takes_a_key_too(emulator: Emulator, company: str) -> None:
    """A second unlink of the same key is the kept 200, not a refusal."""
    connection = emulator.connect(company, "gbol")["id"]
    path = f"{emulator.url}/companies/{company}/connections/{connection}"
    headers = {"Authorization": emulator.authorization, "Idempotency-Key": str(uuid.uuid4())}

    statuses = [
        requests.patch(path, json={"status": "Unlinked"}, headers=headers, timeout=10).status_code
        for _ in range(2)
    ]

    assert statuses == [200, 200]
