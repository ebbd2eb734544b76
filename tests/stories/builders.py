"""Events made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline.records import (
    ArticleRef,
    Codes,
    DiplomaticEvent,
    EventDate,
    EventType,
    Evidence,
    Granularity,
    Mode,
    Party,
    Place,
    Status,
    Trigger,
)
from pipeline.stories.identity import event_id

_FORMS: dict[int, Granularity] = {4: "year", 7: "month", 8: "week", 10: "day"}
CITIES = {
    "Istanbul": ("TUR", 41.0, 29.0),
    "Antalya": ("TUR", 36.9, 30.7),
    "Sarajevo": ("BIH", 43.8, 18.4),
    "Vilnius": ("LTU", 54.7, 25.3),
    "Podgorica": ("MNE", 42.4, 19.3),
    "Skopje": ("MKD", 42.0, 21.4),
}


def summit_event(
    article: str,
    published: str,
    parties: Sequence[str] = ("TUR", "SRB", "BIH"),
    *,
    status: Status = "planned",
    date: str | None = None,
    place: str | None = None,
    country: str | None = None,
    text: str = "Liderët do të takohen.",
    mode: Mode | None = "summit",
    type_: EventType = "CONSULT",
    at: int = 0,
    confidence: float = 0.9,
) -> DiplomaticEvent:
    """An event of an article that was published on a day (or moment) of 2027.

    ``place`` is a city of ``CITIES``, ``country`` the code of a place that is no more than that.
    """
    code, latitude, longitude = CITIES[place] if place else (country or "", None, None)
    end = at + len(text)
    return DiplomaticEvent(
        event_id=event_id(article, type_, at, end),
        story_id="0" * 32,
        article=ArticleRef(
            id=article,
            source="Albapres",
            url=None,
            language="sq",
            title="",
            published_at=published if "T" in published else f"{published}T09:00:00+02:00",
        ),
        type=type_,
        mode=mode,
        status=status,
        actors=tuple(
            Party(text=c, name=c, code=c, kind="LOC", role=None, start=None, end=None)
            for c in parties
        ),
        recipients=(),
        date=EventDate(value=date, granularity=_form(date), text="") if date else None,
        place=Place(
            text=place or code,
            name=place or code,
            code=code,
            latitude=latitude,
            longitude=longitude,
        )
        if code
        else None,
        evidence=Evidence(start=at, end=end, text=text, trigger=Trigger(start=at, end=at, text="")),
        codes=Codes(plover="CONSULT", cameo="040", quad_class=1, goldstein=1.0),
        confidence=confidence,
        model="sq-2026.12",
    )


def _form(value: str) -> Literal["day", "week", "month", "year"]:
    return _FORMS[len(value)]
