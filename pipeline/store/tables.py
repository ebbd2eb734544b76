"""The tables. Whoever reads the store by SQL (Grafana does) relies on these names.

An event lies in several tables: what is filtered and counted in narrow ones, the record as it was
on the wire in ``event_records``, so that nobody who counts has to read past the evidence.

``seq`` rises with every change to any table, in the order in which the changes became visible (see
``writing``): a reader that remembers the highest it saw misses nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

metadata: Final = MetaData(
    # Names that both databases agree on, so that a migration can speak of them.
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: ``timestamptz`` in PostgreSQL, ISO text in SQLite, which has no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# One row: the number of the last change. Whoever writes locks it first.
sequence: Final = Table(
    "sequence",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

articles: Final = Table(
    "articles",
    metadata,
    Column("article_id", Text, primary_key=True),
    Column("source", Text),
    Column("url", Text),
    Column("language", Text),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("stored_at", Moment, nullable=False, index=True),
)

events: Final = Table(
    "events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False, unique=True),
    Column("story_id", Text, nullable=False, index=True),
    Column("article_id", Text, nullable=False, index=True),
    Column("source", Text),
    Column("url", Text),
    Column("language", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("published_at", Moment, nullable=False, index=True),
    Column("type", Text, nullable=False),
    Column("mode", Text),
    Column("status", Text, nullable=False),
    Column("day_from", Date),
    Column("day_to", Date),
    Column("place_name", Text),
    Column("place_code", Text),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("plover", Text, nullable=False),
    Column("cameo", Text, nullable=False),
    Column("quad_class", Integer, nullable=False),
    Column("goldstein", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("model", Text, nullable=False),
    Column("stored_at", Moment, nullable=False),
)

# ``folded`` is what a search reads: title, evidence and names, see ``writing.folded``.
event_records: Final = Table(
    "event_records",
    metadata,
    Column("event_id", ForeignKey("events.event_id", ondelete="CASCADE"), primary_key=True),
    Column("record", Text, nullable=False),
    Column("folded", Text, nullable=False),
)

event_parties: Final = Table(
    "event_parties",
    metadata,
    Column("event_id", ForeignKey("events.event_id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("side", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text),
    Column("role", Text),
    Index(None, "code", "event_id"),
)

stories: Final = Table(
    "stories",
    metadata,
    Column("story_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("first_published", Moment, nullable=False),
    Column("last_published", Moment, nullable=False),
    Column("events", Integer, nullable=False),
    Column("articles", Integer, nullable=False),
    Column("sources", Integer, nullable=False),
    Index(None, "last_published", "story_id"),
)

summits: Final = Table(
    "summits",
    metadata,
    Column("summit_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("day_from", Date, index=True),
    Column("day_to", Date),
    Column("place_name", Text),
    Column("place_code", Text),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("first_seen", Moment, nullable=False),
    Column("as_of", Moment, nullable=False),
    Column("articles", Integer, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("record", Text, nullable=False),
)

summit_participants: Final = Table(
    "summit_participants",
    metadata,
    Column("summit_id", ForeignKey("summits.summit_id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
)

# The summit of an alert comes by another topic, perhaps later: no foreign key.
alerts: Final = Table(
    "alerts",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False, unique=True),
    Column("summit_id", Text, nullable=False, index=True),
    Column("event_id", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("told_at", Moment, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "told_at", "alert_id"),
)
