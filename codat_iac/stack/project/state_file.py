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
from typing import Any

from codat_iac.model.errors import ConfigError
from codat_iac.stack.project import project_file
from codat_iac.stack.project.contents import mapping

_BACKEND = "PULUMI_BACKEND_URL"
_FOLDER = re.compile(r"file://(?P<folder>[^~?#%][^?#%]*)")

_PER_PROJECT = 1
"""The version of a backend's layout in which stacks belong to projects."""

_PLAIN = 3
"""The version of a state that uses none of the features that a newer Pulumi may add."""


def exported(folder: Path, stack: str) -> dict[str, Any] | None:
    """Return what `pulumi stack export` prints of a stack of the project in *folder*.

    Returns None if only Pulumi can tell, as for the full name of a stack, which may be another project's.
    """
    try:
        file = project_file(folder)
        project = mapping(file)
        found = _FOLDER.fullmatch(os.environ.get(_BACKEND) or project["backend"]["url"])
        if not found:
            return None
        name, backend = project["name"], Path(file.parent, found["folder"], ".pulumi")
        if mapping(backend / "meta.yaml")["version"] != _PER_PROJECT:
            return None
        kept = backend / "stacks" / name / f"{stack}.json"
        if any(kept.with_suffix(f".json{other}").exists() for other in (".gz", ".zst")):
            return None
        json.loads(kept.with_suffix(".json.attrs").read_bytes())  # if that is empty, Pulumi reads nothing
        state = json.loads(kept.read_bytes())
        checkpoint = state["checkpoint"]
        if state["version"] != _PLAIN or checkpoint["stack"] != f"organization/{name}/{stack}":
            return None
        return {"version": _PLAIN, "deployment": checkpoint["latest"]}
    except (OSError, ValueError, LookupError, TypeError, ConfigError):
        return None
