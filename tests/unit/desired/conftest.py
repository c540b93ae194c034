"""What the tests of desired-state files share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of one's own, so that messages name files as a user would."""
    monkeypatch.chdir(tmp_path)
