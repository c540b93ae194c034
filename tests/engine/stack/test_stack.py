"""Pulumi as seen from the command line: a project's stack, its state and its config."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator, serving
from codat_iac.model.connection import RESOURCE_TYPE, OnRemoval
from codat_iac.model.errors import ConfigError, EngineError
from codat_iac.model.record import recorded
from codat_iac.stack import engine
from codat_iac.stack.project import state_file
from codat_iac.stack.stack import PASSPHRASE, Stack, StackError, StackLocked, WrongPassphrase
from tests.support.project import Project, connections
from tests.support.waiting import PATIENCE, until

# Where it is.


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without an engine, and a folder in it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_folder_outside_of_any_project_is_said_so(nowhere: Path) -> None:
    """With what to do; the engine isn't even looked for."""
    with pytest.raises(ConfigError, match=r"^no Pulumi.yaml in .* or above it; run this in a Pulumi project"):
        Stack.open(nowhere)


def test_a_machine_without_an_engine_is_said_so(nowhere: Path) -> None:
    """The project was found in a folder above."""
    (nowhere / "Pulumi.yml").touch()
    (nowhere / "deep").mkdir()

    with pytest.raises(EngineError, match="run: codat-iac engine install"):
        Stack.open(nowhere / "deep", "dev")


@pytest.mark.parametrize("name", ["dev", "acme/dev", "acme/shop/dev"])
def test_a_stacks_short_name_is_the_one_in_its_urns(name: str) -> None:
    """However much of its organization and project the user named."""
    assert Stack(Path(), name, Path("pulumi")).short_name == "dev"


@pytest.fixture
def a_pulumi(tmp_path: Path) -> Path:
    """Where a program may stand that is run in the place of `pulumi`."""
    return tmp_path / "pulumi"


def standing_in(path: Path, script: str) -> Stack:
    """A stack whose `pulumi` is a shell script, but for its version."""
    path.write_text(f'#!/bin/sh\n[ "$1" = version ] && exec echo v3.259.0\n{script}\n')
    path.chmod(0o755)
    return Stack(path.parent, "dev", path)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("echo 'error: no passphrase' >&2; exit 255", "no passphrase", id="an error"),
        pytest.param("echo 'error: on stdout'; exit 1", "on stdout", id="an error on stdout"),
        pytest.param(
            "echo 'warning: old'>&2; echo 'error: this' >&2; echo 'error: that'; echo 'error: this'; exit 1",
            "this that",
            id="several, each once",
        ),
        pytest.param("printf 'panic:\\n  at  home\\n' >&2; exit 2", "panic: at home", id="other words"),
        pytest.param(
            "printf 'Please report it\\nPanic:   no home\\n\\ngoroutine 1' >&2; exit 2",
            "no home",
            id="a panic",
        ),
        pytest.param(
            "echo 'error: update failed: Traceback (most recent call last):'\n"
            "echo '    error: Traceback (most recent call last):'\n"
            "echo '      File x, line 1'\necho '    ImportError: no such thing'\n"
            "echo\necho 'Resources:'\necho '    1 errored'\nexit 1",
            "update failed: ImportError: no such thing",
            id="a traceback",
        ),
        pytest.param(
            "echo '    error: Program failed with an unhandled exception:'\n"
            "echo '    Traceback (most recent call last):'\necho '      File x, line 1'\n"
            "echo '    ImportError: no such thing'\necho\necho 'Resources:'\necho '    1 errored'\nexit 1",
            "Program failed with an unhandled exception: ImportError: no such thing",
            id="a traceback below its error",
        ),
        pytest.param(
            "echo 'error: acme/a is declared twice'\n"
            "echo 'error: an unhandled error occurred: program exited with non-zero exit code: 1'; exit 255",
            "acme/a is declared twice",
            id="a program's own error",
        ),
        pytest.param(
            "echo 'error: an unhandled error occurred: program exited with non-zero exit code: 3'; exit 255",
            "an unhandled error occurred: program exited with non-zero exit code: 3",
            id="a program without an error",
        ),
        pytest.param(
            "echo 'Importing:'; echo 'no Python with the Pulumi SDK' >&2\n"
            "echo 'error: could not read plugin [x]: exit status 1' >&2; exit 1",
            "could not read plugin [x]: exit status 1 (no Python with the Pulumi SDK)",
            id="a plugin that died",
        ),
        pytest.param(
            "echo 'error: could not read plugin [x]: EOF' >&2; exit 1",
            "could not read plugin [x]: EOF",
            id="a plugin that died in silence",
        ),
        pytest.param("echo nothing to say; exit 3", "exit status 3", id="no words"),
        pytest.param("printf 'error: caf\\303\\251 \\377' >&2; exit 1", "caf\u00e9 \ufffd", id="any bytes"),
    ],
)
def test_what_pulumi_says_is_wrong_is_said(a_pulumi: Path, script: str, words: str) -> None:
    """In one line that names the command, without its options."""
    with pytest.raises(StackError) as caught:
        standing_in(a_pulumi, script).pulumi("stack", "export", "--show-secrets")

    assert str(caught.value) == f"`pulumi stack export` failed: {words}"


INTERRUPTED = """
import sys
from pathlib import Path
from codat_iac.stack.stack import Stack

folder = Path(sys.argv[1])
try:
    Stack(folder, "dev", folder / "pulumi").pulumi("import")
except KeyboardInterrupt:
    print((folder / "log").read_text().split())
"""


@pytest.mark.parametrize(
    ("interrupts", "log"),
    [
        (1, ["began", "stopping", "ended"]),
        (2, ["began", "stopping", "ended"]),
        (3, ["began", "stopping", "killed"]),
    ],
)
def test_what_is_interrupted_has_ended_before_anything_else_is_done(
    a_pulumi: Path, interrupts: int, log: list[str]
) -> None:
    """An import is undone only when Pulumi writes nothing more; a third one ends that in the middle."""
    folder = a_pulumi.parent
    standing_in(
        a_pulumi,
        f"""cd {folder}
stop() {{
  trap 'echo killed >> log; exit 1' INT
  echo stopping >> log
  for each in 1 2 3 4 5 6 7 8 9; do sleep 0.2; done
  echo ended >> log
  exit 1
}}
trap stop INT
echo began >> log
for each in 1 2 3 4 5 6 7 8 9; do sleep 0.2; done""",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until((folder / "log").exists, "it began")
    process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in (folder / "log").read_text(), "it is stopping")
    for _ in range(interrupts - 1):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)

    assert process.communicate(timeout=PATIENCE)[0] == f"{log}\n"


def test_a_damaged_state_has_a_way_out(a_pulumi: Path) -> None:
    """Pulumi doesn't say which, and even its `stack import` wants to read the damaged one first."""
    stack = standing_in(a_pulumi, "echo 'error: failed to load checkpoint: EOF' >&2; exit 1")

    with pytest.raises(StackError, match=r"EOF; the stack's file is damaged: remove the `\.attrs`"):
        stack.export()


@pytest.mark.parametrize(
    ("backend", "stack", "what", "remedy"),
    [
        (
            "file:///nowhere",
            None,
            "unable to open state directory",
            "make that folder, or correct PULUMI_BACKEND_URL",
        ),
        ("s3://", None, "unable to open bucket", "correct PULUMI_BACKEND_URL"),
        (
            "https://127.0.0.1:1",
            None,
            "PULUMI_ACCESS_TOKEN must be set",
            "set it, or name another backend by",
        ),
        (None, "nobody", "no stack named 'nobody' found", "`pulumi stack ls` lists those of this project"),
    ],
    ids=["a folder", "a bucket", "a service", "a stack"],
)
def test_what_pulumi_says_of_a_backend_comes_with_what_to_do(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    backend: str | None,
    stack: str | None,
    what: str,
    remedy: str,
) -> None:
    """Pulumi itself says only what it didn't find."""
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    if backend:
        monkeypatch.setenv("PULUMI_BACKEND_URL", backend)

    with pytest.raises(StackError) as caught:
        Stack.open(project.folder, stack).config()

    assert what in str(caught.value)
    assert f"; {remedy}" in str(caught.value)


def a_state_of(value: object) -> str:
    """A state with one connection whose output `platformName` is *value*."""
    ours = {"urn": "u", "type": RESOURCE_TYPE, "id": "1", "outputs": {"platformName": value}}
    return json.dumps({"deployment": {"resources": [ours]}})


SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""How a state marks a secret."""


def test_a_connection_with_a_secret_is_exported_as_text(a_pulumi: Path) -> None:
    """A program of one's own may have made its output one; nobody can read it else."""
    closed = a_state_of({**SECRET, "ciphertext": "v1:x"})
    opened = a_state_of({**SECRET, "plaintext": '"Xero"'})
    script = (
        f'echo "$@" >> {a_pulumi.parent}/asked\n'
        f"case \"$*\" in *--show-secrets*) echo '{opened}';; *) echo '{closed}';; esac"
    )

    state = standing_in(a_pulumi, script).export()

    assert state == json.loads(opened)
    asked = (a_pulumi.parent / "asked").read_text().splitlines()
    assert ["--show-secrets" in line for line in asked] == [False, True]


def test_a_state_without_secrets_of_ours_is_exported_as_it_is(a_pulumi: Path) -> None:
    """What else a stack keeps secret is none of our business, so it is not decrypted."""
    other = {
        "urn": "o",
        "type": "x:y:Z",
        "id": "2",
        "outputs": {"password": {**SECRET, "ciphertext": "v1:x"}},
    }
    state = json.loads(a_state_of("Xero"))
    state["deployment"]["resources"].append(other)
    script = f"case \"$*\" in *--show-secrets*) exit 1;; *) echo '{json.dumps(state)}';; esac"

    assert standing_in(a_pulumi, script).export() == state


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_locked_stack_is_told_from_other_failures(a_pulumi: Path, stream: str) -> None:
    """Whoever holds it is asked of this machine: the dead are named, the living are waited for."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    words = "error: the stack is currently locked by 1 lock(s)\\n  file:///x: created by jo@{} (pid {}) at 9"

    def caught(host: str, pid: int) -> StackLocked:
        script = f"printf '{words.format(host, pid)}\\n' >&{stream}; exit 255"
        with pytest.raises(StackLocked) as raised:
            standing_in(a_pulumi, script).pulumi("import", "--yes")
        return raised.value

    left = caught(socket.gethostname(), process.pid)
    assert left.dead == f"pid {process.pid}"
    assert "run `pulumi cancel --yes --stack dev`" in str(left)
    assert [lock.pid for lock in left.locks] == [process.pid]
    assert caught(socket.gethostname(), os.getpid()).dead == ""
    assert caught("another." + socket.gethostname(), process.pid).dead == ""


def test_pulumi_is_asked_as_a_program_and_not_as_a_person(a_pulumi: Path) -> None:
    """Of this stack, in the project's folder, without colours or questions."""
    script = 'echo "$@"; pwd; echo "$CODAT_X $PULUMI_SKIP_UPDATE_CHECK"; read answer || echo no answer'

    output = standing_in(a_pulumi, script).pulumi("stack", "export", environment={"CODAT_X": "1"})

    assert output.splitlines() == [
        "stack export --stack dev --non-interactive --color never",
        str(a_pulumi.parent),
        "1 true",
        "no answer",
    ]


def test_an_interrupt_lets_pulumi_finish(a_pulumi: Path) -> None:
    """It reaches it once, and this process ends when it has unlocked the stack."""
    folder = a_pulumi.parent
    standing_in(
        a_pulumi,
        f"trap 'echo once >> {folder}/told; sleep 0.3; touch {folder}/unlocked; exit 1' INT\n"
        f"sleep 0.5; touch {folder}/running\nwhile :; do sleep 0.05; done",
    )
    program = (
        "from pathlib import Path; from codat_iac.stack.stack import Stack\n"
        f"Stack(Path({str(folder)!r}), 'dev', Path({str(a_pulumi)!r})).export()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (folder / "running").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert (folder / "unlocked").exists()
    assert (folder / "told").read_text() == "once\n"
    assert errors.rstrip().endswith("KeyboardInterrupt")


# The real one.


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a stack `dev` that holds a connection, and a stack `empty`."""
    with serving() as emulator:
        project = Project(tmp_path_factory.mktemp("stack") / "project", emulator)
        acme = str(emulator.add_company("Acme")["id"])
        project.declare(connections(acme, "ledger: {platformKey: gbol, onRemoval: retain}"))
        project.settle("--skip-preview")
        project.pulumi("stack", "init", "empty")
        project.pulumi("stack", "select", "dev")
        project.pulumi("config", "set", "--secret", "codat:apiKey", "a-key-of-the-stack")
        project.pulumi("config", "set", "codat:requestsPerMinute", "7")
        (project.folder / "deep").mkdir()
        yield project


@pytest.fixture
def opened(shop: Project, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Its selected stack, opened from a folder in the project."""
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    return Stack.open(shop.folder / "deep")


@pytest.mark.slow
@pytest.mark.engine
def test_the_selected_stack_is_the_one_that_is_opened(opened: Stack, shop: Project) -> None:
    """In the folder of the project; or else the one that is named, which nobody asks for."""
    assert (opened.folder, opened.name, opened.pulumi_path) == (
        shop.folder.resolve(),
        "dev",
        engine.find(),
    )
    assert Stack.open(shop.folder, "another").name == "another"


@pytest.mark.engine
def test_the_state_is_read_as_pulumi_has_it(opened: Stack, shop: Project) -> None:
    """What was applied is what is recorded, at the URN that an apply would target."""
    (prior,) = recorded(opened.export())

    assert prior.urn == f"urn:pulumi:dev::shop::{RESOURCE_TYPE}::acme/ledger"
    assert {prior.address: prior.id} == shop.recorded()
    assert (prior.desired.on_removal, prior.status) == (OnRemoval.RETAIN, "PendingAuth")
    assert recorded(Stack.open(shop.folder, "empty").export()) == []


@pytest.mark.engine
@pytest.mark.parametrize("packed", ["true", "false"])  # it stays plain for the other tests
def test_the_states_own_file_says_what_pulumi_exports(
    opened: Stack, shop: Project, monkeypatch: pytest.MonkeyPatch, packed: str
) -> None:
    """An engine that keeps it otherwise one day is asked, as it is for a packed one."""
    monkeypatch.setenv("PULUMI_DIY_BACKEND_GZIP", packed)
    told = opened.pulumi("stack", "export")
    opened.pulumi("stack", "import", stdin=told)  # which writes the file anew
    told = json.loads(opened.pulumi("stack", "export"))

    assert state_file.exported(shop.folder, "dev") == (told if packed == "false" else None)
    assert opened.export() == told
    assert Stack.open(shop.folder, "organization/shop/dev").export() == told


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("url", ["file://../state", "file://{here}/../state"])
def test_a_way_upwards_through_a_link_leads_where_pulumi_goes(
    opened: Stack, shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """It takes `..` out of the text before it follows links, and so finds another folder than the system."""
    project, link = tmp_path / "far" / "shop", tmp_path / "near" / "shop"
    shutil.copytree(shop.folder, project)
    link.parent.mkdir()
    link.symlink_to(project)
    shutil.copytree(shop.folder / "state", link.parent / "state")
    other = shutil.copytree(shop.folder / "state", project.parent / "state")
    other = other / ".pulumi/stacks/shop/dev.json"
    other.write_text(other.read_text().replace("PendingAuth", "Linked"))
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    monkeypatch.setenv("PULUMI_BACKEND_URL", url.format(here=link))
    stack = Stack(link, "dev", opened.pulumi_path)

    assert stack.export() == json.loads(stack.pulumi("stack", "export"))
    assert [prior.status for prior in recorded(stack.export())] == ["PendingAuth"]


IMPORTED_LATE = """
import sys
from pathlib import Path
from codat_iac.stack.stack import Stack

stack = Stack.open(Path(), "dev")
before = set(sys.modules)
stack.export()
stack.check_secrets()
print([name for name in sorted(set(sys.modules) - before) if name.startswith(("codat_iac", "yaml"))])
"""


@pytest.mark.engine
def test_what_other_threads_do_with_a_stack_imports_nothing(shop: Project) -> None:
    """Meanwhile the rest is imported, and of two threads in one package one finds half of a module."""
    said = subprocess.run(
        [sys.executable, "-c", IMPORTED_LATE],
        cwd=shop.folder,
        env=shop.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.stdout, said.stderr) == ("[]\n", "")


@pytest.mark.engine
def test_the_settings_come_from_the_environment_and_then_from_the_stack(
    opened: Stack, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets are read in plain text, and the project's own config is under the stack's."""
    assert opened.settings().api_key == shop.environment["CODAT_API_KEY"]
    assert opened.settings().requests_per_minute == 7

    monkeypatch.setenv("CODAT_API_KEY", "")
    monkeypatch.setenv("CODAT_REQUESTS_PER_MINUTE", "3")

    assert opened.settings().api_key == "a-key-of-the-stack"
    assert opened.settings().requests_per_minute == 3


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("key", ["maxLosses", "acceptMissing"])
def test_a_limit_of_one_run_in_the_config_is_refused(shop: Project, opened: Stack, key: str) -> None:
    """The project's own config is under the stack's, so that is no place for it either."""
    file = shop.folder / "Pulumi.yaml"
    before = file.read_text()
    assert "config:\n" in before
    file.write_text(before.replace("config:\n", f"config:\n  codat:{key}: 1\n"))
    try:
        with pytest.raises(ConfigError, match=f"^codat:{key} is not read .* `pulumi config rm codat:{key}`"):
            opened.config()
    finally:
        file.write_text(before)

    assert opened.config()["codat:requestsPerMinute"] == "7"


@pytest.mark.engine
def test_a_key_in_the_open_is_refused(shop: Project, opened: Stack) -> None:
    """The engine would copy it into the state; the environment's own key makes no difference."""
    open_key = dataclasses.replace(opened, name="empty")
    assert "codat:apiKey" not in open_key.config()
    shop.pulumi("config", "set", "--stack", "empty", "--plaintext", "codat:apiKey", "in-the-open")

    with pytest.raises(ConfigError, match="codat:apiKey is not a secret"):
        open_key.settings()


@pytest.mark.engine
def test_the_path_of_the_desired_state_is_as_seen_from_here(
    opened: Stack, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config names it as seen from Pulumi.yaml; what reads it, and its errors, stand elsewhere."""
    monkeypatch.chdir(shop.folder / "deep")

    assert opened.desired_path() == Path("../connections.yaml")
    assert opened.desired_path({"codat:desired": "deep/all"}) == Path("all")
    with pytest.raises(ConfigError, match="no desired state: name it with"):
        opened.desired_path({})


ANOTHER = "another passphrase than stack dev; set it to the one that its secrets were encrypted with"
NONE_GIVEN = (
    f"stack dev has a passphrase, which may be empty, and none is given; set {PASSPHRASE}, or"
    f" {PASSPHRASE}_FILE"
)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({PASSPHRASE: "wrong"}, f"{PASSPHRASE} has {ANOTHER}", id="wrong"),
        pytest.param({f"{PASSPHRASE}_FILE": "wrong"}, f"{PASSPHRASE}_FILE has {ANOTHER}", id="wrong file"),
        pytest.param({}, NONE_GIVEN, id="none"),
    ],
)
def test_a_passphrase_that_doesnt_fit_is_one_line(
    opened: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    """It names the variable that it came from, for every command that asks Pulumi."""
    opened.pulumi("config", "set", "--secret", "codat:apiKey", "any")
    monkeypatch.delenv(PASSPHRASE)
    for variable, value in environment.items():
        (tmp_path / "passphrase").write_text(value)
        file = variable.endswith("_FILE")
        monkeypatch.setenv(variable, str(tmp_path / "passphrase") if file else value)

    for asked in (opened.config, opened.check_secrets):
        with pytest.raises(WrongPassphrase) as caught:
            asked()
        assert str(caught.value) == said


@pytest.mark.engine
def test_what_pulumi_itself_refuses_is_one_line(opened: Stack) -> None:
    """In its own words."""
    with pytest.raises(StackError) as caught:
        dataclasses.replace(opened, name="nobody").config()

    assert "no stack named 'nobody' found" in str(caught.value)
    assert str(caught.value).startswith("`pulumi config --json` failed: ")
    assert "\n" not in str(caught.value)


@pytest.mark.engine
def test_a_stack_that_a_variable_names_is_said_to_be_named_by_it(
    opened: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi says that none is selected, and to select one changes nothing while the variable is set."""
    monkeypatch.setenv("PULUMI_STACK", "nobody")

    with pytest.raises(StackError) as caught:
        Stack.open(opened.folder)
    assert str(caught.value) == (
        "there is no stack 'nobody', which PULUMI_STACK names; set it to one that `pulumi stack ls` lists, or"
        " unset it"
    )
    assert Stack.open(opened.folder, opened.name) == opened
    monkeypatch.setenv("PULUMI_STACK", "dev")
    assert Stack.open(opened.folder).short_name == "dev"


@pytest.mark.engine
def test_a_project_without_a_selected_stack_says_so(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Pulumi's words, which say what to do."""
    project = Project(tmp_path / "project", emulator)
    project.pulumi("stack", "rm", "dev", "--yes")
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StackError, match=r"^`pulumi stack --show-name` failed: no stack selected"):
        Stack.open(project.folder)
    assert os.environ["PULUMI_BACKEND_URL"].startswith("file://")
