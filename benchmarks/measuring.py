"""Run commands and measure them: wall time, CPU time of all their processes, and the largest one's memory."""

from __future__ import annotations

import ctypes
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Sample:
    """One run: seconds, CPU seconds (user and system) of all processes, MB of the largest one."""

    wall: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Step:
    """A command in a folder. `prepare` is called before each run, and isn't measured."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    prepare: Callable[[], None] = lambda: None

    def run(self) -> Sample:
        """Run it and measure it; exit if it fails."""
        self.prepare()
        with tempfile.TemporaryFile() as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                said = output.read().decode(errors="replace")[-4000:]
                sys.exit(f"{' '.join(self.command)} in {self.folder}: {said}")
        usages = [used, *_orphans()]
        return Sample(
            wall,
            sum(each.ru_utime + each.ru_stime for each in usages),
            max(each.ru_maxrss for each in usages) / 1024,
        )


def adopt_orphans() -> None:
    """Become the parent of processes whose parent ends before them, or their CPU time would be missed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _orphans() -> Iterable[os.struct_rusage]:  # type: ignore[name-defined]  # it is a private name of the stubs
    while True:
        try:
            yield os.wait4(-1, 0)[2]
        except ChildProcessError:
            return


def rounds(number: int, *steps: Step) -> list[list[Sample]]:
    """Run all *steps* in turn, *number* times over, and return the samples of each step."""
    samples: list[list[Sample]] = [[] for _ in steps]
    for _ in range(number):
        for mine, step in zip(samples, steps, strict=True):
            mine.append(step.run())
    return samples


def median(samples: Iterable[Sample]) -> Sample:
    """Return the median of each figure."""
    listed = list(samples)
    return Sample(*(statistics.median(getattr(each, name) for each in listed) for name in NAMES))


NAMES = ("wall", "cpu", "memory")


def ratios(ours: Sequence[Sample], peer: Sequence[Sample]) -> Sample:
    """Return the median, over the rounds, of our figures divided by the peer's in the same round."""
    return median(
        Sample(*(getattr(a, name) / getattr(b, name) for name in NAMES))
        for a, b in zip(ours, peer, strict=True)
    )


def exponent(sizes: Sequence[int], figures: Sequence[float]) -> float:
    """Return the slope of a straight line through the logarithms: 1 is linear growth, 2 is quadratic."""
    logs = [math.log(size) for size in sizes]
    return statistics.linear_regression(logs, [math.log(figure) for figure in figures]).slope
