"""A Pulumi project in a folder of its own, driven through the real `pulumi`."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
    """The part of a desired-state file for one company, `acme`."""
    body = "".join(f"      {line}\n" for line in lines)
    return f"companies:\n  acme:\n    id: {company_id}\n    connections:\n{body}"


@dataclass(frozen=True)
class Outcome:
    """What one command showed, and how it ended."""

    code: int
    shown: str

    @property
    def lines(self) -> list[str]:
        """The lines that were shown, without indentation and the dots of progress before them."""
        return plain_lines(self.shown)

    @property
    def errors(self) -> list[str]:
        """The lines that say `error:`."""
        return [line for line in self.lines if line.startswith("error:")]

    @property
    def warnings(self) -> list[str]:
        """The warnings of the diagnostics."""
        return [line for line in self.lines if line.startswith("warning:")]


def plain_lines(shown: str) -> list[str]:
    """Return the lines that `pulumi` shows; on a busy machine progress stands on the same line before one."""
    return [_PROGRESS.sub("", line).strip() for line in shown.splitlines()]


_PROGRESS = re.compile(r"^@ [a-z ]+\.*")


@dataclass(frozen=True)
class Ran:
    """How `codat-iac` ended, and what it wrote to stdout and to stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)

    @property
    def said(self) -> list[str]:
        """The lines on stderr that `codat-iac` says itself, without its name."""
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
        (self.folder / "state").mkdir(parents=True)
        (self.folder / "Pulumi.yaml").write_text(PULUMI_YAML)
        (self.folder / "__main__.py").write_text(PROGRAM)
        self.environment = {
            "CODAT_API_KEY": self.emulator.api_key,
            "CODAT_BASE_URL": self.emulator.url,
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
            **self.environment,
        }
        self.pulumi("stack", "init", "dev")

    def declare(self, text: str) -> None:
        """Write the desired-state file; `version: 1` stands before *text* already."""
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
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ran:
        """Run `codat-iac` to its end, in the project's folder, with nobody to ask."""
        process = self.start_codat_iac(*arguments, env=env, cwd=cwd)
        out, err = process.communicate(timeout=240)
        return Ran(process.returncode, out, err)

    def start_codat_iac(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Started:
        """Start `codat-iac`, in a process group of its own."""
        process = Started(
            [sys.executable, "-m", "codat_iac", *arguments],
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
        """Let the state hold *priors*, and the stack have *outputs*, as if a run had made them."""
        state = json.dumps({"version": 3, "deployment": {"resources": recorded_resources(priors, outputs)}})
        (self.folder / "state.json").write_text(state)
        outcome = self.pulumi("stack", "import", "--file", "state.json")
        assert outcome.code == 0, outcome.shown

    def up(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """`pulumi up`, without asking."""
        return self.pulumi("up", "--yes", *arguments, env=env)

    def settle(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """`pulumi up` that has to succeed, with the request log empty afterwards."""
        outcome = self.up(*arguments, env=env)
        assert outcome.code == 0, outcome.shown
        self.emulator.clear_requests()
        return outcome

    def preview(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """`pulumi preview`."""
        return self.pulumi("preview", *arguments, env=env)

    def destroy(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """`pulumi destroy`, without asking."""
        return self.pulumi("destroy", "--yes", *arguments, env=env)

    def recorded(self) -> dict[str, str]:
        """The ids that the state holds, by address."""
        return {r["urn"].split("::")[-1]: r["id"] for r in self.resources()}

    def state(self) -> dict[str, Any]:
        """The whole state, as `pulumi stack export` gives it."""
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export").shown)
        return exported

    def resources(self) -> list[dict[str, Any]]:
        """The connections that the state holds, without those that are about to be deleted."""
        return [
            resource
            for resource in self.state()["deployment"].get("resources", [])
            if resource["type"].endswith("codat:Connection") and not resource.get("delete")
        ]

    def writes(self) -> list[str]:
        """The calls since the log was cleared that change something, as `METHOD status`."""
        return [
            f"{request['method']} {request['status']}"
            for request in self.emulator.requests()["requests"]
            if request["method"] != "GET"
        ]

    def everything_written(self) -> str:
        """All that Pulumi left on the disk: states, backups, histories."""
        files = [path for path in (self.folder / "state").rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in files)

    def leaks(self) -> list[str]:
        """Where the key or a one-time password stands, of all that was written and said here.

        Only what asks for one may have it: `codat-iac links` on stdout or in its `--out`, and Pulumi's file
        of the config once a test has set the key there in the open.
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


KEY = "the API key"
_PASSWORD = re.compile(r"(?i)otp(=|%3d|\\u003d)(?!\*\*\*)|\b00[0-9a-f]{40}\b")
"""A link's one-time password by its name in a link, or by the form that the emulator gives it."""


def leaked(text: str, api_key: str) -> Iterator[str]:
    """Say which secrets *text* holds: the key as it is, or in base64 at any place of it; a password."""
    if any(form in text for form in _forms(api_key)):
        yield KEY
    if _PASSWORD.search(text):
        yield "a one-time password"


def _forms(api_key: str) -> Iterator[str]:
    """Give the key, and what of its base64 is the same wherever it stands in a longer text."""
    yield api_key
    for before in range(3):
        encoded = base64.b64encode(b" " * before + api_key.encode()).decode()
        yield encoded[-(-8 * before // 6) : 8 * (before + len(api_key)) // 6]


def recorded_resources(priors: Iterable[PriorConnection], outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a state holds of the stack `dev`, as `pulumi up` leaves it."""
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
