"""Check that the tenant has enabled a platform, so that a connection to it can be made. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from codat_iac.model.connection import Integration
from codat_iac.model.text import safe_text


def platform_problem(key: str, platforms: Mapping[str, Integration]) -> str | None:
    """Return why no connection to platform *key* can be made, or None if it can.

    *platforms* are the tenant's, by key. Codat doesn't document its answer to a POST for a platform that
    isn't enabled.
    """
    known = platforms.get(key)
    if known and known.enabled:
        return None
    if known:
        return (
            f"{safe_text(known.name)} ({known.key}) is not enabled; enable it under Settings, Integrations in"
            " the Codat Portal"
        )
    near = difflib.get_close_matches(key, platforms, 1)
    hint = (
        f"did you mean {near[0]} ({safe_text(platforms[near[0]].name)})?"
        if near
        else "see Settings, Integrations in the Codat Portal"
    )
    return f"{key!r} is not the key of a platform of this tenant; {hint}"
