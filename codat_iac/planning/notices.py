"""What to say about a connection besides what is done, and the sentence for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from codat_iac.model.connection import ABSENT, LiveConnection
from codat_iac.model.text import safe_text


class Notice(StrEnum):
    """The kinds of notices: most are about what isn't ours to do, some about what a change brings along."""

    WAITING = "waits for its customer"
    DEAUTHORIZED = "lost its customer's authorisation"
    UNLINKED = "was unlinked"
    UNKNOWN_STATUS = "has a status that codat-iac doesn't know"
    NEVER_AUTHORISED = "was never authorised"
    UNLINK_REFUSED = "could not be unlinked"
    GONE = "is gone from Codat"
    ADOPTED = "is adopted"
    ADOPTED_FIRST = "is adopted, and unlinked by the next run"
    LOSES = "loses its customer's authorisation"


@dataclass(frozen=True, slots=True)
class Expected:
    """A notice about a recorded connection that is to come. `fresh`: its status isn't the recorded one."""

    notice: Notice
    address: str
    status: str
    fresh: bool


def message(notice: Notice, address: str, live: LiveConnection | None = None) -> str:
    """Return the line for a notice: where, what, and who does what next."""
    shown = safe_text(live.status) if live else ABSENT
    text = {
        Notice.WAITING: "PendingAuth, it waits for its customer to follow the link",
        Notice.DEAUTHORIZED: f"Deauthorized, its customer must authorise it again{_cause(live)}",
        Notice.UNLINKED: "Unlinked by somebody else, or by us before; its customer must authorise it again,"
        " or declare it `Unlinked`",
        Notice.UNKNOWN_STATUS: f"its status is {shown!r}, which codat-iac doesn't know, so it is left alone",
        Notice.NEVER_AUTHORISED: "PendingAuth, it was never authorised, so there is nothing to unlink",
        Notice.UNLINK_REFUSED: f"{shown}, and Codat refused to unlink it; it has no access as it is",
        Notice.GONE: "it is gone from Codat; a new one is made if it is still declared, and its customer must"
        " authorise that",
        Notice.ADOPTED: f"adopts the connection {live.id if live else ABSENT} ({shown}); nothing changes in"
        " Codat",
        Notice.ADOPTED_FIRST: f"adopts the connection {live.id if live else ABSENT} ({shown}); nothing"
        " changes in Codat, and the next run unlinks it",
        Notice.LOSES: "its customer authorised it, and would have to do so again: this run unlinks, deletes"
        " or replaces it",
    }
    return f"{address}: {text[notice]}"


def _cause(live: LiveConnection | None) -> str:
    causes = [
        error.error_message or error.status_text
        for error in (live.data_connection_errors if live else ())
        if error.status != "Resolved"
    ]
    last = next((cause for cause in reversed(causes) if cause), None)
    return f" (cause: {safe_text(last).rstrip('.')})" if last else ""
