"""What travels: headers, answers and bodies as Codat sends them, and as nobody should."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codat_iac.codat import authorization, parsing, responses
from codat_iac.model.connection import Company, DataConnectionError, Integration, LiveConnection, Quota
from codat_iac.model.errors import (
    AccountLimit,
    ApiError,
    CodatBroken,
    ErrorMessage,
    NotCodat,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
)
from codat_iac.model.text import safe_text

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
KEY = "k3y-of-forty-characters-and-some-more-00"
ENCODED = base64.b64encode(KEY.encode()).decode()
OTP = "0ne-t1me-passw0rd"
COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"
CONNECTION = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
JSON = {"content-type": "application/json; charset=utf-8"}

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""


def decipher(status: int, body: bytes | dict[str, Any] = b"", headers: dict[str, str] | None = None) -> Any:
    """An answer to `GET /companies`."""
    whole = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = JSON if headers is None else headers
    return responses.decipher(status, given, whole, doing="GET /companies", now=NOW, secrets=(KEY, ENCODED))


def refusal(
    status: int, body: bytes | dict[str, Any] = b"", headers: dict[str, str] | None = None
) -> ApiError:
    """The error that an answer is."""
    with pytest.raises(ApiError) as caught:
        decipher(status, body, headers)
    return caught.value


# The header.


@pytest.mark.parametrize(
    ("key", "header"),
    [
        pytest.param("abc", "Basic YWJj", id="bare"),
        pytest.param("  abc\n", "Basic YWJj", id="bare, with spaces around"),
        pytest.param("Basic YWJj", "Basic YWJj", id="ready-made"),
        pytest.param("basic  YWJj ", "Basic YWJj", id="ready-made, written loosely"),
        pytest.param("basically", "Basic YmFzaWNhbGx5", id="bare, and only looks ready-made"),
        pytest.param("user:key", "Basic dXNlcjprZXk=", id="no colon is added or taken away"),
    ],
)
def test_the_header_holds_the_bare_key_in_base64(key: str, header: str) -> None:
    """As Codat says: no user, no colon; and the Portal's ready-made value works as it is."""
    assert authorization.authorization(key) == header


@pytest.mark.parametrize(
    ("key", "forms"),
    [
        pytest.param("abc", {"abc", "YWJj"}, id="bare"),
        pytest.param("Basic YWJj", {"abc", "YWJj"}, id="ready-made"),
        pytest.param("Basic YWJjOg==", {"abc", "YWJjOg=="}, id="ready-made with a colon"),
        pytest.param("Basic !!!!", {"!!!!"}, id="ready-made and not base64"),
        pytest.param("Basic /w==", {"/w=="}, id="ready-made and not text"),
    ],
)
def test_every_form_of_the_key_is_secret(key: str, forms: set[str]) -> None:
    """An answer may repeat the header, or the key that it holds."""
    assert set(authorization.secret_forms(key)) == forms


# Foreign text in our messages.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param(f"key {KEY} here", "key *** here", id="the key"),
        pytest.param(f"Basic {ENCODED}", "Basic ***", id="the header"),
        pytest.param(f"/start?otp={OTP}&a=1", "/start?otp=***&a=1", id="a one-time password"),
        pytest.param(f"?link.OTP={OTP}", "?link.OTP=***", id="a company's one-time password"),
        pytest.param(f"next=%2Fstart%3Fotp%3D{OTP}", "next=%2Fstart%3Fotp%3D***", id="one within a URL"),
        pytest.param(f"https://link-api.codat.io/companies/x?otp={OTP} .", "*** .", id="a link"),
        pytest.param('"https://link.codat.io/company/x" gone', '"***" gone', id="a link without a password"),
        pytest.param("a\r\nb\tc\x00d\x1b[31me\x9b", "a b c d [31me", id="control characters"),
        pytest.param("a\u2028b\u202ec\ufeff", "a b c", id="line ends and directions of Unicode"),
        pytest.param("a\ud800b", "a\ufffdb", id="half a character"),
        pytest.param("é" * 301, "é" * 300 + "...", id="too long"),
        pytest.param("x" * 290 + KEY, "x" * 290 + "***", id="the key across the cut"),
    ],
)
def test_foreign_text_is_made_fit_for_a_line(text: str, shown: str) -> None:
    """No secrets, no control characters, no essays."""
    assert safe_text(text, (KEY, ENCODED)) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (1, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7140, "119 min"),
        (7200, "2 h 0 min"),
        (11_100, "3 h 5 min"),
        (86_400, "24 h 0 min"),
    ],
)
def test_a_duration_is_said_the_way_people_do(seconds: float, text: str) -> None:
    """In the two largest units that matter."""
    assert responses.duration(seconds) == text


# Retry-After.


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("0", 0.0, id="now"),
        pytest.param(" 17 ", 17.0, id="seconds"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("3600", 3600.0, id="an hour"),
        pytest.param("999999999999", 86_400.0, id="centuries"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="a word"),
        pytest.param("١٢", None, id="digits of another script"),
        pytest.param("1e3", None, id="an exponent"),
        pytest.param("nan", None, id="not a number"),
        pytest.param("Tue, 24 Nov 2026 12:00:30 GMT", 30.0, id="a date"),
        pytest.param("Tue, 24 Nov 2026 14:00:30 +0200", 30.0, id="a date with an offset"),
        pytest.param("Tue, 24 Nov 2026 12:00:30 -0000", 30.0, id="a date without a zone"),
        pytest.param("Tue, 24 Nov 2026 11:00:00 GMT", 0.0, id="a date that is past"),
        pytest.param("Fri, 24 Nov 2028 12:00:00 GMT", 86_400.0, id="a date too far away"),
        pytest.param("Tue, 99 Nov 2026 12:00:00 GMT", None, id="a date that isn't"),
        pytest.param("Tue, 24 Nov 99999999999999999999 12:00:00 GMT", None, id="a year out of all bounds"),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """Codat doesn't say which; and what makes no sense is no answer."""
    assert responses.retry_after(header, NOW) == seconds


@CALM
@given(
    st.text()
    | st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,30} (Jan|Feb|Nov) \d{1,30} \d+:\d+:\d+ ([+-]\d{1,9}|GMT)\Z")
    | st.integers().map(str)
)
def test_any_retry_after_is_a_time_within_a_day_or_nothing(header: str) -> None:
    """Whatever comes, nobody waits for longer than a daily quota lasts, or crashes."""
    seconds = responses.retry_after(header, NOW)

    assert seconds is None or 0 <= seconds <= responses.LONGEST_WAIT


@CALM
@given(st.integers(0, 86_400), st.sampled_from(["%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S +0000"]))
def test_a_date_means_the_same_as_its_seconds(seconds: int, form: str) -> None:
    """Both forms of one moment are the same wait."""
    date = (NOW + timedelta(seconds=seconds)).strftime(form)

    assert responses.retry_after(date, NOW) == responses.retry_after(str(seconds), NOW) == seconds


# What is left of today's requests.


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({}, Quota(None, None)),
        ({"x-rate-limit-remaining": " 12 ", "x-rate-limit-reset": "1767225600"}, Quota(12, "1767225600")),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "soon"}, Quota(0, "soon")),
        ({"x-rate-limit-remaining": "-1"}, Quota(None, None)),
        ({"x-rate-limit-remaining": "²"}, Quota(None, None)),
        ({"x-rate-limit-remaining": "9" * 5000}, Quota(None, None)),
    ],
    ids=["none", "some", "nothing left", "negative", "a superscript", "a huge number"],
)
def test_the_quota_is_read_from_the_headers(headers: dict[str, str], quota: Quota) -> None:
    """A number that is none is not known; when it is reset has no documented form."""
    assert parsing.parse_quota(headers) == quota


# Answers.


@pytest.mark.parametrize(
    ("body", "headers", "data"),
    [
        pytest.param(b'{"a": 1}', JSON, {"a": 1}, id="JSON"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', JSON, {"a": 1}, id="JSON with a byte order mark"),
        pytest.param(b'{"a": 1}', {}, {"a": 1}, id="JSON without a type"),
        pytest.param(b"[]", {"content-type": "application/problem+JSON"}, [], id="another JSON type"),
        pytest.param(b"", JSON, None, id="nothing"),
        pytest.param(b" \r\n", {"content-type": "text/plain"}, None, id="blanks"),
        pytest.param(b"true", JSON, True, id="the true of a delete"),
        pytest.param(b"null", JSON, None, id="null"),
    ],
)
@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_gives_its_data(status: int, body: bytes, headers: dict[str, str], data: Any) -> None:
    """Any 2xx does, with JSON or with nothing."""
    assert decipher(status, body, headers) == data


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (200, b"<html>Sign in</html>", {"content-type": "text/html; charset=utf-8"}, "200 with text/html"),
        (200, b"ok", {"content-type": "text/plain"}, "200 with text/plain"),
        (200, b'{"results": [', JSON, "200 with application/json"),
        (200, b"nothing", {}, "200 with something"),
        (200, b"x", {"content-type": f"a/{KEY}\x1b"}, r"200 with a/\*\*\*"),
        (200, b"[" * 100_000, JSON, "200 with application/json"),
        (200, b"1" * 10_000, JSON, "200 with application/json"),
        (404, b"<h1>Not here</h1>", {"content-type": "text/html"}, "404 with text/html"),
        (404, b"404 page not found", {"content-type": "text/plain"}, "404 with text/plain"),
    ],
    ids=[
        "a page",
        "text",
        "half",
        "no type",
        "a type with the key",
        "deep",
        "a huge number",
        "404",
        "404 text",
    ],
)
def test_what_is_not_json_is_not_codat(status: int, body: bytes, headers: dict[str, str], words: str) -> None:
    """A sign-in page is no success, and a proxy's 404 doesn't mean that a connection is gone."""
    error = refusal(status, body, headers)

    assert type(error) is NotCodat
    assert error.status == status
    with pytest.raises(NotCodat, match=f"^GET /companies: answered HTTP {words} that is not JSON"):
        raise error


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_a_redirect_is_not_codat(status: int) -> None:
    """The key must not follow it."""
    error = refusal(status, b"", {"location": "https://else.where/"})

    assert (type(error), error.status) == (NotCodat, status)
    assert "the API key must not follow" in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "step"),
    [
        (400, Rejected, "correct the request"),
        (401, Unauthorized, "check the API key (CODAT_API_KEY or codat:apiKey)"),
        (402, AccountLimit, "the limit of your Codat plan is reached, see Account in the Codat Portal"),
        (403, Unauthorized, "check the API key (CODAT_API_KEY or codat:apiKey)"),
        (404, NotFound, "it is gone, or it belongs to another API key"),
        (405, Rejected, "correct the request"),
        (408, Rejected, "try again"),
        (409, Rejected, "correct the request"),
        (422, Rejected, "correct the request"),
        (429, RateLimited, "come back later"),
        (451, Rejected, "correct the request"),
        (500, CodatBroken, "try again later"),
        (503, CodatBroken, "try again later"),
        (599, CodatBroken, "try again later"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>"], ids=["empty", "html"])
def test_the_status_decides_the_error_even_without_a_body(
    status: int, kind: type[ApiError], step: str, body: bytes
) -> None:
    """Proxies answer with pages, Codat sometimes with nothing; what to do next is the same."""
    if status == 404:
        body = b""
    error = refusal(status, body, {"content-type": "text/html"})

    assert (type(error), error.status, error.doing) == (kind, status, "GET /companies")
    assert error.body == ErrorMessage()
    assert str(error) == f"GET /companies: refused (HTTP {status}); {step}"


def test_an_error_carries_every_field_of_codats_body() -> None:
    """As Codat sent it, under our names."""
    validation = {
        "errors": [{"itemId": "platformKey", "message": "must be 4 letters.", "validatorName": None}],
        "warnings": [],
        "_internals": [],
    }
    error = refusal(
        400,
        {
            "statusCode": 400,
            "service": "PublicApi",
            "error": "Error processing request - not valid.",
            "correlationId": "5f1c",
            "validation": validation,
            "canBeRetried": "Unknown",
            "detailedErrorCode": 7,
            "addedLater": True,
        },
    )

    assert error.body == ErrorMessage(
        status_code=400,
        service="PublicApi",
        error="Error processing request - not valid.",
        correlation_id="5f1c",
        validation=validation,
        can_be_retried="Unknown",
        detailed_error_code=7,
    )
    assert str(error) == (
        "GET /companies: Error processing request - not valid; platformKey: must be 4 letters"
        " (HTTP 400, correlation id 5f1c); correct the request"
    )


def test_the_http_status_wins_over_the_bodys() -> None:
    """Codat's own example of a 402 has 429 in its body: waiting would not help."""
    error = refusal(402, {"statusCode": 429, "error": "Over 50 companies"})

    assert (type(error), error.status, error.body.status_code) == (AccountLimit, 402, 429)


@pytest.mark.parametrize(
    ("sent", "read"),
    [(True, "True"), (False, "False"), ("No", "No"), (None, None), (1, None), ({}, None)],
    ids=repr,
)
def test_can_be_retried_may_be_a_boolean(sent: Any, read: str | None) -> None:
    """The specification says a string, real answers vary."""
    assert refusal(500, {"canBeRetried": sent}).body.can_be_retried == read


@pytest.mark.parametrize(
    "raw",
    [None, 7, "text", [], [{}], {"error": 1, "statusCode": "400", "detailedErrorCode": True, "service": []}],
    ids=repr,
)
def test_what_is_no_error_message_gives_empty_fields(raw: Any) -> None:
    """A field of another type counts as not sent."""
    assert parsing.parse_error_message(raw) == ErrorMessage()


@pytest.mark.parametrize(
    "validation",
    [None, [], "x", {}, {"errors": None}, {"errors": {}}, {"errors": [None, 7, {}, {"message": 1}]}],
    ids=repr,
)
def test_a_validation_of_any_shape_does_no_harm(validation: Any) -> None:
    """Its shape is documented, but so was everything that changed."""
    error = refusal(400, {"error": "No.", "validation": validation})

    assert str(error) == "GET /companies: No (HTTP 400); correct the request"
    assert error.body.validation == validation


def test_a_validation_deeper_than_sense_is_cut() -> None:
    """A body made to exhaust the stack is no reason to fall over."""
    deep: Any = "bottom"
    for _ in range(200):
        deep = [deep]
    error = refusal(400, {"validation": deep})

    assert "bottom" not in repr(error.body)


def test_a_server_error_asks_to_quote_the_correlation_id() -> None:
    """That is what Codat's support wants, where there is one."""
    error = refusal(500, {"error": "There is a problem.", "correlationId": "5f1c"})

    assert str(error) == (
        "GET /companies: There is a problem (HTTP 500, correlation id 5f1c); try again later, and quote the"
        " correlation id to Codat if it stays"
    )


@pytest.mark.parametrize(
    ("header", "seconds", "step"),
    [
        ("30", 30.0, "come back in 30 s"),
        ("Tue, 24 Nov 2026 15:05:00 GMT", 11_100.0, "come back in 3 h 5 min"),
        ("whenever", None, "come back later"),
    ],
)
def test_a_429_says_when_to_come_back(header: str, seconds: float | None, step: str) -> None:
    """In the text for people, in seconds for programs."""
    error = refusal(429, {"error": "Too many."}, {**JSON, "retry-after": header})

    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds
    assert str(error).endswith(step)


PIECES = st.sampled_from(
    [
        KEY,
        ENCODED,
        f"Basic {ENCODED}",
        f"otp={OTP}",
        f"https://link.codat.io/x?otp={OTP}",
        "\n",
        "\r",
        "\x1b[2J",
        "\x00",
        "\u2028",
        "\u202e",
        "\ud800",
        "plain words",
        "&",
        '"',
        "otp",
        "=",
        "%",
        "x" * 290,
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=6).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "statusCode",
    "service",
    "error",
    "correlationId",
    "validation",
    "canBeRetried",
    "detailedErrorCode",
]
BODIES = st.one_of(
    st.binary(max_size=200),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(FIELDS), VALUES).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(FIELDS), TEXTS).map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "text/html", ""]) | TEXTS,
        "retry-after": st.sampled_from(["3", "Tue, 24 Nov 2026 12:00:30 GMT"]) | TEXTS,
        "location": TEXTS,
    },
)


@CALM
@given(st.integers(100, 999), HEADERS, BODIES)
def test_any_answer_is_data_or_a_clean_error(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever comes: JSON data, or an `ApiError` of one line without control characters and secrets."""
    try:
        decipher(status, body, headers)
    except ApiError as error:
        ended: ApiError | None = error
    else:
        ended = None

    assert ended is not None or 200 <= status < 300
    if ended is not None:
        assert ended.status == status
        assert not set(str(ended)) & set("\n\r\x00\x1b\u2028\u202e")
        assert str(ended).encode()
        for text in (str(ended), repr(ended), repr(vars(ended))):
            assert not [secret for secret in (KEY, ENCODED, f"otp={OTP}") if secret in text]


# Bodies.

RAW: dict[str, Any] = {
    "id": CONNECTION.upper(),
    "integrationId": "AC000000-0000-4000-8000-000000000000",
    "integrationKey": "gbol",
    "sourceId": CONNECTION,
    "sourceType": "Accounting",
    "platformName": "Xero",
    "linkUrl": f"https://link-api.codat.io/start?otp={OTP}",
    "status": "Linked",
    "lastSync": "2022-10-27T10:22:43.6464237Z",
    "created": "2022-10-27",
    "dataConnectionErrors": [
        {
            "statusCode": "401",
            "statusText": "Unauthorized",
            "errorMessage": "revoked",
            "erroredOnUtc": "2022-10-28",
            "status": "Active",
        },
        None,
    ],
    "connectionInfo": {"anything": 1},
    "addedLater": {},
}


def test_a_connection_is_read_whole() -> None:
    """Ids in small letters, dates as Codat wrote them, unknown fields ignored."""
    read = parsing.parse_connection(RAW, COMPANY.upper())

    assert read == LiveConnection(
        id=CONNECTION,
        company_id=COMPANY,
        status="Linked",
        platform_key="gbol",
        integration_id="ac000000-0000-4000-8000-000000000000",
        platform_name="Xero",
        source_type="Accounting",
        created="2022-10-27",
        last_sync="2022-10-27T10:22:43.6464237Z",
        data_connection_errors=(DataConnectionError("Unauthorized", "revoked", "Active", "2022-10-28"),),
    )
    assert read.link_url == RAW["linkUrl"]


def test_a_connection_needs_no_more_than_id_and_status() -> None:
    """All the rest has been missing or null in real answers."""
    least = {"id": CONNECTION, "status": "SomethingNew"}
    expected = LiveConnection(id=CONNECTION, company_id=COMPANY, status="SomethingNew")

    assert parsing.parse_connection(least, COMPANY) == expected
    assert parsing.parse_connection({**dict.fromkeys(RAW), **least}, COMPANY) == expected


def test_no_live_connection_has_our_word_for_what_does_not_exist() -> None:
    """It would count as gone, and drift from there to nothing would be none."""
    live = parsing.parse_connection({"id": "c1", "status": "absent"}, "company")

    assert live.status == "absent (says Codat)"


def test_a_link_is_neither_shown_nor_compared() -> None:
    """It lets its holder authorise, and it changes at every read."""
    connection = parsing.parse_connection(RAW, COMPANY)
    company = parsing.parse_company({"id": COMPANY, "redirect": f"https://link.codat.io/x?link.otp={OTP}"})

    assert OTP not in repr(connection) + str(connection) + repr(company) + repr([company])
    assert connection == parsing.parse_connection({**RAW, "linkUrl": "another"}, COMPANY)
    assert OTP in company.redirect


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "x",
        {},
        {"id": CONNECTION},
        {"id": "", "status": "Linked"},
        {"id": 1, "status": "Linked"},
        {"id": CONNECTION, "status": None},
    ],
    ids=repr,
)
def test_what_has_no_id_or_status_is_no_connection(raw: Any) -> None:
    """Guessing either could unlink the wrong one."""
    with pytest.raises(parsing.Malformed):
        parsing.parse_connection(raw, COMPANY)


@pytest.mark.parametrize(
    ("raw", "company"),
    [
        pytest.param({"id": COMPANY.upper()}, Company(COMPANY, ""), id="the least"),
        pytest.param(
            {
                "id": COMPANY,
                "name": "Acme",
                "created": "2026",
                "tags": {"a": 1, "b": None},
                "dataConnections": [],
            },
            Company(COMPANY, "Acme", (), {"a": "1", "b": "None"}, "2026"),
            id="the most",
        ),
        pytest.param({"id": COMPANY, "dataConnections": None, "tags": []}, Company(COMPANY, ""), id="nulls"),
        pytest.param(
            {"id": COMPANY, "dataConnections": [{"id": CONNECTION, "status": "Linked"}]},
            Company(COMPANY, "", (LiveConnection(CONNECTION, COMPANY, "Linked"),)),
            id="a connection inline",
        ),
    ],
)
def test_a_company_is_read(raw: Any, company: Company) -> None:
    """No connections and connections that weren't sent are two things."""
    assert parsing.parse_company(raw) == company


@pytest.mark.parametrize(
    ("raw", "integration"),
    [
        pytest.param({"key": "gbol"}, Integration("gbol", "gbol", enabled=False), id="the least"),
        pytest.param(
            {
                "key": "gbol",
                "name": "Xero",
                "enabled": True,
                "integrationId": "AB",
                "sourceType": "Accounting",
            },
            Integration("gbol", "Xero", True, "ab", "Accounting"),
            id="the most",
        ),
        pytest.param(
            {"key": "gbol", "enabled": "true"}, Integration("gbol", "gbol", False), id="not a boolean"
        ),
    ],
)
def test_an_integration_is_read(raw: Any, integration: Integration) -> None:
    """Enabled is what says so."""
    assert parsing.parse_integration(raw) == integration


@pytest.mark.parametrize("parse", [parsing.parse_company, parsing.parse_integration])
@pytest.mark.parametrize("raw", [None, [], "x", {}, {"id": 1, "key": 1}, {"id": "", "key": ""}], ids=repr)
def test_what_has_no_id_or_key_is_malformed(parse: Callable[[Any], Any], raw: Any) -> None:
    """What can't be named can't be kept."""
    with pytest.raises(parsing.Malformed):
        parse(raw)


@pytest.mark.parametrize(
    ("raw", "page"),
    [
        pytest.param({"totalResults": 0}, parsing.Page((), 1, 0, 0, None), id="the least"),
        pytest.param(
            {
                "results": [1, 2],
                "pageNumber": 3,
                "pageSize": 2,
                "totalResults": 9,
                "_links": {"next": {"href": "/companies?page=4"}},
            },
            parsing.Page((1, 2), 3, 2, 9, "/companies?page=4"),
            id="the most",
        ),
        pytest.param(
            {"totalResults": 2, "results": [1, 2]}, parsing.Page((1, 2), 1, 2, 2, None), id="no size"
        ),
        pytest.param(
            {"totalResults": 0, "_links": {"next": None}}, parsing.Page((), 1, 0, 0, None), id="null"
        ),
        pytest.param(
            {"totalResults": 0, "_links": {"next": {"href": 1}}}, parsing.Page((), 1, 0, 0, None), id="1"
        ),
        pytest.param(
            {"totalResults": 0, "_links": []}, parsing.Page((), 1, 0, 0, None), id="links of no kind"
        ),
    ],
)
def test_a_page_is_read(raw: Any, page: parsing.Page[int]) -> None:
    """With its count, and the link to the next where there is one."""
    assert parsing.parse_page(raw, int) == page


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, "a page is not an object"),
        ([], "a page is not an object"),
        ({"results": {}, "totalResults": 0}, "'results' is not a list"),
        ({"results": []}, "'totalResults' is missing"),
        ({"results": [], "totalResults": "0"}, "'totalResults' is missing"),
        ({"results": [], "totalResults": True}, "'totalResults' is missing"),
    ],
    ids=repr,
)
def test_a_page_without_list_and_count_is_malformed(raw: Any, text: str) -> None:
    """Without the count nobody could say that all was read."""
    with pytest.raises(parsing.Malformed, match=text):
        parsing.parse_page(raw, int)


@CALM
@given(
    VALUES
    | st.dictionaries(st.sampled_from([*RAW, "results", "totalResults", "_links", "key", "tags"]), VALUES)
)
def test_any_json_is_read_or_malformed(raw: Any) -> None:
    """And what is read can be written as UTF-8, or it could not be recorded."""
    parsers: list[Callable[[Any], Any]] = [
        lambda data: parsing.parse_connection(data, COMPANY),
        parsing.parse_company,
        parsing.parse_integration,
        lambda data: parsing.parse_page(data, parsing.parse_company),
    ]
    for parse in parsers:
        try:
            read = parse(raw)
        except parsing.Malformed:
            continue
        assert repr(read).encode()
