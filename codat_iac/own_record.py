"""What a running Pulumi program can read of its own stack, before it declares anything."""

from __future__ import annotations

from typing import Any

import grpc
import pulumi
from google.protobuf.struct_pb2 import Struct, Value
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import engine_pb2, resource_pb2

from codat_iac import record
from codat_iac.model import RESOURCE_TYPE, PriorConnection

_READ = "pulumi:pulumi:readStackResourceOutputs"
"""The engine's own function: it answers during a preview, and while an update holds the lock."""


def own_record() -> tuple[PriorConnection, ...]:
    """Return the connections that this program's stack has recorded; nothing under Pulumi's test mocks.

    It is what the run before left: a refresh of the same command isn't in it. Raises `pulumi.RunError` if it
    can't be read, since then nobody could tell new from renamed.
    """
    return tuple(sorted(record.told(_asked(settings.get_monitor())), key=lambda prior: prior.urn))


def _asked(monitor: Any) -> dict[str, Any]:
    """Ask the engine. Its answer holds the outputs of all resources; only what is ours is unpacked."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    arguments = Struct()
    arguments.update({"stackName": stack})
    request = resource_pb2.ResourceInvokeRequest(tok=_READ, args=arguments)
    try:
        answer = getattr(monitor.Invoke(request), "return")
    except Exception as error:
        if isinstance(monitor, mocks.MockMonitor):
            return {}  # a program under test has no stack, and its mocks need not know of this
        if not isinstance(error, grpc.RpcError):
            raise
        reason = " ".join(str(error.details()).split())
        raise pulumi.RunError(
            f"the record of stack {stack} can't be read ({reason}), so what is renamed can't be told from"
            " what is new; nothing is done; run again"
        ) from error
    resources = answer.fields["outputs"].struct_value.fields
    return {
        urn: {"type": RESOURCE_TYPE, "outputs": _members(found.fields["outputs"])}
        for urn, resource in resources.items()
        if (found := resource.struct_value).fields["type"].string_value == RESOURCE_TYPE
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


def warn(text: str, urn: str) -> None:
    """Show a warning on a resource that need not be declared, or on the stack if *urn* is empty."""
    request = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=text, urn=urn)
    engine: Any = settings.get_engine()
    engine.Log(request)
