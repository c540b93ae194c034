"""The file that an import writes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from codat_iac.desired import load
from codat_iac.model.errors import ConfigError
from codat_iac.stack.importing.target_file import Page, check_target
from tests.support.builders import a_desired

GOOD = b"""\
version: 1 # one\r
companies: {acme: {id: 8a210b68-6988-11ed-a1eb-0242ac120002, connections: {ledger: {platformKey: gbol}}}}
"""

SHOP = a_desired("acme/shop", platform_key="fztf")
BANK = a_desired("acme/bank", platform_key="suuo")


def addresses(path: Path) -> list[str]:
    """The addresses that a file declares."""
    return [each.address for each in load(path)]


def test_what_the_program_reads_may_be_written(tmp_path: Path) -> None:
    """The file that it names, or a new one in its folder, by whatever way it is written."""
    check_target(tmp_path / "c.yaml", tmp_path / "c.yaml", overwrite=False)
    check_target(tmp_path / "x" / ".." / "c.yaml", tmp_path / "c.yaml", overwrite=False)
    check_target(tmp_path / "c.yml", tmp_path, overwrite=False)
    (tmp_path / "c.yaml").touch()
    check_target(tmp_path / "c.yaml", tmp_path / "c.yaml", overwrite=True)
    check_target(tmp_path / "c.yaml", tmp_path, overwrite=True)
    (tmp_path / "link.yaml").symlink_to("c.yaml")
    check_target(tmp_path / "link.yaml", tmp_path / "c.yaml", overwrite=True)


@pytest.mark.parametrize(
    ("target", "names", "said"),
    [
        ("d.yaml", "c.yaml", r"names .*c\.yaml, so .*d\.yaml would not be read, .* let it name a folder"),
        ("d.yaml", "e.yaml", "let it name a folder, in which each import has a file of its own"),
        ("d.yaml", "folder", r"choose an --out \*\.yaml in that folder"),
        ("folder/.d.yaml", "folder", "would not be read"),
        ("folder/d.txt", "folder", "would not be read"),
        ("folder/d.json", "folder", "would not be read"),
        ("folder/more/d.yaml", "folder", "would not be read"),
        ("folder/Pulumi.d.yaml", "folder", "would not be read"),
        ("folder/d.py", "folder", "is Python, which an import can't write"),
        ("c.py", "c.py", "is Python, which an import can't write"),
        ("c.yaml", "c.yaml", "exists already; --overwrite adds to it, .* let it name a folder"),
        ("folder/c.yaml", "folder", "exists already; --overwrite adds to it, .* choose an --out"),
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


@pytest.mark.parametrize("before", [None, GOOD, b"\xef\xbb\xbf" + GOOD])
def test_a_page_is_put_back_as_it_was(tmp_path: Path, before: bytes | None) -> None:
    """However often it was written; each time what was there at first is in it, and nothing else is left."""
    path = tmp_path / "c.yaml"
    if before:
        path.write_bytes(before)
    page = Page(path)
    kept = ["acme/ledger"] if before else []

    page.restore()
    assert path.exists() == bool(before)
    page.write([SHOP, BANK], {})
    page.write([SHOP], {})
    assert addresses(path) == [*kept, "acme/shop"]
    assert list(tmp_path.iterdir()) == [path]
    page.restore()

    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([before] if before else [])


def test_a_link_stays_one(tmp_path: Path) -> None:
    """What it points to is written, and keeps its mode."""
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "c.yaml", tmp_path / "link.yaml"
    real.write_bytes(GOOD)
    real.chmod(0o640)
    link.symlink_to("real/c.yaml")
    page = Page(link)

    page.write([SHOP], {})
    assert addresses(real) == ["acme/ledger", "acme/shop"]
    page.restore()

    assert link.is_symlink()
    assert real.read_bytes() == GOOD
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_link_to_nothing_is_one_again(tmp_path: Path) -> None:
    """What it points to is made, and taken away again."""
    link = tmp_path / "link.yaml"
    link.symlink_to("c.yaml")
    page = Page(link)

    page.write([SHOP], {})
    assert addresses(tmp_path / "c.yaml") == ["acme/shop"]
    page.restore()

    assert link.is_symlink()
    assert [file.name for file in tmp_path.iterdir()] == ["link.yaml"]


@pytest.mark.parametrize("edited", [b"somebody's", None])
@pytest.mark.parametrize("written", [True, False])
def test_what_somebody_else_does_meanwhile_is_not_written_over(
    tmp_path: Path, edited: bytes | None, written: bool
) -> None:
    """An editor saved it, or took it away."""
    path = tmp_path / "c.yaml"
    path.write_bytes(GOOD)
    page = Page(path)
    if written:
        page.write([SHOP], {})
    path.unlink()
    if edited:
        path.write_bytes(edited)

    with pytest.raises(ConfigError, match=r"c\.yaml was changed meanwhile, and is left as it is"):
        page.restore() if written else page.write([SHOP], {})

    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([edited] if edited else [])


def test_a_page_that_can_not_be_written_is_said_so(tmp_path: Path) -> None:
    """In one line, and nothing is left behind."""
    with pytest.raises(ConfigError, match=r"c\.yaml can't be written \(No such file or directory\)"):
        Page(tmp_path / "nowhere" / "c.yaml").write([SHOP], {})
    (tmp_path / "c.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"c\.yaml can't be read \(Is a directory\)"):
        Page(tmp_path / "c.yaml")

    assert [file.name for file in tmp_path.iterdir()] == ["c.yaml"]
