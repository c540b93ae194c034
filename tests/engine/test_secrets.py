"""The key and the one-time passwords: how every test with a project looks for them, and where else."""

from __future__ import annotations

import base64
import time
from typing import cast

import pytest

from codat_iac import Client
from codat_iac.emulator import Emulator
from tests.support.project import KEY, Project, Started, connections, leaked
from tests.support.waiting import descendants

LEDGER = "ledger: {platformKey: gbol}"
ONE_TIME = "a one-time password"


# The search itself.


def test_the_key_is_found_in_each_form() -> None:
    """As it is, and in base64 wherever it stands in a longer text, as in a serialised provider."""
    key = "c4nary-of-a-key"
    for before in ("", "a", "ab", "abc", "a longer text before it"):
        text = base64.b64encode(f"{before}{key} and more".encode()).decode()
        assert list(leaked(f'{{"x": "{text}"}}', key)) == [KEY]

    assert list(leaked(f"the key {key}.", key)) == [KEY]
    assert list(leaked("the key c4nary-of-a-kex, YzRuYXJ5LW9mLWEta2V4", key)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://link-api.codat.io/start?otp=abc", [ONE_TIME]),
        ("link.OTP=abc", [ONE_TIME]),
        ("next=%2Fstart%3Fotp%3Dabc", [ONE_TIME]),
        ('"start?otp\\u003dabc"', [ONE_TIME]),
        ("start?otp=***", []),
        ("", []),
    ],
)
def test_a_one_time_password_is_found_by_its_name(text: str, found: list[str]) -> None:
    """In the forms that a URL and JSON give it; what is hidden is none."""
    assert list(leaked(text, "key")) == found


def test_a_one_time_password_is_found_without_its_name(emulator: Emulator, acme: str) -> None:
    """By the form that the emulator gives them, a connection's and a company's."""
    client = Client(emulator.api_key, emulator.url)
    texts = [client.create(acme, "gbol").link_url, client.get_company(acme).redirect]

    for text in texts:
        assert list(leaked(text.rpartition("=")[2], emulator.api_key)) == [ONE_TIME]


@pytest.mark.slow
@pytest.mark.engine
def test_the_search_after_each_test_finds_what_is_left(project: Project, acme: str) -> None:
    """In what a command says, on either stream, and in what it leaves, but for where one is asked for."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    assert project.codat_iac("links").code == 0
    assert project.codat_iac("links", "--out", "links.csv", "-o", "csv").code == 0
    assert "otp=" in (project.folder / "links.csv").read_text()
    assert project.leaks() == []

    secrets = f"{project.emulator.api_key} otp=abc"
    (project.folder / "state" / "note").write_text(secrets)
    (project.folder / "Pulumi.dev.yaml").write_text(secrets)
    (project.folder / "links.csv").write_text(secrets)
    said = list(project.said)
    project.said += [
        (("codat-iac", "plan"), "otp=abc", secrets),
        (("codat-iac", "links"), secrets, "otp=abc"),
    ]
    leaks = sorted(project.leaks())
    for name in ("state/note", "Pulumi.dev.yaml", "links.csv"):
        (project.folder / name).unlink()
    project.said[:] = said

    assert leaks == [
        "Pulumi.dev.yaml: a one-time password",
        "Pulumi.dev.yaml: the API key",
        "codat-iac links: a one-time password",
        "codat-iac links: the API key",
        "codat-iac plan: a one-time password",
        "codat-iac plan: a one-time password",
        "codat-iac plan: the API key",
        "links.csv: the API key",
        "state/note: a one-time password",
        "state/note: the API key",
    ]


# Arguments of processes, which every user of a machine can read.


def arguments_until_the_end(process: Started) -> set[str]:
    """The command lines of *process* and of all that it starts, while it runs."""
    seen = {" ".join(cast("list[str]", process.args))}
    while process.poll() is None:
        seen.update(line for _, line in descendants(process.pid))
        time.sleep(0.05)
    return seen


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("door", ["pulumi", "codat-iac"])
def test_no_secret_is_an_argument_of_a_process(project: Project, acme: str, door: str) -> None:
    """Of the engine, of the program, or of what `codat-iac apply` starts, while a POST is under way."""
    project.declare(connections(acme, LEDGER))
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": "delay", "seconds": 1}])
    start = project.start if door == "pulumi" else project.start_codat_iac
    process = start("up" if door == "pulumi" else "apply", "--yes")
    seen = arguments_until_the_end(process)
    out, _ = process.communicate(timeout=240)

    assert process.returncode in {0, 3}, out
    assert project.writes() == ["POST 200"]
    assert any("pulumi" in line and " up " in line for line in seen)
    assert any("pulumi.dynamic" in line for line in seen)
    assert any("python" in line for line in seen)
    assert [line for line in seen if list(leaked(line, project.emulator.api_key))] == []
