"""Markdown: fits a comment on a pull request, whatever the plan, and means itself."""

from __future__ import annotations

import dataclasses
import html
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from codat_iac.cli import render
from codat_iac.cli.render import as_markdown
from codat_iac.cli.render.as_markdown import MOST_BYTES, escaped
from codat_iac.cli.render.words import fit
from codat_iac.model.connection import Address
from codat_iac.model.errors import FileProblem
from codat_iac.planning.decision import Field
from codat_iac.planning.plan import Calls, Drifted, Plan, Problem, Unmanaged
from codat_iac.planning.rule_table import Action
from tests.support.samples import (
    CALM,
    DRIFTED,
    EVERYTHING,
    HOSTILE,
    NOW,
    a_change,
    a_waiting,
    an_unmanaged,
    many,
    plans,
)

OURS = {
    "h2",
    "h3",
    "p",
    "strong",
    "code",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "br",
    "blockquote",
} | {
    "details",
    "summary",
}


class Page(HTMLParser):
    """What a browser makes of a comment: its elements, their attributes, and the cells' texts."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.text = ""
        github = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
        self.feed(github.render(markdown))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data
        if self.cells:
            self.cells[-1] += data


def shown(text: str) -> str:
    """A text as a reader sees it, without the spaces of no width."""
    return text.replace("\u200b", "").strip()


def test_a_plan_reads_like_this() -> None:
    """The gravest first; what waits and what isn't ours is folded."""
    rendered = render.plan(EVERYTHING, "markdown", NOW)

    assert rendered.startswith(
        "## codat-iac plan\n\nStack dev: 12 connections declared, 14 recorded.\n\n**Plan: 1 to create, "
    )
    assert "> [!CAUTION]\n> **Unsafe:** would end 3 authorisations of 14 recorded connections (" in rendered
    assert (
        "| acme/gone | there is nothing to unlink, since it doesn't exist; declare it <code>Linked</code>, or"
    ) in rendered
    assert (
        "### Changes (9)\n\n"
        "|  | Step | Address | Platform | Status | Why, and what it leads to |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| `-/+` | replace | beta/ledger<br>Acme Ltd | Xero (gbol) | Linked | **LOSES the customer's"
        " authorisation**<br>changed in your file, and changed in Codat<br>the old one is unlinked<br>"
        "then waits for its customer<br>connectionId: (none) -&#62; "
        "00000000-0000-0000-0000-000000000016<br>platformKey: gbol -&#62; fztf<br>"
        "connection 00000000-0000-0000-0000-000000000015 |\n"
        "| `-` | remove | beta/old<br>Acme Ltd | suuo | Linked | **LOSES the customer's authorisation**<br>"
        "no longer in your file<br>the connection is deleted<br>"
        "connection 00000000-0000-0000-0000-000000000017 |\n"
    ) in rendered
    assert (
        "| `+` | create | acme/shop<br>Acme Ltd | fztf | absent | new in your file<br>then waits for its"
        " customer |\n"
    ) in rendered
    assert (
        "| `~` | move | acme/ledger<br>Acme Ltd | Xero (gbol) | Linked | changed in your file<br>"
        "was acme/ledger-2<br>comes in a second run, since its name is taken until then<br>"
        "connection 00000000-0000-0000-0000-00000000000e |\n"
    ) in rendered
    assert (
        "<details><summary>Waits for a customer (3): 1 Deauthorized, 1 PendingAuth, 1 Unlinked</summary>\n\n"
        "| Address | Platform | Status | Waiting | Why |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| beta/c00002 | suuo | Deauthorized | 2 hours | it waits for its customer to follow the link |\n"
    ) in rendered
    assert "<details><summary>Not managed here (2): 1 Linked, 1 PendingAuth</summary>" in rendered
    assert "| Notes |\n| --- |\n| acme/odd: its status is 'Migrating', which" in rendered
    assert rendered.endswith("986 are left of today's quota, which resets at 00:00 UTC on 25 November 2026.")


def test_a_plan_in_sync_is_two_lines() -> None:
    """A comment that says so is wanted all the same."""
    assert render.plan(Plan(), "markdown", NOW) == (
        "## codat-iac plan\n\n**No changes. What you declared is what there is.**"
    )


def test_losses_within_the_limit_are_a_warning() -> None:
    """And over the limit the refusal says it."""
    rendered = render.plan(dataclasses.replace(EVERYTHING, refusal=None), "markdown", NOW)

    assert "> [!WARNING]\n> An apply ends authorisations of customers; see below." in rendered
    assert "CAUTION" not in rendered


def test_a_cost_over_the_quota_is_bold() -> None:
    """The apply would stop half-way."""
    plan = Plan(changes=(a_change(),), calls=Calls(10, 10, 5))

    assert render.plan(plan, "markdown", NOW).endswith("MORE than the 5 left of today's quota.**")


def test_ten_thousand_changes_fit_and_all_are_counted() -> None:
    """The first hundred are named, losing ones before all others; the rest is counted by company and step."""
    plan = many()
    rendered = render.plan(plan, "markdown", NOW)
    page = Page(rendered)

    assert len(rendered.encode()) < MOST_BYTES
    assert "### Changes (10,000)" in rendered
    named = sum(line.startswith("| `") for line in rendered.splitlines())
    assert 50 < named <= 100
    assert f"And {10_000 - named:,} more changes, by company:" in rendered
    header = "| Company | create | adopt | move | update | unlink | replace | remove | LOSES |"
    counted = rendered.partition(header)[2].partition("<details>")[0].strip().splitlines()[1:]
    numbers = [[int(cell.replace(",", "") or 0) for cell in row.split(" | ")[1:-1]] for row in counted]
    assert len(counted) == 26
    assert counted[-1].startswith("| 3,309 more | ")
    assert sum(map(sum, numbers)) == 10_000 - named
    losing = [int(row.split(" | ")[-1].strip(" |").replace(",", "") or 0) for row in counted]
    assert sum(losing) == plan.losses - named
    assert "Waits for a customer (1,000): 1,000 PendingAuth" in rendered
    assert "and 950 more" in rendered
    assert page.elements <= OURS


def test_the_companies_with_the_most_are_named_and_all_others_in_one_row() -> None:
    """Where no change of the rest loses anything, there is no column for it."""
    changes = tuple(
        a_change(f"c{company:03}/x{number:03}")
        for company, times in enumerate([1] * 100 + [50] * 20)
        for number in range(times)
    )
    rendered = render.plan(Plan(changes=changes), "markdown", NOW)
    counted = rendered.partition("more changes, by company:\n\n")[2].split("\n\n")[0].splitlines()

    assert counted[:4] == ["| Company | create |", "| --- | --- |", "| c100 | 50 |", "| c101 | 50 |"]
    assert len(counted) == 22


def test_names_of_companies_take_no_more_room_than_there_is() -> None:
    """Where hundreds of characters leave room for one, the others are counted in one row."""
    changes = tuple(a_change(f"{'#' * 290}{company:05}/x") for company in range(400))
    rendered = render.plan(Plan(changes=changes), "markdown", NOW)

    assert len(rendered.encode()) < MOST_BYTES
    assert "\n| 395 more | 395 |" in rendered


HUGE = "#" * 400


@pytest.mark.parametrize("text", [HUGE, "@" * 400, "漢" * 400, "👍" * 400, "`x` " * 200, HOSTILE * 9])
def test_the_worst_of_plans_fits(text: str) -> None:
    """A thousand of everything, each text as long as it takes when it is escaped."""
    change = a_change(
        text,
        Action.REPLACE,
        platform_key=text,
        status=text,
        connection_id=text,
        removal=Action.UNLINK,
        later=True,
        moved_from=text,
        fields=tuple(Field(text, text, text) for _ in range(4)),
        losing=(text,),
    )
    small = [a_change(f"{text}{number}/x") for number in range(1000)]
    many_of = range(1_000)
    plan = Plan(
        changes=(*small, *(change for _ in many_of)),
        waiting=tuple(
            dataclasses.replace(a_waiting(number), status=f"{number}{text}", text=text * 3)
            for number in many_of
        ),
        unmanaged=tuple(Unmanaged(text, text, text, f"{number}{text}", text) for number in many_of),
        problems=tuple(Problem(text, text * 3) for _ in many_of),
        notes=tuple(text * 3 for _ in many_of),
        refusal=text * 5,
        calls=Calls(10, 10, 1, text),
    )

    assert len(render.plan(plan, "markdown", NOW).encode()) < MOST_BYTES


@pytest.mark.parametrize("text", [HUGE, "x"])
def test_the_other_reports_fit_too(text: str) -> None:
    """They are comments as well."""
    drifted = [Drifted(Address(text), text, text, text, text, text) for _ in range(10_000)]
    problems = [FileProblem(text, 1, 1, text) for _ in range(10_000)]
    for rendered in (
        render.drift(drifted, "markdown", NOW),
        render.problems(problems, "markdown", NOW, checked=text),
    ):
        assert len(rendered.encode()) < MOST_BYTES
        assert " more" in rendered


def test_drift_reads_like_this() -> None:
    """A table, and the sum above it."""
    assert render.drift(DRIFTED[:1], "markdown", NOW) == (
        "## codat-iac drift\n\n"
        "**Drift: 1 connection is not as recorded: 1 Linked -&#62; Deauthorized.**\n\n"
        "|  | Address | Platform | Recorded | Now | Connection |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| `~` | acme/bank | suuo | Linked | Deauthorized | 00000000-0000-0000-0000-00000000000b |\n\n"
        "To record this, so that it is no longer shown: <code>codat-iac drift --acknowledge</code>."
    )


def test_problems_read_like_this() -> None:
    """Where, and what."""
    assert render.problems([FileProblem("a.yaml", 2, 3, "acme/x: set `b`")], "markdown", NOW) == (
        "## codat-iac\n\n**1 problem.**\n\n"
        "| Where | Problem |\n| --- | --- |\n| a.yaml, line 2, column 3 | acme/x: set <code>b</code> |"
    )


@CALM
@given(text=st.text(max_size=40) | st.text("|`*_~[]()<>!#@$:\\&;-+.=1 awh/", max_size=40))
@example(HOSTILE)
@example("a|b")
@example("\\|")
@example("&amp; &#124;")
@example("<details>")
@example("www.example.org https://example.org mailto:a@b.c")
@example("![x](y) [z]: w")
@example("-- | --")
def test_any_text_in_a_cell_means_itself(text: str) -> None:
    """It is there as it was, in its own cell, and has made no element."""
    page = Page(f"| a | b |\n| --- | --- |\n| {escaped(fit(text))} | end |")

    assert page.elements <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert [shown(cell) for cell in page.cells][2:] == [shown(fit(text)), "end"]


@pytest.mark.parametrize("text", ["@admin", "a@b.c", "#12", "org/repo#12", "https://x.y", "www.x.y", "$a$"])
def test_nobody_is_called_and_nothing_is_linked(text: str) -> None:
    """GitHub looks for these in the text that a comment shows, or in the one that was written."""
    made = escaped(text)

    assert text not in made
    assert html.unescape(made).replace("\u200b", "") == text
    for sign in "@#":
        assert all(rest.startswith("\u200b") for rest in html.unescape(made).split(sign)[1:])


@CALM
@given(plan=plans)
def test_a_plan_of_any_texts_makes_no_elements_but_ours(plan: Plan) -> None:
    """Nor attributes: there is nothing to click and nothing to load."""
    page = Page(render.plan(plan, "markdown", NOW))

    assert page.elements <= OURS
    assert page.attributes == set()


def test_what_is_shown_of_a_text_is_bounded() -> None:
    """A name of a thousand characters says no more than one of three hundred."""
    assert escaped("x" * 1000) == "x" * 300 + "..."


def test_a_row_that_does_not_fit_ends_the_table() -> None:
    """It and those behind it are counted."""
    unmanaged = tuple(an_unmanaged(number, status="é" * 200) for number in range(50))
    rendered = render.plan(Plan(unmanaged=unmanaged), "markdown", NOW)

    assert rendered.count("| beta |") == 10
    assert "and 40 more" in rendered
    assert as_markdown.MOST_BYTES == 60_000
