"""Lets the SDK's messages be imported without the SDK, which would take most of the host's start."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def messages_only() -> None:
    """Put empty packages around `pulumi.runtime.proto`, in a process that needs nothing else of the SDK."""
    sdk = find_spec("pulumi")
    assert sdk  # the launcher found it
    folder = Path(str(sdk.origin)).parent
    for name, path in (("pulumi", folder), ("pulumi.runtime", folder / "runtime")):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
