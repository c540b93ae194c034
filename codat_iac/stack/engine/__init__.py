"""Obtain a Pulumi engine: the one on PATH if it is new enough, else one built from source, once.

    engine = install(progress)                      # or find(), which builds nothing
    subprocess.run([engine, "preview"], env=environment(os.environ, engine))

`locate` finds, `builder` builds (with `golang`, `command`, `progress`), `checkup` tells what is wrong,
and `language_host` runs Python programs for an engine that we built. Nothing prints but TerminalProgress.
"""

from codat_iac.stack.engine.builder import install
from codat_iac.stack.engine.checkup import Finding, Severity, doctor
from codat_iac.stack.engine.locate import OLDEST, PINNED, environment, find
from codat_iac.stack.engine.progress import Progress, Silent, TerminalProgress

__all__ = [
    "OLDEST",
    "PINNED",
    "Finding",
    "Progress",
    "Severity",
    "Silent",
    "TerminalProgress",
    "doctor",
    "environment",
    "find",
    "install",
]
