"""The virtualenv that Pulumi.yaml names: Pulumi starts the project's program with its Python.

Pulumi.yaml says `.venv`, since it is shared: colleagues and CI make theirs there from requirements.txt. Here
it may be another one: the one in which codat-iac was installed, or which pipx or uv made for it. Then it is a
link to that, so that both have the same version, and nothing is installed twice.
"""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

from codat_iac.model.errors import ConfigError
from codat_iac.stack.new_project.files import VIRTUALENV


def make_virtualenv(folder: Path, prefix: str = sys.prefix, base: str = sys.base_prefix) -> str:
    """Make the virtualenv of the project in *folder*, unless it has one, and return in words what was made.

    *prefix* and *base* are those of the Python that has codat-iac; they are the same outside of a virtualenv.
    Raises `ConfigError` if that fails.
    """
    place = folder / VIRTUALENV
    if os.access(place / "bin" / "python", os.X_OK):
        return ""
    half_made = prefix == base and place.is_dir() and not place.is_symlink()
    if os.path.lexists(place) and not half_made:
        raise ConfigError(f"{place} is no virtualenv; remove it, and run this again")
    try:
        if prefix != base:
            place.symlink_to(prefix)
            return f"{VIRTUALENV} is a link to {prefix}, where codat-iac is installed"
        # Its pip is that of the system, if it has one: Debian's Python can't give it one of its own.
        venv.create(place, system_site_packages=True, symlinks=True)
    except OSError as error:
        raise ConfigError(
            f"{place} can't be made ({error.strerror}); make it with `python3 -m venv {VIRTUALENV}`, and"
            " install codat-iac there"
        ) from error
    return f"{VIRTUALENV} is a virtualenv that sees the packages of {base}, where codat-iac is installed"
