"""The `Authorization` header, and the forms in which an answer could repeat the API key. Pure."""

from __future__ import annotations

import base64


def authorization(api_key: str) -> str:
    """Return the `Authorization` header for a bare API key, or for a ready-made `Basic ...` value.

    Codat encodes the bare key, without a user and a colon:
    https://docs.codat.io/using-the-api/authentication.
    """
    key = api_key.strip()
    if key[:6].lower() == "basic ":
        return f"Basic {key[6:].strip()}"
    return f"Basic {base64.b64encode(key.encode()).decode()}"


def secret_forms(api_key: str) -> tuple[str, ...]:
    """Return each form in which an answer could repeat the key: encoded and bare."""
    encoded = authorization(api_key).removeprefix("Basic ")
    try:
        bare = base64.b64decode(encoded).decode().strip(":")
    except ValueError:
        bare = ""
    return tuple(form for form in (encoded, bare) if form)
