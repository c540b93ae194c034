"""The pages: one file that loads nothing, runs nothing foreign, and holds everything."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given

from codat_iac.cli import render
from codat_iac.model.connection import Address
from codat_iac.model.errors import FileProblem
from codat_iac.planning.decision import Field
from codat_iac.planning.plan import Calls, Drifted, Plan
from codat_iac.planning.plan.coverage import Coverage
from tests.support.samples import (
    CALM,
    COVERED,
    DRIFTED,
    EVERYTHING,
    FORBIDDEN,
    HOSTILE,
    NOW,
    OTP,
    URL,
    a_change,
    a_link,
    many,
    plans,
)

VOID = {"meta", "input", "col", "br"}


class Page(HTMLParser):
    """What a browser makes of a page. Fails where the elements aren't closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.elements.append((tag, dict(attrs)))
        self.text += " " if tag in {"td", "th", "div", "br", "p", "h3"} else ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Read a text."""
        match self.open[-1:]:
            case ["script"]:
                self.scripts.append(data)
            case ["style"]:
                self.styles.append(data)
            case _:
                self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self) -> str:
        """What stands on it, in one line."""
        return " ".join(self.text.split())


PAGES = {
    "plan": render.plan(EVERYTHING, "html", NOW),
    "empty plan": render.plan(Plan(), "html", NOW),
    "plan with coverage": render.plan(dataclasses.replace(EVERYTHING, coverage=COVERED), "html", NOW),
    "coverage": render.coverage(COVERED, FORBIDDEN, "html", NOW),
    "empty coverage": render.coverage(Coverage(), (), "html", NOW),
    "drift": render.drift(DRIFTED, "html", NOW),
    "no drift": render.drift([], "html", NOW),
    "links": render.links([a_link(1), a_link(2, address="beta/x")], "html", NOW),
    "no links": render.links([], "html", NOW),
    "problems": render.problems([FileProblem("a.yaml", 1, 2, "set `x`")], "html", NOW, checked="1 file"),
    "no problems": render.problems([], "html", NOW),
}


def hashed(source: str) -> str:
    """A source as a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_loads_nothing(page: str) -> None:
    """It can be mailed, attached, or opened on a train."""
    parsed = Page(page)

    assert {tag for tag, _ in parsed.elements} & {"link", "img", "iframe", "object", "base", "form"} == set()
    assert all("src" not in attributes for _, attributes in parsed.elements)
    assert not re.search(r"@import|url\(", page)
    assert page.startswith("<!doctype html>\n<html lang=")


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_runs_its_own_script_and_no_other(page: str) -> None:
    """The policy names exactly the one script and the one style that stand in it."""
    parsed = Page(page)
    policy = str(parsed.all("meta")[1]["content"])

    assert len(parsed.scripts) == len(parsed.styles) == 1
    assert policy == (
        f"default-src 'none'; style-src {hashed(parsed.styles[0])}; script-src {hashed(parsed.scripts[0])};"
        " base-uri 'none'; form-action 'none'"
    )
    assert not any(name == "style" or name.startswith("on") for _, each in parsed.elements for name in each)


def test_the_page_of_a_plan_holds_all_of_it() -> None:
    """In the same words as the text."""
    words = Page(PAGES["plan"]).words()

    for said in (
        "Plan: 1 to create, 1 to adopt, 2 to move, 1 to update, 1 to unlink, 1 to replace, 2 to remove.",
        "1 of them comes in a second run. 3 customers would have to authorise again. 2 new connections will",
        "Stack dev: 12 connections declared, 14 recorded. An apply makes 15 calls (9 reads, 6",
        "Unsafe: would end 3 authorisations of 14 recorded connections",
        "If you mean it, set CODAT_MAX_LOSSES=3 for this run",
        "acme/gone there is nothing to unlink, since it doesn't exist; declare it Linked, or take it out",
        "-/+ replace beta/ledger Xero (gbol) Linked LOSES the customer's authorisation changed in",
        "connectionId: (none) → 00000000-0000-0000-0000-000000000016 platformKey: gbol → fztf connection",
        "acme/ledger Xero (gbol) Linked changed in your file; was acme/ledger-2; comes in a",
        "acme, Acme Ltd 8a210b68-6988-11ed-a1eb-0242ac120002",
        "Waits for a customer 3 1 Deauthorized, 1 PendingAuth, 1 Unlinked",
        "beta/c00001 suuo PendingAuth 3 days it waits for its customer to follow the link",
        "Not managed here 2 1 Linked, 1 PendingAuth",
        "Notes 1 acme/odd: its status is 'Migrating'",
        "Made at 11:05 UTC on 24 November 2026",
    ):
        assert said in words


def test_changes_can_be_filtered_by_what_they_are() -> None:
    """A chip for each step that occurs, and one for losses; a row says which it belongs to."""
    parsed = Page(PAGES["plan"])
    chips = [each["data-kind"] for each in parsed.all("button")]

    assert chips == ["create", "adopt", "move", "update", "unlink", "replace", "remove", "losses"]
    kinds = [each["data-kinds"] for each in parsed.all("tr") if "data-kinds" in each]
    assert kinds[-4:] == ["replace losses", "remove losses", "remove", "unlink losses"]


def test_a_plan_without_losses_has_no_chip_for_them() -> None:
    """There is nothing to filter by."""
    parsed = Page(render.plan(Plan(changes=(a_change(),)), "html", NOW))

    assert [each["data-kind"] for each in parsed.all("button")] == ["create"]


def test_without_scripts_nothing_is_offered_that_would_not_work() -> None:
    """The filter and the copying appear with the script; all rows are there without it."""
    for name in ("plan", "links"):
        parsed = Page(PAGES[name])
        filters = [each for each in parsed.all("div") if each.get("class") == "filter"]
        assert all("hidden" in each for each in filters)
        assert all("hidden" in each for each in parsed.all("button") if each["class"] == "copy")


def test_a_cost_over_the_quota_has_a_box() -> None:
    """The apply would stop half-way."""
    page = render.plan(Plan(changes=(a_change(),), calls=Calls(10, 10, 5)), "html", NOW)

    assert '<p class="box warn">An apply makes 20 calls (10 reads, 10 writes), MORE than the 5 left' in page


def test_ten_thousand_changes_are_all_there() -> None:
    """A page can be searched, so nothing is cut."""
    page = render.plan(many(), "html", NOW)

    assert page.count("<tr data-row data-kinds=") == 10_000
    assert len(page.encode()) < 8_000_000


def test_the_links_page_is_by_company_with_a_button_and_the_link_to_copy() -> None:
    """For the people who send them: who, which platform, why, since when."""
    links = [
        a_link(1),
        a_link(2, platform="Stripe", status="Deauthorized", since=""),
        a_link(3, address="beta/x", company="Müller & Söhne", status="Migrating"),
    ]
    parsed = Page(render.links(links, "html", NOW))
    words = parsed.words()

    assert [each["href"] for each in parsed.all("a")] == [URL] * 3
    assert {each["rel"] for each in parsed.all("a")} == {"noopener noreferrer"}
    assert words.count("Copy link") == 3
    assert words.count(URL) == 3
    assert "3 connections wait for a customer. Fetched at 11:05 UTC on 24 November 2026. A link may" in words
    assert "Acme Ltd acme Xero PendingAuth Acme Ltd acme/c1 · not connected yet · waiting for 3 days" in words
    assert "Stripe Deauthorized Acme Ltd acme/c2 · access was lost Open link" in words
    assert "Müller & Söhne beta Xero Migrating Müller & Söhne beta/x · waiting for 3 days Open link" in words


@pytest.mark.parametrize("url", ["javascript:alert(1)", "JaVaScript://x", "data:text/html,x", "", "x", "//x"])
def test_what_is_no_link_is_no_button(url: str) -> None:
    """A browser would run it."""
    parsed = Page(render.links([a_link(url=url)], "html", NOW))

    assert parsed.all("a") == []
    assert "Codat gave no link for it." in parsed.words()


def test_an_emulators_link_is_a_button_too() -> None:
    """It is on this machine, without TLS."""
    parsed = Page(render.links([a_link(url=f' HTTP://127.0.0.1:80/x?otp={OTP}" onclick=1 ')], "html", NOW))

    assert parsed.all("a")[0]["href"] == f"HTTP://127.0.0.1:80/x?otp={OTP}%22%20onclick=1"
    assert "onclick" not in parsed.all("a")[0]


@pytest.mark.parametrize(
    "text", [HOSTILE, '"><img src=x onerror=alert(1)>', "</script><script>", "{{ 7*7 }}", "'"]
)
def test_a_hostile_text_is_only_a_text(text: str) -> None:
    """Wherever it stands: it makes no element, and is there to be read."""
    change = a_change(
        f"{text}/x", status=text, connection_id=text, moved_from=text, fields=(Field(text, text, text),)
    )
    waiting = tuple(dataclasses.replace(each, status=text, text=text) for each in EVERYTHING.waiting)
    pages = {
        "plan": render.plan(
            dataclasses.replace(
                EVERYTHING, changes=(change,), waiting=waiting, notes=(text,), refusal=text, problems=()
            ),
            "html",
            NOW,
        ),
        "drift": render.drift([Drifted(Address(text), text, text, text, text, text)], "html", NOW),
        "links": render.links([a_link(company=text, platform=text, status=text)], "html", NOW),
        "problems": render.problems([FileProblem(text, 1, 1, text)], "html", NOW, checked=text),
    }
    for name, page in pages.items():
        parsed = Page(page)
        assert {tag for tag, _ in parsed.elements} <= {tag for tag, _ in Page(PAGES[name]).elements} | {
            "code"
        }
        assert parsed.all("img") == []
        assert len(parsed.scripts) == 1
        assert "49" not in parsed.words()


@CALM
@given(plan=plans)
def test_the_page_of_any_plan_is_whole(plan: Plan) -> None:
    """Every element is closed, and every row is there."""
    parsed = Page(render.plan(plan, "html", NOW))

    rows = [each for each in parsed.all("tr") if "data-row" in each]
    found = plan.coverage or Coverage()
    covered = (*found.platforms, *found.statuses, *found.tags, *found.uncovered)
    assert len(rows) == len(plan.changes) + len(plan.waiting) + len(plan.unmanaged) + len(covered)
    assert len(parsed.scripts) == 1


def test_on_a_phone_a_row_is_a_block_and_nothing_is_off_the_screen() -> None:
    """What a change loses stands in the last cell; looked at with 400 px in Chromium."""
    narrow = PAGES["plan"].partition("@media (max-width: 44rem)")[2].partition("@media print")[0]

    assert "table, tbody, tr, tr.company th { display: block; }" in narrow
    assert "min-width" not in narrow
    assert "overflow-x" not in narrow
