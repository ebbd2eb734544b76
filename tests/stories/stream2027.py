"""The summit stream of 2027 (``seeds/summits-2027.jsonl``) and its truth (``stream/``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from pipeline.records import DiplomaticEvent, SummitAlert
from pipeline.stories.register import Register
from tests.stories.builders import summit_event

STREAM = Path(__file__).parent / "stream"
ARTICLES = Path(__file__).parents[2] / "seeds" / "summits-2027.jsonl"


def read(name: str) -> list[dict[str, Any]]:
    """A file of the stream's truth."""
    lines = (STREAM / f"{name}.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


def perfect_events() -> Iterator[DiplomaticEvent]:
    """The mentions of the stream as an extractor without fault would give them."""
    articles = {a["id"]: a for a in map(orjson.loads, ARTICLES.read_bytes().splitlines())}
    participants = {s["summit_id"]: s["participants"] for s in read("summits")}
    for mention in read("mentions"):
        article = articles[mention["article"]]
        text = f"{article['title']}\n\n{article['body']}"
        at = text.index(mention["evidence"])
        event = summit_event(
            mention["article"],
            article["published_at"],
            participants[mention["summit_id"]],
            status=mention["status"],
            date=mention["date"],
            country=mention["place"],
            text=mention["evidence"],
            at=at,
        )
        # Its president "will not take part": by the codebook a cancelled CONSULT of that party.
        yield _only(event, ["SRB"]) if mention["article"] == "ld031" else event


def perfect_alerts() -> list[SummitAlert]:
    """What a register that nobody disturbs tells of ``perfect_events``."""
    register = Register()
    return [alert for event in perfect_events() if (alert := register.observe(event).alert)]


def _only(event: DiplomaticEvent, codes: Sequence[str]) -> DiplomaticEvent:
    staying_away = tuple(party for party in event.actors if party.code in codes)
    return replace(event, actors=staying_away, status="cancelled")
