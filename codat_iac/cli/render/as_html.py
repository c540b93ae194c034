"""Render reports as HTML pages: one file that loads nothing, for light and dark mode and for print.

A page also works without scripts. Names and statuses come from outside and may hold anything. So every page
is rendered with autoescape, and its Content-Security-Policy allows only the page's own script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from codat_iac.cli.render import words
from codat_iac.cli.render.words import Recorded
from codat_iac.model import errors
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import STEPS, Drifted, Link, Plan, Problem, summary
from codat_iac.planning.plan.coverage import Coverage

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_CODE = re.compile(r"`([^`<>]+)`")
_SCHEMES = ("https://", "http://")
_LOSSES = "losses"
"""The one filter chip that isn't for a step."""


def plan(shown: Plan, now: datetime) -> str:
    """Return a plan as a page; nothing is cut."""
    return _page(
        "plan.html",
        now,
        plan=shown,
        headline=_headline(summary(shown)),
        chips=_chips(shown),
        companies=words.by_company(shown.changes),
        problems=words.problems_by_reason(shown.problems, len(shown.problems)),
        waiting=words.newest_breaks_first(shown.waiting, now),
        notes=words.notes(shown),
        forecast=words.forecast(shown),
        over_quota=words.over_quota(shown.calls) and bool(shown.changes),
    )


def _headline(text: str) -> tuple[str, str]:
    """Split a summary of several sentences into the first one and the rest."""
    first, stop, rest = text.partition(". ")
    return (f"{first}.", rest) if stop else (text, "")


def _chips(plan: Plan) -> list[tuple[str, str, int]]:
    """Return the chips by which changes can be filtered: key, sign and number of changes."""
    counts = plan.counts
    steps = [(step.value, words.SIGNS[step], counts[step]) for step in STEPS if counts[step]]
    losing = sum(change.loses for change in plan.changes)
    return [*steps, (_LOSSES, "!", losing)] if losing else steps


def coverage(found: Coverage, wrong: Sequence[Problem], now: datetime) -> str:
    """Return a coverage as a page, with the problems that the policy makes of it."""
    return _page(
        "coverage.html",
        now,
        found=found,
        summary=words.coverage_summary(found),
        problems=words.problems_by_reason(wrong, len(wrong)),
    )


def drift(
    drifted: Sequence[Drifted],
    now: datetime,
    progress: Sequence[Drifted] = (),
    failing: Sequence[Drifted] = (),
    of: Recorded | None = None,
    *,
    hint: bool = True,
) -> str:
    """Return the drift, the progress, and what has a status to be alerted of, as a page.

    *hint* says how to record it.
    """
    return _page(
        "drift.html",
        now,
        moved=[*drifted, *progress],
        failing=failing,
        summary=words.drift_summary(drifted, progress),
        of=of,
        hint=hint,
    )


def links(waiting: Sequence[Link], now: datetime, of: Recorded | None = None) -> str:
    """Return the links as a page, by company, for the people who send them to their customers."""
    return _page("links.html", now, companies=words.by_company(waiting), number=len(waiting), of=of)


def problems(
    found: Sequence[errors.FileProblem], checked: str, now: datetime, warnings: Sequence[str] = ()
) -> str:
    """Return the problems that a check found, as a page."""
    summary_ = words.problems_summary(found, checked)
    return _page("problems.html", now, problems=found, summary=summary_, warnings=warnings)


def _kinds(change: Decision) -> str:
    return f"{change.action} {_LOSSES}" if change.loses else change.action


def _href(url: str) -> str:
    """Return a URL that a browser may follow, "" for any other such as `javascript:`."""
    link = words.safe_url(url)
    return link if link.lower().startswith(_SCHEMES) else ""


def _prose(text: str) -> Markup:
    """Return a sentence as safe HTML, with text between backticks as code."""
    from markupsafe import Markup, escape  # noqa: PLC0415

    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(words.sentence(text)))))  # noqa: S704  escaped


def _page(template: str, now: datetime, **rest: Any) -> str:
    return _templates().get_template(template).render(now=now, **rest).rstrip("\n")


@cache
def _templates() -> Environment:
    # Slow to import, and few runs ask for a page.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("codat_iac.cli.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("style.css", "script.js"):
        source = environment.get_template(name).render()
        variable = name.partition(".")[0]
        environment.globals[variable] = Markup(source)  # noqa: S704  it is ours
        environment.globals[f"{variable}_hash"] = _hash(source)
    environment.globals["words"] = words
    environment.filters |= {
        "fit": words.fit,
        "prose": _prose,
        "href": _href,
        "kinds": _kinds,
    }
    return environment


def _hash(source: str) -> str:
    """Return a source's hash for a Content-Security-Policy.

    See https://www.w3.org/TR/CSP3/#grammardef-hash-source.
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
