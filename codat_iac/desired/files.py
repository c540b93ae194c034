"""From the path that the user gave to the bytes of each file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from codat_iac.desired.document import printable
from codat_iac.model.errors import ConfigError, Problem

if TYPE_CHECKING:
    from codat_iac.desired.document import Document

LARGEST = 64 * 1024 * 1024
"""Bytes of one file."""

SUFFIXES = (".yaml", ".yml", ".py")


def desired_files(path: str) -> list[str]:
    """The file itself, or the desired-state files of the folder, by name.

    Hidden files are none, and neither are `_*.py` (helpers for the others to import) and Pulumi's own
    `Pulumi*.yaml`, so that a project's folder may hold its desired state too.
    A folder in the folder is not looked into.
    """
    if not path:
        raise ConfigError("no path is given; give a desired-state file, or a folder of them")
    folder = Path(path)
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            return [path]
        names = sorted(file.name for file in folder.iterdir() if _is_desired(file.name))
    except FileNotFoundError:
        raise _unusable(path, "does not exist; give a desired-state file, or a folder of them") from None
    except ValueError:
        raise _unusable(path, "is no path: it holds a NUL character; remove it") from None
    except OSError as error:
        raise _unusable(path, f"can't be read ({error.strerror}); give a readable file or folder") from None
    if not names:
        raise _unusable(path, "holds no desired-state files (*.yaml, *.yml, *.py); give a folder that does")
    return [str(folder / name) for name in names]


def read(document: Document, path: str) -> bytes | None:
    """The bytes of one file, or None and a problem."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                document.report("is a pipe or a device; save what it gives to a file first")
                return None
            raw = file.read(LARGEST + 1)
    except OSError as error:
        document.report(f"can't be read ({error.strerror}); give a readable file")
        return None
    if len(raw) > LARGEST:
        document.report(f"is larger than {LARGEST >> 20} MiB; split it into several files in one folder")
        return None
    return raw


def is_python(path: str) -> bool:
    """Whether the file is Python; every other name is read as YAML."""
    return path.lower().endswith(".py")


def _is_desired(name: str) -> bool:
    if name.startswith((".", "Pulumi.")) or (name.startswith("_") and is_python(name)):
        return False
    return name.lower().endswith(SUFFIXES)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # opening a pipe would wait for its writer


def _unusable(path: str, message: str) -> ConfigError:
    return ConfigError([Problem(printable(path), 0, 0, message)])
