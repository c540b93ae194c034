"""Many documents to one desired state, and what only all of them together show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codat_iac.model.connection import UUID, DesiredConnection, OnExisting, OnRemoval, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from codat_iac.desired.document import Document, Place, Trail


class _Register:
    """Who used a name or an id first, over all documents, and where."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, Document, Place]] = {}

    def other(self, key: str, user: str, document: Document, place: Place) -> tuple[str, str] | None:
        """None for the first *user* of *key*, and for the same one again; else the first and its place."""
        first, home, spot = self._first.setdefault(key, (user, document, place))
        return None if first == user else (first, home.spot(spot))


def cross_check(documents: Iterable[Document]) -> None:
    """Report names and ids that clash, each at its second place, naming the first.

    What breaks the contract already is passed over.
    """
    company_names, company_ids, addresses, connection_ids = (_Register() for _ in range(4))
    for document in documents:
        for trail, company in _children(document.data, "companies", ()):
            _check_company(document, trail, company, company_names, company_ids)
            for inner, connection in _children(company, "connections", trail):
                _check_connection(document, inner, connection, addresses, connection_ids)


def connections(documents: Iterable[Document]) -> tuple[DesiredConnection, ...]:
    """The connections of documents without problems, sorted by address."""
    return tuple(sorted(_declared(documents), key=lambda one: one.address))


def _declared(documents: Iterable[Document]) -> Iterator[DesiredConnection]:
    for document in documents:
        defaults = document.data.get("defaults", {})
        for trail, company in _children(document.data, "companies", ()):
            for inner, connection in _children(company, "connections", trail):
                fields = {**defaults, **connection}
                if fields.get("connectionId") and "onExisting" not in connection:
                    fields.pop("onExisting", None)  # a default of `create` is for those that name none
                yield _connection(_address(inner), company["id"].lower(), fields)


def _connection(address: str, company_id: str, fields: dict[str, Any]) -> DesiredConnection:
    connection_id = fields.get("connectionId")
    return DesiredConnection(
        address=address,
        company_id=company_id,
        platform_key=fields["platformKey"],
        status=Status(fields.get("status", Status.LINKED)),
        on_removal=OnRemoval(fields.get("onRemoval", OnRemoval.UNLINK)),
        on_existing=OnExisting(fields.get("onExisting", OnExisting.REFUSE)),
        connection_id=connection_id and connection_id.lower(),
        protect=fields.get("protect", False),
    )


def _check_company(
    document: Document, trail: Trail, company: dict[str, Any], names: _Register, ids: _Register
) -> None:
    identity, place = _uuid(company, "id"), document.key_place(trail)
    if identity is None:
        return
    if other := names.other(trail[-1], identity, document, place):
        document.report(f"its id is another one in {other[1]}; use one id, or rename one", place, trail)
    elif other := ids.other(identity, trail[-1], document, place):
        text = f"its id is that of company {other[0]} too ({other[1]}); keep one name for one company"
        document.report(text, place, trail)


def _check_connection(
    document: Document, trail: Trail, connection: dict[str, Any], addresses: _Register, ids: _Register
) -> None:
    identity, place = _uuid(connection, "connectionId"), document.key_place(trail)
    if other := addresses.other(_address(trail), document.spot(place), document, place):
        document.report(f"is declared in {other[1]} too; remove or rename one", place, trail)
    elif identity and (other := ids.other(identity, _address(trail), document, place)):
        text = f"its connectionId is that of {other[0]} too ({other[1]}); remove one of the two"
        document.report(text, place, trail)


def _children(parent: Any, key: str, trail: Trail) -> Iterator[tuple[Trail, dict[str, Any]]]:
    """The named mappings under *key*, where there are such."""
    block = parent.get(key) if isinstance(parent, dict) else None
    for name, child in block.items() if isinstance(block, dict) else ():
        if isinstance(child, dict):
            yield (*trail, key, name), child


def _uuid(mapping: dict[str, Any], key: str) -> str | None:
    """The id, lower-case, if it is one."""
    value = mapping.get(key)
    return value.lower() if isinstance(value, str) and UUID.fullmatch(value) else None


def _address(trail: Trail) -> str:
    return f"{trail[1]}/{trail[3]}"
