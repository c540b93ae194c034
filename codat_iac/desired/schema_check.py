"""Check a document against the JSON Schema: one line for each mistake.

`schemas/connections.schema.json` is the contract. Its `errorMessage` says what to do about a mistake:
editors show it while typing, and here it ends the problem's line.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from codat_iac.desired.document import (
    LONGEST_QUOTE,
    REPORTED,
    Document,
    Mapping,
    Trail,
    describe_value,
    is_unquoted,
    quoted,
    split,
)
from codat_iac.desired.schemas import conforms, schema, validator

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEMA = "connections.schema.json"

_KINDS = {"object": "a mapping", "string": "text", "boolean": "true or false"}


class _Break(NamedTuple):
    """One value that breaks one rule of the schema."""

    rule: str
    wants: Any
    value: Any
    trail: Trail
    schema: dict[str, Any]

    @property
    def remedy(self) -> str:
        """What to do, in the schema's words."""
        return str(self.schema["errorMessage"])


def check(document: Document) -> None:
    """Report everything in the document that breaks the contract."""
    data = document.data
    if conforms(_SCHEMA, data):
        return
    whole = schema(_SCHEMA)
    if isinstance(data, Mapping) and not (data.incomplete or data.keys() & set(whole["required"])):
        document.report(f"has neither version nor companies; {whole['errorMessage']}", document.start)
        return
    seen: set[Trail] = set()
    error: Any
    for error in validator(_SCHEMA).iter_errors(data):
        trail = tuple(map(str, error.absolute_path))
        broken = _Break(str(error.validator), error.validator_value, error.instance, trail, error.schema)
        if "propertyNames" in error.absolute_schema_path:
            _name(document, broken)
        elif broken.rule == "required":
            _missing(document, broken)
        elif broken.rule == "additionalProperties":
            _unknown(document, broken)
        elif trail not in seen:
            seen.add(trail)  # a value of the wrong type is not one of the allowed values either
            _value(document, broken)


_NAMED = {"unmanagedByTag": "tag", "rules": "rule"}
"""What the keys of a member name, if not companies."""


def _name(document: Document, broken: _Break) -> None:
    subject, key = split(broken.trail)
    kind = "connection" if subject else _NAMED.get(key, "company")
    place = document.key_place((*broken.trail, broken.value))
    name = kind if kind == "tag" else f"{kind} name"
    document.report(f"the {name} {quoted(broken.value)}: {broken.remedy}", place, subject)


def _missing(document: Document, broken: _Break) -> None:
    mapping = broken.value
    if mapping.incomplete:
        return
    for key in broken.wants:
        if key not in mapping and key not in _suggestions(broken).values():
            remedy = broken.schema["properties"][key]["errorMessage"]
            document.report(f"{key} is missing; {remedy}", mapping.place, broken.trail)


def _unknown(document: Document, broken: _Break) -> None:
    known = ", ".join(sorted(broken.schema["properties"]))
    for key, suggestion in _suggestions(broken).items():
        remedy = f"did you mean {suggestion}?" if suggestion else f"known here: {known}"
        place = document.key_place((*broken.trail, key))
        document.report(f"unknown key {quoted(key)}; {remedy}", place, broken.trail)


def _value(document: Document, broken: _Break) -> None:
    value = broken.value
    if value is REPORTED:
        return
    subject, key = split(broken.trail)
    label = f"{key}: " if key else ""
    if broken.rule == "type":
        hint = " (quotes would make it text)" if broken.wants == "string" and is_unquoted(value) else ""
        text = f"{label}expected {_KINDS[broken.wants]}, found {describe_value(value)}{hint}; {broken.remedy}"
    elif isinstance(value, str):
        text = f"{key} {quoted(value)}: {broken.remedy}{_meant(broken)}"
    else:
        text = f"{label}found {describe_value(value)}; {broken.remedy}"
    document.report(text, document.value_place(broken.trail), subject)


def _meant(broken: _Break) -> str:
    meant = _closest(broken.value, broken.wants) if broken.rule == "enum" else ""
    return f"; did you mean {meant}?" if meant else ""


def _suggestions(broken: _Break) -> dict[str, str]:
    """Return the unknown keys of a mapping, each with the key that was probably meant, or ""."""
    known = broken.schema["properties"]
    ours = tuple(broken.schema.get("patternProperties", ()))
    unknown = [key for key in broken.value if key not in known and not any(re.search(p, key) for p in ours)]
    return {key: _closest(key, known) for key in unknown}


def _closest(word: str, known: Iterable[str]) -> str:
    """Return the word of *known* that is most like *word*, or ""."""
    by_lower = {one.lower(): one for one in known}
    matches = difflib.get_close_matches(word[:LONGEST_QUOTE].lower(), by_lower, 1)
    return by_lower[matches[0]] if matches else ""
