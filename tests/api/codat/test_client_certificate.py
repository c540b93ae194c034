"""The client certificate of Codat's enterprise API, against a server that demands it over real TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from codat_iac.codat.client import Client, Reader
from codat_iac.codat.transport import Transport
from codat_iac.model.errors import ApiError, ConfigError, Unauthorized
from codat_iac.model.settings import Settings
from tests.support.raw_server import RawServer, answering, http, leading_to, page
from tests.support.waiting import Naps

KEY = "k3y-of-forty-characters-and-some-more-00"
NAME = "6c2a5f0e-8a6f-4a3e-9a51-0f3f2b1c7d11"
OK = http({"fine": True})


@dataclass(frozen=True)
class Given:
    """What Codat gives: the authority of its clients, and a certificate with its key, in files."""

    authority: trustme.CA
    certificate: Path
    key: Path

    @property
    def files(self) -> tuple[str, str]:
        """The argument `client_cert`."""
        return str(self.certificate), str(self.key)


def given(folder: Path, authority: trustme.CA, not_after: datetime | None = None) -> Given:
    """Issue a certificate, and write it and its key."""
    folder.mkdir(exist_ok=True)
    issued = authority.issue_cert("client.test", not_after=not_after)
    made = Given(authority, folder / "client.pem", folder / "client.key")
    issued.cert_chain_pems[0].write_to_path(str(made.certificate))
    issued.private_key_pem.write_to_path(str(made.key))
    return made


@pytest.fixture
def ours(tmp_path: Path) -> Given:
    """A certificate that the server knows."""
    return given(tmp_path / "ours", trustme.CA())


def trusting(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Trust the server's own certificate, and return its URL."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
    return server.url


@pytest.mark.parametrize(
    "make",
    [
        lambda url, ours: Client(KEY, url, client_cert=ours.files, client_name=NAME),
        lambda url, ours: Reader(KEY, url, client_cert=ours.files, client_name=NAME),
        lambda url, ours: Reader.configured(
            Settings(KEY, url, client_cert=ours.files, client_name=NAME), timeout=9
        ),
    ],
    ids=["Client", "Reader", "settings"],
)
def test_a_server_that_demands_it_gets_it(
    make: Callable[[str, Given], Reader], ours: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together with the name of the client, in each request."""
    with answering(http(page()), tls=tmp_path, clients=ours.authority) as server:
        reader = make(trusting(server, monkeypatch), ours)

        assert reader.list_companies().results == ()
        assert f"\r\nx-codat-client: {NAME}\r\n" in server.requests[0]
        assert NAME not in repr(reader)
        assert NAME not in repr(Settings(KEY, client_cert=ours.files, client_name=NAME))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_misses_it_says_what_to_set(
    method: str, ours: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """Once, since it would miss it again; and nothing was done."""
    with answering(OK, tls=tmp_path, clients=ours.authority) as server:
        transport = Transport(KEY, trusting(server, monkeypatch), sleep=naps)
        with pytest.raises(Unauthorized) as caught:
            transport.call(method, "/x", None)

    assert (caught.value.sent, server.requests, naps) == (False, [], [])
    assert str(caught.value) == (
        f"{method} /x: {server.url} asks for a client certificate; set CODAT_CLIENT_CERT, CODAT_CLIENT_KEY"
        " and CODAT_CLIENT_NAME"
    )


def test_a_server_that_does_not_know_it_says_so(
    ours: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """As where it is another instance's, or was revoked."""
    theirs = given(tmp_path / "theirs", trustme.CA())
    with answering(OK, tls=tmp_path, clients=ours.authority) as server:
        url = trusting(server, monkeypatch)
        transport = Transport(KEY, url, sleep=naps, client_cert=theirs.files, client_name=NAME)
        with pytest.raises(Unauthorized) as caught:
            transport.call("GET", "/x", None)

    assert (server.requests, naps) == ([], [])
    assert str(caught.value) == (
        f"GET /x: {url} refuses the client certificate (unknown ca); check CODAT_CLIENT_CERT"
    )


def test_a_proxy_gets_neither_certificate_nor_name(
    ours: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are for Codat's own host."""
    with (
        answering(OK, tls=tmp_path, clients=ours.authority) as server,
        answering(leading_to(server)) as proxy,
    ):
        monkeypatch.setenv("https_proxy", proxy.url)
        trusting(server, monkeypatch)
        transport = Transport(KEY, "https://codat.test", client_cert=ours.files, client_name=NAME)

        assert transport.call("GET", "/x", None) == {"fine": True}
        (asked,) = proxy.requests
        assert NAME not in asked
        assert NAME in server.requests[0]


def test_a_proxy_that_demands_a_certificate_does_not_get_codats(
    ours: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    """Even if it would be content with it."""
    with answering(OK, tls=tmp_path, clients=ours.authority) as proxy:
        monkeypatch.setenv("https_proxy", trusting(proxy, monkeypatch))
        transport = Transport(KEY, "https://codat.test", sleep=naps, client_cert=ours.files, client_name=NAME)
        with pytest.raises(ApiError, match=f"through the proxy {proxy.url} .* asks for a client certificate"):
            transport.call("GET", "/x", None)

        assert proxy.requests == []


def test_an_error_that_repeats_the_name_does_not_show_it(
    ours: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does any other text of ours."""
    said = http({"error": f"client {NAME} is unknown"}, 403)
    with answering(said, tls=tmp_path, clients=ours.authority) as server:
        url = trusting(server, monkeypatch)
        transport = Transport(KEY, url, client_cert=ours.files, client_name=NAME)
        with pytest.raises(Unauthorized, match=r"client \*\*\* is unknown") as caught:
            transport.call("GET", f"/{NAME}", None)

    assert NAME not in f"{caught.value!r} {vars(caught.value)} {transport!r}"


# Before any call.


def expired(folder: Path) -> Given:
    """A certificate whose time is over."""
    return given(folder, trustme.CA(), datetime(2020, 1, 1, tzinfo=UTC))


def encrypted(folder: Path) -> Given:
    """A key behind a passphrase."""
    made = given(folder, trustme.CA())
    key = load_pem_private_key(made.key.read_bytes(), None)
    secret = BestAvailableEncryption(b"secret")
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    return made


def mixed(folder: Path) -> Given:
    """The key of another certificate."""
    return replace(given(folder, trustme.CA()), key=given(folder / "other", trustme.CA()).key)


def binary(folder: Path) -> Given:
    """A certificate in another format."""
    made = given(folder, trustme.CA())
    made.certificate.write_bytes(ssl.PEM_cert_to_DER_cert(made.certificate.read_text()))
    return made


def torn(folder: Path) -> Given:
    """Half a key."""
    made = given(folder, trustme.CA())
    made.key.write_text("-----BEGIN PRIVATE KEY-----\nMHcCAQ\n-----END PRIVATE KEY-----\n")
    return made


def without(name: str) -> Callable[[Path], Given]:
    """One of the two files is missing."""

    def make(folder: Path) -> Given:
        made = given(folder, trustme.CA())
        (folder / name).unlink()
        return made

    return make


def swapped(folder: Path) -> Given:
    """Each in the other's place."""
    made = given(folder, trustme.CA())
    return replace(made, certificate=made.key, key=made.certificate)


CERTIFICATE = r"the client certificate /\S+ \(CODAT_CLIENT_CERT\)"
PRIVATE = r"the key /\S+ \(CODAT_CLIENT_KEY\)"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (expired, f"^{CERTIFICATE}: certificate has expired; get a new one from Codat$"),
        (encrypted, f"^{PRIVATE} is encrypted, .* openssl pkey -in KEY -out NEW$"),
        (
            mixed,
            f"^{CERTIFICATE} and {PRIVATE} don't belong together; name the two files that Codat gave you$",
        ),
        (torn, f"^{CERTIFICATE} and {PRIVATE} can't be used; "),
        (binary, f"^{CERTIFICATE} holds no CERTIFICATE in PEM format"),
        (swapped, f"^{CERTIFICATE} holds no CERTIFICATE in PEM format"),
        (without("client.pem"), f"^{CERTIFICATE} can't be read: No such file or directory$"),
        (without("client.key"), f"^{PRIVATE} can't be read: No such file or directory$"),
    ],
    ids=["expired", "encrypted", "mixed", "torn", "binary", "swapped", "no certificate", "no key"],
)
def test_files_that_cannot_work_are_refused_before_any_call(
    make: Callable[[Path], Given], words: str, tmp_path: Path
) -> None:
    """With the variable to correct, and without what is in them."""
    made = make(tmp_path / "made")
    with pytest.raises(ConfigError, match=words):
        Client(KEY, client_cert=made.files, client_name=NAME)


def test_both_may_be_in_one_file(ours: Given, tmp_path: Path) -> None:
    """Many keep them together, with what vouches for them."""
    both = tmp_path / "both.pem"
    both.write_bytes(ours.certificate.read_bytes() + ours.authority.cert_pem.bytes() + ours.key.read_bytes())

    Client(KEY, client_cert=(str(both), str(both)), client_name=NAME)


@pytest.mark.parametrize(
    ("name", "words"),
    [(None, "belong together; give both or neither"), ("Acme", "is not a GUID; Codat tells you which it is")],
)
def test_a_certificate_needs_the_clients_name(name: str | None, words: str, ours: Given) -> None:
    """Codat's page asks for both; and the name isn't shown."""
    with pytest.raises(ConfigError, match=words) as caught:
        Client(KEY, client_cert=ours.files, client_name=name)

    assert "Acme" not in str(caught.value)


def test_a_name_needs_the_certificate() -> None:
    """Alone it says nothing."""
    with pytest.raises(ConfigError, match="belong together; give both or neither"):
        Client(KEY, client_name=NAME)


def test_an_argument_that_there_is_not_is_refused() -> None:
    """A misspelt one would else be ignored."""
    with pytest.raises(TypeError, match="'timout'; there are timeout, retries, patience, guard, throttle"):
        Client(KEY, timout=5)  # type: ignore[call-arg]
