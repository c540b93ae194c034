"""Read the settings: from the environment, or else, if they may outlive a run, from the stack's config. Pure.

The engine copies a stack's config into its state, and refresh and destroy use that copy. An old key would
live on there, so the environment comes first. What lifts a safety limit is meant for one run, so it is read
from the environment alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from codat_iac.model.errors import ConfigError
from codat_iac.model.shard import Shard, parse_shard
from codat_iac.model.text import safe_text

BASE_URL = "https://api.codat.io"
"""Codat has one host for all regions: https://docs.codat.io/using-the-api/overview."""

NAMESPACE = "codat"
"""The namespace in the stack's config: `pulumi config set codat:desired ...`."""

PLAINTEXT_KEY_REFUSAL = (
    "codat:apiKey is not a secret; remove it and use CODAT_API_KEY, or"
    " `pulumi config set --secret codat:apiKey`, and make a new key: this one is in your history"
)
"""The message for an API key that isn't a secret in the config: the engine would copy it to the state."""

_OUTLIVES = "it would outlive the run that it is meant for"
_LOCAL = "it belongs to this machine alone"

ENVIRONMENT_ONLY = {
    "maxLosses": ("CODAT_MAX_LOSSES", _OUTLIVES),
    "acceptMissing": ("CODAT_ACCEPT_MISSING", _OUTLIVES),
    "maxCreates": ("CODAT_MAX_CREATES", _OUTLIVES),
    "acceptLeavers": ("CODAT_ACCEPT_LEAVERS", _OUTLIVES),
    "clientCert": ("CODAT_CLIENT_CERT", _LOCAL),
    "clientKey": ("CODAT_CLIENT_KEY", _LOCAL),
    "clientName": ("CODAT_CLIENT_NAME", _LOCAL),
}
"""What must not stand in the config, by its key there: the variable to set instead, and why."""

REQUESTS_PER_MINUTE = 1000
"""Codat's limit for each IP address: https://docs.codat.io/using-the-api/rate-limits."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_YES = frozenset({"1", "true", "yes"})
_NO = frozenset({"", "0", "false", "no"})


@dataclass(frozen=True, slots=True)
class Settings:
    """The user's settings.

    `max_losses` is how many authorisations one run may end, None for the default. `approved_losses` are the
    ids of the only connections from which it may take them, None for any; `codat-iac apply` sets it for its
    run. `accept_missing` means that a company that answers 404 really is gone, and so is everything else that
    is missing. `max_creates` is how many connections rules may make in one run, None for the default;
    `accept_leavers` means that who left the tag of a rule is let go. `requests_per_minute` is the limit for
    all processes of this user together, or of this shard if there is one; 0, the default on loopback, is
    no limit. `client_cert` are the paths of a client certificate and of its key, for the enterprise API, and
    `client_name` is the GUID that goes with them. `loss_option` and `create_option` are the options of the
    command line that gave `max_losses` and `max_creates`, empty if the environment did.
    """

    api_key: str = field(repr=False)
    base_url: str = BASE_URL
    max_losses: int | None = None
    accept_missing: bool = False
    max_creates: int | None = None
    accept_leavers: bool = False
    requests_per_minute: int = REQUESTS_PER_MINUTE
    client_cert: tuple[str, str] | None = None
    client_name: str | None = field(default=None, repr=False)
    approved_losses: frozenset[str] | None = None
    loss_option: str = ""
    create_option: str = ""
    shard: Shard | None = None
    """The stack's share of the companies, None if all are its own. Only a stack's config says it."""

    @property
    def shards(self) -> int:
        """The number of stacks that share the desired state."""
        return self.shard.count if self.shard else 1


def read(environment: Mapping[str, str], config: Callable[[str], str | None]) -> Settings:
    """Read the settings. *config* looks up a key of the stack's config, such as `apiKey`.

    Raises `ConfigError` if there is no API key or a value is invalid.
    """

    def value(variable: str, key: str) -> str:
        return environment.get(variable, "").strip() or (config(key) or "").strip()

    api_key = value("CODAT_API_KEY", "apiKey")
    if not api_key:
        raise ConfigError(
            "no API key: set CODAT_API_KEY, or `pulumi config set --secret codat:apiKey`; the Codat Portal"
            " has it under Developers, API keys"
        )

    base_url = check_base_url(value("CODAT_BASE_URL", "baseUrl") or BASE_URL)
    per_minute = _count(
        value("CODAT_REQUESTS_PER_MINUTE", "requestsPerMinute"),
        f"CODAT_REQUESTS_PER_MINUTE (or {NAMESPACE}:requestsPerMinute)",
    )
    if per_minute is None:
        per_minute = 0 if urlsplit(base_url).hostname in LOOPBACK else REQUESTS_PER_MINUTE
    shard = parse_shard((config("shard") or "").strip())
    if per_minute and shard:
        per_minute = max(1, per_minute // shard.count)
    certificate, key, name = _client_certificate(environment)
    return Settings(
        api_key=api_key,
        base_url=base_url,
        max_losses=_count(environment.get("CODAT_MAX_LOSSES", "").strip(), "CODAT_MAX_LOSSES"),
        accept_missing=_flag(environment.get("CODAT_ACCEPT_MISSING", "").strip(), "CODAT_ACCEPT_MISSING"),
        max_creates=_count(environment.get("CODAT_MAX_CREATES", "").strip(), "CODAT_MAX_CREATES"),
        accept_leavers=_flag(environment.get("CODAT_ACCEPT_LEAVERS", "").strip(), "CODAT_ACCEPT_LEAVERS"),
        requests_per_minute=per_minute,
        client_cert=(certificate, key) if certificate else None,
        client_name=name or None,
        shard=shard,
    )


def _client_certificate(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths of the client certificate and its key, and the client's name: all or none of them."""
    variables = [variable for variable, why in ENVIRONMENT_ONLY.values() if why is _LOCAL]
    values = [environment.get(variable, "").strip() for variable in variables]
    if any(values) and not all(values):
        missing = variables[values.index("")]
        raise ConfigError(
            f"{missing} is not set, and {', '.join(variables)} belong together; set all of them"
        )
    for variable, path in zip(variables[:2], values[:2], strict=True):
        if path and not path.startswith("/"):
            raise ConfigError(
                f"{variable} is {safe_text(path)!r}; write the whole path from / on, since Pulumi works in"
                " other folders"
            )
    return tuple(values)


def check_config(has: Callable[[str], bool]) -> None:
    """Refuse what is read from the environment alone in a stack's config.

    *has* returns whether the config has a key, such as `maxLosses`. The engine would use a copy of the value
    in `destroy`, whatever the config says by then. Raises `ConfigError`.
    """
    for key, (variable, why) in ENVIRONMENT_ONLY.items():
        if has(key):
            raise ConfigError(
                f"{NAMESPACE}:{key} is not read from the stack's config, since {why};"
                f" `pulumi config rm {NAMESPACE}:{key}`, and set {variable} in the environment"
            )


def _count(text: str, place: str) -> int | None:
    if text and not re.fullmatch(r"[0-9]{1,9}", text):
        raise ConfigError(f"{place} is {text!r}; it takes a number such as 10")
    return int(text) if text else None


def _flag(text: str, place: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ConfigError(f"{place} is {text!r}; it takes true or false")
    return text.lower() in _YES


def check_base_url(url: str) -> str:
    """Return *url* without a trailing slash. Raises `ConfigError` if it isn't usable or not encrypted."""
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
