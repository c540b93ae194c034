"""Look at the whole tenant, for plan and coverage: it is read once, and the plan uses what was read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from codat_iac.cli.session import Session
from codat_iac.model.errors import ConfigError
from codat_iac.planning.plan import Plan
from codat_iac.planning.plan.coverage import Coverage, Known, measure
from codat_iac.planning.plan.enforcement import obey
from codat_iac.reconcile.companies.tenant_readings import Scan, read_once
from codat_iac.reconcile.planner import Planner

if TYPE_CHECKING:
    from codat_iac.desired import DesiredState


def coverage(session: Session, state: DesiredState) -> Coverage:
    """Read the tenant, and count what is managed. Raises `ApiError` if it can't be read."""
    return _measured(session, state, session.planner(None), _scan(session))


def plan(session: Session, state: DesiredState, company: str | None, *, with_coverage: bool = False) -> Plan:
    """Return the plan for *company*, or for all companies, as the policy of the desired state wants it.

    Raises `ConfigError` if the coverage of a single company is asked for.
    """
    if with_coverage and company is not None:
        raise ConfigError("--coverage is about the whole tenant; leave out --company, or --coverage")
    policy = state.unmanaged
    if company is None and (with_coverage or policy.needs_tenant):
        read = _scan(session)
        planner = session.planner(None)
        found = _measured(session, state, planner, read)
        planner.seed(read.companies)
        made = obey(
            session.plan_by(planner, state.connections),
            policy,
            {each.id: each.tags for each in read.companies},
            found,
        )
        return replace(made, coverage=found if with_coverage else None)
    made = session.plan_by(session.planner(company, state.connections), state.connections)
    asked = {each.company_id for each in made.unmanaged} if policy.by_tag else set()
    return obey(made, policy, {each: session.reader.get_company(each).tags for each in sorted(asked)})


def _scan(session: Session) -> Scan:
    """Read the tenant; of a shard, the companies that are its own."""
    return read_once(session.reader).of_shard(session.shard)


def _measured(session: Session, state: DesiredState, planner: Planner, read: Scan) -> Coverage:
    managed = {prior.id for prior in session.recorded}
    known = planner.known_ids(state.connections, read.companies, stateless=session.stateless)
    return measure(
        read.companies,
        Known(managed, known - managed, state.company_keys),
        state.unmanaged,
        complete=read.complete,
    )
