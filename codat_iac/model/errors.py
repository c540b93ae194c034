"""Every error that codat-iac raises, sorted by what its reader should do next; and the exit codes.

```
CodatIacError                 catch this to catch them all
├── ConfigError               the desired state or a setting is wrong; carries every problem
├── EngineError               no usable Pulumi engine; lists the ways out
├── Refused                   not done: not ours, not certain, or it would lose something
│   ├── Mismatch              key, base URL, stack and file don't seem to belong together
│   ├── UnsafePlan            over a safety limit; says what, how much, and the flag
│   └── Orphaned              the engine is gone, so nothing more is written
└── ApiError                  Codat didn't do it: `status`, `doing`, and Codat's own words
    ├── TransportError        no answer: network, TLS, timeout, cut body
    ├── NotCodat              an answer, but not Codat's: fix the base URL or the proxy
    ├── Unauthorized          401, 403: fix the key or the client certificate; ends the run
    ├── AccountLimit          402: the plan's limit; ends the run
    ├── NotFound              404: it is gone, or it belongs to another key
    ├── Rejected              400 and every other 4xx: fix the request
    ├── RateLimited           429: wait `retry_after` seconds
    └── CodatBroken           5xx: try later, quote the correlation id
```

A message is one line: where, what, and what to do next. It never holds a key or a link.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class ExitCode:
    """The exit codes with `--detailed-exitcode`; without it, changes and waiting are 0.

    `drift --fail-on` asks for changes by itself.
    """

    IN_SYNC = 0
    ERROR = 1
    CHANGES = 2
    WAITING = 3
    REFUSED = 4


class CodatIacError(Exception):
    """The base of all errors of this package.

    `common` means that what it is about would be met again at other connections of the same run.
    """

    common: bool = False


@dataclass(frozen=True, slots=True, order=True)
class FileProblem:
    """One thing that is wrong in a file, and what to do about it.

    `line` and `column` count from 1. A `line` of 0 means that the problem has no place in the file.
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
    """The desired state or a setting is wrong. `problems` holds all problems, sorted by path and line."""

    def __init__(self, problems: Sequence[FileProblem] | str) -> None:
        self.problems: tuple[FileProblem, ...] = () if isinstance(problems, str) else tuple(sorted(problems))
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, self.problems)))


class EngineError(CodatIacError):
    """There is no usable Pulumi engine, and none could be built."""


class Refused(CodatIacError):
    """We could do it, but don't: it isn't ours, it isn't certain, or the rules forbid it."""


class Mismatch(Refused):
    """The API key, the base URL, the stack and the desired state don't seem to belong together."""

    common = True


class UnsafePlan(Refused):
    """More would be done than a limit, an approval or a saved plan allows; none of that was done."""

    common = True


class Orphaned(Refused):
    """The engine that started this process no longer answers, so nothing more is written."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """Codat's error body, with keys and links redacted; a field is None if Codat didn't send it.

    Codat's `statusCode` isn't always the HTTP status, so use `ApiError.status`. Source:
    components/schemas/ErrorMessage of https://github.com/codatio/oas.
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

    `status` is the HTTP status (None if no answer came), `doing` the method and path of the call, `body`
    Codat's ErrorMessage (empty fields if the answer had none). `in_doubt` means that an earlier try of the
    same call got no certain answer, so that try may have done what the last one was refused. `sent` is False
    if certainly no try reached Codat.
    """

    in_doubt: bool = False
    sent: bool = True

    def __init__(
        self, message: str, *, doing: str = "", status: int | None = None, body: ErrorMessage | None = None
    ) -> None:
        # The defaults are for `pickle`, which passes the message alone and sets the rest afterwards.
        super().__init__(message)
        self.status = status
        self.doing = doing
        self.body = body or ErrorMessage()

    def name(self, address: str) -> None:
        """Put the address that the error is about before its text, once."""
        text = str(self)
        if not text.startswith(f"{address}: "):
            self.args = (f"{address}: {text}",)


class TransportError(ApiError):
    """No complete answer came, so the call may or may not have been carried out."""


class NotCodat(ApiError):
    """Something answered, but it isn't Codat's API."""

    common = True


class Unauthorized(ApiError):
    """401 or 403: the key is wrong, outdated or another tenant's; or the client certificate is refused."""

    common = True


class AccountLimit(ApiError):
    """402: the Codat plan doesn't allow it."""

    common = True


class NotFound(ApiError):
    """404: it is gone, or this key can't see it."""


class Rejected(ApiError):
    """400 and every 4xx without a class of its own: the request is wrong."""


class RateLimited(ApiError):
    """429: too many requests.

    `retry_after` is the number of seconds to wait, None if Codat didn't say.
    """

    retry_after: float | None = None
    common = True


class CodatBroken(ApiError):
    """5xx: the failure is on Codat's side."""


@contextmanager
def naming(address: str) -> Iterator[None]:
    """Add *address* to the text of any `ApiError` that is raised in the block."""
    try:
        yield
    except ApiError as error:
        error.name(address)
        raise


TIMEOUT = 408
"""Request timeout: the one status of `Rejected` that doesn't say whether the call was carried out."""


def is_ambiguous(error: ApiError) -> bool:
    """Return whether a call that ended in *error* may have been carried out."""
    if isinstance(error, Rejected):
        return error.status == TIMEOUT
    return error.sent and isinstance(error, TransportError | CodatBroken | NotCodat)


def unsure(error: ApiError, words: str) -> ApiError:
    """Return a copy of *error* that says *words*. It keeps the rest, such as when to try again."""
    told = copy.copy(error)
    told.args = (words,)
    told.in_doubt = True
    told.common = False  # what others meet doesn't tell what became of this one
    return told


@contextmanager
def saying_if_unsure(address: str, done: str) -> Iterator[None]:
    """Let an error of the call in this block say if it isn't certain whether *address* was *done*."""
    try:
        yield
    except ApiError as error:
        if not (error.in_doubt or is_ambiguous(error)):
            raise
        words = f"{address}: not certain whether it was {done} ({error}); run again, which finds out"
        raise unsure(error, words) from error
