"""PLOVER's JSON lines: one object an event, compound actors as lists.

The fields are those of the manual's chapter "JSON Data Fields" (0.7b1). ``date`` is the act's own
day where it was done and that is known (``enddate`` closes a week, a month or a year), otherwise
the day of the article. ``link`` is our ``story_id``. ``kasnec`` keeps what PLOVER has no field for.
The sentence itself is not in it, as its rights are the publisher's: ``text_info`` says where it
stands in the article's title, an empty line, and body.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import orjson

from pipeline import __version__, reference
from pipeline.exports.dyads import day
from pipeline.exports.parties import Codes
from pipeline.records import HAPPENED, DiplomaticEvent, Party

CODEBOOK: Final = "plover-base-0.7b1"


def lines(event: DiplomaticEvent, codes: Codes) -> list[bytes]:
    """The event as one line."""
    return [orjson.dumps(_record(event, codes), option=orjson.OPT_APPEND_NEWLINE)]


def _record(event: DiplomaticEvent, codes: Codes) -> dict[str, Any]:
    table = reference.table("exports.toml")
    article = event.article
    begin, end = _days(event)
    mode = table["plover_modes"].get(event.mode) if event.codes.plover == "CONSULT" else None
    context = table["plover_contexts"].get(event.status)
    record = {
        "id": event.event_id,
        "has_event": True,
        "date": begin.isoformat(),
        "enddate": end.isoformat() if end else None,
        "source": _actors(event.actors, codes),
        "recipient": _actors(event.recipients, codes) or None,
        "event": [event.codes.plover],
        "event_text": [event.evidence.trigger.text],
        "event_loc": _location(event, codes),
        "quad_code": event.codes.quad_class,
        "event_scale": event.codes.goldstein,
        "mode": [mode] if mode else None,
        "context": [context] if context else None,
        "link": event.story_id,
        "text_info": {"start": event.evidence.start, "end": event.evidence.end},
        "cite_info": {
            "citation": article.id,
            "url": article.url,
            "title": article.title,
            "language": article.language,
            "publication": article.source,
            "coder": f"Kasnec {__version__}, models {event.model}",
            "codebook": CODEBOOK,
        },
        "kasnec": {
            "type": event.type,
            "mode": event.mode,
            "status": event.status,
            "date": event.date and event.date.value,
            "confidence": event.confidence,
            "published_at": article.published_at,
        },
    }
    return {name: value for name, value in record.items() if value is not None}


def _days(event: DiplomaticEvent) -> tuple[date, date | None]:
    known = event.date
    if not known or event.status not in HAPPENED or known.granularity == "day":
        return day(event), None
    if known.granularity == "week":
        first = date.fromisocalendar(int(known.value[:4]), int(known.value[6:]), 1)
        return first, first + timedelta(days=6)
    year = int(known.value[:4])
    if known.granularity == "month":
        month = int(known.value[5:7])
        return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
    return date(year, 1, 1), date(year, 12, 31)


def _actors(parties: Sequence[Party], codes: Codes) -> list[dict[str, str]]:
    actors = []
    for party in parties:
        coded = codes(party)
        fields = {
            "code": coded.code,
            "sector": coded.sector,
            "actor_text": party.text,
            "identifier_id": coded.organisation,
            "identifier_text": party.name,
            "office": party.role or "",
        }
        actors.append({name: value for name, value in fields.items() if value})
    return actors


def _location(event: DiplomaticEvent, codes: Codes) -> dict[str, Any] | None:
    place = event.place
    if not place:
        return None
    fields = {
        "name": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "country code": reference.states("iso").get(place.code),
        "cc3": codes.country(place.code),
    }
    return {name: value for name, value in fields.items() if value is not None}
