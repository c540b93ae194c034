"""Serve the emulator on a socket with aiohttp, including the ways in which an answer can get lost."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

from codat_iac.emulator.pipeline import Delivery, answer_directly, deliver
from codat_iac.emulator.requests.messages import Call, Reply, error_reply, json_reply
from codat_iac.emulator.requests.origin import intrusion
from codat_iac.emulator.routes import find
from codat_iac.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.typedefs import LooseHeaders

    from codat_iac.emulator.world import World

HOST: Final = "127.0.0.1"
_DRIPS: Final = 20
_LONGEST_LINE: Final = 2**16
"""The longest URL in bytes: one with a query that is too long must get Codat's answer, not aiohttp's."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@asynccontextmanager
async def listening(world: World, port: int) -> AsyncIterator[None]:
    """Serve *world* on loopback, on a free port for 0, and set its `url`. At the end all sockets are closed.

    Raises `ConfigError` if it can't listen on the port.
    """

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await _send(request, await _answer(world, request))
        except ConnectionError:  # the client has left; if its request was whole, it is done
            return web.Response()

    server = web.Server(handle, access_log=None, auto_decompress=False, max_line_size=_LONGEST_LINE)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await _listen(runner, port)
        world.url = f"http://{HOST}:{runner.addresses[0][1]}"
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.ServerRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise ConfigError(f"can't listen on port {port} of {HOST}: {error.strerror}") from None
        raise ConfigError(
            f"port {port} of {HOST} is in use; give another port, or 0 for a free one"
        ) from None


async def _answer(world: World, request: web.BaseRequest) -> Delivery:
    route, args = find(request.method, request.path)
    try:
        body = await request.read()
    except web.HTTPException as refused:  # it is too large
        return Delivery(error_reply(refused.status))
    call = Call(
        method=request.method,
        path=request.path,
        query={name: request.query[name] for name in request.query},
        headers=CIMultiDict((name, _text(value)) for name, value in request.headers.items()),
        body=body,
        args=args,
    )
    if route.codat:
        return await deliver(world, call, route, request.query_string)
    refused_because = intrusion(call)
    if refused_because:
        return Delivery(json_reply({"error": refused_because}, 403))
    return answer_directly(world, call, route)


def _text(value: str) -> str:
    """Return a header's value as text that UTF-8 can hold: aiohttp keeps other bytes as lone surrogates."""
    return value.encode(errors="backslashreplace").decode()


async def _send(request: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
    match delivery.manner:
        case "reset":
            return _reset(request)
        case "truncate":
            return await _truncated(request, delivery.reply)
        case "slow-body":
            return await _dripped(request, delivery)
        case _:
            return web.Response(
                status=delivery.reply.status, body=delivery.reply.body, headers=_headers(delivery.reply)
            )


def _headers(reply: Reply) -> LooseHeaders:
    return {"Content-Type": reply.content_type, **reply.headers}


def _reset(request: web.BaseRequest) -> web.Response:
    """Send a real RST, by closing a socket that may not linger. The client may have left before."""
    if request.transport:
        request.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
        )
        request.transport.abort()
    return web.Response()


async def _truncated(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Send half of the body that Content-Length promises, then close the connection."""
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    response.content_length = len(reply.body) or 64
    response.force_close()
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    return response


async def _dripped(request: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
    body = delivery.reply.body
    response = web.StreamResponse(status=delivery.reply.status, headers=_headers(delivery.reply))
    response.content_length = len(body)
    await response.prepare(request)
    size = max(1, -(-len(body) // _DRIPS))
    for start in range(0, len(body), size):
        await response.write(body[start : start + size])
        await asyncio.sleep(delivery.seconds / _DRIPS)
    return response
