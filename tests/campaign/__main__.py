"""`python -m tests.campaign`: run the campaigns of `make faults`, all of them or the named ones."""

from __future__ import annotations

import importlib
import os
import secrets
import sys
import time

import click

from tests.support.project import pulumi_home

RUNS = {
    "operations": 1500,
    "machine": 60,
    "living": 60,
    "crashes": 60,
    "files": 14000,
    "answers": 6000,
    "limits": 1,
    "disks": 1,
}
"""The campaigns, with the default number of runs or cases of each."""


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(RUNS)))
@click.option("--runs", type=int, help="How many runs or cases, instead of each campaign's own number.")
@click.option("--seed", type=int, help="The seed of an earlier campaign; another one each time by default.")
def main(names: tuple[str, ...], runs: int | None, seed: int | None) -> None:
    """Try to break the promises, and report the violations."""
    os.environ["PULUMI_HOME"] = pulumi_home()
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    click.echo(f"seed {chosen}")
    broken = []
    for name in names or RUNS:
        started = time.monotonic()
        campaign = importlib.import_module(f"tests.campaign.{name}").campaign
        broken += campaign(runs or RUNS[name], chosen, click.echo)
        click.echo(f"{name}: {time.monotonic() - started:.0f} s\n")
    for each in broken:
        click.echo(each, err=True)
    click.echo(f"{len(broken)} violations")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
