"""``kasnec worker``."""

from __future__ import annotations

import sys

import click

from pipeline.errors import ConfigurationError


@click.command()
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]),
    default="INFO",
    show_default=True,
)
@click.pass_context
def command(ctx: click.Context, log_level: str) -> None:
    """Take articles from Kafka and publish records until SIGTERM or Ctrl-C."""
    from pipeline.streaming import worker  # noqa: PLC0415 - loads Faust

    settings = ctx.obj()
    if not settings.broker.bootstrap_servers:
        raise ConfigurationError(
            [
                (
                    "broker.bootstrap_servers is empty: set KASNEC_BROKER_BOOTSTRAP_SERVERS to "
                    "your Kafka, or run `kasnec up`, which starts a broker of its own."
                )
            ]
        )
    sys.exit(worker.run(settings, loglevel=log_level))
