"""`codat-iac reshard`: move connections between the stacks that share a desired state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codat_iac.cli.connection_filters import tell_lines
from codat_iac.cli.options import CWD
from codat_iac.cli.output import ask, write_or_tell
from codat_iac.cli.streams import tell
from codat_iac.model.text import count
from codat_iac.stack.stack import Stack

if TYPE_CHECKING:
    from codat_iac.stack.sharding.shard_states import Arrival


@click.command("reshard")
@click.argument("stacks", nargs=-1, metavar="STACKS", required=True)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@CWD
def reshard_command(stacks: Sequence[str], cwd: Path, *, yes: bool) -> int:
    """Move each recorded connection to the stack whose codat:shard it belongs to.

    Name all stacks that have a shard (`pulumi config set codat:shard 2/5`), or had one: one without it gives
    all that it has. Codat isn't called. Until the end no other run of these stacks is allowed; if this one
    is interrupted, run it again. New stacks need it once, too.
    """
    from codat_iac.stack.sharding.reshard import reshard  # noqa: PLC0415  pulumi is slow to import

    moved = reshard([Stack.open(cwd, name) for name in stacks], lambda found: _confirm(found, yes=yes), tell)
    if moved is None:
        write_or_tell("Nothing to move: each stack is set up as its shard.")
    else:
        write_or_tell(f"Moved {count(len(moved), 'connection')}; each stack is set up as its shard.")
    return 0


def _confirm(found: Sequence[Arrival], *, yes: bool) -> None:
    pairs = Counter((each.giver, each.receiver) for each in found)
    tell_lines([f"{giver} -> {receiver}: {number:,}" for (giver, receiver), number in sorted(pairs.items())])
    if not yes:
        ask(f"Move {count(len(found), 'connection')} between stacks?")
