"""What a project's own files say of the desired state."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.model.errors import ConfigError
from codat_iac.stack.project.contents import desired_path

PROJECT = "name: shop\nruntime: python\n"


def lay_out(folder: Path, files: dict[str, str]) -> Path:
    """Write the files of a project."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "stack", "path"),
    [
        pytest.param({"Pulumi.yaml": "config: {codat:desired: {value: c.yaml}}"}, None, "c.yaml", id="value"),
        pytest.param({"Pulumi.yaml": "config: {codat:desired: c.yaml}"}, None, "c.yaml", id="text"),
        pytest.param({"Pulumi.yml": "config: {codat:desired: x/c.yaml}"}, "dev", "x/c.yaml", id="no stack's"),
        pytest.param(
            {"Pulumi.yaml": PROJECT, "Pulumi.dev.yaml": "config: {codat:desired: d.yaml}"},
            None,
            "d.yaml",
            id="the only stack's",
        ),
        pytest.param(
            {
                "Pulumi.yaml": "config: {codat:desired: c.yaml}",
                "Pulumi.dev.yaml": "config: {codat:desired: d.yaml}",
                "Pulumi.prod.yaml": "config: {codat:desired: p.yaml}",
            },
            "acme/shop/prod",
            "p.yaml",
            id="the stack's before the project's",
        ),
        pytest.param(
            {"Pulumi.yaml": "config: {codat:desired: c.yaml}", "Pulumi.dev.yaml": "config: {aws:region: x}"},
            "dev",
            "c.yaml",
            id="the project's if the stack says nothing",
        ),
        pytest.param(
            {"Pulumi.yaml": "config: {codat:desired: c.yaml}", "Pulumi.dev.yaml": "encryptionsalt: v1:x"},
            None,
            "c.yaml",
            id="the same for all",
        ),
        pytest.param(
            {"Pulumi.yaml": "stackConfigDir: s", "s/Pulumi.dev.yaml": "config: {codat:desired: d.yaml}"},
            "dev",
            "d.yaml",
            id="a folder for the stacks' files",
        ),
        pytest.param(
            {"Pulumi.yaml": "config: s", "s/Pulumi.dev.yaml": "config: {codat:desired: d.yaml}"},
            "dev",
            "d.yaml",
            id="that folder as it was named once",
        ),
    ],
)
def test_the_path_is_read_from_the_projects_files(
    tmp_path: Path, files: dict[str, str], stack: str | None, path: str
) -> None:
    """From those of Pulumi's that hold config, from a folder below it too; it is relative to Pulumi.yaml."""
    (lay_out(tmp_path, files) / "below").mkdir()

    for start in (tmp_path, tmp_path / "below"):
        found = desired_path(start, stack)
        assert found
        assert found.resolve() == (tmp_path / path).resolve()


@pytest.mark.parametrize(
    ("files", "stack"),
    [
        pytest.param(
            {
                "Pulumi.yaml": "config: {codat:desired: c.yaml}",
                "Pulumi.dev.yaml": "config: {codat:desired: d.yaml}",
            },
            None,
            id="it depends on the stack",
        ),
        pytest.param(
            {"Pulumi.yaml": "config: {codat:desired: c.yaml}", "Pulumi.dev.yaml": "environment: [shared]"},
            None,
            id="an environment may say another",
        ),
        pytest.param(
            {"Pulumi.yaml": PROJECT, "Pulumi.dev.yaml": "config: {codat:desired: {secure: AAA}}"},
            "dev",
            id="encrypted",
        ),
        pytest.param({"Pulumi.yaml": "config: {codat:desired: [c.yaml]}"}, None, id="a list"),
    ],
)
def test_what_only_pulumi_can_tell_is_not_guessed(
    tmp_path: Path, files: dict[str, str], stack: str | None
) -> None:
    """The selected stack is known to it alone."""
    assert desired_path(lay_out(tmp_path, files), stack) is None


@pytest.mark.parametrize("text", [PROJECT, "config: {aws:region: x}", "", "- no\n- project"])
def test_a_project_that_names_none_is_an_error(tmp_path: Path, text: str) -> None:
    """With the ways to name one."""
    with pytest.raises(ConfigError, match="no desired state: name it with `pulumi config set"):
        desired_path(lay_out(tmp_path, {"Pulumi.yaml": text}))


def test_no_project_is_an_error(tmp_path: Path) -> None:
    """As for every other command."""
    with pytest.raises(ConfigError, match=r"no Pulumi\.yaml in .* or above it"):
        desired_path(tmp_path)


@pytest.mark.parametrize("name", ["Pulumi.yaml", "Pulumi.dev.yaml"])
def test_a_file_that_is_no_yaml_is_an_error(tmp_path: Path, name: str) -> None:
    """With its place."""
    lay_out(tmp_path, {"Pulumi.yaml": "config: {codat:desired: c.yaml}"})

    with pytest.raises(ConfigError, match=rf"{name}, line 1, column 11: not YAML"):
        desired_path(lay_out(tmp_path, {name: "config: [x}"}), "dev")
