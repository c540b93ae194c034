"""`codat-iac doctor`: what breaks a run is a problem, with what to do. See `stack/test_engine.py` too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.emulator import Emulator, serving
from codat_iac.stack import engine
from tests.support.builders import a_desired, a_prior
from tests.support.project import Project, connections
from tests.support.raw_server import answering, http, page

pytestmark = pytest.mark.engine

Doctor = Callable[..., list[str]]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulated Codat for all."""
    with serving(api_key="c4nary-0f-an-api-key-that-is-n0where-else") as running:
        yield running


@pytest.fixture(scope="module")
def shared(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a recorded connection, in which all is well."""
    company_id = str(emulator.add_company("Acme")["id"])
    project = Project(tmp_path_factory.mktemp("a") / "project", emulator)
    project.declare(connections(company_id, "ledger: {platformKey: gbol}"))
    project.record([a_prior(1, a_desired(company_id=company_id), "PendingAuth")])
    return project


@pytest.fixture
def doctor(shared: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the doctor in the project, or where it is told, and returns what it finds; its exit code fits."""
    for name, value in shared.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(shared.folder)

    def examine(*arguments: str) -> list[str]:
        code = run(["doctor", "--stack", "dev", *arguments])
        out, err = capfd.readouterr()
        assert err == ""
        assert code == int("\nproblem " in f"\n{out}")
        return out.splitlines()

    return examine


def problems(found: list[str]) -> list[str]:
    """Return what is wrong, without the word."""
    return [line.removeprefix("problem").strip() for line in found if line.startswith("problem")]


@pytest.mark.slow
def test_where_all_is_well_it_says_what_it_looked_at(doctor: Doctor, shared: Project) -> None:
    """Engine, Python, stack, secrets, config, state, file, and Codat with its quota."""
    found = doctor()

    assert problems(found) == []
    said = "\n".join(found)
    for what in (
        "pulumi-language-python starts here",
        "bin/python runs the project's program",
        f"{shared.folder} is a project, and dev its stack",
        "a run can encrypt secrets",
        "the stack's config can be read; settings: 1",
        "the stack's state can be read; connections: 1",
        "connections.yaml is in order; connections: 1",
        f"{shared.emulator.url} takes the API key; ",
        "are left of today's quota",
    ):
        assert what in said


def test_outside_of_a_project_it_looks_at_the_rest(doctor: Doctor, tmp_path: Path) -> None:
    """Which is no problem, and the key comes from the environment."""
    found = doctor("--cwd", str(tmp_path))

    assert problems(found) == []
    assert f"note     there is no project to look at: no Pulumi.yaml in {tmp_path}" in "\n".join(found)
    assert "takes the API key" in found[-1]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PULUMI_CONFIG_PASSPHRASE", "another", "has another passphrase than stack dev; set it to the one"),
        ("PULUMI_BACKEND_URL", "file:///nowhere", "a run can't encrypt secrets here: `pulumi config set`"),
        ("CODAT_API_KEY", "", "no API key: set CODAT_API_KEY"),
        ("CODAT_API_KEY", "wrong", "check the API key (CODAT_API_KEY"),
        ("CODAT_BASE_URL", "http://127.0.0.1:1", "connection refused"),
    ],
)
def test_each_thing_that_breaks_a_run_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """With what to do. What depends on it isn't looked at."""
    monkeypatch.setenv(variable, value)

    (problem,) = problems(doctor())

    assert said in problem


@pytest.mark.slow
def test_a_missing_passphrase_is_a_problem(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if nothing in the stack is a secret so far: an update writes one."""
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")

    (problem,) = problems(doctor())

    assert "none is given; set PULUMI_CONFIG_PASSPHRASE" in problem


@pytest.mark.slow
def test_a_stack_that_isnt_there_is_a_problem(doctor: Doctor) -> None:
    """In Pulumi's words."""
    (problem,) = problems(doctor("--stack", "nowhere"))

    assert "no stack named 'nowhere' found" in problem


@pytest.mark.slow
def test_every_problem_of_the_file_is_one(doctor: Doctor, shared: Project) -> None:
    """With line and column."""
    file = shared.folder / "connections.yaml"
    before = file.read_text()
    shared.declare("companies: {acme: {id: 7, connections: {a: {platform: x}}}}\n")
    found = problems(doctor())
    file.write_text(before)

    assert len(found) > 1
    assert all(line.startswith("connections.yaml, line 2, column ") for line in found)


@pytest.mark.slow
def test_without_an_engine_that_is_the_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And all that needs one waits."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    (problem,) = problems(doctor())

    assert problem.endswith("run `codat-iac engine install`")
    assert engine.find() is None


def a_date(*, hours: int) -> str:
    """The header of a server whose clock is so many hours ahead, and the seconds that an answer may take."""
    return format_datetime(datetime.now(UTC) + timedelta(hours=hours, seconds=20), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Date": a_date(hours=-2)}, ["ahead of Codat's; set it"]),
        ({"Date": a_date(hours=2)}, ["behind Codat's; set it"]),
        ({"Date": "yesterday", "X_Rate_Limit_Remaining": "3"}, []),
        ({"X_Rate_Limit_Remaining": "0"}, ["no request is left of today's quota; wait until it is reset"]),
    ],
)
def test_what_codat_answers_says_of_the_clock_and_the_quota(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, headers: dict[str, str], said: list[str]
) -> None:
    """Waits are counted by the one, and a run needs some of the other."""
    with answering(http(page(), 200, **headers)) as server:
        monkeypatch.setenv("CODAT_BASE_URL", server.url)
        found = problems(doctor("--cwd", str(tmp_path)))

    assert len(found) == len(said)
    assert all(what in line for what, line in zip(said, found, strict=True))
