"""Add connections to the text of a YAML file that people edit: what stands there stays, byte for byte.

New lines go between the old ones, where libyaml says that a value ends. Reading the file and writing it
again, as ruamel.yaml does, would change columns, quotes, long lines and line ends all over it, and fail at a
tab. The result is read again: unless it declares the old connections and the new ones, nothing is added.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import yaml

from codat_iac.desired import load_declaration
from codat_iac.desired.document import printable
from codat_iac.desired.yaml_writer import Entry, by_company, company_entry, connection_entry
from codat_iac.model.errors import ConfigError, FileProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from codat_iac.model.connection import DesiredConnection

_REMEDY = (
    "; declare the new ones yourself and import again, or let --out name another file, in a folder that"
    " codat:desired names"
)

_BREAKS = "\n\r\x85\u2028\u2029"
"""The characters that end a line of YAML 1.1."""
_BREAK = rf"(?>\r\n|[{_BREAKS}])"
_LAST_IN_LINE = re.compile(rf"([ \t]*,)?[ \t]*(?:#[^{_BREAKS}]*)?(?={_BREAK})")
"""What may follow the last entry of a line within braces."""


def add(path: str, raw: bytes, connections: Sequence[DesiredConnection], names: Mapping[str, str]) -> bytes:
    """Return *raw*, the content of the file at *path*, with *connections* added to it.

    *names* are the companies' real names by company id, each written as a comment. The file's `defaults:`
    hold for what is added, too. Raises `ConfigError` if it isn't a desired state, or if nothing can be added
    to it without changing what it says.
    """
    before = load_declaration(path, given=raw).everything
    text = raw.decode("utf-8-sig")
    after = _Edit(path, text).with_added(connections, names).encode()
    if raw.startswith(codecs.BOM_UTF8):
        after = codecs.BOM_UTF8 + after
    try:
        wrong = _difference(before, connections, load_declaration(path, given=after).everything)
    except ConfigError as error:
        wrong = error.problems[0].message
    if wrong:
        raise ConfigError([FileProblem(printable(path), 0, 0, f"nothing can be added: {wrong}{_REMEDY}")])
    return after


def _difference(
    old: Iterable[DesiredConnection], new: Iterable[DesiredConnection], found: Iterable[DesiredConnection]
) -> str | None:
    """Return in words how what is *found* differs from the *old* and the *new* ones.

    The new ones may differ in what the file's `defaults:` decide, and in how it names their company.
    """
    there = {each.address: each for each in found}
    followed = [
        dataclasses.replace(
            each,
            company_id=each.company_id if one.company_id else "",
            on_removal=one.on_removal,
            on_existing=one.on_existing,
            protect=one.protect,
            matched_by=one.matched_by,
        )
        for each in new
        for one in [there.get(each.address, each)]
    ]
    for each in (*old, *followed):
        if there.pop(each.address, None) != each:
            return f"{each.address} would not be declared as it is"
    return next((f"{address} would be declared too" for address in sorted(there)), None)


class _Value(NamedTuple):
    """A value of the text."""

    event: Any
    """The event that begins it."""
    end: int
    """The index after its last character; comments don't count."""
    parts: Sequence[_Value]
    """The values in it; of a mapping: a key, its value, the next key and so on."""

    @property
    def column(self) -> int:
        """The column in which it begins."""
        return int(self.event.start_mark.column)

    def entry(self, name: str) -> tuple[_Value, _Value] | None:
        """Return the key *name* of a mapping and its value; None if it isn't written there."""
        for key, value in zip(self.parts[::2], self.parts[1::2], strict=True):
            if isinstance(key.event, yaml.ScalarEvent) and key.event.value == name:
                return key, value
        return None


def _parse(text: str) -> _Value:
    following: Callable[[], Any] = yaml.CSafeLoader(text).get_event
    following()  # the stream starts
    following()  # the document starts
    return _value(following(), following)


def _value(event: Any, following: Callable[[], Any]) -> _Value:
    """Return the value that *event* begins, whose other events are *following*."""
    parts: list[_Value] = []
    last = event
    if isinstance(event, yaml.CollectionStartEvent):
        while not isinstance(last := following(), yaml.CollectionEndEvent):
            parts.append(_value(last, following))
    # The end of a block is told where the next one starts, which is after any comments.
    inside = parts and not event.flow_style
    return _Value(event, parts[-1].end if inside else _index(last.end_mark), parts)


def _index(mark: Any) -> int:
    return int(mark.index)


class _Edit:
    """The text of one file, and what is to be changed in it."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._changes: list[tuple[int, int, str]] = []
        """From which index to which the text is replaced, and by what."""

    def with_added(self, connections: Iterable[DesiredConnection], names: Mapping[str, str]) -> str:
        """Return the text with *connections*: in the companies that it has, or in new ones at the end."""
        root = _parse(self._text)
        key, companies = self._own_entry(root, "companies")
        step = companies.parts[0].column - key.column if companies.parts else 2
        new = []
        for half, members in by_company(connections).items():
            if companies.entry(half) is None:
                new.append(company_entry(members, names))
            else:
                _, company = self._own_entry(companies, half)
                self._add(list(map(connection_entry, members)), company, "connections", step)
        if new:
            self._add(new, root, "companies", step)
        return self._changed()

    def _own_entry(self, parent: _Value, name: str) -> tuple[_Value, _Value]:
        """Return the key *name* of *parent* and its value. Raises `ConfigError` if it stands elsewhere."""
        found = parent.entry(name)
        if found is None:
            self._refuse(parent, f"{name} comes from a merge key")
        if isinstance(found[1].event, yaml.AliasEvent):
            self._refuse(found[1], f"{name} is an alias")
        return found

    def _refuse(self, value: _Value, reason: str) -> NoReturn:
        mark = value.event.start_mark
        text = f"{reason}, so nothing can be added there{_REMEDY}"
        raise ConfigError([FileProblem(printable(self._path), mark.line + 1, mark.column + 1, text)])

    def _add(self, entries: Sequence[Entry], parent: _Value, name: str, step: int) -> None:
        """Add *entries* to the mapping at the key *name* of *parent*, in the style that it has."""
        key, target = self._own_entry(parent, name)
        after_brace = target.event.end_mark.index
        if not target.event.flow_style:
            self._add_lines(target.end, target.parts[0].column, step, entries)
        elif parent.event.flow_style or target.parts or self._text[after_brace : target.end - 1].strip():
            lines = [entry.in_one_line(as_json=key.event.style == '"') for entry in entries]
            self._add_within_braces(target, lines)
        else:
            start = len(self._text[: after_brace - 1].rstrip(" \t"))
            self._replace(start, target.end, "")
            self._add_lines(target.end, key.column + step, step, entries)

    def _add_lines(self, end: int, column: int, step: int, entries: Iterable[Entry]) -> None:
        """Add *entries* below the block that ends at *end*, and below comments that belong to it."""
        if self._text[end - 1] in _BREAKS:  # a text of several lines ends where the next line begins
            end -= 2 if self._text.endswith("\r\n", 0, end) else 1
        # The rest of the line, and each comment below that is as far in as the keys of the block.
        rest = re.compile(rf"(?:[^{_BREAKS}]*(?:{_BREAK}[ \t]*)*{_BREAK} {{{column},}}#)*[^{_BREAKS}]*")
        at = next(rest.finditer(self._text, end)).end()
        lines = [line for entry in entries for line in entry.lines(column, step)]
        self._replace(at, at, "".join(self._ending(at) + line for line in lines))

    def _add_within_braces(self, target: _Value, entries: Sequence[str]) -> None:
        """Add *entries* within braces: each in a line of its own if the last one has one."""
        if not target.parts:
            start = target.event.end_mark.index
            space = " " if self._text[start] == "}" else ""
            self._replace(start, start, f" {', '.join(entries)}{space}")
            return
        last, end = target.parts[-2].event.start_mark, target.parts[-1].end
        margin = self._text[last.index - last.column : last.index]
        rest = _LAST_IN_LINE.match(self._text, end)
        if rest is None or margin.strip():
            self._replace(end, end, "".join(f", {entry}" for entry in entries))
            return
        at, comma = rest.end(), rest[1]
        lines = [self._ending(at) + margin + entry for entry in entries]
        if comma:
            self._replace(at, at, "".join(f"{line}," for line in lines))
        else:
            self._replace(end, end, ",")
            self._replace(at, at, ",".join(lines))

    def _ending(self, at: int) -> str:
        """Return the end of the line at *at*, or that of the first line if it has none."""
        found = re.match(_BREAK, self._text[at : at + 2]) or re.search(_BREAK, self._text)
        return found[0] if found else "\n"

    def _replace(self, start: int, end: int, text: str) -> None:
        self._changes.append((start, end, text))

    def _changed(self) -> str:
        pieces, done = [], 0
        for start, end, text in sorted(self._changes, key=lambda change: change[0]):
            pieces += [self._text[done:start], text]
            done = end
        return "".join([*pieces, self._text[done:]])
