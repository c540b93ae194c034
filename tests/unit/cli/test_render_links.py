"""The links, which are secrets: as a table, a sheet and a page."""

from __future__ import annotations

import csv
import io

import pytest

from codat_iac.cli import render
from codat_iac.cli.render.as_csv import HEADER
from tests.support.samples import HOSTILE, NOW, URL, a_link

NAMES = ["Acme Ltd", "", "x" * 200, "Müller 漢字 👍", HOSTILE, 'a "quoted", name', "=1+1"]


def rows(text: str) -> list[list[str]]:
    """The rows of a sheet."""
    return list(csv.reader(io.StringIO(text)))


def test_the_table_reads_like_this() -> None:
    """A header, a row for each, the link last and whole, and what to mind."""
    links = [a_link(1), a_link(2, company="Müller 漢字", status="Deauthorized", since="")]

    assert render.links(links, "text", NOW) == (
        "ADDRESS  COMPANY      PLATFORM  STATUS        WAITS   LINK\n"
        f"acme/c1  Acme Ltd     Xero      PendingAuth   3 days  {URL}\n"
        f"acme/c2  Müller 漢字  Xero      Deauthorized  -       {URL}\n"
        "\n"
        "2 connections wait for a customer.\n"
        "A link may work only once and expire within a day, some within an hour; whoever has it can"
        " authorise, so give it to its customer only."
    )


def test_a_table_without_rows_is_a_sentence() -> None:
    """Nobody waits."""
    assert render.links([], "text", NOW) == "No connection waits for its customer."


def test_the_stack_of_a_table_stands_above_it() -> None:
    """In a paragraph of its own."""
    first, empty, header, *_ = render.links(
        [a_link()], "text", NOW, of=render.Recorded("dev", 3)
    ).splitlines()

    assert (first, empty, header[:7]) == ("Stack dev: 3 connections recorded.", "", "ADDRESS")


def test_a_link_is_never_wrapped() -> None:
    """It would no longer be one."""
    rendered = render.links([a_link()], "text", NOW, width=40, color=True)

    assert URL in rendered
    assert rendered.startswith("\x1b[1mADDRESS  ")
    assert "A link may work only once and expire\n" in rendered


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_one_line_whatever_the_company_is_called(name: str) -> None:
    """And its link stands at the end of it."""
    lines = render.links([a_link(company=name), a_link(2)], "text", NOW).splitlines()

    assert lines[1].startswith("acme/c1  ")
    assert lines[1].endswith(f"  {URL}")
    assert len(lines) == 6


def test_the_sheet_has_a_header_and_a_row_for_each() -> None:
    """With everything there is; a date stays a date, for sorting."""
    text = render.links(
        [a_link(company_id="c", connection_id="d", platform_key="gbol"), a_link(2, company="", since="")],
        "csv",
        NOW,
    )

    assert rows(text) == [
        list(HEADER),
        ["acme/c1", "Acme Ltd", "Xero", "PendingAuth", "2026-11-21T11:00:00Z", URL, "c", "d", "gbol"],
        ["acme/c2", "", "Xero", "PendingAuth", "", URL, "", "", ""],
    ]


def test_a_sheet_without_rows_has_its_header() -> None:
    """What reads it needs no exception."""
    assert render.links([], "csv", NOW) == (
        "address,company,platform,status,since,url,companyId,connectionId,platformKey"
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_all_its_cells_whatever_the_company_is_called(name: str) -> None:
    """Quotes, commas and line breaks included; a long name is whole."""
    cells = rows(render.links([a_link(company=name)], "csv", NOW))[1]

    assert len(cells) == len(HEADER) == 9
    assert cells[5] == URL
    assert len(cells[1]) >= len(name.replace("\n", "")) - 3


@pytest.mark.parametrize("name", ["=HYPERLINK(0)", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "\x1b=1"])
def test_a_name_is_no_formula(name: str) -> None:
    """A sheet would run it."""
    cells = rows(render.links([a_link(company=name, url=name)], "csv", NOW))[1]

    assert cells[1].startswith("'")
    assert cells[5][0] in "'%"
