"""``kasnec replay``."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pipeline import sources
from pipeline.stages import decode
from pipeline.terminal import plain, shortened

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.streaming.replay import Message, Pace, Reject, Summary

_DETAIL_CHARS: Final = 200


class _Factor(click.ParamType):
    """A positive number with an optional unit behind it."""

    def __init__(self, unit: str) -> None:
        self.name = f"N{unit}"
        self._pattern = re.compile(rf"(\d+(?:\.\d+)?)(?:{re.escape(unit)})?")

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        found = self._pattern.fullmatch(str(value).strip())
        if found is None or not float(found.group(1)):
            self.fail(
                f"{value!r} is not of the form {self.name}, such as 5{self.name[1:]}", param, ctx
            )
        return float(found.group(1))


class _Zone(click.ParamType):
    name = "zone"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> ZoneInfo:
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError):
            self.fail(
                f"{value!r} is no time zone of the tz database, such as Europe/Tirane", param, ctx
            )


class _TimeOfDay(click.ParamType):
    name = "HH:MM"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> time:
        try:
            return time.fromisoformat(str(value)).replace(tzinfo=None)
        except ValueError:
            self.fail(f"{value!r} is not a time of day, such as 12:00", param, ctx)


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    metavar="PATH...",
)
@click.option("--rate", type=_Factor("/s"), help="At most so many articles a second.")
@click.option("--speed", type=_Factor("x"), help="By publication time: 60x sends an hour a minute.")
@click.option("--loop", is_flag=True, help="Again and again until Ctrl-C.")
@click.option("--fresh-ids", is_flag=True, help="New ids, so that every article counts as new.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many articles.")
@click.option("--dry-run", is_flag=True, help="Read and validate, send nothing; needs no broker.")
@click.option("--normalise", is_flag=True, help="Repair decomposed Unicode and control characters.")
@click.option(
    "--time-of-day",
    type=_TimeOfDay(),
    default="12:00",
    show_default=True,
    help="When a bare text was published that states only its day.",
)
@click.option(
    "--zone",
    type=_Zone(),
    default="Europe/Tirane",
    show_default=True,
    help="Time zone of --time-of-day.",
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    paths: Sequence[Path],
    rate: float | None,
    speed: float | None,
    loop: bool,
    fresh_ids: bool,
    limit: int | None,
    dry_run: bool,
    normalise: bool,
    time_of_day: time,
    zone: ZoneInfo,
) -> None:
    """Put articles from files on the topic articles.raw.

    PATH is a .jsonl or .jsonl.gz file, a bare text (.txt), a folder of these, or - for JSON lines
    from standard input. The broker confirms every message. Sending the same files twice changes
    nothing downstream but the number of messages.

    Exit status: 0 all sent, 1 some were rejected, 2 wrong arguments or settings, 3 no broker, or it
    did not confirm.
    """
    if rate and speed:
        raise click.UsageError("--rate and --speed exclude each other.")
    if loop and sources.STANDARD_INPUT in paths:
        raise click.UsageError("--loop cannot read standard input a second time.")
    try:
        files = sources.find(paths)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    settings: Settings = ctx.obj()
    read = partial(sources.read, files.articles, clock=sources.Clock(time=time_of_day, zone=zone))
    articles = _articles(
        read,
        settings,
        normalise=normalise,
        in_order=speed is not None,
        loop=loop,
        fresh_ids=fresh_ids,
    )
    console = Console(stderr=True)
    from pipeline.streaming.replay import Pace  # noqa: PLC0415 - loads aiokafka

    summary, interrupted = asyncio.run(
        _replay(
            islice(articles, limit),
            settings,
            console,
            pace=Pace(per_second=rate, speed=speed),
            dry_run=dry_run,
        )
    )
    _report(summary, files.ignored, console, dry_run=dry_run)
    if interrupted:
        sys.exit(130)  # 128 + SIGINT, as shells have it
    if summary.refused:
        click.echo(
            f"kasnec: the broker did not confirm {summary.refused} messages "
            f"({plain(summary.refusal)}). Run the same replay again when it is well: what was sent "
            "already is recognised by its id.",
            err=True,
        )
        sys.exit(3)
    sys.exit(0 if summary.complete else 1)


def _articles(
    read: Callable[..., Iterator[sources.Found]],
    settings: Settings,
    *,
    normalise: bool,
    in_order: bool,
    loop: bool,
    fresh_ids: bool,
) -> Iterator[Message | Reject]:
    from pipeline.streaming import replay  # noqa: PLC0415 - loads aiokafka

    limits = decode.Limits(**settings.limits.model_dump())
    run = secrets.token_hex(3)

    def once(number: int) -> Iterator[Message | Reject]:
        suffix = f"-{run}-{number}" if fresh_ids else ""
        items = replay.messages(read(limits=limits), limits, normalise=normalise, suffix=suffix)
        return replay.by_publication(items) if in_order else items

    return replay.rounds(once) if loop else once(0)


async def _replay(
    articles: Iterator[Message | Reject],
    settings: Settings,
    console: Console,
    *,
    pace: Pace,
    dry_run: bool,
) -> tuple[Summary, bool]:
    from pipeline.streaming.replay import replay  # noqa: PLC0415 - loads aiokafka

    stop = asyncio.Event()
    event_loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        stop.set()
        for number in signals:  # the second Ctrl-C ends at once
            event_loop.remove_signal_handler(number)

    for number in signals:
        event_loop.add_signal_handler(number, end)
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[sent]} sent, {task.fields[rejected]} rejected"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task("replay", total=None, sent=0, rejected=0)

        def show(summary: Summary) -> None:
            bar.update(task, sent=summary.sent, rejected=summary.rejected.total())

        summary = await replay(articles, settings, show, pace=pace, dry_run=dry_run, stop=stop)
    return summary, stop.is_set()


def _report(summary: Summary, ignored: int, console: Console, *, dry_run: bool) -> None:
    table = Table("", "articles", title="Replay (nothing was sent)" if dry_run else "Replay")
    table.columns[1].justify = "right"
    table.add_row("read", f"{summary.read:,}")
    table.add_row("would be sent" if dry_run else "sent and confirmed", f"{summary.sent:,}")
    if summary.refused:
        table.add_row("not confirmed by the broker", f"{summary.refused:,}")
    for reason, count in summary.rejected.most_common():
        table.add_row(Text(f"rejected: {plain(reason)}"), f"{count:,}")
    if ignored:
        table.add_row("files of other types", f"{ignored:,}")
    table.add_row("seconds", f"{summary.seconds:.1f}")
    console.print(table)
    for reject in summary.first_rejects:
        detail = shortened(plain(reject.error.detail), _DETAIL_CHARS)
        console.print(Text(f"{plain(reject.where)}: {reject.error.reason}: {detail}"))
