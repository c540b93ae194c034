"""The live state: read cheaply, shared by threads, and never absent by mistake."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codat_iac.codat import parsing
from codat_iac.codat.client import Client, Reader
from codat_iac.codat.transport import RECONNECTS
from codat_iac.emulator import Emulator, serving
from codat_iac.model.errors import (
    AccountLimit,
    ApiError,
    CodatBroken,
    NotCodat,
    NotFound,
    RateLimited,
    TransportError,
    Unauthorized,
)
from codat_iac.reconcile.snapshot import CONCURRENT_READS, LISTING_ATTEMPTS, Snapshot
from tests.support.builders import an_id
from tests.support.waiting import Naps

NOWHERE = str(uuid.UUID(int=0))
LIST = "/companies/*/connections"
ONE = "/companies/*/connections/*"


class Pair(NamedTuple):
    """A connection, by its company's id and its own."""

    company: str
    id: str


def quick(emulator: Emulator, throttle: Callable[[], None] = lambda: None) -> Client:
    """A client that doesn't sleep."""
    return Client(emulator.api_key, emulator.url, sleep=lambda _: None, throttle=throttle)


def small_pages(emulator: Emulator) -> None:
    """Let Codat serve a hundred companies on a page at most, so that a few hundred are several pages."""
    emulator.knobs({"pageSizeMost": 100})


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """An emulated Codat with small pages."""
    small_pages(emulator)
    return emulator


@pytest.fixture
def snapshot(emulator: Emulator) -> Snapshot:
    """Nothing is known yet."""
    return Snapshot(quick(emulator))


def tenant(emulator: Emulator) -> list[Pair]:
    """Every connection of the tenant; the emulator's log is empty after."""
    client = quick(emulator)
    pages = list(client.pages(client.list_companies(page_size=5000), parsing.parse_company))
    found = [Pair(c.company_id, c.id) for page in pages for o in page.results for c in o.connections or ()]
    emulator.clear_requests()
    return found


def fill(emulator: Emulator, companies: int, each: int = 1) -> list[Pair]:
    """New companies with Linked connections."""
    found = []
    for number in range(companies):
        company = emulator.add_company(f"Company {number}")["id"]
        found += [Pair(company, emulator.connect(company, "suuo")["id"]) for _ in range(each)]
    return found


def cost(emulator: Emulator) -> int:
    """How many requests there were."""
    return int(emulator.requests()["total"])


def paths(emulator: Emulator) -> list[str]:
    """What was asked for, in order."""
    return [f"{entry['method']} {entry['path']}" for entry in emulator.requests()["requests"]]


# What it costs.


@pytest.fixture(scope="module", params=[50, 10_000])
def large(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """A tenant of 50 companies, or of 10,000."""
    with serving(companies=request.param, linked=True) as emulator:
        yield emulator


def test_a_hundred_connections_in_fifty_companies_cost_at_most_51_reads(large: Emulator) -> None:
    """However large the tenant is: one read for each company, and one to see whether a scan is cheaper."""
    everything = tenant(large)
    chosen = everything[:: len(everything) // 50][:50]
    second = [Pair(pair.company, large.connect(pair.company, "suuo")["id"]) for pair in chosen]
    snapshot = Snapshot(quick(large))
    found = [snapshot.find(*pair) for pair in chosen + second]

    assert [live.id for live in found if live] == [pair.id for pair in chosen + second]
    assert cost(large) <= 51
    if len(everything) < 1000:
        assert cost(large) == 3


@pytest.mark.parametrize(
    ("asked", "reads"), [(0, 0), (1, 1), (2, 2), (3, 4), (4, 5), (5, 6), (6, 2 * 5), (450, 2 * 5)]
)
def test_the_cheaper_way_is_taken_or_at_most_twice_of_it(
    emulator: Emulator, snapshot: Snapshot, asked: int, reads: int
) -> None:
    """One read for each company and a look at the tenant, until that has cost what its five pages do."""
    everything = fill(emulator, 450)
    everything.reverse()
    emulator.clear_requests()
    for pair in everything[:asked]:
        snapshot.find(*pair)

    assert cost(emulator) == reads


def test_a_company_is_read_once(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """However often it is asked for, and for whatever of it."""
    first, second = emulator.connect(acme, "suuo")["id"], emulator.connect(acme, "gbol")["id"]
    for _ in range(3):
        assert snapshot.find(acme, first)
        assert snapshot.find(acme, second)
        assert {c.id for c in snapshot.company(acme)} == {first, second}

    assert cost(emulator) == 1


def test_a_tenant_whose_listing_holds_no_connections_is_not_scanned(
    emulator: Emulator, snapshot: Snapshot
) -> None:
    """It would cost every page and tell nothing."""
    everything = fill(emulator, 130)
    emulator.knobs({"inlineConnections": "absent"})
    emulator.clear_requests()

    assert all(snapshot.find(*pair) for pair in everything)
    assert cost(emulator) == 131


def test_a_company_that_the_first_page_shows_costs_no_other_page(
    emulator: Emulator, snapshot: Snapshot
) -> None:
    """Though by now the two pages of the tenant cost no more than what was read."""
    everything = {pair.company for pair in fill(emulator, 150)}
    shown = {company.id for company in quick(emulator).list_companies().results}
    assert len(shown) == 100
    emulator.clear_requests()

    for company in (*sorted(everything - shown)[:2], *sorted(shown)[:5]):
        assert snapshot.company(company)

    assert cost(emulator) == 3


def test_the_tenant_is_read_as_soon_as_that_costs_no_more(emulator: Emulator, snapshot: Snapshot) -> None:
    """Three companies, a look at the tenant, and its two other pages, since three pages are full."""
    everything = {pair.company for pair in fill(emulator, 300)}
    shown = {company.id for company in quick(emulator).list_companies().results}
    emulator.clear_requests()

    for company in sorted(everything - shown)[:20]:
        assert snapshot.company(company)

    assert cost(emulator) == 3 + 1 + 2


def test_a_tenant_is_scanned_once(emulator: Emulator, snapshot: Snapshot) -> None:
    """A company that the scan didn't show costs its own read, once."""
    everything = fill(emulator, 250)
    emulator.clear_requests()
    for pair in everything:
        snapshot.find(*pair)
    before = cost(emulator)
    for _ in range(3):
        with pytest.raises(NotFound):
            snapshot.company(NOWHERE)

    assert cost(emulator) == before + 1


def test_a_company_without_connections_is_known_to_have_none(emulator: Emulator, snapshot: Snapshot) -> None:
    """Nothing is something: it isn't read again."""
    companies = [emulator.add_company(str(number))["id"] for number in range(10)]
    emulator.clear_requests()

    assert [snapshot.company(company) for company in companies] == [()] * 10
    assert cost(emulator) == 3


# Reading ahead.


def test_companies_hold_what_a_listing_lacked(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """Each named connection is looked up by its id before it counts as absent; a foreign company is None."""
    first = emulator.connect(acme, "gbol")["id"]
    snapshot.company(acme)
    late = emulator.connect(acme, "suuo")["id"]

    found = snapshot.companies(
        {acme, NOWHERE}, [(acme, first), (acme, late), (acme, NOWHERE), (NOWHERE, late)]
    )

    assert found[NOWHERE] is None
    assert set(found[acme] or {}) == {first, late}


def test_reading_ahead_costs_what_reading_one_by_one_does(emulator: Emulator, snapshot: Snapshot) -> None:
    """Several at a time, but the same two companies, the same look at the tenant, the same scan."""
    pairs = fill(emulator, 450)
    emulator.clear_requests()
    snapshot.prefetch([pair.company for pair in pairs])
    assert cost(emulator) <= 2 * 5

    assert all(snapshot.find(*pair) for pair in pairs)
    assert cost(emulator) <= 2 * 5


def test_reading_ahead_leaves_out_what_cannot_be_seen(emulator: Emulator, snapshot: Snapshot) -> None:
    """A company that is gone is an error where it is needed, with the address that needs it."""
    (pair,) = fill(emulator, 1)
    snapshot.prefetch([NOWHERE, pair.company])
    emulator.clear_requests()

    assert snapshot.find(*pair) is not None
    assert cost(emulator) == 0
    with pytest.raises(NotFound):
        snapshot.company(NOWHERE)


def test_reading_ahead_ends_with_the_first_error_that_is_everybodys(
    emulator: Emulator, snapshot: Snapshot
) -> None:
    """A wrong key isn't tried on a thousand companies."""
    pairs = fill(emulator, 300)
    emulator.faults([{"on": "GET /**", "do": "status", "status": 403}])
    emulator.clear_requests()
    with pytest.raises(Unauthorized):
        snapshot.prefetch([pair.company for pair in pairs])

    assert cost(emulator) < 100, "what is under way ends, and little more is begun"


def test_eight_companies_are_read_at_once(emulator: Emulator) -> None:
    """No more, so that there is something left of what Codat allows, and no fewer."""
    pairs = fill(emulator, 30)
    emulator.knobs({"inlineConnections": "absent"})
    reading, most = set[int](), 0

    def throttle() -> None:
        nonlocal most
        reading.add(threading.get_ident())
        most = max(most, len(reading))
        time.sleep(0.05)
        reading.discard(threading.get_ident())

    Snapshot(quick(emulator, throttle)).prefetch([pair.company for pair in pairs])

    assert most == CONCURRENT_READS == 8


def test_reading_nothing_ahead_costs_nothing(emulator: Emulator, snapshot: Snapshot) -> None:
    """An empty stack has nothing to read."""
    snapshot.prefetch([])

    assert cost(emulator) == 0


def test_what_another_process_read_is_taken_over(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """With the absences that it confirmed, and at no cost."""
    emulator.connect(acme, "gbol")
    other = Snapshot(quick(emulator))
    connections = other.company(acme)
    emulator.clear_requests()
    snapshot.seed(acme, connections, [NOWHERE])

    assert snapshot.company(acme) == connections
    assert snapshot.find(acme, connections[0].id) == connections[0]
    assert snapshot.find(acme, NOWHERE) is None
    assert cost(emulator) == 0


# Absent, and what isn't.


def test_what_a_listing_lacks_is_confirmed_by_its_own_get(
    emulator: Emulator, snapshot: Snapshot, acme: str
) -> None:
    """Once: an absence that is confirmed is remembered."""
    gone = emulator.connect(acme, "gbol")["id"]
    emulator.delete_connection(gone)

    assert [snapshot.find(acme, gone) for _ in range(3)] == [None] * 3
    assert paths(emulator) == [
        f"GET /companies/{acme}/connections",
        f"GET /companies/{acme}/connections/{gone}",
    ]


def test_what_a_lagging_listing_lacks_is_found(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """One connection's own GET is always fresh."""
    emulator.knobs({"readLagSeconds": 30})
    fresh = emulator.connect(acme, "gbol")["id"]
    live = snapshot.find(acme, fresh)

    assert live is not None
    assert (live.id, live.status) == (fresh, "Linked")
    assert snapshot.company(acme) == (live,)


@pytest.mark.parametrize("service", ["ClientsApi", "PublicApi"])
def test_a_company_that_cannot_be_seen_is_an_error(
    emulator: Emulator, snapshot: Snapshot, service: str
) -> None:
    """A wrong key must not make everything look gone."""
    emulator.knobs({"unknownCompany": service})
    asks: list[Callable[[], object]] = [
        lambda: snapshot.find(NOWHERE, NOWHERE),
        lambda: snapshot.fresh(NOWHERE, NOWHERE),
        lambda: snapshot.company(NOWHERE),
        lambda: snapshot.relist(NOWHERE),
    ]
    for ask in asks:
        with pytest.raises(NotFound):
            ask()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"do": "status", "status": 503}, CodatBroken),
        ({"do": "reset-before"}, TransportError),
        ({"do": "truncate"}, TransportError),
        ({"do": "html"}, NotCodat),
        ({"do": "html", "status": 404}, NotCodat),
    ],
    ids=lambda value: str(value.get("status", value["do"])) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("path", [LIST, ONE])
def test_a_read_that_fails_is_an_error_and_never_an_absence(
    emulator: Emulator, snapshot: Snapshot, path: str, fault: dict[str, Any], kind: type[ApiError]
) -> None:
    """Whichever of the reads it is; and when it works again, so does the snapshot."""
    pairs = fill(emulator, 3)
    known = [] if path == LIST else pairs[:2]
    assert all(snapshot.find(*pair) for pair in known)
    emulator.faults([{"on": f"GET {path}", **fault}])
    asked = Pair(pairs[0].company, NOWHERE) if path == ONE else pairs[2]
    with pytest.raises(kind) as caught:
        snapshot.find(*asked)
    emulator.faults([])

    assert type(caught.value) is kind
    assert (snapshot.find(*asked) is None) is (path == ONE)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (402, AccountLimit), (403, Unauthorized), (429, RateLimited)]
)
@pytest.mark.parametrize("path", [LIST, ONE, "/companies", "/integrations"])
def test_after_a_refusal_of_the_key_nothing_more_is_asked(
    emulator: Emulator, snapshot: Snapshot, path: str, status: int, kind: type[ApiError]
) -> None:
    """Every other read would be refused too, so each gets that error, as it was before anybody named it."""
    emulator.knobs({"integrationKey": "absent"})
    pairs = fill(emulator, 4)
    emulator.faults(
        [{"on": f"GET {path}", "do": "status", "status": status, "headers": {"Retry-After": "4000"}}]
    )
    with pytest.raises(kind) as first:
        [snapshot.find(pair.company, NOWHERE) for pair in pairs]
    said = str(first.value)
    first.value.name("acme/ledger")
    emulator.faults([])
    emulator.clear_requests()

    for pair in pairs:
        with pytest.raises(kind) as again:
            snapshot.fresh(*pair)
        assert (str(again.value), again.value.status) == (said, status)
        again.value.name("acme/shop")
    assert cost(emulator) == 0


def test_after_a_connection_that_never_came_about_none_is_tried(naps: Naps) -> None:
    """One read after the other would wait for its own tries."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        reader = Reader("k", f"http://127.0.0.1:{silent.getsockname()[1]}", sleep=naps)
        snapshot = Snapshot(reader)
        for number in range(5):
            with pytest.raises(TransportError, match="connection refused"):
                snapshot.company(an_id(number))

    assert len(naps) == RECONNECTS


def test_a_host_that_knows_no_tenant_is_not_codat(snapshot: Snapshot, emulator: Emulator) -> None:
    """A base URL with a wrong path answers 404 to everything, which says nothing of a company."""
    astray = Snapshot(Reader(emulator.api_key, f"{emulator.url}/v1", timeout=5))
    for _ in range(2):
        with pytest.raises(
            NotCodat, match="GET /companies: answered HTTP 404, where Codat always has a list"
        ):
            astray.company(NOWHERE)

    with pytest.raises(NotFound):
        snapshot.company(NOWHERE)


def test_integrations_that_cannot_be_read_are_no_absence(
    emulator: Emulator, snapshot: Snapshot, acme: str
) -> None:
    """A 404 of another operation says nothing about a connection."""
    emulator.knobs({"integrationKey": "absent"})
    emulator.faults([{"on": "GET /integrations", "do": "status", "status": 404}])
    snapshot.company(acme)
    connection = emulator.connect(acme, "gbol")["id"]
    with pytest.raises(NotCodat, match="GET /integrations"):
        snapshot.find(acme, connection)
    emulator.faults([])

    assert snapshot.find(acme, connection) is not None


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"do": "status", "status": 401}, Unauthorized),
        ({"do": "status", "status": 403}, Unauthorized),
        ({"do": "html"}, NotCodat),
    ],
    ids=["401", "403", "html"],
)
def test_a_tenant_that_is_refused_ends_the_run(
    emulator: Emulator, snapshot: Snapshot, fault: dict[str, Any], kind: type[ApiError]
) -> None:
    """A wrong key doesn't get better company by company."""
    pairs = fill(emulator, 3)
    for pair in pairs[:2]:
        snapshot.find(*pair)
    emulator.faults([{"on": "GET /companies", **fault}])
    with pytest.raises(kind):
        snapshot.find(*pairs[2])


@pytest.mark.parametrize("skip", [0, 1], ids=["the first page", "the second page"])
@pytest.mark.parametrize("fault", [{"do": "status", "status": 503}, {"do": "truncate"}], ids=["503", "half"])
def test_a_tenant_that_cannot_be_listed_is_read_company_by_company(
    emulator: Emulator, snapshot: Snapshot, skip: int, fault: dict[str, Any]
) -> None:
    """Codat is slow at long pages. It is tried once, not again for each company."""
    pairs = fill(emulator, 110)
    emulator.faults([{"on": "GET /companies", "skip": skip, **fault}])
    emulator.clear_requests()

    assert all(snapshot.find(*pair) for pair in reversed(pairs))
    assert paths(emulator).count("GET /companies") == skip + 5


# Rows that move.


@pytest.fixture(scope="module")
def shifting() -> Iterator[tuple[Emulator, list[Pair]]]:
    """A tenant of several pages."""
    with serving(companies=320, linked=True) as emulator:
        small_pages(emulator)
        yield emulator, tenant(emulator)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shifts=st.lists(st.integers(0, 400), min_size=1, max_size=12), seed=st.randoms(use_true_random=False))
def test_no_shift_of_rows_makes_a_connection_absent(
    shifting: tuple[Emulator, list[Pair]], shifts: list[int], seed: Any
) -> None:
    """Pages repeat some rows and miss others while they are read: offset paging has no cursor."""
    emulator, everything = shifting
    moves = iter(shifts * 1000)
    snapshot = Snapshot(quick(emulator, lambda: set_shift(emulator, next(moves))))
    asked = seed.sample(everything, 40)
    found = [snapshot.find(*pair) for pair in asked]
    gone = snapshot.find(asked[0].company, NOWHERE)

    assert [live.id if live else None for live in found] == [pair.id for pair in asked]
    assert gone is None


def set_shift(emulator: Emulator, by: int) -> None:
    """Let the next list begin so many rows later."""
    emulator.knobs({"rowShift": by})


def test_a_tenant_that_changes_while_it_is_scanned_is_read_right(emulator: Emulator) -> None:
    """Companies come and go between two pages, which moves all rows behind them."""
    everything = fill(emulator, 320)
    calls = 0

    def meanwhile() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            emulator.delete_company(everything.pop(0).company)
        emulator.add_company(f"New {calls}")

    snapshot = Snapshot(quick(emulator, meanwhile))
    for pair in reversed(everything[150:]):
        assert snapshot.find(*pair) is not None


def test_a_company_whose_rows_move_is_listed_again(emulator: Emulator, acme: str) -> None:
    """Until what comes is what is announced."""
    made = {emulator.connect(acme, "suuo")["id"] for _ in range(1001)}
    emulator.knobs({"rowShift": 1, "pageSizeMost": 1000})
    calls: list[int] = []

    def settle() -> None:
        calls.append(1)
        if len(calls) == 5:
            emulator.knobs({"rowShift": 0})

    snapshot = Snapshot(quick(emulator, settle))

    assert {c.id for c in snapshot.company(acme)} == made
    assert len(calls) == 6


def test_a_company_that_never_rests_is_an_error(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """What couldn't be read whole isn't known; and nothing is asked for ever."""
    for _ in range(1001):
        emulator.connect(acme, "suuo")
    emulator.knobs({"rowShift": 1, "pageSizeMost": 1000})
    with pytest.raises(TransportError) as caught:
        snapshot.relist(acme)

    assert caught.value.doing == f"GET /companies/{acme}/connections"
    assert str(caught.value) == (
        f"GET /companies/{acme}/connections: 1001 connections are announced and 1000 come, 4 times over; try"
        " again when the company is at rest"
    )
    assert cost(emulator) == 2 * LISTING_ATTEMPTS


# What changes.


def test_our_own_writes_update_the_snapshot(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """Without a read: what they answered is what is live."""
    client = quick(emulator)
    assert snapshot.company(acme) == ()
    made = client.create(acme, "gbol")
    snapshot.put(made)
    assert snapshot.find(acme, made.id) == made

    emulator.authorise(made.id)
    unlinked = client.unlink(acme, made.id)
    snapshot.put(unlinked)
    assert snapshot.find(acme, made.id) == unlinked
    assert unlinked.status == "Unlinked"

    client.delete(acme, made.id)
    snapshot.drop(acme, made.id)
    assert snapshot.find(acme, made.id) is None
    assert snapshot.company(acme) == ()
    assert paths(emulator).count(f"GET /companies/{acme}/connections") == cost(emulator) - 3 == 1


def test_what_is_dropped_before_it_was_read_is_absent(
    emulator: Emulator, snapshot: Snapshot, acme: str
) -> None:
    """Our own delete needs no read before it, and the company is read as a whole when that is asked for."""
    gone, there = (emulator.connect(acme, "gbol")["id"] for _ in range(2))
    snapshot.drop(acme, gone)
    emulator.delete_connection(gone)

    assert [live.id for live in snapshot.company(acme)] == [there]
    assert snapshot.find(acme, gone) is None


def test_a_write_to_a_company_that_was_not_read_is_read_with_it(
    emulator: Emulator, snapshot: Snapshot, acme: str
) -> None:
    """One connection that is known must not pass for all of them."""
    other = emulator.connect(acme, "suuo")["id"]
    made = quick(emulator).create(acme, "gbol")
    snapshot.put(made)

    assert {c.id for c in snapshot.company(acme)} == {other, made.id}


def test_fresh_asks_each_time_and_is_remembered(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """What a decision led to is looked at again right before the write."""
    connection = emulator.connect(acme, "gbol")["id"]
    before = snapshot.find(acme, connection)
    emulator.revoke(connection)
    assert snapshot.find(acme, connection) == before
    after = snapshot.fresh(acme, connection)
    assert after is not None
    assert after.status == "Deauthorized"
    assert snapshot.find(acme, connection) == after

    emulator.delete_connection(connection)
    assert snapshot.fresh(acme, connection) is None
    assert snapshot.find(acme, connection) is None


def test_a_listing_anew_takes_over_what_others_did(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """Before a create, nothing older than this moment counts."""
    gone, stays = (emulator.connect(acme, "suuo")["id"] for _ in range(2))
    snapshot.company(acme)
    emulator.delete_connection(gone)
    new = emulator.connect(acme, "suuo")["id"]

    assert {c.id for c in snapshot.relist(acme)} == {stays, new}
    assert {c.id for c in snapshot.company(acme)} == {stays, new}


# Platform keys that Codat leaves out.


def test_a_missing_platform_key_is_found_by_the_integration(
    emulator: Emulator, snapshot: Snapshot, acme: str
) -> None:
    """`integrationKey` is optional; `GET /integrations` is read once, however many there are."""
    emulator.knobs({"integrationKey": "absent"})
    ids = {platform: emulator.connect(acme, platform)["id"] for platform in ("gbol", "suuo", "dfxm")}
    for platform, connection in ids.items():
        live = snapshot.find(acme, connection)
        assert live is not None
        assert live.platform_key == platform
    assert snapshot.fresh(acme, ids["gbol"]) == snapshot.find(acme, ids["gbol"])

    assert paths(emulator).count("GET /integrations") == 1


def test_a_platform_key_that_is_there_needs_no_integrations(
    emulator: Emulator, snapshot: Snapshot, acme: str
) -> None:
    """The usual case costs nothing."""
    emulator.connect(acme, "gbol")

    assert [c.platform_key for c in snapshot.company(acme)] == ["gbol"]
    assert "GET /integrations" not in paths(emulator)


@pytest.mark.parametrize("integration", [None, NOWHERE])
def test_a_platform_that_nothing_names_stays_unnamed(
    emulator: Emulator, snapshot: Snapshot, integration: str | None
) -> None:
    """A guess could adopt the wrong connection."""
    raw = {"id": NOWHERE, "status": "Linked", "integrationId": integration}
    named = snapshot.with_platform_key(parsing.parse_connection(raw, NOWHERE))

    assert named.platform_key is None
    assert cost(emulator) == (0 if integration is None else 1)


# Threads.


def together(work: Callable[[int], object], threads: int = 8) -> None:
    """Do the work in threads at once; the first error is raised."""
    failed: list[BaseException] = []
    start = threading.Barrier(threads)

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  raised below
            failed.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join(30)
    if failed:
        raise failed[0]
    assert not [each for each in running if each.is_alive()]


def test_eight_threads_share_what_is_read(emulator: Emulator, snapshot: Snapshot) -> None:
    """Each company once, all of them within the same bound, none mixed up."""
    everything = fill(emulator, 40, each=2)
    emulator.knobs({"integrationKey": "absent"})
    emulator.clear_requests()

    def work(number: int) -> None:
        for pair in everything[number:] + everything[:number]:
            live = snapshot.find(*pair)
            assert live is not None
            assert (live.company_id, live.id, live.platform_key) == (*pair, "suuo")

    together(work)

    assert cost(emulator) <= 8 + 1 + 1
    assert len(set(paths(emulator))) == cost(emulator)


def test_a_scan_does_not_overwrite_what_another_thread_wrote(emulator: Emulator) -> None:
    """A page that was read before our unlink shows it Linked still."""
    read = fill(emulator, 2)
    asked = emulator.add_company("Without connections")["id"]
    (written,) = fill(emulator, 1)
    reading, done = threading.Event(), threading.Event()

    def pause() -> None:
        if threading.current_thread().name == "scan" and paths(emulator)[-1:] == ["GET /companies"]:
            reading.set()
            done.wait(5)

    snapshot = Snapshot(quick(emulator, pause))
    for pair in read:
        snapshot.find(*pair)
    emulator.knobs({"integrationKey": "absent"})  # so that the scan goes and asks in the midst of a page
    scan = threading.Thread(target=snapshot.company, args=(asked,), name="scan")
    scan.start()
    assert reading.wait(5)
    emulator.knobs({"integrationKey": "present"})
    snapshot.relist(written.company)
    snapshot.put(quick(emulator).unlink(*written))
    done.set()
    scan.join(5)
    live = snapshot.find(*written)

    assert live is not None
    assert live.status == "Unlinked"


def test_a_company_is_held_by_one_thread_at_a_time(emulator: Emulator, snapshot: Snapshot, acme: str) -> None:
    """Listing and posting are one step, or two threads would make two of one."""
    client = quick(emulator)

    def work(_: int) -> None:
        with snapshot.locked(acme):
            if not snapshot.relist(acme):
                snapshot.put(client.create(acme, "gbol"))

    together(work)

    assert len(snapshot.company(acme)) == 1
    assert emulator.counts()["create-connection"] == 1


def test_who_reads_thousands_reads_the_tenant_at_once() -> None:
    """Its pages are fewer than the companies, and no company is read by itself before."""
    with serving(companies=120, linked=True) as emulator:
        small_pages(emulator)
        reader = Reader(emulator.api_key, emulator.url)
        ids = [company.id for page in reader.company_pages() for company in page.results]
        emulator.clear_requests()

        Snapshot(reader).prefetch(ids)

        assert emulator.counts() == {"list-companies": 2}
