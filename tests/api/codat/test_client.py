"""Codat's API for scripts, against the emulator over real HTTP."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from codat_iac.codat.client import Client, Reader
from codat_iac.emulator import Emulator
from codat_iac.model.connection import LiveConnection, Quota
from codat_iac.model.errors import (
    AccountLimit,
    ApiError,
    CodatBroken,
    ConfigError,
    NotCodat,
    NotFound,
    RateLimited,
    Rejected,
    TransportError,
    Unauthorized,
)
from tests.support.raw_server import answering, http, page
from tests.support.waiting import Naps

NOWHERE = str(uuid.UUID(int=0))
COMPANIES = "GET /companies"
CREATE = "POST /companies/*/connections"
ONE = "/companies/*/connections/*"


@pytest.fixture
def client(emulator: Emulator, naps: Naps) -> Client:
    """A client with the right key, which doesn't sleep."""
    return Client(emulator.api_key, emulator.url, sleep=naps, timeout=5)


def failure(call: Callable[..., Any], *arguments: Any, **options: Any) -> ApiError:
    """The error that a call ends in."""
    with pytest.raises(ApiError) as caught:
        call(*arguments, **options)
    return caught.value


def log(emulator: Emulator, method: str) -> list[dict[str, Any]]:
    """The requests with a method, as the emulator saw them."""
    return [entry for entry in emulator.requests()["requests"] if entry["method"] == method]


# The five connection operations.


def test_the_five_operations_are_there(client: Client, emulator: Emulator, acme: str) -> None:
    """Create, get, list, unlink, delete: the whole life of a connection."""
    made = client.create(acme, "gbol")
    assert (made.company_id, made.platform_key, made.status) == (acme, "gbol", "PendingAuth")
    assert client.get(acme, made.id) == made
    assert client.list(acme).results == (made,)

    emulator.authorise(made.id)
    unlinked = client.unlink(acme, made.id)
    assert (unlinked.id, unlinked.status) == (made.id, "Unlinked")

    client.delete(acme, made.id)
    assert client.list(acme).results == ()
    assert failure(client.get, acme, made.id).status == 404


def test_a_reader_reads_as_a_client_does(client: Client, emulator: Emulator, acme: str) -> None:
    """The same key, the same answers; a client is a reader that can do more."""
    made = client.create(acme, "gbol")
    reader = Reader(emulator.api_key, emulator.url, sleep=lambda _: None, timeout=5)

    assert reader.get(acme, made.id) == made
    assert reader.list(acme).results == (made,)
    assert [each.id for page in reader.company_pages() for each in page.results] == [acme]
    assert isinstance(client, Reader)


def test_a_reader_has_nothing_that_writes(emulator: Emulator) -> None:
    """What plans is given one, so that it can't change anything by mistake."""
    reader = Reader(emulator.api_key, emulator.url)
    more = set(dir(Client)) - set(dir(Reader))

    assert {name for name in more if not name.startswith("_")} == {"create", "delete", "unlink"}
    assert [name for name in ("create", "delete", "unlink") if hasattr(reader, name)] == []


def test_a_reader_asks_codat_with_get_alone(emulator: Emulator, acme: str) -> None:
    """Whatever it is asked for."""
    connection_id = str(emulator.connect(acme, "gbol")["id"])
    reader = Reader(emulator.api_key, emulator.url, timeout=5)
    reader.list(acme)
    reader.get(acme, connection_id)
    reader.get_company(acme)
    reader.integrations()
    for pages in (reader.connection_pages(acme), reader.company_pages()):
        assert list(pages)

    assert {entry["method"] for entry in emulator.requests()["requests"]} == {"GET"}


def test_an_id_may_be_written_in_capitals(client: Client, acme: str) -> None:
    """The same id is the same connection."""
    made = client.create(acme.upper(), "gbol")

    assert client.get(acme.upper(), made.id.upper()) == made
    assert made.company_id == acme


@pytest.mark.parametrize("wrong", ["", "acme", "../companies", f"{NOWHERE}/x", f"{NOWHERE}\n", "%2e%2e"])
def test_what_is_no_id_is_refused_before_the_call(client: Client, emulator: Emulator, wrong: str) -> None:
    """It would else become part of another path."""
    calls: list[Callable[[], object]] = [
        lambda: client.list(wrong),
        lambda: client.create(wrong, "gbol"),
        lambda: client.get(NOWHERE, wrong),
        lambda: client.delete(NOWHERE, wrong),
        lambda: client.unlink(NOWHERE, wrong),
        lambda: client.get_company(wrong),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match="is not a UUID"):
            call()

    assert emulator.requests()["total"] == 0


def test_a_list_says_page_and_size_and_passes_query_and_order_on(
    client: Client, emulator: Emulator, acme: str
) -> None:
    """Codat refuses a query without a page size, and its documents disagree on the defaults."""
    for platform in ("gbol", "suuo", "fztf"):
        emulator.connect(acme, platform)
    client.list(acme)
    ordered = client.list(acme, order_by="-platformName")
    found = client.list(acme, query="platformName = Plaid && status=Linked")
    second = client.list(acme, page=2, page_size=2)

    assert [c.platform_key for c in ordered.results] == ["gbol", "fztf", "suuo"]
    assert [c.platform_key for c in found.results] == ["suuo"]
    assert (second.page_number, second.page_size, second.total_results) == (2, 2, 3)
    assert [c.platform_key for c in second.results] == ["fztf"]
    assert [entry["query"] for entry in log(emulator, "GET")] == [
        "page=1&pageSize=100",
        "page=1&pageSize=100&orderBy=-platformName",
        "page=1&pageSize=100&query=platformName %3D Plaid %26%26 status%3DLinked",
        "page=2&pageSize=2",
    ]


def test_every_create_has_an_idempotency_key_of_its_own(
    client: Client, emulator: Emulator, acme: str
) -> None:
    """Two creates are two connections."""
    client.create(acme, "suuo")
    client.create(acme, "suuo")
    first, second = (uuid.UUID(entry["idempotencyKey"]) for entry in log(emulator, "POST"))

    assert first != second
    assert client.list(acme).total_results == 2


def test_the_same_idempotency_key_makes_one_connection(client: Client, acme: str) -> None:
    """Where Codat honours it, which no document says of this operation."""
    key = str(uuid.uuid4())
    first = client.create(acme, "suuo", idempotency_key=key)
    second = client.create(acme, "suuo", idempotency_key=key.upper())

    assert first == second
    assert client.list(acme).total_results == 1


@pytest.mark.parametrize("key", ["1", "a\r\nX-Evil: 1", "é"])
def test_an_idempotency_key_is_a_guid(client: Client, acme: str, key: str) -> None:
    """As Codat asks."""
    with pytest.raises(ConfigError, match="is not a UUID"):
        client.create(acme, "gbol", idempotency_key=key)


@pytest.mark.parametrize("body", ["empty", "true"])
def test_a_delete_ignores_its_body(client: Client, emulator: Emulator, acme: str, body: str) -> None:
    """Codat's server contract of 2021 says `true`, its specification nothing."""
    emulator.knobs({"deleteBody": body})
    client.delete(acme, emulator.connect(acme, "gbol")["id"])

    assert client.list(acme).total_results == 0


@pytest.mark.parametrize("do", ["html", "truncate"])
def test_a_page_instead_of_an_answer_is_no_success_of_a_delete(
    client: Client, emulator: Emulator, acme: str, do: str
) -> None:
    """A network's sign-in page answers 200 to everything."""
    connection = emulator.connect(acme, "gbol")["id"]
    emulator.knobs({"deleteBody": "true"})
    emulator.faults([{"on": f"DELETE {ONE}", "do": do, "times": 1}])

    assert isinstance(failure(client.delete, acme, connection, retries=0), NotCodat | TransportError)


@pytest.mark.parametrize(
    "knob", ["unknownFields", "emptyFields", "linkUrlOtp", "inlineConnections", "integrationKey"]
)
def test_answers_are_read_tolerantly(client: Client, emulator: Emulator, acme: str, knob: str) -> None:
    """Unknown fields, nulls, links that change and keys that are left out are normal."""
    values = {
        "unknownFields": True,
        "emptyFields": "null",
        "linkUrlOtp": "rotating",
        "inlineConnections": "sparse",
    }
    emulator.knobs({knob: values.get(knob, "absent")})
    made = client.create(acme, "gbol")

    assert client.list(acme).results == (made,)
    assert client.get(acme, made.id) == made
    (company,) = client.list_companies().results
    assert company.connections == (made,)


# Companies and integrations.


def test_companies_come_with_their_connections(client: Client, emulator: Emulator, acme: str) -> None:
    """In one call for a hundred of them."""
    connection = emulator.connect(acme, "gbol")["id"]
    listed = client.list_companies(query="name = Acme", order_by="name", page_size=7)
    company = client.get_company(acme)

    assert listed.results == (company,)
    assert (company.id, company.name) == (acme, "Acme")
    assert [c.id for c in company.connections or ()] == [connection]
    assert client.list_companies(tags="region=uk").results == ()
    assert [entry["query"] for entry in log(emulator, "GET") if entry["path"] == "/companies"] == [
        "page=1&pageSize=7&query=name %3D Acme&orderBy=name",
        "page=1&pageSize=100&tags=region%3Duk",
    ]


def test_a_company_that_is_not_there_is_not_found(client: Client, emulator: Emulator) -> None:
    """The same from each operation, with Codat's own words."""
    calls: list[Callable[[], object]] = [
        lambda: client.get_company(NOWHERE),
        lambda: client.list(NOWHERE),
        lambda: client.get(NOWHERE, NOWHERE),
        lambda: client.create(NOWHERE, "gbol"),
        lambda: client.unlink(NOWHERE, NOWHERE),
        lambda: client.delete(NOWHERE, NOWHERE),
    ]
    for call in calls:
        error = failure(call)
        assert type(error) is NotFound
        assert error.body.service == "ClientsApi"
        assert f"No company was found with ID {NOWHERE} (HTTP 404" in str(error)

    assert emulator.requests()["total"] == len(calls)


def test_all_integrations_are_read_over_all_pages(client: Client, emulator: Emulator) -> None:
    """Enabled or not."""
    keys = [integration.key for integration in client.integrations()]
    first = client.list_integrations(page_size=5)

    assert len(keys) == len(set(keys)) == first.total_results
    assert {"gbol", "dfxm"} <= set(keys)
    assert emulator.counts()


def test_all_pages_of_a_company_are_read(client: Client, emulator: Emulator, acme: str) -> None:
    """By the links that Codat gives, a thousand connections at a time."""
    for _ in range(1001):
        emulator.connect(acme, "suuo")
    pages = list(client.connection_pages(acme))

    assert [len(each.results) for each in pages] == [1000, 1]
    assert len({c.id for each in pages for c in each.results}) == 1001


@pytest.mark.parametrize(
    "second",
    [page({"id": NOWHERE}, total=9, follow="/companies?page=2"), page(total=9, follow="/companies?page=3")],
    ids=["a page that leads to itself", "an empty page that leads on"],
)
def test_pages_that_lead_in_a_circle_end(second: dict[str, Any]) -> None:
    """A broken server is no reason to ask for ever."""
    first = page({"id": NOWHERE}, total=9, follow="/companies?page=2")
    with answering(http(first), http(second)) as server:
        error = failure(lambda: list(Client("key", server.url).company_pages()))

    assert isinstance(error, NotCodat)
    assert "GET /companies: the pages lead in a circle" in str(error)
    assert len(server.requests) == 2


@pytest.mark.parametrize("form", ["{0}/companies?page=2", "//{1}/companies?page=2", "@{1}/companies?page=2"])
def test_no_page_is_read_from_another_host(form: str) -> None:
    """The key would go with the request."""
    with answering(http(page())) as other:
        follow = form.format(other.url, other.url.removeprefix("http://"))
        first = http(page({"id": NOWHERE}, total=2, follow=follow))
        with answering(first, http(status=500)) as server:
            failure(lambda: list(Client("key", server.url, retries=0).company_pages()))

    assert other.requests == []


# Errors.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, Unauthorized),
        (402, AccountLimit),
        (403, Unauthorized),
        (404, NotFound),
        (422, Rejected),
        (429, RateLimited),
        (500, CodatBroken),
        (503, CodatBroken),
    ],
)
def test_an_error_carries_status_and_body(
    client: Client, emulator: Emulator, acme: str, status: int, kind: type[ApiError]
) -> None:
    """The class says what to do, the rest what happened; Codat's own `statusCode` is sometimes another."""
    emulator.faults([{"on": "GET /companies/*/connections", "do": "status", "status": status}])
    error = failure(client.list, acme, retries=0)

    assert (type(error), error.status, error.doing) == (kind, status, f"GET /companies/{acme}/connections")
    assert error.body.status_code == {402: 429, 503: 500}.get(status, status)
    assert error.body.service == "PublicApi"
    assert error.body.error
    assert error.body.correlation_id
    assert error.body.correlation_id in str(error)
    assert (error.body.validation, error.body.can_be_retried, error.body.detailed_error_code) == (
        None,
        "Unknown",
        0,
    )


def test_what_codat_says_of_a_field_is_carried(client: Client, acme: str) -> None:
    """`validation` as a whole, undocumented keys and all."""
    error = failure(client.create, acme, "nosuchplatform")

    assert isinstance(error, Rejected)
    assert "not valid (HTTP 400" in str(error)


@pytest.mark.parametrize(
    ("key", "status"), [("another", 401), ("outdated", 403)], ids=["unknown", "outdated"]
)
def test_a_wrong_key_is_unauthorized(emulator: Emulator, acme: str, key: str, status: int) -> None:
    """At once, and the key isn't named."""
    emulator.add_key("outdated", outdated=True)
    error = failure(Client(key, emulator.url).get_company, acme)

    assert (type(error), error.status) == (Unauthorized, status)
    assert "check the API key" in str(error)
    assert emulator.requests()["total"] == 1


def test_the_headers_value_from_the_portal_works_as_a_key(emulator: Emulator, acme: str) -> None:
    """It is what people copy."""
    ready = f"Basic {base64.b64encode(emulator.api_key.encode()).decode()}"

    assert Client(ready, emulator.url).get_company(acme).id == acme


@pytest.mark.parametrize(
    "body",
    [page({"id": NOWHERE}), {"results": []}, [], None, {"results": [None], "totalResults": 1}],
    ids=repr,
)
def test_an_answer_of_another_shape_is_not_codats(body: Any) -> None:
    """With the operation, and what is wrong."""
    with answering(http(body)) as server:
        error = failure(Client("key", server.url).list, NOWHERE)

    assert (type(error), error.status, error.doing) == (
        NotCodat,
        200,
        f"GET /companies/{NOWHERE}/connections",
    )
    assert str(error).startswith(f"GET /companies/{NOWHERE}/connections: the answer is not as Codat's spec")


@pytest.mark.parametrize("total", [2**63, -(2**63), 10**4000])
def test_a_number_of_thousands_of_digits_counts_nothing(total: int) -> None:
    """JSON has no bound, but a message of four thousand digits is no line."""
    with answering(http({**page({"id": NOWHERE, "status": "Linked"}), "totalResults": total})) as server:
        error = failure(Client("key", server.url).list, NOWHERE)

    assert type(error) is NotCodat
    assert "'totalResults' is missing" in str(error)


def test_a_tag_of_half_a_character_can_be_written_down() -> None:
    """JSON can say it and UTF-8 can't, in a tag's name and in its value."""
    with answering(http({"id": NOWHERE, "tags": {"a\ud800": "\udfff"}})) as server:
        company = Client("key", server.url).get_company(NOWHERE)

    assert company.tags == {"a\ufffd": "\ufffd"}


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_page_of_a_proxy_is_an_error_and_never_gone(
    client: Client, emulator: Emulator, acme: str, status: int
) -> None:
    """A 404 that Codat didn't write says nothing about a connection."""
    connection = emulator.connect(acme, "gbol")["id"]
    emulator.faults([{"on": f"GET {ONE}", "do": "html", "status": status}])
    error = failure(client.get, acme, connection, retries=0)

    assert type(error) is (CodatBroken if status == 502 else NotCodat)
    assert error.status == status


def test_no_secret_is_shown(client: Client, emulator: Emulator, acme: str) -> None:
    """Neither the key nor a link's one-time password, whatever is printed."""
    made = client.create(acme, "gbol")
    otp = made.link_url.partition("otp=")[2]
    emulator.faults(
        [
            {
                "on": COMPANIES,
                "do": "status",
                "status": 400,
                "body": {"error": f"{made.link_url} {emulator.api_key}"},
            }
        ]
    )
    error = failure(client.list_companies)
    encoded = base64.b64encode(emulator.api_key.encode()).decode()

    assert otp
    for thing in (
        client,
        client._transport,
        made,
        client.list(acme),
        client.get_company(acme),
        error,
        vars(error),
    ):
        for text in (str(thing), repr(thing)):
            assert not [secret for secret in (otp, emulator.api_key, encoded) if secret in text]


# Repeating.


@pytest.mark.parametrize("do", ["status", "reset-before", "truncate"])
def test_reads_deletes_and_unlinks_are_repeated(
    client: Client, emulator: Emulator, acme: str, naps: Naps, do: str
) -> None:
    """After a 5xx, a reset or half an answer, since each of them can be done twice."""
    connection = emulator.connect(acme, "gbol")["id"]
    emulator.faults([{"on": f"* {ONE}", "do": do, "status": 503, "times": 2}])
    assert client.get(acme, connection).status == "Linked"
    emulator.faults([{"on": f"* {ONE}", "do": do, "status": 503, "times": 2}])
    assert client.unlink(acme, connection).status == "Unlinked"
    emulator.faults([{"on": f"* {ONE}", "do": do, "status": 503, "times": 2}])
    client.delete(acme, connection)

    assert client.list(acme).results == ()
    assert len(naps) == 6


@pytest.mark.parametrize(
    "do", ["status", "status-after-commit", "reset-before", "reset-after-commit", "truncate", "html"]
)
def test_a_create_is_not_repeated(client: Client, emulator: Emulator, acme: str, naps: Naps, do: str) -> None:
    """Exactly one POST reaches Codat: a second could be a second connection."""
    emulator.faults([{"on": CREATE, "do": do, "status": 500}])
    failure(client.create, acme, "gbol")

    assert len(log(emulator, "POST")) == 1
    assert naps == []


def test_a_create_waits_for_a_429_and_keeps_its_idempotency_key(
    client: Client, emulator: Emulator, acme: str, naps: Naps
) -> None:
    """Codat doesn't keep the answer of a 429, so the same key is right."""
    emulator.faults(
        [{"on": CREATE, "do": "status", "status": 429, "headers": {"Retry-After": "3"}, "times": 2}]
    )
    client.create(acme, "gbol")
    keys = [entry["idempotencyKey"] for entry in log(emulator, "POST")]

    assert (len(keys), len(set(keys)), naps) == (3, 1, [3, 3])
    assert client.list(acme).total_results == 1


@pytest.mark.parametrize("form", ["seconds", "http-date"])
def test_retry_after_is_honoured_in_both_forms(
    client: Client, emulator: Emulator, acme: str, naps: Naps, form: str
) -> None:
    """Codat doesn't say which it sends."""
    emulator.knobs({"retryAfterFormat": form, "requestsPerMinute": 1})
    client.get_company(acme)
    failure(client.get_company, acme)

    assert naps
    assert 50 < naps[0] <= 61


def test_a_spent_quota_ends_at_once_and_says_when_to_come_back(
    client: Client, emulator: Emulator, acme: str, naps: Naps
) -> None:
    """Midnight UTC is too long to wait for."""
    seven_in_the_evening = (19 * 3600 - time.time()) % (24 * 3600)
    emulator.knobs({"dailyQuota": 0, "clockAheadSeconds": seven_in_the_evening})
    error = failure(client.get_company, acme)

    assert isinstance(error, RateLimited)
    assert str(error).endswith("come back in 5 h 0 min")
    assert error.retry_after == pytest.approx(5 * 3600, abs=60)
    assert (emulator.requests()["total"], naps) == (1, [])


def test_the_quota_is_what_the_last_answer_said(client: Client, emulator: Emulator, acme: str) -> None:
    """Nothing is known before the first; and asking for it costs nothing."""
    emulator.knobs({"dailyQuota": 5, "rateLimitResetFormat": "iso"})
    assert client.quota == Quota(None, None)
    client.get_company(acme)
    client.get_company(acme)

    assert client.quota.remaining == 3
    assert client.quota.reset is not None
    assert client.quota.reset.endswith("T00:00:00.0000000Z")
    assert emulator.requests()["total"] == 2


@pytest.mark.parametrize("do", ["status-after-commit", "reset-after-commit", "truncate"])
def test_a_delete_that_was_done_before_its_answer_got_lost_succeeds(
    client: Client, emulator: Emulator, acme: str, do: str
) -> None:
    """The second try gets the 404 that the first one made."""
    connection = emulator.connect(acme, "gbol")["id"]
    emulator.knobs({"deleteBody": "true"})
    emulator.faults([{"on": f"DELETE {ONE}", "do": do, "times": 1}])
    client.delete(acme, connection)

    assert [entry["status"] for entry in log(emulator, "DELETE")][1:] == [404]


def test_a_delete_of_what_is_gone_is_not_found(client: Client, acme: str) -> None:
    """Where no earlier try of ours can have been it."""
    assert type(failure(client.delete, acme, NOWHERE)) is NotFound


@pytest.mark.parametrize("do", ["status-after-commit", "reset-after-commit", "truncate"])
@pytest.mark.parametrize("again", [200, 400, 404])
def test_an_unlink_that_was_done_before_its_answer_got_lost_succeeds(
    client: Client, emulator: Emulator, acme: str, do: str, again: int
) -> None:
    """However Codat answers to unlinking what is Unlinked: nobody has documented it."""
    connection = emulator.connect(acme, "gbol")["id"]
    emulator.knobs({"unlinkedUnlink": again})
    emulator.faults([{"on": f"PATCH {ONE}", "do": do, "times": 1}])

    assert client.unlink(acme, connection).status == "Unlinked"
    assert [entry["status"] for entry in log(emulator, "PATCH")][1:] == [again]


@pytest.mark.parametrize("status", ["PendingAuth", "Unlinked"])
def test_an_unlink_that_codat_refuses_is_rejected(
    client: Client, emulator: Emulator, acme: str, status: str
) -> None:
    """In Codat's own words, and without a second look where there was no doubt."""
    connection = emulator.connect(acme, "gbol", status)["id"]
    error = failure(client.unlink, acme, connection)

    assert type(error) is Rejected
    assert "can be unlinked" in str(error)
    assert emulator.requests()["total"] == 1


def test_an_unlink_that_codat_refuses_after_doubt_is_rejected_too(
    client: Client, emulator: Emulator, acme: str
) -> None:
    """The doubt is looked into: it isn't Unlinked, so it was not our doing."""
    connection = emulator.connect(acme, "gbol", "PendingAuth")["id"]
    emulator.faults([{"on": f"PATCH {ONE}", "do": "reset-before", "times": 1}])

    assert type(failure(client.unlink, acme, connection)) is Rejected


def test_retries_can_be_overridden_at_each_operation(client: Client, emulator: Emulator, acme: str) -> None:
    """0 for a script that would rather hear of it at once."""
    emulator.faults([{"on": "* /**", "do": "status", "status": 503, "times": 1000}])
    calls: list[Callable[[], object]] = [
        lambda: client.list(acme, retries=0),
        lambda: client.create(acme, "gbol", retries=0),
        lambda: client.get(acme, NOWHERE, retries=0),
        lambda: client.delete(acme, NOWHERE, retries=0),
        lambda: client.unlink(acme, NOWHERE, retries=0),
        lambda: client.list_companies(retries=0),
        lambda: client.get_company(acme, retries=0),
        lambda: client.list_integrations(retries=0),
    ]
    for call in calls:
        assert type(failure(call)) is CodatBroken

    assert emulator.requests()["total"] == len(calls)


def test_a_slow_body_is_given_up(emulator: Emulator, acme: str) -> None:
    """Every read of it is quick; the whole must be there within the timeout."""
    emulator.faults([{"on": "GET /companies/*", "do": "slow-body", "seconds": 8}])
    error = failure(Client(emulator.api_key, emulator.url, timeout=0.4).get_company, acme, retries=0)

    assert type(error) is TransportError
    assert "not within 1 s" in str(error)


def test_the_guard_stops_each_kind_of_write(emulator: Emulator, acme: str) -> None:
    """And none of the reads."""

    def guard() -> None:
        raise InterruptedError("the engine is gone")

    client = Client(emulator.api_key, emulator.url, guard=guard)
    writes: list[Callable[[], object]] = [
        lambda: client.create(acme, "gbol"),
        lambda: client.unlink(acme, NOWHERE),
        lambda: client.delete(acme, NOWHERE),
    ]
    for write in writes:
        with pytest.raises(InterruptedError):
            write()

    assert client.list(acme).results == ()
    assert [entry["method"] for entry in emulator.requests()["requests"]] == ["GET"]


def test_the_throttle_is_asked_before_every_call(emulator: Emulator, acme: str) -> None:
    """Each try counts at Codat, the repeated ones too."""
    asked: list[int] = []
    client = Client(emulator.api_key, emulator.url, throttle=lambda: asked.append(1), sleep=Naps())
    emulator.faults([{"on": "* /**", "do": "status", "status": 503, "times": 3}])
    client.list(acme)

    assert len(asked) == emulator.requests()["total"] == 4


def test_what_a_create_answers_may_lack_the_platform(client: Client, emulator: Emulator, acme: str) -> None:
    """`integrationKey` is optional; the integration's id leads to it."""
    emulator.knobs({"integrationKey": "absent-on-create"})
    made = client.create(acme, "gbol")

    assert isinstance(made, LiveConnection)
    assert made.platform_key is None
    assert made.integration_id in {i.integration_id for i in client.integrations() if i.key == "gbol"}
