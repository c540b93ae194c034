"""The desired state: from a file, or a folder of files, to connections or to all that is wrong.

```
files        a path -> the bytes of its files
yaml_marks   YAML -> data that knows its places        python_file   desired() -> the same data
contract     what the JSON Schema says of each file
merge        all files -> one desired state, and the clashes between them
against_tenant   what the tenant itself lacks
document     what they share: a file's data, places and problems
```

A file is one mapping with `version: 1` and `companies:`; `companies: {}` declares none on purpose,
and everything that is merely missing or empty is an error. The format: `schemas/connections.schema.json`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from codat_iac.desired.against_tenant import Tenant, check_tenant
from codat_iac.desired.contract import check
from codat_iac.desired.document import Document
from codat_iac.desired.files import desired_files, is_python, read
from codat_iac.desired.merge import connections, cross_check
from codat_iac.desired.python_file import run_python
from codat_iac.desired.yaml_marks import read_yaml
from codat_iac.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from codat_iac.model.connection import DesiredConnection

__all__ = ["Tenant", "load"]


def load(path: Path | str, tenant: Tenant | None = None) -> tuple[DesiredConnection, ...]:
    """The connections that the file or the folder declares, sorted by address.

    With a *tenant*, its platforms and companies are checked too, once all else is in order.

    Raises ConfigError with every problem of every file, one line each.
    """
    documents = [_document(file) for file in desired_files(os.fspath(path))]
    cross_check(documents)
    _raise_problems(documents)
    if tenant:
        check_tenant(documents, tenant)
        _raise_problems(documents)
    return connections(documents)


def _raise_problems(documents: Iterable[Document]) -> None:
    if problems := [problem for document in documents for problem in document.problems]:
        raise ConfigError(problems)


def _document(path: str) -> Document:
    """One file's data, with the problems that it has by itself."""
    document = Document(path)
    raw = read(document, path)
    if raw is None:
        return document
    if is_python(path):
        run_python(document, path, raw)
    else:
        read_yaml(document, raw)
    check(document)
    return document
