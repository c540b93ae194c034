"""Read a running Pulumi program's record, config and tenant, and show warnings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import grpc
import pulumi
from google.protobuf.struct_pb2 import Struct, Value
from pulumi.runtime import mocks
from pulumi.runtime import settings as runtime
from pulumi.runtime.proto import engine_pb2, resource_pb2

from codat_iac.codat.client import Reader
from codat_iac.codat.rate_limit import shared_throttle
from codat_iac.model import record, settings
from codat_iac.model.connection import RESOURCE_TYPE, PriorConnection
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import join_names
from codat_iac.planning import notices
from codat_iac.planning.decision import Decision
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action

_READ = "pulumi:pulumi:readStackResourceOutputs"
"""The engine's own function; it also answers during a preview, and while an update holds the stack's lock."""


_READABLE = (RESOURCE_TYPE, record.STACK)


def own_record_and_marker() -> tuple[tuple[PriorConnection, ...], str]:
    """Return the connections that this program's stack has recorded, sorted by URN, and its shard's marker.

    This is the state that the previous run left, without a refresh of the present command. Under Pulumi's
    test mocks both are empty.

    Raises `pulumi.RunError` if it can't be read, since a new connection couldn't be told from a renamed one.
    """
    outputs = _read_outputs(runtime.get_monitor())
    priors = sorted(record.from_outputs(outputs), key=lambda prior: prior.urn)
    return tuple(priors), record.marker_from_outputs(outputs)


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


def warn(text: str, urn: str) -> None:
    """Show a warning on the resource *urn*, which need not be declared, or on the stack if it is empty."""
    request = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=text, urn=urn)
    engine: Any = runtime.get_engine()
    engine.Log(request)


MOST_WARNED = 20
"""The most removals that get a warning on their own resource; all are named in the sum."""


def check_config() -> None:
    """Raise `pulumi.RunError` if the stack's config holds a setting that must not be in the state.

    The engine copies all config into the state. So an API key must be a secret there, and settings that are
    for one run only must not be there at all.
    """
    config = pulumi.Config(settings.NAMESPACE)
    if config.get("apiKey") and not pulumi.runtime.is_config_secret(f"{settings.NAMESPACE}:apiKey"):
        raise pulumi.RunError(settings.PLAINTEXT_KEY_REFUSAL)
    try:
        settings.check_config(lambda key: config.get(key) is not None)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from error


def tenant_reader() -> tuple[settings.Settings, Reader]:
    """Return the running program's settings, and a `Reader` of its tenant. Raises `ConfigError`."""
    chosen = settings.read(os.environ, pulumi.Config(settings.NAMESPACE).get)
    throttle = shared_throttle(chosen.requests_per_minute, lambda text: warn(text, ""), shard=chosen.shard)
    return chosen, Reader.configured(chosen, throttle=throttle)


def warn_of_each_loss(losing: Sequence[Decision]) -> None:
    """Warn of each removal in *losing* on its own resource, and of all losses in sum on the stack."""
    for each in [each for each in losing if each.action is Action.REMOVE][:MOST_WARNED]:
        warn(notices.message(Notice.LOSES, each.address), each.urn)
    if losing:
        of, whose = ("", "customer") if len(losing) == 1 else ("s", "customers")
        named = join_names(sorted(each.address for each in losing))
        warn(
            f"this run ends {len(losing)} authorisation{of}, whose {whose} would have to authorise again:"
            f" {named}",
            "",
        )
