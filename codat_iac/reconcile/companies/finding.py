"""Find what a desired state declares, with the companies that it names by the user's own key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codat_iac.codat.client import Reader
from codat_iac.model.connection import Declaration, DesiredConnection, PriorConnection
from codat_iac.model.errors import ConfigError
from codat_iac.reconcile.companies.binding import bind
from codat_iac.reconcile.companies.tenant_scan import decided


def find_companies(
    declared: Declaration, recorded: Callable[[], Sequence[PriorConnection]], reader: Callable[[], Reader]
) -> tuple[DesiredConnection, ...]:
    """Return all connections that are *declared*, each with its company's id, sorted by address.

    *recorded* is all that the stack has recorded; it and *reader* are called only if something is to be
    looked up. Raises `ConfigError` with all that is unclear, and `ApiError` if the tenant can't be read.
    """
    if not declared.matched:
        return declared.connections
    known = recorded()
    bound = decided(reader(), lambda companies: bind(declared, companies, known))
    if bound.problems:
        raise ConfigError(bound.problems)
    return bound.connections
