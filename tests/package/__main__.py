"""Build wheel and sdist, install the wheel in a clean virtualenv, and take a user's first steps with it.

    python -m tests.package [PYTHON ...]

Each PYTHON is one to try it with, by default this one. The packages that it needs come from the index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from codat_iac import __version__
from codat_iac.emulator import Emulator, serving
from codat_iac.stack import engine
from tests.support import ROOT

DISTRIBUTIONS = ROOT / "dist"
DATA = ("schemas/connections.schema.json", "examples/yaml/connections.yaml", "examples/yaml/Pulumi.yaml")
EXAMPLE = "import importlib.resources as r; print(r.files('codat_iac') / 'examples/yaml/connections.yaml')"


def main() -> None:
    """Build, look inside, and try it with each Python."""
    wheel, sdist = build()
    look_inside(wheel, sdist)
    for python in sys.argv[1:] or [sys.executable]:
        with (
            tempfile.TemporaryDirectory(prefix="codat-iac-package-") as folder,
            serving(companies=3) as emulator,
        ):
            first_steps(Path(folder), python, wheel, emulator)
    click.echo(f"{wheel.name} and {sdist.name} are in {DISTRIBUTIONS}")


def build() -> tuple[Path, Path]:
    """Build both, twice, and return their paths: what is released can be built again by anybody."""
    built = {}
    for folder in (DISTRIBUTIONS / "again", DISTRIBUTIONS):
        run([sys.executable, "-m", "hatchling", "build", "--directory", str(folder)], ROOT)
        names = (f"codat_iac-{__version__}-py3-none-any.whl", f"codat_iac-{__version__}.tar.gz")
        built[folder] = [folder / name for name in names]
    for one, other in zip(*built.values(), strict=True):
        expect(one.read_bytes() == other.read_bytes(), f"{one.name} is the same when it is built again")
        one.unlink()
    (DISTRIBUTIONS / "again").rmdir()
    wheel, sdist = built[DISTRIBUTIONS]
    return wheel, sdist


def look_inside(wheel: Path, sdist: Path) -> None:
    """Check that schemas and examples are in both, and tests in none."""
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    with tarfile.open(sdist) as sources:
        packed = {name.partition("/")[2] for name in sources.getnames()}
    for name in DATA:
        expect(f"codat_iac/{name}" in inside, f"{name} is in the wheel")
        expect(name in packed, f"{name} is in the sdist")
    expect("codat_iac/py.typed" in inside, "the types are in the wheel")
    expect(not any(name.startswith("tests/") for name in inside | packed), "no test is in either")


def first_steps(folder: Path, python: str, wheel: Path, emulator: Emulator) -> None:
    """Install the wheel, and do what the README says."""
    environment = clean_environment(emulator)
    bin_ = folder / "venv" / "bin"
    run([python, "-m", "venv", str(folder / "venv")], folder, environment)
    run([str(bin_ / "pip"), "install", "--quiet", f"{wheel}[emulator]"], folder, environment)
    codat_iac = str(bin_ / "codat-iac")
    said = run([codat_iac, "--version"], folder, environment)
    expect(said == f"codat-iac, version {__version__}\n", f"{python} has version {__version__}")
    example = run([str(bin_ / "python"), "-c", EXAMPLE], folder, environment).strip()
    expect(
        "3 connections" in run([codat_iac, "validate", example], folder, environment), "the example is valid"
    )
    company = str(emulator.add_company("Acme")["id"])
    emulator.connect(company, "gbol")
    project = folder / "clients"
    project.mkdir()
    shown = run([codat_iac, "init", "--yes", "--local", "--ci", "github"], project, environment)
    expect("No changes." in shown, "init ends with nothing to do")
    run(["pulumi", "preview", "--expect-no-changes", "--non-interactive"], project, environment)
    expect(
        "No changes." in run([codat_iac, "plan"], project, environment), "the plan agrees with the preview"
    )


def clean_environment(emulator: Emulator) -> dict[str, str]:
    """Return an environment in which nothing of this checkout can be found, but for the engine."""
    ours = ("PULUMI_", "PYTHON", "COV", "VIRTUAL_ENV")
    folder = Path(engine.install(engine.Silent())).parent
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith(ours)},
        "PATH": f"{folder}{os.pathsep}{os.defpath}",
        "CODAT_API_KEY": emulator.api_key,
        "CODAT_BASE_URL": emulator.url,
        "PULUMI_CONFIG_PASSPHRASE": "",
    }


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command, which has to succeed, and return its stdout."""
    click.echo(f"$ {' '.join(command)}")
    ran = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    expect(ran.returncode == 0, f"exit status {ran.returncode}", quiet=True)
    return ran.stdout


def expect(holds: bool, what: str, *, quiet: bool = False) -> None:
    """Say that something holds, or end."""
    if not holds:
        sys.exit(f"not so: {what}")
    if not quiet:
        click.echo(f"  {what}")


if __name__ == "__main__":
    main()
