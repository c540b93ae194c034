"""Companies of a desired state that are named by a tag or a name in place of an id."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.desired import load, load_declaration, load_state
from codat_iac.desired.additions import add
from codat_iac.desired.yaml_writer import dump
from codat_iac.model.connection import Address, CompanyMatch, Declaration, DesiredConnection, MatchedCompany
from codat_iac.model.errors import ConfigError
from tests.support.builders import COMPANY, an_id

TAG = "{tag: customerId=42}"
ONE_OF_TWO = "write one of the two: {tag: customerId=42} or {name: Acme Ltd}"
REST = "(quotes would make it text); write the company's name in Codat"
REMOVE = "remove it or match, which names the company already"
WRITE_TAG = "write the tag's key and value, such as customerId=42"


def acme(match: str = TAG, more: str = "") -> str:
    """A file with a company whose match is in line 4, from column 12."""
    return (
        f"version: 1\ncompanies:\n  acme:\n    match: {match}\n{more}"
        "    connections:\n      ledger: {platformKey: gbol}\n"
    )


def loaded(text: str) -> Declaration:
    """What a file c.yaml says."""
    Path("c.yaml").write_text(text, "utf-8")
    return load_declaration("c.yaml")


def problems(text: str) -> list[str]:
    """What is wrong with it, without its name."""
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    return [line.removeprefix("c.yaml, ") for line in str(caught.value).split("\n")]


def test_a_match_waits_to_be_looked_up() -> None:
    """It keeps its place, and its connections have no company id yet."""
    declared = loaded(
        acme() + f"  bolt:\n    id: {COMPANY}\n    connections: {{ bank: {{platformKey: suuo}} }}\n"
    )

    ledger = DesiredConnection(Address("acme/ledger"), "", "gbol", matched_by="tag:customerId=42")
    assert declared.matched == (
        MatchedCompany("acme", CompanyMatch("tag", "customerId=42"), (ledger,), ("c.yaml", 4, 12)),
    )
    assert [each.address for each in declared.connections] == ["bolt/bank"]
    assert declared.everything == (*declared.connections, ledger)


def test_python_may_say_it_too() -> None:
    """It has no place in the file."""
    Path("c.py").write_text(
        "def desired():\n    return {'version': 1, 'companies': {'acme': {'match': {'name': 'Acme Ltd'},"
        " 'connections': {'ledger': {'platformKey': 'gbol'}}}}}\n"
    )

    [block] = load_declaration("c.py").matched

    assert (block.match, block.place) == (CompanyMatch("name", "Acme Ltd"), ("c.py", 0, 0))


def test_who_reads_no_tenant_refuses_it() -> None:
    """Nothing is taken for what is no longer declared."""
    loaded(acme())

    with pytest.raises(ConfigError, match="by `match`, or has `rules`, and this reads no tenant"):
        load("c.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (acme("{}"), f"4, column 12: company acme: match: found a mapping; {ONE_OF_TWO}"),
        (
            acme("{tag: a=1, name: b}"),
            f"4, column 12: company acme: match: found a mapping; {ONE_OF_TWO}",
        ),
        (
            acme("acme"),
            f"4, column 12: company acme: match: expected a mapping, found the text 'acme'; {ONE_OF_TWO}",
        ),
        (acme("{tag: customerId}"), f"4, column 18: company acme: match.tag 'customerId': {WRITE_TAG}"),
        (acme("{tag: =42}"), f"4, column 18: company acme: match.tag '=42': {WRITE_TAG}"),
        (
            acme("{name: 42}"),
            f"4, column 19: company acme: match.name: expected text, found the number 42 {REST}",
        ),
        (
            acme("{tags: a=1}"),
            "4, column 13: company acme: unknown key 'tags'; did you mean tag?",
        ),
        (
            acme(more=f"    id: {COMPANY}\n"),
            f"5, column 9: company acme: id '{COMPANY}': {REMOVE}",
        ),
    ],
    ids=["none", "both", "text", "no value", "no key", "number", "typo", "id too"],
)
def test_what_is_wrong_with_a_match_is_one_problem(text: str, said: str) -> None:
    """With its place, and what to write."""
    assert problems(text) == [f"line {said}"]


def test_two_names_for_one_match_clash_and_two_matches_of_one_name() -> None:
    """As with ids."""
    twice = acme() + acme().partition("companies:\n")[2].replace("acme", "bolt")
    Path("a.yaml").write_text(acme())
    Path("b.yaml").write_text(acme("{name: Acme}").replace("ledger", "books"))

    [said] = problems(twice)
    assert said.startswith(
        "line 7, column 3: company bolt: its match is that of company acme too (c.yaml, line"
    )
    Path("c.yaml").unlink()
    with pytest.raises(ConfigError) as caught:
        load_declaration(".")
    assert "company acme: its match is another one in a.yaml" in str(caught.value)


def test_a_company_may_stand_in_several_files_by_one_match() -> None:
    """Each part keeps its place."""
    Path("a.yaml").write_text(acme())
    Path("b.yaml").write_text(acme().replace("ledger", "books"))

    assert [each.place[0] for each in load_declaration(".").matched] == ["a.yaml", "b.yaml"]


@settings(max_examples=200, deadline=None)
@given(value=st.text(min_size=1))
def test_any_name_is_written_so_that_it_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    """In a block of its own, and within the braces of a JSON-like file."""
    if not value.isprintable():
        return
    new = DesiredConnection(Address("acme/ledger"), COMPANY, "gbol", matched_by=f"name:{value}")
    file = tmp_path_factory.getbasetemp() / "match.yaml"
    file.write_text(dump([new]), "utf-8")

    assert load_declaration(file).matched[0].match == CompanyMatch("name", value)
    for empty in (b"version: 1\ncompanies: {}\n", b'{"version": 1, "companies": {}}'):
        after = add("c.yaml", empty, [new], {})
        assert yaml.safe_load(after)["companies"]["acme"]["match"] == {"name": value}


def test_an_import_adds_to_a_block_with_a_match() -> None:
    """What stands there stays; the new connection is of the company that it means."""
    shop = DesiredConnection(Address("acme/shop"), COMPANY, "fztf", connection_id=an_id(7))

    after = add("c.yaml", acme().encode(), [shop], {}).decode()

    assert after == acme() + f"      shop: {{ platformKey: fztf, connectionId: {an_id(7)} }}\n"


def test_an_import_writes_what_names_a_company() -> None:
    """As a person would."""
    new = DesiredConnection(Address("acme/ledger"), COMPANY, "gbol", matched_by="tag:customerId=42")

    assert dump([new], {COMPANY: "Acme"}).endswith(
        "  acme: # Acme\n    match: { tag: customerId=42 }\n    connections:\n"
        "      ledger: { platformKey: gbol }\n"
    )


def test_a_company_that_was_found_has_its_key_also_without_connections() -> None:
    """What appears in it by itself comes under that key."""
    Path("c.yaml").write_text(f"version: 1\ncompanies:\n  acme: {{match: {TAG}, connections: {{}}}}\n")
    state = load_state("c.yaml")

    with pytest.raises(ValueError, match="still to be found"):
        _ = state.connections
    assert state.company_keys == {}
    assert state.resolved((), {"acme": COMPANY}).company_keys == {COMPANY: "acme"}
