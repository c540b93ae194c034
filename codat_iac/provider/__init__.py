"""The Pulumi dynamic provider: props in, core called, result out.

`codat_iac.provider.ConnectionProvider` is a public contract. Pulumi pickles a provider into every
resource of every state, by reference as long as it has no attributes: it is never moved or renamed, and
nothing is ever stored on it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path
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
from codat_iac.codat.rate_limit import shared_pace
from codat_iac.model import properties, settings
from codat_iac.model.errors import ConfigError, naming
from codat_iac.planning import rule_table, slot_description
from codat_iac.planning.rule_table import Action
from codat_iac.provider import host
from codat_iac.provider.warnings import Notices
from codat_iac.reconcile import handover
from codat_iac.reconcile.operations import Operations


class Process:
    """What the hooks of one process share: a process is one preview, update, refresh or destroy."""

    def __init__(self, operations: Operations, notices: Notices) -> None:
        self.operations = operations
        self._notices = notices
        self._lock = threading.Lock()
        self._looked_ahead = False

    def look_ahead(self) -> None:
        """Count once what there is to say: by the first check, all that is recorded was read."""
        with self._lock:
            if not self._looked_ahead:
                self._looked_ahead = True
                self._notices.expect(self.operations.outlook())


_process: Process | None = None


def _start(request: ConfigureRequest) -> Process:
    engine = host.Engine(host.engine_address())
    engine.watch()
    host.speak_plainly(sys.modules["__main__"])
    chosen = settings.read(os.environ, lambda key: request.config.get(f"{settings.NAMESPACE}:{key}"))
    throttle = shared_pace(user_cache_path("codat-iac"), chosen.requests_per_minute)
    client = Client(chosen.api_key, chosen.base_url, guard=engine.require, throttle=throttle)
    notices = Notices(lambda text: engine.warn(text, host.current_urn()), engine.warn)
    operations = Operations(client, chosen, notices.say)
    handed_over = os.environ.get(handover.VARIABLE)
    if handed_over:
        handover.take_over(Path(handed_over), operations)
    return Process(operations, notices)


def _here() -> Process:
    if _process is None:
        raise ConfigError("the provider was not configured; run it with `pulumi`")
    return _process


class ConnectionProvider(ResourceProvider):
    """Models one Codat connection; see https://www.pulumi.com/docs/iac/concepts/resources/dynamic-providers."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Read the settings and share one client; called once for each process, under the host's lock."""
        global _process  # noqa: PLW0603  the provider itself must stay without attributes
        _process = _process or _start(req)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate the inputs; for one that isn't recorded, foresee what its create will do."""
        told = news.get(slot_description.INPUT)
        news = {name: value for name, value in news.items() if name != slot_description.INPUT}
        bag = _settled(news)
        wrong = properties.failures(bag)
        if wrong:
            return CheckResult(news, [CheckFailure(name, reason) for name, reason in wrong.items()])
        process = _here()
        process.look_ahead()
        described = slot_description.parse(told) if isinstance(told, str) else None
        process.operations.state.declare(bag["address"], described)
        if None in bag.values():
            return CheckResult(news, [])
        desired = properties.desired(bag)
        if "address" not in olds:
            with naming(desired.address):
                process.operations.foresee(desired)
        return CheckResult(properties.inputs(desired), [])

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare desired with live; what is recorded decides only if it must be recorded anew.

        A refresh asks too, for each resource that it read, to show what moved: *olds* are then the fresh
        outputs and *news* the recorded inputs.
        """
        bag = _settled(news)
        operations = _here().operations
        if not operations.state.is_declared(bag["address"]):
            return DiffResult(changes=operations.state.moved(id_.lower(), olds.get("status")))
        if operations.state.stays(bag["address"]):
            operations.state.hold(id_.lower(), bag["address"])
            return DiffResult(changes=False)
        unknown = [name for name, value in bag.items() if value is None]
        if unknown:  # a preview can't know what comes of it, so it shows the most that may
            return DiffResult(
                changes=True, replaces=[name for name in unknown if name in properties.REPLACING]
            )
        with naming(bag["address"]):
            decision = operations.compare(properties.prior(id_, olds), properties.desired(bag))
        return DiffResult(
            changes=decision.action is not Action.NONE,
            replaces=list(decision.replaces),
            delete_before_replace=False,
        )

    def create(self, news: dict[str, Any]) -> CreateResult:
        """Adopt or make the connection."""
        desired = properties.desired(news)
        with naming(desired.address):
            live = _here().operations.create(desired)
        # What is adopted wasn't asked to be unlinked yet, so Codat can't have refused that.
        return CreateResult(live.id, properties.outputs(desired, live.id, live))

    def read(self, id_: str, outs: dict[str, Any]) -> ReadResult:
        """Read what is live; the recorded inputs change only if a call will be asked for."""
        prior = properties.prior(id_, outs, urn=host.current_urn())
        operations = _here().operations
        with naming(prior.address):
            live = operations.read(prior)
        if live is None and operations.forgets_missing:
            return ReadResult("", {})
        refused = prior.unlink_refused and rule_table.refused_unlink(prior.desired.status, live)
        now = properties.outputs(prior.desired, prior.id, live, unlink_refused=refused)
        if live is not None and rule_table.drifted(prior, live):
            return ReadResult(id_, now, {**properties.inputs(prior.desired), "status": live.status})
        return ReadResult(id_, now)

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Unlink, or record anew."""
        desired = properties.desired(news)
        with naming(desired.address):
            live = _here().operations.update(properties.prior(id_, olds), desired)
        refused = rule_table.refused_unlink(desired.status, live)
        return UpdateResult(properties.outputs(desired, live.id, live, unlink_refused=refused))

    def delete(self, id_: str, outs: dict[str, Any]) -> None:
        """Do what the recorded `onRemoval` asks."""
        prior = properties.prior(id_, outs, urn=host.current_urn())
        with naming(prior.address):
            _here().operations.remove(prior)


def _settled(bag: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs without Pulumi's own, and None for what a preview doesn't know yet."""
    return {
        name: None if isinstance(value, Unknown) or value == rpc.UNKNOWN else value
        for name, value in bag.items()
        if not name.startswith("__")
    }
