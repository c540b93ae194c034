"""Find the desired-state files at the user's path, and read their bytes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from codat_iac.desired.document import REPORTED, Document, Mapping, printable
from codat_iac.desired.yaml_marks import read_yaml
from codat_iac.model.errors import ConfigError, FileProblem

LARGEST = 64 * 1024 * 1024
"""The most bytes that one file may have."""

SUFFIXES = (".yaml", ".yml", ".py")

_OTHERS = ("__pycache__", "node_modules")
"""Subfolders that hold what others wrote, as hidden ones and virtualenvs do."""

_PYTHON_THAT_DECLARES = re.compile(rb"^(?:def |from .+ import (?:.*\W)?)?desired\b", re.MULTILINE)


def desired_files(path: str, *, required: bool = True) -> list[str]:
    """Return *path* if it is a file, or the desired-state files in that folder, sorted by name.

    Raises `ConfigError` if the path is unreadable, and if *required* also if it is missing, or a folder
    without such files.
    """
    if not path:
        raise ConfigError("no path is given; give a desired-state file, or a folder of them")
    folder = Path(path)
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            return [path]
        names = sorted(file.name for file in folder.iterdir() if is_read(file.name))
    except FileNotFoundError:
        if not required and not folder.is_symlink():
            return []
        raise _unusable(path, "does not exist; give a desired-state file, or a folder of them") from None
    except ValueError:
        raise _unusable(path, "is no path: it holds a NUL character; remove it") from None
    except OSError as error:
        raise _unusable(path, f"can't be read ({error.strerror}); give a readable file or folder") from None
    if required and not names:
        raise _unusable(path, "holds no desired-state files (*.yaml, *.yml, *.py); give a folder that does")
    return [str(folder / name) for name in names]


def is_read(name: str) -> bool:
    """Return whether a file of this name is read if its folder is the desired state.

    Hidden files, `_*.py` (helpers for the others to import) and Pulumi's own `Pulumi.*` are not, so that the
    desired state may lie in the project's own folder.
    """
    return name.lower().endswith(SUFFIXES) and not name.startswith((".", "Pulumi.")) and not _is_helper(name)


def overlooked(path: str) -> Iterator[Document]:
    """Yield a document with a problem for each file below the folder at *path* that should probably be read.

    A file that is moved into a subfolder, or gets another name, isn't read any more. What it declares must
    not be taken for what is no longer declared. What can't be read may be such a file.
    """
    seen = set()
    failed: list[OSError] = []
    for folder, inner, names in os.walk(path, onerror=failed.append, followlinks=True):
        real = Path(folder).resolve()
        if real in seen or (folder != path and "pyvenv.cfg" in names):
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _OTHERS)
        for name in sorted(names):
            file = Path(folder, name)
            reason = _why_unread(name, in_subfolder=folder != path)
            if reason and not (file.is_file() and file.stat().st_size > LARGEST):
                document = Document(str(file))
                raw = read(document, str(file))
                if raw is not None and _declares(str(file), raw):
                    document.report(f"seems to be a desired state, and isn't read {reason}")
                if document.problems:
                    yield document
    for error in failed:
        document = Document(error.filename)
        document.report(f"can't be read ({error.strerror}); give a readable folder, or move it away")
        yield document


def _why_unread(name: str, *, in_subfolder: bool) -> str | None:
    """Return why a file that may be a desired state isn't read; None if it is read, or none by its name."""
    if not name.lower().endswith((*SUFFIXES, ".json")) or name.startswith(".") or _is_helper(name):
        return None
    if in_subfolder:
        return "in a subfolder; move it up, or out of the folder"
    if name.startswith("Pulumi."):
        return "by a name like Pulumi's own; rename it, or move it away"
    return None if is_read(name) else "in a folder, as *.yaml, *.yml and *.py are; rename it, or move it away"


def _declares(path: str, raw: bytes) -> bool:
    """Return whether the file seems to be a desired state: by its key or its function, or it isn't clear."""
    if is_python(path):
        return bool(_PYTHON_THAT_DECLARES.search(raw))
    if b"companies" not in raw:
        return False
    document = Document(path)
    read_yaml(document, raw)
    data = document.data
    return data is REPORTED or (isinstance(data, Mapping) and "companies" in data)


def read(document: Document, path: str) -> bytes | None:
    """Return the bytes of the file at *path*; report a problem and return None if that fails."""
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                document.report("is a pipe or a device; save what it gives to a file, or pipe it into -")
                return None
            raw = file.read(LARGEST + 1)
    except OSError as error:
        document.report(f"can't be read ({error.strerror}); give a readable file")
        return None
    return within_limit(document, raw)


def within_limit(document: Document, raw: bytes) -> bytes | None:
    """Return *raw*, the bytes of a file; report a problem and return None if they are more than `LARGEST`."""
    if len(raw) > LARGEST:
        document.report(f"is larger than {LARGEST >> 20} MiB; split it into several files in one folder")
        return None
    return raw


def is_python(path: str) -> bool:
    """Return whether the file is Python; a file of any other name is read as YAML."""
    return path.lower().endswith(".py")


def _is_helper(name: str) -> bool:
    return name.startswith("_") and is_python(name)


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # else opening a pipe would wait for its writer


def _unusable(path: str, message: str) -> ConfigError:
    return ConfigError([FileProblem(printable(path), 0, 0, message)])
