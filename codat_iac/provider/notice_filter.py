"""Show each notice once, and many of a kind as one. The caller says how a notice is shown."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from codat_iac.model.text import join_names
from codat_iac.planning import rule_table
from codat_iac.planning.notices import Expected, Notice

MOST = 5
"""More notices of a kind are summed up in one on the stack: each prints four lines."""

_MORE: Mapping[Notice, int] = {Notice.LOSES: 20}
"""The kinds of which more are shown, since each is a harm."""


class Notices:
    """The notices of one process. *on_resource* and *on_stack* each show one line."""

    def __init__(self, on_resource: Callable[[str], None], on_stack: Callable[[str], None]) -> None:
        self._on_resource = on_resource
        self._on_stack = on_stack
        self._lock = threading.Lock()
        self._said: set[tuple[Notice, str]] = set()
        self._counts: Counter[Notice] = Counter()

    def expect(self, coming: Iterable[Expected]) -> None:
        """Sum up each kind of which there are too many; all that waits for customers is one kind.

        The first of those that are new since they were recorded are still shown, each on its resource.
        """
        kinds: dict[str, list[Expected]] = defaultdict(list)
        for each in coming:
            kinds["" if rule_table.waits(each.notice) else each.notice].append(each)
        for kind, several in kinds.items():
            if len(several) > MOST:
                newest_first = sorted(several, key=lambda each: (not each.fresh, each.address))
                shown = min(MOST, sum(each.fresh for each in several))
                rest = newest_first[shown:]
                with self._lock:
                    self._said.update((each.notice, each.address) for each in rest)
                self._on_stack(_in_sum(kind, rest, "more " if shown else ""))

    def say(self, notice: Notice, address: str, text: str) -> None:
        """Show *text* on the current resource, unless it was shown or summed up before."""
        with self._lock:
            if (notice, address) in self._said:
                return
            self._said.add((notice, address))
            self._counts[notice] += 1
            count, most = self._counts[notice], _MORE.get(notice, MOST)
        if count <= most:
            self._on_resource(text)
        elif count == most + 1:
            self._on_stack(f"{notice}: over {most} connections; the others are not named")


def _in_sum(kind: str, several: Sequence[Expected], more: str) -> str:
    counted = Counter(each.status for each in several).most_common()
    facts = [f"{number:,} {status}" for status, number in counted]
    new = sum(each.fresh for each in several)
    if new:
        facts.append(f"{new:,} of them new")
    number = f"{len(several):,} {more}connections"
    what = f"{kind}: {number}" if kind else f"{number} wait for their customers"
    named = join_names([each.address for each in several])
    return f"{what} ({', '.join(facts)}): {named}; `codat-iac plan --every` names all"
