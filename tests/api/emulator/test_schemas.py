"""The emulator answers what Codat may answer, whatever Codat leaves open and whatever fails."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from codat_iac.emulator import KNOBS, Emulator
from tests.api.emulator.schemas import STATUSES, SUCCESS, complaints
from tests.api.emulator.wire import Answer, Wire
from tests.support.waiting import until

NOWHERE = str(uuid.UUID(int=0))
FULL = {"name": "Acme & Sons", "description": "Ours", "tags": {"region": "uk"}}

Asked = Iterator[tuple[str, Answer]]
"""What was asked, by Codat's name for it, and the answer."""


def ask_for_lists(wire: Wire, operation: str, path: str, name: str) -> Asked:
    """Ask for a list in all the ways in which it may be asked; *name* is a property of its rows."""
    for query in (
        {},
        {"page": 1, "pageSize": 1},
        {"page": 2, "pageSize": 1},
        {"page": 99, "pageSize": 100},
        {"page": 0},
        {"pageSize": "many"},
        {"pageSize": 2000},
        {"pageSize": 5000},
        {"pageSize": 5001},
        {"page": 1, "pageSize": 5, "query": f"{name}!=nothing&&{name}~a"},
        {"page": 1, "pageSize": 5, "query": "nothing=1"},
        {"page": 1, "pageSize": 5, "query": "{"},
        {"query": f"{name}=nothing"},
        {"orderBy": f"-{name}"},
        {"orderBy": "nothing"},
        {"tags": "region=uk"},
        {"tags": "region>uk"},
    ):
        yield operation, wire.ask("GET", path, query=query)


def ask_for_connections(wire: Wire, emulator: Emulator, company: str) -> Asked:
    """Ask for, make, unlink and delete connections, also those that can't be had."""
    path = f"/companies/{company}/connections"
    there = [emulator.connect(company, key, "Linked")["id"] for key in ("gbol", "suuo", "hcws", "fztf")]
    emulator.fail(there[1])
    emulator.revoke(there[1])
    emulator.authorise(there[1])
    emulator.revoke(there[2])
    emulator.unlink(there[3])
    for body in (
        {"platformKey": "suuo"},
        {"platformKey": "suuo"},
        {"platformKey": "gbol"},
        {"platformKey": "ldgh"},
        {"platformKey": "none"},
        {"platformKey": "Xero"},
        {},
        "suuo",
        None,
    ):
        answer = wire.ask("POST", path, body)
        there += [answer.json["id"]] if answer.status == 200 else []
        yield "create-connection", answer
    emulator.fail(there[-1])
    yield from ask_for_lists(wire, "list-connections", path, "platformName")
    for status in ("unlinked", *STATUSES):
        yield "unlink-connection", wire.ask("PATCH", f"{path}/{there[0]}", {"status": status})
    for which in (*there, there[0], NOWHERE, "nowhere"):
        one = f"{path}/{which}"
        yield "get-connection", wire.ask("GET", one)
        yield "unlink-connection", wire.ask("PATCH", one, {"status": "Unlinked"})
        yield "delete-connection", wire.ask("DELETE", one)


def ask_for_companies(wire: Wire) -> Asked:
    """Ask for, make, change and delete companies, also those that can't be had."""
    there = []
    new: tuple[object, ...] = (
        FULL,
        {"name": "Company (Codat[1])"},
        {"name": "()"},
        {"name": 1},
        {"description": "without a name"},
        {**FULL, "tags": {f"tag {number}": "" for number in range(11)}},
        {**FULL, "tags": {"": "nameless"}},
        ["Acme"],
        None,
    )
    for body in new:
        answer = wire.ask("POST", "/companies", body)
        there += [answer.json["id"]] if answer.status == 200 else []
        yield "create-company", answer
    yield from ask_for_lists(wire, "list-companies", "/companies", "name")
    company = next(iter(there), NOWHERE)
    changed: tuple[object, ...] = (FULL, {"name": "Acme"}, {"tags": {}}, {"tags": None}, {}, [])
    for body in changed:
        yield "replace-company", wire.ask("PUT", f"/companies/{company}", body)
        yield "update-company", wire.ask("PATCH", f"/companies/{company}", body)
    for which in (company, company, NOWHERE, "nowhere"):
        one = f"/companies/{which}"
        yield "get-company", wire.ask("GET", one)
        yield "replace-company", wire.ask("PUT", one, FULL)
        yield "update-company", wire.ask("PATCH", one, FULL)
        yield "delete-company", wire.ask("DELETE", one)


def ask_for_the_rest(wire: Wire, foreign: str) -> Asked:
    """Ask for integrations, what belongs to another tenant, and what isn't there."""
    yield from ask_for_lists(wire, "list-integrations", "/integrations", "name")
    for key in ("gbol", "ldgh", "none", "nothing"):
        yield "get-integration", wire.ask("GET", f"/integrations/{key}")
    for path in (f"/companies/{foreign}", "/companies/nowhere"):
        yield "get-company", wire.ask("GET", path)
        yield "list-connections", wire.ask("GET", f"{path}/connections")
        yield "create-connection", wire.ask("POST", f"{path}/connections", {"platformKey": "gbol"})
        yield "get-connection", wire.ask("GET", f"{path}/connections/{NOWHERE}")
    yield "nothing", wire.ask("GET", "/nothing")
    yield "nothing", wire.ask("DELETE", "/companies")


def ask_for_all(emulator: Emulator) -> Asked:
    """Ask for everything, and with keys that can't have it."""
    company = str(emulator.add_company("Acme")["id"])
    foreign = str(emulator.add_company("Theirs", tenant="other")["id"])
    emulator.add_key("old", outdated=True)
    with closing(Wire(emulator)) as wire:
        yield from ask_for_connections(wire, emulator, company)
        yield from ask_for_companies(wire)
        yield from ask_for_the_rest(wire, foreign)
        for key in ("Basic b2xk", "Basic unknown", ""):
            yield "list-companies", wire.ask("GET", "/companies", headers={"Authorization": key})


def told(operation: str, answer: Answer, body: bytes | None = None) -> str:
    """What is wrong with an answer, in one text that is empty for a good one."""
    found = complaints(operation, answer.status, answer.content_type, answer.body if body is None else body)
    return "\n".join(f"{operation}, {answer.status}: {complaint}" for complaint in found)


SETTINGS = [
    pytest.param(knob.name, value, id=f"{knob.name}={value}")
    for knob in KNOBS.values()
    for value in knob.choices or (int(knob.least), int(knob.most))
    if value != knob.default and knob.name != "latencySeconds"
]
"""Each knob with each of its other choices, or its least and its most; waiting shows nothing."""


@pytest.mark.parametrize(("knob", "value"), SETTINGS)
def test_each_answer_is_one_of_codats_however_a_knob_is_set(
    emulator: Emulator, knob: str, value: object
) -> None:
    """What Codat leaves open, it leaves open within its schemas."""
    emulator.knobs({knob: value})

    for operation, answer in ask_for_all(emulator):
        body = without(answer, "addedLater") if knob == "unknownFields" else None
        assert not told(operation, answer, body)


def without(answer: Answer, name: str) -> bytes:
    """The body without a property, wherever it has that: no document names it yet."""

    def shortened(properties: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in properties.items() if key != name}

    return json.dumps(json.loads(answer.body, object_hook=shortened)).encode() if answer.body else b""


def test_each_operation_is_done_and_refused(emulator: Emulator) -> None:
    """With all knobs at their defaults; the test above would prove little if all were refused, or nothing."""
    seen = set()
    for operation, answer in ask_for_all(emulator):
        assert not told(operation, answer)
        seen.add((operation, answer.status))

    assert seen >= {(operation, status) for operation, (status, _) in SUCCESS.items()}
    assert seen >= {(operation, 400) for operation in SUCCESS if not operation.startswith("get-integ")}
    assert {operation for operation, status in seen if status == 404} == {
        *(each for each in SUCCESS if not each.startswith(("list-comp", "list-integ", "create-comp"))),
        "nothing",
    }
    assert seen >= {("list-companies", 401), ("list-companies", 403), ("nothing", 404), ("nothing", 405)}


A_REQUEST: Mapping[str, tuple[str, str]] = {
    "list-connections": ("GET", "/companies/{company}/connections"),
    "create-connection": ("POST", "/companies/{company}/connections"),
    "get-connection": ("GET", "/companies/{company}/connections/{connection}"),
    "delete-connection": ("DELETE", "/companies/{company}/connections/{connection}"),
    "unlink-connection": ("PATCH", "/companies/{company}/connections/{connection}"),
    "list-companies": ("GET", "/companies"),
    "create-company": ("POST", "/companies"),
    "get-company": ("GET", "/companies/{company}"),
    "replace-company": ("PUT", "/companies/{company}"),
    "update-company": ("PATCH", "/companies/{company}"),
    "delete-company": ("DELETE", "/companies/{company}"),
    "list-integrations": ("GET", "/integrations"),
    "get-integration": ("GET", "/integrations/gbol"),
}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 408, 409, 422, 429, 451, 500, 502, 503])
def test_each_refusal_is_one_of_codats(emulator: Emulator, status: int) -> None:
    """Of every operation, before it is done and after it."""
    for do in ("status", "status-after-commit"):
        emulator.faults([{"on": "* /**", "do": do, "status": status}])
        with closing(Wire(emulator)) as wire:
            for operation, (method, path) in A_REQUEST.items():
                company = str(emulator.add_company("Acme")["id"])
                connection = emulator.connect(company, "gbol")["id"]
                body = {"name": "Acme", "platformKey": "gbol", "status": "Unlinked"}
                answer = wire.ask(method, path.format(company=company, connection=connection), body)
                assert answer.status == status
                assert not told(operation, answer)
                assert ("Retry-After" in answer.headers) is (status == 429)


def test_what_a_limit_or_a_key_refuses_is_one_of_codats(emulator: Emulator, company: str) -> None:
    """Two requests at once for one company, and two with one idempotency key."""
    path, key = f"/companies/{company}/connections", {"Idempotency-Key": NOWHERE}
    emulator.faults([{"on": "POST /**", "do": "delay", "seconds": 1, "times": 1}])
    first = threading.Thread(target=post, args=(emulator, path, key))
    first.start()
    until(lambda: emulator.counts().get("create-connection"), "the first has come")

    refused = [post(emulator, path, key), post(emulator, path, key, "suuo")]
    emulator.knobs({"concurrentPerCompany": 1})
    refused.append(post(emulator, path, {}))
    first.join()

    assert [answer.status for answer in refused] == [409, 422, 429]
    assert [told("create-connection", answer) for answer in refused] == ["", "", ""]


def post(
    emulator: Emulator, path: str, headers: Mapping[str, str | bytes], platform_key: str = "gbol"
) -> Answer:
    """Make a connection, over a wire of its own."""
    with closing(Wire(emulator)) as wire:
        return wire.ask("POST", path, {"platformKey": platform_key}, headers=headers)


# What the schemas refuse.

Change = Callable[[Any], object]
"""Spoil an answer in place."""

SPOILT: Mapping[str, tuple[str, Change, str]] = {
    "no source type": ("get-connection", lambda it: it.pop("sourceType"), "$: 'sourceType' is a required"),
    "a status of ours": ("get-connection", lambda it: it.update(status="Lost"), "$.status: 'Lost' is not"),
    "a time as a number": ("get-connection", lambda it: it.update(created=1), "$.created: 1 is not of type"),
    "a date of ours": ("get-connection", lambda it: it.update(created="today"), "$.created: 'today' does"),
    "an id that is none": ("get-connection", lambda it: it.update(id="1"), "$.id: '1' is not a 'uuid'"),
    "one field more": ("get-connection", lambda it: it.update(name="x"), "$: Additional properties are not"),
    "an error of ours": (
        "get-connection",
        lambda it: it.update(dataConnectionErrors=[{"statusCode": 401}]),
        "$.dataConnectionErrors: [{'statusCode': 401}] is not valid",
    ),
    "a connection inline": (
        "get-company",
        lambda it: it["dataConnections"][0].pop("linkUrl"),
        "$.dataConnections[0]: 'linkUrl' is a required",
    ),
    "a long tag": ("get-company", lambda it: it.update(tags={"a" * 28: ""}), "$.tags: 'aaaaaaaa"),
    "a nameless company": ("get-company", lambda it: it.update(name=None), "$.name: None is not of type"),
    "a page too long": (
        "list-companies",
        lambda it: it.update(pageSize=2001),
        "$.pageSize: 2001 is greater than the maximum of 2000",
    ),
    "no current page": (
        "list-companies",
        lambda it: it["_links"].pop("current"),
        "$['_links']: 'current' is a required",
    ),
    "a whole URL": (
        "list-companies",
        lambda it: it["_links"]["self"].update(href="http://a/b"),
        "$['_links'].self.href: 'http://a/b' does not match",
    ),
    "the property that isn't required": (
        "get-integration",
        lambda it: it["datatypeFeatures"][0].update(dataType=it["datatypeFeatures"][0].pop("datatype")),
        "$.datatypeFeatures[0]: Additional properties are not",
    ),
    "a truth and no word": (
        "refused",
        lambda it: it.update(canBeRetried=True),
        "$.canBeRetried: True is not of type 'string'",
    ),
}


@pytest.mark.parametrize(("operation", "change", "complaint"), SPOILT.values(), ids=SPOILT.keys())
def test_what_is_not_codats_is_complained_of(
    emulator: Emulator, company: str, operation: str, change: Change, complaint: str
) -> None:
    """Each good answer is spoilt in one point, so the schemas are no formality."""
    connection = emulator.connect(company, "gbol")["id"]
    method, path = A_REQUEST.get(operation, ("GET", "/nothing"))
    with closing(Wire(emulator)) as wire:
        answer = wire.ask(method, path.format(company=company, connection=connection))
    assert not told(operation, answer)
    spoilt = answer.json

    change(spoilt)

    assert complaint in told(operation, answer, json.dumps(spoilt).encode())


@pytest.mark.parametrize(
    ("operation", "status", "content_type", "body", "complaint"),
    [
        pytest.param("create-connection", 201, "application/json", b"{}", "never answers 201", id="made"),
        pytest.param("delete-connection", 204, "", b"", "never answers 204", id="deleted"),
        pytest.param("delete-connection", 200, "", b"", None, id="deleted, and nothing is said"),
        pytest.param(
            "delete-connection", 200, "application/json", b"true", None, id="deleted, as it is said"
        ),
        pytest.param("delete-company", 200, "application/json", b"{}", "never answers 200", id="removed"),
        pytest.param("delete-company", 204, "application/json", b"1", "False schema", id="a word too many"),
        pytest.param("get-company", 200, "application/json", b"", "it is no JSON", id="nothing"),
        pytest.param("get-company", 200, "application/json", b"NaN", "NaN is Python's", id="no number"),
        pytest.param("get-company", 404, "text/html", b"{}", "text/html is no JSON", id="a page"),
        pytest.param("get-company", 404, "", b"{}", "nothing is no JSON", id="no type"),
        pytest.param("nothing", 200, "application/json", b"{}", "never answers 200", id="no operation"),
    ],
)
def test_a_wrong_status_or_type_is_complained_of(
    operation: str, status: int, content_type: str, body: bytes, complaint: str | None
) -> None:
    """Codat's own SDK would take it for an error."""
    found = complaints(operation, status, content_type, body)

    assert complaint in found[0] if complaint else found == []
