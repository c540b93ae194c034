"""What happens where the backend is in the way: locks of the dead and the living, and a disk that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from codat_iac.emulator import Emulator
from tests.support.builders import connected, rows
from tests.support.project import Project, connections, holding_posts
from tests.support.terminal import Terminal
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.engine

LEDGER = "ledger: {platformKey: gbol}"

SHOP = "shop: {platformKey: fztf}"

QUESTION = "Cancel its lock and go on? [y/N]: "


# Locks.


def locks(project: Project) -> list[Path]:
    """The files by which the stack is locked."""
    folder = project.folder / "state" / ".pulumi" / "locks"
    return [file for file in folder.rglob("*.json") if file.is_file()]


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
    project.lock(pid)
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
    assert "done      create  acme/ledger\nApplied: 1 of 1 change.\n" in terminal.shown
    assert locks(project) == []
    assert set(project.recorded().values()) == set(rows(project.emulator, acme))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        pytest.param("n\n", 1, "codat-iac: cancelled; nothing is changed\n", id="no"),
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
    project.lock(os.getpid())
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
    said = "the stack changed since this plan was made; run again (acme/ledger, acme/shop)"
    assert terminal.shown.endswith(f"codat-iac: {said}\n")
    assert project.writes() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "host", [pytest.param(None, id="alive"), pytest.param("another.example", id="of another machine")]
)
def test_a_lock_of_which_nobody_knows_is_not_offered(project: Project, acme: str, host: str | None) -> None:
    """On a terminal too: it is waited for, or looked into where it was made."""
    project.declare(connections(acme, LEDGER))
    project.lock(os.getpid() if host is None else a_dead_pid(), host)
    terminal = Terminal(project, "apply")
    terminal.wait_for("Apply 1 change? [y/N]: ")
    terminal.type("y\n")

    assert terminal.end() == 1
    assert terminal.shown.endswith(
        "codat-iac: the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead\n"
    )
    assert len(locks(project)) == 1


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
            assert said.splitlines()[-1] == ("codat-iac: interrupted; run again for what isn't done")
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


# A state that is damaged.


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


@pytest.mark.slow
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
