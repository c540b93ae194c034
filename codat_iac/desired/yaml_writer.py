"""Write connections as YAML that a person might have written and that loads back equal. Pure.

The file has no `yaml-language-server` line: no path to the JSON Schema is right on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import yaml

from codat_iac.model.connection import DesiredConnection, OnExisting, OnRemoval, Status
from codat_iac.model.text import safe_text

LONGEST_NAME = 100
"""Characters of a company's name that its comment shows."""

_TEXT = "tag:yaml.org,2002:str"
_RESOLVER: Any = yaml.resolver.Resolver()
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
    lines = [*(f"# {line}" for line in title), "version: 1"]
    company = None
    for connection in sorted(connections, key=lambda each: (each.address.company, each.address.key)):
        half, name = connection.address.company, connection.address.key
        if company is None:
            lines += ["", "companies:"]
        if half != company:
            company = half
            real_name = _comment((names or {}).get(connection.company_id, ""))
            lines += [
                f"  {_key(half)}:{real_name and f' # {real_name}'}",
                f"    id: {connection.company_id}",
                "    connections:",
            ]
        lines.append(f"      {_key(name)}: {{ {_fields(connection)} }}")
    if company is None:
        lines += ["", "companies: {}"]
    return "\n".join(lines) + "\n"


def _fields(connection: DesiredConnection) -> str:
    fields = [f"platformKey: {_key(connection.platform_key)}"]
    if connection.status is not Status.LINKED:
        fields.append(f"status: {connection.status}")
    if connection.on_removal is not OnRemoval.UNLINK:
        fields.append(f"onRemoval: {connection.on_removal}")
    if connection.on_existing is not OnExisting.REFUSE:
        fields.append(f"onExisting: {connection.on_existing}")
    if connection.protect:
        fields.append("protect: true")
    if connection.connection_id:
        fields.append(f"connectionId: {connection.connection_id}")
    return ", ".join(fields)


@lru_cache(maxsize=1024)
def _key(name: str) -> str:
    """Return *name*, in quotes if YAML would take it for anything but text: `no`, `null`, `007`."""
    plain = _RESOLVER.resolve(yaml.ScalarNode, name, (True, False)) == _TEXT
    return name if plain and not _LIKE_A_NUMBER.fullmatch(name) else f'"{name}"'


def _comment(text: str) -> str:
    """Return *text* fit for a comment: in one line, cut, unprintable characters replaced by spaces."""
    printable = "".join(letter if letter.isprintable() else " " for letter in safe_text(text))
    short = " ".join(printable.split())
    return short if len(short) <= LONGEST_NAME else f"{short[:LONGEST_NAME]}…"
