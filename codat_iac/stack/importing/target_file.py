"""The desired-state files that an import writes, which the stack's program must read."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from codat_iac.desired import yaml_writer
from codat_iac.desired.additions import add
from codat_iac.desired.files import is_python, is_read
from codat_iac.desired.merge import DeclaredCompany
from codat_iac.model.connection import DesiredConnection
from codat_iac.model.errors import ConfigError
from codat_iac.stack.atomic_write import write_file

TITLE = (
    "Written by `codat-iac import`, yours from here on. A name is half of an address, such as acme/ledger:",
    "keep it stable. The ids of the connections are in the stack's state.",
)


def check_target(target: Path, desired_path: Path, *, overwrite: bool) -> None:
    """Raise `ConfigError` if *target* can't be written, or the stack's program wouldn't read it."""
    if desired_path.is_dir():
        fits = target.parent.resolve() == desired_path.resolve() and is_read(target.name)
        remedy = "choose an --out *.yaml in that folder"
    else:
        fits = target.resolve() == desired_path.resolve()
        remedy = "let it name a folder, in which each import has a file of its own"
    if not fits:
        raise ConfigError(
            f"codat:desired names {desired_path}, so {target} would not be read, and the next `pulumi up`"
            f" would unlink what it imported; {remedy}"
        )
    if is_python(str(target)):
        raise ConfigError(f"{target} is Python, which an import can't write; let codat:desired name a folder")
    if target.exists() and not overwrite:
        raise ConfigError(
            f"{target} exists already; --overwrite adds to it, and what it says stays in it (or {remedy})"
        )


@contextmanager
def alone_in(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Let no other import of this machine write in *folder* meanwhile; *tell* gets what it waits for."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield  # what is wrong with the folder is told by who reads it
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting for another import into {folder}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def by_file(
    connections: Iterable[DesiredConnection], companies: Iterable[DeclaredCompany], default: Path
) -> dict[Path, list[DesiredConnection]]:
    """Return the files to which *connections* are added, each with what it gets.

    That is the first file which declares the company and isn't Python, or else *default*.
    """
    declaring: dict[str, Path] = {}
    for company in companies:
        if not is_python(company.file):
            declaring.setdefault(company.key, Path(company.file))
    files: dict[Path, list[DesiredConnection]] = {}
    for each in connections:
        files.setdefault(declaring.get(each.address.company, default), []).append(each)
    return files


class Page:
    """One desired-state file, to which an import adds.

    A copy of what was there is kept, to be restored. What somebody else changes meanwhile stays.
    """

    def __init__(self, path: Path) -> None:
        """Read the file at *path*, if there is one. Raises `ConfigError` if it can't be read."""
        self.path = path
        self._before = self._now = self._read()

    def write(self, connections: Sequence[DesiredConnection], names: Mapping[str, str]) -> None:
        """Write what was there at first, and *connections* added to it; *names* as for `add`.

        Raises `ConfigError` if nothing can be added, or the file can't be written, or isn't as it was left.
        """
        if self._before is None:
            text = yaml_writer.dump(connections, names, title=TITLE).encode()
        else:
            text = add(str(self.path), self._before, connections, names)
        self._replace(text)

    def restore(self) -> None:
        """Restore the file to what it was at first; delete it if it didn't exist. Raises `ConfigError`."""
        if self._now != self._before:
            self._replace(self._before)

    def _replace(self, content: bytes | None) -> None:
        if self._read() != self._now:
            raise ConfigError(f"{self.path} was changed meanwhile, and is left as it is")
        if content is None:
            self.path.resolve().unlink()  # a link that led nowhere before does so again
        else:
            write_file(self.path, content)
        self._now = content

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(
                f"{self.path} can't be read ({error.strerror}); choose another --out"
            ) from error
