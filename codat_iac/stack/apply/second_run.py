"""What follows a run, if a change had to wait for it, such as for a name that was still taken. Pure."""

from __future__ import annotations

from dataclasses import replace

from codat_iac.model.errors import UnsafePlan
from codat_iac.planning.plan import Plan
from codat_iac.stack.apply.outcomes import Applied, Result


def needs_second_run(applied: Applied, plan: Plan) -> bool:
    """Return whether a second run follows: all of the first is done, and a change had to wait for it."""
    done = not applied.error and all(outcome.result is Result.DONE for outcome in applied.outcomes)
    return done and not applied.interrupted and any(change.later for change in plan.changes)


def second_run(now: Plan, before: Plan) -> Plan:
    """Return *now* with only the changes that had to wait in the plan *before*.

    Raises `UnsafePlan` if the second run has a problem, is refused, or has losses that weren't shown.
    """
    waited = {change.address: change for change in before.changes if change.later}
    changes = tuple(change for change in now.changes if change.address in waited)
    unseen = [
        c.address
        for c in changes
        if c.action is not waited[c.address].action or not {*c.losing} <= {*waited[c.address].losing}
    ]
    if now.problems:
        raise UnsafePlan(f"the first run is done, and the second can't be: {now.problems[0].text}")
    if unseen or now.refusal or all(change.later for change in changes):
        raise UnsafePlan("the second run is not what was shown; look at `codat-iac plan`, and apply again")
    return replace(now, changes=changes)
