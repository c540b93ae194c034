"""Find the desired-state files at the user's path, and read their bytes."""

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
"""The most bytes that one file may have."""

SUFFIXES = (".yaml", ".yml", ".py")


def desired_files(path: str) -> list[str]:
    """Return *path* if it is a file, or the desired-state files in that folder, sorted by name.

    Hidden files, `_*.py` (helpers for the others to import) and Pulumi's own `Pulumi.*` are skipped, so that
    the desired state may lie in the project's own folder. Subfolders are not searched.

    Raises `ConfigError` if the path is missing, unreadable, or a folder without such files.
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
    """Return the bytes of the file at *path*; report a problem and return None if that fails."""
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
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
    """Return whether the file is Python; a file of any other name is read as YAML."""
    return path.lower().endswith(".py")


def _is_desired(name: str) -> bool:
    if name.startswith((".", "Pulumi.")) or (name.startswith("_") and is_python(name)):
        return False
    return name.lower().endswith(SUFFIXES)


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # else opening a pipe would wait for its writer


def _unusable(path: str, message: str) -> ConfigError:
    return ConfigError([Problem(printable(path), 0, 0, message)])
