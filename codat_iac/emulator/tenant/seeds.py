"""Make the companies that an emulator starts with: plausible names, and ids determined by a seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Final

from codat_iac.emulator.tenant.tenant import LINKED, Company, Connection


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST: Final = _words("""
    Alder Amber Ash Beacon Birch Bramble Bridge Brook Canal Castle Cedar Cherry Cliff Copper Coral Dale Dove
    Elm Falcon Fern Finch Forge Garnet Glen Granite Harbour Hawthorn Hazel Heron Hollow Iris Ivory Jasper
    Juniper Kestrel Lantern Larch Laurel Linden Maple
""")
_SECOND: Final = _words("""
    Bakery Books Builders Cafe Carpentry Cycles Dental Design Electrical Events Farms Fitness Florists Foods
    Freight Furniture Gardens Glass Hotels Interiors Joinery Kitchens Logistics Media Motors Nurseries Optics
    Outdoors Pets Plumbing Print Roofing Salon Studios Textiles Tiles Toys Travel Tutors Wines
""")
_THIRD: Final = ("Ltd", "& Sons", "& Co", "Group", "UK", "Partners", "Trading")

_STRIDE: Final = 7_919
_START: Final = 1_767_225_600
"""2026-01-01, in seconds since 1970: the first company was made then, and one each minute after it."""


def seeded_companies(count: int, seed: int, *, linked: bool) -> Iterator[Company]:
    """Yield *count* companies, each with one Linked Xero connection if *linked*."""
    dice = random.Random(seed)  # noqa: S311 - it must be the same at every start
    for index in range(count):
        company_id, created = id_from(dice), _START + 60.0 * index
        connections = {}
        if linked:
            connection = Connection(id_from(dice), company_id, "gbol", LINKED, created, created + 30)
            connections = {connection.id: connection}
        yield Company(company_id, company_name(index), created, connections=connections)


def id_from(dice: random.Random) -> str:
    """Return an id, the next that the dice have."""
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def company_name(index: int) -> str:
    """Return a distinct name: a stride without a common factor with the number of names visits each once."""
    total = len(_FIRST) * len(_SECOND) * len(_THIRD)
    lap, place = divmod(index, total)
    rest, first = divmod(place * _STRIDE % total, len(_FIRST))
    third, second = divmod(rest, len(_SECOND))
    name = f"{_FIRST[first]} {_SECOND[second]} {_THIRD[third]}"
    return f"{name} {lap + 1}" if lap else name
