"""Make addresses for connections that have none: readable, and the same ones each time. Pure.

An address is made of the company's and the platform's name: `acme-ltd/xero`. Companies and connections that
have a name keep it, and names don't depend on the order of Codat's lists.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from codat_iac.model.connection import UUID, Address, Company, LiveConnection

LONGEST = 60
"""The most characters of a name in half an address; with a suffix that makes it unique it has under 100."""

_ID_PIECE = 8

_LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ł": "l",
        "ħ": "h",
        "ı": "i",
        "'": "",
        "\u2019": "",
        "&": " and ",
    }
)
"""Letters that Unicode doesn't decompose, and signs that don't separate words."""


def addresses(
    companies: Iterable[Company],
    *,
    halves: Mapping[str, str] | None = None,
    known: Mapping[str, Address] | None = None,
    taken: Collection[Address] = (),
) -> dict[str, Address]:
    """Return an address for each connection of *companies*, by connection id.

    *halves* are the first halves of addresses that companies have already, by company id; *known* the
    addresses of connections, by connection id; *taken* all addresses in use. A connection whose platform is
    unknown, or whose company's id isn't a UUID, gets no address.
    """
    usable = [company for company in companies if UUID.fullmatch(company.id)]
    ordered = sorted(usable, key=lambda company: company.id)
    known = known or {}
    used = {*taken, *known.values()}
    named = _company_halves(ordered, halves or {}, {address.company for address in used})
    found: dict[str, Address] = {}
    for company in ordered:
        found |= _connection_addresses(named[company.id], company.connections or (), known, used)
    return found


def slug(name: str) -> str:
    """Return *name* reduced to the characters of an address; the result may be empty."""
    folded = unicodedata.normalize("NFKD", name).casefold().translate(_LETTERS)
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST].rstrip("-")


def _company_halves(
    companies: Iterable[Company], halves: Mapping[str, str], used: Collection[str]
) -> dict[str, str]:
    """Return a name for each company id; companies that would get the same name all get a longer one."""
    waiting = {company.id: _candidates(company) for company in companies}
    named = {company_id: halves[company_id] for company_id in waiting.keys() & halves.keys()}
    taken = {*used, *halves.values()}
    while waiting := {each: names for each, names in waiting.items() if each not in named}:
        candidates = {company_id: next(names) for company_id, names in waiting.items()}
        times = Counter(candidates.values())
        named |= {each: name for each, name in candidates.items() if times[name] == 1 and name not in taken}
        taken |= set(named.values())
    return named


def _candidates(company: Company) -> Iterator[str]:
    """Yield names for *company*, each less likely to be another's than the one before."""
    base = slug(company.name)
    whole = company.id.replace("-", "")
    if base:
        yield base
    base = base or "company"
    yield f"{base}-{whole[:_ID_PIECE]}"
    yield f"{base}-{whole}"
    yield from (f"{base}-{whole}-{number}" for number in itertools.count(2))


def _connection_addresses(
    half: str, connections: Iterable[LiveConnection], known: Mapping[str, Address], used: set[Address]
) -> dict[str, Address]:
    """Return the addresses of one company's connections by id, the oldest of each platform first."""
    found: dict[str, Address] = {}
    by_platform: dict[str, list[LiveConnection]] = {}
    for connection in sorted(connections, key=lambda each: (each.created, each.id)):
        if connection.id in known:
            found[connection.id] = known[connection.id]
        elif connection.platform_key:
            by_platform.setdefault(connection.platform_key, []).append(connection)
    bases = {key: _platform_half(key, group) for key, group in by_platform.items()}
    times = Counter(bases.values())
    for key, group in sorted(by_platform.items()):
        base = bases[key] if times[bases[key]] == 1 else f"{bases[key]}-{key}"
        numbered = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
        free = (address for each in numbered if (address := Address(f"{half}/{each}")) not in used)
        found |= {connection.id: address for connection, address in zip(group, free, strict=False)}
        used |= {found[connection.id] for connection in group}
    return found


def _platform_half(key: str, connections: Iterable[LiveConnection]) -> str:
    return next(filter(None, (slug(connection.platform_name) for connection in connections)), key)
