"""Ask a person for what neither a flag nor the environment says; without one, say all that is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from codat_iac.cli.streams import is_heard
from codat_iac.model.errors import ConfigError

T = TypeVar("T")


@dataclass
class Questions:
    """The questions of one run. If *assume* nobody is asked, and what has a default has that."""

    assume: bool = False
    lacking: list[str] = field(default_factory=list)
    """What is needed and nobody can be asked for: how to give each without a question."""

    @property
    def asks(self) -> bool:
        """Whether there is somebody to ask."""
        return not self.assume and sys.stdin.isatty() and is_heard()

    def text(self, question: str, default: str, choices: Sequence[str] = ()) -> str:
        """Return the answer to *question*, one of *choices* if there are any, by default *default*."""
        if not self.asks:
            return default
        kind = click.Choice(list(choices)) if choices else None
        answer: str = _ask(lambda: click.prompt(question, default=default, type=kind, err=True))
        return answer.strip()

    def secret(self, question: str, otherwise: str, *, confirm: bool = False) -> str:
        """Return the answer to *question*, which isn't shown. If *confirm* asks twice it may be empty."""
        default: dict[str, Any] = {"default": "", "show_default": False} if confirm else {}
        return self._or_lacking(
            otherwise,
            lambda: click.prompt(question, hide_input=True, confirmation_prompt=confirm, err=True, **default),
        )

    def yes(self, question: str, *, default: bool) -> bool:
        """Return whether the answer to *question* is yes."""
        return _ask(lambda: click.confirm(question, default=default, err=True)) if self.asks else default

    def require(self) -> None:
        """Raise `ConfigError` with all that is lacking."""
        if not self.assume and not self.asks:
            self.lacking.append("--yes, which takes the default of each question")
        if self.lacking:
            raise ConfigError(f"nobody can be asked here; give {'; '.join(self.lacking)}")

    def _or_lacking(self, otherwise: str, prompt: Callable[[], str]) -> str:
        if self.asks:
            return _ask(prompt)
        self.lacking.append(otherwise)
        return ""


def _ask(prompt: Callable[[], T]) -> T:
    try:
        return prompt()
    except click.Abort:
        click.echo(err=True)  # the cursor is still on the line of the question
        raise
