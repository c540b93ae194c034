"""Make one call to Codat over HTTP.

It repeats a call only if that is safe, and sends the API key, and what else identifies the client, to Codat's
own host only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
import urllib3

from codat_iac.codat import authorization, client_certificate, network, parsing, responses
from codat_iac.codat.answer_timeout import DeadlineAdapter
from codat_iac.codat.no_answer import Way
from codat_iac.model.connection import UUID, Quota
from codat_iac.model.errors import ApiError, CodatBroken, ConfigError, NotCodat, RateLimited, TransportError
from codat_iac.model.settings import BASE_URL, check_base_url
from codat_iac.model.text import safe_text
from codat_iac.model.version import __version__

LARGEST_BODY = 32 * 1024 * 1024
"""In bytes. A page of 5,000 companies is below 20 MB, and JSON can take 25 times its size in memory."""

_CHUNK = 64 * 1024


class TransportOptions(TypedDict, total=False):
    """The options of a client."""

    timeout: float
    """How many seconds one answer may take; 30 by default."""
    retries: int
    """How often a call may be repeated, 4 by default; each call can override it (0: never)."""
    patience: float
    """How many seconds all waits of a call may take together; 300 by default."""
    guard: Callable[[], None]
    """Called right before every write; it may raise to stop it."""
    throttle: Callable[[], None]
    """Called right before every call; it may wait."""
    sleep: Callable[[float], None]
    """Waits for a number of seconds."""
    client_cert: tuple[str, str] | None
    """The paths of a client certificate and of its key, both in PEM format, for the enterprise API."""
    client_name: str | None
    """The GUID of the client that the certificate is for, sent as `x-codat-client`."""


_DEFAULTS = TransportOptions(
    timeout=30.0,
    retries=4,
    patience=300.0,
    guard=lambda: None,
    throttle=lambda: None,
    sleep=time.sleep,
    client_cert=None,
    client_name=None,
)


class Transport:
    """Calls to one base URL with one API key. `Reader` documents it."""

    def __init__(self, api_key: str, base_url: str = BASE_URL, **options: Unpack[TransportOptions]) -> None:
        unknown = sorted(options.keys() - _DEFAULTS.keys())
        if unknown:
            raise TypeError(f"unexpected argument {unknown[0]!r}; there are {', '.join(_DEFAULTS)}")
        self._options = _DEFAULTS | options
        self.base_url = check_base_url(base_url)
        self.quota = Quota()
        self.clock: datetime | None = None
        self._headers, self._secrets = _identity(api_key, self._options)
        self._way = Way(self.base_url, network.proxy_for(self.base_url), self._options["timeout"])
        self._authorities = network.authorities()
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
        """Make a call, repeat it if that is safe, and return the JSON data of the answer.

        *retries* None stands for the transport's own number. Raises `ApiError`.
        """
        limit = self._options["retries"] if retries is None else retries
        waited, failed, doubted = 0.0, 0, False

        def again(error: BaseException) -> bool:
            if isinstance(error, ApiError) and error.sent and method == "POST":
                return isinstance(error, RateLimited)
            return isinstance(error, RateLimited) or _uncertain(error)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, RateLimited) else None
            # At least the backoff: the clocks may differ, and with a wait of 0 we would repeat for ever.
            return max(asked or 0.0, _BACKOFF(state))

        def stop(state: tenacity.RetryCallState) -> bool:
            nonlocal failed, doubted
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, RateLimited):
                spent = limit <= 0
            else:
                sent = isinstance(error, ApiError) and error.sent
                failed, doubted = failed + 1, doubted or sent
                spent = failed > (limit if sent else min(limit, RECONNECTS))
            return spent or waited + state.upcoming_sleep > self._options["patience"]

        def sleep(seconds: float) -> None:
            nonlocal waited
            waited += seconds
            self._options["sleep"](seconds)

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(again), wait=wait, stop=stop, sleep=sleep, reraise=True
        )
        try:
            return attempts(self._once, method, path, body, headers or {})
        except ApiError as error:
            error.in_doubt = doubted and not _uncertain(error)
            error.sent = error.sent or doubted
            raise

    def _once(self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]) -> Any:
        self._options["throttle"]()
        if method != "GET":
            self._options["guard"]()  # right before the call: the throttle may have waited
        doing = self.doing(method, path)
        try:
            with self._session().request(
                method,
                self.base_url + path,
                json=body,
                headers={**self._headers, **headers},
                timeout=self._options["timeout"],
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = self._body(answer, doing)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # Without the cause, which quotes the answer: it may hold a link or the key.
            raise self._way.failure(error, doing) from None
        self.quota = parsing.parse_quota(answer.headers)
        self.clock = responses.http_date(answer.headers.get("date", ""))
        return responses.decipher(
            answer.status_code,
            answer.headers,
            content,
            doing=doing,
            now=datetime.now(UTC),
            secrets=self._secrets,
            proxy=str(self._way.proxy or ""),
        )

    def _body(self, answer: requests.Response, doing: str) -> bytes:
        whole = bytearray()
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            whole += chunk
            if len(whole) > LARGEST_BODY:
                raise NotCodat(f"{doing}: an answer of over 32 MB isn't Codat's; {self.remedy}", doing=doing)
        return bytes(whole)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, DeadlineAdapter())
            session.trust_env = False  # `network` has read it, and a netrc file must not replace the key
            session.verify = self._authorities or True
            session.cert = self._options["client_cert"]
            if self._way.proxy:
                session.proxies = {"https": self._way.proxy.url}
        return session

    @property
    def remedy(self) -> str:
        """What to check if an answer isn't Codat's."""
        return responses.remedy(str(self._way.proxy or ""))

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
                f" {self.remedy}",
                doing="GET next page",
            )
        parts, prefix = urlsplit(url), urlsplit(self.base_url).path
        path = parts.path[len(prefix) :] if parts.path.startswith(f"{prefix}/") else parts.path
        return f"{path}?{parts.query}"


_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=30) + tenacity.wait_random(0, 0.5)
"""Codat's own retry policy starts at 500 ms (x-speakeasy-retries in https://github.com/codatio/oas)."""

RECONNECTS = 2
"""The most repetitions if no connection comes about: a refusal at once rarely changes within seconds."""


def _identity(api_key: str, options: TransportOptions) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the headers of all requests, and the secrets in them. Raises `ConfigError`."""
    key, certificate, name = api_key.strip(), options["client_cert"], options["client_name"]
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigError("the API key is empty or has characters that no key has; set CODAT_API_KEY")
    headers = {
        "Accept": "application/json",
        "Authorization": authorization.authorization(key),
        "User-Agent": f"codat-iac/{__version__}",
    }
    secrets = authorization.secret_forms(key)
    if certificate is None and name is None:
        return headers, secrets
    if certificate is None or name is None:
        raise ConfigError("a client certificate and the client's name belong together; give both or neither")
    if not UUID.fullmatch(name):
        raise ConfigError("the client's name (CODAT_CLIENT_NAME) is not a GUID; Codat tells you which it is")
    client_certificate.check(*certificate)
    return {**headers, "x-codat-client": name}, (*secrets, name)


def _uncertain(error: BaseException) -> bool:
    """Return whether a call that ended in *error* may have been carried out, or may succeed next time."""
    timed_out = isinstance(error, ApiError) and error.status == 408
    return timed_out or isinstance(error, CodatBroken | TransportError)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
