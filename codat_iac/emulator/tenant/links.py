"""Link URLs and their one-time passwords: https://docs.codat.io/updates/250110-secure-linking.

A password isn't stored but signed: it holds the time of issue, and a connection remembers which were used. So
a list of 5,000 connections can issue 5,000 passwords, and they survive a kill.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from codat_iac.emulator.tenant.clock import DAY
from codat_iac.emulator.tenant.tenant import Connection

HOUR: Final = 3_600
HOURLY: Final = frozenset({"hcws"})
"""QuickBooks Online Bank Feeds: each read gives a new password, valid for one hour."""


class Links:
    """Issues and checks one-time passwords, the value of `?otp=`. Times are in seconds since 1970."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def connection_otp(self, connection: Connection, setting: str, now: float) -> str | None:
        """Return the password for a connection's linkUrl. *setting* is the knob `linkUrlOtp`."""
        if setting == "off":
            return None
        if setting == "rotating" or connection.platform_key in HOURLY:
            return self._issue(connection.id, now, secrets.token_hex(4))
        return self._daily_otp(connection.id, connection.created, now, len(connection.links_used))

    def company_otp(self, company_id: str, created: float, setting: str, now: float) -> str | None:
        """Return the password for a company's redirect. It can be used again: Link has several pages."""
        if setting == "off":
            return None
        if setting == "rotating":
            return self._issue(company_id, now, secrets.token_hex(4))
        return self._daily_otp(company_id, created, now, 0)

    def is_valid(self, owner_id: str, otp: str, now: float, lifetime: int = DAY) -> bool:
        """Return whether the password was issued for that id at most *lifetime* seconds ago."""
        try:
            issued = int(otp[:10], 16)
        except ValueError:
            return False
        right = hmac.compare_digest(self._issue(owner_id, issued, otp[10:18]).encode(), otp.encode())
        return right and issued <= now < issued + lifetime

    def _daily_otp(self, owner_id: str, created: float, now: float, used: int) -> str:
        """Return a password that stays the same until a day has passed or it was used."""
        days = int((now - created) // DAY)
        return self._issue(owner_id, created + days * DAY, f"{used:08x}")

    def _issue(self, owner_id: str, issued: float, salt: str) -> str:
        text = f"{int(issued):010x}{salt}"
        signed = hashlib.blake2b(f"{owner_id} {text}".encode(), key=self._secret, digest_size=12)
        return text + signed.hexdigest()


def lifetime(connection: Connection) -> int:
    """Return for how many seconds a password of this connection is valid."""
    return HOUR if connection.platform_key in HOURLY else DAY
