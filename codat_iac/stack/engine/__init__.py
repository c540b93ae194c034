"""Get a Pulumi engine: the one on PATH if it is new enough, else one that is built from source once.

    engine = install(progress)                      # or find(), which builds nothing
    subprocess.run([engine, "preview"], env=environment(os.environ, engine))

`locate` finds an engine, and `builder` builds one (with `golang`, `command`, `progress`). `surroundings`
tidies the environment of what we start. `checkup` and `project_checkup` report what breaks an engine, or a
project on it. `locks` reads from the engine's words who holds a stack. `language_host` runs Python programs
for an engine that we built. Only TerminalProgress prints.
"""

from codat_iac.stack.engine.builder import install
from codat_iac.stack.engine.checkup import Finding, Severity, doctor
from codat_iac.stack.engine.locate import OLDEST, PINNED, environment, find, version_of
from codat_iac.stack.engine.progress import Progress, Silent, TerminalProgress
from codat_iac.stack.engine.project_checkup import project_doctor
from codat_iac.stack.engine.surroundings import tidy_this_process

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
    "project_doctor",
    "tidy_this_process",
    "version_of",
]
