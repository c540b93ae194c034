"""Moving connections between stacks, step by step, on stacks in memory; `tests/engine` has the engine's."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from codat_iac.cli import run
from codat_iac.cli.commands.reshard import _confirm
from codat_iac.model.connection import PriorConnection
from codat_iac.model.errors import ConfigError
from codat_iac.model.record import SHARD, recorded, resources, shard_marker
from codat_iac.model.shard import parse_shard, shard_number
from codat_iac.planning.safety_limits import shard_refusal
from codat_iac.stack.sharding.reshard import reshard
from codat_iac.stack.sharding.shard_states import Arrival, Member
from codat_iac.stack.stack import Stack, StackError
from tests.support.builders import a_desired, a_prior, an_id
from tests.support.project import recorded_resources

IN_ONE_FILE = {"desired": "connections.yaml"}

COMPANIES = [an_id(number * 31) for number in range(1, 21)]


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryStack(Stack):
    """A stack whose config and state are in memory. `deaf` loses what is imported."""

    configured: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kept: dict[str, Any] = dataclasses.field(default_factory=dict)
    deaf: bool = False

    def config(self) -> Mapping[str, str]:
        """Return the config of a test."""
        return self.configured

    def export(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return copy.deepcopy(self.kept)

    def pulumi(
        self, *arguments: str, environment: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> str:
        """Import a state."""
        assert (arguments, environment) == (("stack", "import"), None)
        if not self.deaf:
            self.kept.update(json.loads(stdin or ""))
        return ""


def mark(stack: Stack, member: Member, tell: Callable[[str], None]) -> None:
    """Set the marker as a run of the engine does, which makes the stack's resource."""
    del tell
    assert isinstance(stack, MemoryStack)
    there = resources(stack.kept)
    there[0]["outputs"][SHARD] = member.moving
    there.append({"urn": member.moving_urn, "type": "codat:shards:Moving"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    return tmp_path


def a_stack(folder: Path, name: str, shard: str = "", was: str = "", **config: str) -> MemoryStack:
    """A stack that has what it should have as the shard that it was."""
    former = parse_shard(was)
    priors = [
        a_prior(number, a_desired(f"c{number}/a", company_id=company))
        for number, company in enumerate(COMPANIES)
        if former and former.owns(company)
    ]
    return recording(folder, name, shard, was, *priors, **config)


def recording(
    folder: Path, name: str, shard: str, was: str, *priors: PriorConnection, **config: str
) -> MemoryStack:
    """A stack with a state of its own."""
    text = json.dumps({"version": 3, "deployment": {"resources": recorded_resources(priors, {SHARD: was})}})
    text = text.replace("urn:pulumi:dev:", f"urn:pulumi:{name}:").replace("-dev", f"-{name}")
    state = json.loads(text) if was or priors else {"version": 3, "deployment": {}}
    configured = {f"codat:{key}": value for key, value in {**IN_ONE_FILE, "shard": shard, **config}.items()}
    return MemoryStack(folder, name, Path("pulumi"), configured, state)


def three_to_five(folder: Path) -> list[MemoryStack]:
    """Three stacks, and two new ones, whose configs say five."""
    return [a_stack(folder, f"s{n}", f"{n}/5", f"{n}/3" if n < 4 else "") for n in range(1, 6)]


def where(stacks: list[MemoryStack]) -> list[tuple[str, str]]:
    """Each recorded id, with the stacks that have it."""
    return sorted((prior.id, stack.name) for stack in stacks for prior in recorded(stack.kept))


def belonging(shards: int) -> list[tuple[str, str]]:
    """Where all belongs."""
    return sorted((an_id(n), f"s{shard_number(id_, shards)}") for n, id_ in enumerate(COMPANIES))


def ready(stack: MemoryStack) -> bool:
    """Whether a run of a stack would go on."""
    shard = parse_shard(stack.configured["codat:shard"])
    return shard_refusal(shard, shard_marker(stack.kept), recorded(stack.kept)) is None


def test_three_become_five(folder: Path) -> None:
    """What belongs elsewhere is named first, and goes there; a second time there is nothing to do."""
    stacks, asked, told = three_to_five(folder), list[Arrival](), list[str]()
    assert not any(map(ready, stacks))

    moved = reshard(stacks, asked.extend, told.append, set_marker=mark)

    assert moved == asked
    assert {each.receiver for each in asked} == {"s4", "s5"}
    assert where(stacks) == belonging(5)
    assert all(map(ready, stacks))
    assert told[:2] == ["s1: no other run until all is moved", "s2: no other run until all is moved"]
    assert told[-1] == "s5: is shard 5/5"
    assert all("codat:shards:Moving" not in json.dumps(stack.kept) for stack in stacks)
    assert reshard(stacks, never, set_marker=mark) is None


def never(found: Sequence[Arrival]) -> None:
    """Nobody is to be asked."""
    pytest.fail(f"{found}")


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", range(14))
def test_a_kill_at_any_step_loses_nothing_and_lets_nobody_run(folder: Path, step: int) -> None:
    """Until it was run again, no stack runs that has too much, or whose companies another one may have."""
    stacks, told = three_to_five(folder), list[str]()

    def tell(text: str) -> None:
        if len(told) == step:
            raise Killed
        told.append(text)

    with pytest.raises(Killed):
        reshard(stacks, lambda _: None, tell, set_marker=mark)
    assert {id_ for id_, _ in where(stacks)} == {id_ for id_, _ in belonging(5)}
    if any(map(ready, stacks)):
        assert where(stacks) == belonging(5)
    reshard(stacks, lambda _: None, set_marker=mark)

    assert where(stacks) == belonging(5)
    assert all(map(ready, stacks))


def test_five_become_one_and_back(folder: Path) -> None:
    """What has no shard any more gives all, and its runs are refused from then on."""
    stacks = [a_stack(folder, f"s{n}", "1/1" if n == 1 else "", f"{n}/5") for n in range(1, 6)]

    reshard(stacks, lambda _: None, set_marker=mark)

    assert where(stacks) == belonging(1)
    assert list(map(ready, stacks)) == [True, False, False, False, False]
    assert reshard(stacks, never, set_marker=mark) is None
    again = [
        dataclasses.replace(each, configured={**each.configured, "codat:shard": f"{n}/5"})
        for n, each in enumerate(stacks, 1)
    ]
    reshard(again, lambda _: None, set_marker=mark)
    assert where(again) == belonging(5)


def test_a_stack_without_a_shard_becomes_several(folder: Path) -> None:
    """As all begin: it has no marker, and its config no shard until then."""
    priors = [a_prior(n, a_desired(f"c{n}/a", company_id=id_)) for n, id_ in enumerate(COMPANIES)]
    stacks = [recording(folder, "s1", "1/2", "", *priors), a_stack(folder, "s2", "2/2")]

    reshard(stacks, lambda _: None, set_marker=mark)

    assert where(stacks) == belonging(2)


def test_who_says_no_changes_nothing(folder: Path) -> None:
    """Not even a marker."""
    stacks = three_to_five(folder)
    before = [stack.export() for stack in stacks]

    with pytest.raises(Killed):
        reshard(stacks, lambda _: (_ for _ in ()).throw(Killed), set_marker=mark)

    assert [stack.export() for stack in stacks] == before


def test_what_a_run_recorded_meanwhile_moves_too(folder: Path) -> None:
    """It held the lock until its stack got the marker; all is read again then."""
    stacks = three_to_five(folder)
    late = next(id_ for id_ in map(an_id, range(1000, 2000)) if shard_number(id_, 5) == 4)
    prior = a_prior(77, a_desired("late/a", company_id=late))

    def mark_late(stack: Stack, member: Member, tell: Callable[[str], None]) -> None:
        assert isinstance(stack, MemoryStack)
        if stack.name == "s1":
            stack.kept["deployment"]["resources"] += resources(recording(folder, "s1", "", "", prior).kept)[
                2:
            ]
        mark(stack, member, tell)

    reshard(stacks, lambda _: None, set_marker=mark_late)

    assert (an_id(77), "s4") in where(stacks)


def test_a_stack_that_somebody_else_changes_is_left_alone(folder: Path) -> None:
    """By hand, since no run gets through; it is read again by the next try."""
    stacks = three_to_five(folder)

    def tell(text: str) -> None:
        if text.startswith("s4: "):
            stacks[4].kept["deployment"]["touched"] = text

    with pytest.raises(StackError, match=r"^stack s5 was changed by somebody else; nothing is lost, so run"):
        reshard(stacks, lambda _: None, tell, set_marker=mark)
    reshard(stacks, lambda _: None, set_marker=mark)

    assert where(stacks) == belonging(5)


def test_what_is_not_recorded_as_written_is_not_taken_from_anywhere(folder: Path) -> None:
    """The old stacks still have it."""
    stacks = three_to_five(folder)
    before = where(stacks)
    stacks[4] = dataclasses.replace(stacks[4], deaf=True)

    with pytest.raises(
        StackError, match=r"^stack s5 isn't recorded as it was written; look at `pulumi stack"
    ):
        reshard(stacks, lambda _: None, set_marker=mark)

    assert set(before) <= set(where(stacks))


def test_stacks_of_different_worlds_are_refused(folder: Path) -> None:
    """They have one desired state of one tenant; and each is named once."""
    one = a_stack(folder, "s1", "1/2", desired="a.yaml")

    with pytest.raises(ConfigError, match=r"^the stacks differ in codat:desired; shards have one"):
        reshard([one, a_stack(folder, "s2", "2/2", desired="b.yaml")], never, set_marker=mark)
    with pytest.raises(ConfigError, match=r"^a stack is named twice"):
        reshard([one, one], never, set_marker=mark)


def test_a_project_needs_a_name(folder: Path) -> None:
    """It is in every URN."""
    (folder / "Pulumi.yaml").write_text("runtime: python\n")

    with pytest.raises(ConfigError, match="the project has no name; give it one"):
        reshard([a_stack(folder, "s1", "1/1")], never, set_marker=mark)


def test_what_moves_is_shown_and_asked_about(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing moves without an answer: here is nobody to give it."""
    found = [Arrival("s1", "s4", {}), Arrival("s1", "s4", {}), Arrival("s1", "s5", {})]

    _confirm(found, yes=True)
    with pytest.raises(ConfigError, match="--yes"):
        _confirm(found, yes=False)

    assert capfd.readouterr().err.splitlines()[:2] == ["s1 -> s4: 2", "s1 -> s5: 1"]


def test_the_stacks_are_arguments(capfd: pytest.CaptureFixture[str]) -> None:
    """All of them: one alone would mean nothing."""
    assert run(["reshard", "s1", "s2", "--stack", "s3"]) == 1
    assert "No such option" in capfd.readouterr().err


def test_stacks_of_a_program_of_ones_own_are_no_shards(folder: Path) -> None:
    """It says itself what is in each."""
    stacks = [a_stack(folder, f"s{number}", shard=f"{number}/2", desired="") for number in (1, 2)]
    with pytest.raises(ConfigError, match="no codat:desired: a program of your own declares"):
        reshard(stacks, lambda _: None, set_marker=mark)
