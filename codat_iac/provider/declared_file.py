"""A preview that only asks what a program of the user's own declares, for `codat-iac plan`.

The environment variable `CODAT_DECLARED` names a file. Then the provider neither reads Codat nor compares
anything: it writes to that file what each resource is declared with. It does so in `check`, which gets the
inputs as the engine understood them: with `ignore_changes` and transforms applied, and secrets as text.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VARIABLE = "CODAT_DECLARED"

_lock = threading.Lock()


def path() -> Path | None:
    """Return the file to write to, None in every other run."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def write(file: Path, urn: str, inputs: Mapping[str, Any]) -> None:
    """Add what the resource *urn* is declared with; an input that isn't known yet is None."""
    line = json.dumps({"urn": urn, "inputs": inputs})
    with _lock, file.open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")


def read(text: str) -> dict[str, dict[str, Any]]:
    """Return the inputs of each resource by URN, from the text of such a file."""
    entries = [json.loads(line) for line in text.splitlines()]
    return {entry["urn"]: entry["inputs"] for entry in entries}
