"""Text from elsewhere, and the key: what of them may be shown, and in which form. No I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LINK = re.compile(r"(?i)https?://link[a-z0-9.-]*\.codat\.io[^\s\"'<>]*")
_OTP = re.compile(r"(?i)(otp(?:=|%3d))[^\s&\"'<>]+")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
"""Control characters, line ends, and what turns the direction of writing round on a terminal."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half a character, which JSON can say and UTF-8 can't."""

_MOST_WORDS = 300


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Take *secrets*, links and one-time passwords out of foreign text."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _OTP.sub(r"\1***", _LINK.sub("***", text))


def safe_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Make foreign text fit for one line of a message: no secrets, no control characters, not long."""
    text = whole(_UNFIT.sub(" ", redact(text, secrets))).strip()
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."


def whole(text: str) -> str:
    """Replace what UTF-8 can't say."""
    return _SURROGATE.sub("\ufffd", text)


def shortened(names: Sequence[str], most: int = 5) -> str:
    """Join names, the first *most* of them."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
