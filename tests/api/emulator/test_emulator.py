"""The emulator's Codat: the five connection operations, companies, integrations, keys, lists, the log."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import pytest
import requests

from codat_iac.emulator import DEFAULT_API_KEY, Emulator, run, serving
from codat_iac.model.errors import ConfigError

NOWHERE = str(uuid.UUID(int=0))
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")


def ask(
    emulator: Emulator, method: str, path: str, key: str | None = None, **options: Any
) -> requests.Response:
    """Codat's answer to a request with a key."""
    header = emulator.authorization if key is None else f"Basic {base64.b64encode(key.encode()).decode()}"
    return requests.request(
        method, emulator.url + path, headers={"Authorization": header}, timeout=10, **options
    )


def create(emulator: Emulator, company: str, key: str = "gbol") -> Any:
    """A new connection."""
    answer = ask(emulator, "POST", f"/companies/{company}/connections", json={"platformKey": key})
    assert answer.status_code == 200
    return answer.json()


def refusal(answer: requests.Response) -> tuple[int, str, str]:
    """Status, service and text of an ErrorMessage, which must be whole."""
    body = answer.json()
    assert set(body) == {
        "statusCode",
        "service",
        "error",
        "correlationId",
        "validation",
        "canBeRetried",
        "detailedErrorCode",
    }
    return answer.status_code, body["service"], body["error"]


# The five operations


def test_a_new_connection_waits_for_its_customer(emulator: Emulator, company: str) -> None:
    """Create answers exactly 200, PendingAuth, with a link on the emulator itself."""
    made = create(emulator, company)

    assert made["status"] == "PendingAuth"
    assert made["integrationKey"] == "gbol"
    assert (made["platformName"], made["sourceType"]) == ("Xero", "Accounting")
    assert made["linkUrl"].startswith(
        f"{emulator.url}/companies/{company}/connections/{made['id']}/start?otp="
    )
    assert STAMP.fullmatch(made["created"])
    assert {"lastSync", "dataConnectionErrors", "connectionInfo"}.isdisjoint(made)


def test_every_post_makes_another_row(emulator: Emulator, company: str) -> None:
    """Codat never dedupes."""
    first, second = create(emulator, company), create(emulator, company)

    listed = ask(emulator, "GET", f"/companies/{company}/connections").json()

    assert [each["id"] for each in listed["results"]] == [first["id"], second["id"]]


def test_get_shows_the_connection(emulator: Emulator, company: str) -> None:
    """GET answers what create answered; ids are taken in either case."""
    made = create(emulator, company)

    answer = ask(emulator, "GET", f"/companies/{company.upper()}/connections/{made['id'].upper()}")

    assert answer.status_code == 200
    assert answer.json() == made


def test_unlink_needs_the_exact_word(emulator: Emulator, company: str) -> None:
    """Only `Unlinked` in that spelling unlinks; everything else is a 400 and changes nothing."""
    path = f"/companies/{company}/connections/{emulator.connect(company, 'gbol')['id']}"

    bodies: list[Any] = [{"status": "unlinked"}, {"status": "Linked"}, {}, [], "Unlinked", {"status": None}]
    assert {ask(emulator, "PATCH", path, json=body).status_code for body in bodies} == {400}
    assert ask(emulator, "GET", path).json()["status"] == "Linked"

    answer = ask(emulator, "PATCH", path, json={"status": "Unlinked"})

    assert (answer.status_code, answer.json()["status"]) == (200, "Unlinked")
    assert ask(emulator, "GET", path).json()["status"] == "Unlinked"


def test_unlink_takes_a_status_that_nobody_knows(emulator: Emulator, company: str) -> None:
    """A client meets statuses beyond the four; the emulator holds them like any other."""
    path = f"/companies/{company}/connections/{emulator.connect(company, 'gbol', 'Paused')['id']}"

    assert ask(emulator, "GET", path).json()["status"] == "Paused"
    assert ask(emulator, "PATCH", path, json={"status": "Unlinked"}).status_code == 200


def test_a_deleted_connection_is_gone_everywhere(emulator: Emulator, company: str) -> None:
    """200 without a body; then neither listed nor found, and a second DELETE is a 404."""
    path = f"/companies/{company}/connections/{create(emulator, company)['id']}"

    answer = ask(emulator, "DELETE", path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert ask(emulator, "GET", path).status_code == 404
    assert ask(emulator, "DELETE", path).status_code == 404
    assert ask(emulator, "GET", f"/companies/{company}/connections").json()["totalResults"] == 0
    assert ask(emulator, "GET", f"/companies/{company}").json()["dataConnections"] == []


def test_a_connection_of_another_company_is_not_found(emulator: Emulator, company: str) -> None:
    """The path's company counts."""
    other = emulator.add_company("Other")["id"]
    made = create(emulator, company)

    assert ask(emulator, "GET", f"/companies/{other}/connections/{made['id']}").status_code == 404


def test_errors_have_codats_bodies(emulator: Emulator, company: str) -> None:
    """Texts and services as in Codat's examples."""
    missing = f"/companies/{company}/connections/{NOWHERE}"

    assert refusal(ask(emulator, "GET", missing)) == (
        404,
        "PublicApi",
        f"Data connection {NOWHERE} not found",
    )
    assert refusal(ask(emulator, "GET", f"/companies/{NOWHERE}/connections")) == (
        404,
        "ClientsApi",
        f"No company was found with ID {NOWHERE}",
    )
    assert refusal(ask(emulator, "GET", "/connectionManagement/corsSettings")) == (
        404,
        "PublicApi",
        "NotFound",
    )
    assert refusal(ask(emulator, "PUT", missing)) == (405, "PublicApi", "Method Not Allowed")
    assert ask(emulator, "HEAD", missing).status_code == 405


@pytest.mark.parametrize("body", ["gbol", ["gbol"], None, 7])
def test_create_wants_an_object(emulator: Emulator, company: str, body: Any) -> None:
    """Since 2023 a bare string is a 400, with the keys that no document lists."""
    answer = ask(emulator, "POST", f"/companies/{company}/connections", json=body)

    assert refusal(answer) == (400, "PublicApi", "Push object DataConnectionArgs must be provided")
    assert "_internals" in answer.json()["validation"]


@pytest.mark.parametrize("key", ["", "TOOLONG", "GBOL", "gbo1", None, 7])
def test_create_wants_a_platform_key(emulator: Emulator, company: str, key: Any) -> None:
    """Four lowercase letters."""
    answer = ask(emulator, "POST", f"/companies/{company}/connections", json={"platformKey": key})

    assert refusal(answer) == (400, "PublicApi", "Error processing request - not valid.")


def test_create_without_json_is_refused(emulator: Emulator, company: str) -> None:
    """A body that isn't JSON is no object either, nor is one that is nested out of all reason."""
    for body in ("{", "[" * 100_000):
        assert ask(emulator, "POST", f"/companies/{company}/connections", data=body).status_code == 400


# Keys


def test_only_the_bare_key_in_base64_is_let_in(emulator: Emulator) -> None:
    """`key:` as an ordinary Basic helper sends it, another key, none: 401."""
    assert emulator.api_key == DEFAULT_API_KEY
    assert ask(emulator, "GET", "/companies").status_code == 200
    for key in (f"{emulator.api_key}:", f":{emulator.api_key}", "other"):
        assert refusal(ask(emulator, "GET", "/companies", key=key)) == (401, "PublicApi", "Unauthorized")
    assert requests.get(f"{emulator.url}/companies", timeout=10).status_code == 401


def test_another_tenants_key_sees_nothing_of_the_first(emulator: Emulator, company: str) -> None:
    """Its lists are empty, and the first one's company is a 404."""
    emulator.add_key("another-key", tenant="other")
    theirs = emulator.add_company("Theirs", tenant="other")["id"]

    listed = ask(emulator, "GET", "/companies", key="another-key").json()["results"]

    assert [each["id"] for each in listed] == [theirs]
    assert ask(emulator, "GET", f"/companies/{company}/connections", key="another-key").status_code == 404
    assert ask(emulator, "GET", f"/companies/{theirs}").status_code == 404


def test_an_outdated_key_is_forbidden(emulator: Emulator, company: str) -> None:
    """A second key of the same tenant works until it is outdated."""
    emulator.add_key("second-key")
    assert ask(emulator, "GET", f"/companies/{company}", key="second-key").status_code == 200

    emulator.add_key("second-key", outdated=True)

    status, _, error = refusal(ask(emulator, "GET", f"/companies/{company}", key="second-key"))
    assert (status, error.startswith("You are using an outdated API key")) == (403, True)


# Companies


def test_a_company_is_made_changed_and_deleted(emulator: Emulator) -> None:
    """200 for all but DELETE, which is 204 and takes the connections along."""
    made = ask(emulator, "POST", "/companies", json={"name": "Company (Codat[1])", "tags": {"region": "uk"}})
    assert made.status_code == 200
    assert (made.json()["name"], made.json()["tags"]) == ("Company Codat1", {"region": "uk"})
    path = f"/companies/{made.json()['id']}"
    connection = create(emulator, made.json()["id"])["id"]

    patched = ask(emulator, "PATCH", path, json={"description": "Bakers"}).json()
    assert (patched["name"], patched["description"], patched["tags"]) == (
        "Company Codat1",
        "Bakers",
        {"region": "uk"},
    )
    assert ask(emulator, "PATCH", path, json={"name": "New", "tags": {"team": "a"}}).json()["tags"] == {
        "team": "a"
    }
    replaced = ask(emulator, "PUT", path, json={"name": "Other"}).json()
    assert (replaced["name"], replaced["tags"], "description" in replaced) == ("Other", {}, False)

    assert ask(emulator, "DELETE", path).status_code == 204
    assert ask(emulator, "GET", path).status_code == 404
    assert ask(emulator, "GET", f"{path}/connections/{connection}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"name": ""},
        {"name": "<>"},
        {"name": 1},
        {"name": "A", "description": 1},
        {"name": "A", "tags": []},
        {"name": "A", "tags": {str(number): "" for number in range(11)}},
        {"name": "A", "tags": {"k" * 28: "v"}},
        {"name": "A", "tags": {"": "v"}},
        {"name": "A", "tags": {"k": "v" * 101}},
        {"name": "A", "tags": {"k": 1}},
    ],
)
def test_a_wrong_company_is_refused(emulator: Emulator, body: Any) -> None:
    """Name, description and tags have Codat's limits."""
    assert refusal(ask(emulator, "POST", "/companies", json=body))[:2] == (400, "ClientsApi")


def test_companies_carry_their_connections_and_last_sync(emulator: Emulator, company: str) -> None:
    """GET /companies is a supported way to see all connections of a tenant."""
    first, second = emulator.connect(company, "gbol"), emulator.connect(company, "suuo")

    listed = ask(emulator, "GET", "/companies").json()["results"][0]

    assert listed["dataConnections"] == [first, second]
    assert listed["lastSync"] == second["lastSync"] != first["lastSync"]
    assert listed["redirect"].startswith(f"{emulator.url}/company/{company}?link.otp=")


# Integrations


def test_integrations_list_what_can_be_connected(emulator: Emulator) -> None:
    """All of Codat's platform keys; the retired ones are listed but disabled."""
    listed = ask(emulator, "GET", "/integrations", params={"pageSize": 100}).json()["results"]
    by_key = {each["key"]: each for each in listed}

    assert len(by_key) == 42
    assert by_key["gbol"]["name"] == "Xero"
    assert {key for key, each in by_key.items() if not each["enabled"]} == {"dfxm", "ldgh", "vjms"}
    assert len({each["integrationId"] for each in listed}) == 42
    assert ask(emulator, "GET", "/integrations/gbol").json() == by_key["gbol"]
    assert ask(emulator, "GET", "/integrations/zzzz").status_code == 404


def test_connections_carry_their_integrations_ids(emulator: Emulator, company: str) -> None:
    """So a client without `integrationKey` finds the platform."""
    made = create(emulator, company, "fztf")
    integration = ask(emulator, "GET", "/integrations/fztf").json()

    assert made["integrationId"] == integration["integrationId"]
    assert made["sourceId"] == integration["sourceId"]


# Lists


def test_pages_are_linked_relatively() -> None:
    """`self` without a query, the others with the request's own; `next` ends at the last page."""
    with serving(companies=5) as emulator:
        path = "/companies?query=name%21%3DNobody&page=1&pageSize=2"
        seen: list[str] = []
        pages = []
        while path:
            page = ask(emulator, "GET", path).json()
            seen += [each["id"] for each in page["results"]]
            pages.append(page)
            path = page["_links"].get("next", {}).get("href", "")

    assert len(set(seen)) == 5
    assert [len(page["results"]) for page in pages] == [2, 2, 1]
    assert [(page["pageNumber"], page["pageSize"], page["totalResults"]) for page in pages] == [
        (1, 2, 5),
        (2, 2, 5),
        (3, 2, 5),
    ]
    assert "previous" not in pages[0]["_links"]
    assert pages[1]["_links"] == {
        "self": {"href": "/companies"},
        "current": {"href": "/companies?query=name%21%3DNobody&page=2&pageSize=2"},
        "next": {"href": "/companies?query=name%21%3DNobody&page=3&pageSize=2"},
        "previous": {"href": "/companies?query=name%21%3DNobody&page=1&pageSize=2"},
    }


def test_a_full_last_page_has_no_next() -> None:
    """Two pages of two are all of four."""
    with serving(companies=4) as emulator:
        last = ask(emulator, "GET", "/companies?page=2&pageSize=2").json()

    assert len(last["results"]) == 2
    assert "next" not in last["_links"]


def test_a_list_asks_for_a_hundred_unless_told() -> None:
    """Codat's defaults: page 1 of 100."""
    with serving(companies=101) as emulator:
        page = ask(emulator, "GET", "/companies").json()

    assert (len(page["results"]), page["pageSize"]) == (100, 100)
    assert page["_links"]["next"] == {"href": "/companies?page=2&pageSize=100"}


@pytest.mark.parametrize("name", ["page", "pageSize"])
@pytest.mark.parametrize("value", ["0", "-1", "x", str(2**31)])
def test_a_wrong_page_is_refused(emulator: Emulator, name: str, value: str) -> None:
    """Both are int32 from 1."""
    assert ask(emulator, "GET", "/companies", params={name: value}).status_code == 400


def test_companies_are_found_by_query_tags_and_order(emulator: Emulator) -> None:
    """Also by what their connections are, as Codat's own guide asks."""
    ask(emulator, "POST", "/companies", json={"name": "Beta", "tags": {"region": "uk", "team": "a"}})
    ask(emulator, "POST", "/companies", json={"name": "Alpha", "tags": {"region": "uk"}})
    gamma = emulator.add_company("Gamma")["id"]
    emulator.connect(gamma, "fztf")
    create(emulator, gamma, "gbol")

    def names(**params: str) -> list[str]:
        found = ask(emulator, "GET", "/companies", params={"page": "1", "pageSize": "10", **params}).json()
        return [each["name"] for each in found["results"]]

    assert names(orderBy="name") == ["Alpha", "Beta", "Gamma"]
    assert names(orderBy="-name") == ["Gamma", "Beta", "Alpha"]
    assert names(query="dataConnections.platformName~shop") == ["Gamma"]
    assert names(query="dataConnections.status=PendingAuth") == ["Gamma"]
    assert names(query="dataConnections.status=Deauthorized") == []
    assert names(tags="region=uk") == ["Beta", "Alpha"]
    assert names(tags="region=uk && team=a") == ["Beta"]
    assert names(tags="region!=uk") == []
    assert ask(emulator, "GET", "/companies", params={"tags": "region>1"}).status_code == 400


def test_connections_are_found_by_query(emulator: Emulator, company: str) -> None:
    """`pageSize` is obligatory then, says Codat."""
    create(emulator, company, "suuo")
    wanted = emulator.connect(company, "gbol")["id"]
    path = f"/companies/{company}/connections"

    found = ask(emulator, "GET", path, params={"page": 1, "pageSize": 10, "query": "status=linked"}).json()

    assert ([each["id"] for each in found["results"]], found["totalResults"]) == ([wanted], 1)
    assert ask(emulator, "GET", path, params={"query": "status=Linked"}).status_code == 400
    assert refusal(ask(emulator, "GET", path, params={"pageSize": 10, "query": "isCompleted=1"})) == (
        400,
        "ClientsApi",
        "Error parsing query - Could not resolve property isCompleted on Dataset",
    )
    assert ask(emulator, "GET", path, params={"orderBy": "-modifiedDate"}).status_code == 400


def test_integrations_are_found_as_the_auth_guide_asks(emulator: Emulator) -> None:
    """Lowercase values, and a boolean."""
    found = ask(
        emulator,
        "GET",
        "/integrations",
        params={"page": 1, "pageSize": 100, "query": "sourceType=accounting&&enabled=true"},
    ).json()

    assert found["totalResults"] == 20
    assert {each["sourceType"] for each in found["results"]} == {"Accounting"}


# The customer


def test_the_customer_authorises_revokes_and_authorises_again(emulator: Emulator, company: str) -> None:
    """Always under the same id; a Deauthorized one says why, and a repaired one that it was resolved."""
    made = create(emulator, company)

    linked = emulator.authorise(made["id"])
    assert (linked["status"], linked["id"]) == ("Linked", made["id"])
    assert STAMP.fullmatch(linked["lastSync"])
    assert linked["connectionInfo"]

    revoked = emulator.revoke(made["id"])
    assert revoked["status"] == "Deauthorized"
    error = revoked["dataConnectionErrors"][0]
    assert (error["statusCode"], error["status"]) == ("401", "Active")
    assert error["errorMessage"] == "The customer revoked access at Xero."

    again = emulator.authorise(made["id"])
    assert again["status"] == "Linked"
    assert again["dataConnectionErrors"][0]["status"] == "Resolved"
    assert STAMP.fullmatch(again["dataConnectionErrors"][0]["resolvedOnUtc"])


def test_the_customer_fails_disconnects_and_deletes(emulator: Emulator, company: str) -> None:
    """A failed attempt leaves PendingAuth; the Portal unlinks and deletes."""
    made = create(emulator, company)

    failed = emulator.fail(made["id"])
    assert (failed["status"], len(failed["dataConnectionErrors"])) == ("PendingAuth", 1)

    emulator.authorise(made["id"])
    assert emulator.unlink(made["id"])["status"] == "Unlinked"
    emulator.delete_connection(made["id"])
    assert ask(emulator, "GET", f"/companies/{company}/connections/{made['id']}").status_code == 404
    emulator.delete_company(company)
    assert ask(emulator, "GET", f"/companies/{company}").status_code == 404


def test_a_customer_connects_on_their_own(emulator: Emulator, company: str) -> None:
    """Linked unless told; a Deauthorized one has its cause."""
    assert emulator.connect(company, "gbol")["status"] == "Linked"
    assert emulator.connect(company, "suuo", "PendingAuth")["status"] == "PendingAuth"
    assert emulator.connect(company, "suuo", "Deauthorized")["dataConnectionErrors"]


def test_what_the_customer_cannot_do_is_said(emulator: Emulator, company: str) -> None:
    """Over the handle a ValueError, over HTTP a 400 or 404, in the same words."""
    made = create(emulator, company)
    with pytest.raises(ValueError, match="is PendingAuth; this needs Linked"):
        emulator.revoke(made["id"])
    with pytest.raises(ValueError, match="is PendingAuth; this needs Linked or Deauthorized"):
        emulator.unlink(made["id"])
    with pytest.raises(ValueError, match="there is no connection"):
        emulator.authorise(NOWHERE)
    with pytest.raises(ValueError, match="there is no company"):
        emulator.connect(NOWHERE, "gbol")
    with pytest.raises(ValueError, match="there is no platform 'zzzz'"):
        emulator.connect(company, "zzzz")
    with pytest.raises(ValueError, match="`name` is needed"):
        emulator.add_company("")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "companies", [], 400, "the body is a JSON object"),
        ("POST", "companies", {}, 400, "`name` is needed"),
        ("POST", "companies", {"name": "A", "tenant": 1}, 400, "`tenant` is needed"),
        ("POST", "keys", {"apiKey": "k", "outdated": 1}, 400, "`outdated` is true or false"),
        ("DELETE", f"companies/{NOWHERE}", None, 404, "there is no company"),
        ("DELETE", f"connections/{NOWHERE}", None, 404, "there is no connection"),
        ("POST", "nothing", None, 404, "GET /_emulator/ lists them"),
        ("PUT", "knobs", None, 405, "Method Not Allowed"),
    ],
)
def test_a_wrong_control_request_says_what_is_wrong(
    emulator: Emulator, method: str, path: str, body: Any, status: int, words: str
) -> None:
    """Without a key, and clear."""
    answer = requests.request(method, f"{emulator.url}/_emulator/{path}", json=body, timeout=10)

    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_control_works_over_http(emulator: Emulator) -> None:
    """The same acts, for clients in other languages."""
    base = f"{emulator.url}/_emulator"
    company = requests.post(f"{base}/companies", json={"name": "Acme"}, timeout=10).json()["id"]
    connection = requests.post(
        f"{base}/companies/{company}/connections", json={"platformKey": "gbol"}, timeout=10
    ).json()["id"]

    assert (
        requests.post(f"{base}/connections/{connection}/revoke", timeout=10).json()["status"]
        == "Deauthorized"
    )
    assert requests.delete(f"{base}/connections/{connection}", timeout=10).json() == {"deleted": connection}
    assert requests.delete(f"{base}/companies/{company}", timeout=10).json() == {"deleted": company}


# The log


def test_requests_are_logged_without_secrets(emulator: Emulator, company: str) -> None:
    """What was asked and what came of it; never a key or a one-time password."""
    link = create(emulator, company)["linkUrl"]
    requests.get(link, timeout=10)
    ask(emulator, "GET", f"/companies/{company}/connections", params={"page": 1, "pageSize": 5})
    ask(emulator, "GET", "/companies", key="wrong")
    ask(emulator, "GET", "/nothing")

    log = emulator.requests()

    assert log["counts"] == {
        "create-connection": 1,
        "list-connections": 1,
        "list-companies": 1,
        "unknown": 1,
    }
    assert log["total"] == 4
    first, second, third, _ = log["requests"]
    assert STAMP.fullmatch(first.pop("time"))
    assert first == {
        "sequence": 1,
        "method": "POST",
        "path": f"/companies/{company}/connections",
        "query": "",
        "operation": "create-connection",
        "company": company,
        "idempotencyKey": None,
        "status": 200,
        "fault": None,
        "committed": True,
        "replayed": False,
    }
    assert (second["query"], second["committed"]) == ("page=1&pageSize=5", False)
    assert third["status"] == 401
    text = requests.get(f"{emulator.url}/_emulator/requests", timeout=10).text
    assert "otp" not in text
    assert emulator.authorization not in text

    emulator.clear_requests()

    assert emulator.requests() == {
        "total": 0,
        "counts": {},
        "peaks": {"perMinute": 0, "concurrentPerCompany": 0},
        "requests": [],
    }


def test_counts_are_at_hand(emulator: Emulator) -> None:
    """The number most tests ask for."""
    ask(emulator, "GET", "/companies")

    assert emulator.counts() == {"list-companies": 1}


def test_the_latest_requests_are_enough_for_some(emulator: Emulator) -> None:
    """The log grows long; the counts are whole in any case."""
    for number in range(3):
        ask(emulator, "GET", f"/companies?page={number + 1}")

    assert [each["query"] for each in emulator.requests(last=2)["requests"]] == ["page=2", "page=3"]
    assert emulator.requests(last=0)["requests"] == []
    assert len(emulator.requests(last=9)["requests"]) == 3
    assert emulator.requests(last=1)["total"] == 3
    answer = requests.get(f"{emulator.url}/_emulator/requests?last=x", timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, "`last` is a whole number")


def test_a_reset_while_a_request_is_under_way_harms_nobody(emulator: Emulator) -> None:
    """Its tenant is gone; it is answered all the same."""
    emulator.add_key("other-key", tenant="other")
    emulator.faults([{"on": "GET /companies", "do": "delay", "seconds": 0.3}])
    answers: list[requests.Response] = []
    thread = threading.Thread(
        target=lambda: answers.append(ask(emulator, "GET", "/companies", key="other-key"))
    )
    thread.start()
    time.sleep(0.1)

    emulator.reset()

    thread.join()
    assert answers[0].json()["results"] == []


def test_reset_starts_over() -> None:
    """The first companies are back, and nothing else."""
    with serving(companies=2, linked=True) as emulator:
        before = ask(emulator, "GET", "/companies").json()
        emulator.add_company("Acme")
        emulator.add_key("more")
        emulator.knobs({"deleteTwice": 200})
        emulator.faults([{"on": "* /**", "do": "status"}])
        ask(emulator, "GET", "/companies")

        emulator.reset()

        assert emulator.requests()["total"] == 0
        assert emulator.knobs()["deleteTwice"] == 404
        assert emulator.faults() == []
        assert ask(emulator, "GET", "/companies", key="more").status_code == 401
        after = ask(emulator, "GET", "/companies").json()

    def kept(page: Any) -> list[Any]:
        return [(each["id"], each["name"], each["dataConnections"][0]["id"]) for each in page["results"]]

    assert kept(after) == kept(before)


# Starting and stopping


def test_the_first_companies_are_the_same_every_time() -> None:
    """Ids come from a seed, names are distinct and Codat's own rule lets them through."""
    with (
        serving(companies=300, linked=True) as one,
        serving(companies=300, seed=1) as two,
        serving(companies=300) as three,
    ):
        first, second, third = (
            ask(each, "GET", "/companies?pageSize=300").json()["results"] for each in (one, two, three)
        )

    assert len({each["name"] for each in first}) == 300
    assert all(re.fullmatch(r"[A-Za-z0-9\s\-',&@.?!]+", each["name"]) for each in first)
    assert {each["dataConnections"][0]["status"] for each in first} == {"Linked"}
    assert not any(each["dataConnections"] for each in second)
    assert {each["id"] for each in first}.isdisjoint(each["id"] for each in second)
    assert [each["id"] for each in second] != [each["id"] for each in third]


def test_more_companies_than_names_are_numbered() -> None:
    """Names stay distinct beyond the product of the word lists."""
    with serving(companies=11_201) as emulator:
        page = ask(emulator, "GET", "/companies", params={"page": 6, "pageSize": 2000}).json()

    assert page["results"][-1]["name"] == "Alder Bakery Ltd 2"


def test_serving_listens_on_loopback_only_and_stops(emulator: Emulator) -> None:
    """127.0.0.1, on a port of its own; afterwards nothing listens there."""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", emulator.url)
    with serving() as other:
        port = int(other.url.rpartition(":")[2])
        assert other.url != emulator.url
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_serving_starts_and_stops_quickly() -> None:
    """Far under 100 ms, even with a request under way: every test of the project starts one."""
    start = time.perf_counter()
    for _ in range(10):
        with serving():
            pass

    assert time.perf_counter() - start < 1


def test_thousands_of_requests_are_served(emulator: Emulator, company: str) -> None:
    """Over many connections at once, each answered."""
    statuses: list[int] = []

    def work() -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = emulator.authorization
            path = f"{emulator.url}/companies/{company}/connections"
            statuses.extend(
                session.post(path, json={"platformKey": "suuo"}, timeout=30).status_code for _ in range(100)
            )

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 800
    assert ask(emulator, "GET", f"/companies/{company}/connections").json()["totalResults"] == 800


def test_a_port_in_use_is_said(emulator: Emulator) -> None:
    """One line, by `run` and by `serving`."""
    port = int(emulator.url.rpartition(":")[2])

    with pytest.raises(
        ConfigError, match=rf"^port {port} of 127\.0\.0\.1 is in use; give another port, or 0 for"
    ) as raised:
        run(port, "key")
    assert "\n" not in str(raised.value)
    with pytest.raises(ConfigError, match="is in use"), serving(port=port):
        pass


def test_a_port_that_may_not_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other refusal of the system, in its own words."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.create_server", refuse)
    with pytest.raises(ConfigError, match=r"can't listen on port 80 of 127\.0\.0\.1: Permission denied"):
        run(80, "key")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_until_a_signal(number: signal.Signals) -> None:
    """The URL is given when it listens; a signal ends it cleanly."""
    answers: list[int] = []

    def use(url: str) -> None:
        header = {"Authorization": f"Basic {base64.b64encode(b'key').decode()}"}
        answers.append(requests.get(f"{url}/companies", headers=header, timeout=10).json()["totalResults"])
        os.kill(os.getpid(), number)

    run(0, "key", companies=3, on_ready=lambda url: threading.Thread(target=use, args=(url,)).start())

    assert answers == [3]


def test_run_needs_nobody_to_tell() -> None:
    """Without `on_ready` it serves all the same."""
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()

    run(0, "key")


def test_the_package_alone_imports_aiohttp() -> None:
    """Everything else of codat-iac starts without it."""
    script = "import sys, codat_iac; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
