"""The HTTP API. Records go out as the bytes that came in by their topics."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, HTTPException, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import format_sse_event
from sqlalchemy import Row

from pipeline.dashboard import answers
from pipeline.dashboard.feed import Change, Feed, in_order
from pipeline.dashboard.index import MOST
from pipeline.dashboard.problems import Problem
from pipeline.dashboard.queries import (
    CountQuery,
    EventPageQuery,
    EventQuery,
    OverviewQuery,
    Paging,
    SummitQuery,
    TimelineQuery,
    Word,
    from_cursor,
    to_cursor,
)
from pipeline.dashboard.vocabulary import Language, vocabulary
from pipeline.errors import StoreUnavailable
from pipeline.exports import FORMATS
from pipeline.exports.parties import Codes
from pipeline.records import decode_event
from pipeline.store.reading import Store
from pipeline.stories import entries

PREFIX: Final = "/api/v1"
# Some sentences on either side of the evidence.
_CONTEXT_CHARS: Final = 600
# Proxies close what is silent for a minute.
_KEEPALIVE_S: Final = 15.0
# A page that was away for longer asks for everything again.
_RESUMED: Final = 1_000
# Lines of a download that are made at once.
_LINES: Final = 500

_PROBLEM: Final = {"application/problem+json": {"schema": Problem.model_json_schema()}}
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"content": _PROBLEM, "description": "Nobody is named who may ask."},
    422: {"content": _PROBLEM, "description": "A parameter is wrong."},
    503: {"content": _PROBLEM, "description": "The store cannot be read now."},
}
_NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"content": _PROBLEM, "description": "There is none."}
}
_COLUMNS: Final = (
    "event_id", "story_id", "article_id", "source", "url", "language", "published_at", "title",
    "type", "mode", "status", "actor_codes", "actors", "recipient_codes", "recipients", "date",
    "date_granularity", "place", "place_code", "latitude", "longitude", "plover", "cameo",
    "quad_class", "goldstein", "confidence", "model", "evidence",
)  # fmt: skip


class _Stream(StreamingResponse):
    media_type = "text/event-stream"


class _Csv(StreamingResponse):
    media_type = "text/csv"


class _JsonLines(StreamingResponse):
    media_type = "application/x-ndjson"


Id = Annotated[Word, Path()]


def router(store: Store, feed: Feed, *, kosovo_code: str) -> APIRouter:
    """Every route of the API.

    Args:
        store: where records come from.
        feed: the index, and what is new.
        kosovo_code: how downloads write Kosovo.
    """
    routes = APIRouter(prefix=PREFIX, responses=_ERRORS)
    index = feed.index
    codes = Codes(kosovo_code)

    async def matching(query: EventQuery) -> Any:
        if feed.fault and not len(index):
            raise StoreUnavailable(feed.fault)
        found = await asyncio.to_thread(store.search, query.q) if query.q.strip() else None
        return index.match(query.filters(found))

    async def records(ids: Sequence[str]) -> list[str]:
        return await asyncio.to_thread(lambda: list(store.records(ids)))

    @routes.get("/events", response_model=answers.EventPage)
    async def events(query: Annotated[EventPageQuery, Query()]) -> Response:
        """Events, newest publication first."""
        after = _position(query.cursor)
        ids, following = index.page(await matching(query), after=after, limit=query.limit)
        return _json(items=_array(await records(ids)), next=orjson.dumps(to_cursor(following)))

    @routes.get("/events.csv", response_class=_Csv)
    async def events_csv(query: Annotated[EventQuery, Query()]) -> Response:
        """Events as a table. What a spreadsheet would take for a formula has a quote before it."""
        ids = index.ids(await matching(query))
        return _Csv(_lines(store, ids, _csv), headers=_attachment("events.csv"))

    @routes.get("/events.jsonl", response_class=_JsonLines)
    async def events_jsonl(query: Annotated[EventQuery, Query()]) -> Response:
        """Events as PLOVER's JSON lines, as `kasnec export` has them."""
        ids = index.ids(await matching(query))
        plover = FORMATS["plover-jsonl"][1]

        def lines(some: Iterable[str]) -> bytes:
            return b"".join(
                line for text in some for line in plover(decode_event(text.encode()), codes)
            )

        return _JsonLines(_lines(store, ids, lines), headers=_attachment("events.jsonl"))

    @routes.get("/events/{event_id}", response_model=answers.EventView, responses=_NOT_FOUND)
    async def event(event_id: Id) -> Response:
        """An event, the text around its evidence, and the other reports of its story."""

        def read() -> Response:
            text = next(store.records([event_id]), None)
            if text is None:
                raise _missing("event", event_id)
            record = orjson.loads(text)
            story = store.story(record["story_id"])
            return _json(
                event=text.encode(),
                context=orjson.dumps(_context(store, record)),
                story=orjson.dumps(_fields(story)),
                others=_array(store.others(record["story_id"], event_id)),
            )

        return await asyncio.to_thread(read)

    @routes.get("/counts", response_model=answers.Counts)
    async def counts(query: Annotated[CountQuery, Query()]) -> Response:
        """How many events have each value, the most frequent first."""
        return _json(items=orjson.dumps(index.counts(await matching(query), query.by)))

    @routes.get("/timeline", response_model=answers.Timeline)
    async def timeline(query: Annotated[TimelineQuery, Query()]) -> Response:
        """How many events were published in each stretch of time (UTC)."""
        slots = index.timeline(await matching(query), by=query.by, bucket=query.bucket)
        return _json(items=orjson.dumps(slots))

    @routes.get("/places", response_model=answers.Places)
    async def places(query: Annotated[EventQuery, Query()]) -> Response:
        """Where events happened, with coordinates."""
        return _json(items=orjson.dumps(index.places(await matching(query))))

    @routes.get("/dyads", response_model=answers.Dyads)
    async def dyads(query: Annotated[EventQuery, Query()]) -> Response:
        """Who with or towards whom. What is done together has its codes in alphabetical order."""
        return _json(items=orjson.dumps(index.dyads(await matching(query))))

    @routes.get("/overview", response_model=answers.Overview)
    async def overview(query: Annotated[OverviewQuery, Query()]) -> Response:
        """All that a page shows of a filter, but for the events themselves."""
        mask = await matching(query)
        names = answers.OverviewCounts.model_fields
        return _json(
            total=orjson.dumps(int(mask.sum())),
            counts=orjson.dumps({by: index.counts(mask, by) for by in names}),  # type: ignore[arg-type]
            timeline=orjson.dumps(index.timeline(mask, by="type", bucket=query.bucket)),
            places=orjson.dumps(index.places(mask)),
            dyads=orjson.dumps(index.dyads(mask)),
        )

    @routes.get("/stories", response_model=answers.StoryPage)
    async def stories(query: Annotated[Paging, Query()]) -> Response:
        """Stories, those reported last first."""
        rows = await asyncio.to_thread(store.stories, _position(query.cursor), query.limit + 1)
        more = len(rows) > query.limit
        rows = rows[: query.limit]
        following = (rows[-1].last_published, rows[-1].story_id) if more else None
        return _json(
            items=orjson.dumps([_fields(row) for row in rows]),
            next=orjson.dumps(to_cursor(following)),
        )

    @routes.get("/stories/{story_id}", response_model=answers.StoryView, responses=_NOT_FOUND)
    async def story(story_id: Id) -> Response:
        """A story and its events, oldest first, at most 500."""

        def read() -> Response:
            row = store.story(story_id)
            if row is None:
                raise _missing("story", story_id)
            ids = store.story_events(story_id, MOST)
            return _json(story=orjson.dumps(_fields(row)), events=_array(list(store.records(ids))))

        return await asyncio.to_thread(read)

    @routes.get("/summits", response_model=answers.Summits)
    async def summits(query: Annotated[SummitQuery, Query()]) -> Response:
        """Summits by their day, those without one at the end."""

        def read() -> Response:
            rows = store.summits(
                statuses=query.status,
                parties=query.party,
                places=query.place,
                first=query.from_,
                last=query.to,
                open_=query.open,
                limit=query.limit,
            )
            return _json(items=orjson.dumps([_summit(row._asdict()) for row in rows]))

        return await asyncio.to_thread(read)

    @routes.get("/summits/{summit_id}", response_model=answers.SummitView, responses=_NOT_FOUND)
    async def summit(summit_id: Id) -> Response:
        """A summit with its life so far."""

        def read() -> Response:
            row = store.summit(summit_id)
            if row is None:
                raise _missing("summit", summit_id)
            entry = entries.decode_entry(row.record)
            fields = {name: orjson.dumps(value) for name, value in _summit(row._asdict()).items()}
            return _json(
                **fields,
                history=orjson.dumps(entry.history),
                sources=orjson.dumps(entry.sources),
                alerts=_array(store.alerts_of(summit_id)),
            )

        return await asyncio.to_thread(read)

    @routes.get("/alerts", response_model=answers.AlertPage)
    async def alerts(query: Annotated[Paging, Query()]) -> Response:
        """Summit alerts, those told last first."""
        rows = await asyncio.to_thread(store.alerts, _position(query.cursor), query.limit + 1)
        more = len(rows) > query.limit
        rows = rows[: query.limit]
        following = (rows[-1].told_at, rows[-1].alert_id) if more else None
        return _json(
            items=_array([row.record for row in rows]), next=orjson.dumps(to_cursor(following))
        )

    @routes.get("/vocabulary", response_model=answers.Vocabulary)
    async def words(language: Language = "sq") -> Response:
        """What people call the codes."""
        return Response(orjson.dumps(vocabulary(language)), media_type="application/json")

    @routes.get("/live", response_class=_Stream)
    async def live(
        query: Annotated[EventQuery, Query()],
        request: Request,
        last_event_id: Annotated[str, Header(max_length=40)] = "",
    ) -> Response:
        """What is new from now on, as server-sent events: event, summit, alert.

        Events are those that the filters mean; summits and alerts come all.
        """
        await matching(query)  # a store that cannot be read is an error now, not a silence later

        async def texts(change: Change) -> str | None:
            if change.kind == "alert":
                return str(change.value)
            if change.kind == "summit":
                return orjson.dumps(_summit(change.value)).decode()
            if not index.matching(await matching(query), [change.value]):
                return None
            return next(iter(await records([change.value])), None)

        async def stream() -> AsyncGenerator[bytes, None]:
            with feed.listen() as changes:
                yield format_sse_event(comment="connected")
                seen = feed.seq
                for change in await _missed(store, last_event_id, until=seen):
                    if text := await texts(change):
                        yield _sse(change, text)
                async with aclosing(_with_pauses(changes)) as coming:
                    async for found in coming:
                        if found is None:
                            yield format_sse_event(comment="still here")
                        elif found.seq > seen and (text := await texts(found)):
                            yield _sse(found, text)

        async def patient() -> AsyncIterator[bytes]:
            # The status is sent: what fails from here on ends the stream, and the page comes again.
            with suppress(StoreUnavailable):
                async with aclosing(stream()) as chunks:
                    async for chunk in chunks:
                        if await request.is_disconnected():
                            return
                        yield chunk

        # No proxy shall gather what is to be seen at once.
        return _Stream(patient(), headers={"x-accel-buffering": "no"})

    @routes.get("/health", response_model=answers.Health)
    async def health() -> Response:
        """Whether the store can be read."""
        if feed.fault:
            raise StoreUnavailable(feed.fault)
        fields = {"status": "ok", "events": len(index), "newest": index.newest}
        return Response(orjson.dumps(fields), media_type="application/json")

    return routes


async def _missed(store: Store, last_event_id: str, *, until: int) -> Sequence[Change]:
    """What a page that comes back has not seen; nothing where that is too much or not known."""
    if not last_event_id.isascii() or not last_event_id.isdigit():
        return []
    after = int(last_event_id)
    if not until - _RESUMED < after < until:
        return []
    changes = in_order(await asyncio.to_thread(store.changes, after))
    return [change for change in changes if change.seq <= until]


async def _with_pauses(changes: AsyncIterator[Change]) -> AsyncGenerator[Change | None, None]:
    """The changes, and None whenever none came for a while."""
    pending: asyncio.Task[Change] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(changes))
            done, _ = await asyncio.wait([pending], timeout=_KEEPALIVE_S)
            if not done:
                yield None
                continue
            task, pending = pending, None
            try:
                change = task.result()
            except StopAsyncIteration:
                return
            yield change
    finally:
        if pending:
            pending.cancel()


def _sse(change: Change, text: str) -> bytes:
    return format_sse_event(event=change.kind, id=str(change.seq), data_str=text)


def _position(cursor: str | None) -> tuple[datetime, str] | None:
    try:
        return from_cursor(cursor)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


def _missing(what: str, id_: str) -> HTTPException:
    return HTTPException(404, f"There is no {what} {id_}.")


def _json(**fields: bytes) -> Response:
    """An object of values that are JSON already."""
    parts = (orjson.dumps(name) + b":" + value for name, value in fields.items())
    return Response(b"{" + b",".join(parts) + b"}", media_type="application/json")


def _fields(row: Row[Any] | None) -> dict[str, Any] | None:
    # SQLAlchemy's names are a kind of str that orjson does not take for one.
    return {str(name): value for name, value in row._asdict().items()} if row else None


def _array(records: Sequence[str]) -> bytes:
    return b"[" + ",".join(records).encode() + b"]"


def _context(store: Store, record: dict[str, Any]) -> dict[str, str] | None:
    """The evidence in its text; None where that is not kept, or is another than was coded."""
    article = store.article(record["article"]["id"])
    if article is None:
        return None
    text = f"{article.title}\n\n{article.body}"
    evidence = record["evidence"]
    start, end = evidence["start"], evidence["end"]
    if text[start:end] != evidence["text"]:
        return None
    before = text[max(0, start - _CONTEXT_CHARS) : start]
    after = text[end : end + _CONTEXT_CHARS]
    if start > _CONTEXT_CHARS:  # not in the middle of a word
        before = "…" + before[before.find(" ") + 1 :]
    if end + _CONTEXT_CHARS < len(text):
        after = after[: after.rfind(" ") + 1] + "…"
    return {"before": before, "evidence": evidence["text"], "after": after}


def _summit(row: dict[str, Any]) -> dict[str, Any]:
    summit = entries.decode_entry(row["record"]).summit
    return {
        "summit_id": row["summit_id"],
        "name": summit.name,
        "status": summit.status,
        "date": summit.date,
        "place": summit.place,
        "participants": summit.participants,
        "first_seen": row["first_seen"],
        "as_of": row["as_of"],
        "articles": summit.articles,
        "open": row["open"],
        "day_from": row["day_from"],
        "day_to": row["day_to"],
    }


def _attachment(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="kasnec-{name}"'}


def _lines(
    store: Store, ids: Sequence[str], write: Callable[[Iterable[str]], bytes]
) -> Iterator[bytes]:
    """A download, some lines at a time."""
    if write is _csv:
        yield _row(_COLUMNS)
    for at in range(0, len(ids), _LINES):
        yield write(store.records(ids[at : at + _LINES]))


def _csv(records: Iterable[str]) -> bytes:
    return b"".join(_row(_cells(orjson.loads(text))) for text in records)


def _cells(record: dict[str, Any]) -> list[Any]:
    article, when, where = record["article"], record["date"] or {}, record["place"] or {}
    sides = (record["actors"], record["recipients"])
    parties = [
        ";".join(party[field] for party in side) for side in sides for field in ("code", "name")
    ]
    codes = record["codes"]
    return [
        record["event_id"], record["story_id"], article["id"], article["source"], article["url"],
        article["language"], article["published_at"], article["title"], record["type"],
        record["mode"], record["status"], *parties, when.get("value"), when.get("granularity"),
        where.get("name"), where.get("code"), where.get("latitude"), where.get("longitude"),
        codes["plover"], codes["cameo"], codes["quad_class"], codes["goldstein"],
        record["confidence"], record["model"], record["evidence"]["text"],
    ]  # fmt: skip


def _row(cells: Sequence[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([_harmless(cell) for cell in cells])
    return line.getvalue().encode()


def _harmless(cell: Any) -> Any:
    # CAMEO's codes and numbers stay as they are; what a spreadsheet would calculate does not.
    dangerous = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if dangerous else cell
