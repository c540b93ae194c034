"""The desired-state file that an import writes, which the stack's program must read."""

from __future__ import annotations

from pathlib import Path

from codat_iac.desired import load
from codat_iac.desired.files import SUFFIXES, is_python
from codat_iac.model.connection import DesiredConnection
from codat_iac.model.errors import ConfigError


def load_if_present(path: Path) -> tuple[DesiredConnection, ...]:
    """Return the connections declared at *path*, none if there is no desired state yet."""
    if not path.exists() or (path.is_dir() and not any(f.suffix.lower() in SUFFIXES for f in path.iterdir())):
        return ()
    return load(path)


def check_target(target: Path, desired_path: Path, *, overwrite: bool) -> None:
    """Raise `ConfigError` if *target* can't be written, or the stack's program wouldn't read it."""
    if desired_path.is_dir():
        inside = target.parent.resolve() == desired_path.resolve() and not target.name.startswith(".")
        fits = inside and target.suffix.lower() in SUFFIXES
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
            f"{target} exists already, and an import writes over nothing unless told to; {remedy}"
        )


class RestorableFile:
    """One desired-state file that can be written as a whole and restored to what it was before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before: bytes | None = None
        self._written = False

    def load(self) -> tuple[DesiredConnection, ...]:
        """Return the connections that the file declares, none if it doesn't exist."""
        return load(self.path) if self.path.exists() else ()

    def write(self, text: str) -> None:
        """Replace the file in one step: a reader sees either the old text or the new.

        Raises `ConfigError` if it can't be written.
        """
        beside = self.path.with_name(f".{self.path.name}.new")
        try:
            if not self._written and self.path.exists():
                self._before = self.path.read_bytes()
            beside.write_text(text, "utf-8")
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise ConfigError(
                f"{self.path} can't be written ({error.strerror}); choose another --out"
            ) from error
        self._written = True

    def restore(self) -> None:
        """Restore the file to what it was before the first `write`; delete it if it didn't exist."""
        if self._written and self._before is None:
            self.path.unlink(missing_ok=True)
        elif self._before is not None:
            self.path.write_bytes(self._before)
