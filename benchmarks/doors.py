"""Compare the times of `pulumi` and `codat-iac` on the same stack, against an emulated Codat.

    make bench          # 1,000 connections
    make bench N=10000

Imports N connections, then times a plan without changes and a run with ten changes, each with both programs,
and prints the ratios. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from codat_iac.emulator import Emulator, serving
from codat_iac.stack import engine

EXAMPLE = Path(__file__).parent.parent / "examples" / "yaml"


class Bench:
    """One project with a stack, in which commands are timed."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self.folder = folder
        shutil.copytree(EXAMPLE, folder)
        (folder / "connections.yaml").unlink()
        (folder / "state").mkdir()
        project = folder / "Pulumi.yaml"
        project.write_text(project.read_text().replace("../../.venv", sys.prefix))
        self.environment = engine.environment(
            {
                **os.environ,
                "CODAT_API_KEY": emulator.api_key,
                "CODAT_BASE_URL": emulator.url,
                "CODAT_MAX_LOSSES": "10",
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "bench",
            }
        )
        self.run("pulumi", "stack", "init", "bench")

    def run(self, *command: str) -> float:
        """Run a command and return its time in seconds; exit if it fails."""
        started = time.perf_counter()
        finished = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode:
            sys.exit(f"{' '.join(command)}: {finished.stdout[-2000:]}{finished.stderr[-2000:]}")
        return time.perf_counter() - started

    def codat_iac(self, *arguments: str) -> float:
        """Run `codat-iac` and return its time in seconds."""
        return self.run(sys.executable, "-m", "codat_iac", *arguments)

    def addresses(self) -> list[str]:
        """Return the addresses in the state, sorted."""
        exported = subprocess.run(
            ["pulumi", "stack", "export"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            check=True,
        )
        resources = json.loads(exported.stdout)["deployment"]["resources"]
        return sorted(r["urn"].split("::")[-1] for r in resources if "codat:Connection" in r["type"])


def change(file: Path, keys: Sequence[str]) -> None:
    """Make ten changes: four creates, three unlinks, three removals."""
    lines = file.read_text().splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if "platformKey: gbol" in line]
    for number in places[:3]:
        lines[number] = lines[number].replace("gbol", "gbol, status: Unlinked")
    for number in places[3:6]:
        lines[number] = ""
        lines[number - 1] = lines[number - 1].replace("connections:", "connections: {}")
    for number, key in zip(places[6:10], keys, strict=True):
        lines[number] += f"      new: {{ platformKey: {key} }}\n"
    file.write_text("".join(lines))


def main() -> None:
    """Run the benchmark and print its table."""
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    engine.install(engine.TerminalProgress())
    rows: list[tuple[str, float, float]] = []
    imported = 0.0
    for door in (0, 1):
        with tempfile.TemporaryDirectory() as folder, serving(companies=connections, linked=True) as emulator:
            bench = Bench(Path(folder) / "project", emulator)
            imported = bench.codat_iac("import", "--all", "--yes")
            nothing = (
                bench.run("pulumi", "preview") if door == 0 else bench.codat_iac("plan"),
                "preview | plan, nothing to do",
            )
            change(bench.folder / "connections.yaml", ("suuo", "fztf", "exgd", "zsth"))
            ten = (
                bench.run("pulumi", "up", "--yes", "--skip-preview")
                if door == 0
                else bench.codat_iac("apply", "--yes"),
                "up --skip-preview | apply, 10 changes",
            )
            for number, (seconds, name) in enumerate((nothing, ten)):
                if door == 0:
                    rows.append((name, seconds, 0.0))
                else:
                    rows[number] = (name, rows[number][1], seconds)
    print(f"{connections} connections; imported in {imported:.1f} s\n")
    print(f"{'':40} {'pulumi':>8} {'codat-iac':>10} {'ratio':>6}")
    for name, pulumi, ours in rows:
        print(f"{name:40} {pulumi:7.1f}s {ours:9.1f}s {pulumi / ours:5.1f}x")


if __name__ == "__main__":
    main()
