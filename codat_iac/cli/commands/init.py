"""`codat-iac init`: from an API key to a project whose plan is empty."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import click

from codat_iac.cli.options import CWD
from codat_iac.cli.output import exit_code
from codat_iac.model.errors import EngineError


@click.command("init")
@click.option("--name", metavar="NAME", help="The project's name; by default that of the folder.")
@click.option(
    "-s", "--stack", metavar="NAME", help="The stack to make, or to use; by default the selected one, or dev."
)
@click.option(
    "--base-url", metavar="URL", help="Another Codat, such as the emulator; by default CODAT_BASE_URL."
)
@click.option(
    "--backend",
    metavar="URL",
    help="Where Pulumi keeps its state; by default PULUMI_BACKEND_URL, or where it is logged in.",
)
@click.option("--local", is_flag=True, help="Keep Pulumi's state in a folder here, to try it out.")
@click.option(
    "--secrets-provider", metavar="URL", help="What encrypts a new stack's secrets, if not a passphrase."
)
@click.option("--key-in-config", is_flag=True, help="Keep the API key in the stack's config, encrypted.")
@click.option("--ci", "forge", type=click.Choice(["github", "gitlab"]), help="Write a recipe for CI, too.")
@click.option("--all", "everything", is_flag=True, help="Import all connections: the default.")
@click.option(
    "--company",
    "companies",
    multiple=True,
    metavar="COMPANY",
    help="Import only this company: its id, or its name in Codat.",
)
@click.option("--no-import", "nothing", is_flag=True, help="Import nothing.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask: take the default of each question.")
@CWD
def init_command(*, cwd: Path, yes: bool, **flags: Any) -> int:
    """Start a project in this folder, and import what exists.

    Tries the API key, and shows what the tenant has. Writes Pulumi.yaml, the program, the desired state with
    its schema for editors, requirements.txt, .gitignore and, if you like, a recipe for CI. Makes the stack,
    imports, and shows the plan, in which nothing is left to do. Nothing is changed in Codat.

    A file that exists stays as it is. If it was broken off, run it again. The API key comes from
    CODAT_API_KEY, or is asked for, and is written only into the stack's config, if you want that.
    """
    from codat_iac.cli.setup.answers import Flags, Interview  # noqa: PLC0415  yaml and jsonschema
    from codat_iac.cli.setup.questions import Questions  # noqa: PLC0415
    from codat_iac.cli.setup.steps import bring_in, lay_out, make_stack, next_steps, show  # noqa: PLC0415
    from codat_iac.stack import engine  # noqa: PLC0415
    from codat_iac.stack.new_project.existing import Existing  # noqa: PLC0415

    pulumi_path = engine.find()
    if pulumi_path is None:
        raise EngineError("there is no usable Pulumi engine yet; run: codat-iac engine install")
    existing = Existing.read(cwd.resolve())
    answers = Interview(Flags(**flags), existing, pulumi_path, Questions(yes)).answers()
    lay_out(existing, answers)
    make_stack(existing.folder, pulumi_path, answers)
    bring_in(existing.folder, answers)
    plan = show(existing.folder, answers.stack)
    on_path = shutil.which("pulumi") == str(pulumi_path)
    for line in next_steps(existing, answers, os.environ, on_path=on_path):
        click.echo(line, err=True)
    return exit_code(plan.exit_code, detailed=False)
