"""Who has a locked stack, read out of Pulumi's own words, and whether they still live. Pure.

A backend on files says of each lock `created by root@host (pid 123) at 2026-11-24T14:13:40Z`. Pulumi Cloud
says only that there is one, and keeps none of a dead process for long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LOCKED = "the stack is currently locked by"
"""By these words a locked stack is told from other failures: `pulumi.automation.errors` goes by them too."""

_HELD = re.compile(r"created by [^\n]*@(\S+) \(pid (\d{1,9})\) at (\S+)")


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock: which process of which machine made it, and when."""

    host: str
    pid: int
    since: str


def read(words: str) -> tuple[Lock, ...]:
    """Find the locks that Pulumi names; none where it names none that we understand."""
    return tuple(Lock(host, int(pid), since) for host, pid, since in _HELD.findall(words))


def dead(locks: Sequence[Lock], host: str, runs: Callable[[int], bool]) -> str:
    """Name the processes that hold *locks* where all of them are of this *host* and dead, or else nothing."""
    if any(lock.host != host or runs(lock.pid) for lock in locks):
        return ""
    return " and ".join(f"pid {lock.pid}" for lock in locks)


def said(holders: str, stack: str) -> str:
    """Say what to do about a locked *stack*, whose lock the dead *holders* left, or a living run has."""
    if not holders:
        return "the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead"
    return (
        f"the stack is locked; run `pulumi cancel --yes --stack {stack}` and try again, since {holders} of"
        " this machine, which held it, is dead"
    )
