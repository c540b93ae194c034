"""A Pulumi project in a folder of its own, driven through the real `pulumi`."""

from __future__ import annotations

import atexit
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pulumi.dynamic.dynamic import serialize_provider

from codat_iac.emulator import Emulator
from codat_iac.model import properties
from codat_iac.model.connection import RESOURCE_TYPE, PriorConnection
from codat_iac.provider import ConnectionProvider
from codat_iac.stack import engine

PULUMI_YAML = f"""\
name: shop
runtime:
  name: python
  options:
    toolchain: pip
    virtualenv: {sys.prefix}
options:
  refresh: always
config:
  codat:desired:
    value: connections.yaml
"""

PROGRAM = """\
from codat_iac.program import main

main()
"""


def connections(company_id: str, *lines: str) -> str:
    """Return the part of a desired-state file for one company, `acme`."""
    body = "".join(f"      {line}\n" for line in lines)
    return f"companies:\n  acme:\n    id: {company_id}\n    connections:\n{body}"


CODAT_IAC = (sys.executable, "-m", "codat_iac")

PASSPHRASE = "a passphrase"  # noqa: S105  of stacks that a test throws away


def pulumi_home() -> str:
    """Make a home for Pulumi that goes with this process, in which it keeps no logs, and return its path.

    Of each command it would write a log, which takes a quarter of a run's time, and look at all earlier ones.
    """
    holder = tempfile.TemporaryDirectory(prefix="codat-iac-tests-")
    atexit.register(holder.cleanup)
    home = Path(holder.name)
    (home / "workspaces").mkdir()
    (home / "logs").touch()  # where a folder would be
    return str(home)


def lay_out(folder: Path) -> None:
    """Write the files that every project has, without a stack."""
    (folder / "state").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text(PULUMI_YAML)
    (folder / "__main__.py").write_text(PROGRAM)


@cache
def initialised() -> Path:
    """Return a project with an empty stack `dev`, to be copied: `stack init` once, not for each test."""
    holder = tempfile.TemporaryDirectory(prefix="codat-iac-tests-")
    atexit.register(holder.cleanup)
    folder = Path(holder.name) / "project"
    lay_out(folder)
    backend = {
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    }
    subprocess.run(
        ["pulumi", "stack", "init", "dev", "--non-interactive"],
        cwd=folder,
        env=engine.environment({**os.environ, **backend}),
        check=True,
        capture_output=True,
    )
    return folder


def pulumi_after(folder: Path, script: str) -> str:
    """Return a PATH with a `pulumi` that runs a shell's lines before the engine, which is $PULUMI there."""
    found = engine.find()
    assert found
    folder.mkdir()
    before = folder / "pulumi"
    before.write_text(f'#!/bin/sh\nPULUMI={found}\n{script}\nexec $PULUMI "$@"\n')
    before.chmod(0o755)
    return os.pathsep.join((str(folder), str(found.parent), os.environ["PATH"]))


def select(folder: Path) -> None:
    """Do what `pulumi stack select dev` does, which Pulumi notes in its home by the project's path."""
    project = hashlib.sha1(os.fsencode(folder / "Pulumi.yaml"), usedforsecurity=False).hexdigest()
    selected = {"stacks": {f"file://{folder / 'state'}": "organization/shop/dev"}}
    (Path(os.environ["PULUMI_HOME"]) / "workspaces" / f"shop-{project}-workspace.json").write_text(
        json.dumps(selected)
    )


@dataclass(frozen=True)
class Outcome:
    """The output of one command and its exit code."""

    code: int
    shown: str

    @property
    def lines(self) -> list[str]:
        """The lines of the output, without indentation and without dots of progress before them."""
        return plain_lines(self.shown)

    @property
    def errors(self) -> list[str]:
        """The lines that begin with `error:`."""
        return [line for line in self.lines if line.startswith("error:")]

    @property
    def warnings(self) -> list[str]:
        """The lines that begin with `warning:`."""
        return [line for line in self.lines if line.startswith("warning:")]


def plain_lines(shown: str) -> list[str]:
    """Return the lines that `pulumi` shows; on a busy machine progress stands on the same line before one."""
    return [_PROGRESS.sub("", line).strip() for line in shown.splitlines()]


_PROGRESS = re.compile(r"^@ [a-z ]+\.*")


@dataclass(frozen=True)
class Ran:
    """The exit code of `codat-iac`, and its output on stdout and on stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)

    @property
    def said(self) -> list[str]:
        """The lines on stderr that begin with `codat-iac:`, without that."""
        own = "codat-iac: "
        return [line.removeprefix(own) for line in self.err.splitlines() if line.startswith(own)]


class Started(subprocess.Popen[str]):
    """A process of a test; who reads it to its end lets its project keep what it said."""

    keep: Callable[[str, str], None]

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002
        """Read to the end; a stream that goes into the other one is empty here."""
        out, err = super().communicate(input, timeout)
        self.keep(out, err or "")
        return out, err


@dataclass
class Project:
    """One project with one stack `dev` on a file backend, and the emulator that it manages."""

    folder: Path
    emulator: Emulator
    environment: dict[str, str] = field(default_factory=dict)
    said: list[tuple[tuple[str, ...], str, str]] = field(default_factory=list, repr=False)
    """Each command that ended, with what it wrote to stdout and to stderr."""

    unchecked: ClassVar[list[Project]] = []
    """Every project whose `leaks` nobody has asked for yet."""

    def __post_init__(self) -> None:
        self.unchecked.append(self)
        own = dict(self.environment)
        self.environment = {
            "CODAT_API_KEY": self.emulator.api_key,
            "CODAT_BASE_URL": self.emulator.url,
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            **own,
        }
        if any(name.startswith("PULUMI_") for name in own):
            lay_out(self.folder)
            self.pulumi("stack", "init", "dev")
        else:
            shutil.copytree(initialised(), self.folder, dirs_exist_ok=True)
            select(self.folder)

    def declare(self, text: str) -> None:
        """Write the desired-state file: `version: 1`, and then *text*."""
        (self.folder / "connections.yaml").write_text(f"version: 1\n{text}")

    def program(self, text: str) -> None:
        """Write a program of the user's own."""
        (self.folder / "__main__.py").write_text(text)

    def pulumi(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run `pulumi` to its end."""
        process = self.start(*arguments, env=env)
        shown, _ = process.communicate(timeout=240)
        return Outcome(process.returncode, shown)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Started:
        """Start `pulumi`, in a process group of its own."""
        process = Started(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=engine.environment({**os.environ, **self.environment, **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        process.keep = lambda out, err: self.said.append((("pulumi", *arguments), out, err))
        return process

    def codat_iac(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        program: Sequence[str] = CODAT_IAC,
    ) -> Ran:
        """Run `codat-iac` to its end, in the project's folder, without a terminal to ask on."""
        process = self.start_codat_iac(*arguments, env=env, cwd=cwd, program=program)
        out, err = process.communicate(timeout=240)
        return Ran(process.returncode, out, err)

    def start_codat_iac(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        program: Sequence[str] = CODAT_IAC,
    ) -> Started:
        """Start `codat-iac`, in a process group of its own."""
        process = Started(
            [*program, *arguments],
            cwd=cwd or self.folder,
            env={**os.environ, **self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        process.keep = lambda out, err: self.said.append((("codat-iac", *arguments), out, err))
        return process

    def record(self, priors: Iterable[PriorConnection], **outputs: Any) -> None:
        """Write a state with the connections *priors* and the stack's *outputs*, as a run leaves it."""
        self.write_state(lambda _: recorded_resources(priors, outputs))

    def write_state(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Write the state anew, with what *change* makes of its resources."""
        kept = json.loads(self.state_file.read_bytes())
        deployment = kept["checkpoint"]["latest"]
        deployment["resources"] = change(deployment.get("resources", []))
        self.state_file.write_text(json.dumps(kept))

    def up(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run `pulumi up` without asking."""
        return self.pulumi("up", "--yes", *arguments, env=env)

    def settle(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run `pulumi up`, which has to succeed, and clear the request log."""
        outcome = self.up(*arguments, env=env)
        assert outcome.code == 0, outcome.shown
        self.emulator.clear_requests()
        return outcome

    def preview(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run `pulumi preview`."""
        return self.pulumi("preview", *arguments, env=env)

    def destroy(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run `pulumi destroy` without asking."""
        return self.pulumi("destroy", "--yes", *arguments, env=env)

    @property
    def state_file(self) -> Path:
        """The stack's state on the disk, if the backend is the project's own folder."""
        return self.folder / "state/.pulumi/stacks/shop/dev.json"

    def lock(self, pid: int, host: str | None = None, stack: str = "dev") -> None:
        """Lock *stack* as a run of process *pid* would, on this machine or on *host*."""
        folder = self.folder / "state" / ".pulumi" / "locks" / "organization" / "shop" / stack
        folder.mkdir(parents=True, exist_ok=True)
        held = {
            "pid": pid,
            "username": "jo",
            "hostname": host or socket.gethostname(),
            "timestamp": "2026-11-24T14:13:40.9Z",
        }
        (folder / f"00000000-0000-0000-0000-{pid:012}.json").write_text(json.dumps(held))

    def recorded(self) -> dict[str, str]:
        """Return the ids in the state, by address."""
        return {r["urn"].split("::")[-1]: r["id"] for r in self.resources()}

    def state(self) -> dict[str, Any]:
        """Return the whole state, as `pulumi stack export` does; it is read from the disk if it is there."""
        if self.state_file.exists():
            checkpoint = json.loads(self.state_file.read_text())
            return {
                "version": checkpoint["version"],
                "deployment": checkpoint["checkpoint"].get("latest") or {},
            }
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export").shown)
        return exported

    def resources(self) -> list[dict[str, Any]]:
        """Return the connections in the state, without those that are about to be deleted."""
        return [
            resource
            for resource in self.state()["deployment"].get("resources", [])
            if resource["type"].endswith("codat:Connection") and not resource.get("delete")
        ]

    def writes(self) -> list[str]:
        """Return the writing requests since the log was cleared, as `METHOD status`."""
        return [
            f"{request['method']} {request['status']}"
            for request in self.emulator.requests()["requests"]
            if request["method"] != "GET"
        ]

    def everything_written(self) -> str:
        """Return the text of all files of Pulumi's backend: states, backups, histories."""
        files = [path for path in (self.folder / "state").rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in files)

    def leaks(self) -> list[str]:
        """Return where the key or a one-time password was found, in all files and outputs of this project.

        Allowed places are not returned: `codat-iac links` on stdout or in its `--out`, and Pulumi's config
        file once a test has set the key there in plain text.
        """
        if self in self.unchecked:
            self.unchecked.remove(self)
        open_key = [c for c, _, _ in self.said if c[:4] == ("pulumi", "config", "set", "codat:apiKey")]
        lists = [c for c, _, _ in self.said if c[:2] == ("codat-iac", "links")]
        links = {self.folder / c[c.index("--out") + 1] for c in lists if "--out" in c}
        found = []
        for command, out, err in self.said:
            found += [f"{' '.join(command)}: {leak}" for leak in leaked(err, self.emulator.api_key)]
            leaks = leaked(out, self.emulator.api_key)
            found += [f"{' '.join(command)}: {leak}" for leak in leaks if leak == KEY or command not in lists]
        for path in (path for path in self.folder.rglob("*") if path.is_file()):
            for leak in leaked(path.read_bytes().decode("latin-1"), self.emulator.api_key):
                meant = path in links if leak != KEY else path.name == "Pulumi.dev.yaml" and open_key
                if not meant:
                    found.append(f"{path.relative_to(self.folder)}: {leak}")
        return found


@contextlib.contextmanager
def holding_posts(project: Project, company: str = "*") -> Iterator[None]:
    """Refuse every POST in this context with a 429 that asks to try again in a second."""
    on, headers = f"POST /companies/{company}/connections", {"Retry-After": "1"}
    project.emulator.faults([{"on": on, "do": "status", "status": 429, "headers": headers}])
    yield
    project.emulator.faults([])


KEY = "the API key"
_PASSWORD = re.compile(r"(?i)otp(=|%3d|\\u003d)(?!\*\*\*)|\b00[0-9a-f]{40}\b")
"""A one-time password, found by its name in a link, or by the form of the emulator's passwords."""


def leaked(text: str, api_key: str) -> Iterator[str]:
    """Yield the kinds of secrets in *text*: the key, also within base64, or a one-time password."""
    if any(form in text for form in _forms(api_key)):
        yield KEY
    if _PASSWORD.search(text):
        yield "a one-time password"


def _forms(api_key: str) -> Iterator[str]:
    """Yield the key, and the parts of its base64 that don't depend on its position in a longer text."""
    yield api_key
    for before in range(3):
        encoded = base64.b64encode(b" " * before + api_key.encode()).decode()
        yield encoded[-(-8 * before // 6) : 8 * (before + len(api_key)) // 6]


def recorded_resources(priors: Iterable[PriorConnection], outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the resources in the state of the stack `dev`, as `pulumi up` leaves them."""
    prefix, provider_id = "urn:pulumi:dev::shop", "00000000-0000-0000-0000-000000000001"
    stack = {
        "urn": f"{prefix}::pulumi:pulumi:Stack::shop-dev",
        "custom": False,
        "type": "pulumi:pulumi:Stack",
        "outputs": dict(outputs),
    }
    provider = {
        "urn": f"{prefix}::pulumi:providers:pulumi-python::default",
        "custom": True,
        "id": provider_id,
        "type": "pulumi:providers:pulumi-python",
        "inputs": {"codat:desired": "connections.yaml"},
        "outputs": {"codat:desired": "connections.yaml"},
    }
    ours = {"__provider": serialize_provider(ConnectionProvider())}
    connections = [
        {
            "urn": prior.urn or f"{prefix}::{RESOURCE_TYPE}::{prior.address}",
            "custom": True,
            "id": prior.id,
            "type": RESOURCE_TYPE,
            "inputs": properties.inputs(prior.desired) | ours,
            "outputs": properties.recorded(prior) | ours,
            "parent": stack["urn"],
            "provider": f"{provider['urn']}::{provider_id}",
            **({"protect": True} if prior.protected else {}),
            **({"taint": True} if prior.tainted else {}),
            **({"delete": True} if prior.pending_removal else {}),
        }
        for prior in priors
    ]
    return [stack, provider, *connections]
