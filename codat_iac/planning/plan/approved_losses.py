"""The file that names the connections which an apply may take the authorisation from. Pure."""

from __future__ import annotations

from collections.abc import Callable

from codat_iac.model.connection import UUID, normalised
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import safe_text
from codat_iac.planning.plan import Plan


def parse_approved_losses(text: str, name: str, parse_plan: Callable[[str, str], Plan]) -> frozenset[str]:
    """Read the ids of connections, one on each line, or those that a saved plan would lose.

    What follows a `#` is a comment. *parse_plan* reads a saved plan. Raises `ConfigError`, which begins with
    *name*.
    """
    if text.lstrip().startswith("{"):
        return frozenset(map(normalised, parse_plan(text, name).losing))
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        given = line.partition("#")[0].strip()
        if given and not UUID.fullmatch(given):
            raise ConfigError(
                f"{name}, line {number}: {safe_text(given)!r} is no id of a connection; write the file with"
                " `codat-iac plan --losses-out FILE`"
            )
        if given:
            found.add(normalised(given))
    return frozenset(found)


def written(plan: Plan) -> str:
    """Return the file for a plan that was reviewed: what it loses, each with its address."""
    head = "# Whose customers would have to authorise again; for `codat-iac apply --approve-losses FILE`."
    return "\n".join([head, *(f"{each}  # {safe_text(address)}" for each, address in plan.losing.items())])
