"""Every error that codat-iac raises, by what its reader does next.

```
CodatIacError                 catch this to catch them all
├── ConfigError               the desired state or a setting is wrong; carries every problem
├── EngineError               no usable Pulumi engine; says the ways out
├── Refused                   we won't: not ours, not certain, or it would lose something
│   ├── UnsafePlan            over a safety limit; says what, how much, and the flag
│   └── Orphaned              the engine is gone, so nothing more is written
└── ApiError                  Codat didn't do it: `status`, `doing`, and Codat's own words
    ├── TransportError        no answer: network, TLS, timeout, cut body
    ├── NotCodat              an answer, but not Codat's: fix the base URL
    ├── Unauthorized          401, 403: fix the key; ends the run
    ├── AccountLimit          402: the plan's limit; ends the run
    ├── NotFound              404: it is gone, or it belongs to another key
    ├── Rejected              400 and every other 4xx: fix the request
    ├── RateLimited           429: wait `retry_after` seconds
    └── CodatBroken           5xx: try later, quote the correlation id
```

A message is one line that stands alone: where, what, what to do next. It never holds a key or a link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class CodatIacError(Exception):
    """The base of all errors of this package."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a file, and what to do about it.

    `line` and `column` count from 1; 0 means that the problem has no place in the file.
    """

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        if not self.line:
            return f"{self.path}: {self.message}"
        return f"{self.path}, line {self.line}, column {self.column}: {self.message}"


class ConfigError(CodatIacError):
    """The desired state or a setting is wrong. `problems` holds all of them, sorted by place."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems: tuple[Problem, ...] = () if isinstance(problems, str) else tuple(sorted(problems))
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, self.problems)))


class EngineError(CodatIacError):
    """There is no usable Pulumi engine, and none could be built."""


class Refused(CodatIacError):
    """We could, but won't: it isn't ours, it isn't certain, or the rules forbid it."""


class UnsafePlan(Refused):
    """More would be lost than the limit allows; nothing of it was done."""


class Orphaned(Refused):
    """The engine that started this process no longer answers, so nothing more is written."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """Codat's own error body, every field as Codat sent it but for keys and links; None where it sent none.

    Codat's `statusCode` isn't always the HTTP status, so trust `ApiError.status`.
    Source: components/schemas/ErrorMessage of https://github.com/codatio/oas.
    """

    status_code: int | None = None
    service: str | None = None
    error: str | None = None
    correlation_id: str | None = None
    validation: Any = None
    can_be_retried: str | None = None
    detailed_error_code: int | None = None


class ApiError(CodatIacError):
    """Codat didn't do what was asked.

    `status` is the HTTP status (None where no answer came), `doing` the method and path,
    `body` Codat's ErrorMessage (empty fields where the answer held none). `in_doubt`: an earlier try of
    the same call got no certain answer, so it may have done what this one was refused.
    """

    in_doubt: bool = False

    def __init__(
        self, message: str, *, doing: str = "", status: int | None = None, body: ErrorMessage | None = None
    ) -> None:
        # The default is for `pickle`, which gives the message alone and the rest after.
        super().__init__(message)
        self.status = status
        self.doing = doing
        self.body = body or ErrorMessage()

    def name(self, address: str) -> None:
        """Put the address that this is about before the text, once."""
        text = str(self)
        if not text.startswith(f"{address}: "):
            self.args = (f"{address}: {text}",)


class TransportError(ApiError):
    """No whole answer came: what was asked may or may not have been done."""


class NotCodat(ApiError):
    """Something answered, but it isn't Codat's API."""


class Unauthorized(ApiError):
    """401 or 403: the key is wrong, outdated or another tenant's."""


class AccountLimit(ApiError):
    """402: the Codat plan doesn't allow it."""


class NotFound(ApiError):
    """404: it is gone, or this key can't see it."""


class Rejected(ApiError):
    """400 and every 4xx without a class of its own: the request is wrong."""


class RateLimited(ApiError):
    """429: `retry_after` says in how many seconds to come back, None where Codat didn't say."""

    retry_after: float | None = None


class CodatBroken(ApiError):
    """5xx: Codat's side."""


@contextmanager
def naming(address: str) -> Iterator[None]:
    """Let whatever Codat doesn't do inside name *address*."""
    try:
        yield
    except ApiError as error:
        error.name(address)
        raise
