"""Property bags into our words and back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.model import properties
from codat_iac.model.connection import (
    Address,
    DesiredConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
)
from tests.support.builders import COMPANY, a_desired, a_live, a_prior, an_id

PLAIN: dict[str, Any] = {"address": "acme/ledger", "companyId": COMPANY, "platformKey": "gbol"}

NAMES = [*PLAIN, "connectionId", "status", "onRemoval", "onExisting", "protect", "matchedBy"]

halves = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
addresses = st.builds("{}/{}".format, halves, halves)


@st.composite
def any_desired(draw: st.DrawFn, *, named: bool = True) -> DesiredConnection:
    """Anything that can be declared; what is recorded is not *named* by a connectionId."""
    return DesiredConnection(
        address=Address(draw(addresses)),
        company_id=str(draw(st.uuids())),
        platform_key=draw(st.from_regex(r"[a-z]{4}", fullmatch=True)),
        status=draw(st.sampled_from(properties.DECLARABLE)),
        on_removal=draw(st.sampled_from(OnRemoval)),
        on_existing=draw(st.sampled_from(OnExisting)),
        connection_id=draw(st.none() | st.uuids().map(str)) if named else None,
        protect=draw(st.booleans()),
        matched_by=draw(st.sampled_from(["", "tag:customerId=42"])),
    )


@given(desired=any_desired())
def test_what_is_declared_survives_the_way_through_pulumi(desired: DesiredConnection) -> None:
    """Inputs are valid, are JSON, and read back they are the same."""
    bag = json.loads(json.dumps(properties.inputs(desired)))

    assert properties.failures(bag) == {}
    assert properties.desired(bag) == desired
    assert properties.inputs(properties.desired(bag)) == bag


@given(desired=any_desired(), status=st.sampled_from([*Status, "Migrating"]), unlink_refused=st.booleans())
def test_what_is_recorded_can_be_read_again(
    desired: DesiredConnection, status: str, unlink_refused: bool
) -> None:
    """Outputs hold the desired of then and the live status apart, and are recorded the same again."""
    live = a_live(status=status)
    recorded = properties.outputs(desired, an_id(1), live, unlink_refused=unlink_refused)
    bag = json.loads(json.dumps(recorded))

    prior = properties.prior(an_id(1), bag)

    assert (prior.id, prior.status) == (an_id(1), status)
    assert prior.desired == dataclasses.replace(desired, connection_id=None)
    assert properties.outputs(prior.desired, prior.id, live, unlink_refused=prior.unlink_refused) == bag


@given(desired=any_desired(named=False), status=st.sampled_from([*Status, "absent"]), refused=st.booleans())
def test_what_was_read_from_the_state_can_be_handed_over(
    desired: DesiredConnection, status: str, refused: bool
) -> None:
    """A process that planned tells the one that acts: nothing that counts is lost on the way."""
    prior = PriorConnection(an_id(1), desired, status, refused)

    assert properties.prior(prior.id, json.loads(json.dumps(properties.recorded(prior)))) == prior


def test_what_the_state_says_besides_is_taken_along() -> None:
    """Protection, taint, an old half and the URN stand in no output."""
    rest: dict[str, Any] = {
        "protected": True,
        "tainted": True,
        "pending_removal": True,
        "urn": "urn:pulumi:test::shop::a$b::acme/books",
    }

    prior = properties.prior(an_id(1), properties.outputs(a_desired(), an_id(1), a_live()), **rest)

    assert prior == a_prior(1, a_desired(), **rest)


@pytest.mark.parametrize("named", [None, an_id(1), an_id(2)])
def test_the_id_is_recorded_among_the_outputs(named: str | None) -> None:
    """A program that reads its own stack's record is given no ids; what was declared doesn't matter."""
    assert properties.outputs(a_desired(connection_id=named), an_id(1), a_live())["connectionId"] == an_id(1)


def test_an_absent_connection_is_recorded_as_absent() -> None:
    """What a read didn't find stays recorded, and says so."""
    bag = properties.outputs(a_desired(), an_id(1), None)

    assert bag["status"] == "absent"
    assert bag["connectionId"] == an_id(1)
    assert properties.prior(an_id(1), bag).desired == a_desired()


def test_no_link_is_recorded() -> None:
    """Whoever has the link can authorise, so neither it nor its one-time password is an output."""
    live = a_live(status="PendingAuth", link_url="https://link.codat.io/start?otp=123456")

    shown = json.dumps(properties.outputs(a_desired(), live.id, live)).lower()

    assert "otp" not in shown
    assert "123456" not in shown
    assert "link.codat.io" not in shown


def test_the_outputs_are_these_and_no_others() -> None:
    """What is recorded is a contract with every state file."""
    live = a_live(1, "PendingAuth", platform_name="Xero", source_type="Accounting")

    assert properties.outputs(a_desired(), live.id, live) == {
        "address": "acme/ledger",
        "companyId": COMPANY,
        "platformKey": "gbol",
        "connectionId": an_id(1),
        "status": "PendingAuth",
        "desiredStatus": "Linked",
        "onRemoval": "unlink",
        "onExisting": "refuse",
        "platformName": "Xero",
        "sourceType": "Accounting",
        "created": "2026-11-24T00:01:00Z",
    }


def test_protection_is_recorded_where_it_is_declared() -> None:
    """A connection without it has the same inputs as before there was any."""
    assert properties.inputs(a_desired(protect=True))["protect"] is True
    assert "protect" not in properties.inputs(a_desired())


def test_an_unlink_that_codat_refused_is_recorded() -> None:
    """It is there only where it is so, so that the states of most connections don't grow."""
    desired, deauthorized = a_desired(status=Status.UNLINKED), a_live(status="Deauthorized")

    refused = properties.outputs(desired, an_id(1), deauthorized, unlink_refused=True)
    only_read = properties.outputs(desired, an_id(1), deauthorized)

    assert properties.prior(an_id(1), refused).unlink_refused
    assert "unlinkRefused" not in only_read
    assert not properties.prior(an_id(1), only_read).unlink_refused


def test_a_state_that_knows_less_is_read() -> None:
    """What an older version didn't record has its default."""
    assert properties.prior(an_id(1), dict(PLAIN)) == a_prior(1, a_desired(), status="")


def test_a_state_that_says_more_is_read() -> None:
    """Older versions recorded the siblings of a connection, too, and which id was declared."""
    older = {**PLAIN, "siblings": ["acme/b", "acme/ledger"], "connectionId": an_id(2)}

    assert properties.prior(an_id(1), older) == a_prior(1, a_desired(), status="")


def test_ids_are_in_small_letters() -> None:
    """Codat takes either case and answers in small letters; an id in capitals must not look absent."""
    shouted = {**PLAIN, "companyId": COMPANY.upper(), "connectionId": an_id(10).upper()}

    assert properties.desired(shouted).company_id == COMPANY
    assert properties.desired(shouted).connection_id == an_id(10)
    assert properties.prior(an_id(10).upper(), shouted).id == an_id(10)


# What is wrong.


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, {}),
        ({"address": "ledger"}, {"address": "'ledger' is not an address such as acme/ledger"}),
        ({"address": "acme/led*"}, {"address": "'acme/led*' is not an address such as acme/ledger"}),
        ({"companyId": "acme"}, {"companyId": "'acme' is not the id of a company (a UUID)"}),
        (
            {"platformKey": "xero-au"},
            {"platformKey": "'xero-au' is not a platform key (four lower-case letters, such as gbol)"},
        ),
        (
            {"platformKey": 4.0},
            {"platformKey": "4.0 is not a platform key (four lower-case letters, such as gbol)"},
        ),
        ({"connectionId": "1"}, {"connectionId": "'1' is not the id of a connection (a UUID)"}),
        ({"status": "PendingAuth"}, {"status": "'PendingAuth' is not Linked or Unlinked"}),
        ({"status": ["Linked"]}, {"status": "['Linked'] is not Linked or Unlinked"}),
        ({"onRemoval": "drop"}, {"onRemoval": "'drop' is not unlink or delete or retain"}),
        ({"onExisting": True}, {"onExisting": "True is not refuse or adopt or create"}),
        ({"protect": "yes"}, {"protect": "'yes' is not true or false"}),
        ({"protect": False}, {}),
        ({"protect": True}, {}),
    ],
    ids=str,
)
def test_each_wrong_input_is_named(change: dict[str, Any], wrong: dict[str, str]) -> None:
    """Pulumi shows each reason at its property, and nothing is called."""
    assert properties.failures({**PLAIN, **change}) == wrong


def test_all_wrong_inputs_are_named_at_once() -> None:
    """Nobody has to run five times for five mistakes."""
    assert properties.failures({"status": "on"}).keys() == {"address", "companyId", "platformKey", "status"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_known_yet_is_not_wrong(name: str) -> None:
    """In a preview, another resource's output is None."""
    assert properties.failures({**PLAIN, name: None}) == {}


anything = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=3)


@given(bag=st.dictionaries(st.sampled_from(NAMES), anything))
def test_no_input_makes_it_stumble(bag: dict[str, Any]) -> None:
    """Whatever a program passes is either read or named as wrong."""
    if not properties.failures(bag) and None not in bag.values():
        properties.desired(bag)
