"""``kasnec dashboard``."""

from __future__ import annotations

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
    """Serve the HTTP API, until SIGTERM or Ctrl-C.

    It reads the store, which `kasnec store` fills; no broker is needed. Its OpenAPI document is at
    /api/v1/openapi.json.
    """
    from pipeline.dashboard import server  # noqa: PLC0415 - loads FastAPI
    from pipeline.streaming import logs  # noqa: PLC0415

    logs.to_stderr(log_level)
    server.run(ctx.obj())
