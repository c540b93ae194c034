"""One call to Codat over HTTP: the one module that imports `requests`.

It repeats what is safe to repeat and nothing else, and keeps the API key to Codat's own host.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity

from codat_iac import __version__, wire
from codat_iac.errors import CodatBroken, ConfigError, NotCodat, RateLimited, TransportError
from codat_iac.settings import BASE_URL, LOOPBACK
from codat_iac.wire import duration

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes; a page of 5,000 companies is below 20 MB."""


class _KeyAuth(requests.auth.AuthBase):
    """Sets the header itself, since `requests` would else prefer `~/.netrc`."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class Transport:
    """Codat's host and a key to it. `Client` says what the arguments mean."""

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
        header = wire.authorization(key)
        self._auth = _KeyAuth(header)
        self._secrets = (key, header.removeprefix("Basic "))
        self._threads = threading.local()

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
        """Make a call, repeated where that is safe, and give the answer's JSON data; raises `ApiError`."""
        most = self.retries if retries is None else retries
        again = (RateLimited,) if method == "POST" else (RateLimited, CodatBroken, TransportError)
        waited = 0.0

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, RateLimited) else None
            return _BACKOFF(state) if asked is None else asked

        def stop(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            spent = most == 0 if isinstance(error, RateLimited) else state.attempt_number > most
            return spent or waited + state.upcoming_sleep > self.patience

        def sleep(seconds: float) -> None:
            nonlocal waited
            waited += seconds
            self._sleep(seconds)

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(again), wait=wait, stop=stop, sleep=sleep, reraise=True
        )
        return attempts(self._once, method, path, body, headers or {})

    def _once(self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]) -> Any:
        if method != "GET":
            self._guard()
        self._throttle()
        doing = f"{method} {path.partition('?')[0]}"
        started = time.monotonic()
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
                content = self._body(answer, started, doing)
        except requests.exceptions.SSLError as error:
            raise TransportError(
                f"{doing}: {self.base_url} has no trustworthy TLS certificate; check the base URL, or name"
                " your own authority in REQUESTS_CA_BUNDLE",
                doing=doing,
            ) from error
        except (requests.RequestException, OSError) as error:
            raise TransportError(
                f"{doing}: no whole answer from {self.base_url} ({self._plain(error)}); check the network and"
                " the base URL, then try again",
                doing=doing,
            ) from error
        return wire.decipher(
            answer.status_code,
            answer.headers,
            content,
            doing=doing,
            now=datetime.now(UTC),
            secrets=self._secrets,
        )

    def _body(self, answer: requests.Response, started: float, doing: str) -> bytes:
        chunks = bytearray()
        for chunk in answer.iter_content(64 * 1024):
            chunks += chunk
            if len(chunks) > LARGEST_BODY:
                raise NotCodat(
                    f"{doing}: an answer of over 64 MB isn't Codat's; check the base URL", doing=doing
                )
            if time.monotonic() - started > self.timeout:
                raise requests.Timeout(f"not whole after {duration(self.timeout)}")
        return bytes(chunks)

    def _plain(self, error: BaseException) -> str:
        """Say what went wrong in the network in a few words, instead of urllib3's nested representation."""
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, ConnectionRefusedError):
                return "connection refused"
            if isinstance(seen, ConnectionResetError):
                return "connection reset"
            reason = getattr(seen, "reason", None)
            seen = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__
        if isinstance(error, requests.Timeout):
            return f"not within {duration(self.timeout)}"
        return type(error).__name__

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
        return session

    def same_host(self, href: str) -> str:
        """Take the path of a link to follow. Codat's are relative; none may take the key elsewhere."""
        parts = urlsplit(href)
        if parts.netloc and f"{parts.scheme}://{parts.netloc}" != _origin(self.base_url):
            raise NotCodat(
                f"a page's next link leads to {parts.netloc!r}, not to Codat", doing="GET next page"
            )
        path = f"{parts.path}?{parts.query}"
        return path.removeprefix(urlsplit(self.base_url).path)


_BACKOFF = tenacity.wait_exponential_jitter(initial=0.5, exp_base=2, max=30, jitter=0.5)
"""Codat's own retry policy starts at 500 ms (x-speakeasy-retries in https://github.com/codatio/oas)."""


def check_base_url(url: str) -> str:
    """Give *url* without a trailing slash. Raises `ConfigError` where the key would travel in the open."""
    parts = urlsplit(url.strip())
    shown = f"the base URL {wire.safe_text(parts.hostname or url)!r}"
    if parts.username or parts.password:
        raise ConfigError(f"{shown} holds a user or password; take it out, the API key is enough")
    if not parts.hostname or parts.query or parts.fragment or parts.scheme not in {"http", "https"}:
        raise ConfigError(f"{shown} is not a URL like {BASE_URL} (CODAT_BASE_URL or codat:baseUrl)")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigError(
            f"{shown} would send the API key in the open; use https (plain http only on loopback)"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
