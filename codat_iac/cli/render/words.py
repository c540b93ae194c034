"""What all formats say alike: signs, causes, ages and counts; and foreign text, made fit to be shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar
from urllib.parse import quote

from codat_iac.model.connection import ABSENT, Status
from codat_iac.model.errors import Problem
from codat_iac.model.text import safe_text
from codat_iac.planning.decision import Decision, Field
from codat_iac.planning.plan import Calls, Drifted, Plan, Unmanaged, Waiting
from codat_iac.planning.rule_table import Action

SIGNS: Mapping[Action, str] = {
    Action.CREATE: "+",
    Action.ADOPT: "+",
    Action.MOVE: "~",
    Action.UPDATE: "~",
    Action.UNLINK: "~",
    Action.REPLACE: "-/+",
    Action.REMOVE: "-",
}

LOSES = "LOSES the customer's authorisation"
NO_DRIFT = "No drift. What was recorded is what there is."
NO_LINKS = "No connection waits for its customer."
KEEP_LINKS = (
    "A link may work only once and expire within a day, some within an hour; whoever has it can authorise, so"
    " give it to its customer only."
)
STATELESS = "No state was read: this matches by company and platform, and removes nothing."
NO_CALL = "An apply makes no call to Codat."

_REMOVALS: Mapping[Action, str] = {
    Action.UNLINK: "is unlinked",
    Action.DELETE: "is deleted",
    Action.FORGET: "is only forgotten",
}
_MEANINGS: Mapping[str, str] = {
    Status.PENDING_AUTH: "not connected yet",
    Status.DEAUTHORIZED: "access was lost",
    Status.UNLINKED: "was disconnected",
}
_PLAIN = re.compile(r"[A-Za-z0-9 ._/,;()+'`?-]{,300}")
"""Nothing in this can be a link, a password or a control character, so it needs no closer look."""

_OF_A_LINK = "%/:?#[]@!$&'()*+,;=~"
"""What may stand in a link beside letters, digits and `_.-`; source: RFC 3986, section 2.2."""

_UNIX_SECONDS = re.compile(r"[0-9]{9,10}")
_MOST_KINDS = 5


class InACompany(Protocol):
    """Anything at an address."""

    @property
    def address(self) -> str:
        """The address, `acme/ledger`."""


Addressed = TypeVar("Addressed", bound=InACompany)


def fit(text: str | None) -> str:
    """Make a foreign value fit for a cell: one line, no links, not long; a dash where there is nothing."""
    if not text:
        return "-"
    return (text.strip() if _PLAIN.fullmatch(text) else safe_text(text)) or "-"


def address_of_page(url: str) -> str:
    """Give a link whole, without what a terminal, a sheet or a browser could take for something else."""
    return quote(url.strip(), safe=_OF_A_LINK)


def sentence(text: str) -> str:
    """Make a sentence of ours fit, which may quote foreign text; unlike a value it is never cut."""
    if _PLAIN.fullmatch(text):
        return text.strip()
    return " ".join(word if _PLAIN.fullmatch(word) else safe_text(word) for word in text.split())


def of(address: str, text: str) -> str:
    """Take the address off the head of what is said of it, where the address stands beside."""
    return sentence(text.removeprefix(f"{address}: "))


def count(number: int, noun: str) -> str:
    """Count a thing: `1 change`, `2 changes`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def by_company(items: Iterable[Addressed]) -> dict[str, list[Addressed]]:
    """Group by the company's half of the address, companies in the order in which they first come."""
    groups: dict[str, list[Addressed]] = {}
    for item in items:
        groups.setdefault(item.address.partition("/")[0], []).append(item)
    return groups


def company_ids(changes: Iterable[Decision]) -> str:
    """Give the ids of the companies that the changes of one group are about; nearly always one."""
    return ", ".join(fit(company_id) for company_id in dict.fromkeys(change.company_id for change in changes))


def company_of(unmanaged: Unmanaged) -> str:
    """Give our name of a company, or else its id."""
    return fit(unmanaged.company or unmanaged.company_id)


def consequences(change: Decision) -> list[str]:
    """Say in words who brought a change about and what it leads to, beside its fields."""
    said = [str(change.cause)]
    if change.moved_from is not None:
        said.append(f"was {fit(change.moved_from)}")
    if change.later:
        said.append("comes in a second run, since its name is taken until then")
    if change.removal is not None:
        which = "the connection" if change.action is Action.REMOVE else "the old one"
        said.append(f"{which} {_REMOVALS[change.removal]}")
    return said


def value(text: str | None) -> str:
    """Show one side of a field."""
    return "(none)" if text is None else fit(text)


def differs(field: Field, arrow: str = "->") -> str:
    """Show one field of a change."""
    return f"{fit(field.name)}: {value(field.before)} {arrow} {value(field.after)}"


def meaning(status: str) -> str:
    """Say what a status means to people who don't know Codat's; empty where it is none of Codat's."""
    return _MEANINGS.get(status, "")


def statement(waiting: Waiting) -> str:
    """Say why a connection waits, without the address and the status that stand beside."""
    return of(waiting.address, waiting.text).removeprefix(f"{fit(waiting.status)}, ")


def kinds(counted: Mapping[str, int]) -> str:
    """Count what there is of each kind, the most frequent first: `400 PendingAuth, 2 Unlinked`."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{number:,} {fit(name)}" for name, number in ordered[:_MOST_KINDS])
    rest = len(ordered) - _MOST_KINDS
    return f"{named} and {rest:,} more" if rest > 0 else named


def statuses(items: Iterable[Waiting | Unmanaged]) -> str:
    """Count by status."""
    return kinds(Counter(item.status for item in items))


def moves(drifted: Iterable[Drifted]) -> str:
    """Count by what moved whither."""
    return kinds(Counter(f"{fit(each.was)} -> {fit(each.now)}" for each in drifted))


def drift_sign(drifted: Drifted) -> str:
    """Give the sign of what moved: gone, or changed."""
    return "-" if drifted.now == ABSENT else "~"


def drift_summary(drifted: Sequence[Drifted]) -> str:
    """Say the drift in one line."""
    if not drifted:
        return NO_DRIFT
    are = "is" if len(drifted) == 1 else "are"
    return f"Drift: {count(len(drifted), 'connection')} {are} not as recorded: {moves(drifted)}."


def links_summary(number: int) -> str:
    """Say how many wait, in one line."""
    if not number:
        return NO_LINKS
    return f"{count(number, 'connection')} {'waits' if number == 1 else 'wait'} for a customer."


def problems_summary(problems: Sequence[Problem], checked: str) -> str:
    """Say in one line what came of a check of *checked*."""
    subject = f"{sentence(checked)}: " if checked else ""
    if problems:
        return f"{subject}{count(len(problems), 'problem')}."
    return f"{subject}nothing is wrong." if checked else "Nothing is wrong."


def place(problem: Problem) -> str:
    """Say where a problem is; empty where it has no place."""
    if not problem.line:
        return sentence(problem.path)
    return f"{sentence(problem.path)}, line {problem.line}, column {problem.column}"


def forecast(plan: Plan) -> str:
    """Say what an apply costs, and what is left of today's quota; empty where there is nothing to do."""
    if not plan.changes:
        return ""
    calls = plan.calls
    total = calls.reads + calls.writes
    if not total:
        return NO_CALL
    parts = f"{count(calls.reads, 'read')}, {count(calls.writes, 'write')}"
    cost = f"An apply makes {count(total, 'call')} ({parts})"
    if calls.quota_left is None:
        return f"{cost}."
    resets = f", which resets at {_reset(calls.quota_resets)}" if calls.quota_resets else ""
    if over_quota(calls):
        return f"{cost}, MORE than the {calls.quota_left:,} left of today's quota{resets}."
    are = "is" if calls.quota_left == 1 else "are"
    return f"{cost}; {calls.quota_left:,} {are} left of today's quota{resets}."


def _reset(said: str) -> str:
    """Show when the quota resets: Codat doesn't say how it writes that, so it may be seconds since 1970."""
    if _UNIX_SECONDS.fullmatch(said):
        return reading(datetime.fromtimestamp(int(said), UTC))
    when = moment(said)
    return reading(when) if when else fit(said)


def over_quota(calls: Calls) -> bool:
    """Say whether an apply would run into the quota."""
    return calls.quota_left is not None and calls.reads + calls.writes > calls.quota_left


def notes(plan: Plan) -> list[str]:
    """Give what else there is to say of a plan."""
    return [*([STATELESS] if plan.stateless else []), *map(sentence, plan.notes)]


def moment(since: str) -> datetime | None:
    """Read a date as Codat writes it; None where it can't be read. Without a zone it is taken as UTC.

    Source: components/schemas/DateTime of https://github.com/codatio/oas.
    """
    try:
        when = datetime.fromisoformat(since.strip())
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def age(since: str, now: datetime) -> str:
    """Say how long ago that was, the way people do; a dash where nobody knows."""
    when = moment(since)
    if when is None:
        return "-"
    minutes = max(1, int((now - when).total_seconds() // 60))
    if minutes < 120:
        return count(minutes, "minute")
    hours = minutes // 60
    return count(hours, "hour") if hours < 48 else count(hours // 24, "day")


def longest_first(waiting: Iterable[Waiting], now: datetime) -> list[Waiting]:
    """Sort by how long each has waited; those of which nobody knows come last."""
    return sorted(waiting, key=lambda each: (moment(each.since) or now, each.address))


def stamp(now: datetime) -> str:
    """Write a moment the way Codat does, in UTC."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def reading(now: datetime) -> str:
    """Write a moment for people."""
    utc = now.astimezone(UTC)
    return f"{utc:%H:%M} UTC on {utc.day} {utc:%B %Y}"
