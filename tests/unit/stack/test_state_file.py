"""Which states are read from a file backend's own file, and which are left to `pulumi stack export`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codat_iac.stack.engine import PINNED
from codat_iac.stack.project.state_file import exported
from codat_iac.stack.stack import Stack

DEPLOYMENT = {"resources": [{"urn": "u", "type": "t"}]}


def held(version: int = 3, stack: str = "organization/shop/dev", deployment: Any = DEPLOYMENT) -> str:
    """A stack's state, as its file has it."""
    return json.dumps({"version": version, "checkpoint": {"stack": stack, "latest": deployment}})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a stack `dev`, whose Pulumi.yaml names a folder beside it as the backend."""
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    stacks = tmp_path / "state" / ".pulumi" / "stacks" / "shop"
    stacks.mkdir(parents=True)
    (stacks.parents[1] / "meta.yaml").write_text("version: 1\n")
    (stacks.parents[1] / "meta.yaml.attrs").write_text("{}")
    (stacks / "dev.json").write_text(held())
    (stacks / "dev.json.attrs").write_text("{}")
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\nbackend: {url: file://./state}\n")
    return tmp_path


def test_a_state_is_as_pulumi_would_export_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that Pulumi.yaml names, or the one of the environment, which Pulumi prefers, too."""
    assert exported(project, "dev") == {"version": 3, "deployment": DEPLOYMENT}

    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{project}/elsewhere")
    assert exported(project, "dev") is None

    (project / "state").rename(project / "elsewhere")
    assert exported(project, "dev") == {"version": 3, "deployment": DEPLOYMENT}


def state(project: Path) -> Path:
    """The stack's file."""
    return project / "state/.pulumi/stacks/shop/dev.json"


def meta(project: Path) -> Path:
    """What the backend says of its layout."""
    return project / "state/.pulumi/meta.yaml"


def says(text: str) -> Callable[[Path], object]:
    """Let the stack's file say *text*."""
    return lambda project: state(project).write_text(text)


def named(text: str) -> Callable[[Path], object]:
    """Let Pulumi.yaml say *text*."""
    return lambda project: (project / "Pulumi.yaml").write_text(text)


def url(backend: str) -> Callable[[Path], object]:
    """Let Pulumi.yaml name another backend."""
    return named(f"name: shop\nbackend: {{url: {json.dumps(backend)}}}\n")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(named("name: shop\n"), id="no backend"),
        pytest.param(named("name: shop\nbackend:\n"), id="an empty one"),
        pytest.param(named("backend: {url: file://./state}\n"), id="no name"),
        pytest.param(named("name: [\n"), id="no YAML"),
        pytest.param(named("name: other\nbackend: {url: file://./state}\n"), id="another project"),
        pytest.param(url("file://~"), id="a home"),
        pytest.param(url("file://state"), id="a host"),
        pytest.param(url("file://./state/../state"), id="upwards"),
        pytest.param(url("file://./sta te"), id="a blank"),
        pytest.param(lambda project: (project / "Pulumi.json").write_text("{}"), id="another project file"),
        pytest.param(url("file://./state?no_tmp_dir=true"), id="options"),
        pytest.param(url("file://./st%61te"), id="escaped"),
        pytest.param(url("s3://state"), id="a bucket"),
        pytest.param(url("https://api.pulumi.com"), id="Pulumi Cloud"),
        pytest.param(lambda project: (project / "state/.pulumi/meta.yaml").unlink(), id="no layout"),
        pytest.param(
            lambda project: (project / "state/.pulumi/meta.yaml").write_text("version: 0\n"),
            id="an old layout",
        ),
        pytest.param(lambda project: (project / "Pulumi.yaml").unlink(), id="no project"),
        pytest.param(lambda project: meta(project).write_text("version: true\n"), id="an odd layout"),
        pytest.param(lambda project: Path(f"{meta(project)}.attrs").write_text(""), id="a layout cut short"),
        pytest.param(lambda project: state(project).unlink(), id="no such stack"),
        pytest.param(says(held()[:-9]), id="cut short"),
        pytest.param(says("[]"), id="something else"),
        pytest.param(says(held(deployment=None)), id="empty"),
        pytest.param(says(held(deployment={"resources": float("nan")})), id="no JSON"),
        pytest.param(says(held(version=4)), id="newer features"),
        pytest.param(says(held(stack="organization/shop/prod")), id="another stack's"),
        pytest.param(
            lambda project: Path(f"{state(project)}.gz").write_bytes(gzip.compress(held().encode())),
            id="packed, too",
        ),
        pytest.param(lambda project: Path(f"{state(project)}.zst").touch(), id="packed otherwise"),
        pytest.param(lambda project: Path(f"{state(project)}.attrs").write_text(""), id="empty attributes"),
        pytest.param(lambda project: Path(f"{state(project)}.attrs").write_text("[]"), id="odd attributes"),
        pytest.param(lambda project: Path(f"{state(project)}.attrs").unlink(), id="no attributes"),
    ],
)
def test_what_isnt_plain_is_left_to_pulumi(project: Path, change: Callable[[Path], object]) -> None:
    """It reads more, and it says what is wrong with the rest."""
    change(project)

    assert exported(project, "dev") is None


@pytest.mark.parametrize(
    ("version", "asked"), [(PINNED, False), ("3.260.0", True), ("4.0.0", True), ("?", True)]
)
def test_an_engine_that_nobody_has_tested_is_asked(project: Path, version: object, asked: bool) -> None:
    """It may keep more beside the file than we know of."""
    pulumi = project / "pulumi"
    pulumi.write_text(f'#!/bin/sh\n[ "$1" = version ] && exec echo v{version}\necho \'{{"asked": true}}\'\n')
    pulumi.chmod(0o755)

    assert ("asked" in Stack(project, "dev", pulumi).export()) == asked


@pytest.mark.parametrize("name", ["a%41b", "c#1", "what?"])
def test_a_path_that_would_be_part_of_a_url_is_left_to_pulumi(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes a URL of a relative one and the folder in which it runs, by whichever name that goes."""
    odd = project.with_name(name)
    project.rename(odd)
    assert exported(odd, "dev") is None

    odd.rename(project)
    monkeypatch.setenv("PWD", str(odd))
    assert exported(project, "dev") is None

    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{project}/state")
    assert exported(project, "dev")
