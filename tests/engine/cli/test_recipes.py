"""Each `run:` block of the recipes for CI, against a forge, an emulated Codat and the real engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from codat_iac.emulator import Emulator
from codat_iac.stack import engine
from tests.support import ROOT
from tests.support.forge import MERGE, TOKEN, FakeForge, forge
from tests.support.project import Project, connections
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.engine, pytest.mark.slow]

GITHUB = ROOT / "examples/github-actions"
GITLAB = ROOT / "examples/gitlab/.gitlab-ci.yml"


@dataclass
class Runner:
    """A machine of the forge, with a clone of the project."""

    project: Project
    fake: FakeForge
    environment: dict[str, str]

    def bash(self, script: str, env: Mapping[str, str]) -> int:
        """Run a block as the forges do: it ends with its first error."""
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=self.project.folder,
            env={**self.environment, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.shown = done.stdout + done.stderr
        assert TOKEN not in self.shown
        assert self.environment["CODAT_API_KEY"] not in self.shown
        return done.returncode

    def run(self, workflow: str, job: str, *, fails: str = "") -> None:
        """Run the *workflow* of GitHub Actions, or the *job* of GitLab CI."""
        if "GITHUB_ACTIONS" in self.environment:
            self.workflow(workflow, fails=fails)
        else:
            self.job(job, fails=bool(fails))

    def workflow(self, name: str, *, fails: str = "") -> None:
        """Run a workflow of GitHub Actions; the step *fails* fails, and those after it that run always do."""
        read = yaml.safe_load((GITHUB / f"workflows/{name}.yml").read_text())
        (job,) = read["jobs"].values()
        broken = False
        for step in self._steps(job["steps"], {}):
            if broken and "!cancelled()" not in step.get("if", ""):
                continue
            env = self._filled({**job.get("env", {}), **step.get("env", {})}, step["inputs"])
            code = self.bash(step["run"], env)
            assert (code != 0) == (step["name"] == fails), f"{step['name']}: {self.shown}"
            broken |= code != 0

    def _steps(self, steps: list[dict[str, Any]], inputs: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        for step in steps:
            if "run" in step:
                yield {"inputs": inputs, **step}
            elif step["uses"] == "./.github/actions/codat-iac":
                action = yaml.safe_load((GITHUB / "actions/codat-iac/action.yml").read_text())
                yield from self._steps(action["runs"]["steps"], self._filled(step["with"], {}))

    def _filled(self, values: Mapping[str, str], inputs: Mapping[str, str]) -> dict[str, str]:
        known = {
            "github.token": TOKEN,
            **{f"inputs.{key}": value for key, value in inputs.items()},
            **{
                f"{kind}.{key}": value
                for kind in ("secrets", "vars")
                for key, value in self.environment.items()
            },
            "vars.PULUMI_STACK": "dev",
        }
        return {
            key: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known.get(found[1], ""), value)
            for key, value in values.items()
        }

    def job(self, name: str, *, fails: bool = False) -> None:
        """Run a job of GitLab CI."""
        read = yaml.safe_load(GITLAB.read_text())
        script = "\n".join([*read["default"]["before_script"], *read[name]["script"]])
        code = self.bash(script, {"PULUMI_STACK": "dev"})
        assert (code != 0) == fails, self.shown


@pytest.fixture
def runner(project: Project, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Runner]:
    """A machine of the forge that the test names; its virtual environment borrows what this one has."""
    kind = request.param
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        os.environ.pop(name, None)
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=project.folder, check=True)
    (packages,) = (project.folder / ".venv/lib").glob("python*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "borrowed.pth").write_text(f"{here}\n")
    (project.folder / "requirements.txt").write_text(f"--editable {ROOT}\n")
    (project.folder / ".gitignore").write_text(".venv/\nstate/\nplan.*\n__pycache__/\n")
    with forge() as fake:
        at = fake.github_environment(tmp_path) if kind == "github" else fake.gitlab_environment()
        pip = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # sic: pip takes it so
        paths = [str(Path(sys.executable).parent), str(Path(engine.find() or "").parent), os.environ["PATH"]]
        yield Runner(project, fake, {**project.environment, **at, **pip, "PATH": ":".join(paths)})


@pytest.mark.parametrize("runner", ["github", "gitlab"], indirect=True)
def test_a_pull_request_is_planned_reviewed_and_applied(
    runner: Runner, emulator: Emulator, acme: str
) -> None:
    """Then there is drift, which an issue tells; and what was reviewed isn't applied where reality moved."""
    project, fake, run = runner.project, runner.fake, runner.run

    def reviewed() -> None:
        fake.review((project.folder / "plan.json").read_bytes(), created=str(len(fake.artifacts)))

    project.declare(connections(acme, "ledger: {platformKey: gbol}"))
    run("codat-plan", "plan")
    assert "acme/ledger" in fake.comments[0]["body"]
    assert "acme/ledger" in (project.folder / "plan.html").read_text()
    assert project.writes() == []
    run("codat-apply", "apply", fails="Get the plan that was reviewed")
    assert f"brought {MERGE}" in runner.shown
    reviewed()
    run("codat-apply", "apply")
    assert project.writes() == ["POST 200"]

    run("codat-plan", "plan")
    assert "No changes" in fake.comments[0]["body"]
    run("codat-drift", "drift")
    assert fake.issues == []
    emulator.delete_connection(str(emulator.connections(acme)[0]["id"]))
    for _ in range(2):
        run("codat-drift", "drift")
    assert [each["state"][:4] for each in fake.issues] == ["open"]
    run("codat-plan", "plan")
    reviewed()
    project.declare(connections(acme, "ledger: {platformKey: qhyg}", "shop: {platformKey: fztf}"))
    run("codat-apply", "apply", fails="Apply it")
    assert "acme/ledger" in runner.shown
    assert project.writes() == ["POST 200"]

    run("codat-plan", "plan")
    reviewed()
    run("codat-apply", "apply")
    run("codat-drift", "drift")
    assert project.writes() == ["POST 200"] * 3
    assert [each["state"] for each in fake.issues] == ["closed"]
    assert len(fake.comments) == 1


@pytest.mark.parametrize("runner", ["github", "gitlab"], indirect=True)
def test_what_appeared_is_proposed_once(runner: Runner, emulator: Emulator, acme: str) -> None:
    """As files alone: until they are merged and applied, nothing else knows of it."""
    project, fake = runner.project, runner.fake
    project.declare(f"companies:\n  acme: {{id: {acme}, connections: {{}}}} # ours\n")
    in_git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*in_git, *words], cwd=project.folder, check=True)
    fake.files = {"connections.yaml": ""}
    appeared = emulator.connect(acme, "suuo", "Linked")
    for _ in range(2):
        runner.run("codat-newcomers", "newcomers")
    ((branch, proposed),) = fake.branches.items()
    assert branch == "codat/newcomers"
    assert appeared["id"] in proposed["connections.yaml"]
    assert list(proposed) == ["connections.yaml"]
    assert len(fake.pulls) == 1
    assert "# ours" in proposed["connections.yaml"]
    assert project.recorded() == {}
    assert project.writes() == []
