"""Match the connections that a user's own program declares with those that its stack has recorded."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime import settings as runtime

from codat_iac.model.connection import (
    Address,
    PriorConnection,
    Slot,
    normalised,
)
from codat_iac.model.errors import CodatIacError
from codat_iac.model.text import join_names
from codat_iac.planning import slot_description
from codat_iac.planning.moves import grouped
from codat_iac.planning.slot_description import SlotDescription
from codat_iac.program import stack_record
from codat_iac.program.running_program import claim_stack, tenant_reader, warn_of_each_loss
from codat_iac.provider import declared_file
from codat_iac.reconcile.losses_ahead import look_ahead


class Placement(NamedTuple):
    """The slot description and the aliases that a resource is declared with."""

    description: pulumi.Input[str]
    aliases: list[str]


def refuse_shard(marker: str) -> None:
    """Raise `pulumi.RunError` if the state was set up as a shard: only the stock program knows the others."""
    if marker:
        raise pulumi.RunError(
            "this stack's state was set up as a shard of a desired state, which is for the stock program"
            " (`codat_iac.program.main`); use another stack"
        )


class Declared:
    """The connections that a user's own program has declared so far, and those recorded in its stack."""

    def __init__(self) -> None:
        record, marker = stack_record.read()
        refuse_shard(marker)
        self._record = record
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
        self._named: dict[Slot | None, dict[str, str]] = defaultdict(dict)
        """By slot and id the address that names the id; None for a slot that isn't known yet."""
        self._claimed: dict[str, str] = {}
        """The address that continues each recorded connection, by the recorded place."""
        self._new_in_slot: dict[Slot, int] = defaultdict(int)

    @staticmethod
    def of_this_program() -> Declared:
        """Return the instance of the running program; a process may run several, one after the other.

        Raises `pulumi.RunError` in the stock program, and if the record can't be read.
        """
        monitor: Any = runtime.get_monitor()
        claim_stack(stock=False)
        if monitor not in _programs:
            _programs[monitor] = Declared()
        return _programs[monitor]

    def place(
        self,
        address: Address,
        company_id: pulumi.Input[str],
        platform_key: pulumi.Input[str],
        connection_id: pulumi.Input[str] | None,
        siblings: Sequence[str],
        opts: pulumi.ResourceOptions | None,
    ) -> Placement:
        """Find the recorded connection that *address* continues, and describe its slot.

        Raises `pulumi.RunError` if the address is declared twice, recorded more than once, may be a recorded
        connection under a new name, or goes on with what another one goes on with.
        """
        with self._silent_if_refused():
            if address in self._addresses:
                raise pulumi.RunError(
                    f"{address} is declared twice; an address is the name of one connection"
                )
            self._addresses.add(address)
            given = None
            if isinstance(company_id, str) and isinstance(platform_key, str):
                given = Slot(normalised(company_id), platform_key)
            if isinstance(connection_id, str):
                self._named[given][normalised(connection_id)] = address
            aliases = list(opts.aliases or ()) if opts else []
            aliased = [prior for alias in aliases for prior in self._aliased(alias, address)]
            named = self._by_id.get(normalised(connection_id)) if isinstance(connection_id, str) else None
            # As in the engine, a resource recorded under the address itself comes before any alias.
            origins = (
                self._by_address.get(address)
                or self._unclaimed(aliased)
                or self._unclaimed(self._by_former_address.get(address))
                or self._unclaimed(named)
            )
            if origins:
                self._continue_from(address, origins)
                check, describe = self._going_on(address, origins[0], aliased, named)
            else:
                # Only the engine can resolve an alias that is an Output, so it is trusted. One that matches
                # no recorded connection proves nothing.
                unresolved = any(isinstance(each, pulumi.Output) for each in aliases)
                certain = connection_id is not None or unresolved
                check, describe = self._coming(address, aliased, frozenset(map(Address, siblings)), certain)
            if given:
                check(given)
            return Placement(
                self._describe_when_known(company_id, platform_key, describe),
                [origins[0].urn] if origins else [],
            )

    @contextlib.contextmanager
    def _silent_if_refused(self) -> Iterator[None]:
        """Warn of no removal after a refusal: what would have come after it isn't declared, and stays."""
        try:
            yield
        except pulumi.RunError:
            self._warned = True
            raise

    def _going_on(
        self,
        address: Address,
        origin: PriorConnection,
        aliased: Sequence[PriorConnection],
        named: Sequence[PriorConnection] | None,
    ) -> tuple[Callable[[Slot], None], Callable[[Slot], SlotDescription]]:
        """Return how to check and describe the slot of an address that goes on with *origin*."""
        if named and origin not in named:
            raise pulumi.RunError(_passed_on(address, "connection_id", named[0].address, origin.address))

        def check(slot: Slot) -> None:
            # An old alias may stay if the address goes on with its own connection, else it is meant.
            other = next((prior for prior in aliased if prior.slot == slot != origin.slot), None)
            if other:
                raise pulumi.RunError(_passed_on(address, "alias", other.address, origin.address))

        def describe(slot: Slot) -> SlotDescription:
            check(slot)
            return self._describe_recorded(slot)

        return check, describe

    def _coming(
        self,
        address: Address,
        aliased: Sequence[PriorConnection],
        siblings: frozenset[Address],
        certain: bool,
    ) -> tuple[Callable[[Slot], None], Callable[[Slot], SlotDescription]]:
        """Return how to check and describe the slot of an address that gets a connection."""
        if aliased:
            raise pulumi.RunError(_both(address, self._claimed[aliased[0].place], aliased[0].address))

        def check(slot: Slot) -> None:
            self._check_new(address, slot, siblings, certain)

        def describe(slot: Slot) -> SlotDescription:
            check(slot)
            undeclared = [
                each for each in siblings if each in self._by_address and each not in self._addresses
            ]
            if undeclared:
                raise pulumi.RunError(
                    f"{address} names {join_names(undeclared)} as siblings, which is recorded, and which the"
                    f" program doesn't declare; if {address} is its new name, pass"
                    f" opts=ResourceOptions(aliases=[{self._by_address[undeclared[0]][0].urn!r}]); if it is"
                    " to go, let it go in a run of its own"
                )
            return self._describe_new(address, slot)

        return check, describe

    def _aliased(self, alias: Any, address: Address) -> list[PriorConnection]:
        """Return the recorded connections that the user's *alias* means, whatever parents it names."""
        if isinstance(alias, str):
            return [self._by_urn[alias]] if alias in self._by_urn else []
        if any(isinstance(getattr(alias, part, None), str) for part in ("stack", "project")):
            return []
        name = getattr(alias, "name", None)
        return self._by_address.get(Address(name) if isinstance(name, str) else address, [])

    def _unclaimed(self, there: Sequence[PriorConnection] | None) -> list[PriorConnection]:
        """Return those that no address declared so far continues."""
        return [prior for prior in there or () if prior.place not in self._claimed]

    def _continue_from(self, address: Address, origins: Sequence[PriorConnection]) -> None:
        if len(origins) > 1:
            urns = " and ".join(prior.urn for prior in origins)
            raise pulumi.RunError(
                f"{address} is recorded {len(origins)} times, as {urns}; take the wrong one out of the state,"
                f" which calls nothing: pulumi state delete '{origins[-1].urn}' --yes"
            )
        other = self._claimed.setdefault(origins[0].place, address)
        if other == address:
            return
        if origins[0].desired.address == other:
            raise pulumi.RunError(
                f"{address} is recorded itself, and {other}, which is declared before it, would go on with"
                f" that; declare {address} before {other}"
            )
        raise pulumi.RunError(_both(other, address, origins[0].address))

    def _describe_when_known(
        self,
        company_id: pulumi.Input[str],
        platform_key: pulumi.Input[str],
        describe: Callable[[Slot], SlotDescription],
    ) -> pulumi.Input[str]:
        """Return the description as an Output: made once the program has run and the slot is known."""

        def described(found: Sequence[Any]) -> str:
            self._warn_of_removals()
            return describe(Slot(normalised(str(found[0])), str(found[1]))).to_json()

        both: pulumi.Output[str] = pulumi.Output.all(company_id, platform_key).apply(described)
        return both

    def _warn_of_removals(self) -> None:
        """Warn once, after the program has run, of the losses by connections that it no longer declares.

        A connection that the program declares inside an Output isn't known here, so this refuses nothing.
        """
        leaving = [] if self._warned else self._unclaimed(self._record)
        self._warned = True
        if not leaving or declared_file.path() or isinstance(runtime.get_monitor(), mocks.MockMonitor):
            return
        with contextlib.suppress(CodatIacError):  # the provider meets the same error and reports it
            chosen, reader = tenant_reader()
            asked = {prior.address for prior in leaving}
            warn_of_each_loss(look_ahead((), leaving, asked, reader, chosen).losing)

    def _check_new(self, address: str, slot: Slot, siblings: frozenset[Address], certain: bool) -> None:
        """Refuse an address that may be a recorded connection renamed.

        *certain*: an alias or a `connectionId` says what it continues. Raises `pulumi.RunError`.
        """
        undeclared = [
            prior for prior in self._unclaimed(self._by_slot.get(slot)) if prior.address not in siblings
        ]
        if undeclared and not certain:
            raise pulumi.RunError(_may_be_renamed(address, undeclared))

    def _describe_recorded(self, slot: Slot) -> SlotDescription:
        return SlotDescription(
            self._new_in_slot[slot],
            named=self._named_beside(slot, ""),
            digest=self._digests.get(slot, slot_description.digest(())),
        )

    def _describe_new(self, address: str, slot: Slot) -> SlotDescription:
        there = self._by_slot.get(slot, [])
        rank = self._new_in_slot[slot]
        self._new_in_slot[slot] += 1
        return SlotDescription(
            rank + 1,
            rank,
            self._named_beside(slot, address),
            ids=tuple(prior.id for prior in there if prior.id),
            unread=tuple(prior.place for prior in there if not prior.id),
        )

    def _named_beside(self, slot: Slot, address: str) -> tuple[str, ...]:
        """Return the ids that addresses other than *address* name and that aren't recorded in *slot*."""
        recorded = {prior.id for prior in self._by_slot.get(slot, ())}
        named = self._named[None] | self._named[slot]
        return tuple(sorted(i for i, at in named.items() if at != address and i not in recorded))


_programs: WeakKeyDictionary[Any, Declared] = WeakKeyDictionary()


def _both(newcomer: str, holder: str, recorded: str) -> str:
    return (
        f"{newcomer} would go on with what is recorded as {recorded}, and so would {holder}; names are passed"
        f" on one after the other: first a run with {newcomer} and without {holder}, with all else as it is"
        f" recorded, then one with {holder} too"
    )


def _passed_on(address: str, by: str, named: str, recorded: str) -> str:
    return (
        f"{address} is recorded itself, and its {by} is that of {named}; names are passed on one after the"
        f" other: first a run that declares what is recorded as {recorded} under a name of its own,"
        f" with an alias, and without {address}, then one with {address} too"
    )


def _may_be_renamed(address: str, undeclared: Sequence[PriorConnection]) -> str:
    old = join_names([prior.address for prior in undeclared])
    first = undeclared[0]
    return (
        f"{address} is new, and {old} of the same company and platform is recorded and not declared yet, so"
        f" it may be that one renamed. If it is, pass opts=ResourceOptions(aliases=[{first.urn!r}])"
        + (f" or connection_id={first.id!r}" if first.id else "")
        + f"; if it is one more, declare {old} before it, or pass siblings=[{first.address!r}]"
    )
