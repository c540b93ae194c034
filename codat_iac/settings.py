"""The settings, each with its two places: the environment first, then the stack's config. Pure.

The engine copies a stack's config into its state, and refresh and destroy use that copy, so an old key
lives on there: that is why the environment wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from codat_iac.errors import ConfigError
from codat_iac.foreign import safe_text

BASE_URL = "https://api.codat.io"
"""Codat has one host for all regions: https://docs.codat.io/using-the-api/overview."""

NAMESPACE = "codat"
"""Of the stack's config: `pulumi config set codat:desired ...`."""

OPEN_KEY = (
    "codat:apiKey is not a secret; remove it and use CODAT_API_KEY, or"
    " `pulumi config set --secret codat:apiKey`, and make a new key: this one is in your history"
)
"""What is said of a key that stands in the config in the open: the engine would copy it to the state."""

REQUESTS_PER_MINUTE = 1000
"""Codat's limit for each IP address: https://docs.codat.io/using-the-api/rate-limits."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_YES = frozenset({"1", "true", "yes"})
_NO = frozenset({"", "0", "false", "no"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user set.

    `max_losses`: how many authorisations one run may throw away, None for the default.
    `accept_missing`: a company that answers 404 really is gone, and so is whatever else is missing.
    `requests_per_minute`: of all processes of this machine together; 0 is no limit, as on loopback.
    """

    api_key: str = field(repr=False)
    base_url: str = BASE_URL
    max_losses: int | None = None
    accept_missing: bool = False
    requests_per_minute: int = REQUESTS_PER_MINUTE


def read(environment: Mapping[str, str], config: Callable[[str], str | None]) -> Settings:
    """Read the settings. *config* looks a key of the stack's config up, such as `apiKey`.

    Raises `ConfigError` for a missing key and for values that make no sense.
    """

    def value(variable: str, key: str) -> str:
        return environment.get(variable, "").strip() or (config(key) or "").strip()

    api_key = value("CODAT_API_KEY", "apiKey")
    if not api_key:
        raise ConfigError(
            "no API key: set CODAT_API_KEY, or `pulumi config set --secret codat:apiKey`; the Codat Portal"
            " has it under Developers, API keys"
        )

    def count(variable: str, key: str) -> int | None:
        text = value(variable, key)
        if text and not re.fullmatch(r"[0-9]{1,9}", text):
            raise ConfigError(f"{variable} (or {NAMESPACE}:{key}) is {text!r}; it takes a number such as 10")
        return int(text) if text else None

    def flag(variable: str, key: str) -> bool:
        text = value(variable, key).lower()
        if text not in _YES | _NO:
            raise ConfigError(f"{variable} (or {NAMESPACE}:{key}) is {text!r}; it takes true or false")
        return text in _YES

    base_url = check_base_url(value("CODAT_BASE_URL", "baseUrl") or BASE_URL)
    pace = count("CODAT_REQUESTS_PER_MINUTE", "requestsPerMinute")
    if pace is None:
        pace = 0 if urlsplit(base_url).hostname in LOOPBACK else REQUESTS_PER_MINUTE
    return Settings(
        api_key=api_key,
        base_url=base_url,
        max_losses=count("CODAT_MAX_LOSSES", "maxLosses"),
        accept_missing=flag("CODAT_ACCEPT_MISSING", "acceptMissing"),
        requests_per_minute=pace,
    )


def check_base_url(url: str) -> str:
    """Give *url* without a trailing slash. Raises `ConfigError` where the key would travel in the open."""
    shown = f"the base URL {safe_text(url.rpartition('@')[2])!r}"
    try:
        parts = urlsplit(url.strip())
        usable = bool(parts.hostname) and parts.port != 0 and parts.scheme in {"http", "https"}
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ConfigError(f"{shown} is not a URL like {BASE_URL} (CODAT_BASE_URL or codat:baseUrl)")
    if "@" in parts.netloc:
        raise ConfigError(f"{shown} holds a user or password; take it out, the API key is enough")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigError(
            f"{shown} would send the API key in the open; use https (plain http only on loopback)"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
