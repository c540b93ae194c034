"""Read YAML text into data that knows the line and column of each key and value.

The data is built from libyaml's events. `yaml.compose` is slower, and it recurses in C for each level of
nesting, so that a file full of brackets would crash the process. Keys are text as written: `no:` and `007:`
are names.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml

from codat_iac.desired.document import (
    REPORTED,
    Document,
    Mapping,
    Place,
    Trail,
    UnsupportedValue,
    quoted,
    short,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_VALUES = 1_000_000
"""The most values in one file, counting what aliases repeat: enough for 200,000 companies."""

DEEPEST = 50
"""The most levels of nesting; the format needs 5."""

_TAG = "tag:yaml.org,2002:"
_TEXT = _TAG + "str"
_WORDS = {
    _TAG + "bool": "boolean",
    _TAG + "float": "number",
    _TAG + "int": "number",
    _TAG + "timestamp": "date",
}
"""What YAML makes of unquoted words. The format uses only small whole numbers, `true` and `false`."""

_LONGEST_WORD = 100
"""Longer than any number or date. Resolving the type of a word of megabytes takes minutes."""

_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")

_FORBIDDEN = re.compile(yaml.reader.Reader.NON_PRINTABLE.pattern + "|^%TAG", re.MULTILINE)
"""Characters that libyaml refuses without saying where, and a directive that takes it quadratic time."""

_MERGE: Final = object()

_NO_TABS = "indent with spaces, not with tabs"
_REMEDIES = (
    ("tab character", _NO_TABS),
    ("cannot start any token", "indent with spaces, and quote a value that starts with @, % or `"),
    ("mapping values are not allowed", "quote a value that holds ': ', or mend the indentation"),
    ("could not find expected ':'", "write a colon and a space after the key"),
    ("unexpected end of stream", "close the quote"),
    ("did not find expected ',' or", "put commas between the entries and close the bracket"),
    ("did not find expected key", "line it up with the lines above"),
    ("'-' indicator", "line it up with the lines above"),
    ("escape", "in double quotes write \\\\ for a backslash, or use single quotes"),
    ("<document start>", "one file holds one document: remove what follows it"),
    ("", "check quotes, brackets and indentation here and in the line above"),
)


class _Stop(Exception):
    """The rest of the file can't be read; the reason is reported already."""


def read_yaml(document: Document, raw: bytes) -> None:
    """Parse *raw* and set the document's data; report what isn't readable as YAML."""
    document.start = (1, 1)
    with contextlib.suppress(_Stop):
        text = _decoded(document, raw)
        try:
            document.data = _Reader(document, text).read()
        except yaml.MarkedYAMLError as error:
            document.report(_syntax(error, text), _place(error.problem_mark))


class _Reader:
    """Builds the single document of a YAML text from libyaml's events."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._loader: Any = yaml.CSafeLoader(text)
        self._next: Callable[[], Any] = self._loader.get_event
        self._count = 0
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        """Each anchor's value, and the number of values in it; None while it is being read."""

    def read(self) -> Any:
        """Return the document's data, None for an empty text."""
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        data = self._value(self._next(), ())
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop("a second document starts here; remove the ---, or make it a file of its own", event)
        return data

    def _value(self, event: Any, trail: Trail) -> Any:
        self._count_values(1, event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, trail)
        if event.anchor is None:
            return self._own_value(event, trail)
        self._anchors[event.anchor] = None
        before = self._count
        value = self._own_value(event, trail)
        self._anchors[event.anchor] = (value, self._count - before)
        return value

    def _own_value(self, event: Any, trail: Trail) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, trail)
        if len(trail) == DEEPEST:
            self._stop(f"more than {DEEPEST} levels of nesting; a desired state has 5", event)
        if isinstance(event, yaml.SequenceStartEvent):
            known = self._known_tag(event, trail, "seq")
            items = self._sequence(trail)
            return UnsupportedValue("a list", items=items) if known else REPORTED
        known = self._known_tag(event, trail, "map")
        mapping = self._mapping(event, trail)
        return mapping if known else REPORTED

    def _sequence(self, trail: Trail) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*trail, str(len(items)))))
        return items

    def _mapping(self, start: Any, trail: Trail) -> Mapping:
        mapping = Mapping(_place(start.start_mark))
        merged: list[Mapping] | None = None
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key, place = self._key(event, trail), _place(event.start_mark)
            value_event = self._next()
            value = self._value(value_event, (*trail, key if isinstance(key, str) else "<<"))
            if isinstance(key, str):
                self._add_pair(mapping, key, value, (place, _place(value_event.start_mark)), trail)
            elif key is None:
                mapping.incomplete = True
            elif merged is None:
                merged = self._mergeable(mapping, value, place, trail)
            else:
                self._report("a second <<; write one with a list: <<: [*first, *second]", event, trail)
        for source in merged or ():
            _copy_missing(mapping, source)
        return mapping

    def _add_pair(
        self, mapping: Mapping, key: str, value: Any, places: tuple[Place, Place], trail: Trail
    ) -> None:
        if key not in mapping:
            mapping[key] = value
            mapping.places[key] = places
            return
        first = mapping.places[key][0][0]
        text = f"{quoted(key)} is defined twice, first in line {first}; remove or rename one"
        self._document.report(text, places[0], trail)

    def _key(self, event: Any, trail: Trail) -> str | object | None:
        """Return the key as text, or `_MERGE`; report a problem and return None for any other key."""
        if not isinstance(event, yaml.ScalarEvent):
            key = self._value(event, (*trail, "?"))
            if isinstance(key, str):
                return key
            if key is not REPORTED:
                self._report("a key must be text; write a name and a colon", event, trail)
            return None
        if event.value == "<<" and event.implicit[0]:
            return _MERGE
        if event.anchor is not None:
            self._anchors[event.anchor] = (event.value, 1)
        return event.value if self._known_tag(event, trail, "str") else None

    def _mergeable(self, mapping: Mapping, value: Any, place: Place, trail: Trail) -> list[Mapping]:
        sources = value.items if isinstance(value, UnsupportedValue) and value.items is not None else [value]
        if all(isinstance(source, Mapping) for source in sources):
            return sources
        mapping.incomplete = True
        if REPORTED not in sources:
            self._document.report("<< takes an alias of a mapping, such as <<: *name", place, trail)
        return []

    def _alias(self, event: Any, trail: Trail) -> Any:
        anchor = self._anchors.get(event.anchor)
        if anchor is not None:
            value, size = anchor
            self._count_values(size, event)
            return value
        name = short(event.anchor)
        if event.anchor in self._anchors:
            self._report(f"*{name} stands inside &{name} itself; write it out", event, trail)
        else:
            self._report(f"*{name} has no &{name} above it; define it first", event, trail)
        return REPORTED

    def _scalar(self, event: Any, trail: Trail) -> Any:
        if event.tag in ("!", _TEXT) or (event.tag is None and not event.implicit[0]):
            return event.value
        plain = len(event.value) <= _LONGEST_WORD
        tag = self._loader.resolve(yaml.ScalarNode, event.value, (True, False)) if plain else _TEXT
        if event.tag not in (None, tag):
            return self._unknown_tag(event, trail)
        return _unquoted_value(tag, event.value)

    def _known_tag(self, event: Any, trail: Trail, kind: str) -> bool:
        if event.tag in (None, "!", _TAG + kind):
            return True
        self._unknown_tag(event, trail)
        return False

    def _unknown_tag(self, event: Any, trail: Trail) -> UnsupportedValue:
        tag = event.tag.replace(_TAG, "!!", 1)
        self._report(f"the tag {quoted(tag)} has no meaning here; remove it", event, trail)
        return REPORTED

    def _count_values(self, values: int, event: Any) -> None:
        self._count += values
        if self._count > MOST_VALUES:
            self._stop(f"more than {MOST_VALUES:,} values, aliases included; split the file", event)

    def _report(self, message: str, event: Any, trail: Trail) -> None:
        self._document.report(message, _place(event.start_mark), trail)

    def _stop(self, message: str, event: Any) -> NoReturn:
        self._report(message, event, ())
        raise _Stop


def _unquoted_value(tag: str, text: str) -> Any:
    """Return the value of an unquoted word.

    A number, boolean or date that the format has no use for is an `UnsupportedValue` that shows it as
    written, since YAML would change it: 012 is 10, yes is true.
    """
    if tag == _TAG + "null":
        return None
    if tag not in _WORDS:
        return text
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if text in {"true", "false"}:  # YAML readers disagree about `yes` and `on`
        return text == "true"
    return UnsupportedValue(f"the {_WORDS[tag]} {short(text)}", unquoted=True)


def _copy_missing(mapping: Mapping, source: Mapping) -> None:
    mapping.incomplete |= source.incomplete
    for key, value in source.items():
        if key not in mapping:
            mapping[key] = value
            mapping.places[key] = source.places[key]


def _decoded(document: Document, raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        document.report("is UTF-16; save it as UTF-8")
        raise _Stop
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        document.report(
            f"the byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8", _position_after(before)
        )
        raise _Stop from None
    if match := _FORBIDDEN.search(text):
        what = match[0] if match[0] == "%TAG" else f"the control character U+{ord(match[0]):04X}"
        document.report(f"{what} has no meaning here; remove it", _position_after(text[: match.start()]))
        raise _Stop
    return text


def _position_after(text: str) -> Place:
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


def _syntax(error: Any, text: str) -> str:
    problem = error.problem or ""
    remedy = next(remedy for part, remedy in _REMEDIES if part in problem)
    lines = text.splitlines()[error.problem_mark.line :]
    if lines and re.match(" *\t", lines[0]):
        remedy = _NO_TABS
    context = f" {error.context} of line {error.context_mark.line + 1}" if error.context_mark else ""
    return f"not YAML: {problem}{context}; {remedy}"
