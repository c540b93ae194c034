"""What a command works on: a stack, a desired state, a client; and how it puts its result out."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from codat_iac import render, settings
from codat_iac.client import Reader
from codat_iac.errors import CodatIacError, ConfigError
from codat_iac.model import DesiredConnection, PriorConnection
from codat_iac.pace import shared_pace
from codat_iac.plan import Plan
from codat_iac.planning import Planner
from codat_iac.record import dependents, options, recorded
from codat_iac.rules import Action
from codat_iac.stack import Stack

F = TypeVar("F", bound=Callable[..., Any])


def located(function: F) -> F:
    """Add the options that say which stack: as Pulumi's own."""
    function = click.option(
        "-s", "--stack", metavar="NAME", help="The stack; by default the one that is selected."
    )(function)
    return click.option(
        "-C",
        "--cwd",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        default=Path(),
        metavar="FOLDER",
        help="Run as if started in this folder.",
    )(function)


def shown_as(*formats: str) -> Callable[[F], F]:
    """Add the options that say how the result is put out."""
    choices = [str(each) for each in formats]

    def decorate(function: F) -> F:
        function = click.option(
            "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the result to this file."
        )(function)
        return click.option(
            "-o",
            "--output",
            type=click.Choice(choices),
            default=choices[0],
            metavar="FORMAT",
            help=f"How to show it: {', '.join(choices[:-1])} or {choices[-1]}.",
        )(function)

    return decorate


@dataclass
class Session:
    """One command's world; everything is read when it is needed, and once."""

    cwd: Path
    stack_name: str | None = None
    stateless: bool = False
    max_losses: int | None = None

    @cached_property
    def stack(self) -> Stack:
        """The stack. Raises where there is no project, no engine or no selected stack."""
        return Stack.open(self.cwd, self.stack_name)

    @cached_property
    def config(self) -> Mapping[str, str]:
        """The stack's config; none where no state is to be read."""
        return {} if self.stateless else self.stack.config()

    @cached_property
    def settings(self) -> settings.Settings:
        """The settings: the environment first, then the stack's config."""
        read = settings.read(os.environ, lambda key: self.config.get(f"{settings.NAMESPACE}:{key}"))
        return read if self.max_losses is None else replace(read, max_losses=self.max_losses)

    @cached_property
    def reader(self) -> Reader:
        """What reads the tenant, at the pace that Codat allows; no command writes but through Pulumi."""
        from platformdirs import user_cache_path  # noqa: PLC0415  only who calls Codat needs it

        throttle = shared_pace(user_cache_path("codat-iac"), self.settings.requests_per_minute)
        return Reader(self.settings.api_key, self.settings.base_url, throttle=throttle)

    @cached_property
    def state(self) -> Mapping[str, Any]:
        """What the stack holds; nothing where no state is to be read."""
        return {} if self.stateless else self.stack.export()

    @cached_property
    def recorded(self) -> list[PriorConnection]:
        """The connections that the state holds, old halves of replacements included."""
        return recorded(self.state)

    def check_company(self, desired: Sequence[DesiredConnection], company: str | None) -> None:
        """Raise `ConfigError` where nobody knows *company*."""
        addresses = [prior.address for prior in self.recorded] + [each.address for each in desired]
        known = {address.partition("/")[0] for address in addresses}
        if company is not None and company not in known:
            near = difflib.get_close_matches(company, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"--company {company!r} is neither declared nor recorded{hint}")

    def planner(self, company: str | None, desired: Sequence[DesiredConnection] = ()) -> Planner:
        """Make a planner for *company*, or for all."""
        self.check_company(desired, company)
        return Planner(self.reader, self.settings, self.recorded, company)

    def plan(self, desired: Sequence[DesiredConnection], company: str | None) -> Plan:
        """Plan for *company*, or for all."""
        planner = self.planner(company, desired)
        return planner.plan_stateless(desired) if self.stateless else self.planned(planner, desired)

    def planned(self, planner: Planner, desired: Sequence[DesiredConnection]) -> Plan:
        """Plan with *planner*, and say for which stack."""
        return replace(planner.plan(desired), stack=self.stack.short_name)

    def check_options(self, plan: Plan) -> None:
        """Refuse a stack with options that an apply would lose: it declares what the file can say.

        Raises `ConfigError`.
        """
        replaced = {change.connection_id for change in plan.changes if change.action is Action.REPLACE}
        for prior in self.recorded:
            if prior.protected and prior.id in replaced and not prior.pending_removal:
                raise ConfigError(
                    f"{prior.address}: it is protected in the stack's state, so an apply doesn't replace it;"
                    f" pulumi state unprotect '{prior.urn}' --yes, if you mean it"
                )
        ending = {change.connection_id for change in plan.changes if change.removal is not None}
        urns = {prior.urn for prior in self.recorded if prior.id in ending}
        for urn, needed in dependents(self.state, urns):
            raise ConfigError(
                f"{self.stack.name}: {urn} was declared to depend on {needed}, which an apply would take away"
                " alone; use `pulumi up`"
            )
        for urn, option in options(self.state):
            raise ConfigError(
                f"{self.stack.name}: {urn} was declared with `{option}`, which only a program of your own can"
                " declare, and an apply would take away; use `pulumi up`"
            )

    def path(self, given: str | None) -> str:
        """Give the path of the desired state: *given*, or what the stack's config names."""
        if given is not None:
            return str(self.cwd / given) if given else given
        if self.stateless:
            raise ConfigError("--stateless reads no config; give the PATH of the desired state")
        return str(self.stack.desired_path(self.config))

    def desired(self, given: str | None) -> tuple[DesiredConnection, ...]:
        """Load the desired state. Raises `ConfigError` with every problem."""
        from codat_iac.desired import load  # noqa: PLC0415  yaml and jsonschema

        return load(self.path(given))


def terminal(output: str, out: Path | None, stream: TextIO | None = None) -> dict[str, Any]:
    """Say how wide and how colourful a text may be: neither where no person reads it."""
    stream = stream or sys.stdout
    if output != "text" or out is not None or not stream.isatty():
        return {}
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size().columns, "color": not plain}


def put(text: str, out: Path | None, *, private: bool = False) -> None:
    """Put a result out: to a file, *private* for its owner alone, or to stdout.

    Raises `ConfigError` where the file can't be written.
    """
    ended = text if text.endswith("\n") else f"{text}\n"
    if out is None:
        click.echo(ended, nl=False)
        return

    try:
        out.touch(0o600 if private else 0o666)
        out.write_text(ended, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}; choose another --out") from error
    click.echo(f"written to {out}", err=True)


@contextmanager
def told_as(output: str, out: Path | None) -> Iterator[None]:
    """Put an error out as a document too, where the caller reads documents."""
    try:
        yield
    except CodatIacError as error:
        if output != render.Output.TEXT and output in render.FORMATS["problems"]:
            put(render.problems(render.problems_of(error), output, datetime.now(UTC)), out)
        raise


def ask(question: str) -> None:
    """Ask a person, who has to be there. Raises `CodatIacError` where the answer is no."""
    if not sys.stdin.isatty():
        raise ConfigError("nobody can be asked here; pass --yes if you mean it")
    try:
        confirmed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)  # the answer is still in the line of the question
        raise
    if not confirmed:
        raise CodatIacError("nothing is changed, as you answered no")
