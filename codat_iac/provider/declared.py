"""What a program of one's own has declared so far, against what its stack has recorded."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime import settings as runtime

from codat_iac.model.connection import (
    PriorConnection,
    Slot,
)
from codat_iac.model.errors import CodatIacError
from codat_iac.model.text import shortened
from codat_iac.planning import slot_description
from codat_iac.planning.moves import grouped
from codat_iac.planning.slot_description import Description
from codat_iac.provider.running_program import own_record, tenant, warn_of
from codat_iac.reconcile.losses_ahead import coming_losses


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


class Placed(NamedTuple):
    """What stands beside a resource, and what it continues."""

    description: pulumi.Input[str]
    aliases: list[str]


class Declared:
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
            slot: slot_description.digest(prior.place for prior in there)
            for slot, there in self._by_slot.items()
        }
        self._addresses: set[str] = set()
        self._named: dict[str, str] = {}
        """By the id the address that names it."""
        self._continued: dict[str, str] = {}
        """By the place of what is recorded the address that goes on with it."""
        self._comers: dict[Slot, int] = defaultdict(int)

    @staticmethod
    def of_this_program() -> Declared:
        """Return the one of the program that runs; a process may run several, one after the other."""
        monitor: Any = runtime.get_monitor()
        if monitor in _stock:
            raise pulumi.RunError(_MIXED)
        if monitor not in _programs:
            _programs[monitor] = Declared()
        return _programs[monitor]

    def place(
        self,
        address: str,
        company_id: pulumi.Input[str],
        platform_key: pulumi.Input[str],
        connection_id: pulumi.Input[str] | None,
        siblings: Sequence[str],
        opts: pulumi.ResourceOptions | None,
    ) -> Placed:
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
            return Placed(self._later(company_id, platform_key, self._of_recorded), [origins[0].urn])
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

        return Placed(self._later(company_id, platform_key, describe), [])

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
            digest=self._digests.get(slot, slot_description.digest(())),
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


_programs: WeakKeyDictionary[Any, Declared] = WeakKeyDictionary()


def _may_be_renamed(address: str, undeclared: Sequence[PriorConnection]) -> str:
    old = shortened([prior.address for prior in undeclared])
    first = undeclared[0]
    return (
        f"{address} is new, and {old} of the same company and platform is recorded and not declared yet, so"
        f" it may be that one renamed. If it is, pass opts=ResourceOptions(aliases=[{first.urn!r}])"
        + (f" or connection_id={first.id!r}" if first.id else "")
        + f"; if it is one more, declare {old} before it, or pass siblings=[{first.address!r}]"
    )
