"""The example of a program of one's own, as it is, on the real engine."""

from __future__ import annotations

import shutil
import sys

import pytest

from codat_iac.emulator import Emulator
from tests.support import ROOT
from tests.support.project import Project

pytestmark = pytest.mark.engine


def test_the_example_declares_a_table(project: Project, emulator: Emulator, acme: str) -> None:
    """With companies of the table and of another stack; it is planned, applied, and then in sync."""
    birch = str(emulator.add_company("Birch")["id"])
    project.record([], companyIds={"birch": birch})
    for name in ("__main__.py", "customers.py"):
        shutil.copy(ROOT / "examples/python" / name, project.folder / name)
    text = (ROOT / "examples/python/Pulumi.yaml").read_text()
    file = project.folder / "Pulumi.yaml"
    file.write_text(text.replace("name: customers", "name: shop").replace("../../.venv", sys.prefix))
    columns = "customer,company_id,connection,platform_key,keep\n"
    table = project.folder / "customers.csv"
    table.write_text(f"{columns}acme,{acme},ledger,gbol,\nacme,{acme},bank,suuo,yes\nbirch,,ledger,gbol,\n")
    assert project.pulumi("stack", "init", "live").code == 0
    reference = ("config", "set", "companiesFrom", "organization/shop/dev", "--stack", "live")
    assert project.pulumi(*reference).code == 0

    plan = project.codat_iac("plan", "--output", "json", "--stack", "live").json
    assert {each["address"]: (each["step"], each["companyId"]) for each in plan["changes"]} == {
        "acme/bank": ("create", acme),
        "acme/ledger": ("create", acme),
        "birch/ledger": ("create", birch),
    }
    project.settle("--skip-preview", "--stack", "live")
    shown = project.pulumi("stack", "output", "--json", "--stack", "live").shown
    assert '"bank": "PendingAuth"' in shown
    table.write_text(f"{columns}acme,{acme},ledger,gbol,\nbirch,,ledger,gbol,\n")
    again = project.codat_iac("plan", "--output", "json", "--stack", "live").json
    assert [(each["address"], each["step"]) for each in again["changes"]] == []
    (kept,) = again["problems"]
    assert kept["text"].startswith("acme/bank: it is protected, so Pulumi neither removes nor replaces it")
