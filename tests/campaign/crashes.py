"""kill -9 at seeded moments: of the provider, of `pulumi up`, of `codat-iac apply`, and of all of them.

A run is one small stack with something to create, to unlink and to remove. A command begins, something of it
is killed, and when nothing of it is left running one more command has to bring everything about: nothing
made twice, nothing else touched. At every second run the kill comes between the commit of a POST and its
checkpoint: the emulator's log has the commit and no answer yet, and the state never hears of the id.
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
from tests.engine.provider.test_traps import alive, descendants
from tests.support.builders import a_desired, a_prior, connected, rows
from tests.support.project import Outcome, Project, Ran

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
"""The platforms of what is to be created, of what is recorded already, and of what is nobody's here."""

FEWEST = 20
"""Kills between a POST's commit and its checkpoint in a whole campaign, of `WHOLE` runs."""

WHOLE = 60

UNANSWERED = 5.0
"""Seconds between a commit and its answer: long enough to be killed in."""

ON_THE_WIRE = 1.5
"""Seconds between a request and its commit: what was sent comes to pass, whoever is killed."""

LEAVING = 1.5
"""Seconds that a provider may take for a write that it had begun when its engine was killed."""

PATIENCE = 240.0
"""Seconds until what was killed has left nothing running."""


@dataclass(frozen=True)
class Kind:
    """What is started, what of it is killed, and when."""

    command: tuple[str, ...]
    victim: str
    moment: str

    def __str__(self) -> str:
        return f"{self.command[0]}, {self.victim} killed {self.moment}"


@dataclass
class Found:
    """What the runs found."""

    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    late: int = 0
    proven: int = 0
    cancelled: int = 0
    orphans: int = 0
    damaged: int = 0
    violations: list[str] = field(default_factory=list)


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Make *runs* runs and tell what was killed when, and how often. Gives the violations."""
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
                # A state that nobody can read, for one; the other runs still have theirs to tell.
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
    """Choose what run *number* does: every second one kills between a POST's commit and its checkpoint."""
    command = dice.choice((UP, APPLY))
    if number % 2 == 0:
        # `codat-iac apply` alone is none of these: the engine lives on, and records what was made.
        return Kind(command, (PROVIDER, ENGINE, ALL)[number // 2 % 3], BETWEEN)
    victims = (PROVIDER, ENGINE, ALL) if command == UP else (PROVIDER, ENGINE, ALL, APPLIER, APPLIER)
    return Kind(command, dice.choice(victims), dice.choice(MOMENTS))


# The world of a run.


@dataclass
class _World:
    """What is recorded and declared, and what has to be there in the end."""

    yaml: str = "companies:\n"
    priors: list[PriorConnection] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    created: set[str] = field(default_factory=set)
    companies: set[str] = field(default_factory=set)
    statuses: dict[str, str] = field(default_factory=dict)
    """What becomes of the connections that are there before; one that is to be deleted isn't in it."""

    def declare(self, name: str, slot: Slot, rest: str = "") -> None:
        """Declare the connection *name* of the company that was added last."""
        self.addresses.add(name)
        self.yaml += f"      {name.partition('/')[2]}: {{platformKey: {slot.platform_key}{rest}}}\n"


def _world(dice: Random, emulator: Emulator) -> _World:
    """Some companies, each with something recorded, something to make, and something of somebody else's."""
    world = _World()
    for number in range(dice.randint(2, 6)):
        name, company_id = f"c{number}", str(emulator.add_company(f"Company {number}")["id"])
        world.companies.add(company_id)
        world.yaml += f"  {name}:\n    id: {company_id}\n    connections:\n"
        # The first company has one of each, so that whatever is waited for comes to pass.
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
    """Record a Linked connection at *name*, and declare what *edit* makes of it."""
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
    """One command that is killed, and one that has to put everything right."""

    dice: Random
    kind: Kind
    project: Project
    world: _World
    found: Found
    violations: list[str] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)

    def go(self) -> None:
        """Do it; `violations` are what broke a promise."""
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
        """Kill at the moment, and wait until nothing is left running.

        Say whether there was something to kill, and whether a commit was still unanswered then.
        """
        victims = self._stopped(process) if self._awaited(process) else []
        below = [pid for pid, _ in descendants(process.pid)]
        for pid in victims:
            _send(pid, signal.SIGKILL)
        unanswered = self._here()
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
        """Wait for the moment; say whether it came before the end of *process*."""
        if self.kind.moment == START and self.kind.victim in {APPLIER, ALL}:
            time.sleep(self.dice.uniform(0, 2))  # the others are to begin first
        while process.poll() is None:
            if self._here() and self._victims(process):
                time.sleep(self.dice.uniform(0, 0.3))
                return process.poll() is None
            time.sleep(0.02)
        return False

    def _here(self) -> bool:
        """Say whether it is the moment, going by the emulator's log."""
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
        """Stop whom to kill, or one would begin another before it is killed."""
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
        """Wait until nothing is under way: all *below* have ended, with whatever they start meanwhile.

        A provider whose engine was killed may stay, idle. It lives on beside the next run, as it would.
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
        """All connections at Codat, with their statuses."""
        return {
            connection: status
            for company_id in self.world.companies
            for connection, status in rows(self.project.emulator, company_id).items()
        }

    def _forgotten(self, recorded: set[str]) -> bool:
        """Say whether there is a connection of which the state never heard."""
        before = {prior.id for prior in self.world.priors} | set(self.world.statuses)
        return bool(set(self._live()) - recorded - before)

    def _repair(self) -> None:
        """Remove what a kill left empty beside the state: Pulumi writes that file in two steps."""
        stacks = self.project.folder / "state" / ".pulumi" / "stacks"
        for file in stacks.rglob("dev.json.attrs"):
            if not file.stat().st_size:
                self.found.damaged += 1
                file.unlink()

    def _unlock(self) -> None:
        """Cancel the lock where there is one: only a killed engine may leave it."""
        locks = [*(self.project.folder / "state" / ".pulumi" / "locks").rglob("*.json")]
        if not locks:
            return
        if self.kind.victim in {PROVIDER, APPLIER}:
            self.violations.append("the stack is left locked")
        self.found.cancelled += 1
        self._succeeds(self.project.pulumi("cancel", "--yes"))

    def _again(self) -> None:
        """Run once more, through either door; then the other one sees that nothing is left."""
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
        """See that everything is there once, at its address, and that nothing else was touched."""
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
    """Say whether *pid* is the host of a dynamic provider, or the shell around one; or has just ended."""
    asked = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return not shown or any(name in shown for name in ("pulumi.dynamic", "pulumi-resource-pulumi-python"))


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
