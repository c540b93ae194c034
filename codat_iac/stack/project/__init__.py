"""Where a project's files are. What they say is in `contents`, which needs YAML and is slow to import."""

from __future__ import annotations

from pathlib import Path

from codat_iac.model.errors import ConfigError

BACKEND = "PULUMI_BACKEND_URL"
"""The variable that names Pulumi's backend, before Pulumi.yaml does."""

PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml")

NO_DESIRED_STATE = (
    "no desired state: name it with `pulumi config set codat:desired FILE`, or give its PATH to a command"
    " that takes one; what a program of your own declares is planned by `codat-iac plan` and brought about by"
    " `pulumi up`"
)


def project_file(start: Path) -> Path:
    """Return the Pulumi.yaml in the folder *start* or above. Raises `ConfigError` if there is none."""
    for folder in (start, *start.parents):
        for name in PROJECT_FILES:
            if (folder / name).is_file():
                return folder / name
    raise ConfigError(
        f"no Pulumi.yaml in {start} or above it; run this in a Pulumi project, or name one with --cwd"
    )


def misread(path: str | Path) -> str:
    """Return a character by which Pulumi misreads a path, "" if there is none.

    It makes a URL of a project's path and of a backend that is relative to that, and parses it again.
    """
    return next((each for each in str(path) if each in "#?%"), "")
