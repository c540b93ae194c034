"""A life of a stack, in any order of events: after each apply a plan is empty, and nothing was doubled.

Hypothesis makes up the events and, where one life breaks a promise, looks for the shortest that does.
"""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from codat_iac.emulator import Emulator, serving
from codat_iac.model.connection import Address, DesiredConnection, OnExisting, OnRemoval, Status
from tests.campaign.operations import Run
from tests.campaign.story import LIMIT, PLATFORMS, read
from tests.support.worlds import a_planner, carry_out

any_of_two = st.integers(0, 1)
any_of_them = st.integers(0, 5)
keys = st.sampled_from("abc")
platforms = st.sampled_from([PLATFORMS[0], *PLATFORMS[:2]])
"""The first is the likelier one, so that there are several of a kind."""

policies = st.sampled_from(list(OnRemoval))


class Tenant(Run):
    """A story whose processes are those of either door: `pulumi up`, or `codat-iac apply`."""

    def __init__(self, emulator: Emulator, handover: Path) -> None:
        super().__init__(emulator, 0, 0)
        self.handover = handover
        self.by_plan = False

    def process(self) -> None:
        """Do what the door does; a plan with a problem is refused as a whole."""
        if not self.by_plan:
            super().process()
            return
        self.whole = False
        recorded = self.stack.recorded
        planner = a_planner(self.emulator, recorded, max_losses=LIMIT)
        plan = planner.plan(self.desired)
        if not plan.problems:
            self.stack.recorded = carry_out(
                self.emulator, planner, plan, self.desired, recorded, self.handover, max_losses=LIMIT
            )
            self.ours |= self.recorded_ids()
            self.whole = True


class Life(RuleBasedStateMachine):
    """What the user writes, what customers do, and both doors."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        emulator = self.open.enter_context(serving())
        folder = Path(self.open.enter_context(TemporaryDirectory()))
        self.run = Tenant(emulator, folder / "handover.json")

    def teardown(self) -> None:
        """Let the emulator go."""
        self.open.close()

    @initialize(chosen=st.lists(platforms, min_size=2, max_size=3))
    def begin(self, chosen: list[str]) -> None:
        """Let some of one company be made and authorised: most edits are of what is there."""
        for key, platform_key in zip("abc", chosen, strict=False):
            self.declare(0, key, platform_key, OnRemoval.UNLINK)
        self.settle(by_plan=False)
        for which in range(len(chosen)):
            self.act(which, "authorise")

    # The user.

    @rule(company=any_of_two, key=keys, platform_key=platforms, on_removal=policies)
    def declare(self, company: int, key: str, platform_key: str, on_removal: OnRemoval) -> None:
        """Declare one more, or another platform or policy of one that is declared."""
        name, company_id = list(self.run.companies.items())[company]
        declared = DesiredConnection(
            Address(f"{name}/{key}"),
            company_id,
            platform_key,
            on_removal=on_removal,
            on_existing=OnExisting.CREATE,
        )
        self.write(declared, instead_of=declared.address)

    @precondition(lambda self: self.run.desired)
    @rule(which=any_of_them)
    def take_out(self, which: int) -> None:
        """Take one out of the file."""
        self.write(instead_of=self.one(which).address)

    @precondition(lambda self: self.run.desired)
    @rule(which=any_of_them, key=keys)
    def rename(self, which: int, key: str) -> None:
        """Give one another name within its company, if that is free."""
        desired = self.one(which)
        renamed = f"{desired.address.partition('/')[0]}/{key}"
        if renamed not in {each.address for each in self.run.desired}:
            self.write(dataclasses.replace(desired, address=Address(renamed)), instead_of=desired.address)

    @precondition(lambda self: self.run.desired)
    @rule(which=any_of_them)
    def unlink(self, which: int) -> None:
        """Declare one Unlinked, if there is one to unlink."""
        desired = self.one(which)
        prior = self.run.stack.at(desired.address)
        if prior and prior.slot == desired.slot and prior.id in self.run.living():
            unlinked = dataclasses.replace(desired, status=Status.UNLINKED)
            self.write(unlinked, instead_of=desired.address)

    @precondition(lambda self: self.run.desired)
    @rule(which=any_of_them)
    def rename_key(self, which: int) -> None:
        """Give the company of one another key."""
        run = self.run
        run.edits += 1
        old = self.one(which).address.partition("/")[0]
        new = f"{old}-{run.edits}"
        run.companies = {new if name == old else name: each for name, each in run.companies.items()}
        for each in [each for each in run.desired if each.address.startswith(f"{old}/")]:
            renamed = dataclasses.replace(each, address=Address(f"{new}/{each.address.partition('/')[2]}"))
            self.write(renamed, instead_of=each.address)

    @rule(edit=st.sampled_from(["pass on", "state", "parents"]))
    def edit_around(self, edit: str) -> None:
        """Pass a connection on, edit the state, or put a component around some."""
        edits = {
            "pass on": self.run.pass_on,
            "state": self.run.rename_state,
            "parents": self.run.move_parents,
        }
        edits[edit]()

    # Customers, and the Portal.

    @precondition(lambda self: self.run.stack.standing)
    @rule(which=any_of_them, act=st.sampled_from(["authorise", "revoke", "unlink", "delete"]))
    def act(self, which: int, act: str) -> None:
        """Let somebody act on one; what they do stays, unless the file says otherwise."""
        priors = sorted(self.run.stack.standing, key=lambda prior: prior.address)
        prior = priors[which % len(priors)]
        status = self.run.living().get(prior.id)
        emulator = self.run.emulator
        if act == "authorise" and status == "PendingAuth":
            emulator.authorise(prior.id)
        elif act == "revoke" and status == "Linked":
            emulator.revoke(prior.id)
        elif act == "unlink" and status == "Linked":
            emulator.unlink(prior.id)
        elif act == "delete" and status:
            emulator.delete_connection(prior.id)
            self.run.theirs.pop(prior.id, None)
            return
        now = self.run.living().get(prior.id)
        if now:
            self.run.theirs[prior.id] = now

    # The doors.

    @rule()
    def up(self) -> None:
        """Do what `pulumi up` does."""
        self.settle(by_plan=False)

    @rule()
    def apply(self) -> None:
        """Do what `codat-iac apply` does: what its plan says, and nothing else."""
        self.settle(by_plan=True)

    def settle(self, *, by_plan: bool) -> None:
        """Run until nothing has to wait for another run; what can't be known or done has to be refused."""
        run = self.run
        run.by_plan = by_plan
        self.declare_what_can_be()
        run.waited = True
        for _ in range(len(run.desired) + 1):
            if run.waited:
                run.apply()
                assert run.whole
        assert not run.waited
        run.check()
        assert run.found.violations == []

    def declare_what_can_be(self) -> None:
        """Take back that something is to be unlinked that isn't there, once that was refused."""
        run = self.run
        goes_on = read(run.desired, run.stack.standing).goes_on
        living = run.living()
        gone = {address for address, prior in goes_on.items() if prior.id not in living}
        unlinked = {each.address for each in run.desired if each.status is Status.UNLINKED}
        if unlinked & gone:
            run.refuse()
        run.set_desired(
            dataclasses.replace(each, status=Status.LINKED)
            if each.address in unlinked and (each.address in gone or each.address not in goes_on)
            else each
            for each in run.desired
        )

    # Helpers.

    def one(self, which: int) -> DesiredConnection:
        """One of those that are declared."""
        return self.run.desired[which % len(self.run.desired)]

    def write(self, *desired: DesiredConnection, instead_of: str) -> None:
        """Write *desired* into the file in place of an address."""
        self.run.set_desired([*(each for each in self.run.desired if each.address != instead_of), *desired])


TestLife = pytest.mark.slow(Life.TestCase)
TestLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
