"""What `codat-iac apply` decides by itself, between one run of Pulumi and the next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codat_iac.model.errors import UnsafePlan
from codat_iac.planning.plan import Plan, Problem
from codat_iac.planning.rule_table import Action
from codat_iac.stack.apply.outcomes import Applied, Outcome, Result
from codat_iac.stack.apply.second_run import needs_second_run, second_run
from tests.support.samples import a_change

FIRST = a_change("acme/c", Action.MOVE, moved_from="acme/b")
WAITS = a_change("acme/b", Action.MOVE, moved_from="acme/a", later=True)
BEFORE = Plan((WAITS, FIRST))
NOW = replace(WAITS, later=False)


def applied(result: Result, **rest: object) -> Applied:
    """The first run, in which the one change came to *result*."""
    return replace(Applied((Outcome(FIRST.address, FIRST.action, result),)), **rest)  # type: ignore[arg-type]


def test_a_second_run_follows_a_first_that_did_all_it_could() -> None:
    """If something had to wait for it."""
    assert needs_second_run(applied(Result.DONE), BEFORE)
    assert not needs_second_run(applied(Result.DONE), Plan((FIRST,)))


@pytest.mark.parametrize("result", [each for each in Result if each is not Result.DONE])
def test_no_second_run_follows_what_is_not_done(result: Result) -> None:
    """What waits may need just that."""
    assert not needs_second_run(applied(result), BEFORE)


def test_no_second_run_follows_an_error_or_an_interrupt() -> None:
    """The user wants to know, or to stop."""
    assert not needs_second_run(applied(Result.DONE, error="can't write the state"), BEFORE)
    assert not needs_second_run(applied(Result.DONE, interrupted=True), BEFORE)


def test_a_second_run_does_what_had_to_wait_and_nothing_else() -> None:
    """What came up meanwhile was not shown, and nobody has agreed to it."""
    new = a_change("acme/new")

    assert second_run(Plan((NOW, new), recorded=2), BEFORE) == Plan((NOW,), recorded=2)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(Plan(), id="nothing is left of it"),
        pytest.param(Plan((a_change("acme/new"),)), id="only other things are left"),
        pytest.param(Plan((WAITS,)), id="it still has to wait"),
        pytest.param(Plan((replace(NOW, losing=("an id",)),)), id="it loses an authorisation now"),
        pytest.param(Plan((NOW,), refusal="too much"), id="over a limit"),
        pytest.param(Plan((replace(NOW, action=Action.ADOPT),)), id="something else would be done"),
    ],
)
def test_a_second_run_that_is_not_what_was_shown_is_refused(now: Plan) -> None:
    """It says where to look."""
    with pytest.raises(UnsafePlan, match=r"^the second run is not what was shown; look at `codat-iac plan`"):
        second_run(now, BEFORE)


def test_a_second_run_that_has_a_problem_says_which() -> None:
    """The first one is done by then."""
    now = Plan((NOW,), problems=(Problem("acme/x", "acme/x: no"),))

    with pytest.raises(UnsafePlan, match=r"^the first run is done, and the second can't be: acme/x: no$"):
        second_run(now, BEFORE)


def test_a_second_run_may_lose_what_was_shown_to_be_lost() -> None:
    """Such as a replacement at a name that had to become free."""
    loses = replace(WAITS, action=Action.REPLACE, removal=Action.UNLINK, losing=("an id",))
    now = replace(loses, later=False)

    assert second_run(Plan((now,)), Plan((loses, FIRST))).changes == (now,)
