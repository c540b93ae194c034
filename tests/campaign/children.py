"""Run a campaign's cases in child processes, so that a case that hangs or crashes its process is noticed.

A case is determined by its campaign's seed and its number: `python -m tests.campaign.files SEED NUMBER 1`
runs it again.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Kind = TypeVar("Kind")

LONGEST = 5.0
"""Seconds of processor time that one case may take."""

HANGS = 60.0
"""Seconds without output after which a case is killed: the machine may be busy."""

_CHUNK = 500
"""Cases of one child: enough to outweigh its start."""


class BrokenPromiseError(Exception):
    """A case broke a promise."""


@dataclass(frozen=True)
class Told:
    """A child's report of one case; `broken` is empty if all is well."""

    kind: str
    outcome: str
    seconds: float
    broken: str


def dice(seed: int, number: int) -> random.Random:
    """Return the random generator of one case."""
    return random.Random(f"{seed}/{number}")  # noqa: S311 - to be repeated, not to be secret


def drawn(rng: random.Random, kinds: Mapping[str, tuple[float, Kind]]) -> tuple[str, Kind]:
    """Choose one of *kinds* by their weights; return its name and value."""
    (name,) = rng.choices(list(kinds), [weight for weight, _ in kinds.values()])
    return name, kinds[name][1]


def child(run: Callable[[random.Random], tuple[str, Callable[[], str]]]) -> None:
    """Run the cases named on the command line. *run* returns a case's kind, and a function to run it."""
    seed, first, count = map(int, sys.argv[1:4])
    for number in range(first, first + count):
        kind, do = run(dice(seed, number))
        outcome, broken = "broken", ""
        started = time.process_time()
        try:
            outcome = do()
        except BrokenPromiseError as error:
            broken = str(error)
        except BaseException:  # noqa: BLE001 - whatever it is, it had to be an error of ours
            broken = traceback.format_exc()
        spent = time.process_time() - started
        if spent > LONGEST:
            broken = f"{broken} took {spent:.1f} s".strip()
        told = json.dumps([kind, outcome, spent, broken])
        print(told, file=sys.__stdout__, flush=True)
    print(json.dumps(_most_memory()), file=sys.__stdout__, flush=True)


def _most_memory() -> int:
    """Return this process's peak memory in MB. On Linux, `ru_maxrss` may be its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        words = status.read_text().split()
        return int(words[words.index("VmHWM:") + 1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2


def campaign(
    module: str, runs: int, seed: int, tell: Callable[[str], None], *, most_memory: int, hangs: float = HANGS
) -> list[str]:
    """Run the cases of *module*, report the outcomes of each kind, and return the violations.

    *most_memory* is the limit of a child's memory in MB.
    """
    table: dict[str, Counter[str]] = {}
    broken: list[str] = []
    slowest, largest = ("nothing", 0.0), 0
    for first in range(0, runs, _CHUNK):
        last = min(first + _CHUNK, runs)
        number = first
        while number < last:
            for each in _told(module, seed, number, last - number, hangs):
                if isinstance(each, int):
                    largest = max(largest, each)
                    if each > most_memory:
                        broken.append(f"{module} seed {seed} cases {first} to {last}: {each} MB of memory")
                    continue
                again = f"{module} seed {seed} case {number} ({each.kind})"
                table.setdefault(each.kind, Counter())[each.outcome] += 1
                slowest = max(slowest, (again, each.seconds), key=lambda one: one[1])
                if each.broken:
                    broken.append(f"{again}: {each.broken}")
                number += 1
    for line in _lines(table):
        tell(line)
    tell(f"slowest: {slowest[1]:.2f} s, {slowest[0]}; most memory: {largest} MB; broken: {len(broken)}")
    return broken


def _told(module: str, seed: int, first: int, count: int, hangs: float) -> Iterator[Told | int]:
    """Yield one child's reports; the last is of the case in which it died or hung, if it did."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(seed), str(first), str(count)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    noise: list[str] = []
    assert process.stdout is not None
    assert process.stderr is not None
    stderr = process.stderr
    reader = threading.Thread(target=lambda: noise.append(stderr.read()), daemon=True)
    reader.start()
    left = count
    with process.stdout:
        while True:
            watchdog = threading.Timer(hangs, process.kill)
            watchdog.start()
            line = process.stdout.readline()
            watchdog.cancel()
            if not line:
                break
            said = json.loads(line)
            left -= not isinstance(said, int)
            yield said if isinstance(said, int) else Told(*said)
    code = process.wait()
    reader.join()
    process.stderr.close()
    if left:
        yield Told("?", "died", 0.0, f"the process ended with {code}: {noise[0][-2000:].strip()}")
    elif noise[0].strip():
        yield Told("?", "noise", 0.0, f"on stderr, from {count} cases on: {noise[0][:2000].strip()}")


def _lines(table: Mapping[str, Counter[str]]) -> Iterator[str]:
    """Yield the lines of the table: one for each kind, and one for the sums."""
    outcomes = sorted({outcome for row in table.values() for outcome in row})
    total: Counter[str] = Counter()
    for row in table.values():
        total += row
    width = max(map(len, [*table, "all"]))
    wide = [max(len(outcome), 6) for outcome in outcomes]
    yield " ".join([" " * width, *(f"{o:>{w}}" for o, w in zip(outcomes, wide, strict=True))])
    for kind, row in [*sorted(table.items()), ("all", total)]:
        yield " ".join(
            [f"{kind:{width}}", *(f"{row[o] or '':>{w}}" for o, w in zip(outcomes, wide, strict=True))]
        )
