"""What `codat-iac init` finds out before it does anything, and what it shows of a tenant."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.cli.setup.answers import Answers, Flags, Interview
from codat_iac.cli.setup.overview import overview
from codat_iac.cli.setup.questions import Questions
from codat_iac.cli.setup.steps import lay_out, next_steps
from codat_iac.emulator import Emulator
from codat_iac.model.connection import Company
from codat_iac.model.errors import ConfigError, NotCodat, Unauthorized
from codat_iac.stack.importing.discovery import Filters
from codat_iac.stack.new_project.existing import Existing
from codat_iac.stack.stack import PASSPHRASE
from tests.support.builders import a_live, connected

VARIABLES = (
    "CODAT_API_KEY",
    "CODAT_BASE_URL",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is meant for us; what is set while a test runs goes with it."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@dataclass
class Person(Questions):
    """Somebody who answers: what stands in `says` by the beginning of the question, else the default."""

    says: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def asks(self) -> bool:
        """Yes."""
        return True

    def _answer(self, question: str, default: str) -> str:
        self.asked.append(question)
        return next((text for start, text in self.says.items() if question.startswith(start)), default)

    def text(self, question: str, default: str, choices: Sequence[str] = ()) -> str:
        """Answer."""
        answer = self._answer(question, default)
        assert not choices or answer in choices
        return answer

    def secret(self, question: str, otherwise: str, *, confirm: bool = False) -> str:  # noqa: ARG002
        """Answer."""
        return self._answer(question, "twice" if confirm else "once")

    def yes(self, question: str, *, default: bool) -> bool:
        """Answer."""
        return self._answer(question, "yes" if default else "no") == "yes"


def a_pulumi(folder: Path, says: str = "") -> Path:
    """Return a `pulumi` that is logged in to the backend *says*, or to none."""
    path = folder / "pulumi"
    answer = f'echo \'{{"url": "{says}"}}\'' if says else "echo 'error: not logged in' >&2; exit 1"
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    return path


@dataclass
class World:
    """An empty folder, and a `pulumi` without a login."""

    folder: Path
    pulumi: Path

    def interview(self, questions: Questions, **flags: object) -> Interview:
        """Begin."""
        return Interview(Flags(**flags), Existing.read(self.folder), self.pulumi, questions)  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty folder `my shop`."""
    (tmp_path / "My Shop").mkdir()
    return World(tmp_path / "My Shop", a_pulumi(tmp_path))


@pytest.fixture
def key(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of the emulator, in the environment as its URL is."""
    monkeypatch.setenv("CODAT_API_KEY", emulator.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", emulator.url)
    return emulator.api_key


# Without questions.


def test_without_a_person_all_that_is_missing_is_said_at_once(world: World) -> None:
    """Each with how to give it; nothing is read."""
    with pytest.raises(ConfigError) as refused:
        world.interview(Questions()).answers()

    said = str(refused.value)
    assert said.startswith(
        "nobody can be asked here; give CODAT_API_KEY in the environment; PULUMI_BACKEND_URL or"
    )
    for needed in ("--backend", "--local", "PULUMI_CONFIG_PASSPHRASE", "--yes"):
        assert needed in said


@pytest.mark.usefixtures("key")
def test_with_yes_each_question_has_its_default(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is the folder's; nothing is imported where nothing is."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")

    answers = world.interview(Questions(assume=True), local=True).answers()

    assert (answers.name, answers.stack, answers.backend) == ("my-shop", "dev", "file://./.pulumi-state")
    assert (answers.base_url, answers.recipes, answers.imported, answers.key_in_config) == (
        "",
        {},
        None,
        False,
    )


@pytest.mark.usefixtures("key")
def test_flags_say_everything(world: World, emulator: Emulator, acme: str) -> None:
    """A secrets provider needs no passphrase; a base URL that is given is written."""
    connected(emulator, acme)
    flags = {
        "name": "shop",
        "stack": "org/prod",
        "base_url": f"{emulator.url}/",
        "backend": "s3://bucket",
        "secrets_provider": "awskms://alias/x",
        "key_in_config": True,
        "forge": "github",
        "companies": ("Acme",),
    }

    answers = world.interview(Questions(assume=True), **flags).answers()

    assert (answers.name, answers.stack, answers.backend) == ("shop", "org/prod", "s3://bucket")
    assert (answers.base_url, answers.secrets_provider) == (emulator.url, "awskms://alias/x")
    assert answers.key_in_config
    assert all(path.startswith(".github/") for path in answers.recipes)
    assert answers.recipes
    assert answers.imported == Filters(("Acme",))


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"everything": True, "nothing": True}, "exclude each other; give one of them"),
        ({"companies": ("a",), "nothing": True}, "exclude each other; give one of them"),
        ({"local": True, "backend": "s3://b"}, "leave out --backend, or --local"),
        ({"base_url": "http://codat.example"}, "use https"),
        ({"backend": "postgres://me:s3cret@host/db"}, "holds a password.+; set PULUMI_BACKEND_URL to it"),
        ({"backend": "postgres://host/db?password=s3cret"}, "holds a password.+; set PULUMI_BACKEND_URL to"),
        (
            {"backend": "postgres://host/db?a=1&PASSWORD=s3cret"},
            "holds a password.+; set PULUMI_BACKEND_URL to",
        ),
        ({"backend": "postgres://me:s3/cr@t@host/db"}, "holds a password.+; set PULUMI_BACKEND_URL to it"),
        ({"backend": "bucket"}, "the backend is no URL, such as"),
        ({"name": "no name"}, "'no name' is no name for a project; use letters"),
    ],
)
def test_flags_that_can_not_be_are_refused(world: World, flags: dict[str, object], reason: str) -> None:
    """Before anything is asked or read."""
    with pytest.raises(ConfigError, match=reason) as refused:
        world.interview(Questions(assume=True), **flags).answers()
    assert "s3cret" not in str(refused.value)


def test_a_backend_of_the_environment_is_not_contradicted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi would take that one."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://a")

    with pytest.raises(ConfigError, match="_URL is another backend, which Pulumi prefers; unset it"):
        world.interview(Questions(assume=True), backend="s3://b").answers()


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("odd", ["#", "?", "%"])
def test_a_folder_that_pulumi_misreads_is_refused_for_a_state(world: World, odd: str) -> None:
    """Its path would be a part of the backend's URL, and mean another folder."""
    place = world.folder / f"a{odd}1"
    place.mkdir()

    with pytest.raises(ConfigError, match=r"whose path has a .; take another folder for the project"):
        World(place, world.pulumi).interview(Questions(assume=True), local=True, nothing=True).answers()


# The key.


def test_a_wrong_key_is_known_before_more_is_asked(world: World, emulator: Emulator) -> None:
    """It is asked for where nobody sees it, and it is in no message."""
    person = Person(says={"The API key": "wr0ng"})

    with pytest.raises(Unauthorized) as refused:
        world.interview(person, base_url=emulator.url).answers()

    assert "wr0ng" not in str(refused.value)
    assert [question[:11] for question in person.asked] == ["The API key"]


def test_a_wrong_base_url_is_one_line(world: World, emulator: Emulator, key: str) -> None:
    """It is no matter of the key."""
    with pytest.raises(NotCodat, match="404"):
        world.interview(Person(), base_url=f"{emulator.url}/v2").answers()
    assert key


@pytest.mark.usefixtures("key")
def test_the_tenant_is_shown(
    world: World, emulator: Emulator, acme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Companies, and connections by platform and status."""
    connected(emulator, acme, "gbol")
    connected(emulator, acme, "fztf", "PendingAuth")

    world.interview(Person()).answers()

    shown = capsys.readouterr().err
    assert f"{emulator.url} takes the API key. The tenant has:\n1 company, 2 connections\n" in shown
    assert "Xero (gbol)     1 Linked\n" in shown


# Questions.


@pytest.mark.usefixtures("key")
def test_a_person_is_asked_for_what_is_not_said(world: World, emulator: Emulator, acme: str) -> None:
    """In this order, each once; the passphrase of a new stack twice."""
    connected(emulator, acme)
    person = Person(says={"Import": "Acme", "Keep": "yes", "A recipe": "github", "The stack's name": "prod"})

    answers = world.interview(person).answers()

    assert [question.split(";")[0].split(" (")[0] for question in person.asked] == [
        "The project's name",
        "Its URL",
        "The stack's name",
        "The stack's passphrase, for its secrets",
        "Keep the API key in the stack's config, encrypted? Else set CODAT_API_KEY for each run",
        "A recipe for CI",
        "Import: all, none, or a company's name or id",
    ]
    assert (answers.backend, answers.stack) == ("file://./.pulumi-state", "prod")
    assert os.environ[PASSPHRASE] == "twice"
    assert answers.key_in_config
    assert answers.recipes
    assert answers.imported == Filters(("Acme",))


@pytest.mark.parametrize(("says", "imported"), [("all", Filters()), ("none", None)])
@pytest.mark.usefixtures("key")
def test_an_import_may_be_of_all_or_of_nothing(
    world: World, emulator: Emulator, acme: str, says: str, imported: Filters | None
) -> None:
    """These two words are no companies; another backend is its URL."""
    connected(emulator, acme)

    answers = world.interview(Person(says={"Import": says, "Its URL": "https://api.pulumi.com"})).answers()

    assert answers.imported == imported
    assert answers.backend == "https://api.pulumi.com"
    assert PASSPHRASE not in os.environ


@pytest.mark.parametrize("flags", [{"nothing": True}, {"everything": True}])
@pytest.mark.usefixtures("key")
def test_what_a_flag_says_is_not_asked(
    world: World, emulator: Emulator, acme: str, flags: dict[str, object]
) -> None:
    """Nor for a passphrase, if it is in a file."""
    os.environ[f"{PASSPHRASE}_FILE"] = "file"
    connected(emulator, acme)
    person = Person()

    answers = world.interview(person, **flags).answers()

    assert answers.imported == (None if flags.get("nothing") else Filters())
    assert not any(question.startswith(("Import", "The stack's pass")) for question in person.asked)


@pytest.mark.usefixtures("key")
def test_a_project_that_is_there_is_not_asked_for_what_it_says(world: World) -> None:
    """Its name, its backend, its recipes, and whether its stack has the key or a secrets provider."""
    (world.folder / "Pulumi.yaml").write_text(
        "name: clients\nruntime: python\nbackend: {url: s3://bucket}\nconfig: {codat:baseUrl: https://b}\n"
    )
    config = "secretsprovider: awskms://x\nconfig:\n  codat:apiKey:\n    secure: v1\n"
    (world.folder / "Pulumi.dev.yaml").write_text(config)
    person = Person()

    answers = world.interview(person).answers()

    assert [question.split("'")[0] for question in person.asked] == ["The stack"]
    assert (answers.name, answers.backend, answers.key_in_config) == ("clients", "", False)


@pytest.mark.usefixtures("key")
def test_the_login_of_pulumi_is_a_backend(world: World, tmp_path: Path) -> None:
    """It need not be said anywhere; one with a passphrase asks for that, once if the stack is there."""
    world.pulumi = a_pulumi(tmp_path, "file://~")
    (world.folder / "Pulumi.dev.yaml").write_text("encryptionsalt: v1\n")
    person = Person()

    answers = world.interview(person).answers()

    assert answers.backend == ""
    assert os.environ[PASSPHRASE] == "once"


def test_the_base_url_of_the_project_holds(world: World, emulator: Emulator, key: str) -> None:
    """As in every later run."""
    del os.environ["CODAT_BASE_URL"]
    (world.folder / "Pulumi.yaml").write_text(f"name: x\nconfig: {{codat:baseUrl: '{emulator.url}'}}\n")

    assert world.interview(Person()).answers().tenant.companies == ()
    assert key


def test_codats_own_base_url_need_not_be_said(world: World) -> None:
    """Not in Pulumi.yaml."""
    interview = world.interview(Questions(assume=True), base_url="https://api.codat.io/")

    assert interview._base_url() == ""
    assert os.environ["CODAT_BASE_URL"] == "https://api.codat.io"


# How a person is asked.

ASKS = """
import sys, termios
from codat_iac.cli import streams
streams.prepare()
from codat_iac.cli.setup.questions import Questions
questions = Questions()
assert questions.asks
questions.require()
answers = (
    questions.text("Name", "shop"),
    questions.text("Forge", "none", ["github", "none"]),
    questions.secret("Key", ""),
    questions.secret("Passphrase", "", confirm=True),
    questions.yes("Sure?", default=False),
)
print(answers)
try:
    questions.text("More", "")
except Exception as error:
    print(type(error).__name__)
"""


def test_a_person_is_asked_on_the_terminal() -> None:
    """Secrets aren't shown, and no answer is the default; a terminal that closes is an interrupt."""
    leader, follower = os.openpty()
    start = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{ASKS}"
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    shown = b""
    typed = [
        (b"Name [shop]: ", b" mine \n"),
        (b"Forge (github, none) [none]: ", b"\n"),
        (b"Key: ", b"s3cret\n"),
        (b"Passphrase: ", b"\n"),
        (b"Repeat for confirmation: ", b"\n"),
        (b"Sure? [y/N]: ", b"y\n"),
        (b"More []: ", b"\x04"),
    ]
    for prompt, answer in typed:
        while not shown.endswith(prompt):
            shown += os.read(leader, 4096)
        os.write(leader, answer)
    out, _ = process.communicate(timeout=60)
    os.close(leader)

    assert out.decode() == "('mine', 'none', 's3cret', '', True)\nAbort\n"
    assert b"s3cret" not in shown


# The overview.


def test_an_overview_counts_by_platform_and_status() -> None:
    """The most used first; a platform whose name isn't known has its key, one without a key says so."""
    live = [
        a_live(1, "Unlinked", platform_key="gbol"),
        a_live(2, platform_key="gbol"),
        a_live(3, platform_key="fztf"),
        a_live(4, "New\nStatus", platform_key=None),
    ]

    shown = overview([Company("a", "A"), Company("b", "B")], live, {"gbol": "Xero"})

    assert shown.splitlines() == [
        "2 companies, 4 connections",
        "  Xero (gbol)       1 Linked, 1 Unlinked",
        "  unknown platform  1 New Status",
        "  fztf              1 Linked",
    ]


def test_an_overview_of_an_empty_tenant_and_of_many_platforms() -> None:
    """One line, or as many as fit on a screen."""
    assert overview([], [], {}) == "0 companies, 0 connections"
    many = [a_live(number, platform_key=f"a{number:03}") for number in range(1000, 1022)]
    assert overview([], many, {}).splitlines()[-1] == "  and 2 connections on 2 other platforms"
    assert overview([], many[:21], {}).splitlines()[-1] == "  and 1 connection on 1 other platform"


# What is done without an engine, and said in the end.


def test_without_an_engine_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line, before anything is asked."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    assert run(["init", "--cwd", str(tmp_path)]) == 1

    told = "codat-iac: there is no usable Pulumi engine yet; run: codat-iac engine install\n"
    assert capfd.readouterr().err == told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("key")
def test_files_are_written_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What is written, and what is left, is said; a virtualenv of one's own is tried."""
    (world.folder / ".gitignore").write_text("mine\n")
    (world.folder / ".venv").symlink_to(sys.prefix)
    os.environ["PULUMI_BACKEND_URL"] = "https://pulumi.example"
    interview = world.interview(Questions(assume=True))
    answers = interview.answers()

    for existing in (interview.existing, Existing.read(world.folder)):
        lay_out(existing, answers)

    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if line.startswith(("written: ", "there already", "note: "))]
    rest = "requirements.txt, connections.yaml, connections.schema.json, __main__.py, Pulumi.yaml"
    note = "note: .gitignore doesn't name .venv, __pycache__/, .pulumi-state/; add what git should not take"
    assert lines == [
        f"written: {rest}",
        "there already, and left as it is: .gitignore",
        note,
        f"there already, and left as it is: .gitignore, {rest}",
        note,
    ]


@pytest.mark.usefixtures("key")
def test_a_virtualenv_that_can_not_run_the_program_is_refused(world: World) -> None:
    """With what to do; and one that another project names is not ours to make."""
    (world.folder / "Pulumi.yaml").write_text(
        "runtime: {name: python, options: {virtualenv: env}}\noptions: {refresh: always}\n"
        "config: {codat:desired: c.yaml}\n"
    )
    os.environ["PULUMI_BACKEND_URL"] = "https://pulumi.example"
    interview = world.interview(Questions(assume=True))

    with pytest.raises(ConfigError, match=r"env, the virtualenv of .+ isn't there; .+, and run this again"):
        lay_out(interview.existing, interview.answers())

    assert not (world.folder / ".venv").exists()


@pytest.mark.usefixtures("key")
def test_what_comes_next_is_what_is_needed(world: World) -> None:
    """Only what this run had from the environment, and a file doesn't say."""
    os.environ["PULUMI_BACKEND_URL"] = "https://pulumi.example"
    interview = world.interview(Questions(assume=True))
    answers = interview.answers()

    def said(answers: Answers, environment: dict[str, str], *, on_path: bool) -> list[str]:
        return list(next_steps(interview.existing, answers, environment, on_path=on_path))

    assert said(answers, {}, on_path=True) == ["next: pulumi preview"]
    local = dataclasses.replace(
        answers, backend="file://./.pulumi-state", base_url="http://x", key_in_config=True, manual="README.md"
    )
    given = {"CODAT_API_KEY": "k", "CODAT_BASE_URL": "u", PASSPHRASE: ""}
    assert said(local, given, on_path=False) == [
        'to have `pulumi` on PATH: export PATH="$(dirname "$(codat-iac engine path)"):$PATH"',
        "Pulumi's state is in .pulumi-state, on this machine alone: CI and colleagues can't see it",
        f"set for each run, also in CI: {PASSPHRASE}",
        "what the recipe for CI needs: README.md",
        "next: pulumi preview",
    ]
