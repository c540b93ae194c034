"""Rubbish in files and in answers: a shorter cut of what `make faults` runs whole, and what it has found."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.desired import load
from codat_iac.desired.yaml_writer import dump
from codat_iac.model.connection import OnExisting
from tests.campaign import answers, children, files

pytestmark = pytest.mark.slow


def test_rubbish_as_a_file_is_loaded_right_or_explained() -> None:
    """Each kind of it, in a process of its own: no traceback, no hang, no crash."""
    told: list[str] = []

    assert files.campaign(600, 1, told.append) == []
    assert [kind for kind in files.KINDS if not any(line.startswith(kind) for line in told)] == []


def test_rubbish_as_an_answer_is_a_value_or_an_error_of_ours() -> None:
    """Each kind of it, whatever was asked; and no other host is asked anything."""
    told: list[str] = []

    assert answers.campaign(300, 1, told.append) == []
    assert any(line.startswith("wrong data") for line in told)


CHILD = """\
import os, random, sys, time
from tests.campaign import children

def case(rng):
    what = {what!r}
    def do():
        if what == "raises" and number() == 2:
            raise ValueError("two")
        if what == "dies" and number() == 2:
            os.abort()
        if what == "hangs" and number() == 2:
            time.sleep(90)
        if what == "breaks" and number() == 2:
            raise children.BrokenPromiseError("a key is shown")
        if what == "talks":
            print("Exception ignored", file=sys.stderr)
        if what == "eats":
            held.append(b"x" * 2**27)
        return "fine"
    return "kind", do

held = []
counted = iter(range(int(sys.argv[2]), 99))
number = lambda: next(counted)
children.child(case)
"""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nothing", None),
        ("raises", "case 2 (kind): Traceback"),
        ("breaks", "case 2 (kind): a key is shown"),
        ("dies", "case 2 (?): the process ended with -6"),
        ("hangs", "case 2 (?): the process ended with -9"),
        ("talks", "Exception ignored"),
        ("eats", "MB of memory"),
    ],
)
def test_what_a_case_breaks_is_told_with_its_number(
    what: str, words: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign that can't fail would prove nothing; and the cases after it still run."""
    (tmp_path / "rubbish_of_a_test.py").write_text(CHILD.format(what=what))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told: list[str] = []
    hangs = 5 if what == "hangs" else 60
    broken = children.campaign("rubbish_of_a_test", 5, 9, told.append, most_memory=120, hangs=hangs)

    assert [words in text for text in broken if words] == ([True] if words else [])
    assert told[-2].split()[0] == "all"
    assert sum(map(int, told[-2].split()[1:])) >= 5


def test_a_default_of_create_is_not_for_a_connection_that_is_named(tmp_path: Path) -> None:
    """It would be written into the next file, which the loader then refuses: they contradict each other."""
    text = (
        "version: 1\ndefaults: {onExisting: create}\ncompanies:\n  acme:\n"
        "    id: 8a210b68-6988-11ed-a1eb-0242ac120002\n    connections:\n"
        "      bank: {platformKey: suuo, connectionId: 2e9d2c44-f675-40ba-8049-353bfcb5e171}\n"
        "      shop: {platformKey: fztf}\n"
    )
    first, again = tmp_path / "first.yaml", tmp_path / "again.yaml"
    first.write_text(text)
    loaded = load(first)
    again.write_text(dump(loaded))

    assert [each.on_existing for each in loaded] == [OnExisting.REFUSE, OnExisting.CREATE]
    assert load(again) == loaded
