"""The gRPC service, and the process that serves it."""
# ruff: noqa: N802 - the service names its methods

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from .project import (
    HostError,
    facts_of,
    install,
    plugins_of,
    project_python,
    required,
    unsupported,
    virtualenv,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EXPLAINED = 32
"""The executor's exit status for "the user has seen the error already"."""

GRACE = 3.0
"""Seconds that a program has to end when the engine is done with it. The engine gives us 5."""

MESSAGE_SIZE = 400 * 1024 * 1024
"""The engine's own limit for a message, in bytes."""

GUARD = """
import ctypes, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the program. It ignores the SIGINT with which the engine ends a run, of which Python would
print a traceback under the real error (we end it), and on Linux doesn't outlive us (PR_SET_PDEATHSIG)."""


@contextmanager
def told(context: grpc.ServicerContext) -> Iterator[None]:
    """Turn a HostError into the error that the engine shows."""
    try:
        yield
    except HostError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """The service, for one engine."""

    def __init__(self, engine: str, executor: Path) -> None:
        self._engine = engine
        self._executor = executor
        self._lock = threading.Lock()
        self._programs: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, _context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        """Learn the engine's address."""
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, _request: object, _context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Tell a version: the SDK's, whose protocol this is."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def About(
        self, request: language_pb2.AboutRequest, context: grpc.ServicerContext
    ) -> language_pb2.AboutResponse:
        """Tell which Python runs the program, for `pulumi about`."""
        with told(context):
            facts = facts_of(project_python(request.info))
        return language_pb2.AboutResponse(
            executable=facts["executable"],
            version=facts["version"],
            metadata={"toolchain": "Pip", "toolchainVersion": facts["packages"].get("pip", "none")},
        )

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """List the installed packages, for `pulumi about`: all, or those that no other one needs."""
        with told(context):
            facts = facts_of(project_python(request.info))
        left_out = () if request.transitiveDependencies else facts["needed"]
        packages = [
            language_pb2.DependencyInfo(name=name, version=version)
            for name, version in facts["packages"].items()
            if name not in left_out
        ]
        return language_pb2.GetProgramDependenciesResponse(dependencies=packages)

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """List the plugins that the installed packages bring. The engine installs those it lacks."""
        with told(context):
            python = project_python(request.info)
            found = plugins_of(python)
            if not found["sdk"]:
                raise HostError(
                    f"{python} has no Pulumi SDK: install the project's requirements into it, "
                    f"or at least `{python} -m pip install pulumi`"
                )
        plugins = [plugin for plugin in found["plugins"] if plugin.get("resource") and plugin.get("name")]
        return language_pb2.GetRequiredPackagesResponse(packages=list(map(required, plugins)))

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Create the virtualenv if it is missing, and install requirements.txt, for `pulumi install`."""
        with told(context):
            for line in install(request.info):
                yield language_pb2.InstallDependenciesResponse(stdout=line)

    def Run(
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        """Run the program to its end."""
        with told(context):
            if request.attach_debugger:
                unsupported("--attach-debugger", "leave it out")
            python = project_python(request.info)
        command = [python, "-u", str(self._executor), *self._arguments(request)]
        status = self._run(command, program_environment(request))
        if self._stopped or status in (0, EXPLAINED):
            return language_pb2.RunResponse(bail=status != 0)
        if status < 0:
            return language_pb2.RunResponse(error=f"program ended by {signal.Signals(-status).name}")
        return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {status}")

    def Cancel(self, request: object, _context: grpc.ServicerContext) -> object:
        """End the program."""
        self.stop()
        return request

    def stop(self) -> None:
        """End the running programs and start no more: SIGTERM, and after the grace period SIGKILL."""
        with self._lock:
            self._stopped = True
            programs = list(self._programs)
        for program in programs:
            program.terminate()
        for program in programs:
            try:
                program.wait(GRACE)
            except subprocess.TimeoutExpired:
                program.kill()

    def _run(self, command: Sequence[str], env: Mapping[str, str]) -> int:
        guarded = [sys.executable, "-ISc", GUARD, str(os.getpid()), *command]
        with self._lock:
            if self._stopped:
                return EXPLAINED
            program = subprocess.Popen(guarded, env=env, stdin=subprocess.DEVNULL)  # noqa: S603 - the user's own
            self._programs.add(program)
        status = program.wait()
        self._programs.discard(program)
        return status

    def _arguments(self, request: language_pb2.RunRequest) -> list[str]:
        named = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "root_directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": "true" if request.dryRun else "false",
            "parallel": str(request.parallel),
            "organization": request.organization,
        }
        options = [part for name, value in named.items() if value for part in (f"--{name}", value)]
        return [*options, request.info.entry_point, *request.args]


def program_environment(request: language_pb2.RunRequest) -> dict[str, str]:
    """Return what the program sees: our own environment, its virtualenv, and the stack's configuration."""
    result = {
        **os.environ,
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
    }
    if folder := virtualenv(request.info):
        result.pop("PYTHONHOME", None)
        result["VIRTUAL_ENV"] = str(folder)
        result["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return result


def serve(host: Host) -> grpc.Server:
    """Serve on a free port, and tell it the engine on stdout."""
    # These threads block SIGINT, and so does a program until the guard has taken care of it.
    block = (signal.SIG_BLOCK, [signal.SIGINT])
    threads = ThreadPoolExecutor(8, initializer=signal.pthread_sigmask, initargs=block)
    limits = [(f"grpc.max_{way}_message_length", MESSAGE_SIZE) for way in ("send", "receive")]
    server = grpc.server(threads, options=limits)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - the protocol's first line
    return server


def main() -> None:
    """Serve until the engine says that it is done, or is gone."""
    parser = argparse.ArgumentParser(description="The Python language host of codat-iac's Pulumi engine.")
    parser.add_argument("--version", action="version", version=metadata.version("pulumi"))
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end when this isn't the parent")
    parser.add_argument("--use-executor", type=Path, required=True, help="what runs a program")
    parser.add_argument("--tracing", help="of no use here")
    parser.add_argument("engine", nargs="?", default="", help="the engine's address")
    arguments, _ = parser.parse_known_args()

    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    host = Host(arguments.engine, arguments.use_executor)
    server = serve(host)
    while not done.wait(1.0) and os.getppid() == arguments.parent:
        pass
    host.stop()
    server.stop(GRACE).wait()
