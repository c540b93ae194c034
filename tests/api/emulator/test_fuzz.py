"""Whatever it is sent, the emulator answers, as Codat may, and a refused request changes nothing.

Hypothesis makes up a few requests at a time: valid ones, by the schemas of what Codat may be sent, nearly
valid ones, and rubbish. It looks for the fewest that break a promise.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.emulator import KNOBS, Emulator, serving
from codat_iac.emulator.routes import find
from tests.api.emulator.schemas import BODIES, STATUSES, Schema, complaints
from tests.api.emulator.wire import Answer, Wire

EXAMPLES = int(os.environ.get("EMULATOR_EXAMPLES", "150"))
"""How many stories the emulator is told."""

HANGS = 60
"""Seconds for one answer, which takes a thousandth of one."""

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
"""Methods that may change nothing."""

REFUSALS = {400, 401, 403, 404, 405, 409, 413, 422, 429}
OWN = {200, 400, 404, 405, 410, 413}
"""What the emulator's own routes may answer."""

GUID = str(uuid.UUID(int=7))

Headers = Mapping[str, str | bytes]
Text = st.SearchStrategy[str]
Body = st.SearchStrategy[bytes | None]


@dataclass(frozen=True)
class Request:
    """One request. Of a path's parts and the headers, those with a colon stand for what a story knows."""

    method: str
    parts: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: Headers = field(default_factory=dict)


def mostly(usual: st.SearchStrategy[Any], *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what is usual three times of four."""
    return st.sampled_from([usual] * 3 * len(others) + list(others)).flatmap(lambda chosen: chosen)


# Values: what a schema allows, nearly that, and rubbish.

texts = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    ["", " ", "\ud800", "\0", "é", "a" * 101, "İ", "../..", "'; --", "{", "%", "\u202e"]
)
"""Any text, also halves of surrogate pairs, which JSON can write and UTF-8 can't."""

rubbish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(texts, some, max_size=3),
    max_leaves=5,
)
platform_keys = st.sampled_from(["gbol", "suuo", "hcws", "ldgh", "none"])


def valid(schema: Schema) -> st.SearchStrategy[Any]:
    """Return what a schema allows, if it is one of the kinds that bodies have."""
    if "enum" in schema:
        return st.sampled_from(list(schema["enum"]))
    if "anyOf" in schema:
        return st.one_of([valid(each) for each in schema["anyOf"]])
    if schema["type"] == "null":
        return st.none()
    if schema["type"] == "string":
        return st.from_regex(schema["pattern"]) if "pattern" in schema else texts
    if "propertyNames" in schema:
        keys, values = st.text(min_size=1, max_size=27), st.text(max_size=100)
        return st.dictionaries(keys, values, max_size=schema["maxProperties"])
    properties = {name: valid(each) for name, each in schema["properties"].items()}
    required = {name: properties.pop(name) for name in schema["required"]}
    return st.fixed_dictionaries(required, optional=properties)


@st.composite
def nearly(draw: st.DrawFn, good: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    """Return a good body with one property changed, added or left out."""
    body = dict(draw(good))
    name = draw(st.sampled_from([*body, "added"]))
    if draw(st.booleans()):
        body.pop(name, None)
    else:
        body[name] = draw(rubbish | st.just({f"tag {number}": "" for number in range(11)}))
    return body


def bodies(good: st.SearchStrategy[dict[str, Any]]) -> Body:
    """Return bodies, most of which are good."""
    written = mostly(good, nearly(good), rubbish).map(lambda body: json.dumps(body).encode())
    halved = written.map(lambda body: body[: len(body) // 2])
    wide = written.map(lambda body: body.decode().encode("utf-16"))
    return mostly(written, halved, wide, st.binary(max_size=50), st.none())


def documents(good: st.SearchStrategy[Any]) -> Body:
    """Return bodies that are JSON at least."""
    return good.map(lambda body: json.dumps(body).encode())


# Queries and headers.

names = st.sampled_from(["name", "status", "created", "platformName", "dataConnections.status", "nothing"])
operators = st.sampled_from(["=", "!=", "~", ">", "<=", " = ", "=>", ""])
values = st.sampled_from(["Linked", "2026-01-01", "0001-01-01T00:00:00+23:59", "1", "9" * 400]) | texts
searches = st.recursive(
    st.tuples(names | texts, operators, values).map("".join),
    lambda some: (
        st.tuples(some, st.sampled_from(["&&", " || ", "&"]), some).map("".join) | some.map("{{{}}}".format)
    ),
    max_leaves=6,
) | st.sampled_from(["{" * 60, "a=1&&" * 410])
numbers = st.sampled_from(["1", "2", "100", "2000", "2001", "5000"]) | st.sampled_from(
    ["0", "-1", "1_0", "١", "", " 1", "1.0", "1e3", "2147483647", "2147483648", "9" * 4400]
)
queries = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["page", "pageSize", "last"]), numbers),
        st.tuples(st.sampled_from(["query", "tags"]), searches),
        st.tuples(st.just("orderBy"), names | names.map("-{}".format) | texts),
        st.tuples(st.sampled_from(["otp", "link.otp"]), texts),
        st.tuples(texts, texts),
    ),
    max_size=3,
).map(tuple)

headers: st.SearchStrategy[Headers] = st.fixed_dictionaries(
    {},
    optional={
        "Authorization": st.sampled_from([":old", ":other", "Basic", "", b"\xff"]),
        "Idempotency-Key": st.sampled_from([GUID, GUID, "", "no uuid", b"\xff\xfe", "é"]),
        "Content-Type": st.sampled_from(
            ["application/json", "text/plain; charset=none", "multipart/form-data"]
        ),
        "Content-Encoding": st.sampled_from(["identity", "gzip", "deflate", "br", "none"]),
        "Accept": st.sampled_from(["text/html", "application/json", "*/*;q=none"]),
        "Expect": st.sampled_from(["100-continue", "nothing"]),
        "X-Rubbish": st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")),
    },
)


# Requests.

anything = texts.map(lambda text: quote(text, safe="", errors="surrogatepass")).filter(bool)
company = mostly(
    st.sampled_from([":mine", ":MINE"]),
    st.sampled_from([":bare", ":made", ":foreign", ":gone", ":nowhere"]) | anything,
)
connection = mostly(
    st.sampled_from([":linked", ":LINKED", ":waiting"]),
    st.sampled_from([":made", ":theirs", ":nowhere"]) | anything,
)


def asking(
    method: str,
    *parts: str | Text,
    body: Body = st.none() | st.binary(max_size=9),  # noqa: B008  a strategy is no value that changes
) -> st.SearchStrategy[Request]:
    """Return requests of one route, sometimes by another method."""
    return st.builds(
        Request,
        mostly(st.just(method), st.sampled_from([*SAFE, "POST", "PUT", "PATCH", "DELETE"])),
        st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)),
        queries,
        body,
        mostly(st.just({}), headers),
    )


def of_schema(operation: str) -> Body:
    """Return bodies for one operation of Codat's."""
    return bodies(valid(BODIES[operation]))


of_a_platform = bodies(st.fixed_dictionaries({"platformKey": platform_keys})) | of_schema("create-connection")
of_unlinking = bodies(st.just({"status": "Unlinked"})) | of_schema("unlink-connection")

codats = st.one_of(
    asking("GET", "companies", company, "connections"),
    asking("POST", "companies", company, "connections", body=of_a_platform),
    asking("GET", "companies", company, "connections", connection),
    asking("DELETE", "companies", company, "connections", connection),
    asking("PATCH", "companies", company, "connections", connection, body=of_unlinking),
    asking("GET", "companies"),
    asking("POST", "companies", body=of_schema("create-company")),
    asking("GET", "companies", company),
    asking("PUT", "companies", company, body=of_schema("replace-company")),
    asking("PATCH", "companies", company, body=of_schema("update-company")),
    asking("DELETE", "companies", company),
    asking("GET", "integrations"),
    asking("GET", "integrations", platform_keys | anything),
    asking("GET", anything, anything),
)

forms = st.dictionaries(
    st.sampled_from(["otp", "action", "connection", "platform"]),
    st.sampled_from(["authorise", "revoke", "disconnect", "cancel", "gbol"]) | texts,
).map(lambda form: urlencode(form, errors="surrogatepass").encode())

SETTABLE = [name for name in KNOBS if name not in {"latencySeconds", "unknownFields"}]
"""Knobs that neither take time nor add what no schema has."""

peoples = st.one_of(
    asking("GET", "company", company),
    asking("POST", "company", company, body=forms | st.binary(max_size=20)),
    asking("GET", "companies", company, "connections", connection, "start"),
    asking("POST", "companies", company, "connections", connection, "start", body=forms),
    asking("GET", "_emulator", ""),
    asking("POST", "_emulator", "pages", "company", company, body=forms),
    asking(
        "POST", "_emulator", "pages", st.sampled_from(["requests", "faults", "knobs", "live"]), body=forms
    ),
    asking("GET", "_emulator", "pages", anything),
    asking("GET", "_emulator", "requests"),
    asking("DELETE", "_emulator", "requests"),
    asking("POST", "_emulator", "reset"),
    asking("GET", "_emulator", anything),
    asking(
        "POST",
        "_emulator",
        "companies",
        body=bodies(st.fixed_dictionaries({"name": texts}, optional={"tenant": texts})),
    ),
    asking("DELETE", "_emulator", "companies", company),
    asking("GET", "_emulator", "companies", company, "connections"),
    asking(
        "POST",
        "_emulator",
        "companies",
        company,
        "connections",
        body=bodies(
            st.fixed_dictionaries(
                {"platformKey": platform_keys}, optional={"status": st.sampled_from([*STATUSES, 1, None])}
            )
        ),
    ),
    asking(
        "POST",
        "_emulator",
        "connections",
        connection,
        st.sampled_from(["authorise", "revoke", "fail", "unlink"]),
    ),
    asking("DELETE", "_emulator", "connections", connection),
    asking(
        "POST",
        "_emulator",
        "keys",
        body=bodies(
            st.fixed_dictionaries({"apiKey": texts}, optional={"tenant": texts, "outdated": rubbish})
        ),
    ),
    asking(
        "POST",
        "_emulator",
        "knobs",
        body=documents(st.dictionaries(st.sampled_from(SETTABLE) | texts, rubbish)),
    ),
    asking(
        "POST",
        "_emulator",
        "faults",
        body=documents(
            st.lists(
                st.fixed_dictionaries(
                    {"on": st.just("GET /never"), "do": st.just("status") | texts},
                    optional=dict.fromkeys(
                        ("headers", "body", "status", "seconds", "times", "seed"), rubbish
                    ),
                ),
                max_size=2,
            )
        ),
    ),
)

stories = st.lists(st.one_of(codats, codats, peoples), min_size=1, max_size=6)

CHOICES: Mapping[str, tuple[Any, ...]] = {
    **{name: KNOBS[name].choices for name in SETTABLE if KNOBS[name].choices},
    "pageSizeMost": (1, 3),
    "rowShift": (1,),
    "dailyQuota": (0, 3),
    "requestsPerMinute": (1, 3),
    "concurrentPerCompany": (1,),
    "readLagSeconds": (0.01, 600),
    "clockAheadSeconds": (86_400, 1_000_000_000),
}
a_setting = st.sampled_from(list(CHOICES)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(CHOICES[name]))
)
knobs = st.lists(a_setting, max_size=4).map(dict)


# The emulator, with its state in a file.


class Errors(logging.Handler):
    """What the server logs of an error that nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.logged: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        self.logged.append(record.getMessage())


@pytest.fixture(scope="module")
def errors() -> Iterator[Errors]:
    """What goes wrong on the server's side."""
    noted = Errors()
    logging.getLogger("aiohttp").addHandler(noted)
    yield noted
    logging.getLogger("aiohttp").removeHandler(noted)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulator for all stories, each of which begins anew; its state is in a file."""
    state = tmp_path_factory.mktemp("fuzz") / "state"
    with serving(companies=2, linked=True, seed=1, state=state) as emulator:
        yield emulator


class Story:
    """One story on the emulator. `known` are ids and headers by their names in requests."""

    def __init__(self, emulator: Emulator, wire: Wire) -> None:
        emulator.reset()
        self._world = emulator._world
        self._wire = wire
        mine, gone = self._world.tenants["main"].companies
        foreign = emulator.add_company("Theirs", tenant="other")["id"]
        linked = emulator.connections(mine)[0]["id"]
        emulator.delete_company(gone)
        emulator.add_key("old", outdated=True)
        emulator.add_key("theirs", tenant="other")
        self.known: dict[str, str] = {
            ":mine": mine,
            ":MINE": mine.upper(),
            ":bare": emulator.add_company("Bare")["id"],
            ":gone": gone,
            ":foreign": foreign,
            ":made": mine,
            ":linked": linked,
            ":LINKED": linked.upper(),
            ":waiting": emulator.connect(mine, "hcws", "PendingAuth")["id"],
            ":theirs": emulator.connect(foreign, "gbol")["id"],
            ":nowhere": str(uuid.UUID(int=0)),
            ":old": "Basic b2xk",
            ":other": "Basic dGhlaXJz",
        }

    def tell(self, request: Request) -> Answer:
        """Send a request, and check its answer and what it changed."""
        path = "/" + "/".join(self.known.get(part, part) for part in request.parts)
        headers = {
            name: self.known.get(text, text) if isinstance(text, str) else text
            for name, text in request.headers.items()
        }
        query = urlencode(request.query, errors="surrogatepass")
        before = self._state()
        answer = self._wire.ask(request.method, f"{path}?{query}", request.body, headers=headers)
        if answer.status >= 400 or request.method in SAFE:
            assert self._state() == before, f"it may change nothing, and does: {answer}"
        check(request.method, path, answer)
        if answer.status == 200 and answer.body.startswith(b'{"id":'):
            self.known[":made"] = answer.json["id"]
        return answer

    def _state(self) -> object:
        """All that a request may change; what is only counted is left out."""
        world = self._world
        tenants = {name: (each.revision, len(each.deleted)) for name, each in world.tenants.items()}
        return tenants, dict(world.keys), dict(world.knobs), list(world.faults.faults)


def check(method: str, path: str, answer: Answer) -> None:
    """Fail unless it is an answer that Codat, or one of the emulator's own routes, may give."""
    operation = find(method, unquote(path))[0].operation
    assert answer.status < 400 or answer.status in (REFUSALS if operation else OWN), answer
    if operation and method != "HEAD":
        assert complaints(operation, answer.status, answer.content_type, answer.body) == [], answer


@given(chosen=knobs, story=stories)
@settings(max_examples=EXAMPLES, deadline=None)
def test_whatever_is_asked_is_answered_as_codat_may(
    running: Emulator, errors: Errors, chosen: dict[str, Any], story: list[Request]
) -> None:
    """Nothing breaks it, nothing hangs, and what is refused changes nothing."""
    with closing(Wire(running, HANGS)) as wire:
        told = Story(running, wire)
        running.knobs(chosen)
        for request in story:
            told.tell(request)

    assert errors.logged == []
    assert not any(running._world.limits.running.values()), "a request that is answered counts as running"


# What the stories found once.

LONG = "&&".join(["name~ö"] * 300)
ACME = b'{"name": "Acme"}'


ONCE: Mapping[str, tuple[int, Request]] = {
    "not gzip": (200, Request("POST", ("companies",), (), ACME, {"Content-Encoding": "gzip"})),
    "not br": (200, Request("POST", ("companies",), (), ACME, {"Content-Encoding": "br"})),
    "no text": (200, Request("POST", ("companies",), (), ACME, {"Idempotency-Key": b"\xff"})),
    "too large": (413, Request("POST", ("companies",), (), b"[" * 2**20 + b"]")),
    "Python's number": (400, Request("GET", ("companies",), (("page", "1_0"),))),
    "another script's number": (400, Request("GET", ("companies",), (("pageSize", "١"),))),
    "a long URL": (400, Request("GET", ("companies",), (("pageSize", "9"), ("query", LONG), ("x", LONG)))),
    "many digits": (400, Request("GET", ("_emulator", "requests"), (("last", "9" * 4400),))),
    "less than none": (400, Request("GET", ("_emulator", "requests"), (("last", "-1"),))),
    "half a pair": (200, Request("POST", ("_emulator", "keys"), (), b'{"apiKey": "\\ud800"}')),
    "half a tenant": (
        200,
        Request("POST", ("_emulator", "companies"), (), b'{"name": "a", "tenant": "\\ud800"}'),
    ),
    "nameless": (400, Request("POST", ("_emulator", "companies"), (), b'{"name": "", "tenant": "new"}')),
}


@pytest.mark.parametrize(("status", "told"), ONCE.values(), ids=ONCE.keys())
def test_what_broke_it_once_is_answered(
    running: Emulator, errors: Errors, status: int, told: Request
) -> None:
    """Each was a 500, a hang, a page of aiohttp's, or a change by a refused request."""
    with closing(Wire(running, HANGS)) as wire:
        assert Story(running, wire).tell(told).status == status

    assert errors.logged == []


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n3\r\n{"]
)
def test_a_client_that_leaves_in_mid_request_is_no_error(
    running: Emulator, errors: Errors, framing: bytes
) -> None:
    """There is nobody to answer, and nothing is done."""
    host, port = running.url.removeprefix("http://").split(":")
    with closing(Wire(running, HANGS)) as wire:
        before = len(wire.ask("GET", "/companies").json["results"])
        with socket.create_connection((host, int(port))) as client:
            head = f"POST /companies HTTP/1.1\r\nHost: x\r\nAuthorization: {running.authorization}\r\n"
            client.sendall(head.encode() + framing)
            wire.ask("GET", "/companies")

        assert len(wire.ask("GET", "/companies").json["results"]) == before
    assert errors.logged == []
