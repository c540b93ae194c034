"""`codat-iac ci`: what a run in CI does at GitHub or GitLab."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from codat_iac.cli import render
from codat_iac.cli.output import write_or_tell
from codat_iac.model.errors import ConfigError
from codat_iac.stack.atomic_write import write_file

if TYPE_CHECKING:
    from codat_iac.cli.forge.forge import Forge

PLAN = click.argument("plan", type=click.File(encoding="utf-8"))
KEY = click.option("--key", default="", help="What tells several of one repository apart, such as the stack.")


@click.group("ci")
def ci_command() -> None:
    """Do what a run in CI has to do at GitHub or GitLab.

    Which one it is, the environment says: GITHUB_ACTIONS or GITLAB_CI. The token is GITHUB_TOKEN or
    GITLAB_TOKEN. PLAN is what `codat-iac plan -o json --out PLAN` wrote.
    """


@ci_command.command("comment")
@KEY
@PLAN
def comment(plan: TextIO, key: str) -> int:
    """Keep one comment that shows PLAN.

    It is on the pull request, and is brought up to date in place. Where nothing changes, none is begun.
    """
    from codat_iac.cli.forge import forge as made  # noqa: PLC0415  requests is slow to import

    body, quiet = _report(plan)
    write_or_tell(made.comment(_forge(), key, body, quiet=quiet))
    return 0


@ci_command.command("issue")
@KEY
@PLAN
def issue(plan: TextIO, key: str) -> int:
    """Keep one issue while there is drift.

    It is open while PLAN has changes, problems or a refusal, and is closed when it has none.
    """
    from codat_iac.cli.forge import forge as made  # noqa: PLC0415  requests is slow to import

    body, quiet = _report(plan)
    title = f"Codat isn't as declared ({key})" if key else "Codat isn't as declared"
    write_or_tell(made.keep_issue(_forge(), key, title, None if quiet else body))
    return 0


@ci_command.command("reviewed-plan")
@click.option(
    "--name",
    default="plan",
    show_default=True,
    help="The artifact is NAME-SHA at GitHub; at GitLab, the job.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
def reviewed_plan(name: str, out: Path) -> int:
    """Get the plan that was reviewed.

    It is the plan of the last commit of the merged pull request which brought this commit, and no fork's.
    `codat-iac apply --plan` refuses it where its changes no longer hold.
    """
    text = _forge().reviewed_plan(name).decode(errors="replace")
    render.parse_plan(text, "the reviewed plan")
    write_file(out, text)
    click.echo(f"written to {out}", err=True)
    return 0


@ci_command.command("propose")
@click.option("--branch", required=True, help="The branch, which is made anew.")
@click.option("--title", required=True, help="The title of the pull request, and the commit's message.")
@click.option("--body", default="", help="The text of the pull request, in Markdown.")
@click.argument("paths", metavar="PATHS", nargs=-1, required=True, type=click.Path(exists=True))
def propose(branch: str, title: str, body: str, paths: Sequence[str]) -> int:
    """Propose files as a pull request.

    What differs in PATHS from the commit becomes one commit on BRANCH. Where nothing differs, nothing is
    done. There is one pull request, which is brought up to date.
    """
    from codat_iac.cli.forge import forge as made  # noqa: PLC0415  requests is slow to import

    files = _changed(paths)
    if not files:
        click.echo("nothing differs from the commit; nothing to propose", err=True)
        return 0
    write_or_tell(made.propose(_forge(), branch, title, body, files))
    return 0


def _report(plan: TextIO) -> tuple[str, bool]:
    """Return the plan or its problems in Markdown, and whether there is nothing to do about it."""
    text = plan.read()
    now = datetime.now(UTC)
    problems = render.parse_problems(text)
    if problems:
        return render.problems(problems, "markdown", now), False
    read = render.parse_plan(text, plan.name)
    return render.plan(read, "markdown", now), not (read.changes or read.problems or read.refusal)


def _forge() -> Forge:
    """Return the forge that this runs at. Raises `ConfigError` if it is none of them."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from codat_iac.cli.forge.github import GitHub  # noqa: PLC0415  requests is slow to import

        return GitHub(os.environ)
    if os.environ.get("GITLAB_CI") == "true":
        from codat_iac.cli.forge.gitlab import GitLab  # noqa: PLC0415  requests is slow to import

        return GitLab(os.environ)
    raise ConfigError("neither GITHUB_ACTIONS nor GITLAB_CI is true; this command is for a run in CI")


def _changed(paths: Sequence[str]) -> Mapping[str, bytes]:
    """Return the contents of what differs from the commit, by its path in the repository."""
    top = Path(_git("rev-parse", "--show-toplevel").strip())
    status = _git("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", *paths)
    named = [entry[3:] for entry in status.split("\0") if entry and "D" not in entry[:2]]
    return {name: (top / name).read_bytes() for name in named}


def _git(*arguments: str) -> str:
    try:
        command = ["git", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  no shell
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[0]
        raise ConfigError(f"git {arguments[0]}: {said}; run this in a clone") from None
    return done.stdout
