"""Codat connections as code.

`Connection` is a Pulumi resource for programs of one's own, `Client` Codat's API for scripts, and
`CodatIacError` the base of all errors. `help(codat_iac.Connection)` and `help(codat_iac.Client)` say more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codat_iac.model.errors import CodatIacError
from codat_iac.model.version import __version__

__all__ = ["Client", "CodatIacError", "Connection", "__version__"]


if TYPE_CHECKING:
    from codat_iac.codat.client import Client
    from codat_iac.program.connection import Connection
else:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        """Import what is slow to import (pulumi, requests) when it is asked for."""
        if name == "Client":
            from codat_iac.codat.client import Client  # noqa: PLC0415

            return Client
        if name == "Connection":
            from codat_iac.program.connection import Connection  # noqa: PLC0415

            return Connection
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """List also the names that are only imported when they are asked for."""
        return sorted({*globals(), *__all__})
