"""Four shards at once at an emulator that enforces the limit: each takes its part of the minute."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from codat_iac.codat.client import Reader
from codat_iac.codat.rate_limit import shared_throttle
from codat_iac.emulator import Emulator
from codat_iac.model import settings

PER_MINUTE = 40
"""The limit for all of them together, of which each takes a quarter."""


def test_four_shards_at_once_stay_within_the_limit(emulator: Emulator, acme: str, tmp_path: Path) -> None:
    """Each machine has a count of its own here, as if there were four; none is refused, and all is used."""
    emulator.knobs({"requestsPerMinute": PER_MINUTE})
    went = [0, 0, 0, 0]
    over = threading.Event()

    def ask(number: int) -> None:
        environment = {"CODAT_API_KEY": emulator.api_key, "CODAT_BASE_URL": emulator.url}
        config = {"shard": f"{number + 1}/4", "requestsPerMinute": str(PER_MINUTE)}
        chosen = settings.read(environment, config.get)
        folder = tmp_path / str(number)
        throttle = shared_throttle(chosen.requests_per_minute, pytest.fail, folder, chosen.shard)
        reader = Reader.configured(chosen, throttle=throttle)
        while not over.is_set():
            reader.get_company(acme)
            went[number] += 1

    for number in range(4):
        threading.Thread(target=ask, args=(number,), daemon=True).start()
    over.wait(4)
    over.set()

    assert went == [PER_MINUTE // 4] * 4
    assert emulator.requests(last=0)["peaks"]["perMinute"] == PER_MINUTE
    assert {each["status"] for each in emulator.requests()["requests"]} == {200}
