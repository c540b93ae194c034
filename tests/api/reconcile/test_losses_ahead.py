"""Which authorisations a run would end, told before it declares anything: from the record, and from live."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from codat_iac.codat.client import Reader
from codat_iac.emulator import Emulator
from codat_iac.model.connection import RESOURCE_TYPE, DesiredConnection, OnRemoval, PriorConnection, Status
from codat_iac.model.errors import Unauthorized
from codat_iac.model.settings import Settings
from codat_iac.planning.decision import Decision
from codat_iac.planning.moves import moves
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile.losses_ahead import Ahead, addresses_at_risk, look_ahead
from tests.support.builders import UNLINKED, a_desired, a_prior, an_id, connected

OTHER_COMPANY = "0b3d3c57-0d5c-4f5c-9a55-2b7d0a9f5c11"


def a_recorded(
    number: int | str, address: str, *, was: str | None = None, status: str = "Linked", **desired: Any
) -> PriorConnection:
    """A connection that is recorded under an address; *was*: it was declared as that."""
    urn = f"urn:pulumi:dev::shop::{RESOURCE_TYPE}::{address}"
    return a_prior(number, a_desired(was or address, **desired), status, urn=urn)


# Where there may be one.

STAYS = a_recorded(1, "acme/a")

CANDIDATES = {
    "what stays as it is": ([a_desired("acme/a")], [STAYS], set()),
    "what is new": ([a_desired("acme/a")], [], set()),
    "what is new, and to be unlinked": ([a_desired("acme/a", status=UNLINKED)], [], set()),
    "what is recorded anew": ([a_desired("acme/a", on_removal=OnRemoval.DELETE)], [STAYS], set()),
    "what is to be unlinked": ([a_desired("acme/a", status=UNLINKED)], [STAYS], {"acme/a"}),
    "what goes": ([], [STAYS], {"acme/a"}),
    "what gets another platform": ([a_desired("acme/a", platform_key="qhyg")], [STAYS], {"acme/a"}),
    "what gets another company": ([a_desired("acme/a", company_id=OTHER_COMPANY)], [STAYS], {"acme/a"}),
    "what gets another id": ([a_desired("acme/a", connection_id=an_id(2))], [STAYS], {"acme/a"}),
    "what is named as it is": ([a_desired("acme/a", connection_id=an_id(1))], [STAYS], set()),
    "what is named, and was recorded without an id": (
        [a_desired("acme/a", connection_id=an_id(1))],
        [a_recorded("", "acme/a")],
        set(),
    ),
    "what moves": ([a_desired("acme-ltd/a")], [STAYS], set()),
    "what moves, and is to be unlinked": (
        [a_desired("acme-ltd/a", status=UNLINKED)],
        [STAYS],
        {"acme-ltd/a", "acme/a"},
    ),
    "what was renamed in the state goes by that name": (
        [],
        [a_recorded(1, "acme/s", was="acme/a")],
        {"acme/s"},
    ),
    "what stays for a run, and what waits": (
        [
            a_desired("acme/b", connection_id=an_id(1), status=UNLINKED),
            a_desired("acme/c", connection_id=an_id(2)),
        ],
        [STAYS, a_recorded(2, "acme/b")],
        set(),
    ),
    "what is made in the next run": (
        [a_desired("acme/a", platform_key="qhyg"), a_desired("acme/b")],
        [STAYS],
        set(),
    ),
    "a second entry of an id": ([a_desired("acme/a")], [STAYS, a_recorded(1, "acme/b")], set()),
}


@pytest.mark.parametrize(("declared", "recorded", "expected"), CANDIDATES.values(), ids=CANDIDATES.keys())
def test_where_an_authorisation_may_end(
    declared: list[DesiredConnection], recorded: list[PriorConnection], expected: set[str]
) -> None:
    """Only there something is read."""
    assert addresses_at_risk(declared, recorded, moves(declared, recorded)) == expected


# What is read there.


def losses(
    emulator: Emulator,
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    *,
    accept_missing: bool = False,
) -> list[Decision]:
    """What a program finds that it would lose."""
    return list(ahead(emulator, declared, recorded, accept_missing=accept_missing).losing)


def ahead(
    emulator: Emulator,
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    *,
    accept_missing: bool = False,
) -> Ahead:
    """What a program finds."""
    reader = Reader(emulator.api_key, emulator.url, retries=1, sleep=lambda _: None)
    chosen = Settings(emulator.api_key, emulator.url, accept_missing=accept_missing)
    asked = addresses_at_risk(declared, recorded, moves(declared, recorded))
    emulator.clear_requests()
    return look_ahead(declared, recorded, asked, reader, chosen)


def told(found: Sequence[Decision]) -> list[tuple[str, Action, Action | None]]:
    """At which addresses, by what, and what becomes of the old one."""
    return [(each.address, each.action, each.removal) for each in found]


def reads(emulator: Emulator) -> list[str]:
    """The paths that were read."""
    asked = emulator.requests()["requests"]
    assert {each["method"] for each in asked} <= {"GET"}
    return [str(each["path"]) for each in asked]


def live(emulator: Emulator, company_id: str, address: str, status: str = "Linked") -> PriorConnection:
    """A connection that lives and is recorded."""
    return a_recorded(
        connected(emulator, company_id, status=status), address, status=status, company_id=company_id
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"status": UNLINKED}, ("acme/a", Action.UNLINK, None)),
        ({"platform_key": "suuo"}, ("acme/a", Action.REPLACE, Action.UNLINK)),
        (None, ("acme/a", Action.REMOVE, Action.UNLINK)),
    ],
    ids=["unlinked", "replaced", "removed"],
)
def test_what_a_linked_one_loses(
    emulator: Emulator, acme: str, changed: dict[str, Any] | None, expected: tuple[str, Action, Action | None]
) -> None:
    """Each way in which the file can end it; beside one that stays."""
    recorded = [live(emulator, acme, "acme/a"), live(emulator, acme, "acme/b")]
    declared = [recorded[1].desired]
    if changed is not None:
        declared.append(dataclasses.replace(recorded[0].desired, **changed))
    assert told(losses(emulator, declared, recorded)) == [expected]


@pytest.mark.parametrize("status", ["PendingAuth", "Deauthorized", "Unlinked"])
def test_what_nobody_authorised_is_no_loss(emulator: Emulator, acme: str, status: str) -> None:
    """Live decides, not the record: it was linked when it was recorded."""
    prior = dataclasses.replace(live(emulator, acme, "acme/a", status), status="Linked")
    assert losses(emulator, [], [prior]) == []


def test_what_was_authorised_since_is_a_loss(emulator: Emulator, acme: str) -> None:
    """The record says that it waits, and its customer has been there."""
    prior = dataclasses.replace(live(emulator, acme, "acme/a"), status="PendingAuth")
    assert told(losses(emulator, [], [prior])) == [("acme/a", Action.REMOVE, Action.UNLINK)]


def test_what_is_retained_is_no_loss(emulator: Emulator, acme: str) -> None:
    """It is only forgotten."""
    prior = live(emulator, acme, "acme/a")
    kept = dataclasses.replace(prior, desired=dataclasses.replace(prior.desired, on_removal=OnRemoval.RETAIN))
    assert losses(emulator, [], [kept]) == []


def test_what_is_gone_is_no_loss(emulator: Emulator, acme: str) -> None:
    """Its company answers, and its own GET is a 404."""
    prior = live(emulator, acme, "acme/a")
    emulator.delete_connection(prior.id)
    assert losses(emulator, [], [prior]) == []
    assert reads(emulator)[-1].endswith(prior.id)


def test_what_moves_and_is_unlinked_is_a_loss_at_its_new_address(emulator: Emulator, acme: str) -> None:
    """It isn't one at its old address too."""
    prior = live(emulator, acme, "acme/a")
    declared = [a_desired("acme-ltd/a", company_id=acme, status=Status.UNLINKED)]
    assert told(losses(emulator, declared, [prior])) == [("acme-ltd/a", Action.UNLINK, None)]


def test_a_second_entry_of_an_id_is_no_loss(emulator: Emulator, acme: str) -> None:
    """A declared address has it, so it is only forgotten, and nothing is read."""
    prior = live(emulator, acme, "acme/a")
    second = a_recorded(prior.id, "acme/b", company_id=acme)
    assert losses(emulator, [prior.desired], [prior, second]) == []
    assert reads(emulator) == []


def test_what_is_refused_is_no_loss(emulator: Emulator, acme: str) -> None:
    """Nothing is done about a status that nobody knows."""
    prior = live(emulator, acme, "acme/a", "Migrating")
    other = live(emulator, acme, "acme/b")
    protected = dataclasses.replace(other, protected=True)
    assert losses(emulator, [], [prior, protected]) == []


@pytest.mark.parametrize("accept_missing", [False, True])
def test_a_company_that_cannot_be_seen_loses_nothing(
    emulator: Emulator, acme: str, accept_missing: bool
) -> None:
    """Refused or gone: nothing is called there either way. Another company's is counted all the same."""
    beta = str(emulator.add_company("Beta")["id"])
    recorded = [live(emulator, acme, "acme/a"), live(emulator, beta, "beta/a")]
    emulator.delete_company(acme)
    found = losses(emulator, [], recorded, accept_missing=accept_missing)
    assert told(found) == [("beta/a", Action.REMOVE, Action.UNLINK)]


def test_only_what_goes_is_read(emulator: Emulator, acme: str) -> None:
    """Not the companies in which everything stays."""
    beta = str(emulator.add_company("Beta")["id"])
    recorded = [live(emulator, acme, "acme/a"), live(emulator, beta, "beta/a")]
    assert told(losses(emulator, [recorded[0].desired], recorded)) == [
        ("beta/a", Action.REMOVE, Action.UNLINK)
    ]
    asked = reads(emulator)
    assert asked != []
    assert all(beta in path for path in asked)


def test_nothing_is_asked_of_a_company_that_only_gets_one(emulator: Emulator, acme: str) -> None:
    """But of one that gets what is replaced: something may be free there to be adopted."""
    beta = str(emulator.add_company("Beta")["id"])
    prior = live(emulator, acme, "acme/a")
    new = a_desired("beta/n", company_id=beta)
    assert told(losses(emulator, [new], [prior])) == [("acme/a", Action.REMOVE, Action.UNLINK)]
    assert not any(beta in path for path in reads(emulator))
    there = a_desired("acme/a", company_id=beta)
    assert told(losses(emulator, [there], [prior])) == [("acme/a", Action.REPLACE, Action.UNLINK)]
    assert any(beta in path for path in reads(emulator))


def test_a_wrong_key_is_an_error(emulator: Emulator, acme: str) -> None:
    """What can't be read isn't counted as nothing."""
    prior = live(emulator, acme, "acme/a")
    reader = Reader("wrong", emulator.url, retries=1, sleep=lambda _: None)
    with pytest.raises(Unauthorized):
        look_ahead([], [prior], {"acme/a"}, reader, Settings("wrong", emulator.url))


def test_a_removal_that_is_refused_is_found_before_anything_is_done(emulator: Emulator, acme: str) -> None:
    """Its status is none that we know; no hook of a preview would meet it, and other changes come first."""
    unknown = live(emulator, acme, "acme/a", status="Migrating")
    linked = live(emulator, acme, "acme/b")
    retained = live(emulator, acme, "acme/c", status="Migrating")
    retaining = dataclasses.replace(retained.desired, on_removal=OnRemoval.RETAIN)
    retained = dataclasses.replace(retained, desired=retaining)

    found = ahead(emulator, [], [unknown, linked, retained])

    assert told(found.losing) == [("acme/b", Action.REMOVE, Action.UNLINK)]
    assert [each.address for each in found.refused] == ["acme/a"]


# What an older version recorded without its id.


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Linked", [("acme/a", Action.REMOVE, Action.UNLINK)]), ("PendingAuth", []), ("Unlinked", [])],
)
def test_what_has_no_id_counts_as_it_was_recorded(
    emulator: Emulator, acme: str, status: str, expected: list[tuple[str, Action, Action]]
) -> None:
    """Which one it is can't be read."""
    prior = a_recorded("", "acme/a", status=status, company_id=acme)
    assert told(losses(emulator, [], [prior])) == expected


def test_each_of_several_without_ids_counts(emulator: Emulator, acme: str) -> None:
    """They are not one because none has an id; also one that moves."""
    recorded = [a_recorded("", f"acme/{key}", company_id=acme) for key in "abc"]
    declared = [a_desired("acme-ltd/a", company_id=acme, status=Status.UNLINKED)]
    assert told(losses(emulator, declared, recorded)) == [
        ("acme-ltd/a", Action.UNLINK, None),
        ("acme/b", Action.REMOVE, Action.UNLINK),
        ("acme/c", Action.REMOVE, Action.UNLINK),
    ]


def test_the_file_may_name_what_has_no_id(emulator: Emulator, acme: str) -> None:
    """Then that is read."""
    prior = live(emulator, acme, "acme/a", "PendingAuth")
    unread = dataclasses.replace(prior, id="", status="Linked")
    named = dataclasses.replace(prior.desired, connection_id=prior.id, status=Status.UNLINKED)
    assert losses(emulator, [named], [unread]) == []
    emulator.authorise(prior.id)
    assert told(losses(emulator, [named], [unread])) == [("acme/a", Action.UNLINK, None)]
