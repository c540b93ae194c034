r"""The rule table: what to do about a connection, by its desired and its live state. Pure.

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

Capitals mark a *loss*: the action ends a customer's authorisation. We can't make a connection `Linked`: only
its customer can (https://docs.codat.io/core-concepts/connections).
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
    """What is done about one connection. The value is the word that the user sees."""

    NONE = "none"
    CREATE = "create"
    ADOPT = "adopt"
    """Take over an existing connection; no call."""
    MOVE = "move"
    """Give a recorded connection another URN; no call."""
    UPDATE = "update"
    """Record changed inputs; no call."""
    UNLINK = "unlink"
    REPLACE = "replace"
    REMOVE = "remove"
    """No longer declared: the connection is deleted, unlinked or forgotten."""
    DELETE = "delete"
    FORGET = "forget"
    """Remove it from the state; no call."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: what to do, what to say, or why nothing can be done.

    `tolerant` means that Codat may refuse the call, which then is a notice and not an error.
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

DECLARED: Mapping[Status, Mapping[str, Cell]] = {
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
"""The cells by desired and by live status, `absent`, or any `other`."""

REMOVED: Mapping[OnRemoval, Mapping[str, Cell]] = {
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
"""The cells by policy and by live status, of what is no longer declared."""


def declared(status: Status, live: LiveConnection | None) -> Cell:
    """Return what to do about a declared connection; *live* None means that it is certainly absent."""
    return _cell(DECLARED[status], live)


def removed(policy: OnRemoval, live: LiveConnection | None) -> Cell:
    """Return what to do about a connection that is no longer declared."""
    return _cell(REMOVED[policy], live)


def _cell(row: Mapping[str, Cell], live: LiveConnection | None) -> Cell:
    return row[ABSENT] if live is None else row.get(live.status, row[_OTHER])


def still_declared(prior: PriorConnection, status: Status, live: LiveConnection | None) -> Cell:
    """Return what to do about a recorded connection that is still declared, with the desired *status*.

    An unlink that Codat refused isn't tried again at each run: its notice is repeated instead.
    """
    cell = declared(status, live)
    return _REFUSED if cell.tolerant and prior.unlink_refused else cell


def refused_unlink(status: Status, live: LiveConnection | None) -> bool:
    """Return whether Codat must have refused an unlink, if *live* is what our call left."""
    return declared(status, live).tolerant


def loses(action: Action, live: LiveConnection | None) -> bool:
    """Return whether *action* ends a customer's authorisation."""
    return action in {Action.UNLINK, Action.DELETE} and live is not None and live.status == Status.LINKED


def replacing_inputs(prior: PriorConnection, desired: DesiredConnection) -> tuple[str, ...]:
    """Return the changed inputs that can't be changed in place, in Codat's spelling."""
    return tuple(
        name
        for name, differs in (
            ("companyId", prior.desired.company_id != desired.company_id),
            ("platformKey", prior.desired.platform_key != desired.platform_key),
            ("connectionId", desired.connection_id not in {None, prior.id}),
        )
        if differs
    )


def recorded_fields(desired: DesiredConnection) -> tuple[str, ...]:
    """Return the fields that an update must record; other changes need no update."""
    return desired.address, desired.status, desired.on_removal, str(desired.protect), desired.matched_by


def needs_unlink(prior: PriorConnection, live: LiveConnection) -> bool:
    """Return whether the table asks for an unlink; only then does a refresh change the recorded inputs."""
    return still_declared(prior, prior.desired.status, live).action is Action.UNLINK


def waits(notice: Notice | None) -> bool:
    """Return whether a notice means that only the customer can bring about the desired status."""
    return notice in _WAITS


def is_waiting(desired: Status, live: str) -> bool:
    """Return whether a connection with these statuses, *desired* and *live*, waits for its customer."""
    row = DECLARED[desired]
    return waits(row.get(live, row[_OTHER]).notice)


_WAITS = frozenset({Notice.WAITING, Notice.DEAUTHORIZED, Notice.UNLINKED})


def is_drift(was: str, now: str) -> bool:
    """Return whether somebody else changed the status; a customer's first authorisation is progress."""
    return was != now and (was, now) != (Status.PENDING_AUTH, Status.LINKED)
