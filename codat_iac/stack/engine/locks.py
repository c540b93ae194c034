"""Find out from Pulumi's message who holds a stack's locks, and whether those processes still run. Pure.

A file backend says of each lock `created by root@host (pid 123) at 2026-11-24T14:13:40Z`. Pulumi Cloud says
only that there is one, and doesn't keep a dead process's lock for long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LOCKED = "the stack is currently locked by"
"""The words that tell a locked stack from other failures; `pulumi.automation.errors` looks for them too."""

_HELD = re.compile(r"created by [^\n]*@(\S+) \(pid (\d{1,9})\) at (\S+)")


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock: the machine and process that made it, and the time (ISO 8601)."""

    host: str
    pid: int
    since: str


def parse(words: str) -> tuple[Lock, ...]:
    """Return the locks named in Pulumi's message; none if it names none in the known form."""
    return tuple(Lock(host, int(pid), since) for host, pid, since in _HELD.findall(words))


def dead_holders(locks: Sequence[Lock], host: str, runs: Callable[[int], bool]) -> str:
    """Return the processes that hold *locks*, in words, if all are of this *host* and dead; else "".

    *runs* says whether a process with that pid runs.
    """
    if any(lock.host != host or runs(lock.pid) for lock in locks):
        return ""
    return " and ".join(f"pid {lock.pid}" for lock in locks)


def advice(holders: str, stack: str) -> str:
    """Return what to do about a locked *stack*; *holders* are the dead ones' words, "" if one may live."""
    if not holders:
        return "the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead"
    return (
        f"the stack is locked; run `pulumi cancel --yes --stack {stack}` and try again, since {holders} of"
        " this machine, which held it, is dead"
    )
