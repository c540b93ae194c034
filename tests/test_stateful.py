"""A life of a stack, in any order of events: after each apply a plan is empty, and nothing was doubled.

Hypothesis makes up the events and, where one life breaks a promise, looks for the shortest that does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from codat_iac.emulator import serving
from codat_iac.model import DesiredConnection, OnExisting, OnRemoval, Status
from tests.campaign.operations import Run
from tests.campaign.story import COMPANIES, LIMIT, PLATFORMS
from tests.worlds import a_planner, carry_out

addresses = st.builds("{}/{}".format, st.sampled_from(COMPANIES[:2]), st.sampled_from("abc"))
platforms = st.sampled_from(PLATFORMS[:2])
policies = st.sampled_from(list(OnRemoval))
any_of_them = st.integers(0, 5)


class Life(RuleBasedStateMachine):
    """What the user writes, what customers do, and both doors."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        emulator = self.open.enter_context(serving())
        self.file = Path(self.open.enter_context(TemporaryDirectory())) / "handover.json"
        self.run = Run(emulator, 0, 0)

    def teardown(self) -> None:
        """Let the emulator go."""
        self.open.close()

    # The user.

    @rule(address=addresses, platform_key=platforms, on_removal=policies)
    def declare(self, address: str, platform_key: str, on_removal: OnRemoval) -> None:
        """Declare one more, or another platform or policy of one that is declared."""
        company_id = self.run.companies[address.partition("/")[0]]
        self.let_go(address)
        self.write(
            DesiredConnection(
                address, company_id, platform_key, on_removal=on_removal, on_existing=OnExisting.CREATE
            ),
            instead_of=address,
        )

    @precondition(lambda self: self.run.desired)
    @rule(which=any_of_them)
    def take_out(self, which: int) -> None:
        """Take one out of the file."""
        address = self.one(which).address
        self.let_go(address)
        self.write(instead_of=address)

    @precondition(lambda self: self.run.desired)
    @rule(which=any_of_them, address=addresses)
    def rename(self, which: int, address: str) -> None:
        """Give one another name within its company, where that is free."""
        desired = self.one(which)
        renamed = f"{desired.address.partition('/')[0]}/{address.partition('/')[2]}"
        if renamed not in {each.address for each in self.run.desired}:
            self.let_go(desired.address)  # for a sibling of it may be let go of at once
            self.write(dataclasses.replace(desired, address=renamed), instead_of=desired.address)

    @precondition(lambda self: self.run.desired)
    @rule(which=any_of_them)
    def unlink(self, which: int) -> None:
        """Declare one Unlinked, where there is one to unlink."""
        desired = self.one(which)
        prior = self.run.stack.recorded.get(desired.address)
        if prior and prior.slot == desired.slot and prior.id in self.run.living():
            self.let_go(desired.address)
            self.write(
                dataclasses.replace(desired, status=Status.UNLINKED, connection_id=prior.id),
                instead_of=desired.address,
            )

    # Customers, and the Portal.

    @precondition(lambda self: self.run.stack.recorded)
    @rule(which=any_of_them, act=st.sampled_from(["authorise", "revoke", "unlink", "delete"]))
    def act(self, which: int, act: str) -> None:
        """Let somebody act on one; what they do stays, unless the file says otherwise."""
        priors = list(self.run.stack.recorded.values())
        prior = priors[which % len(priors)]
        status = self.run.living().get(prior.id)
        named = {each.connection_id for each in self.run.desired}
        emulator = self.run.emulator
        if act == "authorise" and status == "PendingAuth":
            emulator.authorise(prior.id)
        elif act == "revoke" and status == "Linked":
            emulator.revoke(prior.id)
        elif act == "unlink" and status == "Linked":
            emulator.unlink(prior.id)
        elif act == "delete" and status and prior.id not in named:
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
        self.run.process()
        self.run.check()
        assert self.run.found.violations == []

    @rule()
    def apply(self) -> None:
        """Do what `codat-iac apply` does: what its plan says, and nothing else."""
        run = self.run
        planner = a_planner(run.emulator, run.stack.recorded, replaced=run.stack.replaced, max_losses=LIMIT)
        plan = planner.plan(run.desired)
        assert plan.problems == ()
        run.stack.recorded = carry_out(run.emulator, planner, plan, run.desired, self.file, max_losses=LIMIT)
        run.stack.replaced = []
        run.ours |= run.recorded_ids()
        run.check()
        assert run.found.violations == []

    # Helpers.

    def one(self, which: int) -> DesiredConnection:
        """One of those that are declared."""
        return self.run.desired[which % len(self.run.desired)]

    def write(self, *desired: DesiredConnection, instead_of: str) -> None:
        """Write *desired* into the file in place of an address."""
        self.run.set_desired([*(each for each in self.run.desired if each.address != instead_of), *desired])

    def let_go(self, address: str) -> None:
        """From now on what is recorded there, and its siblings, may be unlinked or deleted."""
        prior = self.run.stack.recorded.get(address)
        for each in self.siblings(address) if prior else ():
            self.run.released.add(each)

    def siblings(self, address: str) -> Iterator[str]:
        """The ids of the same company and platform: which of them a rename takes, nobody can tell."""
        slot = self.run.stack.recorded[address].slot
        declared = {each.address for each in self.run.desired}
        for prior in self.run.stack.recorded.values():
            if prior.slot == slot and (prior.address == address or prior.address not in declared):
                yield prior.id


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
