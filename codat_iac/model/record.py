"""Read what Pulumi has recorded, from an exported state or from what the engine tells a program. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from codat_iac.model import properties
from codat_iac.model.connection import RESOURCE_TYPE, PriorConnection
from codat_iac.model.errors import ConfigError

_SECRET = ("4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270")
"""The key and the value by which a state marks a secret: `sdk/go/common/resource/sig` of Pulumi."""

SHARD = "codat:shard"
"""The output of a stack by which its state says what it was set up as: `2/5`, and more while it moves."""

STACK = "pulumi:pulumi:Stack"

_OPTIONS = {"retainOnDelete": "retain_on_delete", "ignoreChanges": "ignore_changes"}
"""The options that only a program of the user's own can declare: their names in a state and in a program."""


def resources(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all resources of an exported state."""
    return (state.get("deployment") or {}).get("resources") or []


def connections(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the resources that are our connections, whatever their parents."""
    return [each for each in resources(state) if _is_ours(each["type"]) and each.get("id")]


def recorded(state: Mapping[str, Any]) -> list[PriorConnection]:
    """Read the connections of an exported state, including the old halves of replacements.

    Raises `ConfigError` for a secret value that wasn't exported as text.
    """
    return [
        properties.prior(
            resource["id"],
            {name: plain(value) for name, value in resource["outputs"].items()},
            protected=resource.get("protect") is True,
            tainted=resource.get("taint") is True,
            retained=resource.get("retainOnDelete") is True,
            pending_removal=resource.get("delete") is True,
            urn=resource["urn"],
        )
        for resource in connections(state)
    ]


def stack_outputs(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the outputs of an exported state's stack."""
    outputs = (each.get("outputs") or {} for each in resources(state) if each["type"] == STACK)
    return next(outputs, {})


def shard_marker(state: Mapping[str, Any]) -> str:
    """Return what an exported state says of its stack's shard, empty if nothing."""
    return str(stack_outputs(state).get(SHARD, ""))


def marker_from_outputs(outputs: Mapping[str, Any]) -> str:
    """Return the same from what the engine tells a program about its own stack."""
    return shard_marker({"deployment": {"resources": [*outputs.values()]}})


def from_outputs(outputs: Mapping[str, Any]) -> list[PriorConnection]:
    """Read what the engine tells a program about its own stack: type and outputs, by URN.

    The engine doesn't tell ids, so they come from the outputs; the id of a connection that an older version
    recorded is empty. Old halves, `protect` and `taint` are missing.
    """
    return [
        properties.prior(bag.get("connectionId", ""), bag, urn=urn)
        for urn, resource in outputs.items()
        if _is_ours(resource["type"])
        and "address" in (bag := {name: plain(value) for name, value in resource["outputs"].items()})
    ]


def has_secrets(state: Mapping[str, Any]) -> bool:
    """Return whether a value of a connection is a secret, which must be exported as text to be read."""
    return any(is_secret(value) for each in connections(state) for value in each["outputs"].values())


def options(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the options that only a program of the user's own can declare, each with its resource's URN."""
    for resource in connections(state):
        for name, option in _OPTIONS.items():
            if resource.get(name):
                yield resource["urn"], option


def dependents(state: Mapping[str, Any], urns: Collection[str]) -> Iterator[tuple[str, str]]:
    """Return the resources that depend on one of *urns*, or have it as their parent, each with that URN."""
    for resource in resources(state):
        for needed in (*(resource.get("dependencies") or ()), resource.get("parent")):
            if needed in urns and resource["urn"] not in urns:
                yield resource["urn"], needed


def plain(value: Any) -> Any:
    """Return a value of a state without the mark of a secret. Raises `ConfigError` if it isn't text."""
    if not is_secret(value):
        return value
    if "plaintext" in value:
        return json.loads(value["plaintext"])
    if "value" in value:
        return value["value"]
    raise ConfigError("the state holds a secret that it doesn't show; export it with --show-secrets")


def is_secret(value: Any) -> bool:
    """Return whether a value of a state is marked as a secret."""
    key, secret = _SECRET
    return isinstance(value, dict) and value.get(key) == secret


def _is_ours(type_: str) -> bool:
    return type_ == RESOURCE_TYPE
