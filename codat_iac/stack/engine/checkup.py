"""Check this machine for everything that an engine needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from codat_iac.model.errors import EngineError
from codat_iac.stack.engine import golang, locate
from codat_iac.stack.engine.builder import GB, NEEDED_BYTES, WORKSHOP
from codat_iac.stack.engine.command import last_line
from codat_iac.stack.engine.locate import Version
from codat_iac.stack.engine.surroundings import OPTION, loopback_exceptions, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_SECONDS = 5.0
"""Seconds until a proxy that doesn't answer counts as one that is in the way."""


class Severity(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and what to do about it; `remedy` is empty if it is fine."""

    severity: Severity
    what: str
    remedy: str = ""


def doctor() -> Iterator[Finding]:
    """Yield findings about what an engine needs. It changes nothing; of programs it asks the versions."""
    engine = locate.find()
    yield _pulumi_on_path()
    yield from _cache(engine)
    if engine:
        yield from _companions(engine)
    yield _go(engine)
    yield sdk(metadata.version("pulumi"))
    yield from _options()
    yield from _proxies()


def _pulumi_on_path() -> Finding:
    ambient = locate.on_path()
    if ambient is None:
        return Finding(Severity.NOTE, "PATH has no pulumi: a build of ours is used")
    where = f"{ambient.pulumi} on PATH"
    if ambient.usable:
        return Finding(Severity.OK, f"{where} is Pulumi {ambient.version}, and is used")
    if ambient.version is None:
        return Finding(Severity.PROBLEM, f"{where} doesn't say its version, and isn't used", "reinstall it")
    if ambient.version < locate.OLDEST:
        what = f"{where} is Pulumi {ambient.version}, which is too old, and isn't used"
        return Finding(Severity.PROBLEM, what, f"upgrade it to {locate.OLDEST} or later, or take it off PATH")
    what = f"{where} has no {locate.LANGUAGE_HOST} beside it or on PATH, and isn't used"
    return Finding(Severity.PROBLEM, what, "reinstall Pulumi with all that comes with it")


def _cache(engine: Path | None) -> Iterator[Finding]:
    try:
        place = _existing(locate.cache())
    except EngineError as error:
        yield Finding(Severity.NOTE if engine else Severity.PROBLEM, f"there is no cache: {error}")
        return
    yield _built(engine)
    yield from _leftovers()
    yield disk_space(place, engine, NEEDED_BYTES)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        what = f"{place} can't be written, so each process counts its requests to Codat by itself"
        yield Finding(Severity.NOTE, what, "see to it, or set XDG_CACHE_HOME to a folder that can")


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _built(engine: Path | None) -> Finding:
    if locate.built():
        return Finding(Severity.OK, f"{locate.folder()} is our build of Pulumi {locate.PINNED}")
    what = f"{locate.cache()} has no build of Pulumi {locate.PINNED} by this version of codat-iac"
    if engine:
        return Finding(Severity.NOTE, f"{what}, and none is needed")
    return Finding(Severity.PROBLEM, what, "run `codat-iac engine install`")


def _leftovers() -> Iterator[Finding]:
    for other in sorted(locate.cache().glob("*")):
        if other.name.startswith(WORKSHOP):
            remedy = "nothing, if a build runs now; else the next build removes it"
            yield Finding(Severity.NOTE, f"{other} is an unfinished build", remedy)
        elif other.is_dir() and other != locate.folder():
            yield Finding(
                Severity.NOTE, f"{other} is from another build", f"rm -r {other}, if nobody uses it"
            )


def _companions(engine: Path) -> Iterator[Finding]:
    """Check the programs that the engine starts for Python."""
    for name in locate.FILES[1:]:
        found = companion(engine, name)
        if found is None:
            what = f"{name} is neither on PATH nor beside {engine}"
            yield Finding(Severity.PROBLEM, what, "reinstall Pulumi with all that comes with it")
        elif name == locate.LANGUAGE_HOST:
            yield _language_host(found)
        else:
            yield Finding(Severity.OK, f"{found} is there")


def companion(engine: Path, name: str) -> Path | None:
    """Return the program of a name that the engine starts. It looks on PATH, then beside itself."""
    folders = os.pathsep.join((os.environ.get("PATH", ""), str(engine.parent), str(engine.resolve().parent)))
    found = shutil.which(name, path=folders)
    return Path(found) if found else None


def _language_host(command: Path) -> Finding:
    answer = subprocess.run(  # noqa: S603 - as the engine would
        [command, "--version"], env=tidy(os.environ), capture_output=True, text=True, check=False
    )
    if answer.returncode:
        return Finding(Severity.PROBLEM, f"{command} doesn't start here", last_line(answer.stderr))
    return Finding(Severity.OK, f"{command} starts here, version {answer.stdout.strip().removeprefix('v')}")


def _go(engine: Path | None) -> Finding:
    if engine:
        return Finding(Severity.OK, "Go isn't needed: there is an engine")
    found = golang.on_path()
    if golang.usable():
        return Finding(Severity.OK, "Go on PATH is new enough to build an engine")
    what = f"{found[0]} on PATH is older than {golang.needed()}" if found else "PATH has no Go"
    return Finding(Severity.NOTE, f"{what}: a build installs {golang.PACKAGE} for itself")


def disk_space(place: Path, engine: Path | None, needed: int) -> Finding:
    """Check that there is disk space for a build that needs so many bytes."""
    free = shutil.disk_usage(place).free
    what = f"{place} has {free / GB:.1f} GB free, and a build takes up to {needed / GB:.0f} GB on the way"
    if engine or free > needed:
        return Finding(Severity.OK, what)
    return Finding(Severity.PROBLEM, what, "make room, or set XDG_CACHE_HOME to a folder with more")


def sdk(version: str) -> Finding:
    """Check that the installed SDK fits our engines."""
    what = f"{sys.executable} has the Pulumi SDK {version}"
    if (Version.of(version) or locate.OLDEST) >= locate.OLDEST:
        return Finding(Severity.OK, what)
    return Finding(Severity.PROBLEM, f"{what}, which is too old", "reinstall codat-iac")


def _options() -> Iterator[Finding]:
    named = ", ".join(sorted(name for name in os.environ if name.startswith(OPTION)))
    if named:
        what = f"{named}: every `pulumi` that you start takes that as an option, and codat-iac leaves it out"
        yield Finding(Severity.NOTE, what, "unset what you don't mean for each command")


def _proxies() -> Iterator[Finding]:
    """Check that a program of the engine's reaches it; only lower-case variables count there."""
    named = ", ".join(name for name in ("grpc_proxy", "https_proxy", "http_proxy") if os.environ.get(name))
    if named and _reaches_loopback():
        yield Finding(Severity.OK, f"{named}: no proxy stands between the engine and its programs")
    elif named:
        exceptions = loopback_exceptions(os.environ)["no_grpc_proxy"]
        what = (
            f"{named}: a program that `pulumi` starts asks that proxy for 127.0.0.1, and doesn't reach Pulumi"
        )
        yield Finding(Severity.PROBLEM, what, f"export no_grpc_proxy={exceptions}")


def _reaches_loopback() -> bool:
    """Return whether gRPC reaches this machine with this process's environment."""
    import grpc  # noqa: PLC0415  only who has a proxy needs it

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = channel.unary_unary("/codat-iac/Doctor").future(b"", timeout=ANSWER_SECONDS).code()
    server.stop(None)
    return answer is grpc.StatusCode.UNIMPLEMENTED  # who else would say so
