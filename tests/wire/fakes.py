"""A chain without models: fast, deterministic, and it misbehaves on request.

The words of an article's body say what happens: ``RAISE`` raises, ``HANG`` never returns, ``DIE``
kills the process, ``SLOW`` takes a fifth of a second, ``BUSY`` keeps the processor for three.
``EVENTS`` and a list of records after it are its events.
"""

from __future__ import annotations

import os
import signal
import time
import zlib
from collections.abc import Sequence

import orjson

from pipeline.errors import BadInput, StageFailed
from pipeline.records import (
    AnnotatedArticle,
    ArticleRef,
    Codes,
    DiplomaticEvent,
    EventType,
    Evidence,
    RawArticle,
    SentenceSpan,
    Trigger,
    decode_event,
)
from pipeline.stages.timings import Timings
from pipeline.stages.values import Extraction
from pipeline.stories.identity import event_id


class FakeChain:
    """Gives every article zero to two events, by a checksum of its id."""

    def __init__(self) -> None:
        self.timings = Timings()

    def run(self, articles: Sequence[RawArticle]) -> list[Extraction | BadInput]:
        """One result an article."""
        return [self._one(article) for article in articles]

    def _one(self, article: RawArticle) -> Extraction | BadInput:
        if "RAISE" in article.body:
            return StageFailed("stage-raised", "asked for", stage="entities")
        if "HANG" in article.body:
            time.sleep(3600)
        if "DIE" in article.body:
            os.kill(os.getpid(), signal.SIGKILL)
        if "SLOW" in article.body:
            time.sleep(0.2)
        if "BUSY" in article.body:
            until = time.monotonic() + 3
            while time.monotonic() < until:
                pass
        with self.timings.measure("tokenise"):
            return extraction(article)


def extraction(article: RawArticle) -> Extraction:
    """What the fake chain makes of an article."""
    ref = ArticleRef(
        id=article.id,
        source=article.source,
        url=article.url,
        language="sq",
        title=article.title,
        published_at=article.published_at,
    )
    end = len(article.text)
    if "EVENTS" in article.body:
        records = orjson.loads(article.body.partition("EVENTS")[2])
        events = tuple(decode_event(orjson.dumps(record)) for record in records)
        return Extraction(
            AnnotatedArticle(article=ref, sentences=(SentenceSpan(start=0, end=end),), entities=()),
            events,
        )
    both: tuple[EventType, ...] = ("CONSULT", "ACCUSE")
    types = both[: zlib.crc32(article.id.encode()) % 3]
    return Extraction(
        AnnotatedArticle(article=ref, sentences=(SentenceSpan(start=0, end=end),), entities=()),
        tuple(
            DiplomaticEvent(
                event_id=event_id(article.id, kind, 0, end),
                story_id=f"story-{zlib.crc32(article.id.encode()) % 7}",
                article=ref,
                type=kind,
                mode="meeting" if kind == "CONSULT" else None,
                status="actual",
                actors=(),
                recipients=(),
                date=None,
                place=None,
                evidence=Evidence(
                    start=0, end=end, text=article.text, trigger=Trigger(start=0, end=0, text="")
                ),
                codes=Codes(plover=kind, cameo="040", quad_class=1, goldstein=1.0),
                confidence=0.5,
                model="fake",
            )
            for kind in types
        ),
    )


def fake_chain(enabled: tuple[str, ...], kosovo_code: str) -> FakeChain:
    """A ``ChainFactory``."""
    assert enabled
    assert kosovo_code
    return FakeChain()


class BuggyChain(FakeChain):
    """Answers with something that is no record: a fault of ours, not of the article."""

    def run(self, articles: Sequence[RawArticle]) -> list[Extraction | BadInput]:
        """Nothing that anybody can encode."""
        return [object() for _ in articles]  # type: ignore[misc]


def buggy_chain(enabled: tuple[str, ...], kosovo_code: str) -> BuggyChain:
    """A ``ChainFactory``."""
    assert enabled
    assert kosovo_code
    return BuggyChain()


def broken_chain(enabled: tuple[str, ...], kosovo_code: str) -> FakeChain:
    """A ``ChainFactory`` whose models do not load."""
    msg = f"the models of {enabled[0]} ({kosovo_code}) are corrupted"
    raise RuntimeError(msg)
