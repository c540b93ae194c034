"""The request rate of a large run, measured at an emulator that enforces Codat's limits with 429s."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from codat_iac.emulator import Emulator, serving
from tests.support.project import Project, connections

PER_MINUTE = 1000
AT_ONCE = 10
"""Codat's limits, for each IP address and for each company: https://docs.codat.io/using-the-api/rate-limits."""

COMPANIES = 500
"""Companies with one connection each, which takes three requests: more than are allowed in a minute."""

OF_A_KIND = 40
"""Connections of the one company that has many of a kind."""


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Run `pulumi up` and three `codat-iac plan` at once, *runs* times; then use up a quota."""
    violations = []
    for number in range(runs):
        with serving() as emulator, tempfile.TemporaryDirectory() as folder:
            name = f"limits, seed {seed}, run {number}"
            paced = {"CODAT_REQUESTS_PER_MINUTE": str(PER_MINUTE), "XDG_CACHE_HOME": f"{folder}/cache"}
            project = Project(Path(folder) / "project", emulator, paced)
            violations += [f"{name}: {each}" for each in _large(project, Random(f"{seed}/{number}"), tell)]  # noqa: S311
            violations += [f"{name}: {each}" for each in _used_up(project, tell)]
    return violations


def _large(project: Project, dice: Random, tell: Callable[[str], None]) -> list[str]:
    emulator = project.emulator
    emulator.knobs({"requestsPerMinute": PER_MINUTE, "concurrentPerCompany": AT_ONCE, "latencySeconds": 0.02})
    project.declare(_declared(emulator, dice))
    up = project.start("up", "--yes", "--skip-preview")
    plans = [project.start_codat_iac("plan", "--stateless", "connections.yaml") for _ in range(3)]
    with ThreadPoolExecutor() as threads:  # all at once: who isn't read waits with its output
        (shown, _), *_ = threads.map(lambda process: process.communicate(), (up, *plans))
    codes = [process.returncode for process in plans]
    log = emulator.requests(last=0)
    peaks = log["peaks"]
    tell(
        f"limits: {log['total']} requests of 4 processes; at most {peaks['perMinute']} in a minute"
        f" and {peaks['concurrentPerCompany']} at once for a company"
    )
    refused = [each for each in emulator.requests()["requests"] if each["status"] == 429]
    broken = {
        "`pulumi up` failed": up.returncode,
        "a plan failed": any(codes),
        f"{len(refused)} requests were refused": refused,
        f"more than {PER_MINUTE} requests in a minute": peaks["perMinute"] > PER_MINUTE,
        f"more than {AT_ONCE} requests at once": peaks["concurrentPerCompany"] > AT_ONCE,
        "too few requests to measure anything": log["total"] <= PER_MINUTE,
        "not all were made": len(project.recorded()) != COMPANIES + OF_A_KIND,
    }
    return [text for text, found in broken.items() if found] + ([shown] if up.returncode else [])


def _declared(emulator: Emulator, dice: Random) -> str:
    ids = [str(emulator.add_company(f"Company {number}")["id"]) for number in range(COMPANIES)]
    many = dice.randrange(COMPANIES)
    texts = [
        connections(company_id, "ledger: {platformKey: gbol}").replace("acme:", f"c{number}:")
        for number, company_id in enumerate(ids)
    ]
    texts[many] += "".join(f"      shop-{each}: {{platformKey: fztf}}\n" for each in range(OF_A_KIND))
    return texts[0] + "".join(text.removeprefix("companies:\n") for text in texts[1:])


def _used_up(project: Project, tell: Callable[[str], None]) -> list[str]:
    """Use up the daily quota: the run must end and say when to come back, instead of waiting for hours."""
    project.emulator.knobs({"dailyQuota": 10})
    ran = project.codat_iac("plan", "--stateless", "connections.yaml")
    for line in ran.said:
        tell(f"limits: {line}")
    came_back = ran.code == 1 and len(ran.said) == 1 and "come back in" in ran.said[0]
    return [] if came_back else [f"a quota that is used up: exit code {ran.code}, {ran.err}"]
