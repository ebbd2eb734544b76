"""``kasnec watch alerts``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, get_args

import click
from rich.console import Console
from rich.text import Text

from pipeline.records import Mode, Status, decode_alert
from pipeline.stories.filters import Wanted
from pipeline.stories.telling import lines
from pipeline.streaming import reading
from pipeline.terminal import plain

if TYPE_CHECKING:
    from pipeline.records import SummitAlert
    from pipeline.settings import Settings


@click.group()
def command() -> None:
    """Follow what is published, as it comes."""


@command.command()
@click.option("--from-beginning", is_flag=True, help="Those of the past first.")
@click.option("--participant", multiple=True, metavar="CODE", help="Only with it: ALB, EU, …")
@click.option("--place", multiple=True, metavar="CODE|NAME", help="Only there: TUR, Istanbul, …")
@click.option("--status", multiple=True, type=click.Choice(get_args(Status)), help="Only these.")
@click.option("--mode", multiple=True, type=click.Choice(get_args(Mode)), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def alerts(
    ctx: click.Context,
    *,
    from_beginning: bool,
    participant: Sequence[str],
    place: Sequence[str],
    status: Sequence[Status],
    mode: Sequence[Mode],
    as_json: bool,
) -> None:
    """Show summit alerts as they are told, a paragraph each, until Ctrl-C."""
    wanted = Wanted(
        participants=tuple(participant),
        places=tuple(place),
        statuses=tuple(status),
        modes=tuple(mode),
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(_watch(ctx.obj(), wanted, from_beginning=from_beginning, as_json=as_json))


async def _watch(
    settings: Settings, wanted: Wanted, *, from_beginning: bool, as_json: bool
) -> None:
    console = Console(highlight=False)
    told: dict[str, None] = {}  # ids, the newest last
    topic = settings.topics.alerts
    async with reading.following(
        settings, [topic], "watch", from_beginning=from_beginning
    ) as consumer:
        async for message in consumer:
            alert = decode_alert(message.value)
            if alert.alert_id in told or not wanted.takes(alert):
                continue
            told[alert.alert_id] = None
            if len(told) > _REMEMBERED:
                del told[next(iter(told))]
            if as_json:
                click.echo(message.value)
            else:
                console.print(_paragraph(alert), soft_wrap=True)


# An alert that is told twice (see ``streaming.summits``) is told within minutes.
_REMEMBERED = 1_000


def _paragraph(alert: SummitAlert) -> Text:
    head, *rest = (plain(line) for line in lines(alert))
    return Text.assemble((head, "bold"), "\n", "\n".join(f"  {line}" for line in rest), "\n")
