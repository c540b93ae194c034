"""Show what was found and planned, in the format that was asked for. Pure: no I/O, no clock, no print.

```
words        what all formats say alike; foreign text made fit to be shown
layout       columns, hanging indents and colours of a terminal
as_text  as_json  as_csv  as_markdown  as_html     one for each format
saved        a plan as JSON, read back
```

`FORMATS` says which command has which formats. The links stand in `links` alone. What is returned ends
without a line break.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from codat_iac.cli.render import as_csv, as_html, as_json, as_markdown, as_text
from codat_iac.cli.render.as_text import Terminal
from codat_iac.cli.render.saved import parse_plan
from codat_iac.model import errors
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.planning.plan import Drifted, Link, Plan

__all__ = [
    "FORMATS",
    "Output",
    "drift",
    "links",
    "parse_plan",
    "plan",
    "problems",
    "problems_of",
]


class Output(StrEnum):
    """The formats, by the words of `--output`."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"


_REPORT = (Output.TEXT, Output.JSON, Output.MARKDOWN, Output.HTML)

FORMATS: Mapping[str, tuple[Output, ...]] = {
    "plan": _REPORT,
    "drift": _REPORT,
    "problems": _REPORT,
    "links": (Output.TEXT, Output.CSV, Output.JSON, Output.HTML),
}
"""What can be rendered, and in which formats. No Markdown for links: a comment is no place for secrets."""


def plan(
    shown: Plan,
    output: Output | str,
    now: datetime,
    *,
    width: int | None = None,
    color: bool = False,
    every: bool = False,
) -> str:
    """Show a plan.

    *now* (aware) is what ages are counted from. The rest is for text alone: *width* wraps long sentences,
    *color* colours, and *every* names also what else is only counted.
    """
    match _checked("plan", output):
        case Output.JSON:
            return as_json.plan(shown, now)
        case Output.MARKDOWN:
            return as_markdown.plan(shown, now)
        case Output.HTML:
            return as_html.plan(shown, now)
        case _:
            return as_text.plan(shown, now, Terminal(width, color, every))


def drift(
    drifted: Sequence[Drifted],
    output: Output | str,
    now: datetime,
    *,
    width: int | None = None,
    color: bool = False,
) -> str:
    """Show what somebody else moved."""
    match _checked("drift", output):
        case Output.JSON:
            return as_json.drift(drifted, now)
        case Output.MARKDOWN:
            return as_markdown.drift(drifted)
        case Output.HTML:
            return as_html.drift(drifted, now)
        case _:
            return as_text.drift(drifted, Terminal(width, color))


def links(
    waiting: Sequence[Link],
    output: Output | str,
    now: datetime,
    *,
    width: int | None = None,
    color: bool = False,
) -> str:
    """Show the links, which are secrets: for stdout or a file of the user's, never for a log."""
    match _checked("links", output):
        case Output.JSON:
            return as_json.links(waiting, now)
        case Output.CSV:
            return as_csv.links(waiting)
        case Output.HTML:
            return as_html.links(waiting, now)
        case _:
            return as_text.links(waiting, now, Terminal(width, color))


def problems(
    found: Sequence[errors.Problem],
    output: Output | str,
    now: datetime,
    *,
    checked: str = "",
    width: int | None = None,
    color: bool = False,
) -> str:
    """Show what a check found, or that nothing is wrong; *checked* says with what (`12 connections`)."""
    match _checked("problems", output):
        case Output.JSON:
            return as_json.problems(found, checked, now)
        case Output.MARKDOWN:
            return as_markdown.problems(found, checked)
        case Output.HTML:
            return as_html.problems(found, checked, now)
        case _:
            return as_text.problems(found, checked, Terminal(width, color))


def problems_of(error: CodatIacError) -> tuple[errors.Problem, ...]:
    """Give an error as problems: those that it carries, or its own text without a place."""
    carried = error.problems if isinstance(error, ConfigError) else ()
    return carried or (errors.Problem("", 0, 0, str(error)),)


def _checked(what: str, output: Output | str) -> Output:
    for known in FORMATS[what]:
        if known == output:
            return known
    raise ConfigError(f"{what}: no output {output!r}; choose {', '.join(FORMATS[what])}")
