"""The desired state: paths that give no text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codat_iac.desired import load
from codat_iac.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def problems(path: Path | str) -> str:
    """The text of the ConfigError that loading *path* raises."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def make_loop() -> None:
    """A symlink to itself."""
    Path("path").symlink_to("path")


def make_pipe() -> None:
    """A pipe that nobody writes to."""
    os.mkfifo("path")


def make_large() -> None:
    """A file of one byte too many."""
    with Path("path").open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)


def make_folder_named_like_a_file() -> None:
    """A folder with a folder in it."""
    Path("path/x.yaml").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(
            lambda: None, "path: does not exist; give a desired-state file, or a folder of them", id="missing"
        ),
        pytest.param(
            lambda: Path("path").symlink_to("nothing"),
            "path: does not exist; give a desired-state file, or a folder of them",
            id="dangling symlink",
        ),
        pytest.param(
            make_loop,
            "path: can't be read (Too many levels of symbolic links); give a readable file or folder",
            id="symlink to itself",
        ),
        pytest.param(
            lambda: Path("path").mkdir(),
            "path: holds no desired-state files (*.yaml, *.yml, *.py); give a folder that does",
            id="empty folder",
        ),
        pytest.param(
            make_folder_named_like_a_file,
            "path/x.yaml: can't be read (Is a directory); give a readable file",
            id="folder named like a file",
        ),
        pytest.param(
            make_pipe,
            "path: is a pipe or a device; save what it gives to a file first",
            id="pipe",
        ),
        pytest.param(
            make_large,
            "path: is larger than 64 MiB; split it into several files in one folder",
            id="large",
        ),
    ],
)
def test_a_path_that_gives_no_text_is_one_problem(make: Callable[[], None], expected: str) -> None:
    """It is never an empty desired state, and never a wait."""
    make()

    assert problems("path") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("", "no path is given; give a desired-state file, or a folder of them", id="none"),
        pytest.param("a\0b", "a\\x00b: is no path: it holds a NUL character; remove it", id="NUL"),
        pytest.param(
            "a\nb\x1b[31m",
            "a\\nb\\x1b[31m: does not exist; give a desired-state file, or a folder of them",
            id="terminal escapes",
        ),
        pytest.param(
            "./here", "./here: does not exist; give a desired-state file, or a folder of them", id="relative"
        ),
    ],
)
def test_a_path_is_shown_as_given_in_one_line(path: str, expected: str) -> None:
    """Relative stays relative; what would steer a terminal is escaped."""
    assert problems(path) == expected
