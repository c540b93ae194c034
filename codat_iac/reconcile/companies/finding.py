"""Find what a desired state declares, with the companies that it names by the user's own key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from codat_iac.codat.client import Reader
from codat_iac.model.connection import Company, Declaration, DesiredConnection, PriorConnection
from codat_iac.model.errors import ConfigError, FileProblem
from codat_iac.model.shard import Shard
from codat_iac.reconcile.companies.binding import bind
from codat_iac.reconcile.companies.rules import Rules, expand, left_their_tags
from codat_iac.reconcile.companies.tenant_readings import decided


@dataclass(frozen=True, slots=True)
class Found:
    """What a desired state declares, sorted by address, and what its rules expand to."""

    connections: tuple[DesiredConnection, ...]
    rules: Rules = field(default_factory=Rules)
    problems: tuple[FileProblem, ...] = ()
    company_ids: Mapping[str, str] = field(default_factory=dict)
    """The ids of the companies that were found by a match, by their keys."""


def find_companies(
    declared: Declaration,
    recorded: Callable[[], Sequence[PriorConnection]],
    reader: Callable[[], Reader],
    shard: Shard | None = None,
) -> Found:
    """Find the companies of what is *declared*.

    *recorded* is all that the stack has recorded; it and *reader* are called only if something is to be
    looked up. A *shard* doesn't know what the others have recorded, and so not whom a key meant before: it
    is refused. Raises `ConfigError` with all that is unclear, and `ApiError` if the tenant can't be read.
    """
    if not declared.is_open:
        return Found(declared.connections)
    if shard and shard.count > 1:
        raise ConfigError([*_unknown_to_shards(declared)])
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
        Rules(rules, left_their_tags(declared.rules, companies, recorded)),
        (*bound.problems, *(problem for rule in rules for problem in rule.problems)),
        bound.company_ids,
    )


def _unknown_to_shards(declared: Declaration) -> Iterator[FileProblem]:
    said = "isn't for stacks with a codat:shard, which don't know whom it meant in another stack; give `id:`"
    for block in declared.matched:
        yield FileProblem(*block.place, f"company {block.key}: `match` {said}")
    for rule in declared.rules:
        yield FileProblem(*rule.place, f"rule {rule.name}: it {said}")
