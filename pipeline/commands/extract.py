"""``kasnec extract``: the same core without a broker."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import click
import orjson
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline import sources
from pipeline.errors import BadInput
from pipeline.isolation import IsolatedChain, Outcome
from pipeline.records import RawArticle, decode_event, encode
from pipeline.settings import Settings
from pipeline.stages import decode
from pipeline.stories.register import Register, Rules
from pipeline.terminal import plain, shortened

# Articles on their way to one process: enough that it never waits for the reader.
_AHEAD: Final = 4
_DETAIL_CHARS: Final = 200


@dataclass(slots=True)
class _Count:
    articles: int = 0
    events: int = 0
    loading_s: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter)


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    metavar="ARTICLES...",
)
@click.option("--events", type=click.File("wb"), help="Event records go here; - is stdout.")
@click.option("--annotations", type=click.File("wb"), help="Annotated articles go here.")
@click.option("--alerts", type=click.File("wb"), help="Summit alerts go here.")
@click.option("--rejects", type=click.File("wb"), help="What could not be coded, and why.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=min(2, os.cpu_count() or 1),
    show_default=True,
    help="Processes; each holds the models.",
)
@click.option("--normalise", is_flag=True, help="Repair decomposed Unicode and control characters.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    paths: Sequence[Path],
    events: IO[bytes] | None,
    annotations: IO[bytes] | None,
    alerts: IO[bytes] | None,
    rejects: IO[bytes] | None,
    jobs: int,
    normalise: bool,
) -> None:
    """Turn files of articles into files of records, without a broker.

    ARTICLES is a .jsonl or .jsonl.gz file, a bare text (.txt), a folder of these, or - for JSON
    lines from standard input. Records come in the order of the articles; the same input gives the
    same bytes, whatever --jobs is. Alerts are those of a stream that brings the articles in this
    order.

    Exit status: 0 all coded, 1 some were rejected, 2 wrong arguments or settings, 3 the models do
    not load.
    """
    if not (events or annotations or alerts):
        raise click.UsageError("Nothing to write: give --events, --annotations or --alerts.")
    try:
        files = sources.find(paths)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    settings: Settings = ctx.obj()
    console = Console(stderr=True)
    started = time.monotonic()
    count = asyncio.run(
        _extract(
            _articles(sources.read(files.articles), settings, normalise=normalise),
            settings,
            jobs,
            console,
            events=events,
            annotations=annotations,
            alerts=alerts,
            rejects=rejects,
        )
    )
    seconds = time.monotonic() - started - count.loading_s
    console.print(
        f"{count.articles} articles, {count.events} events, {count.rejected.total()} rejected "
        f"in {seconds:.1f} s ({count.articles / seconds:.1f} articles/s), after "
        f"{count.loading_s:.1f} s of loading the models",
        highlight=False,
        soft_wrap=True,
    )
    for reason, number in count.rejected.most_common():
        console.print(f"  rejected as {reason}: {number}", highlight=False)
    sys.exit(1 if count.rejected else 0)


def _articles(
    found: Iterator[sources.Found], settings: Settings, *, normalise: bool
) -> Iterator[tuple[str, RawArticle | BadInput]]:
    limits = decode.Limits(**settings.limits.model_dump())
    for item in found:
        content = item.content
        if isinstance(content, BadInput):
            yield item.where, content
            continue
        try:
            fields = decode.normalised(content) if normalise else content
            yield item.where, decode.validate(fields, limits)
        except BadInput as error:
            yield item.where, error


async def _extract(
    articles: Iterator[tuple[str, RawArticle | BadInput]],
    settings: Settings,
    jobs: int,
    console: Console,
    *,
    events: IO[bytes] | None,
    annotations: IO[bytes] | None,
    alerts: IO[bytes] | None,
    rejects: IO[bytes] | None,
) -> _Count:
    count = _Count()
    register = Register(Rules(**dict(settings.summits)))
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    chain = IsolatedChain(
        settings.language,
        processes=jobs,
        timeout_s=settings.worker.stage_timeout_s,
        load_timeout_s=settings.worker.model_load_timeout_s,
    )
    with ExitStack() as stack:
        stack.callback(chain.stop)
        stack.enter_context(progress)
        task = progress.add_task("loading the models")
        started = time.monotonic()
        await asyncio.to_thread(chain.load)
        count.loading_s = time.monotonic() - started

        def finish(where: str, outcome: Outcome | BadInput) -> None:
            count.articles += 1
            result = outcome if isinstance(outcome, BadInput) else outcome.result
            if isinstance(result, BadInput):
                count.rejected[result.reason] += 1
                _reject(where, result, rejects, console)
            else:
                count.events += len(result.events)
                if annotations:
                    annotations.write(result.annotated + b"\n")
                if events:
                    events.writelines(record + b"\n" for _, record in result.events)
                if alerts:
                    told = [register.observe(decode_event(e)).alert for _, e in result.events]
                    alerts.writelines(encode(alert) + b"\n" for alert in told if alert)
                    register.forget()
            progress.update(task, description=f"{count.articles} articles, {count.events} events")

        waiting: deque[tuple[str, asyncio.Task[Outcome] | BadInput]] = deque()
        for where, article in articles:
            coding = (
                article
                if isinstance(article, BadInput)
                else asyncio.create_task(chain.run(article))
            )
            waiting.append((where, coding))
            if len(waiting) >= _AHEAD * jobs:
                await _next(waiting, finish)
        while waiting:
            await _next(waiting, finish)
    return count


async def _next(
    waiting: deque[tuple[str, asyncio.Task[Outcome] | BadInput]],
    finish: Callable[[str, Outcome | BadInput], None],
) -> None:
    where, coding = waiting.popleft()
    finish(where, coding if isinstance(coding, BadInput) else await coding)


def _reject(where: str, error: BadInput, rejects: IO[bytes] | None, console: Console) -> None:
    if rejects:
        fields = {"where": where, "reason": error.reason, "stage": error.stage}
        rejects.write(orjson.dumps({**fields, "detail": error.detail}) + b"\n")
    detail = shortened(plain(error.detail), _DETAIL_CHARS)
    console.print(f"{plain(where)}: {error.reason}: {detail}", markup=False, highlight=False)
