"""Let the tenant live by itself: customers sign up, authorise and revoke, somebody tidies up in the Portal.

Each act goes through the control routes' own functions, so it can do what people can, and nothing else. The
seed, the act's number and the tenant determine what it is: the same seed makes the same tenant, and a restart
goes on where it was.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, Final

from codat_iac.emulator.people import control
from codat_iac.emulator.people.control import BadControlRequest
from codat_iac.emulator.requests.messages import Call, Reply, json_reply
from codat_iac.emulator.tenant.demo import demo_name, demo_segment, demo_tags
from codat_iac.emulator.tenant.history import Act
from codat_iac.emulator.tenant.integrations import INTEGRATIONS, ONE_ACTIVE
from codat_iac.emulator.tenant.tenant import DEAUTHORIZED, LINKED, PENDING_AUTH, UNLINKED, Company, Connection
from codat_iac.emulator.world import MAIN

if TYPE_CHECKING:
    from codat_iac.emulator.world import World

_WEIGHTS: Final = {
    "sign up": 4,
    "connect": 6,
    "authorise": 8,
    "fail": 2,
    "revoke": 4,
    "unlink": 2,
    "delete": 2,
    "change tags": 1,
    "close": 1,
}
"""How often customers, or people in the Portal, do what."""

_ON_CONNECTIONS: Final = {
    "authorise": (control.authorise, (PENDING_AUTH, DEAUTHORIZED, UNLINKED)),
    "fail": (control.fail, (PENDING_AUTH,)),
    "revoke": (control.revoke, (LINKED,)),
    "unlink": (control.unlink, (LINKED, DEAUTHORIZED)),
    "delete": (control.remove_connection, (PENDING_AUTH, LINKED, DEAUTHORIZED, UNLINKED)),
}
"""The acts on a connection, and the statuses with which people do so."""

_ACTIVE: Final = (PENDING_AUTH, LINKED, DEAUTHORIZED)
_PLATFORMS: Final = ("gbol", "qhyg", "tgff", "knfz", "fbrh", "suuo", "upvr", "fztf", "zsth", "exgd", "ltpp")

_FEWEST_COMPANIES: Final = 10
"""With fewer companies none is closed: a tenant doesn't die out."""

_FIRST_CUSTOMER: Final = 50_000
"""Added to an act's number it is a customer number that no other has; the demo's are below it."""

_MOST_STEPS: Final = 10_000


def step(world: World) -> Act:
    """Do the next act."""
    number = world.history.total + 1
    dice = random.Random(f"{world.beginning.seed} {number}")  # noqa: S311 - reproducible, not secret
    usual, world.dice = world.dice, dice
    try:
        act = _act(world, number, dice)
    finally:
        world.dice = usual
    world.add_act(act)
    world.store.commit()
    return act


def take_steps(world: World, call: Call) -> Reply:
    """Let the tenant live for some acts: `{steps?}`, 1 by default; return them."""
    steps = call.json().get("steps", 1) if isinstance(call.json(), dict) else None
    if type(steps) is not int or not 1 <= steps <= _MOST_STEPS:
        raise BadControlRequest(f"`steps` is a whole number from 1 to {_MOST_STEPS:,}")
    return json_reply({"acts": [step(world).json for _ in range(steps)]})


def _act(world: World, number: int, dice: random.Random) -> Act:
    """Do an act by chance; if nothing is there to do it with, a company signs up."""
    companies = list(world.tenants[MAIN].companies.values())
    [name] = dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
    if name in _ON_CONNECTIONS:
        connections = [
            each
            for company in companies
            for each in company.connections.values()
            if _can(name, company, each)
        ]
        if connections:
            return _change(world, number, name, dice.choice(connections))
    elif companies and name != "sign up":
        company = dice.choice(companies)
        if name == "connect":
            return _connect(world, number, name, company, dice)
        if name == "change tags" and "segment" in company.tags:
            tags = {**company.tags, "segment": demo_segment(dice)}
            control.change_company(world, _call({"tags": tags}, companyId=company.id))
            return Act(number, world.now(), name, company.id, company.name)
        if name == "close" and len(companies) > _FEWEST_COMPANIES:
            control.remove_company(world, _call(companyId=company.id))
            return Act(number, world.now(), name, company.id, company.name)
    return _sign_up(world, number, dice)


def _sign_up(world: World, number: int, dice: random.Random) -> Act:
    """Add a company with its first connection, which some authorise at once and some later."""
    region, name = demo_name(_FIRST_CUSTOMER + number)
    tags = demo_tags(_FIRST_CUSTOMER + number, region, dice)
    made = json.loads(control.add_company(world, _call({"name": name, "tags": tags})).body)
    company = world.tenants[MAIN].companies[made["id"]]
    return _connect(world, number, "sign up", company, dice)


def _connect(world: World, number: int, name: str, company: Company, dice: random.Random) -> Act:
    """Make a connection to a platform that the company may connect."""
    platform = dice.choice([each for each in _PLATFORMS if _is_free(company, each)])
    status = LINKED if dice.random() < 0.6 else PENDING_AUTH
    body = {"platformKey": platform, "status": status}
    made = json.loads(control.connect(world, _call(body, companyId=company.id)).body)
    return _done(world, number, name, company, Connection(made["id"], company.id, platform, status, 0))


def _change(world: World, number: int, name: str, connection: Connection) -> Act:
    act, _ = _ON_CONNECTIONS[name]
    tenant = world.tenants[MAIN]
    company = tenant.companies[connection.company_id]
    act(world, _call(connectionId=connection.id))
    return _done(world, number, name, company, tenant.connection(connection.id) or connection)


def _done(world: World, number: int, name: str, company: Company, connection: Connection) -> Act:
    platform = INTEGRATIONS[connection.platform_key].name
    status = None if name == "delete" else connection.status
    return Act(number, world.now(), name, company.id, company.name, connection.id, platform, status)


def _can(name: str, company: Company, connection: Connection) -> bool:
    _, statuses = _ON_CONNECTIONS[name]
    if connection.status not in statuses:
        return False
    return name != "authorise" or connection.status != UNLINKED or _is_free(company, connection.platform_key)


def _is_free(company: Company, platform_key: str) -> bool:
    """Return whether a connection there is within Codat's one active one for some source types."""
    source_type = INTEGRATIONS[platform_key].source_type
    return source_type not in ONE_ACTIVE or not any(
        INTEGRATIONS[each.platform_key].source_type == source_type and each.status in _ACTIVE
        for each in company.connections.values()
    )


def _call(body: dict[str, Any] | None = None, **args: str) -> Call:
    return Call("POST", "", body=json.dumps(body).encode(), args=args)
