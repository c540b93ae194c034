"""Deliberate faults: which requests fail, how, and how often.

A list of `{"on": "POST /companies/*/connections", "do": "status", "status": 503, "times": 2}`. `on` is a
method (or `*`) and a path, in which `*` stands for one part and `**` for any number. The first fault that
matches, and isn't used up, hits the request; but `skip` lets the first ones pass, and `probability` some.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

KINDS: Final[Mapping[str, str]] = {
    "status": "answer with `status` and do nothing",
    "status-after-commit": "do it, then answer with `status`",
    "reset-before": "a TCP reset, nothing done",
    "reset-after-commit": "do it, then a TCP reset",
    "delay": "wait `seconds`, then do it, even if the client has left",
    "delay-after-commit": "do it, then wait `seconds` before the answer",
    "truncate": "do it, and send half of the answer",
    "html": "a page, as from a proxy, with `status` (default 200) and nothing done",
    "html-after-commit": "do it, then such a page",
    "slow-body": "do it, and send the answer in drips over `seconds`",
}
"""The kinds of faults (`do`), each with an explanation."""

_FIELDS: Final = ("on", "do", "status", "headers", "body", "seconds", "times", "skip", "probability", "seed")
_ON: Final = re.compile(r"([A-Z]+|\*) (/\S*)")
_GLOB: Final = re.compile(r"(\*\*|\*)")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")


class UnknownFaultError(ValueError):
    """An invalid fault; the text says what is valid."""


@dataclass(slots=True)
class Fault:
    """One fault; `hits` is how often it has struck, `seen` how many requests have matched."""

    on: str
    do: str
    status: int
    headers: Mapping[str, str | None]
    body: Any
    seconds: float
    times: int | None
    skip: int
    probability: float
    seed: int
    hits: int = 0
    seen: int = 0
    _dice: random.Random = field(init=False, repr=False)
    _path: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - reproducible, not secret
        parts = (_glob(part) for part in _GLOB.split(self.on.partition(" ")[2]))
        self._path = re.compile("".join(parts))

    def strikes(self, method: str, path: str) -> bool:
        """Return whether the fault hits this request, and count it."""
        wanted = self.on.partition(" ")[0]
        if wanted not in {"*", method} or not self._path.fullmatch(path):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.seen += 1
        hit = self.seen > self.skip and self._dice.random() < self.probability
        self.hits += hit
        return hit

    @property
    def json(self) -> dict[str, Any]:
        """The fault as it was given, and `hits`."""
        return {name: getattr(self, name) for name in (*_FIELDS, "hits")}


@dataclass(slots=True)
class Faults:
    """The active faults."""

    faults: list[Fault] = field(default_factory=list)

    def pick(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request, None if there is none, and count it."""
        return next((fault for fault in self.faults if fault.strikes(method, path)), None)


def read_faults(data: object) -> list[Fault]:
    """Return the faults in JSON data. Raises `UnknownFaultError` for the first mistake."""
    if not isinstance(data, list):
        raise UnknownFaultError('faults are a list, such as [{"on": "GET /companies", "do": "reset-before"}]')
    return [_fault(each) for each in data]


def _fault(data: object) -> Fault:
    if not isinstance(data, dict) or not isinstance(data.get("on"), str) or not _ON.fullmatch(data["on"]):
        raise UnknownFaultError(
            'a fault is an object with `on`, a method and a path: "POST /companies/*/connections"'
        )
    if data.get("do") not in KINDS:
        raise UnknownFaultError(f"`do` can't be {data.get('do')!r}; it can be: {', '.join(KINDS)}")
    unknown = sorted(set(data) - set(_FIELDS) - {"hits"})
    if unknown:
        raise UnknownFaultError(f"a fault has no {unknown[0]!r}; it has: {', '.join(_FIELDS)}")
    headers = data.get("headers") or {}
    if not isinstance(headers, dict) or not all(_is_header(*each) for each in headers.items()):
        raise UnknownFaultError("`headers` is an object of texts of one line; null takes a header away")
    default = 200 if data["do"].startswith("html") else 500
    return Fault(
        on=data["on"],
        do=data["do"],
        status=int(_number(data, "status", default, 200, 599)),
        headers=headers,
        body=data.get("body"),
        seconds=_number(data, "seconds", 1, 0, 3600),
        times=int(_number(data, "times", 1, 0, 1_000_000)) if data.get("times") is not None else None,
        skip=int(_number(data, "skip", 0, 0, 1_000_000)),
        probability=_number(data, "probability", 1, 0, 1),
        seed=int(_number(data, "seed", 0, 0, 2**63)),
    )


def _is_header(name: str, text: object) -> bool:
    valid = text is None or (isinstance(text, str) and text.isprintable())
    return valid and bool(_HEADER.fullmatch(name))


def _number(data: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = data.get(name)
    if value is None:
        return default
    if type(value) not in {int, float} or not least <= value <= most:
        raise UnknownFaultError(f"`{name}` can't be {value!r}; it is a number from {least:g} to {most:g}")
    return float(value)


def _glob(part: str) -> str:
    return {"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part)
