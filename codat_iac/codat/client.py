"""A client for Codat's API: the five connection operations, companies and integrations.

`Client` is public. It doesn't prevent a second connection: `reconcile/create_once.py` does.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import urlencode

from codat_iac.codat import parsing
from codat_iac.codat.parsing import Page
from codat_iac.codat.transport import Transport, TransportOptions
from codat_iac.model.connection import UUID, Company, Integration, LiveConnection, Quota, Status, normalised
from codat_iac.model.errors import ConfigError, NotCodat, NotFound, Rejected
from codat_iac.model.settings import BASE_URL, Settings
from codat_iac.model.text import safe_text

T = TypeVar("T")

PAGE_SIZE = 100
"""The page size that Codat recommends: https://docs.codat.io/using-the-api/paging."""


class Reader:
    """Read access to Codat's connections, companies and integrations, with one API key.

    *api_key* is a bare key or a ready-made `Basic ...` value. The *options* are those of `TransportOptions`:
    timeout, retries, patience, guard, throttle, sleep, client_cert and client_name.

    A read, a delete and an unlink are repeated after a 429, 408 or 5xx, or if no complete answer came. A
    create is repeated only after a 429, with the same idempotency key, or if no connection came about, since
    Codat makes a new connection at every POST. A 429 doesn't count as a retry: the client waits as long as
    Codat asks, within its patience.

    Ids are UUIDs in any case; what is returned has lower-case ids. Raises `ConfigError` for an empty key, for
    a base URL that isn't https (plain http is allowed on loopback), and for a proxy, an authority or a client
    certificate that can't be used. Every call raises `ConfigError` for an id that isn't a UUID and `ApiError`
    if Codat doesn't do it. Threads may share a client.
    """

    def __init__(self, api_key: str, base_url: str = BASE_URL, **options: Unpack[TransportOptions]) -> None:
        self._transport = Transport(api_key, base_url, **options)

    @classmethod
    def configured(cls, settings: Settings, **options: Unpack[TransportOptions]) -> Self:
        """Return a client with the key, the base URL and the client certificate of *settings*."""
        identity = TransportOptions(client_cert=settings.client_cert, client_name=settings.client_name)
        return cls(settings.api_key, settings.base_url, **(identity | options))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.base_url!r})"

    @property
    def quota(self) -> Quota:
        """The remaining daily requests, as the last answer reported them."""
        return self._transport.quota

    @property
    def clock(self) -> datetime | None:
        """Codat's time at the last answer, None if that said none."""
        return self._transport.clock

    # Connections.

    def list(
        self,
        company_id: str,
        page: int = 1,
        page_size: int = PAGE_SIZE,
        query: str | None = None,
        order_by: str | None = None,
        *,
        retries: int | None = None,
    ) -> Page[LiveConnection]:
        """Return one page of a company's connections, at most *page_size* (1 to 5,000) of them.

        *query* is in Codat's query language (https://docs.codat.io/using-the-api/querying). *order_by* is a
        field, with `-` before it for descending order. Raises `NotFound` for a company that this key can't
        see.
        """
        path = f"{_company_path(company_id)}/connections"
        return self._page(
            _paged(path, page, page_size, query=query, orderBy=order_by),
            lambda raw: parsing.parse_connection(raw, company_id),
            retries,
        )

    def get(self, company_id: str, connection_id: str, *, retries: int | None = None) -> LiveConnection:
        """Return one connection. Raises `NotFound` if it, or its company, is gone."""
        return self._connection("GET", _connection_path(company_id, connection_id), company_id, retries)

    # Companies and integrations.

    def list_companies(
        self,
        page: int = 1,
        page_size: int = PAGE_SIZE,
        query: str | None = None,
        order_by: str | None = None,
        tags: str | None = None,
        *,
        retries: int | None = None,
    ) -> Page[Company]:
        """Return one page of the tenant's companies, with their connections if Codat sends them inline."""
        path = _paged("/companies", page, page_size, query=query, orderBy=order_by, tags=tags)
        return self._tenant_page(path, parsing.parse_company, retries)

    def get_company(self, company_id: str, *, retries: int | None = None) -> Company:
        """Return one company. Raises `NotFound` if this key can't see it."""
        return self._read("GET", _company_path(company_id), parsing.parse_company, retries)

    def list_integrations(
        self, page: int = 1, page_size: int = PAGE_SIZE, *, retries: int | None = None
    ) -> Page[Integration]:
        """Return one page of the platforms that the tenant could connect to, enabled or not."""
        return self._tenant_page(_paged("/integrations", page, page_size), parsing.parse_integration, retries)

    # Whole listings.

    def pages(self, first: Page[T], parse: Callable[[Any], T]) -> Iterator[Page[T]]:
        """Yield *first* and then every page that its links lead to.

        Raises `NotCodat` if they lead in a circle or to another host.
        """
        page = first
        seen: set[str] = set()
        yield page
        while page.next:
            path = self._transport.link_path(page.next)
            if path in seen or not page.results:
                doing = self._transport.doing("GET", path)
                raise NotCodat(f"{doing}: the pages lead in a circle; {self._transport.remedy}", doing=doing)
            seen.add(path)
            page = self._page(path, parse, None)
            yield page

    def connection_pages(self, company_id: str) -> Iterator[Page[LiveConnection]]:
        """Yield all pages of a company's connections."""
        return self.pages(
            self.list(company_id, page_size=1000), lambda raw: parsing.parse_connection(raw, company_id)
        )

    def company_pages(self, first: Page[Company] | None = None) -> Iterator[Page[Company]]:
        """Yield all pages of the tenant's companies, from *first* on if that was read already."""
        return self.pages(first or self.list_companies(), parsing.parse_company)

    def integrations(self) -> tuple[Integration, ...]:
        """Return all integrations of the tenant."""
        pages = self.pages(self.list_integrations(), parsing.parse_integration)
        return tuple(integration for page in pages for integration in page.results)

    # One call.

    def _tenant_page(self, path: str, parse: Callable[[Any], T], retries: int | None) -> Page[T]:
        """Return a page of what every tenant has: nobody but another server doesn't know its path."""
        try:
            return self._page(path, parse, retries)
        except NotFound as error:
            doing = self._transport.doing("GET", path)
            raise NotCodat(
                f"{doing}: answered HTTP 404, where Codat always has a list; {self._transport.remedy}",
                doing=doing,
                status=404,
            ) from error

    def _page(self, path: str, parse: Callable[[Any], T], retries: int | None) -> Page[T]:
        return self._read("GET", path, lambda raw: parsing.parse_page(raw, parse), retries)

    def _connection(
        self,
        method: str,
        path: str,
        company_id: str,
        retries: int | None,
        body: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> LiveConnection:
        return self._read(
            method, path, lambda raw: parsing.parse_connection(raw, company_id), retries, body, headers
        )

    def _read(
        self,
        method: str,
        path: str,
        parse: Callable[[Any], T],
        retries: int | None,
        body: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> T:
        raw = self._transport.call(method, path, retries, body=body, headers=headers)
        try:
            return parse(raw)
        except parsing.Malformed as error:
            doing = self._transport.doing(method, path)
            raise NotCodat(
                f"{doing}: the answer is not as Codat's specification says ({error});"
                f" {self._transport.remedy}",
                doing=doing,
                status=200,
            ) from error


class Client(Reader):
    """A `Reader` that can also write: create, delete and unlink connections."""

    def create(
        self,
        company_id: str,
        platform_key: str,
        *,
        idempotency_key: str | None = None,
        retries: int | None = None,
    ) -> LiveConnection:
        """Create a connection, which is `PendingAuth` until its customer follows the link.

        **Every call creates another one**, unless Codat honours the *idempotency_key* (a GUID, valid for 90
        minutes; a new one if none is given): https://docs.codat.io/using-the-api/write-data/idempotency.
        After a `TransportError` or `CodatBroken` the connection may exist: list the company before you call
        again.
        """
        return self._connection(
            "POST",
            f"{_company_path(company_id)}/connections",
            company_id,
            retries,
            body={"platformKey": platform_key},
            headers={"Idempotency-Key": _uuid(idempotency_key or str(uuid.uuid4()))},
        )

    def delete(self, company_id: str, connection_id: str, *, retries: int | None = None) -> None:
        """Delete a connection for ever, with the customer's authorisation and the data behind it.

        Raises `NotFound` if it is already gone, unless an earlier try of this call may have deleted it.
        """
        try:
            self._transport.call("DELETE", _connection_path(company_id, connection_id), retries)
        except NotFound as error:
            if not error.in_doubt:
                raise

    def unlink(self, company_id: str, connection_id: str, *, retries: int | None = None) -> LiveConnection:
        """Unlink a connection: we lose access, the data stays readable, and only the customer can link again.

        Codat allows it for `Linked` (and, according to some pages, `Deauthorized`):
        https://docs.codat.io/core-concepts/connections. Raises `Rejected` for any other status, unless an
        earlier try of this call has unlinked it.
        """
        path = _connection_path(company_id, connection_id)
        try:
            return self._connection("PATCH", path, company_id, retries, body={"status": str(Status.UNLINKED)})
        except (Rejected, NotFound) as error:
            live = self.get(company_id, connection_id, retries=retries) if error.in_doubt else None
            if live is None or live.status != Status.UNLINKED:
                raise
            return live


def _paged(path: str, page: int, page_size: int, **rest: str | None) -> str:
    """Return a path with page number and page size.

    Codat refuses a query without them: https://docs.codat.io/using-the-api/querying.
    """
    given = {name: value for name, value in rest.items() if value is not None}
    return f"{path}?{urlencode({'page': page, 'pageSize': page_size, **given})}"


def _company_path(company_id: str) -> str:
    return f"/companies/{_uuid(company_id)}"


def _connection_path(company_id: str, connection_id: str) -> str:
    return f"{_company_path(company_id)}/connections/{_uuid(connection_id)}"


def _uuid(value: str) -> str:
    if not UUID.fullmatch(value):
        raise ConfigError(f"{safe_text(value)!r} is not a UUID, as Codat's ids and idempotency keys are")
    return normalised(value)
