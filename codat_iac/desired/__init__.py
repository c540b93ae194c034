"""The desired state: load it from a file or a folder of files, and report every problem.

```
files            a path -> the bytes of its files
yaml_marks       YAML text -> data with the line and column of each key and value
python_file      a Python file's desired() -> the same kind of data
schema_check     check one file against the JSON Schema, which schemas finds
merge            all files -> one desired state; clashes between files
against_tenant   platforms and companies that the tenant doesn't have
document         shared: one file's data, places and problems
yaml_writer      connections -> a new file
additions        connections -> lines added to a file that stays as it is
```

A file is one mapping with `version: 1` and `companies:`. `companies: {}` declares no connections on purpose;
a missing file, an empty file or folder, or a missing `companies:` is an error. The format is
`schemas/connections.schema.json`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from codat_iac.desired.against_tenant import Tenant, check_tenant
from codat_iac.desired.document import Document
from codat_iac.desired.files import desired_files, is_python, overlooked, read, within_limit
from codat_iac.desired.merge import DesiredState, cross_check, merged
from codat_iac.desired.python_file import run_python
from codat_iac.desired.schema_check import check
from codat_iac.desired.yaml_marks import read_yaml
from codat_iac.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codat_iac.model.connection import Declaration, DesiredConnection

__all__ = ["DesiredState", "Tenant", "load", "load_declaration", "load_state"]


def load(
    path: Path | str, tenant: Tenant | None = None, *, given: bytes | None = None, required: bool = True
) -> tuple[DesiredConnection, ...]:
    """Return the connections of a desired state that gives all companies by id, sorted by address.

    The arguments are those of `load_declaration`. Raises `ConfigError` for any problem, and if a company is
    still to be looked up.
    """
    declared = load_declaration(path, tenant, given=given, required=required)
    if declared.is_open:
        raise ConfigError(
            f"{os.fspath(path)} names companies by `match`, or has `rules`, and this reads no tenant to"
            " find them; give their ids"
        )
    return declared.connections


def load_declaration(
    path: Path | str, tenant: Tenant | None = None, *, given: bytes | None = None, required: bool = True
) -> Declaration:
    """Return what the file or folder at *path* declares.

    Takes and raises what `load_state` does.
    """
    return load_state(path, tenant, given=given, required=required).declaration


def load_state(
    path: Path | str, tenant: Tenant | None = None, *, given: bytes | None = None, required: bool = True
) -> DesiredState:
    """Return all that the file or folder at *path* says.

    If *tenant* is given, platforms and companies are checked against it too, once there are no other
    problems. *given* is the content of the file if it is no file: then *path* is only its name. Unless
    *required*, a path at which there is nothing yet, or a folder without such files, declares none.
    `reconcile/companies` finds the companies that are named by a match.

    Raises `ConfigError` with every problem of every file, one line each.
    """
    name = os.fspath(path)
    files = desired_files(name, required=required) if given is None else [name]
    documents = [_document(file, given) for file in files]
    if given is None and Path(name).is_dir():
        documents += overlooked(name)
    cross_check(documents)
    _raise_problems(documents)
    if tenant:
        check_tenant(documents, tenant)
        _raise_problems(documents)
    return merged(documents)


def _raise_problems(documents: Iterable[Document]) -> None:
    if problems := [problem for document in documents for problem in document.problems]:
        raise ConfigError(problems)


def _document(path: str, given: bytes | None) -> Document:
    """Read and check one file by itself; *given* is its content, if it is known."""
    document = Document(path)
    raw = read(document, path) if given is None else within_limit(document, given)
    if raw is None:
        return document
    if is_python(path):
        run_python(document, path, raw)
    else:
        read_yaml(document, raw)
    check(document)
    return document
