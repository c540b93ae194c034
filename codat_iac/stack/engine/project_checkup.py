"""Check a project for what breaks its program on this machine: its Python, its toolchain, its modules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from codat_iac.model.version import __version__
from codat_iac.stack.engine import locate
from codat_iac.stack.engine.checkup import Finding, Severity, companion
from codat_iac.stack.engine.command import last_line
from codat_iac.stack.engine.surroundings import tidy

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAIN = re.compile(r"""^main:\s*["']?([^"'#\s]+)""", re.MULTILINE)
_START = "import codat_iac.program, pulumi.dynamic; print(codat_iac.__version__)"
"""What the program of a project imports, and the process of its provider."""

_ALSO = {"dill", "google", "grpc", "pulumi", "requests", "yaml"}
"""What these import of other makes, and what a file may be named after."""


def project_doctor(file: Path) -> Iterator[Finding]:
    """Yield findings about the project of a Pulumi.yaml. It imports what the project's program does."""
    text = file.read_text("utf-8", "replace")
    main = _MAIN.search(text)
    folder = _folder(file.parent / main[1]) if main else file.parent
    unknown = list(_unknown(file, text))
    yield from unknown
    if unknown or _option(text, "toolchain") not in {None, "pip"}:
        return  # another toolchain has its own ways to a Python
    virtualenv = _option(text, "virtualenv")
    if virtualenv is None:
        yield _program(_ambient(), folder)
    else:
        yield _wrong(file, folder, virtualenv) or _program(
            str(folder / virtualenv / "bin" / "python"), folder
        )


def _option(text: str, name: str) -> str | None:
    """Return an option in a Pulumi.yaml, in block or flow style; the launcher reads it the same way."""
    found = re.search(rf"""^[^#\n]*\b{name}:\s*["']?([^"',}}#\s]+)""", text, re.MULTILINE)
    return found and found[1]


def _unknown(file: Path, text: str) -> Iterator[Finding]:
    """Yield the options that our own language host doesn't know, if it is the one that runs."""
    engine, ours = locate.find(), locate.built()
    host = engine and companion(engine, locate.LANGUAGE_HOST)
    if ours is None or host != ours.with_name(locate.LANGUAGE_HOST):
        return
    for name, known, remedy in (
        ("toolchain", "pip", "use `toolchain: pip` with a `virtualenv`"),
        ("typechecker", None, "leave it out"),
    ):
        chosen = _option(text, name) or known
        if chosen != known:
            what = f"{file}: the language host of codat-iac doesn't know the option `{name}: {chosen}`"
            yield Finding(
                Severity.PROBLEM, what, f"{remedy}, or install Pulumi itself (pulumi.com/docs/install)"
            )


def _wrong(file: Path, folder: Path, virtualenv: str) -> Finding | None:
    """Return what is wrong with the virtualenv that a Pulumi.yaml names, if anything is."""
    place = file.parent / virtualenv
    if not _is_virtualenv(place):
        remedy = "create it and install the requirements, for example with `pulumi install`"
        return Finding(Severity.PROBLEM, f"{place}, the virtualenv of {file}, isn't there", remedy)
    # The dynamic provider starts in main's folder: https://github.com/pulumi/pulumi/issues/7061
    if not _is_virtualenv(folder / virtualenv):
        what = f"{file}: Pulumi's provider process looks for {virtualenv} in the folder of `main`"
        return Finding(Severity.PROBLEM, what, "leave out `main`, or make `virtualenv` an absolute path")
    return None


def _ambient() -> str:
    """Return the Python of a project that names none, as Pulumi's language host chooses it."""
    named = os.environ.get("PULUMI_PYTHON_CMD") or "python3"
    return shutil.which(named) or named


def _program(python: str, folder: Path) -> Finding:
    """Check that a Python can start the program and the provider in their folder."""
    status, said = _started(python, folder)
    shadows = ", ".join(_shadows(folder))
    if not status and not shadows:
        if said == __version__:
            return Finding(Severity.OK, f"{python} runs the project's program")
        what = f"{python}, which runs the project's program, has codat-iac {said}, and this is {__version__}"
        return Finding(Severity.NOTE, what, f"{python} -m pip install codat-iac=={__version__}")
    if shadows and (not status or not _started(python, Path("/"))[0]):
        what = f"{folder} has modules with names of Python's own or of its packages: {shadows}"
        return Finding(Severity.PROBLEM if status else Severity.NOTE, what, "rename them")
    what = f"{python} can't run the project's program: {said}"
    remedy = f"{python} -m pip install codat-iac, or name its virtualenv in Pulumi.yaml (`virtualenv`)"
    return Finding(Severity.PROBLEM, what, remedy)


def _started(python: str, folder: Path) -> tuple[int, str]:
    """Return the exit status and the last line of a Python that imports what a program does."""
    try:
        answer = subprocess.run(  # noqa: S603 - as the engine would
            [python, "-c", _START],
            cwd=folder,
            env=tidy(os.environ),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return 1, error.strerror or str(error)
    return answer.returncode, answer.stdout.strip() or last_line(answer.stderr)


def _shadows(folder: Path) -> Iterator[str]:
    names = sys.stdlib_module_names | _ALSO
    for each in sorted(folder.glob("*.py")):
        if each.stem in names:
            yield each.name
    for each in sorted(folder.glob("*/__init__.py")):
        if each.parent.name in names:
            yield f"{each.parent.name}/"


def _is_virtualenv(folder: Path) -> bool:
    return os.access(folder / "bin" / "python", os.X_OK)


def _folder(main: Path) -> Path:
    return main if main.is_dir() else main.parent
