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
    metavar="N",
    help="How many companies a new one starts with: 0 by default, or 24 in a demo.",
)
@click.option(
    "--demo",
    is_flag=True,
    help="A new one starts with a tenant as it might be: names, tags, and connections of every status.",
)
@click.option(
    "--live",
    is_flag=True,
    help="The tenant changes by itself: customers sign up, authorise, revoke, and go.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.001, 1000),
    default=1.0,
    metavar="N",
    show_default=True,
    help="How many changes a second --live makes.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    show_default=True,
    help="The same seed makes the same companies and changes.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep its state in this file; it survives a kill.",
)
def emulator_command(
    port: int,
    api_key: str,
    companies: int | None,
    demo: bool,
    live: bool,
    rate: float,
    seed: int,
    state: Path | None,
) -> None:
    """Run an emulated Codat on this machine, until Ctrl-C.

    Prints its URL when it listens: that is your CODAT_BASE_URL. Open it in a browser to act as the customers
    and in the Portal, to make requests fail, and to see what was asked. Scripts find the same under
    URL/_emulator/.
    """
    try:
        from codat_iac.emulator import DEMO_COMPANIES, run  # noqa: PLC0415  aiohttp
    except ImportError as error:
        raise ConfigError("the emulator needs aiohttp; run: pip install 'codat-iac[emulator]'") from error

    usual = DEMO_COMPANIES if demo else 0
    run(
        port,
        api_key,
        usual if companies is None else companies,
        state,
        write_or_tell,
        demo=demo,
        seed=seed,
        rate=rate if live else None,
    )
