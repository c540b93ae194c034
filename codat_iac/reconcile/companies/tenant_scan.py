"""Read all companies of the tenant as they are at one moment, or not at all.

Codat's paging has no cursor: rows move between pages, so that a reading of several pages may miss a company
and have another twice while the count is right (https://docs.codat.io/using-the-api/paging). One page is one
moment. Where the tenant doesn't fit on one, two readings in a row must lead to the same decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from codat_iac.codat.client import Reader
from codat_iac.model.connection import Company
from codat_iac.model.errors import TransportError

T = TypeVar("T")

FIRST_SIZE = 500
LARGEST_SIZE = 2000
"""Companies on a page; see Codat's limits at https://docs.codat.io/using-the-api/paging."""

READINGS = 5
"""The most readings of the tenant."""


def decided(reader: Reader, decide: Callable[[Mapping[str, Company]], T]) -> T:
    """Return what *decide* says about all companies of the tenant, by id.

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
