"""Knobs: the points that Codat leaves open, with their possible values, in one table that is served as it is.

A client must cope with every value. The default is the value that the sources suggest most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from codat_iac.emulator.tenant.tenant import LONGEST_LAG


@dataclass(frozen=True, slots=True)
class Knob:
    """One open point: either `choices`, or a number from `least` to `most`."""

    name: str
    default: Any
    text: str
    choices: tuple[Any, ...] = ()
    least: float = 0
    most: float = 1_000_000
    whole: bool = True
    nullable: bool = False

    @property
    def values(self) -> str:
        """The possible values in words."""
        if self.choices:
            return ", ".join(_word(choice) for choice in self.choices)
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.least:,.0f} to {self.most:,.0f}" + (", or null" if self.nullable else "")

    def accepts(self, value: Any) -> bool:
        """Return whether *value* is possible. True is not a number, and 1 is not true."""
        if self.choices:
            return any(type(value) is type(choice) and value == choice for choice in self.choices)
        if value is None:
            return self.nullable
        kinds: tuple[type, ...] = (int,) if self.whole else (int, float)
        return type(value) in kinds and self.least <= value <= self.most


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


KNOBS: Final[Mapping[str, Knob]] = {
    knob.name: knob
    for knob in (
        Knob(
            "unknownPlatform", 400, "Status for a platformKey that no integration has, on create.", (400, 404)
        ),
        Knob(
            "disabledPlatform",
            400,
            "Status for a platformKey whose integration is disabled or retired, on create; 200 makes it.",
            (400, 404, 200),
        ),
        Knob(
            "secondAccounting",
            "accept",
            "A second Accounting or BankFeed connection while the company has one that is PendingAuth, Linked"
            " or Deauthorized: another row, or 400.",
            ("accept", "reject"),
        ),
        Knob(
            "pendingUnlink", 400, "Unlinking a PendingAuth connection; 200 changes nothing.", (400, 404, 200)
        ),
        Knob(
            "unlinkedUnlink",
            400,
            "Unlinking an Unlinked connection again; 200 changes nothing.",
            (400, 404, 200),
        ),
        Knob(
            "deauthorisedUnlink",
            "allow",
            "Unlinking a Deauthorized connection: done, or 400.",
            ("allow", "refuse"),
        ),
        Knob("deleteTwice", 404, "Deleting a connection that was deleted already.", (404, 200)),
        Knob("malformedId", 400, "An id in the path that is no uuid.", (400, 404)),
        Knob(
            "unknownCompany",
            "ClientsApi",
            "Which service answers 404 for the connections of a company that isn't there, with its own text.",
            ("ClientsApi", "PublicApi"),
        ),
        Knob("foreignCompany", 404, "A company of another tenant: not found, or 403.", (404, 403)),
        Knob("pageBeyondEnd", 200, "A page after the last: 200 and empty, or an error.", (200, 400, 404)),
        Knob("pageBelowOne", 400, "A page or pageSize below 1: refused, or 200 as if not given.", (400, 200)),
        Knob(
            "pageSizeMost",
            2000,
            "The largest page served. Codat: a request may ask for 5,000, an answer has 2,000 at most. A"
            " small one moves rows between pages.",
            least=1,
            most=2000,
        ),
        Knob(
            "pageSizeAboveMost",
            "clamp",
            "A pageSize above it: served at most that many, or 400.",
            ("clamp", "reject"),
        ),
        Knob("retryAfterFormat", "seconds", "How Retry-After is written.", ("seconds", "http-date")),
        Knob(
            "rateLimitResetFormat",
            "unix",
            "How X-Rate-Limit-Reset is written.",
            ("unix", "iso", "http-date"),
        ),
        Knob(
            "integrationKey",
            "present",
            "integrationKey in connections (optional since 2026-04-15).",
            ("present", "absent", "absent-on-create"),
        ),
        Knob(
            "emptyFields",
            "absent",
            "lastSync, dataConnectionErrors and connectionInfo where there is nothing to say.",
            ("absent", "null"),
        ),
        Knob(
            "unknownFields",
            False,
            "Fields that no document names yet: in companies, connections and lists.",
            (False, True),
        ),
        Knob(
            "inlineConnections",
            "full",
            "Connections within companies: whole, without errors and connectionInfo, or left out.",
            ("full", "sparse", "absent"),
        ),
        Knob(
            "linkUrlOtp",
            "fixed",
            "One-time password in linkUrl and redirect: none, one until it is used or a day old, or a new one"
            " at each read. Those of QuickBooks Online Bank Feeds rotate unless off.",
            ("off", "fixed", "rotating"),
        ),
        Knob("deleteBody", "empty", "The body of a deleted connection's 200.", ("empty", "true")),
        Knob(
            "readLagSeconds",
            0,
            "Lists, and connections within companies, show the state of so many seconds ago. One connection's"
            " own GET is always fresh.",
            most=LONGEST_LAG,
            whole=False,
        ),
        Knob(
            "rowShift",
            0,
            "With each list request the rows rotate by so many, so pages repeat some and miss others.",
        ),
        Knob("idempotency", "honour", "Idempotency-Key on POST and PATCH.", ("honour", "ignore")),
        Knob(
            "defaultOrder",
            "created",
            "The order of lists without orderBy.",
            ("created", "-created", "id"),
        ),
        Knob(
            "orderBy", "accept", "orderBy on lists: obeyed, ignored, or 400.", ("accept", "ignore", "reject")
        ),
        Knob("query", "accept", "query on lists: obeyed, ignored, or 400.", ("accept", "ignore", "reject")),
        Knob(
            "emptyTags",
            "keep",
            "Empty tags in a company's PATCH: tags kept, or removed.",
            ("keep", "remove"),
        ),
        Knob(
            "dailyQuota",
            None,
            "Requests for each tenant until 00:00 UTC, enforced with 429. null: only reported, as Codat's"
            " 1,000 x (1 + companies with a Linked connection).",
            nullable=True,
            most=1_000_000_000,
        ),
        Knob(
            "requestsPerMinute",
            None,
            "Requests in any 60 seconds, enforced with 429 (Codat: 1,000 for each IP). null: only the peak is"
            " reported.",
            nullable=True,
            least=1,
        ),
        Knob(
            "concurrentPerCompany",
            None,
            "Requests at the same time for one company, enforced with 429 (Codat: 10). null: only the peak is"
            " reported.",
            nullable=True,
            least=1,
        ),
        Knob("latencySeconds", 0, "How long every answer takes.", most=60, whole=False),
        Knob(
            "clockAheadSeconds",
            0,
            "How far the emulator's clock runs ahead: links, idempotency keys and quotas grow old at once.",
            whole=False,
            most=1_000_000_000,
        ),
    )
}


class UnknownKnobError(ValueError):
    """An unknown knob, or a value that it can't have; the text says what is possible."""


def knob_values(changes: object) -> dict[str, Any]:
    """Return *changes*, values by name of knob. Raises `UnknownKnobError` if one isn't possible."""
    if not isinstance(changes, dict):
        raise UnknownKnobError('knobs are an object, such as {"deleteTwice": 200}')
    for name, value in changes.items():
        knob = KNOBS.get(name)
        if knob is None:
            raise UnknownKnobError(f"there is no knob {name!r}; there are: {', '.join(KNOBS)}")
        if not knob.accepts(value):
            raise UnknownKnobError(f"{name} can't be {value!r}; it can be: {knob.values}")
    return changes


def describe(current: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the table as JSON data, with the *current* values."""
    return [
        {
            "name": knob.name,
            "value": current[knob.name],
            "default": knob.default,
            "values": knob.values,
            "text": knob.text,
        }
        for knob in KNOBS.values()
    ]
