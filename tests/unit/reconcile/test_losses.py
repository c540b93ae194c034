"""What a run would lose is totalled before the first of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from codat_iac.model.connection import LiveConnection, OnRemoval, PriorConnection
from codat_iac.model.errors import Refused, TransportError, UnsafePlan
from codat_iac.planning.safety_limits import LossLimit
from codat_iac.reconcile.losses import Losses
from codat_iac.reconcile.run_state import RunState
from tests.support.builders import a_desired, a_live, a_prior, an_id


def always(status: str) -> Callable[[PriorConnection], LiveConnection | None]:
    """Find everything, in that status."""
    return lambda prior: a_live(int(prior.id[-12:], 16), status)


def a_stack(
    size: int, *, declared: int = 0, on_removal: OnRemoval = OnRemoval.UNLINK, program: bool = True
) -> RunState:
    """A stack that was read, of which the first few are still declared, by a *program* if there is one."""
    state = RunState()
    for number in range(1, size + 1):
        prior = a_prior(number, a_desired(f"acme/bank-{number:02}", on_removal=on_removal))
        state.record(prior)
        if number <= declared:
            state.declare(prior.address)
            state.hold(prior.id, prior.address)
    if program:
        state.declare("acme/something-else")
    return state


def losses(state: RunState, explicit: int | None = None, status: str = "Linked") -> Losses:
    """A count over a stack that is all of one status."""
    return Losses(LossLimit(explicit), state, always(status))


def test_within_the_limit_nothing_is_said() -> None:
    """Ten of forty may go, again and again: the same loss is one loss."""
    counted = losses(a_stack(40, declared=30))

    counted.total()
    counted.total()
    for number in range(31, 41):
        counted.count(an_id(number), f"acme/bank-{number:02}")


def test_over_the_limit_every_removal_is_refused() -> None:
    """Eleven of forty: the first removal and each one after say so, and name the limit."""
    counted = losses(a_stack(40, declared=29))

    for _ in range(3):
        with pytest.raises(UnsafePlan, match=r"^would end 11 authorisations of 40 .*MAX_LOSSES=11"):
            counted.total()


@pytest.mark.parametrize(
    ("size", "leaving", "refused"),
    [(9, 9, False), (10, 3, False), (10, 4, True), (20, 6, False), (20, 7, True)],
)
def test_the_limit_is_a_share_of_a_larger_stack(size: int, leaving: int, refused: bool) -> None:
    """30 % of ten or more, as far as the state was read."""
    counted = losses(a_stack(size, declared=size - leaving))

    if refused:
        with pytest.raises(UnsafePlan):
            counted.total()
    else:
        counted.total()


@pytest.mark.parametrize("explicit", [11, 40])
@pytest.mark.parametrize("program", [True, False])
def test_an_explicit_limit_is_the_only_one(explicit: int, program: bool) -> None:
    """Who set a number meant it, for a destroy as well."""
    losses(a_stack(11, program=program), explicit).total()


def test_an_explicit_zero_forbids_the_first() -> None:
    """Not one authorisation may go."""
    counted = losses(a_stack(40, declared=39), explicit=0)

    with pytest.raises(UnsafePlan, match="would end 1 authorisation of"):
        counted.total()


def test_a_run_that_declares_nothing_loses_nothing_unasked() -> None:
    """Not even the only one of a small stack: `destroy` needs a limit that was set for it."""
    counted = losses(a_stack(1, program=False))

    with pytest.raises(
        UnsafePlan, match=r"^nothing is declared: is it the right file, .* It would end 1 authorisation of 1 "
    ):
        counted.total()
    with pytest.raises(UnsafePlan, match=r"^nothing is declared: .* end at least 1 authorisation of 1 "):
        counted.count(an_id(1), "acme/bank-01")


@pytest.mark.parametrize("status", ["PendingAuth", "Deauthorized", "Unlinked", "Migrating"])
@pytest.mark.parametrize("program", [True, False])
def test_only_an_authorisation_can_be_lost(status: str, program: bool) -> None:
    """A whole stack of anything else may go."""
    losses(a_stack(40, program=program), status=status).total()


def test_what_is_absent_is_not_lost() -> None:
    """There is nothing left of it."""
    Losses(LossLimit(), a_stack(40), lambda _: None).total()


def test_what_is_retained_is_not_lost() -> None:
    """Letting go of the record keeps the authorisation."""
    losses(a_stack(40, on_removal=OnRemoval.RETAIN)).total()


def test_what_is_deleted_is_lost_as_what_is_unlinked() -> None:
    """As the table says of the recorded policy."""
    with pytest.raises(UnsafePlan, match="would end 40 authorisations"):
        losses(a_stack(40, on_removal=OnRemoval.DELETE)).total()


def test_a_replacement_counts_beside_the_removals() -> None:
    """Four that are replaced and seven that are removed are eleven."""
    counted = losses(a_stack(40, declared=33))
    for number in range(1, 5):
        counted.count(an_id(number), f"acme/bank-{number:02}")

    with pytest.raises(UnsafePlan, match="would end 11 authorisations"):
        counted.total()


def test_one_loss_too_many_is_refused_and_not_counted() -> None:
    """The eleventh is, and so would be a twelfth; the ten stay allowed."""
    counted = losses(a_stack(40, declared=40))
    for number in range(1, 11):
        counted.count(an_id(number), f"acme/bank-{number:02}")

    for number in (11, 12):
        with pytest.raises(UnsafePlan, match="would end at least 11 authorisations"):
            counted.count(an_id(number), f"acme/bank-{number:02}")
    counted.count(an_id(1), "acme/bank-01")
    counted.total()


def test_what_was_totalled_counts_for_what_comes_after() -> None:
    """Ten removals were allowed, so an authorisation that came meanwhile is one too many."""
    counted = losses(a_stack(40, declared=30))
    counted.total()

    with pytest.raises(UnsafePlan, match="at least 11 authorisations"):
        counted.count(an_id(1), "acme/bank-01")


def test_without_a_refresh_a_loss_needs_an_explicit_limit() -> None:
    """Nobody can count what else a run ends that never read the state."""
    with pytest.raises(UnsafePlan) as caught:
        losses(RunState()).count(an_id(1), "acme/ledger")

    assert str(caught.value) == (
        "acme/ledger: nothing was read before this run, so what else it ends can't be counted; run again with"
        " `--refresh`, or set CODAT_MAX_LOSSES for this run"
    )
    counted = losses(RunState(), explicit=1)
    counted.count(an_id(1), "acme/ledger")
    with pytest.raises(UnsafePlan, match="at least 2 authorisations"):
        counted.count(an_id(2), "acme/shop")


@pytest.mark.parametrize(
    ("state", "explicit"),
    [(a_stack(1), None), (a_stack(1), 0), (RunState(), 0)],
    ids=["read", "read, with a limit", "not read, with a limit"],
)
def test_what_was_read_or_is_limited_can_be_counted(state: RunState, explicit: int | None) -> None:
    """Either will do."""
    losses(state, explicit).require_counted("acme/ledger")


@pytest.mark.parametrize(
    "error", [TransportError("no answer"), Refused("can't be seen")], ids=["error", "no"]
)
def test_what_could_not_be_counted_is_counted_again(error: Exception) -> None:
    """A read that fails stops this removal, and the next one counts anew instead of going ahead."""
    failing = [error]

    def find(prior: PriorConnection) -> LiveConnection | None:
        if failing:
            raise failing.pop()
        return always("Linked")(prior)

    counted = Losses(LossLimit(), a_stack(40), find)
    with pytest.raises(type(error)):
        counted.total()

    with pytest.raises(UnsafePlan, match="would end 40 authorisations"):
        counted.total()


def test_all_threads_wait_for_the_total() -> None:
    """The four first removals come at once; none of them goes ahead before all is counted."""
    counted = losses(a_stack(40))
    refused: list[UnsafePlan] = []

    def work() -> None:
        try:
            counted.total()
        except UnsafePlan as error:
            refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 4
