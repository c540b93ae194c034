"""Divide the changes of an apply into runs of the engine. Pure.

Before and after each change the engine writes the whole state, as a checkpoint, so thousands of creates take
time with the square of their number. Creates that are many get runs of their own, in which the state is
written once, at the end.

If such a run is killed, what it made isn't recorded: at most `LARGEST` connections. That is what a kill
between a POST and its checkpoint leaves of any run, only more of it, and it ends the same way: the next run
finds them `PendingAuth` and free in their companies, and adopts each. An unlink or a removal never goes
without checkpoints, nor does any change of a company that has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codat_iac.planning.decision import Decision
from codat_iac.planning.moves import grouped
from codat_iac.planning.rule_table import Action

FEWEST = 20
"""The fewest creates that are worth starting the engine once more."""

LARGEST = 500
"""The most creates that one run leaves unrecorded if it is killed, unless a single company has more."""


@dataclass(frozen=True, slots=True)
class EngineRun:
    """The changes of one run; with `checkpoints` the state is written after each of them."""

    changes: tuple[Decision, ...]
    checkpoints: bool = True


def engine_runs(changes: Iterable[Decision]) -> list[EngineRun]:
    """Return the runs for *changes*, without those that must wait for a later apply.

    All changes of a company are in the same run, since they may depend on each other.
    """
    by_company = grouped(changes, lambda change: change.company_id)
    only_creates = [mine for mine in by_company.values() if all(map(_is_plain_create, mine))]
    if sum(map(len, only_creates)) < FEWEST:
        only_creates = []
    apart = {change.address for mine in only_creates for change in mine}
    rest = tuple(
        change
        for mine in by_company.values()
        for change in mine
        if change.address not in apart and not change.later
    )
    runs = [EngineRun(rest)] if rest else []
    return [*runs, *(EngineRun(batch, checkpoints=False) for batch in _batches(only_creates))]


def _is_plain_create(change: Decision) -> bool:
    """Return whether a change only adds to Codat and to the state, so that doing it twice changes nothing."""
    return change.action in {Action.CREATE, Action.ADOPT} and change.removal is None and not change.later


def _batches(companies: Iterable[list[Decision]]) -> Iterator[tuple[Decision, ...]]:
    batch: tuple[Decision, ...] = ()
    for mine in companies:
        if batch and len(batch) + len(mine) > LARGEST:
            yield batch
            batch = ()
        batch += tuple(mine)
    if batch:
        yield batch
