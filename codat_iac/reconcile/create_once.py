"""POST exactly once: what to do when nobody knows whether a connection was made."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from codat_iac.codat.client import Client
from codat_iac.model.connection import DesiredConnection, LiveConnection
from codat_iac.model.errors import ApiError, CodatBroken, NotCodat, Rejected, TransportError

SETTLING = 5.0
"""Seconds to wait after an ambiguous POST before its effect is looked for: a listing may lag behind."""

ATTEMPTS = 4
"""POSTs that are tried for one connection before we say that we don't know."""

_TIMEOUT = 408
_IN_PROGRESS = 409
"""The first request with this key is still at work, and may yet come to pass."""


@dataclass(frozen=True, slots=True)
class Posting:
    """How to make one connection. *look* lists what a POST of ours may have made; *sleep* is how to wait."""

    client: Client
    sleep: Callable[[float], None]
    settling: float = SETTLING

    def post(self, desired: DesiredConnection, look: Callable[[], LiveConnection | None]) -> LiveConnection:
        """POST until it is certain that there is one more, at most `ATTEMPTS` times.

        Where no answer came, the same idempotency key is used again; after a 5xx it is burnt, since Codat
        replays its answer for 90 minutes. Either way the new row is looked for first:
        https://docs.codat.io/using-the-api/write-data/idempotency.

        Raises the last `ApiError`, saying what isn't certain: even a plain refusal leaves that open once an
        earlier try was ambiguous.
        """
        key, doubted = _fresh_key(), False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self.client.create(desired.company_id, desired.platform_key, idempotency_key=key)
            except ApiError as error:
                if not _ambiguous(error):
                    if doubted:
                        raise _unsure(desired, error) from error
                    raise
                doubted = True
                made = self._look(desired, look, error)
                if made:
                    return made
                if attempt == ATTEMPTS:
                    raise _unsure(desired, error) from error
                if isinstance(error, CodatBroken) or error.status == _TIMEOUT:
                    key = _fresh_key()
        raise AssertionError  # pragma: no cover  the last attempt returns or raises

    def _look(
        self, desired: DesiredConnection, look: Callable[[], LiveConnection | None], error: ApiError
    ) -> LiveConnection | None:
        self.sleep(self.settling)
        try:
            return look()
        except ApiError as unread:
            raise _unsure(desired, error) from unread


def _ambiguous(error: ApiError) -> bool:
    if isinstance(error, Rejected):
        return error.status in {_TIMEOUT, _IN_PROGRESS}
    return isinstance(error, TransportError | CodatBroken | NotCodat)


def _fresh_key() -> str:
    return str(uuid.uuid4())


def _unsure(desired: DesiredConnection, error: ApiError) -> ApiError:
    """Give *error* again, saying what isn't certain; the rest of it stays, such as when to come back."""
    unsure = copy.copy(error)
    words = (
        f"{desired.address}: not certain whether a connection was made ({error}); run again: it adopts what"
        " was made instead of making a second one"
    )
    unsure.args = (words,)
    unsure.in_doubt = True
    return unsure
