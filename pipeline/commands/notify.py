"""``kasnec notify``."""

from __future__ import annotations

import asyncio

import click


@click.command()
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]),
    default="INFO",
    show_default=True,
)
@click.pass_context
def command(ctx: click.Context, log_level: str) -> None:
    """Tell summit alerts to the sinks that are switched on, until SIGTERM or Ctrl-C."""
    from pipeline.streaming import logs, notify  # noqa: PLC0415 - loads aiokafka

    logs.to_stderr(log_level)
    asyncio.run(notify.run(ctx.obj()))
