"""JSON over HTTP, to a forge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from codat_iac.model.errors import CodatIacError
from codat_iac.model.text import safe_text

TIMEOUT = (10.0, 60.0)
"""Seconds for the connection, and for each read."""

PER_PAGE = 100
"""The most rows of a page, at both forges."""

_RETRIED = frozenset({429, 500, 502, 503, 504})
_MOST_PAGES = 100

Json = dict[str, Any]


class ForgeError(CodatIacError):
    """The forge didn't do it."""


class Api:
    """The API at *url*. *allow* says what gives the token what it needs, for the message of a refusal."""

    def __init__(self, url: str, headers: Mapping[str, str], allow: str) -> None:
        self._url = url.rstrip("/")
        self._allow = allow
        self._session = requests.Session()
        self._session.headers.update(headers)
        # A POST isn't repeated: it may have been done.
        retry = Retry(4, backoff_factor=0.5, status_forcelist=_RETRIED, raise_on_status=False, backoff_max=10)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def call(self, method: str, path: str, body: Json | None = None, /, **params: Any) -> Any:
        """Return the answer's JSON. Raises `ForgeError`."""
        return self._read(method, path, self._send(method, path, body, params))

    def rows(self, path: str, /, member: str = "", **params: Any) -> Iterator[Json]:
        """Iterate over a list, page by page; it is the answer, or the answer's *member*."""
        for number in range(1, _MOST_PAGES + 1):
            answer = self.call("GET", path, None, page=number, per_page=PER_PAGE, **params)
            found = answer.get(member) if member and isinstance(answer, dict) else answer
            if not isinstance(found, list):
                raise ForgeError(f"GET {path}: no list came; is the URL of the API right?")
            yield from found
            if len(found) < PER_PAGE:
                return
        raise ForgeError(f"GET {path}: more than {_MOST_PAGES * PER_PAGE:,} rows; tidy up there")

    def download(self, path: str) -> bytes:
        """Return the bytes at *path*. Raises `ForgeError`."""
        return self._send("GET", path, None, {}).content

    def _send(
        self, method: str, path: str, body: Json | None, params: Mapping[str, Any]
    ) -> requests.Response:
        url = f"{self._url}/{path}".rstrip("/")
        try:
            answer = self._session.request(method, url, json=body, params=params, timeout=TIMEOUT)
        except requests.RequestException as error:
            where = urlsplit(self._url).netloc.rpartition("@")[2]
            raise ForgeError(f"{where}: no answer ({type(error).__name__}); run the job again") from None
        if answer.ok:
            return answer
        words = f"{method} {urlsplit(url).path}: {answer.status_code} {_reason(answer)}"
        refused = answer.status_code in {401, 403, 404}
        raise ForgeError(f"{words}; {self._allow}" if refused else f"{words}; run the job again")

    @staticmethod
    def _read(method: str, path: str, answer: requests.Response) -> Any:
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise ForgeError(f"{method} {path}: no JSON came; is the URL of the API right?") from None


def _reason(answer: requests.Response) -> str:
    """Return what the forge says; GitHub and GitLab both call it `message`."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    message = said.get("message") if isinstance(said, dict) else None
    return safe_text(str(message or answer.reason))
