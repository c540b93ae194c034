"""Access to Pulumi's engine and to its host process for dynamic providers.

The host (`pulumi.dynamic.__main__`, one process for each operation of the engine) gives a hook neither
the resource's URN nor a way to warn. Both can be had: the URN from the request that the hook answers, and
warnings from the log of the engine, whose address is the process's last argument.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from codat_iac.model.errors import CodatIacError, Orphaned

WATCH_SECONDS = 5.0
"""Seconds between two checks that the engine still answers."""


class Engine:
    """The engine that started this process."""

    def __init__(self, address: str) -> None:
        # The engine is on loopback, and gRPC in Python would ask even for that the user's proxy.
        direct = [("grpc.enable_http_proxy", 0)]
        self._stub: Any = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, direct))

    def warn(self, text: str, urn: str = "") -> None:
        """Show *text* as a warning on the resource *urn*, or on the stack if that is empty."""
        self._log(engine_pb2.WARNING, text, urn)

    def require_alive(self) -> None:
        """Raise `Orphaned` and end this process if the engine is gone; wait for one that is only stopped.

        This process outlives a killed engine, and what it wrote then would be in no state. Ctrl-Z stops only
        the engine, since this process is in a process group of its own.
        """
        try:
            self._log(engine_pb2.DEBUG, "codat-iac looks whether the engine is there", "")
        except grpc.RpcError as error:
            os.kill(os.getpid(), signal.SIGINT)
            raise Orphaned("the Pulumi engine is gone, so nothing more is written; run again") from error

    def watch(self) -> None:
        """End this process when the engine is gone, even if it has nothing to write: nobody else ends it."""

        def look() -> None:
            with contextlib.suppress(Orphaned):
                while True:
                    self.require_alive()
                    time.sleep(WATCH_SECONDS)

        threading.Thread(target=look, name="watch", daemon=True).start()

    def _log(self, severity: Any, text: str, urn: str) -> None:
        request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn)
        self._stub.Log(request)  # without a deadline: the connection breaks when the engine dies


def stay_on_one_cpu() -> None:
    """Let all threads of this process, also those to come, run on one CPU, where the system can do that.

    Python runs one of them at a time, and the host hands each call from thread to thread. Across CPUs that
    takes a third more of its CPU time, and a preview of 1,000 connections a sixth more time
    (docs/performance.md).
    """
    with contextlib.suppress(OSError):  # it forbids it, or has no /proc
        if sys.platform == "linux":  # pragma: no branch  others have no such call
            chosen = {random.choice(sorted(os.sched_getaffinity(0)))}  # noqa: S311  hosts share a machine
            for thread in Path("/proc/self/task").iterdir():  # those that gRPC has started are not Python's
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.sched_setaffinity(int(thread.name), chosen)


def engine_address() -> str:
    """Return the engine's address (host:port): the last argument of a plugin process."""
    return sys.argv[-1]


def current_urn() -> str:
    """Return the URN of the resource whose hook runs in this thread, "" if there is none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  the host hands the request to no hook
    while frame is not None:
        urn = getattr(frame.f_locals.get("request"), "urn", None)
        if isinstance(urn, str):
            return urn
        frame = frame.f_back
    return ""


def install_one_line_errors(host: ModuleType) -> None:
    """Make the module *host* report our own errors to the engine as one line.

    Since about SDK 3.260 the host answers with the whole traceback of a failed hook, which the user then
    sees. Only the name `traceback` in that module is replaced, and only a `CodatIacError` is shortened.
    """
    if getattr(host, "traceback", None) is traceback:
        host.traceback = _OneLine  # type: ignore[attr-defined]


class _OneLine:
    @staticmethod
    def format_exc() -> str:
        error = sys.exc_info()[1]
        return str(error) if isinstance(error, CodatIacError) else traceback.format_exc()
