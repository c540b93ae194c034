"""Show each notice once, and many of a kind as one. The caller says how a notice is shown."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from codat_iac.model.text import join_names
from codat_iac.planning.notices import Notice

MOST = 20
"""More notices of a kind are summed up in one on the stack: 500 would print some 2,000 lines."""


class Notices:
    """The notices of one process. *on_resource* and *on_stack* each show one line."""

    def __init__(self, on_resource: Callable[[str], None], on_stack: Callable[[str], None]) -> None:
        self._on_resource = on_resource
        self._on_stack = on_stack
        self._lock = threading.Lock()
        self._said: set[tuple[Notice, str]] = set()
        self._counts: Counter[Notice] = Counter()
        self._summarised: set[Notice] = set()

    def expect(self, coming: Mapping[Notice, Iterable[str]]) -> None:
        """Sum up at once each kind in *coming*, kinds to addresses, that has too many addresses."""
        for notice, addresses in coming.items():
            named = sorted(addresses)
            if len(named) > MOST:
                self._summarise(notice, f"{notice}: {len(named)} connections ({join_names(named)})")

    def say(self, notice: Notice, address: str, text: str) -> None:
        """Show *text* on the current resource, unless it was shown before or its kind is summed up."""
        with self._lock:
            if notice in self._summarised or (notice, address) in self._said:
                return
            self._said.add((notice, address))
            self._counts[notice] += 1
            many = self._counts[notice] > MOST
        if many:
            self._summarise(notice, f"{notice}: over {MOST} connections; the others are not named")
        else:
            self._on_resource(text)

    def _summarise(self, notice: Notice, text: str) -> None:
        with self._lock:
            if notice in self._summarised:
                return
            self._summarised.add(notice)
        self._on_stack(text)
