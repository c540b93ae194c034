"""Companies and integrations: https://docs.codat.io/platform-api#/operations/list-companies."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from codat_iac.emulator.api.connections import requested_company
from codat_iac.emulator.api.paging import list_reply
from codat_iac.emulator.api.views import COMPANY_FIELDS, INTEGRATION_FIELDS, company_json
from codat_iac.emulator.requests.messages import CLIENTS_API, NOT_VALID, Call, Refusal, Reply, json_reply
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.tenant import Company

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codat_iac.emulator.world import World

_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9\s\-',&@.?!]")
"""Characters that Codat silently strips from a company's name."""

_MOST_TAGS, _LONGEST_TAG_KEY, _LONGEST_TAG_VALUE = 10, 27, 100


def list_companies(world: World, call: Call) -> Reply:
    """Handle GET /companies, connections inline: Codat's supported way to read a whole tenant."""
    companies = list(world.tenants[call.tenant].as_of(world.list_time()).values())
    return list_reply(world, call, companies, lambda each: company_json(world, each), COMPANY_FIELDS)


def create_company(world: World, call: Call) -> Reply:
    """Handle POST /companies. Names need not be unique."""
    body = _body(call)
    company = Company(
        str(uuid.uuid4()), _name(body), world.now(), _description(body), valid_tags(body.get("tags")) or {}
    )
    world.tenants[call.tenant].put(company, world.now())
    return json_reply(company_json(world, company))


def get_company(world: World, call: Call) -> Reply:
    """Handle GET of one company; its connections lag as in the list."""
    company = requested_company(world, call)
    then = world.tenants[call.tenant].as_of(world.list_time()).get(company.id)
    shown = replace(company, connections=then.connections if then else {})
    return json_reply(company_json(world, shown))


def replace_company(world: World, call: Call) -> Reply:
    """Handle PUT: name, description and tags are replaced, also those that aren't given."""
    company, body = requested_company(world, call), _body(call)
    changed = replace(
        company, name=_name(body), description=_description(body), tags=valid_tags(body.get("tags")) or {}
    )
    return _changed(world, call, changed)


def update_company(world: World, call: Call) -> Reply:
    """Handle PATCH: only given members change. Codat says both that empty tags stay and that they go."""
    company, body = requested_company(world, call), _body(call)
    if body.get("name") is not None:
        company = replace(company, name=_name(body))
    if body.get("description") is not None:
        company = replace(company, description=_description(body))
    tags = valid_tags(body.get("tags"))
    if tags or ("tags" in body and world.knobs["emptyTags"] == "remove"):
        company = replace(company, tags=tags or {})
    return _changed(world, call, company)


def delete_company(world: World, call: Call) -> Reply:
    """Handle DELETE: 204, and the company's connections are deleted, too."""
    world.tenants[call.tenant].drop(requested_company(world, call).id, world.now())
    return Reply(204)


def list_integrations(world: World, call: Call) -> Reply:
    """Handle GET /integrations: all platforms, including disabled ones."""
    return list_reply(world, call, list(INTEGRATIONS.values()), lambda each: each.json, INTEGRATION_FIELDS)


def get_integration(world: World, call: Call) -> Reply:  # noqa: ARG001 - the same for every tenant
    """Handle GET of one integration by its platform key."""
    integration = INTEGRATIONS.get(call.args["platformKey"])
    if integration is None:
        raise Refusal(404, f"Integration {call.args['platformKey']} not found")
    return json_reply(integration.json)


def _changed(world: World, call: Call, company: Company) -> Reply:
    world.tenants[call.tenant].put(company, world.now())
    return json_reply(company_json(world, company))


def _body(call: Call) -> dict[str, Any]:
    body = call.json()
    if not isinstance(body, dict):
        raise _not_valid()
    return body


def _name(body: Mapping[str, Any]) -> str:
    name = body.get("name")
    stripped = _FORBIDDEN.sub("", name).strip() if isinstance(name, str) else ""
    if not stripped:
        raise _not_valid()
    return stripped


def _description(body: Mapping[str, Any]) -> str | None:
    description = body.get("description")
    if description is not None and not isinstance(description, str):
        raise _not_valid()
    return description


def valid_tags(tags: Any) -> dict[str, str] | None:
    """Return tags, None if there are none: at most 10, keys of 1 to 27 characters, values of at most 100.

    Raises `Refusal` for others.
    """
    if tags is None:
        return None
    if not isinstance(tags, dict) or len(tags) > _MOST_TAGS:
        raise _not_valid()
    for key, value in tags.items():
        if not (
            1 <= len(key) <= _LONGEST_TAG_KEY and isinstance(value, str) and len(value) <= _LONGEST_TAG_VALUE
        ):
            raise _not_valid()
    return tags


def _not_valid() -> Refusal:
    return Refusal(400, NOT_VALID, service=CLIENTS_API)
