"""Ask the emulator over one connection that is kept alive, and any way that HTTP allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from codat_iac.emulator import Emulator
from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Answer:
    """One answer, whole."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON data."""
        return json.loads(self.body)


class Wire:
    """A connection to an emulator, with the key that it was started with.

    An answer that takes longer than *patience* seconds is a `TimeoutError`.
    """

    def __init__(self, emulator: Emulator, patience: float = PATIENCE) -> None:
        self._authorization = emulator.authorization
        self._connection = HTTPConnection(emulator.url.removeprefix("http://"), timeout=patience)

    def close(self) -> None:
        """Close it; it opens again when it is needed."""
        self._connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Answer:
        """Send a request and read its answer. A *body* that isn't bytes is sent as JSON."""
        target = f"{path}?{urlencode(query)}" if query else path
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": self._authorization, **(headers or {})}
        self._connection.request(method, target, sent, given)
        response = self._connection.getresponse()
        return Answer(
            response.status,
            response.headers.get("Content-Type", ""),
            dict(response.headers.items()),
            response.read(),
        )
