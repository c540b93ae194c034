"""What the files say of connections that nobody manages, and of companies without connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.desired import load_state
from codat_iac.desired.merge import DeclaredCompany
from codat_iac.model.errors import ConfigError
from codat_iac.planning.plan.unmanaged import OnUnmanaged, UnmanagedPolicy

ID = "8A210B68-6988-11ed-a1eb-0242ac120002"
WRITE = "write report, ignore or error"
WRITE_TAG = "write a tag's name and value with = between them, for example segment=demo"
WRITE_TAGS = "write a line for each tag below it, for example segment=demo: ignore"
QUOTES = "(quotes would make it text)"
HEAD = "version: 1\ncompanies: {}\n"


def folder(**files: str) -> Path:
    """A folder with these files, each with *HEAD* before its text."""
    path = Path("folder")
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(HEAD + text)
    return path


def problems(path: Path) -> list[str]:
    """What is wrong, a line each."""
    with pytest.raises(ConfigError) as caught:
        load_state(path)
    return str(caught.value).split("\n")


def test_what_nobody_manages_is_reported_unless_a_file_says_otherwise() -> None:
    """For the tenant, or by tag; tags are the same in any case."""
    assert load_state(folder(a="")).unmanaged == UnmanagedPolicy()
    Path("c.yaml").write_text(f"{HEAD}unmanaged: error\nunmanagedByTag: {{Segment = Demo: ignore}}")
    assert load_state("c.yaml").unmanaged == UnmanagedPolicy(
        OnUnmanaged.ERROR, {"segment=demo": OnUnmanaged.IGNORE}
    )
    Path("c.py").write_text(
        "def desired(): return {'version': 1, 'companies': {}, 'unmanaged': 'ignore',"
        " 'unmanagedByTag': {'a=b': 'error'}}"
    )
    assert load_state("c.py").unmanaged == UnmanagedPolicy(OnUnmanaged.IGNORE, {"a=b": OnUnmanaged.ERROR})


def test_files_may_say_it_together() -> None:
    """Each a part of it, and the same thing twice."""
    path = folder(
        a="unmanaged: error\nunmanagedByTag: {a=b: ignore}",
        b="unmanagedByTag: {A=B: ignore, c=d: report}",
        c="unmanaged: error",
    )

    assert load_state(path).unmanaged == UnmanagedPolicy(
        OnUnmanaged.ERROR, {"a=b": OnUnmanaged.IGNORE, "c=d": OnUnmanaged.REPORT}
    )


def test_files_that_contradict_each_other_are_refused() -> None:
    """With both places."""
    path = folder(
        a="unmanaged: error\nunmanagedByTag: {a=b: ignore}",
        b="unmanaged: ignore\nunmanagedByTag: {A = b: error}",
    )

    first, second = problems(path)
    assert first == (
        "folder/b.yaml, line 3, column 1: unmanaged is error in folder/a.yaml, line 3, column 1; let both say"
        " the same, or keep one"
    )
    assert second == (
        "folder/b.yaml, line 4, column 18: unmanagedByTag.A = b is ignore in folder/a.yaml, line 4, column"
        " 18; let both say the same, or keep one"
    )


def test_one_tag_in_two_spellings_is_refused_too() -> None:
    """Which of the two holds nobody knows."""
    path = folder(a="unmanagedByTag: {a=b: ignore, A=b: error}")

    (said,) = problems(path)
    assert said == (
        "folder/a.yaml, line 3, column 31: unmanagedByTag.A=b is ignore in folder/a.yaml, line 3, column 18;"
        " let both say the same, or keep one"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unmanaged: warn", "column 12: unmanaged 'warn': write report, ignore or error"),
        (
            "unmanaged: eror",
            "column 12: unmanaged 'eror': write report, ignore or error; did you mean error?",
        ),
        (
            "unmanaged: {default: error}",
            "column 12: unmanaged: expected text, found a mapping; write report, ignore or error",
        ),
        (
            "unmanagedByTag: error",
            f"column 17: unmanagedByTag: expected a mapping, found the text 'error'; {WRITE_TAGS}",
        ),
        (
            "unmanagedByTag: {demo: ignore}",
            f"column 18: the tag 'demo': {WRITE_TAG}",
        ),
        (
            "unmanagedByTag: {segment=demo: no}",
            f"column 32: unmanagedByTag.segment=demo: expected text, found the boolean no {QUOTES}; {WRITE}",
        ),
        ("unmanagd: error", "column 1: unknown key 'unmanagd'; did you mean unmanaged?"),
    ],
)
def test_what_is_no_policy_is_one_problem(text: str, said: str) -> None:
    """With its place and the remedy."""
    assert problems(folder(a=text)) == [f"folder/a.yaml, line 3, {said}"]


def test_a_company_without_connections_is_declared_too() -> None:
    """Each file's companies are known, with the file."""
    Path("folder").mkdir()
    company = f"version: 1\ncompanies: {{acme: {{id: {ID}, connections: {{}}}}}}"
    for name in ("b.yaml", "a.yaml"):
        Path("folder", name).write_text(company)

    state = load_state("folder")

    assert state.connections == ()
    assert state.companies == (
        DeclaredCompany("acme", ID.lower(), "folder/a.yaml"),
        DeclaredCompany("acme", ID.lower(), "folder/b.yaml"),
    )
    assert state.company_keys == {ID.lower(): "acme"}
