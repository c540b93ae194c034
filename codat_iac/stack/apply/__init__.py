"""Carry out a plan: run Pulumi on exactly the planned resources, so that the time depends only on the change.

The program of that run declares only connections that are created or changed; they and the ones to be removed
are the targets. A handover file tells the run's provider what the planning process knows of the rest.

```
engine_runs    which changes come in which run of the engine
outcomes       the outcome of each change, from what the engine says
second_run     what follows, if a change had to wait
stack_outputs  the stack's outputs, which each run exports again
unlocking      what is done about the lock of a dead run
```
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pulumi import RunError, automation

from codat_iac.model.comparison import differing_paths
from codat_iac.model.connection import RESOURCE_TYPE, Address, DesiredConnection
from codat_iac.model.record import SHARD, connections, shard_marker
from codat_iac.model.text import join_names
from codat_iac.planning.decision import Decision
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.program.registration import Registration, register
from codat_iac.reconcile import handover
from codat_iac.reconcile.planner import Planner
from codat_iac.stack.apply.engine_runs import EngineRun, engine_runs
from codat_iac.stack.apply.outcomes import Applied, Outcome, Watcher, not_tried, reason
from codat_iac.stack.apply.stack_outputs import export_outputs, own_outputs
from codat_iac.stack.atomic_write import temporary_file
from codat_iac.stack.project.contents import project_name
from codat_iac.stack.running.pulumi_command import Pulumi, Untold
from codat_iac.stack.stack import Stack, StackError


def apply(
    stack: Stack,
    state: Mapping[str, Any],
    planner: Planner,
    plan: Plan,
    desired: Sequence[DesiredConnection],
    report: Callable[[Outcome], None],
    tell: Callable[[str], None],
    max_losses: int | None = None,
) -> Applied:
    """Carry out *plan* and return the outcome of each change; a later run does what isn't done.

    *state* is the state that the plan was made for, *desired* are all declared connections, and *max_losses*
    overrides the limit in the user's settings. *report* gets each outcome at once, *tell* gets messages for
    the user. Changes that must wait for a second run are skipped. Many changes take several runs of the
    engine; after one that fails as a whole, no other is begun.

    Raises `StackError` if Pulumi didn't begin (a wrong passphrase, a broken project; `StackLocked` for a
    lock), or if the state has changed by the time that this run has the lock: then nothing is done.
    """
    runs = engine_runs(plan.changes)
    if not runs:
        return Applied(())  # without targets, Pulumi would remove all that isn't declared
    applying = _Applying(
        stack, state, planner, plan, desired, report, {each.address: planner.status(each) for each in desired}
    )
    with Pulumi.forwarding_signals(stack, tell) as command:
        return in_turn(runs, lambda run: applying.carry_out(run, command, max_losses), plan.changes)


def in_turn(
    runs: Iterable[EngineRun], carry_out: Callable[[EngineRun], Applied], changes: Iterable[Decision]
) -> Applied:
    """Carry out one run after the other, and return the outcomes in the order of *changes*.

    After a run that fails as a whole, or is interrupted, no other is begun. Raises the `StackError` of the
    first run.
    """
    done: dict[str, Outcome] = {}
    applied = Applied(())
    for run in runs:
        try:
            applied = carry_out(run)
        except StackError as error:
            if not done:
                raise
            applied = Applied((), str(error))
        done |= {outcome.address: outcome for outcome in applied.outcomes}
        if applied.error or applied.interrupted:
            break
    return dataclasses.replace(
        applied,
        outcomes=tuple(done.get(each.address) or not_tried(each) for each in changes if not each.later),
    )


@dataclass
class _Applying:
    """What all runs of one apply share. `statuses` are those of all declared connections, by address."""

    stack: Stack
    state: Mapping[str, Any]
    planner: Planner
    plan: Plan
    desired: Sequence[DesiredConnection]
    report: Callable[[Outcome], None]
    statuses: dict[Address, str]
    changed: set[str | None] = field(default_factory=set)
    """The addresses of earlier runs: there the state differs from the planned one."""

    def carry_out(self, run: EngineRun, command: Pulumi, max_losses: int | None) -> Applied:
        """Carry out one run and return the outcomes of its changes. Raises as `apply`."""
        stale: list[str] = []
        targets = self._targets(run)
        watcher = Watcher(targets, self.report)
        with self._environment(run, max_losses) as environment:
            try:
                command.up(lambda: self._declare(run, stale), targets, watcher.hear, environment)
            except (automation.CommandError, RunError) as error:
                if stale:
                    raise StackError(self._stale(stale)) from error
                return _applied_in_part(error, watcher, run, interrupted=command.interrupted)
            except Untold as error:
                watcher.under_way = True
                return Applied(watcher.outcomes(run), str(error), command.interrupted)
            finally:
                self.changed |= {name for each in run for name in (each.address, each.moved_from)}
        return Applied(watcher.outcomes(run), interrupted=command.interrupted)

    @contextmanager
    def _environment(self, run: EngineRun, max_losses: int | None) -> Iterator[dict[str, str]]:
        """Yield a run's environment: it writes the state once, and a file tells its provider the rest."""
        planned = dataclasses.replace(self.plan, changes=run)
        with temporary_file(self.planner.hand_over(planned)) as file:
            yield {
                handover.VARIABLE: str(file),
                "PULUMI_SKIP_CHECKPOINTS": "true",
                **({} if max_losses is None else {"CODAT_MAX_LOSSES": str(max_losses)}),
            }

    def _targets(self, run: EngineRun) -> dict[str, Decision]:
        """Return the changes of a run by the URNs that the engine is to look at."""
        origins = self.planner.decided.moved.origins
        by_address = {change.address: change for change in run}
        prefix = f"urn:pulumi:{self.stack.short_name}::{project_name(self.stack.folder)}"
        targets = {
            each.urn or f"{prefix}::{RESOURCE_TYPE}::{each.address}": by_address[each.address]
            for each in self.planner.decided.decisions
            if each.address in by_address
        }
        # If a replaced connection moved too, the engine deletes the old half only if its URN is a target.
        return targets | {
            origins[each.address].urn: each
            for each in run
            if each.action is Action.REPLACE and each.address in origins
        }

    def _declare(self, run: EngineRun, stale: list[str]) -> None:
        """Declare what a run creates, changes or moves: the program of the run, which has the stack's lock.

        If the state isn't the planned one any more, but for earlier runs, nothing is declared: *stale* gets
        the addresses where it differs. Raises `RunError` then.
        """
        now = self.stack.export()
        stale.extend(each for each in differences(self.state, now) if each not in self.changed)
        if stale:
            raise RunError(self._stale(stale))
        later = self.planner.decided.moved.later
        changing = {change.address for change in run if change.address not in later}
        acting = [each for each in self.desired if each.address in changing]
        registrations = self._registrations(acting)
        outputs = own_outputs(self.stack, now)
        export_outputs(self.desired, self.statuses, acting, register(registrations), outputs)

    def _stale(self, where: Sequence[str]) -> str:
        more = " more" if self.changed else ""
        return (
            f"the stack changed since this plan was made, so nothing{more} is done; run again"
            f" ({join_names(where)})"
        )

    def _registrations(self, acting: Sequence[DesiredConnection]) -> list[Registration]:
        """Return how each of *acting* is declared: what is protected stays so, what moved has an alias."""
        decided = self.planner.decided
        protected = self.planner.protected
        registrations = []
        for each in acting:
            origin = decided.moved.origins.get(each.address)
            place = origin.place if origin else each.place
            description = decided.descriptions[each.address]
            registrations.append(Registration(each, description, origin, protect=place in protected))
        return registrations


def _applied_in_part(error: Exception, watcher: Watcher, run: EngineRun, *, interrupted: bool) -> Applied:
    """Return the outcomes of a run that ended with *error*. Raises `StackError` if it did nothing."""
    why = reason(error, watcher)
    if not watcher.became and not watcher.under_way and not interrupted:
        raise StackError(why) from error
    watcher.ended(str(error))
    # If changes failed, they are the reason why the run failed.
    told = "" if watcher.failed or interrupted else why
    return Applied(watcher.outcomes(run), told, interrupted)


def differences(planned: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the addresses of connections that differ between two exported states, *planned* and *now*.

    The output by which the stack says what shard it is counts, too: its companies may be another stack's now.
    """
    was, is_ = ({each["urn"] + each["id"]: each for each in connections(state)} for state in (planned, now))
    changed = {key for key, *_ in differing_paths(was, is_)}
    names = {(is_.get(key) or was[key])["urn"].rpartition("::")[2] for key in changed}
    return sorted(names | ({SHARD} if shard_marker(planned) != shard_marker(now) else set()))
