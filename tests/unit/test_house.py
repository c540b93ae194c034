"""The structure that nobody may lose, besides the contracts on imports in `.importlinter`."""

from __future__ import annotations

import ast
import base64
import re

from pulumi.dynamic.dynamic import serialize_provider

from codat_iac.cli import COMMANDS, module_name
from codat_iac.provider import ConnectionProvider
from tests.support import ROOT

PACKAGE = ROOT / "codat_iac"

WRITERS = {"reconcile/create_once.py", "reconcile/operations.py", "provider/__init__.py"}
"""Who may know the client that can change something; everybody else has a `Reader`."""


def test_what_plans_knows_no_client_that_writes() -> None:
    """A plan that changes nothing is then no promise but a fact."""
    users = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "codat_iac.codat.client"
        if "Client" in {alias.name for alias in node.names}
    }

    assert users - {"__init__.py"} == WRITERS


def test_the_provider_is_pickled_by_its_name() -> None:
    """Every state holds it: what is pickled is where it is found, and nothing of it."""
    pickled = base64.b64decode(serialize_provider(ConnectionProvider()))

    assert b"codat_iac.provider" in pickled
    assert b"ConnectionProvider" in pickled
    assert len(pickled) < 80
    assert vars(ConnectionProvider()) == {}


def test_a_command_has_a_module_of_its_name() -> None:
    """Nobody has to search for it."""
    modules = {file.stem for file in (PACKAGE / "cli/commands").glob("*.py")} - {"__init__"}

    assert modules == {module_name(command) for command in COMMANDS}


def test_a_room_has_at_most_ten_names() -> None:
    """More than that, nobody reads; but for the commands, whose names are known."""
    rooms = {PACKAGE, *(file.parent for file in PACKAGE.rglob("__init__.py"))} - {PACKAGE / "cli/commands"}
    for room in rooms:
        modules = {file.stem for file in room.glob("*.py") if not file.stem.startswith("__")}
        packages = {file.parent.name for file in room.glob("*/__init__.py")}
        assert len(modules | packages) <= 10, room


def test_a_map_of_a_room_names_what_is_there() -> None:
    """A room whose docstring has a map of it; what is left out there, nobody expects."""
    for room in {file.parent for file in PACKAGE.rglob("__init__.py")}:
        docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
        for line in docstring.partition("```\n")[2].partition("```")[0].splitlines():
            names = [each for each in re.split(r"\s{2,}", line, maxsplit=1)[0].split(", ") if each]
            assert [each for each in names if not list(room.glob(f"{each}*"))] == [], (room, line)


def test_what_is_not_covered_has_a_reason() -> None:
    """At most five lines are left out of the coverage, each saying why."""
    excluded = [
        line
        for file in PACKAGE.rglob("*.py")
        for line in file.read_text().splitlines()
        if "pragma: no cover" in line
    ]

    assert len(excluded) <= 5
    assert all(re.search(r"pragma: no cover\s+\S+", line) for line in excluded)


def test_every_command_is_in_the_readme() -> None:
    """A command that nobody can find is none."""
    readme = (ROOT / "README.md").read_text()

    assert [name for name in COMMANDS if f"codat-iac {name}" not in readme] == []


def test_each_test_that_is_named_is_there() -> None:
    """By the Makefile, mutation testing and the recipes: who moves a test, moves its name there."""
    for file in ("Makefile", "pyproject.toml", "CONTRIBUTING.md", ".importlinter"):
        named = re.findall(r"\btests/[\w/.-]*\w", (ROOT / file).read_text())
        assert [each for each in named if not (ROOT / each).exists()] == [], file
