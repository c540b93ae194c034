"""Companies by the user's own key, on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.emulator import Emulator
from tests.api.reconcile.test_finding import tagged
from tests.support.builders import connected

FILE = """\
version: 1
companies:
  acme:
    match: {tag: customerId=42}
    connections:
      ledger: {platformKey: gbol}
"""


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODAT_API_KEY", emulator.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", emulator.url)
    Path("c.yaml").write_text(FILE)


def test_validate_says_what_it_could_not_check(emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    """And calls nobody."""
    assert run(["validate", "c.yaml"]) == 0

    assert " ".join(capfd.readouterr().out.split()) == (
        "c.yaml: 0 connections of 0 companies, and what can only be found online (company acme"
        " (tag:customerId=42)), as --online, plan and apply do: nothing is wrong."
    )
    assert emulator.counts() == {}


def test_validate_online_looks_it_up(emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    """None, and then one."""
    assert run(["validate", "c.yaml", "--online"]) == 1
    assert "no company has the tag customerId=42" in " ".join(capfd.readouterr().out.split())

    tagged(emulator, "Acme", customerId="42")

    assert run(["validate", "c.yaml", "--online"]) == 0
    assert capfd.readouterr().out == "c.yaml: 1 connections of 1 companies: nothing is wrong.\n"


def test_a_plan_without_a_state_looks_it_up(emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    """What exists there is taken for what is declared."""
    connected(emulator, tagged(emulator, "Acme", customerId="42"))

    assert run(["plan", "c.yaml", "--stateless", "--detailed-exitcode"]) == 0
    assert "No changes" in capfd.readouterr().out


def test_match_by_takes_a_tag_or_the_name(capfd: pytest.CaptureFixture[str]) -> None:
    """Before anything is read."""
    assert run(["import", "--all", "--match-by", "customerId"]) != 0
    assert "write tag:KEY, such as tag:customerId, or name" in capfd.readouterr().err
