"""Write connections as YAML that a person might have written and that loads back equal. Pure.

The file has no `yaml-language-server` line: no path to the JSON Schema is right on every machine.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

from codat_iac.model.connection import DesiredConnection, OnExisting, OnRemoval, Status
from codat_iac.model.text import safe_text

LONGEST_NAME = 100
"""Characters of a company's name that its comment shows."""

_TEXT = "tag:yaml.org,2002:str"
_RESOLVER: Any = yaml.resolver.Resolver()
_WORD = re.compile(r"[A-Za-z0-9._=-]*")
_LIKE_A_NUMBER = re.compile(r"[0-9][0-9a-fox._]*|[0-9._]+e-[0-9]+")
"""Words that some YAML reader takes for a number, such as 0o17 and 12e03."""


def dump(
    connections: Iterable[DesiredConnection],
    names: Mapping[str, str] | None = None,
    *,
    title: Iterable[str] = (),
) -> str:
    """Return *connections* as the text of a desired-state file, sorted by address, without defaults.

    *names* are the companies' real names by company id, each written as a comment. *title* holds the lines
    of a comment at the top. All connections of a company must have the same first half of the address, as
    the format requires.
    """
    companies = [company_entry(members, names or {}) for members in by_company(connections).values()]
    lines = [*(f"# {line}" for line in title), "version: 1", ""]
    lines.append("companies:" if companies else "companies: {}")
    for company in companies:
        lines += company.lines(2, 2)
    return "\n".join(lines) + "\n"


def by_company(connections: Iterable[DesiredConnection]) -> dict[str, list[DesiredConnection]]:
    """Return *connections* by the first half of their addresses, sorted."""
    ordered = sorted(connections, key=lambda each: (each.address.company, each.address.key))
    groups = itertools.groupby(ordered, lambda each: each.address.company)
    return {half: list(members) for half, members in groups}


class Entry(NamedTuple):
    """A connection or a company of the file."""

    key: str
    fields: Mapping[str, Any]
    comment: str = ""

    def lines(self, column: int, step: int) -> list[str]:
        """Return the lines of a block at *column*, what is in it *step* columns further in."""
        margin, inner = " " * column, " " * (column + step)
        if "connections" not in self.fields:
            return [margin + self.in_one_line()]
        innermost = " " * (column + 2 * step)
        return [
            f"{margin}{_key(self.key)}:{self.comment and f' # {self.comment}'}",
            *(inner + _pair(key, value) for key, value in self.fields.items() if key != "connections"),
            f"{inner}connections:",
            *(innermost + _pair(key, value) for key, value in self.fields["connections"].items()),
        ]

    def in_one_line(self, *, as_json: bool = False) -> str:
        """Return it as it is written within braces."""
        return (
            json.dumps({self.key: self.fields}, ensure_ascii=False)[1:-1]
            if as_json
            else _pair(self.key, self.fields)
        )


def connection_entry(connection: DesiredConnection) -> Entry:
    """Return the entry of one connection, without defaults."""
    fields: dict[str, Any] = {"platformKey": connection.platform_key}
    if connection.status is not Status.LINKED:
        fields["status"] = connection.status
    if connection.on_removal is not OnRemoval.UNLINK:
        fields["onRemoval"] = connection.on_removal
    if connection.on_existing is not OnExisting.REFUSE:
        fields["onExisting"] = connection.on_existing
    if connection.protect:
        fields["protect"] = True
    if connection.connection_id:
        fields["connectionId"] = connection.connection_id
    return Entry(connection.address.key, fields)


def company_entry(connections: Sequence[DesiredConnection], names: Mapping[str, str]) -> Entry:
    """Return the entry of one company with its *connections*; *names* as for `dump`."""
    address, company_id = connections[0].address, connections[0].company_id
    entries = map(connection_entry, connections)
    by, _, value = connections[0].matched_by.partition(":")
    named = {"match": {by: value}} if by else {"id": company_id}
    fields = {**named, "connections": {entry.key: entry.fields for entry in entries}}
    return Entry(address.company, fields, _comment(names.get(company_id, "")))


def _pair(key: str, value: Any) -> str:
    """Return a key and its value in one line."""
    return f"{_key(key)}: {_in_one_line(value)}"


def _in_one_line(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_pair(key, item) for key, item in value.items()) + " }"
    return "true" if value is True else _key(value)


@lru_cache(maxsize=1024)
def _key(name: str) -> str:
    """Return *name*, in quotes if YAML would take it for anything but text: `no`, `null`, `007`."""
    if not _WORD.fullmatch(name):  # a tag's value, or a company's name
        return str(yaml.safe_dump(name, default_style='"', allow_unicode=True, width=sys.maxsize)).strip()
    plain = _RESOLVER.resolve(yaml.ScalarNode, name, (True, False)) == _TEXT
    return name if plain and not _LIKE_A_NUMBER.fullmatch(name) else f'"{name}"'


def _comment(text: str) -> str:
    """Return *text* fit for a comment: in one line, cut, unprintable characters replaced by spaces."""
    printable = "".join(letter if letter.isprintable() else " " for letter in safe_text(text))
    short = " ".join(printable.split())
    return short if len(short) <= LONGEST_NAME else f"{short[:LONGEST_NAME]}…"
