"""What Codat leaves open: each knob of the emulator, in each of its positions."""

from __future__ import annotations

import re
import time
import uuid
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from codat_iac.emulator import KNOBS, Emulator, serving
from codat_iac.emulator.store import Store
from codat_iac.emulator.tenant.tenant import Company, Tenant

NOWHERE = str(uuid.UUID(int=0))


def ask(emulator: Emulator, method: str, path: str, **options: Any) -> requests.Response:
    """Codat's answer."""
    headers = {"Authorization": emulator.authorization, **options.pop("headers", {})}
    return requests.request(method, emulator.url + path, headers=headers, timeout=10, **options)


def post(emulator: Emulator, company: str, key: str = "gbol", **options: Any) -> requests.Response:
    """Codat's answer to a create."""
    return ask(emulator, "POST", f"/companies/{company}/connections", json={"platformKey": key}, **options)


def unlink(emulator: Emulator, company: str, connection: str) -> requests.Response:
    """Codat's answer to an unlink."""
    return ask(
        emulator, "PATCH", f"/companies/{company}/connections/{connection}", json={"status": "Unlinked"}
    )


# The table


def test_every_knob_is_tested_here() -> None:
    """A knob without a test would be a promise without proof."""
    text = Path(__file__).read_text()

    assert [name for name in KNOBS if f'"{name}"' not in text] == []


def test_knobs_are_served_with_their_meaning(emulator: Emulator) -> None:
    """Name, value, default, what is possible, what it is for."""
    served = requests.get(f"{emulator.url}/_emulator/knobs", timeout=10).json()["knobs"]

    assert [each["name"] for each in served] == list(KNOBS)
    by_name = {each["name"]: each for each in served}
    assert by_name["deleteTwice"] == {
        "name": "deleteTwice",
        "value": 404,
        "default": 404,
        "values": "404, 200",
        "text": "Deleting a connection that was deleted already.",
    }
    assert by_name["unknownFields"]["values"] == "false, true"
    assert by_name["dailyQuota"]["values"] == "a whole number from 0 to 1,000,000,000, or null"
    assert by_name["readLagSeconds"]["values"] == "a number from 0 to 600"


def test_setting_one_leaves_the_others(emulator: Emulator) -> None:
    """Both values hold."""
    emulator.knobs({"deleteTwice": 200})

    assert emulator.knobs({"emptyTags": "remove"})["deleteTwice"] == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nothing": 1}, "there is no knob 'nothing'; there are: unknownPlatform"),
        ({"deleteTwice": 500}, "deleteTwice can't be 500; it can be: 404, 200"),
        ({"deleteTwice": "404"}, "deleteTwice can't be '404'"),
        ({"unknownFields": 1}, "unknownFields can't be 1; it can be: false, true"),
        ({"dailyQuota": True}, "dailyQuota can't be True"),
        ({"dailyQuota": 1.5}, "dailyQuota can't be 1.5; it can be: a whole number"),
        ({"readLagSeconds": -1}, "readLagSeconds can't be -1"),
        ({"readLagSeconds": None}, "readLagSeconds can't be None"),
        ({"deleteTwice": 200, "emptyTags": 1}, "emptyTags can't be 1"),
        ([], "knobs are an object"),
    ],
)
def test_a_wrong_knob_is_refused(emulator: Emulator, changes: Any, words: str) -> None:
    """With what would have been right, and nothing is set."""
    answer = requests.post(f"{emulator.url}/_emulator/knobs", json=changes, timeout=10)

    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert emulator.knobs()["deleteTwice"] == 404


# Create


@pytest.mark.parametrize("status", [400, 404])
def test_unknown_platform(emulator: Emulator, company: str, status: int) -> None:
    """A key that no integration has."""
    emulator.knobs({"unknownPlatform": status})

    assert post(emulator, company, "zzzz").status_code == status


@pytest.mark.parametrize("status", [400, 404, 200])
def test_disabled_platform(emulator: Emulator, company: str, status: int) -> None:
    """A retired one."""
    emulator.knobs({"disabledPlatform": status})

    assert post(emulator, company, "dfxm").status_code == status


def test_second_accounting(emulator: Emulator, company: str) -> None:
    """Accepted, or refused while the first isn't Unlinked; banking is never refused."""
    first = emulator.connect(company, "gbol")["id"]
    assert post(emulator, company, "qhyg").status_code == 200

    emulator.knobs({"secondAccounting": "reject"})

    assert post(emulator, company, "qhyg").status_code == 400
    assert post(emulator, company, "suuo").status_code == 200
    assert post(emulator, company, "suuo").status_code == 200
    other = str(emulator.add_company("Other")["id"])
    first = emulator.connect(other, "gbol")["id"]
    assert post(emulator, other, "gbol").status_code == 400
    unlink(emulator, other, first)
    assert post(emulator, other, "gbol").status_code == 200


@pytest.mark.parametrize(
    ("how", "made", "got"),
    [("present", True, True), ("absent", False, False), ("absent-on-create", False, True)],
)
def test_integration_key(emulator: Emulator, company: str, how: str, made: bool, got: bool) -> None:
    """Optional since April 2026."""
    emulator.knobs({"integrationKey": how})

    answer = post(emulator, company).json()

    assert ("integrationKey" in answer) is made
    path = f"/companies/{company}/connections/{answer['id']}"
    assert ("integrationKey" in ask(emulator, "GET", path).json()) is got


# Unlink and delete


@pytest.mark.parametrize("status", [400, 404, 200])
def test_pending_unlink(emulator: Emulator, company: str, status: int) -> None:
    """Whatever is answered, it stays PendingAuth."""
    emulator.knobs({"pendingUnlink": status})
    connection = post(emulator, company).json()["id"]

    assert unlink(emulator, company, connection).status_code == status
    path = f"/companies/{company}/connections/{connection}"
    assert ask(emulator, "GET", path).json()["status"] == "PendingAuth"


@pytest.mark.parametrize("status", [400, 404, 200])
def test_unlinked_unlink(emulator: Emulator, company: str, status: int) -> None:
    """Once more."""
    emulator.knobs({"unlinkedUnlink": status})
    connection = emulator.connect(company, "gbol", "Unlinked")["id"]

    assert unlink(emulator, company, connection).status_code == status


@pytest.mark.parametrize(("how", "status"), [("allow", 200), ("refuse", 400)])
def test_deauthorised_unlink(emulator: Emulator, company: str, how: str, status: int) -> None:
    """Codat's documents disagree."""
    emulator.knobs({"deauthorisedUnlink": how})
    connection = emulator.connect(company, "gbol", "Deauthorized")["id"]

    assert unlink(emulator, company, connection).status_code == status
    path = f"/companies/{company}/connections/{connection}"
    after = "Unlinked" if status == 200 else "Deauthorized"
    assert ask(emulator, "GET", path).json()["status"] == after


@pytest.mark.parametrize("status", [404, 200])
def test_delete_twice(emulator: Emulator, company: str, status: int) -> None:
    """Only of one that was there: what never was is a 404 in any case."""
    emulator.knobs({"deleteTwice": status})
    path = f"/companies/{company}/connections/{post(emulator, company).json()['id']}"

    assert ask(emulator, "DELETE", path).status_code == 200
    assert ask(emulator, "DELETE", path).status_code == status
    assert ask(emulator, "DELETE", f"/companies/{company}/connections/{NOWHERE}").status_code == 404


@pytest.mark.parametrize(("how", "body"), [("empty", b""), ("true", b"true")])
def test_delete_body(emulator: Emulator, company: str, how: str, body: bytes) -> None:
    """Codat's server contract of 2021 had a bool."""
    emulator.knobs({"deleteBody": how})
    path = f"/companies/{company}/connections/{post(emulator, company).json()['id']}"

    assert ask(emulator, "DELETE", path).content == body


# Not found


@pytest.mark.parametrize("status", [400, 404])
def test_malformed_id(emulator: Emulator, company: str, status: int) -> None:
    """In either place of the path."""
    emulator.knobs({"malformedId": status})

    assert ask(emulator, "GET", "/companies/acme").status_code == status
    assert ask(emulator, "GET", f"/companies/{company}/connections/ledger").status_code == status


@pytest.mark.parametrize(
    ("service", "text"),
    [("ClientsApi", "No company was found with ID {}"), ("PublicApi", "Company {} not found")],
)
def test_unknown_company(emulator: Emulator, service: str, text: str) -> None:
    """The service and its words."""
    emulator.knobs({"unknownCompany": service})

    body = ask(emulator, "GET", f"/companies/{NOWHERE}/connections").json()

    assert (body["service"], body["error"]) == (service, text.format(NOWHERE))
    assert ask(emulator, "GET", f"/companies/{NOWHERE}").json()["service"] == "ClientsApi"


@pytest.mark.parametrize("status", [404, 403])
def test_foreign_company(emulator: Emulator, status: int) -> None:
    """Another tenant's; one that nobody has is a 404 in any case."""
    theirs = emulator.add_company("Theirs", tenant="other")["id"]
    emulator.knobs({"foreignCompany": status})

    assert ask(emulator, "GET", f"/companies/{theirs}").status_code == status
    assert ask(emulator, "GET", f"/companies/{NOWHERE}").status_code == 404


# Lists


@pytest.mark.parametrize("status", [200, 400, 404])
def test_page_beyond_end(emulator: Emulator, company: str, status: int) -> None:
    """The first page is never beyond the end."""
    emulator.knobs({"pageBeyondEnd": status})

    answer = ask(emulator, "GET", "/companies", params={"page": 2, "pageSize": 1})

    assert answer.status_code == status
    assert answer.json().get("results", []) == []
    assert ask(emulator, "GET", f"/companies/{company}/connections").status_code == 200


@pytest.mark.parametrize(("status", "size"), [(400, None), (200, 100)])
def test_page_below_one(emulator: Emulator, status: int, size: int | None) -> None:
    """Refused, or as if it weren't there."""
    emulator.knobs({"pageBelowOne": status})

    answer = ask(emulator, "GET", "/companies", params={"page": 0, "pageSize": -1})

    assert (answer.status_code, answer.json().get("pageSize")) == (status, size)


@pytest.mark.parametrize("most", [1, 2000])
def test_page_size_most(emulator: Emulator, most: int) -> None:
    """More may be asked for; the answer tells how many a page has."""
    emulator.knobs({"pageSizeMost": most})

    page = ask(emulator, "GET", "/companies", params={"pageSize": 5000}).json()

    assert page["pageSize"] == most
    assert page["_links"]["current"]["href"] == f"/companies?pageSize={most}&page=1"


@pytest.mark.parametrize(("how", "status"), [("clamp", 200), ("reject", 400)])
def test_page_size_above_most(emulator: Emulator, how: str, status: int) -> None:
    """One more than the most."""
    emulator.knobs({"pageSizeAboveMost": how})

    assert ask(emulator, "GET", "/companies", params={"pageSize": 2001}).status_code == status
    assert ask(emulator, "GET", "/companies", params={"pageSize": 2000}).status_code == 200


def test_default_order() -> None:
    """By age, either way, or by id."""
    with serving(companies=5) as emulator:

        def ids(order: str) -> list[str]:
            emulator.knobs({"defaultOrder": order})
            return [each["id"] for each in ask(emulator, "GET", "/companies").json()["results"]]

        first = ids("created")

        assert ids("-created") == first[::-1]
        assert ids("id") == sorted(first)


@pytest.mark.parametrize("name", ["query", "orderBy"])
def test_filters_can_be_ignored_or_refused(emulator: Emulator, company: str, name: str) -> None:
    """Codat's documents say both that lists of connections take them and that they don't."""
    for key in ("gbol", "suuo"):
        post(emulator, company, key)
    path = f"/companies/{company}/connections"
    params = {"page": 1, "pageSize": 10, name: {"query": "integrationKey=suuo", "orderBy": "-created"}[name]}

    def keys() -> list[str]:
        return [
            each["integrationKey"] for each in ask(emulator, "GET", path, params=params).json()["results"]
        ]

    assert keys()[0] == "suuo"
    emulator.knobs({name: "ignore"})
    assert keys() == ["gbol", "suuo"]
    emulator.knobs({name: "reject"})
    assert ask(emulator, "GET", path, params=params).status_code == 400
    assert ask(emulator, "GET", path).status_code == 200


def test_row_shift() -> None:
    """Rows move between pages, so a client that trusts one round misses some and sees others twice."""
    with serving(companies=20) as emulator:

        def walk() -> list[str]:
            pages = [ask(emulator, "GET", f"/companies?page={n}&pageSize=5").json() for n in range(1, 5)]
            assert {page["totalResults"] for page in pages} == {20}
            return [each["id"] for page in pages for each in page["results"]]

        assert len(set(walk())) == 20
        emulator.knobs({"rowShift": 2})
        shifted = walk()

    assert len(shifted) == 20
    assert len(set(shifted)) < 20


def test_read_lag_seconds(emulator: Emulator, company: str) -> None:
    """Lists show what was; a connection's own GET what is. After the lag all agree."""
    kept = post(emulator, company).json()["id"]
    gone = post(emulator, company).json()["id"]
    emulator.knobs({"readLagSeconds": 300.5, "clockAheadSeconds": 301})
    path = f"/companies/{company}/connections"
    new = post(emulator, company, "suuo").json()["id"]
    late = emulator.add_company("Late")["id"]
    emulator.connect(late, "gbol")
    emulator.authorise(kept)
    ask(emulator, "DELETE", f"{path}/{gone}")

    def listed() -> list[tuple[str, str]]:
        return [(each["id"], each["status"]) for each in ask(emulator, "GET", path).json()["results"]]

    def inline() -> list[str]:
        found = ask(emulator, "GET", "/companies").json()["results"]
        assert (
            ask(emulator, "GET", f"/companies/{company}").json()["dataConnections"]
            == found[0]["dataConnections"]
        )
        return [each["id"] for each in found[0]["dataConnections"]]

    assert listed() == [(kept, "PendingAuth"), (gone, "PendingAuth")]
    assert inline() == [kept, gone]
    assert ask(emulator, "GET", f"/companies/{late}").json()["dataConnections"] == []
    assert ask(emulator, "GET", f"/companies/{late}/connections").json()["results"] == []
    assert ask(emulator, "GET", f"{path}/{new}").status_code == 200
    assert ask(emulator, "GET", f"{path}/{gone}").status_code == 404
    emulator.knobs({"clockAheadSeconds": 602})
    assert listed() == [(kept, "Linked"), (new, "PendingAuth")]
    assert inline() == [kept, new]


def test_read_lag_shows_a_deleted_company(emulator: Emulator, company: str) -> None:
    """In the list; its own GET knows better."""
    emulator.knobs({"readLagSeconds": 300, "clockAheadSeconds": 301})
    emulator.delete_company(company)

    assert [each["id"] for each in ask(emulator, "GET", "/companies").json()["results"]] == [company]
    assert ask(emulator, "GET", f"/companies/{company}").status_code == 404


def test_what_is_older_than_the_longest_lag_is_forgotten() -> None:
    """The past doesn't pile up."""
    tenant = Tenant("main", Store())
    for now in (0.0, 500.0, 700.0):
        tenant.put(Company("1", f"Acme at {now}", now), now)

    assert tenant.as_of(100.0)["1"].name == "Acme at 0.0"
    assert "1" in tenant.as_of(-1.0)


def test_the_longest_lag_shows_what_was(emulator: Emulator, company: str) -> None:
    """As it stood ten minutes ago."""
    emulator.knobs({"clockAheadSeconds": 601})
    post(emulator, company)
    emulator.knobs({"readLagSeconds": 600, "clockAheadSeconds": 602})

    assert [each["id"] for each in ask(emulator, "GET", "/companies").json()["results"]] == [company]


# Objects


@pytest.mark.parametrize("how", ["absent", "null"])
def test_empty_fields(emulator: Emulator, company: str, how: str) -> None:
    """What has nothing to say is left out, or null."""
    emulator.knobs({"emptyFields": how})

    made = post(emulator, company).json()

    fields = ("lastSync", "dataConnectionErrors", "connectionInfo")
    assert [made.get(name, "none") for name in fields] == [None if how == "null" else "none"] * 3
    assert ("description" in ask(emulator, "GET", f"/companies/{company}").json()) is (how == "null")


@pytest.mark.parametrize("there", [False, True])
def test_unknown_fields(emulator: Emulator, company: str, there: bool) -> None:
    """Codat adds fields without a notice."""
    emulator.knobs({"unknownFields": there})

    page = ask(emulator, "GET", "/companies").json()

    assert ("addedLater" in post(emulator, company).json()) is there
    assert ("addedLater" in page) is there
    assert ("addedLater" in page["results"][0]) is there


def test_inline_connections(emulator: Emulator, company: str) -> None:
    """Within a company: whole, without details, or left out. On their own: always whole."""
    emulator.connect(company, "gbol", "Deauthorized")

    def inline(how: str) -> Any:
        emulator.knobs({"inlineConnections": how})
        return ask(emulator, "GET", f"/companies/{company}").json().get("dataConnections")

    assert {"dataConnectionErrors", "connectionInfo"} <= set(inline("full")[0])
    assert {"dataConnectionErrors", "connectionInfo"}.isdisjoint(inline("sparse")[0])
    alone = ask(emulator, "GET", f"/companies/{company}/connections").json()["results"][0]
    assert "dataConnectionErrors" in alone
    assert inline("absent") is None


@pytest.mark.parametrize(("how", "after"), [("keep", {"a": "b"}), ("remove", {})])
def test_empty_tags(emulator: Emulator, how: str, after: dict[str, str]) -> None:
    """Codat's documents disagree; null is taken the same way, and no tags at all keep what is there."""
    emulator.knobs({"emptyTags": how})
    company = ask(emulator, "POST", "/companies", json={"name": "A", "tags": {"a": "b"}}).json()["id"]

    assert ask(emulator, "PATCH", f"/companies/{company}", json={"name": "B"}).json()["tags"] == {"a": "b"}
    assert ask(emulator, "PATCH", f"/companies/{company}", json={"tags": {}}).json()["tags"] == after


def test_link_url_otp(emulator: Emulator, company: str) -> None:
    """None, the same at each read, or a new one at each."""

    def links(key: str) -> tuple[str, str]:
        path = f"/companies/{company}/connections/{post(emulator, company, key).json()['id']}"
        first, second = (ask(emulator, "GET", path).json()["linkUrl"] for _ in range(2))
        return first, second

    def redirects() -> tuple[str, str]:
        first, second = (ask(emulator, "GET", f"/companies/{company}").json()["redirect"] for _ in range(2))
        return first, second

    emulator.knobs({"linkUrlOtp": "off"})
    assert links("gbol")[0].endswith("/start")
    assert redirects()[0].endswith(company)
    emulator.knobs({"linkUrlOtp": "fixed"})
    first, second = links("gbol")
    assert first == second
    assert len(set(links("hcws"))) == 2
    assert len(set(redirects())) == 1
    emulator.knobs({"linkUrlOtp": "rotating"})
    first, second = links("gbol")
    assert first != second
    assert first.partition("?")[0] == second.partition("?")[0]
    assert len(set(redirects())) == 2


# Limits


def test_limits_are_reported_on_every_answer(emulator: Emulator, company: str) -> None:
    """1,000 a day, and 1,000 more for each company with a Linked connection; errors carry them too."""
    headers = ask(emulator, "GET", f"/companies/{NOWHERE}").headers
    assert (headers["X-Rate-Limit-Limit"], headers["X-Rate-Limit-Remaining"]) == ("1000", "999")
    assert int(headers["X-Rate-Limit-Reset"]) % 86_400 == 0

    linked = emulator.connect(company, "gbol")["id"]
    headers = ask(emulator, "GET", "/companies").headers
    assert (headers["X-Rate-Limit-Limit"], headers["X-Rate-Limit-Remaining"]) == ("2000", "1998")
    emulator.connect(company, "gbol")
    assert ask(emulator, "GET", "/companies").headers["X-Rate-Limit-Limit"] == "2000"
    emulator.delete_company(company)
    assert ask(emulator, "GET", "/companies").headers["X-Rate-Limit-Limit"] == "1000"
    assert linked


@pytest.mark.parametrize(
    ("how", "pattern"),
    [
        ("unix", r"\d{10}"),
        ("iso", r"\d{4}-\d\d-\d\dT00:00:00\.0000000Z"),
        ("http-date", r"\w{3}, .* 00:00:00 GMT"),
    ],
)
def test_rate_limit_reset_format(emulator: Emulator, how: str, pattern: str) -> None:
    """Codat calls it the date when the quota will be reset, and says no more."""
    emulator.knobs({"rateLimitResetFormat": how})

    assert re.fullmatch(pattern, ask(emulator, "GET", "/companies").headers["X-Rate-Limit-Reset"])


@pytest.mark.parametrize("how", ["seconds", "http-date"])
def test_daily_quota_and_retry_after_format(emulator: Emulator, how: str) -> None:
    """Used up until 00:00 UTC; then it starts anew. The other tenant has its own."""
    emulator.knobs({"dailyQuota": 1, "retryAfterFormat": how})
    assert ask(emulator, "GET", "/companies").status_code == 200

    refused = ask(emulator, "GET", "/companies")

    assert refused.status_code == 429
    assert refused.json()["error"].startswith("You have made too many requests")
    assert (refused.headers["X-Rate-Limit-Limit"], refused.headers["X-Rate-Limit-Remaining"]) == ("1", "0")
    midnight = int(refused.headers["X-Rate-Limit-Reset"])
    wait = refused.headers["Retry-After"]
    until = time.time() + int(wait) if how == "seconds" else parsedate_to_datetime(wait).timestamp()
    assert abs(until - midnight) <= 2
    emulator.knobs({"clockAheadSeconds": 86_400})
    assert ask(emulator, "GET", "/companies").status_code == 200


def test_requests_per_minute(emulator: Emulator) -> None:
    """A sliding window; who waits as long as told gets in."""
    emulator.knobs({"requestsPerMinute": 3})
    assert [ask(emulator, "GET", "/companies").status_code for _ in range(3)] == [200] * 3

    refused = [ask(emulator, "GET", "/companies") for _ in range(2)]

    assert [each.status_code for each in refused] == [429] * 2
    wait = int(refused[-1].headers["Retry-After"])
    assert 55 < wait <= 60
    emulator.knobs({"clockAheadSeconds": wait})
    assert ask(emulator, "GET", "/companies").status_code == 200
    assert emulator.requests()["peaks"]["perMinute"] == 4


def test_concurrent_per_company_and_latency_seconds(emulator: Emulator, company: str) -> None:
    """Two at a time for one company; others aren't minded. Every answer takes its time."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - here alone

    other = emulator.add_company("Other")["id"]
    emulator.knobs({"concurrentPerCompany": 2, "latencySeconds": 0.5})
    paths = [f"/companies/{company}/connections"] * 3 + [f"/companies/{other}/connections"]
    start = time.perf_counter()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda path: ask(emulator, "GET", path), paths))

    assert time.perf_counter() - start >= 0.5
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "1"
    assert emulator.requests()["peaks"]["concurrentPerCompany"] == 3
    emulator.knobs({"latencySeconds": 0})
    assert ask(emulator, "GET", paths[0]).status_code == 200


@pytest.mark.parametrize(("how", "rows"), [("honour", 1), ("ignore", 2)])
def test_idempotency(emulator: Emulator, company: str, how: str, rows: int) -> None:
    """The same key twice: one row, or two."""
    emulator.knobs({"idempotency": how})
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    first, second = (post(emulator, company, headers=headers) for _ in range(2))

    assert (first.json() == second.json()) is (rows == 1)
    assert ask(emulator, "GET", f"/companies/{company}/connections").json()["totalResults"] == rows
