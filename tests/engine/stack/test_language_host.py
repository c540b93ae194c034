"""The language host: what it answers the engine, which Python it runs, and how it and its program end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from codat_iac.stack.engine.language_host import service
from codat_iac.stack.engine.language_host.service import Host, serve
from codat_iac.stack.engine.locate import HOST_PROGRAM, LAUNCHER
from tests.support.waiting import alive, until

if TYPE_CHECKING:
    from collections.abc import Iterator

EXECUTOR = """
import json, os, pathlib, signal, sys, time
mode = sys.argv[-1]
here = pathlib.Path(__file__).parent
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
blocked = bool(signal.pthread_sigmask(signal.SIG_BLOCK, []))
(here / "program.tmp").write_text(json.dumps({
    "pid": os.getpid(), "host": os.getppid(), "argv": sys.argv[1:], "env": dict(os.environ),
    "executable": sys.executable, "sigint": [ignored, blocked],
}))
(here / "program.tmp").rename(here / "program.json")
if mode in ("wait", "stubborn"):
    time.sleep(600)
if mode == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(mode) if mode.isdigit() else 0)
"""

MAIN = "from codat_iac.stack.engine.language_host.service import main; main()"


@pytest.fixture
def executor(tmp_path: Path) -> Path:
    """A stand-in for pulumi-language-python-exec. Its last argument, the entry point, says how it ends."""
    file = tmp_path / "executor.py"
    file.write_text(EXECUTOR)
    return file


@pytest.fixture
def host(executor: Path) -> Host:
    """A language host that knows its engine."""
    return Host("engine:1", executor)


@pytest.fixture
def stub(host: Host, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """A client of the language host, over a real connection."""
    server = serve(host)
    with grpc.insecure_channel(f"127.0.0.1:{int(capsys.readouterr().out)}") as channel:
        yield language_pb2_grpc.LanguageRuntimeStub(channel)
    host.stop()
    server.stop(None).wait()


def info(root: Path, entry_point: str = ".", **options: str) -> Any:
    """A program in a project with runtime options."""
    result = language_pb2.ProgramInfo(
        root_directory=str(root), program_directory=str(root), entry_point=entry_point
    )
    result.options.update(options)
    return result


def run_request(root: Path, entry_point: str = ".", **options: str) -> Any:
    """What the engine asks to run a program. The project's virtualenv is this one, unless told otherwise."""
    options.setdefault("virtualenv", sys.prefix)
    return language_pb2.RunRequest(
        info=info(root, entry_point, **options),
        monitor_address="monitor:1",
        project="shop",
        stack="dev",
        pwd=str(root),
        dryRun=True,
        parallel=4,
        organization="acme",
        config={"codat:apiKey": "k"},
        configSecretKeys=["codat:apiKey"],
    )


def program(folder: Path) -> dict[str, Any]:
    """What the running program says of itself."""
    file = folder / "program.json"
    until(file.exists, "the program runs")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def refusal(call: Any, request: Any) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(grpc.RpcError) as error:
        list(call(request)) if isinstance(call, grpc.UnaryStreamMultiCallable) else call(request)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    details = str(error.value.details())
    assert "\n" not in details
    return details


# What it answers


def test_the_engine_introduces_itself(stub: Any, tmp_path: Path) -> None:
    """The address of the handshake is the one that the program gets."""
    stub.Handshake(language_pb2.LanguageHandshakeRequest(engine_address="engine:2"))
    stub.Run(run_request(tmp_path))

    argv = program(tmp_path)["argv"]
    assert argv[argv.index("--engine") + 1] == "engine:2"


def test_it_has_the_sdks_version(stub: Any) -> None:
    """For `pulumi about`."""
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == metadata.version("pulumi")


def test_about_tells_the_projects_python(stub: Any, tmp_path: Path) -> None:
    """The one of the virtualenv, which counts from Pulumi.yaml."""
    (tmp_path / "venv").symlink_to(sys.prefix)

    about = stub.About(language_pb2.AboutRequest(info=info(tmp_path, virtualenv="venv", toolchain="pip")))

    assert about.executable == str(tmp_path / "venv" / "bin" / "python")
    assert about.version == ".".join(map(str, sys.version_info[:3]))
    assert dict(about.metadata) == {"toolchain": "Pip", "toolchainVersion": metadata.version("pip")}


def test_dependencies_are_all_packages_or_those_that_none_needs(stub: Any, tmp_path: Path) -> None:
    """Names are normalized, as the engine expects them."""
    request = language_pb2.GetProgramDependenciesRequest(info=info(tmp_path, virtualenv=sys.prefix))
    roots = {each.name: each.version for each in stub.GetProgramDependencies(request).dependencies}
    request.transitiveDependencies = True
    everything = {each.name: each.version for each in stub.GetProgramDependencies(request).dependencies}

    assert everything["pulumi"] == metadata.version("pulumi")
    assert everything["grpcio"] == metadata.version("grpcio")
    assert "grpcio" not in roots
    assert roots.items() < everything.items()


def test_what_an_installation_left_halfway_is_passed_over(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of metadata without any in it is no package, and no reason to fail."""
    for name, content in {"empty-1.dist-info": "", "half-1.dist-info": "Name: half\n\nVersion: 1\n"}.items():
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "METADATA").write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    request = language_pb2.GetProgramDependenciesRequest(
        info=info(tmp_path, virtualenv=sys.prefix), transitiveDependencies=True
    )

    listed = {each.name for each in stub.GetProgramDependencies(request).dependencies}

    assert "pulumi" in listed
    assert not {"empty", "half"} & listed


def test_required_packages_are_the_plugins_that_packages_bring(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with a resource plugin and a name."""
    for name, content in {
        "pulumi_random": {
            "resource": True,
            "name": "random",
            "version": "4.16.3",
            "parameterization": {"name": "b", "version": "1.0.0", "value": "aGk="},
        },
        "pulumi_policy": {"resource": False, "name": "policy"},
        "pulumi_old": {"resource": True},
    }.items():
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "pulumi-plugin.json").write_text(json.dumps(content))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))

    request = language_pb2.GetRequiredPackagesRequest(info=info(tmp_path, virtualenv=sys.prefix))
    (package,) = stub.GetRequiredPackages(request).packages

    assert (package.name, package.kind, package.version) == ("random", "resource", "4.16.3")
    assert package.parameterization.value == b"hi"


def test_the_host_starts_without_the_rest_of_the_sdk() -> None:
    """Its import would take longer than all else that the host does in a run."""
    package = "codat_iac.stack.engine.language_host"
    script = (
        f"from {package}.messages_only import messages_only; messages_only(); import {package}.service, sys;"
        "print(*sorted(name for name in sys.modules if name.startswith('pulumi') and name.count('.') < 3))"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == ["pulumi", "pulumi.runtime", "pulumi.runtime.proto"]


def test_what_it_doesnt_do_is_unimplemented(stub: Any) -> None:
    """The engine knows what to make of that."""
    with pytest.raises(grpc.RpcError) as error:
        stub.RuntimeOptionsPrompts(language_pb2.RuntimeOptionsRequest())
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


# Which Python it runs


def test_a_program_runs_in_the_virtualenv_with_the_stacks_configuration(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the executor's arguments, the virtualenv active, and SIGINT ignored."""
    monkeypatch.setenv("PYTHONHOME", sys.base_prefix)
    (tmp_path / "venv").symlink_to(sys.prefix)

    response = stub.Run(run_request(tmp_path, virtualenv="venv"))

    assert (response.error, response.bail) == ("", False)
    facts = program(tmp_path)
    expected = (
        "--monitor monitor:1 --engine engine:1 --project shop --root_directory ROOT --stack dev --pwd ROOT "
    )
    expected += "--dry_run true --parallel 4 --organization acme ."
    assert facts["argv"] == expected.replace("ROOT", str(tmp_path)).split()
    assert facts["executable"] == str(tmp_path / "venv" / "bin" / "python")
    assert facts["env"]["VIRTUAL_ENV"] == str(tmp_path / "venv")
    assert facts["env"]["PATH"].startswith(f"{tmp_path}/venv/bin:")
    assert "PYTHONHOME" not in facts["env"]
    assert json.loads(facts["env"]["PULUMI_CONFIG"]) == {"codat:apiKey": "k"}
    assert json.loads(facts["env"]["PULUMI_CONFIG_SECRET_KEYS"]) == ["codat:apiKey"]
    assert facts["sigint"] == [True, False]


def test_a_project_without_a_virtualenv_runs_on_the_named_python_or_the_one_on_path(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with Pulumi's own language host."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(python.parent))
    monkeypatch.delenv("PULUMI_PYTHON_CMD", raising=False)

    stub.Run(run_request(tmp_path, virtualenv=""))
    assert program(tmp_path)["executable"] == str(python)
    assert program(tmp_path)["env"]["PATH"] == str(python.parent)

    monkeypatch.setenv("PULUMI_PYTHON_CMD", sys.executable)
    stub.Run(run_request(tmp_path, virtualenv=""))
    assert program(tmp_path)["executable"] == sys.executable

    monkeypatch.setenv("PULUMI_PYTHON_CMD", "python9")
    assert refusal(stub.Run, run_request(tmp_path, virtualenv="")) == (
        "there is no python9: set the option `virtualenv` in Pulumi.yaml"
    )


def test_a_virtualenv_that_isnt_there_is_one_clear_line(stub: Any, tmp_path: Path) -> None:
    """For every call that needs it."""
    for call, request in (
        (stub.Run, run_request(tmp_path, virtualenv=".venv")),
        (stub.About, language_pb2.AboutRequest(info=info(tmp_path, virtualenv=".venv"))),
        (
            stub.GetRequiredPackages,
            language_pb2.GetRequiredPackagesRequest(info=info(tmp_path, virtualenv=".venv")),
        ),
    ):
        assert refusal(call, request) == (
            f"Pulumi.yaml: the option `virtualenv: .venv` leads to {tmp_path}/.venv, which is no virtualenv: "
            "create it and install the requirements, for example with `pulumi install`"
        )


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho first >&2\necho it broke >&2\nexit 1\n", "doesn't work: it broke"),
        ("#!/bin/sh\nexit 1\n", "doesn't work: exit status 1"),
        ("#!/nowhere/python\n", "doesn't work: No such file or directory"),
        (
            f'#!/bin/sh\nexec {sys.executable} -S "$@"\n',
            "has no Pulumi SDK: install the project's requirements",
        ),
    ],
    ids=["fails", "fails silently", "can't be started", "has no packages"],
)
def test_a_python_that_cant_run_the_program_is_one_clear_line(
    stub: Any, tmp_path: Path, script: str, said: str
) -> None:
    """It is found before the program starts."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(script)
    python.chmod(0o755)

    request = language_pb2.GetRequiredPackagesRequest(info=info(tmp_path, virtualenv=".venv"))

    assert f"{python} {said}" in refusal(stub.GetRequiredPackages, request)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"toolchain": "poetry"}, "doesn't know the option `toolchain: poetry`: use `toolchain: pip`"),
        ({"typechecker": "mypy"}, "doesn't know the option `typechecker: mypy`: leave it out"),
    ],
)
def test_an_option_that_only_pulumis_own_host_knows_is_refused(
    stub: Any, tmp_path: Path, options: dict[str, str], said: str
) -> None:
    """Rather than run something else than what was asked for."""
    message = refusal(stub.Run, run_request(tmp_path, **options))

    assert said in message
    assert message.endswith("or install Pulumi itself (pulumi.com/docs/install)")


def test_a_debugger_is_refused(stub: Any, tmp_path: Path) -> None:
    """The engine would wait for it."""
    request = run_request(tmp_path)
    request.attach_debugger = True

    assert "doesn't know --attach-debugger: leave it out" in refusal(stub.Run, request)


# Installing


def test_install_creates_the_virtualenv_and_installs_the_requirements(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And shows what the tools say."""
    monkeypatch.setenv("PULUMI_PYTHON_CMD", sys.executable)
    package = tmp_path / "thing"
    package.mkdir()
    (tmp_path / "requirements.txt").write_text("pip\n")
    request = language_pb2.InstallDependenciesRequest(info=info(tmp_path, virtualenv="venv"))

    output = b"".join(response.stdout for response in stub.InstallDependencies(request)).decode()

    assert output.startswith(f"Creating {tmp_path}/venv\n")
    assert "Requirement already satisfied: pip" in output
    assert (tmp_path / "venv" / "bin" / "python").exists()

    (tmp_path / "requirements.txt").unlink()
    assert list(stub.InstallDependencies(request)) == []


def test_an_install_that_fails_says_which_command_did(stub: Any, tmp_path: Path) -> None:
    """What it printed was shown already."""
    (tmp_path / "requirements.txt").write_text("--no-index\nno-such-package\n")
    request = language_pb2.InstallDependenciesRequest(info=info(tmp_path, virtualenv=sys.prefix))

    assert refusal(stub.InstallDependencies, request) == (
        f"`{sys.prefix}/bin/python -m pip install -r requirements.txt` failed with exit status 1"
    )


# How a program ends


@pytest.mark.parametrize(
    ("ending", "error", "bail"),
    [
        ("0", "", False),
        ("32", "", True),
        ("3", "program exited with non-zero exit code: 3", False),
        ("killed", "program ended by SIGKILL", False),
    ],
)
def test_the_engine_learns_how_the_program_ended(
    stub: Any, tmp_path: Path, ending: str, error: str, bail: bool
) -> None:
    """Status 32 means that the user has seen the error already."""
    response = stub.Run(run_request(tmp_path, ending))

    assert (response.error, response.bail) == (error, bail)


def test_cancel_ends_the_program_and_starts_no_other(stub: Any, tmp_path: Path) -> None:
    """A program that the engine itself ended is no error to show."""
    running = stub.Run.future(run_request(tmp_path, "wait"))
    pid = program(tmp_path)["pid"]
    stub.Cancel(empty_pb2.Empty())

    assert (running.result().error, running.result().bail) == ("", True)
    assert not alive(pid)
    assert stub.Run(run_request(tmp_path, "wait")).bail


def test_a_program_that_doesnt_end_is_killed(stub: Any, tmp_path: Path) -> None:
    """After a time of grace, before the engine kills us all."""
    running = stub.Run.future(run_request(tmp_path, "stubborn"))
    program(tmp_path)
    stub.Cancel(empty_pb2.Empty())

    assert running.result().bail


# How the host ends


@contextmanager
def started(executor: Path, *wrapper: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """The language host in a process of its own, and a client of it."""
    command = [
        *wrapper,
        sys.executable,
        "-c",
        MAIN,
        "-v=9",
        "--tracing",
        "t:1",
        "--use-executor",
        str(executor),
        "e:1",
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield process, language_pb2_grpc.LanguageRuntimeStub(channel)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_host_and_the_program_quietly(
    executor: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Nothing lands on the user's terminal."""
    with started(executor) as (process, stub):
        running = stub.Run.future(run_request(tmp_path, "wait"))
        pid = program(tmp_path)["pid"]
        process.send_signal(number)
        assert running.result().bail
        output, errors = process.communicate(timeout=240)

    assert (process.returncode, output, errors) == (0, "", "")
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the engine ends the program, seconds later")
def test_a_killed_host_takes_the_program_with_it(executor: Path, tmp_path: Path) -> None:
    """Even with kill -9."""
    with started(executor) as (process, stub):
        running = stub.Run.future(run_request(tmp_path, "wait"))
        pid = program(tmp_path)["pid"]
        process.kill()
        until(lambda: not alive(pid), "the program leaves")
        assert running.exception()


def test_a_killed_engine_takes_the_host_with_it(executor: Path, tmp_path: Path) -> None:
    """The host looks at who its parent is."""
    wait = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    with started(executor, sys.executable, "-c", wait) as (engine, stub):
        running = stub.Run.future(run_request(tmp_path, "wait"))
        facts = program(tmp_path)
        engine.kill()
        until(lambda: not alive(facts["host"]), "the host leaves")
        assert not alive(facts["pid"])
        assert running.result().bail


def test_the_host_serves_until_it_is_told_to_stop(
    executor: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The port is the one thing that it prints."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(sys, "argv", ["host", "--use-executor", str(executor), "engine:1"])
    timer = threading.Timer(1.2, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        service.main()
    finally:
        timer.join()
        for number, handler in kept.items():
            signal.signal(number, handler)

    assert int(capsys.readouterr().out) > 0


# The launcher


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """The launcher as in a build, with nothing but basic tools on PATH."""
    build = tmp_path / "build"
    (build / "bin").mkdir(parents=True)
    shutil.copytree(HOST_PROGRAM, build / "language_host")
    shutil.copy(LAUNCHER, build / "bin")
    (tmp_path / "tools").mkdir()
    for name in ("cat", "dirname", "readlink", "sed", "sh"):
        (tmp_path / "tools" / name).symlink_to(str(shutil.which(name)))
    return build / "bin" / LAUNCHER.name


def launched(launcher: Path, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """What the launcher started in a folder says."""
    path = str(launcher.parents[2] / "tools")
    return subprocess.run(
        [launcher, "engine:1"],
        cwd=folder,
        env={"PATH": path, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(file: Path, name: str, *, sdk: bool = True) -> Path:
    """A Python with the SDK, or without, that tells its name in place of starting the host."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'#!/bin/sh\n[ "$2" = -c ] && exit {0 if sdk else 1}\necho "{name}"\n')
    file.chmod(0o755)
    return file


def test_the_launcher_prefers_the_projects_own_python(launcher: Path, tmp_path: Path) -> None:
    """Its `virtualenv` option, its .venv, the active one, the named one, the noted one, and PATH's."""
    project = tmp_path / "project"
    inner = project / "src" / "deep"
    inner.mkdir(parents=True)
    (project / "Pulumi.yaml").write_text(
        "name: shop\nruntime: {name: python, options: {virtualenv: 'venv'}}\n"
    )
    note = launcher.parents[1] / "python"
    note.write_text(f"{fake_python(tmp_path / 'noted', 'noted')}\n")
    env = {
        "VIRTUAL_ENV": str(tmp_path / "active"),
        "PULUMI_PYTHON_CMD": str(fake_python(tmp_path / "named", "named")),
    }
    candidates = [
        fake_python(project / "venv" / "bin" / "python", "option"),
        fake_python(project / ".venv" / "bin" / "python", "project"),
        fake_python(tmp_path / "active" / "bin" / "python", "active"),
        tmp_path / "named",
        tmp_path / "noted",
        fake_python(tmp_path / "tools" / "python3", "python3"),
        fake_python(tmp_path / "tools" / "python", "python"),
    ]

    seen = []
    for candidate in candidates:
        seen.append(launched(launcher, inner, **env).stdout.strip())
        candidate.unlink()
    assert seen == ["option", "project", "active", "named", "noted", "python3", "python"]

    nothing = launched(launcher, inner, **env)
    assert nothing.returncode == 1
    assert nothing.stdout == ""
    assert nothing.stderr.startswith(f"no Python with the Pulumi SDK (tried {project}/venv/bin/python, ")
    assert nothing.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "    virtualenv: ENV",
        '    virtualenv: "ENV"  # here',
        "  options: {toolchain: pip, virtualenv: ENV}",
        "  options: {virtualenv: 'ENV', toolchain: pip}",
    ],
)
@pytest.mark.parametrize("absolute", [True, False])
def test_the_launcher_reads_the_option_in_every_style(
    launcher: Path, tmp_path: Path, line: str, absolute: bool
) -> None:
    """Block and flow, quoted and not, from Pulumi.yaml's folder or absolute."""
    fake_python(tmp_path / "env" / "bin" / "python", "option")
    option = str(tmp_path / "env") if absolute else "env"
    (tmp_path / "Pulumi.yaml").write_text(f"# virtualenv: other\n{line.replace('ENV', option)}\n")

    assert launched(launcher, tmp_path).stdout == "option\n"


def test_the_launcher_passes_over_a_python_without_the_sdk(launcher: Path, tmp_path: Path) -> None:
    """It would start, and then fail."""
    fake_python(tmp_path / "tools" / "python3", "bare", sdk=False)
    fake_python(tmp_path / "tools" / "python", "good")

    assert launched(launcher, tmp_path).stdout == "good\n"


def test_the_launcher_works_through_a_link_and_whatever_its_environment(
    launcher: Path, tmp_path: Path
) -> None:
    """As when somebody links the build's programs into a folder on PATH."""
    link = tmp_path / "link"
    link.symlink_to(launcher)
    env = {"PATH": str(tmp_path / "tools"), "VIRTUAL_ENV": sys.prefix, "PYTHONHOME": "/nowhere"}

    said = subprocess.run([link, "--version"], env=env, cwd="/", capture_output=True, text=True, check=True)

    assert said.stdout == f"{metadata.version('pulumi')}\n"


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.06, 0.1, 0.2, 0.3, 0.5])
def test_a_launched_host_is_quiet_whenever_it_is_interrupted(
    launcher: Path, tmp_path: Path, moment: float
) -> None:
    """While the shell runs, while Python starts, while it imports, and when it serves."""
    env = {"PATH": str(tmp_path / "tools"), "VIRTUAL_ENV": sys.prefix}
    pipe = subprocess.PIPE
    with subprocess.Popen([launcher, "engine:1"], env=env, stdout=pipe, stderr=pipe, text=True) as process:
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        # What comes before Python runs is lost, and the engine would kill us.
        process.terminate()
        _, errors = process.communicate(timeout=240)

    assert errors == ""
