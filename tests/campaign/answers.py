"""Malformed answers of Codat: each must give a right value, or one of our errors in one line.

The key must not reach another host, or be part of an error. `python -m tests.campaign.answers SEED NUMBER 1`
runs one case again.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
import functools
import gzip
import json
import logging
import random
import socket
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from codat_iac.codat import transport
from codat_iac.codat.client import Client
from codat_iac.codat.parsing import Page
from codat_iac.model.connection import (
    Address,
    Company,
    DesiredConnection,
    Integration,
    LiveConnection,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.model.errors import ApiError, CodatIacError
from codat_iac.model.settings import Settings
from codat_iac.planning import rule_table
from codat_iac.reconcile.operations import Operations
from codat_iac.reconcile.snapshot import Snapshot
from tests.campaign import children
from tests.campaign.children import BrokenPromiseError
from tests.support.raw_server import Answer, _request, http

KEY = "a-canary-of-an-api-key-of-forty-letters-"
ENCODED = base64.b64encode(KEY.encode()).decode()
OTP = "a-canary-of-a-0ne-t1me-passw0rd"
SECRETS = (KEY, ENCODED, OTP)

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"
CONNECTION = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
INTEGRATION = "b5e4c3d2-0000-4000-8000-0242ac120002"

TIMEOUT = 0.5
"""The client's timeout for one answer, in seconds."""

LONGEST_LINE = 1500
"""The most characters of an error's text."""

MOST_MEMORY = 1200
"""The most memory of one child in MB, needed for the largest body of the most expensive JSON."""

_HANGS = 60.0


# The server.


class _Server:
    """Sends the given answers in order and repeats the last, each on its own connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answers: list[Answer] = []
        self.requests: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def tell(self, answers: list[Answer]) -> None:
        """Replace the answers."""
        self.requests, self.answers = [], answers

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(connection, self.answers), daemon=True).start()

    def _talk(self, connection: socket.socket, answers: list[Answer]) -> None:
        connection.settimeout(10)
        with contextlib.suppress(OSError), connection:
            if not (request := _request(connection)):
                return
            self.requests.append(request)
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)


@functools.cache
def _servers() -> tuple[_Server, _Server]:
    """Return Codat's server, and that of another host, which must get no requests."""
    return _Server(), _Server()


# What is asked, and what a good answer is.


def _connection(**changes: Any) -> dict[str, Any]:
    return {
        "id": CONNECTION,
        "integrationId": INTEGRATION,
        "integrationKey": "gbol",
        "sourceId": COMPANY,
        "sourceType": "Accounting",
        "platformName": "Xero",
        "linkUrl": f"https://link-api.codat.io/companies/{COMPANY}/connections/{CONNECTION}/start?otp={OTP}",
        "status": "Linked",
        "created": "2026-11-24T12:00:00.0000000Z",
        "lastSync": "2026-11-24T12:00:00.0000000Z",
        "dataConnectionErrors": [
            {
                "statusCode": "401",
                "statusText": "No",
                "errorMessage": "It was revoked",
                "erroredOnUtc": "2026",
            }
        ],
        **changes,
    }


def _company() -> dict[str, Any]:
    return {
        "id": COMPANY,
        "name": "Acme",
        "redirect": f"https://link.codat.io/company/{COMPANY}?link.otp={OTP}",
        "tags": {"region": "uk"},
        "created": "2026",
        "dataConnections": [_connection()],
    }


def _page(*rows: Any) -> dict[str, Any]:
    links = {"current": {"href": "/x"}, "self": {"href": "/x"}}
    return {
        "results": list(rows),
        "pageNumber": 1,
        "pageSize": 100,
        "totalResults": len(rows),
        "_links": links,
    }


def _integration() -> dict[str, Any]:
    return {
        "key": "gbol",
        "name": "Xero",
        "enabled": True,
        "integrationId": INTEGRATION,
        "sourceType": "Accounting",
    }


def _both() -> dict[str, Any]:
    """Return JSON that is both a page and a connection, so that it answers any request."""
    row = _connection(status="PendingAuth")
    return {**_page(row), **row}


DESIRED = DesiredConnection(Address("acme/ledger"), COMPANY, "gbol", on_removal=OnRemoval.UNLINK)
PRIOR = PriorConnection(CONNECTION, DESIRED, "Linked")
NOWHERE = "00000000-0000-0000-0000-000000000009"


def _operations(client: Client, said: list[str]) -> Operations:
    def notify(*notice: str) -> None:
        said.append(notice[2])

    settings = Settings(KEY, client._transport.base_url, max_losses=1)
    operations = Operations(client, settings, notify, sleep=lambda _: None, settling=0)
    operations.state.record_all(())  # the record is known to be empty, so free connections may be adopted
    return operations


Ask = Callable[[Client, list[str]], Any]

OPERATIONS: dict[str, tuple[int, tuple[Ask, Callable[[], Any]]]] = {
    "list": (3, (lambda c, _: c.list(COMPANY), lambda: _page(_connection()))),
    "create": (2, (lambda c, _: c.create(COMPANY, "gbol"), _connection)),
    "get": (2, (lambda c, _: c.get(COMPANY, CONNECTION), _connection)),
    "delete": (1, (lambda c, _: c.delete(COMPANY, CONNECTION), lambda: None)),
    "unlink": (2, (lambda c, _: c.unlink(COMPANY, CONNECTION), lambda: _connection(status="Unlinked"))),
    "companies": (2, (lambda c, _: list(c.company_pages()), lambda: _page(_company()))),
    "company": (1, (lambda c, _: c.get_company(COMPANY), _company)),
    "integrations": (2, (lambda c, _: c.integrations(), lambda: _page(_integration()))),
    "snapshot": (3, (lambda c, _: Snapshot(c).find(COMPANY, CONNECTION), _both)),
    "read": (3, (lambda c, said: _operations(c, said).read(PRIOR), _both)),
    "make": (2, (lambda c, said: _operations(c, said).create(DESIRED), _both)),
    "remove": (1, (lambda c, said: _operations(c, said).remove(PRIOR), _both)),
}
"""The operations, each with its weight, the call, and Codat's good answer."""


# Wrong data.

WORDS = [
    "",
    " ",
    "Suspended",
    "linked",
    "\x1b[31mred\x1b[0m",
    "two\r\nlines",
    "\x1b]0;title\x07",
    "\u202eevil\u2028",
    "\ud800",
    "x" * 5000,
    "\x00",
    "../../companies",
    f"Basic {ENCODED}",
    KEY,
    f"https://link-api.codat.io/start?otp={OTP}",
    f"see ?otp={OTP}&x",
    "<script>",
    "{{7*7}}",
    "%s%n",
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    10**4000,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"a": {}},
    [None],
    {KEY: f"otp={OTP}"},
    *WORDS,
]


def _damaged(rng: random.Random, data: Any) -> Any:
    """Return *data* with something added, changed or removed that makes it wrong."""
    if not data or not isinstance(data, dict | list) or rng.random() < 0.05:
        return copy.deepcopy(rng.choice([*VALUES, [data], {"results": data}]))
    keys: list[Any] = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = rng.choice(keys)
    match rng.randrange(6):
        case 0:
            del data[key]
        case 1 | 2:
            data[key] = copy.deepcopy(rng.choice(VALUES))
        case 3 if isinstance(data, dict):
            data[rng.choice(["extra", *WORDS])] = copy.deepcopy(rng.choice(VALUES))
        case _:
            data[key] = _damaged(rng, data[key])
    return data


def _dumped(rng: random.Random, data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=rng.random() < 0.7).encode(errors="surrogatepass")


# The kinds of a case: each gives the answers.


def _good(rng: random.Random, data: Any, _: str) -> list[Answer]:
    if isinstance(data, dict) and rng.random() < 0.5:
        data["added in 2027"] = rng.choice(VALUES[:6])
    return [http(_dumped(rng, data), rng.choice([200, 200, 201, 202]))]


def _types(rng: random.Random, data: Any, _: str) -> list[Answer]:
    for _again in range(rng.choice([1, 1, 2, 4])):
        data = _damaged(rng, data)
    return [http(_dumped(rng, data))]


def _errors(rng: random.Random, _: Any, __: str) -> list[Answer]:
    body: Any = {
        "statusCode": rng.choice([404, None, "404", 10**30]),
        "service": "PublicApi",
        "error": rng.choice(WORDS),
        "correlationId": rng.choice([*WORDS, "abc", None, 7]),
        "canBeRetried": rng.choice(["Unknown", True, None, []]),
        "detailedErrorCode": 0,
        "validation": rng.choice(
            [None, [], "x", {"errors": [{"itemId": rng.choice(WORDS), "message": rng.choice(WORDS)}] * 50}]
        ),
    }
    if rng.random() < 0.5:
        body = _damaged(rng, body)
    statuses = [400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 429, 451, 499, 500, 502, 503, 599]
    waits = [
        "",
        "0",
        "1",
        "-1",
        "1e9",
        "soon",
        "9" * 400,
        "Tue, 24 Nov 2026 12:00:00 GMT",
        "Tue, 99 Foo 1",
        KEY,
    ]
    bodies = [
        _dumped(rng, body),
        b"",
        b"<h1>no</h1>",
        b"\xff\xfe",
        b"null",
        b"[" * 2000,
        b'"' + b"x" * 10**6 + b'"',
    ]
    answers = [
        http(
            rng.choice(bodies), rng.choice(statuses), Retry_After=rng.choice(waits), Content_Type=_media(rng)
        )
        for _ in range(rng.choice([1, 1, 2, 5]))
    ]
    return list(answers)


def _media(rng: random.Random) -> str:
    return rng.choice(
        [
            "application/json",
            "application/json; charset=utf-16",
            "text/html",
            "text/plain",
            "",
            "x" * 3000,
            f"text/{KEY}",
            f"a/{ENCODED}",
            "application/problem+json",
            "json",
            "\x1b[31m",
            "image/png; otp=" + OTP,
            "multipart/mixed",
        ]
    )


def _medias(rng: random.Random, data: Any, _: str) -> list[Answer]:
    body = rng.choice([_dumped(rng, data), b"<html>", b"", b" ", b"\x00", KEY.encode()])
    return [http(body, rng.choice([200, 200, 404]), Content_Type=_media(rng))]


def _bodies(rng: random.Random, data: Any, _: str) -> list[Answer]:
    text = json.dumps(data)
    body = rng.choice(
        [
            text.encode("utf-16"),
            text.encode("utf-32"),
            b"\xef\xbb\xbf" + text.encode(),
            text.encode() + b"x",
            text.encode()[:-2],
            b")]}',\n" + text.encode(),
            b"NaN",
            b"-Infinity",
            b"1" * 100_000,
            b"1e999999",
            b"[" * 300_000,
            b'{"a":' * 900 + b"1" + b"}" * 900,
            b'{"results":' + b"[" * 900 + b"]" * 900 + b', "totalResults": 1}',
            b'{"id": "x", "id": "y", "status": "z"}',
            bytes(rng.randrange(256) for _ in range(200)),
            b"'" + text.encode() + b"'",
            text.encode().replace(b'"', b"\xe2\x80\x9c"),
        ]
    )
    return [http(body)]


def _encodings(rng: random.Random, data: Any, _: str) -> list[Answer]:
    raw = json.dumps(data).encode()
    packed = gzip.compress(raw)
    coding, body = rng.choice(
        [
            ("gzip", packed),
            ("gzip", packed[:-5]),
            ("gzip", packed + b"rubbish"),
            ("gzip", packed + packed),
            ("gzip", raw),
            ("deflate", zlib.compress(raw)),
            ("deflate", zlib.compress(raw)[2:-4]),
            ("deflate", raw),
            ("gzip, gzip", gzip.compress(packed)),
            (", ".join(["gzip"] * 50), packed),
            ("br", raw),
            ("zstd", raw),
            ("identity", raw),
            ("x-evil", raw),
            ("gzip", b""),
            ("gzip", b"\x1f\x8b"),
            ("gzip", b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"n" * 100_000),
        ]
    )
    return [http(body, Content_Encoding=coding)]


def _redirects(rng: random.Random, data: Any, other: str) -> list[Answer]:
    host = other.removeprefix("http://")
    where = rng.choice(
        [
            f"{other}/x",
            f"//{host}/x",
            "/elsewhere",
            "",
            "https://evil.example/",
            "\x1b[31m",
            f"{other}?k={KEY}",
        ]
    )
    status = rng.choice([300, 301, 302, 303, 304, 305, 307, 308, 399])
    return [http(_dumped(rng, data), status, Location=where)]


def _links(rng: random.Random, data: Any, other: str) -> list[Answer]:
    host = other.removeprefix("http://")
    follow: Any = rng.choice(
        [
            f"{other}/companies?page=2",
            f"//{host}/companies?page=2",
            f"@{host}/companies",
            f"\\\\{host}/x",
            f"/\\{host}/x",
            f"http:{host}/x",
            f"http:/{host}/x",
            f"HTTP://{host}",
            f"http://[{host}]/",
            f"/companies\r\nHost: {host}\r\n\r\n",
            f"/x?otp={OTP}&k={KEY}",
            "javascript:alert(1)",
            "?page=2",
            "",
            "x" * 100_000,
            "/\x00\x1b[31m\ud800",
            "/é?ü=ß #x",
            "http://[::1",
            "/%2e%2e/%0d%0a",
            None,
            7,
            [],
        ]
    )
    for each in (data, {} if data is None else dict(data)):
        if isinstance(each, dict):
            each["_links"] = rng.choice(
                [{"next": {"href": follow}}, {"next": follow}, {"next": {"href": follow}}]
            )
            each["totalResults"] = 500
    return [http(_dumped(rng, data)), http(_dumped(rng, rng.choice([data, _page(), {}])))]


def _heads(rng: random.Random, data: Any, other: str) -> list[Answer]:
    body = json.dumps(data).encode()
    usual = b"Content-Type: application/json\r\nConnection: close\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    good = b"HTTP/1.1 200 OK\r\n" + usual
    return [
        rng.choice(
            [
                b"",
                b"\r\n\r\n",
                body,
                b"rubbish " + KEY.encode() + b"\r\n\r\n",
                f"HTTP/1.1 200 {KEY} otp={OTP}\r\n\r\n".encode(),
                f"HTTP/1.1 {KEY} {ENCODED}\r\n\r\n".encode(),
                f"Basic {ENCODED} ?otp={OTP}\r\n\r\n".encode(),
                b"HTTP/0.9 200 OK\r\n\r\n" + body,
                b"HTTP/2 200\r\n\r\n" + body,
                b"HTTP/9.9 200 OK\r\n" + usual + length + b"\r\n" + body,
                b"ICY 200 OK\r\n" + usual + b"\r\n" + body,
                b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n" + usual + b"\r\n" + body,
                b"HTTP/1.1 -200 OK\r\n\r\n",
                b"HTTP/1.1 099 OK\r\n\r\n",
                b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n",
                b"HTTP/1.1 600 OK\r\n" + usual + length + b"\r\n" + body,
                b"HTTP/1.1 999 OK\r\n" + usual + length + b"\r\n" + body,
                b"HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n" + body,
                b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + good + length + b"\r\n" + body,
                b"HTTP/1.1 100 Go\r\n\r\n" * 50 + good + length + b"\r\n" + body,
                b"HTTP/1.1 204 None\r\n" + usual + length + b"\r\n" + body,
                b"HTTP/1.1 304 Same\r\n" + usual + length + b"\r\n" + body,
                good + b"\r\n" + body,
                good + b"Content-Length: -1\r\n\r\n" + body,
                good + b"Content-Length: 1e3\r\n\r\n" + body,
                good + b"Content-Length: 5, 6\r\n\r\n" + body,
                good + length + b"Content-Length: 1\r\n\r\n" + body,
                good + b"Content-Length: 52428800\r\n\r\n" + body,
                good + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + body,
                good + b"Content-Length: 0\r\n\r\n" + body,
                good + length + b"\r\n" + body + b"HTTP/1.1 200 OK\r\n\r\nmore",
                good + length + b"X: y\r\n" * 99 + b"\r\n" + body,
                good + length + b"X: y\r\n" * 1000 + b"\r\n" + body,
                good + length + b"X: " + b"y" * 70_000 + b"\r\n\r\n" + body,
                good + length + b"no colon " + KEY.encode() + b"\r\n\r\n" + body,
                good + length + b": nameless\r\n folded\r\n\r\n" + body,
                good + length + b"X: \x1b[31m\xff\x00\r\n\r\n" + body,
                good + length + b"\n\r\n" + body,
                good + length + b"Set-Cookie: a=" + b"b" * 4000 + b"; Domain=.example\r\n\r\n" + body,
                good + length + f"Refresh: 0; url={other}\r\nAlt-Svc: h2=x\r\n\r\n".encode() + body,
                good + length + b"X-Rate-Limit-Remaining: -5\r\nX-Rate-Limit-Reset: \x1b[31m\r\n\r\n" + body,
                good + length + f"WWW-Authenticate: Basic realm={KEY}\r\n\r\n".encode() + body,
                f"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=x\r\n{length.decode()}\r\n".encode()
                + body,
                f"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n{length.decode()}\r\n".encode() + body,
            ]
        )
    ]


def _chunks(rng: random.Random, data: Any, _: str) -> list[Answer]:
    body = json.dumps(data).encode()
    size = b"%x" % len(body)
    whole = rng.choice(
        [
            size + b"\r\n" + body + b"\r\n0\r\n\r\n",
            size + b";ext=" + b"x" * 1000 + b"\r\n" + body + b"\r\n0\r\n\r\n",
            size + b"\r\n" + body + b"\r\n0\r\nTrailer: " + KEY.encode() + b"\r\n\r\n",
            size + b"\r\n" + body + b"\r\n",
            size + b"\r\n" + body,
            b"ffffffffffffffff\r\n" + body,
            b"-1\r\n" + body,
            b"zz\r\n" + body + b"\r\n0\r\n\r\n",
            KEY.encode() + b"\r\n\r\n",
            b"0\r\n\r\n",
            b"",
            b"1\r\n" * 3000,
            b"x" * 70_000,
            b"".join(b"1\r\n" + body[n : n + 1] + b"\r\n" for n in range(len(body))) + b"0\r\n\r\n",
        ]
    )
    coding = rng.choice(["chunked", "chunked", "Chunked", "gzip, chunked", "chunked, chunked", "identity"])
    return [http(whole, Content_Length=rng.choice(["", "", "5"]), Transfer_Encoding=coding)]


def _slow(rng: random.Random, data: Any, _: str) -> list[Answer]:
    body = json.dumps(data).encode()
    good = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    def drips(connection: socket.socket) -> None:
        for byte in good + body:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    def stalls(connection: socket.socket) -> None:
        connection.sendall((good + body)[: rng.randrange(len(good + body))])
        connection.recv(1)

    return [rng.choice([drips, stalls])]


def _endless(rng: random.Random, _: Any, __: str) -> list[Answer]:
    start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    chunked = start + b"Transfer-Encoding: chunked\r\n\r\n"
    packed = start + b"Content-Encoding: gzip\r\n\r\n"
    head, again = rng.choice(
        [
            (start + b"\r\n", b" "),
            (start + b"\r\n[", b"{},"),
            (start, b"X: y\r\n"),
            (start + b"X: ", b"y"),
            (b"HTTP/1.1 ", b"2"),
            (b"", b"x"),
            (b"", b"HTTP/1.1 100 Go\r\n\r\n"),
            (chunked, b"1\r\n \r\n"),
            (chunked + b"1", b"0"),
            (chunked + b"1;x=", b"y"),
            (chunked + b"0\r\n", b"X: y\r\n"),
            (packed + b"\x1f\x8b\x08\x08" + b"\0" * 6, b"name"),
            (packed, gzip.compress(b" " * 1_000_000)),
            (packed, gzip.compress(b"")),
        ]
    )

    def pours(connection: socket.socket) -> None:
        connection.sendall(head)
        piece = again * max(1, 65536 // len(again))
        while True:
            connection.sendall(piece)

    return [pours]


@functools.cache
def _giants() -> tuple[bytes, ...]:
    """Return bodies of the largest size that take the most memory for each byte."""
    size = transport.LARGEST_BODY - 100
    bomb = gzip.compress(b"[" + b"[]," * (size // 3) + b"0]", 1)
    return (
        http(bomb, Content_Encoding="gzip"),
        http(gzip.compress(b" " * (transport.LARGEST_BODY + 1)), Content_Encoding="gzip"),
        http(gzip.compress(gzip.compress(b"x" * 2 * size)), Content_Encoding="gzip, gzip"),
        http(
            gzip.compress(b'{"error": "' + b"otp=x " * (size // 6) + b'"}', 1), 400, Content_Encoding="gzip"
        ),
    )


def _giant(rng: random.Random, _: Any, __: str) -> list[Answer]:
    return [rng.choice(_giants())]


KINDS: dict[str, tuple[float, Callable[[random.Random, Any, str], list[Answer]]]] = {
    "good": (8, _good),
    "wrong data": (30, _types),
    "errors": (20, _errors),
    "content types": (8, _medias),
    "bodies": (8, _bodies),
    "content encodings": (6, _encodings),
    "redirects": (6, _redirects),
    "links elsewhere": (10, _links),
    "heads": (16, _heads),
    "chunks": (6, _chunks),
    "slow": (0.5, _slow),
    "endless": (0.8, _endless),
    "giants": (0.15, _giant),
}
"""The kinds of cases, each with its weight."""


WHOLE = {"good", "content encodings", "heads", "chunks", "slow"}
"""The kinds for which the result, if there is one, must be that of the good answer."""


# One case.


def case(rng: random.Random) -> tuple[str, Callable[[], str]]:
    """Return a random case: its kind, and a function to run it."""
    kind, make = children.drawn(rng, KINDS)
    operation, (ask, usual) = children.drawn(rng, OPERATIONS)
    answers = make(rng, usual(), _servers()[1].url)
    retries = rng.choice([0, 0, 4]) if kind not in {"slow", "endless", "giants"} else 0
    return kind, lambda: _tried(operation, kind, ask, answers, retries)


def _tried(operation: str, kind: str, ask: Ask, answers: list[Answer], retries: int) -> str:
    server, other = _servers()
    expected = _expected(operation) if kind in WHOLE else None
    server.tell(answers)
    other.tell([http(b"{}")])
    heard, said = _Log(), list[str]()
    with heard.listening(), contextlib.closing(_client(retries)) as client:
        try:
            value = ask(client, said)
        except CodatIacError as error:
            outcome = type(error).__name__
            _explained(error)
            if kind == "good":
                raise BrokenPromiseError(f"{operation}: a good answer is refused: {error}") from error
        else:
            outcome = "value"
            _right(operation, value)
            if expected not in {None, repr(value)}:
                raise BrokenPromiseError(f"{operation} gave {value!r:.3000}")
    for text in (*said, repr(client), repr(client.quota), *heard.lines):
        _without_secrets(text)
    for text in said:
        if not text.isprintable():
            raise BrokenPromiseError(f"not one line: {text!r:.3000}")
    if other.requests:
        raise BrokenPromiseError(f"another host was asked: {other.requests[0]!r}")
    return outcome


class _Log(logging.Handler):
    """Collects the log records of all libraries."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record as a line of text."""
        self.lines.append(self.format(record))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Collect what is logged in this context, from warnings up."""
        logging.getLogger().addHandler(self)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(self)


def _explained(error: CodatIacError) -> None:
    text = str(error)
    if not text.strip() or not text.isprintable() or len(text) > LONGEST_LINE:
        raise BrokenPromiseError(f"not one short line: {text!r:.3000}")
    for shown in (text, repr(error), repr(vars(error)), "".join(traceback.format_exception(error))):
        _without_secrets(shown)
    if isinstance(error, ApiError):
        json.dumps(dataclasses.asdict(error.body)).encode()


def _without_secrets(text: str) -> None:
    for secret in SECRETS:
        if secret in text:
            raise BrokenPromiseError(f"a secret is shown: {text!r:.3000}")


def _right(operation: str, value: Any) -> None:
    """Check the assumptions of the rest of the program about a value."""
    for each in _flat(value):
        if not _sound(each):
            raise BrokenPromiseError(f"{operation} gave {each!r:.3000}")
        repr(each).encode()


@functools.cache
def _expected(operation: str) -> str:
    """Return the result of the good answer."""
    _, (ask, usual) = OPERATIONS[operation]
    _servers()[0].tell([http(json.dumps(usual()))])
    with contextlib.closing(_client(0)) as client:
        value = repr(ask(client, []))
    _without_secrets(value)
    if operation not in {"delete", "remove"} and CONNECTION not in value and INTEGRATION not in value:
        raise BrokenPromiseError(f"{operation} gave {value}")
    return value


class _Closing(Client):
    """A client whose connection can be closed."""

    def close(self) -> None:
        """Close the connection."""
        self._transport._session().close()


def _client(retries: int) -> _Closing:
    return _Closing(KEY, _servers()[0].url, timeout=TIMEOUT, retries=retries, sleep=lambda _: None)


def _flat(value: Any) -> Iterator[Any]:
    """Yield every object of ours in *value*."""
    match value:
        case Page(results=results):
            yield value
            yield from _flat(results)
        case Company(connections=connections):
            yield value
            yield from _flat(connections or ())
        case list() | tuple():
            for each in value:
                yield from _flat(each)
        case None:
            return
        case _:
            yield value


def _sound(each: Any) -> bool:
    """Return whether the fields have their declared types, and all texts can be encoded."""
    match each:
        case Page():
            numbers = (each.page_number, each.page_size, each.total_results)
            return all(type(one) is int and abs(one) < 2**63 for one in numbers) and _text(each.next, None)
        case Company():
            texts = (each.id, each.name, each.created, each.redirect, *each.tags, *each.tags.values())
            return bool(each.id) and all(map(_text, texts))
        case Integration():
            return bool(each.key) and all(map(_text, (each.key, each.name, each.source_type)))
        case LiveConnection():
            texts = (
                each.id,
                each.company_id,
                each.status,
                each.platform_name,
                each.source_type,
                each.created,
            )
            maybe = (each.platform_key, each.integration_id, each.last_sync)
            rule_table.declared(Status.LINKED, each)
            return (
                bool(each.id and each.status and each.company_id)
                and all(map(_text, (*texts, each.link_url)))
                and all(_text(one, None) for one in maybe)
            )
    return False


def _text(one: Any, *others: Any) -> bool:
    if isinstance(one, str):
        return one.encode(errors="ignore").decode() == one
    return one in others


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Make *runs* requests, report the outcomes of each kind of answer, and return the violations."""
    return children.campaign(__name__, runs, seed, tell, most_memory=MOST_MEMORY, hangs=_HANGS)


if __name__ == "__main__":
    children.child(case)
