"""Plans on an emulated Codat: what an apply will do, what waits, what is nobody's, what it costs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codat_iac.emulator import Emulator, serving
from codat_iac.errors import Refused, Unauthorized
from codat_iac.model import DesiredConnection, OnExisting, OnRemoval, PriorConnection, Status
from codat_iac.plan import Cause, Drifted, Plan, Step, Unmanaged, still_holds
from tests.builders import a_desired, a_prior, an_id, connected, rows
from tests.worlds import World, a_planner, a_world, carry_out, living, up

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
        """All that is declared, each with its siblings."""
        return _with_siblings(self.desired.values())

    def plan(self, **options: Any) -> Plan:
        """Plan in a process of its own."""
        return a_planner(self.emulator, self.recorded, **options).plan(self.declared())


def _with_siblings(desired: Any) -> list[DesiredConnection]:
    slots: dict[Any, set[str]] = {}
    for each in desired:
        slots.setdefault(each.slot, set()).add(each.address)
    return [
        dataclasses.replace(each, siblings=frozenset(slots[each.slot]))
        for each in sorted(desired, key=lambda each: each.address)
    ]


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

    assert plan == Plan(declared=2, recorded=2, calls=plan.calls)
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
    assert [(c.address, c.step, c.cause, c.removal, c.loses) for c in plan.changes] == [
        ("acme/gone", Step.REPLACE, Cause.THEY, "forget", False),
        ("acme/is", Step.MOVE, Cause.YOU, None, False),
        ("acme/left", Step.REMOVE, Cause.YOU, "delete", True),
        ("acme/new", Step.CREATE, Cause.YOU, None, False),
        ("acme/old", Step.REMOVE, Cause.YOU, "unlink", True),
        ("acme/other", Step.REPLACE, Cause.BOTH, "forget", False),
        ("acme/policy", Step.UPDATE, Cause.YOU, None, False),
        ("acme/relinked", Step.UNLINK, Cause.THEY, None, True),
        ("acme/taken", Step.ADOPT, Cause.YOU, None, False),
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
    assert "is it the right key" in plan.problems[0].text


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

    plan = stack.plan(max_losses=limit)

    assert (len(plan.changes), plan.losses) == (losing, losing)
    if refused:
        assert plan.refusal is not None
        assert f"throw away {losing} Linked connections of {recorded} (acme/b00" in plan.refusal
        assert f"CODAT_MAX_LOSSES={losing}" in plan.refusal
    else:
        assert plan.refusal is None


def test_one_connection_at_two_addresses_is_one_loss(stack: Stack) -> None:
    """Whatever the state says, one customer authorises again."""
    stack.record("acme/a")
    stack.recorded["acme/b"] = dataclasses.replace(stack.recorded["acme/a"], desired=stack.declare("acme/b"))
    stack.remove("acme/a", "acme/b")

    plan = stack.plan(max_losses=1)

    assert (plan.losses, plan.refusal) == (1, None)


def test_on_an_empty_stack_a_loss_has_to_be_allowed(stack: Stack) -> None:
    """As a preview has it, which can't tell an empty stack from one that nobody read."""
    connected(stack.emulator, stack.company_id)
    stack.declare("acme/a", "gbol", status=UNLINKED, on_existing=OnExisting.ADOPT)

    assert "throw away 1 Linked connections of 0 (acme/a)" in (stack.plan().refusal or "")
    assert stack.plan(max_losses=1).refusal is None


# One company.


def test_a_company_comes_with_what_was_replaced_there(stack: Stack) -> None:
    """Though nothing else of it is recorded, and it has another name now."""
    old = a_prior(
        connected(stack.emulator, stack.company_id), a_desired("old-acme/a", company_id=stack.company_id)
    )
    stack.record("acme/a")

    plan = stack.plan(company="acme", replaced=[old])

    assert [(change.address, change.connection_id) for change in plan.changes] == [("old-acme/a", old.id)]


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


def test_the_old_name_of_a_company_takes_nothing_from_the_new_one(two: Stack) -> None:
    """Seen alone, the old name's connections would be unlinked; the new name is there to have them."""
    two.declare("acme-ltd/a")

    for company in ("acme", "acme-ltd"):
        plan = two.plan(company=company)
        assert [(c.address, c.step, c.moved_from) for c in plan.changes] == [
            ("acme-ltd/a", Step.MOVE, "acme/a")
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
    assert "8 Linked connections of 10" in (stack.plan(company="acme").refusal or "")


def test_a_status_is_live_where_a_plan_looked(two: Stack, emulator: Emulator) -> None:
    """Else it is the recorded one: what an apply tells of the rest of the stack costs no call."""
    declared = {each.address: each for each in two.declared()}
    emulator.unlink(two.recorded["beta/b1"].id)
    emulator.delete_connection(two.recorded["beta/b2"].id)
    narrow, wide = (a_planner(emulator, two.recorded, company) for company in ("acme", None))
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
    return a_planner(emulator, {}, **options).plan_stateless(desired)


def test_without_a_state_what_is_there_is_matched(stack: Stack, emulator: Emulator) -> None:
    """What is declared and lives needs nothing, or an unlink; what doesn't live is made."""
    for key in ("gbol", "suuo"):
        connected(emulator, stack.company_id, key)
    connected(emulator, stack.company_id, "fztf", "PendingAuth")
    stack.declare("acme/ledger", "gbol")
    stack.declare("acme/bank", status=UNLINKED)
    stack.declare("acme/shop", "fztf")
    stack.declare("acme/books", "qhyg")

    plan = stateless(emulator, *stack.declared(), max_losses=1)

    assert [(c.address, c.step) for c in plan.changes] == [
        ("acme/bank", Step.UNLINK),
        ("acme/books", Step.CREATE),
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
    found = Drifted("acme/a", stack.company_id, connection_id, "suuo", was, now)

    assert a_planner(stack.emulator, stack.recorded).drift() == ((found,) if drifted else ())


def test_what_was_deleted_drifted_until_that_is_recorded(stack: Stack) -> None:
    """A refresh that recorded it has told it."""
    for address, was in (("acme/a", "Linked"), ("acme/b", "absent")):
        stack.emulator.delete_connection(stack.record(address, "Linked", was=was))

    drifted = a_planner(stack.emulator, stack.recorded).drift()

    assert [(each.address, each.was, each.now) for each in drifted] == [("acme/a", "Linked", "absent")]


def test_drift_of_one_company_reads_only_that(two: Stack) -> None:
    """And says nothing of the rest."""
    for prior in two.recorded.values():
        two.emulator.unlink(prior.id)
    two.emulator.clear_requests()

    drifted = a_planner(two.emulator, two.recorded, "acme").drift()

    assert [each.address for each in drifted] == ["acme/a"]
    assert two.emulator.requests()["total"] == 1


def test_drift_does_not_guess(stack: Stack) -> None:
    """A company that can't be seen says nothing of what became of its connections."""
    stack.record("acme/a")
    stack.emulator.delete_company(stack.company_id)

    with pytest.raises(Refused, match=r"acme/a: company .* can't be seen"):
        a_planner(stack.emulator, stack.recorded).drift()


# Links.


@pytest.mark.parametrize("otp", ["fixed", "rotating", "off"])
def test_a_link_opens_the_customers_page(stack: Stack, otp: str) -> None:
    """Each of those that wait has one that works, with the names that a person knows."""
    stack.emulator.knobs({"linkUrlOtp": otp})
    stack.record("acme/a", "PendingAuth")
    stack.record("acme/b", "Linked")
    stack.record("acme/c", "Unlinked", platform_key="hcws")
    stack.record("acme/d", "PendingAuth", status=UNLINKED)

    a, c = a_planner(stack.emulator, stack.recorded).links()

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
    planner = a_planner(stack.emulator, stack.recorded)
    planner.drift()
    stack.emulator.authorise(authorised)
    stack.emulator.delete_connection(deleted)

    (link,) = planner.links()

    assert (link.address, waiting in link.url) == ("acme/a", True)


def test_links_of_one_company_ask_for_no_other(two: Stack) -> None:
    """One listing, the company's name, and a GET for each link."""
    two.record("acme/waits", "PendingAuth")
    two.emulator.clear_requests()

    links = a_planner(two.emulator, two.recorded, "acme").links()

    assert [link.address for link in links] == ["acme/waits"]
    assert two.emulator.counts() == {"list-connections": 1, "get-company": 1, "get-connection": 1}


def test_a_platform_without_a_name_is_called_by_its_key(stack: Stack) -> None:
    """Codat sends a name nearly always."""
    stack.record("acme/a", "PendingAuth")
    stack.emulator.knobs({"emptyFields": "null"})

    (link,) = a_planner(stack.emulator, stack.recorded).links()

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


def comes_true(
    emulator: Emulator,
    recorded: dict[str, PriorConnection],
    desired: Sequence[DesiredConnection],
    file: Path,
    **options: Any,
) -> Plan:
    """Carry a plan out, and see that it cost what was forecast and left nothing to do."""
    planner = a_planner(emulator, recorded, **options)
    plan = planner.plan(desired)
    state = carry_out(emulator, planner, plan, desired, file, **options)

    assert costs(emulator) == (plan.calls.reads, plan.calls.writes)
    again = a_planner(emulator, state, **options).plan(desired)
    assert (again.changes, again.problems) == ((), ())
    return plan


def test_a_company_that_is_accepted_as_gone_is_forgotten(stack: Stack, tmp_path: Path) -> None:
    """Its connections are, without a call; before it is accepted they are problems."""
    stack.record("acme/a")
    stack.remove("acme/a")
    stack.emulator.delete_company(stack.company_id)

    assert stack.plan().problems != ()
    plan = comes_true(stack.emulator, stack.recorded, [], tmp_path / "handover.json", accept_missing=True)

    assert [(c.step, c.removal, c.status) for c in plan.changes] == [(Step.REMOVE, "forget", "absent")]
    assert plan.calls.writes == 0


def test_another_company_is_read_before_the_run_that_acts(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    """An address that goes over to another company costs no more than was forecast."""
    stack.record("acme/a")
    other = str(emulator.add_company("Another")["id"])
    stack.change("acme/a", company_id=other)

    plan = comes_true(emulator, stack.recorded, stack.declared(), tmp_path / "handover.json")

    assert (plan.changes[0].removal, plan.changes[0].fields[0].name) == ("unlink", "companyId")
    assert (plan.calls.reads, plan.calls.writes) == (3, 2)
    assert list(rows(emulator, stack.company_id).values()) == ["Unlinked"]


def test_what_was_replaced_elsewhere_is_not_this_runs_loss(two: Stack, tmp_path: Path) -> None:
    """An apply of one company removes what it planned, under its own limit, and nothing of the others."""
    two.record("acme/waiting", "PendingAuth")
    two.remove("acme/waiting")
    two.declare("acme/a")
    replaced = dataclasses.replace(
        two.recorded["beta/b0"], desired=a_desired("beta/b1", company_id=two.desired["beta/b1"].company_id)
    )
    del two.recorded["beta/b0"]
    planner = a_planner(two.emulator, two.recorded, "acme", replaced=[replaced], max_losses=0)
    desired = two.declared()
    plan = planner.plan(desired)

    state = carry_out(two.emulator, planner, plan, desired, tmp_path / "handover.json", max_losses=0)

    assert [change.address for change in plan.changes] == ["acme/waiting"]
    assert costs(two.emulator) == (1, 1)
    assert set(two.recorded) - set(state) == {"acme/waiting"}
    whole = a_planner(two.emulator, state, replaced=[replaced]).plan(desired)
    assert [(c.address, c.step, c.loses) for c in whole.changes] == [
        ("beta/b1", Step.REMOVE, True),
        ("beta/new", Step.CREATE, False),
    ]


def test_what_was_replaced_comes_with_the_change_at_its_address(stack: Stack, tmp_path: Path) -> None:
    """One change tells of both, with the graver end; what it costs and loses is that of both."""
    stack.record("acme/a")
    stack.change("acme/a", on_removal=OnRemoval.RETAIN)
    old = a_desired("acme/a", company_id=stack.company_id, platform_key="fztf")
    replaced = a_prior(connected(stack.emulator, stack.company_id, "fztf"), old)
    planner = a_planner(stack.emulator, stack.recorded, replaced=[replaced])

    plan = planner.plan(stack.declared())

    (change,) = plan.changes
    assert (change.step, change.removal, change.loses) == (Step.UPDATE, "unlink", True)
    assert (plan.calls.reads, plan.calls.writes, plan.unmanaged) == (1, 1, ())
    carry_out(stack.emulator, planner, plan, stack.declared(), tmp_path / "handover.json")
    assert costs(stack.emulator) == (1, 1)
    assert sorted(rows(stack.emulator, stack.company_id).values()) == ["Linked", "Unlinked"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=False), refuses=st.booleans(), whole=st.booleans())
def test_what_is_carried_out_is_what_was_planned(
    crowd: Emulator, tmp_path_factory: pytest.TempPathFactory, dice: Random, refuses: bool, whole: bool
) -> None:
    """Whatever is desired, recorded and live: it costs, loses and makes what was said, and empties the plan.

    By the targeted run of an apply, or by the whole run of `pulumi up`.
    """
    crowd.reset()
    crowd.knobs({"deauthorisedUnlink": "refuse" if refuses else "allow"})
    world = a_world(crowd, dice)
    before = living(crowd, world)
    planner = a_planner(crowd, world.recorded, replaced=world.replaced)
    plan = planner.plan(world.desired)
    if plan.problems or plan.refusal:
        return

    if whole:
        state = up(crowd, world, dice)
    else:
        file = tmp_path_factory.getbasetemp() / "handover.json"
        state = carry_out(crowd, planner, plan, world.desired, file, dice=dice)
        if not (refuses and _recorded_twice(world)):  # each of the two would be refused
            assert costs(crowd) == (plan.calls.reads, plan.calls.writes)

    after = living(crowd, world)
    if not world.replaced:  # whose ends stand in the plan beside something else
        lost = {each for each, was in before.items() if was == "Linked" and after.get(each) != "Linked"}
        assert len(lost) == plan.losses
        assert len(after.keys() - before.keys()) == plan.calls.writes - _endings(plan)
    assert all(after[each.connection_id] == each.status for each in plan.unmanaged)
    assert {each.address for each in world.desired} == state.keys()
    for address, takeover in planner._takeovers.items():
        assert state[address].id == takeover.live.id, "whoever the engine called first"
    again = a_planner(crowd, state).plan(world.desired)
    assert (again.changes, again.problems) == ((), ())
    assert again.recorded == len(world.desired)


def _recorded_twice(world: World) -> bool:
    ids = [prior.id for prior in (*world.recorded.values(), *world.replaced)]
    return len(ids) > len(set(ids))


def _endings(plan: Plan) -> int:
    """How many connections are unlinked or deleted."""
    ends = {"unlink", "delete"}
    ending = {c.connection_id for c in plan.changes if c.removal in ends or c.step is Step.UNLINK}
    taken = {
        c.connection_id
        for c in plan.changes
        if c.step in {Step.ADOPT, Step.MOVE}
        and any(field.name == "status" and field.before == c.status for field in c.fields)
    }
    return len(ending | taken)
