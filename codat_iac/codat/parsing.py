"""Parse Codat's JSON into our types. No I/O, no clock.

Parsing is tolerant: unknown fields, unknown enum values and nulls are normal, since real answers have always
been looser than the specification (https://docs.codat.io/using-the-api/change-policy).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from codat_iac.model.connection import (
    ABSENT,
    Company,
    DataConnectionError,
    Integration,
    LiveConnection,
    Quota,
    normalised,
)
from codat_iac.model.errors import ErrorMessage
from codat_iac.model.text import replace_surrogates

T = TypeVar("T")

_INTEGER_LIMIT = 2**63


class Malformed(ValueError):
    """An answer doesn't have the shape that Codat's specification gives it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing. `next` is the relative link to the next page, None on the last one.

    Source: https://docs.codat.io/using-the-api/paging.
    """

    results: tuple[T, ...]
    page_number: int
    page_size: int
    total_results: int
    next: str | None


def parse_error_message(raw: Any) -> ErrorMessage:
    """Parse Codat's error body; anything else becomes an `ErrorMessage` with empty fields."""
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
    """Parse the rate-limit headers, which every answer of Codat's carries."""
    remaining = headers.get("x-rate-limit-remaining", "").strip()
    reset = headers.get("x-rate-limit-reset")
    return Quota(int(remaining) if re.fullmatch(r"[0-9]{1,12}", remaining) else None, reset)


def parse_page(raw: Any, parse: Callable[[Any], T]) -> Page[T]:
    """Parse one page. `results` may be missing if it is empty; the counts may not.

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
    """Parse one connection of a company. Raises `Malformed` if `id` or `status` is missing."""
    body = _mapping(raw, "a connection")
    errors = body.get("dataConnectionErrors")
    return LiveConnection(
        id=normalised(_required(body, "id", "a connection")),
        company_id=normalised(company_id),
        status=_status(_required(body, "status", "a connection")),
        platform_key=_text(body.get("integrationKey")) or None,
        integration_id=normalised(_text(body.get("integrationId")) or "") or None,
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


def _status(said: str) -> str:
    """Return a live status as it is, but for one that would be taken for our word for what doesn't exist."""
    return f"{said} (says Codat)" if said == ABSENT else said


def parse_company(raw: Any) -> Company:
    """Parse one company, with its connections if Codat sends them inline. Raises `Malformed`."""
    body = _mapping(raw, "a company")
    company_id = normalised(_required(body, "id", "a company"))
    inline = body.get("dataConnections")
    tags = body.get("tags")
    return Company(
        id=company_id,
        name=_text(body.get("name")) or "",
        connections=(
            tuple(parse_connection(item, company_id) for item in inline) if isinstance(inline, list) else None
        ),
        tags={replace_surrogates(str(k)): replace_surrogates(str(v)) for k, v in tags.items()}
        if isinstance(tags, dict)
        else {},
        created=_text(body.get("created")) or "",
        redirect=_text(body.get("redirect")) or "",
    )


def parse_integration(raw: Any) -> Integration:
    """Parse one integration. Raises `Malformed`."""
    body = _mapping(raw, "an integration")
    key = _required(body, "key", "an integration")
    return Integration(
        key=key,
        name=_text(body.get("name")) or key,
        enabled=body.get("enabled") is True,
        integration_id=normalised(_text(body.get("integrationId")) or "") or None,
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
    return replace_surrogates(value) if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    """Return *value* if it is an integer of a usable size; JSON sets no limit."""
    return value if type(value) is int and abs(value) < _INTEGER_LIMIT else None
