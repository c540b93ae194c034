"""One desired-state file: its data, the place of every key and value, and its problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from codat_iac.model.errors import FileProblem

Place = tuple[int, int]
"""Line and column, counted from 1."""

NOWHERE: Place = (0, 0)
"""The place of data that Python code returned: it has no line."""

Trail = tuple[str, ...]
"""The keys that lead to a value: `("companies", "acme", "id")`."""

LONGEST_QUOTE = 60
"""Characters of a user's value that a message repeats; the rest is cut off."""


class Mapping(dict[str, Any]):
    """A mapping that knows its own place, and the places of its keys and values."""

    __slots__ = ("incomplete", "place", "places")

    def __init__(self, place: Place = NOWHERE) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, tuple[Place, Place]] = {}
        self.incomplete = False
        """Part of it could not be read, so a key that seems to be missing may be there."""

    def __repr__(self) -> str:
        return "a mapping"  # jsonschema formats every value that it refuses: keep that cheap


@dataclass(frozen=True, slots=True)
class UnsupportedValue:
    """A value that no desired state may have: a list, a date, a Python object."""

    description: str
    unquoted: bool = False
    """Whether it would be text if it were quoted."""
    items: list[Any] | None = field(default=None, repr=False, compare=False)
    """The items, if it is a list."""


REPORTED = UnsupportedValue("")
"""Stands for a value that couldn't be read; the problem is reported already."""


class Document:
    """One desired-state file: its path as the user gave it (`path` is fit to show), data and problems."""

    def __init__(self, path: str) -> None:
        self.file = path
        self.path = printable(path)
        self.data: Any = REPORTED
        self.start = NOWHERE
        self._problems: dict[tuple[str, Place, str], FileProblem] = {}

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """The problems reported so far."""
        return tuple(self._problems.values())

    def report(self, message: str, place: Place = NOWHERE, trail: Trail = ()) -> None:
        """Add a problem with the value at *trail*, once for each place in the file.

        Many connections may use one YAML anchor: a mistake in it is reported once.
        """
        subject = ".".join(map(short, trail)) if place == NOWHERE else _subject(trail)
        text = f"{subject}: {message}" if subject else message
        once = (subject if place == NOWHERE else "", place, message)
        problem = FileProblem(self.path, *place, text)
        self._problems[once] = min(problem, self._problems.get(once, problem))

    def key_place(self, trail: Trail) -> Place:
        """Return the place of the last key of *trail*."""
        return self._places(trail)[0]

    def value_place(self, trail: Trail) -> Place:
        """Return the place of the value at *trail*."""
        return self._places(trail)[1]

    def describe_place(self, place: Place) -> str:
        """Return how another problem's message refers to *place* in this file."""
        return self.path if place == NOWHERE else f"{self.path}, line {place[0]}, column {place[1]}"

    def _places(self, trail: Trail) -> tuple[Place, Place]:
        if not trail:
            return self.start, self.start
        parent = self.data
        for key in trail[:-1]:
            parent = parent[key]
        places: tuple[Place, Place] = parent.places.get(trail[-1], (NOWHERE, NOWHERE))
        return places


def split(trail: Trail) -> tuple[Trail, str]:
    """Split *trail* into its subject (connection, company, rule, defaults or file) and the key in it."""
    match trail:
        case ("companies" | "rules", _, "connections", _, *rest):
            return trail[:4], ".".join(rest)
        case ("companies" | "rules", _, *rest):
            return trail[:2], ".".join(rest)
        case ("defaults", *rest):
            return trail[:1], ".".join(rest)
        case _:
            return (), ".".join(trail)


def printable(text: str) -> str:
    """Return *text* in one line, control characters escaped, so that a terminal may show it."""
    return text if text.isprintable() else repr(text)[1:-1]


def short(text: str, most: int = LONGEST_QUOTE) -> str:
    """Return *text* made printable, and cut if it is longer than *most* characters."""
    return printable(text if len(text) <= most else text[:most] + "…")


def quoted(text: str) -> str:
    """Return *text* in quotes, escaped and cut."""
    return repr(text) if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]!r}…"


def describe_value(value: object) -> str:
    """Describe *value* in the words of somebody who wrote the file."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case str():
            return f"the text {quoted(value)}"
        case int() | float():
            return f"the number {value}"
        case UnsupportedValue(description):
            return description
        case _:
            return "a mapping"


def is_unquoted(value: object) -> bool:
    """Return whether *value* is what YAML made of an unquoted word, perhaps meant as text."""
    return value.unquoted if isinstance(value, UnsupportedValue) else isinstance(value, bool | int | float)


def _subject(trail: Trail) -> str:
    """Return the name by which a message refers to the subject of *trail*."""
    match [short(key) for key in split(trail)[0]]:
        case [_, company, _, connection]:
            return f"{company}/{connection}"
        case ["rules", rule]:
            return f"rule {rule}"
        case [_, company]:
            return f"company {company}"
        case [section]:
            return section
        case _:
            return ""
