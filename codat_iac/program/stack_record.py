"""Read what the stack of a running program has recorded.

Little is imported here, so that the engine can be asked before the rest of a program is imported.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc
import pulumi
from google.protobuf.struct_pb2 import Struct, Value
from pulumi.runtime import mocks
from pulumi.runtime import settings as runtime
from pulumi.runtime.proto import resource_pb2

from codat_iac.model import record
from codat_iac.model.connection import RESOURCE_TYPE, PriorConnection

_READ = "pulumi:pulumi:readStackResourceOutputs"
"""The engine's own function; it also answers during a preview, and while an update holds the stack's lock."""

_READABLE = (RESOURCE_TYPE, record.STACK)


class StackRecord(NamedTuple):
    """What a program's own stack has recorded: its connections, sorted by URN, and its shard's marker."""

    connections: tuple[PriorConnection, ...]
    marker: str


def read() -> StackRecord:
    """Return what this program's stack has recorded. Under Pulumi's test mocks it is empty.

    This is the state that the previous run left, without a refresh of the present command.

    Raises `pulumi.RunError` if it can't be read, since a new connection couldn't be told from a renamed one.
    """
    outputs = _read_outputs(runtime.get_monitor())
    priors = sorted(record.from_outputs(outputs), key=lambda prior: prior.urn)
    return StackRecord(tuple(priors), record.marker_from_outputs(outputs))


def ask() -> Callable[[], StackRecord]:
    """Begin to `read` in another thread, and return what waits for it and returns or raises as that does.

    Before it reads a state the engine derives a key from the stack's passphrase, which takes it 0.2 s. Under
    Pulumi's test mocks nothing is begun: they are the user's, and for one thread.
    """
    if isinstance(runtime.get_monitor(), mocks.MockMonitor):
        return read
    context = contextvars.copy_context()  # it holds the SDK's settings
    return ThreadPoolExecutor(1).submit(context.run, read).result


def _read_outputs(monitor: Any) -> dict[str, Any]:
    """Ask the engine for the outputs of all resources; return those of connections and the stack by URN."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    arguments = Struct()
    arguments.update({"stackName": stack})
    request = resource_pb2.ResourceInvokeRequest(tok=_READ, args=arguments)
    try:
        answer = getattr(monitor.Invoke(request), "return")
    except Exception as error:
        if isinstance(monitor, mocks.MockMonitor):
            return {}  # a program under test has no stack, and its mocks need not answer this
        if not isinstance(error, grpc.RpcError):
            raise
        reason = " ".join(str(error.details()).split())
        raise pulumi.RunError(
            f"the record of stack {stack} can't be read ({reason}), so what is renamed can't be told from"
            " what is new; nothing is done; run again"
        ) from error
    resources = answer.fields["outputs"].struct_value.fields
    return {
        urn: {"type": type_, "outputs": _members(found.fields["outputs"])}
        for urn, resource in resources.items()
        if (type_ := (found := resource.struct_value).fields["type"].string_value) in _READABLE
    }


def _members(value: Value) -> dict[str, Any]:
    return {name: _plain(each) for name, each in value.struct_value.fields.items()}


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _members(value)
        case _:
            return None
