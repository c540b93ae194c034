r"""The rule table: what a connection's desired and live state ask for. Pure; both doors ask it.

```
desired \ live        absent   PendingAuth   Linked   Deauthorized   Unlinked   any other
Linked                create   notice        -        notice         notice     notice
Unlinked              error    notice        UNLINK   unlink, or a   -          notice
                                                      notice
removed, `unlink`     forget   delete        UNLINK   unlink, or a   forget     error
                                                      notice
removed, `delete`     forget   delete        DELETE   delete         delete     error
removed, `retain`     forget   forget        forget   forget         forget     forget
```

In capitals: it throws a customer's authorisation away, a *loss*. Nothing makes a connection `Linked`:
only its customer can (https://docs.codat.io/core-concepts/connections).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from codat_iac.model.connection import (
    ABSENT,
    DesiredConnection,
    LiveConnection,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.planning.notices import Notice

_OTHER = "other"


class Action(StrEnum):
    """What we do about one connection. The value is the word that the user sees."""

    NONE = "none"
    CREATE = "create"
    ADOPT = "adopt"
    """Take over a connection that is there; no call."""
    MOVE = "move"
    """Another URN for a recorded connection; no call."""
    UPDATE = "update"
    """Record it anew; no call."""
    UNLINK = "unlink"
    REPLACE = "replace"
    REMOVE = "remove"
    """No longer declared: what becomes of the connection is `DELETE`, `UNLINK` or `FORGET`."""
    DELETE = "delete"
    FORGET = "forget"
    """Record it no longer; no call."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: what to do, what to say, or why neither is possible.

    `tolerant`: Codat may refuse the call, which is then a notice and no error.
    """

    action: Action = Action.NONE
    notice: Notice | None = None
    problem: str | None = None
    tolerant: bool = False


_KEEP = Cell()
_FORGET = Cell(Action.FORGET)
_DELETE = Cell(Action.DELETE)
_UNLINK = Cell(Action.UNLINK)
_TRY_UNLINK = Cell(Action.UNLINK, tolerant=True)
_REFUSED = Cell(notice=Notice.UNLINK_REFUSED)
_STAYS = Cell(
    problem="its status is none that codat-iac knows, so it stays recorded; set `onRemoval: retain` and apply"
    " to let go of it"
)
_NOTHING_TO_UNLINK = Cell(
    problem="there is nothing to unlink, since it doesn't exist; declare it `Linked`, or take it out of the"
    " file"
)

_DECLARED: Mapping[Status, Mapping[str, Cell]] = {
    Status.LINKED: {
        ABSENT: Cell(Action.CREATE),
        Status.PENDING_AUTH: Cell(notice=Notice.WAITING),
        Status.LINKED: _KEEP,
        Status.DEAUTHORIZED: Cell(notice=Notice.DEAUTHORIZED),
        Status.UNLINKED: Cell(notice=Notice.UNLINKED),
        _OTHER: Cell(notice=Notice.UNKNOWN_STATUS),
    },
    Status.UNLINKED: {
        ABSENT: _NOTHING_TO_UNLINK,
        Status.PENDING_AUTH: Cell(notice=Notice.NEVER_AUTHORISED),
        Status.LINKED: _UNLINK,
        Status.DEAUTHORIZED: _TRY_UNLINK,
        Status.UNLINKED: _KEEP,
        _OTHER: Cell(notice=Notice.UNKNOWN_STATUS),
    },
}

_REMOVED: Mapping[OnRemoval, Mapping[str, Cell]] = {
    OnRemoval.UNLINK: {
        ABSENT: _FORGET,
        # Never authorised: nothing to lose, and its link must not stay alive.
        Status.PENDING_AUTH: _DELETE,
        Status.LINKED: _UNLINK,
        Status.DEAUTHORIZED: _TRY_UNLINK,
        Status.UNLINKED: _FORGET,
        _OTHER: _STAYS,
    },
    OnRemoval.DELETE: {
        ABSENT: _FORGET,
        Status.PENDING_AUTH: _DELETE,
        Status.LINKED: _DELETE,
        Status.DEAUTHORIZED: _DELETE,
        Status.UNLINKED: _DELETE,
        _OTHER: _STAYS,
    },
    OnRemoval.RETAIN: dict.fromkeys([ABSENT, *Status, _OTHER], _FORGET),
}


def declared(status: Status, live: LiveConnection | None) -> Cell:
    """Look up what a declared connection asks for; *live* None is a confirmed absence."""
    return _cell(_DECLARED[status], live)


def removed(policy: OnRemoval, live: LiveConnection | None) -> Cell:
    """Look up what a connection that is no longer declared asks for."""
    return _cell(_REMOVED[policy], live)


def _cell(row: Mapping[str, Cell], live: LiveConnection | None) -> Cell:
    return row[ABSENT] if live is None else row.get(live.status, row[_OTHER])


def declared_again(prior: PriorConnection, status: Status, live: LiveConnection | None) -> Cell:
    """Look up what a recorded connection asks for that is still declared, with *status* desired.

    An unlink that Codat refused is not asked for at each run: it is what it is, and said.
    """
    cell = declared(status, live)
    return _REFUSED if cell.tolerant and prior.unlink_refused else cell


def refused_unlink(status: Status, live: LiveConnection | None) -> bool:
    """Return whether Codat has refused an unlink, if our own write left a connection *live* such."""
    return declared(status, live).tolerant


def loses(action: Action, live: LiveConnection | None) -> bool:
    """Say whether *action* throws a customer's authorisation away."""
    return action in {Action.UNLINK, Action.DELETE} and live is not None and live.status == Status.LINKED


def replaced_by(prior: PriorConnection, desired: DesiredConnection) -> tuple[str, ...]:
    """Name the inputs that can't be changed in place, in Codat's spelling."""
    return tuple(
        name
        for name, differs in (
            ("companyId", prior.desired.company_id != desired.company_id),
            ("platformKey", prior.desired.platform_key != desired.platform_key),
            ("connectionId", desired.connection_id not in {None, prior.id}),
        )
        if differs
    )


def record(desired: DesiredConnection) -> tuple[str, ...]:
    """Give what of a desired connection must stand in the state; a change of the rest is none."""
    return desired.address, desired.status, desired.on_removal, str(desired.protect)


def drifted(prior: PriorConnection, live: LiveConnection) -> bool:
    """Say whether the table will ask for a call: only then does a refresh change the recorded inputs."""
    return declared_again(prior, prior.desired.status, live).action is Action.UNLINK


def waits(notice: Notice | None) -> bool:
    """Say whether a notice means: only the customer can bring it to the desired status."""
    return notice in _WAITS


def waits_as(desired: Status, live: str) -> bool:
    """Say whether a connection of the *desired* status that is *live* such waits for its customer."""
    row = _DECLARED[desired]
    return waits(row.get(live, row[_OTHER]).notice)


_WAITS = frozenset({Notice.WAITING, Notice.DEAUTHORIZED, Notice.UNLINKED})


def is_drift(was: str, now: str) -> bool:
    """Say whether somebody else moved it; that a customer authorises for the first time is progress."""
    return was != now and (was, now) != (Status.PENDING_AUTH, Status.LINKED)
