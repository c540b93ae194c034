"""A command's inputs: a stack, a desired state, a reader of the tenant."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codat_iac.cli.streams import STDIN, read_stdin, tell
from codat_iac.codat.client import Reader
from codat_iac.codat.rate_limit import shared_throttle
from codat_iac.model import settings
from codat_iac.model.connection import Declaration, DesiredConnection, PriorConnection, normalised
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.model.record import dependents, options, recorded, shard_marker
from codat_iac.model.shard import Shard
from codat_iac.model.text import join_names
from codat_iac.planning.matching import of_shard
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.planning.safety_limits import refuse_foreign, shard_refusal
from codat_iac.reconcile.companies.finding import find_companies
from codat_iac.reconcile.companies.rules import Rules
from codat_iac.reconcile.planner import Planner
from codat_iac.reconcile.planner.drift_and_links import RecordedConnections
from codat_iac.reconcile.snapshot import Snapshot
from codat_iac.stack.importing.addresses import slug
from codat_iac.stack.stack import Stack

if TYPE_CHECKING:
    from codat_iac.desired import DesiredState, Tenant


@dataclass
class Session:
    """The inputs of one command; each is read once, when it is first needed."""

    cwd: Path
    stack_name: str | None = None
    stateless: bool = False
    max_losses: int | None = None
    max_creates: int | None = None
    accept_leavers: bool = False
    approved_losses: frozenset[str] | None = None
    offline: bool = False
    """Don't ask Pulumi for the path of the desired state if the project's files say it."""
    _exporting: Future[dict[str, Any]] | None = field(default=None, init=False, repr=False)
    _encrypting: Future[None] | None = field(default=None, init=False, repr=False)
    _live_ahead: bool = field(default=False, init=False, repr=False)

    rules: Rules = field(default_factory=Rules)
    """What the rules of the desired state expand to, once that was read."""

    @cached_property
    def stack(self) -> Stack:
        """The stack. Raises `ConfigError`, `EngineError` or `StackError` as `Stack.open` does."""
        return Stack.open(self.cwd, self.stack_name)

    @cached_property
    def config(self) -> Mapping[str, str]:
        """The stack's config, empty if stateless."""
        return {} if self.stateless else self.stack.config()

    @cached_property
    def settings(self) -> settings.Settings:
        """The settings: the environment first, then the stack's config."""
        read = settings.read(os.environ, lambda key: self.config.get(f"{settings.NAMESPACE}:{key}"))
        return replace(
            read,
            max_losses=read.max_losses if self.max_losses is None else self.max_losses,
            max_creates=read.max_creates if self.max_creates is None else self.max_creates,
            accept_leavers=read.accept_leavers or self.accept_leavers,
            approved_losses=self.approved_losses,
            loss_option="" if self.max_losses is None else "--allow-losing",
            create_option="" if self.max_creates is None else "--max-creates",
        )

    @cached_property
    def reader(self) -> Reader:
        """A rate-limited reader of the tenant. Commands write only through Pulumi."""
        throttle = shared_throttle(self.settings.requests_per_minute, tell, shard=self.settings.shard)
        return Reader.configured(self.settings, throttle=throttle)

    @cached_property
    def snapshot(self) -> Snapshot:
        """What was read of the tenant."""
        return Snapshot(self.reader)

    def read_ahead(self, *, live: bool = True, to_write: bool = False) -> None:
        """Begin to export the state, while config, desired state and tenant are read.

        With *live*, what is declared is read too before the state is there. Whether a run could encrypt is
        tried as well *to_write*. An error is raised by who asks for the state, or for `check_secrets`.
        """
        if self.stateless:
            return
        self._live_ahead = live
        with suppress(CodatIacError):
            threads, stack = ThreadPoolExecutor(2), self.stack
            self._exporting = threads.submit(stack.export)
            self._encrypting = threads.submit(stack.check_secrets) if to_write else None

    def check_secrets(self) -> None:
        """Raise `StackError` if a run couldn't encrypt; reading ahead *to_write* has tried it already."""
        return self._encrypting.result() if self._encrypting else self.stack.check_secrets()

    @cached_property
    def state(self) -> Mapping[str, Any]:
        """The stack's exported state, empty if stateless."""
        if self._exporting:
            return self._exporting.result()
        return {} if self.stateless else self.stack.export()

    @cached_property
    def recorded(self) -> list[PriorConnection]:
        """The connections in the state, including old halves of replacements."""
        return recorded(self.state)

    def company_ids(self, desired: Iterable[DesiredConnection]) -> Mapping[str, set[str]]:
        """Return the ids of the companies that are declared or recorded, by their keys in the addresses."""
        ids: dict[str, set[str]] = {}
        for each in (*desired, *(prior.desired for prior in self.recorded)):
            ids.setdefault(each.address.company, set()).add(each.company_id)
        return ids

    def company_key(self, given: str, desired: Sequence[DesiredConnection]) -> str:
        """Return the key of the company that *given* names by its key or its id.

        Raises `ConfigError` if it is neither declared nor recorded, or recorded under several keys.
        """
        known = self.company_ids(desired)
        if given in known:
            return given
        declared = {each.address.company for each in desired if each.company_id == normalised(given)}
        keys = declared or {key for key, ids in known.items() if normalised(given) in ids}
        if not keys:
            near = difflib.get_close_matches(slug(given), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "give its key in the desired state, or its id"
            raise ConfigError(f"--company {given!r} is neither declared nor recorded; {hint}")
        if len(keys) > 1:
            raise ConfigError(
                f"--company {given} has several keys ({join_names(sorted(keys))}); give one of them"
            )
        return keys.pop()

    def planner(self, company: str | None, desired: Sequence[DesiredConnection] = ()) -> Planner:
        """Return a planner for *company*, or for all companies. Raises `ConfigError` if it is unknown."""
        key = None if company is None else self.company_key(company, desired)
        return Planner(self.reader, self.settings, self.recorded, key, self.rules, self.snapshot)

    def recorded_connections(self, company: str | None) -> RecordedConnections:
        """Return what is recorded of *company*, or of all, to be compared with live. Raises as `planner`."""
        key = None if company is None else self.company_key(company, ())
        return RecordedConnections(self.reader, self.settings, self.recorded, key)

    def plan_by(self, planner: Planner, desired: Sequence[DesiredConnection]) -> Plan:
        """Return the plan that *planner* makes, without a state if this is stateless."""
        return planner.plan_stateless(desired) if self.stateless else self.plan_with(planner, desired)

    def is_own_program(self, given: str | None) -> bool:
        """Return whether no desired state is named, so that the stack's own program says what it declares."""
        return given is None and not self.stateless and f"{settings.NAMESPACE}:desired" not in self.config

    def check_declared_by_file(self, given: str | None) -> None:
        """Raise `ConfigError` if the stack's own program declares it: an apply would remove all of that.

        *given* is the path of the desired state to apply, if one was given.
        """
        if not self.is_own_program(None):
            return
        file = os.path.relpath(self.cwd / given, self.stack.folder) if given and given != "-" else "FILE"
        raise ConfigError(
            f"stack {self.stack.short_name}: no `{settings.NAMESPACE}:desired` is set, so a program of your"
            f" own declares it, and `pulumi up` brings that about; if a file is to declare it, `pulumi config"
            f" set {settings.NAMESPACE}:desired {file}`, and look at `codat-iac plan` before you apply"
        )

    def plan_program(self, company: str | None) -> Plan:
        """Return the plan for what the stack's own program declares."""
        from codat_iac.stack.running.own_program import declared  # noqa: PLC0415  pulumi is slow to import

        reader = self.reader  # a wrong setting is told before the program runs
        program = declared(self.stack, self.recorded)
        if company is not None and company not in {each.company for each in program.unknown}:
            company = self.company_key(company, program.connections)
        plan = Planner(reader, self.settings, program.recorded, company).plan(program.connections, program)
        return replace(plan, stack=self.stack.short_name)

    def plan_with(self, planner: Planner, desired: Sequence[DesiredConnection]) -> Plan:
        """Return the plan that *planner* makes, with the stack's name in it."""
        shard = str(self.shard) if self.shard else None
        return replace(planner.plan(desired), stack=self.stack.short_name, shard=shard)

    def check_options(self, plan: Plan) -> None:
        """Raise `ConfigError` if the stack has resource options that an apply of *plan* would lose.

        An apply declares only what the desired-state file can say.
        """
        replaced = {change.connection_id for change in plan.changes if change.action is Action.REPLACE}
        for prior in self.recorded:
            if prior.protected and prior.id in replaced and not prior.pending_removal:
                raise ConfigError(
                    f"{prior.address}: it is protected in the stack's state, so an apply doesn't replace it;"
                    f" pulumi state unprotect '{prior.urn}' --yes, if you mean it"
                )
        ending = {change.connection_id for change in plan.changes if change.removal is not None}
        urns = {prior.urn for prior in self.recorded if prior.id in ending}
        for urn, needed in dependents(self.state, urns):
            raise ConfigError(
                f"{self.stack.name}: {urn} was declared to depend on {needed}, which an apply would take away"
                " alone; use `pulumi up`"
            )
        for urn, option in options(self.state):
            raise ConfigError(
                f"{self.stack.name}: {urn} was declared with `{option}`, which only a program of your own can"
                " declare, and an apply would take away; use `pulumi up`"
            )

    def path(self, given: str | None) -> str:
        """Return the path of the desired state: *given* (`-` is stdin), or the one in the stack's config.

        Raises `ConfigError` if there is none.
        """
        if given == "-":
            return STDIN
        if given is not None:
            return str(self.cwd / given) if given else given
        if self.stateless:
            raise ConfigError("--stateless reads no config; give the PATH of the desired state")
        if self.offline:
            from codat_iac.stack.project.contents import desired_path  # noqa: PLC0415  yaml and jsonschema

            if path := desired_path(self.cwd, self.stack_name):
                return str(path)
        return str(self.stack.desired_path(self.config))

    @property
    def shard(self) -> Shard | None:
        """The stack's shard, None if all companies are its own."""
        return self.settings.shard

    def check_shard(self) -> None:
        """Raise `ConfigError` if the stack's state isn't ready for a run as the shard in its config."""
        if refusal := shard_refusal(self.shard, shard_marker(self.state), self.recorded):
            raise ConfigError(f"stack {self.stack.short_name}: {refusal}")

    def declared(self, given: str | None) -> tuple[DesiredConnection, ...]:
        """Return what this stack declares: its shard of the desired state. Raises what `desired` does."""
        return self.declared_state(given).connections

    def declared_state(self, given: str | None) -> DesiredState:
        """Return the desired state, with the connections of this stack's shard alone."""
        state = self.desired_state(given)
        own = of_shard(state.connections, self.shard)
        if self._live_ahead and not state.unmanaged.needs_tenant:
            self.snapshot.prefetch({each.company_id for each in own})
        self.check_shard()
        refuse_foreign(self.shard, state.connections, self.recorded)
        return replace(state, declaration=Declaration(own))

    def desired(self, given: str | None, *, required: bool = True) -> tuple[DesiredConnection, ...]:
        """Return what the desired state declares; companies that it names by match or by rule are looked up.

        Raises `ConfigError` with every problem, and `ApiError` if the tenant has to be read and can't.
        """
        return self.desired_state(given, required=required).connections

    def desired_state(self, given: str | None, *, required: bool = True) -> DesiredState:
        """Return the whole desired state, with its companies looked up. Raises what `desired` does."""
        state = self._loaded(given, required=required)
        found = find_companies(state.declaration, lambda: self.recorded, lambda: self.reader, self.shard)
        self.rules = found.rules
        return state.resolved(found.connections, found.company_ids)

    def declaration(self, given: str | None, tenant: Tenant | None = None) -> Declaration:
        """Load the desired state, checked against *tenant* too. Raises `ConfigError` with every problem."""
        return self._loaded(given, tenant).declaration

    def _loaded(
        self, given: str | None, tenant: Tenant | None = None, *, required: bool = True
    ) -> DesiredState:
        from codat_iac.desired import load_state  # noqa: PLC0415  yaml and jsonschema

        text = self._stdin if given == "-" else None
        return load_state(self.path(given), tenant, given=text, required=required)

    @cached_property
    def _stdin(self) -> bytes:
        from codat_iac.desired.files import LARGEST  # noqa: PLC0415  yaml and jsonschema

        return read_stdin(LARGEST + 1)
