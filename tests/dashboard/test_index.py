"""Filters and counts over columns, against the plain way of saying the same."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.dashboard.index import EventIndex, EventRow, Filters

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def row(number: int, **fields: Any) -> EventRow:
    """An event; every field has a value of its own."""
    values: dict[str, Any] = {
        "event_id": f"e{number}", "seq": number,
        "story_id": f"s{number}", "article_id": f"a{number}",
        "source": "Albapres", "language": "sq", "published_at": NOON + timedelta(hours=number),
        "type": "CONSULT", "mode": "meeting", "status": "actual", "place_name": "Skopje",
        "place_code": "MKD", "latitude": 42.0, "longitude": 21.4, "goldstein": 1.0,
        "confidence": 0.9, "actors": ("ALB", "MKD"), "recipients": (),
    }  # fmt: skip
    return EventRow(**values | fields)


def index(*rows: EventRow) -> EventIndex:
    """An index of these."""
    found = EventIndex()
    found.add(rows)
    return found


def crowd(count: int) -> list[EventRow]:
    """Many events, of few values each."""
    chance = random.Random(7)
    codes = ["ALB", "MKD", "SRB", "XKX", "EU"]
    return [
        row(
            number,
            type=chance.choice(["CONSULT", "ACCUSE", "AID"]),
            status=chance.choice(["actual", "planned"]),
            source=chance.choice(["Albapres", None, "Tjetra"]),
            published_at=NOON + timedelta(hours=chance.randrange(50)),
            confidence=chance.random(),
            actors=tuple(chance.sample(codes, chance.randrange(3))),
            recipients=tuple(chance.sample(codes, chance.randrange(2))),
        )
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(), lambda _: True),
        (Filters(type=["ACCUSE", "AID"]), lambda e: e.type != "CONSULT"),
        (Filters(type=["NONE"]), lambda _: False),
        (Filters(status=["planned"], source=["Tjetra"]),
         lambda e: e.status == "planned" and e.source == "Tjetra"),
        (Filters(party=["SRB", "EU"]), lambda e: {"SRB", "EU"} & {*e.actors, *e.recipients}),
        (Filters(since=NOON + timedelta(hours=10), until=NOON + timedelta(hours=20)),
         lambda e: timedelta(hours=10) <= e.published_at - NOON < timedelta(hours=20)),
        (Filters(min_confidence=0.5), lambda e: e.confidence >= 0.5),
        (Filters(story="s7"), lambda e: e.story_id == "s7"),
        (Filters(events=["e3", "e9", "nobody"]), lambda e: e.event_id in ("e3", "e9")),
    ],
)  # fmt: skip
def test_filters_mean_what_they_say(filters: Filters, wanted: Any) -> None:
    """The columns find what a walk over the rows finds, and count it alike."""
    rows = crowd(500)
    found = index(*rows)
    mask = found.match(filters)
    expected = [event for event in rows if wanted(event)]
    assert set(found.ids(mask)) == {event.event_id for event in expected}
    assert {c["key"]: c["count"] for c in found.counts(mask, "type")} == Counter(
        event.type for event in expected
    )
    assert {c["key"]: c["count"] for c in found.counts(mask, "party")} == Counter(
        code for event in expected for code in {*event.actors, *event.recipients}
    )
    assert sum(slot["count"] for slot in found.timeline(mask, by="type", bucket="day")) == len(
        expected
    )


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    """Newest first, also where many were published at once."""
    rows = crowd(300)
    found = index(*rows)
    mask = found.match(Filters())
    seen: list[str] = []
    after = None
    while True:
        ids, after = found.page(mask, after=after, limit=7)
        seen += ids
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 300
    moments = {event.event_id: event.published_at for event in rows}
    assert [moments[id_] for id_ in seen] == sorted(moments.values(), reverse=True)
    assert seen == found.ids(mask)


def test_a_page_goes_on_where_it_was_though_newer_events_came() -> None:
    """The order does not depend on what came in between or on the process."""
    rows = crowd(100)
    found = index(*rows)
    first, after = found.page(found.match(Filters()), after=None, limit=40)
    again = index(*reversed(rows), row(500, published_at=NOON + timedelta(days=9)))
    second, _ = again.page(again.match(Filters()), after=after, limit=60)
    assert first + second == found.ids(found.match(Filters()))


def test_an_event_that_comes_again_is_counted_once() -> None:
    """As it is now."""
    found = index(row(1, status="planned"), row(2))
    found.add([row(3, event_id="e1", status="cancelled", actors=("EU",))])
    mask = found.match(Filters())
    assert len(found) == 2
    assert sorted(found.ids(mask)) == ["e1", "e2"]
    assert {c["key"] for c in found.counts(mask, "status")} == {"actual", "cancelled"}
    assert found.match(Filters(party=["EU"])).sum() == 1
    assert found.match(Filters(status=["planned"])).sum() == 0


@pytest.mark.parametrize(
    ("bucket", "start"),
    [("hour", "2027-03-04T23:00Z"), ("day", "2027-03-04"), ("week", "2027-03-01"),
     ("month", "2027-03-01")],
)  # fmt: skip
def test_time_is_counted_from_where_its_stretch_begins(bucket: Any, start: str) -> None:
    """Weeks begin on Monday; 4 March 2027 is a Thursday."""
    found = index(row(1, published_at=datetime(2027, 3, 4, 23, 59, tzinfo=UTC)))
    slots = found.timeline(found.match(Filters()), by="status", bucket=bucket)
    assert slots == [{"start": start, "key": "actual", "count": 1}]


def test_what_is_done_together_is_one_pair_and_what_is_done_to_another_has_a_direction() -> None:
    """CONSULT of three is three pairs; an accusation goes one way."""
    found = index(
        row(1, actors=("SRB", "ALB", "MKD")),
        row(2, actors=("MKD",), recipients=("ALB",)),
        row(3, type="ACCUSE", actors=("SRB",), recipients=("ALB",), goldstein=-2.0),
        row(4, type="ACCUSE", actors=("SRB", "MKD")),
    )
    pairs = {
        (pair["actor"], pair["recipient"]): (pair["count"], pair["goldstein"])
        for pair in found.dyads(found.match(Filters()))
    }
    assert pairs == {
        ("ALB", "MKD"): (2, 1.0),
        ("ALB", "SRB"): (1, 1.0),
        ("MKD", "SRB"): (1, 1.0),
        ("SRB", "ALB"): (1, -2.0),
    }


def test_places_without_coordinates_are_on_no_map() -> None:
    """They are counted by country all the same."""
    found = index(row(1), row(2, latitude=None, longitude=None), row(3, place_name=None))
    mask = found.match(Filters())
    assert [(p["name"], p["count"]) for p in found.places(mask)] == [("Skopje", 1)]
    assert found.counts(mask, "place") == [{"key": "MKD", "count": 3}]


def test_an_empty_index_has_nothing_to_tell() -> None:
    """And does not fail."""
    found = EventIndex()
    mask = found.match(Filters(type=["CONSULT"], party=["ALB"], events=["e1"]))
    assert found.page(mask, after=None, limit=5) == ([], None)
    assert found.timeline(mask, by="type", bucket="day") == []
    assert found.dyads(mask) == found.places(mask) == found.counts(mask, "party") == []
    assert found.newest is None
