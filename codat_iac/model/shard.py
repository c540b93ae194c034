"""What a shard is: the companies that one of N stacks declares, chosen by the hashes of their ids. Pure.

The config `codat:shard` of a stack says which it is, as K/N.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from codat_iac.model.connection import normalised
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import safe_text

MOST_SHARDS = 1000
"""The most shards, so that each has a request a minute."""

_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shares of all companies, numbered from 1: what one stack declares of a desired state."""

    number: int
    count: int

    def __str__(self) -> str:
        """Return it as in the config."""
        return f"{self.number}/{self.count}"

    def owns(self, company_id: str) -> bool:
        """Return whether the company is of this shard; it is of exactly one of `count`."""
        return shard_number(company_id, self.count) == self.number


def shard_number(company_id: str, count: int) -> int:
    """Return the number of the shard, from 1 to *count*, that a company is of.

    This is jump consistent hashing (https://arxiv.org/abs/1406.2294): from *count* to a larger one, a company
    stays where it is or moves to a new shard. States depend on it, so it must never change.
    """
    key = int.from_bytes(hashlib.sha256(normalised(company_id).encode()).digest()[:8])
    number, jump = 0, 0
    while jump < count:
        number = jump
        key = (key * 2862933555777941757 + 1) % 2**64
        jump = int((number + 1) * (2**31 / ((key >> 33) + 1)))
    return number + 1


def parse_shard(text: str) -> Shard | None:
    """Read the config `codat:shard`, such as `2/5`; None if it is empty. Raises `ConfigError`."""
    if not text:
        return None
    found = _SHARD.fullmatch(text)
    shard = Shard(int(found[1]), int(found[2])) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.count <= MOST_SHARDS:
        raise ConfigError(
            f"codat:shard is {safe_text(text)!r}; it takes K/N, such as 2/5 for the second of five,"
            f" with K from 1 to N and N at most {MOST_SHARDS}"
        )
    return shard
