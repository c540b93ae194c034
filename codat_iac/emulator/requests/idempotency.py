"""Idempotency keys: https://docs.codat.io/using-the-api/write-data/idempotency.

On POST and PATCH an answer is kept for 90 minutes and given again, 5xx included, 429 not. The same key with
another request is a 422, and while the first is in progress a 409.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from codat_iac.emulator.requests.messages import Call, Refusal, Reply

KEPT: Final = 90 * 60
"""For how many seconds an answer is kept."""

HEADER: Final = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer, and the request that it answered."""

    tenant: str
    key: str
    request: str
    made: float
    reply: Reply


class Recorder(Protocol):
    """Where an answer is recorded before it is given."""

    def put_kept(self, kept: Kept) -> None:
        """Record one answer, in place of an older one."""


class Idempotency:
    """The answers that are kept, and the keys in progress."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._kept: dict[tuple[str, str], Kept] = {}
        self._busy: dict[tuple[str, str], str] = {}

    def fill(self, kept: list[Kept]) -> None:
        """Take answers from an earlier run."""
        self._kept.update({(each.tenant, each.key): each for each in kept})

    def begin(self, call: Call, now: float) -> Reply | None:
        """The answer that is kept for this request, or None and the key is in progress."""
        slot = _slot(call)
        request = fingerprint(call)
        kept = self._kept.get(slot)
        fresh = kept if kept is not None and now < kept.made + KEPT else None
        if self._busy.get(slot, request) != request or (fresh and fresh.request != request):
            raise Refusal(422)
        if slot in self._busy:
            raise Refusal(409)
        if fresh:
            return fresh.reply
        self._busy[slot] = request
        return None

    def keep(self, call: Call, reply: Reply, now: float) -> None:
        """Keep the answer, unless it is a 429."""
        if reply.status != 429:
            kept = Kept(call.tenant, call.headers[HEADER], fingerprint(call), now, reply)
            self._kept[_slot(call)] = kept
            self._recorder.put_kept(kept)

    def end(self, call: Call) -> None:
        """The key is no longer in progress."""
        self._busy.pop(_slot(call), None)


def applies(call: Call) -> bool:
    """Whether the request carries a key where Codat heeds one."""
    return call.method in {"POST", "PATCH"} and bool(call.headers.get(HEADER))


def fingerprint(call: Call) -> str:
    """What makes two requests the same."""
    return hashlib.sha256(b"\0".join((call.method.encode(), call.path.encode(), call.body))).hexdigest()


def _slot(call: Call) -> tuple[str, str]:
    return call.tenant, call.headers[HEADER]
