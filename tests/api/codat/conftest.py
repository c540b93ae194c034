"""What the tests of the client share."""

from __future__ import annotations

import os

import pytest

from codat_iac.codat.network import AUTHORITIES


@pytest.fixture(autouse=True)
def open_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test without a proxy and with the usual authorities, whatever this machine has."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in AUTHORITIES:
            monkeypatch.delenv(name)
