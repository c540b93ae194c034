"""Merge the documents into one desired state, and report clashes between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from codat_iac.desired.document import short
from codat_iac.model.connection import (
    UUID,
    Address,
    CompanyMatch,
    Declaration,
    DesiredConnection,
    MatchedCompany,
    OnExisting,
    OnRemoval,
    Rule,
    RuleMark,
    Status,
    normalised,
)
from codat_iac.planning.plan.unmanaged import OnUnmanaged, UnmanagedPolicy, folded_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from codat_iac.desired.document import Document, Place, Trail


@dataclass(frozen=True, slots=True)
class DeclaredCompany:
    """A company as one file declares it, with connections or without: its key, its id, and the file.

    `match` is the match that names it in place of its id, as it is recorded, or empty.
    """

    key: str
    id: str
    file: str
    match: str = ""


@dataclass(frozen=True, slots=True)
class DesiredState:
    """All that the files say; companies come in the order of the files.

    The id of a company that is named by a match is empty until `resolved`.
    """

    declaration: Declaration = field(default_factory=lambda: Declaration(()))
    companies: tuple[DeclaredCompany, ...] = ()
    unmanaged: UnmanagedPolicy = field(default_factory=UnmanagedPolicy)

    @property
    def connections(self) -> tuple[DesiredConnection, ...]:
        """The connections, sorted by address. Only a state whose companies are known has them."""
        if self.declaration.is_open:
            raise ValueError("companies are still to be found")
        return self.declaration.connections

    @property
    def company_keys(self) -> dict[str, str]:
        """The keys of the companies by their ids."""
        return {company.id: company.key for company in self.companies if company.id}

    def resolved(self, connections: tuple[DesiredConnection, ...], ids: Mapping[str, str]) -> DesiredState:
        """Return the same with all companies found: *connections* have their ids, which are *ids* by key."""
        companies = tuple(replace(each, id=each.id or ids.get(each.key, "")) for each in self.companies)
        return replace(self, declaration=Declaration(connections), companies=companies)


_POLICIES = tuple(OnUnmanaged)


class _Register:
    """The first user of each name or id over all documents, and its place."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, Document, Place]] = {}

    def earlier(self, key: str, user: str, document: Document, place: Place) -> tuple[str, str] | None:
        """Return the earlier user of *key* and its place in words; None if there is none but *user*."""
        first, its_document, its_place = self._first.setdefault(key, (user, document, place))
        return None if first == user else (first, its_document.describe_place(its_place))


def cross_check(documents: Iterable[Document]) -> None:
    """Report names and ids that clash: each at its second place, naming the first.

    Values that break the contract are skipped: they are reported already.
    """
    company_names, company_ids, addresses, connection_ids, policies, rules = (_Register() for _ in range(6))
    for document in documents:
        _check_policy(document, policies)
        for trail, company in _children(document.data, "companies", ()):
            _check_company(document, trail, company, company_names, company_ids)
            for inner, connection in _children(company, "connections", trail):
                _check_connection(document, inner, connection, addresses, connection_ids)
        for trail, _ in _children(document.data, "rules", ()):
            place = document.key_place(trail)
            if other := rules.earlier(trail[-1], document.describe_place(place), document, place):
                document.report(f"is declared in {other[1]} too; remove or rename one", place, trail)


def merged(documents: Sequence[Document]) -> DesiredState:
    """Return what *documents*, which must have no problems, say together."""
    said = [(tag, policy) for document in documents for _, tag, policy in _policies(document)]
    return DesiredState(
        _declaration(documents),
        tuple(
            DeclaredCompany(
                trail[-1],
                normalised(company.get("id", "")),
                document.file,
                str(company_match(company) or ""),
            )
            for document in documents
            for trail, company in _children(document.data, "companies", ())
        ),
        UnmanagedPolicy(
            next((OnUnmanaged(policy) for tag, policy in said if not tag), OnUnmanaged.REPORT),
            {tag: OnUnmanaged(policy) for tag, policy in said if tag},
        ),
    )


def _declaration(documents: Iterable[Document]) -> Declaration:
    """Return what *documents* declare; connections are sorted by address."""
    connections: list[DesiredConnection] = []
    matched: list[MatchedCompany] = []
    rules: list[Rule] = []
    for document in documents:
        for trail, rule in _children(document.data, "rules", ()):
            each, place = rule["forEach"], (document.path, *document.value_place((*trail, "forEach")))
            name, key, tag = trail[-1], each.get("key", {}).get("tag"), each["tag"]
            template = _connections(document, trail, rule, str(RuleMark(name, key or "", tag)))
            rules.append(Rule(name, tag, key, template, place))
        for trail, company in _children(document.data, "companies", ()):
            declared = _connections(document, trail, company, str(company_match(company) or ""))
            if match := company_match(company):
                place = (document.path, *document.value_place((*trail, "match")))
                matched.append(MatchedCompany(trail[-1], match, declared, place))
            else:
                connections += declared
    return Declaration(tuple(sorted(connections, key=lambda one: one.address)), tuple(matched), tuple(rules))


def company_match(company: dict[str, Any]) -> CompanyMatch | None:
    """Return by what a company of a document is to be found, None if its id is given."""
    return next((CompanyMatch(by, value) for by, value in company.get("match", {}).items()), None)


def _connections(
    document: Document, trail: Trail, parent: dict[str, Any], matched_by: str
) -> tuple[DesiredConnection, ...]:
    """Return the connections of one company or rule; the company id is empty if it is still to be found."""
    defaults = document.data.get("defaults", {})
    found = []
    for inner, connection in _children(parent, "connections", trail):
        fields = {**defaults, **connection}
        if fields.get("connectionId") and "onExisting" not in connection:
            # A default of `create` is meant for connections that name no `connectionId`.
            fields.pop("onExisting", None)
        half = f"rule:{trail[1]}" if trail[0] == "rules" else trail[1]
        address = Address(f"{half}/{inner[3]}")
        found.append(_connection(address, normalised(parent.get("id", "")), matched_by, fields))
    return tuple(found)


def _connection(
    address: Address, company_id: str, matched_by: str, fields: dict[str, Any]
) -> DesiredConnection:
    connection_id = fields.get("connectionId")
    return DesiredConnection(
        address=address,
        company_id=company_id,
        matched_by=matched_by,
        platform_key=fields["platformKey"],
        status=Status(fields.get("status", Status.LINKED)),
        on_removal=OnRemoval(fields.get("onRemoval", OnRemoval.UNLINK)),
        on_existing=OnExisting(fields.get("onExisting", OnExisting.REFUSE)),
        connection_id=connection_id and normalised(connection_id),
        protect=fields.get("protect", False),
    )


def _check_company(
    document: Document, trail: Trail, company: dict[str, Any], names: _Register, ids: _Register
) -> None:
    identity, place = _identity(company), document.key_place(trail)
    if identity is None:
        return
    what = "match" if ":" in identity else "id"
    if other := names.earlier(trail[-1], identity, document, place):
        document.report(
            f"its {what} is another one in {other[1]}; use one {what}, or rename one", place, trail
        )
    elif other := ids.earlier(identity, trail[-1], document, place):
        text = f"its {what} is that of company {other[0]} too ({other[1]}); keep one name for one company"
        document.report(text, place, trail)


def _check_connection(
    document: Document, trail: Trail, connection: dict[str, Any], addresses: _Register, ids: _Register
) -> None:
    identity, place = _uuid(connection, "connectionId"), document.key_place(trail)
    if other := addresses.earlier(_address(trail), document.describe_place(place), document, place):
        document.report(f"is declared in {other[1]} too; remove or rename one", place, trail)
    elif identity and (other := ids.earlier(identity, _address(trail), document, place)):
        text = f"its connectionId is that of {other[0]} too ({other[1]}); remove one of the two"
        document.report(text, place, trail)


def _check_policy(document: Document, policies: _Register) -> None:
    """Report a policy that another file, or another spelling of the same tag, contradicts."""
    for trail, tag, policy in _policies(document):
        place = document.key_place(trail)
        if other := policies.earlier(tag, policy, document, place):
            key = ".".join(map(short, trail))
            document.report(f"{key} is {other[0]} in {other[1]}; let both say the same, or keep one", place)


def _policies(document: Document) -> Iterator[tuple[Trail, str, str]]:
    """Yield each policy for what is unmanaged: its trail, the tag ("" for the tenant), and what it says."""
    data = document.data if isinstance(document.data, dict) else {}
    by_tag = data.get("unmanagedByTag")
    said: list[tuple[Trail, str, Any]] = [(("unmanaged",), "", data.get("unmanaged"))]
    if isinstance(by_tag, dict):
        said += [(("unmanagedByTag", tag), folded_tag(tag), policy) for tag, policy in by_tag.items()]
    yield from (each for each in said if each[-1] in _POLICIES)


def _children(parent: Any, key: str, trail: Trail) -> Iterator[tuple[Trail, dict[str, Any]]]:
    """Yield the trail and the mapping of each child under *key* that is a mapping."""
    block = parent.get(key) if isinstance(parent, dict) else None
    for name, child in block.items() if isinstance(block, dict) else ():
        if isinstance(child, dict):
            yield (*trail, key, name), child


def _identity(company: dict[str, Any]) -> str | None:
    """Return the id of a company, or what it is found by, such as `tag:customerId=42`; None if neither is."""
    match list(company["match"].items()) if isinstance(company.get("match"), dict) else []:
        case [("tag" | "name" as by, str(value))]:
            return str(CompanyMatch(by, value))
    return _uuid(company, "id")


def _uuid(mapping: dict[str, Any], key: str) -> str | None:
    """Return the id under *key* in lower case, None if it isn't a UUID."""
    value = mapping.get(key)
    return normalised(value) if isinstance(value, str) and UUID.fullmatch(value) else None


def _address(trail: Trail) -> Address:
    return Address(f"{trail[1]}/{trail[3]}")
