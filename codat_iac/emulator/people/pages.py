"""The customers' pages: the link page and the company's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codat_iac.emulator.people import control
from codat_iac.emulator.people.control import BadControlRequest
from codat_iac.emulator.people.rendering import page, read_form
from codat_iac.emulator.requests.messages import Call, Reply, json_reply
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.links import lifetime

if TYPE_CHECKING:
    from codat_iac.emulator.tenant.tenant import Company, Connection, Tenant
    from codat_iac.emulator.world import World


class _DeadLink(Exception):
    """A link that doesn't work, with the page that says so."""

    def __init__(self, title: str, text: str, status: int) -> None:
        super().__init__(title)
        self.reply = page("notice.html", status, title=title, text=text)


def show_link(world: World, call: Call) -> Reply:
    """Show the page of a linkUrl. This doesn't use up the link, since previews and mail scanners do it."""
    try:
        _, company, connection = _open_link(world, call, call.query.get("otp", ""))
    except _DeadLink as closed:
        return closed.reply
    return page("link.html", **_with_platform(connection), company=company, otp=call.query.get("otp", ""))


def follow_link(world: World, call: Call) -> Reply:
    """Authorise or cancel, as the customer; either uses up the password."""
    form = read_form(call)
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
    return page("done.html", **_with_platform(changed), company=company, cancelled=cancelled)


def show_company(world: World, call: Call) -> Reply:
    """Show the company's own page: its connections, and the platforms that it may connect."""
    try:
        company = _open_company(world, call, call.query.get("link.otp", ""))
    except _DeadLink as closed:
        return closed.reply
    return _company_page(company, call.query.get("link.otp", ""))


def change_company(world: World, call: Call) -> Reply:
    """Connect a platform or change a connection, as the customer: the control routes' acts, on a page."""
    form = read_form(call)
    otp = form.get("otp", "")
    try:
        company = _open_company(world, call, otp)
        _act(world, company, form)
    except _DeadLink as closed:
        return closed.reply
    except BadControlRequest as misused:
        return page("notice.html", 400, title="That can't be done", text=str(misused))
    return _company_page(_open_company(world, call, otp), otp)


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
    return page(
        "company.html",
        company=company,
        otp=otp,
        connections=[_with_platform(each) for each in company.connections.values()],
        platforms=[each for each in INTEGRATIONS.values() if each.enabled],
    )


def _with_platform(connection: Connection) -> dict[str, Any]:
    return {"connection": connection, "platform": INTEGRATIONS[connection.platform_key].name}
