"""How much of a tenant is managed: its companies and connections, counted. Pure.

`reconcile/companies/tenant_readings.py` reads the tenant, `enforcement.py` says what the policy makes of it,
and `cli/render/` shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from codat_iac.model.connection import Company, LiveConnection
from codat_iac.planning.plan.unmanaged import TAG_SIGN, OnUnmanaged, UnmanagedPolicy


class Kind(StrEnum):
    """What a live connection is to us."""

    MANAGED = "managed"
    """The state holds it."""
    DECLARED = "declared"
    """The desired state means it, and the state doesn't hold it yet."""
    UNMANAGED = "unmanaged"
    """It is neither, in a company that is declared."""
    UNDECLARED = "undeclared"
    """It is neither, in a company that nobody declares."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many connections there are of each kind; `ignored` ones, by the policy, are of none of them."""

    managed: int = 0
    declared: int = 0
    unmanaged: int = 0
    undeclared: int = 0
    ignored: int = 0

    @property
    def total(self) -> int:
        """How many count."""
        return self.managed + self.declared + self.unmanaged + self.undeclared

    @property
    def covered(self) -> int:
        """How many are managed or declared."""
        return self.managed + self.declared

    @property
    def percent(self) -> float:
        """The share of what is covered in per cent, rounded down to tenths: 100 only if all is covered."""
        return self.covered * 1000 // self.total / 10 if self.total else 100.0

    def reaches(self, percent: float) -> bool:
        """Return whether the exact share is at least *percent*."""
        return not self.total or Fraction(self.covered * 100, self.total) >= Fraction(percent)


@dataclass(frozen=True, slots=True)
class Group:
    """The connections on one platform, with one status, or of companies with one tag (`name=value`)."""

    name: str
    connections: Tally


@dataclass(frozen=True, slots=True)
class Uncovered:
    """One connection that nobody here manages. `company` is its key in the desired state, else its name."""

    company_id: str
    company: str
    connection_id: str
    platform_key: str
    status: str
    kind: Kind
    policy: OnUnmanaged


@dataclass(frozen=True, slots=True)
class Coverage:
    """A whole tenant.

    `complete` is False if companies came or went while it was read. `companies_declared` and
    `companies_undeclared` count companies, with connections or without.
    """

    complete: bool = True
    companies_declared: int = 0
    companies_undeclared: int = 0
    connections: Tally = Tally()
    platforms: tuple[Group, ...] = ()
    statuses: tuple[Group, ...] = ()
    tags: tuple[Group, ...] = ()
    uncovered: tuple[Uncovered, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known here: the ids of managed and of declared connections, and the companies' keys by id."""

    managed: Collection[str]
    declared: Collection[str]
    companies: Mapping[str, str]


def measure(
    companies: Iterable[Company], known: Known, policy: UnmanagedPolicy, *, complete: bool = True
) -> Coverage:
    """Count the connections of *companies*, which have all of theirs."""
    rows = [row for company in companies for row in _rows(company, known, policy)]
    ids = [company.id for company in companies]
    declared = sum(company_id in known.companies for company_id in ids)
    return Coverage(
        complete,
        declared,
        len(ids) - declared,
        _tally(rows),
        _grouped((row.live.platform_key or "", row) for row in rows),
        _grouped((row.live.status, row) for row in rows),
        _grouped((tag, row) for row in rows for tag in row.tags),
        tuple(
            sorted(
                (row.uncovered for row in rows if row.is_uncovered),
                key=lambda each: (
                    each.kind,
                    each.company,
                    each.company_id,
                    each.platform_key,
                    each.connection_id,
                ),
            )
        ),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    live: LiveConnection
    kind: Kind
    policy: OnUnmanaged
    company: str
    tags: Sequence[str]

    @property
    def is_uncovered(self) -> bool:
        return self.kind in {Kind.UNMANAGED, Kind.UNDECLARED} and self.policy is not OnUnmanaged.IGNORE

    @property
    def counted_as(self) -> str:
        covered = self.kind in {Kind.MANAGED, Kind.DECLARED}
        return self.kind if covered or self.is_uncovered else "ignored"

    @property
    def uncovered(self) -> Uncovered:
        live = self.live
        return Uncovered(
            live.company_id,
            self.company,
            live.id,
            live.platform_key or "",
            live.status,
            self.kind,
            self.policy,
        )


def _rows(company: Company, known: Known, policy: UnmanagedPolicy) -> Iterator[_Row]:
    key = known.companies.get(company.id)
    tags = [f"{name}{TAG_SIGN}{value}" for name, value in company.tags.items()]
    of_company = policy.of(company.tags)
    for live in company.connections or ():
        if live.id in known.managed:
            kind = Kind.MANAGED
        elif live.id in known.declared:
            kind = Kind.DECLARED
        else:
            kind = Kind.UNDECLARED if key is None else Kind.UNMANAGED
        yield _Row(live, kind, of_company, company.name if key is None else key, tags)


def _tally(rows: Iterable[_Row]) -> Tally:
    counted: dict[str, int] = {}
    for row in rows:
        counted[row.counted_as] = counted.get(row.counted_as, 0) + 1
    return Tally(**counted)


def _grouped(rows: Iterable[tuple[str, _Row]]) -> tuple[Group, ...]:
    """Return the groups, the one with the most that isn't covered first."""
    members: dict[str, list[_Row]] = {}
    for name, row in rows:
        members.setdefault(name, []).append(row)
    groups = [Group(name, _tally(group)) for name, group in members.items()]
    groups.sort(key=lambda each: (each.connections.covered - each.connections.total, each.name))
    return tuple(groups)
