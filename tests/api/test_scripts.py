"""The scripts of `examples/scripts`, as somebody runs them: over HTTP, on an emulated Codat."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import pytest

from codat_iac.emulator import Emulator
from tests.support import ROOT


def run(emulator: Emulator, key: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the script that lists who is Deauthorized."""
    return subprocess.run(
        [sys.executable, ROOT / "examples/scripts/deauthorized.py"],
        env={**os.environ, "CODAT_API_KEY": key or emulator.api_key, "CODAT_BASE_URL": emulator.url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("inline", ["full", "sparse", "absent"])
def test_who_is_deauthorized_is_listed(emulator: Emulator, inline: str) -> None:
    """Since when and why; also if companies come without their connections."""
    emulator.knobs({"inlineConnections": inline})
    for name in ("Acme", "=Bolt"):
        company_id = str(emulator.add_company(name)["id"])
        emulator.connect(company_id, "suuo")
        revoked = emulator.connect(company_id, "gbol")["id"]
        emulator.revoke(revoked)
    emulator.connect(str(emulator.add_company("Cedar")["id"]), "gbol", "PendingAuth")

    done = run(emulator)

    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert sorted(row["company"] for row in rows) == ["'=Bolt", "Acme"]
    last = next(row for row in rows if row["company"] == "'=Bolt")
    assert (last["companyId"], last["platform"], last["connectionId"]) == (company_id, "Xero", revoked)
    assert last["since"].startswith("20")
    assert last["why"] == "The customer revoked access at Xero."


def test_an_error_is_one_line(emulator: Emulator) -> None:
    """A wrong key, for one."""
    done = run(emulator, "wrong")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("deauthorized: GET /companies: ")
