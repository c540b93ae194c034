"""The state of one Codat client: companies, their connections, and how a connection changes.

Companies and connections are values that are replaced, never changed. So what stood there a moment ago is
still whole, and a read that lags can show it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from codat_iac.emulator.tenant.clock import stamp

PENDING_AUTH = "PendingAuth"
LINKED = "Linked"
DEAUTHORIZED = "Deauthorized"
UNLINKED = "Unlinked"

LONGEST_LAG = 600.0
"""For how many seconds a replaced company is kept for reads that lag."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection. `links_used` holds the one-time passwords that are spent."""

    id: str
    company_id: str
    platform_key: str
    status: str
    created: float
    last_sync: float | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    links_used: tuple[str, ...] = ()

    def authorised(self, now: float) -> Connection:
        """The customer agreed; from any status, and under the same id."""
        resolved = tuple(
            {**error, "status": "Resolved", "resolvedOnUtc": stamp(now)} for error in self.errors
        )
        return replace(self, status=LINKED, last_sync=now, errors=resolved)

    def revoked(self, now: float, cause: str) -> Connection:
        """Access was lost at the platform. Where Codat knows why, it is in `dataConnectionErrors`."""
        return replace(self._troubled(now, "401", "Unauthorized", cause), status=DEAUTHORIZED)

    def failed(self, now: float, cause: str) -> Connection:
        """The customer's attempt failed or was cancelled: the status stays, an error is added."""
        return self._troubled(now, "400", "Bad Request", cause)

    def unlinked(self) -> Connection:
        """Codat's client, or the customer, gave the access up."""
        return replace(self, status=UNLINKED)

    def spent(self, otp: str) -> Connection:
        """A one-time password has been used."""
        return replace(self, links_used=(*self.links_used, otp))

    def _troubled(self, now: float, code: str, text: str, message: str) -> Connection:
        error = {
            "statusCode": code,
            "statusText": text,
            "errorMessage": message,
            "erroredOnUtc": stamp(now),
            "status": "Active",
            "resolvedOnUtc": None,
        }
        return replace(self, errors=(*self.errors, error))


@dataclass(frozen=True, slots=True)
class Company:
    """One company with its connections, in the order they were made."""

    id: str
    name: str
    created: float
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)

    def holding(self, connection: Connection) -> Company:
        """With this connection, in the place of the one of the same id."""
        return replace(self, connections={**self.connections, connection.id: connection})

    def without(self, connection_id: str) -> Company:
        """Without that connection."""
        left = {id_: each for id_, each in self.connections.items() if id_ != connection_id}
        return replace(self, connections=left)

    @property
    def active(self) -> bool:
        """Whether it counts for Codat's quota: an active, linked connection."""
        return any(connection.status == LINKED for connection in self.connections.values())


class Recorder(Protocol):
    """Where every change goes before it is answered."""

    def put_company(self, tenant: str, company: Company) -> None:
        """Record a company as it is now."""

    def drop_company(self, company_id: str) -> None:
        """Record that a company is gone."""

    def put_deleted(self, connection_id: str) -> None:
        """Record that a connection was there once."""


class Tenant:
    """One client of Codat: what its API keys can see."""

    def __init__(self, name: str, recorder: Recorder) -> None:
        self.name = name
        self.companies: dict[str, Company] = {}
        self.homes: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.active_companies = 0
        self.revision = 0
        self._recorder = recorder
        self._before: deque[tuple[float, str, Company | None]] = deque()

    def fill(self, companies: Iterable[Company]) -> None:
        """Take companies as they are, without a record: they come from one, or are recorded in bulk."""
        for company in companies:
            self._place(company)

    def put(self, company: Company, now: float) -> None:
        """Add or replace a company."""
        self._remember(company.id, now)
        self._place(company)
        self._recorder.put_company(self.name, company)

    def drop(self, company_id: str, now: float) -> None:
        """Remove a company and its connections."""
        self._remember(company_id, now)
        company = self._take(company_id)
        self._recorder.drop_company(company_id)
        for connection_id in company.connections:
            self._forget(connection_id)

    def put_connection(self, connection: Connection, now: float) -> None:
        """Add or replace a connection of a company that is there."""
        self.put(self.companies[connection.company_id].holding(connection), now)

    def drop_connection(self, connection_id: str, now: float) -> None:
        """Remove a connection."""
        self.put(self.companies[self.homes[connection_id]].without(connection_id), now)
        self._forget(connection_id)

    def connection(self, connection_id: str) -> Connection | None:
        """The connection of that id, as it is now."""
        home = self.homes.get(connection_id)
        return None if home is None else self.companies[home].connections[connection_id]

    def as_of(self, moment: float) -> Mapping[str, Company]:
        """The companies as they stood then; changes older than the longest lag are not undone."""
        if not self._before or self._before[-1][0] <= moment:
            return self.companies
        then = dict(self.companies)
        for changed, company_id, before in reversed(self._before):
            if changed <= moment:
                break
            if before is None:
                then.pop(company_id, None)
            else:
                then[company_id] = before
        return then

    def _remember(self, company_id: str, now: float) -> None:
        while self._before and self._before[0][0] < now - LONGEST_LAG:
            self._before.popleft()
        self._before.append((now, company_id, self.companies.get(company_id)))
        self.revision += 1

    def _place(self, company: Company) -> None:
        before = self.companies.get(company.id)
        self.active_companies += company.active - (before is not None and before.active)
        self.companies[company.id] = company
        self.homes.update(dict.fromkeys(company.connections, company.id))

    def _take(self, company_id: str) -> Company:
        company = self.companies.pop(company_id)
        self.active_companies -= company.active
        return company

    def _forget(self, connection_id: str) -> None:
        del self.homes[connection_id]
        self.deleted.add(connection_id)
        self._recorder.put_deleted(connection_id)
