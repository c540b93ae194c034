"""What happens where the backend is in the way: locks of the dead and the living, and a disk that fails."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import pytest

from codat_iac.emulator import Emulator
from tests.engine.cli.test_cli import Terminal
from tests.engine.provider.test_traps import PATIENCE, holding_posts, until
from tests.support.builders import connected, rows
from tests.support.project import Project, connections

pytestmark = pytest.mark.engine

LEDGER = "ledger: {platformKey: gbol}"

SHOP = "shop: {platformKey: fztf}"

QUESTION = "Cancel its lock and go on? [y/N]: "


# Locks.


def locks(project: Project) -> list[Path]:
    """The files by which the stack is locked."""
    folder = project.folder / "state" / ".pulumi" / "locks"
    return [file for file in folder.rglob("*.json") if file.is_file()]


def lock(project: Project, pid: int, host: str | None = None) -> None:
    """Lock the stack as a run of process *pid* would, on this machine or on *host*."""
    folder = project.folder / "state" / ".pulumi" / "locks" / "organization" / "shop" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    held = {
        "pid": pid,
        "username": "jo",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-11-24T14:13:40.9Z",
    }
    (folder / f"00000000-0000-0000-0000-{pid:012}.json").write_text(json.dumps(held))


def a_dead_pid() -> int:
    """The id of a process that was."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def stale(project: Project, acme: str) -> int:
    """The stack is locked by a process that is dead, with one connection to make: its pid."""
    project.declare(connections(acme, LEDGER))
    pid = a_dead_pid()
    lock(project, pid)
    return pid


def asked_about_the_lock(project: Project) -> Terminal:
    """An apply on a terminal that found the stack locked, and asks."""
    terminal = Terminal(project, "apply")
    terminal.wait_for("Apply 1 change? [y/N]: ")
    terminal.type("y\n")
    terminal.wait_for(QUESTION)
    return terminal


def test_the_lock_of_a_dead_run_is_cancelled_when_a_person_says_so(
    project: Project, acme: str, stale: int
) -> None:
    """And the apply goes on with what was planned, without another word to say."""
    terminal = asked_about_the_lock(project)
    assert f"The stack is locked by pid {stale} of this machine, which is dead. {QUESTION}" in terminal.shown
    assert len(locks(project)) == 1
    terminal.type("y\n")

    assert terminal.end() == 0, terminal.shown
    assert "codat-iac: the lock is cancelled; waiting 5 seconds for what was under way" in terminal.shown
    assert terminal.shown.endswith("done      create  acme/ledger\nApplied: 1 of 1 change.\n")
    assert locks(project) == []
    assert set(project.recorded().values()) == set(rows(project.emulator, acme))


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        pytest.param("n\n", 1, "codat-iac: nothing is changed, as you answered no\n", id="no"),
        pytest.param("\x03", 130, "\ncodat-iac: interrupted", id="Ctrl-C"),
    ],
)
@pytest.mark.usefixtures("stale")
def test_the_lock_of_a_dead_run_stays_when_a_person_says_no(
    project: Project, answer: str, code: int, text: str
) -> None:
    """It is theirs to look into, and nothing is begun."""
    terminal = asked_about_the_lock(project)
    terminal.type(answer)

    assert terminal.end() == code
    assert text in terminal.shown
    assert len(locks(project)) == 1
    assert project.writes() == []


@pytest.mark.usefixtures("stale")
def test_a_lock_that_became_anothers_meanwhile_is_left_alone(project: Project) -> None:
    """While a person thinks, somebody cancels it and begins: that lock is nobody's to cancel here."""
    terminal = asked_about_the_lock(project)
    locks(project)[0].unlink()
    lock(project, os.getpid())
    terminal.type("y\n")

    assert terminal.end() == 1
    assert "codat-iac: the stack is locked by another run; wait for it, or" in terminal.shown
    assert len(locks(project)) == 1
    assert project.writes() == []


@pytest.mark.usefixtures("stale")
def test_a_stack_that_changed_meanwhile_is_planned_anew(project: Project, acme: str) -> None:
    """While a person thinks, somebody cancels it and applies: what they were asked is no longer so."""
    terminal = asked_about_the_lock(project)
    project.pulumi("cancel", "--yes")
    project.declare(connections(acme, LEDGER, SHOP))
    project.settle()
    terminal.type("y\n")

    assert terminal.end() == 1
    assert terminal.shown.endswith("codat-iac: the stack changed since this plan was made; run again\n")
    assert project.writes() == []


@pytest.mark.parametrize(
    "host", [pytest.param(None, id="alive"), pytest.param("another.example", id="of another machine")]
)
def test_a_lock_of_which_nobody_knows_is_not_offered(project: Project, acme: str, host: str | None) -> None:
    """On a terminal too: it is waited for, or looked into where it was made."""
    project.declare(connections(acme, LEDGER))
    lock(project, os.getpid() if host is None else a_dead_pid(), host)
    terminal = Terminal(project, "apply")
    terminal.wait_for("Apply 1 change? [y/N]: ")
    terminal.type("y\n")

    assert terminal.end() == 1
    assert terminal.shown.endswith(
        "codat-iac: the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead\n"
    )
    assert len(locks(project)) == 1


def test_an_import_names_the_lock_of_a_dead_run(project: Project, acme: str, stale: int) -> None:
    """With the very command, and the file as it was."""
    connected(project.emulator, acme, "fztf")
    before = (project.folder / "connections.yaml").read_text()

    ran = project.codat_iac("import", "--all", "--yes", "--out", "connections.yaml", "--overwrite")

    assert ran.code == 1
    (said,) = ran.said
    assert said.startswith("nothing was imported: the stack is locked; run `pulumi cancel --yes --stack dev`")
    assert said.endswith(f"since pid {stale} of this machine, which held it, is dead")
    assert (project.folder / "connections.yaml").read_text() == before
    assert len(locks(project)) == 1


# Two at once, and interrupts.


def test_of_two_ups_at_once_one_wins(project: Project, acme: str) -> None:
    """The other says so and does nothing; what is asked for is made once."""
    project.declare(connections(acme, LEDGER))
    with holding_posts(project):
        first = project.start("up", "--yes", "--skip-preview")
        until(lambda: "create-connection" in project.emulator.counts(), "a POST")
        second = project.up("--skip-preview")

    assert second.code != 0
    (said,) = second.errors
    assert said.startswith("error: the stack is currently locked by 1 lock(s).")
    assert f"(pid {first.pid})" in second.shown
    shown, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == 0, shown
    assert project.writes().count("POST 200") == len(rows(project.emulator, acme)) == 1
    assert set(project.recorded().values()) == set(rows(project.emulator, acme))


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")], ids=" ".join)
def test_ctrl_c_at_any_moment_leaves_nothing_half_known(
    project: Project, emulator: Emulator, command: tuple[str, ...]
) -> None:
    """Again and again, at moments at random: a short message and no lock; in the end all is there once."""
    dice = Random(f"Ctrl-C {command[0]}")  # noqa: S311  reproducible, not secret
    company_ids = [str(emulator.add_company(f"Company {n}")["id"]) for n in range(6)]
    project.declare(
        "companies:\n"
        + "".join(
            f"  c{n}:\n    id: {company}\n    connections:\n      {LEDGER}\n      {SHOP}\n"
            for n, company in enumerate(company_ids)
        )
    )
    # Slow enough for a moment to be anywhere, in the reads of the plan as well as in the changes.
    emulator.knobs({"latencySeconds": 0.3})
    for _ in range(4):
        moment = emulator.requests(last=0)["total"] + dice.randint(1, 12)
        process = project.start_codat_iac(*command)
        until(partial(_is_there, emulator, moment, process), "the moment")
        time.sleep(dice.uniform(0, 0.5))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)

        if process.returncode != 0:  # it may have been through with everything
            assert process.returncode == 130
            assert said.splitlines()[-1] == (
                "codat-iac: interrupted; what was under way is finished or not begun"
            )
        assert "Traceback" not in said
        assert locks(project) == []
    emulator.knobs({"latencySeconds": 0})

    assert project.codat_iac("apply", "--yes").code == 0
    assert project.preview("--expect-no-changes").code == 0
    live = {connection for company in company_ids for connection in rows(emulator, company)}
    assert set(project.recorded().values()) == live
    assert emulator.counts()["create-connection"] == len(live) == 12


def _is_there(emulator: Emulator, moment: int, process: subprocess.Popen[str]) -> bool:
    """Say whether so much has been asked of Codat, or *process* has ended before."""
    return emulator.requests(last=0)["total"] >= moment or process.poll() is not None


# A disk that fails.


@dataclass(frozen=True)
class Disk:
    """Where the state is kept: a small disk of its own, or a mere folder where this user may not mount."""

    folder: Path
    mounted: bool

    @property
    def _stacks(self) -> Path:
        return self.folder / ".pulumi" / "stacks" / "shop"

    def become_read_only(self) -> None:
        """Take no more writes, for whatever reason a disk may have."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        else:
            self._give_way()

    def fill_up(self) -> None:
        """Have no room for one more file."""
        if self.mounted:
            (self.folder / "fill").mkdir()
            self._fill()
        else:
            self._give_way()

    def stay_full(self, still: Callable[[], bool]) -> None:
        """Have no room for as long as *still* says, whatever is removed meanwhile."""
        while self.mounted and still():
            self._fill()
            time.sleep(0.002)

    def _fill(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                (self.folder / "fill" / str(time.monotonic_ns())).touch()

    def recover(self) -> None:
        """Be as good as new, with what was written before."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)
            shutil.rmtree(self.folder / "fill", ignore_errors=True)
        else:
            self._stacks.unlink()
            self._stacks.with_name("away").rename(self._stacks)

    def _give_way(self) -> None:
        """Let a file stand where the folder was: nobody can write there, not even root."""
        self._stacks.rename(self._stacks.with_name("away"))
        self._stacks.touch()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of one megabyte, for 64 files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def on_disk(tmp_path: Path, emulator: Emulator, disk: Disk, acme: str) -> Project:
    """A project whose state is on that disk, with two connections to make."""
    project = Project(tmp_path / "project", emulator, {"PULUMI_BACKEND_URL": f"file://{disk.folder}"})
    project.declare(connections(acme, LEDGER, SHOP))
    return project


def recovers(project: Project, acme: str) -> None:
    """The next run takes up what was made and makes the rest; it says so itself where a lock is left."""
    ran = project.codat_iac("apply", "--yes")
    if "run `pulumi cancel --yes --stack dev` and try again" in ran.err:
        assert project.pulumi("cancel", "--yes", "--stack", "dev").code == 0
        ran = project.codat_iac("apply", "--yes")
    assert ran.code == 0, ran.err
    assert set(project.recorded().values()) == set(rows(project.emulator, acme))
    assert project.writes().count("POST 200") == 2
    assert project.preview("--expect-no-changes").code == 0


def test_an_up_on_a_disk_that_becomes_read_only(on_disk: Project, acme: str, disk: Disk) -> None:
    """After a minute of trying, Pulumi says which file it can't write; nothing is made twice afterwards."""
    with holding_posts(on_disk):
        process = on_disk.start("up", "--yes", "--skip-preview")
        until(lambda: "create-connection" in on_disk.emulator.counts(), "a POST")
        disk.become_read_only()
    shown, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode != 0
    assert "failed to save snapshot" in shown
    assert "Traceback" not in shown
    disk.recover()
    recovers(on_disk, acme)


def test_an_apply_on_a_disk_that_is_full(on_disk: Project, acme: str, disk: Disk) -> None:
    """One line for each change: what can't be written, why, and that the next run takes up what was made."""
    with holding_posts(on_disk):
        process = on_disk.start_codat_iac("apply", "--yes")
        until(lambda: "create-connection" in on_disk.emulator.counts(), "a POST")
        disk.fill_up()
    disk.stay_full(lambda: process.poll() is None)
    out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert "Traceback" not in err
    failed = [line for line in out.splitlines() if line.startswith("failed")]
    assert failed
    for line in failed:
        assert "Pulumi can't write the stack's state" in line
        assert line.endswith("then run again: what was made is taken up, and not made twice")
    disk.recover()
    recovers(on_disk, acme)


def cut_short(file: Path) -> None:
    """Leave half of the state, as a disk does that is full in the middle of a file."""
    file.write_text(file.read_text()[:1000])


def without_attributes(file: Path) -> None:
    """Leave the file beside it empty, as a backend does that is killed while it writes that."""
    file.with_name("dev.json.attrs").write_text("")


def put_back(file: Path) -> None:
    """Put the backup in its place."""
    file.with_name("dev.json.bak").rename(file)


def remove_attributes(file: Path) -> None:
    """Remove the file beside it."""
    file.with_name("dev.json.attrs").unlink()


@pytest.mark.parametrize(
    ("damage", "repair"),
    [
        pytest.param(cut_short, put_back, id="cut short"),
        pytest.param(without_attributes, remove_attributes, id="empty attributes"),
    ],
)
def test_a_damaged_state_is_said_to_be_with_the_way_out(
    project: Project, acme: str, damage: Callable[[Path], None], repair: Callable[[Path], None]
) -> None:
    """One line before anything is done; after that way nothing is made twice."""
    project.declare(connections(acme, LEDGER, SHOP))
    project.settle()
    file = project.folder / "state" / ".pulumi" / "stacks" / "shop" / "dev.json"
    damage(file)

    ran = project.codat_iac("apply", "--yes")

    assert ran.code == 1
    (said,) = ran.said
    assert said.endswith(
        "; the stack's file is damaged: remove the `.attrs` beside it if that is empty, or else put its"
        " `.bak`, or the newest of .pulumi/backups, in its place"
    )
    repair(file)
    assert project.codat_iac("apply", "--yes").code == 0
    assert project.writes() == []
    assert set(project.recorded().values()) == set(rows(project.emulator, acme))
