"""The schemas that come along, and the rules in which ours are stricter than JSON Schema."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.cli import render
from codat_iac.desired.schemas import conforms, schema, validator
from codat_iac.model.connection import OnRemoval
from tests.support import ROOT
from tests.support.samples import CALM, EVERYTHING, NOW

FILES = sorted((ROOT / "schemas").glob("*.schema.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_schema_is_found(file: Path) -> None:
    """By the name of its file."""
    assert schema(file.name) == json.loads(file.read_text(encoding="utf-8"))
    assert validator(file.name) is validator(file.name)


@pytest.mark.parametrize(
    ("member", "value", "broken"),
    [
        pytest.param("declared", 1, [], id="a number"),
        pytest.param("declared", 1.0, ["type"], id="a fraction"),
        pytest.param("declared", True, ["type"], id="a truth"),
        pytest.param("generatedAt", "2026-11-24T11:05:00Z", [], id="a time"),
        pytest.param("generatedAt", "2026-11-24T11:05:00Z\n", ["pattern"], id="a time and a line end"),
        pytest.param("generatedAt", 1, ["type"], id="no text has no pattern"),
    ],
)
def test_a_number_is_whole_and_a_pattern_holds_to_the_end(member: str, value: Any, broken: list[str]) -> None:
    """JSON Schema takes 1.0 for an integer, and Python's `$` lets a line end pass."""
    errors = validator("plan.schema.json").iter_errors({member: value})

    assert [error.validator for error in errors if error.validator != "required"] == broken


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        1.0,
        "",
        "1",
        "gbol",
        "gbol\n",
        "Gbol",
        "Linked",
        "create",
        "plan",
        [],
        {},
    ]
)
"""Values that the schemas tell apart, and some that Python doesn't."""

GOOD: dict[str, Any] = {
    "connections.schema.json": {
        "version": 1,
        "x-note": [1],
        "defaults": {"onRemoval": "retain", "protect": False},
        "unmanaged": "error",
        "unmanagedByTag": {"segment=demo": "ignore"},
        "rules": {
            "lending": {
                "forEach": {"tag": "segment=lending", "key": {"tag": "customerId"}},
                "connections": {"ledger": {"platformKey": "gbol"}},
            }
        },
        "companies": {
            "bolt": {"match": {"tag": "customerId=42"}, "connections": {"bank": {"platformKey": "suuo"}}},
            "acme": {
                "id": "8a210b68-6988-11ed-a1eb-0242ac120002",
                "connections": {
                    "ledger": {"platformKey": "gbol", "status": "Unlinked", "onExisting": "create"},
                    "bank": {
                        "platformKey": "suuo",
                        "connectionId": "2e9d2c44-f675-40ba-8049-353bfcb5e171",
                        "onExisting": "adopt",
                    },
                },
            },
        },
    },
    "plan.schema.json": json.loads(render.plan(EVERYTHING, "json", NOW)),
}


def paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value in *data*."""
    yield path
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield from paths(value, (*path, key))


@pytest.mark.parametrize("name", GOOD)
@CALM
@given(choices=st.data())
def test_the_quick_check_says_yes_only_if_jsonschema_does(name: str, choices: st.DataObject) -> None:
    """And it says yes to what is usual, or it would be of no use."""
    data: Any = copy.deepcopy(GOOD[name])
    assert conforms(name, data)

    path = choices.draw(st.sampled_from(list(paths(data))))
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    match choices.draw(st.sampled_from(["another value", "no value", "one more"])):
        case "another value" if path:
            parent[path[-1]] = choices.draw(VALUES)
        case "no value" if path:
            del parent[path[-1]]
        case _ if isinstance(parent, dict):
            parent[choices.draw(st.sampled_from(["x-odd", "odd", "Odd", "odd\n", "a" * 101]))] = choices.draw(
                VALUES
            )

    assert conforms(name, data) == validator(name).is_valid(data)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("data", [None, [], {}, "x", 1])
def test_what_is_no_such_document_does_not_conform(name: str, data: Any) -> None:
    """Whatever it is."""
    assert not conforms(name, data)


def test_what_is_doubtful_is_left_to_jsonschema() -> None:
    """A text of a subclass may be equal to what is wanted, and be none of JSON's."""
    data: Any = copy.deepcopy(GOOD["connections.schema.json"])
    data["defaults"]["onRemoval"] = OnRemoval.RETAIN

    assert not conforms("connections.schema.json", data)
    assert validator("connections.schema.json").is_valid(data)
