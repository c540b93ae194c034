"""A bare socket that sends any bytes that a test gives, also such as no well-behaved server would send."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

Answer = bytes | Callable[[socket.socket], None]
"""The bytes to send, or a function to call with the connection instead."""


@dataclass
class RawServer:
    """The server's URL, its requests, and the file with the certificate of its authority."""

    url: str
    authority: Path
    requests: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def lines(self) -> list[str]:
        """The first line of each request, without the version of HTTP."""
        return [request.partition(" HTTP/")[0] for request in self.requests]


def http(body: bytes | str | Mapping[str, Any] | None = b"", status: int = 200, **headers: str) -> bytes:
    """Return the bytes of an answer: JSON, and the last on its connection, unless *headers* say otherwise.

    In the names of *headers*, `_` stands for `-`.
    """
    whole = (
        body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    )
    usual = {"Content_Type": "application/json", "Content_Length": str(len(whole)), "Connection": "close"}
    lines = usual | headers
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status} Words\r\n{head}\r\n".encode("latin-1") + whole


def page(*rows: Mapping[str, Any], total: int | None = None, follow: str | None = None) -> dict[str, Any]:
    """Return a page of Codat's, with a link to the next page if *follow* is given."""
    links = {"next": {"href": follow}} if follow is not None else {}
    return {
        "results": list(rows),
        "pageNumber": 1,
        "pageSize": 100,
        "totalResults": len(rows) if total is None else total,
        "_links": links,
    }


@contextmanager
def answering(
    *answers: Answer, tls: Path | None = None, clients: trustme.CA | None = None, keep_alive: bool = False
) -> Iterator[RawServer]:
    """Serve on loopback: each request gets the next answer, and the last answer is repeated.

    *tls*: speak TLS, with a certificate for 127.0.0.1 and codat.test whose authority is written into this
    folder. *clients*: demand a client certificate of this authority. *keep_alive*: allow more than one
    request on each connection.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        scheme = "http" if tls is None else "https"
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        server = RawServer(url, Path() if tls is None else tls / "authority.pem")
        context = None if tls is None else _context(server.authority, clients)
        threads: list[threading.Thread] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                server.connections += 1
                threads.append(threading.Thread(target=talk, args=(connection,), daemon=True))
                threads[-1].start()

        def talk(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), _wrapped(connection, context) as spoken:
                while request := _request(spoken):
                    answer = answers[min(len(server.requests), len(answers) - 1)]
                    server.requests.append(request)
                    if callable(answer):
                        answer(spoken)
                    else:
                        spoken.sendall(answer)
                    if not keep_alive:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in threads:
                each.join(0 if keep_alive else 5)


def _context(authority: Path, clients: trustme.CA | None) -> ssl.SSLContext:
    own = trustme.CA()
    own.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.issue_cert("127.0.0.1", "codat.test").configure_cert(context)
    if clients:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _wrapped(connection: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    if context is None:
        return connection
    spoken = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        spoken.do_handshake()
    except OSError:
        # Until the client has left: a close before would discard the alert that tells it why.
        with socket.socket(fileno=spoken.detach()) as plain:
            while plain.recv(65536):
                pass
        raise
    return spoken


def leading_to(server: RawServer) -> Callable[[socket.socket], None]:
    """Return the answer of a proxy that connects to *server*, whatever host it is asked for."""

    def lead(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onwards:
            back = threading.Thread(target=_pour, args=(onwards, connection), daemon=True)
            back.start()
            _pour(connection, onwards)
            back.join()

    return lead


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _request(connection: socket.socket) -> str:
    """Return one request, "" if the client has left; what doesn't begin like HTTP is returned as it is."""
    received = b""
    while b"\r\n\r\n" not in received and (not received or received[:1].isalpha()):
        chunk = connection.recv(65536)
        if not chunk:
            return ""
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return (head + b"\r\n\r\n" + body).decode("latin-1")
