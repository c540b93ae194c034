"""Companies by the user's own key, found in a tenant; and whether the ways out of a refusal work."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from codat_iac.codat.client import Reader
from codat_iac.emulator import Emulator
from codat_iac.model.connection import (
    Address,
    CompanyMatch,
    Declaration,
    DesiredConnection,
    MatchedCompany,
    PriorConnection,
    Rule,
)
from codat_iac.model.errors import ConfigError, TransportError
from codat_iac.model.shard import Shard
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile.companies import tenant_readings
from codat_iac.reconcile.companies.finding import find_companies
from tests.support.builders import a_desired, a_prior, a_reader, connected, listings, tagged
from tests.support.worlds import a_planner


def a_declaration(by: str = "tag", value: str = "customerId=42") -> Declaration:
    """A file with one connection of one company, `acme/ledger`."""
    match = CompanyMatch(by, value)
    ledger = DesiredConnection(Address("acme/ledger"), "", "gbol", matched_by=str(match))
    return Declaration((), (MatchedCompany("acme", match, (ledger,), ("c.yaml", 3, 5)),))


def found(emulator: Emulator, declared: Declaration, *recorded: PriorConnection) -> list[DesiredConnection]:
    """What is declared, with its companies; nothing waits."""
    reader = a_reader(emulator)
    return list(find_companies(declared, lambda: recorded, lambda: reader).connections)


def test_a_tag_and_a_name_are_looked_up_in_one_reading(emulator: Emulator) -> None:
    """Whatever else the tenant has."""
    acme = tagged(emulator, "Acme Ltd", customerId="42")
    tagged(emulator, "Bolt", customerId="43")
    emulator.clear_requests()

    assert [each.company_id for each in found(emulator, a_declaration())] == [acme]
    assert listings(emulator) == 1
    assert [each.company_id for each in found(emulator, a_declaration("name", "Acme Ltd"))] == [acme]


def test_nothing_is_read_if_all_ids_are_given() -> None:
    """Neither the tenant nor the record."""

    def never() -> Any:
        raise AssertionError

    declared = Declaration((a_desired(),))

    assert find_companies(declared, never, never).connections == declared.connections


def test_what_is_unclear_is_an_error_with_its_place(emulator: Emulator) -> None:
    """And nothing is declared."""
    tagged(emulator, "Acme", customerId="42")
    tagged(emulator, "Bolt", customerId="42")

    with pytest.raises(
        ConfigError, match=r"c\.yaml, line 3, column 5: company acme: 2 companies have the tag"
    ):
        found(emulator, a_declaration())


def test_a_tenant_of_several_pages_is_read_until_two_readings_agree(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page is one moment; with a page that holds them all, one more request is enough."""
    acme = tagged(emulator, "Acme", customerId="42")
    for number in range(3):
        emulator.add_company(f"Other {number}")
    emulator.clear_requests()

    monkeypatch.setattr(tenant_readings, "FIRST_SIZE", 2)
    assert [each.company_id for each in found(emulator, a_declaration())] == [acme]
    assert listings(emulator) == 2

    monkeypatch.setattr(tenant_readings, "LARGEST_SIZE", 3)
    assert [each.company_id for each in found(emulator, a_declaration())] == [acme]
    assert listings(emulator) == 2 + 1 + 2 * 2


def test_an_incomplete_reading_finds_nothing(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codat announces more companies than come: who is missing may have the tag, too."""
    tagged(emulator, "Acme", customerId="42")
    real = Reader.list_companies

    def short(self: Reader, *arguments: Any, **rest: Any) -> Any:
        page = real(self, *arguments, **rest)
        return dataclasses.replace(page, total_results=page.total_results + 1)

    monkeypatch.setattr(Reader, "list_companies", short)
    with pytest.raises(TransportError, match="so which company is which isn't certain, and nothing is done"):
        found(emulator, a_declaration())


@pytest.fixture
def moved(emulator: Emulator) -> tuple[str, str, PriorConnection]:
    """A customer's number that moved from one company, with a recorded connection, to another one."""
    old, new = tagged(emulator, "Old"), tagged(emulator, "New", customerId="42")
    ledger = connected(emulator, old)
    desired = a_desired("acme/ledger", company_id=old, matched_by="tag:customerId=42")
    return old, new, a_prior(ledger, desired)


def test_the_ways_out_of_a_moved_tag_work(
    emulator: Emulator, moved: tuple[str, str, PriorConnection]
) -> None:
    """By the old id nothing but the record changes; by the new one it is a replacement, with its loss."""
    old, new, prior = moved
    with pytest.raises(ConfigError, match=f"`id: {old}` .* or `id: {new}` to replace"):
        found(emulator, a_declaration(), prior)

    planner = a_planner(emulator, [prior])
    kept = planner.plan([a_desired("acme/ledger", company_id=old)])
    replaced = a_planner(emulator, [prior]).plan([a_desired("acme/ledger", company_id=new)])

    assert [(each.action, each.loses) for each in kept.changes] == [(Action.UPDATE, False)]
    assert [each.name for each in kept.changes[0].fields] == ["matchedBy"]
    assert kept.calls.writes == 0
    assert [(each.action, each.loses) for each in replaced.changes] == [(Action.REPLACE, True)]


def test_the_way_out_of_a_company_that_is_gone_works(
    emulator: Emulator, moved: tuple[str, str, PriorConnection]
) -> None:
    """Taken out of the file, in a run that accepts what is missing, it is only forgotten."""
    old, new, prior = moved
    emulator.delete_company(old)
    with pytest.raises(ConfigError, match="take it out of the file, in a run with CODAT_ACCEPT_MISSING=true"):
        found(emulator, a_declaration(), prior)

    refused = a_planner(emulator, [prior]).plan([])
    accepted = a_planner(emulator, [prior], accept_missing=True).plan([])
    by_id = a_planner(emulator, [prior], accept_missing=True).plan([a_desired("acme/ledger", company_id=new)])

    assert refused.problems
    assert [(each.action, each.removal) for each in accepted.changes] == [(Action.REMOVE, Action.FORGET)]
    assert [(each.action, each.loses) for each in by_id.changes] == [(Action.REPLACE, False)]


def test_a_shard_does_not_look_for_whom_another_stack_may_have(emulator: Emulator) -> None:
    """Where a key's company was recorded in another stack, it would be a stranger's here."""
    tagged(emulator, "Acme Ltd", customerId="42")
    reader = Reader(emulator.api_key, emulator.url)
    rule = Rule("lending", "segment=lending", None, (), ("c.yaml", 9, 3))
    declared = dataclasses.replace(a_declaration(), rules=(rule,))

    with pytest.raises(ConfigError) as refused:
        find_companies(declared, lambda: (), lambda: reader, Shard(2, 5))
    assert [each.line for each in refused.value.problems] == [3, 9]
    assert all("isn't for stacks with a codat:shard" in each.message for each in refused.value.problems)
    assert listings(emulator) == 0
    assert find_companies(a_declaration(), lambda: (), lambda: reader, Shard(1, 1)).company_ids.keys() == {
        "acme"
    }
