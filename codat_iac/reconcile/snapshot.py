"""The live state, read once for each process and shared by all its hooks.

Companies are read one by one until that has cost as many calls as reading the whole tenant would; then the
tenant is read. So it never costs more than twice the cheaper way. Whoever asks for many companies together
gets the cheaper way at once. A connection that a listing lacks is looked up by its id before it counts as
absent, since rows move between pages (offset paging without a cursor,
https://docs.codat.io/using-the-api/paging).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from codat_iac.codat.client import Reader
from codat_iac.codat.parsing import Page
from codat_iac.model.connection import Company, LiveConnection, PriorConnection
from codat_iac.model.errors import (
    AccountLimit,
    ApiError,
    CodatBroken,
    NotFound,
    RateLimited,
    TransportError,
    Unauthorized,
)

READS_BEFORE_PROBE = 2
"""How many companies are read before one page of the tenant, which tells the cost of all pages."""

MANY = 50
"""More companies than this are worth a page of the tenant before the first of them is read."""

TENANT_PAGE = 500
"""Companies on a page of the tenant: few calls, and not yet the pages that Codat calls slow.

https://docs.codat.io/using-the-api/paging
"""

CONCURRENT_READS = 8
"""Companies that are read at once; Codat allows ten concurrent requests for each of them."""

LISTING_ATTEMPTS = 4
"""How often a company is listed if its rows move while they are read."""

_LASTING = (AccountLimit, RateLimited, Unauthorized)


class Snapshot:
    """The live connections that were asked for. Threads may share it.

    Ids may come in any case; those of the returned connections are in lower case. After an error that no
    other read would be spared, nothing more is asked: it is raised again.
    """

    def __init__(self, client: Reader) -> None:
        self._client = client
        self._locks_lock = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}
        self._tenant_lock = threading.Lock()
        self._platform_keys_lock = threading.Lock()
        self._companies: dict[str, dict[str, LiveConnection]] = {}
        self.company_names: dict[str, str] = {}
        """The names of companies by their ids, as far as they came along with what was read."""
        self._unseen: dict[str, NotFound] = {}
        self._ended: ApiError | None = None
        self._absent: set[tuple[str, str]] = set()
        self._platform_keys: Mapping[str, str] | None = None
        self._spent = 0
        self._probe: Page[Company] | None = None
        self._exhausted = False

    @contextmanager
    def locked(self, company_id: str) -> Iterator[None]:
        """Hold the lock of a company: no other thread of this process reads or changes it meanwhile."""
        with self._locks_lock:
            lock = self._locks.setdefault(company_id, threading.RLock())
        with lock:
            yield

    def find(self, company_id: str, connection_id: str) -> LiveConnection | None:
        """Return a connection, None if it is absent: its company answered, and its own GET was a 404.

        Raises `NotFound` if the company itself can't be seen, and any other `ApiError` of the reads.
        """
        with self.locked(company_id):
            known = self._known(company_id)
            if connection_id in known or (company_id, connection_id) in self._absent:
                return known.get(connection_id)
            return self._get(company_id, connection_id)

    def fresh(self, company_id: str, connection_id: str) -> LiveConnection | None:
        """Return a connection as it is now, not from the snapshot. Returns and raises as `find`."""
        with self.locked(company_id):
            self._known(company_id)
            return self._get(company_id, connection_id)

    def company(self, company_id: str) -> tuple[LiveConnection, ...]:
        """Return the connections of a company. Raises `NotFound` if it can't be seen."""
        with self.locked(company_id):
            return tuple(self._known(company_id).values())

    def companies(
        self, company_ids: Collection[str], named: Iterable[tuple[str, str]]
    ) -> dict[str, dict[str, LiveConnection] | None]:
        """Return the connections of many companies by their ids; None for a company that can't be seen.

        *named* are the company and connection ids of those that are looked up if a listing lacks them.
        """
        self.prefetch(company_ids)
        found: dict[str, dict[str, LiveConnection] | None] = {}
        for company_id in company_ids:
            try:
                found[company_id] = {each.id: each for each in self.company(company_id)}
            except NotFound:
                found[company_id] = None
        for company_id, connection_id in named:
            company = found[company_id]
            if company is not None and connection_id not in company:
                live = self.find(company_id, connection_id)
                if live:
                    company[connection_id] = live
        return found

    def of_recorded(
        self, priors: Collection[PriorConnection], besides: Iterable[str] = ()
    ) -> dict[str, dict[str, LiveConnection] | None]:
        """Return the connections of the companies of *priors*, and of those with the ids *besides*.

        Returns and raises as `companies`; each of *priors* is looked up if a listing lacks it.
        """
        named = [(prior.desired.company_id, prior.id) for prior in priors]
        return self.companies({company_id for company_id, _ in named}.union(besides), named)

    def prefetch(self, company_ids: Collection[str]) -> None:
        """Read many companies, several at a time, whether they can be seen or not.

        Raises the first `ApiError` that isn't about one company alone.
        """
        unknown = sorted(each for each in company_ids if each not in self._companies)
        if len(unknown) > MANY:
            with self._tenant_lock:
                self._consider_tenant(None, len(unknown))
        waiting = iter(unknown)
        taking = threading.Lock()

        def read_some() -> None:
            nonlocal waiting
            try:
                while True:
                    with taking:
                        # A scan of the tenant may have read thousands meanwhile.
                        company_id = next((each for each in waiting if each not in self._companies), None)
                    if company_id is None:
                        return
                    with contextlib.suppress(NotFound):
                        self.company(company_id)
            finally:
                waiting = iter(())  # after an error the others don't go on

        with ThreadPoolExecutor(CONCURRENT_READS) as threads:
            for reading in [threads.submit(read_some) for _ in range(CONCURRENT_READS)]:
                reading.result()

    def relist(self, company_id: str) -> tuple[LiveConnection, ...]:
        """List all connections of a company as they are now. Raises as `company`."""
        with self.locked(company_id):
            self._companies[company_id] = self._indexed(self._listing(company_id))
            return tuple(self._companies[company_id].values())

    def seed(self, company_id: str, connections: Iterable[LiveConnection], absent: Iterable[str]) -> None:
        """Store what another process read of a company, and the ids that it confirmed to be absent."""
        with self.locked(company_id):
            self._companies[company_id] = self._indexed(connections)
            self._absent.update((company_id, connection_id) for connection_id in absent)

    def put(self, connection: LiveConnection) -> None:
        """Store the connection that one of our own writes returned."""
        with self.locked(connection.company_id):
            if connection.company_id in self._companies:
                self._companies[connection.company_id][connection.id] = self.with_platform_key(connection)

    def drop(self, company_id: str, connection_id: str) -> None:
        """Note that a connection is gone."""
        with self.locked(company_id):
            self._companies.get(company_id, {}).pop(connection_id, None)
            self._absent.add((company_id, connection_id))

    def with_platform_key(self, connection: LiveConnection) -> LiveConnection:
        """Add the platform key if Codat left it out: `integrationKey` is optional since 2026-04-15."""
        if connection.platform_key or not connection.integration_id:
            return connection
        with self._platform_keys_lock:
            if self._platform_keys is None:
                with self._asking():
                    listed = self._client.integrations()
                self._platform_keys = {i.integration_id: i.key for i in listed if i.integration_id}
            return dataclasses.replace(
                connection, platform_key=self._platform_keys.get(connection.integration_id)
            )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask Codat in this context, unless an earlier error ended that."""
        if self._ended:
            raise copy.copy(self._ended)
        try:
            yield
        except ApiError as error:
            if isinstance(error, _LASTING) or not error.sent:
                self._ended = self._ended or copy.copy(error)  # callers put an address before their own
            raise

    def _get(self, company_id: str, connection_id: str) -> LiveConnection | None:
        try:
            with self._asking():
                connection = self._client.get(company_id, connection_id)
        except NotFound:
            self.drop(company_id, connection_id)
            return None
        connection = self.with_platform_key(connection)
        self.put(connection)
        return connection

    def _known(self, company_id: str) -> dict[str, LiveConnection]:
        if company_id not in self._companies:
            self._read_more(company_id)
        if company_id in self._unseen:
            raise copy.copy(self._unseen[company_id])
        if company_id not in self._companies:
            try:
                self._companies[company_id] = self._indexed(self._listing(company_id))
            except NotFound as error:
                self._probe_tenant()  # if there is none either, this isn't Codat
                self._unseen[company_id] = copy.copy(error)
                raise
        return self._companies[company_id]

    def _read_more(self, company_id: str) -> None:
        """Go from single companies to the whole tenant as soon as that is cheaper."""
        with self._tenant_lock:
            if self._spent >= READS_BEFORE_PROBE:
                self._consider_tenant(company_id, self._spent)
            if company_id not in self._companies:
                self._spent += 1

    def _consider_tenant(self, company_id: str | None, reads: int) -> None:
        """Read the tenant, for *company_id* or for many, if that takes no more calls than *reads*."""
        if self._exhausted or company_id in self._companies:
            return
        try:
            self._read_tenant(company_id, reads)
        except (CodatBroken, TransportError):
            # Codat is slow at long pages; reading single companies may work, or show what is wrong.
            self._exhausted = True

    def _read_tenant(self, company_id: str | None, reads: int) -> None:
        probe = self._probe_tenant()
        cheaper = reads * probe.page_size >= probe.total_results
        if cheaper and not self._exhausted and company_id not in self._companies:
            with self._asking():
                for page in self._client.company_pages(probe):
                    self._keep_all(page.results)
            self._exhausted = True

    def _probe_tenant(self) -> Page[Company]:
        """Read the first page of the tenant, once. Raises `NotCodat` if there is none."""
        if self._probe is None:
            with self._asking():
                self._probe = self._client.list_companies(page_size=TENANT_PAGE)
            self._keep_all(self._probe.results)
            # If Codat sends no connections inline, reading the tenant doesn't help.
            self._exhausted = all(company.connections is None for company in self._probe.results)
        return self._probe

    def _keep_all(self, companies: Iterable[Company]) -> None:
        """Store new companies. Another thread may have read or changed the others meanwhile."""
        for company in companies:
            self.company_names[company.id] = company.name
            if company.connections is not None and company.id not in self._companies:
                self._companies.setdefault(company.id, self._indexed(company.connections))

    def _indexed(self, connections: Iterable[LiveConnection]) -> dict[str, LiveConnection]:
        return {connection.id: self.with_platform_key(connection) for connection in connections}

    def _listing(self, company_id: str) -> Iterable[LiveConnection]:
        for _ in range(LISTING_ATTEMPTS):
            with self._asking():
                pages = list(self._client.connection_pages(company_id))
            found = {connection.id: connection for page in pages for connection in page.results}
            total = pages[-1].total_results
            if len(found) == total:
                return found.values()
        doing = f"GET /companies/{company_id}/connections"
        raise TransportError(
            f"{doing}: {total} connections are announced and {len(found)} come, {LISTING_ATTEMPTS} times"
            " over; try again when the company is at rest",
            doing=doing,
        )
