"""The safety limits of a run: how many losses it may cause, and how much may be missing at once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from codat_iac.model.connection import DesiredConnection, PriorConnection
from codat_iac.model.errors import ConfigError
from codat_iac.model.shard import Shard
from codat_iac.model.text import count, join_names, safe_text


class Limit(Enum):
    """A limit that a plan may exceed."""

    LOSSES = auto()
    CREATES = auto()
    LEAVERS = auto()


MAX_LOSSES = 10
MAX_SHARE = 0.3
"""The share of a stack's connections that one run may lose, or miss."""

MIN_STACK_SIZE = 10
"""A smaller stack may lose any share."""

MIN_MISSING = 10
"""Fewer may be missing from any stack."""


UNAPPROVED = "that nobody approved"
"""The words by which an apply recognises this refusal, of which the engine passes on the text alone."""


@dataclass(frozen=True, slots=True)
class LossLimit:
    """Which losses one run may cause.

    `explicit` is the user's limit, `approved` are the ids of the connections that the user named as those
    that may be lost; None if there is none. If both are given, both hold. The default is divided among
    `shards`, which are stacks that share a desired state: one mistake in it meets all of them.
    """

    explicit: int | None = None
    approved: frozenset[str] | None = None
    shards: int = 1
    option: str = ""
    """The option of the command line that gave `explicit`, empty if the environment did."""

    @property
    def is_default(self) -> bool:
        """Whether the user set nothing."""
        return self.explicit is None and self.approved is None

    def unapproved(self, losing: Mapping[str, str]) -> str | None:
        """Return why a run is refused that loses a connection that isn't approved by name, or None.

        *losing* are addresses by connection id.
        """
        if self.approved is None:
            return None
        others = [f"{address} ({each})" for each, address in losing.items() if each not in self.approved]
        if not others:
            return None
        count = "an authorisation" if len(others) == 1 else f"{len(others)} authorisations"
        return (
            f"would end {count} {UNAPPROVED}: {join_names(sorted(others))}; nothing is done. Look at"
            " the plan again, since a customer may have authorised meanwhile; if you mean it, `codat-iac plan"
            " --losses-out FILE` writes what to approve"
        )

    def refusal(
        self, losing: Collection[str], recorded: int, *, declares: bool = True, certainty: str = ""
    ) -> str | None:
        """Return why a run is refused that loses the connections at the addresses *losing*, or None.

        *recorded* is the number of connections of the stack. *declares* is whether the run declares any
        connection; one that declares none (`destroy`, an emptied file) may lose nothing without an explicit
        limit. *certainty* is "at least " if there may be more losses.
        """
        count = len(losing)
        if self.explicit is not None:
            refused = count > self.explicit
        elif self.approved is not None:
            refused = False  # each of them is named
        elif not declares:
            refused = count > 0
        else:
            refused = count > max(1, MAX_LOSSES // self.shards) or (
                recorded >= MIN_STACK_SIZE and count > MAX_SHARE * recorded
            )
        if not refused:
            return None
        question = "" if declares else "nothing is declared: is it the right file, and the right stack? It "
        remedy = _lift("CODAT_MAX_LOSSES", self.option, count)
        return (
            f"{question}would end {certainty}{count} {'authorisation' if count == 1 else 'authorisations'} of"
            f" {recorded} recorded connections ({join_names(sorted(losing))}), whose customers would have to"
            f" authorise again; nothing is done. If you mean it, {remedy}"
        )


def _lift(variable: str, option: str, count: int) -> str:
    """Return how to raise a limit to *count*: the *option* that gave it wins over the *variable*."""
    return f"pass {option} {count}" if option else f"set {variable}={count} for this run"


MAX_CREATES = 10


@dataclass(frozen=True, slots=True)
class CreateLimit:
    """How many connections the rules may make in one run: each is a customer who is asked to authorise.

    What is written out in a desired state doesn't count: somebody wrote each line. `explicit` is the user's
    limit, None if there is none.
    """

    explicit: int | None = None
    option: str = ""
    """The option of the command line that gave `explicit`, empty if the environment did."""

    def refusal(self, making: Collection[str]) -> str | None:
        """Return why a run is refused whose rules make connections at the addresses *making*, or None."""
        count = len(making)
        if count <= (MAX_CREATES if self.explicit is None else self.explicit):
            return None
        return (
            f"the rules would make {count:,} new {'connection' if count == 1 else 'connections'}"
            f" ({join_names(sorted(making))}), and as many customers would be asked to authorise; nothing is"
            f" done. If you mean it, {_lift('CODAT_MAX_CREATES', self.option, count)}"
        )


def leavers_refusal(leaving: Collection[str], *, accepted: bool) -> str | None:
    """Return why a run is refused in which connections at the addresses *leaving* left their rules, or None.

    Nobody took them out of the file: their companies haven't the tag, or are gone.
    """
    if accepted or not leaving:
        return None
    return (
        f"{count(len(leaving), 'connection')} of rules would end ({join_names(sorted(leaving))}), since their"
        " companies haven't the tag of their rule in Codat any more; nothing is done. Give the tag back"
        " there, or correct the rule's, or, if they are to go, set CODAT_ACCEPT_LEAVERS=true for this run"
    )


_LIKELY = (
    "is it the key of the right tenant (CODAT_API_KEY), the right base URL (CODAT_BASE_URL), and the right"
    " stack"
)
_ACCEPT = "set CODAT_ACCEPT_MISSING=true for this run"


def missing_refusal(missing: int, recorded: int) -> str | None:
    """Return why it isn't believed that *missing* of *recorded* connections are gone, or None if it is."""
    if missing < MIN_MISSING or missing <= MAX_SHARE * recorded:
        return None
    return (
        f"{missing} of {recorded or 'all'} recorded connections are gone at once; {_LIKELY}? If they really"
        f" are gone, {_ACCEPT}"
    )


def unseen_company(company_id: str, *, accepted: bool = False, others_seen: bool = True) -> str:
    """Return the message that a company can't be seen.

    *accepted* means that what can't be seen counts as gone. *others_seen* is whether any other company of the
    stack was seen; otherwise the company isn't to blame.
    """
    if accepted:
        rest = "; it can have no connection; correct its id, or take it out of the file"
    elif others_seen:
        rest = f"; is it the right key and the right id? If the company really is gone, {_ACCEPT}"
    else:
        rest = f", nor any other of this stack so far; {_LIKELY}? If they really are gone, {_ACCEPT}"
    return f"company {company_id} can't be seen with this API key{rest}"


EMPTY_STACK = (
    "it exists in Codat already, and nothing is recorded in this stack; is it the right stack (see `pulumi"
    " stack ls`)? If it is, bring in what exists with `codat-iac import`, or take it with `onExisting: adopt`"
)
"""The message for many connections that exist already while a stack is empty."""

MANY_UNMANAGED = 5
"""Of more connections that exist already, an empty stack is likely to be the wrong one."""


MOVING = "moving"
"""The word in a stack's marker while `codat-iac reshard` moves connections between stacks."""

LEFT = "left"
"""The marker of a stack that gave all its connections to shards."""

_RESHARD = "`codat-iac reshard STACK...`"


def shard_refusal(shard: Shard | None, marker: str, recorded: Iterable[PriorConnection]) -> str | None:
    """Return why a stack isn't ready for a run as *shard* (None: it has all companies), or None if it is.

    *marker* says what its state was set up as. What another stack may have recorded must neither be made
    again nor removed here, and only the command that moves connections between stacks knows all of them.
    """
    configured = "" if shard is None or shard.count == 1 else str(shard)
    if MOVING in marker:
        return f"connections are being moved between stacks; run {_RESHARD} to its end, with the same stacks"
    if marker == LEFT:
        return (
            "its connections belong to shards in other stacks by now; remove it with `pulumi stack rm`, or"
            f" make it a shard with `codat:shard` and {_RESHARD}"
        )
    if configured != ("" if marker == "1/1" else marker):
        was = f"was set up as shard {safe_text(marker)}" if marker else "wasn't set up as a shard"
        now = f"shard {shard}" if shard else "no shard"
        return (
            f"its config says {now}, and its state {was}; run {_RESHARD} with all stacks that have a shard,"
            " or had one, which moves connections to where they belong"
        )
    foreign = [each.address for each in recorded if shard and not shard.owns(each.desired.company_id)]
    if foreign:
        return (
            f"connections of other shards than {shard} are recorded ({join_names(sorted(foreign))}), and"
            f" nothing is done; run {_RESHARD} with all stacks that have a shard, which moves them"
        )
    return None


def refuse_foreign(
    shard: Shard | None, desired: Iterable[DesiredConnection], recorded: Iterable[PriorConnection]
) -> None:
    """Raise `ConfigError` if a recorded address got a company of another shard. *desired* is all of the file.

    To this stack it looks as if the connection were taken out, and nothing orders what two stacks do: a
    mistyped id would end an authorisation.
    """
    foreign = [each for each in desired if shard and not shard.owns(each.company_id)]
    elsewhere = {each.address: each.company_id for each in foreign}
    moved = {each.address for each in recorded if each.address in elsewhere and not each.pending_removal}
    if moved:
        raise ConfigError(
            f"{join_names(sorted(moved))}: the desired state gives it another company than is recorded"
            f" ({elsewhere[min(moved)]} for {min(moved)}), which is of another shard; nothing is done. If the"
            " id is right, take it out of the desired state for one run of all stacks, and declare it with"
            " that id in the next"
        )
