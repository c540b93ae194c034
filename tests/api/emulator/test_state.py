"""What survives: a kill at any moment, a restart, another emulator on the same file."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from codat_iac.emulator import Emulator, run, serving
from codat_iac.model.errors import ConfigError

SERVE = """
import sys
from codat_iac.emulator import run
run(0, "key", companies=2, state=sys.argv[1], on_ready=lambda url: print(url, flush=True))
"""


def read(emulator: Emulator, path: str, key: str | None = None) -> Any:
    """Codat's answer to a GET."""
    header = {"Authorization": key or emulator.authorization}
    return requests.get(emulator.url + path, headers=header, timeout=10).json()


def keep(emulator: Emulator) -> Any:
    """A company made with one key, always the same."""
    headers = {"Authorization": emulator.authorization, "Idempotency-Key": "1"}
    return requests.post(
        f"{emulator.url}/companies", json={"name": "Kept"}, headers=headers, timeout=10
    ).json()


def start(state: Path) -> tuple[subprocess.Popen[str], str]:
    """An emulator in a process of its own, and its URL."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(state)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    """At once, without a chance to write."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    """Rows, statuses, deletions, spent links and idempotent answers."""
    header = {"Authorization": "Basic a2V5"}
    process, url = start(tmp_path / "state.db")
    companies = requests.get(f"{url}/companies", headers=header, timeout=10).json()["results"]
    path = f"/companies/{companies[0]['id']}/connections"
    keyed = {**header, "Idempotency-Key": str(uuid.uuid4())}
    made = requests.post(url + path, json={"platformKey": "gbol"}, headers=keyed, timeout=10).json()
    gone = requests.post(url + path, json={"platformKey": "suuo"}, headers=header, timeout=10).json()["id"]
    requests.delete(f"{url}{path}/{gone}", headers=header, timeout=10)
    link = made["linkUrl"].removeprefix(url)
    unused = requests.get(f"{url}{path}/{made['id']}", headers=header, timeout=10).json()["linkUrl"]
    otp = link.partition("=")[2]
    requests.post(url + link, data={"otp": otp, "action": "authorise"}, timeout=10)
    requests.post(f"{url}/_emulator/knobs", json={"deleteTwice": 200}, timeout=10)
    assert unused.endswith(otp)
    kill(process)

    process, url = start(tmp_path / "state.db")
    try:
        listed = requests.get(url + path, headers=header, timeout=10).json()["results"]
        assert [(each["id"], each["status"]) for each in listed] == [(made["id"], "Linked")]
        again = requests.post(url + path, json={"platformKey": "gbol"}, headers=keyed, timeout=10).json()
        assert again["id"] == made["id"]
        assert requests.delete(f"{url}{path}/{gone}", headers=header, timeout=10).status_code == 200
        assert requests.get(url + link, timeout=10).status_code == 410
        fresh = listed[0]["linkUrl"]
        assert fresh.startswith(url)
        assert requests.get(fresh, timeout=10).status_code == 200
        after = requests.get(f"{url}/companies", headers=header, timeout=10).json()["results"]
        assert [each["id"] for each in after] == [each["id"] for each in companies]
    finally:
        kill(process)


@pytest.mark.parametrize("last", ["keyed", "plain", "page", "control"])
def test_the_very_last_request_before_a_kill_counts(tmp_path: Path, last: str) -> None:
    """Whichever way it came."""
    header = {"Authorization": "Basic a2V5"}
    process, url = start(tmp_path / "state.db")
    company = requests.get(f"{url}/companies", headers=header, timeout=10).json()["results"][0]
    body: Any = {"platformKey": "gbol"}
    path = f"/companies/{company['id']}/connections"
    match last:
        case "keyed":
            requests.post(url + path, json=body, headers={**header, "Idempotency-Key": "1"}, timeout=10)
        case "plain":
            requests.post(url + path, json=body, headers=header, timeout=10)
        case "page":
            otp = company["redirect"].partition("=")[2]
            requests.post(company["redirect"], data={"platform": "gbol", "otp": otp}, timeout=10)
        case _:
            requests.post(f"{url}/_emulator{path}", json=body, timeout=10)
    kill(process)

    with serving(state=tmp_path / "state.db") as emulator:
        assert read(emulator, path)["totalResults"] == 1


def test_a_kill_in_the_midst_of_requests_loses_none_that_was_answered(tmp_path: Path) -> None:
    """Every id that a client was told is there; at most one more, whose answer was under way."""
    header = {"Authorization": "Basic a2V5"}
    process, url = start(tmp_path / "state.db")
    company = requests.get(f"{url}/companies", headers=header, timeout=10).json()["results"][0]["id"]
    told: list[str] = []
    with requests.Session() as session:
        session.headers.update(header)
        while True:
            try:
                answer = session.post(
                    f"{url}/companies/{company}/connections", json={"platformKey": "suuo"}, timeout=10
                )
            except requests.ConnectionError:
                break
            told.append(answer.json()["id"])
            if len(told) == 50:
                os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    with serving(state=tmp_path / "state.db") as emulator:
        listed = read(emulator, f"/companies/{company}/connections")["results"]

    ids = [each["id"] for each in listed]
    assert ids[: len(told)] == told
    assert len(ids) - len(told) <= 1


def test_a_restart_takes_up_everything(tmp_path: Path) -> None:
    """Companies of every tenant with all their fields, keys, knobs; `companies` is for a new file only."""
    state = tmp_path / "state.db"
    with serving(companies=1, state=state) as emulator:
        company = emulator.add_company("Später & Söhne", tenant="other")["id"]
        emulator.add_key("other-key", tenant="other")
        emulator.add_key("old-key", outdated=True)
        emulator.knobs({"emptyFields": "null"})
        emulator.revoke(emulator.connect(company, "gbol")["id"])
        kept = keep(emulator)
        emulator.delete_connection(emulator.connect(kept["id"], "suuo")["id"])
        doomed = emulator.add_company("Doomed")["id"]
        emulator.delete_company(doomed)
        before = read(emulator, f"/companies/{company}", "Basic b3RoZXIta2V5")
        first = read(emulator, "/companies")

    with serving(companies=9, state=state) as emulator:
        after = read(emulator, f"/companies/{company}", "Basic b3RoZXIta2V5")
        second = read(emulator, "/companies")
        assert keep(emulator) == kept
        assert read(emulator, "/companies", "Basic b2xkLWtleQ==")["statusCode"] == 403
        assert emulator.knobs()["emptyFields"] == "null"

    assert [each["name"] for each in second["results"]] == [each["name"] for each in first["results"]]
    assert after["name"] == "Später & Söhne"
    moved = {"redirect": "", "dataConnections": []}
    assert {**after, **moved} == {**before, **moved}
    (now,), (then,) = after["dataConnections"], before["dataConnections"]
    assert {**now, "linkUrl": ""} == {**then, "linkUrl": ""}
    assert now["dataConnectionErrors"]


def test_a_reset_is_recorded_too(tmp_path: Path) -> None:
    """What was forgotten stays forgotten."""
    state = tmp_path / "state.db"
    with serving(companies=2, state=state) as emulator:
        emulator.add_company("Acme")
        emulator.reset()

    with serving(state=state) as emulator:
        assert read(emulator, "/companies")["totalResults"] == 2


def test_a_new_state_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds keys and links; so do the files that SQLite keeps beside it."""
    with serving(companies=1, state=tmp_path / "state.db"):
        modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}

    assert modes == {0o600}


def test_two_emulators_on_one_file_are_refused(tmp_path: Path) -> None:
    """One line that says why; the first goes on."""
    state = tmp_path / "state.db"
    with serving(companies=1, state=state) as emulator:
        with pytest.raises(ConfigError, match="another emulator uses this state file"), serving(state=state):
            pass
        with pytest.raises(ConfigError, match="another emulator uses this state file") as raised:
            run(0, "key", state=state)
        assert "\n" not in str(raised.value)
        assert read(emulator, "/companies")["totalResults"] == 1


def test_a_file_that_is_no_state_is_left_alone(tmp_path: Path) -> None:
    """Text, another program's database, a state of another version, a place that isn't there."""
    text = tmp_path / "connections.yaml"
    text.write_text("version: 1\n" * 100)
    foreign, newer = tmp_path / "foreign.db", tmp_path / "newer.db"
    for path, statement in [(foreign, "CREATE TABLE a (b)"), (newer, "PRAGMA user_version = 99")]:
        database = sqlite3.connect(path)
        database.execute(statement)
        database.commit()
        database.close()

    for path in (text, foreign, newer, tmp_path / "nowhere" / "state.db", tmp_path):
        with pytest.raises(ConfigError, match="can't be used as the emulator's state") as raised:
            run(0, "key", state=path)
        assert str(raised.value).startswith(f"{path}: ")
        assert "\n" not in str(raised.value)
    assert text.read_text() == "version: 1\n" * 100
