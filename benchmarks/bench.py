"""Compare codat-iac with its peers on this machine, against an emulated Codat.

    make bench                            # all of it, 1,000 connections, medians of 5
    make bench N=10000 BENCH="plan apply" # some of it
    make bench N=100 ROUNDS=1             # a quick look

Each benchmark runs ours and the peer in turn, and divides round by round, since a load hits both.
Wall is what one waits, CPU are all processes of a command together, memory is the largest process of them.
Nothing is asserted: docs/performance.md says what the figures should be.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring
import octodns_peer
import projects
from measuring import Sample, Step, median, ratios, rounds

from codat_iac.stack import engine

GROWTH = (100, 300, 1_000, 3_000, 10_000, 20_000)
"""The sizes from which the growth is computed, up to twenty times the given number."""


@dataclass(frozen=True)
class Result:
    """One row of the table; `note` is what else was counted."""

    name: str
    against: str
    connections: int
    ours: Sample
    peer: Sample | None
    ratio: Sample | None
    must: str
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """How many connections, and how many rounds."""

    connections: int
    rounds: int

    def compare(self, name: str, against: str, must: str, ours: Step, peer: Step, note: str = "") -> Result:
        """Measure two steps in turn."""
        mine, other = rounds(self.rounds, ours, peer)
        return Result(
            name, against, self.connections, median(mine), median(other), ratios(mine, other), must, note
        )


def preview(choice: Choice) -> Iterator[Result]:
    """`pulumi preview` in sync, against the engine's own."""
    for seconds, must in ((0.0, "at most 0.65"), (0.05, "at most 0.75")):
        with (
            projects.imported(choice.connections, seconds=seconds) as ours,
            projects.floor(choice.connections) as peer,
        ):
            yield choice.compare(
                f"pulumi preview, in sync, {seconds * 1000:.0f} ms a request",
                "the same engine, SDK class, no I/O",
                must,
                ours.pulumi("preview"),
                peer.pulumi("preview"),
            )


def plan(choice: Choice) -> Iterator[Result]:
    """`codat-iac plan` in sync, against octoDNS."""
    with projects.imported(choice.connections) as ours, tempfile.TemporaryDirectory() as folder:
        config = octodns_peer.write(Path(folder), choice.connections)
        sync = [octodns_peer.command(), "--config-file", str(config)]
        yield choice.compare(
            "codat-iac plan, in sync",
            f"octoDNS {octodns_peer.VERSION}, as many records, YAML to YAML",
            "at most 0.5, 150 MB",
            ours.codat_iac("plan"),
            Step(sync, Path(folder), ours.environment),
        )


def doors(choice: Choice) -> Iterator[Result]:
    """`codat-iac plan`, against `pulumi preview` with the SDK's class, as it was."""
    with projects.imported(choice.connections) as ours:
        before = ours.emulator.requests(last=0)["total"]
        ours.codat_iac("plan").run()
        requests = ours.emulator.requests(last=0)["total"] - before
        stock, classes = (
            lambda: ours.use(projects.STOCK),
            lambda: ours.use(projects.CLASSES),
        )
        yield choice.compare(
            "codat-iac plan",
            "pulumi preview, each connection by codat_iac.Connection",
            "at most 1/25, 101 requests",
            ours.codat_iac("plan", prepare=stock),
            ours.pulumi("preview", prepare=classes),
            f"{requests} requests",
        )


def apply(choice: Choice) -> Iterator[Result]:
    """`codat-iac apply` of ten changes, against `pulumi up`."""
    with projects.imported(choice.connections) as ours:
        ours.change_ten()
        ours.save()
        yield choice.compare(
            "codat-iac apply, 10 changes",
            "pulumi up --skip-preview",
            "at most 1/10",
            ours.codat_iac("apply", "--yes", prepare=ours.restore),
            ours.pulumi("up", "--yes", "--skip-preview", prepare=ours.restore),
        )


def import_(choice: Choice) -> Iterator[Result]:
    """`codat-iac import`, against `pulumi import`, extrapolated from a tenth and a fifth."""
    few, more = max(10, choice.connections // 10), max(20, choice.connections // 5)
    at = []
    for size in (few, more):
        with projects.imported(size) as peer, tempfile.NamedTemporaryFile(suffix=".json") as file:
            peer.write_import(Path(file.name))
            for state in (peer.folder / "state").glob(".pulumi/stacks/*/*"):
                state.unlink()
            peer.pulumi("stack", "init", "bench").run()
            peer.save()
            options = ("--yes", "--generate-code=false", "--protect=false", "--skip-preview")
            step = peer.pulumi("import", f"--file={file.name}", *options, prepare=peer.restore)
            at.append(median(rounds(choice.rounds, step)[0]))
    with projects.project(choice.connections) as ours:
        ours.save()
        step = ours.codat_iac("import", "--all", "--yes", prepare=ours.restore)
        (mine,) = rounds(choice.rounds, step)
    wall, cpu = (
        _quadratic((few, more), [getattr(each, name) for each in at], choice.connections)
        for name in ("wall", "cpu")
    )
    peer_there = Sample(wall, cpu, at[-1].memory)
    measured = " and ".join(
        f"{size:,}: {each.wall:.1f} s" for size, each in zip((few, more), at, strict=True)
    )
    yield Result(
        "codat-iac import, plan after it empty",
        "pulumi import --file, extrapolated",
        choice.connections,
        median(mine),
        peer_there,
        ratios([median(mine)], [peer_there]),
        "at most 1/50",
        measured,
    )


def _quadratic(sizes: tuple[int, int], figures: list[float], size: int) -> float:
    """Return the figure at *size* of the curve a n + b n² through two points."""
    (n, m), (y, z) = sizes, figures
    b = max((z / m - y / n) / (m - n), 0.0)
    return (y / n - b * n) * size + b * size**2


def create(choice: Choice) -> Iterator[Result]:
    """`codat-iac apply` of new connections only, against the engine's own."""
    with (
        projects.imported(choice.connections) as ours,
        projects.floor(choice.connections, up=False) as peer,
    ):
        _declare_only_new(ours)
        yield choice.compare(
            "codat-iac apply, all new",
            "the same engine, SDK class, no I/O, its checkpoints",
            "at most 0.3",
            ours.codat_iac("apply", "--yes", prepare=ours.restore),
            peer.pulumi("up", "--yes", "--skip-preview", prepare=peer.restore),
        )


def _declare_only_new(ours: projects.Project) -> None:
    """Let the stack be empty, and the file declare a new connection for each company."""
    text = ours.declared.read_text().replace("xero: { platformKey: gbol }", "shop: { platformKey: fztf }")
    for state in (ours.folder / "state").glob(".pulumi/stacks/*/*"):
        state.unlink()
    ours.pulumi("stack", "init", "bench").run()
    ours.declared.write_text(text)
    ours.save()


def growth(choice: Choice) -> Iterator[Result]:
    """How each of them grows, from 100 connections to twenty times the given number at most."""
    sizes = [size for size in GROWTH if size <= 20 * choice.connections]
    found: dict[str, list[Sample]] = {}
    for size in sizes:
        with projects.imported(size) as ours:
            steps = {
                "pulumi preview": ours.pulumi("preview"),
                "codat-iac plan": ours.codat_iac("plan"),
            }
            for name, step in steps.items():
                found.setdefault(name, []).append(median(rounds(choice.rounds, step)[0]))
            declared = ours.declared.read_text()
            ours.change_ten()
            ours.save()
            step = ours.codat_iac("apply", "--yes", prepare=ours.restore)
            found.setdefault("codat-iac apply, 10 changes", []).append(median(rounds(choice.rounds, step)[0]))
            ours.declared.write_text(declared)
            _declare_only_new(ours)
            found.setdefault("codat-iac apply, all new", []).append(median(rounds(choice.rounds, step)[0]))
        with projects.project(size) as ours:
            ours.save()
            step = ours.codat_iac("import", "--all", "--yes", prepare=ours.restore)
            found.setdefault("codat-iac import", []).append(median(rounds(choice.rounds, step)[0]))
    for name, samples in found.items():
        exponents = Sample(
            *(
                measuring.exponent(sizes, [getattr(each, figure) for each in samples])
                for figure in measuring.NAMES
            )
        )
        walls = ", ".join(f"{size:,}: {each.wall:.1f} s" for size, each in zip(sizes, samples, strict=True))
        yield Result(f"{name}, exponent", "", sizes[-1], samples[-1], None, exponents, "at most 1.15", walls)


BENCHMARKS: Mapping[str, Callable[[Choice], Iterator[Result]]] = {
    "preview": preview,
    "plan": plan,
    "doors": doors,
    "apply": apply,
    "import": import_,
    "create": create,
    "growth": growth,
}


def _row(result: Result) -> str:
    def figures(sample: Sample | None) -> str:
        return "" if sample is None else f"{sample.wall:.1f} s, {sample.cpu:.1f} s, {sample.memory:.0f} MB"

    ratio = "" if result.ratio is None else f"{result.ratio.wall:.3f}, {result.ratio.cpu:.3f}"
    cells = (
        result.name,
        f"{result.connections:,}",
        figures(result.ours),
        result.against,
        figures(result.peer),
        ratio,
        result.must,
        result.note,
    )
    return f"| {' | '.join(cells)} |"


_HEAD = (
    "| benchmark | connections | ours: wall, CPU, memory | against | its wall, CPU, memory"
    " | ratio of wall, of CPU | must be | besides |"
)


def main() -> None:
    """Run the chosen benchmarks, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(BENCHMARKS)}; or all")
    parser.add_argument("-n", "--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - BENCHMARKS.keys())
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; choose of {', '.join(BENCHMARKS)}")
    engine.install(engine.TerminalProgress())
    measuring.adopt_orphans()
    choice = Choice(given.connections, given.rounds)
    results: list[dict[str, Any]] = []
    print(_HEAD, f"|{'---|' * 8}", sep="\n", flush=True)
    for name in given.names or BENCHMARKS:
        for result in BENCHMARKS[name](choice):
            print(_row(result), flush=True)
            results.append({"rounds": choice.rounds, **dataclasses.asdict(result)})
            given.json.write_text(json.dumps(results, indent=2))
    sys.stderr.write(f"figures: {given.json}\n")


if __name__ == "__main__":
    main()
