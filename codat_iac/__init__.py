"""Codat connections as code.

`Connection` is a Pulumi resource, `Client` Codat's API for scripts, `CodatIacError` the base of all errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codat_iac.model.errors import CodatIacError
from codat_iac.model.version import __version__

__all__ = ["Client", "CodatIacError", "Connection", "__version__"]


if TYPE_CHECKING:
    from codat_iac.codat.client import Client
    from codat_iac.provider.connection import Connection
else:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        """Import what is slow to import (pulumi, requests) when it is asked for."""
        if name == "Client":
            from codat_iac.codat.client import Client  # noqa: PLC0415

            return Client
        if name == "Connection":
            from codat_iac.provider.connection import Connection  # noqa: PLC0415

            return Connection
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """List also what isn't imported yet."""
        return sorted({*globals(), *__all__})
