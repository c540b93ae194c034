"""The stock program as it was: it declares each connection of the file with `codat_iac.Connection`."""

from __future__ import annotations

from collections import Counter

import pulumi

from codat_iac import Connection, desired
from codat_iac.program.stock import desired_path


def main() -> None:
    """Declare what the desired state says, and export the counts by status."""
    declared = [
        Connection(
            each.address,
            company_id=each.company_id,
            platform_key=each.platform_key,
            status=each.status,
            on_removal=each.on_removal,
            on_existing=each.on_existing,
            connection_id=each.connection_id,
        )
        for each in desired.load(desired_path())
    ]
    statuses: pulumi.Output[list[str]] = pulumi.Output.all(*(each.status for each in declared))
    pulumi.export("connections", statuses.apply(lambda found: dict(sorted(Counter(found).items()))))
