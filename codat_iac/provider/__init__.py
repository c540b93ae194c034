"""The Pulumi dynamic provider: it translates Pulumi's hooks into calls of `Operations` and back.

Pulumi pickles the provider into every resource of every state, by reference as long as it has no attributes.
So `codat_iac.provider.ConnectionProvider` must never be moved or renamed, and nothing may be stored on it.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown
from pulumi.runtime import rpc

from codat_iac.codat.client import Client
from codat_iac.codat.rate_limit import shared_throttle
from codat_iac.model import properties, settings
from codat_iac.model.connection import normalised
from codat_iac.model.errors import CodatIacError, ConfigError, Mismatch, Refused, naming
from codat_iac.planning import rule_table, slot_description
from codat_iac.planning.rule_table import Action
from codat_iac.provider import declared_file, engine_link
from codat_iac.provider.notice_filter import Notices
from codat_iac.reconcile import handover
from codat_iac.reconcile.operations import Operations


class ToldBefore(Refused):
    """Not done, for a reason that another resource of this run has told."""


class Process:
    """State shared by the hooks of one process, which serves one preview, update, refresh or destroy.

    *operations* is the error instead if the settings are wrong.
    """

    def __init__(self, operations: Operations | CodatIacError, notices: Notices) -> None:
        self._operations = operations
        self._notices = notices
        self._lock = threading.Lock()
        self._notices_expected = False
        self._told: set[object] = set()

    @contextmanager
    def hook(self, address: str) -> Iterator[Operations]:
        """Give the operations to a hook, and name *address* in their errors.

        An error that many resources meet is raised once, and then `ToldBefore`.
        """
        try:
            with naming(address):
                if isinstance(self._operations, CodatIacError):
                    raise copy.copy(self._operations)
                yield self._operations
        except CodatIacError as error:
            if error.common:
                self._tell_once(address, error)
            raise

    def _tell_once(self, address: str, error: CodatIacError) -> None:
        reason = str(error).removeprefix(f"{address}: ") if isinstance(error, Mismatch) else type(error)
        with self._lock:
            told = reason in self._told
            self._told.add(reason)
        if told:
            raise ToldBefore(f"{address}: not done, for the reason that this run told first") from error

    def expect_notices(self, operations: Operations) -> None:
        """Announce the expected notices once: by the first `check`, all recorded connections are read."""
        with self._lock:
            if not self._notices_expected:
                self._notices_expected = True
                self._notices.expect(operations.expected_notices())


_process: Process | None = None


def _start(request: ConfigureRequest) -> Process:
    engine_link.stay_on_one_cpu()
    engine = engine_link.Engine(engine_link.engine_address())
    engine.watch()
    engine_link.install_one_line_errors(sys.modules["__main__"])
    notices = Notices(lambda text: engine.warn(text, engine_link.current_urn()), engine.warn)
    try:
        return Process(_operations(request, engine, notices), notices)
    except CodatIacError as error:
        error.common = True
        return Process(error, notices)


def _operations(request: ConfigureRequest, engine: engine_link.Engine, notices: Notices) -> Operations:
    if declared_file.path():
        raise ConfigError(f"this run only asks what is declared ({declared_file.VARIABLE}); nothing is done")
    chosen = settings.read(os.environ, lambda key: request.config.get(f"{settings.NAMESPACE}:{key}"))
    throttle = shared_throttle(chosen.requests_per_minute, engine.warn, shard=chosen.shard)
    client = Client.configured(chosen, guard=engine.require_alive, throttle=throttle)
    operations = Operations(client, chosen, notices.say)
    handed_over = os.environ.get(handover.VARIABLE)
    if handed_over:
        handover.load(Path(handed_over), operations)
    return operations


def _configured_process() -> Process:
    if _process is None:
        raise ConfigError("the provider was not configured; run it with `pulumi`")
    return _process


class ConnectionProvider(ResourceProvider):
    """Pulumi's hooks for one Codat connection.

    *id_* is Codat's connection id. *news*, *olds* and *outs* are property bags with Pulumi's names
    (`companyId`). Any `CodatIacError` of the operations passes through.

    See https://www.pulumi.com/docs/iac/concepts/resources/dynamic-providers.
    """

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Read the settings and make the shared client. The host calls this once, under a lock."""
        global _process  # noqa: PLW0603  the provider itself must stay without attributes
        _process = _process or _start(req)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate the inputs; if the connection isn't recorded, preview its create."""
        description = news.get(slot_description.INPUT)
        news = {name: value for name, value in news.items() if name != slot_description.INPUT}
        bag = _own_inputs(news)
        wrong = properties.failures(bag)
        if wrong:
            return CheckResult(news, [CheckFailure(name, reason) for name, reason in wrong.items()])
        if file := declared_file.path():
            told = _own_inputs({slot_description.INPUT: description})
            declared_file.write(file, engine_link.current_urn(), bag | told)
            return CheckResult(news, [])
        process = _configured_process()
        with process.hook(bag["address"]) as operations:
            process.expect_notices(operations)
            described = slot_description.parse(description) if isinstance(description, str) else None
            operations.state.declare(bag["address"], described)
            if None in bag.values():
                return CheckResult(news, [])
            desired = properties.desired(bag)
            if "address" not in olds:
                operations.preview_create(desired)
            return CheckResult(properties.inputs(desired), [])

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare desired with live. A difference from the recorded properties only causes a new record.

        A refresh calls this too, for each resource that it read, to show what changed: *olds* are then the
        fresh outputs and *news* the recorded inputs.
        """
        if declared_file.path():
            return DiffResult(changes=False)
        bag = _own_inputs(news)
        try:
            with _configured_process().hook(bag["address"]) as operations:
                return _difference(operations, id_, olds, bag)
        except ToldBefore:  # the run fails all the same
            return DiffResult(changes=False)

    def create(self, news: dict[str, Any]) -> CreateResult:
        """Adopt a live connection, or create one."""
        desired = properties.desired(news)
        with _configured_process().hook(desired.address) as operations:
            live = operations.create(desired)
        # An adopted connection wasn't asked to be unlinked yet, so Codat can't have refused that.
        return CreateResult(live.id, properties.outputs(desired, live.id, live))

    def read(self, id_: str, outs: dict[str, Any]) -> ReadResult:
        """Read the live connection. The recorded inputs change only if the next update must make a call."""
        prior = properties.prior(id_, outs, urn=engine_link.current_urn())
        try:
            with _configured_process().hook(prior.address) as operations:
                live = operations.read(prior)
        except ToldBefore:  # the run fails all the same
            return ReadResult(id_, outs)
        if live is None and operations.forgets_missing:
            return ReadResult("", {})
        refused = prior.unlink_refused and rule_table.refused_unlink(prior.desired.status, live)
        now = properties.outputs(prior.desired, prior.id, live, unlink_refused=refused)
        if live is not None and rule_table.needs_unlink(prior, live):
            return ReadResult(id_, now, {**properties.inputs(prior.desired), "status": live.status})
        return ReadResult(id_, now)

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Unlink the connection if that is asked, and record the new properties."""
        desired = properties.desired(news)
        with _configured_process().hook(desired.address) as operations:
            live = operations.update(properties.prior(id_, olds), desired)
        refused = rule_table.refused_unlink(desired.status, live)
        return UpdateResult(properties.outputs(desired, live.id, live, unlink_refused=refused))

    def delete(self, id_: str, outs: dict[str, Any]) -> None:
        """Unlink, delete or forget the connection, as the recorded `onRemoval` asks."""
        prior = properties.prior(id_, outs, urn=engine_link.current_urn())
        with _configured_process().hook(prior.address) as operations:
            operations.remove(prior)


def _difference(operations: Operations, id_: str, olds: dict[str, Any], bag: dict[str, Any]) -> DiffResult:
    if not operations.state.is_declared(bag["address"]):
        return DiffResult(changes=operations.state.status_changed(normalised(id_), olds.get("status")))
    if operations.state.stays(bag["address"]):
        operations.state.hold(normalised(id_), bag["address"])
        return DiffResult(changes=False)
    unknown = [name for name, value in bag.items() if value is None]
    if unknown:  # a preview can't know the outcome, so it shows the largest possible change
        return DiffResult(changes=True, replaces=[name for name in unknown if name in properties.REPLACING])
    decision = operations.compare(properties.prior(id_, olds), properties.desired(bag))
    return DiffResult(
        changes=decision.action is not Action.NONE,
        replaces=list(decision.replaces),
        delete_before_replace=False,
    )


def _own_inputs(bag: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs without Pulumi's own; a value that a preview doesn't know yet is None."""
    return {
        name: None if isinstance(value, Unknown) or value == rpc.UNKNOWN else value
        for name, value in bag.items()
        if not name.startswith("__")
    }
