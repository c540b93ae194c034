"""Show what a tenant has: its companies, and its connections by platform and status. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from codat_iac.model.connection import Company, LiveConnection
from codat_iac.model.text import count, safe_text

MOST_PLATFORMS = 20
"""The most platforms that are shown; the rest is counted."""


def overview(
    companies: Sequence[Company], connections: Sequence[LiveConnection], names: Mapping[str, str]
) -> str:
    """Return the counts of *companies*, and of *connections* by platform and status, most used first.

    *names* are the platforms' names by key.
    """
    by_platform: dict[str, Counter[str]] = {}
    for each in connections:
        by_platform.setdefault(each.platform_key or "", Counter())[safe_text(each.status)] += 1
    ordered = sorted(by_platform, key=lambda key: (-by_platform[key].total(), key))
    titles = {key: _title(key, names) for key in ordered[:MOST_PLATFORMS]}
    width = max(map(len, titles.values()), default=0)
    lines = [f"{count(len(companies), 'company', 'companies')}, {count(len(connections), 'connection')}"]
    for key, title in titles.items():
        statuses = ", ".join(f"{number:,} {status}" for status, number in sorted(by_platform[key].items()))
        lines.append(f"  {title:{width}}  {statuses}")
    if rest := ordered[MOST_PLATFORMS:]:
        held = sum(by_platform[key].total() for key in rest)
        lines.append(f"  and {count(held, 'connection')} on {count(len(rest), 'other platform')}")
    return "\n".join(lines)


def _title(key: str, names: Mapping[str, str]) -> str:
    name = safe_text(names.get(key, ""))
    return f"{name} ({key})" if name else safe_text(key) or "unknown platform"
