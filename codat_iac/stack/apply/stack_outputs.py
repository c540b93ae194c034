"""The stack's outputs, which each run exports again: a program that doesn't export them removes them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from pulumi import Output, export

from codat_iac.model.connection import Address, DesiredConnection
from codat_iac.model.record import is_secret, plain, stack_outputs
from codat_iac.program.stock import summary
from codat_iac.stack.stack import Stack


def own_outputs(stack: Stack, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the stack's outputs that aren't the stock program's, as they are in its exported *state*.

    If there is a secret among them, the state is exported again, with secrets as text.
    """
    outputs = stack_outputs(state)
    if _holds_secret(outputs):
        outputs = stack_outputs(json.loads(stack.pulumi("stack", "export", "--show-secrets")))
    return {name: value for name, value in outputs.items() if not _is_ours(name, value)}


def _holds_secret(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_secret, value))
    return isinstance(value, dict) and (is_secret(value) or any(map(_holds_secret, value.values())))


def _is_ours(name: str, value: Any) -> bool:
    """Return whether an output is the stock program's: a user's own program may use the same names."""
    match name, value:
        case "connections", dict():
            return all(isinstance(count, int | float) for count in value.values())
        case "waiting", list():
            return all(isinstance(address, str) for address in value)
    return False


def kept(value: Any) -> Any:
    """Convert a value in a state to one to export, with all secrets in it as secrets."""
    if isinstance(value, list):
        return [kept(each) for each in value]
    if not isinstance(value, dict):
        return value
    if is_secret(value):
        return Output.secret(plain(value))
    return {name: kept(each) for name, each in value.items()}


def export_outputs(
    desired: Sequence[DesiredConnection],
    now: dict[Address, str],
    acting: Sequence[DesiredConnection],
    statuses: Awaitable[list[str | None]],
    outputs: Mapping[str, Any],
) -> None:
    """Export the stack's outputs again: a program that doesn't export them removes them.

    *now* are the statuses of *desired*, which get those of the *acting* ones.
    """

    async def all_statuses() -> list[str]:
        # The status of a failed change is unknown, so the one from before stays.
        after = zip((each.address for each in acting), await statuses, strict=True)
        now.update((address, status) for address, status in after if status)
        return [now[each.address] for each in desired]

    known: Output[list[str]] = Output.from_input(all_statuses())
    own = {name: kept(output) for name, output in outputs.items()}
    for name, output in {**summary(desired, known), **own}.items():
        export(name, output)
