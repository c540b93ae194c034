"""The schemas that come along, and the rules in which ours are stricter than JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codat_iac.desired.schemas import schema, validator
from tests.support import ROOT

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
