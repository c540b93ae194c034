"""What travels: Codat's JSON into our words, and an answer into data or an error. No I/O, no clock.

Parsing is tolerant: unknown fields, unknown enum values and nulls are normal, since real answers
have always been looser than the specification (https://docs.codat.io/using-the-api/change-policy).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from codat_iac.errors import (
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
from codat_iac.model import Company, DataConnectionError, Integration, LiveConnection, Quota

T = TypeVar("T")

LONGEST_WAIT = 24 * 3600.0
"""The longest `Retry-After` that is believed, in seconds: quotas are daily."""

_LINK = re.compile(r"(?i)https?://link[a-z0-9.-]*\.codat\.io[^\s\"'<>]*")
_OTP = re.compile(r"(?i)(otp(?:=|%3d))[^\s&\"'<>]+")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
"""Control characters, line ends, and what turns the direction of writing round on a terminal."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half a character, which JSON can say and UTF-8 can't."""

_MOST_WORDS = 300
_DEEPEST = 20
_NOT_JSON = object()


class Malformed(ValueError):
    """An answer has not the shape that Codat's specification gives it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing. `next` is the relative link to the next page, None on the last.

    Source: https://docs.codat.io/using-the-api/paging.
    """

    results: tuple[T, ...]
    page_number: int
    page_size: int
    total_results: int
    next: str | None


def authorization(api_key: str) -> str:
    """Make the header of a bare API key; a ready-made `Basic ...` value stays as it is.

    Codat encodes the bare key, without a user and a colon:
    https://docs.codat.io/using-the-api/authentication.
    """
    key = api_key.strip()
    if key[:6].lower() == "basic ":
        return f"Basic {key[6:].strip()}"
    return f"Basic {base64.b64encode(key.encode()).decode()}"


def secret_forms(api_key: str) -> tuple[str, ...]:
    """Give each form in which an answer could repeat the key: encoded, and bare."""
    encoded = authorization(api_key).removeprefix("Basic ")
    try:
        bare = base64.b64decode(encoded).decode().strip(":")
    except ValueError:
        bare = ""
    return tuple(form for form in (encoded, bare) if form)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Take *secrets*, links and one-time passwords out of foreign text."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _OTP.sub(r"\1***", _LINK.sub("***", text))


def safe_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Make foreign text fit for one line of a message: no secrets, no control characters, not long."""
    text = _SURROGATE.sub("\ufffd", _UNFIT.sub(" ", redact(text, secrets))).strip()
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header as seconds from *now* (aware): a number of them, or an HTTP date.

    None where there is none, or none that makes sense. Codat doesn't say which form it sends.
    """
    if not value:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text, re.ASCII):
        return min(float(text), LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=now.tzinfo)
    return min(max((when - now).total_seconds(), 0.0), LONGEST_WAIT)


def decipher(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    doing: str,
    now: datetime,
    secrets: Iterable[str] = (),
) -> Any:
    """Turn an answer to *doing* (`GET /companies`) into JSON data, or raise the `ApiError` that it is.

    *headers* are looked up by names in small letters. A 404 that isn't JSON is some proxy's, and says
    nothing about a connection.
    """
    hidden = tuple(secrets)
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    data = _json(body) if "json" in media or not media else _NOT_JSON
    foreign = data is _NOT_JSON and body.strip() != b""
    if 200 <= status < 300 and not foreign:
        return None if data is _NOT_JSON else data
    if foreign and (200 <= status < 300 or status == 404):
        raise NotCodat(
            f"{doing}: answered HTTP {status} with {safe_text(media, hidden) or 'something'} that is not"
            " JSON, so this isn't Codat's API; check the base URL (CODAT_BASE_URL or codat:baseUrl)",
            doing=doing,
            status=status,
        )
    raise _error(status, headers, data, doing, now, hidden)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON


_NEXT_STEP: Mapping[type[ApiError], str] = {
    Unauthorized: "check the API key (CODAT_API_KEY or codat:apiKey)",
    AccountLimit: "the limit of your Codat plan is reached, see Account in the Codat Portal",
    NotFound: "it is gone, or it belongs to another API key",
    Rejected: "correct the request",
    CodatBroken: "try again later",
}


def _error(
    status: int, headers: Mapping[str, str], data: Any, doing: str, now: datetime, secrets: tuple[str, ...]
) -> ApiError:
    if 300 <= status < 400:
        return NotCodat(
            f"{doing}: HTTP {status} leads elsewhere, where the API key must not follow; check the base URL"
            " (CODAT_BASE_URL or codat:baseUrl)",
            doing=doing,
            status=status,
        )
    kind = _kind(status)
    body = parse_error_message(_without_secrets(data, secrets))
    said = safe_text("; ".join(text.rstrip(".") for text in (body.error, *_faults(body.validation)) if text))
    trace = f", correlation id {safe_text(body.correlation_id)}" if body.correlation_id else ""
    wait = retry_after(headers.get("retry-after"), now)
    step = "try again" if status == 408 else _NEXT_STEP.get(kind) or _when(wait)
    if kind is CodatBroken and trace:
        step += ", and quote the correlation id to Codat if it stays"
    words = f"{doing}: {said or 'refused'} (HTTP {status}{trace}); {step}"
    error = kind(words, doing=doing, status=status, body=body)
    if isinstance(error, RateLimited):
        error.retry_after = wait
    return error


def _without_secrets(data: Any, secrets: tuple[str, ...], depth: int = 0) -> Any:
    if isinstance(data, str):
        return redact(data, secrets)
    if not isinstance(data, dict | list):
        return data
    if depth == _DEEPEST:
        return None
    if isinstance(data, list):
        return [_without_secrets(item, secrets, depth + 1) for item in data]
    return {redact(key, secrets): _without_secrets(item, secrets, depth + 1) for key, item in data.items()}


def _faults(validation: Any) -> Iterator[str]:
    """Give what Codat says of single fields: `errors` of `validation`, by `itemId` and `message`."""
    errors = validation.get("errors") if isinstance(validation, dict) else None
    for entry in errors if isinstance(errors, list) else ():
        words = (entry.get("itemId"), entry.get("message")) if isinstance(entry, dict) else ()
        yield ": ".join(word for word in words if isinstance(word, str) and word)


def _when(wait: float | None) -> str:
    return "come back later" if wait is None else f"come back in {duration(wait)}"


def duration(seconds: float) -> str:
    """Say a duration the way people do: `40 s`, `12 min`, `3 h 5 min`."""
    whole = max(1, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _kind(status: int) -> type[ApiError]:
    match status:
        case 401 | 403:
            return Unauthorized
        case 402:
            return AccountLimit
        case 404:
            return NotFound
        case 429:
            return RateLimited
        case _:
            return CodatBroken if status >= 500 else Rejected


def parse_error_message(raw: Any) -> ErrorMessage:
    """Read Codat's error body; what isn't one gives empty fields."""
    if not isinstance(raw, dict):
        return ErrorMessage()
    retried = raw.get("canBeRetried")
    return ErrorMessage(
        status_code=_integer(raw.get("statusCode")),
        service=_text(raw.get("service")),
        error=_text(raw.get("error")),
        correlation_id=_text(raw.get("correlationId")),
        validation=raw.get("validation"),
        can_be_retried=str(retried) if isinstance(retried, bool) else _text(retried),
        detailed_error_code=_integer(raw.get("detailedErrorCode")),
    )


def parse_quota(headers: Mapping[str, str]) -> Quota:
    """Read the rate-limit headers, which every answer of Codat's carries."""
    remaining = headers.get("x-rate-limit-remaining", "").strip()
    reset = headers.get("x-rate-limit-reset")
    return Quota(int(remaining) if re.fullmatch(r"[0-9]{1,12}", remaining) else None, reset)


def parse_page(raw: Any, parse: Callable[[Any], T]) -> Page[T]:
    """Read one page. `results` may be missing where there are none; the counts may not.

    Raises `Malformed`.
    """
    body = _mapping(raw, "a page")
    results = body.get("results")
    if not isinstance(results, list | None):
        raise Malformed("'results' is not a list")
    items = tuple(parse(item) for item in results or ())
    links = body.get("_links")
    follow = links.get("next") if isinstance(links, dict) else None
    href = follow.get("href") if isinstance(follow, dict) else None
    total = _integer(body.get("totalResults"))
    if total is None:
        raise Malformed("'totalResults' is missing")
    return Page(
        items,
        _integer(body.get("pageNumber")) or 1,
        _integer(body.get("pageSize")) or len(items),
        total,
        _text(href),
    )


def parse_connection(raw: Any, company_id: str) -> LiveConnection:
    """Read one connection of a company. Without `id` and `status` it isn't one: raises `Malformed`."""
    body = _mapping(raw, "a connection")
    errors = body.get("dataConnectionErrors")
    return LiveConnection(
        id=_required(body, "id", "a connection").lower(),
        company_id=company_id.lower(),
        status=_required(body, "status", "a connection"),
        platform_key=_text(body.get("integrationKey")) or None,
        integration_id=(_text(body.get("integrationId")) or "").lower() or None,
        platform_name=_text(body.get("platformName")) or "",
        source_type=_text(body.get("sourceType")) or "",
        created=_text(body.get("created")) or "",
        last_sync=_text(body.get("lastSync")),
        data_connection_errors=tuple(
            DataConnectionError(
                status_text=_text(entry.get("statusText")),
                error_message=_text(entry.get("errorMessage")),
                status=_text(entry.get("status")),
                errored_on_utc=_text(entry.get("erroredOnUtc")),
            )
            for entry in (errors if isinstance(errors, list) else ())
            if isinstance(entry, dict)
        ),
        link_url=_text(body.get("linkUrl")) or "",
    )


def parse_company(raw: Any) -> Company:
    """Read one company, with its connections where Codat sends them inline. Raises `Malformed`."""
    body = _mapping(raw, "a company")
    company_id = _required(body, "id", "a company").lower()
    inline = body.get("dataConnections")
    tags = body.get("tags")
    return Company(
        id=company_id,
        name=_text(body.get("name")) or "",
        connections=(
            tuple(parse_connection(item, company_id) for item in inline) if isinstance(inline, list) else None
        ),
        tags={str(k): str(v) for k, v in tags.items()} if isinstance(tags, dict) else {},
        created=_text(body.get("created")) or "",
        redirect=_text(body.get("redirect")) or "",
    )


def parse_integration(raw: Any) -> Integration:
    """Read one integration. Raises `Malformed`."""
    body = _mapping(raw, "an integration")
    key = _required(body, "key", "an integration")
    return Integration(
        key=key,
        name=_text(body.get("name")) or key,
        enabled=body.get("enabled") is True,
        integration_id=(_text(body.get("integrationId")) or "").lower() or None,
        source_type=_text(body.get("sourceType")) or "",
    )


def _mapping(raw: Any, what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Malformed(f"{what} is not an object")
    return raw


def _required(body: dict[str, Any], key: str, what: str) -> str:
    value = _text(body.get(key))
    if not value:
        raise Malformed(f"{what} has no {key!r}")
    return value


def _text(value: Any) -> str | None:
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
