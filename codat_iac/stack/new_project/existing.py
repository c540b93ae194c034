"""What is in the folder of a new project already. It stays, so it must not contradict what is needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codat_iac.desired import load_declaration
from codat_iac.model.errors import ConfigError, FileProblem
from codat_iac.model.version import __version__
from codat_iac.stack.new_project.files import (
    DESIRED,
    IGNORED,
    NOT_FOR_GIT,
    PROGRAM,
    PROGRAM_TEXT,
    PROJECT,
    REQUIREMENTS,
    SCHEMA,
    VIRTUALENV,
    Choices,
    schema_text,
)
from codat_iac.stack.project.contents import desired_path, mapping

_OTHER_NAME = "Pulumi.yml"
_ELSEWHERE = "or run this in another folder (--cwd)"
_OURS = re.compile(r"^\s*(codat[-_.]iac\b|-e\b|\.|/)", re.IGNORECASE | re.MULTILINE)
"""A line of requirements.txt that brings codat-iac, or a folder, which may be it."""


@dataclass(frozen=True, slots=True)
class Existing:
    """A folder before `codat-iac init`. `project` is what its Pulumi.yaml says, if `is_project`."""

    folder: Path
    project: Mapping[str, Any]
    is_project: bool = True

    @classmethod
    def read(cls, folder: Path) -> Existing:
        """Read the folder. Raises `ConfigError` if its Pulumi.yaml isn't YAML."""
        file = folder / PROJECT
        return cls(folder, mapping(file)) if file.is_file() else cls(folder, {}, is_project=False)

    @property
    def backend(self) -> str:
        """The backend that Pulumi.yaml names, if it does."""
        return str(_under(self.project, "backend", "url") or "")

    @property
    def name(self) -> str:
        """The project's name, if it has one."""
        return str(self.project.get("name") or "")

    @property
    def base_url(self) -> str:
        """The base URL that Pulumi.yaml says, if it does."""
        said = _under(self.project, "config", "codat:baseUrl")
        return str((said.get("value") if isinstance(said, Mapping) else said) or "")

    @property
    def wants_virtualenv(self) -> bool:
        """Whether the virtualenv is the one that we make: Pulumi.yaml names it, or isn't there yet."""
        named = _under(self.project, "runtime", "options", "virtualenv")
        return not self.is_project or named == VIRTUALENV

    def desired(self, stack: str) -> str:
        """Return the path in the folder of the desired state of *stack*. Raises `ConfigError`."""
        if not self.is_project:
            return DESIRED
        named = desired_path(self.folder, stack)
        if named is None:
            raise ConfigError(
                f"only Pulumi knows what codat:desired is; let it be plain text, such as {DESIRED}"
            )
        return os.path.relpath(named, self.folder)

    def check(self, choices: Choices) -> None:
        """Raise `ConfigError` with each problem of a file that stays and contradicts what is needed."""
        problems = [*self._project_problems(choices), *self._file_problems()]
        if not problems:
            try:
                self._check_desired(choices.stack)
            except ConfigError as error:
                problems += error.problems or (FileProblem(str(self.folder / PROJECT), 0, 0, str(error)),)
        if problems:
            raise ConfigError(problems)

    def notes(self) -> Iterator[str]:
        """Yield what stays as it is, and the user might want to change."""
        ignored = self.folder / IGNORED
        if ignored.is_file():
            there = {line.strip().strip("/") for line in ignored.read_text("utf-8", "replace").splitlines()}
            lacking = [each for each in NOT_FOR_GIT if each.strip("/") not in there]
            if lacking:
                yield f"{IGNORED} doesn't name {', '.join(lacking)}; add what git should not take"
        schema = self.folder / SCHEMA
        if schema.is_file() and schema.read_text("utf-8", "replace") != schema_text():
            yield f"{SCHEMA} is not that of codat-iac {__version__}; remove it and run this again for that"

    def _project_problems(self, choices: Choices) -> Iterator[FileProblem]:
        if (self.folder / _OTHER_NAME).exists():
            yield self._problem(_OTHER_NAME, f"{PROJECT} is what counts beside it; rename it to {PROJECT}")
        if not self.is_project:
            return
        runtime = self.project.get("runtime")
        language = runtime.get("name") if isinstance(runtime, Mapping) else runtime
        if language != "python":
            yield self._problem(PROJECT, f"its runtime isn't python, which the program is in; {_elsewhere()}")
        if self.project.get("main"):
            yield self._problem(
                PROJECT, f"`main` leads to another program than {PROGRAM}; take it out, {_ELSEWHERE}"
            )
        if _under(self.project, "options", "refresh") != "always":
            yield self._problem(
                PROJECT, "a preview wouldn't read what is live; add `options: {refresh: always}`"
            )
        asked = {"backend": choices.backend, "codat:baseUrl": choices.base_url}
        said = {"backend": self.backend, "codat:baseUrl": self.base_url}
        for key, wanted in asked.items():
            if wanted and wanted != said[key]:
                what = f"{key} is another one" if said[key] else f"{key} isn't set"
                yield self._problem(
                    PROJECT, f"{what}, and you ask for {wanted}; change it there, or don't ask"
                )

    def _file_problems(self) -> Iterator[FileProblem]:
        program, needed = self.folder / PROGRAM, self.folder / REQUIREMENTS
        if program.is_file() and "codat_iac.program" not in program.read_text("utf-8", "replace"):
            wanted = " and ".join(f"`{line}`" for line in PROGRAM_TEXT.splitlines() if line)
            yield self._problem(PROGRAM, f"it is another program; let it be {wanted}, {_ELSEWHERE}")
        if needed.is_file() and not _OURS.search(needed.read_text("utf-8", "replace")):
            yield self._problem(REQUIREMENTS, f"it lacks codat-iac; add `codat-iac=={__version__}`")

    def _check_desired(self, stack: str) -> None:
        path = self.folder / self.desired(stack)
        load_declaration(path, required=path.is_file())

    def _problem(self, name: str, message: str) -> FileProblem:
        return FileProblem(os.path.relpath(self.folder / name), 0, 0, message)


def _elsewhere() -> str:
    return _ELSEWHERE.removeprefix("or ")


def _under(document: Any, *keys: str) -> Any:
    """Return what stands under *keys*, one in the other; None if nothing does."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document
