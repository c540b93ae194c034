"""The safety limits of one run: how many losses it may make, and how much may be missing at once. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from codat_iac.model.text import shortened

MOST_LOSSES = 10
MOST_OF_A_STACK = 0.3
"""The share of a stack of `FEWEST` connections or more that one run may lose, or miss."""

FEWEST = 10


@dataclass(frozen=True, slots=True)
class LossLimit:
    """How many losses one run may make. `explicit` is what the user set for it, None if nothing is set."""

    explicit: int | None = None

    def refusal(
        self, losing: Collection[str], recorded: int, *, declares: bool = True, certainty: str = ""
    ) -> str | None:
        """Return why a run that loses the connections at the addresses *losing* is refused, or None.

        *recorded* counts the connections of the stack. *declares*: the run declares some connection; one
        that declares none (`destroy`, an emptied file) may lose nothing unless that was allowed explicitly.
        *certainty* is "at least " if there may be more.
        """
        count = len(losing)
        if self.explicit is not None:
            refused = count > self.explicit
        elif not declares:
            refused = count > 0
        else:
            refused = count > MOST_LOSSES or (recorded >= FEWEST and count > MOST_OF_A_STACK * recorded)
        if not refused:
            return None
        question = "" if declares else "nothing is declared: is it the right file, and the right stack? It "
        return (
            f"{question}would end {certainty}{count} {'authorisation' if count == 1 else 'authorisations'} of"
            f" {recorded} recorded connections ({shortened(sorted(losing))}), whose customers would have to"
            f" authorise again; nothing is done. If you mean it, set CODAT_MAX_LOSSES={count} for this run"
        )


def missing_refusal(missing: int, recorded: int) -> str | None:
    """Return why it isn't believed that *missing* of *recorded* connections are gone at once, or None."""
    if missing < FEWEST or missing <= MOST_OF_A_STACK * recorded:
        return None
    return (
        f"{missing} of {recorded or 'all'} recorded connections are gone at once; is it the right API key? If"
        " they really are gone, set CODAT_ACCEPT_MISSING=true for this run"
    )


def unseen(company_id: str, *, accepted: bool) -> str:
    """Say that a company can't be seen; *accepted*: what can't be seen counts as gone."""
    rest = (
        "it can have no connection; correct its id, or take it out of the file"
        if accepted
        else "is it the right key and the right id? If the company really is gone, set"
        " CODAT_ACCEPT_MISSING=true for this run"
    )
    return f"company {company_id} can't be seen with this API key; {rest}"
