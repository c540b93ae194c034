"""The pages of the emulator itself: companies, requests, faults, knobs, and what lives by itself.

Every button does what a control route does, and is answered by a redirect, so that a reload does nothing
twice. What can't be done is said on the page itself, with what was typed still in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from codat_iac.emulator.api.views import link_url, redirect
from codat_iac.emulator.people import control, living
from codat_iac.emulator.people.control import BadControlRequest
from codat_iac.emulator.people.rendering import page, read_form
from codat_iac.emulator.requests.faults import KINDS, Fault, UnknownFaultError, read_faults
from codat_iac.emulator.requests.messages import Call, Refusal, Reply, json_reply, see_other
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.knobs import KNOBS, Knob, UnknownKnobError
from codat_iac.emulator.tenant.tenant import DEAUTHORIZED, LINKED, PENDING_AUTH, UNLINKED

if TYPE_CHECKING:
    from codat_iac.emulator.tenant.tenant import Company
    from codat_iac.emulator.world import World

CONSOLE: Final = "/_emulator/pages"

STATUSES: Final = (LINKED, PENDING_AUTH, DEAUTHORIZED, UNLINKED)

_MENU: Final = (
    ("/", "Companies"),
    (f"{CONSOLE}/requests", "Requests"),
    (f"{CONSOLE}/faults", "Faults"),
    (f"{CONSOLE}/knobs", "Knobs"),
    (f"{CONSOLE}/live", "Live"),
    (f"{CONSOLE}/routes", "Routes"),
)
_COMPANIES_A_PAGE: Final = 25
_REQUESTS_A_PAGE: Final = 100

_ON_CONNECTIONS: Final = {
    "authorise": control.authorise,
    "fail": control.fail,
    "revoke": control.revoke,
    "unlink": control.unlink,
    "delete": control.remove_connection,
}

_NUMBERS: Final = frozenset({"status", "seconds", "times", "skip", "probability"})
_FAULT_FIELDS: Final = frozenset({"on", "do"}) | _NUMBERS
"""What the form for a fault has; scripts can give headers and a body, too."""

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

_DONE: Final = {
    "sign-up": "The company has signed up.",
    "change": "The company is changed.",
    "close": "The company and its connections are deleted.",
    "connect": "The company has connected a platform.",
    "authorise": "The customer has authorised the connection: it is Linked.",
    "fail": "The customer's attempt has failed; the status stays.",
    "revoke": "The customer has revoked access at the platform: the connection is Deauthorized.",
    "unlink": "The connection is Unlinked.",
    "delete": "The connection is deleted.",
    "clear": "The log is empty.",
    "fault": "The fault is in force.",
    "fault-off": "The fault is off.",
    "knobs": "The knobs are set.",
    "live": "The tenant has lived.",
    "reset": "Everything is as it was at the start.",
}
"""What a page says after each act; its name is in the URL to which the act redirects."""


class _Part(NamedTuple):
    """A part of a long list, and where it is in it."""

    rows: Sequence[Any]
    total: int
    number: int
    last: int


# Reading.


def show_companies(world: World, call: Call) -> Reply:
    """Show the companies that a search finds, the newest first."""
    return _companies_page(world, call)


def show_company(world: World, call: Call) -> Reply:
    """Show a company, with the buttons of its customer and of the Portal."""
    return _company_page(world, call)


def show_requests(world: World, call: Call) -> Reply:
    """Show the log, the newest first."""
    search, failed = call.query.get("q", "").strip(), call.query.get("failed", "")
    found = (
        entry
        for entry in reversed(world.log.entries)
        if search.casefold() in f"{entry.method} {entry.path}?{entry.query} {entry.operation}".casefold()
        and (not failed or entry.status is None or entry.status >= 400 or entry.fault)
    )
    return _show(
        world,
        call,
        "requests",
        part=_part(list(found), _REQUESTS_A_PAGE, call),
        search=search,
        failed=failed,
        total=world.log.total,
        counts=world.log.counts.most_common(),
        limits=world.limits,
    )


def show_faults(world: World, call: Call) -> Reply:
    """Show the faults in force, and a form for another."""
    return _faults_page(world, call)


def show_knobs(world: World, call: Call) -> Reply:
    """Show the knobs."""
    return _knobs_page(world, call)


def show_life(world: World, call: Call) -> Reply:
    """Show what the tenant did by itself."""
    return _life_page(world, call)


def show_routes(world: World, call: Call) -> Reply:
    """Show the control routes."""
    return _show(world, call, "routes", routes=_ROUTES)


def show_index(world: World, call: Call) -> Reply:
    """Return the control routes: as a page to a browser, else as JSON."""
    if "text/html" in call.headers.get("Accept", ""):
        return show_routes(world, call)
    rows = [{"method": method, "path": f"/_emulator/{path}", "text": text} for method, path, text in _ROUTES]
    return json_reply({"url": world.url, "routes": rows})


# Acts.


def change_companies(world: World, call: Call) -> Reply:
    """Sign a company up."""

    def act(form: Mapping[str, str]) -> str:
        body = {"name": form.get("name", "").strip(), "tags": _tags(form)}
        made = json.loads(control.add_company(world, _with_body(body)).body)
        return _said(f"{CONSOLE}/company/{made['id']}", "sign-up")

    return _done_or(world, call, act, _companies_page)


def change_company(world: World, call: Call) -> Reply:
    """Do what a button of the company's page says."""
    company_id = call.args["companyId"]

    def act(form: Mapping[str, str]) -> str:
        action, connection_id = form.get("action", ""), form.get("connection", "")
        if action in _ON_CONNECTIONS:
            if connection_id not in _company(world, company_id).connections:
                raise BadControlRequest("This connection is gone; the page shows what there is now.")
            _ON_CONNECTIONS[action](world, Call("POST", "", args={"connectionId": connection_id}))
        elif action == "connect":
            body = {"platformKey": form.get("platform", ""), "status": form.get("status", LINKED)}
            control.connect(world, _with_body(body, companyId=company_id))
        elif action == "change":
            changes = {"name": form.get("name", "").strip(), "tags": _tags(form)}
            control.change_company(world, _with_body(changes, companyId=company_id))
        elif action == "close":
            control.remove_company(world, Call("POST", "", args={"companyId": company_id}))
            return _said("/", "close")
        else:
            raise BadControlRequest("The page is out of date; load it again.")
        return _said(f"{CONSOLE}/company/{company_id}", action)

    return _done_or(world, call, act, _company_page)


def change_requests(world: World, call: Call) -> Reply:
    """Clear the log."""
    control.clear_requests(world, call)
    return see_other(_said(f"{CONSOLE}/requests", "clear"))


def change_faults(world: World, call: Call) -> Reply:
    """Add a fault, or take one away."""

    def act(form: Mapping[str, str]) -> str:
        active = world.faults.faults
        if form.get("action") == "remove":
            shown = [_fault_key(number, each) for number, each in enumerate(active)]
            if form.get("fault") not in shown:
                raise BadControlRequest("This fault is off already; the page shows what is in force now.")
            del active[shown.index(form["fault"])]
            return _said(f"{CONSOLE}/faults", "fault-off")
        given = {name: text.strip() for name, text in form.items() if name in _FAULT_FIELDS and text.strip()}
        fault: dict[str, Any] = {**given, **{name: _number(given[name]) for name in _NUMBERS & given.keys()}}
        active += read_faults([fault])
        return _said(f"{CONSOLE}/faults", "fault")

    return _done_or(world, call, act, _faults_page)


def change_knobs(world: World, call: Call) -> Reply:
    """Set the knobs as the form has them, or all back to their defaults."""

    def act(form: Mapping[str, str]) -> str:
        if form.get("action") == "defaults":
            values = {knob.name: knob.default for knob in KNOBS.values()}
        else:
            values = {name: _knob_value(KNOBS[name], form[name]) for name in KNOBS if name in form}
        control.set_knobs(world, _with_body(values))
        return _said(f"{CONSOLE}/knobs", "knobs")

    return _done_or(world, call, act, _knobs_page)


def change_life(world: World, call: Call) -> Reply:
    """Let the tenant live for some acts, or start over."""

    def act(form: Mapping[str, str]) -> str:
        if form.get("action") == "reset":
            world.reset()
            return _said(f"{CONSOLE}/live", "reset")
        living.take_steps(world, _with_body({"steps": _number(form.get("steps", ""))}))
        return _said(f"{CONSOLE}/live", "live")

    return _done_or(world, call, act, _life_page)


# Pages that can show a mistake.


def _companies_page(world: World, call: Call, **said: Any) -> Reply:
    search, status = call.query.get("q", "").strip(), call.query.get("status", "")
    every = [each for tenant in world.tenants.values() for each in tenant.companies.values()]
    found = [
        company
        for company in reversed(every)
        if _is_found(company, search.casefold())
        and (not status or any(each.status == status for each in company.connections.values()))
    ]
    counts = Counter(each.status for company in every for each in company.connections.values())
    return _show(
        world,
        call,
        "companies",
        part=_part(found, _COMPANIES_A_PAGE, call),
        total=len(every),
        counts=[(each, counts[each]) for each in (*STATUSES, *sorted(set(counts) - set(STATUSES)))],
        search=search,
        status=status,
        **said,
    )


def _company_page(world: World, call: Call, **said: Any) -> Reply:
    company_id = call.args["companyId"].lower()
    tenant = world.tenant_of_company(company_id)
    if tenant is None:
        return page(
            "notice.html",
            404,
            title="This company is gone",
            text="It was deleted, or it never was.",
            back="/",
        )
    company = tenant.companies[company_id]
    return _show(
        world,
        call,
        "company",
        company=company,
        tenant=tenant.name,
        redirect=redirect(world, company),
        connections=[(each, link_url(world, each)) for each in reversed(list(company.connections.values()))],
        platforms=[each for each in INTEGRATIONS.values() if each.enabled],
        **said,
    )


def _faults_page(world: World, call: Call, **said: Any) -> Reply:
    active = [(_fault_key(number, each), each) for number, each in enumerate(world.faults.faults)]
    return _show(world, call, "faults", faults=active, kinds=KINDS, **said)


def _knobs_page(world: World, call: Call, **said: Any) -> Reply:
    return _show(
        world,
        call,
        "knobs",
        knobs=[(knob, _knob_text(world.knobs[knob.name])) for knob in KNOBS.values()],
        **said,
    )


def _life_page(world: World, call: Call, **said: Any) -> Reply:
    acts = list(reversed(world.history.latest))
    return _show(world, call, "live", acts=acts, total=world.history.total, seed=world.beginning.seed, **said)


def _show(
    world: World,
    call: Call,
    name: str,
    *,
    problem: str = "",
    form: Mapping[str, str] | None = None,
    **values: Any,
) -> Reply:
    """Return a page of the console; a *problem* is why nothing was done, and *form* is what was typed."""
    return page(
        f"console/{name}.html",
        400 if problem else 200,
        menu=_MENU,
        url=world.url,
        here=call.path,
        done="" if problem else _DONE.get(call.query.get("done", ""), ""),
        problem=problem,
        form=form or {},
        now=world.now(),
        statuses=STATUSES,
        platform_names={key: each.name for key, each in INTEGRATIONS.items()},
        **values,
    )


def _done_or(
    world: World, call: Call, act: Callable[[Mapping[str, str]], str], show: Callable[..., Reply]
) -> Reply:
    """Do the act and go on to the place that it returns; if it can't be done, show the page that says so."""
    form = read_form(call)
    try:
        return see_other(act(form))
    except (BadControlRequest, UnknownFaultError, UnknownKnobError) as refused:
        problem = str(refused)
    except Refusal:
        problem = "Codat takes at most 10 tags, with names of 1 to 27 characters and values of at most 100."
    return show(world, call, problem=problem, form=form)


def _said(place: str, name: str) -> str:
    return f"{place}?{urlencode({'done': name})}"


def _with_body(body: Mapping[str, Any], **args: str) -> Call:
    return Call("POST", "", body=json.dumps(body).encode(), args=args)


def _company(world: World, company_id: str) -> Company:
    tenant = world.tenant_of_company(company_id.lower())
    if tenant is None:
        raise BadControlRequest("This company is gone.")
    return tenant.companies[company_id.lower()]


def _is_found(company: Company, search: str) -> bool:
    tags = (f"{name}={value}" for name, value in company.tags.items())
    texts = (company.name, company.id, *tags, *company.connections)
    return any(search in text.casefold() for text in texts)


def _part(found: Sequence[Any], size: int, call: Call) -> _Part:
    """Return the part that the query's `page` names, or the nearest that there is."""
    last = max(1, -(-len(found) // size))
    number = min(max(1, call.whole_number("page", 1) or 1), last)
    return _Part(found[(number - 1) * size : number * size], len(found), number, last)


def _tags(form: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a text that has one a line, as `name=value`."""
    lines = [line.strip() for line in form.get("tags", "").splitlines() if line.strip()]
    if not all("=" in line for line in lines):
        raise BadControlRequest("Write one tag a line, as name=value.")
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _number(text: str) -> float | str:
    """Return the number that a person typed; what is none is left, and refused where it is checked."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _knob_value(knob: Knob, text: str) -> Any:
    if knob.choices:
        return next((each for each in knob.choices if _knob_text(each) == text), text)
    return _number(text) if text.strip() else None


def _knob_text(value: object) -> str:
    """Return a knob's value as a form has it; null is an empty field."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fault_key(number: int, fault: Fault) -> str:
    """Return what tells a fault from the others, and from one that had its place before."""
    return f"{number} {fault.on} {fault.do}"
