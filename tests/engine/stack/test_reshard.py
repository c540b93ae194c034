"""Three shards become five on the real engine, killed on the way and read meanwhile: without a call."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.emulator import Emulator, serving
from codat_iac.model.record import SHARD, connections
from codat_iac.model.shard import shard_number
from codat_iac.stack.sharding.reshard import _set_marker
from codat_iac.stack.sharding.shard_states import Member
from codat_iac.stack.stack import Stack, StackError, StackLocked
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import Project, Ran, pulumi_after, recorded_resources
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.engine

COMPANIES = 12
STACKS = [f"s{number}" for number in range(1, 6)]


class Shards:
    """A project with five stacks of one desired state; the first three have recorded all, as its shards."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self.project = Project(folder, emulator)
        companies = [str(emulator.add_company(f"Company {n}")["id"]) for n in range(COMPANIES)]
        self.ids = {company: connected(emulator, company) for company in companies}
        self.project.declare(
            "companies:\n"
            + "".join(
                f"  c{n}:\n    id: {company}\n    connections:\n      ledger: {{platformKey: gbol}}\n"
                for n, company in enumerate(companies)
            )
        )
        for number, name in enumerate(STACKS, 1):
            self._record(name, number)
            self.configure(name, f"{number}/5")

    def _record(self, name: str, number: int) -> None:
        """Write what a run as one shard of three leaves, as the file backend has it."""
        made = self._backend("dev").read_text().replace("/dev", f"/{name}")
        checkpoint = json.loads(made)
        priors = [
            a_prior(id_, a_desired(f"c{n}/ledger", company_id=company))
            for n, (company, id_) in enumerate(self.ids.items())
            if shard_number(company, 3) == number
        ]
        if priors:
            text = json.dumps(recorded_resources(priors, {SHARD: f"{number}/3"}))
            renamed = text.replace("urn:pulumi:dev:", f"urn:pulumi:{name}:").replace("-dev", f"-{name}")
            checkpoint["checkpoint"]["latest"] = {
                **(checkpoint["checkpoint"].get("latest") or {}),
                "resources": json.loads(renamed),
            }
        self._backend(name).write_text(json.dumps(checkpoint))

    def _backend(self, name: str) -> Path:
        return self.project.folder / "state" / ".pulumi" / "stacks" / "shop" / f"{name}.json"

    def configure(self, name: str, shard: str) -> None:
        """Set a stack's config, as `pulumi config set codat:shard` does."""
        salt = (self.project.folder / "Pulumi.dev.yaml").read_text()
        file = self.project.folder / f"Pulumi.{name}.yaml"
        file.write_text(f"{salt}config:\n  codat:shard: {shard}\n")

    def where(self) -> dict[str, list[str]]:
        """The stacks in which each connection is recorded, by its id."""
        found: dict[str, list[str]] = {}
        for name in STACKS:
            state = json.loads(self._backend(name).read_text())["checkpoint"].get("latest") or {}
            for each in connections({"deployment": state}):
                found.setdefault(each["id"], []).append(name)
        return found

    def belonging(self) -> dict[str, list[str]]:
        """Where each belongs, as one shard of five."""
        return {id_: [f"s{shard_number(company, 5)}"] for company, id_ in self.ids.items()}

    def plan(self, capfd: pytest.CaptureFixture[str], name: str) -> tuple[int, str]:
        """The exit code of a plan of a stack, and what it says last."""
        capfd.readouterr()
        code = run(["plan", "--stack", name, "--cwd", str(self.project.folder), "--detailed-exitcode"])
        out, err = capfd.readouterr()
        return code, (out or err).splitlines()[-1]


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shards]:
    """The project, with its environment in this process."""
    with serving() as emulator:
        made = Shards(tmp_path / "project", emulator)
        for name, value in made.project.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def test_three_shards_become_five_under_a_reader(shards: Shards, capfd: pytest.CaptureFixture[str]) -> None:
    """Killed when the first have arrived: no run of any stack goes on, and a second try ends it."""
    project = shards.project
    process = project.start_codat_iac("reshard", *STACKS, "--yes")
    assert process.stderr is not None
    for line in process.stderr:
        if line.endswith("connections come\n"):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)

    assert {len(stacks) for stacks in shards.where().values()} == {1, 2}
    moving = "connections are being moved between stacks; run `codat-iac reshard STACK...` to its end, with"
    for name in ("s1", "s4"):
        code, said = shards.plan(capfd, name)
        assert code == 1
        assert said.startswith(f"codat-iac: stack {name}: {moving}")
    up = project.up("--skip-preview", "--stack", "s1", "--refresh=false")
    assert up.code != 0
    assert moving in up.shown
    assert set(shards.where()) == set(shards.ids.values())

    assert run(["reshard", *STACKS, "--yes", "--cwd", str(project.folder)]) == 0
    assert capfd.readouterr().out.endswith("; each stack is set up as its shard.\n")

    assert shards.where() == shards.belonging()
    receiver = max(shards.belonging().values())[0]
    said = f"Shard {receiver[1]}/5: No changes. What you declared is what there is."
    assert shards.plan(capfd, receiver) == (0, said)
    preview = project.preview("--stack", receiver, "--expect-no-changes")
    assert preview.code == 0, preview.shown
    assert run(["reshard", *STACKS, "--cwd", str(project.folder)]) == 0
    assert capfd.readouterr().out == "Nothing to move: each stack is set up as its shard.\n"
    assert project.writes() == []


def test_an_interrupt_moves_nothing_and_says_so(shards: Shards, tmp_path: Path) -> None:
    """While Pulumi prepares a stack: not what its engine printed, but what to do."""
    preparing, before = tmp_path / "preparing", shards.where()
    script = f'case " $* " in *" up "*) touch {preparing}; sleep 1;; esac'
    environment = {"PATH": pulumi_after(tmp_path / "bin", script)}
    process = shards.project.start_codat_iac("reshard", *STACKS, "--yes", env=environment)
    until(preparing.exists, "a stack is prepared")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    ran = Ran(process.returncode, out, err)

    assert (ran.code, ran.out) == (130, "")
    assert ran.said[-1] == "interrupted; run again for what isn't done"
    assert shards.where() == before
    assert shards.project.codat_iac("reshard", *STACKS, "--yes").code == 0
    assert shards.where() == shards.belonging()


def test_a_stack_that_another_run_has_is_waited_for(shards: Shards) -> None:
    """By a person: one line says so, as for what Pulumi itself refuses, and nothing has moved."""
    folder = shards.project.folder
    shards.project.lock(os.getpid(), "there", "s1")
    member = Member("s1", "shop", None, "1/3")

    with pytest.raises(StackLocked, match=r"^the stack is locked by another run"):
        _set_marker(Stack.open(folder, "s1"), member, pytest.fail)
    with pytest.raises(StackError, match=r"^stack s1 can't be prepared: .*no stack named 'nobody' found"):
        _set_marker(Stack.open(folder, "nobody"), member, pytest.fail)
