"""What a person sees: the link page, the company's page, and the emulator's index.

Names come from outside and may hold anything, so every page is rendered with autoescape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined

from codat_iac.emulator.api.views import link_url, redirect
from codat_iac.emulator.people import control
from codat_iac.emulator.people.control import Misused
from codat_iac.emulator.requests.messages import Call, Reply, html_reply, json_reply
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.links import lasting
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

_SHOWN: Final = 50
"""So many companies stand on the index."""

_ROUTES: Final = (
    ("POST", "companies", "{name, tenant?}: a company; answers it"),
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
    ("POST", "reset", "back to how the emulator started"),
)


class _Closed(Exception):
    """A link that leads nowhere, and the page that says so."""

    def __init__(self, title: str, text: str, status: int) -> None:
        super().__init__(title)
        self.reply = _page("notice.html", status, title=title, text=text)


def show_link(world: World, call: Call) -> Reply:
    """The page behind a linkUrl. To look at it spends nothing: previews and mail scanners do."""
    try:
        _, company, connection = _linked(world, call, call.query.get("otp", ""))
    except _Closed as closed:
        return closed.reply
    return _page("link.html", **_described(connection), company=company, otp=call.query.get("otp", ""))


def follow_link(world: World, call: Call) -> Reply:
    """The customer authorises, or cancels; either way the password is spent."""
    form = _form(call)
    try:
        tenant, company, connection = _linked(world, call, form.get("otp", ""))
    except _Closed as closed:
        return closed.reply
    cancelled = form.get("action") == "cancel"
    now = world.now()
    changed = (
        connection.failed(now, "The authorization was cancelled.")
        if cancelled
        else connection.authorised(now)
    )
    if form.get("otp"):
        changed = changed.spent(form["otp"])
    tenant.put_connection(changed, now)
    return _page("done.html", **_described(changed), company=company, cancelled=cancelled)


def show_company(world: World, call: Call) -> Reply:
    """The company's own page: what is connected, and what could be."""
    try:
        company = _visited(world, call, call.query.get("link.otp", ""))
    except _Closed as closed:
        return closed.reply
    return _company_page(company, call.query.get("link.otp", ""))


def change_company(world: World, call: Call) -> Reply:
    """The customer picks a platform, or changes a connection: what the control routes do, with a page."""
    form = _form(call)
    otp = form.get("otp", "")
    try:
        company = _visited(world, call, otp)
        _act(world, company, form)
    except _Closed as closed:
        return closed.reply
    except Misused as misused:
        return _page("notice.html", 400, title="That can't be done", text=str(misused))
    return _company_page(_visited(world, call, otp), otp)


def show_index(world: World, call: Call) -> Reply:
    """What the emulator offers: a page for people, JSON for the rest."""
    if "text/html" not in call.headers.get("Accept", ""):
        rows = [
            {"method": method, "path": f"/_emulator/{path}", "text": text} for method, path, text in _ROUTES
        ]
        return json_reply({"url": world.url, "routes": rows})
    companies = world.tenants[MAIN].companies.values()
    shown = [
        (company, redirect(world, company)) for company, _ in zip(companies, range(_SHOWN), strict=False)
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


def _linked(world: World, call: Call, otp: str) -> tuple[Tenant, Company, Connection]:
    """Whose link this is, if it still leads anywhere."""
    connection_id = call.args["connectionId"].lower()
    tenant = world.tenant_of_connection(connection_id)
    connection = tenant.connection(connection_id) if tenant else None
    if tenant is None or connection is None or connection.company_id != call.args["companyId"].lower():
        raise _Closed("This connection is gone", "It was deleted, or it never was. Ask for a new link.", 404)
    if world.knobs["linkUrlOtp"] != "off":
        if otp in connection.links_used:
            raise _Closed("This link was used", "A link works once. Ask for a new one.", 410)
        if not world.links.good(connection.id, otp, world.now(), lasting(connection)):
            raise _Closed(
                "This link no longer works", "It expired, or it is incomplete. Ask for a new one.", 410
            )
    return tenant, tenant.companies[connection.company_id], connection


def _visited(world: World, call: Call, otp: str) -> Company:
    company_id = call.args["companyId"].lower()
    tenant = world.tenant_of_company(company_id)
    if tenant is None:
        raise _Closed("This company is gone", "It was deleted, or it never was.", 404)
    if world.knobs["linkUrlOtp"] != "off" and not world.links.good(company_id, otp, world.now()):
        raise _Closed("This link no longer works", "It expired, or it is incomplete. Ask for a new one.", 410)
    return tenant.companies[company_id]


def _act(world: World, company: Company, form: dict[str, str]) -> None:
    acts = {"authorise": control.authorise, "revoke": control.revoke, "disconnect": control.unlink}
    connection_id, action = form.get("connection", ""), form.get("action", "")
    if connection_id:
        if action not in acts or connection_id not in company.connections:
            raise Misused("The page is out of date; load it again.")
        acts[action](world, Call("POST", "", args={"connectionId": connection_id}))
        return
    chosen = json_reply({"platformKey": form.get("platform", "")}).body
    control.connect(world, Call("POST", "", body=chosen, args={"companyId": company.id}))


def _company_page(company: Company, otp: str) -> Reply:
    return _page(
        "company.html",
        company=company,
        otp=otp,
        connections=[_described(each) for each in company.connections.values()],
        platforms=[each for each in INTEGRATIONS.values() if each.enabled],
    )


def _described(connection: Connection) -> dict[str, Any]:
    return {"connection": connection, "platform": INTEGRATIONS[connection.platform_key].name}


def _form(call: Call) -> dict[str, str]:
    fields = parse_qs(call.body.decode("utf-8", "replace"))
    return {name: values[0] for name, values in fields.items()}


def _page(template: str, status: int = 200, **values: Any) -> Reply:
    return html_reply(_TEMPLATES.get_template(template).render(**values), status)
