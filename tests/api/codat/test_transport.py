"""One call over HTTP: to Codat's own host, within bounds, repeated only where that is safe."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codat_iac import __version__
from codat_iac.codat import responses, transport
from codat_iac.codat.transport import Transport
from codat_iac.model.errors import (
    ApiError,
    CodatBroken,
    ConfigError,
    NotCodat,
    RateLimited,
    Rejected,
    TransportError,
)
from tests.support.raw_server import answering, http
from tests.support.waiting import Naps

KEY = "k3y-of-forty-characters-and-some-more-00"
HEADER = "Basic azN5LW9mLWZvcnR5LWNoYXJhY3RlcnMtYW5kLXNvbWUtbW9yZS0wMA=="
OK = http({"fine": True})
LASTING = http({"fine": True}, Connection="keep-alive")


@pytest.fixture
def quick(naps: Naps) -> dict[str, Any]:
    """Arguments of a transport that doesn't sleep, and gives up soon."""
    return {"sleep": naps, "timeout": 0.5}


def failure(call: Any, *arguments: Any, **options: Any) -> ApiError:
    """The error that a call ends in."""
    with pytest.raises(ApiError) as caught:
        call(*arguments, **options)
    return caught.value


# The key, and where it goes.


@pytest.mark.parametrize("key", [KEY, HEADER, f" {KEY}\n"], ids=["bare", "ready-made", "with spaces"])
def test_the_request_carries_the_key_and_says_who_asks(key: str) -> None:
    """`Authorization: Basic` of the bare key; JSON is asked for; the User-Agent has our version."""
    with answering(OK) as server:
        assert Transport(key, server.url).call("GET", "/companies?page=1", None) == {"fine": True}

    (request,) = server.requests
    assert request.startswith("GET /companies?page=1 HTTP/1.1\r\n")
    assert f"\r\nAuthorization: {HEADER}\r\n" in request
    assert "\r\nAccept: application/json\r\n" in request
    assert f"\r\nUser-Agent: codat-iac/{__version__}\r\n" in request


def test_a_netrc_file_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`requests` prefers one to a header, and Codat would answer 401 for no visible reason."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin someone\npassword else\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(OK) as server:
        Transport(KEY, server.url).call("GET", "/companies", None)

    assert f"\r\nAuthorization: {HEADER}\r\n" in server.requests[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_no_redirect_is_followed(status: int, method: str, naps: Naps) -> None:
    """Neither to another host, which would get the key, nor again to this one."""
    with answering(OK) as other, answering(http(status=status, Location=f"{other.url}/x")) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, method, "/companies", None)

    assert (type(error), error.status) == (NotCodat, status)
    assert (len(server.requests), other.requests, naps) == (1, [], [])


@pytest.mark.parametrize(
    ("key", "text"),
    [("", "empty"), (" \n", "empty"), ("k\r\nX-Evil: 1", "no key has"), ("clé", "no key has")],
    ids=["empty", "blank", "a header behind it", "not ASCII"],
)
def test_a_key_that_can_be_none_is_refused(key: str, text: str) -> None:
    """Before anything is sent, and without showing it."""
    with pytest.raises(ConfigError, match=text) as caught:
        Transport(key)

    assert "evil" not in str(caught.value).lower()


def test_plain_http_is_refused_outside_of_loopback() -> None:
    """The key would travel in the open."""
    with pytest.raises(ConfigError, match="in the open"):
        Transport(KEY, "http://api.codat.io")


def test_the_key_is_in_no_representation() -> None:
    """Not of the transport, and not of an error whose answer repeats it."""
    said = {
        "error": f"bad {KEY}",
        "correlationId": HEADER,
        "validation": {KEY: [f"x?otp={KEY}"]},
        "service": HEADER,
    }
    with answering(http(said, 401, Content_Type=f"application/json; {KEY}")) as server:
        carrier = Transport(KEY, server.url)
        error = failure(carrier.call, "GET", f"/{KEY}/?key={KEY}", None)

    for text in (repr(carrier), str(carrier), str(error), repr(error), repr(vars(error))):
        assert KEY not in text
        assert HEADER.removeprefix("Basic ") not in text


LINK = f"https://link-api.codat.io/start?otp={KEY}"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(f"HTTP/1.1 {KEY} {HEADER}\r\n\r\n".encode(), id="no status"),
        pytest.param(f'{{"linkUrl": "{LINK}"}}\r\n\r\n'.encode(), id="a body without a head"),
        pytest.param(
            http(f"{KEY}\r\n", Content_Length="", Transfer_Encoding="chunked"), id="no length of a chunk"
        ),
        pytest.param(http("{}", Content_Length=KEY) + LINK.encode(), id="no length"),
        pytest.param(
            f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno colon {KEY} {HEADER}\r\n\r\n{{}}".encode(),
            id="half a header",
        ),
    ],
)
def test_what_came_is_in_no_traceback_and_in_no_log(
    answer: bytes, quick: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The libraries quote what they can't read, and it may hold the key or a link."""
    shown = ""
    with answering(answer) as server:
        try:
            Transport(KEY, server.url, **quick).call("GET", "/companies", 0)
        except ApiError as error:
            shown = "".join(traceback.format_exception(error))

    for text in (shown, caplog.text):
        assert KEY not in text
        assert HEADER.removeprefix("Basic ") not in text


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/companies?page=2&pageSize=100", "/companies?page=2&pageSize=100"),
        ("https://api.codat.io/companies?page=2", "/companies?page=2"),
        ("https://API.codat.io:443/companies?page=2", "/companies?page=2"),
        ("companies?page=2", "/companies?page=2"),
        ("@else.where/x", "/@else.where/x?"),
        (".else.where/x", "/.else.where/x?"),
        (":8443/x", "/:8443/x?"),
        ("\\\\else.where/x", "/\\\\else.where/x?"),
    ],
)
def test_a_link_is_followed_on_codats_own_host(href: str, path: str) -> None:
    """Whatever stands in it is a path, and never the rest of a host's name."""
    assert Transport(KEY, "https://api.codat.io").link_path(href) == path


@pytest.mark.parametrize(
    "href",
    [
        "https://else.where/companies",
        "//else.where/companies",
        "http://api.codat.io/companies",
        "https://api.codat.io:8443/companies",
        "https://api.codat.io@else.where/companies",
        "https://[::1",
        "https://api.codat.io:none/",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_a_link_to_elsewhere_is_not_followed(href: str) -> None:
    """It would carry the key there."""
    error = failure(Transport(KEY, "https://api.codat.io").link_path, href)

    assert isinstance(error, NotCodat)
    assert "doesn't lead to Codat" in str(error)


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/companies?page=2", "/companies?page=2"),
        ("/codat/companies?page=2", "/companies?page=2"),
        ("/codata?page=2", "/codata?page=2"),
    ],
)
def test_a_link_behind_a_proxys_path_is_followed_there(href: str, path: str) -> None:
    """Whether the proxy rewrites links or not."""
    assert Transport(KEY, "https://proxy.example/codat").link_path(href) == path


# Answers that are none.


def stalls(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    connection.recv(1)


def drips(connection: socket.socket) -> None:
    """Send a byte every now and then: every single read is quick."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 600\r\n\r\n")
    for _ in range(600):
        connection.sendall(b" ")
        time.sleep(0.05)


def drips_headers(connection: socket.socket) -> None:
    """Send a header line that never ends, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(600):
        connection.sendall(b"x")
        time.sleep(0.05)


def pours(start: bytes, again: bytes) -> Callable[[socket.socket], None]:
    """Begin, and then send the same for as long as anybody listens, at full speed."""

    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 " + start)
        while True:
            connection.sendall(again * 1000)

    return pour


def floods(connection: socket.socket) -> None:
    """Send more than anybody asked for."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b" " * 1024 * 1024)


def resets(connection: socket.socket) -> None:
    """Break the connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


BOMB = gzip.compress(b" " * (transport.LARGEST_BODY + 1))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(stalls, "not within 1 s", id="silence"),
        pytest.param(drips, "not within 1 s", id="drips"),
        pytest.param(drips_headers, "not within 1 s", id="drips of a header"),
        pytest.param(pours(b"100 A\r\n\r\n", b"HTTP/1.1 100 A\r\n\r\n"), "not within 1 s", id="only 100s"),
        pytest.param(
            pours(b"200 A\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0", b"a file's name"),
            "not within 1 s",
            id="a packed body that never begins",
        ),
        pytest.param(
            pours(b"200 A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X: trailer\r\n"),
            "not within 1 s",
            id="trailers without end",
        ),
        pytest.param(resets, "connection reset", id="a reset"),
        pytest.param(b"", "connection reset", id="nothing"),
        pytest.param(OK[:-3], "ProtocolError", id="half a body"),
        pytest.param(
            http(b'5\r\n{"a":', Content_Length="", Transfer_Encoding="chunked"), "ProtocolError", id="half"
        ),
        pytest.param(b"rubbish\r\n\r\n", "ConnectionError", id="no HTTP"),
        pytest.param(http(b"no gzip", Content_Encoding="gzip"), "DecodeError", id="a broken encoding"),
        pytest.param(http(b"", X="y" * 70_000), "ConnectionError", id="a header without end"),
    ],
)
def test_an_answer_that_does_not_come_whole_is_a_transport_error(
    answer: Any, words: str, quick: dict[str, Any]
) -> None:
    """In a few words instead of urllib3's, and within the time that one answer may take."""
    started = time.monotonic()
    with answering(answer) as server:
        error = failure(Transport(KEY, server.url, retries=0, **quick).call, "GET", "/companies?page=1", None)

        assert time.monotonic() - started < 2
    assert type(error) is TransportError
    assert (error.status, error.doing) == (None, "GET /companies")
    assert str(error) == (
        f"GET /companies: the answer was "
        f"cut off or never came from {server.url} ({words}); check the network and the base URL,"
        " then try again"
    )


@pytest.mark.parametrize("answer", [floods, http(BOMB, Content_Encoding="gzip")], ids=["plain", "compressed"])
def test_a_giant_body_is_not_codats(answer: Any, naps: Naps) -> None:
    """32 MB are read and no more, however small they were packed."""
    with answering(answer) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, "GET", "/companies", None)

    assert type(error) is NotCodat
    assert "over 32 MB isn't Codat's" in str(error)
    assert naps == []


def test_a_giant_error_is_not_read(quick: dict[str, Any]) -> None:
    """Each text of an error is searched for secrets, which would take ten seconds for one of 32 MB."""
    said = {"error": "otp=x " * (responses.LARGEST_ERROR // 6)}
    with answering(http(said, 400), http(said, 404)) as server:
        rejected = failure(Transport(KEY, server.url, **quick).call, "GET", "/x", 0)
        lost = failure(Transport(KEY, server.url, **quick).call, "GET", "/x", 0)

    assert str(rejected) == "GET /x: refused (HTTP 400); correct the request"
    assert (type(rejected), type(lost)) == (Rejected, NotCodat)


def test_a_packed_body_is_unpacked() -> None:
    """`requests` asks for gzip."""
    with answering(http(gzip.compress(b'{"a": "b"}'), Content_Encoding="gzip")) as server:
        assert Transport(KEY, server.url).call("GET", "/companies", None) == {"a": "b"}


def test_a_chunked_body_is_put_together() -> None:
    """Codat's servers send whole lists that way."""
    body = b'5\r\n{"a":\r\n4\r\n "b"\r\n1\r\n}\r\n0\r\n\r\n'
    with answering(http(body, Content_Length="", Transfer_Encoding="chunked")) as server:
        assert Transport(KEY, server.url).call("GET", "/companies", None) == {"a": "b"}


def test_connections_are_kept_alive() -> None:
    """A TLS handshake for each of 10,000 calls would double their time."""
    with answering(LASTING, keep_alive=True) as server:
        carrier = Transport(KEY, server.url)
        for _ in range(5):
            carrier.call("GET", "/companies", None)
        carrier._session().close()

        assert (len(server.requests), server.connections) == (5, 1)


def test_what_follows_an_answer_is_not_the_next_one() -> None:
    """A connection on which more came than was asked for is not used again."""
    with answering(LASTING + http({"fine": False}), LASTING, keep_alive=True) as server:
        carrier = Transport(KEY, server.url)
        answered = [carrier.call("GET", f"/{count}", None) for count in range(3)]
        carrier._session().close()

    assert answered == [{"fine": True}] * 3


def test_a_port_where_nobody_listens_is_said_so(quick: dict[str, Any]) -> None:
    """The commonest of all: the emulator isn't running."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(Transport(KEY, f"http://127.0.0.1:{port}", **quick).call, "GET", "/companies", 0)

    assert "(connection refused)" in str(error)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://no-such-host.invalid", "unknown host"),
        (f"https://{'x' * 70}.example", "LocationParseError"),
        ("https://..", "InvalidURL"),
    ],
)
def test_a_host_that_is_none_is_a_transport_error(url: str, words: str, quick: dict[str, Any]) -> None:
    """Not one of urllib3's own exceptions, which nobody catches."""
    error = failure(Transport(KEY, url, **quick).call, "GET", "/companies", 0)

    assert type(error) is TransportError
    assert f"({words})" in str(error)


# TLS.


def test_tls_to_a_plain_port_is_said_so(quick: dict[str, Any]) -> None:
    """And the key isn't sent: there is no request at all."""
    with answering(OK) as server:
        url = server.url.replace("http:", "https:")
        error = failure(Transport(KEY, url, **quick).call, "GET", "/companies", 0)

    assert type(error) is NotCodat
    assert str(error) == f"GET /companies: {url} doesn't speak TLS; check the network and the base URL"
    assert not [request for request in server.requests if "Authorization" in request]


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(
    tmp_path: Path, quick: dict[str, Any], naps: Naps
) -> None:
    """It will not be better the next time, and the key isn't sent."""
    with answering(OK, tls=tmp_path) as server:
        error = failure(Transport(KEY, server.url, **quick).call, "GET", "/companies", None)

    assert type(error) is NotCodat
    assert str(error) == (
        f"GET /companies: {server.url} has no trustworthy TLS certificate (unable to get local issuer"
        " certificate); check the base URL, or name your own authority in REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    )
    assert (server.requests, naps) == ([], [])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_switches_the_check_of_the_certificate_off(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: dict[str, Any]
) -> None:
    """No variable that does so elsewhere; and neither key nor body is sent, nor what a netrc file holds."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name, value in (
        ("CURL_CA_BUNDLE", ""),
        ("REQUESTS_CA_BUNDLE", ""),
        ("PYTHONHTTPSVERIFY", "0"),
        ("SSL_NO_VERIFY", "1"),
        ("GIT_SSL_NO_VERIFY", "1"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "0"),
    ):
        monkeypatch.setenv(name, value)
    body = {"platformKey": "gbol"} if method == "POST" else None
    with answering(OK, tls=tmp_path) as server:
        error = failure(Transport(KEY, server.url, **quick).call, method, "/companies", 0, body)

    assert type(error) is NotCodat
    assert str(error).isprintable()
    assert "has no trustworthy TLS certificate" in str(error)
    assert server.requests == []


def test_a_netrc_file_does_not_replace_the_key_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the environment counts otherwise, for proxies and authorities."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    with answering(OK, tls=tmp_path) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.authority))
        Transport(KEY, server.url).call("GET", "/companies", None)

    assert f"\r\nAuthorization: {HEADER}\r\n" in server.requests[0]


def test_a_certificate_of_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However well vouched for."""
    with answering(OK, tls=tmp_path) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.authority))
        url = server.url.replace("127.0.0.1", "localhost")
        error = failure(Transport(KEY, url).call, "GET", "/companies", 0)

    assert type(error) is NotCodat
    assert server.requests == []


# Repeating.


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http(status=408), Rejected),
        (http(status=500), CodatBroken),
        (http(status=503), CodatBroken),
        (resets, TransportError),
    ],
    ids=["408", "500", "503", "reset"],
)
def test_what_is_safe_to_repeat_is_repeated(
    method: str, answer: Any, kind: type[ApiError], naps: Naps
) -> None:
    """Four times by default, after waits that grow from half a second to at most 30."""
    with answering(answer) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, method, "/companies", None)

    assert type(error) is kind
    assert server.lines == [f"{method} /companies"] * 5
    assert [0.5 * 2**n <= nap <= 0.5 * 2**n + 0.5 for n, nap in enumerate(naps)] == [True] * 4


@pytest.mark.parametrize(
    "answer",
    [http(status=408), http(status=500), http(status=503), resets, OK[:-3]],
    ids=["408", "500", "503", "reset", "half"],
)
def test_a_post_is_not_repeated(answer: Any, naps: Naps, quick: dict[str, Any]) -> None:
    """Codat makes a new connection at every one."""
    with answering(answer, OK) as server:
        failure(Transport(KEY, server.url, **quick).call, "POST", "/companies", None, {"a": "b"})

    assert (server.lines, naps) == (["POST /companies"], [])


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_a_refusal_is_not_repeated(status: int, method: str, naps: Naps) -> None:
    """It would be refused again; a wrong key or a spent plan ends the run."""
    with answering(http({"error": "no"}, status), OK) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, method, "/x", None)

    assert (error.status, len(server.requests), naps) == (status, 1, [])


@pytest.mark.parametrize(("override", "requests"), [(None, 3), (0, 1), (1, 2), (-1, 1)])
def test_retries_can_be_overridden_at_each_call(override: int | None, requests: int, naps: Naps) -> None:
    """0 is never."""
    with answering(http(status=500)) as server:
        failure(Transport(KEY, server.url, retries=2, sleep=naps).call, "GET", "/x", override)

    assert len(server.requests) == requests


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_a_429_is_waited_for_as_codat_asks(method: str, naps: Naps) -> None:
    """Every method, since nothing was done; and what is sent again is the same."""
    body = {"a": "b"} if method in {"POST", "PATCH"} else None
    with answering(http(status=429, Retry_After="7"), http(status=429, Retry_After="9"), OK) as server:
        Transport(KEY, server.url, retries=1, sleep=naps).call(
            method, "/x", None, body, {"Idempotency-Key": "1"}
        )

    assert naps == [7, 9]
    assert len(server.requests) == 3
    assert len(set(server.requests)) == 1


def test_a_429_counts_as_no_retry(naps: Naps) -> None:
    """Five of them, and then the four retries of a default are still there."""
    busy, broken = http(status=429, Retry_After="1"), http(status=500)
    with answering(*[busy] * 5, *[broken] * 4, OK) as server:
        assert Transport(KEY, server.url, sleep=naps).call("GET", "/x", None) == {"fine": True}

    assert len(naps) == 9


@pytest.mark.parametrize("retries", [0, -1])
def test_without_retries_a_429_ends_at_once(retries: int, naps: Naps) -> None:
    """Never means never."""
    with answering(http(status=429, Retry_After="7"), OK) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, "POST", "/x", retries)

    assert isinstance(error, RateLimited)
    assert (error.retry_after, len(server.requests), naps) == (7.0, 1, [])


@pytest.mark.parametrize("asked", ["0", "Tue, 24 Nov 2020 12:00:00 GMT", ""], ids=["0", "past", "none"])
def test_a_429_without_a_wait_is_not_repeated_for_ever(asked: str, naps: Naps) -> None:
    """Codat's clock and ours may differ: our own backoff is the least wait, and patience ends it."""
    with answering(http(status=429, Retry_After=asked)) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, "GET", "/x", None)

    assert isinstance(error, RateLimited)
    assert 10 < len(naps) < 30
    assert sum(naps) <= 300
    assert min(naps) >= 0.5


def test_a_quota_of_hours_ends_at_once(naps: Naps) -> None:
    """Nobody waits in a pipeline for midnight; the message says when to come back."""
    with answering(http({"error": "Too many."}, 429, Retry_After="11100")) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, "GET", "/x", None)

    assert str(error) == "GET /x: Too many (HTTP 429); come back in 3 h 5 min"
    assert (len(server.requests), naps) == (1, [])


def test_all_waits_of_a_call_stay_within_patience(naps: Naps) -> None:
    """Not each wait, but their sum."""
    with answering(http(status=429, Retry_After="40")) as server:
        failure(Transport(KEY, server.url, patience=100, sleep=naps).call, "GET", "/x", None)

    assert (naps, len(server.requests)) == ([40, 40], 3)


def test_patience_bounds_the_waits_after_failures_too(naps: Naps) -> None:
    """A hundred retries are no licence to wait for an hour."""
    with answering(http(status=500)) as server:
        failure(Transport(KEY, server.url, retries=100, patience=60, sleep=naps).call, "GET", "/x", None)

    assert sum(naps) <= 60


@pytest.mark.parametrize(
    ("answers", "doubt"),
    [
        pytest.param([http(status=404)], False, id="a plain 404"),
        pytest.param([http(status=503), http(status=404)], True, id="after a 503"),
        pytest.param([resets, http(status=400)], True, id="after a reset"),
        pytest.param([http(status=429, Retry_After="1"), http(status=404)], False, id="after a 429"),
        pytest.param([http(status=503)], False, id="a 503"),
    ],
)
def test_a_refusal_says_whether_an_earlier_try_may_have_done_it(
    answers: list[Any], doubt: bool, naps: Naps
) -> None:
    """A DELETE that answered 503 may have deleted, and the next try then gets a 404."""
    with answering(*answers) as server:
        error = failure(Transport(KEY, server.url, sleep=naps).call, "DELETE", "/x", 1)

    assert error.in_doubt is doubt


# The guard and the throttle.


class Watch:
    """A guard and a throttle that note when they are called; the guard may end it."""

    def __init__(self, naps: Naps, allowed: int = 1000) -> None:
        self.seen: list[str] = []
        self._allowed = allowed
        self._naps = naps

    def guard(self) -> None:
        """Note it, and raise once it was called often enough."""
        self.seen.append("guard")
        if self.seen.count("guard") > self._allowed:
            raise InterruptedError("the engine is gone")

    def throttle(self) -> None:
        """Note it."""
        self.seen.append("throttle")

    def sleep(self, seconds: float) -> None:
        """Note it."""
        self.seen.append("wait")
        self._naps(seconds)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_the_guard_is_asked_right_before_every_attempt_to_write(method: str, naps: Naps) -> None:
    """After the throttle and after each wait: whoever waits may have been orphaned meanwhile."""
    watch = Watch(naps)
    with answering(http(status=429, Retry_After="2"), OK) as server:
        carrier = Transport(KEY, server.url, guard=watch.guard, throttle=watch.throttle, sleep=watch.sleep)
        carrier.call(method, "/x", None)

    assert watch.seen == ["throttle", "guard", "wait", "throttle", "guard"]


def test_the_guard_is_not_asked_before_a_read(naps: Naps) -> None:
    """Reading does no harm."""
    watch = Watch(naps)
    with answering(OK) as server:
        Transport(KEY, server.url, guard=watch.guard, throttle=watch.throttle).call("GET", "/x", None)

    assert watch.seen == ["throttle"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("allowed", [0, 1])
def test_a_guard_that_raises_stops_the_write(method: str, allowed: int, naps: Naps) -> None:
    """Its own exception comes through, and nothing is sent; nor after a wait."""
    watch = Watch(naps, allowed)
    with answering(http(status=429, Retry_After="2")) as server:
        carrier = Transport(KEY, server.url, guard=watch.guard, sleep=watch.sleep)
        with pytest.raises(InterruptedError, match="the engine is gone"):
            carrier.call(method, "/x", None)

    assert len(server.requests) == allowed


# Threads.


def test_threads_share_a_transport(quick: dict[str, Any]) -> None:
    """Eight at once, each with its own connection, none with another's answer."""
    with answering(LASTING, keep_alive=True) as server:
        carrier = Transport(KEY, server.url, **quick)
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for count in range(10):
                    carrier.call("GET", f"/{number}/{count}", None)
                carrier._session().close()
            except BaseException as error:  # noqa: BLE001  told below
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failed == []
    assert sorted(server.lines) == sorted(f"GET /{n}/{c}" for n in range(8) for c in range(10))
    assert server.connections == 8
