"""The routes under /_emulator, keyless: the customer's and the Portal's acts, faults, knobs, the log."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import TYPE_CHECKING, Any

from codat_iac.emulator.api.views import company_json, connection_json
from codat_iac.emulator.requests.faults import KINDS, UnknownFaultError, read_faults
from codat_iac.emulator.requests.limits import Limits
from codat_iac.emulator.requests.messages import Call, Reply, json_reply
from codat_iac.emulator.requests.requestlog import RequestLog
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.knobs import UnknownKnobError, describe, knob_values
from codat_iac.emulator.tenant.tenant import DEAUTHORIZED, LINKED, Company, Connection, Tenant
from codat_iac.emulator.world import MAIN, ApiKey

if TYPE_CHECKING:
    from codat_iac.emulator.world import World


class Misused(Exception):
    """A control request that can't be done; the text says why."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.reply = json_reply({"error": text}, status)


def add_company(world: World, call: Call) -> Reply:
    """`{name, tenant?}`. The name is taken as it is, with the characters that Codat's API would strip."""
    body = _body(call)
    tenant = world.tenant(_text(body, "tenant", MAIN))
    company = Company(str(uuid.uuid4()), _text(body, "name"), world.now())
    tenant.put(company, world.now())
    return json_reply(company_json(world, company))


def remove_company(world: World, call: Call) -> Reply:
    """Somebody deletes the company, and its connections with it."""
    tenant, company = _company(world, call)
    tenant.drop(company.id, world.now())
    return json_reply({"deleted": company.id})


def connect(world: World, call: Call) -> Reply:
    """`{platformKey, status?}`: a customer connects on their own, Linked unless another status is given.

    Any status goes, so that a client meets one that it doesn't know.
    """
    tenant, company = _company(world, call)
    body = _body(call)
    key, status = _text(body, "platformKey"), _text(body, "status", LINKED)
    if key not in INTEGRATIONS:
        raise Misused(f"there is no platform {key!r}; GET /integrations lists them")
    connection = Connection(str(uuid.uuid4()), company.id, key, status, world.now())
    if status == LINKED:
        connection = connection.authorised(world.now())
    if status == DEAUTHORIZED:
        connection = connection.authorised(world.now()).revoked(world.now(), _cause(connection))
    return _put(world, tenant, connection)


def show_connections(world: World, call: Call) -> Reply:
    """What the company really has, whatever its lists may show, and at no cost to any limit."""
    _, company = _company(world, call)
    held = [
        {"id": each.id, "platformKey": each.platform_key, "status": each.status}
        for each in company.connections.values()
    ]
    return json_reply({"connections": held})


def authorise(world: World, call: Call) -> Reply:
    """The customer authorises, whatever the status was."""
    tenant, connection = _connection(world, call)
    return _put(world, tenant, connection.authorised(world.now()))


def revoke(world: World, call: Call) -> Reply:
    """The customer revokes access at the platform."""
    tenant, connection = _connection(world, call)
    _expect(connection, LINKED)
    return _put(world, tenant, connection.revoked(world.now(), _cause(connection)))


def fail(world: World, call: Call) -> Reply:
    """The customer's attempt fails: the status stays, `dataConnectionErrors` says why."""
    tenant, connection = _connection(world, call)
    return _put(world, tenant, connection.failed(world.now(), "The authorization was cancelled."))


def unlink(world: World, call: Call) -> Reply:
    """The customer, or somebody in the Portal, disconnects."""
    tenant, connection = _connection(world, call)
    _expect(connection, LINKED, DEAUTHORIZED)
    return _put(world, tenant, connection.unlinked())


def remove_connection(world: World, call: Call) -> Reply:
    """Somebody deletes the connection in the Portal."""
    tenant, connection = _connection(world, call)
    tenant.drop_connection(connection.id, world.now())
    return json_reply({"deleted": connection.id})


def add_key(world: World, call: Call) -> Reply:
    """`{apiKey, tenant?, outdated?}`: another key, of this tenant or of another, new one; outdated: 403."""
    body = _body(call)
    tenant, outdated = _text(body, "tenant", MAIN), body.get("outdated", False)
    if not isinstance(outdated, bool):
        raise Misused("`outdated` is true or false")
    world.add_key(_text(body, "apiKey"), ApiKey(tenant, outdated))
    return json_reply({"tenant": tenant, "outdated": outdated})


def get_faults(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    """The faults in force with their hits, and what a fault can do."""
    return json_reply({"faults": [fault.json for fault in world.faults.faults], "kinds": KINDS})


def set_faults(world: World, call: Call) -> Reply:
    """A list of faults, in place of those in force."""
    try:
        world.faults.faults = read_faults(call.json())
    except UnknownFaultError as error:
        raise Misused(str(error)) from None
    return get_faults(world, call)


def get_knobs(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    """Every knob: its value, what is possible, what it is for."""
    return json_reply({"knobs": describe(world.knobs)})


def set_knobs(world: World, call: Call) -> Reply:
    """`{name: value, ...}`; the others stay."""
    try:
        world.turn(knob_values(call.json()))
    except UnknownKnobError as error:
        raise Misused(str(error)) from None
    return get_knobs(world, call)


def get_requests(world: World, call: Call) -> Reply:
    """What was asked of the Codat side; `?last=10` shows so many of the latest requests, none for 0."""
    last = call.query.get("last", str(len(world.log.entries)))
    if not last.isdecimal():
        raise Misused("`last` is a whole number")
    skipped = max(0, len(world.log.entries) - int(last))
    return json_reply(
        {
            "total": world.log.total,
            "counts": world.log.counts,
            "peaks": {
                "perMinute": world.limits.peak_per_minute,
                "concurrentPerCompany": world.limits.peak_concurrent,
            },
            "requests": [entry.json for entry in islice(world.log.entries, skipped, None)],
        }
    )


def clear_requests(world: World, call: Call) -> Reply:
    """Start the log and the peaks anew; what was used of a quota stays used."""
    world.log = RequestLog()
    world.limits = Limits(used=world.limits.used)
    return get_requests(world, call)


def reset(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    """Back to how the emulator started."""
    world.reset()
    return json_reply({"companies": len(world.tenants[MAIN].companies)})


def _put(world: World, tenant: Tenant, connection: Connection) -> Reply:
    tenant.put_connection(connection, world.now())
    return json_reply(connection_json(world, connection))


def _cause(connection: Connection) -> str:
    return f"The customer revoked access at {INTEGRATIONS[connection.platform_key].name}."


def _expect(connection: Connection, *statuses: str) -> None:
    if connection.status not in statuses:
        raise Misused(f"{connection.id} is {connection.status}; this needs {' or '.join(statuses)}")


def _company(world: World, call: Call) -> tuple[Tenant, Company]:
    company_id = call.args["companyId"].lower()
    tenant = world.tenant_of_company(company_id)
    if tenant is None:
        raise Misused(f"there is no company {company_id}", 404)
    return tenant, tenant.companies[company_id]


def _connection(world: World, call: Call) -> tuple[Tenant, Connection]:
    connection_id = call.args["connectionId"].lower()
    tenant = world.tenant_of_connection(connection_id)
    connection = tenant.connection(connection_id) if tenant else None
    if tenant is None or connection is None:
        raise Misused(f"there is no connection {connection_id}", 404)
    return tenant, connection


def _body(call: Call) -> dict[str, Any]:
    body = call.json()
    if not isinstance(body, dict):
        raise Misused("the body is a JSON object")
    return body


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or not value:
        raise Misused(f"`{name}` is needed, a text that isn't empty")
    return value
