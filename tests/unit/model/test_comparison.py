"""Comparing structures: the paths of what differs."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.model.comparison import differing_paths, dotted


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        pytest.param({"a": {"b": 1}}, {"a": {"b": 1}}, [], id="the same"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, [], id="in another order"),
        pytest.param({"b": {"c": 1}, "a": 1}, {"b": {"c": 2}, "a": None}, [("a",), ("b", "c")], id="values"),
        pytest.param({"a": 1}, {"b": 1}, [("a",), ("b",)], id="one went and one came"),
        pytest.param({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, [("a", 1, "b")], id="a list"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, [("a", 1)], id="an item more"),
        pytest.param({"a": (1, "x")}, {"a": ()}, [("a", 0), ("a", 1)], id="a tuple"),
        pytest.param({"a": {"x": 1, "y": 2}}, {"a": {"z": 3}}, [("a", k) for k in "xyz"], id="all others"),
        pytest.param({"a": {}}, {"a": "b"}, [("a",)], id="of another type"),
        pytest.param({"it's['a']": 1}, {"it's['a']": 2}, [("it's['a']",)], id="odd keys"),
    ],
)
def test_what_differs_is_named_by_its_path(before: Any, after: Any, paths: list[tuple[Any, ...]]) -> None:
    """As deep as it can be named."""
    assert differing_paths(before, after) == paths


STRUCTURES = st.recursive(
    st.none() | st.text(max_size=3) | st.integers(2, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(
    before=st.dictionaries(st.text(max_size=2), STRUCTURES),
    after=st.dictionaries(st.text(max_size=2), STRUCTURES),
)
def test_there_are_paths_if_it_is_not_the_same(before: object, after: object) -> None:
    """Nothing that differs goes unnamed, and nothing else is named."""
    assert bool(differing_paths(before, after)) == (before != after)


def test_one_of_many_is_found_quickly() -> None:
    """What is equal is passed over."""
    before = {f"acme/c{number}": {f"m{each}": each for each in range(20)} for number in range(10_000)}
    after = {**before, "acme/c7": {**before["acme/c7"], "m3": 0}}
    started = time.process_time()

    assert differing_paths(before, after) == [("acme/c7", "m3")]
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("a",), "a"), (("changes", 0, "status"), "changes[0].status"), ((1, 2, "x"), "[1][2].x")],
)
def test_a_path_is_written_as_people_do(path: tuple[str | int, ...], text: str) -> None:
    """With a dot before a name, and an index in brackets."""
    assert dotted(path) == text
