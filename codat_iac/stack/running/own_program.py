"""Find out what a program of the user's own declares: ask a preview that compares nothing.

Only the engine knows which recorded resource an alias leads to, what a parent protects, and what an Output
comes to. So the program runs in `pulumi preview`, in which the provider writes down what it is asked to check
(`provider/declared_file.py`), and the engine's events tell the rest. Codat isn't called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from codat_iac.model import properties
from codat_iac.model.connection import RESOURCE_TYPE, Address, DesiredConnection, PriorConnection
from codat_iac.planning import slot_description
from codat_iac.planning.moves import Moves
from codat_iac.planning.slot_description import SlotDescription
from codat_iac.planning.stack_decisions import Program
from codat_iac.provider import declared_file
from codat_iac.stack.atomic_write import temporary_file
from codat_iac.stack.running.event_log import BEGINS, Event, event_log, step
from codat_iac.stack.stack import Stack, StackError


def declared(stack: Stack, recorded: Sequence[PriorConnection]) -> Program:
    """Return what the stack's program declares. *recorded* are all connections of the state.

    Raises `StackError` if the program can't be previewed, or the stack changed meanwhile, and `ConfigError`
    if no temporary file can be written.
    """
    with temporary_file("") as told, event_log() as events:
        stack.pulumi(
            "preview",
            environment={
                declared_file.VARIABLE: str(told),
                "PULUMI_OPTION_REFRESH": "false",
                "PULUMI_OPTION_IGNORE_PROTECT": "true",  # what is protected is a problem of the plan
                **events.environment,
            },
        )
        heard, inputs = list(events.new()), declared_file.read(told.read_text("utf-8"))
    if not events.complete:
        raise StackError(
            "the preview of the stack's program ended without telling what it would do; run again"
        )
    return program(heard, inputs, recorded)


def program(
    events: Iterable[Event],
    inputs: Mapping[str, Mapping[str, Any]],
    recorded: Sequence[PriorConnection],
) -> Program:
    """Combine the engine's *events* with the *inputs* by URN. Pure.

    Raises `StackError` if a resource continues one that isn't *recorded*.
    """
    steps = [step for step in map(_step, events) if step]
    protected = {step.urn for step in steps if step.protects}
    origins = {step.urn: step.origin for step in steps if step.origin}
    replaced = {step.origin for step in steps if step.replaces}
    recorded = tuple(
        replace(each, tainted=True) if each.urn in replaced and not each.pending_removal else each
        for each in recorded
    )
    at = {each.urn: each for each in recorded if not each.pending_removal}
    if not at.keys() >= set(origins.values()):
        raise StackError("the stack changed while its program was asked what it declares; run again")
    connections: list[DesiredConnection] = []
    descriptions: dict[str, SlotDescription] = {}
    moved: dict[str, PriorConnection] = {}
    unknown: dict[Address, tuple[str, ...]] = {}
    staying = []
    for urn, bag in inputs.items():
        address, origin = Address(bag["address"]), at.get(origins.get(urn, ""))
        declared = {name: value for name, value in bag.items() if name != slot_description.INPUT}
        missing = tuple(name for name, value in declared.items() if value is None)
        if missing:
            unknown[address] = missing
            staying += [origin] if origin else []
            continue
        connections.append(properties.desired(declared, protected=urn in protected, urn=urn))
        descriptions[address] = slot_description.parse(bag[slot_description.INPUT])
        if origin and origin.urn != urn:
            moved[address] = origin
    return Program(
        tuple(sorted(connections, key=lambda each: each.address)),
        recorded,
        Moves(moved, staying=tuple(staying)),
        descriptions,
        unknown,
    )


class _Step(NamedTuple):
    """What the engine would do with a declared connection, though the provider says that nothing differs.

    `origin` is the recorded URN that it continues, if any.
    """

    urn: str
    origin: str
    protects: bool
    replaces: bool


def _step(event: Event) -> _Step | None:
    """Return the step that an event of the engine's tells of; None if it is of no declared connection."""
    begins = step(event, BEGINS)
    old, new = begins.get("old") or {}, begins.get("new")
    if begins.get("type") != RESOURCE_TYPE or not new:
        return None
    origin = "" if begins["op"] == "create" else old.get("urn", "")
    return _Step(new["urn"], origin, new.get("protect") is True, begins["op"] == "replace")
