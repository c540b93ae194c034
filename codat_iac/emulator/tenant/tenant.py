"""The state of one Codat client: companies, their connections, and how a connection changes.

Companies and connections are immutable values that are replaced. So an earlier state stays intact, and a
lagging read can show it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from codat_iac.emulator.tenant.clock import timestamp

PENDING_AUTH = "PendingAuth"
LINKED = "Linked"
DEAUTHORIZED = "Deauthorized"
UNLINKED = "Unlinked"

LONGEST_LAG = 600.0
"""Seconds for which a replaced company is kept for lagging reads."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection. Times are in seconds since 1970; `links_used` holds used one-time passwords."""

    id: str
    company_id: str
    platform_key: str
    status: str
    created: float
    last_sync: float | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    links_used: tuple[str, ...] = ()

    def authorised(self, now: float) -> Connection:
        """Return the connection after the customer authorised it, from any status; the id stays."""
        resolved = tuple(
            {**error, "status": "Resolved", "resolvedOnUtc": timestamp(now)} for error in self.errors
        )
        return replace(self, status=LINKED, last_sync=now, errors=resolved)

    def revoked(self, now: float, cause: str) -> Connection:
        """Return the connection after its access was lost; the cause is in `dataConnectionErrors`."""
        return replace(self._with_error(now, "401", "Unauthorized", cause), status=DEAUTHORIZED)

    def failed(self, now: float, cause: str) -> Connection:
        """Return the connection after a failed attempt to authorise: an error is added, the status stays."""
        return self._with_error(now, "400", "Bad Request", cause)

    def unlinked(self) -> Connection:
        """Return the connection after Codat's client, or the customer, has unlinked it."""
        return replace(self, status=UNLINKED)

    def with_used_otp(self, otp: str) -> Connection:
        """Return the connection with the one-time password marked as used."""
        return replace(self, links_used=(*self.links_used, otp))

    def _with_error(self, now: float, code: str, text: str, message: str) -> Connection:
        error = {
            "statusCode": code,
            "statusText": text,
            "errorMessage": message,
            "erroredOnUtc": timestamp(now),
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

    def with_connection(self, connection: Connection) -> Company:
        """Return the company with this connection added, or replaced if it has one with that id."""
        return replace(self, connections={**self.connections, connection.id: connection})

    def without_connection(self, connection_id: str) -> Company:
        """Return the company without that connection."""
        left = {id_: each for id_, each in self.connections.items() if id_ != connection_id}
        return replace(self, connections=left)

    @property
    def active(self) -> bool:
        """Whether it counts for Codat's quota: it has a Linked connection."""
        return any(connection.status == LINKED for connection in self.connections.values())


class Recorder(Protocol):
    """A store that records every change before it is answered."""

    def put_company(self, tenant: str, company: Company) -> None:
        """Record a company as it is now."""

    def drop_company(self, company_id: str) -> None:
        """Record that a company is gone."""

    def put_deleted(self, connection_id: str) -> None:
        """Record that a connection was there once."""


class Tenant:
    """One client of Codat: the companies that its API keys can see.

    `company_ids` are the companies' ids by connection id, `deleted` the ids of deleted connections;
    `revision` grows with each change.
    """

    def __init__(self, name: str, recorder: Recorder) -> None:
        self.name = name
        self.companies: dict[str, Company] = {}
        self.company_ids: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.active_companies = 0
        self.revision = 0
        self._recorder = recorder
        self._before: deque[tuple[float, str, Company | None]] = deque()

    def fill(self, companies: Iterable[Company]) -> None:
        """Add companies without recording them: they are recorded already, or will be in bulk."""
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
        company = self._remove(company_id)
        self._recorder.drop_company(company_id)
        for connection_id in company.connections:
            self._forget(connection_id)

    def put_connection(self, connection: Connection, now: float) -> None:
        """Add or replace a connection of an existing company."""
        self.put(self.companies[connection.company_id].with_connection(connection), now)

    def drop_connection(self, connection_id: str, now: float) -> None:
        """Remove a connection."""
        self.put(self.companies[self.company_ids[connection_id]].without_connection(connection_id), now)
        self._forget(connection_id)

    def connection(self, connection_id: str) -> Connection | None:
        """Return the connection with that id as it is now, None if there is none."""
        company_id = self.company_ids.get(connection_id)
        return None if company_id is None else self.companies[company_id].connections[connection_id]

    def as_of(self, moment: float) -> Mapping[str, Company]:
        """Return the companies as they were at *moment*, but no earlier than `LONGEST_LAG` ago."""
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
        self.company_ids.update(dict.fromkeys(company.connections, company.id))

    def _remove(self, company_id: str) -> Company:
        company = self.companies.pop(company_id)
        self.active_companies -= company.active
        return company

    def _forget(self, connection_id: str) -> None:
        del self.company_ids[connection_id]
        self.deleted.add(connection_id)
        self._recorder.put_deleted(connection_id)
