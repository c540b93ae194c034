"""Find a usable engine: the `pulumi` on PATH, else the one that we built.

An engine is four files in one folder: `pulumi` itself, and the programs that it starts for Python.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import platformdirs

from codat_iac.model.errors import EngineError
from codat_iac.stack.engine.surroundings import tidy

if TYPE_CHECKING:
    from collections.abc import Mapping


_HERE = Path(__file__).parent


class Version(NamedTuple):
    """A version of Pulumi or Go, without a suffix after the three numbers."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def of(cls, text: str) -> Version | None:
        """Return the first version in a text, None if there is none."""
        found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
        return found and cls(*(int(number or 0) for number in found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


PINNED = Version(3, 259, 0)
"""The version that we build; `parts/go.mod` names the same."""

OLDEST = Version(3, 254, 0)
"""The oldest supported `pulumi`: the first whose `pulumi import --file` takes dynamic resources."""

LANGUAGE_HOST = "pulumi-language-python"
EXECUTOR = "pulumi-language-python-exec"
DYNAMIC_HOST = "pulumi-resource-pulumi-python"
FILES = ("pulumi", LANGUAGE_HOST, EXECUTOR, DYNAMIC_HOST)

MODULE = (_HERE / "parts" / "go.mod", _HERE / "parts" / "go.sum")
LAUNCHER = _HERE / "parts" / LANGUAGE_HOST
HOST_PROGRAM = _HERE / "language_host"


@dataclass(frozen=True, slots=True)
class PulumiOnPath:
    """The `pulumi` found on a PATH. `version` is None if it doesn't say one."""

    pulumi: Path
    version: Version | None
    language_host: Path | None

    @property
    def usable(self) -> bool:
        """Whether it can run our programs as it is."""
        return self.version is not None and self.version >= OLDEST and self.language_host is not None


def find(path: str | None = None) -> Path | None:
    """Return the `pulumi` to use: one on PATH that is new enough, else a finished build of ours, or None.

    *path* is a PATH to search instead of this process's own.
    """
    ambient = on_path(path)
    return ambient.pulumi if ambient and ambient.usable else built()


def environment(base: Mapping[str, str], engine: Path | None = None) -> dict[str, str]:
    """Return the environment *base*, changed so that *engine* (default: `find`'s) works for us.

    Raises `EngineError` if there is no engine, or no home folder for it.
    """
    path = base.get("PATH", os.defpath)
    engine = engine or find(path)
    if engine is None:
        raise EngineError("there is no usable Pulumi engine yet: run `codat-iac engine install`")
    result = tidy(base)
    # In an apply the project's `virtualenv` doesn't count: this Python runs the provider, and takes no module
    # from the project's folder, which may have the name of one of Python's.
    result |= {"PULUMI_PYTHON_CMD": sys.executable, "PYTHONSAFEPATH": "1", "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if shutil.which("pulumi", path=path) != str(engine):
        result["PATH"] = f"{engine.parent}{os.pathsep}{path}"
    # Who has no passwd entry needs both, or Pulumi breaks off.
    result["HOME"] = result.get("HOME") or base.get("PULUMI_HOME", "")
    result["USER"] = base.get("USER") or str(os.getuid())
    if not result["HOME"]:
        raise EngineError(
            "this user has no home folder, and Pulumi needs one: set HOME or PULUMI_HOME to a folder that"
            " can be written"
        )
    return result


def on_path(path: str | None = None) -> PulumiOnPath | None:
    """Return the `pulumi` on a PATH, usable or not; None if there is none."""
    found = shutil.which("pulumi", path=path)
    if found is None:
        return None
    pulumi = Path(found)
    beside = os.pathsep.join((str(pulumi.parent), str(pulumi.resolve().parent)))
    host = shutil.which(LANGUAGE_HOST, path=beside) or shutil.which(LANGUAGE_HOST, path=path)
    return PulumiOnPath(pulumi, version_of(pulumi), Path(host) if host else None)


@functools.cache
def version_of(pulumi: Path) -> Version | None:
    """Return the version of a `pulumi`, None if it can't be run. Our own build isn't asked."""
    if pulumi.resolve() == (built() or Path()).resolve():
        return PINNED
    quiet = {**tidy(os.environ), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(  # noqa: S603 - whoever put it on PATH runs it too
            [pulumi, "version"], env=quiet, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return Version.of(answer.stdout)


def built() -> Path | None:
    """Return the `pulumi` that we built, None if there is none or a part of it is missing."""
    try:
        binaries = folder() / "bin"
    except EngineError:
        return None
    whole = all(os.access(binaries / name, os.X_OK) for name in FILES)
    return binaries / "pulumi" if whole else None


def cache() -> Path:
    """Return the folder for all builds. Raises `EngineError` if this user has none."""
    try:
        return platformdirs.user_cache_path("codat-iac") / "engine"
    except RuntimeError as error:
        raise EngineError("this user has no home folder: set HOME, or XDG_CACHE_HOME for a build") from error


def folder() -> Path:
    """Return the folder for this build; a hash of the build's inputs is part of its name."""
    return cache() / f"{PINNED}-{_digest()}"


@functools.cache
def _digest() -> str:
    files = (*MODULE, LAUNCHER, *sorted(HOST_PROGRAM.glob("*.py")))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
