"""`codat_iac.Connection`: one Codat connection as a Pulumi resource."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import pulumi
from pulumi.dynamic import Resource
from pulumi.runtime import settings as runtime

from codat_iac import beside, settings
from codat_iac.beside import Description
from codat_iac.errors import ConfigError
from codat_iac.foreign import shortened
from codat_iac.model import (
    ADDRESS,
    DesiredConnection,
    OnExisting,
    OnRemoval,
    PriorConnection,
    Slot,
    Status,
)
from codat_iac.own_record import own_record
from codat_iac.provider import ConnectionProvider

K = TypeVar("K", bound=Hashable)

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

    *address* (`acme/ledger`) is the resource's name: keep it stable, and unique in the program. The arguments
    are those of the desired-state file. A connection that is recorded under the same address with other
    parents (a component came or went) goes on by itself; for another address pass `aliases`, as with any
    resource. *siblings* are the addresses of connections of the same company and platform that are declared
    further down: without them, a new one beside a recorded one that isn't declared yet is refused, since it
    may be that one under another name.

    The resource's `id` is Codat's connection id. A link for the customer is never an output: whoever has
    it can authorise.

    Raises `pulumi.RunError` for what can't be declared.
    """

    status: pulumi.Output[str]
    """As Codat reports it: `PendingAuth`, `Linked`, `Deauthorized` or `Unlinked`."""

    company_id: pulumi.Output[str]
    platform_key: pulumi.Output[str]
    connection_id: pulumi.Output[str]
    """Codat's id of the connection, as `id`."""

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
        check_config()
        if not ADDRESS.fullmatch(address):
            raise pulumi.RunError(f"{address!r} is not an address such as acme/ledger")
        if opts is not None and opts.import_ is not None:
            raise pulumi.RunError(
                f"{address}: a connection can't be imported by `import_`; pass `connection_id=` to take over"
                " one that exists, or bring it into the stack with `codat-iac import`"
            )
        placed = _Declared.of_this_program().place(
            address, company_id, platform_key, connection_id, siblings, opts
        )
        self._register(
            address,
            {
                "company_id": company_id,
                "platform_key": platform_key,
                "status": status,
                "on_removal": on_removal,
                "on_existing": on_existing,
                "connection_id": connection_id,
                beside.INPUT: placed.description,
            },
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=placed.aliases)),
        )

    @classmethod
    def declared(
        cls,
        desired: DesiredConnection,
        description: Description,
        origin: PriorConnection | None = None,
        *,
        protect: bool = False,
    ) -> Connection:
        """Declare what a desired-state file says; *origin* is the recorded connection that it continues."""
        made = cls.__new__(cls)
        cls._register(
            made,
            desired.address,
            {
                "company_id": desired.company_id,
                "platform_key": desired.platform_key,
                "status": str(desired.status),
                "on_removal": str(desired.on_removal),
                "on_existing": str(desired.on_existing),
                "connection_id": desired.connection_id,
                "protect": desired.protect or None,
                beside.INPUT: description.written(),
            },
            pulumi.ResourceOptions(
                aliases=[origin.urn] if origin else None, protect=desired.protect or protect
            ),
        )
        return made

    def _register(self, address: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        outputs = dict.fromkeys(("connection_id", "platform_name", "source_type", "created"))
        super().__init__(ConnectionProvider(), address, {**outputs, "address": address, **inputs}, opts)

    def translate_input_property(self, prop: str) -> str:
        """Return Pulumi's name of a property."""
        return _PULUMI_NAMES.get(prop, prop)

    def translate_output_property(self, prop: str) -> str:
        """Return the Python name of a property."""
        return _PYTHON_NAMES.get(prop, prop)


def check_config() -> None:
    """Refuse what may not stand in the stack's config: the engine copies all of it into the state.

    Raises `pulumi.RunError` for an API key in the open, and for what may only be set for one run.
    """
    config = pulumi.Config(settings.NAMESPACE)
    if config.get("apiKey") and not pulumi.runtime.is_config_secret(f"{settings.NAMESPACE}:apiKey"):
        raise pulumi.RunError(settings.OPEN_KEY)
    try:
        settings.check_config(lambda key: config.get(key) is not None)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from error


class _Placed(NamedTuple):
    """What stands beside a resource, and what it continues."""

    description: pulumi.Input[str]
    aliases: list[str]


class _Declared:
    """What a program of one's own has declared so far, against what its stack has recorded."""

    def __init__(self) -> None:
        record = own_record()
        self._by_address = _grouped(record, lambda prior: prior.address)
        self._by_former_address = _grouped(record, lambda prior: prior.desired.address)
        self._by_id = _grouped(record, lambda prior: prior.id)
        self._by_slot = _grouped(record, lambda prior: prior.slot)
        self._by_urn = {prior.urn: prior for prior in record}
        self._digests = {
            slot: beside.digest(prior.place for prior in there) for slot, there in self._by_slot.items()
        }
        self._addresses: set[str] = set()
        self._continued: dict[str, str] = {}
        """By the place of what is recorded the address that goes on with it."""
        self._comers: dict[Slot, int] = defaultdict(int)

    @staticmethod
    def of_this_program() -> _Declared:
        """Return the one of the program that runs; a process may run several, one after the other."""
        monitor: Any = runtime.get_monitor()
        if monitor not in _programs:
            _programs[monitor] = _Declared()
        return _programs[monitor]

    def place(
        self,
        address: str,
        company_id: pulumi.Input[str],
        platform_key: pulumi.Input[str],
        connection_id: pulumi.Input[str] | None,
        siblings: Sequence[str],
        opts: pulumi.ResourceOptions | None,
    ) -> _Placed:
        """Find what *address* continues, or describe what stands beside it. Raises `pulumi.RunError`."""
        if address in self._addresses:
            raise pulumi.RunError(f"{address} is declared twice; an address is the name of one connection")
        self._addresses.add(address)
        aliases = list(opts.aliases or ()) if opts else []
        aliased = [prior for alias in aliases for prior in self._named_by(alias, address)]
        named = isinstance(connection_id, str) and self._free(self._by_id.get(connection_id.lower()))
        origins = (
            aliased
            or self._by_address.get(address)
            or self._free(self._by_former_address.get(address))
            or named
        )
        if origins:
            self._go_on(address, origins, bool(aliased))
            # Pulumi's own aliases lead there already, and its own URN needs none.
            own = [] if aliased else [origins[0].urn]
            return _Placed(self._with(company_id, platform_key, self._of_recorded), own)
        # An alias that only the engine can read is believed; one that leads nowhere says nothing.
        certain = connection_id is not None or any(
            not isinstance(each, str | pulumi.Alias) for each in aliases
        )
        known = None if certain else frozenset(siblings)
        return _Placed(
            self._with(company_id, platform_key, lambda slot: self._of_new(address, slot, known)), []
        )

    def _named_by(self, alias: Any, address: str) -> list[PriorConnection]:
        """Return what an alias of the program's own leads to."""
        if isinstance(alias, str):
            return [self._by_urn[alias]] if alias in self._by_urn else []
        name = getattr(alias, "name", None)
        return self._by_address.get(name if isinstance(name, str) else address, [])

    def _free(self, there: Sequence[PriorConnection] | None) -> list[PriorConnection]:
        """Return those that no address declared so far goes on with."""
        return [prior for prior in there or () if prior.place not in self._continued]

    def _go_on(self, address: str, origins: Sequence[PriorConnection], aliased: bool) -> None:
        if len(origins) > 1 and not aliased:
            urns = " and ".join(prior.urn for prior in origins)
            raise pulumi.RunError(
                f"{address} is recorded {len(origins)} times, as {urns}; say which one it goes on with:"
                f" opts=ResourceOptions(aliases=[{origins[0].urn!r}])"
            )
        for prior in origins:
            other = self._continued.setdefault(prior.place, address)
            if other != address:
                raise pulumi.RunError(
                    f"{address} and {other} would go on with the same connection, recorded as {prior.urn};"
                    f" declare {address} before {other}, or say by `aliases` which one does"
                )

    @staticmethod
    def _with(
        company_id: pulumi.Input[str],
        platform_key: pulumi.Input[str],
        describe: Callable[[Slot], Description],
    ) -> pulumi.Input[str]:
        """Describe at once if the slot is known, and else as soon as it is."""
        if isinstance(company_id, str) and isinstance(platform_key, str):
            return describe(Slot(company_id.lower(), platform_key)).written()
        both: pulumi.Output[str] = pulumi.Output.all(company_id, platform_key).apply(
            lambda found: describe(Slot(str(found[0]).lower(), str(found[1]))).written()
        )
        return both

    def _of_recorded(self, slot: Slot) -> Description:
        return Description(self._comers[slot], digest=self._digests.get(slot, beside.digest(())))

    def _of_new(self, address: str, slot: Slot, siblings: frozenset[str] | None) -> Description:
        """Describe a new one; *siblings* None: it is said what it goes on with, or that it is one more."""
        there = self._by_slot.get(slot, [])
        undeclared = [prior for prior in self._free(there) if prior.address not in (siblings or ())]
        if undeclared and siblings is not None:
            raise pulumi.RunError(_may_be_renamed(address, undeclared))
        rank = self._comers[slot]
        self._comers[slot] += 1
        return Description(
            rank + 1,
            rank,
            ids=tuple(prior.id for prior in there if prior.id),
            unread=tuple(prior.place for prior in there if not prior.id),
        )


def _grouped(
    record: Iterable[PriorConnection], key: Callable[[PriorConnection], K]
) -> dict[K, list[PriorConnection]]:
    groups: dict[K, list[PriorConnection]] = defaultdict(list)
    for prior in record:
        groups[key(prior)].append(prior)
    return dict(groups)


_programs: WeakKeyDictionary[Any, _Declared] = WeakKeyDictionary()


def _may_be_renamed(address: str, undeclared: Sequence[PriorConnection]) -> str:
    old = shortened([prior.address for prior in undeclared])
    first = undeclared[0]
    return (
        f"{address} is new, and {old} of the same company and platform is recorded and not declared yet, so"
        f" it may be that one renamed. If it is, pass opts=ResourceOptions(aliases=[{first.urn!r}])"
        + (f" or connection_id={first.id!r}" if first.id else "")
        + f"; if it is one more, declare {old} before it, or pass siblings=[{first.address!r}]"
    )
