"""Short ways to make what the tests of the core are about."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from codat_iac.codat.client import Client
from codat_iac.emulator import Emulator
from codat_iac.model.connection import DesiredConnection, LiveConnection, PriorConnection, Status
from codat_iac.model.settings import Settings
from codat_iac.planning.notices import Notice
from codat_iac.reconcile.operations import Operations

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"


def an_id(number: int) -> str:
    """A connection id that is easy to tell from others."""
    return str(uuid.UUID(int=number))


def a_desired(address: str = "acme/ledger", **rest: Any) -> DesiredConnection:
    """What the file says of one connection: by default to Xero, and Linked."""
    return DesiredConnection(**{"address": address, "company_id": COMPANY, "platform_key": "gbol", **rest})


def siblings(*addresses: str, **rest: Any) -> tuple[DesiredConnection, ...]:
    """Several connections of one company to one platform."""
    return tuple(a_desired(address, **rest) for address in addresses)


def a_live(number: int = 1, status: str = "Linked", **rest: Any) -> LiveConnection:
    """A connection as Codat reports it, made in the minute *number*."""
    made = f"2026-11-24T00:{number:02}:00Z"
    given = {"platform_key": "gbol", "created": made, **rest}
    return LiveConnection(id=an_id(number), company_id=COMPANY, status=status, **given)


def a_prior(
    number: int | str = 1, desired: DesiredConnection | None = None, status: str = "Linked", **rest: Any
) -> PriorConnection:
    """What the state recorded: an id, by itself or by its number, and the desired of then."""
    connection_id = number if isinstance(number, str) else an_id(number)
    return PriorConnection(connection_id, desired or a_desired(), status, **rest)


@dataclass
class Run:
    """What one process of the provider does on the emulator, and what it said and waited for."""

    operations: Operations
    told: list[tuple[Notice, str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def said(self) -> list[str]:
        """The lines that were said."""
        return [text for _, _, text in self.told]

    def notices(self) -> list[tuple[Notice, str]]:
        """What kinds of things were said, of which addresses."""
        return [(notice, address) for notice, address, _ in self.told]

    def read(self, *priors: PriorConnection) -> None:
        """Refresh: read all that is recorded."""
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
) -> Run:
    """Start a process: nothing in it is remembered from another. *wait* stands for the passing of time."""
    key = api_key or emulator.api_key
    client = Client(key, emulator.url, timeout=timeout, retries=1, guard=guard, sleep=lambda _: None)
    chosen = Settings(key, emulator.url, max_losses=max_losses, accept_missing=accept_missing)
    told: list[tuple[Notice, str, str]] = []
    waits: list[float] = []

    def notify(notice: Notice, address: str, text: str) -> None:
        told.append((notice, address, text))

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        wait(seconds)

    return Run(Operations(client, chosen, notify, sleep=sleep), told, waits)


def rows(emulator: Emulator, company_id: str) -> dict[str, str]:
    """What the company really has: ids and statuses, whatever lists may show."""
    return {each["id"]: each["status"] for each in emulator.connections(company_id)}


def writes(emulator: Emulator) -> list[str]:
    """What was asked of Codat other than reading, and how it was answered."""
    asked = emulator.requests()["requests"]
    return [f"{each['method']} {each['status']}" for each in asked if each["method"] != "GET"]


def keys(emulator: Emulator) -> list[str]:
    """The idempotency keys of the POSTs, in their order."""
    asked = emulator.requests()["requests"]
    return [str(each["idempotencyKey"]) for each in asked if each["method"] == "POST"]


def connected(emulator: Emulator, company_id: str, platform_key: str = "gbol", status: str = "Linked") -> str:
    """The id of a connection that was made by somebody else."""
    return str(emulator.connect(company_id, platform_key, status)["id"])


UNLINKED = Status.UNLINKED
