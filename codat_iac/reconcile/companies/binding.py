"""Decide which company a block of the desired state means that names it by a match. Pure.

All doors ask this: the stock program, plan and apply, and import. A block is bound to the one company that
fits its match, and only if nothing recorded speaks against that:

- none fits, or several do: refused;
- something is recorded under the block's key, or by the same match under another key, and it belongs to
  another company than the one that fits: refused, since a tag that moved, a name that was given anew or a
  company that was made again would else take a customer's connections away.

So a renamed key is followed, whatever else moved. What is meant instead can always be said by `id:`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from codat_iac.model.connection import (
    Company,
    CompanyMatch,
    Declaration,
    DesiredConnection,
    MatchedCompany,
    PriorConnection,
    Rule,
    RuleMark,
)
from codat_iac.model.errors import FileProblem
from codat_iac.model.text import join_names, safe_text


@dataclass(frozen=True, slots=True)
class Bound:
    """What a desired state declares once its companies are found, sorted by address; or why it can't be."""

    connections: tuple[DesiredConnection, ...] = ()
    problems: tuple[FileProblem, ...] = ()
    company_ids: Mapping[str, str] = field(default_factory=dict)
    """The ids of the companies that were found, by their keys."""


def bind(
    declared: Declaration, companies: Mapping[str, Company], recorded: Sequence[PriorConnection]
) -> Bound:
    """Find the company of each block of *declared* that names it by a match.

    *companies* are all companies of the tenant by id, *recorded* is all that the stack has recorded.
    """
    holders = {each.company_id: each.address.company for each in declared.connections}
    connections = list(declared.connections)
    known = recorded_companies(recorded)
    problems, ids = [], {}
    for block in sorted(declared.matched, key=lambda each: (each.key, each.place)):
        found = _company_of(block, companies, known)
        if isinstance(found, str):
            problems.append(_problem(block, found))
        elif holders.setdefault(found.id, block.key) != block.key:
            problems.append(_problem(block, _held(found, holders[found.id])))
        else:
            ids[block.key] = found.id
            connections += [dataclasses.replace(each, company_id=found.id) for each in block.connections]
    return Bound(tuple(sorted(connections, key=lambda each: each.address)), tuple(problems), ids)


def _company_of(
    block: MatchedCompany, companies: Mapping[str, Company], recorded: Mapping[str, set[str]]
) -> Company | str:
    """Return the company that a block means, or why that isn't certain."""
    match = block.match
    fitting = sorted((each for each in companies.values() if match.fits(each)), key=lambda each: each.id)
    names = {block.key, *as_recorded(match)}
    held = {each for name in names for each in recorded.get(name, ())}
    if len(fitting) > 1:
        return _several(match, fitting, held)
    if not fitting:
        return _none(match, companies, held)
    if held - {fitting[0].id}:
        return _another(match, fitting[0], companies, held)
    return fitting[0]


def recorded_companies(recorded: Iterable[PriorConnection]) -> Mapping[str, set[str]]:
    """Return the ids of the companies that are recorded, by the keys of their addresses and by their matches.

    The key that a rule found in a tag counts as a match by that tag: see `as_recorded`. Old halves of
    replacements don't count: they are on their way out.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for each in recorded:
        if not each.pending_removal:
            for name in (each.address.company, each.desired.address.company, each.desired.matched_by):
                found[name].add(each.desired.company_id)
            if Rule.made(each.desired) and (key := RuleMark.of(each.desired).key):
                found[f"tag:{key}={each.desired.address.company}"].add(each.desired.company_id)
    return dict(found)


def as_recorded(match: CompanyMatch) -> set[str]:
    """Return by which names of `recorded_companies` a match is known; a rule's key is in lower case there."""
    key, _, value = match.value.partition("=")
    return {str(match), f"{match.by}:{key}={value.lower()}"}


def usable_matches(match_by: str, companies: Mapping[str, Company]) -> dict[str, CompanyMatch]:
    """Return by company id what names each company alone: its tag, for `tag:customerId`, or its `name`."""
    by, _, key = match_by.partition(":")
    named = {
        each.id: CompanyMatch(by, f"{key}={each.tags[key]}" if by == "tag" else each.name)
        for each in companies.values()
        if by == "name" or each.tags.get(key)
    }
    times = Counter(named.values())
    return {
        company_id: match
        for company_id, match in named.items()
        if times[match] == 1 and match.value and match.value.isprintable()
    }


def described(company_ids: Iterable[str], companies: Mapping[str, Company]) -> str:
    """Return companies by id and name; one that the tenant no longer has is said to be gone."""
    return join_names(
        [
            f"{company_id} ({safe_text(companies[company_id].name)})"
            if company_id in companies
            else f"{company_id} (gone)"
            for company_id in sorted(company_ids)
        ]
    )


def in_words(match: CompanyMatch) -> str:
    """Return `the tag customerId=42`."""
    return f"the {match.by} {safe_text(match.value)}"


def _problem(block: MatchedCompany, text: str) -> FileProblem:
    return FileProblem(*block.place, f"company {block.key}: {text}")


def _held(company: Company, key: str) -> str:
    return (
        f"its match finds {company.id} ({safe_text(company.name)}), which is declared as {key} already; keep"
        " one name for one company"
    )


def _several(match: CompanyMatch, fitting: Sequence[Company], held: Collection[str]) -> str:
    by_id = {each.id: each for each in fitting}
    of_ours = f" (recorded here: {join_names(sorted(held))})" if held else ""
    return (
        f"{len(fitting)} companies have {in_words(match)}: {described(by_id, by_id)}{of_ours}; leave it to"
        " one of them, or write `id:` in place of `match:`"
    )


def _none(match: CompanyMatch, companies: Mapping[str, Company], held: Collection[str]) -> str:
    if held:
        return (
            f"no company has {in_words(match)} any more, and recorded here is {described(held, companies)};"
            f" {_ways_out(held, companies)}"
        )
    folded = str(match).casefold()
    near = [
        each.id
        for each in companies.values()
        if folded
        in {f"name:{each.name}".casefold(), *(f"tag:{k}={v}".casefold() for k, v in each.tags.items())}
    ]
    hint = f"; {described(near, companies)} has it in other letters" if near else ""
    return (
        f"no company has {in_words(match)}{hint}; correct one of the two, or write `id:` in place of `match:`"
    )


def _another(
    match: CompanyMatch, found: Company, companies: Mapping[str, Company], held: Collection[str]
) -> str:
    return (
        f"{in_words(match)} is that of {described([found.id], companies)}, and recorded here is"
        f" {described(held, companies)}; {_ways_out(held, companies)}, or"
        f" `id: {found.id}` to replace them by new ones there"
    )


def _ways_out(held: Collection[str], companies: Mapping[str, Company]) -> str:
    """Return how to go on with what is recorded."""
    if len(held) == 1 and not held & companies.keys():
        return "take it out of the file, in a run with CODAT_ACCEPT_MISSING=true"
    keep = " or ".join(f"`id: {company_id}`" for company_id in sorted(held))
    return f"give it back in Codat, write {keep} in place of `match:` to keep its connections"
