"""Real servers that keep a stack's state: PostgreSQL of the system, and an S3 gateway built from source."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
from platformdirs import user_cache_path

from codat_iac.stack.engine import Silent, golang
from tests.support.waiting import until

S3_SOURCE = Path(__file__).parent / "s3_server"
S3_VERSION = "1.0.14"
_S3_PACKAGE = "github.com/versity/versitygw/cmd/versitygw"


@dataclass(frozen=True)
class Server:
    """A running server: its URL for Pulumi, and what else a run needs in its environment."""

    url: str
    environment: Mapping[str, str]


@contextmanager
def postgres() -> Iterator[Server]:
    """Run PostgreSQL with an empty database, as another user if this one is root, which it refuses."""
    who = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="codat-iac-postgres-") as folder:
        data, port = Path(folder, "data"), _free_port()
        data.mkdir(mode=0o700)
        if who:
            for path in (folder, data):
                shutil.chown(path, "nobody")

        def run(tool: str, *arguments: str) -> None:
            command = [_postgres_tool(tool), *arguments]
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                **who,  # type: ignore[call-overload]
            )
            assert done.returncode == 0, done.stdout

        run("initdb", "-D", f"{data}", "-U", "pulumi", "-A", "trust", "-N", "-E", "UTF8", "--no-locale")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-D", f"{data}", "-l", f"{folder}/log", "-o", options, "-w", "start")
        try:
            yield Server(f"postgres://pulumi@127.0.0.1:{port}/postgres?sslmode=disable", {})
        finally:
            run("pg_ctl", "-D", f"{data}", "-m", "immediate", "stop")


def _postgres_tool(name: str) -> str:
    """Return the path of a tool of PostgreSQL's server, which Debian keeps off PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, folders)]))
    assert found, "PostgreSQL's server is needed: `apt-get install postgresql`"
    return found


@contextmanager
def s3() -> Iterator[Server]:
    """Run the S3 gateway with an empty bucket `states`."""
    credentials = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "of-no-value"}
    with tempfile.TemporaryDirectory(prefix="codat-iac-s3-") as folder:
        port = _free_port()
        Path(folder, "buckets", "states").mkdir(parents=True)
        Path(folder, "attributes").mkdir()
        with subprocess.Popen(
            [
                _s3_gateway(),
                f"--port=127.0.0.1:{port}",
                f"--access={credentials['AWS_ACCESS_KEY_ID']}",
                f"--secret={credentials['AWS_SECRET_ACCESS_KEY']}",
                "--quiet",
                "posix",
                f"--sidecar={folder}/attributes",
                f"{folder}/buckets",
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                until(lambda: _answers(port), "the S3 gateway")
                query = "disableSSL=true&s3ForcePathStyle=true&region=us-east-1"
                yield Server(f"s3://states?endpoint=127.0.0.1:{port}&{query}", credentials)
            finally:
                process.terminate()


def _s3_gateway() -> Path:
    """Return the gateway's path in the user's cache, built if it isn't there yet."""
    folder = user_cache_path("codat-iac") / "tests" / f"versitygw-{S3_VERSION}"
    program = folder / "versitygw"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "lock"):
        if program.exists():
            return program
        with tempfile.TemporaryDirectory(dir=folder) as workshop:
            caches = Path(workshop, "caches")
            toolchain = Path(workshop, "toolchain")
            go = golang.usable() or golang.install_from_index(toolchain, caches, Silent())
            module = shutil.copytree(S3_SOURCE, Path(workshop, "module"))
            built = Path(workshop, program.name)
            subprocess.run(
                [go.command, "build", "-trimpath", "-ldflags", "-w -s", "-o", built, _S3_PACKAGE],
                cwd=module,
                env=go.environment,
                check=True,
            )
            built.rename(program)
    return program


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
