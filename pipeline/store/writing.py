"""Putting records into the store. Writing the same records again changes nothing.

Every transaction first takes numbers from the one row of ``sequence``, which locks it until the
end: writers follow each other, and what has a higher number became visible later.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, bindparam, delete, func, insert, select, update

from pipeline.records import DiplomaticEvent, EventDate, Place, RawArticle, SummitAlert, encode
from pipeline.store import tables
from pipeline.store.database import transaction
from pipeline.stories import entries
from pipeline.stories.entries import Entry
from pipeline.stories.when import days, moment

# SQLite takes 32,766 values a statement, PostgreSQL 65,535.
_CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is written in one transaction, the newest of each id.

    Attributes:
        articles: by their ids.
        events: by their ids.
        summits: by their ids.
        closed: ids of summits that the register has let go of since.
        alerts: by their ids, each with the moment it was told.
    """

    articles: Mapping[str, RawArticle]
    events: Mapping[str, DiplomaticEvent]
    summits: Mapping[str, Entry]
    closed: Collection[str]
    alerts: Mapping[str, tuple[SummitAlert, datetime]]

    def __len__(self) -> int:
        """Number of records."""
        parts = (self.articles, self.events, self.summits, self.closed, self.alerts)
        return sum(len(part) for part in parts)


def write(engine: Engine, batch: Batch, *, now: datetime) -> int:
    """Store a batch, all of it or nothing.

    Args:
        engine: of the store.
        batch: what came.
        now: for ``stored_at``.

    Returns:
        How many records were new or changed.

    Raises:
        StoreUnavailable: the database cannot be reached.
        DataError: PostgreSQL cannot hold a value (SQLAlchemy's error).
    """
    if not batch:
        return 0
    with transaction(engine) as connection:
        number = _numbers(connection, len(batch))
        changed = _articles(connection, batch.articles, now)
        changed += _events(connection, batch.events, number, now)
        changed += _summits(connection, batch.summits, number)
        changed += _close(connection, batch.closed, number)
        changed += _alerts(connection, batch.alerts, number)
    return changed


def forget_articles(engine: Engine, *, before: datetime) -> int:
    """Delete the texts of articles that were stored before; the number of them.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    gone = delete(tables.articles).where(tables.articles.c.stored_at < before)
    with transaction(engine) as connection:
        return connection.execute(gone).rowcount


def folded(text: str) -> str:
    """What a search compares: without case and diacritics, as people type ``Prishtine``."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _numbers(connection: Connection, count: int) -> Callable[[], int]:
    table = tables.sequence
    last = connection.execute(
        update(table).values(value=table.c.value + count).returning(table.c.value)
    ).scalar_one()
    free = iter(range(last - count + 1, last + 1))
    return lambda: next(free)


def _articles(connection: Connection, new: Mapping[str, RawArticle], now: datetime) -> int:
    rows = [
        {
            "article_id": article.id,
            "source": article.source,
            "url": article.url,
            "language": article.language,
            "title": article.title,
            "body": article.body,
            "published_at": moment(article.published_at),
            "stored_at": now,
        }
        for article in new.values()
    ]
    _replace(connection, tables.articles, rows)
    return len(rows)


def _events(
    connection: Connection,
    new: Mapping[str, DiplomaticEvent],
    number: Callable[[], int],
    now: datetime,
) -> int:
    records = {event_id: encode(event).decode() for event_id, event in new.items()}
    known = _column(connection, tables.event_records, "event_id", "record", records)
    changed = [event for id_, event in new.items() if known.get(id_) != records[id_]]
    if not changed:
        return 0
    ids = [event.event_id for event in changed]
    # An event that is coded anew can move to another story: the one that it leaves is counted too.
    touched = {
        *_column(connection, tables.events, "event_id", "story_id", ids).values(),
        *(event.story_id for event in changed),
    }
    _replace(connection, tables.events, [_event(event, number(), now) for event in changed])
    _insert(
        connection,
        tables.event_records,
        [
            {
                "event_id": event.event_id,
                "record": records[event.event_id],
                "folded": folded(_searched(event)),
            }
            for event in changed
        ],
    )
    _insert(connection, tables.event_parties, [row for event in changed for row in _parties(event)])
    _count_stories(connection, touched)
    return len(changed)


def _event(event: DiplomaticEvent, seq: int, now: datetime) -> dict[str, Any]:
    article = event.article
    return {
        "event_id": event.event_id,
        "seq": seq,
        "story_id": event.story_id,
        "article_id": article.id,
        "source": article.source,
        "url": article.url,
        "language": article.language,
        "title": article.title,
        "published_at": moment(article.published_at),
        "type": event.type,
        "mode": event.mode,
        "status": event.status,
        **_days(event.date),
        **_place(event.place),
        "plover": event.codes.plover,
        "cameo": event.codes.cameo,
        "quad_class": event.codes.quad_class,
        "goldstein": event.codes.goldstein,
        "confidence": event.confidence,
        "model": event.model,
        "stored_at": now,
    }


def _searched(event: DiplomaticEvent) -> str:
    parties = [*event.actors, *event.recipients]
    names = [name for party in parties for name in (party.name, party.text)]
    places = [event.place.name] if event.place else []
    return "\n".join(dict.fromkeys([event.article.title, event.evidence.text, *names, *places]))


def _parties(event: DiplomaticEvent) -> list[dict[str, Any]]:
    sides = [("actor", party) for party in event.actors]
    sides += [("recipient", party) for party in event.recipients]
    return [
        {
            "event_id": event.event_id,
            "position": position,
            "side": side,
            "code": party.code,
            "name": party.name,
            "kind": party.kind,
            "role": party.role,
        }
        for position, (side, party) in enumerate(sides)
    ]


def _days(when: EventDate | None) -> dict[str, date | None]:
    if when is None:
        return {"day_from": None, "day_to": None}
    span = days(when.value)
    return {"day_from": span.first, "day_to": span.last}


def _place(place: Place | None) -> dict[str, Any]:
    return {
        "place_name": place and place.name,
        "place_code": place and place.code,
        "latitude": place and place.latitude,
        "longitude": place and place.longitude,
    }


def _count_stories(connection: Connection, story_ids: Iterable[str]) -> None:
    """Write the stories anew from their events."""
    table = tables.events
    rows: list[dict[str, Any]] = []
    for chunk in _chunks(sorted(story_ids)):
        counted = connection.execute(
            select(
                table.c.story_id,
                func.min(table.c.published_at).label("first_published"),
                func.max(table.c.published_at).label("last_published"),
                func.count().label("events"),
                func.count(table.c.article_id.distinct()).label("articles"),
                func.count(table.c.source.distinct()).label("sources"),
            )
            .where(table.c.story_id.in_(chunk))
            .group_by(table.c.story_id)
        )
        # What the newest report says of it; of two at one moment the one with the greater id.
        place = func.row_number().over(
            partition_by=table.c.story_id,
            order_by=(table.c.published_at.desc(), table.c.event_id.desc()),
        )
        ranked = (
            select(table.c.story_id, table.c.type, table.c.status, place.label("place"))
            .where(table.c.story_id.in_(chunk))
            .subquery()
        )
        newest = {
            row.story_id: {"type": row.type, "status": row.status}
            for row in connection.execute(select(ranked).where(ranked.c.place == 1))
        }
        rows += [{**row, **newest[row["story_id"]]} for row in counted.mappings()]
        connection.execute(delete(tables.stories).where(tables.stories.c.story_id.in_(chunk)))
    _insert(connection, tables.stories, rows)


def _summits(connection: Connection, new: Mapping[str, Entry], number: Callable[[], int]) -> int:
    table = tables.summits
    known = _column(connection, table, "summit_id", "record", new)
    was_open = _column(connection, table, "summit_id", "open", new)
    records = {id_: entries.encode_entry(entry).decode() for id_, entry in new.items()}
    changed = [
        entry for id_, entry in new.items() if known.get(id_) != records[id_] or not was_open[id_]
    ]
    _replace(
        connection,
        table,
        [_summit(entry, records[entry.summit_id], number()) for entry in changed],
    )
    _insert(
        connection,
        tables.summit_participants,
        [
            {"summit_id": entry.summit_id, "position": at, "code": who.code, "name": who.name}
            for entry in changed
            for at, who in enumerate(entry.summit.participants)
        ],
    )
    return len(changed)


def _close(connection: Connection, gone: Collection[str], number: Callable[[], int]) -> int:
    """Mark what the register has let go of: people still want to read of it."""
    table = tables.summits
    was_open = _column(connection, table, "summit_id", "open", gone)
    closed = [id_ for id_, is_open in was_open.items() if is_open]
    for id_ in closed:
        connection.execute(
            update(table).where(table.c.summit_id == id_).values(open=False, seq=number())
        )
    return len(closed)


def _summit(entry: Entry, record: str, seq: int) -> dict[str, Any]:
    summit = entry.summit
    return {
        "summit_id": entry.summit_id,
        "seq": seq,
        "name": summit.name,
        "status": summit.status,
        **_days(summit.date),
        **_place(summit.place),
        "first_seen": moment(summit.first_seen),
        "as_of": entry.as_of,
        "articles": summit.articles,
        "open": True,
        "record": record,
    }


def _alerts(
    connection: Connection,
    new: Mapping[str, tuple[SummitAlert, datetime]],
    number: Callable[[], int],
) -> int:
    # An alert that is told twice was told the first time.
    known = _column(connection, tables.alerts, "alert_id", "seq", new)
    rows = [
        {
            "alert_id": alert.alert_id,
            "seq": number(),
            "summit_id": alert.summit_id,
            "event_id": alert.event.event_id,
            "change": alert.change,
            "status": alert.summit.status,
            "told_at": told_at,
            "record": encode(alert).decode(),
        }
        for alert, told_at in new.values()
        if alert.alert_id not in known
    ]
    _insert(connection, tables.alerts, rows)
    return len(rows)


def _replace(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows in the place of those with their ids, which take what hangs on them with them."""
    if rows:
        (key,) = table.primary_key
        gone = delete(table).where(key == bindparam("gone"))
        connection.execute(gone, [{"gone": row[key.name]} for row in rows])
        _insert(connection, table, rows)


def _insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _column(
    connection: Connection, table: Table, key: str, column: str, ids: Iterable[str]
) -> dict[str, Any]:
    """Of the rows with these ids, what stands in a column."""
    found: dict[str, Any] = {}
    for chunk in _chunks(list(ids)):
        query = select(table.c[key], table.c[column]).where(table.c[key].in_(chunk))
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))
