"""`codat-iac emulator`: run an emulated Codat."""

from __future__ import annotations

from pathlib import Path

import click

from codat_iac.cli.output import write_or_tell
from codat_iac.model.errors import ConfigError


@click.command("emulator")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port on 127.0.0.1; 0, the default, takes a free one.",
)
@click.option(
    "--api-key", default="emulator-api-key", metavar="KEY", show_default=True, help="The key that it accepts."
)
@click.option(
    "--companies",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="How many companies a new one starts with.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep its state in this file; it survives a kill.",
)
def emulator_command(port: int, api_key: str, companies: int, state: Path | None) -> None:
    """Run an emulated Codat on this machine, until Ctrl-C.

    Prints its URL when it listens: that is your CODAT_BASE_URL. See URL/_emulator/ for what it can be told
    to do, such as authorising as the customer, or failing.
    """
    try:
        from codat_iac.emulator import run  # noqa: PLC0415  aiohttp
    except ImportError as error:
        raise ConfigError("the emulator needs aiohttp; run: pip install 'codat-iac[emulator]'") from error

    run(port, api_key, companies, state, on_ready=write_or_tell)
