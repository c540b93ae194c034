"""What the dynamic provider's host is taken for, apart from the engine; the engine tests drive the rest."""

from __future__ import annotations

import traceback
from types import ModuleType, SimpleNamespace

import pytest

from codat_iac import host, provider
from codat_iac.errors import ConfigError, Refused


def a_host() -> ModuleType:
    """A module that speaks of errors as the SDK's host does."""
    module = ModuleType("a host")
    module.traceback = traceback  # type: ignore[attr-defined]
    return module


def test_a_hook_knows_whose_it_is() -> None:
    """By the request of the host that called it, however deep."""

    def handle(request: SimpleNamespace) -> str:
        return hook() + getattr(request, "suffix", "")

    def hook() -> str:
        return host.current_urn()

    assert handle(SimpleNamespace(urn="urn:pulumi:dev::x::y::acme/ledger")).endswith("::acme/ledger")
    assert handle(SimpleNamespace()) == ""
    assert host.current_urn() == ""


def test_an_error_of_ours_is_its_one_line_and_a_bug_keeps_its_traceback() -> None:
    """Else the whole traceback would be the user's message."""
    module = a_host()
    host.speak_plainly(module)

    said = []
    for error in (Refused("acme/ledger: no"), ValueError("a bug")):
        try:
            raise error
        except (Refused, ValueError):
            said.append(module.traceback.format_exc())

    assert said[0] == "acme/ledger: no"
    assert said[1].startswith("Traceback")


def test_a_host_of_another_make_stays_as_it_is() -> None:
    """A later SDK may speak of errors otherwise."""
    module = ModuleType("another host")
    host.speak_plainly(module)

    assert not hasattr(module, "traceback")


def test_a_hook_before_configure_says_who_calls_it_right() -> None:
    """A provider outside an engine has no settings."""
    with pytest.raises(ConfigError, match="run it with `pulumi`"):
        provider._here()
