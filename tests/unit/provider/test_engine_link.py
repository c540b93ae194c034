"""What the dynamic provider's host is taken for, apart from the engine; the engine tests drive the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from codat_iac import provider
from codat_iac.model.errors import ConfigError, Orphaned, Refused
from codat_iac.provider import engine_link


def a_host() -> ModuleType:
    """A module that speaks of errors as the SDK's host does."""
    module = ModuleType("a host")
    module.traceback = traceback  # type: ignore[attr-defined]
    return module


class Log(engine_pb2_grpc.EngineServicer):
    """An engine's log, which answers while `open` is set."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.open = threading.Event()
        self.open.set()

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002  the protocol's
        """Keep the line, and answer once it may."""
        self.open.wait()
        if request.severity == engine_pb2.WARNING:
            self.said.append((request.message, request.urn))
        return empty_pb2.Empty()


@contextmanager
def an_engine(log: Log) -> Iterator[tuple[engine_link.Engine, grpc.Server]]:
    """The engine as a provider sees it, over a real connection; and what stops it."""
    server = grpc.server(ThreadPoolExecutor(4))
    engine_pb2_grpc.add_EngineServicer_to_server(log, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield engine_link.Engine(f"127.0.0.1:{port}"), server
    finally:
        log.open.set()
        server.stop(None).wait()


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    """Set once this process was told to leave, which it then doesn't."""
    event = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    yield event
    signal.signal(signal.SIGINT, before)


def test_a_warning_stands_on_a_resource_or_on_the_stack() -> None:
    """By the engine's own log."""
    log = Log()
    with an_engine(log) as (engine, _):
        engine.warn("acme/ledger: it waits", "urn:pulumi:dev::shop::x::acme/ledger")
        engine.warn("21 wait")

    assert log.said == [("acme/ledger: it waits", "urn:pulumi:dev::shop::x::acme/ledger"), ("21 wait", "")]


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
def test_no_proxy_is_asked_for_the_engine(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """It is on this machine, whatever `no_proxy` says."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with an_engine(Log()) as (engine, _):
        engine.require_alive()


def test_an_engine_that_takes_its_time_is_waited_for(ended: threading.Event) -> None:
    """However long: a stopped terminal doesn't answer, and isn't gone."""
    log = Log()
    with an_engine(log) as (engine, _), ThreadPoolExecutor(1) as threads:
        engine.require_alive()
        log.open.clear()
        waiting = threads.submit(engine.require_alive)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        log.open.set()

        assert waiting.result(60) is None
    assert not ended.is_set()


def test_an_engine_that_is_gone_ends_this_process(ended: threading.Event) -> None:
    """Before a write, and also while one waits for its answer."""
    log = Log()
    with an_engine(log) as (engine, server), ThreadPoolExecutor(1) as threads:
        engine.require_alive()
        log.open.clear()
        waiting = threads.submit(engine.require_alive)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        server.stop(None)

        with pytest.raises(
            Orphaned, match="the Pulumi engine is gone, so nothing more is written; run again"
        ):
            waiting.result(60)
        with pytest.raises(Orphaned):
            engine.require_alive()
    assert ended.wait(60)


def test_a_process_with_nothing_to_do_watches_its_engine(ended: threading.Event) -> None:
    """Nobody else would end it."""
    with an_engine(Log()) as (engine, server):
        engine.watch()
        server.stop(None).wait()

        assert ended.wait(60)


def test_a_hook_knows_whose_it_is() -> None:
    """By the request of the host that called it, however deep."""

    def handle(request: SimpleNamespace) -> str:
        return hook() + getattr(request, "suffix", "")

    def hook() -> str:
        return engine_link.current_urn()

    assert handle(SimpleNamespace(urn="urn:pulumi:dev::x::y::acme/ledger")).endswith("::acme/ledger")
    assert handle(SimpleNamespace()) == ""
    assert engine_link.current_urn() == ""


def test_an_error_of_ours_is_its_one_line_and_a_bug_keeps_its_traceback() -> None:
    """Else the whole traceback would be the user's message."""
    module = a_host()
    engine_link.install_one_line_errors(module)

    said = []
    for error in (Refused("acme/ledger: no"), ValueError("a bug")):
        try:
            raise error
        except (Refused, ValueError):
            said.append(module.traceback.format_exc())

    assert said[0] == "acme/ledger: no"
    assert said[1].startswith("Traceback")


def test_a_host_of_another_make_stays_as_it_is() -> None:
    """A later SDK may speak of errors otherwise."""
    module = ModuleType("another host")
    engine_link.install_one_line_errors(module)

    assert not hasattr(module, "traceback")


def test_a_hook_before_configure_says_who_calls_it_right() -> None:
    """A provider outside an engine has no settings."""
    with pytest.raises(ConfigError, match="run it with `pulumi`"):
        provider._configured_process()


ON_ONE_CPU = """
import os, threading
from codat_iac.provider import engine_link

over = threading.Event()
threading.Thread(target=over.wait).start()
engine_link.stay_on_one_cpu()
threading.Thread(target=over.wait).start()
threads = [int(each) for each in os.listdir("/proc/self/task")]
print(len(threads), *{cpu for each in threads for cpu in os.sched_getaffinity(each)})
over.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system lets a process choose")
def test_all_threads_of_a_host_share_one_cpu() -> None:
    """Those that were there before, too, and it is one that the process may use."""
    done = subprocess.run([sys.executable, "-c", ON_ONE_CPU], capture_output=True, text=True, check=True)

    threads, *cpus = map(int, done.stdout.split())
    assert threads >= 3
    assert len(cpus) == 1
    assert set(cpus) <= os.sched_getaffinity(0)
