"""The error for a call that got no whole answer: what was in the way, and what to do about it. Pure."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidURL, ProxyError
from urllib3.exceptions import ConnectTimeoutError, LocationValueError, NewConnectionError

from codat_iac.codat.network import Proxy
from codat_iac.codat.responses import duration
from codat_iac.model.errors import ApiError, NotCodat, TransportError, Unauthorized
from codat_iac.model.text import safe_text

_REASONS: Mapping[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection reset",
    BrokenPipeError: "connection reset",
    socket.gaierror: "unknown host",
    ssl.SSLError: "it doesn't speak TLS as it should",
}

_UNSENT = (
    ssl.SSLCertVerificationError,
    ConnectTimeoutError,
    InvalidURL,
    LocationValueError,
    NewConnectionError,
)
"""What ends a call before anything of it is sent. A `ProxyError` may also come after that."""

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"})
"""OpenSSL's reasons if something else than TLS comes back."""

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")
"""The words of `http.client` if a proxy doesn't lead on."""

_WHERE = "in REQUESTS_CA_BUNDLE or SSL_CERT_FILE"


@dataclass(frozen=True, slots=True)
class Way:
    """The way to Codat: the base URL, the proxy in front of it, and how many seconds an answer may take."""

    base_url: str
    proxy: Proxy | None
    timeout: float

    def failure(self, error: BaseException, doing: str) -> ApiError:
        """Return the error that stands for *error*, raised by `requests` or `urllib3` in the call *doing*."""
        causes = tuple(_causes(error))
        at_proxy = isinstance(error, ProxyError)
        explained = (self._explained(cause, at_proxy) for cause in causes)
        kind, words = next(filter(None, explained), (TransportError, self._described(error, causes)))
        failure = kind(f"{doing}: {words}", doing=doing)
        failure.sent = not (kind is Unauthorized or _unsent(causes))
        failure.common = kind.common or not failure.sent
        return failure

    def _explained(self, cause: BaseException, at_proxy: bool) -> tuple[type[ApiError], str] | None:
        """Return the kind of error and its words if *cause* alone explains it.

        *at_proxy*: it happened before the proxy led on.
        """
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotCodat, self._distrusted(safe_text(cause.verify_message), at_proxy)
        if isinstance(cause, ssl.SSLError):
            return self._tls_failed(cause.reason or "", at_proxy)
        status = _tunnel_status(cause)
        return self._tunnel_refused(status) if status else None

    def _distrusted(self, why: str, at_proxy: bool) -> str:
        if at_proxy:
            return f"{self.proxy} has no trustworthy TLS certificate ({why}); name its own authority {_WHERE}"
        if self.proxy:
            return (
                f"the certificate for {self.base_url} that comes through {self.proxy} is not trustworthy"
                f" ({why}); if that proxy opens TLS, name its authority {_WHERE}"
            )
        return (
            f"{self.base_url} has no trustworthy TLS certificate ({why}); check the base URL, or name your"
            f" own authority {_WHERE}"
        )

    def _tls_failed(self, reason: str, at_proxy: bool) -> tuple[type[ApiError], str] | None:
        if reason in _NO_TLS and at_proxy:
            return NotCodat, f"{self.proxy} doesn't speak TLS; write its URL with http:// there"
        if reason in _NO_TLS:
            return NotCodat, f"{self._shown} doesn't speak TLS; {self._check}"
        if "CERTIFICATE_REQUIRED" in reason:
            variables = "CODAT_CLIENT_CERT, CODAT_CLIENT_KEY and CODAT_CLIENT_NAME"
            return Unauthorized, f"{self._shown} asks for a client certificate; set {variables}"
        if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
            why = reason.partition("ALERT_")[2].replace("_", " ").lower()
            return (
                Unauthorized,
                f"{self._shown} refuses the client certificate ({why}); check CODAT_CLIENT_CERT",
            )
        return None

    def _tunnel_refused(self, status: int) -> tuple[type[ApiError], str]:
        if status == 407:
            given = self.proxy is not None and self.proxy.has_password
            wrong = "refuses the user and password" if given else "asks for a user and a password"
            correct = "write them there, as in http://USER:PASSWORD@HOST:PORT"
            return NotCodat, f"{self.proxy} {wrong} (HTTP 407); {correct}"
        if status >= 500:
            return (
                TransportError,
                f"{self.proxy} can't reach {self.base_url} (HTTP {status}); try again later",
            )
        return NotCodat, f"{self.proxy} refuses to lead to {self.base_url} (HTTP {status}); {self._check}"

    def _described(self, error: BaseException, causes: tuple[BaseException, ...]) -> str:
        reason = self._reason(error, causes)
        lost = "no connection to" if _unsent(causes) else "the answer was cut off or never came from"
        return f"{lost} {self._shown} ({reason}); {self._check}, then try again"

    @property
    def _shown(self) -> str:
        return f"{self.base_url} through {self.proxy}" if self.proxy else self.base_url

    @property
    def _check(self) -> str:
        if self.proxy is None:
            return "check the network and the base URL"
        host = urlsplit(self.base_url).hostname
        return f"check that proxy, or name {host} in NO_PROXY if it can be reached without one"

    def _reason(self, error: BaseException, causes: tuple[BaseException, ...]) -> str:
        """Return in a few words what went wrong in the network; urllib3 nests representations."""
        for cause in causes:
            for kind, words in _REASONS.items():
                if isinstance(cause, kind):
                    return words
            if isinstance(cause, TimeoutError | requests.Timeout):
                return f"not within {duration(self.timeout)}"
        return type(error).__name__


def _unsent(causes: Iterable[BaseException]) -> bool:
    return any(isinstance(cause, _UNSENT) or _tunnel_status(cause) for cause in causes)


def _tunnel_status(cause: BaseException) -> int | None:
    """Return the HTTP status with which a proxy refused to lead on, None if that isn't what happened."""
    # Of this very type: the text of others may quote what a server says after a call was sent.
    refused = _TUNNEL_REFUSED.match(str(cause)) if type(cause) is OSError else None
    return int(refused[1]) if refused else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and its causes, as requests and urllib3 nest them."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        nested = (getattr(seen, "reason", None), *seen.args, seen.__cause__, seen.__context__)
        seen = next((each for each in nested if isinstance(each, BaseException)), None)
