"""`codat_iac.Connection`: one Codat connection as a Pulumi resource."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import pulumi
from platformdirs import user_cache_path
from pulumi.dynamic import Resource
from pulumi.runtime import mocks
from pulumi.runtime import settings as runtime

from codat_iac import beside, rules, settings
from codat_iac.beside import Description
from codat_iac.client import Reader
from codat_iac.coming_losses import coming_losses
from codat_iac.decision import Decision
from codat_iac.errors import CodatIacError, ConfigError
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
from codat_iac.moves import grouped
from codat_iac.own_record import own_record, warn
from codat_iac.pace import shared_pace
from codat_iac.provider import ConnectionProvider
from codat_iac.rules import Action, Notice

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


MOST_WARNED = 20
"""Removals that are warned of on their own resources; more are named in sum alone."""


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


def tenant() -> tuple[settings.Settings, Reader]:
    """Return the settings of the program that runs, and what reads its tenant. Raises `ConfigError`."""
    chosen = settings.read(os.environ, pulumi.Config(settings.NAMESPACE).get)
    throttle = shared_pace(user_cache_path("codat-iac"), chosen.requests_per_minute)
    return chosen, Reader(chosen.api_key, chosen.base_url, throttle=throttle)


def warn_of(losing: Sequence[Decision]) -> None:
    """Warn of each removal that ends an authorisation, on its resource, and of all losses in sum."""
    for each in [each for each in losing if each.action is Action.REMOVE][:MOST_WARNED]:
        warn(rules.say(Notice.LOSES, each.address), each.urn)
    if losing:
        of, whose = ("", "customer") if len(losing) == 1 else ("s", "customers")
        named = shortened(sorted(each.address for each in losing))
        warn(
            f"this run ends {len(losing)} authorisation{of}, whose {whose} would have to authorise again:"
            f" {named}",
            "",
        )


def only_the_stock_program() -> None:
    """Take the stack for the stock program. Raises `pulumi.RunError` if connections are declared besides."""
    monitor: Any = runtime.get_monitor()
    if monitor in _programs:
        raise pulumi.RunError(_MIXED)
    _stock.add(monitor)


_MIXED = (
    "the stock program (`codat_iac.program.main`) declares all connections of its stack, so a program that"
    " calls it can't declare a `Connection` besides; use one or the other"
)
_stock: WeakSet[Any] = WeakSet()


class _Placed(NamedTuple):
    """What stands beside a resource, and what it continues."""

    description: pulumi.Input[str]
    aliases: list[str]


class _Declared:
    """What a program of one's own has declared so far, against what its stack has recorded."""

    def __init__(self) -> None:
        record = self._record = own_record()
        self._warned = not record
        self._by_address = grouped(record, lambda prior: prior.address)
        self._by_former_address = grouped(record, lambda prior: prior.desired.address)
        self._by_id = grouped(record, lambda prior: prior.id)
        self._by_slot = grouped(record, lambda prior: prior.slot)
        self._by_urn = {prior.urn: prior for prior in record}
        self._digests = {
            slot: beside.digest(prior.place for prior in there) for slot, there in self._by_slot.items()
        }
        self._addresses: set[str] = set()
        self._named: dict[str, str] = {}
        """By the id the address that names it."""
        self._continued: dict[str, str] = {}
        """By the place of what is recorded the address that goes on with it."""
        self._comers: dict[Slot, int] = defaultdict(int)

    @staticmethod
    def of_this_program() -> _Declared:
        """Return the one of the program that runs; a process may run several, one after the other."""
        monitor: Any = runtime.get_monitor()
        if monitor in _stock:
            raise pulumi.RunError(_MIXED)
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
        if isinstance(connection_id, str):
            self._named[connection_id.lower()] = address
        aliases = list(opts.aliases or ()) if opts else []
        named = self._by_id.get(connection_id.lower()) if isinstance(connection_id, str) else None
        # As for the engine, what is recorded under the address itself comes before any alias.
        origins = (
            self._by_address.get(address)
            or self._free([prior for alias in aliases for prior in self._named_by(alias, address)])
            or self._free(self._by_former_address.get(address))
            or self._free(named)
        )
        if origins:
            self._go_on(address, origins)
            return _Placed(self._later(company_id, platform_key, self._of_recorded), [origins[0].urn])
        # An alias that only the engine can read is believed; one that leads nowhere says nothing.
        certain = connection_id is not None or any(isinstance(each, pulumi.Output) for each in aliases)
        known = frozenset(siblings)
        if isinstance(company_id, str) and isinstance(platform_key, str):
            self._check_new(address, Slot(company_id.lower(), platform_key), known, certain)

        def describe(slot: Slot) -> Description:
            self._check_new(address, slot, known, certain)
            undeclared = [
                each for each in siblings if each in self._by_address and each not in self._addresses
            ]
            if undeclared:
                raise pulumi.RunError(
                    f"{address} names {shortened(undeclared)} as siblings, which is recorded, and which the"
                    f" program doesn't declare; if {address} is its new name, pass"
                    f" opts=ResourceOptions(aliases=[{self._by_address[undeclared[0]][0].urn!r}]); if it is"
                    " to go, let it go in a run of its own"
                )
            return self._of_new(address, slot)

        return _Placed(self._later(company_id, platform_key, describe), [])

    def _named_by(self, alias: Any, address: str) -> list[PriorConnection]:
        """Return what an alias of the program's own leads to, whatever parents it says."""
        if isinstance(alias, str):
            return [self._by_urn[alias]] if alias in self._by_urn else []
        if any(isinstance(getattr(alias, part, None), str) for part in ("stack", "project")):
            return []
        name = getattr(alias, "name", None)
        return self._by_address.get(name if isinstance(name, str) else address, [])

    def _free(self, there: Sequence[PriorConnection] | None) -> list[PriorConnection]:
        """Return those that no address declared so far goes on with."""
        return [prior for prior in there or () if prior.place not in self._continued]

    def _go_on(self, address: str, origins: Sequence[PriorConnection]) -> None:
        if len(origins) > 1:
            urns = " and ".join(prior.urn for prior in origins)
            raise pulumi.RunError(
                f"{address} is recorded {len(origins)} times, as {urns}; take the wrong one out of the state,"
                f" which calls nothing: pulumi state delete '{origins[-1].urn}' --yes"
            )
        other = self._continued.setdefault(origins[0].place, address)
        if other != address:
            raise pulumi.RunError(
                f"{address} is recorded itself, and {other}, which is declared before it, would go on with"
                f" that; declare {address} before {other}"
            )

    def _later(
        self,
        company_id: pulumi.Input[str],
        platform_key: pulumi.Input[str],
        describe: Callable[[Slot], Description],
    ) -> pulumi.Input[str]:
        """Describe when the program has been read to its end, and its company and platform are known."""

        def described(found: Sequence[Any]) -> str:
            self._warn_of_removals()
            return describe(Slot(str(found[0]).lower(), str(found[1]))).written()

        both: pulumi.Output[str] = pulumi.Output.all(company_id, platform_key).apply(described)
        return both

    def _warn_of_removals(self) -> None:
        """Warn once, when the program has been read to its end, of what it no longer declares and would lose.

        What a program declares only later, inside of an Output, isn't known here, so this refuses nothing.
        """
        leaving = [] if self._warned else self._free(self._record)
        self._warned = True
        if not leaving or isinstance(runtime.get_monitor(), mocks.MockMonitor):
            return
        with contextlib.suppress(CodatIacError):  # the provider meets it, too, and says it
            chosen, reader = tenant()
            asked = {prior.address for prior in leaving}
            warn_of(coming_losses((), leaving, asked, reader, chosen))

    def _check_new(self, address: str, slot: Slot, siblings: frozenset[str], certain: bool) -> None:
        """Refuse what may be a recorded one renamed; *certain*: it is said what it goes on with."""
        undeclared = [prior for prior in self._free(self._by_slot.get(slot)) if prior.address not in siblings]
        if undeclared and not certain:
            raise pulumi.RunError(_may_be_renamed(address, undeclared))

    def _of_recorded(self, slot: Slot) -> Description:
        return Description(
            self._comers[slot],
            named=self._named_beside(slot, ""),
            digest=self._digests.get(slot, beside.digest(())),
        )

    def _of_new(self, address: str, slot: Slot) -> Description:
        there = self._by_slot.get(slot, [])
        rank = self._comers[slot]
        self._comers[slot] += 1
        return Description(
            rank + 1,
            rank,
            self._named_beside(slot, address),
            ids=tuple(prior.id for prior in there if prior.id),
            unread=tuple(prior.place for prior in there if not prior.id),
        )

    def _named_beside(self, slot: Slot, address: str) -> tuple[str, ...]:
        """Return the ids that other addresses name, and that aren't recorded here."""
        recorded = {prior.id for prior in self._by_slot.get(slot, ())}
        return tuple(sorted(i for i, at in self._named.items() if at != address and i not in recorded))


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
