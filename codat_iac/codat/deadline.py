"""An answer that is there in time, or not at all: one timeout for all of it.

`requests` has a timeout for each single read, so whoever drips headers, interim answers or a body keeps it
waiting for ever.
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


class _Incoming(io.RawIOBase):
    """What a socket receives until one timeout has passed, which else every single read would have."""

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


class _Answer(http.client.HTTPResponse):
    """An answer that is there in time, or not at all: headers and interim answers too can have no end."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Incoming(sock))

    def begin(self) -> None:
        super().begin()
        # urllib3 would log what it can't read of the headers, whatever stands there.
        self.msg.defects.clear()
        self.msg.set_payload("")


@cache
def _answering(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """Let a kind of connection (plain, TLS, through a proxy's) read an `_Answer`."""
    return type(kind.__name__, (kind,), {"response_class": _Answer})


class InTime(HTTPAdapter):
    """Lets all connections of a session, a proxy's too, read answers that are there in time."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Give the pool of a host's connections, which are all of our kind."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if pool.ConnectionCls.response_class is not _Answer:
            pool.ConnectionCls = _answering(pool.ConnectionCls)
        return pool
