"""A real Chromium for tests: the one of this machine, which nothing here downloads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--no-sandbox",  # in a container there is none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP rebound.test 127.0.0.1",
)
"""How it is started; `rebound.test` is another's name that points to this machine."""


class NoBrowserError(Exception):
    """There is no Chromium; the text says how to get one."""


def chromium(which: Callable[[str], str | None] = shutil.which) -> str:
    """Return the path of Chromium: `$CHROMIUM`, or the first that is installed."""
    found = os.environ.get("CHROMIUM") or next((path for name in _NAMES if (path := which(name))), None)
    if found is None:
        raise NoBrowserError(
            "the tests of the emulator's pages need Chromium: run `apt-get install chromium`, or name one in"
            " CHROMIUM"
        )
    return found
