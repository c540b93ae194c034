"""Expand rules over tags to addresses, and find who left one. Pure.

With what a rule makes it is recorded by which tag it found the company. So a recorded connection is a leaver
if its company hasn't that tag any more, and the rules end it now: that isn't what somebody took out of the
file, but what happened in Codat, whatever the file has done to its rules meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from codat_iac.model.connection import (
    ADDRESS_HALF,
    Address,
    Company,
    CompanyMatch,
    DesiredConnection,
    PriorConnection,
    Rule,
    RuleMark,
    Status,
)
from codat_iac.model.errors import FileProblem
from codat_iac.model.settings import Settings
from codat_iac.model.text import count, join_names, safe_text
from codat_iac.planning.moves import Moves, grouped
from codat_iac.planning.rule_table import replacing_inputs
from codat_iac.planning.safety_limits import CreateLimit, Limit, leavers_refusal
from codat_iac.reconcile.companies.binding import as_recorded, described, recorded_companies

LONGEST_KEY = 100
"""As in the schema: half an address has at most 100 characters."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What one rule expands to: the ids of its companies, and its connections."""

    name: str
    tag: str
    companies: frozenset[str] = frozenset()
    connections: tuple[DesiredConnection, ...] = ()
    problems: tuple[FileProblem, ...] = ()


def expand(
    rules: Iterable[Rule],
    companies: Mapping[str, Company],
    declared: Iterable[DesiredConnection],
    recorded: Sequence[PriorConnection],
) -> tuple[Expansion, ...]:
    """Expand all rules, in the order of their names.

    *companies* are all companies of the tenant by id, *declared* are the connections of the other companies
    of the file, *recorded* is all that the stack has recorded.
    """
    there = list(declared)
    found = []
    for rule in sorted(rules, key=lambda each: each.name):
        expansion = _expanded(rule, companies, there, recorded)
        there += expansion.connections
        found.append(expansion)
    return tuple(found)


def _expanded(
    rule: Rule,
    companies: Mapping[str, Company],
    there: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
) -> Expansion:
    match = CompanyMatch("tag", rule.tag)
    members = sorted((each for each in companies.values() if match.fits(each)), key=lambda each: each.id)
    keys = {each.id: _key(rule, each) for each in members}
    said = [*_unusable(rule, members, keys), *_shared(members, keys)]
    if not said:
        said = [*_elsewhere(rule, keys, companies, there), *_another(rule, keys, companies, there, recorded)]
    if said:
        problems = tuple(FileProblem(*rule.place, f"rule {rule.name}: {each}") for each in said)
        return Expansion(rule.name, rule.tag, frozenset(keys), problems=problems)
    made = tuple(
        dataclasses.replace(each, address=Address(f"{key}/{each.address.key}"), company_id=company_id)
        for company_id, key in keys.items()
        for each in rule.connections
    )
    return Expansion(rule.name, rule.tag, frozenset(keys), made)


def _key(rule: Rule, company: Company) -> str:
    """Return what names a company in its addresses; empty if it has no such tag."""
    return company.id if rule.key is None else company.tags.get(rule.key, "").lower()


def _unusable(rule: Rule, members: Sequence[Company], keys: Mapping[str, str]) -> Iterator[str]:
    bad = [
        f"{each.id} ({safe_text(each.name)})"
        for each in members
        if len(keys[each.id]) > LONGEST_KEY or not ADDRESS_HALF.fullmatch(keys[each.id])
    ]
    if bad:
        yield (
            f"the tag {safe_text(rule.key or '')} of {join_names(bad)} is missing, or can't name a company"
            " in an address (letters, digits, '.', '_' and '-', at most 100); correct it in Codat, or leave"
            " `key:` out"
        )


def _shared(members: Sequence[Company], keys: Mapping[str, str]) -> Iterator[str]:
    by_id = {each.id: each for each in members}
    for key, ids in grouped([each.id for each in members], lambda each: keys[each]).items():
        if key and len(ids) > 1:
            yield f"{safe_text(key)} is the key of {described(ids, by_id)}; leave it to one of them in Codat"


def _elsewhere(
    rule: Rule,
    keys: Mapping[str, str],
    companies: Mapping[str, Company],
    there: Sequence[DesiredConnection],
) -> Iterator[str]:
    """Yield what clashes with the rest of the file: one company has one name, and is asked once."""
    platforms = {each.platform_key for each in rule.connections}
    names = {each.address.key for each in rule.connections}
    owners = {key: company_id for company_id, key in keys.items()}
    clashing = {}
    for each in there:
        company_id = each.company_id
        if keys.get(company_id, each.address.company) != each.address.company:
            clashing[company_id] = (
                f"{described([company_id], companies)} is declared as {each.address.company}"
            )
        elif owners.get(each.address.company, company_id) != company_id:
            owner = owners[each.address.company]
            clashing[owner] = (
                f"{each.address.company} names another company than {described([owner], companies)}"
            )
        elif company_id in keys and (each.platform_key in platforms or each.address.key in names):
            clashing[company_id] = f"{each.address} ({each.platform_key}) is declared"
    if clashing:
        yield (
            f"{join_names(list(clashing.values()))} elsewhere in the desired state; declare it once, under"
            " the key that the rule gives it"
        )


def _another(
    rule: Rule,
    keys: Mapping[str, str],
    companies: Mapping[str, Company],
    there: Iterable[DesiredConnection],
    recorded: Sequence[PriorConnection],
) -> Iterator[str]:
    """Yield whose key stood for another company when it was recorded, in addresses or as a match."""
    known = recorded_companies(recorded)
    written_out = {each.company_id for each in there}
    for company_id, key in keys.items():
        mine = f"{key} is the key of {described([company_id], companies)}, and recorded"
        held = known.get(key, set()) - {company_id}
        if held:
            yield (
                f"{mine} there is {described(held, companies)}; give the key back in Codat, or leave `key:`"
                " out for a run, which moves all of the rule to addresses by Codat's ids, and then put it in"
                " again"
            )
        elif matched := _matched(rule, companies[company_id], known) - {company_id} - written_out:
            yield (
                f"{mine} by that tag is {described(matched, companies)}; give the tag back in Codat, or"
                " write that company out under `companies:` with its `id:`, which keeps its connections"
            )


def _matched(rule: Rule, company: Company, known: Mapping[str, set[str]]) -> set[str]:
    """Return the companies that are recorded by the tag that names *company*."""
    if rule.key is None:
        return set()
    names = as_recorded(CompanyMatch("tag", f"{rule.key}={company.tags[rule.key]}"))
    return {each for name in names for each in known.get(name, ())}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules of a desired state expand to.

    `left` are the places of recorded connections whose companies haven't the tag by which a rule found them.
    """

    expansions: tuple[Expansion, ...] = ()
    left: frozenset[str] = frozenset()


def left_their_tags(
    rules: Iterable[Rule], companies: Mapping[str, Company], recorded: Iterable[PriorConnection]
) -> frozenset[str]:
    """Return the places of recorded connections whose companies haven't the tag that is recorded with them.

    Nor have they if the rule of that name has another tag now, which they haven't. A version before recorded
    the name alone.
    """
    tags = {each.name: each.tag for each in rules}

    def has_tags(desired: DesiredConnection) -> bool:
        mark, company = RuleMark.of(desired), companies.get(desired.company_id)
        asked = [tag for tag in (mark.tag, tags.get(mark.name)) if tag]
        return bool(asked) and all(company and CompanyMatch("tag", tag).fits(company) for tag in asked)

    return frozenset(
        each.place for each in recorded if Rule.made(each.desired) and not has_tags(each.desired)
    )


def leavers(
    rules: Rules, declared: Iterable[DesiredConnection], recorded: Sequence[PriorConnection], moved: Moves
) -> tuple[PriorConnection, ...]:
    """Return what would end though its company only hasn't the tag by which a rule found it.

    What somebody has written out instead stays, or ends as that says. Without rules all is taken out.
    """
    if not rules.expansions:
        return ()
    kept = {prior.place for prior in (*moved.staying, *moved.surplus)}
    for each, prior in _continued(declared, recorded, moved):
        if prior and not (Rule.made(each) and _ends(prior, each)):
            kept.add(prior.place)
    return tuple(
        prior
        for prior in recorded
        if prior.place in rules.left and prior.place not in kept and not prior.pending_removal
    )


def _ends(prior: PriorConnection, desired: DesiredConnection) -> bool:
    """Return whether what is declared replaces or unlinks what is recorded."""
    unlinks = desired.status is Status.UNLINKED and prior.desired.status is not Status.UNLINKED
    return unlinks or bool(replacing_inputs(prior, desired))


def newcomers(
    declared: Iterable[DesiredConnection], recorded: Iterable[PriorConnection], moved: Moves
) -> tuple[DesiredConnection, ...]:
    """Return the connections of rules that are to be made: anew, or in place of another one."""
    return tuple(
        each
        for each, prior in _continued(declared, recorded, moved)
        if Rule.made(each) and (prior is None or replacing_inputs(prior, each))
    )


def _continued(
    declared: Iterable[DesiredConnection], recorded: Iterable[PriorConnection], moved: Moves
) -> Iterator[tuple[DesiredConnection, PriorConnection | None]]:
    """Yield what is declared with what it goes on with, now or in the next run; old halves don't count."""
    there = {prior.place: prior for prior in recorded if not prior.pending_removal}
    for each in declared:
        yield each, moved.origins.get(each.address) or moved.later.get(each.address) or there.get(each.place)


def in_words(
    expansion: Expansion, new: Iterable[DesiredConnection], leaving: Iterable[PriorConnection]
) -> str:
    """Return what a rule expands to, with counts, in one line."""
    coming = sum(RuleMark.of(each).name == expansion.name for each in new)
    marks = [RuleMark.of(each.desired) for each in leaving]
    going = sum(mark.name == expansion.name or mark.tag == expansion.tag for mark in marks)
    companies, connections = len(expansion.companies), len(expansion.connections)
    return (
        f"rule {expansion.name}: {safe_text(expansion.tag)} is on {count(companies, 'company', 'companies')}:"
        f" {count(connections, 'connection')}, {coming:,} of them new; {going:,} left the tag"
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """What the rules do in a run: `notes` say what they expand to, `refusals` which limits that exceeds.

    `exceeded` are those limits, each with how much the run needs.
    """

    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    exceeded: Mapping[Limit, int] = field(default_factory=dict)


def effect(
    rules: Rules,
    declared: Sequence[DesiredConnection],
    recorded: Sequence[PriorConnection],
    moved: Moves,
    settings: Settings,
    chosen: Collection[str] | None = None,
) -> Effect:
    """Return what the rules do in a run that declares all of *declared*.

    Only the addresses *chosen* (None: all) count towards the limits.
    """
    new, leaving = newcomers(declared, recorded, moved), leavers(rules, declared, recorded, moved)

    def counted(addressed: Iterable[DesiredConnection | PriorConnection]) -> list[str]:
        return [each.address for each in addressed if chosen is None or each.address in chosen]

    making, going = counted(new), counted(leaving)
    limits = (
        (Limit.CREATES, making, CreateLimit(settings.max_creates, settings.create_option).refusal(making)),
        (Limit.LEAVERS, going, leavers_refusal(going, accepted=settings.accept_leavers)),
    )
    return Effect(
        tuple(in_words(each, new, leaving) for each in rules.expansions),
        tuple(refusal for _, _, refusal in limits if refusal),
        {limit: len(addresses) for limit, addresses, refusal in limits if refusal},
    )
