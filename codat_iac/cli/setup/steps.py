"""What `codat-iac init` does. Each step is only taken where its result isn't there yet."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli import render, tenant_coverage
from codat_iac.cli.connection_filters import find_connections, tell_skipped
from codat_iac.cli.output import terminal_options, write_or_tell
from codat_iac.cli.session import Session
from codat_iac.cli.setup.answers import BASE_URL, KEY, Answers
from codat_iac.model import settings
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import count, join_names
from codat_iac.planning.plan import Plan
from codat_iac.planning.rule_table import Action
from codat_iac.stack import engine
from codat_iac.stack.engine import Severity
from codat_iac.stack.importing.broken_off import tidy_up
from codat_iac.stack.new_project.existing import Existing
from codat_iac.stack.new_project.files import (
    DESIRED_TEXT,
    LOCAL_BACKEND,
    LOCAL_STATE,
    PROJECT,
    Choices,
    files,
    make_local_state,
    remove_unfinished,
    write_missing,
)
from codat_iac.stack.new_project.virtualenv import make_virtualenv
from codat_iac.stack.project import BACKEND
from codat_iac.stack.stack import PASSPHRASE, Stack


def lay_out(existing: Existing, answers: Answers) -> None:
    """Write the files that aren't there, and make the virtualenv. Raises `ConfigError`.

    Nothing is written if one that is there contradicts what is needed.
    """
    choices = Choices(answers.name, answers.stack, answers.backend, answers.base_url, answers.recipes)
    existing.check(choices)
    if is_local(existing, answers):
        make_local_state(existing.folder)
    wanted = files(choices, existing.desired(answers.stack))
    remove_unfinished(existing.folder, wanted)
    written = write_missing(existing.folder, wanted)
    if written:
        _say(f"written: {', '.join(written)}")
    if kept := [name for name in wanted if name not in written]:
        _say(f"there already, and left as it is: {', '.join(kept)}")
    if existing.wants_virtualenv and (made := make_virtualenv(existing.folder)):
        _say(made)
    for note in existing.notes():
        _say(f"note: {note}")
    for finding in engine.project_doctor(existing.folder / PROJECT):
        if finding.severity is Severity.PROBLEM:
            raise ConfigError(f"{finding.what}; {finding.remedy}, and run this again")


def make_stack(folder: Path, pulumi_path: Path, answers: Answers) -> None:
    """Make the stack, select it, try its passphrase, and keep the key in its config if that is wanted.

    Raises `StackError` if Pulumi can't, and `ConfigError` for a config that can't be used.
    """
    provider = [f"--secrets-provider={answers.secrets_provider}"] if answers.secrets_provider else []
    Stack(folder, "", pulumi_path).pulumi("stack", "select", answers.stack, "--create", *provider)
    stack = Stack(folder, answers.stack, pulumi_path)
    stack.check_secrets()
    _say(f"stack: {answers.stack}")
    key = f"{settings.NAMESPACE}:apiKey"
    if answers.key_in_config and key not in stack.config():
        stack.pulumi("config", "set", "--secret", key, stdin=os.environ[KEY].strip())
        _say(f"the API key is in the config of stack {answers.stack}, encrypted")


def bring_in(folder: Path, answers: Answers) -> None:
    """Import what is wanted. What an import that was broken off left in the file is put right first."""
    from codat_iac.stack.importing.importer import import_into  # noqa: PLC0415  pulumi is slow to import

    session = Session(folder, answers.stack)
    path = Path(session.path(None))
    if tidy_up(path, DESIRED_TEXT.encode(), answers.tenant, {prior.id for prior in session.recorded}):
        _say(f"{path}: what an import that was broken off left there is put right")
    _check_file(session, path)
    if answers.imported is None:
        return
    draft = import_into(
        session.stack,
        session.reader,
        session.settings,
        find_connections(session, answers.imported),
        path,
        overwrite=True,
        confirm=lambda drafted: tell_skipped(drafted.skipped),
        tell=_say,
    )
    _say(f"imported: {len(draft.arrivals)}")


def _check_file(session: Session, path: Path) -> None:
    """Raise `ConfigError` if the file lacks what the stack has, such as one that outlived another folder.

    Whoever applied such a file would unlink that.
    """
    if not session.recorded:
        return
    declared = session.declared(None)
    plan = session.planner(None, declared).plan(declared)
    lacking = [change.address for change in plan.changes if change.action is Action.REMOVE]
    if not lacking:
        return
    export = ["codat-iac", "export", "--all", "--cwd", str(session.cwd)]
    if path.is_file() and path.read_bytes() == DESIRED_TEXT.encode():
        export += ["--overwrite", "--out", str(path)]
    raise ConfigError(
        f"{path} doesn't declare {count(len(lacking), 'connection')} of stack {session.stack.short_name}"
        f" ({join_names(lacking)}), so that an apply would remove what it lacks; if that is meant, look at"
        f" `codat-iac plan`; or go on where their files are, or give another --stack, or write them down:"
        f" {shlex.join(export)}"
    )


def show(folder: Path, stack: str) -> Plan:
    """Show the plan."""
    session = Session(folder, stack)
    plan = tenant_coverage.plan(session, session.declared_state(None), None)
    write_or_tell(render.plan(plan, "text", datetime.now(UTC), **terminal_options("text", None)))
    return plan


def next_steps(
    existing: Existing, answers: Answers, environment: Mapping[str, str], *, on_path: bool
) -> Iterator[str]:
    """Yield what the user needs to know for the next run; *on_path*: whether the engine is on PATH."""
    if not on_path:
        yield 'to have `pulumi` on PATH: export PATH="$(dirname "$(codat-iac engine path)"):$PATH"'
    if is_local(existing, answers):
        yield f"Pulumi's state is in {LOCAL_STATE}, on this machine alone: CI and colleagues can't see it"
    kept = {KEY: answers.key_in_config, BASE_URL: answers.base_url or existing.base_url}
    variables = (KEY, BASE_URL, BACKEND, PASSPHRASE)
    if needed := [name for name in variables if name in environment and not kept.get(name)]:
        yield f"set for each run, also in CI: {', '.join(needed)}"
    if answers.manual:
        yield f"what the recipe for CI needs: {answers.manual}"
    yield "next: pulumi preview"


def is_local(existing: Existing, answers: Answers) -> bool:
    """Return whether Pulumi's state is in the project."""
    return LOCAL_BACKEND in {answers.backend, existing.backend}


def _say(text: str) -> None:
    click.echo(text, err=True)
