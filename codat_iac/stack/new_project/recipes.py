"""Recipes for CI: the examples that come with the package, as files of a project."""

from __future__ import annotations

from collections.abc import Mapping
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
    folder = (examples or packaged("examples")).joinpath(FORGES[forge])
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    wanted = [name for name in names if name.endswith((".yml", ".yaml")) and not _is_action(name)]
    if not wanted:
        raise ConfigError(f"this version of codat-iac has no recipe for {forge}; leave out --ci {forge}")
    return {_place(forge, name): folder.joinpath(name).read_text("utf-8") for name in wanted}


def check_place(folder: Path) -> None:
    """Raise `ConfigError` if a recipe for CI would not be found in *folder*, or run elsewhere."""
    top = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    if top != folder:
        raise ConfigError(
            f"a recipe for CI takes the top folder of a repository for the project, which is {top}; run this"
            " there (--cwd), or leave out --ci, and write one that changes to this folder"
        )


def _is_action(name: str) -> bool:
    """Return whether it is an action, which a workflow uses, and no workflow."""
    return name.rpartition(".")[0] == "action"


def _place(forge: str, name: str) -> str:
    if forge == "github":
        return f".github/workflows/{name}"
    return _GITLAB_FILE if name.rpartition(".")[0].lstrip(".") == "gitlab-ci" else name
