"""The stack's outputs: which are whose, and which hold a secret."""

from __future__ import annotations

import pytest

from codat_iac.model.record import _SECRET
from codat_iac.stack.apply.stack_outputs import _holds_secret, _is_ours


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ({"a": 1, "b": ["x", {"c": None}]}, False),
        ({"a": {_SECRET[0]: _SECRET[1], "ciphertext": "v1:x"}}, True),
        ({"a": [{"b": {_SECRET[0]: _SECRET[1], "ciphertext": "v1:x"}}]}, True),
        ({}, False),
    ],
)
def test_a_secret_is_found_wherever_it_is(value: object, holds: bool) -> None:
    """Only then is the state exported once more, with secrets as text."""
    assert _holds_secret(value) == holds


@pytest.mark.parametrize(
    ("name", "value", "ours"),
    [
        ("connections", {"Linked": 2}, True),
        ("connections", {}, True),
        ("connections", {"Linked": "two"}, False),
        ("connections", ["acme/ledger"], False),
        ("waiting", ["acme/ledger"], True),
        ("waiting", [], True),
        ("waiting", [{"address": "acme/ledger"}], False),
        ("waiting", 3, False),
        ("total", {"Linked": 2}, False),
    ],
)
def test_an_output_is_ours_by_its_name_and_its_form(name: str, value: object, ours: bool) -> None:
    """A program of one's own may use the same names, and keeps what it exported."""
    assert _is_ours(name, value) is ours
