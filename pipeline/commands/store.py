"""``kasnec store``."""

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
    """Fill the event store from the topics, until SIGTERM or Ctrl-C.

    The store is the database that the dashboards read (store.url): SQLite in a file or PostgreSQL.
    Its tables are made and brought up to date at the start.
    """
    from pipeline.streaming import logs, storing  # noqa: PLC0415 - loads aiokafka

    logs.to_stderr(log_level)
    asyncio.run(storing.run(ctx.obj()))
