"""What a project's own files say, without asking Pulumi."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codat_iac.desired.document import REPORTED, Document, Mapping
from codat_iac.desired.yaml_marks import read_yaml
from codat_iac.model import settings
from codat_iac.model.errors import ConfigError
from codat_iac.stack.project import NO_DESIRED_STATE, project_file


def desired_path(start: Path, stack: str | None = None) -> Path | None:
    """Return the path of the desired state that the files of the project in *start* or above it name.

    It stands in the config of *stack*, or else in that of the project. Returns None if only Pulumi can tell:
    without *stack* if it matters which one is selected, and if a value is more than text.

    Raises `ConfigError` if there is no project, its files aren't YAML, or they name no desired state.
    """
    file = project_file(start.resolve())
    project = mapping(file)
    default = _configured(project)
    said = [default if each is None else each for each in map(_configured, _stacks(file, project, stack))]
    if not (stack and said):
        said.append(default)
    known = [each for each in said if each is not None]
    if not known:
        raise ConfigError(NO_DESIRED_STATE)
    if not all(isinstance(each, str) and each == known[0] for each in known):
        return None
    return Path(os.path.relpath(file.parent / known[0]))


def project_name(start: Path) -> str:
    """Return the name of the project in *start* or above it. Raises `ConfigError` if there is none."""
    file = project_file(start.resolve())
    name = mapping(file).get("name")
    if not isinstance(name, str):
        raise ConfigError(f"{os.path.relpath(file)}: the project has no name; give it one")
    return name


def _stacks(file: Path, project: Mapping, stack: str | None) -> Iterator[Mapping]:
    """Yield what the file of *stack* says, or those of all stacks."""
    config = project.get("config")
    folder = config if isinstance(config, str) else project.get("stackConfigDir", "")
    name = stack.rpartition("/")[2] if stack else "*"
    return map(mapping, sorted(Path(file.parent, str(folder)).glob(f"Pulumi.{name}{file.suffix}")))


def mapping(file: Path) -> Mapping:
    """Return what a file of Pulumi's says. Raises `ConfigError` if it isn't YAML."""
    document = Document(os.path.relpath(file))
    read_yaml(document, file.read_bytes())
    if document.data is REPORTED:
        raise ConfigError(document.problems)
    return document.data if isinstance(document.data, Mapping) else Mapping()


def _configured(file: Mapping) -> Any:
    """Return what a file says of the desired state's path, None if nothing, not text if only Pulumi knows."""
    if "environment" in file:
        return file
    config = file.get("config")
    said = config.get(f"{settings.NAMESPACE}:desired") if isinstance(config, Mapping) else None
    return said.get("value", said) if isinstance(said, Mapping) else said
