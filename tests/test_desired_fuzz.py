"""The desired state, whatever is in the file: connections, or problems of one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codat_iac.desired import load
from codat_iac.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from codat_iac.errors import Problem

GOOD = """\
version: 1
defaults: {onRemoval: retain}
companies:
  acme: &acme
    id: 8a210b68-6988-11ed-a1eb-0242ac120002
    connections:
      ledger: &ledger {platformKey: gbol}
      bank-a: {<<: *ledger, platformKey: "suuo", status: Unlinked}
      bank-b:
        platformKey: suuo
        connectionId: 2e9d2c44-f675-40ba-8049-353bfcb5e171
"""
PIECES = [
    *GOOD.split("\n"),
    *GOOD.split(),
    "<<",
    "- ",
    "? ",
    "*acme",
    "!!int ",
    "null",
    "012",
    "\t",
    "---\n",
    "\x00",
]
KEYS = st.sampled_from(["version", "companies", "id", "connections", "platformKey", "status", "x-y", "acme"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(1) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
    ),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files."""
    return tmp_path_factory.mktemp("fuzz")


def loads_or_explains(path: Path, raw: bytes) -> None:
    """Load the file; whatever is wrong must be said in single printable lines that name the file."""
    path.write_bytes(raw)
    addresses: list[str] = []
    problems: tuple[Problem, ...] = ()
    try:
        addresses = [connection.address for connection in load(path)]
    except ConfigError as error:
        problems = error.problems or pytest.fail("an error without problems")

    assert addresses == sorted(set(addresses))
    assert len(set(problems)) == len(problems)
    for problem in map(str, problems):
        assert problem.startswith(str(path))
        assert problem.isprintable()
        assert len(problem) < len(str(path)) + 1000


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_load_or_are_explained(home: Path, raw: bytes) -> None:
    """Noise never becomes a traceback."""
    loads_or_explains(home / "c.yaml", raw)


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=30), glue=st.sampled_from(["", " ", "\n", "\n  ", ", "])
)
def test_any_order_of_meaningful_pieces_loads_or_is_explained(
    home: Path, pieces: list[str], glue: str
) -> None:
    """Fragments of a good file reach further than noise."""
    loads_or_explains(home / "c.yaml", glue.join(pieces).encode())


@settings(max_examples=200, deadline=None)
@given(
    start=st.integers(0, len(GOOD)),
    length=st.integers(0, 20),
    piece=st.sampled_from(PIECES) | st.text(max_size=4),
)
@example(start=0, length=0, piece="")
def test_a_damaged_file_loads_or_is_explained(home: Path, start: int, length: int, piece: str) -> None:
    """A cut, a slip of the keyboard or a paste into the wrong place."""
    loads_or_explains(home / "c.yaml", (GOOD[:start] + piece + GOOD[start + length :]).encode())


@settings(max_examples=200, deadline=None)
@given(data=VALUES, nested=st.integers(0, 4))
def test_any_data_loads_or_is_explained(home: Path, data: Any, nested: int) -> None:
    """Any value at any level, from YAML and from Python."""
    for level in ("connections", "acme", "companies")[:nested]:
        data = {"version": 1, "id": "8a210b68-6988-11ed-a1eb-0242ac120002", level: data}

    loads_or_explains(home / "c.yaml", yaml.safe_dump(data, allow_unicode=True).encode())
    source = f"import datetime\nfrom math import inf, nan\ndef desired(): return {data!r}\n"
    loads_or_explains(home / "c.py", source.encode(errors="backslashreplace"))
