"""How many calls an apply will make, step by step; `test_planning.py` shows that it comes true."""

from __future__ import annotations

from typing import Any

import pytest

from codat_iac.forecast import Takeover, forecast
from codat_iac.model import DesiredConnection, Quota, Status
from codat_iac.plan import Calls, Cause, Change, Step
from tests.builders import COMPANY, a_desired, a_live, an_id


def a_change(step: Step, address: str = "acme/ledger", **rest: Any) -> Change:
    """One change of the connection 1."""
    given = {"connection_id": an_id(1), **rest}
    return Change(address, step, Cause.YOU, COMPANY, "gbol", "Linked", **given)


def a_takeover(*, recorded: bool, unlinks: bool = False) -> Takeover:
    """What takes the connection 2 over."""
    return Takeover(a_live(2), recorded, unlinks)


def counted(change: Change, takeover: Takeover | None = None) -> tuple[int, int]:
    """The reads and writes of one change."""
    calls = forecast([change], {change.address: takeover} if takeover else {}, Quota())
    return calls.reads, calls.writes


@pytest.mark.parametrize(
    ("change", "takeover", "reads", "writes"),
    [
        pytest.param(a_change(Step.CREATE), None, 2, 1, id="create: platforms, listing, POST"),
        pytest.param(a_change(Step.ADOPT), a_takeover(recorded=False), 1, 0, id="adopt: listing"),
        pytest.param(
            a_change(Step.ADOPT),
            a_takeover(recorded=False, unlinks=True),
            2,
            1,
            id="adopt and unlink: listing, GET, PATCH",
        ),
        pytest.param(a_change(Step.MOVE), a_takeover(recorded=True), 0, 0, id="move: nothing"),
        pytest.param(
            a_change(Step.MOVE),
            a_takeover(recorded=True, unlinks=True),
            1,
            1,
            id="move and unlink: GET, PATCH",
        ),
        pytest.param(a_change(Step.UPDATE), None, 0, 0, id="record anew: nothing"),
        pytest.param(a_change(Step.UNLINK), None, 1, 1, id="unlink: GET, PATCH"),
        pytest.param(a_change(Step.REMOVE, removal="unlink"), None, 1, 1, id="remove: GET, PATCH"),
        pytest.param(a_change(Step.REMOVE, removal="delete"), None, 1, 1, id="remove: GET, DELETE"),
        pytest.param(a_change(Step.REMOVE, removal="forget"), None, 0, 0, id="forget: nothing"),
        pytest.param(
            a_change(Step.REPLACE, removal="unlink"),
            None,
            3,
            2,
            id="replace: platforms, listing, POST, GET, PATCH",
        ),
        pytest.param(
            a_change(Step.REPLACE, removal="forget"), None, 2, 1, id="replace what is gone: as a create"
        ),
        pytest.param(
            a_change(Step.REPLACE, removal="delete"),
            a_takeover(recorded=False),
            2,
            1,
            id="replace by what is there: listing, GET, DELETE",
        ),
        pytest.param(
            a_change(Step.REPLACE, removal="forget"), a_takeover(recorded=True), 0, 0, id="swap: nothing"
        ),
    ],
)
def test_each_step_has_its_calls(change: Change, takeover: Takeover | None, reads: int, writes: int) -> None:
    """A listing before a connection is made or taken, a fresh GET before one ends."""
    assert counted(change, takeover) == (reads, writes)


def test_the_platforms_are_asked_once() -> None:
    """However many are made."""
    made = [a_change(Step.CREATE, f"acme/c{number}", connection_id=None) for number in range(3)]

    assert forecast(made, {}, Quota()) == Calls(reads=4, writes=3)


def test_a_connection_ends_once() -> None:
    """Though it is recorded at two addresses; the second finds it ended."""
    both = [a_change(Step.REMOVE, address, removal="unlink") for address in ("acme/a", "acme/b")]

    assert forecast(both, {}, Quota()) == Calls(reads=1, writes=1)


def test_what_is_removed_beside_takes_nothing_over() -> None:
    """At the address of an adoption, what an earlier run replaced there is still to be removed."""
    changes = [a_change(Step.ADOPT, connection_id=an_id(2)), a_change(Step.REMOVE, removal="delete")]

    calls = forecast(changes, {"acme/ledger": a_takeover(recorded=False)}, Quota())

    assert calls == Calls(reads=2, writes=1)


def test_the_quota_is_told_beside() -> None:
    """What is left of today's, and when it starts anew, as Codat said it last."""
    assert forecast([], {}, Quota(7, "tomorrow")) == Calls(0, 0, 7, "tomorrow")


@pytest.mark.parametrize(
    ("desired", "status", "unlinks"),
    [
        (a_desired(), "Linked", False),
        (a_desired(status=Status.UNLINKED), "Linked", True),
        (a_desired(status=Status.UNLINKED), "PendingAuth", False),
    ],
)
def test_a_takeover_says_whether_it_unlinks(desired: DesiredConnection, status: str, unlinks: bool) -> None:
    """As the rules have it."""
    live = a_live(2, status)

    assert Takeover.of(desired, live, recorded=True) == Takeover(live, True, unlinks)
