"""Taking records out of the store: one by one, by pages, and what changed since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    and_,
    or_,
    select,
)

from pipeline.store import tables
from pipeline.store.database import available
from pipeline.store.writing import folded

# SQLite takes 32,766 values a statement; longer lists are read in several.
_CHUNK: Final = 5_000
# Other reports of a story that are shown beside one of its events.
_OTHERS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What was written after a number.

    Attributes:
        seq: of the newest change; where to go on.
        events: ids, in the order of their changes.
        summits: their rows, in this order.
        alerts: their records, in this order.
    """

    seq: int
    events: Sequence[tuple[int, str]]
    summits: Sequence[tuple[int, dict[str, Any]]]
    alerts: Sequence[tuple[int, str]]


class Store:
    """Reads the store.

    Every method raises ``StoreUnavailable`` where the database cannot be reached or has no tables.

    Args:
        engine: of the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def seq(self) -> int:
        """The number of the newest change."""
        with self._read() as connection:
            return self._seq(connection)

    def changes(self, after: int) -> Changes:
        """What was written after a change."""
        with self._read() as connection:
            seq = self._seq(connection)
            return Changes(
                seq=seq,
                events=[
                    (row.seq, row.event_id)
                    for row in connection.execute(_after(tables.events, after, "seq", "event_id"))
                ],
                summits=[
                    (row.seq, row._asdict())
                    for row in connection.execute(_after(tables.summits, after))
                ],
                alerts=[
                    (row.seq, row.record)
                    for row in connection.execute(_after(tables.alerts, after, "seq", "record"))
                ],
            )

    def event_rows(self, after: int, limit: int) -> list[Row[Any]]:
        """The narrow rows of the events after a change, oldest change first."""
        table = tables.events
        columns = (
            "event_id", "seq", "story_id", "article_id", "source", "language", "published_at",
            "type", "mode", "status", "place_name", "place_code", "latitude", "longitude",
            "goldstein", "confidence",
        )  # fmt: skip
        query = _after(table, after, *columns).limit(limit)
        with self._read() as connection:
            return list(connection.execute(query))

    def parties(self, event_ids: Sequence[str]) -> list[tuple[str, str, str]]:
        """Event id, side and code of the parties of events, in their order."""
        table = tables.event_parties
        query = select(table.c.event_id, table.c.side, table.c.code)
        rows = self._of(query, table.c.event_id, event_ids, table.c.position)
        return [(row.event_id, row.side, row.code) for row in rows]

    def records(self, event_ids: Sequence[str]) -> Iterator[str]:
        """The records of events, in the order of the ids; those not there are left out."""
        table = tables.event_records
        for at in range(0, len(event_ids), _CHUNK):
            some = event_ids[at : at + _CHUNK]
            query = select(table.c.event_id, table.c.record)
            found = {row.event_id: row.record for row in self._of(query, table.c.event_id, some)}
            yield from (found[event_id] for event_id in some if event_id in found)

    def search(self, words: str) -> list[str]:
        """Ids of the events whose title, evidence or names hold these words, side by side."""
        table = tables.event_records
        query = select(table.c.event_id).where(
            table.c.folded.contains(folded(words), autoescape=True)
        )
        with self._read() as connection:
            return list(connection.scalars(query))

    def others(self, story_id: str, event_id: str) -> list[str]:
        """Records of the newest other events of a story."""
        table, records = tables.events, tables.event_records
        query = (
            select(records.c.record)
            .join(table, table.c.event_id == records.c.event_id)
            .where(table.c.story_id == story_id, table.c.event_id != event_id)
            .order_by(table.c.published_at.desc(), table.c.event_id.desc())
            .limit(_OTHERS)
        )
        with self._read() as connection:
            return list(connection.scalars(query))

    def article(self, article_id: str) -> Row[Any] | None:
        """The article, where its text is kept."""
        table = tables.articles
        return self._one(select(table).where(table.c.article_id == article_id))

    def story(self, story_id: str) -> Row[Any] | None:
        """A story."""
        return self._one(select(tables.stories).where(tables.stories.c.story_id == story_id))

    def story_events(self, story_id: str, limit: int) -> list[str]:
        """Ids of a story's events, oldest first."""
        table = tables.events
        query = (
            select(table.c.event_id)
            .where(table.c.story_id == story_id)
            .order_by(table.c.published_at, table.c.event_id)
            .limit(limit)
        )
        with self._read() as connection:
            return list(connection.scalars(query))

    def stories(self, before: tuple[datetime, str] | None, limit: int) -> list[Row[Any]]:
        """Stories, those reported last first, after the one that a page ended with."""
        table = tables.stories
        return self._page(select(table), table.c.last_published, table.c.story_id, before, limit)

    def alerts(self, before: tuple[datetime, str] | None, limit: int) -> list[Row[Any]]:
        """Alerts, those told last first, after the one that a page ended with."""
        table = tables.alerts
        return self._page(select(table), table.c.told_at, table.c.alert_id, before, limit)

    def summits(
        self,
        *,
        statuses: Sequence[str] = (),
        parties: Sequence[str] = (),
        places: Sequence[str] = (),
        first: date | None = None,
        last: date | None = None,
        open_: bool | None = None,
        limit: int,
    ) -> list[Row[Any]]:
        """Summits by their day, those without one at the end.

        Args:
            statuses: any of these.
            parties: codes, one of which takes part.
            places: codes of countries.
            first: not over before this day.
            last: not begun after it.
            open_: whether the register still follows it.
            limit: at most so many.
        """
        table, members = tables.summits, tables.summit_participants
        wanted: list[ColumnElement[bool]] = []
        if statuses:
            wanted.append(table.c.status.in_(statuses))
        if parties:
            theirs = select(members.c.summit_id).where(members.c.code.in_(parties))
            wanted.append(table.c.summit_id.in_(theirs))
        if places:
            wanted.append(table.c.place_code.in_(places))
        if first:
            wanted.append(table.c.day_to >= first)
        if last:
            wanted.append(table.c.day_from <= last)
        if open_ is not None:
            wanted.append(table.c.open == open_)
        query = (
            select(table)
            .where(and_(True, *wanted))
            .order_by(table.c.day_from.is_(None), table.c.day_from, table.c.summit_id)
            .limit(limit)
        )
        with self._read() as connection:
            return list(connection.execute(query))

    def summit(self, summit_id: str) -> Row[Any] | None:
        """A summit."""
        return self._one(select(tables.summits).where(tables.summits.c.summit_id == summit_id))

    def alerts_of(self, summit_id: str) -> list[str]:
        """The records of a summit's alerts, oldest first."""
        table = tables.alerts
        query = (
            select(table.c.record)
            .where(table.c.summit_id == summit_id)
            .order_by(table.c.told_at, table.c.seq)
        )
        with self._read() as connection:
            return list(connection.scalars(query))

    @staticmethod
    def _seq(connection: Connection) -> int:
        return int(connection.execute(select(tables.sequence.c.value)).scalar_one())

    def _one(self, query: Select[Any]) -> Row[Any] | None:
        with self._read() as connection:
            return connection.execute(query).one_or_none()

    def _of(
        self, query: Select[Any], key: ColumnElement[str], ids: Sequence[str], *order: Any
    ) -> list[Row[Any]]:
        rows: list[Row[Any]] = []
        with self._read() as connection:
            for at in range(0, len(ids), _CHUNK):
                some = query.where(key.in_(ids[at : at + _CHUNK])).order_by(key, *order)
                rows.extend(connection.execute(some))
        return rows

    def _page(
        self,
        query: Select[Any],
        moment: ColumnElement[datetime],
        key: ColumnElement[str],
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Row[Any]]:
        if before:
            query = query.where(or_(moment < before[0], and_(moment == before[0], key < before[1])))
        with self._read() as connection:
            return list(connection.execute(query.order_by(moment.desc(), key.desc()).limit(limit)))

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with available(), self._engine.connect() as connection:
            yield connection


def _after(table: Table, seq: int, *columns: str) -> Select[Any]:
    chosen = [table.c[name] for name in columns] or list(table.c)
    return select(*chosen).where(table.c.seq > seq).order_by(table.c.seq)
