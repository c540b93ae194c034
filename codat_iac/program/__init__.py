"""The Pulumi programs that declare connections: the stock program here, and what programs of one's own need.

A project's own `__main__.py` needs two lines: `from codat_iac.program import main` and `main()`. (With
`main: codat_iac/program` instead, the engine looks for a relative `virtualenv` below that folder.)
"""

from __future__ import annotations

import os
import signal
from typing import Any

from codat_iac.program import stack_record

ALREADY_EXPLAINED = 32
"""The exit status that tells Pulumi's language host that the error has been shown to the user."""


def main() -> None:
    """Declare the connections of the desired state that the config `codat:desired` names.

    An error is logged, one line for each problem, and ends the process with `ALREADY_EXPLAINED`.
    """
    exit_quietly_on_interrupt()
    recorded = stack_record.ask()
    from codat_iac.program import stock  # noqa: PLC0415  the engine answers while this is imported

    stock.declare_all(recorded)


def exit_quietly_on_interrupt() -> None:
    """Exit at the engine's SIGINT, which follows a failed resource whose error has been shown.

    Otherwise the executor prints some thirty lines of `KeyboardInterrupt` below that error.
    """

    def leave(*_: Any) -> None:
        os._exit(ALREADY_EXPLAINED)  # pragma: no cover  coverage can't measure a process that exits at once

    signal.signal(signal.SIGINT, leave)
