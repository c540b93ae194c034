"""The routes: which method and path is handled by which function."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from codat_iac.emulator.api import companies, connections
from codat_iac.emulator.people import console, control, living, pages
from codat_iac.emulator.people.console import CONSOLE
from codat_iac.emulator.people.control import BadControlRequest
from codat_iac.emulator.requests.messages import Call, Refusal, Reply
from codat_iac.emulator.world import World

Handler = Callable[[World, Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path. *operation* is Codat's name for it, "" for the emulator's own routes."""

    method: str
    path: re.Pattern[str]
    handler: Handler
    operation: str = ""

    @property
    def codat(self) -> bool:
        """Whether it is one of Codat's, which have key, limits, faults and log."""
        return bool(self.operation)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route, and the path's parameters; if there is none, a route that answers with the error."""
    if path.startswith("/_emulator"):
        handler, operation = _unknown_control, ""
    else:
        handler, operation = _unknown, "unknown"
    for route in _ROUTES:
        match = route.path.fullmatch(path)
        if match and route.method == method:
            return route, match.groupdict()
        if match:
            handler = _wrong_method
    return Route(method, _ANY, handler, operation), {}


def _unknown(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    """Refuse an unknown endpoint with the text that Codat has for removed ones."""
    raise Refusal(404, "NotFound")


def _unknown_control(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    raise BadControlRequest("there is no such route; GET /_emulator/ lists them", 404)


def _wrong_method(world: World, call: Call) -> Reply:  # noqa: ARG001 - every route takes both
    raise Refusal(405)


def _route(operation: str, method: str, template: str, handler: Handler) -> Route:
    return Route(method, re.compile(_NAMED.sub(r"(?P<\1>[^/]+)", template)), handler, operation)


_ANY: Final = re.compile(".*")
_NAMED: Final = re.compile(r"\{(\w+)\}")
_COMPANY: Final = "/companies/{companyId}"
_CONNECTIONS: Final = f"{_COMPANY}/connections"
_CONNECTION: Final = f"{_CONNECTIONS}/{{connectionId}}"
_ACT: Final = "/_emulator/connections/{connectionId}"
_ROUTES: Final = tuple(
    _route(*row)
    for row in (
        ("list-connections", "GET", _CONNECTIONS, connections.list_connections),
        ("create-connection", "POST", _CONNECTIONS, connections.create_connection),
        ("get-connection", "GET", _CONNECTION, connections.get_connection),
        ("delete-connection", "DELETE", _CONNECTION, connections.delete_connection),
        ("unlink-connection", "PATCH", _CONNECTION, connections.unlink_connection),
        ("list-companies", "GET", "/companies", companies.list_companies),
        ("create-company", "POST", "/companies", companies.create_company),
        ("get-company", "GET", _COMPANY, companies.get_company),
        ("replace-company", "PUT", _COMPANY, companies.replace_company),
        ("update-company", "PATCH", _COMPANY, companies.update_company),
        ("delete-company", "DELETE", _COMPANY, companies.delete_company),
        ("list-integrations", "GET", "/integrations", companies.list_integrations),
        ("get-integration", "GET", "/integrations/{platformKey}", companies.get_integration),
        ("", "GET", f"{_CONNECTION}/start", pages.show_link),
        ("", "POST", f"{_CONNECTION}/start", pages.follow_link),
        ("", "GET", "/company/{companyId}", pages.show_company),
        ("", "POST", "/company/{companyId}", pages.change_company),
        ("", "GET", "/", console.show_companies),
        ("", "POST", "/", console.change_companies),
        ("", "GET", f"{CONSOLE}/company/{{companyId}}", console.show_company),
        ("", "POST", f"{CONSOLE}/company/{{companyId}}", console.change_company),
        ("", "GET", f"{CONSOLE}/requests", console.show_requests),
        ("", "POST", f"{CONSOLE}/requests", console.change_requests),
        ("", "GET", f"{CONSOLE}/faults", console.show_faults),
        ("", "POST", f"{CONSOLE}/faults", console.change_faults),
        ("", "GET", f"{CONSOLE}/knobs", console.show_knobs),
        ("", "POST", f"{CONSOLE}/knobs", console.change_knobs),
        ("", "GET", f"{CONSOLE}/live", console.show_life),
        ("", "POST", f"{CONSOLE}/live", console.change_life),
        ("", "GET", f"{CONSOLE}/routes", console.show_routes),
        ("", "GET", "/_emulator/?", console.show_index),
        ("", "POST", "/_emulator/companies", control.add_company),
        ("", "POST", "/_emulator/companies/{companyId}", control.change_company),
        ("", "DELETE", "/_emulator/companies/{companyId}", control.remove_company),
        ("", "POST", "/_emulator/companies/{companyId}/connections", control.connect),
        ("", "GET", "/_emulator/companies/{companyId}/connections", control.show_connections),
        ("", "POST", f"{_ACT}/authorise", control.authorise),
        ("", "POST", f"{_ACT}/revoke", control.revoke),
        ("", "POST", f"{_ACT}/fail", control.fail),
        ("", "POST", f"{_ACT}/unlink", control.unlink),
        ("", "DELETE", _ACT, control.remove_connection),
        ("", "POST", "/_emulator/keys", control.add_key),
        ("", "GET", "/_emulator/faults", control.get_faults),
        ("", "POST", "/_emulator/faults", control.set_faults),
        ("", "GET", "/_emulator/knobs", control.get_knobs),
        ("", "POST", "/_emulator/knobs", control.set_knobs),
        ("", "GET", "/_emulator/requests", control.get_requests),
        ("", "DELETE", "/_emulator/requests", control.clear_requests),
        ("", "POST", "/_emulator/live", living.take_steps),
        ("", "POST", "/_emulator/reset", control.reset),
    )
)
