"""The pages for what one wants to do: their commands, typed one page after the other in one project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from codat_iac.emulator import Emulator
from codat_iac.stack import engine
from tests.support import ROOT
from tests.support.builders import connected, rows
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PAGES = ROOT / "docs/how-to"

ORDER = ("adopt-a-tenant", "authorise-again", "offboard-a-customer", "rotate-a-key", "move-the-backend")
"""The pages that have commands in blocks, in the order of a project's life."""

NOBODY_IS_ASKED: Mapping[str, str] = {
    "export CODAT_API_KEY=...": ":",  # it is set for the whole script
    "codat-iac init": "codat-iac init --yes --no-import --stack prod",
    "codat-iac import": "codat-iac import --yes",
    "codat-iac apply": "codat-iac apply --yes",
    "pulumi config set --secret codat:apiKey": "pulumi config set --secret codat:apiKey <<< $CODAT_API_KEY",
    "pulumi up": "pulumi up --yes",
    "pulumi login s3://my-bucket": "mkdir bucket && pulumi login file://$PWD/bucket",
}
"""What is typed in place of what a person would type, who answers questions and has a bucket."""


def commands(page: str) -> list[str]:
    """The commands in the blocks of a page."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]


def typed(command: str) -> str:
    """What is typed for one command."""
    for given, instead in NOBODY_IS_ASKED.items():
        if command == given or command.startswith(f"{given} "):
            return instead + command.removeprefix(given)
    return command


def test_every_page_with_commands_is_typed() -> None:
    """And each thing that is typed in another way is on one of them."""
    found = {page.stem for page in PAGES.glob("*.md") if commands(page.stem)}

    assert found == set(ORDER)
    whole = [command for page in ORDER for command in commands(page)]
    for given in NOBODY_IS_ASKED:
        assert any(command.startswith(given) for command in whole), given


def test_the_pages_can_be_typed_as_they_stand(emulator: Emulator, tmp_path: Path) -> None:
    """A customer who leaves is unlinked, and after the move the plan is what it was before."""
    alder, birch = (str(emulator.add_company(name)["id"]) for name in ("Alder & Sons", "Birch"))
    emulator.change_company(birch, tags={"region": "uk"})
    connected(emulator, alder, "fztf", "PendingAuth")
    ledger, kept = connected(emulator, alder), connected(emulator, birch)
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    found = engine.find()
    assert found is not None
    environment = engine.environment(
        {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
            "PATH": f"{Path(sys.executable).parent}:{found.parent}:{os.environ['PATH']}",
            "PULUMI_HOME": str(home),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "CODAT_API_KEY": emulator.api_key,
            "CODAT_BASE_URL": emulator.url,
        }
    )

    def types(*lines: str) -> str:
        ran = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    types("mkdir state", "pulumi login file://$PWD/state")
    types(*map(typed, commands("adopt-a-tenant")))
    file = folder / "connections.yaml"
    companies = yaml.safe_load(file.read_text())["companies"]
    assert {each["id"] for each in companies.values()} == {alder, birch}
    assert "No changes." in types("codat-iac plan")

    assert "alder-and-sons/shopify" in types(*map(typed, commands("authorise-again")))
    assert (folder / "links.csv").read_text().count("\n") == 1, "nobody waits for seven days yet"

    text = file.read_text()
    file.write_text(re.sub(r"^  alder-and-sons:.*?(?=^  \S)", "", text, flags=re.DOTALL | re.MULTILINE))
    assert "Applied: 2 of 2 changes." in types(*map(typed, commands("offboard-a-customer")))
    assert rows(emulator, alder) == {ledger: "Unlinked"}
    assert rows(emulator, birch) == {kept: "Linked"}

    types(*map(typed, commands("rotate-a-key")))

    moved = types(*map(typed, commands("move-the-backend")))
    assert "Stack prod: 1 connection declared, 1 recorded." in moved
    assert "No changes." in moved
    assert (folder / "bucket/.pulumi/stacks").is_dir()
