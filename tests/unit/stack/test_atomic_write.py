"""Files that are written: all that may stand in the place of one, and who may read it."""

from __future__ import annotations

import ast
import os
import resource
import stat
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codat_iac.model.errors import ConfigError
from codat_iac.stack.atomic_write import temporary_file, write_file
from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of one's own, so that messages name files as a user would."""
    monkeypatch.chdir(tmp_path)


def make_loop() -> None:
    """A symlink to itself."""
    Path("path").symlink_to("path")


def test_only_one_function_writes_files() -> None:
    """But for a new file for SQLite, and the note in a build of the engine, which any Python may replace."""
    ways = {"write_text", "write_bytes", "touch", "NamedTemporaryFile", "mkstemp"}
    writers = {
        file.name
        for file in (ROOT / "codat_iac").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ways
    }

    assert writers == {"store.py", "builder.py"}


def mode(path: Path | str) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(Path(path).stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Use this umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file become larger than *size* bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def read_only_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder in which nobody may make a file: as somebody else, if root runs the tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "out").write_text("old")
        user = os.geteuid()
        if user == 0:
            os.chown(folder / "out", 65534, -1)
        folder.chmod(0o555)
        monkeypatch.chdir(folder)
        os.seteuid(65534 if user == 0 else user)
        try:
            yield
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize(("mask", "new"), [(0, 0o666), (0o022, 0o644), (0o077, 0o600)])
def test_a_private_file_is_its_owners_alone(mask: int, new: int, private: bool) -> None:
    """Whatever the umask says, and whatever the file was; any other keeps what it has."""
    Path("old").touch()
    Path("old").chmod(0o640)
    with umask(mask):
        write_file(Path("old"), "Zoë\n", private=private)
        write_file(Path("new"), "Zoë\n", private=private)

    assert Path("old").read_bytes() == Path("new").read_bytes() == "Zoë\n".encode()
    assert (mode("old"), mode("new")) == ((0o600, 0o600) if private else (0o640, new))
    assert {file.name for file in Path().iterdir()} == {"old", "new"}


def test_no_byte_of_a_private_file_was_ever_open_to_others() -> None:
    """Whoever had opened the file before goes on reading what it was."""
    Path("out").write_text("old")
    with Path("out").open() as reader:
        write_file(Path("out"), "a link", private=True)

        assert reader.read() == "old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it points to is written, also if that isn't there yet; so is the end of a row of links."""
    (tmp_path / "elsewhere").mkdir()
    Path("first").symlink_to("second")
    Path("second").symlink_to("elsewhere/out")
    for text in ("one", "two"):
        write_file(Path("first"), text)

        assert Path("first").is_symlink()
        assert Path("second").is_symlink()
        assert Path("elsewhere/out").read_text() == text
        assert len(list(Path("elsewhere").iterdir())) == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(make_loop, "Too many levels of symbolic links", id="symlink to itself"),
        pytest.param(lambda: Path("path").mkdir(), "Is a directory", id="folder"),
        pytest.param(lambda: Path("path").symlink_to("no/x"), "No such file or directory", id="no folder"),
        pytest.param(lambda: Path("path").symlink_to("/dev/full"), "No space left on device", id="device"),
        pytest.param(lambda: Path("path").symlink_to("/proc/new"), "No such file or directory", id="proc"),
    ],
)
def test_what_can_not_be_written_is_one_line(make: Callable[[], None], reason: str) -> None:
    """It says why, and what to do."""
    make()

    with pytest.raises(ConfigError) as caught:
        write_file(Path("path"), "new")

    assert str(caught.value) == f"path can't be written ({reason}); choose another --out"


def test_a_full_disk_leaves_the_old_file() -> None:
    """And nothing beside it; the mode stays too."""
    Path("out").write_text("old")
    Path("out").chmod(0o640)

    for private in (False, True):
        with pytest.raises(ConfigError, match="File too large"), disk_of(100):
            write_file(Path("out"), "new" * 100, private=private)

    assert (Path("out").read_text(), mode("out")) == ("old", 0o640)
    assert [file.name for file in Path().iterdir()] == ["out"]


def test_a_file_in_a_read_only_folder_is_written_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no other way; a private file isn't, since others may have it open."""
    with read_only_folder(monkeypatch):
        write_file(Path("out"), "ok")
        with pytest.raises(ConfigError, match="Permission denied"):
            write_file(Path("out"), "a link", private=True)
        with pytest.raises(ConfigError, match="Permission denied"):
            write_file(Path("new"), "new")

        assert Path("out").read_text() == "ok"


def test_a_read_only_file_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner meant that, and a folder that may be written to is no reason."""
    with read_only_folder(monkeypatch):
        Path("out").chmod(0o444)
        with pytest.raises(ConfigError, match="Permission denied"):
            write_file(Path("out"), "new")

        assert Path("out").read_text() == "old"


def test_a_pipe_gets_what_is_written() -> None:
    """It is no file to be replaced: `--out >(less)`."""
    os.mkfifo("out")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("out").read_text()))
    reader.start()
    write_file(Path("out"), "text", private=True)
    reader.join()

    assert read == ["text"]
    assert stat.S_ISFIFO(Path("out").stat().st_mode)


def test_a_temporary_file_is_private_and_goes() -> None:
    """Also with a umask of 0."""
    with umask(0), temporary_file("secret") as file:
        assert (file.read_text(), mode(file), mode(file.parent)) == ("secret", 0o600, 0o700)

    assert not file.parent.exists()


def test_no_room_for_a_temporary_file_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names the variable that helps."""
    with pytest.raises(ConfigError, match=r"data\.json can't be written \(File too large\); let TMPDIR name"):  # noqa: SIM117
        with disk_of(100), temporary_file("x" * 1000):
            pass
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"no temporary file can be written .*; let TMPDIR name"):  # noqa: SIM117
        with temporary_file("x"):
            pass
