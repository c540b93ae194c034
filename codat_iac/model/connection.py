"""The types for desired, recorded and live connections, and for Codat's companies and integrations.

Standard library only. An address (`acme/ledger`) is our name for a connection. Everything else has Codat's
name for it; see https://docs.codat.io/core-concepts/connections.

Ids are UUIDs in lower-case text. Times are ISO 8601 text in UTC, as Codat sends them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote, unquote

ADDRESS_HALF = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""Pattern of either half of an address, without the wildcards that Pulumi's `--target` would expand."""

ADDRESS = re.compile(rf"{ADDRESS_HALF.pattern}/{ADDRESS_HALF.pattern}")


class Address(str):
    """Our name for a connection, also the name of its Pulumi resource: `acme/ledger`.

    A declared address matches `ADDRESS`. A recorded one may have any name that Pulumi allows.
    """

    __slots__ = ()

    @property
    def company(self) -> str:
        """The company's key in the desired state: `acme`."""
        return self.partition("/")[0]

    @property
    def key(self) -> str:
        """The connection's own key within its company: `ledger`; empty if there is no slash."""
        return self.partition("/")[2]


PLATFORM_KEY = re.compile(r"[a-z]{4}")
"""Codat's pattern of a platform key; use it with `fullmatch`."""

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def normalised(id_: str) -> str:
    """Return an id of Codat's in lower case, in which all ids are compared.

    Call it wherever an id comes in: from a file, a program, the state, an option, or one of Codat's answers.
    """
    return id_.lower()


RESOURCE_TYPE = "pulumi-python:dynamic/codat:Connection"
"""The type of `codat_iac.Connection` in Pulumi's state."""


def _place(urn: str) -> str:
    return urn.split("::", 2)[2]


ABSENT = "absent"
"""The status of a connection that doesn't exist: its company answered, and its own GET was a 404."""


class Status(StrEnum):
    """The statuses that Codat documents.

    A live status is a plain `str`, since Codat may add others.
    """

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
    """What happens if the company already has a connection to the platform that somebody authorised."""

    REFUSE = "refuse"
    ADOPT = "adopt"
    CREATE = "create"


class Slot(NamedTuple):
    """One company on one platform. Only connections of the same slot can be mistaken for each other."""

    company_id: str
    platform_key: str


@dataclass(frozen=True, slots=True)
class DesiredConnection:
    """What the desired-state file, or a program, declares about one connection."""

    address: Address
    company_id: str
    platform_key: str
    status: Status = Status.LINKED
    on_removal: OnRemoval = OnRemoval.UNLINK
    on_existing: OnExisting = OnExisting.REFUSE
    connection_id: str | None = None
    protect: bool = False
    """Whether Pulumi refuses to remove or replace it, as with `protect` on any resource."""

    matched_by: str = ""
    """How its company was found, as `CompanyMatch` writes it; empty if the file gives the id."""

    protected: bool = field(default=False, compare=False)
    """Whether a program of the user's own protects it, by the option of Pulumi's, which is no input."""

    urn: str = field(default="", compare=False)
    """Its URN; empty stands for the URN that the stock program gives it."""

    @property
    def slot(self) -> Slot:
        """The company and platform."""
        return Slot(self.company_id, self.platform_key)

    @property
    def place(self) -> str:
        """The end of its URN, without stack and project: its parents' types, its own, and its name."""
        return _place(self.urn) if self.urn else f"{RESOURCE_TYPE}::{self.address}"


@dataclass(frozen=True, slots=True)
class DataConnectionError:
    """One entry of a connection's `dataConnectionErrors`: why it broke, if Codat knows."""

    status_text: str | None = None
    error_message: str | None = None
    status: str | None = None
    errored_on_utc: str | None = None


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """One connection as Codat reports it.

    `status` is never `ABSENT`: the parser sees to that. `platform_key` is None if Codat sends no
    `integrationKey` (optional since 2026-04-15); the key can then be found by `integration_id` in
    `GET /integrations`. `link_url` is a secret: whoever has a one-time link can authorise.
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
    """One connection as Pulumi's state recorded it: its id, and what was desired then."""

    id: str
    desired: DesiredConnection
    status: str
    """The live status when it was recorded."""

    unlink_refused: bool = False
    """Codat refused to unlink it in its present status.

    It isn't asked again, so that a plan after an apply is empty.
    """

    protected: bool = False
    """Pulumi refuses to remove or replace it: `protect`, `pulumi state protect`, or an import by hand."""

    tainted: bool = False
    """The next run replaces it: `pulumi state taint`."""

    retained: bool = False
    """Its program declared it with `retain_on_delete`: if it is removed or replaced, Pulumi forgets it."""

    pending_removal: bool = False
    """The old half of a replacement: it was replaced, but the run ended before it was removed."""

    urn: str = ""
    """Its URN; empty stands for the URN that the stock program gives it."""

    @property
    def address(self) -> Address:
        """The name in its URN, which `pulumi state rename` may have changed."""
        return Address(self.urn.rpartition("::")[2]) if self.urn else self.desired.address

    @property
    def place(self) -> str:
        """The end of its URN, without stack and project: its parents' types, its own, and its name."""
        return _place(self.urn) if self.urn else f"{RESOURCE_TYPE}::{self.address}"

    @property
    def slot(self) -> Slot:
        """The company and platform."""
        return self.desired.slot


@dataclass(frozen=True, slots=True)
class Company:
    """One company. `connections` is None if Codat sent none inline."""

    id: str
    name: str
    connections: tuple[LiveConnection, ...] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    created: str = ""
    redirect: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class CompanyMatch:
    """The user's own key of a company, in place of Codat's id: a tag such as `customerId=42`, or its name."""

    by: str
    """`tag` or `name`."""

    value: str

    def __str__(self) -> str:
        """Return it as it is recorded: `tag:customerId=42`."""
        return f"{self.by}:{self.value}"

    def fits(self, company: Company) -> bool:
        """Return whether *company* has the tag, or the name, to the letter."""
        if self.by == "name":
            return company.name == self.value
        key, _, value = self.value.partition("=")
        return company.tags.get(key) == value


@dataclass(frozen=True, slots=True)
class MatchedCompany:
    """A company of the desired state that is named by a match, with the connections that it declares.

    `place` is the file, line and column that says so. The connections have no company id yet.
    """

    key: str
    match: CompanyMatch
    connections: tuple[DesiredConnection, ...]
    place: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Rule:
    """The connections that each company with a tag has, such as `segment=lending`.

    `key` is the key of the tag whose value names a company in its addresses; None stands for Codat's id. The
    connections are a template: they have no company id, and in place of a company's key the rule's name.
    """

    name: str
    tag: str
    key: str | None
    connections: tuple[DesiredConnection, ...]
    place: tuple[str, int, int]

    @staticmethod
    def made(desired: DesiredConnection) -> bool:
        """Return whether a rule makes, or made, this connection."""
        return desired.matched_by.startswith("rule:")


class RuleMark(NamedTuple):
    """What is recorded of a rule with what it makes: its name, and by which tags it found and named it.

    So it is known later whether a company left the tag, whatever has become of the rule in the file. The
    version before recorded the name alone.
    """

    name: str
    key: str = ""
    tag: str = ""

    def __str__(self) -> str:
        """Return it as it is recorded: `rule:lending:customerId:segment=lending`."""
        return f"rule:{self.name}:{quote(self.key)}:{self.tag}"

    @classmethod
    def of(cls, desired: DesiredConnection) -> RuleMark:
        """Return the mark of what a rule makes, or made."""
        _, name, key, tag = f"{desired.matched_by}::".split(":", 3)
        return cls(name, unquote(key), tag.removesuffix("::"))


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a desired state says: connections of companies given by id, and companies that are to be found."""

    connections: tuple[DesiredConnection, ...]
    matched: tuple[MatchedCompany, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the tenant has to be read to know what it declares."""
        return bool(self.matched or self.rules)

    @property
    def everything(self) -> tuple[DesiredConnection, ...]:
        """All connections; those of companies that are to be found have an empty company id."""
        return (
            *self.connections,
            *(each for company in self.matched for each in company.connections),
            *(each for rule in self.rules for each in rule.connections),
        )


@dataclass(frozen=True, slots=True)
class Integration:
    """One platform that this tenant could connect to.

    Source: `GET /integrations`.
    """

    key: str
    name: str
    enabled: bool
    integration_id: str | None = None
    source_type: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many of the tenant's daily requests are left, and when the quota is reset, as Codat writes it.

    Each is None if Codat hasn't said yet. Source: https://docs.codat.io/using-the-api/rate-limits.
    """

    remaining: int | None = None
    reset: str | None = None
