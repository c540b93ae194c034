"""The user's environment variables, without what would break a program that we start.

They are meant for other programs, and for a `pulumi` that users start themselves: that one gets them all, and
`codat-iac doctor` says which break it.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress

OPTION = "PULUMI_OPTION_"
"""The prefix of variables that `pulumi` takes as options of any command, such as `--target` of an `up`."""

_LEFT_OUT = (OPTION, "PULUMI_RUNTIME_")
"""The second is how the engine tells a plugin of the project's Python."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def tidy(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment *base*, changed so that no program of ours trips over it.

    Pulumi's options are left out, no proxy is asked for loopback, and HOME is set if it is known.
    """
    kept = {name: value for name, value in base.items() if not name.startswith(_LEFT_OUT)}
    if not kept.get("HOME"):
        with suppress(KeyError):
            kept["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
    return kept | loopback_exceptions(base)


def tidy_this_process() -> None:
    """Do the same to this process, for libraries that read its environment."""
    tidied = tidy(os.environ)
    os.environ.clear()
    os.environ.update(tidied)


def loopback_exceptions(base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep loopback from any proxy in *base*, with the exceptions that are there.

    The engine and its Python programs are connected by gRPC, which takes only lower-case names, prefers
    `no_grpc_proxy`, and doesn't know `*`. Other programs fall back to the other case.
    """
    if not any(name.lower().endswith("_proxy") and value for name, value in base.items()):
        return {}
    lower, upper = base.get("no_proxy", ""), base.get("NO_PROXY", "")
    exceptions = {"no_proxy": lower or upper, "NO_PROXY": upper or lower}
    extended = {
        name: text if text.strip() == "*" else _with_loopback(text) for name, text in exceptions.items()
    }
    return {**extended, "no_grpc_proxy": _with_loopback(base.get("no_grpc_proxy", lower))}


def _with_loopback(exceptions: str) -> str:
    named = [name for each in exceptions.split(",") if (name := each.strip())]
    return ",".join([*named, *(name for name in LOOPBACK if name not in named)])
