"""The summit stream of 2027 as articles for the fake chain."""

from __future__ import annotations

from itertools import groupby

import orjson

from tests.stories.stream2027 import perfect_events

_PREFIX = "ld"  # of the ids of its articles


def stream_articles() -> list[bytes]:
    """The articles that mention summits, in their order; see ``EVENTS`` in ``fakes``."""
    return [
        orjson.dumps(
            {
                "id": article_id,
                "title": article_id,
                "body": "EVENTS " + orjson.dumps(list(events)).decode(),
                "published_at": "2026-11-23T08:00:00+01:00",
                "language": "sq",
            }
        )
        for article_id, events in groupby(perfect_events(), key=lambda e: e.article.id)
    ]


def among(others: list[bytes]) -> list[bytes]:
    """The stream's articles in their order, spread evenly among others."""
    ours = stream_articles()
    step = len(others) // len(ours)
    for number, article in enumerate(ours):
        others = [*others[: number * (step + 1)], article, *others[number * (step + 1) :]]
    return others


def one_partition(_value: bytes | None) -> bytes:
    """A key, so that all stay in order."""
    return b"stream"


def stream_in_one_partition(value: bytes | None) -> bytes:
    """A key, so that the stream's articles stay in order and the others are spread."""
    article_id = str(orjson.loads(value or b"")["id"])
    return one_partition(value) if article_id.startswith(_PREFIX) else article_id.encode()
