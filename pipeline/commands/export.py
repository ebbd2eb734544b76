"""``kasnec export``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import IO, TYPE_CHECKING

import click

from pipeline.exports import FORMATS
from pipeline.exports.parties import Codes
from pipeline.records import DiplomaticEvent, decode_event
from pipeline.terminal import plain, shortened

if TYPE_CHECKING:
    from pipeline.settings import Settings

_SHOWN = 200  # characters of what is wrong with a record

# What stands where, and the record: ``events.jsonl:7``.
Found = tuple[str, bytes]


@click.command()
@click.argument("files", nargs=-1, type=click.File("rb"), metavar="[EVENTS...]")
@click.option(
    "--format", "format_", required=True, type=click.Choice(list(FORMATS)), help="What to write."
)
@click.option(
    "--output", type=click.File("wb", lazy=True), default="-", help="Where to; stdout by default."
)
@click.option(
    "--kosovo-code",
    type=click.Choice(["XKX", "KSV", "KOS", "XKK"]),
    help="Kosovo's code, which ISO 3166 has none for. Default: KSV for gdelt, otherwise XKX.",
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    files: Sequence[IO[bytes]],
    format_: str,
    output: IO[bytes],
    kosovo_code: str | None,
) -> None:
    """Write events in the format of another event data set.

    EVENTS are files of diplomatic-event/1 records, one a line, - for standard input; without any,
    all that is on the topic events.diplomatic. A record that comes twice, as redelivery may have
    it, is written once, as it came last.

    Exit status: 0 all written, 1 some lines were no such records, 2 wrong arguments, 3 the broker
    failed.
    """
    header, lines = FORMATS[format_]
    codes = Codes(kosovo_code or ("KSV" if format_ == "gdelt" else "XKX"))
    found = _from_files(files) if files else asyncio.run(_from_topic(ctx.obj()))
    events: dict[str, DiplomaticEvent] = {}
    refused = 0
    for where, value in found:
        try:
            event = decode_event(value)
        except ValueError as error:
            refused += 1
            said = shortened(" ".join(plain(str(error)).split()), _SHOWN)
            click.echo(f"kasnec: {where} is no diplomatic-event/1, left out: {said}", err=True)
            continue
        events[event.event_id] = event
    if header:
        output.write(header)
    rows = 0
    for event in events.values():
        for line in lines(event, codes):
            output.write(line)
            rows += 1
    output.flush()
    click.echo(f"{len(events)} events, {rows} rows, {refused} lines left out", err=True)
    sys.exit(1 if refused else 0)


def _from_files(files: Sequence[IO[bytes]]) -> Iterator[Found]:
    for file in files:
        name = getattr(file, "name", "<stdin>")
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{name}:{number}", line


async def _from_topic(settings: Settings) -> list[Found]:
    from pipeline.streaming import reading  # noqa: PLC0415 - files need no Kafka

    topic = settings.topics.events
    async with aclosing(reading.snapshot(settings, topic, "export")) as messages:
        return [
            (f"{topic.name}/{message.partition}/{message.offset}", message.value or b"")
            async for message in messages
        ]
