"""Read a stack's state from the file in which a file backend keeps it.

`pulumi stack export` prints what stands in that file, for which it takes 250 MB and 1.2 s of CPU with 10,000
connections. Whatever isn't plainly as the Pulumi of today leaves it is for that command to read, or to
complain about: the layout is Pulumi's own (`pkg/backend/diy` of https://github.com/pulumi/pulumi).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

from codat_iac.model.errors import ConfigError
from codat_iac.stack.project import BACKEND, misread, project_file
from codat_iac.stack.project.contents import mapping

_FOLDER = re.compile(r"file://(?P<folder>(/|\./)[^?#%\x00-\x20\x7f]*)")
"""Other URLs mean what Pulumi makes of them."""

_PER_PROJECT = 1
"""The version of a backend's layout in which stacks belong to projects."""

_PLAIN = 3
"""The version of a state that uses none of the features that a newer Pulumi may add."""


def exported(folder: Path, stack: str) -> dict[str, Any] | None:
    """Return the state of a stack of the project in *folder*, as `pulumi stack export` does.

    Returns None if only Pulumi can tell, as for the full name of a stack, which may be another project's.
    """
    try:
        return _exported(folder, stack)
    except (OSError, ValueError, LookupError, TypeError, ConfigError):
        return None


def _exported(folder: Path, stack: str) -> dict[str, Any] | None:
    file = project_file(folder)
    project = mapping(file)
    backend = _backend(file, os.environ.get(BACKEND) or project["backend"]["url"])
    layout = backend / "meta.yaml"
    kept = backend / "stacks" / project["name"] / f"{stack}.json"
    packed = any(kept.with_suffix(f".json{other}").exists() for other in (".gz", ".zst"))
    # A Pulumi.json is preferred to Pulumi.yaml, and without readable attributes Pulumi reads nothing.
    if packed or (folder / "Pulumi.json").exists() or not (_has_attributes(layout) and _has_attributes(kept)):
        return None
    state = _json(kept)
    checkpoint = state["checkpoint"]
    told = [mapping(layout)["version"], state["version"], checkpoint["stack"]]
    if json.dumps(told) != json.dumps([_PER_PROJECT, _PLAIN, f"organization/{project['name']}/{stack}"]):
        return None  # as JSON, true isn't 1
    return {"version": _PLAIN, "deployment": checkpoint["latest"]} if checkpoint["latest"] else None


def _backend(file: Path, url: str) -> Path:
    """Return the folder that *url* means to Pulumi. Raises `ValueError` if only Pulumi can tell."""
    found = _FOLDER.fullmatch(url)
    if not found or ".." in Path(found["folder"]).parts:  # Pulumi takes it out before it follows links
        raise ValueError
    if found[2] == "./" and (misread(file) or misread(os.environ.get("PWD", ""))):
        raise ValueError
    return file.parent / found["folder"] / ".pulumi"


def _has_attributes(file: Path) -> bool:
    return isinstance(_json(file.with_name(f"{file.name}.attrs")), dict)


def _json(file: Path) -> Any:
    return json.loads(file.read_bytes().decode(), parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
