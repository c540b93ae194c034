"""Tidy up after an import that was killed: until it is done, the file names what was found by its ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

from codat_iac.desired import load_declaration
from codat_iac.desired.additions import add
from codat_iac.desired.files import is_python
from codat_iac.stack.atomic_write import write_file
from codat_iac.stack.importing.discovery import Found


def tidy_up(path: Path, before: bytes, found: Found, recorded: Collection[str]) -> bool:
    """Put the file at *path* right if an import that added to *before* was killed; return whether it was.

    *recorded* are the ids in the stack's state. If the import had brought them there, they are taken out of
    the file, as it would have done; if not, the file is *before* again, for another import. A file with
    anything else in it is left alone.
    """
    if not path.is_file() or is_python(str(path)) or path.read_bytes() == before:
        return False
    raw = path.read_bytes()
    said = load_declaration(path)
    if said.is_open:
        return False  # no import writes that
    declared = said.connections
    names = {company.id: company.name for company in found.companies}
    ids = {each.connection_id for each in declared}
    if None in ids or add(str(path), before, declared, names) != raw:
        return False
    there = ids & set(recorded)
    if there and there != ids:
        return False
    done = [dataclasses.replace(each, connection_id=None) for each in declared]
    write_file(path, add(str(path), before, done, names) if there else before)
    return True
