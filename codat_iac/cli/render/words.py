"""Text that all formats share: signs, causes, ages and counts; and foreign text, made safe to show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from codat_iac.model.connection import ABSENT, Address, Status
from codat_iac.model.errors import FileProblem
from codat_iac.model.text import count, join_names, safe_text
from codat_iac.model.times import parse_time, past
from codat_iac.planning.decision import Cause, Decision, Field
from codat_iac.planning.plan import Calls, Drifted, Plan, Problem, Unmanaged, Waiting
from codat_iac.planning.plan.coverage import Coverage, Kind, Tally, Uncovered
from codat_iac.planning.rule_table import Action, is_drift, waits

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
ACKNOWLEDGE = "To record this, so that it is no longer shown: `codat-iac drift --acknowledge`."
NO_LINKS = "No connection waits for its customer."
KEEP_LINKS = (
    "A link may work only once and expire within a day, some within an hour; whoever has it can authorise, so"
    " give it to its customer only."
)
STATELESS = "No state was read: this matches by company and platform, and removes nothing."
NO_CALL = "An apply makes no call to Codat."

WILL_WAIT = "then waits for its customer"

_REMOVALS: Mapping[Action, str] = {
    Action.UNLINK: "is unlinked",
    Action.DELETE: "is deleted",
    Action.FORGET: "is removed from our records and stays in Codat",
}
_YOURS: Mapping[Action, str] = {
    Action.CREATE: "new in your file",
    Action.ADOPT: "new in your file",
    Action.REMOVE: "no longer in your file",
}
_MEANINGS: Mapping[str, str] = {
    Status.PENDING_AUTH: "not connected yet",
    Status.DEAUTHORIZED: "access was lost",
    Status.UNLINKED: "was disconnected",
}
_PLAIN = re.compile(r"[A-Za-z0-9 ._/,;()+'`?-]{,300}")
"""Text that can't hold a link, a password or a control character, so it needs no cleaning."""

_OF_A_LINK = "%/:?#[]@!$&'()*+,;=~"
"""Characters allowed in a URL besides letters, digits and `_.-`; source: RFC 3986, section 2.2."""

_UNIX_SECONDS = re.compile(r"[0-9]{9,10}")
_MOST_KINDS = 5

MOST_OF_ONE_REASON = 5
"""The most addresses that are named if many have the same problem."""


class HasAddress(Protocol):
    """Anything that has an address."""

    @property
    def address(self) -> Address:
        """The address, `acme/ledger`."""


class Recorded(NamedTuple):
    """What a drift or links are of: the stack's name, and how many of its connections were looked at."""

    stack: str
    connections: int


Addressed = TypeVar("Addressed", bound=HasAddress)


def fit(text: str | None) -> str:
    """Return a foreign value made safe for a table cell: one line, cut, without links; a dash if empty."""
    if not text:
        return "-"
    return (text.strip() if _PLAIN.fullmatch(text) else safe_text(text)) or "-"


def safe_url(url: str) -> str:
    """Return a URL uncut, with characters percent-encoded that a terminal, sheet or browser may interpret."""
    return quote(url.strip(), safe=_OF_A_LINK)


def sentence(text: str) -> str:
    """Return a sentence of ours, which may quote foreign text, made safe to show; it is never cut."""
    if _PLAIN.fullmatch(text):
        return text.strip()
    return " ".join(word if _PLAIN.fullmatch(word) else safe_text(word) for word in text.split())


def without_address(address: str, text: str) -> str:
    """Return *text* without the address at its beginning, for a place that shows the address already."""
    return sentence(text.removeprefix(f"{address}: "))


def problems_by_reason(problems: Iterable[Problem], most: int) -> list[tuple[str, str]]:
    """Return the addresses and the text of each problem of a plan; those with the same text are one.

    The first *most* of its addresses are named. All is made safe to show.
    """
    addresses: dict[str, list[str]] = {}
    for each in problems:
        addresses.setdefault(without_address(each.address, each.text), []).append(fit(each.address))
    return [(join_names(named, most), text) for text, named in addresses.items()]


def by_company(items: Iterable[Addressed]) -> dict[str, list[Addressed]]:
    """Group *items* by the company's half of the address, companies in the order of their first item."""
    groups: dict[str, list[Addressed]] = {}
    for item in items:
        groups.setdefault(item.address.company, []).append(item)
    return groups


def company_ids(changes: Iterable[Decision]) -> str:
    """Return the ids of the companies of one group of changes; nearly always there is one."""
    return ", ".join(fit(company_id) for company_id in dict.fromkeys(change.company_id for change in changes))


def company_of(unmanaged: Unmanaged) -> str:
    """Return our name of a connection's company, or else its id."""
    return fit(unmanaged.company or unmanaged.company_id)


def company_names(changes: Iterable[Decision], plan: Plan) -> str:
    """Return the names in Codat of the companies of one group of changes, "" if none is known."""
    ids = dict.fromkeys(change.company_id for change in changes)
    return ", ".join(fit(plan.companies[company_id]) for company_id in ids if company_id in plan.companies)


def platform(key: str, plan: Plan) -> str:
    """Return a platform's name with its key, `Xero (gbol)`, or only the key if the name isn't known."""
    name = plan.platforms.get(key)
    return f"{fit(name)} ({fit(key)})" if name else fit(key)


def stack_summary(plan: Plan) -> str:
    """Return which stack a plan is of and how large that is; "" if it is of none."""
    if plan.stack is None:
        return ""
    sizes = f"{count(plan.declared, 'connection')} declared, {plan.recorded:,} recorded"
    return f"Stack {fit(plan.stack)}: {sizes}."


def recorded_summary(of: Recorded | None) -> str:
    """Return what a drift or links are of, in one line; "" if that isn't known."""
    return "" if of is None else f"Stack {fit(of.stack)}: {count(of.connections, 'connection')} recorded."


def cause(change: Decision) -> str:
    """Return who brought a change about: you, in your file, or somebody in Codat."""
    yours = _YOURS.get(change.action, "changed in your file")
    theirs = "deleted in Codat" if change.status == ABSENT else "changed in Codat"
    match change.cause:
        case Cause.YOU:
            return yours
        case Cause.THEY:
            return theirs
        case _:
            return f"{yours}, and {theirs}"


def fields(change: Decision) -> list[Field]:
    """Return the fields that differ; what is made new is `PendingAuth` until its customer authorises it."""
    return [
        replace(each, after=Status.PENDING_AUTH) if change.posts and each.name == "status" else each
        for each in change.fields
    ]


def consequences(change: Decision) -> list[str]:
    """Return in words the cause of a change, and its consequences apart from the changed fields."""
    said = [cause(change)]
    if change.moved_from is not None:
        said.append(f"was {fit(change.moved_from)}")
    if change.later:
        said.append("comes in a second run, since its name is taken until then")
    if change.removal is not None:
        which = "the connection" if change.action is Action.REMOVE else "the old one"
        gone = change.removal is Action.FORGET and change.status == ABSENT
        said.append("removed from our records" if gone else f"{which} {_REMOVALS[change.removal]}")
    if change.posts:
        said.append(WILL_WAIT)
    return said


def made_to_wait(plan: Plan, done: Collection[str]) -> int:
    """Return how many connections wait for their customers since the changes at the addresses *done*."""
    made = (each for each in plan.changes if each.address in done)
    return sum(bool(each.posts or (each.action is Action.ADOPT and waits(each.notice))) for each in made)


def links_to_send(number: int, stack: str | None) -> str:
    """Return the line after an apply: how many customers have to authorise now, and where their links are."""
    option = f" --stack {stack}" if stack else ""
    if number == 1:
        return f"1 new connection waits for its customer; send the link now: `codat-iac links{option}`."
    return (
        f"{number:,} new connections wait for their customers; send the links now: `codat-iac links{option}`."
    )


def field_value(text: str | None) -> str:
    """Return the old or the new value of a field, made safe to show."""
    return "(none)" if text is None else fit(text)


def field_change(field: Field, arrow: str = "->") -> str:
    """Return one field of a change: `status: Linked -> Unlinked`."""
    return f"{fit(field.name)}: {field_value(field.before)} {arrow} {field_value(field.after)}"


def meaning(status: str) -> str:
    """Explain one of Codat's statuses in plain words; "" for a status that needs none or is unknown."""
    return _MEANINGS.get(status, "")


def statement(waiting: Waiting) -> str:
    """Return why a connection waits, without its address and status, which are shown beside it."""
    return without_address(waiting.address, waiting.text).removeprefix(f"{fit(waiting.status)}, ")


def count_kinds(counted: Mapping[str, int]) -> str:
    """Return the number of each kind, the most frequent first: `400 PendingAuth, 2 Unlinked`."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{number:,} {fit(name)}" for name, number in ordered[:_MOST_KINDS])
    rest = len(ordered) - _MOST_KINDS
    return f"{named} and {rest:,} more" if rest > 0 else named


def count_statuses(items: Iterable[Waiting | Unmanaged | Uncovered]) -> str:
    """Return the number of *items* of each status, as `count_kinds` does."""
    return count_kinds(Counter(item.status for item in items))


def count_drift(drifted: Iterable[Drifted]) -> str:
    """Return the number of connections for each old and new status, as `count_kinds` does."""
    return count_kinds(Counter(map(status_change, drifted)))


def status_change(drifted: Drifted) -> str:
    """Return how a status changed: `Linked -> Unlinked`; or the status, if it is recorded as it is."""
    now = fit(drifted.now)
    return now if drifted.was == drifted.now else f"{fit(drifted.was)} -> {now}"


def drift_sign(drifted: Drifted) -> str:
    """Return a sign: `-` if the connection is gone, `+` for progress, `~` for another change of status."""
    if drifted.now == ABSENT:
        return "-"
    return "~" if drifted.was == drifted.now or is_drift(drifted.was, drifted.now) else "+"


def drift_summary(drifted: Sequence[Drifted], progress: Sequence[Drifted] = ()) -> str:
    """Return the drift, and the progress since it was recorded, in one line."""
    if progress:
        return f"{_drift(drifted) if drifted else 'No drift.'} {progress_summary(progress)}"
    return _drift(drifted) if drifted else NO_DRIFT


def progress_summary(progress: Sequence[Drifted]) -> str:
    """Return in one line how many customers have authorised since it was recorded."""
    has = "connection has" if len(progress) == 1 else "connections have"
    return f"Progress: {len(progress):,} {has} been authorised since: {count_drift(progress)}."


def failing_summary(failing: Sequence[Drifted]) -> str:
    """Return in one line how many connections have a status that `--fail-on` names."""
    having = count(len(failing), "connection has", "connections have")
    named = count_kinds(Counter(each.now for each in failing))
    return f"Alert: {having} a status that --fail-on names: {named}."


def _drift(drifted: Sequence[Drifted]) -> str:
    number = count(len(drifted), "connection is", "connections are")
    return f"Drift: {number} not as recorded: {count_drift(drifted)}."


def links_summary(number: int) -> str:
    """Return in one line how many connections wait for their customers."""
    if not number:
        return NO_LINKS
    return f"{count(number, 'connection')} {'waits' if number == 1 else 'wait'} for a customer."


def problems_summary(problems: Sequence[FileProblem], checked: str) -> str:
    """Return the result of checking *checked* in one line."""
    subject = f"{sentence(checked)}: " if checked else ""
    if problems:
        return f"{subject}{count(len(problems), 'problem')}."
    return f"{subject}nothing is wrong." if checked else "Nothing is wrong."


def place(problem: FileProblem) -> str:
    """Return a problem's file, line and column, as far as they are known."""
    if not problem.line:
        return sentence(problem.path)
    return f"{sentence(problem.path)}, line {problem.line}, column {problem.column}"


def forecast(plan: Plan) -> str:
    """Return how many calls an apply makes, and what is left of today's quota; "" without changes."""
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
    return f"{cost}; {count(calls.quota_left, 'is', 'are')} left of today's quota{resets}."


def _reset(said: str) -> str:
    """Return when the quota resets. Codat doesn't document the format; it may be seconds since 1970."""
    if _UNIX_SECONDS.fullmatch(said):
        return human_time(datetime.fromtimestamp(int(said), UTC))
    when = parse_time(said)
    return human_time(when) if when else fit(said)


def over_quota(calls: Calls) -> bool:
    """Return whether an apply makes more calls than today's quota has left."""
    return calls.quota_left is not None and calls.reads + calls.writes > calls.quota_left


COVERAGE_HEADER = ("", "Managed", "Declared", "Unmanaged", "Undeclared", "Ignored", "Covered")
"""The columns of a table of coverage."""

COVERAGE_MEANINGS: Mapping[str, str] = {
    Kind.MANAGED: "the state holds them",
    Kind.DECLARED: "the desired state means them, and the state doesn't hold them yet",
    Kind.UNMANAGED: "neither, in companies that are declared",
    Kind.UNDECLARED: "in companies that nobody declares",
    "ignored": "neither, and hidden by the policy",
}


def tallied(tally: Tally) -> tuple[str, ...]:
    """Return the numbers of a tally as cells, in the order of `COVERAGE_HEADER`."""
    numbers = (tally.managed, tally.declared, tally.unmanaged, tally.undeclared, tally.ignored)
    return (*(f"{number:,}" for number in numbers), f"{tally.percent} %")


def coverage_groups(found: Coverage) -> list[tuple[str, list[tuple[str, Tally]]]]:
    """Return the tables of a coverage: a title, and rows of a name and its numbers; without empty ones."""
    groups = (("Platform", found.platforms), ("Status", found.statuses), ("Tag", found.tags))
    return [
        (title, [(fit(each.name), each.connections) for each in members])
        for title, members in groups
        if members
    ]


def coverage_counts(found: Coverage) -> list[tuple[str, str, str]]:
    """Return the number of connections of each kind, with what the kind means."""
    tally = found.connections
    return [(str(kind), f"{getattr(tally, kind):,}", said) for kind, said in COVERAGE_MEANINGS.items()]


def coverage_companies(found: Coverage) -> str:
    """Return in one line how many companies there are."""
    declared, others = found.companies_declared, found.companies_undeclared
    companies = count(declared + others, "company", "companies")
    return f"{companies}: {declared:,} declared, {others:,} that nobody declares."


def coverage_summary(found: Coverage) -> str:
    """Return a coverage in one line."""
    tally = found.connections
    if not tally.total:
        said = "Coverage: there is no connection to manage."
    else:
        said = (
            f"Coverage: {tally.percent} %: {tally.covered:,} of {count(tally.total, 'connection')}"
            f" {'is' if tally.covered == 1 else 'are'} managed or declared."
        )
    return said if found.complete else f"{said} The tenant changed while it was read, so it may be off."


def company_name(uncovered: Uncovered) -> str:
    """Return the key or the name of a connection's company, or else its id."""
    return fit(uncovered.company or uncovered.company_id)


def notes(plan: Plan) -> list[str]:
    """Return a plan's notes."""
    return [*([STATELESS] if plan.stateless else []), *map(sentence, plan.notes)]


def age(since: str, now: datetime) -> str:
    """Return the time since *since* in minutes, hours or days: `3 days`; a dash if it is unknown."""
    when = past(since, now)
    if when is None:
        return "-"
    minutes = max(1, int((now - when).total_seconds() // 60))
    if minutes < 120:
        return count(minutes, "minute")
    hours = minutes // 60
    return count(hours, "hour") if hours < 48 else count(hours // 24, "day")


def newest_breaks_first(waiting: Iterable[Waiting], now: datetime) -> list[Waiting]:
    """Sort: first what broke, the newest first, and then what was never authorised, the oldest first.

    Of each, those without a known time come last.
    """

    def place(each: Waiting) -> tuple[bool, bool, timedelta, Address]:
        broke = each.status != Status.PENDING_AUTH
        when = past(each.since, now)
        waited = now - (when or now)
        return not broke, when is None, waited if broke else -waited, each.address

    return sorted(waiting, key=place)


def timestamp(now: datetime) -> str:
    """Return a time in UTC in Codat's format: `2026-11-24T11:05:00Z`."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def human_time(now: datetime) -> str:
    """Return a time in UTC for people: `11:05 UTC on 24 November 2026`."""
    utc = now.astimezone(UTC)
    return f"{utc:%H:%M} UTC on {utc.day} {utc:%B %Y}"
