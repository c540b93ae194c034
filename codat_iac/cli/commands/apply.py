"""`codat-iac apply`: make the plan, show it, ask, carry it out, and report the outcome of each change."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from codat_iac.cli import render
from codat_iac.cli.options import COMPANY, DETAILED, PATH, output_options, stack_options
from codat_iac.cli.output import (
    ask,
    errors_as_document,
    exit_code,
    terminal_options,
    write_or_tell,
    write_output,
)
from codat_iac.cli.render import words
from codat_iac.cli.session import Session
from codat_iac.cli.streams import tell
from codat_iac.model.connection import DesiredConnection
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.model.text import count
from codat_iac.planning.plan import Plan, restricted
from codat_iac.planning.plan.approved_losses import parse_approved_losses
from codat_iac.planning.safety_limits import Limit
from codat_iac.reconcile.planner import Planner
from codat_iac.stack.stack import StackError

if TYPE_CHECKING:
    from codat_iac.stack.apply.outcomes import Applied, Outcome


@click.command("apply")
@PATH
@COMPANY
@click.option(
    "--plan",
    "saved",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Apply this plan, - is stdin; refuse where its changes no longer hold.",
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option(
    "--allow-losing",
    type=click.IntRange(0),
    metavar="N",
    help="Let N customers lose their authorisation. The limit is 10 by default, and 30 % of a stack of 10 or"
    " more.",
)
@click.option(
    "--max-creates",
    type=click.IntRange(0),
    metavar="N",
    help="Let rules make N connections in this run; 10 by default. What is written out isn't limited.",
)
@click.option(
    "--accept-leavers", is_flag=True, help="Let go of what rules made for companies that left their tags."
)
@click.option(
    "--approve-losses",
    "approvals",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Let only the connections that FILE names lose their authorisation: ids, one on each line, or a"
    " saved plan. `codat-iac plan --losses-out FILE` writes it.",
)
@output_options("text", "json")
@DETAILED
@stack_options
def apply_command(  # noqa: PLR0913  each is an option
    *,
    path: str | None,
    cwd: Path,
    stack: str | None,
    output: str,
    out: Path | None,
    company: str | None,
    saved: TextIO | None,
    yes: bool,
    allow_losing: int | None,
    max_creates: int | None,
    accept_leavers: bool,
    approvals: TextIO | None,
    detailed_exitcode: bool,
) -> int:
    """Show the plan, ask, and carry it out through Pulumi, at exactly the planned resources.

    PATH is a YAML or Python file, or a folder of them; by default what the stack's `codat:desired` names. If
    that is not set, the stack has a program of your own, and `pulumi up` applies that.

    What isn't done at the end is what the next run does. A saved plan is computed again first, and refused
    where its changes moved; other connections may move, since customers authorise all day.
    """
    with errors_as_document(output, out):
        session = Session(
            cwd,
            stack,
            max_losses=allow_losing,
            max_creates=max_creates,
            accept_leavers=accept_leavers,
            approved_losses=_approved(approvals) if approvals else None,
        )
        session.read_ahead(live=company is None, to_write=True)
        kept = render.parse_plan(_read(saved, _PLAN), saved.name) if saved else None
        session.check_declared_by_file(path)
        desired = session.declared(path)
        planner = session.planner(company, desired)
        plan = session.plan_with(planner, desired)
        if kept is not None:
            whole, plan = plan, restricted(plan, kept)
            _tell_rest(len(whole.changes) - len(plan.changes))
        if plan.changes and not plan.problems and not plan.refusal:
            session.check_secrets()  # before the plan is shown, which nothing would follow
        shown = render.plan(plan, "text", datetime.now(UTC), **terminal_options("text", None, sys.stderr))
        click.echo(shown, err=True)
        for reason in _options_for(plan):
            tell(reason)
        if plan.problems or plan.refusal or not plan.changes:
            return _without_applying(plan, output, out, detailed=detailed_exitcode)
        session.check_options(plan)
        if not yes:
            ask(f"Apply {count(len(plan.changes), 'change')}?")
        applied = _carry_out(session, planner, plan, desired, yes=yes, allow_losing=allow_losing)
        outcomes = list(applied.outcomes)
        waiting = words.made_to_wait(plan, _done(applied.outcomes))
        from codat_iac.stack.apply.outcomes import Applied, exit_code_of, not_tried  # noqa: PLC0415  pulumi is slow
        from codat_iac.stack.apply.second_run import needs_second_run, second_run  # noqa: PLC0415

        failed: CodatIacError | KeyboardInterrupt | None = None
        while not failed and needs_second_run(applied, plan):
            waited = [change for change in plan.changes if change.later]
            try:
                session = replace(session)  # reads the stack anew
                session.check_shard()
                planner = session.planner(company, desired)
                plan = second_run(session.plan_with(planner, desired), plan)
                applied = _carry_out(session, planner, plan, desired, yes=yes, allow_losing=allow_losing)
            except (CodatIacError, KeyboardInterrupt) as error:
                failed = error
                applied = Applied(tuple(map(not_tried, waited)))
            outcomes += applied.outcomes
            waiting += words.made_to_wait(plan, _done(applied.outcomes))
    write_or_tell(_outcomes(outcomes, output, waiting, stack), out)
    _raise_unless_done(applied, failed)
    return exit_code_of(outcomes)


def _raise_unless_done(applied: Applied, failed: BaseException | None) -> None:
    """Raise why an apply ended before its end, now that what is done is told."""
    if failed:
        raise failed
    if applied.interrupted:
        raise click.Abort
    if applied.error:
        raise StackError(applied.error)


def _options_for(plan: Plan) -> Iterator[str]:
    """Yield which option of this command lifts each limit that refuses the plan."""
    if Limit.LOSSES in plan.exceeded:
        yield f"refused by the limit on losses; pass --allow-losing {plan.losses} if you mean it"
    if most := plan.exceeded.get(Limit.CREATES):
        yield f"refused by the limit on what rules make; pass --max-creates {most} if you mean it"
    if Limit.LEAVERS in plan.exceeded:
        yield "refused, since companies haven't their rule's tag; pass --accept-leavers if they are to go"


def _carry_out(
    session: Session,
    planner: Planner,
    plan: Plan,
    desired: Sequence[DesiredConnection],
    *,
    yes: bool,
    allow_losing: int | None,
) -> Applied:
    from codat_iac.stack.apply import apply  # noqa: PLC0415  pulumi is slow to import
    from codat_iac.stack.apply.unlocking import unlocking  # noqa: PLC0415

    def attempt() -> Applied:
        with _progress(sum(not change.later for change in plan.changes)) as report:
            return apply(
                session.stack, session.state, planner, plan, desired, report, tell, max_losses=allow_losing
            )

    return attempt() if yes else unlocking(attempt, session.stack, session.state, ask, tell)


def _done(outcomes: Iterable[Outcome]) -> set[str]:
    return {outcome.address for outcome in outcomes if outcome.result == "done"}


def _tell_rest(number: int) -> None:
    if number:
        rest = count(number, "change")
        click.echo(f"Not in the saved plan, and left to the next one: {rest}.", err=True)


def _without_applying(plan: Plan, output: str, out: Path | None, *, detailed: bool) -> int:
    if output == render.Output.JSON:
        write_output(_outcomes((), output), out)
    return exit_code(plan.exit_code, detailed=detailed)


_PLAN = "as a plan; make it with `codat-iac plan --output json --out FILE`"
_LOSSES = "as a list of losses; make it with `codat-iac plan --losses-out FILE`"


def _approved(file: TextIO) -> frozenset[str]:
    return parse_approved_losses(_read(file, _LOSSES), file.name, render.parse_plan)


def _read(file: TextIO, what: str) -> str:
    from codat_iac.desired.files import LARGEST  # noqa: PLC0415  yaml and jsonschema

    try:
        return file.read(LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name}: can't be read {what}") from error


def _outcomes(outcomes: Sequence[Outcome], output: str, waiting: int = 0, stack: str | None = None) -> str:
    rows = [(o.address, str(o.step), str(o.result), o.text) for o in outcomes]
    if output == render.Output.JSON:
        names = ("address", "step", "result", "error")
        return json.dumps(
            {
                "formatVersion": 1,
                "outcomes": [dict(zip(names, row, strict=True)) for row in rows],
                "linksToSend": waiting,
            },
            indent=2,
        )
    done = sum(result == "done" for _, _, result, _ in rows)
    lines = [
        f"{result:9} {step:7} {text if text.startswith(address) else address}"
        + (f": {text}" if text and not text.startswith(address) else "")
        for address, step, result, text in rows
    ]
    rest = "" if done == len(rows) else " What is left is what the next run does."
    links = [words.links_to_send(waiting, stack)] if waiting else []
    return "\n".join([*lines, f"Applied: {done} of {count(len(rows), 'change')}.{rest}", *links])


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Outcome], None]]:
    """Yield a function that reports an outcome: on a progress bar for a person, as a line in a log."""
    if not sys.stderr.isatty():

        def say(outcome: Outcome) -> None:
            click.echo(f"{outcome.result}: {outcome.step} {outcome.address}", err=True)

        yield say
        return
    from rich.console import Console  # noqa: PLC0415  only a terminal needs it
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Applying", total=total)

        def advance(outcome: Outcome) -> None:
            bar.update(task, advance=1, description=f"{outcome.step} {outcome.address}")

        yield advance
