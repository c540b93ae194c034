"""Process a request of Codat's API, in this order: log, fault, key, limits, idempotency, the work itself.

Nothing is awaited between the work and its commit, so no other request can see half of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from codat_iac.emulator.people.control import BadControlRequest
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
    """A reply and how it is sent: `reset`, `truncate`, `slow-body`, or normally for any other *manner*."""

    reply: Reply
    manner: str = ""
    seconds: float = 0.0


def answer_directly(world: World, call: Call, route: Route) -> Delivery:
    """Answer a control route or a page: it needs no key, and has no limits and no faults."""
    try:
        reply = route.handler(world, call)
    except (BadControlRequest, Refusal) as refused:
        reply = refused.reply
    world.store.commit()
    return Delivery(reply)


async def deliver(world: World, call: Call, route: Route, query: str) -> Delivery:
    """Answer a request of Codat's API, with the fault that hits it, if any."""
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
        delivery = await _with_wire_faults(world, call, route, entry, fault)
        await asyncio.sleep(world.knobs["latencySeconds"])
    finally:
        limits.end(company)
    entry.status = None if delivery.manner == "reset" else delivery.reply.status
    return delivery


async def _with_wire_faults(
    world: World, call: Call, route: Route, entry: Entry, fault: Fault | None
) -> Delivery:
    """Apply faults of the network around Codat's own processing."""
    if fault and fault.do in {"reset-before", "html"}:
        return _replaced_answer(fault)
    reply = await _with_limits(world, call, route, entry, fault)
    if fault is None:
        return Delivery(reply)
    if fault.do == "delay-after-commit":
        await asyncio.sleep(fault.seconds)
    if fault.do in {"reset-after-commit", "html-after-commit"}:
        return _replaced_answer(fault)
    return Delivery(reply, fault.do, fault.seconds)


def _replaced_answer(fault: Fault) -> Delivery:
    """Return what the client gets instead of Codat's answer: a reset, or a proxy's page."""
    if fault.do.startswith("reset"):
        return Delivery(_NOTHING, "reset")
    return Delivery(_with_fault_headers(html_reply(_PROXY_PAGE, fault.status), fault))


async def _with_limits(world: World, call: Call, route: Route, entry: Entry, fault: Fault | None) -> Reply:
    """Check key and limits, and add the rate limit headers to every answer to a known key."""
    try:
        call = replace(call, tenant=world.authenticate(call))
    except Refusal as refused:
        return refused.reply
    try:
        world.limits.check(world.knobs, call.tenant, call.args.get("companyId"), world.now())
        reply = await _with_idempotency(world, call, route, entry, fault)
    except Refusal as refused:
        reply = refused.reply
    active = world.tenant(call.tenant).active_companies
    rates = world.limits.headers(world.knobs, call.tenant, active, world.now())
    return replace(reply, headers={**rates, **reply.headers})


async def _with_idempotency(
    world: World, call: Call, route: Route, entry: Entry, fault: Fault | None
) -> Reply:
    """Return the answer kept for this idempotency key, or do the work and keep its answer."""
    if not idempotency.applies(call) or world.knobs["idempotency"] == "ignore":
        reply = await _do_work(world, call, route, entry, fault)
        world.store.commit()
        return reply
    keys = world.idempotency
    kept = keys.begin(call, world.now())
    if kept:
        entry.replayed = True
        return kept
    try:
        reply = await _do_work(world, call, route, entry, fault)
        keys.keep(call, reply, world.now())
    finally:
        keys.end(call)
    world.store.commit()
    return reply


async def _do_work(world: World, call: Call, route: Route, entry: Entry, fault: Fault | None) -> Reply:
    """Do the work, with faults of Codat itself before and after it."""
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
    """Return an error with the fault's body or else Codat's for its status; a 429 gets a Retry-After."""
    reply = error_reply(fault.status)
    if isinstance(fault.body, str):
        reply = Reply(fault.status, fault.body.encode())
    elif fault.body is not None:
        reply = json_reply(fault.body, fault.status)
    if fault.status == 429:
        reply = replace(reply, headers={"Retry-After": retry_after(world.knobs, 1, world.now())})
    return _with_fault_headers(reply, fault)


def _with_fault_headers(reply: Reply, fault: Fault) -> Reply:
    """Set the fault's headers on the reply; null removes one."""
    headers = {name: text for name, text in reply.headers.items() if name not in fault.headers}
    added = {name: text for name, text in fault.headers.items() if text is not None}
    return replace(reply, headers=headers | added)
