"""The stock Pulumi program: it declares the connections of the desired-state file."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pulumi

from codat_iac import desired
from codat_iac.model import record, settings
from codat_iac.model.connection import DesiredConnection, PriorConnection
from codat_iac.model.errors import CodatIacError, ConfigError, Refused, UnsafePlan
from codat_iac.model.shard import Shard, parse_shard
from codat_iac.planning import rule_table
from codat_iac.planning.matching import of_shard
from codat_iac.planning.moves import Moves, in_this_run, moves
from codat_iac.planning.safety_limits import LossLimit, refuse_foreign, shard_refusal
from codat_iac.planning.slot_description import describe, with_totals
from codat_iac.program import ALREADY_EXPLAINED
from codat_iac.program.registration import Registration, known, register
from codat_iac.program.running_program import (
    check_config,
    claim_stack,
    tenant_reader,
    warn,
    warn_of_each_loss,
)
from codat_iac.program.stack_record import StackRecord
from codat_iac.reconcile.companies.finding import find_companies
from codat_iac.reconcile.companies.rules import Rules, effect
from codat_iac.reconcile.losses_ahead import addresses_at_risk, look_ahead

MOST_NAMED = 10
"""The most waiting connections that the stack's output names."""


def declare_all(stack_record: Callable[[], StackRecord]) -> None:
    """Declare what the desired state says, and export the stack's outputs. *stack_record* waits for it.

    An error is logged, one line for each problem, and ends the process with `ALREADY_EXPLAINED`.
    """
    try:
        claim_stack(stock=True)
        check_config()
        path = desired_path()
        declaration = desired.load_declaration(path)
        recorded, marker = stack_record()
        shard = own_shard(recorded, marker)
        found = find_companies(declaration, lambda: recorded, lambda: tenant_reader()[1], shard)
        refuse_foreign(shard, found.connections, recorded)
        declared = of_shard(found.connections, shard)
        moved = moves(declared, recorded)
        refuse_unclear_moves(moved)
        check_rules(found.rules, declared, recorded, moved)
        check_losses(declared, recorded, moved, path)
    except (CodatIacError, pulumi.RunError) as error:
        for line in str(error).splitlines():
            pulumi.log.error(line)
        sys.exit(ALREADY_EXPLAINED)
    now = in_this_run(declared, moved)
    export_summary(now, declare(now, recorded, moved, declared))
    if shard:
        pulumi.export(record.SHARD, str(shard))


def desired_path() -> Path:
    """Return the path of the desired state, relative to the current folder.

    The config `codat:desired` is relative to Pulumi.yaml. Raises `ConfigError` if it isn't set.
    """
    configured = pulumi.Config(settings.NAMESPACE).get("desired")
    if not configured:
        raise ConfigError("no desired state: `pulumi config set codat:desired connections.yaml`")
    path = Path(pulumi.get_root_directory()) / configured
    return Path(os.path.relpath(path))


def own_shard(recorded: Sequence[PriorConnection], marker: str) -> Shard | None:
    """Return the shard that the config `codat:shard` names, None for all companies.

    Raises `ConfigError` if the config is invalid, or the state isn't ready for a run as this shard.
    """
    shard = parse_shard(pulumi.Config(settings.NAMESPACE).get("shard") or "")
    if refusal := shard_refusal(shard, marker, recorded):
        raise ConfigError(f"stack {pulumi.get_stack()}: {refusal}")
    return shard


def refuse_unclear_moves(moved: Moves) -> None:
    """Raise `ConfigError` with a line for each address if it is unclear what it continues."""
    if moved.problems:
        raise ConfigError("\n".join(f"{address}: {said}" for address, said in sorted(moved.problems.items())))


def check_rules(
    rules: Rules,
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    moved: Moves,
) -> None:
    """Say what each rule expands to. Raises `Refused` in an update that is over a limit."""
    if not rules.expansions:
        return
    ruled = effect(rules, declared, recorded, moved, tenant_reader()[0])
    for note in ruled.notes:
        pulumi.log.info(note)
    refuse_update(ruled.refusals)


def refuse_update(refusals: Sequence[str]) -> None:
    """Raise `Refused` in an update if there are *refusals*, before anything is declared.

    A preview warns of them, and goes on to show what would be done.
    """
    if refusals and not pulumi.runtime.is_dry_run():
        raise Refused("\n".join(refusals))
    for refusal in refusals:
        warn(f"an update will be refused: {refusal}", "")


def check_losses(
    declared: Sequence[DesiredConnection], recorded: Sequence[PriorConnection], moved: Moves, path: Path
) -> None:
    """Warn of each removal that ends an authorisation, and of all losses in sum.

    *path* is the desired state, for the message. Raises `UnsafePlan` if the losses are over the limit, and
    `Refused` in an update that has to remove what stays as it is, before anything is declared; `ApiError` if
    Codat can't be read.
    """
    asked = addresses_at_risk(declared, recorded, moved)
    if not asked:
        return
    chosen, reader = tenant_reader()
    losing, impossible = look_ahead(declared, recorded, asked, reader, chosen)
    refuse_update([f"{each.address}: {each.problem}" for each in impossible])
    limit = LossLimit(chosen.max_losses, shards=chosen.shards)
    refusal = limit.refusal([each.address for each in losing], len(recorded), declares=bool(declared))
    if refusal:
        raise UnsafePlan(f"{path} on stack {pulumi.get_stack()}: {refusal}")
    warn_of_each_loss(losing)


def declare(
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    moved: Moves,
    desired: Iterable[DesiredConnection],
) -> Awaitable[list[str | None]]:
    """Declare the connections in *declared*, and return their statuses in the same order.

    *desired* are all of the file, also those of a later run.
    """
    waiting = [each for each in desired if each.address in moved.later]
    beside = with_totals(describe(declared, recorded, moved, waiting), recorded, moved)
    for address, origin in sorted(moved.later.items()):
        what = f"goes on with {origin.address}" if origin else "gets its connection"
        warn(f"{address}: it {what} in the next run, since its name is taken until then: run again", "")
    return register(
        [Registration(each, beside[each.address], moved.origins.get(each.address)) for each in declared]
    )


def export_summary(declared: Sequence[DesiredConnection], statuses: Awaitable[list[str | None]]) -> None:
    """Export the count of connections by status, and the addresses that wait for their customers."""
    for name, output in summary(declared, known(statuses)).items():
        pulumi.export(name, output)


def summary(
    declared: Sequence[DesiredConnection], statuses: pulumi.Output[list[str]]
) -> dict[str, pulumi.Output[Any]]:
    """Return the outputs that sum up *declared*, whose *statuses* are in the same order."""
    return {
        "connections": statuses.apply(lambda found: dict(sorted(Counter(found).items()))),
        "waiting": statuses.apply(lambda found: waiting(declared, found)),
    }


def waiting(declared: Sequence[DesiredConnection], statuses: Sequence[str]) -> list[str]:
    """Return the addresses of connections that only their customers can bring to the desired status.

    *statuses* are those of *declared*, in the same order. After `MOST_NAMED` addresses the rest is counted.
    """
    named = [
        connection.address
        for connection, status in zip(declared, statuses, strict=True)
        if rule_table.is_waiting(connection.status, status)
    ]
    rest = len(named) - MOST_NAMED
    return named[:MOST_NAMED] + ([f"and {rest} more"] if rest > 0 else [])
