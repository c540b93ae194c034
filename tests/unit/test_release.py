"""The release workflow, as far as it can be tried here: `make package` tries what it publishes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from codat_iac import __version__
from tests.support import ROOT

WORKFLOW = ROOT / ".github/workflows/release.yaml"


@pytest.fixture
def jobs() -> dict[str, Any]:
    """The workflow's jobs."""
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return found


def test_every_action_is_pinned_by_its_commit() -> None:
    """A tag may be moved to another commit by whoever gets hold of it."""
    used = re.findall(r"uses: (\S+)(.*)", WORKFLOW.read_text())

    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


def test_only_what_publishes_may_do_more_than_read(jobs: dict[str, Any]) -> None:
    """And there is no token that could leak."""
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {}
    assert jobs["build"]["permissions"] == {"contents": "read"}
    assert jobs["publish"]["permissions"] == {"attestations": "write", "id-token": "write"}
    assert jobs["publish"]["environment"] == "release"
    assert "secrets." not in WORKFLOW.read_text()


@pytest.mark.parametrize(
    ("tag", "section", "problem"),
    [
        (f"v{__version__}", f"## [{__version__}] - 2026-12-01", ""),
        (
            "v99.0.0",
            f"## [{__version__}]",
            f"the tag is v99.0.0, and codat_iac/model/version.py says {__version__}",
        ),
        (f"v{__version__}", "## [Unreleased]", f"CHANGELOG.md has no section for {__version__}"),
    ],
)
def test_the_tag_has_to_be_the_version(
    jobs: dict[str, Any], tmp_path: Path, tag: str, section: str, problem: str
) -> None:
    """Which stands in one place; and the changelog has to say what is in it."""
    (step,) = [step["run"] for step in jobs["build"]["steps"] if step.get("name") == "The tag is the version"]
    (tmp_path / "codat_iac/model").mkdir(parents=True)
    shutil.copy(ROOT / "codat_iac/model/version.py", tmp_path / "codat_iac/model/version.py")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{section}\n")

    ran = subprocess.run(
        ["bash", "-e", "-c", step],
        cwd=tmp_path,
        env={"TAG": tag, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == ((1, f"::error::{problem}\n") if problem else (0, ""))


def test_the_version_stands_in_one_place() -> None:
    """What builds the package reads it there."""
    named = [
        file.relative_to(ROOT).as_posix()
        for file in (*(ROOT / "codat_iac").rglob("*.py"), ROOT / "pyproject.toml")
        if f'"{__version__}"' in file.read_text()
    ]

    assert named == ["codat_iac/model/version.py"]
