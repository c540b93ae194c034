"""Render a plan, coverage, drift, links or problems in one of several formats. Pure: no I/O, no clock.

```
words        text that all formats share; foreign text made safe to show
layout       columns, hanging indents and colours of a terminal
as_text  as_json  as_csv  as_markdown  as_html     one for each format
from_json    read back from JSON
```

`FORMATS` holds the formats of each report. Only `links` shows link URLs. The returned text doesn't end with a
line break.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from codat_iac.cli.render import as_csv, as_html, as_json, as_markdown, as_text
from codat_iac.cli.render.as_text import Terminal
from codat_iac.cli.render.from_json import parse_plan, parse_problems
from codat_iac.cli.render.words import Recorded
from codat_iac.model import errors
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.planning.plan import Drifted, Link, Plan, Problem
from codat_iac.planning.plan.coverage import Coverage

__all__ = [
    "FORMATS",
    "Output",
    "Recorded",
    "coverage",
    "drift",
    "links",
    "parse_plan",
    "parse_problems",
    "plan",
    "problems",
    "problems_of",
]


class Output(StrEnum):
    """The formats, as the values of `--output`."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"


_REPORT = (Output.TEXT, Output.JSON, Output.MARKDOWN, Output.HTML)

FORMATS: Mapping[str, tuple[Output, ...]] = {
    "plan": _REPORT,
    "coverage": _REPORT,
    "drift": _REPORT,
    "problems": _REPORT,
    "links": (Output.TEXT, Output.CSV, Output.JSON, Output.HTML),
}
"""The formats of each report. Links have no Markdown: they are secrets, and don't belong in a comment."""


def plan(
    shown: Plan,
    output: Output | str,
    now: datetime,
    *,
    width: int | None = None,
    color: bool = False,
    every: bool = False,
) -> str:
    """Return a plan in the format *output*.

    *now*, with a time zone, is the time from which ages are counted. The other arguments are for text only:
    *width* in columns wraps long sentences, *color* adds colours, and *every* names also connections that
    would only be counted. Raises `ConfigError` if a plan has no such format, as all functions here do.
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


def coverage(
    found: Coverage,
    wrong: Sequence[Problem],
    output: Output | str,
    now: datetime,
    *,
    width: int | None = None,
    color: bool = False,
    every: bool = False,
) -> str:
    """Return a coverage in the format *output*, with the problems that the policy makes of it.

    The other arguments are as in `plan`.
    """
    match _checked("coverage", output):
        case Output.JSON:
            return as_json.coverage(found, wrong, now)
        case Output.MARKDOWN:
            return as_markdown.coverage(found, wrong)
        case Output.HTML:
            return as_html.coverage(found, wrong, now)
        case _:
            return as_text.coverage(found, wrong, Terminal(width, color, every))


def drift(
    drifted: Sequence[Drifted],
    output: Output | str,
    now: datetime,
    *,
    progress: Sequence[Drifted] = (),
    failing: Sequence[Drifted] = (),
    acknowledging: bool = False,
    of: Recorded | None = None,
    width: int | None = None,
    color: bool = False,
) -> str:
    """Return the drift in the format *output*; the other arguments are as in `plan`.

    *progress* is what customers authorised since it was recorded, *failing* what has a status to be
    alerted of. *acknowledging* means that it is going to be recorded, so how to do that isn't said.
    """
    match _checked("drift", output):
        case Output.JSON:
            return as_json.drift(drifted, now, progress, failing, of)
        case Output.MARKDOWN:
            return as_markdown.drift(drifted, progress, failing, of, hint=not acknowledging)
        case Output.HTML:
            return as_html.drift(drifted, now, progress, failing, of, hint=not acknowledging)
        case _:
            return as_text.drift(
                drifted, Terminal(width, color), progress, failing, of, hint=not acknowledging
            )


def links(
    waiting: Sequence[Link],
    output: Output | str,
    now: datetime,
    *,
    of: Recorded | None = None,
    width: int | None = None,
    color: bool = False,
) -> str:
    """Return the links in the format *output*. They are secrets: never write them to a log."""
    match _checked("links", output):
        case Output.JSON:
            return as_json.links(waiting, now, of)
        case Output.CSV:
            return as_csv.links(waiting)
        case Output.HTML:
            return as_html.links(waiting, now, of)
        case _:
            return as_text.links(waiting, now, Terminal(width, color), of)


def problems(
    found: Sequence[errors.FileProblem],
    output: Output | str,
    now: datetime,
    *,
    checked: str = "",
    warnings: Sequence[str] = (),
    width: int | None = None,
    color: bool = False,
) -> str:
    """Return the problems that a check found, or that there are none.

    *checked* says what was checked, such as `12 connections`, and *warnings* are no problems; the other
    arguments are as in `plan`.
    """
    match _checked("problems", output):
        case Output.JSON:
            return as_json.problems(found, checked, now, warnings)
        case Output.MARKDOWN:
            return as_markdown.problems(found, checked, warnings)
        case Output.HTML:
            return as_html.problems(found, checked, now, warnings)
        case _:
            return as_text.problems(found, checked, Terminal(width, color), warnings)


def problems_of(error: CodatIacError) -> tuple[errors.FileProblem, ...]:
    """Return the problems that an error carries, or else its own text as a problem without a place."""
    carried = error.problems if isinstance(error, ConfigError) else ()
    return carried or (errors.FileProblem("", 0, 0, str(error)),)


def _checked(what: str, output: Output | str) -> Output:
    for known in FORMATS[what]:
        if known == output:
            return known
    raise ConfigError(f"{what}: no output {output!r}; choose {', '.join(FORMATS[what])}")
