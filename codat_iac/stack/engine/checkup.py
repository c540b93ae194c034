"""Check this machine for everything that an engine needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from codat_iac.stack.engine import golang, locate
from codat_iac.stack.engine.builder import GB, NEEDED_BYTES, WORKSHOP
from codat_iac.stack.engine.command import last_line
from codat_iac.stack.engine.locate import Version

if TYPE_CHECKING:
    from collections.abc import Iterator

VIRTUALENV = re.compile(r"""^[^#\n]*virtualenv:\s*["']?([^"',}#\s]+)""", re.MULTILINE)
"""The option in a Pulumi.yaml, in block or flow style; the launcher reads it the same way."""

MAIN = re.compile(r"""^main:\s*["']?([^"'#\s]+)""", re.MULTILINE)


class Severity(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and what to do about it; `remedy` is empty if it is fine."""

    severity: Severity
    what: str
    remedy: str = ""


def doctor() -> list[Finding]:
    """Return findings about everything that an engine needs. It only reads, and runs `--version` commands."""
    engine = locate.find()
    return [
        _pulumi_on_path(),
        _built(engine),
        *_leftovers(),
        *(_companions(engine) if engine else ()),
        _go(engine),
        disk_space(engine, NEEDED_BYTES),
        sdk(metadata.version("pulumi")),
        *_virtualenv(Path.cwd()),
    ]


def _pulumi_on_path() -> Finding:
    ambient = locate.on_path()
    if ambient is None:
        return Finding(Severity.NOTE, "PATH has no pulumi: a build of ours is used")
    where = f"{ambient.pulumi} on PATH"
    if ambient.usable:
        return Finding(Severity.OK, f"{where} is Pulumi {ambient.version}, and is used")
    if ambient.version is None:
        return Finding(Severity.PROBLEM, f"{where} doesn't say its version, and isn't used", "reinstall it")
    if ambient.version < locate.OLDEST:
        what = f"{where} is Pulumi {ambient.version}, which is too old, and isn't used"
        return Finding(Severity.PROBLEM, what, f"upgrade it to {locate.OLDEST} or later, or take it off PATH")
    what = f"{where} has no {locate.LANGUAGE_HOST} beside it or on PATH, and isn't used"
    return Finding(Severity.PROBLEM, what, "reinstall Pulumi with all that comes with it")


def _built(engine: Path | None) -> Finding:
    if locate.built():
        return Finding(Severity.OK, f"{locate.folder()} is our build of Pulumi {locate.PINNED}")
    what = f"{locate.cache()} has no build of Pulumi {locate.PINNED} by this version of codat-iac"
    if engine:
        return Finding(Severity.NOTE, f"{what}, and none is needed")
    return Finding(Severity.PROBLEM, what, "run `codat-iac engine install`")


def _leftovers() -> Iterator[Finding]:
    for other in sorted(locate.cache().glob("*")):
        if other.name.startswith(WORKSHOP):
            remedy = "nothing, if a build runs now; else the next build removes it"
            yield Finding(Severity.NOTE, f"{other} is an unfinished build", remedy)
        elif other.is_dir() and other != locate.folder():
            yield Finding(
                Severity.NOTE, f"{other} is from another build", f"rm -r {other}, if nobody uses it"
            )


def _companions(engine: Path) -> Iterator[Finding]:
    """Check the programs that the engine starts for Python. It looks on PATH, then beside itself."""
    folders = os.pathsep.join((os.environ.get("PATH", ""), str(engine.parent), str(engine.resolve().parent)))
    for name in locate.FILES[1:]:
        found = shutil.which(name, path=folders)
        if found is None:
            what = f"{name} is neither on PATH nor beside {engine}"
            yield Finding(Severity.PROBLEM, what, "reinstall Pulumi with all that comes with it")
        elif name == locate.LANGUAGE_HOST:
            yield _language_host(found)
        else:
            yield Finding(Severity.OK, f"{found} is there")


def _language_host(command: str) -> Finding:
    answer = subprocess.run(  # noqa: S603 - as the engine would
        [command, "--version"], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        return Finding(Severity.PROBLEM, f"{command} doesn't start here", last_line(answer.stderr))
    return Finding(Severity.OK, f"{command} starts here, version {answer.stdout.strip().removeprefix('v')}")


def _go(engine: Path | None) -> Finding:
    if engine:
        return Finding(Severity.OK, "Go isn't needed: there is an engine")
    found = golang.on_path()
    if golang.usable():
        return Finding(Severity.OK, "Go on PATH is new enough to build an engine")
    what = f"{found[0]} on PATH is older than {golang.needed()}" if found else "PATH has no Go"
    return Finding(Severity.NOTE, f"{what}: a build installs {golang.PACKAGE} for itself")


def disk_space(engine: Path | None, needed: int) -> Finding:
    """Check that there is disk space for a build that needs so many bytes."""
    place = next(folder for folder in (locate.cache(), *locate.cache().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    what = f"{place} has {free / GB:.1f} GB free, and a build takes up to {needed / GB:.0f} GB on the way"
    if engine or free > needed:
        return Finding(Severity.OK, what)
    return Finding(Severity.PROBLEM, what, "make room, or set XDG_CACHE_HOME to a folder with more")


def sdk(version: str) -> Finding:
    """Check that the installed SDK fits our engines."""
    what = f"{sys.executable} has the Pulumi SDK {version}"
    if (Version.of(version) or locate.OLDEST) >= locate.OLDEST:
        return Finding(Severity.OK, what)
    return Finding(Severity.PROBLEM, f"{what}, which is too old", "reinstall codat-iac")


def _virtualenv(project: Path) -> Iterator[Finding]:
    """Check that the project in a folder has the virtualenv that its Pulumi.yaml names."""
    file = project / "Pulumi.yaml"
    text = file.read_text() if file.exists() else ""
    option, main = VIRTUALENV.search(text), MAIN.search(text)
    if option is None:
        return
    folder = project / option[1]
    if not _is_virtualenv(folder):
        remedy = "create it and install the requirements, for example with `pulumi install`"
        yield Finding(Severity.PROBLEM, f"{folder}, the virtualenv of {file}, isn't there", remedy)
    # The dynamic provider starts in main's folder: https://github.com/pulumi/pulumi/issues/7061
    elif main and not _is_virtualenv(_folder(project / main[1]) / option[1]):
        what = f"{file}: Pulumi's provider process looks for {option[1]} in the folder of `main: {main[1]}`"
        yield Finding(Severity.PROBLEM, what, "leave out `main`, or make `virtualenv` an absolute path")
    else:
        yield Finding(Severity.OK, f"{folder} is the virtualenv of {file}")


def _is_virtualenv(folder: Path) -> bool:
    return os.access(folder / "bin" / "python", os.X_OK)


def _folder(main: Path) -> Path:
    return main if main.is_dir() else main.parent
