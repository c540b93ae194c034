"""The pages for people: the link page, the company's page, and the emulator's index.

Names come from outside and may hold anything, so every page is rendered with autoescape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined

from codat_iac.emulator.api.views import link_url, redirect
from codat_iac.emulator.people import control
from codat_iac.emulator.people.control import BadControlRequest
from codat_iac.emulator.requests.messages import Call, Reply, html_reply, json_reply
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.links import lifetime
from codat_iac.emulator.world import MAIN

if TYPE_CHECKING:
    from codat_iac.emulator.tenant.tenant import Company, Connection, Tenant
    from codat_iac.emulator.world import World

_TEMPLATES: Final = Environment(
    loader=PackageLoader("codat_iac.emulator.people"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_MOST_COMPANIES: Final = 50
"""The most companies on the index page."""

_ROUTES: Final = (
    ("POST", "companies", "{name, tenant?, tags?}: a company; answers it"),
    ("POST", "companies/{companyId}", "{name?, tags?}: somebody changes it in the Portal; answers it"),
    ("DELETE", "companies/{companyId}", "the company and its connections go"),
    ("POST", "companies/{companyId}/connections", "{platformKey, status?}: a customer connects on their own"),
    ("POST", "connections/{connectionId}/authorise", "the customer authorises"),
    ("POST", "connections/{connectionId}/revoke", "the customer revokes access at the platform"),
    ("POST", "connections/{connectionId}/fail", "the customer's attempt fails"),
    ("POST", "connections/{connectionId}/unlink", "the customer disconnects"),
    ("DELETE", "connections/{connectionId}", "somebody deletes it in the Portal"),
    ("POST", "keys", "{apiKey, tenant?, outdated?}: another key, of this tenant or another"),
    ("GET", "faults", "the faults in force, their hits, and the kinds there are"),
    ("POST", "faults", "a list of faults in place of those in force"),
    ("GET", "knobs", "what Codat leaves open, and how it is set"),
    ("POST", "knobs", "{name: value}: set some"),
    ("GET", "requests", "the log, counts for each operation, and peaks; ?last=10 shows so many requests"),
    ("DELETE", "requests", "clear the log"),
    ("POST", "live", "{steps?}: the tenant lives by itself for so many acts; answers them"),
    ("POST", "reset", "back to how the emulator started"),
)


class _DeadLink(Exception):
    """A link that doesn't work, with the page that says so."""

    def __init__(self, title: str, text: str, status: int) -> None:
        super().__init__(title)
        self.reply = _page("notice.html", status, title=title, text=text)


def show_link(world: World, call: Call) -> Reply:
    """Show the page of a linkUrl. This doesn't use up the link, since previews and mail scanners do it."""
    try:
        _, company, connection = _open_link(world, call, call.query.get("otp", ""))
    except _DeadLink as closed:
        return closed.reply
    return _page("link.html", **_with_platform(connection), company=company, otp=call.query.get("otp", ""))


def follow_link(world: World, call: Call) -> Reply:
    """Authorise or cancel, as the customer; either uses up the password."""
    form = _form(call)
    try:
        tenant, company, connection = _open_link(world, call, form.get("otp", ""))
    except _DeadLink as closed:
        return closed.reply
    cancelled = form.get("action") == "cancel"
    now = world.now()
    changed = (
        connection.failed(now, "The authorization was cancelled.")
        if cancelled
        else connection.authorised(now)
    )
    if form.get("otp"):
        changed = changed.with_used_otp(form["otp"])
    tenant.put_connection(changed, now)
    return _page("done.html", **_with_platform(changed), company=company, cancelled=cancelled)


def show_company(world: World, call: Call) -> Reply:
    """Show the company's own page: its connections, and the platforms that it may connect."""
    try:
        company = _open_company(world, call, call.query.get("link.otp", ""))
    except _DeadLink as closed:
        return closed.reply
    return _company_page(company, call.query.get("link.otp", ""))


def change_company(world: World, call: Call) -> Reply:
    """Connect a platform or change a connection, as the customer: the control routes' acts, on a page."""
    form = _form(call)
    otp = form.get("otp", "")
    try:
        company = _open_company(world, call, otp)
        _act(world, company, form)
    except _DeadLink as closed:
        return closed.reply
    except BadControlRequest as misused:
        return _page("notice.html", 400, title="That can't be done", text=str(misused))
    return _company_page(_open_company(world, call, otp), otp)


def show_index(world: World, call: Call) -> Reply:
    """Show the emulator's routes and companies: as a page to a browser, else the routes as JSON."""
    if "text/html" not in call.headers.get("Accept", ""):
        rows = [
            {"method": method, "path": f"/_emulator/{path}", "text": text} for method, path, text in _ROUTES
        ]
        return json_reply({"url": world.url, "routes": rows})
    companies = world.tenants[MAIN].companies.values()
    shown = [
        (company, redirect(world, company))
        for company, _ in zip(companies, range(_MOST_COMPANIES), strict=False)
    ]
    waiting = [
        (company, connection, INTEGRATIONS[connection.platform_key].name, link_url(world, connection))
        for company, _ in shown
        for connection in company.connections.values()
    ]
    return _page(
        "index.html",
        url=world.url,
        routes=_ROUTES,
        companies=shown,
        connections=waiting,
        total=len(companies),
        requests=world.log.total,
    )


def _open_link(world: World, call: Call, otp: str) -> tuple[Tenant, Company, Connection]:
    """Return the tenant, company and connection of a link. Raises `_DeadLink` if it doesn't work."""
    connection_id = call.args["connectionId"].lower()
    tenant = world.tenant_of_connection(connection_id)
    connection = tenant.connection(connection_id) if tenant else None
    if tenant is None or connection is None or connection.company_id != call.args["companyId"].lower():
        raise _DeadLink(
            "This connection is gone", "It was deleted, or it never was. Ask for a new link.", 404
        )
    if world.knobs["linkUrlOtp"] != "off":
        if otp in connection.links_used:
            raise _DeadLink("This link was used", "A link works once. Ask for a new one.", 410)
        if not world.links.is_valid(connection.id, otp, world.now(), lifetime(connection)):
            raise _DeadLink(
                "This link no longer works", "It expired, or it is incomplete. Ask for a new one.", 410
            )
    return tenant, tenant.companies[connection.company_id], connection


def _open_company(world: World, call: Call, otp: str) -> Company:
    company_id = call.args["companyId"].lower()
    tenant = world.tenant_of_company(company_id)
    if tenant is None:
        raise _DeadLink("This company is gone", "It was deleted, or it never was.", 404)
    if world.knobs["linkUrlOtp"] != "off" and not world.links.is_valid(company_id, otp, world.now()):
        raise _DeadLink(
            "This link no longer works", "It expired, or it is incomplete. Ask for a new one.", 410
        )
    return tenant.companies[company_id]


def _act(world: World, company: Company, form: dict[str, str]) -> None:
    acts = {"authorise": control.authorise, "revoke": control.revoke, "disconnect": control.unlink}
    connection_id, action = form.get("connection", ""), form.get("action", "")
    if connection_id:
        if action not in acts or connection_id not in company.connections:
            raise BadControlRequest("The page is out of date; load it again.")
        acts[action](world, Call("POST", "", args={"connectionId": connection_id}))
        return
    chosen = json_reply({"platformKey": form.get("platform", "")}).body
    control.connect(world, Call("POST", "", body=chosen, args={"companyId": company.id}))


def _company_page(company: Company, otp: str) -> Reply:
    return _page(
        "company.html",
        company=company,
        otp=otp,
        connections=[_with_platform(each) for each in company.connections.values()],
        platforms=[each for each in INTEGRATIONS.values() if each.enabled],
    )


def _with_platform(connection: Connection) -> dict[str, Any]:
    return {"connection": connection, "platform": INTEGRATIONS[connection.platform_key].name}


def _form(call: Call) -> dict[str, str]:
    fields = parse_qs(call.body.decode("utf-8", "replace"))
    return {name: values[0] for name, values in fields.items()}


def _page(template: str, status: int = 200, **values: Any) -> Reply:
    return html_reply(_TEMPLATES.get_template(template).render(**values), status)
