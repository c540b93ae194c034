"""Evaluate Codat's query language and `orderBy`: https://docs.codat.io/using-the-api/querying.

`property op value`, joined by `&&` and `||` (`&&` binds tighter), grouped by curly braces, dots for
sub-properties. There are no quotes and no escapes: a value ends at `&&`, `||`, `}` or the end.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from codat_iac.emulator.requests.messages import CLIENTS_API, MALFORMED_QUERY, Refusal

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

LONGEST_QUERY: Final = 2048
"""A query must be shorter."""

_DEEPEST: Final = 50
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<mark>\{|\}|&&|\|\|)"
    r"|(?P<name>[^\s=!~<>&|{}]+)\s*(?P<op>!=|>=|<=|=|~|>|<)\s*(?P<value>[^\s].*?)\s*(?=&&|\|\||\}|$))"
)
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def compile_query(text: str, known: Collection[str], operators: Collection[str] | None = None) -> Test:
    """Return a test of rows. *known* are the valid properties (empty: any). Raises `Refusal` (400)."""
    if len(text) >= LONGEST_QUERY:
        raise _refused("Error parsing query - Query is too long.")
    return _Parser(text, known, operators).parse()


def order_rows(rows: Sequence[Row], order_by: str, known: Collection[str]) -> list[Row]:
    """Return rows sorted by `field`, or descending by `-field`; without a value counts as lowest."""
    name = order_by.removeprefix("-")
    if name not in known:
        raise _unresolved(name)
    return sorted(
        rows, key=lambda row: _sortable(next(_values(row, name), None)), reverse=order_by[:1] == "-"
    )


class _Parser:
    """A recursive descent parser of one query."""

    def __init__(self, text: str, known: Collection[str], operators: Collection[str] | None) -> None:
        self._tokens = list(_tokens(text))
        self._known = known
        self._operators = operators
        self._next = 0

    def parse(self) -> Test:
        test = self._either(0)
        if self._next < len(self._tokens):
            raise _refused(MALFORMED_QUERY)
        return test

    def _either(self, depth: int) -> Test:
        tests = [self._both(depth)]
        while self._accept("||"):
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._accept("&&"):
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self, depth: int) -> Test:
        if depth < _DEEPEST and self._accept("{"):
            test = self._either(depth + 1)
            if not self._accept("}"):
                raise _refused(MALFORMED_QUERY)
            return test
        if self._next == len(self._tokens) or self._tokens[self._next]["mark"]:
            raise _refused(MALFORMED_QUERY)
        token = self._tokens[self._next]
        self._next += 1
        return self._clause(token["name"], token["op"], token["value"])

    def _clause(self, name: str, op: str, value: str) -> Test:
        if self._known and name not in self._known:
            raise _unresolved(name)
        if self._operators is not None and op not in self._operators:
            raise _refused(MALFORMED_QUERY)
        fits = _comparison(op, value)
        return lambda row: any(fits(found) for found in _values(row, name))

    def _accept(self, mark: str) -> bool:
        there = self._next < len(self._tokens) and self._tokens[self._next]["mark"] == mark
        self._next += there
        return there


def _tokens(text: str) -> Iterator[dict[str, str]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _refused(MALFORMED_QUERY)
        position = match.end()
        yield match.groupdict("")


def _comparison(op: str, wanted: str) -> Callable[[Any], bool]:
    """Return a test of values, ignoring case: Codat's own example asks for `sourceType=accounting`."""
    if op == "~":
        return lambda found: isinstance(found, str) and wanted.lower() in found.lower()
    if op == "=":
        return lambda found: _same(found, wanted)
    if op == "!=":
        return lambda found: not _same(found, wanted)
    limit = _measure(wanted)
    if limit is None:
        raise _refused(MALFORMED_QUERY)
    compare = _ORDERED[op]

    def ordered(found: Any) -> bool:
        measured = _measure(str(found))
        return type(measured) is type(limit) and compare(measured, limit)

    return ordered


def _same(found: object, wanted: str) -> bool:
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return text.lower() == wanted.lower()


def _measure(text: str) -> float | datetime | None:
    """Return the text as a number or a date, None if it is neither; a date without an offset is UTC."""
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _values(row: Any, name: str) -> Iterator[Any]:
    """Yield the values under a dotted name: none for null, those of each element for an array.

    Codat says that arrays can't be queried, but queries `dataConnections.status` of companies itself.
    """
    if isinstance(row, list):
        for each in row:
            yield from _values(each, name)
        return
    first, _, rest = name.partition(".")
    value = row.get(first)
    if rest and isinstance(value, dict | list):
        yield from _values(value, rest)
    elif not rest and value is not None:
        yield value


def _sortable(value: object) -> tuple[bool, str]:
    return value is not None, str(value).lower()


def _refused(error: str) -> Refusal:
    return Refusal(400, error, service=CLIENTS_API)


def _unresolved(name: str) -> Refusal:
    return _refused(f"Error parsing query - Could not resolve property {name} on Dataset")
