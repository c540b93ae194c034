"""Idempotency keys: https://docs.codat.io/using-the-api/write-data/idempotency.

An answer to a POST or PATCH is kept for 90 minutes and given again, also a 5xx but not a 429. The same key
with a different request gets a 422, and while the first request is in progress a 409.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from codat_iac.emulator.requests.messages import Call, Refusal, Reply

KEPT: Final = 90 * 60
"""Seconds for which an answer is kept."""

HEADER: Final = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept answer; `request` is the request's fingerprint, `made` its time in seconds since 1970."""

    tenant: str
    key: str
    request: str
    made: float
    reply: Reply


class Recorder(Protocol):
    """A store that records an answer before it is sent."""

    def put_kept(self, kept: Kept) -> None:
        """Record one answer, replacing an older one for the same key."""


class Idempotency:
    """The kept answers, and the keys in progress."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._kept: dict[tuple[str, str], Kept] = {}
        self._busy: dict[tuple[str, str], str] = {}

    def fill(self, kept: list[Kept]) -> None:
        """Add answers of an earlier run."""
        self._kept.update({(each.tenant, each.key): each for each in kept})

    def begin(self, call: Call, now: float) -> Reply | None:
        """Return the answer kept for this request, or None after marking its key as in progress.

        Raises `Refusal`: 422 for a different request, 409 if the key is in progress already.
        """
        key = _key(call)
        request = fingerprint(call)
        kept = self._kept.get(key)
        fresh = kept if kept is not None and now < kept.made + KEPT else None
        if self._busy.get(key, request) != request or (fresh and fresh.request != request):
            raise Refusal(422)
        if key in self._busy:
            raise Refusal(409)
        if fresh:
            return fresh.reply
        self._busy[key] = request
        return None

    def keep(self, call: Call, reply: Reply, now: float) -> None:
        """Keep the answer, unless it is a 429."""
        if reply.status != 429:
            kept = Kept(call.tenant, call.headers[HEADER], fingerprint(call), now, reply)
            self._kept[_key(call)] = kept
            self._recorder.put_kept(kept)

    def end(self, call: Call) -> None:
        """Mark the key as no longer in progress."""
        self._busy.pop(_key(call), None)


def applies(call: Call) -> bool:
    """Return whether the request has a key and a method for which Codat heeds it."""
    return call.method in {"POST", "PATCH"} and bool(call.headers.get(HEADER))


def fingerprint(call: Call) -> str:
    """Return a hash of method, path and body, which is the same for the same request."""
    return hashlib.sha256(b"\0".join((call.method.encode(), call.path.encode(), call.body))).hexdigest()


def _key(call: Call) -> tuple[str, str]:
    return call.tenant, call.headers[HEADER]
