"""Text that is shown: clean what comes from elsewhere, such as Codat's; join and count. No I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LINK = re.compile(r"(?i)https?://link[a-z0-9.-]*\.codat\.io[^\s\"'<>]*")
_OTP = re.compile(r"(?i)(otp(?:=|%3d))[^\s&\"'<>]+")
_PASSWORDS = re.compile(r"(?i)(?<=://)([^/\s:@\"]*:)[^\s\"]+(?=@)|([?&]password=)[^&\s\"]+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
"""Control characters, line ends, and characters that change the direction of text on a terminal."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half a character, which JSON can express and UTF-8 can't."""

_MAX_LENGTH = 300


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace *secrets*, links and one-time passwords in *text* by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _OTP.sub(r"\1***", _LINK.sub("***", text))


def without_passwords(text: str) -> str:
    """Return *text* with the passwords in URLs hidden: Pulumi's errors repeat the backend's."""
    return _PASSWORDS.sub(lambda found: f"{found[1] or found[2]}***", text)


def safe_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Return *text* fit for one line of a message: no secrets, no control characters, not too long."""
    text = replace_surrogates(_UNSAFE.sub(" ", redact(text, secrets))).strip()
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."


def replace_surrogates(text: str) -> str:
    """Replace half characters, which UTF-8 can't encode."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def join_names(names: Sequence[str], most: int = 5) -> str:
    """Join the first *most* of the names, and say how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 change`, `2 changes`; *plural* if that isn't made with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
