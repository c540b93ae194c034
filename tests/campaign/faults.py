"""The faults of a campaign: each fault at each operation, and every point that Codat leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

OPERATIONS: Mapping[str, str] = {
    "list": "GET /companies/*/connections",
    "get": "GET /companies/*/connections/*",
    "scan": "GET /companies",
    "integrations": "GET /integrations",
    "create": "POST /companies/*/connections",
    "unlink": "PATCH /companies/*/connections/*",
    "delete": "DELETE /companies/*/connections/*",
}
"""The operations of Codat's API that a reconciler uses."""

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "429 in seconds": {"do": "status", "status": 429, "headers": {"Retry-After": "2"}},
    "429 at a date": {
        "do": "status",
        "status": 429,
        "headers": {"Retry-After": "Tue, 24 Nov 2026 10:00:00 GMT"},
    },
    "429 for hours": {"do": "status", "status": 429, "headers": {"Retry-After": "14400"}},
    "500": {"do": "status", "status": 500},
    "503": {"do": "status", "status": 503},
    "504 after commit": {"do": "status-after-commit", "status": 504},
    "reset before": {"do": "reset-before"},
    "reset after commit": {"do": "reset-after-commit"},
    "late commit": {"do": "delay"},
    "late answer": {"do": "delay-after-commit"},
    "slow body": {"do": "slow-body"},
    "cut body": {"do": "truncate"},
    "HTML": {"do": "html"},
    "HTML after commit": {"do": "html-after-commit", "status": 502},
}
"""The faults, by their names in the table. The date of a `Retry-After` may be past."""

SLOW = frozenset({"late commit", "late answer", "slow body"})
"""Faults that take real time: longer than the client's timeout, shorter than its wait for a late commit."""

ENDING = frozenset({"429 for hours", "HTML"})
"""Faults that end a process wherever they strike, so that its last operations are hardly ever reached."""

CELLS = tuple((fault, operation) for fault in FAULTS for operation in OPERATIONS)

KNOBS: Mapping[str, tuple[Any, ...]] = {
    "pendingUnlink": (400, 404, 200),
    "unlinkedUnlink": (400, 404, 200),
    "deauthorisedUnlink": ("allow", "refuse"),
    "deleteTwice": (404, 200),
    "unknownCompany": ("ClientsApi", "PublicApi"),
    "pageBeyondEnd": (200, 400, 404),
    "pageSizeMost": (2000, 3),
    "pageSizeAboveMost": ("clamp", "reject"),
    "retryAfterFormat": ("seconds", "http-date"),
    "rateLimitResetFormat": ("unix", "iso", "http-date"),
    "integrationKey": ("present", "absent", "absent-on-create"),
    "emptyFields": ("absent", "null"),
    "unknownFields": (False, True),
    "inlineConnections": ("full", "sparse", "absent"),
    "linkUrlOtp": ("off", "fixed", "rotating"),
    "deleteBody": ("empty", "true"),
    "readLagSeconds": (0, 1, 4),
    "rowShift": (0, 1),
    "idempotency": ("honour", "ignore"),
    "defaultOrder": ("created", "-created", "id"),
    "secondAccounting": ("accept", "reject"),
    "concurrentPerCompany": (None, 10),
    "dailyQuota": (None, 40),
}
"""The knobs that matter to a reconciler, and their values; the first is the default."""

PASSING = {"rowShift": 0, "dailyQuota": None, "readLagSeconds": 0}
"""Knobs that are faults rather than properties of Codat, and that are reset together with the faults."""


def some_knobs(dice: Random) -> dict[str, Any]:
    """Return random values of some knobs; most keep their default."""
    rolled = {name: dice.choice(values) for name, values in KNOBS.items() if dice.random() < 0.25}
    if rolled.get("pageSizeMost") == 3:
        rolled["pageSizeAboveMost"] = "clamp"  # nobody refuses pages of 1,000 and documents 5,000
    return rolled


def struck(cell: tuple[str, str], dice: Random) -> dict[str, Any]:
    """Return the fault of *cell* in the emulator's format: one to three hits, perhaps after one request."""
    fault, operation = cell
    return {
        "on": OPERATIONS[operation],
        **FAULTS[fault],
        "times": dice.choice((1, 1, 2, 2, 3)),
        "skip": dice.choice((0, 0, 0, 0, 1)),
        "seconds": 0.35,
    }
