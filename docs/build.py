"""Build the site: the pages of `docs/`, and those that the code writes (commands, desired state, rules).

python docs/build.py            # to build/site; any warning is an error
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from codat_iac.cli import COMMANDS
from codat_iac.cli import command as codat_iac
from codat_iac.model.connection import Status
from codat_iac.planning import rule_table

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "schemas" / "connections.schema.json"

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?![a-z-]+\.md|(?:how-to|reference|decisions)/)[^)]*\)")
"""A link from `docs/` to a file of the repository, which the site doesn't have."""


def lay_out(folder: Path) -> None:
    """Write all pages into *folder*, with `mkdocs.yml` beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    for source in (ROOT / "docs").rglob("*.md"):
        page = folder / source.relative_to(ROOT / "docs")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_OUTSIDE.sub(r"\1", source.read_text(encoding="utf-8")), encoding="utf-8")
    for name, text in (("commands", commands()), ("desired-state", schema()), ("rules", rules())):
        (folder / "reference" / f"{name}.md").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "mkdocs.yml", folder.parent)


def commands() -> str:
    """Return a page with the help of every command."""
    parts = ["# Commands", "Every command's `--help`, as it is.", *_help("codat-iac", codat_iac, None, 1)]
    return "\n\n".join(parts) + "\n"


def _help(name: str, command: click.Command, parent: click.Context | None, level: int) -> Iterator[str]:
    shown = name.rsplit(maxsplit=1)[-1]
    context = click.Context(
        command, parent=parent, info_name=shown, terminal_width=80, **command.context_settings
    )
    if level > 1:
        yield f"{'#' * level} {name}"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        names = list(COMMANDS) if level == 1 else command.list_commands(context)
        for each in names:
            inner = command.get_command(context, each)
            assert inner is not None
            yield from _help(f"{name} {each}", inner, context, level + 1)


def schema() -> str:
    """Return a page with each member of a desired-state file."""
    read = json.loads(SCHEMA.read_text(encoding="utf-8"))
    parts = ["# The desired state", read["description"], "## The file", *_members(read), *_inner(read)]
    for name, each in read["$defs"].items():
        if "properties" in each:
            parts += [f"## {each.get('title', name)}", each.get("description", ""), *_members(each)]
            parts += _inner(each)
    return "\n\n".join(filter(None, parts)) + "\n"


def _inner(read: dict[str, Any]) -> Iterator[str]:
    """Yield the members of each member that is a mapping itself."""
    for name, member in read["properties"].items():
        if "properties" in member:
            yield f"### `{name}`"
            yield from _members(member)
            yield from _inner(member)


def _members(read: dict[str, Any]) -> Iterator[str]:
    rows = ["| member | | |", "|---|---|---|"]
    needed = set(read.get("required", ()))
    for name, member in read.get("properties", {}).items():
        of = member.get("$ref", "").rpartition("/")[2]
        whole = {**(_definition(of) if of else {}), **member}
        choices = ", ".join(f"`{each}`" for each in whole.get("enum", ()))
        default = f"default `{json.dumps(whole['default'])}`" if "default" in whole else ""
        notes = "; ".join(filter(None, ("required" if name in needed else "", choices, default)))
        rows.append(
            f"| `{name}` | {_cell(whole.get('description', whole.get('title', '')))} | {_cell(notes)} |"
        )
    yield "\n".join(rows)


def _definition(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"][name]
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def rules() -> str:
    """Return a page with the rule table, read from the code that decides."""
    columns = [*rule_table.DECLARED[Status.LINKED]]
    rows = [(f"`{status}`", row) for status, row in rule_table.DECLARED.items()]
    rows += [(f"taken out, `onRemoval: {policy}`", row) for policy, row in rule_table.REMOVED.items()]
    lines = [f"| desired \\ live | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows:
        lines.append(f"| {name} | {' | '.join(_words(row[status], status) for status in columns)} |")
    said = (
        "What is done about a connection, by what is declared and what is live. In bold, a customer loses an"
        " authorisation: only they can give it again. Another `platformKey`, `companyId` or `connectionId` is"
        " a replacement. `other` is a status that Codat added since."
    )
    return "\n\n".join(["# The rules", said, "\n".join(lines)])


def _words(cell: rule_table.Cell, live: str) -> str:
    if cell.problem:
        return "error"
    if cell.action is rule_table.Action.NONE:
        return f"warning: it {cell.notice}" if cell.notice else "nothing"
    loses = live == Status.LINKED and cell.action in {rule_table.Action.UNLINK, rule_table.Action.DELETE}
    word = f"**{cell.action}**" if loses else str(cell.action)
    return f"{word}; if Codat refuses, a warning" if cell.tolerant else word


if __name__ == "__main__":
    lay_out(ROOT / "build" / "docs")
    builder = [str(Path(sys.executable).parent / "zensical"), "build", "--clean", "--strict"]
    sys.exit(subprocess.run(builder, cwd=ROOT / "build", check=False).returncode)
