"""Rules of a desired state: one set of connections for each company with a tag."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.desired import load, load_declaration
from codat_iac.desired.additions import add
from codat_iac.model.connection import Address, DesiredConnection, OnRemoval, Rule
from codat_iac.model.errors import ConfigError
from tests.support.builders import COMPANY

START = "version: 1\ncompanies: {}\n"
LENDING = """\
rules:
  lending:
    forEach: {tag: segment=lending}
    connections: {ledger: {platformKey: gbol}}
"""
WRITE_TAG = "write the tag's key and value, such as segment=lending"


def problems(text: str) -> list[str]:
    """What is wrong with a file c.yaml that says no more than *text*, without its name."""
    Path("c.yaml").write_text(START + text)
    with pytest.raises(ConfigError) as caught:
        load_declaration("c.yaml")
    return [line.removeprefix("c.yaml, line ") for line in str(caught.value).split("\n")]


def test_a_rule_is_a_template_that_waits_to_be_expanded() -> None:
    """The file's defaults hold for it, too; it keeps its place."""
    Path("c.yaml").write_text(START + LENDING + "defaults: {onRemoval: delete}\n")

    declared = load_declaration("c.yaml")

    ledger = DesiredConnection(
        Address("rule:lending/ledger"),
        "",
        "gbol",
        on_removal=OnRemoval.DELETE,
        matched_by="rule:lending::segment=lending",
    )
    assert declared.rules == (Rule("lending", "segment=lending", None, (ledger,), ("c.yaml", 5, 14)),)
    assert declared.everything == (ledger,)
    assert declared.is_open


def test_a_company_may_be_named_by_a_tag() -> None:
    """In YAML and in Python."""
    Path("c.py").write_text(
        "def desired():\n    return {'version': 1, 'companies': {}, 'rules': {'lending': {'forEach':"
        " {'tag': 'a=b', 'key': {'tag': 'customerId'}},"
        " 'connections': {'ledger': {'platformKey': 'gbol'}}}}}\n"
    )

    assert [each.key for each in load_declaration("c.py").rules] == ["customerId"]


def test_who_reads_no_tenant_refuses_rules() -> None:
    """What they make isn't taken for what is no longer declared."""
    Path("c.yaml").write_text(START + LENDING)

    with pytest.raises(ConfigError, match="or has `rules`, and this reads no tenant to find them"):
        load("c.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            LENDING.replace("segment=lending", "lending"),
            f"5, column 20: rule lending: forEach.tag 'lending': {WRITE_TAG}",
        ),
        (
            LENDING.replace("{tag: segment=lending}", "{}"),
            f"5, column 14: rule lending: tag is missing; {WRITE_TAG}",
        ),
        (
            LENDING.replace("lending}", "lending, key: customerId}"),
            "5, column 42: rule lending: forEach.key: expected a mapping, found the text 'customerId'; write",
        ),
        (
            LENDING.replace("gbol", "xero5"),
            "6, column 41: lending/ledger: platformKey 'xero5': write 4 lower-case letters",
        ),
        (
            LENDING.replace("gbol", f"gbol, connectionId: {COMPANY}"),
            f"6, column 61: lending/ledger: connectionId '{COMPANY}': remove it: a rule is about many",
        ),
        (
            LENDING.replace("  lending:", "  Lending:"),
            "4, column 3: the rule name 'Lending': use at most 100 lower-case letters",
        ),
        (
            "rules:\n  lending: {connections: {}}\n",
            "4, column 12: rule lending: forEach is missing; write the tag that its companies have",
        ),
    ],
    ids=["no value", "no tag", "key", "platform", "connectionId", "name", "no forEach"],
)
def test_what_is_wrong_with_a_rule_is_one_problem(text: str, said: str) -> None:
    """With its place, and what to write."""
    [found] = problems(text)
    assert found.startswith(said)


def test_a_rule_stands_in_one_file() -> None:
    """Two of one name would be recorded as one."""
    Path("a.yaml").write_text(START + LENDING)
    Path("b.yaml").write_text(START + LENDING)

    with pytest.raises(ConfigError) as caught:
        load_declaration(".")

    assert str(caught.value) == (
        "b.yaml, line 4, column 3: rule lending: is declared in a.yaml, line 4, column 3 too; remove or"
        " rename one"
    )


def test_an_import_leaves_rules_as_they_are() -> None:
    """It adds a company beside them."""
    new = DesiredConnection(Address("acme/ledger"), COMPANY, "gbol")

    after = add("c.yaml", (START + LENDING).encode(), [new], {}).decode()

    assert after.endswith(LENDING)
    assert f"companies:\n  acme:\n    id: {COMPANY}\n" in after
