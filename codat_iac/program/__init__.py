"""The stock Pulumi program: it declares what the desired-state file says.

A project's own `__main__.py` needs two lines: `from codat_iac.program import main` and `main()`. (With
`main: codat_iac/program` instead, the engine looks for a relative `virtualenv` below that folder.)
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pulumi

from codat_iac import desired, settings
from codat_iac.errors import CodatIacError, ConfigError
from codat_iac.model import DesiredConnection, Status
from codat_iac.resources import Connection
from codat_iac.rules import ABSENT

ALREADY_EXPLAINED = 32
"""The exit status by which a program tells Pulumi's language host that the user knows why."""

MOST_NAMED = 50
"""How many waiting connections the stack's output names."""


def main() -> None:
    """Declare the connections of the file that the config `codat:desired` names."""
    leave_quietly_when_interrupted()
    try:
        declared = desired.load(desired_path())
    except CodatIacError as error:
        for line in str(error).splitlines():
            pulumi.log.error(line)
        sys.exit(ALREADY_EXPLAINED)
    export_summary(declared, [declare(connection) for connection in declared])


def desired_path() -> Path:
    """Give the path of the desired state, relative to Pulumi.yaml. Raises `ConfigError` without one."""
    configured = pulumi.Config(settings.NAMESPACE).get("desired")
    if not configured:
        raise ConfigError("no desired state: `pulumi config set codat:desired connections.yaml`")
    path = Path(pulumi.get_root_directory()) / configured
    return Path(os.path.relpath(path))


def declare(connection: DesiredConnection) -> Connection:
    """Declare one connection."""
    return Connection(
        connection.address,
        company_id=connection.company_id,
        platform_key=connection.platform_key,
        status=str(connection.status),
        on_removal=str(connection.on_removal),
        on_existing=str(connection.on_existing),
        connection_id=connection.connection_id,
        siblings=sorted(connection.siblings - {connection.address}),
    )


def export_summary(declared: Sequence[DesiredConnection], resources: Sequence[Connection]) -> None:
    """Export how many connections have which status, and which wait for their customers."""
    # `created` is known only of what exists, so that a preview promises no status.
    facts = pulumi.Output.all(*[r.status for r in resources], *[r.created for r in resources])
    statuses = facts.apply(lambda known: known[: len(resources)])
    pulumi.export("connections", statuses.apply(lambda known: dict(sorted(Counter(known).items()))))
    pulumi.export("waiting", statuses.apply(lambda known: waiting(declared, known)))


def waiting(declared: Sequence[DesiredConnection], statuses: Sequence[str]) -> list[str]:
    """Name the connections that only their customers can bring to the desired status."""
    named = [
        connection.address
        for connection, status in zip(declared, statuses, strict=True)
        if connection.status is Status.LINKED and status not in {Status.LINKED, ABSENT}
    ]
    rest = len(named) - MOST_NAMED
    return named[:MOST_NAMED] + ([f"and {rest} more"] if rest > 0 else [])


def leave_quietly_when_interrupted() -> None:
    """Leave at the engine's SIGINT, which follows a failed resource: its error has been shown.

    Else the executor prints some thirty lines of `KeyboardInterrupt` under it.
    """

    def leave(*_: Any) -> None:
        os._exit(ALREADY_EXPLAINED)  # pragma: no cover  nothing measures a process that leaves at once

    signal.signal(signal.SIGINT, leave)
