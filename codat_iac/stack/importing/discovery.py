"""Find connections in the tenant: every company with all its connections, and which of them are chosen.

Filtering by the server is only an optimisation, since Codat's pages disagree about whether it works
(https://docs.codat.io/using-the-api/querying). Everything is filtered here again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from codat_iac.codat.client import Reader
from codat_iac.model.connection import PLATFORM_KEY, UUID, Company, LiveConnection, normalised
from codat_iac.model.errors import ConfigError, NotFound, Rejected
from codat_iac.model.shard import Shard
from codat_iac.model.text import join_names, safe_text
from codat_iac.reconcile.companies.tenant_readings import owned, read_all, with_connections
from codat_iac.reconcile.snapshot import Snapshot

LONGEST_QUERY = 2048
"""A query must have fewer characters (https://docs.codat.io/using-the-api/querying)."""

_DEEPEST = 20
_TOKEN = re.compile(r"&&|\|\||[{}]|(?:(?!&&|\|\||[{}]).)+", re.DOTALL)
_CLAUSE = re.compile(r"(?P<key>[^=!~]+?)\s*(?P<op>!=|=|~)\s*(?P<value>.+)", re.DOTALL)

TagTest = Callable[[Mapping[str, str]], bool]
"""A function that returns whether a company's tags match."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters that choose connections: all that match every filter; without filters, all.

    `companies` are ids, names, ignoring case, or keys in the desired state; `tags` are queries in Codat's
    language, such as `region=uk`, all of which must match; `platforms` are platform keys; `statuses` are
    Codat's, ignoring case.
    """

    companies: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    platforms: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """The result of `find`.

    `companies` are those that match the filters on companies, each with **all** its connections, sorted by
    id; `chosen` holds the ids of the connections that match every filter.
    """

    companies: tuple[Company, ...]
    chosen: frozenset[str]

    def __iter__(self) -> Iterator[LiveConnection]:
        """Iterate over the chosen connections, the oldest of each company first."""
        return (c for company in self.companies for c in company.connections or () if c.id in self.chosen)

    def of_shard(self, shard: Shard | None) -> Found:
        """Return the same, with the companies of *shard* alone if there is one."""
        return replace(self, companies=owned(self.companies, shard))


def find(client: Reader, filters: Filters, keys: Mapping[str, set[str]] | None = None) -> Found:
    """Read the tenant, as far as *filters* need it, and return the chosen connections.

    *keys* are the ids of companies by the keys that they have in the desired state.

    Raises `ConfigError` for an invalid filter or an unknown company, `TransportError` if the tenant keeps
    changing while it is read, and any other `ApiError`.
    """
    for key in filters.platforms:
        check_platform_key(key)
    snapshot = Snapshot(client)
    companies = tuple(
        with_connections(company, snapshot)
        for company in sorted(_companies(client, filters, keys or {}), key=lambda each: each.id)
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


def check_platform_key(key: str) -> None:
    """Raise `ConfigError` if *key* can't be a platform key."""
    if not PLATFORM_KEY.fullmatch(key):
        raise ConfigError(f"{safe_text(key)!r} is not a platform key (four lower-case letters, gbol is Xero)")


def _companies(client: Reader, filters: Filters, keys: Mapping[str, set[str]]) -> list[Company]:
    tests = [tag_test(query) for query in filters.tags]
    if filters.companies and all(UUID.fullmatch(wanted) for wanted in filters.companies):
        listed = [
            _company(client, wanted) for wanted in sorted({normalised(each) for each in filters.companies})
        ]
    elif filters.companies:
        listed = _named(read_all(client), filters.companies, keys)
    else:
        listed = _tagged(client, filters.tags)
    unique = {company.id: company for company in listed}
    return [company for company in unique.values() if all(test(company.tags) for test in tests)]


def _company(client: Reader, company_id: str) -> Company:
    try:
        return client.get_company(company_id)
    except NotFound as error:
        raise ConfigError(f"{_not_visible(company_id)} or the API key") from error


def _named(
    companies: Iterable[Company], wanted: Iterable[str], keys: Mapping[str, set[str]]
) -> list[Company]:
    """Return the companies with these names, ids or keys; names need not be unique."""
    by_id = {company.id: company for company in companies}
    ids: dict[str, set[str]] = {company_id: {company_id} for company_id in by_id}
    for company in by_id.values():
        ids.setdefault(_folded(company.name), set()).add(company.id)
    found: set[str] = set()
    for each in wanted:
        by_name, by_key = ids.get(_folded(each), set()), keys.get(each, set()) & by_id.keys()
        if not (by_name or by_key):
            raise ConfigError(f"{_not_visible(each)} or its name")
        if by_key and by_name - by_key:
            raise ConfigError(
                f"{safe_text(each)!r} is the key of one company in the desired state and the name of another"
                f" one in Codat; give the id: {join_names(sorted(by_key | by_name))}"
            )
        found |= by_name | by_key
    return [by_id[company_id] for company_id in found]


def _not_visible(wanted: str) -> str:
    return f"no company {safe_text(wanted)!r} can be seen with this API key; check its id"


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _tagged(client: Reader, tags: tuple[str, ...]) -> list[Company]:
    query = tags[0] if len(tags) == 1 else " && ".join(f"{{{tag}}}" for tag in tags)
    if not query or len(query) >= LONGEST_QUERY:
        return read_all(client)
    try:
        return read_all(client, query)
    except Rejected:
        return read_all(client)


# Codat's query language for tags: `key op value` with =, != and ~, joined by && and ||, grouped by braces.


def tag_test(query: str) -> TagTest:
    """Compile a query for tags into a test. Keys and values are compared ignoring case.

    A tag that a company doesn't have matches no clause, not even `!=`. Raises `ConfigError`.
    """
    tokens = [token.strip() for token in _TOKEN.findall(query) if token.strip()]
    if len(query) >= LONGEST_QUERY or query.count("{") > _DEEPEST:
        raise _malformed(query)
    test, rest = _parse_or(tokens, query)
    if rest:
        raise _malformed(query)
    return test


def _parse_or(tokens: list[str], query: str) -> tuple[TagTest, list[str]]:
    tests, rest = [], ["||", *tokens]
    while rest[:1] == ["||"]:
        test, rest = _parse_and(rest[1:], query)
        tests.append(test)
    return lambda tags: any(test(tags) for test in tests), rest


def _parse_and(tokens: list[str], query: str) -> tuple[TagTest, list[str]]:
    tests, rest = [], ["&&", *tokens]
    while rest[:1] == ["&&"]:
        test, rest = _parse_term(rest[1:], query)
        tests.append(test)
    return lambda tags: all(test(tags) for test in tests), rest


def _parse_term(tokens: list[str], query: str) -> tuple[TagTest, list[str]]:
    first, rest = (tokens[0], tokens[1:]) if tokens else ("", [])
    if first == "{":
        test, rest = _parse_or(rest, query)
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
