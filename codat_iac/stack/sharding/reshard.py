"""Move connections to the stacks whose shards they belong to, without a call to Codat.

Killed at any moment, it is run again. Each step is complete for all stacks before the next one begins:

1. Each stack gets the marker `moving`, by a run that holds its lock; from then on every other run is refused.
2. What belongs elsewhere is recorded in its new stack, and looked for there.
3. It is taken out of its old stack. Until then it is recorded in both, of which neither can run.
4. Each stack gets its shard as its marker, by which its runs are allowed again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence

from pulumi import ComponentResource, RunError, automation, export

from codat_iac.model import settings
from codat_iac.model.errors import ConfigError
from codat_iac.model.record import SHARD, recorded, resources, shard_marker, stack_outputs
from codat_iac.model.shard import parse_shard
from codat_iac.planning.safety_limits import MOVING, shard_refusal
from codat_iac.stack.apply.outcomes import Watcher, reason
from codat_iac.stack.apply.stack_outputs import kept
from codat_iac.stack.project.contents import project_name
from codat_iac.stack.running.pulumi_command import Pulumi
from codat_iac.stack.sharding import shard_states
from codat_iac.stack.sharding.shard_states import MOVING_TYPE, Arrival, Member, State
from codat_iac.stack.stack import Stack, StackError

_SAME = ("desired", "baseUrl")
"""What the stacks' configs must agree in, since they share one desired state of one tenant."""

SetMarker = Callable[[Stack, Member, Callable[[str], None]], None]


def reshard(
    stacks: Sequence[Stack],
    confirm: Callable[[Sequence[Arrival]], None],
    tell: Callable[[str], None] = lambda _: None,
    *,
    set_marker: SetMarker | None = None,
) -> Sequence[Arrival] | None:
    """Move all that is recorded in *stacks* to where it belongs by their configs; return what was moved.

    Returns None if each stack was ready already. *confirm* gets what is to be moved before anything is done,
    and may raise. *tell* gets the steps. *set_marker* is how a stack gets its marker before anything moves.

    Raises `ConfigError` if the stacks don't fit together or something can't be moved as it is, `StackLocked`
    if another run has one of them, and `StackError` if Pulumi fails; running it again goes on then.
    """
    work = _Work(stacks, tell)
    if all(
        shard_refusal(each.shard, each.marker, recorded(work.states[each.name])) is None
        if each.shard
        else each.marker == each.final and not recorded(work.states[each.name])
        for each in work.members.values()
    ):
        return None
    confirm(work.arrivals())
    work.close(set_marker or _set_marker)
    found = work.arrivals()
    work.receive(found)
    work.give(found)
    work.open()
    return found


class _Work:
    """The stacks that take part, with their states as they were last read."""

    def __init__(self, stacks: Sequence[Stack], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.stacks = {each.short_name: each for each in stacks}
        if len(self.stacks) < len(stacks):
            raise ConfigError("a stack is named twice; name each once")
        configs = {name: stack.config() for name, stack in self.stacks.items()}
        for key in (f"{settings.NAMESPACE}:{name}" for name in _SAME):
            if len({config.get(key) for config in configs.values()}) > 1:
                raise ConfigError(f"the stacks differ in {key}; shards have one desired state of one tenant")
        if not next(iter(configs.values())).get(f"{settings.NAMESPACE}:desired"):
            raise ConfigError(
                "the stacks have no codat:desired: a program of your own declares what is in each, and"
                " `pulumi state move` moves its resources"
            )
        project = project_name(next(iter(self.stacks.values())).folder)
        self.states: dict[str, State] = {name: stack.export() for name, stack in self.stacks.items()}
        self.members = {
            name: Member(
                name,
                project,
                parse_shard(configs[name].get(f"{settings.NAMESPACE}:shard", "")),
                shard_marker(state),
            )
            for name, state in self.states.items()
        }
        shard_states.check_members([*self.members.values()])

    def arrivals(self) -> Sequence[Arrival]:
        """Return what has to be moved."""
        return shard_states.arrivals([*self.members.values()], self.states)

    def close(self, set_marker: SetMarker) -> None:
        """Refuse every other run of each stack; what one that ended just now has recorded is read again."""
        for name, member in self.members.items():
            self._tell(f"{name}: no other run until all is moved")
            if resources(self.states[name]):
                set_marker(self.stacks[name], member, self._tell)
                self.states[name] = self.stacks[name].export()
            else:  # no run has recorded anything that could be overwritten
                self._write(name, shard_states.with_marker(member, self.states[name], member.moving))
            self.members[name] = dataclasses.replace(member, marker=member.moving)

    def receive(self, found: Sequence[Arrival]) -> None:
        """Record each connection in its new stack, beside what is there."""
        for name, member in self.members.items():
            coming = [each for each in found if each.receiver == name]
            after = shard_states.receiving(member, self.states[name], coming, self.members)
            self._write(name, after, f"{len(coming):,} connections come")

    def give(self, found: Sequence[Arrival]) -> None:
        """Take each connection out of its old stack, once all are in their new ones."""
        for name in self.members:
            leaving = [each for each in found if each.giver == name]
            if leaving:
                after = shard_states.giving(self.states[name], leaving)
                self._write(name, after, f"{len(leaving):,} connections have gone")

    def open(self) -> None:
        """Allow the runs of each stack again."""
        for name, member in self.members.items():
            after = shard_states.with_marker(member, self.states[name], member.final)
            self._write(name, after, f"is shard {member.final}" if member.shard else "has no shard")

    def _write(self, name: str, after: State, done: str = "") -> None:
        """Write a stack's state, and read it again. Raises `StackError` if somebody else has changed it."""
        if after is self.states[name]:
            return
        stack = self.stacks[name]
        if stack.export() != self.states[name]:
            raise StackError(f"stack {name} was changed by somebody else; nothing is lost, so run again")
        stack.pulumi("stack", "import", stdin=json.dumps(after))
        written = self.states[name] = stack.export()
        if _essence(written) != _essence(after):
            raise StackError(
                f"stack {name} isn't recorded as it was written; look at `pulumi stack export --stack"
                f" {name}`, then run again"
            )
        if done:
            self._tell(f"{name}: {done}")


def _essence(state: State) -> tuple[set[tuple[str, str, bool]], str]:
    return set(shard_states.keys_of(state)), shard_marker(state)


def _set_marker(stack: Stack, member: Member, tell: Callable[[str], None]) -> None:
    """Write the marker of a stack that moves, by a run of nothing else: it holds the lock meanwhile.

    Raises `StackLocked` or `StackError` if Pulumi doesn't, and `KeyboardInterrupt` after an interrupt.
    """

    def program() -> None:
        outputs = _outputs(stack)
        for name, value in outputs.items():
            export(name, kept(value))
        export(SHARD, member.moving)
        # A run removes all that it doesn't declare, unless it has a target: this is one.
        ComponentResource(MOVING_TYPE, MOVING)

    watcher = Watcher({}, lambda _: None)
    with Pulumi.forwarding_signals(stack, tell) as command:
        try:
            command.up(program, [member.moving_urn], watcher.hear)
        except (automation.CommandError, RunError) as error:
            if not command.interrupted:
                why = reason(error, watcher)
                raise StackError(f"stack {member.name} can't be prepared: {why}") from error
        if command.interrupted:
            raise KeyboardInterrupt


def _outputs(stack: Stack) -> Mapping[str, object]:
    return stack_outputs(json.loads(stack.pulumi("stack", "export", "--show-secrets")))
