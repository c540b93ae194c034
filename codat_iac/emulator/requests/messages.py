"""Requests and answers: `Call`, `Reply`, and `Refusal` with Codat's own texts.

They are independent of sockets, so every rule of the emulator is a plain function `(world, call) -> Reply`.
The texts are the named responses of https://github.com/codatio/oas, json/Codat-Platform.json.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PUBLIC_API: Final = "PublicApi"
CLIENTS_API: Final = "ClientsApi"

NOT_VALID: Final = "Error processing request - not valid."
MALFORMED_QUERY: Final = "Error parsing query - Malformed query."

TEXTS: Final[Mapping[int, str]] = {
    400: NOT_VALID,
    401: "Unauthorized",
    402: "You have reached the limit of your account.",
    403: "You are using an outdated API key or a key not associated with that resource.",
    404: "NotFound",
    405: "Method Not Allowed",
    409: "A request with this idempotency key is still in progress.",
    422: "This idempotency key was used for a different request.",
    429: "You have made too many requests in a given amount of time; please retry later.",
    500: "There is a problem with our server. Please try again later.",
    503: "The Codat API is temporarily offline for maintenance. Please try again later.",
}
"""Codat's text for a status. Codat documents none for 402, 405, 409 and 422: those are ours."""

BODY_STATUS: Final[Mapping[int, int]] = {402: 429, 503: 500}
"""HTTP statuses for which Codat's own examples have a different `statusCode` in the body."""


_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with its whole body. `args` are the path's parameters by name."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    args: Mapping[str, str] = field(default_factory=dict)
    tenant: str = ""

    def whole_number(self, name: str, default: int) -> int | None:
        """Return a query parameter as a whole number, None if it isn't one."""
        text = self.query.get(name, str(default))
        return int(text) if _WHOLE.fullmatch(text) else None

    def json(self) -> Any:
        """Return the body as JSON data, with `?` for what UTF-8 can't hold; None if it isn't JSON."""
        try:
            text = json.dumps(json.loads(self.body), ensure_ascii=False)
            return json.loads(text.encode(errors="replace"))
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An error answer of Codat's API, raised by the rule that refuses the request."""

    def __init__(
        self,
        status: int,
        error: str | None = None,
        *,
        service: str = PUBLIC_API,
        validation: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, error)
        self.reply = error_reply(status, error, service=service, validation=validation, headers=headers)


def json_reply(data: object, status: int = 200) -> Reply:
    """Return a reply with *data* as JSON."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Reply(status, text.encode(errors="replace"))


_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def html_reply(text: str, status: int = 200) -> Reply:
    """Return a page that may run no scripts, load nothing, be framed by none, and send no referrer."""
    headers = {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Reply(status, text.encode(errors="replace"), "text/html; charset=utf-8", headers)


def see_other(place: str) -> Reply:
    """Return the answer to a form: the browser goes on to *place*, so a reload sends nothing twice."""
    return Reply(303, content_type="text/plain; charset=utf-8", headers={"Location": place})


def error_reply(
    status: int,
    error: str | None = None,
    *,
    service: str = PUBLIC_API,
    validation: object = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return Codat's ErrorMessage. As at Codat, `canBeRetried` is a string and `statusCode` may be wrong."""
    body = {
        "statusCode": BODY_STATUS.get(status, status),
        "service": service,
        "error": TEXTS.get(status, f"HTTP {status}") if error is None else error,
        "correlationId": uuid.uuid4().hex,
        "validation": validation,
        "canBeRetried": "Unknown",
        "detailedErrorCode": 0,
    }
    plain = json_reply(body, status)
    return Reply(status, plain.body, plain.content_type, headers or {})
