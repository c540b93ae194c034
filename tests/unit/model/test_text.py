"""Text that is shown: counts. What is cleaned is tested where it comes from."""

from __future__ import annotations

import pytest

from codat_iac.model.text import count


@pytest.mark.parametrize(
    ("number", "nouns", "shown"),
    [
        (0, ("change",), "0 changes"),
        (1, ("change",), "1 change"),
        (1000, ("change",), "1,000 changes"),
        (1, ("company", "companies"), "1 company"),
        (2, ("company", "companies"), "2 companies"),
    ],
)
def test_a_number_has_its_noun(number: int, nouns: tuple[str, ...], shown: str) -> None:
    """In the singular only for one."""
    assert count(number, *nouns) == shown
