"""Make one call to Codat over HTTP. This is the only module that imports `requests`.

It repeats a call only if that is safe, and sends the API key to Codat's own host only.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
import urllib3

from codat_iac.codat import authorization, parsing, responses
from codat_iac.codat.deadline import DeadlineAdapter
from codat_iac.codat.responses import duration
from codat_iac.model.connection import Quota
from codat_iac.model.errors import ApiError, CodatBroken, ConfigError, NotCodat, RateLimited, TransportError
from codat_iac.model.settings import BASE_URL, check_base_url
from codat_iac.model.text import safe_text
from codat_iac.model.version import __version__

LARGEST_BODY = 32 * 1024 * 1024
"""In bytes. A page of 5,000 companies is below 20 MB, and JSON can take 25 times its size in memory."""

_CHUNK = 64 * 1024


class _KeyAuth(requests.auth.AuthBase):
    """Sets the header itself, since `requests` would otherwise prefer `~/.netrc`."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class Transport:
    """Calls to one base URL with one API key. `Reader` documents the arguments."""

    def __init__(
        self,
        api_key: str,
        base_url: str = BASE_URL,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        patience: float = 300.0,
        guard: Callable[[], None] = lambda: None,
        throttle: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        key = api_key.strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigError("the API key is empty or has characters that no key has; set CODAT_API_KEY")
        self.base_url = check_base_url(base_url)
        self.timeout = timeout
        self.retries = retries
        self.patience = patience
        self._guard = guard
        self._throttle = throttle
        self._sleep = sleep
        self._auth = _KeyAuth(authorization.authorization(key))
        self._secrets = authorization.secret_forms(key)
        self._threads = threading.local()
        self.quota = Quota()

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    def call(
        self,
        method: str,
        path: str,
        retries: int | None,
        body: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Make a call, repeat it if that is safe, and return the JSON data of the answer.

        *retries* None stands for the transport's own number. Raises `ApiError`.
        """
        limit = self.retries if retries is None else retries
        waited, failed = 0.0, 0

        def again(error: BaseException) -> bool:
            return isinstance(error, RateLimited) or (method != "POST" and _uncertain(error))

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, RateLimited) else None
            # At least the backoff: the clocks may differ, and with a wait of 0 we would repeat for ever.
            return max(asked or 0.0, _BACKOFF(state))

        def stop(state: tenacity.RetryCallState) -> bool:
            nonlocal failed
            if state.outcome and isinstance(state.outcome.exception(), RateLimited):
                spent = limit <= 0
            else:
                failed += 1
                spent = failed > limit
            return spent or waited + state.upcoming_sleep > self.patience

        def sleep(seconds: float) -> None:
            nonlocal waited
            waited += seconds
            self._sleep(seconds)

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(again), wait=wait, stop=stop, sleep=sleep, reraise=True
        )
        try:
            return attempts(self._once, method, path, body, headers or {})
        except ApiError as error:
            error.in_doubt = failed > 0 and not _uncertain(error)
            raise

    def _once(self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]) -> Any:
        self._throttle()
        if method != "GET":
            self._guard()  # right before the call: the throttle may have waited
        doing = self.doing(method, path)
        try:
            with self._session().request(
                method,
                self.base_url + path,
                json=body,
                headers={"Accept": "application/json", "User-Agent": f"codat-iac/{__version__}", **headers},
                auth=self._auth,
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = self._body(answer, doing)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
                raise NotCodat(
                    f"{doing}: {self.base_url} has no trustworthy TLS certificate; check the base URL, or"
                    " name your own authority in REQUESTS_CA_BUNDLE",
                    doing=doing,
                ) from error
            raise TransportError(
                f"{doing}: no whole answer from {self.base_url} ({self._reason(error)}); check the network"
                " and the base URL, then try again",
                doing=doing,
            ) from None  # the cause quotes the answer, which may hold a link or the key
        self.quota = parsing.parse_quota(answer.headers)
        return responses.decipher(
            answer.status_code,
            answer.headers,
            content,
            doing=doing,
            now=datetime.now(UTC),
            secrets=self._secrets,
        )

    def _body(self, answer: requests.Response, doing: str) -> bytes:
        whole = bytearray()
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            whole += chunk
            if len(whole) > LARGEST_BODY:
                raise NotCodat(
                    f"{doing}: an answer of over 32 MB isn't Codat's; check the base URL", doing=doing
                )
        return bytes(whole)

    def _reason(self, error: BaseException) -> str:
        """Return in a few words what went wrong in the network; urllib3 nests representations."""
        for cause in _causes(error):
            for kind, words in _REASONS.items():
                if isinstance(cause, kind):
                    return words
            if isinstance(cause, TimeoutError | requests.Timeout):
                return f"not within {duration(self.timeout)}"
        if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):
            return type(error).__name__
        return safe_text(str(error))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, DeadlineAdapter())
            # On loopback the key isn't encrypted, so no HTTP_PROXY may carry it elsewhere.
            session.trust_env = not self.base_url.startswith("http:")
        return session

    def doing(self, method: str, path: str) -> str:
        """Return the name of a call in messages: its method and path."""
        return safe_text(f"{method} {path.partition('?')[0]}", self._secrets)

    def link_path(self, href: str) -> str:
        """Return the path of a link to the next page.

        Codat's links are relative. Raises `NotCodat` for a link to another host, which must not receive the
        key.
        """
        # Join as a browser does: "https://api.codat.io" followed by "@else.where" is another host.
        try:
            url = urljoin(f"{self.base_url}/", href)
            elsewhere = _origin(url) != _origin(self.base_url)
        except ValueError:
            elsewhere = True
        if elsewhere:
            raise NotCodat(
                f"a page's next link is {safe_text(href, self._secrets)!r}, which doesn't lead to Codat;"
                " check the base URL (CODAT_BASE_URL or codat:baseUrl)",
                doing="GET next page",
            )
        parts, prefix = urlsplit(url), urlsplit(self.base_url).path
        path = parts.path[len(prefix) :] if parts.path.startswith(f"{prefix}/") else parts.path
        return f"{path}?{parts.query}"


_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=30) + tenacity.wait_random(0, 0.5)
"""Codat's own retry policy starts at 500 ms (x-speakeasy-retries in https://github.com/codatio/oas)."""


_REASONS: Mapping[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection reset",
    BrokenPipeError: "connection reset",
    socket.gaierror: "unknown host",
    ssl.SSLError: "it doesn't speak TLS as it should",
}


def _uncertain(error: BaseException) -> bool:
    """Return whether a call that ended in *error* may have been carried out, or may succeed next time."""
    timed_out = isinstance(error, ApiError) and error.status == 408
    return timed_out or isinstance(error, CodatBroken | TransportError)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and its causes, as requests and urllib3 nest them."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        reason = getattr(seen, "reason", None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
