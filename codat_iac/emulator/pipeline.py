"""What happens to a request of Codat's API, in order: log, fault, key, limits, idempotency, the work itself.

Between the work and its commit nothing is awaited, so no other request can see half of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from codat_iac.emulator.people.control import Misused
from codat_iac.emulator.requests import idempotency
from codat_iac.emulator.requests.faults import Fault
from codat_iac.emulator.requests.limits import retry_after
from codat_iac.emulator.requests.messages import Call, Refusal, Reply, error_reply, html_reply, json_reply

if TYPE_CHECKING:
    from codat_iac.emulator.requests.requestlog import Entry
    from codat_iac.emulator.routes import Route
    from codat_iac.emulator.world import World

_PROXY_PAGE: Final = "<!doctype html><title>Proxy</title><h1>Please sign in to the network</h1>"
_NOTHING: Final = Reply(204)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A reply, and what becomes of it: `reset`, `truncate`, `slow-body`, or, with any other word, nothing."""

    reply: Reply
    manner: str = ""
    seconds: float = 0.0


def plain(world: World, call: Call, route: Route) -> Delivery:
    """A control route or a page: no key, no limits, no faults."""
    try:
        reply = route.handler(world, call)
    except (Misused, Refusal) as refused:
        reply = refused.reply
    world.store.commit()
    return Delivery(reply)


async def deliver(world: World, call: Call, route: Route, query: str) -> Delivery:
    """Codat's answer, and how it goes wrong."""
    company, limits = call.args.get("companyId"), world.limits
    entry = world.log.begin(
        time=world.now(),
        method=call.method,
        path=call.path,
        query=query,
        operation=route.operation,
        company=company,
        idempotency_key=call.headers.get(idempotency.HEADER),
    )
    fault = world.faults.pick(call.method, call.path)
    entry.fault = fault.do if fault else None
    limits.begin(company, world.now())
    try:
        delivery = await _faulty(world, call, route, entry, fault)
        await asyncio.sleep(world.knobs["latencySeconds"])
    finally:
        limits.end(company)
    entry.status = None if delivery.manner == "reset" else delivery.reply.status
    return delivery


async def _faulty(world: World, call: Call, route: Route, entry: Entry, fault: Fault | None) -> Delivery:
    """The faults on the wire, around Codat's own part."""
    if fault and fault.do in {"reset-before", "html"}:
        return _lost(fault)
    reply = await _limited(world, call, route, entry, fault)
    if fault is None:
        return Delivery(reply)
    if fault.do == "delay-after-commit":
        await asyncio.sleep(fault.seconds)
    if fault.do in {"reset-after-commit", "html-after-commit"}:
        return _lost(fault)
    return Delivery(reply, fault.do, fault.seconds)


def _lost(fault: Fault) -> Delivery:
    """Something else reaches the client than Codat's answer: a reset, or a proxy's page."""
    if fault.do.startswith("reset"):
        return Delivery(_NOTHING, "reset")
    return Delivery(_altered(html_reply(_PROXY_PAGE, fault.status), fault))


async def _limited(world: World, call: Call, route: Route, entry: Entry, fault: Fault | None) -> Reply:
    """Key and limits; the rate headers stand on every answer to a known key."""
    try:
        call = replace(call, tenant=world.authenticate(call))
    except Refusal as refused:
        return refused.reply
    try:
        world.limits.check(world.knobs, call.tenant, call.args.get("companyId"), world.now())
        reply = await _once(world, call, route, entry, fault)
    except Refusal as refused:
        reply = refused.reply
    active = world.tenant(call.tenant).active_companies
    rates = world.limits.headers(world.knobs, call.tenant, active, world.now())
    return replace(reply, headers={**rates, **reply.headers})


async def _once(world: World, call: Call, route: Route, entry: Entry, fault: Fault | None) -> Reply:
    """The answer that was kept for this idempotency key, or a new one that is kept."""
    if not idempotency.applies(call) or world.knobs["idempotency"] == "ignore":
        reply = await _respond(world, call, route, entry, fault)
        world.store.commit()
        return reply
    keys = world.idempotency
    kept = keys.begin(call, world.now())
    if kept:
        entry.replayed = True
        return kept
    try:
        reply = await _respond(world, call, route, entry, fault)
        keys.keep(call, reply, world.now())
    finally:
        keys.end(call)
    world.store.commit()
    return reply


async def _respond(world: World, call: Call, route: Route, entry: Entry, fault: Fault | None) -> Reply:
    """The work, and Codat's own faults before and after it."""
    if fault and fault.do == "delay":
        await asyncio.sleep(fault.seconds)
    if fault and fault.do == "status":
        return _status(world, fault)
    tenant = world.tenant(call.tenant)
    revision = tenant.revision
    try:
        reply = route.handler(world, call)
    except Refusal as refused:
        reply = refused.reply
    entry.committed = tenant.revision != revision
    return _status(world, fault) if fault and fault.do == "status-after-commit" else reply


def _status(world: World, fault: Fault) -> Reply:
    """An error with Codat's body for its status, or the fault's own; a 429 says when to come back."""
    reply = error_reply(fault.status)
    if isinstance(fault.body, str):
        reply = Reply(fault.status, fault.body.encode())
    elif fault.body is not None:
        reply = json_reply(fault.body, fault.status)
    if fault.status == 429:
        reply = replace(reply, headers={"Retry-After": retry_after(world.knobs, 1, world.now())})
    return _altered(reply, fault)


def _altered(reply: Reply, fault: Fault) -> Reply:
    """The fault's headers in place of the reply's; null takes one away."""
    headers = {name: text for name, text in reply.headers.items() if name not in fault.headers}
    added = {name: text for name, text in fault.headers.items() if text is not None}
    return replace(reply, headers=headers | added)
