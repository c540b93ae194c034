"""Access a project's stack, its state and its config: through `pulumi`, or the state's own file.

Pulumi's state is the only record of ids, so it is read each time and never copied.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from codat_iac.model import record, settings
from codat_iac.model.errors import CodatIacError, ConfigError, EngineError
from codat_iac.model.text import safe_text, without_passwords
from codat_iac.stack import engine
from codat_iac.stack.atomic_write import temporary_file
from codat_iac.stack.engine import locks
from codat_iac.stack.project import NO_DESIRED_STATE, project_file

PLUGIN_DIED = "could not read plugin"
"""Pulumi's words for a program of its own that ended as it began; why, only that one's stderr says."""

RUN_AGAIN = "run again: what was done is found, and not done twice"

_NONE_SELECTED = "no stack selected"
"""Pulumi's words, also if a stack is named by a variable and isn't there."""

PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105  the name of a variable
_INCORRECT = "incorrect passphrase"
_MISSING = "passphrase must be set"
"""Pulumi's words for these, which don't say what to do, or name no stack."""

_TRACEBACK = "Traceback (most recent call last):"
_UNHANDLED = "unhandled exception:"
"""The end of the line above a traceback, if an error of a user's program has more lines than one."""

_EXITED = "an unhandled error occurred: program exited"
"""Pulumi's words for a user's program that ended with an error, which it tells besides."""

_BACKEND = "PULUMI_BACKEND_URL, or `backend:` in Pulumi.yaml"

_REMEDIES = {
    # A file backend leaves the `.attrs` empty if it is killed while writing it, and cuts the state itself
    # short if the disk is full. `pulumi stack import` can't repair either.
    "failed to load checkpoint": (
        "the stack's file is damaged: remove the `.attrs` beside it if that is empty, or else put its `.bak`,"
        " or the newest of .pulumi/backups, in its place"
    ),
    "no stack named": f"`pulumi stack ls` lists those of this project; the backend is named by {_BACKEND}",
    "unable to open state directory": f"make that folder, or correct {_BACKEND}",
    "unable to open bucket": f"correct {_BACKEND}",
    "unable to open state database": f"see to it that the database runs, or correct {_BACKEND}",
    "PULUMI_ACCESS_TOKEN must be set": f"set it, or name another backend by {_BACKEND}",
}
"""What to do about some errors of Pulumi's, by words of which each is known."""


class StackError(CodatIacError):
    """Pulumi failed; the message holds its own words."""


class WrongPassphrase(StackError):
    """The stack's secrets are encrypted with a passphrase, and another one or none is given."""


class StackLocked(StackError):
    """Another run has the stack, or left its lock. *words* is Pulumi's message, *stack* the stack's name.

    `locks` are the locks that Pulumi names. `dead` names their holders if all were processes of this machine
    that no longer run, else it is empty.
    """

    def __init__(self, words: str, stack: str) -> None:
        self.locks = locks.parse(words)
        self.dead = locks.dead_holders(self.locks, socket.gethostname(), _is_running)
        super().__init__(locks.advice(self.dead, stack))


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of one project. *folder* has its Pulumi.yaml, *pulumi_path* is the engine."""

    folder: Path
    name: str
    pulumi_path: Path

    @classmethod
    def open(cls, start: Path, name: str | None = None) -> Stack:
        """Find the project in *start* or a folder above it, and its stack: *name*, or the selected one.

        Raises `ConfigError` if there is no project, `EngineError` if there is no engine yet, and
        `StackError` if no stack is selected.
        """
        folder = project_file(start.resolve()).parent
        pulumi_path = engine.find()
        if pulumi_path is None:
            raise EngineError("there is no usable Pulumi engine yet; run: codat-iac engine install")
        # Now, and not in a thread that exports: threads that import parts of one package at once may fail.
        import_module("codat_iac.stack.project.state_file")
        return cls(folder, name or _selected(pulumi_path, folder), pulumi_path)

    @property
    def short_name(self) -> str:
        """The name without organization and project, as in URNs."""
        return self.name.rpartition("/")[2]

    def pulumi(
        self, *arguments: str, environment: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> str:
        """Run `pulumi` on this stack and return its stdout; *environment* is added to this process's own.

        *stdin* is for a secret, which everybody on this machine could read among the arguments.

        Raises `StackLocked` if another run has the stack, and `StackError` with its error text if it fails
        otherwise.
        """
        return _run(self.pulumi_path, self.folder, arguments, environment, self.name, stdin)

    def export(self) -> dict[str, Any]:
        """Return the stack's state as `pulumi stack export` does, secrets as text if a connection has any."""
        from codat_iac.stack.project import state_file  # noqa: PLC0415  yaml is slow to import

        version = engine.version_of(self.pulumi_path)
        known = version is not None and version <= engine.PINNED  # a newer one may keep more beside the file
        exported = state_file.exported(self.folder, self.name) if known else None
        exported = exported or json.loads(self.pulumi("stack", "export"))
        if record.has_secrets(exported):
            exported = json.loads(self.pulumi("stack", "export", "--show-secrets"))
        return exported

    def refresh(self, urns: Iterable[str]) -> None:
        """Record what is live at *urns* by `pulumi refresh`, under the stack's lock; Codat isn't changed.

        Nothing is dropped, whatever the environment accepts as missing. Raises as `pulumi`.
        """
        self.pulumi(
            "refresh",
            "--yes",
            "--skip-preview",
            *(f"--target={urn}" for urn in urns),
            environment={"CODAT_ACCEPT_MISSING": ""},
        )

    def config(self) -> Mapping[str, str]:
        """Return the stack's config over the project's, secrets in plain text, by full key (`codat:desired`).

        Raises `ConfigError` for an API key that isn't a secret, since the engine would copy it into the
        state, and for a setting that may only be set for one run.
        """
        values: dict[str, dict[str, Any]] = json.loads(self.pulumi("config", "--json", "--show-secrets"))
        key = values.get(f"{settings.NAMESPACE}:apiKey", {})
        if key.get("value") and not key.get("secret"):
            raise ConfigError(settings.PLAINTEXT_KEY_REFUSAL)
        settings.check_config(lambda name: f"{settings.NAMESPACE}:{name}" in values)
        return {key: str(value["value"]) for key, value in values.items() if "value" in value}

    def check_secrets(self) -> None:
        """Raise `StackError` if a run couldn't encrypt: with a wrong passphrase, for one, or without any."""
        file = self.folder / f"Pulumi.{self.short_name}.yaml"
        with temporary_file(file.read_text("utf-8") if file.exists() else "", "Pulumi.copy.yaml") as copy:
            try:
                self.pulumi("config", "set", "--secret", "codat:doctor", "any text", f"--config-file={copy}")
            except WrongPassphrase:
                raise
            except StackError as error:
                raise StackError(f"a run can't encrypt secrets here: {error}") from error

    def settings(self) -> settings.Settings:
        """Return the settings: from the environment first, then from this stack's config."""
        config = self.config()
        return settings.read(os.environ, lambda key: config.get(f"{settings.NAMESPACE}:{key}"))

    def desired_path(self, config: Mapping[str, str] | None = None) -> Path:
        """Return the path of the desired state. Raises `ConfigError` if the (given) config has none."""
        configured = (self.config() if config is None else config).get(f"{settings.NAMESPACE}:desired")
        if not configured:
            raise ConfigError(NO_DESIRED_STATE)
        return Path(os.path.relpath(self.folder / configured))


def _selected(pulumi_path: Path, folder: Path) -> str:
    """Return the name of the stack that PULUMI_STACK names, or else of the one that is selected."""
    try:
        return _run(pulumi_path, folder, ["stack", "--show-name"]).strip()
    except StackError as error:
        named = os.environ.get("PULUMI_STACK")
        if named and _NONE_SELECTED in str(error):
            raise StackError(
                f"there is no stack {named!r}, which PULUMI_STACK names; set it to one that `pulumi stack ls`"
                " lists, or unset it"
            ) from error
        raise


def _run(
    pulumi_path: Path,
    folder: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    stack: str = "",
    stdin: str | None = None,
) -> str:
    chosen = ["--stack", stack] if stack else []
    with subprocess.Popen(  # noqa: S603  the user's own engine
        [pulumi_path, *arguments, *chosen, "--non-interactive", "--color", "never"],
        cwd=folder,
        env=engine.environment(os.environ, pulumi_path) | dict(environment or {}),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(stdin)
        except BaseException:
            _end(process)  # Ctrl-C doesn't reach its session
            raise
    if process.returncode:
        output, errors = without_passwords(output), without_passwords(errors)
        if locks.LOCKED in errors + output:
            raise StackLocked(errors + output, stack)
        words = _error_text(errors, output) or f"exit status {process.returncode}"
        if about := _about_passphrase(words, stack):
            raise WrongPassphrase(about)
        words += "".join(f"; {remedy}" for known, remedy in _REMEDIES.items() if known in words)
        raise StackError(f"`pulumi {' '.join(arguments[:2])}` failed: {words}")
    return output


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt Pulumi, and wait until it has unlocked the stack: what comes next may undo what it wrote.

    Only the third Ctrl-C of a user ends it in the middle.
    """
    interrupts = 1
    process.send_signal(signal.SIGINT)
    while process.returncode is None:
        try:
            process.communicate()
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 2:
                process.send_signal(signal.SIGINT)


def _about_passphrase(words: str, stack: str) -> str | None:
    """Return what to do if Pulumi's *words* are about the passphrase of *stack*, in one line, or None."""
    named = f"stack {stack.rpartition('/')[2]}"
    if _INCORRECT in words:
        variable = PASSPHRASE if PASSPHRASE in os.environ else f"{PASSPHRASE}_FILE"
        return (
            f"{variable} has another passphrase than {named}; set it to the one that its secrets were"
            " encrypted with"
        )
    if _MISSING in words:
        return (
            f"{named} has a passphrase, which may be empty, and none is given; set {PASSPHRASE}, or"
            f" {PASSPHRASE}_FILE"
        )
    return None


def _is_running(pid: int) -> bool:
    """Return whether there is such a process on this machine, of any user."""
    try:
        os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:
        return False
    return True


def _error_text(errors: str, output: str) -> str:
    """Return the errors that `pulumi` printed to either stream, or else all of stderr.

    The cause of some isn't in them, but is the last of the other lines, before the summary.
    """
    lines = [line.strip() for line in (*errors.splitlines(), *output.splitlines()) if line.strip()]
    wrong = [line.partition(": ")[2].strip() for line in lines if line.startswith(("error: ", "Panic: "))]
    others = [*output.partition("\nResources:")[0].splitlines(), *errors.splitlines()]
    causes = [line for line in map(str.strip, others) if line and not line.startswith("error: ")]
    if causes:
        cause = safe_text(causes[-1])
        wrong = [f"{told} {cause}" if told.endswith(_UNHANDLED) else told for told in wrong]
        wrong = [told.replace(_TRACEBACK, cause) for told in wrong]
    if causes and any(PLUGIN_DIED in told for told in wrong):
        wrong.append(f"({safe_text(causes[-1])})")
    wrong = [told for told in wrong if not told.startswith(_EXITED)] or wrong
    whole = [told for told in wrong if not any(told in other and told != other for other in wrong)]
    return " ".join(dict.fromkeys(whole)) or " ".join(errors.split())
