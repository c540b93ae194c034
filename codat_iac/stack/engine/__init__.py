"""Get a Pulumi engine: the one on PATH if it is new enough, else one that is built from source once.

    engine = install(progress)                      # or find(), which builds nothing
    subprocess.run([engine, "preview"], env=environment(os.environ, engine))

`locate` finds an engine, `builder` builds one (with `golang`, `command`, `progress`), `checkup` reports
problems, and `language_host` runs Python programs for an engine that we built. Only TerminalProgress prints.
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
