"""Divide the changes of an apply into runs of the engine. Pure.

Before and after each change the engine would write the whole state, as a checkpoint: with thousands of
connections that takes longer than all else, and many creates take time with the square of their number. So
each run writes the state once, at its end.

If a run is killed, what it did isn't recorded: at most `LARGEST` changes. Doing any of them again changes
nothing. The next run finds what was made `PendingAuth` and free in its company, and adopts it; it finds what
was unlinked `Unlinked`, and what was deleted gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from codat_iac.planning.decision import Decision
from codat_iac.planning.moves import grouped

EngineRun = tuple[Decision, ...]
"""The changes of one run."""

LARGEST = 500
"""The most changes that one run leaves unrecorded if it is killed, unless a single company has more."""


def engine_runs(changes: Iterable[Decision]) -> list[EngineRun]:
    """Return the changes of each run, without those that must wait for a later apply.

    All changes of a company are in the same run, since they may depend on each other.
    """
    by_company = grouped((change for change in changes if not change.later), lambda change: change.company_id)
    runs: list[EngineRun] = []
    for mine in by_company.values():
        if runs and len(runs[-1]) + len(mine) <= LARGEST:
            runs[-1] += tuple(mine)
        else:
            runs.append(tuple(mine))
    return runs
