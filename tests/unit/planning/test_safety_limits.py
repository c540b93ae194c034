"""The safety limits: how many losses a run may make, and how much may be missing at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codat_iac.model.errors import ConfigError
from codat_iac.model.shard import Shard, shard_number
from codat_iac.model.text import join_names
from codat_iac.planning.safety_limits import (
    MAX_LOSSES,
    MAX_SHARE,
    MIN_STACK_SIZE,
    CreateLimit,
    LossLimit,
    missing_refusal,
    refuse_foreign,
    shard_refusal,
    unseen_company,
)
from tests.support.builders import COMPANY, a_desired, a_prior, an_id

OF_SECOND = an_id(0x12)
"""A company that is of the second shard of five."""


def names(count: int) -> list[str]:
    """So many addresses."""
    return [f"acme/bank-{number:02}" for number in range(count)]


# Losses.


@pytest.mark.parametrize(
    ("explicit", "losses", "recorded", "refused"),
    [
        pytest.param(None, 0, 0, False, id="nothing of nothing"),
        pytest.param(None, 9, 9, False, id="all of a small stack"),
        pytest.param(None, 3, 10, False, id="30 % of ten"),
        pytest.param(None, 4, 10, True, id="over 30 % of ten"),
        pytest.param(None, 10, 40, False, id="ten"),
        pytest.param(None, 11, 40, True, id="eleven of forty"),
        pytest.param(None, 11, 10_000, True, id="eleven of many"),
        pytest.param(0, 0, 40, False, id="none allowed, none lost"),
        pytest.param(0, 1, 40, True, id="none allowed"),
        pytest.param(11, 11, 11, False, id="an explicit limit is the only one"),
        pytest.param(11, 12, 10_000, True, id="over an explicit limit"),
    ],
)
def test_losses_are_limited_by_number_and_by_share(
    explicit: int | None, losses: int, recorded: int, refused: bool
) -> None:
    """Ten, and 30 % of a stack of ten or more, unless the user set a limit."""
    assert bool(LossLimit(explicit).refusal(names(losses), recorded)) is refused


@pytest.mark.parametrize(
    ("explicit", "losses", "refused"),
    [
        pytest.param(None, 0, False, id="nothing is lost"),
        pytest.param(None, 1, True, id="one loss and no limit"),
        pytest.param(0, 1, True, id="one loss and none allowed"),
        pytest.param(1, 1, False, id="one loss and one allowed"),
        pytest.param(1, 2, True, id="two losses and one allowed"),
        pytest.param(40, 40, False, id="all are allowed"),
    ],
)
def test_a_run_that_declares_nothing_needs_an_explicit_limit(
    explicit: int | None, losses: int, refused: bool
) -> None:
    """`destroy` and an emptied file look alike, so not even one authorisation ends unasked."""
    assert bool(LossLimit(explicit).refusal(names(losses), 40, declares=False)) is refused


def test_no_limit_is_set_unless_somebody_sets_one() -> None:
    """The defaults are ten losses, and 30 % of ten connections or more."""
    assert LossLimit() == LossLimit(None)
    assert (MAX_LOSSES, MAX_SHARE, MIN_STACK_SIZE) == (10, 0.3, 10)


def test_a_refusal_for_losses_names_them_and_the_way_out() -> None:
    """It names five of them, in order, and the number to allow."""
    losing = [f"acme/bank-{number}" for number in reversed(range(7))]

    assert LossLimit().refusal(losing, 20, certainty="at least ") == (
        "would end at least 7 authorisations of 20 recorded connections (acme/bank-0, acme/bank-1,"
        " acme/bank-2, acme/bank-3, acme/bank-4 and 2 more), whose customers would have to authorise again;"
        " nothing is done. If you mean it, set CODAT_MAX_LOSSES=7 for this run"
    )


def test_a_refusal_names_the_option_that_gave_the_limit() -> None:
    """It wins over the variable, so to set that would change nothing."""
    losses = LossLimit(0, option="--allow-losing").refusal(names(2), 20)
    creates = CreateLimit(0, option="--max-creates").refusal(names(2))

    assert [each and each.rpartition(". ")[2] for each in (losses, creates)] == [
        "If you mean it, pass --allow-losing 2",
        "If you mean it, pass --max-creates 2",
    ]


def test_a_refusal_of_a_run_that_declares_nothing_asks_whether_that_is_meant() -> None:
    """An empty file is a mistake more often than a wish; one authorisation is one."""
    assert LossLimit().refusal(["acme/ledger"], 3, declares=False) == (
        "nothing is declared: is it the right file, and the right stack? It would end 1 authorisation of 3"
        " recorded connections (acme/ledger), whose customers would have to authorise again; nothing is done."
        " If you mean it, set CODAT_MAX_LOSSES=1 for this run"
    )


@pytest.mark.parametrize(
    ("given", "shown"), [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more")]
)
def test_a_long_list_is_shortened(given: list[str], shown: str) -> None:
    """The first ones are named, the others counted."""
    assert join_names(given, most=2) == shown


# What is missing.


@pytest.mark.parametrize(
    ("missing", "recorded", "refused"),
    [
        (0, 0, False),
        (9, 9, False),
        (10, 10, True),
        (10, 33, True),
        (10, 34, False),
        (30, 100, False),
        (31, 100, True),
        (10, 0, True),
    ],
)
def test_a_mass_disappearance_is_at_least_ten_and_over_30_percent(
    missing: int, recorded: int, refused: bool
) -> None:
    """Few may be gone, and some of many; else the key is likelier wrong."""
    assert bool(missing_refusal(missing, recorded)) is refused


@pytest.mark.parametrize(("recorded", "shown"), [(30, "30"), (0, "all")], ids=["of a stack", "unread"])
def test_a_refusal_for_missing_connections_says_of_how_many(recorded: int, shown: str) -> None:
    """Without a refresh nobody knows of how many; the way out is a variable of that run."""
    assert missing_refusal(12, recorded) == (
        f"12 of {shown} recorded connections are gone at once; is it the key of the right tenant"
        " (CODAT_API_KEY), the right base URL (CODAT_BASE_URL), and the right stack? If they really are gone,"
        " set CODAT_ACCEPT_MISSING=true for this run"
    )


# A company that can't be seen.


def test_a_company_that_can_not_be_seen_may_be_the_wrong_key() -> None:
    """It counts as gone only after somebody said so for this run."""
    assert unseen_company(COMPANY, accepted=False) == (
        f"company {COMPANY} can't be seen with this API key; is it the right key and the right id? If the"
        " company really is gone, set CODAT_ACCEPT_MISSING=true for this run"
    )


def test_where_no_company_can_be_seen_something_else_is_wrong() -> None:
    """The likely mistakes come first, and what overrides the check comes last."""
    assert unseen_company(COMPANY, others_seen=False) == (
        f"company {COMPANY} can't be seen with this API key, nor any other of this stack so far; is it the"
        " key of the right tenant (CODAT_API_KEY), the right base URL (CODAT_BASE_URL), and the right stack?"
        " If they really are gone, set CODAT_ACCEPT_MISSING=true for this run"
    )


def test_a_company_that_is_accepted_as_gone_can_have_no_connection() -> None:
    """The variable is set already, so the way out is another one."""
    assert unseen_company(COMPANY, accepted=True) == (
        f"company {COMPANY} can't be seen with this API key; it can have no connection; correct its id, or"
        " take it out of the file"
    )


RESHARD = "`codat-iac reshard STACK...`"


@pytest.mark.parametrize(
    ("shard", "marker"),
    [(None, ""), (None, "1/1"), (Shard(1, 1), ""), (Shard(1, 1), "1/1"), (Shard(2, 5), "2/5")],
)
def test_a_stack_that_was_set_up_as_its_shard_is_ready(shard: Shard | None, marker: str) -> None:
    """One shard of one is all, as without shards."""
    assert shard_refusal(shard, marker, [a_prior(desired=a_desired(company_id=OF_SECOND))]) is None


@pytest.mark.parametrize(
    ("shard", "marker", "said"),
    [
        pytest.param(Shard(2, 5), "", "its config says shard 2/5, and its state wasn't set up", id="new"),
        pytest.param(
            Shard(2, 5), "2/3", "config says shard 2/5, and its state was set up as shard 2/3", id="N"
        ),
        pytest.param(Shard(2, 5), "1/5", "says shard 2/5, and its state was set up as shard 1/5", id="K"),
        pytest.param(
            None, "2/5", "its config says no shard, and its state was set up as shard 2/5", id="none"
        ),
        pytest.param(Shard(2, 5), "2/3 moving", "connections are being moved between stacks", id="moving"),
        pytest.param(None, "moving", "connections are being moved between stacks", id="moving at first"),
        pytest.param(None, "left", "its connections belong to shards in other stacks by now", id="left"),
        pytest.param(Shard(2, 5), "left", "belong to shards in other stacks by now", id="left and back"),
    ],
)
def test_a_stack_that_was_not_is_refused(shard: Shard | None, marker: str, said: str) -> None:
    """It names the command that moves what belongs elsewhere, and sets it up."""
    refusal = shard_refusal(shard, marker, [])

    assert refusal is not None
    assert said in refusal
    assert RESHARD in refusal


def test_what_belongs_to_another_shard_is_named_and_nothing_is_done() -> None:
    """However it came there: it is neither removed nor made again."""
    foreign = a_prior(desired=a_desired("maple/bank", company_id=OF_SECOND))

    assert shard_refusal(Shard(1, 5), "1/5", [foreign]) == (
        "connections of other shards than 1/5 are recorded (maple/bank), and nothing is done; run"
        f" {RESHARD} with all stacks that have a shard, which moves them"
    )


def test_a_company_of_two_is_of_the_second_of_five() -> None:
    """Which the tests above rely on."""
    assert shard_number(OF_SECOND, 5) == 2


# Losses that are approved by name.


@pytest.mark.parametrize(
    ("approved", "losing", "refused"),
    [
        pytest.param(None, {"a": "acme/a"}, False, id="nobody asked for names"),
        pytest.param({"a"}, {"a": "acme/a"}, False, id="named"),
        pytest.param({"a", "b"}, {"a": "acme/a"}, False, id="one less"),
        pytest.param({"a"}, {"a": "acme/a", "b": "acme/b"}, True, id="one more"),
        pytest.param({"b"}, {"a": "acme/b"}, True, id="another one at the same address"),
        pytest.param(set(), {"a": "acme/a"}, True, id="none is named"),
        pytest.param(set(), {}, False, id="nothing is lost"),
    ],
)
def test_only_what_is_named_may_be_lost(
    approved: set[str] | None, losing: dict[str, str], refused: bool
) -> None:
    """By id: an address may have got another connection since."""
    limit = LossLimit(approved=None if approved is None else frozenset(approved))

    assert bool(limit.unapproved(losing)) is refused


def test_names_take_the_place_of_the_default_limit_and_not_of_an_explicit_one() -> None:
    """Whoever named forty has counted them; a number that was set besides holds, too."""
    named = frozenset(map(str, range(40)))

    assert LossLimit(approved=named).refusal(names(40), 40) is None
    assert LossLimit(approved=named).refusal(names(40), 40, declares=False) is None
    assert LossLimit(39, named).refusal(names(40), 40) is not None
    assert not LossLimit(approved=frozenset()).is_default
    assert LossLimit().is_default


def test_what_nobody_approved_is_named() -> None:
    """With its id, and with what to do."""
    limit = LossLimit(approved=frozenset())

    assert limit.unapproved({"1": "acme/a"}) == (
        "would end an authorisation that nobody approved: acme/a (1); nothing is done. Look at the plan"
        " again, since a customer may have authorised meanwhile; if you mean it, `codat-iac plan --losses-out"
        " FILE` writes what to approve"
    )
    assert (limit.unapproved({"2": "acme/b", "1": "acme/a"}) or "").startswith(
        "would end 2 authorisations that nobody approved: acme/a (1), acme/b (2); nothing is done"
    )


def test_a_company_of_another_shard_takes_nothing_from_this_one() -> None:
    """To this stack it would look like a removal; a mistyped id must not end an authorisation."""
    shard = Shard(1, 5)
    mine = next(an_id(number) for number in range(1, 99) if shard_number(an_id(number), 5) == 1)
    prior = a_prior(desired=a_desired("acme/ledger", company_id=mine))
    moved = a_desired("acme/ledger", company_id=OF_SECOND)

    with pytest.raises(ConfigError, match="acme/ledger: the desired state gives it another") as refused:
        refuse_foreign(shard, [moved], [prior])
    assert OF_SECOND in str(refused.value)
    # The way out: taken out for one run, it is an ordinary removal, with its losses shown.
    refuse_foreign(shard, [], [prior])
    refuse_foreign(shard, [prior.desired], [prior])
    refuse_foreign(shard, [moved], [replace(prior, pending_removal=True)])
    refuse_foreign(None, [moved], [prior])


def test_shards_divide_the_default_limit() -> None:
    """One mistake in the desired state meets all of them; what a user set holds in each."""
    assert LossLimit(shards=5).refusal(names(2), 9) is None
    assert LossLimit(shards=5).refusal(names(3), 9) is not None
    assert LossLimit(shards=100).refusal(names(1), 9) is None
    assert LossLimit(3, shards=5).refusal(names(3), 9) is None
