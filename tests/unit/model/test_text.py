"""Text that is shown: counts. What is cleaned is tested where it comes from."""

from __future__ import annotations

import pytest

from codat_iac.model.text import count, without_passwords


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "postgres://pulumi:s3cret@db.example:5432/states?sslmode=disable",
            "postgres://pulumi:***@db.example:5432/states?sslmode=disable",
        ),
        ("postgres://pulumi:se/cr:e@t@db/states", "postgres://pulumi:***@db/states"),
        ("postgres://:secret@db", "postgres://:***@db"),
        ("postgres://db/states?user=jo&PASSWORD=s3cret&a=1", "postgres://db/states?user=jo&PASSWORD=***&a=1"),
        ("s3://bucket?region=eu and https://api.pulumi.com:443/jo", None),
        ("postgres://jo@db:5432/states", None),
        ("no URL: a:b@c", None),
    ],
)
def test_passwords_of_urls_are_hidden(text: str, shown: str | None) -> None:
    """Pulumi repeats the backend's URL in its errors, which end in a log of CI."""
    assert without_passwords(f'open "{text}": refused') == f'open "{shown or text}": refused'
