"""Four shards at once at an emulator that enforces the limit: each takes its part of the minute."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from codat_iac.emulator import Emulator
from tests.support.waiting import until

PER_MINUTE = 40
"""The limit for all of them together, of which each takes a quarter."""

ASK = """
import sys
from pathlib import Path
from codat_iac.codat.client import Reader
from codat_iac.codat.rate_limit import shared_throttle
from codat_iac.model import settings

url, key, company, shard, folder, per_minute = sys.argv[1:]
environment = {"CODAT_API_KEY": key, "CODAT_BASE_URL": url}
chosen = settings.read(environment, {"shard": shard, "requestsPerMinute": per_minute}.get)
throttle = shared_throttle(chosen.requests_per_minute, sys.exit, Path(folder), chosen.shard)
reader = Reader.configured(chosen, throttle=throttle)
while True:
    reader.get_company(company)
"""


def test_four_shards_at_once_stay_within_the_limit(emulator: Emulator, acme: str, tmp_path: Path) -> None:
    """Each machine has a count of its own here, as if there were four; none is refused, and all is used."""
    emulator.knobs({"requestsPerMinute": PER_MINUTE})
    emulator.clear_requests()
    machines = []
    for number in range(1, 5):
        told = [emulator.url, emulator.api_key, acme, f"{number}/4", str(tmp_path / str(number))]
        machines.append(subprocess.Popen([sys.executable, "-c", ASK, *told, str(PER_MINUTE)]))
    try:
        until(lambda: emulator.counts().get("get-company", 0) >= PER_MINUTE, "what all may ask")
        time.sleep(1)
        assert [machine.poll() for machine in machines] == [None] * 4
    finally:
        for machine in machines:
            machine.kill()
            machine.wait()

    assert emulator.counts() == {"get-company": PER_MINUTE}
    assert emulator.requests(last=0)["peaks"]["perMinute"] == PER_MINUTE
    assert {each["status"] for each in emulator.requests()["requests"]} == {200}
