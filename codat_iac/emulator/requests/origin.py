"""Keep other web sites away from the emulator's own routes, which ask for no key.

A page of another site can send a form to this machine, and can let its own name point to it (DNS rebinding).
A browser tells both: the Host is no name of this machine, and the Origin is another.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from codat_iac.emulator.requests.messages import Call

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE: Final = frozenset({"GET", "HEAD"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for a page of ours, and for what a person typed."""


def intrusion(call: Call) -> str | None:
    """Return why a request may not be answered, None if it may. What is no browser sends no Origin."""
    host = call.headers.get("Host", "")
    if _name(host) not in _HERE:
        return "the emulator answers to 127.0.0.1 and localhost alone; use its own URL"
    if call.method in _SAFE:
        return None
    site, origin = call.headers.get("Sec-Fetch-Site"), call.headers.get("Origin")
    own = site in _OWN_SITES if site is not None else origin in {None, f"http://{host}"}
    return None if own else "a page of another site may change nothing here; use the emulator's own pages"


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
