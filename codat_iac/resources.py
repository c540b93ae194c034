"""`codat_iac.Connection`: one Codat connection as a Pulumi resource."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import Resource

from codat_iac import settings
from codat_iac.model import ADDRESS, OnExisting, OnRemoval, Status
from codat_iac.provider import ConnectionProvider

_PULUMI_NAMES = {
    "company_id": "companyId",
    "platform_key": "platformKey",
    "on_removal": "onRemoval",
    "on_existing": "onExisting",
    "connection_id": "connectionId",
    "platform_name": "platformName",
    "source_type": "sourceType",
}
_PYTHON_NAMES = {pulumi_name: name for name, pulumi_name in _PULUMI_NAMES.items()}


class Connection(Resource, module="codat", name="Connection"):
    """One company on one platform.

    *address* (`acme/ledger`) is the resource's name: keep it stable. The arguments are those of the
    desired-state file. *siblings* are the addresses of all connections of the same company and platform;
    pass them where there is more than one.

    The resource's `id` is Codat's connection id. A link for the customer is never an output: whoever has
    it can authorise.
    """

    status: pulumi.Output[str]
    """As Codat reports it: `PendingAuth`, `Linked`, `Deauthorized` or `Unlinked`."""

    company_id: pulumi.Output[str]
    platform_key: pulumi.Output[str]
    platform_name: pulumi.Output[str]
    source_type: pulumi.Output[str]
    created: pulumi.Output[str]
    """When, in UTC, as Codat writes it."""

    def __init__(
        self,
        address: str,
        *,
        company_id: pulumi.Input[str],
        platform_key: pulumi.Input[str],
        status: pulumi.Input[str] = Status.LINKED,
        on_removal: pulumi.Input[str] = OnRemoval.UNLINK,
        on_existing: pulumi.Input[str] = OnExisting.REFUSE,
        connection_id: pulumi.Input[str] | None = None,
        siblings: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if not ADDRESS.fullmatch(address):
            raise pulumi.RunError(f"{address!r} is not an address such as acme/ledger")
        refuse_open_key()
        super().__init__(
            ConnectionProvider(),
            address,
            {
                "address": address,
                "company_id": company_id,
                "platform_key": platform_key,
                "status": status,
                "on_removal": on_removal,
                "on_existing": on_existing,
                "connection_id": connection_id,
                "siblings": sorted({*siblings, address}) if siblings else None,
                "platform_name": None,
                "source_type": None,
                "created": None,
            },
            opts,
        )

    def translate_input_property(self, prop: str) -> str:
        """Give Pulumi's name of a property."""
        return _PULUMI_NAMES.get(prop, prop)

    def translate_output_property(self, prop: str) -> str:
        """Give the Python name of a property."""
        return _PYTHON_NAMES.get(prop, prop)


def refuse_open_key() -> None:
    """Refuse an API key that stands in the stack's config in the open: the engine copies it to the state.

    Raises `pulumi.RunError`.
    """
    config = pulumi.Config(settings.NAMESPACE)
    if config.get("apiKey") and not pulumi.runtime.is_config_secret(f"{settings.NAMESPACE}:apiKey"):
        raise pulumi.RunError(settings.OPEN_KEY)
