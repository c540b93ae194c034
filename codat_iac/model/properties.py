"""Pulumi's property bags into our words and back. Pure.

Inputs are what a program says; outputs are what is recorded, and all that `read` and `delete` are given.
An output `status` is Codat's, so the desired one is recorded as `desiredStatus`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from codat_iac.model.connection import (
    ABSENT,
    ADDRESS,
    PLATFORM_KEY,
    UUID,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
)

Choice = TypeVar("Choice", bound=StrEnum)

DESIRABLE = (Status.LINKED, Status.UNLINKED)
"""The statuses that can be declared. `PendingAuth` and `Deauthorized` are not ours to bring about."""


REPLACING = ("companyId", "platformKey", "connectionId")
"""The inputs that can't be changed in place."""


def inputs(desired: DesiredConnection) -> dict[str, Any]:
    """Give the inputs of a resource."""
    bag: dict[str, Any] = {
        "address": desired.address,
        "companyId": desired.company_id,
        "platformKey": desired.platform_key,
        "status": str(desired.status),
        "onRemoval": str(desired.on_removal),
        "onExisting": str(desired.on_existing),
    }
    if desired.connection_id:
        bag["connectionId"] = desired.connection_id
    if desired.protect:
        bag["protect"] = True
    return bag


def failures(bag: Mapping[str, Any]) -> dict[str, str]:
    """Say what is wrong with the inputs, by property; a value that isn't known yet is None here."""
    found: dict[str, str] = {}

    def want(name: str, right: bool, wanted: str) -> None:
        if not right:
            found[name] = f"{bag.get(name)!r} is not {wanted}"

    for name, pattern, wanted in (
        ("address", ADDRESS, "an address such as acme/ledger"),
        ("companyId", UUID, "the id of a company (a UUID)"),
        ("platformKey", PLATFORM_KEY, "a platform key (four lower-case letters, such as gbol)"),
        ("connectionId", UUID, "the id of a connection (a UUID)"),
    ):
        value = bag.get(name)
        unknown = value is None and (name in bag or name == "connectionId")
        want(name, unknown or (isinstance(value, str) and pattern.fullmatch(value) is not None), wanted)
    for name, choices in (("status", DESIRABLE), ("onRemoval", OnRemoval), ("onExisting", OnExisting)):
        want(name, bag.get(name) in (None, *choices), " or ".join(choices))
    want("protect", isinstance(bag.get("protect"), bool | None), "true or false")
    return found


def desired(bag: Mapping[str, Any]) -> DesiredConnection:
    """Read inputs that `failures` has nothing against."""
    connection_id = bag.get("connectionId")
    return DesiredConnection(
        address=bag["address"],
        company_id=bag["companyId"].lower(),
        platform_key=bag["platformKey"],
        status=Status(bag.get("status") or Status.LINKED),
        on_removal=OnRemoval(bag.get("onRemoval") or OnRemoval.UNLINK),
        on_existing=OnExisting(bag.get("onExisting") or OnExisting.REFUSE),
        connection_id=connection_id.lower() if connection_id else None,
        protect=bag.get("protect") is True,
    )


def outputs(
    desired: DesiredConnection,
    connection_id: str,
    live: LiveConnection | None,
    *,
    unlink_refused: bool = False,
) -> dict[str, Any]:
    """Return what is recorded. Never a link: whoever has it can authorise.

    The id is among it, since a program that reads its own stack's record is given no ids.
    """
    bag = inputs(desired)
    bag["connectionId"] = connection_id
    bag["desiredStatus"] = bag["status"]
    bag["status"] = live.status if live else ABSENT
    if live:
        bag |= {"platformName": live.platform_name, "sourceType": live.source_type, "created": live.created}
    if unlink_refused:
        bag["unlinkRefused"] = True
    return bag


def prior(connection_id: str, bag: Mapping[str, Any], **rest: Any) -> PriorConnection:
    """Read what was recorded, by this version or an older one; *rest* is what the state says besides."""
    recorded = {**bag, "status": bag.get("desiredStatus"), "connectionId": None}
    return PriorConnection(
        id=connection_id.lower(),
        desired=desired(recorded),
        status=bag.get("status", ""),
        unlink_refused=bag.get("unlinkRefused") is True,
        **rest,
    )


def recorded(prior: PriorConnection) -> dict[str, Any]:
    """Return what `prior` reads, without what it doesn't need."""
    bag = inputs(prior.desired)
    bag |= {"connectionId": prior.id, "desiredStatus": bag["status"], "status": prior.status}
    return bag | ({"unlinkRefused": True} if prior.unlink_refused else {})
