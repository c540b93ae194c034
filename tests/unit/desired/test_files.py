"""Files: paths that give no desired state, and what of a folder is read."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codat_iac.desired import load
from codat_iac.desired.files import LARGEST
from codat_iac.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def problems(path: Path | str) -> str:
    """The text of the ConfigError that loading *path* raises."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def make_loop() -> None:
    """A symlink to itself."""
    Path("path").symlink_to("path")


def make_pipe() -> None:
    """A pipe that nobody writes to."""
    os.mkfifo("path")


def make_large() -> None:
    """A file of one byte too many."""
    with Path("path").open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)


def make_folder_named_like_a_file() -> None:
    """A folder with a folder in it."""
    Path("path/x.yaml").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(
            lambda: None, "path: does not exist; give a desired-state file, or a folder of them", id="missing"
        ),
        pytest.param(
            lambda: Path("path").symlink_to("nothing"),
            "path: does not exist; give a desired-state file, or a folder of them",
            id="dangling symlink",
        ),
        pytest.param(
            make_loop,
            "path: can't be read (Too many levels of symbolic links); give a readable file or folder",
            id="symlink to itself",
        ),
        pytest.param(
            lambda: Path("path").mkdir(),
            "path: holds no desired-state files (*.yaml, *.yml, *.py); give a folder that does",
            id="empty folder",
        ),
        pytest.param(
            make_folder_named_like_a_file,
            "path/x.yaml: can't be read (Is a directory); give a readable file",
            id="folder named like a file",
        ),
        pytest.param(
            make_pipe,
            "path: is a pipe or a device; save what it gives to a file, or pipe it into -",
            id="pipe",
        ),
        pytest.param(
            make_large,
            "path: is larger than 64 MiB; split it into several files in one folder",
            id="large",
        ),
    ],
)
def test_a_path_that_gives_no_text_is_one_problem(make: Callable[[], None], expected: str) -> None:
    """It is never an empty desired state, and never a wait."""
    make()

    assert problems("path") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("", "no path is given; give a desired-state file, or a folder of them", id="none"),
        pytest.param("a\0b", "a\\x00b: is no path: it holds a NUL character; remove it", id="NUL"),
        pytest.param(
            "a\nb\x1b[31m",
            "a\\nb\\x1b[31m: does not exist; give a desired-state file, or a folder of them",
            id="terminal escapes",
        ),
        pytest.param(
            "./here", "./here: does not exist; give a desired-state file, or a folder of them", id="relative"
        ),
    ],
)
def test_a_path_is_shown_as_given_in_one_line(path: str, expected: str) -> None:
    """Relative stays relative; what would steer a terminal is escaped."""
    assert problems(path) == expected


def test_what_is_given_needs_no_file() -> None:
    """Its problems are told under the name that it is given; it may be as large as a file."""
    assert load("<stdin>", given=b"version: 1\ncompanies: {}\n") == ()
    for given, said in (
        (b"version: 2\n", "<stdin>, line 1"),
        (b"#" * (LARGEST + 1), "<stdin>: is larger than"),
    ):
        with pytest.raises(ConfigError, match=said):
            load("<stdin>", given=given)


# What a folder holds.

ONE = """\
version: 1
companies: {acme: {id: 8a210b68-6988-11ed-a1eb-0242ac120002, connections: {a: {platformKey: gbol}}}}
"""
TWO = ONE.replace("acme", "bolt").replace("8a21", "8a22")


def make(files: dict[str, str | bytes]) -> None:
    """Lay out a folder `f` with these files."""
    for name, content in files.items():
        file = Path("f") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize(
    "name",
    ["b.yaml", "b.yml", "B.YAML", "A.yaml", "pulumi-b.yaml", "b c.yaml", "ä.yml", "-b.yaml", "b.json.yaml"],
)
def test_a_folder_is_all_that_is_in_it(name: str) -> None:
    """Whatever case a name has, and beside another that differs in nothing else."""
    make({"a.yaml": ONE, name: TWO})

    assert [each.address for each in load("f")] == ["acme/a", "bolt/a"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(".b.yaml", TWO, id="hidden"),
        pytest.param(".git/b.yaml", TWO, id="in a hidden folder"),
        pytest.param("b.yaml~", TWO, id="an editor's copy"),
        pytest.param(".b.yaml.swp", TWO, id="an editor's swap file"),
        pytest.param("b.yaml.orig", TWO, id="what a merge left"),
        pytest.param("#b.yaml#", TWO, id="what Emacs saves by itself"),
        pytest.param("README.md", TWO, id="a page about it"),
        pytest.param("b", TWO, id="without a suffix"),
        pytest.param("_b.py", "def desired(): return {}", id="a helper in Python"),
        pytest.param("more/_b.py", "def desired(): return {}", id="a helper in a subfolder"),
        pytest.param("more/b.py", "def desires(): return desired", id="Python that isn't one"),
        pytest.param("Pulumi.yaml", "name: companies\nruntime: python\n", id="Pulumi's own"),
        pytest.param("Pulumi.dev.yaml", "config:\n  companies:x: 1\n", id="a stack's config"),
        pytest.param("package.json", '{"companies-of": ["x"]}', id="JSON that isn't one"),
        pytest.param("list.json", '["companies"]', id="a list"),
        pytest.param("more/values.yaml", "some: thing\n", id="YAML in a subfolder that isn't one"),
        pytest.param("more/b.txt", TWO, id="a text in a subfolder"),
        pytest.param("venv/lib/b.yaml", TWO, id="in a virtualenv"),
        pytest.param("node_modules/x/b.yaml", TWO, id="in node_modules"),
    ],
)
def test_what_is_no_desired_state_by_its_name_or_content_is_left_alone(name: str, content: str) -> None:
    """So that the desired state may lie in the project's own folder, and be edited there."""
    make({"a.yaml": ONE, name: content, "venv/pyvenv.cfg": ""})

    assert [each.address for each in load("f")] == ["acme/a"]


def test_a_huge_file_is_left_alone_where_none_is_expected() -> None:
    """It can't be a desired state, and may be anything."""
    make({"a.yaml": ONE})
    with Path("f/data.json").open("wb") as file:
        file.truncate(LARGEST + 1)

    assert [each.address for each in load("f")] == ["acme/a"]


UNREAD = "seems to be a desired state, and isn't read "
SUBFOLDER = "in a subfolder; move it up, or out of the folder"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("uk/b.yaml", TWO, SUBFOLDER, id="in a subfolder"),
        pytest.param("uk/x/y/B.YML", TWO, SUBFOLDER, id="deep in it"),
        pytest.param("uk/b.json", '{"version": 1, "companies": {}}', SUBFOLDER, id="JSON in a subfolder"),
        pytest.param(
            "uk/b.py", "x = 1\ndef desired():\n    return {}", SUBFOLDER, id="Python in a subfolder"
        ),
        pytest.param("uk/b.py", "from base import desired", SUBFOLDER, id="Python that only imports it"),
        pytest.param("uk/b.yaml", "companies: {", SUBFOLDER, id="not YAML, and perhaps one"),
        pytest.param("uk/b.yaml", f"{TWO}---\n{TWO}", SUBFOLDER, id="two documents"),
        pytest.param("uk/Pulumi.b.yaml", TWO, SUBFOLDER, id="by the name of Pulumi's in a subfolder"),
        pytest.param(
            "b.json",
            '{"version": 1, "companies": {}}',
            "in a folder, as *.yaml, *.yml and *.py are; rename it, or move it away",
            id="JSON",
        ),
        pytest.param(
            "Pulumi.b.yaml",
            TWO,
            "by a name like Pulumi's own; rename it, or move it away",
            id="by the name of Pulumi's",
        ),
    ],
)
def test_what_seems_to_be_one_and_is_not_read_is_an_error(name: str, content: str, said: str) -> None:
    """Else what was moved there would be taken for what is no longer declared, and be unlinked."""
    make({"a.yaml": ONE, name: content})

    assert problems("f") == f"f/{name}: {UNREAD}{said}"


def test_all_is_told_at_once() -> None:
    """What isn't read, and what is wrong in what is."""
    make({"a.yaml": "version: 2\ncompanies: {}\n", "uk/b.yaml": TWO, "c.json": TWO})

    assert [line.partition(":")[0] for line in problems("f").splitlines()] == [
        "f/a.yaml, line 1, column 10",
        "f/c.json",
        "f/uk/b.yaml",
    ]


def test_a_linked_folder_is_a_subfolder_too() -> None:
    """And one that holds itself is looked through once."""
    make({"a.yaml": ONE})
    Path("uk/more").mkdir(parents=True)
    Path("uk/more/b.yaml").write_text(TWO)
    Path("uk/more/again").symlink_to(Path("uk").absolute())
    Path("f/uk").symlink_to(Path("uk").absolute())

    assert problems("f") == f"f/uk/more/b.yaml: {UNREAD}{SUBFOLDER}"


def make_socket(path: str) -> None:
    """A socket that nobody listens at."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)


UNREADABLE = [
    pytest.param(
        lambda path: Path(path).symlink_to("nothing"), "No such file or directory", id="broken link"
    ),
    pytest.param(lambda path: Path(path).symlink_to(Path(path).name), "symbolic links", id="link to itself"),
    pytest.param(make_socket, "No such device or address", id="socket"),
    pytest.param(os.mkfifo, "is a pipe or a device", id="pipe"),
]


@pytest.mark.parametrize(("make_it", "said"), UNREADABLE)
@pytest.mark.parametrize("name", ["f/b.yaml", "f/b.json", "f/uk/b.yml"])
def test_what_can_not_be_read_is_an_error(make_it: Callable[[str], None], name: str, said: str) -> None:
    """Nobody knows what it would declare."""
    make({"a.yaml": ONE, "uk/x.txt": ""})
    make_it(name)

    (line,) = problems("f").splitlines()
    assert line.startswith(f"{name}: ")
    assert said in line


@pytest.mark.parametrize(
    ("forbidden", "said"), [("f/b.yaml", "give a readable file"), ("f/uk", "move it away")]
)
def test_what_this_user_may_not_read_is_an_error(forbidden: str, said: str) -> None:
    """A file, or a whole subfolder."""
    make({"a.yaml": ONE, "b.yaml": TWO, "uk/c.txt": ""})
    Path().chmod(0o755)
    Path(forbidden).chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        (line,) = problems("f").splitlines()
    finally:
        if root:
            os.seteuid(0)
        Path(forbidden).chmod(0o700)

    assert line.startswith(f"{forbidden}: can't be read (Permission denied); ")
    assert said in line


# A desired state that need not be there yet.


def test_a_desired_state_need_not_be_there_yet() -> None:
    """Neither the file nor any file of the folder; what is there is loaded, or is an error."""
    assert load(Path("f/connections.yaml"), required=False) == ()
    make({"readme.txt": "", "Pulumi.yaml": "name: x\n", "_helper.py": ""})
    assert load(Path("f"), required=False) == ()

    make({"a.YAML": ONE})
    assert [each.address for each in load(Path("f"), required=False)] == ["acme/a"]
    assert load(Path("f/a.YAML"), required=False) == load(Path("f"), required=False)


@pytest.mark.parametrize("name", ["b.yml", "uk/b.yaml"])
def test_a_desired_state_that_is_there_is_read_or_an_error(name: str) -> None:
    """Also if all that there is lies where it isn't read."""
    make({name: "companies: nonsense"})

    with pytest.raises(ConfigError, match=name):
        load(Path("f"), required=False)


def test_a_link_to_nothing_is_no_desired_state_that_is_missing_yet() -> None:
    """Its folder may be one that isn't mounted."""
    Path("c.yaml").symlink_to("mounted/c.yaml")

    with pytest.raises(ConfigError, match="does not exist"):
        load(Path("c.yaml"), required=False)
