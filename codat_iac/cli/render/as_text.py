"""Render reports as plain text, for a terminal and for `grep`: a line for each item, as in Terraform.

Without a width nothing is wrapped, and without colour there are no escape sequences, so piped output is
stable. Changes are always shown in full. Of the waiting and the unmanaged connections the first `MOST` are
named, what broke last first, and the rest is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from codat_iac.cli.render import layout, words
from codat_iac.cli.render.layout import Paint
from codat_iac.cli.render.words import Recorded, fit, sentence
from codat_iac.model import errors
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import Drifted, Link, Plan, Problem, summary
from codat_iac.planning.plan.coverage import Coverage, Uncovered
from codat_iac.planning.rule_table import Action

MOST = 20
_STYLES = {
    Action.CREATE: "green",
    Action.ADOPT: "green",
    Action.MOVE: "yellow",
    Action.UPDATE: "yellow",
    Action.UNLINK: "yellow",
    Action.REPLACE: "magenta",
    Action.REMOVE: "red",
}
_UNBROKEN_LOSES = words.LOSES.replace(" ", "\xa0")
_UNSAFE = "Unsafe: "
_DETAIL = " " * 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terminal:
    """How to show the text: `width` in columns (None: don't wrap), and whether with colours."""

    width: int | None = None
    color: bool = False
    every: bool = False
    """Whether to name all connections, however many there are."""


def plan(shown: Plan, now: datetime, terminal: Terminal) -> str:
    """Return a plan as text."""
    paint = layout.paint(terminal.color)
    groups = words.by_company(shown.changes)
    blocks = [
        paint(layout.hanging("", words.stack_summary(shown), terminal.width), "bold"),
        *(_company(name, changes, shown, terminal, paint) for name, changes in groups.items()),
        _waiting(shown, now, terminal, paint),
        _unmanaged(shown, terminal, paint),
        *([] if shown.coverage is None else _coverage(shown.coverage, terminal, paint)),
        _problems(shown.problems, terminal, paint),
        _notes(shown, terminal, paint),
        _closing(shown, terminal, paint),
    ]
    return "\n\n".join(block for block in blocks if block)


def _company(name: str, changes: list[Decision], plan: Plan, terminal: Terminal, paint: Paint) -> str:
    named = ", ".join(each for each in (fit(name), words.company_names(changes, plan)) if each)
    head = layout.hanging(f"{named} ", f"({words.company_ids(changes)})", terminal.width)
    lines = [paint(head, "bold")]
    rows = [(_cells(change, plan), _said(change)) for change in changes]
    for change, line in zip(changes, layout.rows_with_text(rows, terminal.width), strict=True):
        sign = f"  {words.SIGNS[change.action]} "
        whole = line.replace(_UNBROKEN_LOSES, paint(words.LOSES, "bold red"))
        lines.append(paint(sign, _STYLES[change.action]) + whole.removeprefix(sign))
        lines += _details(change, terminal, paint)
    return "\n".join(lines)


def _cells(change: Decision, plan: Plan) -> tuple[str, ...]:
    return (
        f"{words.SIGNS[change.action]:3}",
        change.action,
        fit(change.address),
        words.platform(change.platform_key, plan),
        fit(change.status),
    )


def _said(change: Decision) -> str:
    return "; ".join([*words.consequences(change), *([_UNBROKEN_LOSES] if change.loses else [])])


def _details(change: Decision, terminal: Terminal, paint: Paint) -> Iterator[str]:
    for field in words.fields(change):
        yield layout.hanging(_DETAIL, words.field_change(field), terminal.width)
    if change.connection_id is not None:
        connection = f"connection {fit(change.connection_id)}"
        yield paint(layout.hanging(_DETAIL, connection, terminal.width), "dim")


def _waiting(plan: Plan, now: datetime, terminal: Terminal, paint: Paint) -> str:
    waiting = plan.waiting
    if not waiting:
        return ""
    shown = _first(words.newest_breaks_first(waiting, now), terminal)
    rows = [
        (
            (
                fit(each.address),
                words.platform(each.platform_key, plan),
                fit(each.status),
                words.age(each.since, now),
            ),
            words.statement(each),
        )
        for each in shown
    ]
    title = f"Waits for a customer ({len(waiting):,}): {words.count_statuses(waiting)}"
    rest = _rest(len(waiting) - len(shown), terminal)
    return "\n".join([_title(title, terminal, paint), *layout.rows_with_text(rows, terminal.width), *rest])


def _unmanaged(plan: Plan, terminal: Terminal, paint: Paint) -> str:
    if not plan.unmanaged:
        return ""
    shown = _first(plan.unmanaged, terminal)
    rows = [
        (
            words.company_of(each),
            words.platform(each.platform_key, plan),
            fit(each.status),
            fit(each.connection_id),
        )
        for each in shown
    ]
    title = f"Not managed here ({len(plan.unmanaged):,}): {words.count_statuses(plan.unmanaged)}"
    named = layout.rows(rows, terminal.width)
    rest = _rest(len(plan.unmanaged) - len(shown), terminal)
    return "\n".join([_title(title, terminal, paint), *named, *rest])


def _title(title: str, terminal: Terminal, paint: Paint) -> str:
    return paint(layout.hanging("", title, terminal.width), "bold")


def _first(items: Sequence[T], terminal: Terminal) -> Sequence[T]:
    return items if terminal.every else items[:MOST]


def _rest(number: int, terminal: Terminal, command: str = "plan") -> list[str]:
    said = f"and {number:,} more; `codat-iac {command} --every` names all"
    return [layout.hanging("  ", said, terminal.width)] if number else []


def _problems(problems: Sequence[Problem], terminal: Terminal, paint: Paint) -> str:
    most = len(problems) if terminal.every else words.MOST_OF_ONE_REASON
    lines = [
        layout.hanging(f"  {addresses}: ", text, terminal.width)
        for addresses, text in words.problems_by_reason(problems, most)
    ]
    return _titled(f"Problems ({len(problems):,})", "bold red", lines, paint)


def _notes(plan: Plan, terminal: Terminal, paint: Paint) -> str:
    lines = [layout.hanging("  ", note, terminal.width) for note in words.notes(plan)]
    return _titled(f"Notes ({len(lines):,})", "bold", lines, paint)


def _titled(title: str, style: str, lines: Sequence[str], paint: Paint) -> str:
    return "\n".join([paint(title, style), *lines]) if lines else ""


def _closing(plan: Plan, terminal: Terminal, paint: Paint) -> str:
    lines = []
    if cost := layout.hanging("", words.forecast(plan), terminal.width):
        lines.append(paint(cost, "bold yellow") if words.over_quota(plan.calls) else cost)
    if plan.refusal:
        refused = layout.hanging(_UNSAFE, sentence(plan.refusal), terminal.width)
        lines.append(paint(_UNSAFE, "bold red") + refused.removeprefix(_UNSAFE))
    return "\n".join([*lines, paint(layout.hanging("", summary(plan), terminal.width), "bold")])


def coverage(found: Coverage, problems: Sequence[Problem], terminal: Terminal) -> str:
    """Return a coverage as text, with the *problems* that the policy makes of it."""
    paint = layout.paint(terminal.color)
    blocks = [*_coverage(found, terminal, paint), _problems(problems, terminal, paint)]
    closing = paint(layout.hanging("", words.coverage_summary(found), terminal.width), "bold")
    return "\n\n".join([*(block for block in blocks if block), closing])


def _coverage(found: Coverage, terminal: Terminal, paint: Paint) -> list[str]:
    counted = [
        f"  {line}"
        for line in layout.columns(
            [(kind, number, said) for kind, number, said in words.coverage_counts(found)]
        )
    ]
    blocks = ["\n".join([paint(f"Coverage of {words.coverage_companies(found)}", "bold"), *counted])]
    for title, rows in words.coverage_groups(found):
        shown = _first(rows, terminal)
        header = (title.upper(), *(name.upper() for name in words.COVERAGE_HEADER[1:]))
        cells = [(layout.shortened(name), *words.tallied(tally)) for name, tally in shown]
        head, *lines = layout.columns([header, *cells])
        rest = _rest(len(rows) - len(shown), terminal, "coverage")
        blocks.append("\n".join([paint(f"  {head}", "bold"), *(f"  {line}" for line in lines), *rest]))
    return [*blocks, _uncovered(found.uncovered, terminal, paint)]


def _uncovered(uncovered: Sequence[Uncovered], terminal: Terminal, paint: Paint) -> str:
    if not uncovered:
        return ""
    shown = _first(uncovered, terminal)
    rows = [
        (
            each.kind,
            layout.shortened(words.company_name(each)),
            fit(each.platform_key),
            fit(each.status),
            fit(each.connection_id),
        )
        for each in shown
    ]
    title = f"Not covered ({len(uncovered):,}): {words.count_statuses(uncovered)}"
    named = (f"  {line}" for line in layout.columns(rows))
    return "\n".join(
        [paint(title, "bold"), *named, *_rest(len(uncovered) - len(shown), terminal, "coverage")]
    )


def drift(
    drifted: Sequence[Drifted],
    terminal: Terminal,
    progress: Sequence[Drifted] = (),
    failing: Sequence[Drifted] = (),
    of: Recorded | None = None,
    *,
    hint: bool = True,
) -> str:
    """Return the drift, the progress, and what has a status to be alerted of, as text.

    *hint* says how to record it.
    """
    paint = layout.paint(terminal.color)
    closing = paint(layout.hanging("", words.drift_summary(drifted, progress), terminal.width), "bold")
    if hint and (drifted or progress):
        closing += "\n" + layout.hanging("", words.ACKNOWLEDGE, terminal.width)
    blocks = [_of(of, terminal, paint), "\n".join(_drifted([*drifted, *progress], terminal)), closing]
    if failing:
        alert = layout.hanging("", words.failing_summary(failing), terminal.width)
        blocks.append("\n".join([paint(alert, "bold red"), *_drifted(failing, terminal)]))
    return "\n\n".join(block for block in blocks if block)


def _drifted(drifted: Sequence[Drifted], terminal: Terminal) -> list[str]:
    rows = [
        (
            words.drift_sign(each),
            fit(each.address),
            fit(each.platform_key),
            words.status_change(each),
            fit(each.connection_id),
        )
        for each in drifted
    ]
    return layout.rows(rows, terminal.width)


def _of(of: Recorded | None, terminal: Terminal, paint: Paint) -> str:
    return paint(layout.hanging("", words.recorded_summary(of), terminal.width), "bold")


def links(waiting: Sequence[Link], now: datetime, terminal: Terminal, of: Recorded | None = None) -> str:
    """Return the links as a table, a row for each connection; a link is never wrapped."""
    paint = layout.paint(terminal.color)
    blocks = [_of(of, terminal, paint), _links(waiting, now, terminal, paint)]
    return "\n\n".join(block for block in blocks if block)


def _links(waiting: Sequence[Link], now: datetime, terminal: Terminal, paint: Paint) -> str:
    if not waiting:
        return paint(words.NO_LINKS, "bold")
    rows = [
        (
            fit(each.address),
            layout.shortened(fit(each.company)),
            fit(each.platform),
            fit(each.status),
            words.age(each.since, now),
            words.safe_url(each.url) or "-",
        )
        for each in waiting
    ]
    header = ("ADDRESS", "COMPANY", "PLATFORM", "STATUS", "WAITS", "LINK")
    head, *lines = layout.rows([header, *rows], terminal.width, indent="")
    closing = [words.links_summary(len(waiting)), layout.hanging("", words.KEEP_LINKS, terminal.width)]
    return "\n".join([paint(head, "bold"), *lines, "", *closing])


def problems(
    found: Sequence[errors.FileProblem], checked: str, terminal: Terminal, warnings: Sequence[str] = ()
) -> str:
    """Return the problems that a check found, one on each line, as in an error message."""
    paint = layout.paint(terminal.color)
    width = terminal.width
    lines = [
        layout.hanging(f"{where}: " if (where := words.place(each)) else "", sentence(each.message), width)
        for each in found
    ]
    lines += [layout.hanging("warning: ", sentence(each), width) for each in warnings]
    style = "bold red" if found else "bold"
    return "\n".join([*lines, paint(words.problems_summary(found, checked), style)])
