"""The promises, on an emulated Codat with everything that can go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any

import pytest

from codat_iac.codat.client import Client
from codat_iac.emulator import Emulator
from codat_iac.model import properties
from codat_iac.model.connection import DesiredConnection, OnExisting, OnRemoval, PriorConnection, Status
from codat_iac.model.errors import (
    ApiError,
    CodatBroken,
    Mismatch,
    NotFound,
    Orphaned,
    Refused,
    Rejected,
    TransportError,
    Unauthorized,
    UnsafePlan,
)
from codat_iac.model.settings import Settings
from codat_iac.model.shard import Shard, shard_number
from codat_iac.planning.moves import moves
from codat_iac.planning.notices import Expected, Notice
from codat_iac.planning.rule_table import Action
from codat_iac.planning.slot_description import describe
from codat_iac.reconcile.operations import Operations
from tests.support.builders import Run, a_desired, a_prior, a_run, an_id, connected, rows, siblings, writes

POST = "POST /companies/*/connections"
LIST = "GET /companies/*/connections"
ONE = "/companies/*/connections/*"
PORTAL = "Settings, Integrations in the Codat Portal"


def started(run: Run) -> Run:
    """Let a program declare something that no test is about: a `destroy` declares nothing."""
    run.operations.state.declare("other/company")
    return run


def declare(run: Run, *declared: DesiredConnection, recorded: Sequence[PriorConnection] = ()) -> None:
    """Declare as a program does, which has read its own record before."""
    told = describe(declared, recorded, moves(declared, recorded))
    for each in declared:
        run.operations.state.declare(each.address, told[each.address])


@pytest.fixture
def run(emulator: Emulator) -> Run:
    """One process of the provider, with a program."""
    return started(a_run(emulator))


@pytest.fixture
def ledger(acme: str) -> DesiredConnection:
    """A connection to Xero that is declared."""
    return a_desired(company_id=acme)


def recorded(desired: DesiredConnection, connection_id: str, **rest: Any) -> PriorConnection:
    """What the state holds of it."""
    return a_prior(connection_id, desired, **rest)


def at_once(*jobs: Callable[[], object]) -> list[Exception]:
    """Run jobs in threads of their own, all at the same time; gives what they raised."""
    raised: list[Exception] = []
    together = threading.Barrier(len(jobs))

    def work(job: Callable[[], object]) -> None:
        together.wait()
        try:
            job()
        except Exception as error:  # noqa: BLE001  it is given to the test
            raised.append(error)

    threads = [threading.Thread(target=work, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "a deadlock"
    return raised


def create(run: Run, desired: DesiredConnection, made: list[str]) -> None:
    """Create, and note what was made."""
    made.append(run.operations.create(desired).id)


def foresee_and_create(run: Run, desired: DesiredConnection) -> None:
    """What an `up` does about a new resource."""
    run.operations.preview_create(desired)
    run.operations.create(desired)


# Creating: adopt, make, or refuse.


def test_create_posts_if_nothing_exists(
    run: Run, emulator: Emulator, acme: str, ledger: DesiredConnection
) -> None:
    """One POST, and the connection waits for its customer."""
    live = run.operations.create(ledger)

    assert (live.status, live.platform_key) == ("PendingAuth", "gbol")
    assert rows(emulator, acme) == {live.id: "PendingAuth"}
    assert writes(emulator) == ["POST 200"]
    assert run.told == []
    assert run.operations.snapshot.company(acme) == (live,)


def test_what_waits_already_is_adopted(
    run: Run, emulator: Emulator, acme: str, ledger: DesiredConnection
) -> None:
    """No call, and it is said which one."""
    there = connected(emulator, acme, status="PendingAuth")
    declare(run, ledger)

    assert run.operations.create(ledger).id == there

    assert writes(emulator) == []
    assert run.operations.state.holder(there) == ledger.address
    assert run.said() == [
        f"acme/ledger: adopts the connection {there} (PendingAuth); nothing changes in Codat"
    ]


@pytest.mark.parametrize("status", ["Linked", "Deauthorized", "Unlinked", "Migrating"])
@pytest.mark.parametrize(
    ("on_existing", "made", "adopted"),
    [(OnExisting.REFUSE, [], False), (OnExisting.ADOPT, [], True), (OnExisting.CREATE, ["POST 200"], False)],
)
def test_what_somebody_authorised_is_treated_as_the_file_says(
    run: Run,
    emulator: Emulator,
    acme: str,
    status: str,
    on_existing: OnExisting,
    made: list[str],
    adopted: bool,
) -> None:
    """Refused by default, adopted without a call, or left beside a new one."""
    there = connected(emulator, acme, status=status)
    desired = a_desired(company_id=acme, on_existing=on_existing)
    declare(run, desired)

    if on_existing is OnExisting.REFUSE:
        with pytest.raises(Refused, match=f"^acme/ledger: company {acme} has .* {there} .{status}.;"):
            run.operations.create(desired)
    else:
        assert (run.operations.create(desired).id == there) is adopted

    assert writes(emulator) == made
    assert rows(emulator, acme)[there] == status


def test_a_connection_id_takes_exactly_that_one(run: Run, emulator: Emulator, acme: str) -> None:
    """Though there are others of its platform, one of them waiting."""
    connected(emulator, acme, status="PendingAuth")
    there = connected(emulator, acme)

    assert run.operations.create(a_desired(company_id=acme, connection_id=there)).id == there
    assert writes(emulator) == []


@pytest.mark.parametrize("step", ["preview_create", "create"])
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("absent", "has no connection"),
        ("another platform", "is on gbol, not on qhyg"),
        ("held elsewhere", "is managed as acme/books already"),
        ("recorded elsewhere", "is recorded in this stack already"),
    ],
)
def test_a_connection_id_that_can_not_be_had_is_refused(
    run: Run, emulator: Emulator, acme: str, step: str, case: str, reason: str
) -> None:
    """A POST could not make it, so there is none."""
    there = connected(emulator, acme)
    platform = "qhyg" if case == "another platform" else "gbol"
    named = an_id(1) if case == "absent" else there
    books = recorded(a_desired("acme/books", company_id=acme), there)
    if case == "held elsewhere":
        run.operations.compare(books, books.desired)
    if case == "recorded elsewhere":
        run.read(books)

    with pytest.raises(Refused, match=reason):
        getattr(run.operations, step)(a_desired(company_id=acme, platform_key=platform, connection_id=named))

    assert writes(emulator) == []


@pytest.mark.parametrize("step", ["preview_create", "create"])
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("gbo", "acme/ledger: 'gbo' is not the key of a platform of this tenant; did you mean gbol (Xero)?"),
        ("zzzz", f"acme/ledger: 'zzzz' is not the key of a platform of this tenant; see {PORTAL}"),
        ("dfxm", f"acme/ledger: Basiq (dfxm) is not enabled; enable it under {PORTAL}"),
    ],
    ids=["a slip", "unknown", "disabled"],
)
def test_a_platform_that_can_not_be_had_is_refused_before_a_post(
    run: Run, emulator: Emulator, acme: str, step: str, key: str, reason: str
) -> None:
    """One line, with a suggestion where there is one."""
    with pytest.raises(Refused) as caught:
        getattr(run.operations, step)(a_desired(company_id=acme, platform_key=key))

    assert str(caught.value) == reason
    assert writes(emulator) == []


@pytest.mark.parametrize("step", ["preview_create", "create"])
def test_there_is_nothing_to_unlink_where_nothing_is(
    run: Run, emulator: Emulator, acme: str, step: str
) -> None:
    """Desired Unlinked and absent is an error, in the preview too, and never a POST."""
    with pytest.raises(Refused, match="acme/ledger: there is nothing to unlink, since it doesn't exist"):
        getattr(run.operations, step)(a_desired(company_id=acme, status=Status.UNLINKED))

    assert writes(emulator) == []


@pytest.mark.parametrize("status", ["Linked", "Deauthorized"])
def test_what_is_adopted_is_unlinked_by_the_next_run(
    run: Run, emulator: Emulator, acme: str, status: str
) -> None:
    """Adopting calls nothing and says so; what was recorded then asks for the unlink."""
    there = connected(emulator, acme, status=status)
    desired = a_desired(company_id=acme, status=Status.UNLINKED, on_existing=OnExisting.ADOPT)
    declare(run, desired)
    decision = run.operations.preview_create(desired)

    live = run.operations.create(desired)

    assert (decision.action, decision.becomes, decision.loses) == (Action.ADOPT, there, False)
    assert (live.id, live.status) == (there, status)
    assert writes(emulator) == []
    assert run.told == 2 * [
        (
            Notice.ADOPTED_FIRST,
            "acme/ledger",
            (
                f"acme/ledger: adopts the connection {there} ({status}); nothing changes in Codat, and the"
                " next run unlinks it"
            ),
        )
    ]

    prior = properties.prior(there, properties.outputs(desired, there, live))
    after = started(a_run(emulator))
    after.read(prior)
    assert after.operations.compare(prior, desired).action is Action.UNLINK
    assert after.operations.update(prior, desired).status == "Unlinked"
    assert writes(emulator) == ["PATCH 200"]


def test_an_adoption_loses_nothing(emulator: Emulator, acme: str) -> None:
    """No loss is allowed, and what is to be unlinked is adopted all the same; the next run asks again."""
    run = started(a_run(emulator, max_losses=0))
    there = connected(emulator, acme)
    desired = a_desired(company_id=acme, status=Status.UNLINKED, connection_id=there)

    run.operations.preview_create(desired)
    assert run.operations.create(desired).id == there

    assert rows(emulator, acme) == {there: "Linked"}
    after = started(a_run(emulator, max_losses=0))
    with pytest.raises(UnsafePlan):
        after.operations.compare(recorded(desired, there), desired)


def test_what_is_adopted_and_lacks_its_customer_is_said(run: Run, emulator: Emulator, acme: str) -> None:
    """An adopted Deauthorized one is recorded, and its customer must authorise again."""
    there = connected(emulator, acme, status="Deauthorized")

    run.operations.create(a_desired(company_id=acme, connection_id=there))

    assert run.notices() == [(Notice.ADOPTED, "acme/ledger"), (Notice.DEAUTHORIZED, "acme/ledger")]


def test_an_adopted_one_of_an_unknown_status_is_said(run: Run, emulator: Emulator, acme: str) -> None:
    """With the status that it has."""
    there = connected(emulator, acme, status="Migrating")

    run.operations.create(a_desired(company_id=acme, connection_id=there))

    assert run.said() == [
        f"acme/ledger: adopts the connection {there} (Migrating); nothing changes in Codat",
        "acme/ledger: its status is 'Migrating', which codat-iac doesn't know, so it is left alone",
    ]


@pytest.mark.parametrize("status", ["PendingAuth", "Unlinked"])
def test_an_adopted_one_that_needs_no_unlink_is_simply_adopted(
    run: Run, emulator: Emulator, acme: str, status: str
) -> None:
    """No next run is announced for it."""
    there = connected(emulator, acme, status=status)

    run.operations.create(a_desired(company_id=acme, connection_id=there, status=Status.UNLINKED))

    said = f"acme/ledger: adopts the connection {there} ({status}); nothing changes in Codat"
    assert run.said()[0] == said
    assert writes(emulator) == []


@pytest.mark.parametrize("key", ["present", "absent", "absent-on-create"])
def test_a_connection_is_known_without_its_integration_key(
    emulator: Emulator, ledger: DesiredConnection, key: str
) -> None:
    """Codat may leave `integrationKey` out; neither making nor finding it depends on it."""
    emulator.knobs({"integrationKey": key})
    made = a_run(emulator).operations.create(ledger)

    assert made.platform_key == "gbol"
    again = a_run(emulator)
    declare(again, ledger)
    assert again.operations.create(ledger).id == made.id
    assert writes(emulator) == ["POST 200"]


def test_a_company_that_is_not_there_is_named(run: Run, emulator: Emulator) -> None:
    """It may be the key or the id; neither is a reason to post."""
    desired = a_desired(company_id=an_id(1))

    for step in (run.operations.preview_create, run.operations.create):
        with pytest.raises(Mismatch, match=r"can't be seen with this API key, nor any other .*; is it the"):
            step(desired)

    assert writes(emulator) == []


def test_a_company_that_is_accepted_as_gone_has_no_connection(emulator: Emulator) -> None:
    """Then the way out is another one: the flag is set already."""
    run = a_run(emulator, accept_missing=True)

    with pytest.raises(Refused) as caught:
        run.operations.preview_create(a_desired(company_id=an_id(1)))

    assert str(caught.value) == (
        f"acme/ledger: company {an_id(1)} can't be seen with this API key; it can have no connection; correct"
        " its id, or take it out of the file"
    )


# Creating: never two.

FAULTS = [
    pytest.param({"do": "reset-before"}, id="reset before"),
    pytest.param({"do": "reset-after-commit"}, id="reset after the commit"),
    pytest.param({"do": "status", "status": 503}, id="503"),
    pytest.param({"do": "status-after-commit", "status": 503}, id="503 after the commit"),
    pytest.param({"do": "status-after-commit", "status": 504}, id="504 after the commit"),
    pytest.param({"do": "status", "status": 408}, id="408"),
    pytest.param({"do": "status-after-commit", "status": 408}, id="408 after the commit"),
    pytest.param({"do": "status-after-commit", "status": 409}, id="409 after the commit"),
    pytest.param({"do": "truncate"}, id="half an answer"),
    pytest.param({"do": "html"}, id="a proxy's page"),
    pytest.param({"do": "html-after-commit"}, id="a proxy's page after the commit"),
    pytest.param({"do": "html-after-commit", "status": 502}, id="a proxy's 502 after the commit"),
    pytest.param({"do": "html-after-commit", "status": 404}, id="a proxy's 404 after the commit"),
    pytest.param({"do": "status", "status": 429, "headers": {"Retry-After": "30"}}, id="429"),
]
SLOW = [
    pytest.param({"do": "delay", "seconds": 0.6}, id="done after we left"),
    pytest.param({"do": "delay-after-commit", "seconds": 0.6}, id="answered after we left"),
    pytest.param({"do": "slow-body", "seconds": 2}, id="a dripping answer"),
]


def time_passes(emulator: Emulator) -> Callable[[float], None]:
    """Give a sleep that takes no time: Codat's clock runs ahead, once what is under way is done."""

    def sleep(seconds: float) -> None:
        posts = [each for each in emulator.requests()["requests"] if each["method"] == "POST"]
        if posts[-1]["fault"] == "delay":
            until = time.monotonic() + 5
            while not posts[-1]["committed"]:
                assert time.monotonic() < until
                time.sleep(0.02)
                posts = [each for each in emulator.requests()["requests"] if each["method"] == "POST"]
        emulator.knobs({"clockAheadSeconds": emulator.knobs()["clockAheadSeconds"] + seconds})

    return sleep


@pytest.mark.parametrize("idempotency", ["honour", "ignore"])
@pytest.mark.parametrize("lag", [0, 4], ids=["no lag", "lists lag 4 s"])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_happens_to_a_post_there_is_one_connection(
    emulator: Emulator,
    acme: str,
    ledger: DesiredConnection,
    fault: dict[str, Any],
    lag: int,
    idempotency: str,
) -> None:
    """The POST fails in every way there is: one connection is made, and that one is recorded."""
    emulator.knobs({"idempotency": idempotency, "readLagSeconds": lag})
    emulator.faults([{"on": POST, "times": 1, **fault}])
    run = a_run(emulator, wait=time_passes(emulator))

    live = run.operations.create(ledger)

    assert rows(emulator, acme) == {live.id: "PendingAuth"}


def test_how_long_a_listing_may_lag_can_be_said(
    emulator: Emulator, acme: str, ledger: DesiredConnection
) -> None:
    """So long is waited before what an ambiguous POST did is looked for."""
    waits: list[float] = []
    client = Client(emulator.api_key, emulator.url, retries=1, sleep=lambda _: None)
    chosen = Settings(emulator.api_key, emulator.url)
    operations = Operations(client, chosen, lambda *_: None, sleep=waits.append, settling=1.5)
    emulator.faults([{"on": POST, "do": "reset-after-commit", "times": 1}])

    live = operations.create(ledger)

    assert rows(emulator, acme) == {live.id: "PendingAuth"}
    assert waits == [1.5]


@pytest.mark.parametrize("idempotency", ["honour", "ignore"])
@pytest.mark.parametrize("fault", SLOW)
def test_however_late_the_answer_there_is_one_connection(
    emulator: Emulator, acme: str, ledger: DesiredConnection, fault: dict[str, Any], idempotency: str
) -> None:
    """We gave up waiting, Codat went on."""
    emulator.knobs({"idempotency": idempotency, "readLagSeconds": 4})
    emulator.faults([{"on": POST, "times": 1, **fault}])
    run = a_run(emulator, timeout=0.3, wait=time_passes(emulator))

    live = run.operations.create(ledger)

    assert rows(emulator, acme) == {live.id: "PendingAuth"}


@pytest.mark.parametrize("fault", [*FAULTS[:9], *FAULTS[9:-1]])
def test_running_again_adopts_what_an_error_left_open(
    emulator: Emulator, acme: str, ledger: DesiredConnection, fault: dict[str, Any]
) -> None:
    """Every POST and every listing after it fails; the next process finds what was made, or makes it."""
    emulator.faults([{"on": POST, **fault}, {"on": LIST, "do": "status", "status": 500, "skip": 1}])
    run = a_run(emulator)

    with pytest.raises(
        ApiError, match=r"^acme/ledger: not certain whether a connection was made .*run again"
    ):
        run.operations.create(ledger)

    emulator.faults([])
    again = a_run(emulator)
    declare(again, ledger)
    live = again.operations.create(ledger)
    assert rows(emulator, acme) == {live.id: "PendingAuth"}


@pytest.mark.parametrize("status", ["Linked", "Deauthorized", "Unlinked"])
def test_a_customers_own_connection_is_not_taken_for_ours(
    emulator: Emulator, acme: str, ledger: DesiredConnection, status: str
) -> None:
    """While we wait after a reset, somebody connects by themselves: ours is still to be made."""

    def meanwhile(_: float) -> None:
        connected(emulator, acme, status=status)

    emulator.faults([{"on": POST, "do": "reset-before", "times": 1}])

    live = a_run(emulator, wait=meanwhile).operations.create(ledger)

    assert sorted(rows(emulator, acme).values()) == sorted([status, "PendingAuth"])
    assert rows(emulator, acme)[live.id] == "PendingAuth"


def test_a_siblings_own_connection_is_not_taken_for_ours(emulator: Emulator, acme: str) -> None:
    """Lists lag behind, so what a sibling made before shows up only after our POST was lost."""
    ours, theirs = siblings("acme/a", "acme/b", company_id=acme, platform_key="suuo")
    there = a_run(emulator).operations.create(theirs).id
    emulator.knobs({"readLagSeconds": 4})
    run = a_run(emulator, wait=time_passes(emulator))
    run.read(recorded(theirs, there))
    emulator.faults([{"on": POST, "do": "reset-before", "times": 1}])

    made = run.operations.create(ours).id

    assert made != there
    assert set(rows(emulator, acme)) == {there, made}


@pytest.mark.parametrize("refreshed", [True, False], ids=["with a refresh", "without one"])
def test_two_siblings_at_once_get_one_each(emulator: Emulator, run: Run, acme: str, refreshed: bool) -> None:
    """Two threads create for one company and platform: two connections, distinct."""
    if refreshed:
        run.read(
            recorded(
                a_desired("acme/shop", company_id=acme, platform_key="fztf"),
                connected(emulator, acme, "fztf"),
            )
        )
    made: list[str] = []
    pair = siblings("acme/a", "acme/b", company_id=acme, platform_key="suuo")
    declare(run, *pair)

    raised = at_once(*(partial(create, run, each, made) for each in pair))

    assert raised == []
    assert len(set(made)) == 2
    assert writes(emulator) == ["POST 200", "POST 200"]


def test_siblings_at_once_share_what_waits(emulator: Emulator, run: Run, acme: str) -> None:
    """One is there: exactly one of four takes it, and three are made."""
    there = connected(emulator, acme, "suuo", "PendingAuth")
    made: list[str] = []
    four = siblings(*(f"acme/{letter}" for letter in "abcd"), company_id=acme, platform_key="suuo")
    declare(run, *four)

    raised = at_once(*(partial(create, run, each, made) for each in four))

    assert raised == []
    assert set(made) == set(rows(emulator, acme)) >= {there}
    assert writes(emulator) == ["POST 200"] * 3


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_who_is_created_first_takes_nothing_from_the_others(
    emulator: Emulator, run: Run, acme: str, order: tuple[str, ...]
) -> None:
    """The engine creates siblings in any order, and each comes to what the preview foresaw for it."""
    there = connected(emulator, acme, "suuo", "PendingAuth")
    three = siblings("acme/a", "acme/b", "acme/c", company_id=acme, platform_key="suuo")
    by_letter = dict(zip("abc", three, strict=True))
    declare(run, *three)
    foreseen = {letter: run.operations.preview_create(by_letter[letter]).becomes for letter in order}

    made = {letter: run.operations.create(by_letter[letter]).id for letter in order}

    assert foreseen == {"a": there, "b": None, "c": None}
    assert made["a"] == there
    assert writes(emulator) == ["POST 200"] * 2


def test_what_was_made_in_this_run_lets_nobody_adopt_the_rest(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """Two come, so nobody knows which is to have what its customer connected: also after one was made."""
    connected(emulator, acme, "suuo")
    makes = a_desired("acme/a", company_id=acme, platform_key="suuo", on_existing=OnExisting.CREATE)
    adopts = a_desired("acme/b", company_id=acme, platform_key="suuo", on_existing=OnExisting.ADOPT)
    declare(run, makes, adopts)

    run.operations.create(makes)

    with pytest.raises(Refused, match="acme/b: several addresses could adopt"):
        run.operations.create(adopts)


@pytest.mark.parametrize("status", ["PendingAuth", "Linked"])
@pytest.mark.parametrize("on_existing", OnExisting)
@pytest.mark.parametrize("step", ["preview_create", "create"])
def test_nothing_is_made_beside_what_may_be_recorded(
    emulator: Emulator, run: Run, acme: str, status: str, on_existing: OnExisting, step: str
) -> None:
    """Neither a refresh nor the program said what the state holds: refused, and not guessed."""
    there = connected(emulator, acme, "suuo", status)
    desired = a_desired(company_id=acme, platform_key="suuo", on_existing=on_existing)

    with pytest.raises(
        Refused,
        match=f"^acme/ledger: company {acme} has {there} .{status}. on suuo, and this run doesn't know",
    ):
        getattr(run.operations, step)(desired)

    assert writes(emulator) == []


@pytest.mark.parametrize("status", ["PendingAuth", "Linked"])
@pytest.mark.parametrize("on_existing", OnExisting)
@pytest.mark.parametrize("refreshed", [True, False], ids=["target is read", "nothing is read"])
def test_a_targeted_run_takes_nothing_from_a_sibling_that_it_did_not_read(
    emulator: Emulator, run: Run, acme: str, status: str, on_existing: OnExisting, refreshed: bool
) -> None:
    """`pulumi up --target a --target b` reads only those: c keeps its own, and b gets one."""
    a, b, c = siblings(
        "acme/a", "acme/b", "acme/c", company_id=acme, platform_key="suuo", on_existing=on_existing
    )
    first, third = (connected(emulator, acme, "suuo", status) for _ in range(2))
    declare(run, a, b, c, recorded=[recorded(a, first), recorded(c, third)])
    if refreshed:
        run.read(recorded(a, first))
    run.operations.compare(recorded(a, first), a)

    run.operations.preview_create(b)
    made = run.operations.create(b)

    assert made.id not in {first, third}
    assert writes(emulator) == ["POST 200"]


def test_a_crash_on_a_new_stack_costs_nothing(emulator: Emulator, acme: str) -> None:
    """Two siblings were made and neither recorded; the next process foresees and adopts both."""
    pair = siblings("acme/a", "acme/b", company_id=acme, platform_key="suuo")
    died = a_run(emulator)
    declare(died, *pair)
    for each in pair:
        died.operations.create(each)
    before = rows(emulator, acme)
    assert len(before) == 2
    run = a_run(emulator)
    declare(run, *pair)

    foreseen = [run.operations.preview_create(each).becomes for each in pair]
    adopted = [run.operations.create(each).id for each in reversed(pair)]

    assert foreseen == adopted[::-1]

    assert sorted(adopted) == sorted(before)
    assert run.notices()[:2] == [(Notice.ADOPTED, "acme/a"), (Notice.ADOPTED, "acme/b")]
    assert rows(emulator, acme) == before


def test_what_was_created_meanwhile_is_not_foreseen_any_more(run: Run, acme: str) -> None:
    """The engine creates one before it checks its sibling, and nothing is said of what is done."""
    first, second = siblings("acme/a", "acme/b", company_id=acme, platform_key="suuo")
    declare(run, first, second)
    run.operations.preview_create(first)
    run.operations.create(first)

    assert run.operations.preview_create(second).action is Action.CREATE

    assert run.said() == []


def test_a_customers_connection_is_refused_on_a_new_stack_with_siblings(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """Nothing is recorded, two are declared, one is somebody's: the preview refuses instead of counting."""
    there = connected(emulator, acme, "suuo")
    pair = siblings("acme/a", "acme/b", company_id=acme, platform_key="suuo")
    declare(run, *pair)

    for each in pair:
        with pytest.raises(Refused, match=f"^{each.address}: .*that nobody manages here: {there}"):
            run.operations.preview_create(each)

    assert writes(emulator) == []


def test_an_orphan_posts_nothing(emulator: Emulator, acme: str, ledger: DesiredConnection) -> None:
    """The engine is gone before the first POST."""

    def gone() -> None:
        raise Orphaned("the engine is gone")

    run = a_run(emulator, guard=gone)

    with pytest.raises(Orphaned):
        run.operations.create(ledger)

    assert writes(emulator) == []
    assert rows(emulator, acme) == {}


def test_an_orphan_that_waited_for_a_quota_posts_nothing(
    emulator: Emulator, acme: str, ledger: DesiredConnection
) -> None:
    """The engine dies during the wait for a 429."""
    calls: list[int] = []

    def guard() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise Orphaned("the engine is gone")

    emulator.faults([{"on": POST, "do": "status", "status": 429, "times": 1}])

    with pytest.raises(Orphaned):
        a_run(emulator, guard=guard).operations.create(ledger)

    assert writes(emulator) == ["POST 429"]
    assert rows(emulator, acme) == {}


# Moves: another URN for what is recorded, of which the engine is told by an alias.


@pytest.mark.parametrize("status", ["PendingAuth", "Linked", "Deauthorized", "Unlinked", "Migrating"])
@pytest.mark.parametrize("on_existing", OnExisting)
def test_create_takes_nothing_that_is_recorded(
    emulator: Emulator, run: Run, acme: str, status: str, on_existing: OnExisting
) -> None:
    """Nobody who merely comes at another address gets it, whatever becomes of the old one."""
    there = connected(emulator, acme, status=status)
    old, new = a_desired("acme/old", company_id=acme), a_desired("acme/new", company_id=acme)
    desired = replace(new, on_existing=on_existing)
    run.read(recorded(old, there))
    declare(run, desired, old, recorded=[recorded(old, there)])

    assert run.operations.preview_create(desired).action is Action.CREATE
    assert run.operations.create(desired).id != there

    assert writes(emulator) == ["POST 200"]


@pytest.mark.parametrize("status", ["PendingAuth", "Linked", "Deauthorized", "Unlinked", "Migrating"])
def test_a_move_calls_nothing(emulator: Emulator, run: Run, acme: str, status: str) -> None:
    """It is recorded at its new address, and nobody can take it away after that."""
    there = connected(emulator, acme, status=status)
    old = recorded(a_desired("acme/old", company_id=acme), there)
    new = a_desired("acme/new", company_id=acme)
    run.read(old)
    emulator.clear_requests()

    decision = run.operations.compare(old, new)
    assert run.operations.update(old, new).id == there
    run.operations.remove(old)

    assert (decision.action, decision.moved_from) == (Action.MOVE, "acme/old")
    assert emulator.requests()["total"] == 0
    assert rows(emulator, acme) == {there: status}


def test_a_second_entry_of_an_id_is_only_forgotten(emulator: Emulator, run: Run, acme: str) -> None:
    """The state holds it at both addresses, of which one is declared: no call."""
    there = connected(emulator, acme)
    new = a_desired("acme/new", company_id=acme)
    old = recorded(a_desired("acme/old", company_id=acme), there)
    run.read(old, recorded(new, there))

    run.operations.compare(recorded(new, there), new)
    run.operations.remove(old)

    assert writes(emulator) == []


@pytest.mark.parametrize(
    ("act", "call"), [("revoke", ["PATCH 200"]), ("unlink", []), ("delete_connection", None)]
)
def test_a_move_that_also_unlinks_looks_once_more(
    emulator: Emulator, run: Run, acme: str, act: str, call: list[str] | None
) -> None:
    """The status changed behind the snapshot, and the table is asked again before the PATCH."""
    there = connected(emulator, acme)
    old = recorded(a_desired("acme/old", company_id=acme), there)
    new = a_desired("acme/new", company_id=acme, status=Status.UNLINKED)
    run.read(old)
    assert run.operations.compare(old, new).action is Action.UNLINK
    getattr(emulator, act)(there)

    if call is None:
        with pytest.raises(Refused, match="acme/new: its connection is gone meanwhile; run again"):
            run.operations.update(old, new)
    else:
        assert run.operations.update(old, new).status == "Unlinked"

    assert writes(emulator) == (call or [])


def test_going_back_after_a_replacement_that_broke_off_takes_the_old_one(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """The state holds both halves at one URN, and the file says what it said before: nothing is lost."""
    old = recorded(a_desired(company_id=acme), connected(emulator, acme))
    half = recorded(
        a_desired(company_id=acme, platform_key="qhyg"), connected(emulator, acme, "qhyg", "PendingAuth")
    )
    run.read(old, half)
    declare(run, old.desired, recorded=[half])

    assert run.operations.compare(half, old.desired).action is Action.REPLACE
    assert run.operations.create(old.desired).id == old.id
    run.operations.remove(old)
    run.operations.remove(half)

    assert writes(emulator) == ["DELETE 200"]
    assert rows(emulator, acme) == {old.id: "Linked"}


def test_what_is_gone_is_replaced_by_its_own_old_half(emulator: Emulator, run: Run, acme: str) -> None:
    """Both stand in the state at one URN; what is there is taken, whichever id is the smaller one."""
    gone = recorded(a_desired(company_id=acme), an_id(1))
    old = recorded(a_desired(company_id=acme), connected(emulator, acme))
    run.read(gone, old)
    declare(run, gone.desired, recorded=[gone])

    assert run.operations.compare(gone, gone.desired).action is Action.REPLACE
    assert run.operations.create(gone.desired).id == old.id
    run.operations.remove(old)
    run.operations.remove(gone)

    assert writes(emulator) == []
    assert rows(emulator, acme) == {old.id: "Linked"}


# After a create that failed.


@pytest.mark.parametrize("on_removal", OnRemoval)
@pytest.mark.parametrize("step", ["preview_create", "create"])
def test_nothing_is_removed_if_a_create_failed(
    emulator: Emulator, run: Run, acme: str, step: str, on_removal: OnRemoval
) -> None:
    """With --continue-on-error the engine goes on to delete what the create may have been about."""
    there = connected(emulator, acme)
    old = recorded(a_desired("acme/old", company_id=acme, on_removal=on_removal), there)
    new = a_desired("acme/new", company_id=acme)
    run.read(old)
    if step == "create":
        declare(run, new, recorded=[])
        run.operations.preview_create(new)
        emulator.faults([{"on": POST, "do": "status", "status": 400}])
    else:
        new = a_desired("acme/new", company_id=acme, connection_id=an_id(1))

    with pytest.raises((Refused, Rejected)):
        getattr(run.operations, step)(new)
    with pytest.raises(Refused) as caught:
        run.operations.remove(old)

    assert str(caught.value) == (
        "acme/old: it stays, since a create for the same company and platform failed in this run; see that"
        " error, then run again"
    )

    assert "PATCH 200" not in writes(emulator)
    assert rows(emulator, acme) == {there: "Linked"}


def test_another_platform_is_removed_all_the_same(emulator: Emulator, run: Run, acme: str) -> None:
    """A failed create holds up its own slot only."""
    old = recorded(
        a_desired("acme/old", company_id=acme, platform_key="qhyg"), connected(emulator, acme, "qhyg")
    )
    run.read(old)
    with pytest.raises(Refused):
        run.operations.create(a_desired(company_id=acme, status=Status.UNLINKED))

    run.operations.remove(old)

    assert writes(emulator) == ["PATCH 200"]


# Removing.

REMOVALS = """
unlink    PendingAuth   DELETE    gone
unlink    Linked        PATCH     Unlinked
unlink    Deauthorized  PATCH     Unlinked
unlink    Unlinked      -         Unlinked
unlink    Migrating     refused   Migrating
unlink    absent        -         gone
delete    PendingAuth   DELETE    gone
delete    Linked        DELETE    gone
delete    Deauthorized  DELETE    gone
delete    Unlinked      DELETE    gone
delete    Migrating     refused   Migrating
delete    absent        -         gone
retain    PendingAuth   -         PendingAuth
retain    Linked        -         Linked
retain    Deauthorized  -         Deauthorized
retain    Unlinked      -         Unlinked
retain    Migrating     -         Migrating
retain    absent        -         gone
"""


@pytest.mark.parametrize("refreshed", [True, False], ids=["refreshed", "not"])
@pytest.mark.parametrize(
    ("policy", "status", "call", "left"), [line.split() for line in REMOVALS.strip().splitlines()]
)
def test_a_removal_does_what_the_table_says(
    emulator: Emulator, acme: str, policy: str, status: str, call: str, left: str, refreshed: bool
) -> None:
    """Each policy and status: one call or none, and what becomes of the connection."""
    run = started(a_run(emulator, max_losses=None if refreshed else 1))
    there = connected(emulator, acme, status="PendingAuth" if status == "absent" else status)
    if status == "absent":
        emulator.delete_connection(there)
    prior = recorded(a_desired(company_id=acme, on_removal=OnRemoval(policy)), there)
    if refreshed:
        run.read(prior)

    if call == "refused":
        with pytest.raises(
            Refused, match="acme/ledger: its status is none that codat-iac knows, so it stays"
        ):
            run.operations.remove(prior)
    else:
        run.operations.remove(prior)

    assert writes(emulator) == ([] if call in {"-", "refused"} else [f"{call} 200"])
    assert rows(emulator, acme).get(there, "gone") == left


def test_a_404_on_delete_is_success(emulator: Emulator, run: Run, acme: str) -> None:
    """Somebody was faster: it is gone, which is what was wanted."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status="PendingAuth"))
    run.read(prior)
    emulator.faults([{"on": f"DELETE {ONE}", "do": "status", "status": 404, "times": 1}])

    run.operations.remove(prior)

    assert writes(emulator) == ["DELETE 404"]
    assert run.operations.snapshot.find(acme, prior.id) is None


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
@pytest.mark.parametrize("do", ["reset-after-commit", "status-after-commit"])
def test_a_removal_whose_answer_was_lost_is_done_once(
    emulator: Emulator, run: Run, acme: str, method: str, do: str
) -> None:
    """The second try meets what the first one did, and that is no error."""
    status = "PendingAuth" if method == "DELETE" else "Linked"
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status=status))
    run.read(prior)
    emulator.faults([{"on": f"{method} {ONE}", "do": do, "status": 503, "times": 1}])

    run.operations.remove(prior)

    assert rows(emulator, acme).get(prior.id, "gone") == ("gone" if method == "DELETE" else "Unlinked")


@pytest.mark.parametrize(("method", "done"), [("DELETE", "deleted"), ("PATCH", "unlinked")])
@pytest.mark.parametrize(
    "fault", [{"do": "status-after-commit", "status": 500}, {"do": "html-after-commit"}], ids=["500", "HTML"]
)
def test_a_removal_whose_answer_never_comes_is_told_as_uncertain(
    emulator: Emulator, run: Run, acme: str, method: str, done: str, fault: dict[str, Any]
) -> None:
    """Each by itself: what another one met says nothing of it."""
    status = "PendingAuth" if method == "DELETE" else "Linked"
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status=status))
    run.read(prior)
    emulator.faults([{"on": f"{method} {ONE}", **fault}])

    with pytest.raises(ApiError, match=f"{prior.address}: not certain whether it was {done} ") as raised:
        run.operations.remove(prior)

    assert (raised.value.in_doubt, raised.value.common) == (True, False)
    assert rows(emulator, acme).get(prior.id, "deleted").lower() == done


def test_an_unlink_that_is_not_allowed_is_an_error(emulator: Emulator, run: Run, acme: str) -> None:
    """A Linked connection that Codat won't unlink has access still, so it stays recorded."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme))
    run.read(prior)
    emulator.faults([{"on": f"PATCH {ONE}", "do": "status", "status": 400}])

    with pytest.raises(Rejected):
        run.operations.remove(prior)

    assert rows(emulator, acme) == {prior.id: "Linked"}


def test_a_refused_unlink_of_what_has_no_access_is_a_notice(emulator: Emulator, run: Run, acme: str) -> None:
    """Some of Codat's pages say that only Linked can be unlinked: a Deauthorized one is then forgotten."""
    emulator.knobs({"deauthorisedUnlink": "refuse"})
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status="Deauthorized"))
    run.read(prior)

    run.operations.remove(prior)

    assert writes(emulator) == ["PATCH 400"]
    assert run.said() == [
        "acme/ledger: Deauthorized, and Codat refused to unlink it; it has no access as it is"
    ]


@pytest.mark.parametrize("on_removal", [OnRemoval.UNLINK, OnRemoval.DELETE])
def test_a_held_id_is_left_alone(emulator: Emulator, run: Run, acme: str, on_removal: OnRemoval) -> None:
    """A declared address has it, so nothing is called, not even to read."""
    prior = recorded(a_desired("acme/old", company_id=acme, on_removal=on_removal), connected(emulator, acme))
    run.read(prior)
    run.operations.state.hold(prior.id, "acme/new")
    emulator.clear_requests()

    run.operations.remove(prior)

    assert emulator.requests()["total"] == 0


def test_letting_go_needs_no_look(emulator: Emulator, run: Run, acme: str) -> None:
    """A retained connection is forgotten even where its company is gone."""
    prior = recorded(a_desired(company_id=acme, on_removal=OnRemoval.RETAIN), connected(emulator, acme))
    emulator.delete_company(acme)
    emulator.clear_requests()

    run.operations.remove(prior)

    assert emulator.requests()["total"] == 0


@pytest.mark.parametrize(
    ("status", "action"),
    [("Linked", Action.UNLINK), ("PendingAuth", Action.DELETE), ("Unlinked", Action.FORGET)],
)
def test_a_removal_can_be_foreseen(
    emulator: Emulator, run: Run, acme: str, status: str, action: Action
) -> None:
    """What the table asks for and what is live, without a call."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status=status))

    decision = run.operations.preview_removal(prior)

    assert (decision.action, decision.removal, decision.status) == (Action.REMOVE, action, status)
    assert writes(emulator) == []


def test_a_removal_that_will_be_refused_is_foreseen(emulator: Emulator, run: Run, acme: str) -> None:
    """A status that nobody knows stays recorded, and a plan says so."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status="Migrating"))

    with pytest.raises(Refused, match="acme/ledger: its status is none that codat-iac knows"):
        run.operations.preview_removal(prior)


def test_a_status_that_nobody_knows_stops_a_removal_at_the_last_moment(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """The snapshot says Linked, the fresh GET says something else."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status="Migrating"))
    run.read(prior)
    (live,) = run.operations.snapshot.company(acme)
    run.operations.snapshot.put(replace(live, status="Linked"))

    with pytest.raises(Refused, match="acme/ledger: its status is none that codat-iac knows"):
        run.operations.remove(prior)

    assert writes(emulator) == []


@pytest.mark.parametrize(
    ("before", "act", "call", "left"),
    [
        pytest.param("PendingAuth", "authorise", ["PATCH 200"], "Unlinked", id="authorised meanwhile"),
        pytest.param("Linked", "unlink", [], "Unlinked", id="unlinked meanwhile"),
        pytest.param("Linked", "revoke", ["PATCH 200"], "Unlinked", id="revoked meanwhile"),
        pytest.param("Linked", "delete_connection", [], "gone", id="deleted meanwhile"),
    ],
)
def test_a_status_that_changed_behind_the_snapshot_asks_the_table_again(
    emulator: Emulator, run: Run, acme: str, before: str, act: str, call: list[str], left: str
) -> None:
    """What is done is what the present status asks for: never a DELETE of what was just authorised."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status=before))
    run.read(prior)
    getattr(emulator, act)(prior.id)

    run.operations.remove(prior)

    assert writes(emulator) == call
    assert rows(emulator, acme).get(prior.id, "gone") == left


# Changing.


def test_a_linked_connection_is_unlinked_when_that_is_declared(
    emulator: Emulator, run: Run, acme: str, ledger: DesiredConnection
) -> None:
    """One PATCH, then there is nothing more to do."""
    prior = recorded(ledger, connected(emulator, acme))
    desired = a_desired(company_id=acme, status=Status.UNLINKED)
    run.read(prior)

    assert run.operations.compare(prior, desired).action is Action.UNLINK
    assert run.operations.update(prior, desired).status == "Unlinked"

    assert writes(emulator) == ["PATCH 200"]
    assert run.operations.compare(recorded(desired, prior.id), desired).action is Action.NONE


def test_a_refused_unlink_of_a_declared_one_ends_there(emulator: Emulator, run: Run, acme: str) -> None:
    """Apply, then plan, is empty, though Codat refuses: it is recorded as refused, and said."""
    emulator.knobs({"deauthorisedUnlink": "refuse"})
    desired = a_desired(company_id=acme, status=Status.UNLINKED)
    prior = recorded(desired, connected(emulator, acme, status="Deauthorized"))
    run.read(prior)
    assert run.operations.compare(prior, desired).action is Action.UNLINK

    assert run.operations.update(prior, desired).status == "Deauthorized"
    assert run.notices() == [(Notice.UNLINK_REFUSED, "acme/ledger")]

    again, after = recorded(desired, prior.id, unlink_refused=True), a_run(emulator)
    after.read(again)
    (expected,) = after.operations.expected_notices()
    assert expected == Expected(Notice.UNLINK_REFUSED, "acme/ledger", "Deauthorized", fresh=True)
    assert after.operations.compare(again, desired).action is Action.NONE
    assert after.operations.update(again, desired).status == "Deauthorized"
    assert writes(emulator) == ["PATCH 400"]
    assert after.said() == [
        "acme/ledger: Deauthorized, and Codat refused to unlink it; it has no access as it is"
    ]


def test_what_is_merely_recorded_anew_calls_nothing(
    emulator: Emulator, run: Run, acme: str, ledger: DesiredConnection
) -> None:
    """A changed policy is an update, so that the next delete obeys it."""
    prior = recorded(ledger, connected(emulator, acme))
    desired = a_desired(company_id=acme, on_removal=OnRemoval.DELETE)
    run.read(prior)

    assert run.operations.compare(prior, desired).action is Action.UPDATE
    emulator.clear_requests()
    assert run.operations.update(prior, desired).status == "Linked"

    assert emulator.requests()["total"] == 0


def test_what_was_updated_is_held(emulator: Emulator, run: Run, acme: str, ledger: DesiredConnection) -> None:
    """An update proves that its address is declared."""
    prior = recorded(ledger, connected(emulator, acme))

    run.operations.update(prior, ledger)

    assert run.operations.state.holder(prior.id) == ledger.address


@pytest.mark.parametrize("status", [Status.LINKED, Status.UNLINKED])
def test_what_went_meanwhile_is_not_updated(emulator: Emulator, run: Run, acme: str, status: Status) -> None:
    """It was there for the diff; now there is nothing to record."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme))
    if status is Status.UNLINKED:
        run.read(prior)
    emulator.delete_connection(prior.id)

    with pytest.raises(Refused, match="acme/ledger: its connection is gone meanwhile; run again"):
        run.operations.update(prior, a_desired(company_id=acme, status=status))

    assert writes(emulator) == []


def test_what_was_unlinked_meanwhile_is_not_unlinked_again(emulator: Emulator, run: Run, acme: str) -> None:
    """The fresh GET says so, just before the call."""
    desired = a_desired(company_id=acme, status=Status.UNLINKED)
    prior = recorded(desired, connected(emulator, acme))
    run.read(prior)
    emulator.unlink(prior.id)

    assert run.operations.update(prior, desired).status == "Unlinked"
    assert writes(emulator) == []


@pytest.mark.parametrize(
    ("desired", "live", "action", "notice"),
    [
        (Status.LINKED, "PendingAuth", Action.NONE, Notice.WAITING),
        (Status.LINKED, "Linked", Action.NONE, None),
        (Status.LINKED, "Deauthorized", Action.NONE, Notice.DEAUTHORIZED),
        (Status.LINKED, "Unlinked", Action.NONE, Notice.UNLINKED),
        (Status.LINKED, "Migrating", Action.NONE, Notice.UNKNOWN_STATUS),
        (Status.LINKED, "absent", Action.REPLACE, Notice.GONE),
        (Status.UNLINKED, "PendingAuth", Action.NONE, Notice.NEVER_AUTHORISED),
        (Status.UNLINKED, "Linked", Action.UNLINK, Notice.LOSES),
        (Status.UNLINKED, "Deauthorized", Action.UNLINK, None),
        (Status.UNLINKED, "Unlinked", Action.NONE, None),
        (Status.UNLINKED, "Migrating", Action.NONE, Notice.UNKNOWN_STATUS),
    ],
)
def test_a_declared_connection_is_compared_with_what_is_live(
    emulator: Emulator, acme: str, desired: Status, live: str, action: Action, notice: Notice | None
) -> None:
    """The action, and what is said; nothing is called, with a refresh or without."""
    there = connected(emulator, acme, status="PendingAuth" if live == "absent" else live)
    if live == "absent":
        emulator.delete_connection(there)
    wanted = a_desired(company_id=acme, status=desired)
    run = started(a_run(emulator, max_losses=1))

    assert run.operations.compare(recorded(wanted, there), wanted).action is action

    assert [kind for kind, _ in run.notices()] == ([notice] if notice else [])
    assert writes(emulator) == []


def test_an_absent_one_that_should_be_unlinked_is_an_error(run: Run, acme: str) -> None:
    """Found in the diff, so that a preview shows it."""
    desired = a_desired(company_id=acme, status=Status.UNLINKED)

    with pytest.raises(Refused, match="acme/ledger: there is nothing to unlink"):
        run.operations.compare(recorded(desired, an_id(1)), desired)


def test_one_id_at_two_declared_addresses_is_refused(emulator: Emulator, run: Run, acme: str) -> None:
    """An import can bring that about; each would undo the other."""
    there = connected(emulator, acme)
    first, second = a_desired("acme/a", company_id=acme), a_desired("acme/b", company_id=acme)
    run.operations.compare(recorded(first, there), first)

    with pytest.raises(Refused) as caught:
        run.operations.compare(recorded(second, there), second)

    assert str(caught.value) == (
        f"acme/b: connection {there} is recorded as acme/a too; take the wrong one out of the state, which"
        " calls nothing: `pulumi state delete` its URN, which `pulumi stack --show-urns` shows"
    )


def test_an_address_may_move_on_from_what_another_has_too(emulator: Emulator, acme: str) -> None:
    """One id is recorded at two addresses; one keeps it, so the other's replacement loses nothing."""
    run = started(a_run(emulator, max_losses=0))
    there = connected(emulator, acme)
    prior = recorded(a_desired(company_id=acme), there)
    books = recorded(a_desired("acme/books", company_id=acme), there)
    moved = a_desired(company_id=acme, platform_key="qhyg")
    run.read(prior, books)
    declare(run, moved, books.desired, recorded=[prior, books])

    run.operations.compare(books, books.desired)
    assert run.operations.compare(prior, moved).action is Action.REPLACE
    run.operations.create(moved)
    run.operations.remove(prior)

    assert writes(emulator) == ["POST 200"]
    assert rows(emulator, acme)[there] == "Linked"


def test_a_replacement_lets_go_of_its_own(emulator: Emulator, run: Run, acme: str) -> None:
    """What was its own a moment ago is no longer held, so that the removal after it is one."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme))
    run.read(prior)
    run.operations.compare(prior, prior.desired)
    assert run.operations.state.holder(prior.id) == "acme/ledger"

    run.operations.compare(prior, a_desired(company_id=acme, platform_key="qhyg"))

    assert run.operations.state.holder(prior.id) is None


def test_a_replacement_that_will_be_refused_is_found_in_the_diff(
    emulator: Emulator, run: Run, acme: str
) -> None:
    """On the new platform there is one that somebody authorised."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme))
    connected(emulator, acme, "qhyg")
    moved = a_desired(company_id=acme, platform_key="qhyg")
    run.read(prior)
    declare(run, moved, recorded=[prior])

    with pytest.raises(Refused, match="has a connection to qhyg that nobody manages here"):
        run.operations.compare(prior, moved)


@pytest.mark.parametrize(
    ("on_removal", "call"),
    [(OnRemoval.UNLINK, ["PATCH 200"]), (OnRemoval.DELETE, ["DELETE 200"]), (OnRemoval.RETAIN, [])],
)
def test_a_replacement_makes_the_new_one_before_the_old_one_goes(
    emulator: Emulator, run: Run, acme: str, on_removal: OnRemoval, call: list[str]
) -> None:
    """Then the old one is treated as not declared, by the policy that was recorded."""
    prior = recorded(a_desired(company_id=acme, on_removal=on_removal), connected(emulator, acme))
    desired = a_desired(company_id=acme, platform_key="qhyg")
    run.read(prior)

    decision = run.operations.compare(prior, desired)
    made = run.operations.create(desired)
    run.operations.remove(prior)

    assert decision.replaces == ("platformKey",)
    assert decision.loses is (on_removal is not OnRemoval.RETAIN)
    assert (Notice.LOSES in {kind for kind, _ in run.notices()}) is decision.loses
    assert writes(emulator) == ["POST 200", *call]
    assert rows(emulator, acme)[made.id] == "PendingAuth"


def test_what_can_not_be_let_go_of_is_not_replaced(emulator: Emulator, run: Run, acme: str) -> None:
    """Its status is one that nobody knows, so the old one would stay: found in the diff, before a POST."""
    prior = recorded(a_desired(company_id=acme), connected(emulator, acme, status="Migrating"))
    run.read(prior)

    with pytest.raises(Refused, match="acme/ledger: what it replaces has a status"):
        run.operations.compare(prior, a_desired(company_id=acme, platform_key="qhyg"))

    assert writes(emulator) == []


def test_what_there_will_be_to_say_is_counted_ahead(emulator: Emulator, run: Run, acme: str) -> None:
    """By kind, so that many become one line; who needs nothing isn't among them."""
    waiting = recorded(a_desired("acme/a", company_id=acme), connected(emulator, acme, status="PendingAuth"))
    linked = recorded(a_desired("acme/b", company_id=acme), connected(emulator, acme))
    run.read(waiting, linked)

    assert run.operations.expected_notices() == [
        Expected(Notice.WAITING, "acme/a", "PendingAuth", fresh=True)
    ]


# Absence.


def test_a_connection_is_absent_when_its_company_answers_and_its_own_get_is_a_404(
    emulator: Emulator, run: Run, acme: str, ledger: DesiredConnection
) -> None:
    """It is said, and stays recorded until it is accepted as gone."""
    connected(emulator, acme)

    assert run.operations.read(recorded(ledger, an_id(1))) is None
    assert not run.operations.forgets_missing
    assert run.notices() == [(Notice.GONE, "acme/ledger")]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"do": "status", "status": 500}, CodatBroken),
        ({"do": "status", "status": 403}, Unauthorized),
        ({"do": "status", "status": 429, "headers": {"Retry-After": "9999"}}, ApiError),
        ({"do": "reset-before"}, TransportError),
        ({"do": "truncate"}, TransportError),
        ({"do": "html", "status": 404}, ApiError),
        ({"do": "html"}, ApiError),
    ],
    ids=["500", "403", "429", "reset", "half an answer", "a proxy's 404", "a proxy's page"],
)
@pytest.mark.parametrize("on", [LIST, f"GET {ONE}"], ids=["listing", "one"])
def test_a_read_that_fails_is_never_an_absence(
    emulator: Emulator, acme: str, on: str, fault: dict[str, Any], error: type[ApiError]
) -> None:
    """It is an error, and nothing is forgotten or removed because of it, whatever is accepted."""
    connected(emulator, acme, "fztf")
    prior = recorded(a_desired(company_id=acme, on_removal=OnRemoval.DELETE), an_id(1))
    emulator.faults([{"on": on, **fault}])
    run = a_run(emulator, accept_missing=True)

    for step in (run.operations.read, run.operations.remove):
        with pytest.raises(error) as caught:
            step(prior)
        assert not isinstance(caught.value, NotFound)

    assert run.operations.state.missing_count == 0
    assert writes(emulator) == []


@pytest.mark.parametrize("foreign", [404, 403])
def test_the_key_of_another_tenant_forgets_nothing(
    emulator: Emulator, acme: str, ledger: DesiredConnection, foreign: int
) -> None:
    """Not by reading, not by comparing, not by removing: nothing is gone, and nothing is made."""
    emulator.knobs({"foreignCompany": foreign})
    emulator.add_key("another-key", tenant="another")
    prior = recorded(ledger, connected(emulator, acme))
    run = a_run(emulator, api_key="another-key")

    for step in (
        lambda: run.operations.read(prior),
        lambda: run.operations.compare(prior, ledger),
        lambda: run.operations.remove(prior),
        lambda: run.operations.create(ledger),
    ):
        with pytest.raises((Refused, Unauthorized), match="key"):
            step()

    assert run.operations.state.missing_count == 0
    assert rows(emulator, acme) == {prior.id: "Linked"}
    assert writes(emulator) == []


def test_an_outdated_key_forgets_nothing(emulator: Emulator, ledger: DesiredConnection) -> None:
    """A 403 ends the run."""
    emulator.add_key("old-key", outdated=True)

    with pytest.raises(Unauthorized):
        a_run(emulator, api_key="old-key", accept_missing=True).operations.read(recorded(ledger, an_id(1)))


def test_a_company_that_is_gone_must_be_accepted(
    emulator: Emulator, acme: str, ledger: DesiredConnection
) -> None:
    """Only then is what it had absent, and forgotten."""
    prior = recorded(ledger, connected(emulator, acme))
    emulator.delete_company(acme)
    with pytest.raises(Refused) as caught:
        a_run(emulator).operations.read(prior)
    assert str(caught.value).startswith(f"acme/ledger: company {acme} can't be seen with this API key")
    assert "set CODAT_ACCEPT_MISSING=true for this run" in str(caught.value)
    run = a_run(emulator, accept_missing=True)

    assert run.operations.read(prior) is None
    assert run.operations.forgets_missing
    run.operations.remove(prior)

    assert writes(emulator) == []


def a_bank(emulator: Emulator, acme: str, count: int, status: str = "Linked") -> list[PriorConnection]:
    """So many recorded connections of one company, to one platform."""
    each = siblings(
        *(f"acme/bank-{number:02}" for number in range(count)), company_id=acme, platform_key="suuo"
    )
    return [recorded(one, connected(emulator, acme, "suuo", status)) for one in each]


def test_a_mass_disappearance_is_no_absence(emulator: Emulator, acme: str) -> None:
    """Ten of thirty: nothing is made and nothing forgotten, until it is accepted."""
    bank = a_bank(emulator, acme, 30, "PendingAuth")
    for prior in bank[:10]:
        emulator.delete_connection(prior.id)
    run, accepting = started(a_run(emulator)), started(a_run(emulator, accept_missing=True))
    run.read(*bank)
    accepting.read(*bank)

    for step in (
        lambda: run.operations.compare(bank[0], bank[0].desired),
        lambda: run.operations.remove(bank[0]),
    ):
        with pytest.raises(Refused) as caught:
            step()
        assert str(caught.value) == (
            "acme/bank-00: 10 of 30 recorded connections are gone at once; is it the key of the right tenant"
            " (CODAT_API_KEY), the right base URL (CODAT_BASE_URL), and the right stack? If they really are"
            " gone, set CODAT_ACCEPT_MISSING=true for this run"
        )
    assert run.operations.compare(bank[20], bank[20].desired).action is Action.NONE

    assert accepting.operations.compare(bank[0], bank[0].desired).action is Action.REPLACE
    accepting.operations.remove(bank[1])
    assert writes(emulator) == []
    run.operations.remove(bank[21])
    assert writes(emulator) == ["DELETE 200"], "what is there is no absence"


@pytest.mark.parametrize("gone", [9, 12])
def test_what_is_gone_in_moderation_is_replaced(emulator: Emulator, run: Run, acme: str, gone: int) -> None:
    """Nine of forty, or 30 % of them."""
    bank = a_bank(emulator, acme, 40, "PendingAuth")
    for prior in bank[:gone]:
        emulator.delete_connection(prior.id)
    run.read(*bank)

    assert run.operations.compare(bank[0], bank[0].desired).action is Action.REPLACE


def test_without_a_refresh_ten_that_are_gone_are_too_many(run: Run, acme: str) -> None:
    """Nobody knows of how many."""
    bank = [recorded(a_desired(f"acme/bank-{n}", company_id=acme), an_id(n)) for n in range(1, 11)]

    for prior in bank[:9]:
        run.operations.remove(prior)
    with pytest.raises(Refused, match="10 of all recorded connections are gone at once"):
        run.operations.remove(bank[9])


def test_what_we_delete_ourselves_is_not_missing(emulator: Emulator, run: Run, acme: str) -> None:
    """Twelve of thirty are deleted by this very run, and it finds nothing strange in that."""
    bank = a_bank(emulator, acme, 30, "PendingAuth")
    emulator.authorise(bank[29].id)
    emulator.delete_connection(bank[28].id)
    run.read(*bank)

    for prior in bank[:12]:
        run.operations.remove(prior)
    run.operations.remove(bank[29])
    run.operations.remove(bank[28])

    assert writes(emulator) == [*["DELETE 200"] * 12, "PATCH 200"]


# Losses.


def declared(run: Run, *priors: PriorConnection) -> None:
    """They are still in the file as they were."""
    for prior in priors:
        run.operations.compare(prior, prior.desired)


def test_losses_over_the_limit_are_none(emulator: Emulator, run: Run, acme: str) -> None:
    """Eleven Linked of forty: none is unlinked, every later delete refuses too, and nothing is forgotten."""
    bank = a_bank(emulator, acme, 40)
    others = [
        recorded(
            a_desired(f"acme/{name}", company_id=acme, platform_key=key, on_removal=policy),
            connected(emulator, acme, key, status),
        )
        for name, key, status, policy in (
            ("waiting", "fztf", "PendingAuth", OnRemoval.UNLINK),
            ("unlinked", "qhyg", "Unlinked", OnRemoval.UNLINK),
            ("retained", "gbol", "Linked", OnRemoval.RETAIN),
        )
    ]
    run.read(*bank, *others)
    declared(run, *bank[11:])

    for prior in (*others, *bank[:11]):
        with pytest.raises(UnsafePlan, match="would end 11 authorisations of 43 recorded connections"):
            run.operations.remove(prior)

    assert writes(emulator) == []


def test_an_explicit_limit_lets_them_go(emulator: Emulator, acme: str) -> None:
    """CODAT_MAX_LOSSES=11 is said in the refusal, and is enough."""
    run = started(a_run(emulator, max_losses=11))
    bank = a_bank(emulator, acme, 40)
    run.read(*bank)
    declared(run, *bank[11:])

    for prior in bank[:11]:
        run.operations.remove(prior)

    assert writes(emulator) == ["PATCH 200"] * 11


@pytest.mark.parametrize(("size", "leaving", "refused"), [(9, 9, False), (10, 3, False), (10, 4, True)])
def test_a_share_of_a_small_stack_may_go(
    emulator: Emulator, run: Run, acme: str, size: int, leaving: int, refused: bool
) -> None:
    """30 % of ten or more; of fewer, all."""
    bank = a_bank(emulator, acme, size)
    run.read(*bank)
    declared(run, *bank[leaving:])

    for prior in bank[:leaving]:
        if refused:
            with pytest.raises(UnsafePlan):
                run.operations.remove(prior)
        else:
            run.operations.remove(prior)

    assert len(writes(emulator)) == (0 if refused else leaving)


def test_a_destroy_loses_nothing_without_an_explicit_limit(emulator: Emulator, acme: str) -> None:
    """Everything is read and nothing is declared: the first of three is too many, and all stay recorded."""
    bank = a_bank(emulator, acme, 2)
    waiting = a_bank(emulator, acme, 1, "PendingAuth")
    run, meant = a_run(emulator), a_run(emulator, max_losses=2)
    for each in (run, meant):
        each.read(*bank, *waiting)

    for prior in (*waiting, *bank):
        with pytest.raises(UnsafePlan, match=r"nothing is declared: .* would end 2 authorisations of 3"):
            run.operations.remove(prior)
    assert writes(emulator) == []

    for prior in (*waiting, *bank):
        meant.operations.remove(prior)
    assert sorted(writes(emulator)) == ["DELETE 200", "PATCH 200", "PATCH 200"]


@pytest.mark.parametrize("status", ["PendingAuth", "Deauthorized", "Unlinked"])
def test_a_destroy_that_loses_nothing_needs_no_limit(emulator: Emulator, acme: str, status: str) -> None:
    """There is no authorisation to ask about."""
    bank = a_bank(emulator, acme, 12, status)
    run = a_run(emulator)
    run.read(*bank)

    for prior in bank:
        run.operations.remove(prior)

    assert "Linked" not in rows(emulator, acme).values()


@pytest.mark.parametrize("status", ["Linked", "PendingAuth", "Unlinked"])
@pytest.mark.parametrize("on_removal", OnRemoval)
def test_a_destroy_without_a_refresh_removes_nothing_without_an_explicit_limit(
    emulator: Emulator, acme: str, status: str, on_removal: OnRemoval
) -> None:
    """Nothing was read and nothing is declared, so nothing is counted: not even forgotten."""
    run, meant = a_run(emulator), a_run(emulator, max_losses=1)
    prior = recorded(
        a_desired(company_id=acme, on_removal=on_removal), connected(emulator, acme, status=status)
    )

    with pytest.raises(UnsafePlan) as caught:
        run.operations.remove(prior)

    assert str(caught.value) == (
        "acme/ledger: nothing was read before this run, so what else it ends can't be counted; run again with"
        " `--refresh`, or set CODAT_MAX_LOSSES for this run"
    )
    assert emulator.requests()["total"] == 0
    meant.operations.remove(prior)


def test_a_destroy_without_a_refresh_forgets_what_another_address_has(emulator: Emulator, run: Run) -> None:
    """That is no loss, so it needs no limit."""
    prior = a_prior(1)
    run.operations.state.hold(prior.id, "acme/books")

    run.operations.remove(prior)

    assert emulator.requests()["total"] == 0


@pytest.mark.parametrize("on_removal", [OnRemoval.UNLINK, OnRemoval.DELETE])
def test_without_a_refresh_a_loss_is_refused(
    emulator: Emulator, run: Run, acme: str, on_removal: OnRemoval
) -> None:
    """It can't be counted; what nobody authorised may go."""
    desired = a_desired(company_id=acme, on_removal=on_removal)

    with pytest.raises(UnsafePlan, match=r"^acme/ledger: nothing was read before this run, so what else"):
        run.operations.remove(recorded(desired, connected(emulator, acme)))
    run.operations.remove(recorded(desired, connected(emulator, acme, status="PendingAuth")))

    assert writes(emulator) == ["DELETE 200"]


def test_without_a_refresh_an_explicit_limit_is_kept_one_by_one(emulator: Emulator, acme: str) -> None:
    """Two may go, whoever is first."""
    run = a_run(emulator, max_losses=2)
    bank = a_bank(emulator, acme, 3)

    run.operations.remove(bank[0])
    run.operations.remove(bank[1])
    with pytest.raises(UnsafePlan, match="at least 3 authorisations of 0"):
        run.operations.remove(bank[2])

    assert writes(emulator) == ["PATCH 200"] * 2


def test_what_is_retained_is_no_loss(emulator: Emulator, run: Run, acme: str) -> None:
    """Forty are let go of, and keep their customers' authorisations."""
    bank = [
        recorded(
            a_desired(f"acme/bank-{n:02}", company_id=acme, on_removal=OnRemoval.RETAIN),
            connected(emulator, acme),
        )
        for n in range(40)
    ]
    run.read(*bank)

    for prior in bank:
        run.operations.remove(prior)

    assert writes(emulator) == []


def test_replacements_are_losses_and_found_in_the_diff(emulator: Emulator, run: Run, acme: str) -> None:
    """The eleventh is refused before anything is made, and then no removal takes place either."""
    bank = a_bank(emulator, acme, 40)
    run.read(*bank)
    moved = [a_desired(prior.address, company_id=acme, platform_key="fztf") for prior in bank]

    for prior, desired in list(zip(bank, moved, strict=True))[:10]:
        run.operations.compare(prior, desired)
    with pytest.raises(UnsafePlan, match="at least 11 authorisations of 40"):
        run.operations.compare(bank[10], moved[10])
    declared(run, *bank[11:])
    with pytest.raises(UnsafePlan):
        run.operations.remove(bank[0])

    assert writes(emulator) == []


def test_unlinks_that_are_declared_are_losses(emulator: Emulator, acme: str) -> None:
    """`status: Unlinked` throws an authorisation away as a removal does, and each is counted once."""
    run = started(a_run(emulator, max_losses=1))
    bank = a_bank(emulator, acme, 2)
    wanted = [
        a_desired(prior.address, company_id=acme, platform_key="suuo", status=Status.UNLINKED)
        for prior in bank
    ]
    run.read(*bank)

    run.operations.compare(bank[0], wanted[0])
    with pytest.raises(UnsafePlan):
        run.operations.compare(bank[1], wanted[1])
    run.operations.update(bank[0], wanted[0])

    assert run.notices() == [(Notice.LOSES, bank[0].address)]
    assert writes(emulator) == ["PATCH 200"]


def test_an_authorisation_that_came_meanwhile_counts(emulator: Emulator, run: Run, acme: str) -> None:
    """Ten go, and an eleventh that waited when it was read is Linked when its turn comes."""
    bank, late = a_bank(emulator, acme, 40), a_bank(emulator, acme, 1, "PendingAuth")[0]
    run.read(*bank, late)
    declared(run, *bank[10:])
    emulator.authorise(late.id)

    for prior in bank[:10]:
        run.operations.remove(prior)
    with pytest.raises(UnsafePlan, match="at least 11 authorisations"):
        run.operations.remove(late)

    assert rows(emulator, acme)[late.id] == "Linked"


def test_what_could_not_be_counted_is_not_lost(emulator: Emulator, acme: str) -> None:
    """The network fails while the first removal counts: the next one counts anew, and refuses."""
    other = str(emulator.add_company("Globex")["id"])
    bank = a_bank(emulator, acme, 40)
    far = recorded(a_desired("globex/ledger", company_id=other), connected(emulator, other))
    run = started(a_run(emulator))
    for prior in (*bank, far):
        run.operations.state.record(prior)
    emulator.faults([{"on": f"GET /companies/{other}/connections", "do": "reset-before", "times": 2}])

    with pytest.raises(TransportError):
        run.operations.remove(bank[0])
    with pytest.raises(UnsafePlan, match="would end 41 authorisations"):
        run.operations.remove(bank[0])

    assert writes(emulator) == []


# Threads.


def test_forty_removals_from_four_threads_finish(emulator: Emulator) -> None:
    """Over ten companies, all at once: each counts all the others, and none waits for ever."""
    stack: list[PriorConnection] = []
    for number in range(10):
        company = str(emulator.add_company(f"Company {number}")["id"])
        names = [f"c{number}/{letter}" for letter in "abcd"]
        stack += [
            recorded(each, connected(emulator, company, "suuo"))
            for each in siblings(*names, company_id=company, platform_key="suuo")
        ]
    run = a_run(emulator, max_losses=40)
    for prior in stack:
        run.operations.state.record(prior)

    def remove(part: Sequence[PriorConnection]) -> None:
        for prior in part:
            run.operations.remove(prior)

    raised = at_once(*(partial(remove, stack[start::4]) for start in range(4)))

    assert raised == []
    assert writes(emulator) == ["PATCH 200"] * 40


def test_everything_at_once_finishes(emulator: Emulator, run: Run) -> None:
    """Reads, diffs, creates and removals of the same companies, from four threads."""
    jobs: list[Callable[[], object]] = []
    companies = [str(emulator.add_company(f"Company {number}")["id"]) for number in range(4)]
    for number, company in enumerate(companies):
        kept = recorded(a_desired(f"c{number}/ledger", company_id=company), connected(emulator, company))
        gone = recorded(
            a_desired(f"c{number}/old", company_id=company, platform_key="fztf"),
            connected(emulator, company, "fztf"),
        )
        new = a_desired(f"c{number}/new", company_id=company, platform_key="suuo")
        run.read(kept, gone)
        jobs += [
            partial(run.operations.compare, kept, kept.desired),
            partial(foresee_and_create, run, new),
            partial(run.operations.remove, gone),
            run.operations.expected_notices,
        ]

    raised = at_once(*jobs)

    assert raised == []
    assert sorted(writes(emulator)) == ["PATCH 200"] * 4 + ["POST 200"] * 4


@pytest.mark.parametrize("on_removal", list(OnRemoval))
def test_what_belongs_to_another_shard_is_not_removed(
    emulator: Emulator, acme: str, on_removal: OnRemoval
) -> None:
    """However it came into this stack, and whatever its policy: another stack may have it, too."""
    number = shard_number(acme, 2)
    prior = a_prior(connected(emulator, acme), a_desired(company_id=acme, on_removal=on_removal))
    other, own = (a_run(emulator, max_losses=1, shard=Shard(n, 2)) for n in (3 - number, number))
    for run in (other, own):
        run.read(prior)
    emulator.clear_requests()

    with pytest.raises(
        Refused, match=r"^acme/ledger: it belongs to another shard than \d/2, .*reshard STACK"
    ):
        other.operations.remove(prior)
    assert writes(emulator) == []
    own.operations.remove(prior)

    assert len(writes(emulator)) == (on_removal is not OnRemoval.RETAIN)
