"""Losses that are approved by name: a changed plan, a changed file or a changed reality never passes."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from codat_iac.emulator import Emulator
from codat_iac.model.connection import OnRemoval, PriorConnection
from codat_iac.model.errors import CodatIacError, ConfigError, UnsafePlan
from codat_iac.planning.plan import Plan
from codat_iac.reconcile import handover
from tests.support.builders import Run, a_desired, a_prior, a_run, an_id, connected, rows
from tests.support.worlds import a_planner

PLATFORMS = ("gbol", "suuo", "fztf", "hcws", "rwuv", "qhyg")


def a_stack(emulator: Emulator, company: str, dice: Random) -> list[PriorConnection]:
    """One recorded connection on each platform, of any status and policy."""
    priors = []
    for key in PLATFORMS:
        status = dice.choice(["Linked", "Linked", "PendingAuth", "Deauthorized"])
        desired = a_desired(
            f"acme/{key}",
            company_id=company,
            platform_key=key,
            on_removal=dice.choice([OnRemoval.UNLINK, OnRemoval.DELETE]),
        )
        priors.append(a_prior(connected(emulator, company, key, status), desired, status))
    return priors


def act(run: Run, leaving: list[PriorConnection]) -> None:
    """Remove all that leaves, whatever is refused."""
    for prior in leaving:
        try:
            run.operations.remove(prior)
        except CodatIacError:
            continue


@pytest.mark.slow
def test_no_change_of_plan_file_or_reality_loses_what_nobody_approved(
    emulator: Emulator, tmp_path: Path
) -> None:
    """Planned, approved, and then changed at random; the planner refuses, and the provider does by itself."""
    refused = passed = 0
    for seed in range(60):
        dice = Random(seed)  # noqa: S311  no secret
        company = str(emulator.add_company(f"Acme {seed}")["id"])
        priors = a_stack(emulator, company, dice)
        leaving = dice.sample(priors, 3)
        stays = [prior.desired for prior in priors if prior not in leaving]
        approved = set(a_planner(emulator, priors, max_losses=9).plan(stays).losing)

        mutation = dice.choice(["none", "plan", "file", "reality", "reality"])
        if mutation == "plan":
            leaving = dice.sample(priors, 4)
            stays = [prior.desired for prior in priors if prior not in leaving]
        elif mutation == "file" and approved:
            approved.remove(min(approved))
            approved.add(an_id(seed))
        elif mutation == "reality":
            for prior in priors:
                if rows(emulator, company)[prior.id] == "PendingAuth":
                    emulator.authorise(prior.id)

        planner = a_planner(emulator, priors, approved_losses=frozenset(approved))
        plan = planner.plan(stays)
        assert bool(plan.refusal) is bool(plan.losing.keys() - approved), (seed, mutation, plan.refusal)
        assert plan.exceeded == {}  # no number lifts it
        refused += bool(plan.refusal)
        passed += bool(plan.losing and not plan.refusal)

        # The provider believes no plan: what a customer authorised after it is safe, too.
        for prior in priors:
            if dice.random() < 0.3 and rows(emulator, company)[prior.id] == "PendingAuth":
                emulator.authorise(prior.id)
        before = rows(emulator, company)
        run = a_run(emulator)
        file = tmp_path / "handover.json"
        file.write_text(planner.hand_over(plan))
        handover.load(file, run.operations)
        act(run, leaving)

        after = rows(emulator, company)
        lost = {each for each, status in before.items() if status == "Linked" and after.get(each) != "Linked"}
        assert lost <= approved, (seed, mutation)
        if not plan.refusal and before == {prior.id: prior.status for prior in priors}:
            assert lost == plan.losing.keys(), (seed, mutation)

    assert refused > 10
    assert passed > 5


def test_a_refused_loss_refuses_the_run_before_the_first_is_made(
    emulator: Emulator, acme: str, tmp_path: Path
) -> None:
    """One that nobody named is enough, however many are."""
    priors = [
        a_prior(connected(emulator, acme, key), a_desired(f"acme/{key}", company_id=acme, platform_key=key))
        for key in PLATFORMS[:3]
    ]
    run = a_run(emulator)
    file = tmp_path / "handover.json"
    approved = {priors[0].id, priors[1].id}
    file.write_text(handover.to_json(priors, {}, {}, approved=approved))
    handover.load(file, run.operations)

    for prior in priors:
        with pytest.raises(UnsafePlan, match=rf"nobody approved: acme/{PLATFORMS[2]} \({priors[2].id}\)"):
            run.operations.remove(prior)

    assert set(rows(emulator, acme).values()) == {"Linked"}


def test_all_that_is_named_may_go_also_where_nothing_is_declared(
    emulator: Emulator, acme: str, tmp_path: Path
) -> None:
    """Names are an explicit limit."""
    prior = a_prior(connected(emulator, acme), a_desired(company_id=acme))
    run = a_run(emulator)
    file = tmp_path / "handover.json"
    file.write_text(handover.to_json([prior], {}, {}, approved=[prior.id]))
    handover.load(file, run.operations)

    run.operations.remove(prior)

    assert rows(emulator, acme) == {prior.id: "Unlinked"}
    assert Plan().losing == {}


def test_a_handover_that_does_not_say_what_is_approved_is_none_of_ours(
    emulator: Emulator, tmp_path: Path
) -> None:
    """An older or edited file must not lift the limit."""
    file = tmp_path / "handover.json"
    file.write_text(handover.to_json([], {}, {}).replace('"approved": [], ', ""))

    with pytest.raises(ConfigError, match="names no file of"):
        handover.load(file, a_run(emulator).operations)
