"""`codat-iac doctor`: what surrounds a run, and what of it breaks one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from codat_iac.cli.options import stack_options
from codat_iac.cli.output import write_output
from codat_iac.cli.session import Session
from codat_iac.codat.responses import duration
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.stack import engine
from codat_iac.stack.engine import Finding, Severity
from codat_iac.stack.project import project_file

CLOCK_SECONDS = 60.0
"""How far this machine's clock may be from Codat's."""


@click.command("doctor")
@stack_options
def doctor_command(cwd: Path, stack: str | None) -> int:
    """Find what breaks a run here, and say what to do about it.

    It looks at the engine and, in a project, at its Python, its stack and its desired state, and asks Codat
    once with your API key. It changes nothing. Exits with 1 if something is wrong.
    """
    wrong = False
    for finding in _findings(Session(cwd, stack)):
        wrong |= finding.severity is Severity.PROBLEM
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        write_output(f"{finding.severity:8} {finding.what}{remedy}")
    return int(wrong)


def _findings(session: Session) -> Iterator[Finding]:
    yield from engine.doctor()
    try:
        file = project_file(session.cwd.resolve())
    except ConfigError as error:
        yield Finding(Severity.NOTE, f"there is no project to look at: {error}")
        session.stateless = True
    else:
        yield from engine.project_doctor(file)
        session.stateless = engine.find() is None  # which is a finding already
        if not session.stateless:
            yield from _stack(session)
    yield from _codat(session)


def _stack(session: Session) -> Iterator[Finding]:
    """Look at the stack until something is wrong: what comes after it would fail for the same reason."""

    def encrypt() -> str:
        session.stack.check_secrets()
        return "a run can encrypt secrets, and the passphrase is right if one is needed"

    for step in (
        lambda: f"{session.stack.folder} is a project, and {session.stack.name} its stack",
        encrypt,
        lambda: f"the stack's config can be read; settings: {len(session.config)}",
        lambda: f"the stack's state can be read; connections: {len(session.recorded)}",
        lambda: f"{session.path(None)} is in order; connections: {len(session.declaration(None).everything)}",
    ):
        findings = _tried(step)
        yield from findings
        if findings[0].severity is Severity.PROBLEM:
            session.stateless = True
            return


def _codat(session: Session) -> Iterator[Finding]:
    """Ask Codat once, with the API key that a run would use."""

    def ask() -> str:
        session.reader.list_companies(page_size=1, retries=0)
        left = session.reader.quota.remaining
        if left == 0:
            raise CodatIacError("no request is left of today's quota; wait until it is reset")
        quota = "" if left is None else f"; {left:,} requests are left of today's quota"
        return f"{session.settings.base_url} takes the API key{quota}"

    findings = _tried(ask)
    yield from findings
    clock = None if findings[0].severity is Severity.PROBLEM else session.reader.clock
    ahead = (datetime.now(UTC) - clock).total_seconds() if clock else 0.0
    if abs(ahead) > CLOCK_SECONDS:
        what = f"the clock here is {duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} Codat's"
        yield Finding(Severity.PROBLEM, what, "set it: waits, and the dates of certificates, go by it")


def _tried(step: Callable[[], str]) -> list[Finding]:
    """Return what *step* says, or each line of its error as a problem."""
    try:
        return [Finding(Severity.OK, step())]
    except CodatIacError as error:
        return [Finding(Severity.PROBLEM, line) for line in str(error).splitlines()]
