"""The disk under the stack's state fails in the middle of a run: it becomes read-only, or is full.

Pulumi goes on trying for a minute, so that each of these takes two.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from codat_iac.emulator import serving
from tests.support.builders import rows
from tests.support.project import Project, connections, holding_posts
from tests.support.waiting import PATIENCE, until

LEDGER, SHOP = "ledger: {platformKey: gbol}", "shop: {platformKey: fztf}"


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Run `pulumi up` and `codat-iac apply` on a failing disk, *runs* times each; return the violations."""
    violations = []
    for number in range(runs):
        for story in (_read_only, _full):
            name = f"disks, seed {seed}, run {number},{story.__name__.replace('_', ' ')}"
            with serving() as emulator, tempfile.TemporaryDirectory() as folder, _disk(Path(folder)) as disk:
                backend = {"PULUMI_BACKEND_URL": f"file://{disk.folder}"}
                project = Project(Path(folder) / "project", emulator, backend)
                acme = str(emulator.add_company("Acme")["id"])
                project.declare(connections(acme, LEDGER, SHOP))
                try:
                    story(project, acme, disk)
                except AssertionError as error:
                    violations.append(f"{name}: {error}")
            tell(f"{name}: {'a disk of its own' if disk.mounted else 'a folder that gives way'}")
    return violations


@dataclass(frozen=True)
class Disk:
    """The disk of the state: a small disk of its own, or only a folder if this user may not mount one."""

    folder: Path
    mounted: bool

    @property
    def _stacks(self) -> Path:
        return self.folder / ".pulumi" / "stacks" / "shop"

    def become_read_only(self) -> None:
        """Refuse all further writes."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        else:
            self._give_way()

    def fill_up(self) -> None:
        """Fill the disk, so that there is no room for one more file."""
        if self.mounted:
            (self.folder / "fill").mkdir()
            self._fill()
        else:
            self._give_way()

    def stay_full(self, still: Callable[[], bool]) -> None:
        """Keep the disk full while *still* returns true, even if files are removed."""
        while self.mounted and still():
            self._fill()
            time.sleep(0.002)

    def _fill(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                (self.folder / "fill" / str(time.monotonic_ns())).touch()

    def recover(self) -> None:
        """Make the disk writable again, with the files written before."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)
            shutil.rmtree(self.folder / "fill", ignore_errors=True)
        else:
            self._stacks.unlink()
            self._stacks.with_name("away").rename(self._stacks)

    def _give_way(self) -> None:
        """Replace the folder by a file, so that nobody can write there, not even root."""
        self._stacks.rename(self._stacks.with_name("away"))
        self._stacks.touch()


@contextlib.contextmanager
def _disk(parent: Path) -> Iterator[Disk]:
    """Mount a disk of one megabyte with room for 64 files; yield a plain folder if that isn't allowed."""
    folder = parent / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _recovers(project: Project, acme: str) -> None:
    """Check that the next run adopts created connections and creates the rest; cancel a lock if it asks."""
    ran = project.codat_iac("apply", "--yes")
    if "run `pulumi cancel --yes --stack dev` and try again" in ran.err:
        assert project.pulumi("cancel", "--yes", "--stack", "dev").code == 0
        ran = project.codat_iac("apply", "--yes")
    assert ran.code == 0, ran.err
    assert set(project.recorded().values()) == set(rows(project.emulator, acme))
    assert project.writes().count("POST 200") == 2
    assert project.preview("--expect-no-changes").code == 0


def _read_only(on_disk: Project, acme: str, disk: Disk) -> None:
    """Check that Pulumi says which file it can't write, and that nothing is created twice afterwards."""
    with holding_posts(on_disk):
        process = on_disk.start("up", "--yes", "--skip-preview")
        until(lambda: "create-connection" in on_disk.emulator.counts(), "a POST")
        disk.become_read_only()
    shown, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode != 0
    assert "failed to save snapshot" in shown
    assert "Traceback" not in shown
    disk.recover()
    _recovers(on_disk, acme)


def _full(on_disk: Project, acme: str, disk: Disk) -> None:
    """Check the line for each change: what can't be written, why, and that the next run goes on."""
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
        assert line.endswith("then run again: what was done is found, and not done twice")
    disk.recover()
    _recovers(on_disk, acme)
