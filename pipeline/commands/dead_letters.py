"""``kasnec dead-letters list|show|replay``."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import BadInput
from pipeline.stages import decode
from pipeline.streaming import dead_letters
from pipeline.terminal import plain, shortened

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.streaming.dead_letters import DeadLetter

_DETAIL_CHARS: Final = 80
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _Since(click.ParamType):
    """``90m``, ``2h``, ``3d`` ago, or a moment as in ``published_at``."""

    name = "2h|TIME"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        text = str(value)
        if found := re.fullmatch(r"(\d{1,6})([smhd])", text):
            age = timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})
            return datetime.now(UTC) - age
        try:
            return decode.published_at(text)
        except BadInput:
            self.fail(
                f"{text!r} is neither an age such as 2h or 3d nor RFC 3339 with an offset",
                param,
                ctx,
            )


@click.group()
def command() -> None:
    """List, show and replay the articles that could not be coded."""


@command.command("list")
@click.option("--reason", help="Only those with this reason.")
@click.option("--since", type=_Since(), help="Only newer ones: 90m, 2h, 3d, or a time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def list_(ctx: click.Context, *, reason: str | None, since: datetime | None, as_json: bool) -> None:
    """List the dead letters, the oldest first."""
    rows = sorted(
        asyncio.run(_rows(ctx.obj(), reason, since)), key=lambda row: (row["time"], row["id"])
    )
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(row))
        return
    table = Table("id", "time (UTC)", "reason", "stage", "from", "article", "detail")
    for row in rows:
        cells = (
            row["id"], row["time"][:19], row["reason"], row["stage"],
            f"{row['source_topic']}/{row['source_partition']}/{row['source_offset']}",
            row["article"], shortened(row["detail"], _DETAIL_CHARS),
        )  # fmt: skip
        table.add_row(*(Text(plain(cell), overflow="fold") for cell in cells))
    Console().print(table)
    click.echo(f"{len(rows)} dead letters", err=True)


@command.command()
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the original bytes, and nothing else, to stdout.")
@click.pass_context
def show(ctx: click.Context, *, letter_id: str, raw: bool) -> None:
    """Show the headers and the original message of a dead letter."""
    letter = _found(ctx.obj(), [letter_id])[letter_id]
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.buffer.flush()
        return
    console = Console()
    table = Table("header", "value")
    table.add_row("time", _time(letter).isoformat())
    table.add_row("key", Text(plain(_text(letter.key)), overflow="fold"))
    for name, value in letter.headers:
        table.add_row(Text(plain(name)), Text(plain(_text(value)), overflow="fold"))
    console.print(table)
    console.print(Text(_readable(letter.value)), soft_wrap=True)


@command.command()
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@click.option("--reason", help="All with this reason.")
@click.option("--all", "everything", is_flag=True, help="All.")
@click.option("--normalise", is_flag=True, help="Repair decomposed Unicode and control characters.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.pass_context
def replay(
    ctx: click.Context,
    *,
    letter_ids: Sequence[str],
    reason: str | None,
    everything: bool,
    normalise: bool,
    dry_run: bool,
) -> None:
    """Send dead letters back to where they came from; they stay on their own topic too.

    Exit status: 0 all sent, 1 some could not be repaired, 2 wrong arguments, 3 the broker failed.
    """
    if [bool(letter_ids), reason is not None, everything].count(True) != 1:
        raise click.UsageError("Give ids, or --reason, or --all.")
    settings: Settings = ctx.obj()
    if letter_ids:
        found = _found(settings, letter_ids)
        letters = [found[letter_id] for letter_id in letter_ids]
    else:
        letters = asyncio.run(_collect(settings, reason))
    console = Console(stderr=True)
    ready: list[tuple[DeadLetter, bytes | None]] = []
    for letter in letters:
        try:
            ready.append((letter, _value(letter, settings) if normalise else letter.value))
        except BadInput as error:
            console.print(Text(plain(f"{letter.id}: {error}")))
    if not dry_run and ready:
        asyncio.run(dead_letters.send_back(ready, settings))
    verb = "would be sent" if dry_run else "sent"
    console.print(Text(f"{len(ready)} {verb}, {len(letters) - len(ready)} beyond repair"))
    sys.exit(0 if len(ready) == len(letters) else 1)


async def _rows(
    settings: Settings, reason: str | None, since: datetime | None
) -> list[dict[str, Any]]:
    return [
        {
            "id": letter.id,
            "time": _time(letter).isoformat(timespec="milliseconds"),
            "reason": letter.header("reason"),
            "stage": letter.header("stage"),
            "source_topic": letter.header("source-topic"),
            "source_partition": letter.header("source-partition"),
            "source_offset": letter.header("source-offset"),
            "attempts": letter.header("attempts"),
            "article": letter.article_id,
            "detail": letter.header("detail"),
        }
        async for letter in dead_letters.read(settings)
        if reason in (None, letter.header("reason")) and (since is None or _time(letter) >= since)
    ]


async def _collect(settings: Settings, reason: str | None) -> list[DeadLetter]:
    letters = [
        letter
        async for letter in dead_letters.read(settings)
        if reason in (None, letter.header("reason"))
    ]
    return sorted(
        letters, key=lambda letter: (letter.timestamp_ms, letter.partition, letter.offset)
    )


def _found(settings: Settings, ids: Sequence[str]) -> dict[str, DeadLetter]:
    try:
        found = asyncio.run(dead_letters.find(settings, ids))
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    if missing := [letter_id for letter_id in ids if letter_id not in found]:
        raise click.UsageError(f"There is no dead letter {', '.join(missing)} (any more).")
    return found


def _value(letter: DeadLetter, settings: Settings) -> bytes:
    limits = decode.Limits(**settings.limits.model_dump())
    return dead_letters.repaired(letter.value, limits)


def _time(letter: DeadLetter) -> datetime:
    return datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC)


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "backslashreplace")


def _readable(value: bytes | None) -> str:
    if not value:
        return "(no value)"
    try:
        text = orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, RecursionError):
        text = _text(value)
    return plain(text, keep_lines=True)
