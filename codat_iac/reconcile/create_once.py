"""Create exactly one connection, although an answer to a POST can get lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from codat_iac.codat.client import Client
from codat_iac.model.connection import DesiredConnection, LiveConnection
from codat_iac.model.errors import TIMEOUT, ApiError, CodatBroken, Rejected, is_ambiguous, unsure

SETTLING = 5.0
"""Seconds to wait after an ambiguous POST before looking for its effect, since a listing may lag behind."""

ATTEMPTS = 4
"""The POSTs that we try for one connection before we report that the outcome is uncertain."""

_IN_PROGRESS = 409
"""The first request with this key is still running and may yet succeed."""


@dataclass(frozen=True, slots=True)
class CreateOnce:
    """Creates connections, each exactly once.

    *sleep* waits for a number of seconds, *settling* is how many to wait after an ambiguous POST.
    """

    client: Client
    sleep: Callable[[float], None]
    settling: float = SETTLING

    def create(self, desired: DesiredConnection, look: Callable[[], LiveConnection | None]) -> LiveConnection:
        """POST until it is certain that there is one more connection, at most `ATTEMPTS` times.

        If no answer came, the same idempotency key is used again. After a 5xx a new key is needed, since
        Codat repeats its answer to a key for 90 minutes:
        https://docs.codat.io/using-the-api/write-data/idempotency. Before each repetition, *look* lists the
        company and returns the connection that an earlier POST made, if there is one.

        Raises the last `ApiError`, saying that the outcome is uncertain: after an ambiguous POST, even a
        plain refusal of the next one doesn't settle it.
        """
        key, attempt, doubted = _fresh_key(), 0, False
        while True:
            attempt += 1
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
                if isinstance(error, CodatBroken) or error.status == TIMEOUT:
                    key = _fresh_key()

    def _look(
        self, desired: DesiredConnection, look: Callable[[], LiveConnection | None], error: ApiError
    ) -> LiveConnection | None:
        self.sleep(self.settling)
        try:
            return look()
        except ApiError as unread:
            raise _unsure(desired, error) from unread


def _ambiguous(error: ApiError) -> bool:
    return is_ambiguous(error) or (isinstance(error, Rejected) and error.status == _IN_PROGRESS)


def _fresh_key() -> str:
    return str(uuid.uuid4())


def _unsure(desired: DesiredConnection, error: ApiError) -> ApiError:
    words = (
        f"{desired.address}: not certain whether a connection was made ({error}); run again: it adopts what"
        " was made instead of making a second one"
    )
    return unsure(error, words)
