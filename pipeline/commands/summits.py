"""``kasnec summits list|show``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, get_args

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.records import Status
from pipeline.stories.telling import place
from pipeline.streaming import reading
from pipeline.streaming.summits import read_record
from pipeline.terminal import plain

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.stories.entries import Entry


@click.group()
def command() -> None:
    """Show the summit register: what is known of each summit, and its history."""


@command.command("list")
@click.option("--status", type=click.Choice(get_args(Status)), help="Only those.")
@click.option("--participant", metavar="CODE", help="Only those with it: ALB, EU, …")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def list_(
    ctx: click.Context, *, status: str | None, participant: str | None, as_json: bool
) -> None:
    """List the summits that are still of interest, the last in the news first."""
    entries = [
        entry
        for entry in asyncio.run(_entries(ctx.obj())).values()
        if status in (None, entry.summit.status)
        and participant in (None, *(p.code for p in entry.summit.participants))
    ]
    entries.sort(key=lambda entry: entry.as_of, reverse=True)
    if as_json:
        for entry in entries:
            click.echo(orjson.dumps(_fields(entry)))
        return
    table = Table("id", "summit", "status", "date", "place", "articles", "first seen", "last news")
    for entry in entries:
        summit = entry.summit
        cells = (
            entry.summit_id[:8], summit.name, summit.status, _date(summit), place(summit),
            str(summit.articles), summit.first_seen[:10], entry.as_of.date().isoformat(),
        )  # fmt: skip
        table.add_row(*(Text(plain(cell), overflow="fold") for cell in cells))
    Console().print(table)
    click.echo(f"{len(entries)} summits", err=True)


@command.command()
@click.argument("summit_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def show(ctx: click.Context, *, summit_id: str, as_json: bool) -> None:
    """Show a summit with its history and its latest sources; the start of its id is enough."""
    known = asyncio.run(_entries(ctx.obj()))
    found = [entry for key, entry in known.items() if key.startswith(summit_id)]
    if len(found) != 1:
        what = "no summit" if not found else f"{len(found)} summits"
        raise click.UsageError(f"{what} with an id that begins with {summit_id!r}; see `list`.")
    (entry,) = found
    if as_json:
        click.echo(orjson.dumps(_fields(entry), option=orjson.OPT_INDENT_2))
        return
    console, summit = Console(), entry.summit
    facts = Table(show_header=False)
    for name, value in (
        ("id", entry.summit_id),
        ("summit", summit.name),
        ("status", summit.status),
        ("date", _date(summit)),
        ("place", place(summit)),
        ("participants", ", ".join(f"{p.name} ({p.code})" for p in summit.participants)),
        ("articles", str(summit.articles)),
        ("first seen", summit.first_seen),
    ):
        facts.add_row(name, Text(plain(value), overflow="fold"))
    console.print(facts)
    history = Table("published", "change", "status", "date", "place", "article", title="History")
    for told in entry.history:
        state = (
            told.published_at, told.change, told.status, told.date.value if told.date else "",
            told.place.name if told.place else "", told.article_id,
        )  # fmt: skip
        history.add_row(*(Text(plain(cell), overflow="fold") for cell in state))
    console.print(history)
    sources = Table("published", "source", "title", "link", title="Latest sources")
    for source in reversed(entry.sources):
        cells = (source.published_at, source.source or "", source.title, source.url or "")
        sources.add_row(*(Text(plain(cell), overflow="fold") for cell in cells))
    console.print(sources)


async def _entries(settings: Settings) -> dict[str, Entry]:
    known: dict[str, Entry] = {}
    snapshot = reading.snapshot(settings, settings.topics.summits, "summits")
    async with aclosing(snapshot) as messages:
        async for message in messages:
            record = read_record(message)
            if record:
                known[record.entry.summit_id] = record.entry
            else:
                known.pop((message.key or b"").decode(errors="replace"), None)
    return known


def _fields(entry: Entry) -> dict[str, Any]:
    """What is of use outside: all but the hashes by which repetitions are known."""
    return {
        "summit_id": entry.summit_id,
        "summit": entry.summit,
        "as_of": entry.as_of,
        "given_up": entry.given_up,
        "history": entry.history,
        "sources": entry.sources,
    }


def _date(summit: Any) -> str:
    return summit.date.value if summit.date else ""
