"""The words: desired, recorded, live, and Codat's own terms for the rest.

Standard library only. An address (`acme/ledger`) is our name for a connection; everything
else bears Codat's name for it, see https://docs.codat.io/core-concepts/connections.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

ADDRESS_HALF = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What either half of an address matches: Pulumi's `--target` takes wildcards, so none of those."""

ADDRESS = re.compile(rf"{ADDRESS_HALF.pattern}/{ADDRESS_HALF.pattern}")

PLATFORM_KEY = re.compile(r"[a-z]{4}")
"""Codat's pattern for a platform key, anchored by `fullmatch`."""

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


RESOURCE_TYPE = "pulumi-python:dynamic/codat:Connection"
"""What `codat_iac.Connection` is called in Pulumi's state."""

ABSENT = "absent"
"""Stands for the status of a connection whose company answered and whose own GET was a 404."""


class Status(StrEnum):
    """The statuses that Codat documents. A live status is a `str`: there may be others one day."""

    PENDING_AUTH = "PendingAuth"
    LINKED = "Linked"
    DEAUTHORIZED = "Deauthorized"
    UNLINKED = "Unlinked"


class OnRemoval(StrEnum):
    """What happens to a connection that is no longer declared."""

    UNLINK = "unlink"
    DELETE = "delete"
    RETAIN = "retain"


class OnExisting(StrEnum):
    """What happens where somebody's authorised connection stands already."""

    REFUSE = "refuse"
    ADOPT = "adopt"
    CREATE = "create"


class Slot(NamedTuple):
    """One company on one platform: where connections can be mistaken for each other."""

    company_id: str
    platform_key: str


@dataclass(frozen=True, slots=True)
class DesiredConnection:
    """What the file, or a program, says of one connection."""

    address: str
    company_id: str
    platform_key: str
    status: Status = Status.LINKED
    on_removal: OnRemoval = OnRemoval.UNLINK
    on_existing: OnExisting = OnExisting.REFUSE
    connection_id: str | None = None
    protect: bool = False
    """Pulumi neither removes nor replaces it, as with `protect` of any resource."""

    @property
    def slot(self) -> Slot:
        """The company and platform."""
        return Slot(self.company_id, self.platform_key)

    @property
    def place(self) -> str:
        """Where the stock program registers it: the end of its URN, without stack and project."""
        return f"{RESOURCE_TYPE}::{self.address}"


@dataclass(frozen=True, slots=True)
class DataConnectionError:
    """One entry of a connection's `dataConnectionErrors`: why it broke, where Codat knows."""

    status_text: str | None = None
    error_message: str | None = None
    status: str | None = None
    errored_on_utc: str | None = None


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """One connection as Codat reports it.

    `platform_key` is None where Codat sends no `integrationKey`
    (optional since 2026-04-15); `integration_id` leads to it through `GET /integrations`.
    `link_url` is a secret: with one-time links it lets its holder authorise.
    """

    id: str
    company_id: str
    status: str
    platform_key: str | None = None
    integration_id: str | None = None
    platform_name: str = ""
    source_type: str = ""
    created: str = ""
    last_sync: str | None = None
    data_connection_errors: tuple[DataConnectionError, ...] = ()
    link_url: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PriorConnection:
    """What Pulumi's state recorded of one connection: the desired of then, and its id."""

    id: str
    desired: DesiredConnection
    status: str
    """The live status when it was recorded."""

    unlink_refused: bool = False
    """Codat refused to unlink it as it stands, so it isn't asked to again: apply, then plan, is empty."""

    protected: bool = False
    """Pulumi neither removes nor replaces it: `protect`, `pulumi state protect`, or an import by hand."""

    tainted: bool = False
    """Pulumi replaces it at the next run: `pulumi state taint`."""

    pending_removal: bool = False
    """It was replaced, and the run broke off before its removal: the old half of a replacement."""

    urn: str = ""
    """Its URN; empty means the one that the stock program gives it."""

    @property
    def address(self) -> str:
        """Where it is recorded: the name in its URN, which `pulumi state rename` may have changed."""
        return self.urn.rpartition("::")[2] if self.urn else self.desired.address

    @property
    def place(self) -> str:
        """The end of its URN: the types of its parents and its own, and its name."""
        return self.urn.split("::", 2)[2] if self.urn else f"{RESOURCE_TYPE}::{self.address}"

    @property
    def slot(self) -> Slot:
        """The company and platform."""
        return self.desired.slot


@dataclass(frozen=True, slots=True)
class Company:
    """One company; `connections` is None where Codat sent none inline."""

    id: str
    name: str
    connections: tuple[LiveConnection, ...] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    created: str = ""
    redirect: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Integration:
    """One platform that this tenant could connect to. Source: `GET /integrations`."""

    key: str
    name: str
    enabled: bool
    integration_id: str | None = None
    source_type: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of the tenant's requests of today, and when that starts anew, as Codat writes it.

    None where Codat hasn't said yet. Source: https://docs.codat.io/using-the-api/rate-limits.
    """

    remaining: int | None = None
    reset: str | None = None
