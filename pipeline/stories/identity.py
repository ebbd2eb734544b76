"""The ids of records: pure functions of their content, so that a redelivery overwrites.

``event_id`` is a statement in one article. ``story_id`` is the real-world event: its key is what
happened among whom and when, never the wording. It is stateless: it joins reports that agree on
type, parties and week, and cannot join one that names fewer parties than another; incremental
matching is the story register's work.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from typing import Final

from pipeline.records import EventType
from pipeline.stages.values import CodedEvent

# 128 bits in hexadecimal: a collision among a billion records has a chance under 10⁻²⁰.
_DIGITS: Final = 32


def event_id(article_id: str, type_: EventType, start: int, end: int) -> str:
    """The id of the event that the article states in ``[start, end)``; 32 hexadecimal digits."""
    return digest(article_id, type_, str(start), str(end))


def story_id(event: CodedEvent, published_at: str) -> str:
    """The id of the real-world event; 32 hexadecimal digits.

    Args:
        event: the coded event.
        published_at: RFC 3339; stands in for the date of an event that has none.
    """
    parties = sorted({p.code for p in (*event.actors, *event.recipients) if p.code != "UNK"})
    when = _week(event.date.value if event.date else "", published_at)
    return digest(event.detection.type, *parties, when)


def _week(value: str, published_at: str) -> str:
    """The ISO week of a date; a month or a year stands as it is."""
    if not value:
        day = datetime.fromisoformat(published_at).date()
    elif len(value) == len("2025-09-03") and "W" not in value:
        day = date.fromisoformat(value)
    else:
        return value
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def digest(*parts: str) -> str:
    """32 hexadecimal digits of the parts in their order."""
    joined = "\0".join(parts)  # ids have no NUL: the decoder refuses control characters
    return hashlib.sha256(joined.encode()).hexdigest()[:_DIGITS]
