"""What any running program of ours needs: its stack to itself, its config, its tenant, and warnings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime import settings as runtime
from pulumi.runtime.proto import engine_pb2

from codat_iac.codat.client import Reader
from codat_iac.codat.rate_limit import shared_throttle
from codat_iac.model import settings
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import join_names
from codat_iac.planning import notices
from codat_iac.planning.decision import Decision
from codat_iac.planning.notices import Notice
from codat_iac.planning.rule_table import Action


def warn(text: str, urn: str) -> None:
    """Show a warning on the resource *urn*, which need not be declared, or on the stack if it is empty."""
    request = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=text, urn=urn)
    engine: Any = runtime.get_engine()
    engine.Log(request)


def claim_stack(*, stock: bool) -> None:
    """Claim the running program's stack for the *stock* program, or for the connections of a program's own.

    Raises `pulumi.RunError` if it is claimed for the other.
    """
    if _claims.setdefault(runtime.get_monitor(), stock) is not stock:
        raise pulumi.RunError(
            "the stock program (`codat_iac.program.main`) declares all connections of its stack, so a program"
            " that calls it can't declare a `Connection` besides; use one or the other"
        )


_claims: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
"""By monitor, since a process may run several programs one after the other."""

MOST_WARNED = 20
"""The most removals that get a warning on their own resource; all are named in the sum."""


def check_config() -> None:
    """Raise `pulumi.RunError` if the stack's config holds a setting that must not be in the state.

    The engine copies all config into the state. So an API key must be a secret there, and settings that are
    for one run only must not be there at all.
    """
    config = pulumi.Config(settings.NAMESPACE)
    if config.get("apiKey") and not pulumi.runtime.is_config_secret(f"{settings.NAMESPACE}:apiKey"):
        raise pulumi.RunError(settings.PLAINTEXT_KEY_REFUSAL)
    try:
        settings.check_config(lambda key: config.get(key) is not None)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from error


def tenant_reader() -> tuple[settings.Settings, Reader]:
    """Return the running program's settings, and a `Reader` of its tenant. Raises `ConfigError`."""
    chosen = settings.read(os.environ, pulumi.Config(settings.NAMESPACE).get)
    throttle = shared_throttle(chosen.requests_per_minute, lambda text: warn(text, ""), shard=chosen.shard)
    return chosen, Reader.configured(chosen, throttle=throttle)


def warn_of_each_loss(losing: Sequence[Decision]) -> None:
    """Warn of each removal in *losing* on its own resource, and of all losses in sum on the stack."""
    for each in [each for each in losing if each.action is Action.REMOVE][:MOST_WARNED]:
        warn(notices.message(Notice.LOSES, each.address), each.urn)
    if losing:
        of, whose = ("", "customer") if len(losing) == 1 else ("s", "customers")
        named = join_names(sorted(each.address for each in losing))
        warn(
            f"this run ends {len(losing)} authorisation{of}, whose {whose} would have to authorise again:"
            f" {named}",
            "",
        )
