"""Pulumi's engine and its host for dynamic providers, as far as a hook has to know them.

The host (`pulumi.dynamic.__main__`, one process for each operation of the engine) gives a hook neither
the resource's URN nor a way to warn. Both are there: the request that the hook answers has the URN, and
the engine, whose address is the process's last argument, has a log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from types import FrameType, ModuleType
from typing import Any

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from codat_iac.model.errors import CodatIacError, Orphaned

WATCH = 5.0
"""Seconds between two looks whether the engine is still there."""


class Engine:
    """The engine that started this process."""

    def __init__(self, address: str) -> None:
        self._stub: Any = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def warn(self, text: str, urn: str = "") -> None:
        """Show *text* as a warning, on the resource *urn*, or on the stack where that is empty."""
        self._log(engine_pb2.WARNING, text, urn)

    def require(self) -> None:
        """Raise `Orphaned`, and leave, if the engine is gone; one that is merely stopped is waited for.

        This process outlives a killed engine: what it then wrote would be in nobody's state. Ctrl-Z stops
        the engine alone, since this process is in a group of its own.
        """
        try:
            self._log(engine_pb2.DEBUG, "codat-iac looks whether the engine is there", "")
        except grpc.RpcError as error:
            os.kill(os.getpid(), signal.SIGINT)
            raise Orphaned("the Pulumi engine is gone, so nothing more is written; run again") from error

    def watch(self) -> None:
        """Leave as soon as the engine is gone, also where there is nothing to write: nobody else ends us."""

        def look() -> None:
            with contextlib.suppress(Orphaned):
                while True:
                    self.require()
                    time.sleep(WATCH)

        threading.Thread(target=look, name="watch", daemon=True).start()

    def _log(self, severity: Any, text: str, urn: str) -> None:
        request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn)
        self._stub.Log(request)  # without a deadline: a connection breaks when the engine dies


def engine_address() -> str:
    """Give the address of the engine: the last argument of a plugin."""
    return sys.argv[-1]


def current_urn() -> str:
    """Give the URN of the resource whose hook is running in this thread, or nothing where none is."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  the host hands the request to no hook
    while frame is not None:
        urn = getattr(frame.f_locals.get("request"), "urn", None)
        if isinstance(urn, str):
            return urn
        frame = frame.f_back
    return ""


def speak_plainly(host: ModuleType) -> None:
    """Let *host* give the engine an error of ours as its one line.

    Since SDK 3.260 or so the host answers with the whole traceback of a failed hook, which lands on the
    user's terminal. Only the host's own name `traceback` is replaced, and only errors of ours are short.
    """
    if getattr(host, "traceback", None) is traceback:
        host.traceback = _OneLine  # type: ignore[attr-defined]


class _OneLine:
    @staticmethod
    def format_exc() -> str:
        error = sys.exc_info()[1]
        return str(error) if isinstance(error, CodatIacError) else traceback.format_exc()
