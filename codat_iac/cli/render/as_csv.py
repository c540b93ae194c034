"""Render the links as CSV, for a spreadsheet: a row for each connection."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from codat_iac.cli.render import words
from codat_iac.planning.plan import Link

HEADER = (
    "address",
    "company",
    "platform",
    "status",
    "since",
    "url",
    "companyId",
    "connectionId",
    "platformKey",
)
"""The columns, which people's mail merges know: never rename, move or remove one; new ones go to the end."""

_FORMULA = ("=", "+", "-", "@")


def links(waiting: Sequence[Link]) -> str:
    """Return the links as CSV.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front. Source:
    https://owasp.org/www-community/attacks/CSV_Injection.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    for each in waiting:
        texts = (each.address, each.company, each.platform, each.status, each.since)
        ids = (each.company_id, each.connection_id, each.platform_key)
        writer.writerow([*map(_cell, texts), _harmless(words.safe_url(each.url)), *map(_cell, ids)])
    return file.getvalue().rstrip("\n")


def _cell(text: str) -> str:
    return _harmless(words.fit(text) if text else "")


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
