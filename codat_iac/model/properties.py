"""Convert between Pulumi's property bags and the types of `connection.py`. Pure.

Inputs are what a program declares. Outputs are what Pulumi records, and all that `read` and `delete` receive.
The output `status` is Codat's, so the desired status is recorded as `desiredStatus`.
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
    Address,
    DesiredConnection,
    LiveConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Status,
    normalised,
)

Choice = TypeVar("Choice", bound=StrEnum)

DECLARABLE = (Status.LINKED, Status.UNLINKED)
"""The statuses that can be declared. We can't bring about `PendingAuth` or `Deauthorized`."""


REPLACING = ("companyId", "platformKey", "connectionId")
"""The inputs that can't be changed in place."""


def inputs(desired: DesiredConnection) -> dict[str, Any]:
    """Return the inputs of a resource."""
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
    if desired.matched_by:
        bag["matchedBy"] = desired.matched_by
    return bag


def failures(bag: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the inputs, by property; a value that isn't known yet is None here."""
    found: dict[str, str] = {}

    def require(name: str, right: bool, wanted: str) -> None:
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
        require(name, unknown or (isinstance(value, str) and pattern.fullmatch(value) is not None), wanted)
    for name, choices in (("status", DECLARABLE), ("onRemoval", OnRemoval), ("onExisting", OnExisting)):
        require(name, bag.get(name) in (None, *choices), " or ".join(choices))
    require("protect", isinstance(bag.get("protect"), bool | None), "true or false")
    require("matchedBy", isinstance(bag.get("matchedBy"), str | None), "text")
    return found


def desired(bag: Mapping[str, Any], **rest: Any) -> DesiredConnection:
    """Return what the inputs declare. They must have passed `failures`.

    *rest* are the fields of `DesiredConnection` that aren't inputs.
    """
    connection_id = bag.get("connectionId")
    return DesiredConnection(
        address=Address(bag["address"]),
        company_id=normalised(bag["companyId"]),
        platform_key=bag["platformKey"],
        status=Status(bag.get("status") or Status.LINKED),
        on_removal=OnRemoval(bag.get("onRemoval") or OnRemoval.UNLINK),
        on_existing=OnExisting(bag.get("onExisting") or OnExisting.REFUSE),
        connection_id=normalised(connection_id) if connection_id else None,
        protect=bag.get("protect") is True,
        matched_by=bag.get("matchedBy") or "",
        **rest,
    )


def outputs(
    desired: DesiredConnection,
    connection_id: str,
    live: LiveConnection | None,
    *,
    unlink_refused: bool = False,
) -> dict[str, Any]:
    """Return what Pulumi records, without the link, since whoever has that can authorise.

    It includes the id, since a program that reads the record of its own stack isn't told any ids.
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
    """Read what this version, or an older one, recorded.

    *rest* are the fields of `PriorConnection` that the state holds outside of the outputs.
    """
    recorded = {**bag, "status": bag.get("desiredStatus"), "connectionId": None}
    return PriorConnection(
        id=normalised(connection_id),
        desired=desired(recorded),
        status=bag.get("status", ""),
        unlink_refused=bag.get("unlinkRefused") is True,
        **rest,
    )


def recorded(prior: PriorConnection) -> dict[str, Any]:
    """Return the outputs from which `prior` makes *prior* again, without those that it doesn't need."""
    bag = inputs(prior.desired)
    bag |= {"connectionId": prior.id, "desiredStatus": bag["status"], "status": prior.status}
    return bag | ({"unlinkRefused": True} if prior.unlink_refused else {})
