"""Surroundings that are hostile: a user without a home, a process that was stopped at a bad moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = """
import contextlib, ctypes, os, pwd, runpy, sys
for name in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
user = os.getuid()
with contextlib.suppress(OSError):
    if ctypes.CDLL(None).unshare(0x10000000) == 0:  # a user namespace, in which we have another number
        with open("/proc/self/uid_map", "w") as mapping:
            mapping.write(f"54321 {user} 1")
        os.execv(sys.executable, [sys.executable, "-m", "codat_iac", *sys.argv[1:]])

def getpwuid(_):
    raise KeyError

# A container may forbid namespaces: then at least this process finds no entry.
pwd.getpwuid = getpwuid
runpy.run_module("codat_iac", run_name="__main__", alter_sys=True)
"""

NOBODYS_CODAT_IAC = (sys.executable, "-c", _NOBODY)
"""`codat-iac` of a user without a home and without a passwd entry, who may read what we may."""

_HOLDER = """
import os, signal, sqlite3, sys
count = sqlite3.connect(sys.argv[1], isolation_level=None)
count.execute("CREATE TABLE IF NOT EXISTS sent (at REAL NOT NULL)")
count.execute("BEGIN IMMEDIATE")
os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextmanager
def stopped_while_counting(folder: Path, per_minute: int) -> Iterator[None]:
    """Let a process be stopped, as by Ctrl-Z, while it counts a request in a cache folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _HOLDER, str(folder / f"requests-{per_minute}.sqlite")]
    with subprocess.Popen(command) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        try:
            yield
        finally:
            process.kill()
