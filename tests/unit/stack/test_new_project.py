"""What `codat-iac init` lays out, and what it leaves alone or refuses."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from codat_iac import desired
from codat_iac.model.errors import ConfigError
from codat_iac.model.version import __version__
from codat_iac.stack.new_project import files, recipes
from codat_iac.stack.new_project.existing import Existing
from codat_iac.stack.new_project.files import Choices
from codat_iac.stack.new_project.virtualenv import make_virtualenv
from codat_iac.stack.project.contents import desired_path, mapping
from tests.support import ROOT

CHOICES = Choices("shop", "dev")


def laid_out(folder: Path, choices: Choices = CHOICES) -> dict[str, str]:
    """Write a project, and return its files."""
    wanted = files.files(choices)
    assert files.write_missing(folder, wanted) == list(wanted)
    return wanted


# Files.


def test_a_project_is_one_that_pulumi_and_we_can_read(tmp_path: Path) -> None:
    """Its settings are those of the examples; its desired state declares nothing, on purpose."""
    laid_out(tmp_path, Choices("0123", "dev", "s3://bucket?region=eu", "http://127.0.0.1:1"))

    project = mapping(tmp_path / "Pulumi.yaml")
    example = mapping(ROOT / "examples/yaml/Pulumi.yaml")
    assert project["name"] == "0123"
    assert project["options"] == example["options"]
    assert project["runtime"]["options"] == {"toolchain": "pip", "virtualenv": ".venv"}
    assert project["backend"] == {"url": "s3://bucket?region=eu"}
    assert project["config"]["codat:baseUrl"] == {"value": "http://127.0.0.1:1"}
    path = desired_path(tmp_path)
    assert path is not None
    assert desired.load(path) == ()
    assert (tmp_path / "__main__.py").read_text().endswith("import main\n\nmain()\n")
    assert (tmp_path / "requirements.txt").read_text() == f"codat-iac=={__version__}\n"


def test_what_need_not_be_said_is_not_said(tmp_path: Path) -> None:
    """No backend and no base URL: Pulumi's login and Codat's own hold."""
    laid_out(tmp_path)

    assert {"backend", "codat:baseUrl"} & {*mapping(tmp_path / "Pulumi.yaml"), *files.files(CHOICES)} == set()


def test_an_editor_finds_the_schema(tmp_path: Path) -> None:
    """It lies beside the file, so that the line is right on every machine."""
    laid_out(tmp_path)

    line = (tmp_path / "connections.yaml").read_text().splitlines()[0]
    named = line.removeprefix("# yaml-language-server: $schema=")
    assert (tmp_path / named).read_text() == (ROOT / "schemas/connections.schema.json").read_text()


def test_pulumi_yaml_comes_last_and_what_git_should_not_take_first() -> None:
    """Whoever is broken off has no project that lacks something, and nothing in git that shouldn't be."""
    names = list(files.files(Choices("shop", "dev", recipes={".github/workflows/c.yml": ""})))

    assert (names[0], names[-1]) == (".gitignore", "Pulumi.yaml")


@pytest.mark.parametrize("written", range(7))
def test_broken_off_between_two_writes_it_is_completed(tmp_path: Path, written: int) -> None:
    """What is there stays, and the end is the same."""
    wanted = files.files(CHOICES)
    files.write_missing(tmp_path, dict(list(wanted.items())[:written]))

    rest = files.write_missing(tmp_path, wanted)

    assert rest == list(wanted)[written:]
    assert {name: (tmp_path / name).read_text() for name in wanted} == wanted


def test_what_a_kill_left_unfinished_is_removed(tmp_path: Path) -> None:
    """Beside each file; what others named alike stays."""
    wanted = files.files(Choices("shop", "dev", recipes={".github/workflows/c.yml": ""}))
    (tmp_path / ".github/workflows").mkdir(parents=True)
    unfinished = f".codat-iac-{'0a' * 16}"
    for name in (unfinished, f".github/workflows/{unfinished}", ".codat-iac-notes"):
        (tmp_path / name).write_text("half")

    files.remove_unfinished(tmp_path, wanted)

    left = [file.name for file in tmp_path.rglob("*") if file.is_file()]
    assert left == [".codat-iac-notes"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    """Whatever it is: a broken link, too."""
    (tmp_path / ".gitignore").write_text("mine\n")
    (tmp_path / "connections.yaml").symlink_to("nowhere")

    written = files.write_missing(tmp_path, files.files(CHOICES))

    assert {".gitignore", "connections.yaml"} & set(written) == set()
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert not (tmp_path / "nowhere").exists()


def test_a_desired_state_elsewhere_has_no_copy_here() -> None:
    """Whose project names another file needs neither ours nor its schema."""
    assert {"connections.yaml", "connections.schema.json"} & set(files.files(CHOICES, "all.py")) == set()


def test_a_folder_that_can_not_be_made_is_one_line(tmp_path: Path) -> None:
    """It says what to do."""
    (tmp_path / ".github").write_text("")

    with pytest.raises(
        ConfigError, match=r"workflows can't be made \(Not a directory\); choose another folder"
    ):
        files.write_missing(tmp_path, {".github/workflows/c.yml": ""})


def test_a_local_state_is_ignored_by_git_whatever_else_is_said(tmp_path: Path) -> None:
    """It holds what only this machine should have."""
    for _ in range(2):
        files.make_local_state(tmp_path)

    assert (tmp_path / ".pulumi-state/.gitignore").read_text() == "*\n"


# Recipes.


def test_the_recipe_for_github_is_the_example() -> None:
    """So that a better example is a better recipe: each file is where GitHub looks for it."""
    found = recipes.recipes("github")

    assert any(path.startswith(".github/workflows/") for path in found)
    assert set(found.values()) == {
        file.read_text()
        for file in (ROOT / "examples/github-actions").rglob("*")
        if file.suffix in {".yml", ".yaml"}
    }


def lay_out_examples(folder: Path, *names: str) -> Path:
    """Write examples, each with its name in it."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_a_recipe_for_github_may_have_actions(tmp_path: Path) -> None:
    """Workflows and actions keep their folders; what isn't YAML is no recipe, but may be its manual."""
    names = ("a.yml", "actionlint.yaml", "workflows/plan.yml", "actions/codat-iac/action.yml", "README.md")
    examples = lay_out_examples(tmp_path, *(f"github-actions/{name}" for name in names))

    assert set(recipes.recipes("github", examples)) == {
        ".github/workflows/a.yml",
        ".github/actionlint.yaml",
        ".github/workflows/plan.yml",
        ".github/actions/codat-iac/action.yml",
    }
    assert recipes.manual("github", examples) == str(tmp_path / "github-actions/README.md")


def test_a_recipe_for_gitlab_has_the_name_that_it_reads(tmp_path: Path) -> None:
    """Others that it includes keep theirs."""
    examples = lay_out_examples(tmp_path, "gitlab/gitlab-ci.yml", "gitlab/ci/drift.yaml")

    assert recipes.recipes("gitlab", examples) == {
        ".gitlab-ci.yml": "gitlab/gitlab-ci.yml",
        "ci/drift.yaml": "gitlab/ci/drift.yaml",
    }
    assert recipes.manual("gitlab", examples) == ""


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the way on."""
    with pytest.raises(ConfigError, match=r"has no recipe for gitlab; leave out --ci gitlab"):
        recipes.recipes("gitlab", tmp_path)


def test_a_recipe_needs_the_top_of_a_repository(tmp_path: Path) -> None:
    """Elsewhere nobody would find it."""
    recipes.check_place(tmp_path)
    (tmp_path / ".git").mkdir()
    recipes.check_place(tmp_path)
    (tmp_path / "sub").mkdir()

    with pytest.raises(ConfigError, match=rf"which is {tmp_path}; run this there"):
        recipes.check_place(tmp_path / "sub")


# The virtualenv.


def test_the_virtualenv_of_codat_iac_is_linked(tmp_path: Path) -> None:
    """Where pipx, uv or a user made it. What is there stays."""
    said = make_virtualenv(tmp_path, sys.prefix, "/usr")

    assert said.startswith(f".venv is a link to {sys.prefix}")
    assert (tmp_path / ".venv").readlink() == Path(sys.prefix)
    assert make_virtualenv(tmp_path, sys.prefix, "/usr") == ""


def test_outside_of_a_virtualenv_one_is_made(tmp_path: Path) -> None:
    """It sees what is installed beside codat-iac. Half of one is completed."""
    (tmp_path / ".venv/bin").mkdir(parents=True)

    said = make_virtualenv(tmp_path, "/usr", "/usr")

    assert "sees the packages of /usr" in said
    assert "include-system-site-packages = true" in (tmp_path / ".venv/pyvenv.cfg").read_text()
    assert os.access(tmp_path / ".venv/bin/python", os.X_OK)


def test_a_virtualenv_that_can_not_be_is_one_line(tmp_path: Path) -> None:
    """A link to one that was removed, a file or another folder of that name; or no place for it."""
    (tmp_path / ".venv").symlink_to("gone")
    for base in (sys.prefix, "/usr"):
        with pytest.raises(ConfigError, match=r"\.venv is no virtualenv; remove it"):
            make_virtualenv(tmp_path, sys.prefix, base)
    (tmp_path / ".venv").unlink()
    (tmp_path / ".venv").mkdir()
    with pytest.raises(ConfigError, match=r"\.venv is no virtualenv; remove it"):
        make_virtualenv(tmp_path, sys.prefix, "/usr")
    with pytest.raises(ConfigError, match=r"can't be made \(.+\); make it with `python3 -m venv \.venv`"):
        make_virtualenv(tmp_path / "gone", sys.prefix, "/usr")


# What is there already.


def test_an_empty_folder_and_our_own_project_contradict_nothing(tmp_path: Path) -> None:
    """Before and after, with the same choices or with fewer."""
    choices = Choices("shop", "dev", "s3://bucket", "https://codat.example")
    before = Existing.read(tmp_path)
    before.check(choices)
    assert list(before.notes()) == []
    laid_out(tmp_path, choices)

    after = Existing.read(tmp_path)

    after.check(choices)
    after.check(CHOICES)
    assert (before.name, before.backend, before.base_url) == ("", "", "")
    assert (after.name, after.backend, after.base_url) == ("shop", "s3://bucket", "https://codat.example")
    assert before.desired("dev") == after.desired("dev") == "connections.yaml"
    assert list(after.notes()) == []
    assert before.wants_virtualenv
    assert after.wants_virtualenv


GOOD = (
    "runtime: python\noptions: {refresh: always}\nconfig: {codat:desired: c.yaml, codat:baseUrl: https://b}\n"
)


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        pytest.param(
            "Pulumi.yaml", "", "its runtime isn't python, which the program is in; run this", id="empty"
        ),
        pytest.param(
            "Pulumi.yaml", "runtime: {name: nodejs}", "run this in another folder (--cwd)", id="other"
        ),
        pytest.param("Pulumi.yaml", f"{GOOD}main: src", "`main` leads to another program", id="main"),
        pytest.param(
            "Pulumi.yaml",
            "runtime: python\nconfig: {codat:desired: c.yaml}",
            "add `options: {refresh:",
            id="r",
        ),
        pytest.param(
            "Pulumi.yaml",
            "runtime: python\noptions: {refresh: always}",
            "`pulumi config set codat:d",
            id="no",
        ),
        pytest.param(
            "Pulumi.yaml",
            GOOD.replace("c.yaml", "{value: {a: b}}"),
            "only Pulumi knows what codat:desired is; let it be plain text",
            id="unknown",
        ),
        pytest.param("Pulumi.yml", GOOD, "rename it to Pulumi.yaml", id="name"),
        pytest.param(
            "__main__.py", "import pulumi\n", "let it be `from codat_iac.program import main`", id="p"
        ),
        pytest.param("requirements.txt", "pulumi\ncodat\n", f"add `codat-iac=={__version__}`", id="needs"),
        pytest.param("connections.yaml", "version: 2\n", "connections.yaml, line 1", id="desired"),
    ],
)
def test_a_file_that_contradicts_is_refused_with_what_to_do(
    tmp_path: Path, file: str, text: str, problem: str
) -> None:
    """All of them at once; nothing is written."""
    (tmp_path / file).write_text(text)

    with pytest.raises(ConfigError) as refused:
        Existing.read(tmp_path).check(CHOICES)

    assert problem in str(refused.value)
    assert [each.name for each in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    "requirements", ["codat-iac\n", "# x\nCodat_IaC[emulator]>=0\n", "-e .\n", "./wheel.whl"]
)
def test_requirements_may_name_it_in_many_ways(tmp_path: Path, requirements: str) -> None:
    """By its name in any spelling, or as a folder or file."""
    (tmp_path / "requirements.txt").write_text(requirements)

    Existing.read(tmp_path).check(CHOICES)


def test_a_project_of_ones_own_keeps_its_desired_state_and_its_virtualenv(tmp_path: Path) -> None:
    """It may be a folder, and there may be nothing in it yet."""
    (tmp_path / "Pulumi.yaml").write_text(GOOD.replace("c.yaml", "clients") + "name: shop\n")
    (tmp_path / "clients").mkdir()

    existing = Existing.read(tmp_path)

    existing.check(CHOICES)
    assert existing.desired("dev") == "clients"
    assert not existing.wants_virtualenv
    assert existing.base_url == "https://b"


def test_what_is_asked_and_not_what_is_there_is_refused(tmp_path: Path) -> None:
    """Who asks for another backend or base URL than Pulumi.yaml says learns what it says."""
    (tmp_path / "Pulumi.yaml").write_text(GOOD)

    with pytest.raises(ConfigError) as refused:
        Existing.read(tmp_path).check(Choices("shop", "dev", "s3://b", "https://c"))

    said = str(refused.value)
    assert "backend isn't set, and you ask for s3://b; change it there, or don't ask" in said
    assert "codat:baseUrl is another one, and you ask for https://c; change it there" in said


def test_what_stays_and_might_be_wrong_is_noted(tmp_path: Path) -> None:
    """A .gitignore that lacks something, and the schema of another version."""
    (tmp_path / ".gitignore").write_text("# mine\n/.venv/\n")
    (tmp_path / "connections.schema.json").write_text("{}")

    assert list(Existing.read(tmp_path).notes()) == [
        ".gitignore doesn't name __pycache__/, .pulumi-state/; add what git should not take",
        f"{files.SCHEMA} is not that of codat-iac {__version__}; remove it and run this again for that",
    ]
