"""The policy for connections that nobody here manages: `unmanaged` and `unmanagedByTag`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

TAG_SIGN = "="
"""What stands between a tag's name and its value."""


class OnUnmanaged(StrEnum):
    """What becomes of a live connection that is neither declared nor recorded, the mildest first."""

    IGNORE = "ignore"
    REPORT = "report"
    ERROR = "error"


STRICTNESS = tuple(OnUnmanaged)


def folded_tag(tag: str) -> str:
    """Return a tag `name=value` as tags are compared: ignoring case and space around name and value."""
    name, _, value = tag.partition(TAG_SIGN)
    return f"{name.strip()}{TAG_SIGN}{value.strip()}".casefold()


@dataclass(frozen=True, slots=True)
class UnmanagedPolicy:
    """The policy of the tenant, and of companies with a tag; the keys of `by_tag` are `folded_tag`s."""

    tenant: OnUnmanaged = OnUnmanaged.REPORT
    by_tag: Mapping[str, OnUnmanaged] = field(default_factory=dict)

    def of(self, tags: Mapping[str, str]) -> OnUnmanaged:
        """Return what holds for a company with *tags*: the strictest of its tags, or else the tenant's."""
        has = {folded_tag(f"{name}{TAG_SIGN}{value}") for name, value in tags.items()}
        said = [policy for tag, policy in self.by_tag.items() if tag in has]
        return max(said, key=STRICTNESS.index, default=self.tenant)

    @property
    def needs_tenant(self) -> bool:
        """Whether it takes the tags of companies, or those that nobody declares, to obey it."""
        return bool(self.by_tag) or self.tenant is OnUnmanaged.ERROR

    @property
    def demands(self) -> bool:
        """Whether anything unmanaged may be an error."""
        return OnUnmanaged.ERROR in {self.tenant, *self.by_tag.values()}
