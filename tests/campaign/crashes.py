"""kill -9 at seeded moments: of the provider, of `pulumi up`, of `codat-iac apply`, and of all of them.

A run has one small stack with connections to create, unlink and remove. A command is started, one or all of
its processes are killed, and when none of them runs any more, a second command has to finish everything:
nothing created twice, nothing else touched. In every second run the kill comes between the commit of a POST
and its checkpoint: the emulator's log has the commit but no answer, and the state doesn't get the id.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from codat_iac.emulator import Emulator, serving
from codat_iac.model.connection import OnRemoval, PriorConnection, Slot
from tests.campaign.tables import table
from tests.support.builders import a_desired, a_prior, connected, rows
from tests.support.project import Outcome, Project, Ran
from tests.support.waiting import alive, descendants

UP, APPLY = ("up", "--yes", "--skip-preview"), ("apply", "--yes")

PROVIDER, ENGINE, APPLIER, ALL = "the provider", "pulumi up", "codat-iac apply", "all of them"
VICTIMS = (PROVIDER, ENGINE, APPLIER, ALL)

START = "as it starts"
BEFORE = "before a POST's commit"
BETWEEN = "between a POST's commit and its checkpoint"
AFTER = "after the first POST"
CHANGING = "before the commit of an unlink or a DELETE"
CHANGED = "after the commit of an unlink or a DELETE"
MOMENTS = (START, BEFORE, BETWEEN, AFTER, CHANGING, CHANGED)

MADE, KEPT, FOREIGN = ("gbol", "fztf"), ("suuo", "mqjo", "rwuv"), "qhyg"
"""The platforms of connections to create, of recorded ones, and of unmanaged ones."""

FEWEST = 20
"""The fewest kills between a POST's commit and its checkpoint in a full campaign, of `WHOLE` runs."""

WHOLE = 60

UNANSWERED = 5.0
"""Seconds between a commit and its answer: long enough for a kill in between."""

ON_THE_WIRE = 1.5
"""Seconds between a request and its commit, which happens whoever is killed meanwhile."""

LEAVING = 1.5
"""Seconds in which a provider may finish a write that it had begun when its engine was killed."""

PATIENCE = 240.0
"""Seconds until nothing of a killed command may run any more."""


@dataclass(frozen=True)
class Kind:
    """The command that is started, its process that is killed, and the moment."""

    command: tuple[str, ...]
    victim: str
    moment: str

    def __str__(self) -> str:
        return f"{self.command[0]}, {self.victim} killed {self.moment}"


@dataclass
class Found:
    """The findings of all runs."""

    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    late: int = 0
    proven: int = 0
    cancelled: int = 0
    orphans: int = 0
    damaged: int = 0
    violations: list[str] = field(default_factory=list)


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Make *runs* runs, report what was killed when and how often, and return the violations."""
    found = Found()
    for number in range(runs):
        dice = Random(f"{seed}-{number}")  # noqa: S311  reproducible, not secret
        kind = _kind(number, dice)
        with tempfile.TemporaryDirectory() as folder, serving() as emulator:
            project = Project(Path(folder) / "project", emulator, {"CODAT_MAX_LOSSES": "100"})
            run = _Run(dice, kind, project, _world(dice, emulator), found)
            try:
                run.go()
            except (ValueError, AssertionError, subprocess.TimeoutExpired) as error:
                # For example a state that can't be read; the other runs still go on.
                run.violations.append(f"{type(error).__name__}: {error}")
        found.violations += [f"seed {seed}-{number}: {kind}: {text}" for text in run.violations]
        tell(f"seed {seed}-{number}: {kind}: {len(run.violations) or 'no'} violations")
    if runs >= WHOLE and found.proven < FEWEST:
        found.violations.append(f"seed {seed}: only {found.proven} kills {BETWEEN} are proven")
    for line in _report(found):
        tell(line)
    return found.violations


def _report(found: Found) -> Iterator[str]:
    yield from table(
        ("killed", *VICTIMS),
        ((moment, *(str(found.hits[moment, victim]) for victim in VICTIMS)) for moment in MOMENTS),
    )
    yield f"{found.hits.total()} kills, and {found.late} that came too late"
    yield f"{found.proven} proven {BETWEEN}"
    yield f"{found.cancelled} locks cancelled, {found.damaged} empty files beside a state removed"
    yield f"{found.orphans} idle providers beside the next run"
    yield f"{len(found.violations)} violations"


def _kind(number: int, dice: Random) -> Kind:
    """Choose the kind of run *number*. Every second one kills between a POST's commit and its checkpoint."""
    command = dice.choice((UP, APPLY))
    if number % 2 == 0:
        # Killing only `codat-iac apply` doesn't count: the engine lives on, and records what was created.
        return Kind(command, (PROVIDER, ENGINE, ALL)[number // 2 % 3], BETWEEN)
    victims = (PROVIDER, ENGINE, ALL) if command == UP else (PROVIDER, ENGINE, ALL, APPLIER, APPLIER)
    return Kind(command, dice.choice(victims), dice.choice(MOMENTS))


# The world of a run.


@dataclass
class _World:
    """The recorded and declared connections, and the expected result."""

    yaml: str = "companies:\n"
    priors: list[PriorConnection] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    created: set[str] = field(default_factory=set)
    companies: set[str] = field(default_factory=set)
    statuses: dict[str, str] = field(default_factory=dict)
    """The expected statuses of existing connections by id, without those that must be deleted."""

    def declare(self, name: str, slot: Slot, rest: str = "") -> None:
        """Declare the connection *name* of the company that was added last."""
        self.addresses.add(name)
        self.yaml += f"      {name.partition('/')[2]}: {{platformKey: {slot.platform_key}{rest}}}\n"


def _world(dice: Random, emulator: Emulator) -> _World:
    """Make some companies, each with recorded connections, connections to create, and an unmanaged one."""
    world = _World()
    for number in range(dice.randint(2, 6)):
        name, company_id = f"c{number}", str(emulator.add_company(f"Company {number}")["id"])
        world.companies.add(company_id)
        world.yaml += f"  {name}:\n    id: {company_id}\n    connections:\n"
        # The first company has one of each, so that every moment to wait for comes.
        edits = [dice.choice(("stays", "unlinks", "goes", "moves")) for _ in range(2)]
        edits = ["unlinks", *edits] if number == 0 else edits
        for edit, platform in zip(edits, KEPT, strict=False):
            _edit(dice, emulator, world, f"{name}/{platform}", Slot(company_id, platform), edit)
        for count in range(dice.randint(number == 0, 2)):
            slot = Slot(company_id, dice.choice(MADE))
            world.created.add(f"{name}/new-{count}")
            world.declare(f"{name}/new-{count}", slot)
        if world.yaml.endswith("connections:\n"):
            world.yaml = f"{world.yaml.rstrip()} {{}}\n"
        world.statuses[connected(emulator, company_id, FOREIGN)] = "Linked"
    return world


def _edit(dice: Random, emulator: Emulator, world: _World, name: str, slot: Slot, edit: str) -> None:
    """Record a Linked connection at *name*, and declare it as *edit* asks."""
    policy = dice.choice((OnRemoval.UNLINK, OnRemoval.DELETE))
    desired = a_desired(name, company_id=slot.company_id, platform_key=slot.platform_key, on_removal=policy)
    connection_id = connected(emulator, *slot)
    world.priors.append(a_prior(connection_id, desired))
    if edit == "goes" and policy is OnRemoval.DELETE:
        return
    world.statuses[connection_id] = "Linked" if edit in {"stays", "moves"} else "Unlinked"
    if edit != "goes":
        rest = ", status: Unlinked" if edit == "unlinks" else ""
        world.declare(f"{name}-moved" if edit == "moves" else name, slot, f"{rest}, onRemoval: {policy}")


# A run.


@dataclass
class _Run:
    """One command that is killed, and one that has to finish its work."""

    dice: Random
    kind: Kind
    project: Project
    world: _World
    found: Found
    violations: list[str] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)

    def go(self) -> None:
        """Do the run, and collect broken promises in `violations`."""
        self.project.record(self.world.priors)
        self.project.declare(self.world.yaml)
        self.project.emulator.faults(self._faults())
        with self._start() as process:
            killed, unanswered = self._kill(process)
        self._repair()
        recorded = set(self.project.recorded().values())
        if killed:
            self.found.hits[self.kind.moment, self.kind.victim] += 1
            self.found.proven += unanswered and self.kind.moment == BETWEEN and self._forgotten(recorded)
        else:
            self.found.late += 1
        self._unlock()
        self._again()
        self._check()
        self.found.orphans += any(map(alive, self.orphans))
        for pid in self.orphans:
            _send(pid, signal.SIGKILL)

    def _faults(self) -> list[Mapping[str, Any]]:
        late = {"do": "delay", "seconds": ON_THE_WIRE}
        unanswered = {"do": "delay-after-commit", "seconds": UNANSWERED}
        post = {
            "on": "POST /companies/*/connections",
            "skip": self.dice.randrange(len(self.world.created)),
        }
        changes = [{"on": f"{method} /companies/*/connections/*"} for method in ("PATCH", "DELETE")]
        faults: dict[str, list[Mapping[str, Any]]] = {
            BEFORE: [{**post, **late}],
            BETWEEN: [{**post, **unanswered}],
            CHANGING: [{**each, **late} for each in changes],
            CHANGED: [{**each, **unanswered} for each in changes],
        }
        return faults.get(self.kind.moment, [])

    def _start(self) -> subprocess.Popen[str]:
        if self.kind.command == UP:
            return self.project.start(*UP)
        return self.project.start_codat_iac(*APPLY)

    # The kill.

    def _kill(self, process: subprocess.Popen[str]) -> tuple[bool, bool]:
        """Kill at the moment, and wait until nothing runs any more.

        Returns whether there was a process to kill, and whether a commit was still unanswered then.
        """
        victims = self._stopped(process) if self._awaited(process) else []
        below = [pid for pid, _ in descendants(process.pid)]
        for pid in victims:
            _send(pid, signal.SIGKILL)
        unanswered = self._is_the_moment()
        self.project.emulator.faults([])
        if not victims:
            process.communicate(timeout=PATIENCE)
            return False, False
        time.sleep(LEAVING)
        written = self._writes()
        self._wait_for(process, below)
        if self.kind.victim in {ENGINE, ALL} and self._writes() != written:
            self.violations.append("an orphan wrote after its engine was gone")
        process.communicate(timeout=PATIENCE)
        return True, unanswered

    def _awaited(self, process: subprocess.Popen[str]) -> bool:
        """Wait for the moment; return whether it came before the end of *process*."""
        if self.kind.moment == START and self.kind.victim in {APPLIER, ALL}:
            time.sleep(self.dice.uniform(0, 2))  # the others are to begin first
        while process.poll() is None:
            if self._is_the_moment() and self._victims(process):
                time.sleep(self.dice.uniform(0, 0.3))
                return process.poll() is None
            time.sleep(0.02)
        return False

    def _is_the_moment(self) -> bool:
        """Return whether the moment has come, according to the emulator's log."""
        log = self.project.emulator.requests()["requests"]
        posts = [each for each in log if each["operation"] == "create-connection"]
        changes = [each for each in log if each["method"] in {"PATCH", "DELETE"}]
        return {
            START: True,
            BEFORE: any(each["fault"] and not each["committed"] for each in posts),
            BETWEEN: any(each["committed"] and each["status"] is None for each in posts),
            AFTER: any(each["status"] == 200 for each in posts),
            CHANGING: any(each["fault"] and not each["committed"] for each in changes),
            CHANGED: any(each["committed"] and each["status"] is None for each in changes),
        }[self.kind.moment]

    def _stopped(self, process: subprocess.Popen[str]) -> list[int]:
        """Stop the processes to kill, since one could start another before it is killed."""
        stopped: list[int] = []
        while more := [pid for pid in self._victims(process) if pid not in stopped]:
            for pid in more:
                _send(pid, signal.SIGSTOP)
            stopped += more
        return stopped

    def _victims(self, process: subprocess.Popen[str]) -> list[int]:
        if self.kind.victim == APPLIER or (self.kind.victim == ENGINE and self.kind.command == UP):
            return [process.pid]
        below = descendants(process.pid)
        if self.kind.victim == PROVIDER:
            return [pid for pid, name in below if "-m pulumi.dynamic" in name]
        if self.kind.victim == ENGINE:
            return [pid for pid, name in below if " up " in name]
        return [process.pid, *(pid for pid, _ in below)]

    def _wait_for(self, process: subprocess.Popen[str], below: list[int]) -> None:
        """Wait until nothing is under way: all processes *below*, and any that they start, have ended.

        An idle provider whose engine was killed may stay, and runs beside the next command, as in real life.
        """
        known, deadline = set(below), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.orphans = {pid for pid in known if alive(pid)}
            known |= {child for pid in self.orphans for child, _ in descendants(pid)}
            idle = self.kind.victim == ENGINE and all(map(_is_provider, self.orphans))
            if (idle or not self.orphans) and process.poll() is not None and not self._under_way():
                return
            time.sleep(0.1)
        self.violations.append(f"{len(self.orphans)} processes still run after {PATIENCE:.0f} seconds")

    # What is left, and what is made of it.

    def _under_way(self) -> bool:
        return any(each["status"] is None for each in self.project.emulator.requests()["requests"])

    def _writes(self) -> int:
        log = self.project.emulator.requests()["requests"]
        return sum(each["method"] != "GET" for each in log)

    def _live(self) -> dict[str, str]:
        """Return the statuses of all connections at Codat by id."""
        return {
            connection: status
            for company_id in self.world.companies
            for connection, status in rows(self.project.emulator, company_id).items()
        }

    def _forgotten(self, recorded: set[str]) -> bool:
        """Return whether there is a new connection that the state doesn't have."""
        before = {prior.id for prior in self.world.priors} | set(self.world.statuses)
        return bool(set(self._live()) - recorded - before)

    def _repair(self) -> None:
        """Remove an empty `.attrs` file, which a kill may leave: Pulumi writes it in two steps."""
        stacks = self.project.folder / "state" / ".pulumi" / "stacks"
        for file in stacks.rglob("dev.json.attrs"):
            if not file.stat().st_size:
                self.found.damaged += 1
                file.unlink()

    def _unlock(self) -> None:
        """Cancel the lock if there is one: only a killed engine may leave it."""
        locks = [*(self.project.folder / "state" / ".pulumi" / "locks").rglob("*.json")]
        if not locks:
            return
        if self.kind.victim in {PROVIDER, APPLIER}:
            self.violations.append("the stack is left locked")
        self.found.cancelled += 1
        self._succeeds(self.project.pulumi("cancel", "--yes"))

    def _again(self) -> None:
        """Run a second command, `pulumi` or `codat-iac`; then check with the other that nothing is left."""
        if self.dice.random() < 0.5:
            self._succeeds(self.project.codat_iac(*APPLY))
            self._succeeds(self.project.preview("--expect-no-changes"))
            return
        self._succeeds(self.project.pulumi(*UP))
        plan = self.project.codat_iac("plan", "-o", "json")
        self._succeeds(plan)
        if plan.code == 0 and plan.json["changes"]:
            self.violations.append(f"a plan afterwards has {plan.json['changes']}")

    def _succeeds(self, ended: Outcome | Ran) -> None:
        if ended.code:
            shown = ended.shown if isinstance(ended, Outcome) else ended.out + ended.err
            self.violations.append(f"exit code {ended.code}: {' '.join(shown.split())[-600:]}")

    def _check(self) -> None:
        """Check that every connection exists once, at its address, and that nothing else was touched."""
        recorded, live, world = self.project.recorded(), self._live(), self.world
        if set(recorded) != world.addresses:
            self.violations.append(f"recorded at {sorted(recorded)}, declared at {sorted(world.addresses)}")
        made = {recorded[address] for address in world.created if address in recorded}
        expected = {**world.statuses, **dict.fromkeys(made, "PendingAuth")}
        if len(made) != len(world.created) or live != expected:
            self.violations.append(f"there is {live} and not {expected}")
        log = self.project.emulator.requests()["requests"]
        posts = sum(each["committed"] for each in log if each["operation"] == "create-connection")
        if posts != len(world.created):
            self.violations.append(f"{posts} connections were made where {len(world.created)} were asked for")


def _is_provider(pid: int) -> bool:
    """Return whether *pid* is the host of a dynamic provider or the shell around it, or has just ended."""
    asked = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return not shown or any(name in shown for name in ("pulumi.dynamic", "pulumi-resource-pulumi-python"))


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
