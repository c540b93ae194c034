"""Show the whole loop on a real Pulumi engine and an emulated Codat: run it with `make demo`.

Each command is printed before it runs, with a hint what to look at in its output. The exit status is 0 only
if every step showed what it should.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codat_iac import Client
from codat_iac.stack import engine

HERE = Path(__file__).parent
API_KEY = "demo-api-key"
BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Demo:
    """A project in a temporary folder, with an emulated Codat of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.client = Client(API_KEY, url)
        self.environment = {
            "CODAT_API_KEY": API_KEY,
            "CODAT_BASE_URL": url,
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "demo",
        }

    def run(self, command: str, look: str, *wanted: str, code: int = 0) -> None:
        """Run a command and show its output; stop if that doesn't match *wanted* (regular expressions)."""
        print(f"\n{BOLD}$ {command}{OFF}\n{DIM}  look at: {look}{OFF}", flush=True)
        process = subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=engine.environment({**os.environ, **self.environment}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            shown += line
        if process.wait() != code:
            fail(f"`{command}` exited with {process.returncode}, not with {code}")
        for pattern in wanted:
            if not re.search(pattern, shown):
                fail(f"`{command}` didn't show {pattern!r}")

    def say(self, text: str) -> None:
        """Print what happens outside Pulumi."""
        print(f"\n{BOLD}# {text}{OFF}", flush=True)

    def act(self, method: str, path: str) -> None:
        """Act as the customer, or as somebody in the Portal, with one of the emulator's control routes."""
        address = f"{self.url}/_emulator/{path}"
        print(f"{BOLD}$ curl -X {method} {address}{OFF}", flush=True)
        request = urllib.request.Request(address, method=method, data=b"" if method == "POST" else None)
        urllib.request.urlopen(request).close()

    def ids(self) -> Mapping[str, str]:
        """Return the connections' ids by address, from Pulumi's state."""
        exported = subprocess.run(
            ["pulumi", "stack", "export"],
            cwd=self.folder,
            env=engine.environment({**os.environ, **self.environment}),
            capture_output=True,
            check=True,
        )
        resources: list[dict[str, Any]] = json.loads(exported.stdout)["deployment"]["resources"]
        return {r["urn"].split("::")[-1]: r["id"] for r in resources if "codat:Connection" in r["type"]}

    def edit(self, old: str, new: str) -> None:
        """Edit the desired-state file."""
        file = self.folder / "connections.yaml"
        text = file.read_text()
        if old not in text:
            fail(f"{file.name} has no {old!r}")
        file.write_text(text.replace(old, new))
        shown = new.strip() or f"(without {old.strip()})"
        self.say(f"connections.yaml now says: {shown}")

    def statuses(self) -> list[str]:
        """Return the platform and status of each connection in Codat, sorted."""
        return sorted(
            f"{connection.platform_key} {connection.status}"
            for page in self.client.company_pages()
            for company in page.results
            for connection in company.connections or ()
        )

    def expect(self, *statuses: str) -> None:
        """Print the connections in Codat, and stop if they aren't as expected."""
        found = self.statuses()
        print(f"  Codat has: {', '.join(found) or 'no connections'}", flush=True)
        if found != list(statuses):
            fail(f"Codat should have: {', '.join(statuses)}")


def story(demo: Demo) -> None:
    """Run the whole loop."""
    demo.run("pulumi stack init demo", "a new stack, with its state in a temporary folder")
    demo.run("pulumi preview", "3 connections to create, and the stack itself", r"\+ 4 to create")
    demo.run("pulumi up --yes", "`waiting` names who has to authorise", r"\+ 4 created", r"PendingAuth: 3")
    demo.expect("fztf PendingAuth", "gbol PendingAuth", "suuo PendingAuth")

    demo.say("the customers follow their links and authorise")
    ids = demo.ids()
    for connection_id in ids.values():
        demo.act("POST", f"connections/{connection_id}/authorise")
    demo.run(
        "pulumi preview --expect-no-changes", "nothing to do: 4 unchanged", r"Linked +: 3", r"4 unchanged"
    )

    demo.say("somebody unlinks one in the Portal, deletes another, and a customer revokes the third")
    demo.act("POST", f"connections/{ids['alder/ledger']}/unlink")
    demo.act("DELETE", f"connections/{ids['alder/shop']}")
    demo.act("POST", f"connections/{ids['maple/bank']}/revoke")
    demo.run(
        "pulumi preview",
        "one to replace, and three warnings that say who has to do what",
        r"\+-1 to replace",
        r"warning: alder/ledger: Unlinked by somebody else",
        r"warning: alder/shop: it is gone from Codat",
        r"warning: maple/bank: Deauthorized, its customer must authorise it again",
    )
    demo.run("pulumi up --yes", "only what is ours to mend is mended", r"\+-1 replaced", r"3 unchanged")
    demo.expect("fztf PendingAuth", "gbol Unlinked", "suuo Deauthorized")

    demo.say("the customer of alder/ledger authorises again")
    demo.act("POST", f"connections/{ids['alder/ledger']}/authorise")
    demo.edit("ledger: { platformKey: gbol }", "ledger: { platformKey: gbol, status: Unlinked }")
    demo.run("pulumi preview --diff", "status goes from Linked to Unlinked", r'"Linked" => "Unlinked"')
    demo.run("pulumi up --yes", "one update: a PATCH", r"~ 1 updated")
    demo.expect("fztf PendingAuth", "gbol Unlinked", "suuo Deauthorized")

    demo.edit("      bank: { platformKey: suuo, onRemoval: delete }\n", "      {}\n")
    demo.run("pulumi up --yes", "one deleted, as its `onRemoval` says", r"- 1 deleted")
    demo.expect("fztf PendingAuth", "gbol Unlinked")

    demo.run("pulumi destroy --yes", "what nobody authorised is deleted, the rest let go of", r"- 3 deleted")
    demo.expect("gbol Unlinked")


@contextlib.contextmanager
def emulator() -> Iterator[str]:
    """Run `codat-iac emulator` on a free port, and yield its URL."""
    command = [sys.executable, "-m", "codat_iac", "emulator", "--api-key", API_KEY, "--companies", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            fail("the emulator didn't start")
        print(f"\n{BOLD}$ codat-iac emulator --api-key {API_KEY} --companies 2{OFF}\n  {url}", flush=True)
        yield url
    finally:
        process.terminate()
        process.wait()


def fail(why: str) -> None:
    """Exit with the reason."""
    sys.exit(f"\ndemo: {why}")


def main() -> None:
    """Run the demo."""
    with engine.TerminalProgress() as progress:
        engine.install(progress)
    with tempfile.TemporaryDirectory(prefix="codat-iac-demo-") as temporary, emulator() as url:
        folder = Path(temporary) / "project"
        shutil.copytree(HERE / "yaml", folder)
        (folder / "state").mkdir()
        project = (folder / "Pulumi.yaml").read_text()
        (folder / "Pulumi.yaml").write_text(project.replace("../../.venv", sys.prefix))
        story(Demo(folder, url))
    print(f"\n{BOLD}Every step showed what it should.{OFF}")


if __name__ == "__main__":
    main()
