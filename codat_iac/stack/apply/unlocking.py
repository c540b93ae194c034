"""Apply although a dead run of this machine left its lock, if the user agrees to cancel that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from codat_iac.model.text import join_names
from codat_iac.reconcile.create_once import SETTLING
from codat_iac.stack.apply import differences
from codat_iac.stack.apply.outcomes import Applied
from codat_iac.stack.engine.locks import Lock
from codat_iac.stack.stack import Stack, StackError, StackLocked


def unlocking(
    attempt: Callable[[], Applied],
    stack: Stack,
    state: Mapping[str, Any],
    ask: Callable[[str], None],
    tell: Callable[[str], None],
) -> Applied:
    """Return what *attempt* does; if a dead run on this machine has left its lock, ask whether to cancel it.

    The dead run's provider may still live. It writes nothing more, but a request that it sent may be under
    way, so this waits for that. *state* is the state that the plan was made for. *ask* raises if the answer
    is no. Raises `StackError` if the state changed since the plan was made.
    """
    agreed: Sequence[Lock] = ()
    while True:
        try:
            return attempt()
        except StackLocked as locked:
            if not locked.dead:
                raise
            if locked.locks == agreed:
                stack.pulumi("cancel", "--yes")
                tell(f"the lock is cancelled; waiting {SETTLING:.0f} seconds for what was under way")
                time.sleep(SETTLING)
            else:
                holder = f"{locked.dead} of this machine, which is dead"
                ask(f"The stack is locked by {holder}. Cancel its lock and go on?")
                # Try once more before cancelling: meanwhile somebody else may have cancelled it and begun.
                agreed = locked.locks
        now = stack.export()
        if now != state:
            named = join_names(differences(state, now))
            also = f" ({named})" if named else ""
            raise StackError(f"the stack changed since this plan was made; run again{also}")
