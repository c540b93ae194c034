"""No block is ever bound to a wrong company, whatever moves between two runs and within one reading.

`CODAT_BINDING_TRIALS=10000` tries more.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.codat.client import Reader
from codat_iac.codat.parsing import Page
from codat_iac.model.connection import (
    Address,
    Company,
    CompanyMatch,
    Declaration,
    DesiredConnection,
    MatchedCompany,
    PriorConnection,
)
from codat_iac.model.errors import TransportError
from codat_iac.reconcile.companies.binding import bind
from codat_iac.reconcile.companies.tenant_readings import decided
from tests.support.builders import an_id

TRIALS = int(os.environ.get("CODAT_BINDING_TRIALS", "500"))
NUMBERS = ("41", "42", "43")
RUNS = 6


@dataclass
class Tenant:
    """A Codat whose pages hold few companies, and that may change between any two of them."""

    dice: Random
    companies: list[Company] = field(default_factory=list)
    moments: list[tuple[Company, ...]] = field(default_factory=list)
    restless: float = 0.0
    most: int = 3
    _made: int = 100

    def sign_up(self) -> None:
        """Somebody new comes, with a customer's number or without."""
        self._made += 1
        tags = {"customerId": self.dice.choice(NUMBERS)} if self.dice.random() < 0.6 else {}
        new = Company(an_id(self._made), self.dice.choice(["Acme", "Bolt", "Crux"]), tags=tags)
        self.companies.insert(self.dice.randrange(len(self.companies) + 1), new)

    def change(self) -> None:
        """One thing changes: a company comes or goes, a tag or a name is given, taken, doubled or moved."""
        which = self.dice.randrange(5)
        if which == 0 or not self.companies:
            self.sign_up()
            return
        at = self.dice.randrange(len(self.companies))
        one = self.companies[at]
        if which == 1:
            del self.companies[at]
        elif which == 2:
            self.companies[at] = dataclasses.replace(one, name=self.dice.choice(["Acme", "Bolt", "Crux"]))
        elif which == 3:
            self.companies[at] = dataclasses.replace(one, tags={"customerId": self.dice.choice(NUMBERS)})
        else:  # moved
            other = self.dice.randrange(len(self.companies))
            self.companies[other] = dataclasses.replace(self.companies[other], tags=one.tags)
            if other != at:
                self.companies[at] = dataclasses.replace(one, tags={})

    # As the reader answers.

    def list_companies(self, page: int = 1, page_size: int = 100) -> Page[Company]:
        """One page, which is one moment; Codat gives fewer rows than it is asked for."""
        size = min(self.most, page_size)
        self.moments.append(tuple(self.companies))
        rows = self.companies[(page - 1) * size : page * size]
        more = page * size < len(self.companies)
        answer = Page(tuple(rows), page, size, len(self.companies), str(page + 1) if more else None)
        if self.dice.random() < self.restless:
            self.change()
        return answer

    def company_pages(self, first: Page[Company]) -> Iterator[Page[Company]]:
        """All pages from the first on."""
        page = first
        yield page
        while page.next and page.results:
            page = self.list_companies(int(page.next), page.page_size)
            yield page


@dataclass
class Block:
    """A block of the user's file; whoever changes its key, or else its match, means the same one."""

    serial: int
    key: str
    match: CompanyMatch
    edited: bool = False
    """The key or the match isn't as in the last run that went through: then the other one stays."""

    def declared(self) -> MatchedCompany:
        """As the loader returns it."""
        ledger = DesiredConnection(Address(f"{self.key}/ledger"), "", "gbol", matched_by=str(self.match))
        return MatchedCompany(self.key, self.match, (ledger,), ("c.yaml", 1, 1))


def a_match(dice: Random) -> CompanyMatch:
    """By number, or by name."""
    if dice.random() < 0.3:
        return CompanyMatch("name", dice.choice(["Acme", "Bolt", "Crux"]))
    return CompanyMatch("tag", f"customerId={dice.choice(NUMBERS)}")


def edit(blocks: list[Block], dice: Random) -> None:
    """The user adds, removes, renames or changes a block."""
    which = dice.randrange(5)
    taken = {str(each.match) for each in blocks}
    match = a_match(dice)
    key = f"k{dice.randrange(4)}"
    free = key not in {each.key for each in blocks}
    if which == 0 and free and str(match) not in taken:
        blocks.append(Block(dice.getrandbits(60), key, match, edited=True))
    elif which == 1 and blocks:
        del blocks[dice.randrange(len(blocks))]
    elif blocks and not (one := blocks[dice.randrange(len(blocks))]).edited:
        if which == 2 and free:
            one.key, one.edited = key, True
        elif which == 3 and str(match) not in taken:
            one.match, one.edited = match, True


def run(
    tenant: Tenant, blocks: list[Block], recorded: list[PriorConnection]
) -> tuple[list[PriorConnection], Mapping[str, str]] | None:
    """One run; None if it is refused. Return what is recorded afterwards, and the company of each key."""
    declared = Declaration((), tuple(each.declared() for each in blocks))
    reader = cast("Reader", tenant)
    decide: Callable[[Mapping[str, Company]], Any] = lambda companies: bind(declared, companies, recorded)  # noqa: E731
    try:
        bound = decided(reader, decide)
    except TransportError:
        return None
    if bound.problems:
        return None
    after = [PriorConnection(each.address, each, "Linked") for each in bound.connections]
    return after, {each.address.company: each.company_id for each in bound.connections}


@settings(max_examples=TRIALS, deadline=None)
@given(
    seed=st.integers(0, 2**64), most=st.sampled_from([2, 3, 50]), restless=st.sampled_from([0.0, 0.1, 0.5])
)
def test_no_block_is_bound_to_another_company(seed: int, most: int, restless: float) -> None:
    """Of the same block, always the same company; of a new one, the only one that fitted at some moment."""
    dice = Random(seed)  # noqa: S311
    tenant = Tenant(dice, most=most)
    for _ in range(dice.randrange(9)):
        tenant.sign_up()
    blocks: list[Block] = []
    recorded: list[PriorConnection] = []
    truth: dict[int, str] = {}
    for _ in range(RUNS):
        for _ in range(dice.randrange(4)):
            tenant.change()
        for _ in range(dice.randrange(3)):
            edit(blocks, dice)
        tenant.moments.clear()
        tenant.restless = restless
        went = run(tenant, blocks, recorded)
        if went is None:
            continue
        recorded, found = went
        for block in blocks:
            company_id = found[block.key]
            assert truth.setdefault(block.serial, company_id) == company_id
            assert any(
                [each.id for each in moment if block.match.fits(each)] == [company_id]
                for moment in tenant.moments
            )
            block.edited = False
        assert len(set(found.values())) == len(found)
        truth = {block.serial: truth[block.serial] for block in blocks}


def test_most_runs_of_a_quiet_tenant_go_through() -> None:
    """What refuses everything would bind nothing wrong."""
    bound = 0
    for seed in range(100):
        dice = Random(seed)  # noqa: S311
        tenant = Tenant(dice)
        for number in NUMBERS:
            tenant.companies.append(Company(an_id(int(number)), number, tags={"customerId": number}))
        match = CompanyMatch("tag", f"customerId={dice.choice(NUMBERS)}")
        bound += run(tenant, [Block(1, "acme", match)], []) is not None

    assert bound == 100
