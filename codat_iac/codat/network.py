"""What the environment says about the way to Codat: the proxy, and the authorities whose certificates count.

`requests` would read the same variables, but doesn't say which one it followed.
"""

from __future__ import annotations

import importlib.util
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from codat_iac.model.errors import ConfigError
from codat_iac.model.settings import LOOPBACK
from codat_iac.model.text import safe_text

AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The variables that name a file of authorities; the first one that is set counts."""

_SOCKS = frozenset({"socks4", "socks4a", "socks5", "socks5h"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. As text it is its URL without user and password, with the variable that names it."""

    url: str = field(repr=False)
    shown: str
    variable: str

    @property
    def has_password(self) -> bool:
        """Whether its URL holds a user and a password."""
        return "@" in self.url

    def __str__(self) -> str:
        return f"the proxy {self.shown} ({self.variable})"


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that leads to *url*, None if there is none.

    Loopback has none, since a proxy would look for it on its own machine. Raises `ConfigError` for a proxy
    that can't be used.
    """
    if urlsplit(url).hostname in LOOPBACK:
        return None
    chosen = select_proxy(url, get_environ_proxies(url))
    if not chosen:
        return None
    named = (name for name, value in sorted(os.environ.items()) if value == chosen and _names_proxy(name))
    variable = next(named, "the system's settings")
    try:
        parts = parse_url(chosen if "://" in chosen else f"http://{chosen}")
    except LocationParseError:
        parts = parse_url("")
    if not parts.host:
        shown = safe_text(chosen.rpartition("@")[2])
        raise ConfigError(f"{variable} is {shown!r}; a proxy's URL looks like http://proxy.example:3128")
    shown = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme not in {"http", "https", *_SOCKS}:
        raise ConfigError(f"{variable} is {shown}; a proxy's URL begins with http://, https:// or socks5://")
    if parts.scheme in _SOCKS and importlib.util.find_spec("socks") is None:
        raise ConfigError(f"{variable} is {shown}, and SOCKS needs one more package: pip install pysocks")
    return Proxy(chosen, shown, variable)


def _names_proxy(variable: str) -> bool:
    return variable.lower() in {"https_proxy", "all_proxy"}


def authorities() -> str | None:
    """Return the file, or folder, of authorities that the environment names, None if it names none.

    Raises `ConfigError` if it can't be read.
    """
    variable = next((name for name in AUTHORITIES if os.environ.get(name)), None)
    if variable is None:
        return None
    path = os.environ[variable]
    if not Path(path).is_dir():
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"{variable} is {safe_text(path)!r}: {reason}; correct or unset it") from error
    return path
