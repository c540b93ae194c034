"""`codat_iac.Connection`: one Codat connection as a Pulumi resource."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import Resource

from codat_iac.model.connection import (
    ADDRESS,
    Address,
    OnExisting,
    OnRemoval,
    Status,
)
from codat_iac.model.settings import NAMESPACE
from codat_iac.planning import slot_description
from codat_iac.program.placement import Declared
from codat_iac.program.running_program import check_config
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
    """One Codat connection: one company on one platform.

    ```python
    ledger = Connection("acme/ledger", company_id="8a210b68-...", platform_key="gbol")
    pulumi.export("ledger", ledger.status)
    ```

    If a connection is recorded under the same address with other parents (a component was added or removed),
    the resource continues it without further ado. To change the address, pass `aliases`, as with any
    resource. `import_` isn't possible: pass `connection_id`, or run `codat-iac import`.

    Outputs: `id`, which is Codat's connection id, and the same as `connection_id`; `status`; `company_id` and
    `platform_key` as declared; `platform_name`, `source_type` and `created` as Codat reports them. The link
    for the customer is never an output, since whoever has it can authorise: see `codat-iac links`.
    """

    status: pulumi.Output[str]
    """The status that Codat reports: `PendingAuth`, `Linked`, `Deauthorized` or `Unlinked`."""

    company_id: pulumi.Output[str]
    """Codat's id of the company."""

    platform_key: pulumi.Output[str]
    """Codat's key of the platform, such as `gbol`."""

    connection_id: pulumi.Output[str]
    """Codat's id of the connection, the same as `id`."""

    platform_name: pulumi.Output[str]
    """The platform's name, such as Xero."""

    source_type: pulumi.Output[str]
    """The kind of platform, such as `Accounting`."""

    created: pulumi.Output[str]
    """When it was created: in UTC, in Codat's own format."""

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
        """Declare the connection.

        address: our name for it, `acme/ledger`, which is also the resource's. Keep it stable, and unique in
            the program.
        company_id: Codat's id of the company, a UUID.
        platform_key: Codat's key of the platform, such as `gbol`.
        status: `Linked`, or `Unlinked` to end the access.
        on_removal: what happens when it is no longer declared: `unlink`, `delete` or `retain`.
        on_existing: what happens if the company has a connection to the platform that somebody authorised and
            nobody manages here: `refuse`, `adopt` or `create`.
        connection_id: Codat's id of the connection to take over: this one and no other.
        siblings: the addresses of connections of the same company and platform that the program declares
            later. Without them, a new connection is refused beside a recorded one that isn't declared yet,
            since it may be that one under a new name.
        opts: Pulumi's options, such as `parent`, `protect`, `depends_on` and `aliases`.

        Raises `pulumi.RunError` if the connection can't be declared.
        """
        check_config()
        if pulumi.Config(NAMESPACE).get("shard"):
            raise pulumi.RunError(
                f"{NAMESPACE}:shard is for the stock program (`codat_iac.program.main`); a program of your"
                " own declares what is in each stack, so `pulumi config rm codat:shard`"
            )
        if not ADDRESS.fullmatch(address):
            raise pulumi.RunError(f"{address!r} is not an address such as acme/ledger")
        if opts is not None and opts.import_ is not None:
            raise pulumi.RunError(
                f"{address}: a connection can't be imported by `import_`; pass `connection_id=` to take over"
                " one that exists, or bring it into the stack with `codat-iac import`"
            )
        placed = Declared.of_this_program().place(
            Address(address), company_id, platform_key, connection_id, siblings, opts
        )
        outputs = dict.fromkeys(("connection_id", "platform_name", "source_type", "created"))
        super().__init__(
            ConnectionProvider(),
            address,
            {
                **outputs,
                "address": address,
                "company_id": company_id,
                "platform_key": platform_key,
                "status": status,
                "on_removal": on_removal,
                "on_existing": on_existing,
                "connection_id": connection_id,
                slot_description.INPUT: placed.description,
            },
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=placed.aliases)),
        )

    def translate_input_property(self, prop: str) -> str:
        """Return Pulumi's name of a property."""
        return _PULUMI_NAMES.get(prop, prop)

    def translate_output_property(self, prop: str) -> str:
        """Return the Python name of a property."""
        return _PYTHON_NAMES.get(prop, prop)
