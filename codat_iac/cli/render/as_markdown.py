"""Render reports in Markdown, for a comment on a pull request.

A comment has at most 60 kB for any plan, since GitHub takes 65,536 characters. Each table has a limit of rows
and bytes; rows that don't fit are counted. Changes that lose a customer's authorisation come first. Foreign
text is escaped, so it can't be markup, or mention or link anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from codat_iac.cli.render import words
from codat_iac.cli.render.words import Recorded, fit, sentence
from codat_iac.model import errors
from codat_iac.model.text import count
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import STEPS, Drifted, Plan, Problem, summary
from codat_iac.planning.plan.coverage import Coverage
from codat_iac.planning.rule_table import Action

MOST_BYTES = 60_000
"""The most bytes of a comment; the limits of the tables below add up to less."""

_LONGEST = 300
"""The most characters of a text that are shown."""

_MARKUP = re.compile(r"[\\`*_{}\[\]<>&|~#@$]|(?<![0-9]):(?=\S)|(?<=www)\.", re.IGNORECASE)
_CODE = re.compile(r"&#96;(.+?)&#96;")
_BREAK = "&#8203;"
"""A zero-width space, as Renovate and Dependabot use it to keep `@name` and `#1` from becoming links."""


@dataclass(frozen=True, slots=True)
class TableLimit:
    """The most rows, and bytes of rows, that a table shows."""

    rows: int
    size: int


_CHANGES = TableLimit(100, 16_000)
_COUNTED = TableLimit(25, 4_000)
_PROBLEMS = TableLimit(50, 7_000)
_WAITING = TableLimit(50, 7_000)
_UNMANAGED = TableLimit(50, 5_000)
_NOTES = TableLimit(20, 3_000)
_COVERAGE = TableLimit(100, 10_000)
_GROUPS = TableLimit(20, 2_000)
_ALONE = TableLimit(500, 50_000)
"""The limit of a table that is the whole report."""

_HALF = TableLimit(250, 25_000)
"""The limit of each of two tables that are the whole report."""


def plan(shown: Plan, now: datetime) -> str:
    """Return a plan in Markdown."""
    return _joined(
        "## codat-iac plan",
        escaped(words.stack_summary(shown)),
        f"**{summary(shown)}**",
        _alarm(shown),
        *_problems(shown.problems),
        *_changes(shown),
        _waiting(shown, now),
        _unmanaged(shown),
        *([] if shown.coverage is None else _coverage(shown.coverage, _GROUPS)),
        *_notes(shown),
        _cost(shown),
    )


def _cost(plan: Plan) -> str:
    cost = escaped(words.forecast(plan))
    return f"**{cost}**" if cost and words.over_quota(plan.calls) else cost


def _alarm(plan: Plan) -> str:
    if plan.refusal:
        return f"> [!CAUTION]\n> **Unsafe:** {_prose(plan.refusal, 600)}"
    return "> [!WARNING]\n> An apply ends authorisations of customers; see below." if plan.losses else ""


def _problems(problems: Sequence[Problem]) -> Iterator[str]:
    if problems:
        yield f"### Problems ({len(problems):,})"
        reasons = words.problems_by_reason(problems, words.MOST_OF_ONE_REASON)
        rows = (_row(escaped(addresses), _prose(text, 600)) for addresses, text in reasons)
        yield _cut(("Address", "Problem"), rows, len(reasons), _PROBLEMS)


def _changes(plan: Plan) -> Iterator[str]:
    if not plan.changes:
        return
    gravest = sorted(plan.changes, key=lambda change: not change.loses)
    rows = _rows_that_fit((_change(each, plan) for each in gravest), _CHANGES)
    yield f"### Changes ({len(gravest):,})"
    yield _table(("", "Step", "Address", "Platform", "Status", "Why, and what it leads to"), rows)
    if rest := gravest[len(rows) :]:
        yield f"And {count(len(rest), 'more change')}, by company:"
        yield _counted(rest)


def _change(change: Decision, plan: Plan) -> str:
    said = [escaped(text) for text in words.consequences(change)]
    if change.loses:
        said.insert(0, f"**{words.LOSES}**")
    said += [escaped(words.field_change(field)) for field in words.fields(change)]
    if change.connection_id is not None:
        said.append(f"connection {_cell(change.connection_id)}")
    address = "<br>".join(
        [_cell(change.address), *(escaped(name) for name in [words.company_names([change], plan)] if name)]
    )
    platform = escaped(words.platform(change.platform_key, plan))
    foreign = (address, platform, _cell(change.status))
    return _row(f"`{words.SIGNS[change.action]}`", change.action, *foreign, "<br>".join(said))


def _counted(changes: Sequence[Decision]) -> str:
    """Return a table of counts by company and step: the companies with the most changes, then the rest."""
    steps = [step for step in STEPS if any(change.action is step for change in changes)]
    groups = sorted(words.by_company(changes).items(), key=lambda group: -len(group[1]))
    losing = any(change.loses for change in changes)
    rows = _rows_that_fit((_counts(_cell(name), group, steps, losing) for name, group in groups), _COUNTED)
    if others := groups[len(rows) :]:
        rest = [change for _, group in others for change in group]
        rows.append(_counts(f"{len(others):,} more", rest, steps, losing))
    return _table(("Company", *steps, *(["LOSES"] if losing else [])), rows)


def _counts(name: str, changes: Sequence[Decision], steps: Sequence[Action], losing: bool) -> str:
    counted = Counter(change.action for change in changes)
    numbers = [counted[step] for step in steps] + ([sum(each.loses for each in changes)] if losing else [])
    return _row(name, *(f"{number:,}" if number else "" for number in numbers))


def _waiting(plan: Plan, now: datetime) -> str:
    waiting = plan.waiting
    if not waiting:
        return ""
    rows = (
        _row(
            _cell(each.address),
            escaped(words.platform(each.platform_key, plan)),
            _cell(each.status),
            words.age(each.since, now),
            _prose(words.statement(each)),
        )
        for each in words.newest_breaks_first(waiting, now)
    )
    table = _cut(("Address", "Platform", "Status", "Waiting", "Why"), rows, len(waiting), _WAITING)
    return _folded(
        f"Waits for a customer ({len(waiting):,}): {escaped(words.count_statuses(waiting), 200)}", table
    )


def _unmanaged(plan: Plan) -> str:
    unmanaged = plan.unmanaged
    if not unmanaged:
        return ""
    rows = (
        _row(
            escaped(words.company_of(each)),
            escaped(words.platform(each.platform_key, plan)),
            *map(_cell, (each.status, each.connection_id)),
        )
        for each in unmanaged
    )
    table = _cut(("Company", "Platform", "Status", "Connection"), rows, len(unmanaged), _UNMANAGED)
    return _folded(
        f"Not managed here ({len(unmanaged):,}): {escaped(words.count_statuses(unmanaged), 200)}", table
    )


def _notes(plan: Plan) -> Iterator[str]:
    if notes := words.notes(plan):
        yield _cut(("Notes",), (_row(_prose(note)) for note in notes), len(notes), _NOTES)


def coverage(found: Coverage, problems: Sequence[Problem]) -> str:
    """Return a coverage in Markdown, with the *problems* that the policy makes of it."""
    return _joined(
        "## codat-iac coverage",
        f"**{escaped(words.coverage_summary(found))}**",
        *_problems(problems),
        *_coverage(found, _COVERAGE),
    )


def _coverage(found: Coverage, limit: TableLimit) -> Iterator[str]:
    yield f"### Coverage of {words.coverage_companies(found)}"
    yield _table(("", "Connections", ""), (_row(*counted) for counted in words.coverage_counts(found)))
    for title, members in words.coverage_groups(found):
        rows = (_row(_cell(name), *words.tallied(tally)) for name, tally in members)
        yield _cut((title, *words.COVERAGE_HEADER[1:]), rows, len(members), limit)
    if found.uncovered:
        rows = (
            _row(
                each.kind,
                escaped(words.company_name(each)),
                *map(_cell, (each.platform_key, each.status, each.connection_id)),
            )
            for each in found.uncovered
        )
        table = _cut(("", "Company", "Platform", "Status", "Connection"), rows, len(found.uncovered), limit)
        number = len(found.uncovered)
        yield _folded(
            f"Not covered ({number:,}): {escaped(words.count_statuses(found.uncovered), 200)}", table
        )


def drift(
    drifted: Sequence[Drifted],
    progress: Sequence[Drifted] = (),
    failing: Sequence[Drifted] = (),
    of: Recorded | None = None,
    *,
    hint: bool = True,
) -> str:
    """Return the drift, the progress, and what has a status to be alerted of, in Markdown.

    *hint* says how to record it.
    """
    alert = f"> [!CAUTION]\n> {escaped(words.failing_summary(failing))}" if failing else ""
    return _joined(
        "## codat-iac drift",
        escaped(words.recorded_summary(of)),
        f"**{escaped(words.drift_summary(drifted, progress))}**",
        alert,
        _drifted(failing, _HALF) if failing else "",
        _drifted([*drifted, *progress], _HALF) if drifted or progress else "",
        _prose(words.ACKNOWLEDGE) if hint and (drifted or progress) else "",
    )


def _drifted(drifted: Sequence[Drifted], limit: TableLimit) -> str:
    rows = (
        _row(
            f"`{words.drift_sign(each)}`",
            *map(_cell, (each.address, each.platform_key, each.was, each.now, each.connection_id)),
        )
        for each in drifted
    )
    header = ("", "Address", "Platform", "Recorded", "Now", "Connection")
    return _cut(header, rows, len(drifted), limit)


def problems(found: Sequence[errors.FileProblem], checked: str, warnings: Sequence[str] = ()) -> str:
    """Return the problems that a check found, in Markdown."""
    rows = (_row(escaped(words.place(each)), _prose(each.message)) for each in found)
    table = _cut(("Where", "Problem"), rows, len(found), _ALONE) if found else ""
    told = _cut(("Warnings",), (_row(_prose(each)) for each in warnings), len(warnings), _NOTES)
    summary_ = f"**{escaped(words.problems_summary(found, checked))}**"
    return _joined("## codat-iac", summary_, table, told if warnings else "")


def escaped(text: str, longest: int = _LONGEST) -> str:
    """Return a text in one line, cut and escaped so that it is literal in Markdown and HTML.

    GitHub's flavour: https://github.github.com/gfm/#entity-and-numeric-character-references.
    """
    cut = text if len(text) <= longest else f"{text[:longest]}..."
    return _MARKUP.sub(_entity, cut)


def _entity(found: re.Match[str]) -> str:
    character = found.group()
    return f"&#{ord(character)};{_BREAK if character in '@#' else ''}"


def _cell(text: str) -> str:
    return escaped(fit(text))


def _prose(text: str, longest: int = _LONGEST) -> str:
    """Escape a sentence of ours, with text between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escaped(sentence(text), longest))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(header: Sequence[str], rows: Iterable[str]) -> str:
    return "\n".join([_row(*header), _row(*("---" for _ in header)), *rows])


def _cut(header: Sequence[str], rows: Iterable[str], number: int, limit: TableLimit) -> str:
    """Return a table of the rows that fit into *limit*, and count the rest."""
    shown = _rows_that_fit(rows, limit)
    rest = number - len(shown)
    return _joined(_table(header, shown), f"and {rest:,} more" if rest else "")


def _rows_that_fit(rows: Iterable[str], limit: TableLimit) -> list[str]:
    shown: list[str] = []
    left = limit.size
    for row in rows:
        left -= len(row.encode(errors="replace")) + 1
        if left < 0 or len(shown) == limit.rows:
            break
        shown.append(row)
    return shown


def _folded(title: str, content: str) -> str:
    return _joined(f"<details><summary>{title}</summary>", content, "</details>")


def _joined(*blocks: str) -> str:
    return "\n\n".join(block for block in blocks if block)
