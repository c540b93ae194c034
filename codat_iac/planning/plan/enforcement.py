"""What the policy for unmanaged connections makes of a plan, and of a tenant. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from codat_iac.planning.plan import Plan, Problem
from codat_iac.planning.plan.coverage import Coverage, Kind
from codat_iac.planning.plan.unmanaged import OnUnmanaged, UnmanagedPolicy

WHOLE_TENANT = "tenant"
"""Where a problem is that is about no company alone."""

BRING_IN = (
    "`codat-iac import --new` brings them in; or let `unmanaged`, or `unmanagedByTag` for a tag of the"
    " company, be report or ignore"
)
_CHANGED = (
    "companies came or went while the tenant was read, so what is said of it may lack some or hold some that"
    " are gone"
)


def problems(found: Coverage, policy: UnmanagedPolicy) -> tuple[Problem, ...]:
    """Return a problem for each company with connections that *policy* forbids."""
    forbidden = [each for each in found.uncovered if each.policy is OnUnmanaged.ERROR]
    return (
        *_forbidden(each.company if each.kind is Kind.UNMANAGED else each.company_id for each in forbidden),
        *_unchecked(found, policy),
    )


def notes(found: Coverage) -> tuple[str, ...]:
    """Return what has to be said of how the tenant was read."""
    return () if found.complete else (f"{_CHANGED}; run again when it is at rest",)


def obey(
    plan: Plan, policy: UnmanagedPolicy, tags: Mapping[str, Mapping[str, str]], found: Coverage | None = None
) -> Plan:
    """Return *plan* as *policy* wants it: without what is ignored, and with problems for what is an error.

    *tags* are those of companies by id; *found* is the tenant, if the plan is about all of it.
    """
    policies = {each.company_id: policy.of(tags.get(each.company_id, {})) for each in plan.unmanaged}
    shown = [each for each in plan.unmanaged if policies[each.company_id] is not OnUnmanaged.IGNORE]
    forbidden = [each.company for each in shown if policies[each.company_id] is OnUnmanaged.ERROR]
    more: list[Problem] = []
    said: tuple[str, ...] = ()
    if found is not None:
        forbidden += [
            each.company_id
            for each in found.uncovered
            if each.kind is Kind.UNDECLARED and each.policy is OnUnmanaged.ERROR
        ]
        more += _unchecked(found, policy)
        said = notes(found)
    return dataclasses.replace(
        plan,
        unmanaged=tuple(shown),
        problems=(*plan.problems, *_forbidden(forbidden), *more),
        notes=(*plan.notes, *said),
    )


def _forbidden(companies: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each of the companies, which are keys or ids, once."""
    for company in dict.fromkeys(companies):
        yield Problem(
            company,
            f"{company}: nobody here manages some of its live connections, which `unmanaged: error` forbids;"
            f" {BRING_IN}",
        )


def _unchecked(found: Coverage, policy: UnmanagedPolicy) -> Iterator[Problem]:
    if policy.demands and not found.complete:
        said = f"{_CHANGED}, and `unmanaged: error` can't be checked; run again when it is at rest"
        yield Problem(WHOLE_TENANT, f"{WHOLE_TENANT}: {said}")
