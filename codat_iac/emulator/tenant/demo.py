"""Make the companies of `--demo`: a tenant as a lender's might look, with connections of every status.

The same seed makes the same tenant. Its dates count back from the emulator's clock, so it never looks old.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from codat_iac.emulator.tenant.clock import DAY
from codat_iac.emulator.tenant.integrations import INTEGRATIONS
from codat_iac.emulator.tenant.seeds import company_name, id_from
from codat_iac.emulator.tenant.tenant import (
    DEAUTHORIZED,
    LINKED,
    PENDING_AUTH,
    UNLINKED,
    Company,
    Connection,
)

DEMO_COMPANIES: Final = 24
"""How many companies a demo has, unless it is told."""

_OLDEST: Final = 400 * DAY
_NAMES: Final = """
UK Harbour Light Bakery Ltd
EU Bäckerei Müller & Söhne GmbH
UK O'Connor & Daughters Joinery
EU Ζαχαροπλαστείο Ελπίδα
US Blue Mesa Outfitters, Inc.
EU Кравець і Партнери
APAC 株式会社さくら印刷
EU Łódzkie Piekarnie Sp. z o.o.
MENA شركة النخيل للتجارة
UK Caffè Stella d'Avola
EU Пекарня «Сонечко»
APAC 上海明月纺织品有限公司
US Señor Taco & Cía. LLC
MENA גלידה בנמל בע"מ
APAC 한빛 인테리어
EU Ångström Mätteknik AB
APAC शर्मा एंड संस
EU Kovač Namještaj d.o.o.
APAC ร้านกาแฟดอยสูง
EU შპს მზიური
UK <Fresh> Fish & Chips
US Third Coast Cycles
APAC Công ty Hoa Sen
EU Crêperie de l'Île
"""
_REGIONS: Final = ("UK", "EU", "US", "APAC")
_SEGMENTS: Final = ("lending", "payables", "insights")

_AGAIN: Final = "Linked again"
"""Linked, after its customer had revoked access once."""

_FAILED: Final = "PendingAuth, failed"
"""PendingAuth, after a first attempt that failed."""

_ACCOUNTS: Final[tuple[tuple[tuple[str, str], ...], ...]] = (
    (("gbol", LINKED), ("suuo", LINKED), ("fztf", LINKED)),
    (("qhyg", LINKED), ("upvr", PENDING_AUTH)),
    (("gbol", DEAUTHORIZED), ("exgd", LINKED)),
    (("knfz", LINKED), ("suuo", UNLINKED)),
    (("gbol", PENDING_AUTH),),
    (("tgff", UNLINKED), ("gbol", LINKED), ("zsth", LINKED)),
    (),
    (("akxx", _AGAIN), ("suuo", LINKED), ("suuo", DEAUTHORIZED)),
    (("fbrh", _FAILED),),
    (("qhyg", DEAUTHORIZED), ("ltpp", UNLINKED), ("upvr", LINKED)),
    (("rwuv", LINKED),),
)
"""What a company connected, platform and status; company by company, and from the start again."""


def demo_companies(count: int, seed: int, now: float) -> Iterator[Company]:
    """Yield *count* companies, the oldest first, as they are at *now*."""
    dice = random.Random(f"demo {seed}")  # noqa: S311 - it must be the same at every start
    for index in range(count):
        region, name = demo_name(index)
        created = now - _OLDEST * (count - index - 0.9 * dice.random()) / count
        company = Company(id_from(dice), name, created, tags=demo_tags(10_001 + index, region, dice))
        moment = created
        for platform_key, story in _ACCOUNTS[index % len(_ACCOUNTS)]:
            moment += (now - moment) * 0.2 * dice.random()
            begun = Connection(id_from(dice), company.id, platform_key, PENDING_AUTH, moment)
            company = company.with_connection(_lived(begun, story, now, dice))
        yield company


def demo_name(index: int) -> tuple[str, str]:
    """Return region and name of a company; the first ones are in several alphabets."""
    names = _NAMES.strip().splitlines()
    if index < len(names):
        region, _, name = names[index].partition(" ")
        return region, name
    return _REGIONS[index % len(_REGIONS)], company_name(index)


def demo_tags(number: int, region: str, dice: random.Random) -> dict[str, str]:
    """Return the tags of a customer: the user's own number for it, its segment and its region."""
    return {"customerId": str(number), "segment": demo_segment(dice), "region": region}


def demo_segment(dice: random.Random) -> str:
    """Return a segment by chance."""
    return dice.choice(_SEGMENTS)


def revoked_at(platform_key: str) -> str:
    """Return what `dataConnectionErrors` says after a customer revoked access."""
    return f"The customer revoked access at {INTEGRATIONS[platform_key].name}."


def _lived(connection: Connection, story: str, now: float, dice: random.Random) -> Connection:
    """Return what became of a connection since it was made."""

    def between(since: float) -> float:
        return since + (now - since) * (0.1 + 0.6 * dice.random())

    if story == PENDING_AUTH:
        return connection
    if story == _FAILED:
        return connection.failed(between(connection.created), "The authorization was cancelled.")
    authorised = connection.created + min(60 * (1 + dice.random()), (now - connection.created) / 10)
    linked, ended = connection.authorised(authorised), between(authorised)
    if story == UNLINKED:
        return replace(linked, last_sync=ended).unlinked()
    if story in {DEAUTHORIZED, _AGAIN}:
        linked = replace(linked, last_sync=ended).revoked(ended, revoked_at(connection.platform_key))
    if story == _AGAIN:
        linked = linked.authorised(between(ended))
    return (
        linked
        if story == DEAUTHORIZED
        else replace(linked, last_sync=max(linked.last_sync or 0, now - DAY * dice.random()))
    )
