"""A tenant that never rests, while its team goes on working: import, plan, preview, edits and apply.

Every second a customer signs up, connects, authorises or revokes, or somebody tidies up in the Portal. The
oracle reads the file, the state and the log of what was asked of Codat by rules of its own: each write has to
be one that the file asks for, each newcomer comes in once, and what is recorded belongs to its company.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import requests
import yaml

from codat_iac.emulator import Emulator, serving
from tests.campaign.tables import table
from tests.support.project import Project

COMPANIES = 1_100
"""Three pages of the tenant, as it is scanned."""
OURS = ("zpqy", "aiwb", "qkdj")
"""Platforms on which only the team makes connections."""

LARGEST_PAGE = 2000
"""Companies on the page by which the oracle looks at the whole tenant in one moment."""


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Work for *runs* minutes on a tenant that acts every second, and return the violations."""
    with (
        serving(companies=COMPANIES, demo=True, seed=seed) as emulator,
        tempfile.TemporaryDirectory() as folder,
    ):
        team = Team(emulator, Path(folder), seed)
        until = time.monotonic() + 60 * runs
        with living(emulator, 1.0, team.acts):
            while time.monotonic() < until:
                team.round()
        team.rest()
        tell(
            f"living: {runs} minutes from seed {seed}, {len(team.acts)} acts of others, {team.rounds} rounds"
        )
        for line in table(("command", "runs", "most reads", "writes"), team.lines()):
            tell(line)
        return team.violations + [f"living: {leak}" for leak in team.project.leaks()]


@contextlib.contextmanager
def living(emulator: Emulator, seconds: float, acts: list[dict[str, Any]]) -> Iterator[None]:
    """Let the tenant act every so many seconds in this context, and collect its acts."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(seconds):
            acts.extend(emulator.live())

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True)
class Connection:
    """A connection as the file, the state or Codat has it. An id is empty in the file."""

    company_id: str
    platform_key: str
    status: str = "Linked"
    id: str = ""


class Team:
    """The people who keep the file, and what is found wrong with what happens to them."""

    def __init__(self, emulator: Emulator, folder: Path, seed: int) -> None:
        self.emulator = emulator
        # Companies are closed all day, and what they had goes with them.
        self.project = Project(folder / "project", emulator, {"CODAT_ACCEPT_MISSING": "1"})
        self.file = self.project.folder / "connections.yaml"
        self.dice = Random(seed)  # noqa: S311  reproducible, not secret
        self.violations: list[str] = []
        self.rounds = 0
        self.acts: list[dict[str, Any]] = []
        self.left: dict[str, int] = {}
        self.runs: Counter[str] = Counter()
        self.most_reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self.file.write_text("version: 1\ncompanies: {}\n")
        self.bring_in()

    def round(self) -> None:
        """Do each of the things that a team does, in some order."""
        self.rounds += 1
        for act in self.dice.sample([self.bring_in, self.plan, self.preview, self.edit, self.apply], 5):
            act()

    def rest(self) -> None:
        """Check that all comes to rest once the tenant does."""
        for _ in range(2):
            self.bring_in()
            self.edit(only_problems=True)
            self.apply()
        before = self.file.read_bytes()
        self.bring_in()
        if self.file.read_bytes() != before:
            self.violated("a second import found something in a tenant at rest")
        plan = self.plan()
        if left := plan["changes"] + plan["problems"]:
            self.violated(f"left to do at rest: {json.dumps(left)}")
        managed = {each.id for each in self.recorded().values()}
        for each in self.live().values():
            if each.status != "Unlinked" and each.id not in managed:
                self.violated(f"never brought in: {each}")

    # What a team does.

    def bring_in(self) -> None:
        """Import what appeared: each connection once, and what the file says stays."""
        before, meant = self.recorded(), self.declared()
        code = self.run("import", "--new", "--yes")[0]
        new = {each.id for each in self.recorded().values()} - {each.id for each in before.values()}
        for each in new & self.left.keys():
            since = self.acts[self.left[each] :]
            if not any(act["connectionId"] == each and act["act"] == "authorise" for act in since):
                self.violated(f"{each} was brought in again, though nobody authorised it again")
        now = self.declared()
        if any(now.get(address) != each for address, each in meant.items()):
            self.violated("an import changed what the file said")
        if code and (new or now != meant):
            self.violated("an import that failed left something behind")

    def plan(self) -> dict[str, Any]:
        """Plan."""
        planned: dict[str, Any] = json.loads(self.run("plan", "-o", "json")[1])
        return planned

    def preview(self) -> None:
        """Preview."""
        self.emulator.clear_requests()
        outcome = self.project.preview()
        self.count("preview")
        self.check_shown(outcome.shown)

    def edit(self, *, only_problems: bool = False) -> None:
        """Take out of the file what a plan calls impossible, and unless *only_problems* change others."""
        content = yaml.safe_load(self.file.read_text())
        companies = content["companies"]
        for problem in self.plan()["problems"]:
            key, _, name = problem["address"].partition("/")
            del companies[key]["connections"][name]
        for key in [] if only_problems else self.dice.sample(sorted(companies), 3):
            connections = companies[key]["connections"]
            act = self.dice.choice(("add", "add", "remove", "unlink"))
            if act == "add" or not connections:
                connections[f"ours-{self.rounds}"] = {"platformKey": self.dice.choice(OURS)}
            elif act == "remove":
                del connections[self.dice.choice(sorted(connections))]
            else:
                connections[self.dice.choice(sorted(connections))]["status"] = "Unlinked"
        self.file.write_text(yaml.safe_dump(content, sort_keys=False))

    def apply(self) -> None:
        """Bring about what the file says, with the losses that the plan showed."""
        losses, started = self.plan()["losses"], len(self.acts)
        before, meant, there = self.recorded(), self.declared(), self.live()
        self.run("apply", "--yes", "--allow-losing", str(losses), writes=True)
        self.check_writes(before, meant, there)
        self.check_bonds()
        gone = {each.id for each in before.values()} - {each.id for each in self.recorded().values()}
        self.left |= dict.fromkeys(gone, started)

    # What is right.

    def check_writes(
        self, before: dict[str, Connection], meant: dict[str, Connection], there: dict[str, Connection]
    ) -> None:
        """Compare what an apply wrote with what the file asked for. *there* was live before it."""
        log = self.emulator.requests()["requests"]
        now = self.live()
        at = {each.id: address for address, each in before.items()}
        missing = Counter(
            each.company_id
            for address, each in meant.items()
            if address not in before or before[address].id not in there or before[address].id not in now
        )
        for request in log:
            if request["method"] == "GET" or request["status"] != 200:
                continue
            company_id, _, connection_id = request["path"].partition("s/")[2].partition("/connections")
            address = at.get(connection_id.strip("/"), "")
            if request["method"] == "POST":
                missing[company_id] -= 1
                if missing[company_id] < 0:
                    self.violated(f"a connection for {company_id} that nobody asked for")
            elif not address:
                self.violated(f"{request['method']} {request['path']}, which isn't recorded")
            elif address in meant and meant[address].status != "Unlinked":
                self.violated(f"{request['method']} of {address}, which is declared to be Linked")

    def check_bonds(self) -> None:
        """Check that what is recorded belongs to its company, and that nothing of ours is there twice."""
        recorded, now = self.recorded(), self.live()
        for each in recorded.values():
            if each.id in now and now[each.id].company_id != each.company_id:
                self.violated(f"{each} belongs to {now[each.id].company_id}")
        known = {each.id for each in recorded.values()} | self.left.keys()
        for each in now.values():
            if each.platform_key in OURS and each.id not in known:
                self.violated(f"made and recorded nowhere: {each}")

    def check_shown(self, shown: str) -> None:
        """Check that nothing looks like a bug of ours."""
        for words in ("Traceback", "please report", "otp="):
            if words in shown:
                self.violated(shown)

    def violated(self, text: str) -> None:
        """Note what is wrong."""
        self.violations.append(f"living, round {self.rounds}: {text}")

    # What there is.

    def companies(self) -> list[dict[str, Any]]:
        """Return all companies of the tenant in one moment."""
        page = requests.get(
            f"{self.emulator.url}/companies?page=1&pageSize={LARGEST_PAGE}",
            headers={"Authorization": self.emulator.authorization},
            timeout=60,
        ).json()
        assert page["totalResults"] == len(page["results"])
        found: list[dict[str, Any]] = page["results"]
        return found

    def live(self) -> dict[str, Connection]:
        """Return all connections of the tenant in one moment, by id."""
        return {
            each["id"]: Connection(company["id"], each["integrationKey"], each["status"], each["id"])
            for company in self.companies()
            for each in company["dataConnections"]
        }

    def declared(self) -> dict[str, Connection]:
        """Return what the file says, by address."""
        return {
            f"{key}/{name}": Connection(company["id"], each["platformKey"], each.get("status", "Linked"))
            for key, company in yaml.safe_load(self.file.read_text())["companies"].items()
            for name, each in company["connections"].items()
        }

    def recorded(self) -> dict[str, Connection]:
        """Return what the state has, by address."""
        return {
            each["urn"].rpartition("::")[2]: Connection(
                each["outputs"]["companyId"],
                each["outputs"]["platformKey"],
                each["outputs"]["status"],
                each["id"],
            )
            for each in self.project.resources()
        }

    # What was asked.

    def run(self, command: str, *arguments: str, writes: bool = False) -> tuple[int, str]:
        """Run a command; return its exit code and its output."""
        self.emulator.clear_requests()
        ran = self.project.codat_iac(command, *arguments)
        self.count(command, writes=writes)
        self.check_shown(ran.out + ran.err)
        return ran.code, ran.out

    def count(self, command: str, *, writes: bool = False) -> None:
        """Count what a command asked of Codat; only an apply may write."""
        asked = [request["method"] for request in self.emulator.requests()["requests"]]
        reads = asked.count("GET")
        self.runs[command] += 1
        self.most_reads[command] = max(self.most_reads[command], reads)
        self.writes[command] += len(asked) - reads
        if len(asked) > reads and not writes:
            self.violated(f"{command} wrote")

    def lines(self) -> Iterator[tuple[str, ...]]:
        """Yield how often each command ran, the most that one read, and what all wrote."""
        for command, runs in self.runs.items():
            yield command, str(runs), str(self.most_reads[command]), str(self.writes[command])
