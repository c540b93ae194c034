"""Write any file in one step, if wanted for its owner alone: for all that writes files, also for `--out`."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codat_iac.model.errors import ConfigError

UNFINISHED = ".codat-iac-"
"""What the name of a file begins with until it is whole; a process that is killed leaves it."""


def write_file(
    path: Path, content: str | bytes, *, private: bool = False, remedy: str = "choose another --out"
) -> None:
    """Write the file in one step: whoever reads it sees what it was before, or all of *content*.

    A link stays one: what it points to is written. If *private*, only this user may read the file, from its
    first byte on; otherwise it keeps its mode.

    Raises `ConfigError` with *remedy* if it can't be written.
    """
    try:
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        _write(path, raw, private=private)
    except OSError as error:
        raise ConfigError(f"{path} can't be written ({error.strerror}); {remedy}") from error


@contextmanager
def temporary_file(text: str, name: str = "data.json") -> Iterator[Path]:
    """Yield a file with *text* that only this user can read, for another process. Raises `ConfigError`."""
    remedy = "let TMPDIR name a folder that can"
    try:
        folder = tempfile.TemporaryDirectory(prefix="codat-iac-")
    except OSError as error:
        raise ConfigError(f"no temporary file can be written ({error.strerror}); {remedy}") from error
    with folder as path:
        file = Path(path) / name
        write_file(file, text, private=True, remedy=remedy)
        yield file


_ONLY_IN_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
"""How a new file beside it fails if the folder is read-only, or the file is a mount of its own."""


def _write(path: Path, raw: bytes, *, private: bool) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        _replace(path.resolve(), raw, None, private=private)
        return
    with os.fdopen(descriptor, "wb") as file:
        before = os.fstat(descriptor)
        if stat.S_ISREG(before.st_mode):
            try:
                _replace(path.resolve(), raw, before, private=private)
            except OSError as error:
                if private or error.errno not in _ONLY_IN_PLACE:
                    raise
            else:
                return
            file.truncate()
        file.write(raw)


def _replace(path: Path, raw: bytes, before: os.stat_result | None, *, private: bool) -> None:
    """Write a new file and rename it to *path*; *before* describes the one that is there."""
    new = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(new, flags, 0o600 if private or before else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if before and not private:
                with suppress(OSError):  # only root can give it back to its owner
                    os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            file.write(raw)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
