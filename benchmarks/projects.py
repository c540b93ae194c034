"""Throw-away Pulumi projects against an emulated Codat."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measuring import Step
from pulumi.dynamic.dynamic import serialize_provider

from codat_iac.desired import load
from codat_iac.emulator import Emulator, serving
from codat_iac.model import properties
from codat_iac.model.connection import RESOURCE_TYPE
from codat_iac.model.record import recorded
from codat_iac.provider import ConnectionProvider
from codat_iac.stack import engine

PEERS = Path(__file__).parent / "peers"

_PULUMI_YAML = f"""\
name: bench
runtime: {{name: python, options: {{toolchain: pip, virtualenv: {sys.prefix}}}}}
options: {{refresh: always}}
config: {{'codat:desired': {{value: connections.yaml}}}}
"""

STOCK, CLASSES, FLOOR = "codat_iac.program", "classes", "floor"
"""The modules whose `main` a project's program calls."""

TEN_CHANGES = ("suuo", "fztf", "exgd", "zsth")
"""The platforms of four connections to create; three are unlinked and three are removed besides."""


@dataclass
class Project:
    """A project with one stack, in a folder that `save` and `restore` copy as a whole."""

    folder: Path
    environment: Mapping[str, str]
    emulator: Emulator

    @property
    def declared(self) -> Path:
        """The desired-state file."""
        return self.folder / "connections.yaml"

    def pulumi(self, *arguments: str, prepare: Callable[[], None] = lambda: None) -> Step:
        """Return a step that runs `pulumi`."""
        return Step(["pulumi", *arguments, "--non-interactive"], self.folder, self.environment, prepare)

    def codat_iac(self, *arguments: str, prepare: Callable[[], None] = lambda: None) -> Step:
        """Return a step that runs `codat-iac`."""
        return Step([sys.executable, "-m", "codat_iac", *arguments], self.folder, self.environment, prepare)

    def save(self) -> None:
        """Remember the project as it is now, with its state."""
        shutil.rmtree(self._saved, ignore_errors=True)
        shutil.copytree(self.folder, self._saved)

    def restore(self) -> None:
        """Put the project back as it was saved, and the emulator as it started."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._saved, self.folder)
        self.emulator.reset()

    @property
    def _saved(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-saved")

    def use(self, program: str) -> None:
        """Let the project's program call the `main` of the module *program*."""
        (self.folder / "__main__.py").write_text(f"from {program} import main\n\nmain()\n")

    def change_ten(self) -> None:
        """Make ten changes in the desired state: four creates, three unlinks, three removals."""
        lines = self.declared.read_text().splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if "platformKey: gbol" in line]
        for number in places[:3]:
            lines[number] = lines[number].replace("gbol", "gbol, status: Unlinked")
        for number in places[3:6]:
            lines[number] = ""
            lines[number - 1] = lines[number - 1].replace("connections:", "connections: {}")
        for number, key in zip(places[6:10], TEN_CHANGES, strict=True):
            lines[number] += f"      new: {{ platformKey: {key} }}\n"
        self.declared.write_text("".join(lines))

    def declare_new(self) -> None:
        """Declare one new connection more for each company."""
        text = self.declared.read_text()
        self.declared.write_text(text.replace("xero:", "shop: { platformKey: fztf }\n      xero:"))

    def write_import(self, file: Path) -> None:
        """Write what is recorded now as a file for `pulumi import`, which takes a state without it."""
        provider = {"__provider": serialize_provider(ConnectionProvider())}
        state = json.loads(next((self.folder / "state").glob(".pulumi/stacks/*/bench.json")).read_bytes())
        exported = {"deployment": state["checkpoint"]["latest"]}
        bags: list[dict[str, Any]] = [
            {
                "type": RESOURCE_TYPE,
                "name": prior.address,
                "id": prior.id,
                "inputs": properties.inputs(prior.desired) | provider,
                "outputs": properties.recorded(prior) | provider,
            }
            for prior in recorded(exported)
        ]
        file.write_text(json.dumps({"resources": bags}))

    def count(self) -> int:
        """Return how many connections are declared."""
        return len(load(self.declared))


@contextmanager
def project(connections: int, *, seconds: float = 0.0) -> Iterator[Project]:
    """Yield an empty project. Codat has so many Linked connections, and takes *seconds* for each answer."""
    with (
        TemporaryDirectory(prefix="codat-bench-") as base,
        serving(companies=connections, linked=True) as emulator,
    ):
        folder = Path(base) / "project"
        (folder / "state").mkdir(parents=True)
        (folder / "Pulumi.yaml").write_text(_PULUMI_YAML)
        environment = engine.environment(
            {
                **os.environ,
                "BENCH_N": str(connections),
                "CODAT_API_KEY": emulator.api_key,
                "CODAT_BASE_URL": emulator.url,
                "CODAT_MAX_LOSSES": "10",
                "CODAT_REQUESTS_PER_MINUTE": "0",
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "bench",
                # At each start it looks at all logs that it has in its home, of a week.
                "PULUMI_HOME": str(Path(base) / "home"),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PYTHONPATH": str(PEERS),
            }
        )
        made = Project(folder, environment, emulator)
        made.use(STOCK)
        made.pulumi("stack", "init", "bench").run()
        if seconds:
            emulator.faults([{"on": "* /**", "do": "delay", "seconds": seconds}])
        yield made


@contextmanager
def imported(connections: int, *, seconds: float = 0.0) -> Iterator[Project]:
    """Yield a project that has imported all connections, and is saved so."""
    with project(connections, seconds=seconds) as made:
        made.codat_iac("import", "--all", "--yes").run()
        made.save()
        yield made


@contextmanager
def floor(connections: int, *, up: bool = True) -> Iterator[Project]:
    """Yield a project with as many resources of the engine's own, created if *up*."""
    with project(0) as made:
        made.environment = {**made.environment, "BENCH_N": str(connections)}
        made.use(FLOOR)
        made.save()
        if up:
            made.environment = {**made.environment, "PULUMI_SKIP_CHECKPOINTS": "true"}
            made.pulumi("up", "--yes", "--skip-preview").run()
            made.environment = {**made.environment, "PULUMI_SKIP_CHECKPOINTS": "false"}
            made.save()
        yield made
