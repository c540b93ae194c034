"""The file that an import writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.desired.page import RestorableFile, check_target, load_if_present
from codat_iac.model.errors import ConfigError

GOOD = """\
version: 1
companies: {acme: {id: 8a210b68-6988-11ed-a1eb-0242ac120002, connections: {ledger: {platformKey: gbol}}}}
"""


def test_a_desired_state_need_not_be_there_yet(tmp_path: Path) -> None:
    """Neither the file nor any file of the folder; what is there is loaded, or is an error."""
    assert load_if_present(tmp_path / "connections.yaml") == ()
    assert load_if_present(tmp_path) == ()
    (tmp_path / "readme.txt").write_text("")
    assert load_if_present(tmp_path) == ()

    (tmp_path / "a.YAML").write_text(GOOD)
    assert [each.address for each in load_if_present(tmp_path)] == ["acme/ledger"]
    assert load_if_present(tmp_path / "a.YAML") == load_if_present(tmp_path)

    (tmp_path / "b.yml").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"b\.yml"):
        load_if_present(tmp_path)


def test_what_the_program_reads_may_be_written(tmp_path: Path) -> None:
    """The file that it names, or a new one in its folder, by whatever way it is written."""
    check_target(tmp_path / "c.yaml", tmp_path / "c.yaml", overwrite=False)
    check_target(tmp_path / "x" / ".." / "c.yaml", tmp_path / "c.yaml", overwrite=False)
    check_target(tmp_path / "c.yml", tmp_path, overwrite=False)
    (tmp_path / "c.yaml").touch()
    check_target(tmp_path / "c.yaml", tmp_path / "c.yaml", overwrite=True)
    check_target(tmp_path / "c.yaml", tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("target", "names", "said"),
    [
        ("d.yaml", "c.yaml", r"names .*c\.yaml, so .*d\.yaml would not be read, .* let it name a folder"),
        ("d.yaml", "e.yaml", "let it name a folder, in which each import has a file of its own"),
        ("d.yaml", "folder", r"choose an --out \*\.yaml in that folder"),
        ("folder/.d.yaml", "folder", "would not be read"),
        ("folder/d.txt", "folder", "would not be read"),
        ("folder/d.py", "folder", "is Python, which an import can't write"),
        ("c.py", "c.py", "is Python, which an import can't write"),
        ("c.yaml", "c.yaml", "exists already, .* let it name a folder"),
        ("folder/c.yaml", "folder", "exists already, .* choose an --out"),
    ],
)
def test_what_would_be_lost_or_not_be_read_is_refused(
    tmp_path: Path, target: str, names: str, said: str
) -> None:
    """Before anything is done: what the program doesn't read, the next `pulumi up` would unlink."""
    (tmp_path / "folder").mkdir()
    for file in ("c.yaml", "c.py", "folder/c.yaml"):
        (tmp_path / file).touch()

    with pytest.raises(ConfigError, match=said):
        check_target(tmp_path / target, tmp_path / names, overwrite=False)


@pytest.mark.parametrize("before", [None, GOOD])
def test_a_page_is_put_back_as_it_was(tmp_path: Path, before: str | None) -> None:
    """However often it was written; nothing else is left in the folder."""
    page = RestorableFile(tmp_path / "c.yaml")
    if before:
        page.path.write_text(before)
    assert len(page.load()) == (1 if before else 0)

    page.restore()
    assert page.path.exists() == bool(before)
    page.write("one")
    page.write("two")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["two"]
    page.restore()

    assert [file.read_text() for file in tmp_path.iterdir()] == ([before] if before else [])


def test_a_page_that_can_not_be_written_is_said_so(tmp_path: Path) -> None:
    """In one line, and nothing is left behind."""
    with pytest.raises(ConfigError, match=r"c\.yaml can't be written \(No such file or directory\)"):
        RestorableFile(tmp_path / "nowhere" / "c.yaml").write("text")
    (tmp_path / "c.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"c\.yaml can't be written \(Is a directory\)"):
        RestorableFile(tmp_path / "c.yaml").write("text")

    assert [file.name for file in tmp_path.iterdir()] == ["c.yaml"]
