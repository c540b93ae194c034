"""The way to Codat: proxies, authorities, and what is said and tried if no connection comes about."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codat_iac.codat.network import AUTHORITIES
from codat_iac.codat.transport import RECONNECTS, Transport
from codat_iac.model.errors import ApiError, ConfigError, NotCodat, TransportError
from tests.support.raw_server import answering, http, leading_to
from tests.support.waiting import Naps

KEY = "k3y-of-forty-characters-and-some-more-00"
CODAT = "https://codat.test"
OK = http({"fine": True})


def page(status: int = 200, **headers: str) -> bytes:
    """A page for people."""
    return http("<html>Sign in</html>", status, Content_Type="text/html", **headers)


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def failure(naps: Naps, url: str = CODAT, method: str = "GET") -> ApiError:
    """The error of a call."""
    with pytest.raises(ApiError) as caught:
        Transport(KEY, url, timeout=5, sleep=naps).call(method, "/x", None)
    return caught.value


def refusal(url: str = CODAT) -> str:
    """The error before any call."""
    with pytest.raises(ConfigError) as caught:
        Transport(KEY, url)
    return str(caught.value)


# No connection.


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("host", "reason"), [("127.0.0.1", "connection refused"), ("no-such-host.invalid", "unknown host")]
)
def test_what_is_refused_at_once_is_not_tried_for_long(
    method: str, host: str, reason: str, port: int, naps: Naps
) -> None:
    """Two more tries within seconds, also of a POST, since nothing was sent."""
    url = f"https://{host}:{port}"
    error = failure(naps, url, method)

    assert (type(error), error.sent, error.in_doubt) == (TransportError, False, False)
    assert str(error) == (
        f"{method} /x: no connection to {url} ({reason}); check the network and the base URL, then try again"
    )
    assert (len(naps), sum(naps) < 3) == (RECONNECTS, True)


def resets(connection: socket.socket) -> None:
    """Break the connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


@pytest.mark.parametrize("reached", [False, True])
def test_only_what_was_sent_casts_doubt_on_the_next_try(
    reached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """A DELETE that reached nobody didn't delete what then is gone."""
    gone = http({"error": "gone"}, 404)
    with answering(*[resets] * reached, gone, tls=tmp_path) as server:
        lead = leading_to(server)
        with answering(lead if reached else http(status=502), lead) as proxy:
            monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
            monkeypatch.setenv("https_proxy", proxy.url)
            error = failure(naps, method="DELETE")

    assert (error.status, error.in_doubt, len(naps)) == (404, reached, 1)


@pytest.mark.parametrize("reached", [False, True])
def test_a_call_was_sent_if_any_of_its_tries_was(
    reached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """The last error alone doesn't say it."""
    with (
        answering(resets, tls=tmp_path) as server,
        answering(*[leading_to(server)] * reached, http(status=502)) as proxy,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        monkeypatch.setenv("https_proxy", proxy.url)
        error = failure(naps, method="DELETE")

    assert (type(error), error.sent) == (TransportError, reached)


def test_the_words_of_a_server_do_not_undo_what_was_sent(naps: Naps) -> None:
    """A POST is repeated only if no connection came about, whatever comes back."""
    with answering(b"Tunnel connection failed: 407 x\r\n\r\n") as server:
        error = failure(naps, server.url, "POST")

    assert (error.sent, len(server.requests), naps) == (True, 1, [])


# Proxies.


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_down_is_named_with_its_variable(
    variable: str, port: int, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """Without its password, and without a word about the base URL, which isn't the cause."""
    monkeypatch.setenv(variable, f"http://someone:secret@127.0.0.1:{port}")
    error = failure(naps)

    assert (type(error), error.sent, len(naps)) == (TransportError, False, RECONNECTS)
    assert str(error) == (
        f"GET /x: no connection to {CODAT} through the proxy http://127.0.0.1:{port} ({variable}) (connection"
        " refused); check that proxy, or name codat.test in NO_PROXY if it can be reached without one, then"
        " try again"
    )


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_leads_past_the_proxy(
    variable: str, port: int, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """As the message says; the proxy then has no part in what goes wrong."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv(variable, "codat.test")

    assert str(failure(naps)) == (
        f"GET /x: no connection to {CODAT} (unknown host); check the network and the base URL, then try again"
    )


def test_no_proxy_leads_to_loopback(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look for it on its own machine, and on plain http it would see the key."""
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
    with answering(OK) as plain, answering(OK, tls=tmp_path) as encrypted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(encrypted.authority))
        for server in (plain, encrypted):
            assert Transport(KEY, server.url).call("GET", "/x", None) == {"fine": True}


@pytest.mark.parametrize(
    ("user", "status", "words"),
    [
        ("", 407, "asks for a user and a password (HTTP 407); write them there, as in http://USER:PASSWORD@"),
        ("someone:secret@", 407, "refuses the user and password (HTTP 407); write them there, as in"),
        ("", 403, f"refuses to lead to {CODAT} (HTTP 403); check that proxy, or name codat.test in NO_PROXY"),
    ],
)
def test_a_proxy_that_refuses_is_asked_once(
    user: str, status: int, words: str, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """It would refuse again; and it sees neither the key nor anything else that is meant for Codat."""
    with answering(page(status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//{user}"))
        error = failure(naps, method="POST")

    assert (type(error), error.sent, naps) == (NotCodat, False, [])
    assert f"POST /x: the proxy {proxy.url} (HTTPS_PROXY) {words}" in str(error)
    assert "secret" not in str(error)
    assert "base URL" not in str(error)
    (asked,) = proxy.requests
    assert asked.startswith("CONNECT codat.test:443 ")
    assert "\r\nAuthorization" not in asked


def test_a_proxy_that_cannot_reach_codat_is_asked_again(monkeypatch: pytest.MonkeyPatch, naps: Naps) -> None:
    """That may pass, but not within minutes."""
    with answering(http(status=502)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        error = failure(naps)

    assert (type(error), len(proxy.requests)) == (TransportError, 1 + RECONNECTS)
    assert f"the proxy {proxy.url} (https_proxy) can't reach {CODAT} (HTTP 502); try again later" in str(
        error
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://someone:secret@:x:9", "is ':x:9'; a proxy's URL looks like http://proxy.example:3128"),
        ("http://[::1", "is 'http://[::1'; a proxy's URL looks like"),
        ("http://", "is 'http://'; a proxy's URL looks like"),
        ("proxy.example:port", "is 'proxy.example:port'; a proxy's URL looks like"),
        (
            "ftp://u:secret@p.example:1",
            "is ftp://p.example:1; a proxy's URL begins with http://, https:// or",
        ),
        (
            "socks5://u:secret@127.0.0.1:9",
            "is socks5://127.0.0.1:9, and SOCKS needs one more package: pip ins",
        ),
        ("socks5h://127.0.0.1:9", "SOCKS needs one more package: pip install pysocks"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_before_any_call(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its variable, and without its password."""
    monkeypatch.setenv("https_proxy", url)
    said = refusal()

    assert said.startswith("https_proxy is ")
    assert words in said
    assert "secret" not in said


def test_a_proxy_needs_no_scheme(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many write a host and a port alone."""
    with answering(OK, tls=tmp_path) as server, answering(leading_to(server)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.removeprefix("http://"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.authority))

        assert Transport(KEY, CODAT).call("GET", "/x", None) == {"fine": True}


def test_a_proxy_of_the_system_is_named_so(monkeypatch: pytest.MonkeyPatch, port: int, naps: Naps) -> None:
    """A variable of another case counts too; where none has the value, the system has set it."""
    monkeypatch.setenv("Https_Proxy", f"http://127.0.0.1:{port}")

    assert "(Https_Proxy) (connection refused)" in str(failure(naps))


# What a proxy answers itself.


def goes_on_without_tls(connection: socket.socket) -> None:
    """Lead on, and then answer oneself."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(1)
    connection.sendall(page())
    connection.recv(65536)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (goes_on_without_tls, NotCodat, " doesn't speak TLS; check that proxy"),
        (page(), TransportError, " (it doesn't speak TLS as it should); check that proxy"),
    ],
    ids=["instead of TLS", "instead of a tunnel"],
)
def test_a_proxy_that_answers_with_a_page_is_named(
    answer: Any, kind: type[ApiError], words: str, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """As where one has to sign in first."""
    with answering(answer) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        error = failure(naps)

    assert type(error) is kind
    assert f"{CODAT} through the proxy {proxy.url} (https_proxy){words}, or name codat.test in" in str(error)


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 407])
def test_a_page_that_comes_through_a_proxy_is_blamed_on_it_first(
    status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, naps: Naps
) -> None:
    """A 403 of a proxy that opens TLS says nothing about the API key."""
    with (
        answering(page(status, Location="/"), tls=tmp_path) as server,
        answering(leading_to(server)) as proxy,
    ):
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        error = failure(naps)

    assert (type(error), error.status, naps) == (NotCodat, status, [])
    assert str(error).endswith(
        f"; check the proxy {proxy.url} (https_proxy), and the base URL (CODAT_BASE_URL or codat:baseUrl)"
    )


# TLS.


def test_a_proxy_that_opens_tls_needs_its_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, naps: Naps
) -> None:
    """Each of the two variables that the message names is what helps; the key isn't sent before."""
    with answering(OK, tls=tmp_path) as server, answering(leading_to(server)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        error = failure(naps)
        assert (type(error), error.sent, naps, server.requests) == (NotCodat, False, [], [])
        assert str(error) == (
            f"GET /x: the certificate for {CODAT} that comes through the proxy {proxy.url} (https_proxy) is"
            " not trustworthy (unable to get local issuer certificate); if that proxy opens TLS, name its"
            " authority in REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
        )

        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            with monkeypatch.context() as patch:
                patch.setenv(variable, str(server.authority))
                assert Transport(KEY, CODAT).call("GET", "/x", None) == {"fine": True}


def test_an_authority_of_ones_own_may_be_in_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, naps: Naps
) -> None:
    """Then it has a name by its hash; in an empty folder there is none."""
    with answering(OK, tls=tmp_path) as server:
        (tmp_path / "empty").mkdir()
        monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "empty"))

        assert "has no trustworthy TLS certificate" in str(failure(naps, server.url))


@pytest.mark.parametrize("variable", AUTHORITIES)
@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file or directory"), ("rubbish", "it holds no certificate")]
)
def test_authorities_that_cannot_be_read_are_refused_before_any_call(
    variable: str, content: str | None, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the variable that names them."""
    file = tmp_path / "authorities.pem"
    if content:
        file.write_text(content)
    monkeypatch.setenv(variable, str(file))

    assert refusal() == f"{variable} is '{file}': {words}; correct or unset it"


def test_the_tls_of_a_proxy_itself_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, naps: Naps
) -> None:
    """Its URL may say https://, and it may need an authority of its own, or speak no TLS at all."""
    with answering(OK, tls=tmp_path) as encrypted, answering(OK) as plain:
        monkeypatch.setenv("https_proxy", encrypted.url)
        unknown = failure(naps)
        wrong = plain.url.replace("http:", "https:")
        monkeypatch.setenv("https_proxy", wrong)
        silent = failure(naps)

    assert (type(unknown), type(silent), naps) == (NotCodat, NotCodat, [])
    assert f"the proxy {encrypted.url} (https_proxy) has no trustworthy TLS certificate" in str(unknown)
    assert f"the proxy {wrong} (https_proxy) doesn't speak TLS; write its URL with http://" in str(silent)
