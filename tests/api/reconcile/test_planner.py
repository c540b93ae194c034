"""Plans on an emulated Codat: what an apply will do, what waits, what is nobody's, what it costs."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codat_iac.codat.client import Client, Reader
from codat_iac.emulator import Emulator, serving
from codat_iac.model.connection import (
    Address,
    DesiredConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.model.errors import CodatBroken, ExitCode, Refused, Unauthorized
from codat_iac.planning.decision import Cause, Decision
from codat_iac.planning.moves import Moves
from codat_iac.planning.plan import Drifted, LinkFilter, Plan, Unmanaged, still_holds
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import Limit
from codat_iac.planning.stack_decisions import Program
from codat_iac.reconcile.planner import Planner
from codat_iac.reconcile.planner.drift_and_links import RecordedConnections
from tests.support.builders import a_desired, a_prior, an_id, connected, rows, tagged
from tests.support.worlds import (
    COMPONENT,
    Edits,
    World,
    a_planner,
    a_urn,
    a_world,
    carry_out,
    living,
    preview,
    recorded_connections,
    up,
)

UNLINKED = Status.UNLINKED


@dataclasses.dataclass
class Stack:
    """What is declared and what is recorded of one company's connections, which are all to one platform."""

    emulator: Emulator
    company_id: str
    desired: dict[str, DesiredConnection] = dataclasses.field(default_factory=dict)
    recorded: dict[str, PriorConnection] = dataclasses.field(default_factory=dict)

    def declare(self, address: str, platform_key: str = "suuo", **rest: Any) -> DesiredConnection:
        """Declare a connection, by default of a platform of which a company may have many."""
        desired = a_desired(address, company_id=self.company_id, platform_key=platform_key, **rest)
        self.desired[address] = desired
        return desired

    def record(self, address: str, live: str = "Linked", *, was: str | None = None, **rest: Any) -> str:
        """Declare a connection that lives and is recorded, as it is or as it *was*; gives its id."""
        desired = self.declare(address, **rest)
        connection_id = connected(self.emulator, self.company_id, desired.platform_key, live)
        self.recorded[address] = a_prior(connection_id, desired, was or live)
        return connection_id

    def remove(self, *addresses: str) -> None:
        """Take them out of the file."""
        for address in addresses:
            del self.desired[address]

    def change(self, address: str, **fields: Any) -> None:
        """Declare it otherwise."""
        self.desired[address] = dataclasses.replace(self.desired[address], **fields)

    def declared(self) -> list[DesiredConnection]:
        """All that is declared, in the order of the addresses."""
        return [self.desired[address] for address in sorted(self.desired)]

    def planner(self, company: str | None = None, *more: PriorConnection, **options: Any) -> Planner:
        """A planner of its own process; *more* is recorded besides."""
        return a_planner(self.emulator, [*self.recorded.values(), *more], company, **options)

    def connections(self, company: str | None = None, **options: Any) -> RecordedConnections:
        """What is recorded, as a process of its own looks at it."""
        return recorded_connections(self.emulator, [*self.recorded.values()], company, **options)

    def plan(self, company: str | None = None, *more: PriorConnection, **options: Any) -> Plan:
        """Plan in a process of its own."""
        return self.planner(company, *more, **options).plan(self.declared())


@pytest.fixture
def stack(emulator: Emulator, acme: str) -> Stack:
    """An empty stack."""
    return Stack(emulator, acme)


@pytest.fixture(scope="module")
def crowd() -> Iterator[Emulator]:
    """An emulator for many worlds, one after the other."""
    with serving() as running:
        yield running


# Everything in one picture.


def test_a_stack_as_declared_needs_nothing(stack: Stack) -> None:
    """Apply, then plan, is empty; and it cost one listing."""
    stack.record("acme/a")
    stack.record("acme/b", "Unlinked", status=UNLINKED)
    stack.emulator.clear_requests()

    plan = stack.plan()

    assert plan == Plan(declared=2, recorded=2, calls=plan.calls, platforms=plan.platforms)
    assert (plan.calls.reads, plan.calls.writes) == (0, 0)
    assert stack.emulator.requests()["total"] == 1


def test_each_step_stands_at_its_address(stack: Stack) -> None:
    """One of each kind, sorted, each with its cause."""
    stack.record("acme/old", platform_key="rwuv")
    stack.remove("acme/old")
    stack.record("acme/left", platform_key="mqjo", on_removal=OnRemoval.DELETE)
    stack.remove("acme/left")
    stack.record("acme/policy", "PendingAuth")
    stack.change("acme/policy", on_removal=OnRemoval.RETAIN)
    stack.record("acme/relinked", was="Unlinked", status=UNLINKED)
    gone = stack.record("acme/gone")
    stack.emulator.delete_connection(gone)
    stack.record("acme/other", "Unlinked", was="Linked")
    stack.change("acme/other", platform_key="gbol")
    adopted = connected(stack.emulator, stack.company_id, "fztf", "PendingAuth")
    stack.declare("acme/taken", "fztf")
    stack.declare("acme/new", "qhyg")
    stack.record("acme/was", platform_key="hcws")
    stack.remove("acme/was")
    stack.declare("acme/is", "hcws")

    plan = stack.plan()

    assert plan.problems == ()
    assert [(c.address, c.action, c.cause, c.removal, c.loses) for c in plan.changes] == [
        ("acme/gone", Action.REPLACE, Cause.THEY, Action.FORGET, False),
        ("acme/is", Action.MOVE, Cause.YOU, None, False),
        ("acme/left", Action.REMOVE, Cause.YOU, Action.DELETE, True),
        ("acme/new", Action.CREATE, Cause.YOU, None, False),
        ("acme/old", Action.REMOVE, Cause.YOU, Action.UNLINK, True),
        ("acme/other", Action.REPLACE, Cause.BOTH, Action.FORGET, False),
        ("acme/policy", Action.UPDATE, Cause.YOU, None, False),
        ("acme/relinked", Action.UNLINK, Cause.THEY, None, True),
        ("acme/taken", Action.ADOPT, Cause.YOU, None, False),
    ]
    assert (plan.losses, plan.declared, plan.recorded) == (3, 7, 7)
    assert [each.address for each in plan.waiting] == ["acme/policy", "acme/taken"]
    assert plan.changes[8].connection_id == adopted
    assert plan.unmanaged == ()


def test_a_planned_process_reads_and_changes_nothing_else(stack: Stack) -> None:
    """Whatever is planned, only GETs were sent."""
    stack.record("acme/a")
    stack.remove("acme/a")
    stack.declare("acme/b", "qhyg")
    stack.emulator.clear_requests()

    stack.plan()

    assert {each["method"] for each in stack.emulator.requests()["requests"]} == {"GET"}


# Groups.


def test_what_waits_says_since_when_and_why(stack: Stack) -> None:
    """In the order of the addresses: since it was made, since it broke with the cause, or nobody knows."""
    stack.record("acme/a", "PendingAuth")
    stack.emulator.revoke(stack.record("acme/b"))
    stack.record("acme/c", "Unlinked")

    a, b, c = stack.plan().waiting

    assert [each.status for each in (a, b, c)] == ["PendingAuth", "Deauthorized", "Unlinked"]
    assert a.since.startswith("20")
    assert b.since >= a.since
    assert c.since == ""
    assert "(cause: The customer revoked access at Plaid)" in b.text
    assert b.connection_id == stack.recorded["acme/b"].id


def test_what_lives_beside_is_told_and_left_alone(stack: Stack) -> None:
    """Only in the companies that are declared, with their name here; what is recorded is somebody's."""
    stack.record("acme/a")
    stack.record("acme/retained", on_removal=OnRemoval.RETAIN)
    stack.remove("acme/retained")
    stranger = connected(stack.emulator, stack.company_id, "fztf", "Deauthorized")
    elsewhere = str(stack.emulator.add_company("Elsewhere")["id"])
    connected(stack.emulator, elsewhere)

    plan = stack.plan()

    assert plan.unmanaged == (Unmanaged(stack.company_id, stranger, "fztf", "Deauthorized", "acme"),)
    assert [change.address for change in plan.changes] == ["acme/retained"]


def test_a_stranger_without_a_platform_is_told_too(stack: Stack) -> None:
    """Where Codat leaves the key out it is looked up; where that fails it stays empty."""
    stack.emulator.knobs({"integrationKey": "absent"})
    stack.record("acme/a")
    connected(stack.emulator, stack.company_id, "fztf")

    (unmanaged,) = stack.plan().unmanaged

    assert unmanaged.platform_key == "fztf"


def test_what_else_there_is_to_say_is_a_note(stack: Stack) -> None:
    """Unknown statuses, unlinks that Codat refused, and what was never authorised; not what waits."""
    stack.record("acme/odd", "Migrating")
    stack.record("acme/refused", "Deauthorized", status=UNLINKED)
    stack.recorded["acme/refused"] = dataclasses.replace(stack.recorded["acme/refused"], unlink_refused=True)
    stack.record("acme/never", "PendingAuth", status=UNLINKED)
    stack.record("acme/waits", "PendingAuth")
    told = stack.plan()
    stack.emulator.delete_connection(stack.record("acme/gone", platform_key="gbol"))
    connected(stack.emulator, stack.company_id, "fztf", "PendingAuth")
    stack.declare("acme/taken", "fztf")

    assert stack.plan().notes == told.notes, "what is a change is no note"
    plan = told
    assert plan.notes == (
        "acme/never: PendingAuth, it was never authorised, so there is nothing to unlink",
        "acme/odd: its status is 'Migrating', which codat-iac doesn't know, so it is left alone",
        "acme/refused: Deauthorized, and Codat refused to unlink it; it has no access as it is",
    )
    assert plan.changes == ()
    assert [each.address for each in plan.waiting] == ["acme/waits"]


def test_problems_are_collected_by_address(stack: Stack) -> None:
    """Of what is declared, of what goes, and of what can't be had: all at once, and the rest is planned."""
    stack.declare("acme/z", "xxxx")
    stack.record("acme/odd", "Migrating")
    stack.remove("acme/odd")
    stack.declare("acme/unlinked", "fztf", status=UNLINKED)
    stack.declare("acme/fine", "qhyg")

    plan = stack.plan()

    assert [problem.address for problem in plan.problems] == ["acme/odd", "acme/unlinked", "acme/z"]
    assert [change.address for change in plan.changes] == ["acme/fine"]


def test_the_key_of_another_tenant_plans_no_removal(stack: Stack) -> None:
    """Every address is a problem, and nothing would be forgotten."""
    stack.record("acme/a")
    stack.emulator.add_key("the-key-of-another", tenant="another")

    plan = stack.plan(api_key="the-key-of-another")

    assert (plan.changes, plan.unmanaged) == ((), ())
    assert "is it the key of the right tenant" in plan.problems[0].text


def test_a_key_that_is_none_ends_the_plan(stack: Stack) -> None:
    """Nothing can be said about anything."""
    stack.record("acme/a")

    with pytest.raises(Unauthorized):
        stack.plan(api_key="wrong")


# The limit on losses.


@pytest.mark.parametrize(
    ("recorded", "losing", "limit", "refused"),
    [
        (9, 9, None, False),
        (10, 3, None, False),
        (10, 4, None, True),
        (40, 10, None, False),
        (40, 11, None, True),
        (40, 11, 11, False),
        (2, 1, 0, True),
    ],
)
def test_a_plan_that_loses_too_much_is_refused_whole(
    stack: Stack, recorded: int, losing: int, limit: int | None, refused: bool
) -> None:
    """By default ten, and 30 % of a stack of ten or more; all of it is shown, and the flag named."""
    addresses = [f"acme/b{number:02}" for number in range(recorded)]
    for address in addresses:
        stack.record(address)
    stack.remove(*addresses[:losing])
    stack.declare("acme/new", "fztf")

    plan = stack.plan(max_losses=limit)

    assert (len(plan.changes), plan.losses) == (losing + 1, losing)
    if refused:
        assert plan.refusal is not None
        assert f"would end {losing} authorisation" in plan.refusal
        assert f" of {recorded} recorded connections (acme/b00" in plan.refusal
        assert f"CODAT_MAX_LOSSES={losing}" in plan.refusal
        assert plan.exceeded == {Limit.LOSSES: losing}
    else:
        assert plan.refusal is None
        assert plan.exceeded == {}


def test_one_connection_at_two_addresses_is_one_loss(stack: Stack) -> None:
    """Whatever the state says, one customer authorises again."""
    stack.record("acme/a")
    stack.recorded["acme/b"] = dataclasses.replace(stack.recorded["acme/a"], desired=stack.declare("acme/b"))
    stack.remove("acme/a", "acme/b")

    plan = stack.plan(max_losses=1)

    assert (plan.losses, plan.refusal) == (1, None)


def test_a_file_that_declares_nothing_loses_nothing_unless_that_is_allowed(stack: Stack) -> None:
    """It is the wrong file more often than a wish; what loses nothing may go."""
    stack.record("acme/a")
    stack.record("acme/b", "PendingAuth")
    stack.remove("acme/a", "acme/b")

    assert "nothing is declared: is it the right file" in (stack.plan().refusal or "")
    assert stack.plan(max_losses=1).refusal is None
    del stack.recorded["acme/a"]
    assert stack.plan().refusal is None


def test_what_is_adopted_to_be_unlinked_is_no_loss_of_this_run(stack: Stack) -> None:
    """Adopting calls nothing; that the next run unlinks it is said."""
    adopted = connected(stack.emulator, stack.company_id)
    stack.declare("acme/a", "gbol", status=UNLINKED, on_existing=OnExisting.ADOPT)

    plan = stack.plan(max_losses=0)

    assert (plan.losses, plan.refusal, plan.calls.writes) == (0, None, 0)
    assert plan.notes == (
        (
            f"acme/a: adopts the connection {adopted} (Linked); nothing changes in Codat, and the next run"
            " unlinks it"
        ),
    )


# One company.


def test_a_company_comes_with_what_was_replaced_there(stack: Stack) -> None:
    """Though nothing else of it is recorded, and it has another name now."""
    old = a_prior(
        connected(stack.emulator, stack.company_id),
        a_desired("old-acme/a", company_id=stack.company_id),
        pending_removal=True,
    )
    stack.record("acme/a")

    plan = stack.plan("acme", old)

    assert [(change.address, change.connection_id) for change in plan.changes] == [("old-acme/a", old.id)]
    assert plan.recorded == 1


@pytest.fixture
def two(emulator: Emulator, stack: Stack) -> Stack:
    """A second company beside the first, `beta`, in which everything has changed."""
    other = Stack(emulator, str(emulator.add_company("Beta")["id"]))
    stack.record("acme/a")
    stack.remove("acme/a")
    for number in range(9):
        other.record(f"beta/b{number}")
    other.remove("beta/b0")
    other.declare("beta/new", "qhyg")
    stack.desired |= other.desired
    stack.recorded |= other.recorded
    return stack


def test_one_company_is_planned_alone_and_counted_with_all(two: Stack) -> None:
    """The others are neither read nor changed, and the limit is still that of the whole stack."""
    two.emulator.clear_requests()

    plan = two.plan(company="acme")

    assert [change.address for change in plan.changes] == ["acme/a"]
    assert (plan.declared, plan.recorded) == (0, 10)
    assert two.emulator.requests()["total"] == 1


def test_what_a_program_declares_and_cant_know_yet_counts_as_declared(stack: Stack) -> None:
    """It is a problem, also of its company alone. A program that declares only that isn't empty."""
    stack.record("acme/a")
    prior = stack.recorded["acme/a"]
    unknown = {Address("acme/a"): ("companyId",), Address("beta/b"): ("companyId",)}
    moved = Moves(staying=(prior,))
    program = Program((), (prior,), moved, {}, unknown)

    plan = stack.planner().plan((), program)

    assert (plan.declared, plan.changes, plan.refusal, plan.exit_code) == (2, (), None, ExitCode.ERROR)
    assert [problem.address for problem in plan.problems] == ["acme/a", "beta/b"]
    of_one = stack.planner("beta").plan((), program)
    assert (of_one.declared, [problem.address for problem in of_one.problems]) == (1, ["beta/b"])


def test_the_old_name_of_a_company_takes_nothing_from_the_new_one(two: Stack) -> None:
    """Seen alone, the old name's connections would be unlinked; the new name is there to have them."""
    two.declare("acme-ltd/a")

    for company in ("acme", "acme-ltd"):
        plan = two.plan(company=company)
        assert [(c.address, c.action, c.moved_from) for c in plan.changes] == [
            ("acme-ltd/a", Action.MOVE, "acme/a")
        ]


def test_the_limit_is_that_of_the_whole_stack(emulator: Emulator, stack: Stack) -> None:
    """Eight of nine are fine for a small stack, and too many where there are more."""
    other = Stack(emulator, str(emulator.add_company("Beta")["id"]))
    for number in range(9):
        stack.record(f"acme/a{number}")
    other.record("beta/b")
    stack.remove(*(f"acme/a{number}" for number in range(8)))

    assert stack.plan(company="acme").refusal is None
    stack.recorded |= other.recorded
    assert "would end 8 authorisations of 10" in (stack.plan(company="acme").refusal or "")


def test_a_status_is_live_where_a_plan_looked(two: Stack, emulator: Emulator) -> None:
    """Else it is the recorded one: what an apply tells of the rest of the stack costs no call."""
    declared: dict[str, DesiredConnection] = {each.address: each for each in two.declared()}
    emulator.unlink(two.recorded["beta/b1"].id)
    emulator.delete_connection(two.recorded["beta/b2"].id)
    narrow, wide = (two.planner(company) for company in ("acme", None))
    narrow.plan(list(declared.values()))
    wide.plan(list(declared.values()))
    emulator.clear_requests()

    addresses = ("beta/b1", "beta/b2", "beta/b3", "beta/new")
    assert [narrow.status(declared[each]) for each in addresses] == ["Linked"] * 3 + ["absent"]
    assert [wide.status(declared[each]) for each in addresses] == ["Unlinked", "absent", "Linked", "absent"]
    assert emulator.requests()["total"] == 0


# Without a state.


def stateless(emulator: Emulator, *desired: DesiredConnection, **options: Any) -> Plan:
    """Plan without a state."""
    return a_planner(emulator, [], **options).plan_stateless(desired)


def test_without_a_state_what_is_there_is_matched(stack: Stack, emulator: Emulator) -> None:
    """What is declared and lives needs nothing, or an unlink; what doesn't live is made."""
    for key in ("gbol", "suuo"):
        connected(emulator, stack.company_id, key)
    connected(emulator, stack.company_id, "fztf", "PendingAuth")
    stack.declare("acme/ledger", "gbol")
    stack.declare("acme/bank", status=UNLINKED)
    stack.declare("acme/shop", "fztf")
    stack.declare("acme/books", "zsth")

    plan = stateless(emulator, *stack.declared(), max_losses=1)

    assert [(c.address, c.action) for c in plan.changes] == [
        ("acme/bank", Action.UNLINK),
        ("acme/books", Action.CREATE),
    ]
    assert [each.address for each in plan.waiting] == ["acme/shop"]
    assert (plan.stateless, plan.declared, plan.recorded, plan.notes) == (True, 4, 0, ())


def test_without_a_state_what_is_ambiguous_is_a_note(stack: Stack, emulator: Emulator) -> None:
    """It is neither made, nor taken, nor called unmanaged; and nothing is ever removed."""
    for _ in range(2):
        connected(emulator, stack.company_id, "suuo")
    stranger = connected(emulator, stack.company_id, "fztf")
    stack.declare("acme/a")
    stack.declare("acme/b")

    plan = stateless(emulator, *stack.declared())

    assert (plan.changes, plan.problems, plan.declared) == ((), (), 2)
    assert [note.partition(":")[0] for note in plan.notes] == ["acme/a", "acme/b"]
    assert [each.connection_id for each in plan.unmanaged] == [stranger]


def test_without_a_state_one_company_is_planned_alone(two: Stack, emulator: Emulator) -> None:
    """Nobody is compared whom nobody asked for."""
    two.declare("acme/books", "qhyg")

    plan = stateless(emulator, *two.declared(), company="acme")

    assert [change.address for change in plan.changes] == ["acme/books"]
    assert plan.declared == 1


def test_without_a_state_a_company_that_is_not_there_is_a_problem(emulator: Emulator) -> None:
    """As with one."""
    plan = stateless(emulator, a_desired(company_id=an_id(7)))

    assert "can't be seen with this API key" in plan.problems[0].text


# Drift.


@pytest.mark.parametrize(
    ("was", "now", "drifted"),
    [
        ("PendingAuth", "Linked", False),
        ("Linked", "Linked", False),
        ("PendingAuth", "Unlinked", True),
        ("Linked", "Deauthorized", True),
        ("Unlinked", "Linked", True),
        ("Linked", "Migrating", True),
    ],
)
def test_drift_is_what_somebody_else_did(stack: Stack, was: str, now: str, drifted: bool) -> None:
    """Recorded against live, whatever the file says; that a customer authorises is progress."""
    connection_id = stack.record("acme/a", now, was=was)
    found = Drifted(Address("acme/a"), stack.company_id, connection_id, "suuo", was, now)

    assert stack.connections().drift() == ((found,) if drifted else ())


def test_what_was_deleted_drifted_until_that_is_recorded(stack: Stack) -> None:
    """A refresh that recorded it has told it."""
    for address, was in (("acme/a", "Linked"), ("acme/b", "absent")):
        stack.emulator.delete_connection(stack.record(address, "Linked", was=was))

    drifted = stack.connections().drift()

    assert [(each.address, each.was, each.now) for each in drifted] == [("acme/a", "Linked", "absent")]


def test_drift_of_one_company_reads_only_that(two: Stack) -> None:
    """And says nothing of the rest."""
    for prior in two.recorded.values():
        two.emulator.unlink(prior.id)
    two.emulator.clear_requests()

    drifted = two.connections("acme").drift()

    assert [each.address for each in drifted] == ["acme/a"]
    assert two.emulator.requests()["total"] == 1


def test_drift_does_not_guess(stack: Stack) -> None:
    """A company that can't be seen says nothing of what became of its connections."""
    stack.record("acme/a")
    stack.emulator.delete_company(stack.company_id)

    with pytest.raises(Refused, match=r"acme/a: company .* can't be seen"):
        stack.connections().drift()


def test_drift_of_a_company_that_is_accepted_as_gone(stack: Stack) -> None:
    """Then its connections are absent."""
    stack.record("acme/a")
    stack.emulator.delete_company(stack.company_id)

    (drifted,) = stack.connections(accept_missing=True).drift()

    assert (drifted.address, drifted.was, drifted.now) == ("acme/a", "Linked", "absent")


# Links.


@pytest.mark.parametrize("otp", ["fixed", "rotating", "off"])
def test_a_link_opens_the_customers_page(stack: Stack, otp: str) -> None:
    """Each of those that wait has one that works, with the names that a person knows."""
    stack.emulator.knobs({"linkUrlOtp": otp})
    stack.record("acme/a", "PendingAuth")
    stack.record("acme/b", "Linked")
    stack.record("acme/c", "Unlinked", platform_key="hcws")
    stack.record("acme/d", "PendingAuth", status=UNLINKED)

    a, c = stack.connections().links()

    assert [(link.address, link.company, link.platform, link.status) for link in (a, c)] == [
        ("acme/a", "Acme", "Plaid", "PendingAuth"),
        ("acme/c", "Acme", "QuickBooks Online Bank Feeds", "Unlinked"),
    ]
    assert (a.since[:2], c.since) == ("20", "")
    for link in (a, c):
        assert requests.get(link.url, timeout=10).status_code == 200


def test_links_are_of_this_moment(stack: Stack) -> None:
    """Who has just authorised needs none, and neither does what is gone."""
    waiting, authorised, deleted = (stack.record(f"acme/{key}", "PendingAuth") for key in "abc")
    connections = stack.connections()
    connections.drift()
    stack.emulator.authorise(authorised)
    stack.emulator.delete_connection(deleted)

    (link,) = connections.links()

    assert (link.address, waiting in link.url) == ("acme/a", True)


def test_what_is_recorded_comes_in_the_order_of_its_addresses(stack: Stack) -> None:
    """Whatever the order in which some run wrote it."""
    for key in "bca":
        stack.record(f"acme/{key}", "PendingAuth", was="Linked")
    connections = stack.connections()

    assert [each.address for each in connections.drift()] == ["acme/a", "acme/b", "acme/c"]
    assert [each.address for each in connections.links()] == ["acme/a", "acme/b", "acme/c"]


def test_links_of_one_company_ask_for_no_other(two: Stack) -> None:
    """One listing, the company's name, and a GET for each link."""
    two.record("acme/waits", "PendingAuth")
    two.emulator.clear_requests()

    links = two.connections("acme").links()

    assert [link.address for link in links] == ["acme/waits"]
    assert two.emulator.counts() == {"list-connections": 1, "get-company": 1, "get-connection": 1}


def test_a_platform_without_a_name_is_called_by_its_key(stack: Stack) -> None:
    """Codat sends a name nearly always."""
    stack.record("acme/a", "PendingAuth")
    stack.emulator.knobs({"emptyFields": "null"})

    (link,) = stack.connections().links()

    assert link.platform == "Plaid"


# Saved plans.


def test_a_saved_plan_outlives_what_it_is_not_about(stack: Stack) -> None:
    """Customers authorise all day; but not what it changes."""
    stack.record("acme/a")
    stack.change("acme/a", status=UNLINKED)
    beside = stack.record("acme/b", "PendingAuth")
    saved = stack.plan()
    stack.emulator.authorise(beside)

    still_holds(saved, stack.plan())

    stack.emulator.revoke(stack.recorded["acme/a"].id)
    with pytest.raises(Refused, match="acme/a: its status was Linked and is Deauthorized"):
        still_holds(saved, stack.plan())


# What a plan says comes true.


def costs(emulator: Emulator) -> tuple[int, int]:
    """The reads and the writes that were asked for."""
    counted = Counter(each["method"] == "GET" for each in emulator.requests()["requests"])
    return counted[True], counted[False]


def comes_true(stack: Stack, file: Path, *more: PriorConnection, **options: Any) -> list[Plan]:
    """Carry out what is planned until nothing is left; each run costs what was said. Gives the plans."""
    state = [*stack.recorded.values(), *more]
    plans: list[Plan] = []
    while True:
        planner = a_planner(stack.emulator, state, **options)
        plan = planner.plan(stack.declared())
        assert plan.problems == ()
        if not plan.changes:
            assert len(state) == len(stack.desired)
            return plans
        assert not plans or goes_on(plans[-1]), "it takes no more runs than were announced"
        plans.append(plan)
        state = carry_out(stack.emulator, planner, plan, stack.declared(), state, file, **options)
        assert costs(stack.emulator) == (plan.calls.reads, plan.calls.writes)


def goes_on(plan: Plan) -> bool:
    """Whether a plan says that another run follows it."""
    return any(change.later for change in plan.changes) or any("the next run" in note for note in plan.notes)


def test_a_company_that_is_accepted_as_gone_is_forgotten(stack: Stack, tmp_path: Path) -> None:
    """Its connections are, without a call; before it is accepted they are problems."""
    stack.record("acme/a")
    stack.remove("acme/a")
    stack.emulator.delete_company(stack.company_id)

    assert stack.plan().problems != ()
    (plan,) = comes_true(stack, tmp_path / "handover.json", accept_missing=True)

    assert [(c.action, c.removal, c.status) for c in plan.changes] == [
        (Action.REMOVE, Action.FORGET, "absent")
    ]
    assert plan.calls.writes == 0


def test_another_company_is_read_before_the_run_that_acts(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    """An address that goes over to another company costs no more than was forecast."""
    stack.record("acme/a")
    other = str(emulator.add_company("Another")["id"])
    stack.change("acme/a", company_id=other)

    (plan,) = comes_true(stack, tmp_path / "handover.json")

    assert (plan.changes[0].removal, plan.changes[0].fields[0].name) == ("unlink", "companyId")
    assert (plan.calls.reads, plan.calls.writes) == (3, 2)
    assert list(rows(emulator, stack.company_id).values()) == ["Unlinked"]


def test_what_was_replaced_elsewhere_is_not_this_runs_loss(two: Stack, tmp_path: Path) -> None:
    """An apply of one company removes what it planned, under its own limit, and nothing of the others."""
    two.record("acme/waiting", "PendingAuth")
    two.remove("acme/waiting")
    two.declare("acme/a")
    replaced = dataclasses.replace(
        two.recorded["beta/b0"],
        desired=a_desired("beta/b1", company_id=two.desired["beta/b1"].company_id),
        pending_removal=True,
    )
    del two.recorded["beta/b0"]
    recorded = [*two.recorded.values(), replaced]
    planner = a_planner(two.emulator, recorded, "acme", max_losses=0)
    desired = two.declared()
    plan = planner.plan(desired)

    state = carry_out(
        two.emulator, planner, plan, desired, recorded, tmp_path / "handover.json", max_losses=0
    )

    assert [change.address for change in plan.changes] == ["acme/waiting"]
    assert costs(two.emulator) == (1, 1)
    assert [prior for prior in recorded if prior not in state] == [two.recorded["acme/waiting"]]
    whole = a_planner(two.emulator, state).plan(desired)
    assert [(c.address, c.action, c.loses) for c in whole.changes] == [
        ("beta/b1", Action.REMOVE, True),
        ("beta/new", Action.CREATE, False),
    ]


def test_a_run_that_only_removes_is_limited_by_what_the_file_declares(stack: Stack, tmp_path: Path) -> None:
    """It declares nothing itself, and is no `destroy`: what stays need not be touched."""
    stack.record("acme/a")
    stack.record("acme/b")
    stack.remove("acme/a")

    (plan,) = comes_true(stack, tmp_path / "handover.json")

    assert (plan.losses, plan.refusal) == (1, None)


def test_a_second_entry_of_what_is_unlinked_hides_no_call(stack: Stack, tmp_path: Path) -> None:
    """One id at two addresses ends once, and the entry that is only forgotten costs nothing."""
    stack.record("acme/a")
    stack.record("acme/b")
    stack.recorded["acme/b"] = dataclasses.replace(stack.recorded["acme/a"], desired=stack.desired["acme/b"])
    stack.remove("acme/b")
    stack.change("acme/a", status=UNLINKED)

    (plan,) = comes_true(stack, tmp_path / "handover.json")

    assert (plan.calls.reads, plan.calls.writes, plan.losses) == (1, 1, 1)


def test_what_leaves_below_a_component_goes_in_the_run_that_makes_the_new_one(
    stack: Stack, tmp_path: Path
) -> None:
    """Both have one address and two URNs, so both are targets, and the change tells of both."""
    stack.record("acme/a", "PendingAuth")
    old = dataclasses.replace(stack.recorded["acme/a"], urn=a_urn("acme/a", COMPONENT))
    stack.recorded["acme/a"] = old
    stack.change("acme/a", platform_key="fztf")

    (plan,) = comes_true(stack, tmp_path / "handover.json")

    assert [(c.action, c.removal) for c in plan.changes] == [(Action.CREATE, Action.DELETE)]
    assert list(rows(stack.emulator, stack.company_id)) != [old.id]


def test_what_is_gone_elsewhere_in_a_slot_counts_in_the_run_that_acts(stack: Stack, tmp_path: Path) -> None:
    """Who takes what waits there is decided by both processes in the same way."""
    for address in ("acme/a", "acme/c"):
        stack.emulator.delete_connection(stack.record(address))
    stack.remove("acme/a")
    connected(stack.emulator, stack.company_id, "suuo", "PendingAuth")

    plans = comes_true(stack, tmp_path / "handover.json")

    assert len(plans) == 1


def test_a_name_that_goes_from_hand_to_hand_takes_two_runs(stack: Stack, tmp_path: Path) -> None:
    """Each plan says what is left to the next one, and neither calls anything."""
    for address in ("acme/a", "acme/b"):
        stack.record(address)
    ids = {address: prior.id for address, prior in stack.recorded.items()}
    stack.remove("acme/a", "acme/b")
    stack.declare("acme/b", connection_id=ids["acme/a"])
    stack.declare("acme/c", connection_id=ids["acme/b"])

    first, second = comes_true(stack, tmp_path / "handover.json")

    assert [(c.address, c.action, c.moved_from, c.later) for c in first.changes] == [
        ("acme/b", Action.MOVE, "acme/a", True),
        ("acme/c", Action.MOVE, "acme/b", False),
    ]
    assert [(c.address, c.action, c.moved_from, c.later) for c in second.changes] == [
        ("acme/b", Action.MOVE, "acme/a", False)
    ]
    assert (first.calls.reads, first.calls.writes, first.losses) == (0, 0, 0)
    assert set(rows(stack.emulator, stack.company_id).values()) == {"Linked"}


def test_names_that_are_swapped_are_a_problem_of_each(stack: Stack) -> None:
    """Pulumi can't do it; nothing is lost, and the way out is named."""
    for address in ("acme/a", "acme/b"):
        stack.record(address)
    a, b = (stack.recorded[address].id for address in ("acme/a", "acme/b"))
    stack.change("acme/a", connection_id=b)
    stack.change("acme/b", connection_id=a)

    plan = stack.plan()

    assert [problem.address for problem in plan.problems] == ["acme/a", "acme/b"]
    assert "would swap what is recorded" in plan.problems[0].text
    assert (plan.changes, plan.losses) == ((), 0)


def test_a_tainted_one_is_a_replacement_with_its_loss(stack: Stack, tmp_path: Path) -> None:
    """`pulumi state taint` makes the engine replace it, so the plan shows it."""
    old = stack.record("acme/a")
    stack.recorded["acme/a"] = dataclasses.replace(stack.recorded["acme/a"], tainted=True)

    (plan,) = comes_true(stack, tmp_path / "handover.json")

    assert [(c.action, c.removal, c.loses) for c in plan.changes] == [(Action.REPLACE, Action.UNLINK, True)]
    assert rows(stack.emulator, stack.company_id)[old] == "Unlinked"


def test_what_was_replaced_is_taken_back_when_the_file_is_reverted(stack: Stack, tmp_path: Path) -> None:
    """A replacement broke off before the end of the old one, which is authorised and goes on."""
    wanted = stack.record("acme/a")
    old = dataclasses.replace(stack.recorded["acme/a"], pending_removal=True)
    unwanted = stack.record("acme/a", "PendingAuth", platform_key="fztf")
    stack.change("acme/a", platform_key="suuo")

    (plan,) = comes_true(stack, tmp_path / "handover.json", old)

    assert [(c.address, c.action, c.removal, c.loses) for c in plan.changes] == [
        ("acme/a", Action.REPLACE, Action.DELETE, False)
    ]
    assert rows(stack.emulator, stack.company_id) == {wanted: "Linked"}, f"{unwanted} was never authorised"


def test_what_was_replaced_comes_with_the_change_at_its_address(stack: Stack, tmp_path: Path) -> None:
    """One change tells of both, with the graver end; what it costs and loses is that of both."""
    stack.record("acme/a")
    stack.change("acme/a", on_removal=OnRemoval.RETAIN)
    old = a_desired("acme/a", company_id=stack.company_id, platform_key="fztf")
    replaced = a_prior(connected(stack.emulator, stack.company_id, "fztf"), old, pending_removal=True)
    planner = stack.planner(None, replaced)

    plan = planner.plan(stack.declared())

    (change,) = plan.changes
    assert (change.action, change.removal, change.loses) == (Action.UPDATE, Action.UNLINK, True)
    assert plan.losing == {replaced.id: "acme/a"}
    assert (plan.calls.reads, plan.calls.writes, plan.unmanaged) == (1, 1, ())
    recorded = [*stack.recorded.values(), replaced]
    carry_out(stack.emulator, planner, plan, stack.declared(), recorded, tmp_path / "handover.json")
    assert costs(stack.emulator) == (1, 1)
    assert sorted(rows(stack.emulator, stack.company_id).values()) == ["Linked", "Unlinked"]


@pytest.mark.parametrize("company", [None, "acme"])
@pytest.mark.parametrize("desired", ["something", "nothing"])
def test_a_planner_is_made_with_what_can_only_read(stack: Stack, company: str | None, desired: str) -> None:
    """Nothing that plans, tells drift or gives links holds anything that writes."""
    stack.record("acme/a", "PendingAuth")
    declared = stack.declared() if desired == "something" else []
    planner, connections = stack.planner(company), stack.connections(company)

    planner.plan(declared)
    connections.drift()
    connections.links()

    for maker in (planner, connections):
        assert not any(isinstance(held, Client) for held in _held(maker))
        assert any(type(held) is Reader for held in _held(maker))
    assert not {"create", "delete", "unlink"} & set(dir(Reader))


def _held(holder: object) -> list[object]:
    """All that an object of ours holds, at any depth."""
    found: list[object] = []
    waiting: list[object] = [holder]
    while waiting:
        each = waiting.pop()
        if type(each).__module__.startswith("codat_iac.") and not any(each is one for one in found):
            found.append(each)
            waiting += vars(each).values() if hasattr(each, "__dict__") else []
    return found


def test_an_answer_that_is_none_ends_the_plan(stack: Stack) -> None:
    """Where Codat breaks nothing is certain of anything."""
    stack.record("acme/a")
    stack.emulator.faults([{"on": "GET /companies/*/connections", "do": "status", "status": 500}])

    with pytest.raises(CodatBroken, match="GET /companies/"):
        stack.plan()


SHOWN = {
    Action.CREATE: Action.CREATE,
    Action.ADOPT: Action.CREATE,
    Action.MOVE: Action.MOVE,
    Action.UPDATE: Action.UPDATE,
    Action.UNLINK: Action.UNLINK,
    Action.REPLACE: Action.REPLACE,
}
"""What the hooks decide of what a plan shows; a removal is no hook's of a preview."""


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=False))
def test_the_hooks_decide_alike_in_whatever_order_the_engine_calls_them(
    crowd: Emulator, dice: Random
) -> None:
    """Nobody knows in which order it hears of what a program declares; `engine/test_agreement.py` is real.

    What is tainted no hook is asked about before its create.
    """
    crowd.reset()
    world = a_world(crowd, dice)
    planner = a_planner(crowd, world.recorded, max_losses=100)
    plan = planner.plan(world.desired)
    tainted = {prior.address for prior in world.recorded if prior.tainted}
    declared = {each.address for each in world.desired}
    # A removal's problem comes later than a preview looks, and Pulumi itself knows what is protected.
    said = {p.text for p in plan.problems if not re.search("stays recorded|is protected", p.text)}

    actions, errors = preview(crowd, world, dice, max_losses=100)

    if not tainted:
        assert bool(errors) == bool(said)
    if not errors and not said:
        assert {
            address: action
            for address, action in actions.items()
            if address in declared and action is not Action.NONE
        } == {
            each.address: SHOWN[each.action]
            for each in planner.decided.decisions
            if each.action in SHOWN and not each.later
        }


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=False), refuses=st.booleans(), whole=st.booleans())
def test_what_is_carried_out_is_what_was_planned(
    crowd: Emulator, tmp_path_factory: pytest.TempPathFactory, dice: Random, refuses: bool, whole: bool
) -> None:
    """Whatever is desired, recorded and live: it costs, loses and makes what was said, and empties the plan.

    By the targeted run of an apply, or by the whole run of `pulumi up`; again where a plan says that it
    takes another run, and then until nothing is left.
    """
    crowd.reset()
    crowd.knobs({"deauthorisedUnlink": "refuse" if refuses else "allow"})
    world = a_world(crowd, dice)
    if dice.random() < 0.5:
        Edits(world, dice).some()
    file = tmp_path_factory.getbasetemp() / "handover.json"
    runs = 0
    goes = True
    waited: set[str] = set()
    while goes:
        planner = a_planner(crowd, world.recorded)
        plan = planner.plan(world.desired)
        if plan.problems or plan.refusal:
            # As in `pulumi preview`, what is refused about an address that waits is said in its own run.
            assert runs == 0 or {each.address for each in plan.problems} <= waited
            assert runs == 0 or not plan.refusal
            return
        waited = {each.address for each in plan.changes if each.later}
        before = living(crowd, world)
        if whole:
            state = up(crowd, world, dice)
        else:
            state = carry_out(crowd, planner, plan, world.desired, world.recorded, file, dice=dice)
            if not (refuses and _recorded_twice(world)):  # each of the two would be refused
                assert costs(crowd) == (plan.calls.reads, plan.calls.writes)
        _see_what_became(plan, planner.decided.decisions, before, living(crowd, world), state)
        world.recorded = state
        goes = goes_on(plan)
        runs += 1
        assert runs <= 6

    again = a_planner(crowd, world.recorded).plan(world.desired)
    assert (again.changes, again.problems) == ((), ())
    assert again.recorded == len(world.recorded) == len(world.desired)
    assert {each.address for each in world.desired} == {prior.address for prior in world.recorded}


def _see_what_became(
    plan: Plan,
    decisions: Sequence[Decision],
    before: dict[str, str],
    after: dict[str, str],
    state: Sequence[PriorConnection],
) -> None:
    """See that one run lost and made what it said, and left each address what it was to have."""
    lost = {each for each, was in before.items() if was == "Linked" and after.get(each) != "Linked"}
    assert lost == {each.connection_id for each in decisions if each.loses and not each.later}
    made = sum(each.posts for each in decisions)
    assert len(after.keys() - before.keys()) == made
    assert all(after[each.connection_id] == each.status for each in plan.unmanaged)
    at = {prior.address: prior.id for prior in state}
    unsure = {each.slot for each in state if each.tainted}
    for each in decisions:
        if each.becomes and not each.later and (each.company_id, each.platform_key) not in unsure:
            assert at[each.address] == each.becomes, "whoever the engine called first"


def _recorded_twice(world: World) -> bool:
    ids = [prior.id for prior in world.recorded]
    return len(ids) > len(set(ids))


def test_a_plan_names_what_its_reads_told(emulator: Emulator) -> None:
    """Platforms by the connections and the integrations, companies by the tenant's pages: no call more."""
    ids = [
        str(emulator.add_company(name)["id"]) for name in ("Acme Ltd", "Beta Ltd", "Gamma Ltd", "Delta Ltd")
    ]
    priors = [
        a_prior(connected(emulator, each), a_desired(f"c{n}/ledger", company_id=each))
        for n, each in enumerate(ids)
    ]
    declared = [prior.desired for prior in priors]
    emulator.clear_requests()

    plan = a_planner(emulator, priors).plan(
        [*declared, a_desired("c0/shop", company_id=ids[0], platform_key="fztf")]
    )

    assert plan.platforms.keys() == {"fztf", "gbol"}
    assert plan.platforms["gbol"] == "Xero"
    assert set(plan.companies.items()) <= set(
        zip(ids, ("Acme Ltd", "Beta Ltd", "Gamma Ltd", "Delta Ltd"), strict=True)
    )
    assert plan.companies
    assert {each["path"] for each in emulator.requests()["requests"]} <= {
        "/companies",
        "/integrations",
        *(f"/companies/{each}/connections" for each in ids),
    }


def test_a_first_authorisation_is_progress(stack: Stack) -> None:
    """And no drift: it is what everybody waited for."""
    stack.record("acme/a", "Linked", was="PendingAuth")
    stack.record("acme/b", "Deauthorized", was="Linked")
    connections = stack.connections()

    assert [(each.address, each.was, each.now) for each in connections.progress()] == [
        ("acme/a", "PendingAuth", "Linked")
    ]
    assert [each.address for each in connections.drift()] == ["acme/b"]


def test_a_status_is_alerted_of_however_long_it_is_recorded(stack: Stack) -> None:
    """What the record knows already, no preview shows; what was asked for is no alert."""
    stack.record("acme/fresh", "Deauthorized", was="Linked")
    stack.record("acme/known", "Deauthorized", was="Deauthorized")
    stack.record("acme/wanted", "Unlinked", status=UNLINKED)
    stack.record("acme/unwanted", "Unlinked", was="Unlinked")
    stack.record("acme/fine", "Linked")
    stack.emulator.delete_connection(stack.record("acme/gone", "Linked", was="absent"))
    connections = stack.connections()
    assert connections.count == 6

    def found(*statuses: str) -> list[str]:
        return [each.address for each in connections.in_status(statuses)]

    assert found("Deauthorized") == ["acme/fresh", "acme/known"]
    assert found("Unlinked") == ["acme/unwanted"]
    assert found("absent") == ["acme/gone"]
    assert found("Linked") == []
    assert found() == []
    assert found("Deauthorized", "Unlinked", "absent") == [
        "acme/fresh",
        "acme/gone",
        "acme/known",
        "acme/unwanted",
    ]


# Which links.


def test_links_can_be_chosen_by_platform_and_by_tag(emulator: Emulator) -> None:
    """Only what is chosen has its link replaced by a new one."""
    uk, us = (tagged(emulator, name, region=region) for name, region in (("Acme", "uk"), ("Beta", "us")))
    priors = [
        a_prior(
            connected(emulator, company, key, "PendingAuth"),
            a_desired(address, company_id=company, platform_key=key),
            "PendingAuth",
        )
        for address, company, key in (
            ("acme/a", uk, "gbol"),
            ("acme/b", uk, "fztf"),
            ("beta/a", us, "gbol"),
        )
    ]
    connections = recorded_connections(emulator, priors)

    def found(**chosen: Any) -> list[str]:
        return [each.address for each in connections.links(LinkFilter(**chosen))]

    assert found() == ["acme/a", "acme/b", "beta/a"]
    assert found(platforms=frozenset({"gbol"})) == ["acme/a", "beta/a"]
    assert found(tags=(lambda tags: tags["region"] == "uk",)) == ["acme/a", "acme/b"]
    assert found(platforms=frozenset({"fztf"}), tags=(lambda tags: tags["region"] == "us",)) == []
    (link,) = connections.links(LinkFilter(platforms=frozenset({"fztf"})))
    assert (link.company_id, link.connection_id, link.platform_key) == (uk, priors[1].id, "fztf")


def test_links_can_be_chosen_by_age(stack: Stack) -> None:
    """What nobody knows the age of is left out, and named."""
    stack.record("acme/new", "PendingAuth")
    stack.record("acme/undated", "Unlinked", platform_key="hcws")
    undated: list[str] = []

    def found(age: timedelta) -> list[str]:
        links = stack.connections().links(LinkFilter(older_than=age), undated.append)
        return [each.address for each in links]

    assert found(timedelta(days=7)) == []
    assert undated == ["acme/undated"]
    assert found(timedelta(seconds=-1)) == ["acme/new"]
    assert len(stack.connections().links()) == 2


def test_no_link_is_there_twice(stack: Stack) -> None:
    """One id may be recorded at two addresses, and its customer needs one mail."""
    connection_id = stack.record("acme/a", "PendingAuth")
    other = a_prior(connection_id, a_desired("acme/b", company_id=stack.company_id), "PendingAuth")

    links = recorded_connections(stack.emulator, [*stack.recorded.values(), other]).links()

    assert [each.address for each in links] == ["acme/a"]


def test_a_plan_tells_what_codat_advises(stack: Stack) -> None:
    """As notes, which change no exit code; about Xero only when a connection to it is unlinked."""
    stack.record("acme/a", platform_key="gbol")
    stack.record("acme/b", platform_key="qhyg")
    plan = stack.plan()

    assert plan.exit_code == 0
    assert [note.partition(":")[0] for note in plan.notes] == ["acme/a, acme/b"]

    stack.remove("acme/a")
    (note,) = stack.plan().notes
    assert note.startswith("acme/a: it is unlinked on removal, and Xero's certified partners")
