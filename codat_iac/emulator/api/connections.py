"""The five connection operations: https://docs.codat.io/sync-for-payables-api#/operations/list-connections.

All five answer exactly 200 on success: Codat's own SDK takes 201 or 204 for an error.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from codat_iac.emulator.api.paging import list_reply
from codat_iac.emulator.api.views import CONNECTION_FIELDS, connection_json
from codat_iac.emulator.requests.messages import (
    CLIENTS_API,
    NOT_VALID,
    PUBLIC_API,
    Call,
    Refusal,
    Reply,
    json_reply,
)
from codat_iac.emulator.tenant.integrations import INTEGRATIONS, ONE_ACTIVE
from codat_iac.emulator.tenant.tenant import DEAUTHORIZED, LINKED, PENDING_AUTH, UNLINKED, Company, Connection

if TYPE_CHECKING:
    from codat_iac.emulator.world import World

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLATFORM_KEY: Final = re.compile(r"[a-z]{4}")
_NO_ARGS: Final = "Push object DataConnectionArgs must be provided"
_NO_ARGS_VALIDATION: Final[dict[str, list[Any]]] = {
    "errors": [],
    "warnings": [],
    "_errors": [],
    "_warnings": [],
    "_internals": [],
}
"""Including undocumented keys that Codat shows: https://docs.codat.io/updates/220825-string-request-deprecation."""


def list_connections(world: World, call: Call) -> Reply:
    """Handle GET /companies/{companyId}/connections."""
    company = requested_company(world, call)
    then = world.tenants[call.tenant].as_of(world.list_time()).get(company.id)
    connections = list(then.connections.values()) if then else []
    return list_reply(world, call, connections, lambda each: connection_json(world, each), CONNECTION_FIELDS)


def create_connection(world: World, call: Call) -> Reply:
    """Handle POST: a new PendingAuth connection each time, since Codat never looks for an existing one."""
    company = requested_company(world, call)
    key = _platform_key(call)
    integration = INTEGRATIONS.get(key)
    if integration is None:
        raise Refusal(world.knobs["unknownPlatform"], f"Platform '{key}' is not known.")
    if not integration.enabled and world.knobs["disabledPlatform"] != 200:
        raise Refusal(world.knobs["disabledPlatform"], f"Platform '{key}' is not currently available.")
    _check_second(world, company, integration.source_type)
    connection = Connection(str(uuid.uuid4()), company.id, key, PENDING_AUTH, world.now())
    world.tenants[call.tenant].put_connection(connection, world.now())
    return json_reply(connection_json(world, connection, on_create=True))


def get_connection(world: World, call: Call) -> Reply:
    """Handle GET of one connection."""
    return json_reply(connection_json(world, _requested_connection(world, call)))


def delete_connection(world: World, call: Call) -> Reply:
    """Handle DELETE: 200, perhaps with the body `true`, as in Codat's server contract of 2021."""
    company, connection_id = requested_company(world, call), _connection_id(world, call)
    tenant = world.tenants[call.tenant]
    again = connection_id in tenant.deleted and world.knobs["deleteTwice"] == 200
    if not again:
        tenant.drop_connection(_connection_of(company, connection_id).id, world.now())
    return Reply(200, b"true" if world.knobs["deleteBody"] == "true" else b"")


def unlink_connection(world: World, call: Call) -> Reply:
    """Handle PATCH {"status": "Unlinked"}, case-sensitive: the only change of a connection in Codat's API."""
    connection = _requested_connection(world, call)
    body = call.json()
    if not isinstance(body, dict) or body.get("status") != UNLINKED:
        raise Refusal(400, NOT_VALID)
    if _may_unlink(world, connection):
        connection = connection.unlinked()
        world.tenants[call.tenant].put_connection(connection, world.now())
    return json_reply(connection_json(world, connection))


def requested_company(world: World, call: Call) -> Company:
    """Return the company in the path. Raises `Refusal`, 404 if it is deleted, unknown or another tenant's."""
    company_id = _uuid(world, call.args["companyId"])
    company = world.tenants[call.tenant].companies.get(company_id)
    if company is not None:
        return company
    if world.knobs["foreignCompany"] == 403 and world.tenant_of_company(company_id):
        raise Refusal(403)
    service = world.knobs["unknownCompany"] if "connections" in call.path else CLIENTS_API
    if service == PUBLIC_API:
        raise Refusal(404, f"Company {company_id} not found")
    raise Refusal(404, f"No company was found with ID {company_id}", service=CLIENTS_API)


def _requested_connection(world: World, call: Call) -> Connection:
    company = requested_company(world, call)
    return _connection_of(company, _connection_id(world, call))


def _connection_of(company: Company, connection_id: str) -> Connection:
    connection = company.connections.get(connection_id)
    if connection is None:
        raise Refusal(404, f"Data connection {connection_id} not found")
    return connection


def _connection_id(world: World, call: Call) -> str:
    return _uuid(world, call.args["connectionId"])


def _uuid(world: World, text: str) -> str:
    if not _UUID.fullmatch(text.lower()):
        raise Refusal(world.knobs["malformedId"], NOT_VALID if world.knobs["malformedId"] == 400 else None)
    return text.lower()


def _platform_key(call: Call) -> str:
    body: Any = call.json()
    if not isinstance(body, dict):
        raise Refusal(400, _NO_ARGS, validation=_NO_ARGS_VALIDATION)
    key = body.get("platformKey")
    if not isinstance(key, str) or not _PLATFORM_KEY.fullmatch(key):
        raise Refusal(400, NOT_VALID)
    return key


def _check_second(world: World, company: Company, source_type: str) -> None:
    """Refuse a second active accounting source if the knob says so: Codat leaves open what create does."""
    if world.knobs["secondAccounting"] == "accept" or source_type not in ONE_ACTIVE:
        return
    for other in company.connections.values():
        if INTEGRATIONS[other.platform_key].source_type == source_type and other.status != UNLINKED:
            raise Refusal(400, f"The company has an active {source_type} connection already.")


def _may_unlink(world: World, connection: Connection) -> bool:
    """Return whether the connection is unlinked; False means a 200 that changes nothing. Raises `Refusal`."""
    knobs = world.knobs
    match connection.status:
        case "PendingAuth":
            status = knobs["pendingUnlink"]
        case "Unlinked":
            status = knobs["unlinkedUnlink"]
        case "Deauthorized" if knobs["deauthorisedUnlink"] == "refuse":
            status = 400
        case _:
            return True
    if status != 200:
        raise Refusal(status, f"Only {LINKED} or {DEAUTHORIZED} data connections can be unlinked.")
    return False
