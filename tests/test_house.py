"""The structure that nobody may lose: imports go down only, libraries have one home, contracts hold."""

from __future__ import annotations

import ast
import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from codat_iac.cli import COMMANDS
from codat_iac.provider import ConnectionProvider

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "codat_iac"

FLOORS = (
    {"errors", "model", "pace", "foreign", "locks"},  # words
    {"wire", "naming", "matching", "limits", "moves"},
    {"rules", "settings", "answers"},
    {"props", "notices"},
    {"decision", "record"},
    {"beside", "plan"},
    {"deciding", "run_state", "render", "desired"},  # no effects up to here, but for the files of `desired`
    {"deadline"},  # effects
    {"transport"},
    {"client"},
    {"snapshot", "losses", "posting"},
    {"foresight", "discovery", "coming_losses"},
    {"operations"},
    {"drafting", "handover"},
    {"planning"},
    {"host", "own_record"},  # the Pulumi door
    {"provider"},
    {"resources"},
    {"program"},
    {"engine", "emulator"},  # tools
    {"stack"},  # the command-line door
    {"running"},
    {"importing", "applying"},
    {"cli"},
)
"""The house, ground floor first: a room uses only what is below it. A package is one room."""

HOMES = {
    "requests": {"deadline", "transport"},
    "urllib3": {"deadline", "transport"},
    "yaml": {"desired"},
    "jsonschema": {"desired"},
    "jinja2": {"render", "emulator"},
    "aiohttp": {"emulator"},
    "deepdiff": {"applying"},
    "pulumi": {
        "provider",
        "resources",
        "program",
        "host",
        "own_record",
        "running",
        "applying",
        "importing",
        "engine",
    },
    "grpc": {"host", "own_record", "engine"},
    "google": {"own_record", "engine"},
    "click": {"cli"},
}
"""Who may import a library."""

WRITERS = {"posting", "operations", "provider"}
"""Who may know the client that can change something; everybody else has a `Reader`."""


def rooms() -> dict[str, list[Path]]:
    """The modules and packages by name, `__init__` and `__main__` of the package itself left out."""
    found: dict[str, list[Path]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).parts
        name = parts[0].removesuffix(".py")
        if not name.startswith("__"):
            found.setdefault(name, []).append(file)
    return found


def imports(file: Path) -> Iterator[str]:
    """The full names of what a file imports, inside functions too; not what only a type checker sees."""
    tree = ast.parse(file.read_text())
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module == "codat_iac":
            yield from (f"codat_iac.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


def test_every_room_has_its_floor() -> None:
    """A new module says where it stands."""
    assert set(rooms()) == set().union(*FLOORS)


@pytest.mark.parametrize("room", sorted(rooms()))
def test_imports_go_down_only(room: str) -> None:
    """No room imports one of its own floor or above."""
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    used = {
        name.split(".")[1]
        for file in rooms()[room]
        for name in imports(file)
        if name.startswith("codat_iac.") and name.split(".")[1] in floor
    }

    assert [below for below in used - {room} if floor[below] >= floor[room]] == []


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_has_one_home(library: str) -> None:
    """What a library does is asked of the room that has it."""
    users = {
        room
        for room, files in rooms().items()
        for file in files
        if any(name.split(".")[0] == library for name in imports(file))
    }

    assert users <= HOMES[library]


def test_what_plans_knows_no_client_that_writes() -> None:
    """A plan that changes nothing is then no promise but a fact."""
    users = {
        room
        for room, files in rooms().items()
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "codat_iac.client"
        if "Client" in {alias.name for alias in node.names}
    }

    assert users == WRITERS


def test_the_provider_is_pickled_by_its_name() -> None:
    """Every state holds it: what is pickled is where it is found, and nothing of it."""
    pickled = base64.b64decode(serialize_provider(ConnectionProvider()))

    assert b"codat_iac.provider" in pickled
    assert b"ConnectionProvider" in pickled
    assert len(pickled) < 80
    assert vars(ConnectionProvider()) == {}


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
