"""One timeout for the whole of an answer.

`requests` applies its timeout to each read, so a server that sends headers, interim answers or a body byte by
byte could keep it waiting for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from functools import cache
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection


class _DeadlineStream(io.RawIOBase):
    """The data that a socket receives, with one timeout for all reads together."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """A response that must be complete in time: its headers and interim answers could have no end either."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineStream(sock))

    def begin(self) -> None:
        super().begin()
        # urllib3 would log headers that it can't parse, whatever they contain.
        self.msg.defects.clear()
        self.msg.set_payload("")


@cache
def _with_deadline(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """Return a subclass of a connection class (plain, TLS or proxied) that reads `_DeadlineResponse`."""
    return type(kind.__name__, (kind,), {"response_class": _DeadlineResponse})


class DeadlineAdapter(HTTPAdapter):
    """Makes all connections of a session, including a proxy's, read their answers within one timeout."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the pool of a host's connections, all of them with a deadline."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if pool.ConnectionCls.response_class is not _DeadlineResponse:
            pool.ConnectionCls = _with_deadline(pool.ConnectionCls)
        return pool
