"""One desired-state file: its data, the place of every key and value, and its problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from codat_iac.model.errors import Problem

Place = tuple[int, int]
"""Line and column, counted from 1."""

NOWHERE: Place = (0, 0)
"""The place of what Python code returned."""

Trail = tuple[str, ...]
"""The keys that lead to a value: `("companies", "acme", "id")`."""

LONGEST_QUOTE = 60
"""Characters of a user's value that a message repeats."""


class Mapping(dict[str, Any]):
    """A mapping that knows its own place, and the places of its keys and values."""

    __slots__ = ("incomplete", "place", "places")

    def __init__(self, place: Place = NOWHERE) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, tuple[Place, Place]] = {}
        self.incomplete = False
        """Some of it could not be read, so what seems to be missing may be there."""

    def __repr__(self) -> str:
        return "a mapping"  # jsonschema formats every value that it refuses: keep that cheap


@dataclass(frozen=True, slots=True)
class Odd:
    """A value that no desired state has: a list, a date, an object of Python's."""

    description: str
    unquoted: bool = False
    """In quotes it would be text."""
    items: list[Any] | None = field(default=None, repr=False, compare=False)
    """What a list holds."""


REPORTED = Odd("")
"""A value that couldn't be read and has its problem already."""


class Document:
    """One file, as its user calls it."""

    def __init__(self, path: str) -> None:
        self.path = printable(path)
        self.data: Any = REPORTED
        self.start = NOWHERE
        self._problems: dict[tuple[str, Place, str], Problem] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with this file, as far as it is known by now."""
        return tuple(self._problems.values())

    def report(self, message: str, place: Place = NOWHERE, trail: Trail = ()) -> None:
        """Add a problem with the thing at *trail*, once for each place in the file.

        An anchor may be used by many connections: a mistake in it is still one mistake.
        """
        subject = ".".join(map(short, trail)) if place == NOWHERE else _subject(trail)
        text = f"{subject}: {message}" if subject else message
        once = (subject if place == NOWHERE else "", place, message)
        problem = Problem(self.path, *place, text)
        self._problems[once] = min(problem, self._problems.get(once, problem))

    def key_place(self, trail: Trail) -> Place:
        """Where the last key of *trail* stands."""
        return self._places(trail)[0]

    def value_place(self, trail: Trail) -> Place:
        """Where the value at *trail* stands."""
        return self._places(trail)[1]

    def spot(self, place: Place) -> str:
        """What another problem calls this place."""
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
    """What *trail* is about (a connection, a company, the defaults or the file), and its key there."""
    match trail:
        case ("companies", _, "connections", _, *rest):
            return trail[:4], ".".join(rest)
        case ("companies", _, *rest):
            return trail[:2], ".".join(rest)
        case ("defaults", *rest):
            return trail[:1], ".".join(rest)
        case _:
            return (), ".".join(trail)


def printable(text: str) -> str:
    """*text* as a terminal may show it: in one line, control characters escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


def short(text: str, most: int = LONGEST_QUOTE) -> str:
    """*text*, printable, and cut where it is longer than *most*."""
    return printable(text if len(text) <= most else text[:most] + "…")


def quoted(text: str) -> str:
    """*text* in quotes, escaped and cut."""
    return repr(text) if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]!r}…"


def found(value: object) -> str:
    """What *value* is, in the words of somebody who wrote the file."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case str():
            return f"the text {quoted(value)}"
        case int() | float():
            return f"the number {value}"
        case Odd(description):
            return description
        case _:
            return "a mapping"


def is_unquoted(value: object) -> bool:
    """Whether *value* is what YAML made of a word that was perhaps meant as text."""
    return value.unquoted if isinstance(value, Odd) else isinstance(value, bool | int | float)


def _subject(trail: Trail) -> str:
    """What a message calls the thing that *trail* is about."""
    match [short(key) for key in split(trail)[0]]:
        case [_, company, _, connection]:
            return f"{company}/{connection}"
        case [_, company]:
            return f"company {company}"
        case [section]:
            return section
        case _:
            return ""
