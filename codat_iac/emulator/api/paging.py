"""Answer list requests: query, order, one page, and Codat's envelope with relative links.

https://docs.codat.io/using-the-api/paging
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode

from codat_iac.emulator.api.query import compile_query, order_rows
from codat_iac.emulator.requests.messages import CLIENTS_API, NOT_VALID, Call, Refusal, Reply, json_reply

if TYPE_CHECKING:
    from codat_iac.emulator.world import World

T = TypeVar("T")

_INT32: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Window:
    """The number and size of the requested page."""

    page: int
    size: int


def list_reply(
    world: World,
    call: Call,
    items: Sequence[T],
    view: Callable[[T], dict[str, Any]],
    known: Collection[str],
) -> Reply:
    """Return the requested page of the *items* that match the query, in the requested order.

    *view* makes an item's JSON, and *known* are the properties that a query may name. Without query and order
    only one page is rendered.
    """
    window = _window(world, call)
    query, order_by = _parameter(world, call, "query"), _parameter(world, call, "orderBy")
    tags = call.query.get("tags")
    items = _default_order(world, items)
    if not (query or order_by or tags):
        shown = _page(world, items, window)
        return _envelope(world, call, window, [view(each) for each in shown], len(items))
    rows: Sequence[Any] = [view(each) for each in items]
    if query:
        rows = _matching(call, rows, query, known)
    if tags:
        test = compile_query(tags, (), operators=("=", "!=", "~"))
        rows = [row for row in rows if test(row.get("tags", {}))]
    if order_by:
        rows = order_rows(rows, order_by, known)
    return _envelope(world, call, window, list(_page(world, rows, window)), len(rows))


def _window(world: World, call: Call) -> Window:
    page, size = _number(world, call, "page", 1), _number(world, call, "pageSize", 100)
    most: int = world.knobs["pageSizeMost"]
    if size > most and world.knobs["pageSizeAboveMost"] == "reject":
        raise Refusal(400, NOT_VALID, service=CLIENTS_API)
    return Window(page, min(size, most))


def _number(world: World, call: Call, name: str, default: int) -> int:
    number = call.whole_number(name, default)
    if number is None or number > _INT32 or (number < 1 and world.knobs["pageBelowOne"] == 400):
        raise Refusal(400, NOT_VALID, service=CLIENTS_API)
    return default if number < 1 else number


def _parameter(world: World, call: Call, name: str) -> str:
    """Return a parameter's text, or ignore or refuse it as the knob of the same name says."""
    text = call.query.get(name, "")
    if text and world.knobs[name] == "reject":
        raise Refusal(400, f"Error parsing query - {name} is not supported.", service=CLIENTS_API)
    return "" if world.knobs[name] == "ignore" else text


def _matching(call: Call, rows: Sequence[Any], query: str, known: Collection[str]) -> list[Any]:
    """Return the rows that match. Codat: "The page size value is obligatory for querying"."""
    if "pageSize" not in call.query:
        raise Refusal(400, "Error parsing query - pageSize must be provided.", service=CLIENTS_API)
    test = compile_query(query, known)
    return [row for row in rows if test(row)]


def _default_order(world: World, items: Sequence[T]) -> Sequence[T]:
    order = world.knobs["defaultOrder"]
    if order == "id":
        return sorted(items, key=lambda item: getattr(item, "id", ""))
    return items[::-1] if order == "-created" else items


def _page(world: World, rows: Sequence[T], window: Window) -> Sequence[T]:
    """Return the rows of one page, after the rotation that the knob `rowShift` asks for."""
    shift = world.next_row_shift() % max(len(rows), 1)
    if shift:
        rows = [*rows[shift:], *rows[:shift]]
    start = (window.page - 1) * window.size
    status = world.knobs["pageBeyondEnd"]
    if status != 200 and start and start >= len(rows):
        raise Refusal(status, NOT_VALID if status == 400 else None, service=CLIENTS_API)
    return rows[start : start + window.size]


def _envelope(world: World, call: Call, window: Window, results: list[Any], total: int) -> Reply:
    def href(page: int) -> dict[str, str]:
        params = {**call.query, "page": str(page), "pageSize": str(window.size)}
        return {"href": f"{call.path}?{urlencode(params, quote_via=quote)}"}

    links = {"self": {"href": call.path}, "current": href(window.page)}
    if window.page * window.size < total:
        links["next"] = href(window.page + 1)
    if window.page > 1:
        links["previous"] = href(window.page - 1)
    data = {
        "results": results,
        "pageNumber": window.page,
        "pageSize": window.size,
        "totalResults": total,
        "_links": links,
    }
    return json_reply(data | ({"addedLater": None} if world.knobs["unknownFields"] else {}))
