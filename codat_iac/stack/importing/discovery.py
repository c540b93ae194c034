"""Find connections in the tenant: every company with all its connections, and which of them are asked for.

What the server filters is only an optimisation, since Codat's pages disagree about whether it does
(https://docs.codat.io/using-the-api/querying); everything is filtered here again.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from codat_iac.codat.client import Reader
from codat_iac.model.connection import PLATFORM_KEY, UUID, Company, LiveConnection
from codat_iac.model.errors import ConfigError, NotFound, Rejected, TransportError
from codat_iac.model.text import safe_text
from codat_iac.reconcile.snapshot import Snapshot

PAGE_SIZES = (500, 1000, 2000, 2000)
"""Companies on a page, one size for each time that the tenant is read: fewer pages leave fewer gaps."""

MOST_LOOKED_UP = 100
"""So many companies are looked up by their ids where a reading missed them."""

LONGEST_QUERY = 2048
"""A query must be shorter (https://docs.codat.io/using-the-api/querying)."""

_DEEPEST = 20
_TOKEN = re.compile(r"&&|\|\||[{}]|(?:(?!&&|\|\||[{}]).)+", re.DOTALL)
_CLAUSE = re.compile(r"(?P<key>[^=!~]+?)\s*(?P<op>!=|=|~)\s*(?P<value>.+)", re.DOTALL)

TagTest = Callable[[Mapping[str, str]], bool]
"""Whether the tags of a company are as asked."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which connections are asked for: those that fit every filter; without any filter, all.

    `companies` are ids or names, in any case; `tags` queries in Codat's language, such as `region=uk`, all
    of which must hold; `platforms` are platform keys, `statuses` Codat's, in any case.
    """

    companies: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    platforms: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """What the tenant has.

    `companies` are those that fit the filters on companies, each with **all** its connections, by id;
    `chosen` holds the ids of the connections that fit every filter.
    """

    companies: tuple[Company, ...]
    chosen: frozenset[str]

    def __iter__(self) -> Iterator[LiveConnection]:
        """Give the chosen connections, oldest first in each company."""
        return (c for company in self.companies for c in company.connections or () if c.id in self.chosen)


def find(client: Reader, filters: Filters) -> Found:
    """Read the tenant, as far as *filters* need it.

    Raises `ConfigError` for a filter that makes no sense or a company that isn't there, `TransportError`
    where the tenant doesn't stand still, and every other `ApiError` as it comes.
    """
    for key in filters.platforms:
        if not PLATFORM_KEY.fullmatch(key):
            raise ConfigError(
                f"{safe_text(key)!r} is not a platform key (four lower-case letters, gbol is Xero)"
            )
    snapshot = Snapshot(client)
    companies = tuple(
        _whole(company, snapshot) for company in sorted(_companies(client, filters), key=lambda each: each.id)
    )
    statuses = {status.casefold() for status in filters.statuses}
    chosen = frozenset(
        connection.id
        for company in companies
        for connection in company.connections or ()
        if (not filters.platforms or connection.platform_key in filters.platforms)
        and (not statuses or connection.status.casefold() in statuses)
    )
    return Found(companies, chosen)


def _whole(company: Company, snapshot: Snapshot) -> Company:
    """Fill in the connections where Codat sent none along, and their platform keys."""
    if company.connections is None:
        connections = snapshot.relist(company.id)
    else:
        connections = tuple(snapshot.named(connection) for connection in company.connections)
    ordered = sorted(connections, key=lambda connection: (connection.created, connection.id))
    return dataclasses.replace(company, connections=tuple(ordered))


def _companies(client: Reader, filters: Filters) -> list[Company]:
    tests = [tag_test(query) for query in filters.tags]
    if filters.companies and all(UUID.fullmatch(wanted) for wanted in filters.companies):
        listed = [_company(client, wanted) for wanted in sorted({each.lower() for each in filters.companies})]
    elif filters.companies:
        listed = _named(_scan(client), filters.companies)
    else:
        listed = _tagged(client, filters.tags)
    unique = {company.id: company for company in listed}
    return [company for company in unique.values() if all(test(company.tags) for test in tests)]


def _company(client: Reader, company_id: str) -> Company:
    try:
        return client.get_company(company_id)
    except NotFound as error:
        raise ConfigError(f"{_nobody(company_id)} or the API key") from error


def _named(companies: Iterable[Company], wanted: Iterable[str]) -> list[Company]:
    """Give the companies that are called so, or have that id: names need not be unique."""
    known: dict[str, list[Company]] = {}
    for company in companies:
        known.setdefault(company.id, []).append(company)
        known.setdefault(_folded(company.name), []).append(company)
    found = []
    for each in wanted:
        if _folded(each) not in known:
            raise ConfigError(f"{_nobody(each)} or its name")
        found += known[_folded(each)]
    return found


def _nobody(wanted: str) -> str:
    return f"no company {safe_text(wanted)!r} can be seen with this API key; check its id"


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _tagged(client: Reader, tags: tuple[str, ...]) -> list[Company]:
    query = tags[0] if len(tags) == 1 else " && ".join(f"{{{tag}}}" for tag in tags)
    if not query or len(query) >= LONGEST_QUERY:
        return _scan(client)
    try:
        return _scan(client, query)
    except Rejected:
        return _scan(client)


def _scan(client: Reader, tags: str | None = None) -> list[Company]:
    """Read all companies: as many as are announced, each once.

    Rows move between pages (offset paging, https://docs.codat.io/using-the-api/paging). What only an
    earlier reading saw is looked up by its id, so that a reading need not be perfect.
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
    """Give those of the companies that are still there."""
    found = {}
    for company_id in sorted(company_ids):
        try:
            found[company_id] = client.get_company(company_id)
        except NotFound:
            continue
    return found


# Codat's query language for tags: `key op value` with =, != and ~, joined by && and ||, grouped by braces.


def tag_test(query: str) -> TagTest:
    """Read a query for tags. Keys and values are compared without regard to case.

    A tag that a company doesn't have fits no clause, `!=` included. Raises `ConfigError`.
    """
    tokens = [token.strip() for token in _TOKEN.findall(query) if token.strip()]
    if len(query) >= LONGEST_QUERY or query.count("{") > _DEEPEST:
        raise _malformed(query)
    test, rest = _either(tokens, query)
    if rest:
        raise _malformed(query)
    return test


def _either(tokens: list[str], query: str) -> tuple[TagTest, list[str]]:
    tests, rest = [], ["||", *tokens]
    while rest[:1] == ["||"]:
        test, rest = _both(rest[1:], query)
        tests.append(test)
    return lambda tags: any(test(tags) for test in tests), rest


def _both(tokens: list[str], query: str) -> tuple[TagTest, list[str]]:
    tests, rest = [], ["&&", *tokens]
    while rest[:1] == ["&&"]:
        test, rest = _one(rest[1:], query)
        tests.append(test)
    return lambda tags: all(test(tags) for test in tests), rest


def _one(tokens: list[str], query: str) -> tuple[TagTest, list[str]]:
    first, rest = (tokens[0], tokens[1:]) if tokens else ("", [])
    if first == "{":
        test, rest = _either(rest, query)
        if rest[:1] != ["}"]:
            raise _malformed(query)
        return test, rest[1:]
    clause = _CLAUSE.fullmatch(first)
    if clause is None:
        raise _malformed(query)
    return _clause(clause["key"].casefold(), clause["op"], clause["value"].casefold()), rest


def _clause(key: str, op: str, value: str) -> TagTest:
    def holds(found: str) -> bool:
        if op == "~":
            return value in found
        return (found == value) is (op == "=")

    return lambda tags: any(name.casefold() == key and holds(tags[name].casefold()) for name in tags)


def _malformed(query: str) -> ConfigError:
    return ConfigError(
        f"the tag {safe_text(query)!r} is no query like region=uk (with =, != or ~, joined by && and ||,"
        " grouped by curly braces)"
    )
