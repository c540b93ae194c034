"""Register connections directly on the engine's resource monitor, many at a time.

The SDK's resource classes take more time for each connection than the engine itself. Programs that know all
inputs before they register anything need none of what the classes are for, and send the same requests
without them. A test compares these requests with those of `codat_iac.Connection`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi import Output
from pulumi.dynamic.dynamic import PROVIDER_KEY, serialize_provider
from pulumi.runtime import settings
from pulumi.runtime.proto import alias_pb2, resource_pb2

from codat_iac.model import properties
from codat_iac.model.connection import RESOURCE_TYPE, DesiredConnection, PriorConnection
from codat_iac.planning import slot_description
from codat_iac.planning.slot_description import SlotDescription
from codat_iac.provider import ConnectionProvider

CONCURRENT_REGISTRATIONS = 16
"""As many as the engine works at by default."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A connection of a desired-state file, as its program registers it.

    `origin` is the recorded connection that it continues, if any. `protect` protects the resource even if the
    file doesn't.
    """

    desired: DesiredConnection
    description: SlotDescription
    origin: PriorConnection | None = None
    protect: bool = False


def register(registrations: Sequence[Registration]) -> Awaitable[list[str | None]]:
    """Register connections, and return their statuses in the same order.

    A status is None if it isn't known: it is still to be created in a preview, or its step failed.
    As with the SDK's classes, an error of the engine's ends the program.
    """
    monitor: Any = settings.get_monitor()
    root: Any = settings.get_root_resource()

    async def run() -> list[str | None]:
        prepared = _prepared(await root.urn.future())
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(CONCURRENT_REGISTRATIONS)

        def send(registration: Registration) -> str | None:
            try:
                return _status(monitor.RegisterResource(_request(prepared, registration)))
            except grpc.RpcError as error:
                raise settings.grpc_error_to_exception(error) from error

        try:
            return await asyncio.gather(
                *(
                    loop.run_in_executor(executor, contextvars.copy_context().run, send, each)
                    for each in registrations
                )
            )
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    async def statuses() -> list[str | None]:
        tracked = settings._get_rpc_manager().do_rpc("register connections", run)  # noqa: SLF001
        found, _ = await tracked()
        return found or [None] * len(registrations)  # none if there was an error, which ends the program

    return asyncio.ensure_future(statuses())


def known(statuses: Awaitable[list[str | None]]) -> Output[list[str]]:
    """Return statuses as an Output, which is unknown if one of them is."""

    async def all_known() -> bool:
        return None not in await statuses

    found: Any = statuses
    return Output(set(), found, asyncio.ensure_future(all_known()))


def _prepared(parent: str) -> resource_pb2.RegisterResourceRequest:
    """Return what the requests of all connections have in common."""
    request = resource_pb2.RegisterResourceRequest(
        type=RESOURCE_TYPE,
        parent=parent,
        custom=True,
        acceptSecrets=True,
        acceptResources=True,
        supportsPartialValues=True,
        supportsResultReporting=True,
    )
    request.object.fields[PROVIDER_KEY].string_value = serialize_provider(ConnectionProvider())
    return request


def _request(
    prepared: resource_pb2.RegisterResourceRequest, registration: Registration
) -> resource_pb2.RegisterResourceRequest:
    desired, origin = registration.desired, registration.origin
    request = resource_pb2.RegisterResourceRequest()
    request.CopyFrom(prepared)
    request.name = desired.address
    request.protect = desired.protect or registration.protect
    if origin:
        request.aliases.append(alias_pb2.Alias(urn=origin.urn))
    inputs = request.object.fields
    for name, value in properties.inputs(desired).items():
        if isinstance(value, bool):
            inputs[name].bool_value = value
        else:
            inputs[name].string_value = value
    inputs[slot_description.INPUT].string_value = registration.description.to_json()
    for name in inputs:
        request.propertyDependencies[name].SetInParent()  # known, and of no resource's making
    return request


def _status(answer: resource_pb2.RegisterResourceResponse) -> str | None:
    if answer.result != resource_pb2.Result.SUCCESS:
        return None
    outputs = answer.object.fields
    # A preview answers a create with its inputs; only a connection that exists has `created`. The oldest SDKs
    # that we allow don't know `unknown`.
    if "created" not in outputs and (settings.is_dry_run() or getattr(answer, "unknown", False)):
        return None
    status: str = outputs["status"].string_value
    return status
