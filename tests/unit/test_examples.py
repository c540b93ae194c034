"""The example of a program of one's own: its tests, run as its reader runs them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.mark.slow
def test_the_tests_of_the_example_pass(tmp_path: Path) -> None:
    """In a folder of their own, without our settings of pytest."""
    folder = tmp_path / "customers"
    shutil.copytree(ROOT / "examples/python", folder)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout
