"""Run a program in a process of its own, since a Pulumi program has one run for each process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def told_by(harness: str, *arguments: str) -> dict[str, Any]:
    """Return the JSON object that a Python program prints on its last line. It has to succeed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", harness, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
