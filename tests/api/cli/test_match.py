"""Companies by the user's own key, on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.cli.commands import apply
from codat_iac.emulator import Emulator
from codat_iac.planning.plan import Plan
from codat_iac.planning.safety_limits import Limit
from tests.support.builders import connected, tagged

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
    assert capfd.readouterr().out.endswith("c.yaml: 1 connection of 1 company: nothing is wrong.\n")


def test_a_plan_without_a_state_looks_it_up(emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    """What exists there is taken for what is declared."""
    connected(emulator, tagged(emulator, "Acme", customerId="42"))

    assert run(["plan", "c.yaml", "--stateless", "--detailed-exitcode"]) == 0
    assert "No changes" in capfd.readouterr().out


def test_match_by_takes_a_tag_or_the_name(capfd: pytest.CaptureFixture[str]) -> None:
    """Before anything is read."""
    assert run(["import", "--all", "--match-by", "customerId"]) != 0
    assert "write tag:KEY, such as tag:customerId, or name" in capfd.readouterr().err


RULE = """\
version: 1
companies: {}
rules:
  lending:
    forEach: {tag: segment=lending, key: {tag: customerId}}
    connections:
      ledger: {platformKey: gbol}
"""


def test_a_plan_shows_what_a_rule_expands_to(
    emulator: Emulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With counts, and refused over the limit on what rules make."""
    Path("c.yaml").write_text(RULE)
    connected(emulator, tagged(emulator, "Acme", segment="lending", customerId="1"))
    tagged(emulator, "Bolt", segment="lending", customerId="2")

    assert run(["plan", "c.yaml", "--stateless", "--detailed-exitcode"]) == 2
    shown = " ".join(capfd.readouterr().out.split())
    assert (
        "rule lending: segment=lending is on 2 companies: 2 connections, 1 of them new; 0 left the tag"
        in shown
    )
    assert "+ create 2/ledger" in shown

    monkeypatch.setenv("CODAT_MAX_CREATES", "0")
    assert run(["plan", "c.yaml", "--stateless", "--detailed-exitcode"]) == 4
    assert "the rules would make 1 new connection (2/ledger)" in " ".join(capfd.readouterr().out.split())


def test_validate_names_rules_and_checks_their_platforms(
    emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    """Offline what it can't check, online what the tenant doesn't have."""
    Path("c.yaml").write_text(RULE)
    assert run(["validate", "c.yaml"]) == 0
    assert "found online (rule lending (segment=lending))" in " ".join(capfd.readouterr().out.split())

    idle = "rule lending: no company has segment=lending; is that how it is written in Codat?"
    assert run(["validate", "c.yaml", "--online"]) == 0
    assert idle in " ".join(capfd.readouterr().out.split())
    tagged(emulator, "Acme", segment="lending", customerId="1")
    assert run(["validate", "c.yaml", "--online"]) == 0
    assert idle not in " ".join(capfd.readouterr().out.split())

    Path("c.yaml").write_text(RULE.replace("gbol", "zzzz"))
    assert run(["validate", "c.yaml", "--online"]) == 1
    assert "lending/ledger: 'zzzz' is not the key of a platform" in " ".join(capfd.readouterr().out.split())


@pytest.mark.parametrize(
    ("exceeded", "said"),
    [
        ({Limit.LOSSES: 1}, ["refused by the limit on losses; pass --allow-losing 0 if you mean it"]),
        (
            {Limit.CREATES: 12, Limit.LEAVERS: 1},
            [
                "refused by the limit on what rules make; pass --max-creates 12 if you mean it",
                "refused, since companies haven't their rule's tag; pass --accept-leavers if they are to go",
            ],
        ),
        ({}, []),
    ],
    ids=["losses", "rules", "nothing"],
)
def test_an_apply_says_which_option_lifts_a_limit(exceeded: dict[Limit, int], said: list[str]) -> None:
    """The plan names the variable, which is for `pulumi up`."""
    assert list(apply._options_for(Plan(exceeded=exceeded))) == said
