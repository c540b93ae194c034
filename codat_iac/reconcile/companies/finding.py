"""Find what a desired state declares, with the companies that it names by the user's own key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from codat_iac.codat.client import Reader
from codat_iac.model.connection import Company, Declaration, DesiredConnection, PriorConnection
from codat_iac.model.errors import ConfigError, Problem
from codat_iac.reconcile.companies.binding import bind
from codat_iac.reconcile.companies.rules import Expansion, expand
from codat_iac.reconcile.companies.tenant_scan import decided


@dataclass(frozen=True, slots=True)
class Found:
    """What a desired state declares, sorted by address, and what each of its rules expands to."""

    connections: tuple[DesiredConnection, ...]
    rules: tuple[Expansion, ...] = ()
    problems: tuple[Problem, ...] = ()


def find_companies(
    declared: Declaration, recorded: Callable[[], Sequence[PriorConnection]], reader: Callable[[], Reader]
) -> Found:
    """Find the companies of what is *declared*.

    *recorded* is all that the stack has recorded; it and *reader* are called only if something is to be
    looked up. Raises `ConfigError` with all that is unclear, and `ApiError` if the tenant can't be read.
    """
    if not declared.is_open:
        return Found(declared.connections)
    known = recorded()
    found = decided(reader(), lambda companies: find(declared, companies, known))
    if found.problems:
        raise ConfigError(found.problems)
    return found


def find(
    declared: Declaration, companies: Mapping[str, Company], recorded: Sequence[PriorConnection]
) -> Found:
    """Return what is *declared*, given all *companies* of the tenant by id; or what is unclear. Pure."""
    bound = bind(declared, companies, recorded)
    rules = expand(declared.rules, companies, bound.connections, recorded)
    made = (each for rule in rules for each in rule.connections)
    return Found(
        tuple(sorted((*bound.connections, *made), key=lambda each: each.address)),
        rules,
        (*bound.problems, *(problem for rule in rules for problem in rule.problems)),
    )
