"""Make Codat's JSON for connections and companies, as the knobs ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from codat_iac.emulator.tenant.clock import timestamp
from codat_iac.emulator.tenant.integrations import INTEGRATIONS

if TYPE_CHECKING:
    from codat_iac.emulator.tenant.tenant import Company, Connection
    from codat_iac.emulator.world import World

CONNECTION_FIELDS: Final = frozenset(
    {
        "id",
        "integrationId",
        "integrationKey",
        "sourceId",
        "sourceType",
        "platformName",
        "linkUrl",
        "status",
        "lastSync",
        "created",
    }
)
"""What a query on connections may name."""

COMPANY_FIELDS: Final = frozenset(
    {"id", "name", "description", "platform", "redirect", "lastSync", "created", "createdByUserName"}
    | {f"dataConnections.{field}" for field in CONNECTION_FIELDS}
)
"""What a query on companies may name."""

INTEGRATION_FIELDS: Final = frozenset(
    {"key", "name", "enabled", "sourceId", "sourceType", "integrationId", "isOfflineConnector", "isBeta"}
)
"""What a query on integrations may name."""


def connection_json(
    world: World, connection: Connection, *, inline: bool = False, on_create: bool = False
) -> dict[str, Any]:
    """Return Codat's Connection; *inline* if it is part of a company."""
    knobs = world.knobs
    integration = INTEGRATIONS[connection.platform_key]
    data: dict[str, Any] = {"id": connection.id, "integrationId": integration.integration_id}
    if knobs["integrationKey"] == "present" or (knobs["integrationKey"] != "absent" and not on_create):
        data["integrationKey"] = connection.platform_key
    data |= {
        "sourceId": integration.source_id,
        "sourceType": integration.source_type,
        "platformName": integration.name,
        "linkUrl": link_url(world, connection),
        "status": connection.status,
        "created": timestamp(connection.created),
    }
    optional = {"lastSync": None if connection.last_sync is None else timestamp(connection.last_sync)}
    if not (inline and knobs["inlineConnections"] == "sparse"):
        optional |= _details(connection)
    return data | _given(world, optional) | _unknown(world)


def company_json(world: World, company: Company) -> dict[str, Any]:
    """Return Codat's Company, with its connections inline."""
    connections = company.connections.values()
    syncs = [connection.last_sync for connection in connections if connection.last_sync is not None]
    data: dict[str, Any] = {
        "id": company.id,
        "name": company.name,
        "platform": "",
        "redirect": redirect(world, company),
        "created": timestamp(company.created),
        "createdByUserName": None,
        "products": [],
        "tags": dict(company.tags),
    }
    if world.knobs["inlineConnections"] != "absent":
        data["dataConnections"] = [connection_json(world, each, inline=True) for each in connections]
    optional = {"description": company.description, "lastSync": timestamp(max(syncs)) if syncs else None}
    return data | _given(world, optional) | _unknown(world)


def link_url(world: World, connection: Connection) -> str:
    """Return the URL on this emulator where the customer authorises; with a password it is a secret."""
    otp = world.links.connection_otp(connection, world.knobs["linkUrlOtp"], world.now())
    page = f"{world.url}/companies/{connection.company_id}/connections/{connection.id}/start"
    return page if otp is None else f"{page}?otp={otp}"


def redirect(world: World, company: Company) -> str:
    """Return the URL on this emulator where the customer chooses a platform."""
    otp = world.links.company_otp(company.id, company.created, world.knobs["linkUrlOtp"], world.now())
    page = f"{world.url}/company/{company.id}"
    return page if otp is None else f"{page}?link.otp={otp}"


def _details(connection: Connection) -> dict[str, Any]:
    info = None
    if connection.last_sync is not None:
        info = {"organisationId": connection.id[:8], "isDemoCompany": False, "financialYearEndMonth": 3}
    return {"dataConnectionErrors": list(connection.errors) or None, "connectionInfo": info}


def _given(world: World, optional: dict[str, Any]) -> dict[str, Any]:
    if world.knobs["emptyFields"] == "null":
        return optional
    return {name: value for name, value in optional.items() if value is not None}


def _unknown(world: World) -> dict[str, Any]:
    """Return unknown fields. Adding one is no breaking change: https://docs.codat.io/using-the-api/change-policy."""
    return {"addedLater": {"by": ["Codat"]}} if world.knobs["unknownFields"] else {}
