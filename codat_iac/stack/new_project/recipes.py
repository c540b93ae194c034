"""Recipes for CI: the examples that come with the package, as files of a project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from codat_iac.desired.schemas import packaged
from codat_iac.model.errors import ConfigError

FORGES: Mapping[str, str] = MappingProxyType({"github": "github-actions", "gitlab": "gitlab"})
"""The folder of examples for each forge."""

_GITLAB_FILE = ".gitlab-ci.yml"


def recipes(forge: str, examples: Traversable | None = None) -> dict[str, str]:
    """Return the files of the recipe for *forge*, by their paths in a project.

    *examples* is the folder of examples, by default the package's. Raises `ConfigError` if it has none.
    """
    folder = _folder(forge, examples)
    found = dict(_yaml_files(folder)) if folder.is_dir() else {}
    if not found:
        raise ConfigError(f"this version of codat-iac has no recipe for {forge}; leave out --ci {forge}")
    return {_place(forge, name): text for name, text in sorted(found.items())}


def manual(forge: str, examples: Traversable | None = None) -> str:
    """Return the path of the page that says what the recipe needs, such as secrets; empty if none does."""
    page = _folder(forge, examples).joinpath("README.md")
    return str(page) if page.is_file() else ""


def check_place(folder: Path) -> None:
    """Raise `ConfigError` if a recipe for CI would not be found in *folder*, or run elsewhere."""
    top = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    if top != folder:
        raise ConfigError(
            f"a recipe for CI takes the top folder of a repository for the project, which is {top}; run this"
            " there (--cwd), or leave out --ci, and write one that changes to this folder"
        )


def _folder(forge: str, examples: Traversable | None) -> Traversable:
    return (examples or packaged("examples")).joinpath(FORGES[forge])


def _yaml_files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path below *folder*, and the text, of each file of YAML in it."""
    for each in folder.iterdir():
        if each.is_dir():
            yield from _yaml_files(each, f"{prefix}{each.name}/")
        elif each.name.endswith((".yml", ".yaml")):
            yield f"{prefix}{each.name}", each.read_text("utf-8")


def _place(forge: str, name: str) -> str:
    """Return where the forge looks for a file of its folder of examples."""
    if forge == "gitlab":
        return _GITLAB_FILE if name.rpartition(".")[0].lstrip(".") == "gitlab-ci" else name
    is_workflow = "/" not in name and not name.startswith("actionlint.")
    return f".github/workflows/{name}" if is_workflow else f".github/{name}"
