"""What the process that planned tells the process that acts, so that a targeted run knows the whole stack.

A targeted run sees only its targets and reads nothing. With the handover it decides as a full run would: it
knows the ids in the state, which of them stay, and what is live in the companies that change. The file exists
only during the run, is readable by its owner alone, and holds neither a key nor a link.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from codat_iac.model import properties
from codat_iac.model.connection import LiveConnection, PriorConnection
from codat_iac.model.errors import ConfigError
from codat_iac.reconcile.preview import Preview

VARIABLE = "CODAT_HANDOVER"
"""The environment variable that names the file, for the process that acts."""


def to_json(
    recorded: Iterable[PriorConnection],
    staying: Mapping[str, str],
    companies: Mapping[str, Collection[LiveConnection]],
    *,
    approved: Collection[str] = (),
) -> str:
    """Return the content of the file.

    *staying* are the ids that stay as they are, by their places. *companies* are the live connections by
    company id, for the companies that change: what is recorded in one of those and isn't live is certainly
    absent. *approved* are the ids of the connections that alone may lose their authorisations.
    """
    return json.dumps(
        {
            "recorded": [
                {
                    "id": prior.id,
                    "urn": prior.urn,
                    "pending": prior.pending_removal,
                    **properties.recorded(prior),
                }
                for prior in recorded
            ],
            "staying": dict(staying),
            "approved": sorted(approved),
            "companies": {
                company_id: [_connection(connection) for connection in connections]
                for company_id, connections in companies.items()
            },
        }
    )


def load(path: Path, operations: Preview) -> None:
    """Read the file into what *operations* knows. Raises `ConfigError` if it isn't one of ours."""
    try:
        known: dict[str, Any] = json.loads(path.read_text())
        recorded = [
            properties.prior(bag["id"], bag, urn=bag["urn"], pending_removal=bag["pending"])
            for bag in known["recorded"]
        ]
        companies = {
            company_id: [LiveConnection(**bag) for bag in bags]
            for company_id, bags in known["companies"].items()
        }
        staying = dict(known["staying"])
        approved = frozenset(known["approved"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{VARIABLE} names no file of `codat-iac apply`; unset it") from error
    operations.approve_losses(approved)
    operations.state.record_all(recorded)
    for place, connection_id in staying.items():
        operations.state.hold(connection_id, place)
    for company_id, connections in companies.items():
        live = {connection.id for connection in connections}
        absent = {p.id for p in recorded if p.desired.company_id == company_id and p.id not in live}
        operations.snapshot.seed(company_id, connections, absent)
        for connection_id in absent:
            operations.state.mark_missing(connection_id)


def _connection(connection: LiveConnection) -> dict[str, Any]:
    bag = dataclasses.asdict(dataclasses.replace(connection, link_url="", data_connection_errors=()))
    return {name: value for name, value in bag.items() if value}
