"""Read all companies of the tenant, in four ways: which one is right depends on what may be missed.

```
decided    what follows from all companies at one moment, or an error: whom a match or a rule means
read_all   all companies, as many as Codat counts, or an error: what an import or export chooses from
read_once  one reading with all connections, and whether it may lack some: what coverage counts
read_ids   the ids that one reading has: what `validate --online` looks for
```

Codat's paging has no cursor: rows move between pages, so that a reading of several pages may miss a company
and have another twice while the count is right (https://docs.codat.io/using-the-api/paging). One page is one
moment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from codat_iac.codat.client import Reader
from codat_iac.model.connection import Company
from codat_iac.model.errors import NotFound, TransportError
from codat_iac.model.shard import Shard
from codat_iac.reconcile.snapshot import Snapshot

T = TypeVar("T")

FIRST_SIZE = 500
LARGEST_SIZE = 2000
"""Companies on a page; see Codat's limits at https://docs.codat.io/using-the-api/paging."""

READINGS = 5
"""The most readings of the tenant that `decided` takes."""

PAGE_SIZES = (500, 1000, 2000, 2000)
"""Companies on a page, for each reading of `read_all`: with fewer pages, fewer rows are missed."""

MOST_LOOKED_UP = 100
"""The most companies that `read_all` looks up by id because a reading missed them."""

PAGE_SIZE_ONCE = 1000
"""Companies on a page of `read_once`: a tenant on a single page is read at one moment."""


def decided(reader: Reader, decide: Callable[[Mapping[str, Company]], T]) -> T:
    """Return what *decide* says about all companies of the tenant, by id, as they are at one moment.

    Where the tenant doesn't fit on one page, two readings in a row must lead to the same decision.

    Raises `TransportError` if no reading is known to be complete, and any other `ApiError`.
    """
    size, before = FIRST_SIZE, None
    for _ in range(READINGS):
        first = reader.list_companies(page_size=size)
        if first.next and size == FIRST_SIZE:
            size = LARGEST_SIZE
            continue
        pages = list(reader.company_pages(first))
        companies = {company.id: company for page in pages for company in page.results}
        now = (decide(companies),) if len(companies) == pages[-1].total_results else None
        if now and (len(pages) == 1 or now == before):
            return now[0]
        before = now
    doing = "GET /companies"
    raise TransportError(
        f"{doing}: the tenant changes while it is read ({READINGS} times over), so which company is which"
        " isn't certain, and nothing is done; try again when it is at rest",
        doing=doing,
    )


def read_all(client: Reader, tags: str | None = None) -> list[Company]:
    """Read all companies, each once: as many as Codat's `totalResults` says.

    Rows move between pages (offset paging, https://docs.codat.io/using-the-api/paging). Companies that only
    an earlier reading had are looked up by id, so that a reading need not be perfect.
    """
    seen: dict[str, Company] = {}
    for size in PAGE_SIZES:
        latest: dict[str, Company] = {}
        total = 0
        for page in client.company_pages(client.list_companies(page_size=size, tags=tags)):
            latest |= {company.id: company for company in page.results}
            total = page.total_results
        if len(latest) < total <= len(seen | latest) <= len(latest) + MOST_LOOKED_UP:
            latest |= _looked_up(client, seen.keys() - latest.keys())
        if len(latest) == total:
            return list(latest.values())
        seen |= latest
    doing = "GET /companies"
    raise TransportError(
        f"{doing}: {total} companies are announced and {len(latest)} come, {len(PAGE_SIZES)} times over; try"
        " again when the tenant is at rest",
        doing=doing,
    )


def _looked_up(client: Reader, company_ids: Iterable[str]) -> dict[str, Company]:
    """Return by id those of the companies that still exist."""
    found = {}
    for company_id in sorted(company_ids):
        try:
            found[company_id] = client.get_company(company_id)
        except NotFound:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Scan:
    """All companies, each once and with all its connections, as one reading of the tenant has them.

    `complete` is False if companies came or went meanwhile, so that some may be missing, and some be gone.
    """

    companies: tuple[Company, ...]
    complete: bool

    def of_shard(self, shard: Shard | None) -> Scan:
        """Return the same, with the companies of *shard* alone if there is one."""
        return dataclasses.replace(self, companies=owned(self.companies, shard))


def owned(companies: tuple[Company, ...], shard: Shard | None) -> tuple[Company, ...]:
    """Return the companies of *shard*, all if there is none."""
    return tuple(company for company in companies if shard is None or shard.owns(company.id))


def read_once(client: Reader) -> Scan:
    """Read the tenant once, page by page, without looking anything up again.

    A connection's platform and a company's connections take more calls only if Codat's pages lack them.
    """
    pages = list(client.company_pages(client.list_companies(page_size=PAGE_SIZE_ONCE)))
    rows = [company for page in pages for company in page.results]
    unique = {company.id: company for company in rows}
    totals = {page.total_results for page in pages}
    snapshot = Snapshot(client)
    whole = []
    gone = False
    for company in sorted(unique.values(), key=lambda each: each.id):
        try:
            whole.append(with_connections(company, snapshot))
        except NotFound:
            gone = True
    return Scan(tuple(whole), not gone and totals == {len(unique)} and len(rows) == len(unique))


def with_connections(company: Company, snapshot: Snapshot) -> Company:
    """Return the company with its connections, read if Codat didn't send them, and their platform keys."""
    if company.connections is None:
        connections = snapshot.relist(company.id)
    else:
        connections = tuple(snapshot.with_platform_key(connection) for connection in company.connections)
    ordered = sorted(connections, key=lambda connection: (connection.created, connection.id))
    return dataclasses.replace(company, connections=tuple(ordered))


def read_ids(client: Reader) -> frozenset[str]:
    """Return the ids of the companies that one reading has. Raises `ApiError`."""
    return frozenset(company.id for page in client.company_pages() for company in page.results)
