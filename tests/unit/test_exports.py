"""The public names: few, documented, and quick to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import codat_iac
from codat_iac.codat.client import Client
from codat_iac.model.errors import CodatIacError
from tests.support import ROOT


def run(program: str) -> str:
    """What a program prints in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_package_imports_neither_pulumi_nor_requests() -> None:
    """A command line that only validates must not wait for them."""
    heavy = "{'pulumi', 'requests', 'urllib3', 'grpc', 'yaml', 'click', 'tenacity'}"
    program = f"import sys, codat_iac; print(sorted({heavy} & set(sys.modules)))"

    assert run(program) == "[]"


def test_the_client_does_not_import_pulumi() -> None:
    """A script that only asks Codat needs no engine."""
    assert run("import sys; from codat_iac import Client; print('pulumi' in sys.modules)") == "False"


def test_all_public_names_can_be_had() -> None:
    """Also the ones that are imported when they are asked for."""
    names = "print([getattr(codat_iac, name) is not None for name in codat_iac.__all__])"

    assert run(f"import codat_iac; {names}") == "[True, True, True, True]"
    assert codat_iac.__all__ == sorted(codat_iac.__all__)


def test_a_person_finds_what_there_is() -> None:
    """In `dir`, before anything is imported, and in `help`: our own words, not Pulumi's."""
    listed = run("import codat_iac; print(set(codat_iac.__all__) <= set(dir(codat_iac)))")

    assert listed == "True"
    assert dir(codat_iac) == sorted(set(dir(codat_iac)))
    shown = run("import codat_iac; help(codat_iac.Connection)")
    assert "One Codat connection: one company on one platform." in shown
    assert "implementation of the resource's CRUD operations" not in shown
    words = inspect.getdoc(codat_iac.Connection.__init__) or ""
    assert words.startswith("Declare the connection.")
    for name in inspect.signature(codat_iac.Connection).parameters:
        assert name in words
    for name in ("company_id", "platform_key", "platform_name", "source_type", "created", "status"):
        assert name in (codat_iac.Connection.__doc__ or "")


def test_a_name_is_the_same_wherever_it_comes_from() -> None:
    """`except codat_iac.CodatIacError` catches what the modules raise."""
    assert codat_iac.Client is Client
    assert codat_iac.CodatIacError is CodatIacError
    assert codat_iac.Connection.__module__ == "codat_iac.program.connection"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As for every module, so that `hasattr` and `from ... import` work."""
    with pytest.raises(AttributeError, match="module 'codat_iac' has no attribute 'Clinet'"):
        getattr(codat_iac, "Clinet")  # noqa: B009  mypy would refuse the plain form


def test_the_version_is_the_distributions() -> None:
    """Said in the User-Agent, and once in pyproject.toml."""
    program = (
        "import codat_iac, importlib.metadata as m; print(codat_iac.__version__ == m.version('codat-iac'))"
    )

    assert run(program) == "True"


def test_who_uses_it_has_its_types(tmp_path: Path) -> None:
    """PEP 561: the marker is in the wheel, beside the code and the schemas."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"codat_iac/py.typed", "codat_iac/program/connection.py"} <= names
    assert "codat_iac/schemas/connections.schema.json" in names
