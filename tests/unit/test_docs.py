"""The docs: what they quote is what the code says, and the pages that the code writes are whole."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path
from types import ModuleType

import click
import pytest

from codat_iac.cli import COMMANDS, command
from codat_iac.model.connection import OnRemoval, Status
from tests.support import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))

_QUOTE = re.compile(r'\*\*"(.+?)"[.*]', re.DOTALL)
_VARIES = re.compile(r"acme/[a-z0-9-]+|…|\d+|`[^`]*`|\s+(?:and|,)\s+(?=acme)")


@cache
def texts() -> str:
    """All texts in the code, each on its own."""
    return "\n".join(
        " ".join(node.value.split())
        for file in (ROOT / "codat_iac").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def build() -> ModuleType:
    """The module that builds the site."""
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_quotes_the_code_says(page: Path) -> None:
    """But for names and numbers, which differ."""
    for quote in _QUOTE.findall(page.read_text(encoding="utf-8")):
        for part in _VARIES.split(" ".join(quote.split())):
            said = part.strip(" ,.;:")
            assert len(said) < 8 or said in texts(), (page.name, said)


def test_there_are_quotes_to_look_at() -> None:
    """Or the test above looks at nothing."""
    assert sum(len(_QUOTE.findall(page.read_text(encoding="utf-8"))) for page in PAGES) >= 5


def test_each_command_is_on_the_page_of_commands() -> None:
    """With its usage."""
    page = build().commands()

    assert [name for name in COMMANDS if f"## codat-iac {name}\n" not in page] == []
    assert "Usage: codat-iac engine install" in page


def test_the_rules_on_their_page_are_all() -> None:
    """Each row has a word for each status."""
    rows = [line for line in build().rules().splitlines() if line.startswith("|")]

    assert len(rows) == 2 + len((Status.LINKED, Status.UNLINKED)) + len(OnRemoval)
    assert {row.count("|") for row in rows} == {len(Status) + 4}
    assert "| **unlink** |" in rows[3]
    assert "| **delete** |" in rows[5]


def test_the_page_of_the_desired_state_has_each_member() -> None:
    """With what it means."""
    page = build().schema()

    for name in ("version", "companies", "platformKey", "onRemoval", "onExisting", "protect"):
        assert f"| `{name}` | " in page


def test_what_leads_out_of_the_site_is_text(tmp_path: Path) -> None:
    """Since the site doesn't have it."""
    build().lay_out(tmp_path / "docs")

    pages = {
        page.relative_to(tmp_path / "docs").as_posix(): page.read_text() for page in tmp_path.rglob("*.md")
    }
    assert {"reference/commands.md", "reference/rules.md", "reference/desired-state.md", "index.md"} <= set(
        pages
    )
    assert "CONTRIBUTING.md)" not in pages["architecture.md"]
    assert "](../identity.md)" in pages["how-to/when-it-refuses.md"]


def command_lines() -> list[tuple[str, str]]:
    """Each command of ours in the blocks of the docs, with the page's name."""
    pages = [*PAGES, ROOT / "README.md", ROOT / "examples/github-actions/README.md"]
    return [
        (page.name, line.strip().removeprefix("$ "))
        for page in pages
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("$ codat-iac ")
    ]


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_each_command_in_a_block_can_be_typed(page: str, line: str) -> None:
    """Its options exist, and take what they are given."""
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index("&")] if "&" in words else words
    current: click.Command = command
    context = click.Context(current, info_name="codat-iac")
    while isinstance(current, click.Group):
        found = current.get_command(context, words[0])
        assert found is not None, page
        context, current, words = click.Context(found, parent=context), found, words[1:]
    asked, rest, _ = current.make_parser(context).parse_args(list(words))

    assert rest == [], page
    for parameter in current.params:
        if isinstance(parameter, click.Option) and isinstance(parameter.type, click.Choice):
            value = asked.get(parameter.name or "")
            assert value is None or parameter.multiple or value in parameter.type.choices, page
