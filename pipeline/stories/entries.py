"""A summit as the register keeps it, and its record on the register's topic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import orjson

from pipeline.records import Change, EventDate, Place, Status, Summit, SummitAlert

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert of a summit's life: what changed, by which article, and the state after it."""

    published_at: str
    article_id: str
    change: Change
    status: Status
    date: EventDate | None
    place: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An article that mentioned a summit, as people are shown it."""

    id: str
    source: str | None
    url: str | None
    title: str
    published_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A summit with what the register needs to go on.

    Attributes:
        summit_id: 32 hexadecimal digits, from the event that opened it.
        summit: the state as alerts show it.
        as_of: publication time of the newest article that said something, UTC.
        mentions: hashes of (article id, event id) of what mentioned it, oldest first.
        given_up: days that it was once to be held on: who names them is not up to date.
        history: its alerts, oldest first.
        sources: the articles that mentioned it last, oldest first.
    """

    summit_id: str
    summit: Summit
    as_of: datetime
    mentions: tuple[tuple[int, int], ...]
    given_up: tuple[str, ...]
    history: tuple[Told, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRecord:
    """Topic ``summits.register``, keyed by the summit's id and compacted; a null value forgets it.

    Ours to change: downstream users read ``alerts.summits`` or ``kasnec summits --json``.

    Attributes:
        entry: the summit after a mention.
        alert: the alert that this mention causes, not published before this record is.
    """

    schema: Literal["summit-register/1"] = "summit-register/1"
    entry: Entry
    alert: SummitAlert | None


def encode(record: EntryRecord) -> bytes:
    """The record as one JSON object, UTF-8."""
    return orjson.dumps(record)


def encode_entry(entry: Entry) -> bytes:
    """A summit alone as one JSON object, UTF-8."""
    return orjson.dumps(entry)


def decode_entry(value: bytes | str) -> Entry:
    """The summit of ``encode_entry``.

    Raises:
        ValueError: it is none.
    """
    entry: Entry = _adapter(Entry).validate_json(value)
    return entry


def decode(value: bytes) -> EntryRecord:
    """The record of a message.

    Raises:
        ValueError: it is none.
    """
    record: EntryRecord = _adapter(EntryRecord).validate_json(value)
    return record


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - extraction alone reads no entries

    return TypeAdapter(kind)
