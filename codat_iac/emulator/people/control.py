"""The routes under /_emulator, without a key: acts of the customer and the Portal, faults, knobs, the log."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from codat_iac.emulator.api.companies import valid_tags
from codat_iac.emulator.api.views import company_json, connection_json
from codat_iac.emulator.requests.faults import KINDS, UnknownFaultError, read_faults
from codat_iac.emulator.requests.limits import Limits
from codat_iac.emulator.requests.messages import Call, Reply, json_reply
from codat_iac.emulator.requests.requestlog import LONGEST, RequestLog
from codat_iac.emulator.tenant.demo import revoked_at
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.knobs import UnknownKnobError, describe, knob_values
from codat_iac.emulator.tenant.tenant import DEAUTHORIZED, LINKED, Company, Connection, Tenant
from codat_iac.emulator.world import MAIN, ApiKey

if TYPE_CHECKING:
    from codat_iac.emulator.world import World


class BadControlRequest(Exception):
    """A control request that can't be carried out; the text says why."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.reply = json_reply({"error": text}, status)


def add_company(world: World, call: Call) -> Reply:
    """Add a company: `{name, tenant?, tags?}`. The name keeps characters that Codat's API would strip."""
    body = _body(call)
    name, tenant = _text(body, "name"), _text(body, "tenant", MAIN)
    company = Company(world.new_id(), name, world.now(), tags=valid_tags(body.get("tags")) or {})
    world.tenant(tenant).put(company, world.now())
    return json_reply(company_json(world, company))


def change_company(world: World, call: Call) -> Reply:
    """Change the company as somebody in the Portal: `{name?, tags?}`; tags are replaced."""
    tenant, company = _company(world, call)
    body = _body(call)
    tags = valid_tags(body.get("tags"))
    changed = replace(
        company,
        name=_text(body, "name", company.name),
        tags=company.tags if tags is None else tags,
    )
    tenant.put(changed, world.now())
    return json_reply(company_json(world, changed))


def remove_company(world: World, call: Call) -> Reply:
    """Delete the company and its connections."""
    tenant, company = _company(world, call)
    tenant.drop(company.id, world.now())
    return json_reply({"deleted": company.id})


def connect(world: World, call: Call) -> Reply:
    """Make a connection as the customer: `{platformKey, status?}`, Linked by default.

    Any status is accepted, so that a client can be tested with one that it doesn't know.
    """
    tenant, company = _company(world, call)
    body = _body(call)
    key, status = _text(body, "platformKey"), _text(body, "status", LINKED)
    if key not in INTEGRATIONS:
        raise BadControlRequest(f"there is no platform {key!r}; GET /integrations lists them")
    connection = Connection(world.new_id(), company.id, key, status, world.now())
    if status == LINKED:
        connection = connection.authorised(world.now())
    if status == DEAUTHORIZED:
        connection = connection.authorised(world.now()).revoked(
            world.now(), revoked_at(connection.platform_key)
        )
    return _store(world, tenant, connection)


def show_connections(world: World, call: Call) -> Reply:
    """Return the company's actual connections, unaffected by read lag, and without counting for a limit."""
    _, company = _company(world, call)
    held = [
        {"id": each.id, "platformKey": each.platform_key, "status": each.status}
        for each in company.connections.values()
    ]
    return json_reply({"connections": held})


def authorise(world: World, call: Call) -> Reply:
    """Authorise the connection as the customer, whatever its status."""
    tenant, connection = _connection(world, call)
    return _store(world, tenant, connection.authorised(world.now()))


def revoke(world: World, call: Call) -> Reply:
    """Revoke a Linked connection's access at the platform, as the customer."""
    tenant, connection = _connection(world, call)
    _require_status(connection, LINKED)
    return _store(world, tenant, connection.revoked(world.now(), revoked_at(connection.platform_key)))


def fail(world: World, call: Call) -> Reply:
    """Let the customer's attempt to authorise fail: the status stays, `dataConnectionErrors` says why."""
    tenant, connection = _connection(world, call)
    return _store(world, tenant, connection.failed(world.now(), "The authorization was cancelled."))


def unlink(world: World, call: Call) -> Reply:
    """Disconnect as the customer or somebody in the Portal; only Linked or Deauthorized connections."""
    tenant, connection = _connection(world, call)
    _require_status(connection, LINKED, DEAUTHORIZED)
    return _store(world, tenant, connection.unlinked())


def remove_connection(world: World, call: Call) -> Reply:
    """Delete the connection, as somebody in the Portal."""
    tenant, connection = _connection(world, call)
    tenant.drop_connection(connection.id, world.now())
    return json_reply({"deleted": connection.id})


def add_key(world: World, call: Call) -> Reply:
    """Add a key: `{apiKey, tenant?, outdated?}`. The tenant may be new; an outdated key gets 403."""
    body = _body(call)
    tenant, outdated = _text(body, "tenant", MAIN), body.get("outdated", False)
    if not isinstance(outdated, bool):
        raise BadControlRequest("`outdated` is true or false")
    world.add_key(_text(body, "apiKey"), ApiKey(tenant, outdated))
    return json_reply({"tenant": tenant, "outdated": outdated})


def get_faults(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    """Return the active faults with their hits, and the kinds of faults."""
    return json_reply({"faults": [fault.json for fault in world.faults.faults], "kinds": KINDS})


def set_faults(world: World, call: Call) -> Reply:
    """Replace the active faults by a list of faults."""
    try:
        world.faults.faults = read_faults(call.json())
    except UnknownFaultError as error:
        raise BadControlRequest(str(error)) from None
    return get_faults(world, call)


def get_knobs(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    """Return every knob with its value, possible values and purpose."""
    return json_reply({"knobs": describe(world.knobs)})


def set_knobs(world: World, call: Call) -> Reply:
    """Set knobs: `{name: value, ...}`; the others stay."""
    try:
        world.set_knobs(knob_values(call.json()))
    except UnknownKnobError as error:
        raise BadControlRequest(str(error)) from None
    return get_knobs(world, call)


def get_requests(world: World, call: Call) -> Reply:
    """Return the log of requests to Codat's API; `?last=10` limits it to the latest 10 requests."""
    last = call.whole_number("last", LONGEST)
    if last is None or last < 0:
        raise BadControlRequest("`last` is a whole number")
    skipped = max(0, len(world.log.entries) - last)
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
    """Clear the log and the peaks; used quotas stay used."""
    world.log = RequestLog()
    world.limits = Limits(used=world.limits.used)
    return get_requests(world, call)


def reset(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    """Restore the state that the emulator started with."""
    world.reset()
    return json_reply({"companies": len(world.tenants[MAIN].companies)})


def _store(world: World, tenant: Tenant, connection: Connection) -> Reply:
    tenant.put_connection(connection, world.now())
    return json_reply(connection_json(world, connection))


def _require_status(connection: Connection, *statuses: str) -> None:
    if connection.status not in statuses:
        raise BadControlRequest(f"{connection.id} is {connection.status}; this needs {' or '.join(statuses)}")


def _company(world: World, call: Call) -> tuple[Tenant, Company]:
    company_id = call.args["companyId"].lower()
    tenant = world.tenant_of_company(company_id)
    if tenant is None:
        raise BadControlRequest(f"there is no company {company_id}", 404)
    return tenant, tenant.companies[company_id]


def _connection(world: World, call: Call) -> tuple[Tenant, Connection]:
    connection_id = call.args["connectionId"].lower()
    tenant = world.tenant_of_connection(connection_id)
    connection = tenant.connection(connection_id) if tenant else None
    if tenant is None or connection is None:
        raise BadControlRequest(f"there is no connection {connection_id}", 404)
    return tenant, connection


def _body(call: Call) -> dict[str, Any]:
    body = call.json()
    if not isinstance(body, dict):
        raise BadControlRequest("the body is a JSON object")
    return body


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or not value:
        raise BadControlRequest(f"`{name}` is needed, a text that isn't empty")
    return value
