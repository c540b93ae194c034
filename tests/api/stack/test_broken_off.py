"""What an import that was killed leaves in the desired state, and how it is put right."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.codat.client import Reader
from codat_iac.desired.additions import add
from codat_iac.emulator import Emulator
from codat_iac.stack.importing.broken_off import tidy_up
from codat_iac.stack.importing.discovery import Filters, Found, find
from codat_iac.stack.importing.draft import draft
from tests.support.builders import connected

BEFORE = b"# mine\nversion: 1\n\ncompanies: {}\n"


@pytest.fixture
def found(emulator: Emulator, acme: str) -> Found:
    """Two connections of a tenant."""
    connected(emulator, acme, "gbol")
    connected(emulator, acme, "fztf")
    return find(Reader(emulator.api_key, emulator.url), Filters())


@pytest.fixture
def left(tmp_path: Path, found: Found) -> Path:
    """A file as an import leaves it that is killed before it is done."""
    file = tmp_path / "connections.yaml"
    drafted = draft(found)
    file.write_bytes(add(str(file), BEFORE, drafted.undeclared, drafted.names))
    assert file.read_text().count("connectionId") == 2
    return file


def test_killed_before_the_state_it_never_was(left: Path, found: Found) -> None:
    """The next import begins anew."""
    assert tidy_up(left, BEFORE, found, ())
    assert left.read_bytes() == BEFORE
    assert not tidy_up(left, BEFORE, found, ())


def test_killed_after_the_state_the_ids_are_taken_out(left: Path, found: Found) -> None:
    """As the import would have done, so that what is deleted can be made again."""
    assert tidy_up(left, BEFORE, found, {each.id for each in found})
    text = left.read_text()
    assert "connectionId" not in text
    assert "  acme: # Acme\n" in text
    assert not tidy_up(left, BEFORE, found, {each.id for each in found})


def test_what_somebody_edited_is_left_alone(left: Path, found: Found) -> None:
    """Also if only one of its ids is recorded, by whomever."""
    text = left.read_bytes()
    assert not tidy_up(left, BEFORE, found, [next(iter(found)).id])
    left.write_bytes(text + b"# mine too\n")
    assert not tidy_up(left, BEFORE, found, ())
    assert left.read_bytes() == text + b"# mine too\n"


def test_what_is_no_file_of_an_import_is_left_alone(tmp_path: Path, found: Found) -> None:
    """A folder, Python, or nothing yet."""
    (tmp_path / "c.py").write_text("def desired(): ...\n")

    for name in (".", "c.py", "gone.yaml"):
        assert not tidy_up(tmp_path / name, BEFORE, found, ())


def test_a_file_that_names_companies_otherwise_is_no_imports(left: Path, found: Found) -> None:
    """A person wrote it, and it stays as it is."""
    theirs = left.read_text() + "  bolt: { match: { name: Bolt }, connections: {} }\n"
    left.write_text(theirs)

    assert not tidy_up(left, BEFORE, found, ())
    assert left.read_text() == theirs
