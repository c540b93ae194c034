"""Turn one of Codat's answers into data or an error. No I/O, no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from codat_iac.codat.parsing import parse_error_message
from codat_iac.model.errors import (
    AccountLimit,
    ApiError,
    CodatBroken,
    NotCodat,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
)
from codat_iac.model.text import redact, safe_text

LONGEST_WAIT = 24 * 3600.0
"""The longest `Retry-After` that we believe, in seconds: quotas are daily."""

LARGEST_ERROR = 1024 * 1024
"""The largest error body that we read, in bytes, since searching its texts for secrets takes time."""

_DEEPEST = 20
_NOT_JSON = object()


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait, counted from *now* (with a time zone).

    The header may hold a number of seconds or an HTTP date: Codat doesn't say which form it sends. The result
    is None if there is no header or it makes no sense.
    """
    if not value:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text, re.ASCII):
        return min(float(text), LONGEST_WAIT)
    when = http_date(text)
    return None if when is None else min(max((when - now).total_seconds(), 0.0), LONGEST_WAIT)


def http_date(text: str) -> datetime | None:
    """Return the time in a header such as `Date`, None if it makes no sense."""
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def decipher(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    doing: str,
    now: datetime,
    secrets: Iterable[str] = (),
    proxy: str = "",
) -> Any:
    """Return the JSON data of an answer, or raise the `ApiError` that it stands for.

    *doing* names the call, such as `GET /companies`. *headers* are looked up by lower-case names. *secrets*
    are redacted in the error. *proxy* describes the proxy that the answer came through, if there is one. A
    404 that isn't JSON comes from something in between and says nothing about a connection, so it raises
    `NotCodat`; behind a proxy so does a refusal.
    """
    hidden = tuple(secrets)
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    fits = 200 <= status < 300 or len(body) <= LARGEST_ERROR
    data = _json(body) if fits and ("json" in media or not media) else _NOT_JSON
    not_json = data is _NOT_JSON and body.strip() != b""
    if 200 <= status < 300 and not not_json:
        return None if data is _NOT_JSON else data
    if not_json and (200 <= status < 300 or status in ({401, 403, 404, 407} if proxy else {404})):
        raise NotCodat(
            f"{doing}: answered HTTP {status} with {safe_text(media, hidden) or 'something'} that is not"
            f" JSON, so this isn't Codat's API; {remedy(proxy)}",
            doing=doing,
            status=status,
        )
    if 300 <= status < 400:
        raise NotCodat(
            f"{doing}: HTTP {status} leads elsewhere, where the API key must not follow; {remedy(proxy)}",
            doing=doing,
            status=status,
        )
    raise _error(status, headers, data, doing, now, hidden)


def remedy(proxy: str = "") -> str:
    """Return what to check if an answer isn't Codat's; *proxy* describes the proxy, if there is one."""
    base_url = "the base URL (CODAT_BASE_URL or codat:baseUrl)"
    return f"check {proxy}, and {base_url}" if proxy else f"check {base_url}"


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
    kind = _error_class(status)
    body = parse_error_message(_without_secrets(data, secrets))
    said = safe_text(
        "; ".join(text.rstrip(".") for text in (body.error, *_field_errors(body.validation)) if text)
    )
    trace = f", correlation id {safe_text(body.correlation_id)}" if body.correlation_id else ""
    wait = retry_after(headers.get("retry-after"), now)
    step = "try again" if status == 408 else _NEXT_STEP.get(kind) or _when_to_retry(wait)
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


def _field_errors(validation: Any) -> Iterator[str]:
    """Yield what Codat says about single fields: `itemId` and `message` of each validation error."""
    errors = validation.get("errors") if isinstance(validation, dict) else None
    for entry in errors if isinstance(errors, list) else ():
        words = (entry.get("itemId"), entry.get("message")) if isinstance(entry, dict) else ()
        yield ": ".join(word for word in words if isinstance(word, str) and word)


def _when_to_retry(wait: float | None) -> str:
    return "come back later" if wait is None else f"come back in {duration(wait)}"


def duration(seconds: float) -> str:
    """Return a duration in words: `40 s`, `12 min`, `3 h 5 min`."""
    whole = max(1, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _error_class(status: int) -> type[ApiError]:
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
