"""What a program of the user's own declares, from the engine's events and what the provider wrote down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codat_iac.model import properties
from codat_iac.model.connection import RESOURCE_TYPE, Address, DesiredConnection, OnRemoval
from codat_iac.planning.moves import Moves
from codat_iac.planning.slot_description import INPUT, SlotDescription
from codat_iac.planning.stack_decisions import Program
from codat_iac.stack.running.own_program import declared, program
from codat_iac.stack.stack import Stack, StackError
from tests.support.builders import a_desired, a_prior, an_id
from tests.support.worlds import COMPONENT, a_urn

A, B = a_urn("acme/a"), a_urn("acme/b", COMPONENT)

DESCRIPTION = SlotDescription(1, 0, ids=())


def an_event(op: str, urn: str, old: Mapping[str, Any] | None = None, **new: Any) -> dict[str, Any]:
    """Return the event before a step of a connection, as the engine writes it to its log."""
    step = {"op": op, "urn": urn, "type": RESOURCE_TYPE, "old": old, "new": {"urn": urn, **new}}
    return {"sequence": 1, "resourcePreEvent": {"metadata": step}}


def bag(desired: DesiredConnection, **more: Any) -> dict[str, Any]:
    """Return what the provider wrote down of a declared connection."""
    return {**properties.inputs(desired), INPUT: DESCRIPTION.to_json(), **more}


def test_what_is_declared_has_its_place_and_its_protection() -> None:
    """And the slot that its program described; sorted by address."""
    events: list[dict[str, Any]] = [
        {"preludeEvent": {"config": {}}},
        {"resourcePreEvent": {"metadata": {"op": "create", "urn": "u", "type": "x", "new": {"urn": "u"}}}},
        an_event("create", B, protect=True),
        an_event("same", A, {"urn": A}),
    ]
    wanted = a_desired("acme/b", on_removal=OnRemoval.DELETE, connection_id=an_id(7))

    found = program(events, {B: bag(wanted), A: bag(a_desired("acme/a"))}, [a_prior(1, urn=A)])

    assert found == Program(
        (a_desired("acme/a"), wanted),
        (a_prior(1, urn=A),),
        Moves(),
        {"acme/a": DESCRIPTION, "acme/b": DESCRIPTION},
    )
    assert [(each.urn, each.protected, each.place) for each in found.connections] == [
        (A, False, f"{RESOURCE_TYPE}::acme/a"),
        (B, True, f"{COMPONENT}${RESOURCE_TYPE}::acme/b"),
    ]


def test_what_an_alias_leads_to_is_the_engines_word() -> None:
    """Whatever the program passed: the recorded URN stands in the step."""
    old = a_prior(1, a_desired("acme/old"), urn=a_urn("acme/old"))

    found = program([an_event("same", A, {"urn": old.urn})], {A: bag(a_desired("acme/a"))}, [old])

    assert found.moved == Moves({"acme/a": old})


def test_what_is_removed_is_no_declaration() -> None:
    """Nor is the old half of a replacement what an address goes on with."""
    gone, half = a_prior(1, urn=B), a_prior(2, urn=A, pending_removal=True)
    removal = {"op": "delete", "urn": B, "type": RESOURCE_TYPE, "old": {"urn": B}, "new": None}
    events = [
        {"resourcePreEvent": {"metadata": removal}},
        an_event("create", A, {"urn": A, "delete": True}),
    ]

    found = program(events, {A: bag(a_desired("acme/a"))}, [gone, half])

    assert (found.connections, found.recorded, found.moved) == ((a_desired("acme/a"),), (gone, half), Moves())


def test_what_the_engine_replaces_by_itself_counts_as_tainted() -> None:
    """By a `replacement_trigger`, for one: the provider said that nothing differs. Its old half stays one."""
    prior, half = a_prior(1, urn=A), a_prior(2, urn=A, pending_removal=True)
    events = [an_event(op, A, {"urn": A, "delete": True}) for op in ("create-replacement", "replace")]

    found = program(events, {A: bag(a_desired("acme/a"))}, [prior, half])

    assert [(each.id, each.tainted) for each in found.recorded] == [(an_id(1), True), (an_id(2), False)]


def test_what_isnt_known_is_named_and_stays() -> None:
    """A new one, and one that is recorded under another URN."""
    old = a_prior(1, urn=a_urn("acme/old"))
    events = [an_event("same", A, {"urn": old.urn}), an_event("create", B)]
    unknown = {"companyId": None, INPUT: None}
    inputs = {
        A: bag(a_desired("acme/a"), **unknown),
        B: bag(a_desired("acme/b"), **unknown, platformKey=None),
    }

    found = program(events, inputs, [old])

    assert found.connections == ()
    assert found.unknown == {
        Address("acme/a"): ("companyId",),
        Address("acme/b"): ("companyId", "platformKey"),
    }
    assert found.moved == Moves(staying=(old,))


def test_a_stack_that_changed_meanwhile_is_refused() -> None:
    """Somebody else ran `pulumi up` between the export and the preview."""
    with pytest.raises(StackError, match="the stack changed while its program was asked what it declares"):
        program([an_event("same", A, {"urn": A})], {A: bag(a_desired("acme/a"))}, [])


@dataclass(frozen=True, slots=True)
class Previewed(Stack):
    """A stack whose engine writes what a preview writes: two events, or as many as *told*."""

    told: int = 2

    def pulumi(self, *arguments: str, environment: Mapping[str, str] | None = None, **_: Any) -> str:
        """Write an event and a declaration, and note what was asked."""
        assert environment is not None
        assert (arguments, environment["PULUMI_OPTION_REFRESH"]) == (("preview",), "false")
        assert environment["PULUMI_DEBUG_COMMANDS"] == "true"
        events = Path(environment["PULUMI_OPTION_EVENT_LOG"])
        told = [an_event("create", A), {"cancelEvent": {}}]
        events.write_text("".join(f"{json.dumps(event)}\n" for event in told[: self.told]))
        file = Path(environment["CODAT_DECLARED"])
        assert file.read_text() == ""
        assert file.parent.stat().st_mode & 0o077 == 0
        file.write_text(json.dumps({"urn": A, "inputs": bag(a_desired("acme/a"))}) + "\n")
        return ""


def test_a_preview_tells_what_is_declared(tmp_path: Path) -> None:
    """Without a refresh, and in files that only their owner can read."""
    found = declared(Previewed(tmp_path, "dev", tmp_path), ())

    assert found.connections == (a_desired("acme/a"),)


@pytest.mark.parametrize("told", [0, 1])
def test_a_preview_that_doesnt_tell_all_is_refused(tmp_path: Path, told: int) -> None:
    """What it didn't tell of, an alias for one, would be taken for something else."""
    with pytest.raises(StackError, match="ended without telling what it would do; run again"):
        declared(Previewed(tmp_path, "dev", tmp_path, told), ())
