"""``kasnec up``: everything on one machine, with something to show."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from pipeline.errors import ConfigurationError


@click.command()
@click.option(
    "--seeds",
    type=click.Path(exists=True, path_type=Path),
    default=Path("seeds"),
    show_default=True,
    help="Articles to replay: a file or a folder.",
)
@click.option("--exit-when-done", is_flag=True, help="End once the seeds have been processed.")
@click.pass_context
def command(ctx: click.Context, *, seeds: Path, exit_when_done: bool) -> None:
    """Start the broker (where none is configured), the topics and the worker; replay the seeds.

    The records are shown as they appear. Ctrl-C stops everything that was started here.

    Exit status: 0 stopped by you or done, 1 some seeds could not be coded, 2 wrong arguments or
    settings, 3 the broker or the worker failed.
    """
    from pipeline.streaming import up  # noqa: PLC0415 - loads aiokafka

    try:
        done = asyncio.run(up.run(ctx.obj(), seeds, exit_when_done=exit_when_done))
    except ValueError as error:  # a file of a kind that cannot be read
        raise ConfigurationError([f"--seeds: {error}"]) from error
    sys.exit(0 if done else 1)
