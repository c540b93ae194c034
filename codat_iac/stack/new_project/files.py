"""The files of a new project: what each holds, and in which order they are written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codat_iac.desired.schemas import packaged
from codat_iac.model.errors import ConfigError
from codat_iac.model.version import __version__
from codat_iac.stack.atomic_write import UNFINISHED, write_file

PROJECT = "Pulumi.yaml"
PROGRAM = "__main__.py"
REQUIREMENTS = "requirements.txt"
IGNORED = ".gitignore"
SCHEMA = "connections.schema.json"
DESIRED = "connections.yaml"
VIRTUALENV = ".venv"

LOCAL_STATE = ".pulumi-state"
"""The folder for Pulumi's state, of those who have no other place for it yet."""

LOCAL_BACKEND = f"file://./{LOCAL_STATE}"
"""Pulumi takes it relative to where it is started, which is the project's folder."""

PROGRAM_TEXT = """\
from codat_iac.program import main

main()
"""

DESIRED_TEXT = f"""\
# yaml-language-server: $schema={SCHEMA}
#
# Which connections each company has. A name is half of an address, such as acme/ledger: keep it stable.
version: 1

companies: {{}}
"""
"""A desired state that declares nothing yet, on purpose."""

NOT_FOR_GIT = (VIRTUALENV, "__pycache__/", f"{LOCAL_STATE}/")
"""What git should not take. The virtualenv may be a link, so that line has no slash."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose. `backend` and `base_url` are empty if Pulumi.yaml need not say them."""

    name: str
    stack: str
    backend: str = ""
    base_url: str = ""
    recipes: Mapping[str, str] = field(default_factory=dict)
    """The files of a recipe for CI, by their paths in the project."""


def project_text(choices: Choices) -> str:
    """Return the text of Pulumi.yaml."""
    lines = [
        f"name: {json.dumps(choices.name)}",
        "description: Codat connections as code",
        "runtime:",
        "  name: python",
        "  options:",
        "    toolchain: pip",
        f"    virtualenv: {VIRTUALENV}",
        "options:",
        "  refresh: always # read what is live before every preview and up",
    ]
    if choices.backend:
        lines += ["backend:", f"  url: {json.dumps(choices.backend)}"]
    lines += ["config:", "  codat:desired:", f"    value: {DESIRED}"]
    if choices.base_url:
        lines += ["  codat:baseUrl:", f"    value: {json.dumps(choices.base_url)}"]
    return "\n".join(lines) + "\n"


def files(choices: Choices, desired: str = DESIRED) -> dict[str, str]:
    """Return the text of each file of the project, in the order of writing; *desired* is its desired state.

    Pulumi.yaml comes last: where it is, all that it needs is there. What git should not take is named first.
    """
    ours = {DESIRED: DESIRED_TEXT, SCHEMA: schema_text()} if desired == DESIRED else {}
    return {
        IGNORED: "".join(f"{each}\n" for each in NOT_FOR_GIT),
        REQUIREMENTS: f"codat-iac=={__version__}\n",
        **ours,
        PROGRAM: PROGRAM_TEXT,
        **choices.recipes,
        PROJECT: project_text(choices),
    }


def schema_text() -> str:
    """Return the JSON Schema that editors take, as this version has it."""
    return packaged("schemas").joinpath(SCHEMA).read_text("utf-8")


def missing(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Return the files of *wanted* that aren't in *folder*, in their order. A broken link is there, too."""
    return [name for name in wanted if not os.path.lexists(folder / name)]


def write_missing(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Write the files of *wanted* that aren't in *folder*, each as a whole, and return their names.

    Raises `ConfigError` if one can't be written.
    """
    written = missing(folder, wanted)
    for name in written:
        file = folder / name
        make_folder(file.parent)
        write_file(file, wanted[name], remedy="choose another folder with --cwd")
    return written


def remove_unfinished(folder: Path, wanted: Mapping[str, str]) -> None:
    """Remove what a process that was killed while it wrote left beside the files of *wanted*."""
    for place in {(folder / name).parent for name in wanted}:
        for file in place.glob(f"{UNFINISHED}{'[0-9a-f]' * 32}"):
            file.unlink(missing_ok=True)


def make_local_state(folder: Path) -> None:
    """Make the folder for Pulumi's state in a project. It is ignored by git whatever else is said there."""
    state = folder / LOCAL_STATE
    make_folder(state)
    if not (state / IGNORED).exists():
        write_file(state / IGNORED, "*\n", remedy="choose another --backend")


def make_folder(folder: Path) -> None:
    """Make a folder, if it isn't there. Raises `ConfigError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} can't be made ({error.strerror}); choose another folder with --cwd"
        ) from error
