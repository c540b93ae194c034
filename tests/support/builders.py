"""Builders of desired, live and recorded connections, and of provider runs on the emulator."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from codat_iac.codat.client import Client, Reader
from codat_iac.emulator import Emulator
from codat_iac.model.connection import Address, DesiredConnection, LiveConnection, PriorConnection, Status
from codat_iac.model.settings import Settings
from codat_iac.model.shard import Shard
from codat_iac.planning.notices import Notice
from codat_iac.reconcile.operations import Operations

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"


def an_id(number: int) -> str:
    """Return a connection id that is easy to tell from others."""
    return str(uuid.UUID(int=number))


def a_desired(address: str = "acme/ledger", **rest: Any) -> DesiredConnection:
    """Return a desired connection, by default to Xero and Linked."""
    return DesiredConnection(Address(address), **{"company_id": COMPANY, "platform_key": "gbol", **rest})


def siblings(*addresses: str, **rest: Any) -> tuple[DesiredConnection, ...]:
    """Return several desired connections of one company to one platform."""
    return tuple(a_desired(address, **rest) for address in addresses)


def a_live(number: int = 1, status: str = "Linked", **rest: Any) -> LiveConnection:
    """Return a live connection, created in the minute *number*."""
    made = f"2026-11-24T00:{number:02}:00Z"
    given = {"platform_key": "gbol", "created": made, **rest}
    return LiveConnection(id=an_id(number), company_id=COMPANY, status=status, **given)


def a_prior(
    number: int | str = 1, desired: DesiredConnection | None = None, status: str = "Linked", **rest: Any
) -> PriorConnection:
    """Return a recorded connection with an id, or the id of a number, and with what was desired then."""
    connection_id = number if isinstance(number, str) else an_id(number)
    return PriorConnection(connection_id, desired or a_desired(), status, **rest)


def tagged(emulator: Emulator, name: str, **tags: str) -> str:
    """Add a company with these tags, over HTTP since the handle knows no tags, and return its id."""
    answer = requests.post(
        f"{emulator.url}/companies",
        json={"name": name, "tags": tags},
        headers={"Authorization": emulator.authorization},
        timeout=10,
    )
    return str(answer.json()["id"])


def a_reader(emulator: Emulator) -> Reader:
    """Return a reader that tries once and waits for nothing."""
    return Reader(emulator.api_key, emulator.url, retries=0, sleep=lambda _: None)


def listings(emulator: Emulator) -> int:
    """Return how often the tenant's companies were listed, page by page."""
    return emulator.counts().get("list-companies", 0)


@dataclass
class Run:
    """One process of the provider on the emulator, with the notices it showed and the seconds it waited."""

    operations: Operations
    told: list[tuple[Notice, str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def said(self) -> list[str]:
        """Return the lines of the notices."""
        return [text for _, _, text in self.told]

    def notices(self) -> list[tuple[Notice, str]]:
        """Return the kind and address of each notice."""
        return [(notice, address) for notice, address, _ in self.told]

    def read(self, *priors: PriorConnection) -> None:
        """Read the recorded connections, as a refresh does."""
        for prior in priors:
            self.operations.read(prior)


def a_run(
    emulator: Emulator,
    *,
    api_key: str | None = None,
    timeout: float = 10.0,
    wait: Callable[[float], None] = lambda _: None,
    guard: Callable[[], None] = lambda: None,
    max_losses: int | None = None,
    accept_missing: bool = False,
    shard: Shard | None = None,
) -> Run:
    """Start a process, which remembers nothing of another. *wait* is called for each time that passes."""
    key = api_key or emulator.api_key
    client = Client(key, emulator.url, timeout=timeout, retries=1, guard=guard, sleep=lambda _: None)
    chosen = Settings(key, emulator.url, max_losses=max_losses, accept_missing=accept_missing, shard=shard)
    told: list[tuple[Notice, str, str]] = []
    waits: list[float] = []

    def notify(notice: Notice, address: str, text: str) -> None:
        told.append((notice, address, text))

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        wait(seconds)

    return Run(Operations(client, chosen, notify, sleep=sleep), told, waits)


def rows(emulator: Emulator, company_id: str) -> dict[str, str]:
    """Return the statuses of the company's actual connections by id, unaffected by read lag."""
    return {each["id"]: each["status"] for each in emulator.connections(company_id)}


def writes(emulator: Emulator) -> list[str]:
    """Return the writing requests to Codat, as `METHOD status`."""
    asked = emulator.requests()["requests"]
    return [f"{each['method']} {each['status']}" for each in asked if each["method"] != "GET"]


def keys(emulator: Emulator) -> list[str]:
    """Return the idempotency keys of the POSTs, in their order."""
    asked = emulator.requests()["requests"]
    return [str(each["idempotencyKey"]) for each in asked if each["method"] == "POST"]


def connected(emulator: Emulator, company_id: str, platform_key: str = "gbol", status: str = "Linked") -> str:
    """Make a connection as somebody else, and return its id."""
    return str(emulator.connect(company_id, platform_key, status)["id"])


UNLINKED = Status.UNLINKED
