"""The exit codes of the command line."""

from __future__ import annotations


class ExitCode:
    """The exit codes with `--detailed-exitcode`; without it, changes and waiting are 0."""

    IN_SYNC = 0
    ERROR = 1
    CHANGES = 2
    WAITING = 3
    REFUSED = 4
