"""A tenant as it might be, and one that lives by itself."""

from __future__ import annotations

import dataclasses
import re
import signal
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from codat_iac.emulator import DEMO_COMPANIES, Emulator, serving
from codat_iac.emulator.people import living
from codat_iac.emulator.tenant.demo import demo_companies
from codat_iac.emulator.tenant.integrations import INTEGRATIONS, ONE_ACTIVE
from codat_iac.emulator.tenant.tenant import Company
from codat_iac.emulator.world import MAIN
from tests.support.waiting import PATIENCE

NOW = 1_790_000_000.0
FOUR = {"PendingAuth", "Linked", "Deauthorized", "Unlinked"}


def companies(emulator: Emulator) -> list[Company]:
    """The companies as the emulator holds them."""
    return list(emulator._world.tenants[MAIN].companies.values())


def timeless(emulator: Emulator) -> object:
    """The tenant without its times, which differ from run to run."""
    return [
        (
            company.id,
            company.name,
            dict(company.tags),
            [
                (each.id, each.platform_key, each.status, len(each.errors))
                for each in company.connections.values()
            ],
        )
        for company in companies(emulator)
    ]


def hold(emulator: Emulator) -> None:
    """Check what is always so in an emulator, whatever has happened in it."""
    tenant = emulator._world.tenants[MAIN]
    now = emulator._world.now()
    held = [each for company in companies(emulator) for each in company.connections.values()]
    assert tenant.company_ids == {each.id: each.company_id for each in held}
    assert len(tenant.company_ids) == len(held)
    assert tenant.deleted.isdisjoint(tenant.company_ids)
    assert tenant.active_companies == sum(company.active for company in companies(emulator))
    for company in companies(emulator):
        assert all(each.company_id == company.id for each in company.connections.values())
        active = Counter(
            INTEGRATIONS[each.platform_key].source_type
            for each in company.connections.values()
            if each.status != "Unlinked"
        )
        assert all(active[source_type] <= 1 for source_type in ONE_ACTIVE), company
    for each in held:
        open_errors = [error for error in each.errors if error["status"] == "Active"]
        assert each.status in FOUR
        assert INTEGRATIONS[each.platform_key].enabled
        assert tenant.companies[each.company_id].created <= each.created <= (each.last_sync or now) <= now
        if each.status == "Linked":
            assert each.last_sync
            assert not open_errors
        if each.status == "Deauthorized":
            assert "revoked access" in open_errors[-1]["errorMessage"]
    numbers = [company.tags["customerId"] for company in companies(emulator)]
    assert len(set(numbers)) == len(numbers)


def test_a_demo_has_what_a_real_tenant_has() -> None:
    """Every status, several platforms, errors, names in several alphabets, tags."""
    with serving(demo=True, companies=DEMO_COMPANIES) as emulator:
        hold(emulator)
        shown = requests.get(
            f"{emulator.url}/companies", headers={"Authorization": emulator.authorization}, timeout=PATIENCE
        ).json()["results"]

    connections = [each for company in shown for each in company["dataConnections"]]
    assert len(shown) == DEMO_COMPANIES
    assert {each["status"] for each in connections} == FOUR
    assert len({each["integrationKey"] for each in connections}) > 8
    errors = [error for each in connections for error in each.get("dataConnectionErrors", [])]
    assert {error["status"] for error in errors} == {"Active", "Resolved"}
    alphabets = {unicodedata.name(company["name"][0]).split()[0] for company in shown}
    assert {"LATIN", "GREEK", "CYRILLIC", "CJK", "ARABIC", "HEBREW"} <= alphabets
    assert {name for company in shown for name in company["tags"]} == {"customerId", "segment", "region"}
    assert len({company["tags"]["segment"] for company in shown}) == 3
    assert any(company["dataConnections"] == [] for company in shown)


@pytest.mark.parametrize("count", [1, 24, 500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_demo_is_the_same_each_time_and_counts_its_dates_from_now(count: int) -> None:
    """Whatever its size: oldest first, all within some 400 days, nothing in the future."""
    made = list(demo_companies(count, 7, NOW))

    assert made == list(demo_companies(count, 7, NOW))
    assert made[0].id != next(demo_companies(count, 8, NOW)).id
    created = [company.created for company in made]
    assert created == sorted(created)
    assert created[0] > NOW - 401 * 86_400
    for company in made:
        for each in company.connections.values():
            assert company.created <= each.created <= (each.last_sync or NOW) <= NOW
    later = list(demo_companies(count, 7, NOW + 86_400))
    assert [each.created for each in later] == pytest.approx([moment + 86_400 for moment in created])


def test_a_demo_of_another_seed_is_another_tenant() -> None:
    """And the clock that it counts from is the emulator's own."""
    with serving(demo=True, companies=3, seed=1) as one, serving(demo=True, companies=3, seed=2) as two:
        assert timeless(one) != timeless(two)
        one.knobs({"clockAheadSeconds": 1_000_000})
        one.reset()
        assert companies(one)[-1].created > time.time() - 401 * 86_400


@pytest.mark.slow
def test_five_hundred_companies_live_through_thousands_of_acts(tmp_path: Path) -> None:
    """Every act happens, nothing is torn apart, and what was kept in the file is what was there."""
    state = tmp_path / "state.db"
    with serving(demo=True, companies=500, seed=3, state=state) as emulator:
        acts = emulator.live(3_000)
        hold(emulator)
        lived = timeless(emulator)
        ended = list(companies(emulator))
    with serving(demo=True, companies=500, seed=3, state=state) as emulator:
        assert [dataclasses.asdict(each) for each in companies(emulator)] == [
            dataclasses.asdict(each) for each in ended
        ]
        emulator.live(500)
        hold(emulator)
        resumed = timeless(emulator)
    with serving(demo=True, companies=500, seed=3) as emulator:
        assert emulator.live(3_000)[-1]["companyId"] == acts[-1]["companyId"]
        assert timeless(emulator) == lived
        emulator.live(500)
        assert timeless(emulator) == resumed

    counted = Counter(act["act"] for act in acts)
    assert set(counted) == set(living._WEIGHTS)
    assert min(counted.values()) > 50
    assert [act["number"] for act in acts] == list(range(1, 3_001))
    assert {act["status"] for act in acts} == FOUR | {None}


def test_an_empty_tenant_comes_alive_and_does_not_die_out() -> None:
    """Where nothing is there to act on, somebody signs up; the last ten stay."""
    with serving(seed=5) as emulator:
        assert emulator.live()[0]["act"] == "sign up"
        fewest = 0
        for _ in range(30):
            emulator.live(50)
            hold(emulator)
            assert len(companies(emulator)) >= fewest
            fewest = min(10, len(companies(emulator)))


def test_a_reset_begins_anew() -> None:
    """With the same acts."""
    with serving(demo=True, companies=12, seed=9) as emulator:
        emulator.live(50)
        first = timeless(emulator)
        emulator.reset()
        emulator.live(50)

        assert timeless(emulator) == first


def test_what_others_do_meanwhile_is_no_obstacle() -> None:
    """A client's own connections, and companies without tags, are part of the tenant."""
    with serving(seed=4) as emulator:
        company = emulator.add_company("Bare")["id"]
        full = emulator.add_company("Full", tags={f"tag{number}": "" for number in range(10)})["id"]
        headers = {"Authorization": emulator.authorization}
        for _ in range(200):
            path = f"{emulator.url}/companies/{company}/connections"
            requests.post(path, json={"platformKey": "suuo"}, headers=headers, timeout=PATIENCE)
            emulator.live(2)
            if company not in {each.id for each in companies(emulator)}:
                company = emulator.add_company("Bare")["id"]

        assert all(each.tags["customerId"] for each in companies(emulator) if each.tags and each.id != full)


@pytest.mark.parametrize("body", [{"steps": 0}, {"steps": 10_001}, {"steps": True}, {"steps": "1"}, []])
def test_a_number_of_steps_that_is_none_is_refused(emulator: Emulator, body: Any) -> None:
    """And nothing happens."""
    answer = requests.post(f"{emulator.url}/_emulator/live", json=body, timeout=PATIENCE)

    assert (answer.status_code, answer.json()["error"]) == (400, "`steps` is a whole number from 1 to 10,000")
    assert companies(emulator) == []


def test_a_company_can_be_changed_in_the_portal(emulator: Emulator) -> None:
    """Its name, or its tags; what isn't given stays, and tags that Codat wouldn't take are refused."""
    made = emulator.add_company("Acme", tags={"customerId": "42"})
    assert made["tags"] == {"customerId": "42"}

    renamed = emulator.change_company(made["id"], name="Acme (closed)")
    tagged = emulator.change_company(made["id"], tags={"segment": "lending"})

    assert (renamed["name"], renamed["tags"]) == ("Acme (closed)", {"customerId": "42"})
    assert (tagged["name"], tagged["tags"]) == ("Acme (closed)", {"segment": "lending"})
    assert emulator.change_company(made["id"], tags={})["tags"] == {}
    with pytest.raises(ValueError, match="not valid"):
        emulator.change_company(made["id"], tags={"a" * 28: ""})


@pytest.mark.parametrize(("words", "made"), [(("--demo",), DEMO_COMPANIES), ((), 0)])
def test_the_command_starts_with_a_demo_if_it_is_asked(words: tuple[str, ...], made: int) -> None:
    """Without a number of companies; and nothing changes by itself."""
    program = "from codat_iac.__main__ import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "emulator", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        acts = requests.get(f"{url}/_emulator/pages/live", timeout=PATIENCE).text
        companies = requests.get(url, timeout=PATIENCE).text
        process.send_signal(signal.SIGTERM)

    assert process.returncode == 0
    assert "Nothing has happened by itself yet." in acts
    assert f"{made} companies." in companies


def test_it_lives_at_its_rate_until_it_is_stopped() -> None:
    """Ctrl-C ends it as ever, at once and without a word."""
    program = "from codat_iac.__main__ import main; main()"
    words = ("emulator", "--demo", "--companies", "30", "--live", "--rate", "200", "--seed", "6")
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        deadline = time.monotonic() + PATIENCE
        headers = {"Authorization": "Basic ZW11bGF0b3ItYXBpLWtleQ=="}

        def seen() -> Any:
            return requests.get(f"{url}/companies", headers=headers, timeout=PATIENCE).json()["results"]

        first = seen()
        while seen() == first:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out, err) == (0, "", "")
