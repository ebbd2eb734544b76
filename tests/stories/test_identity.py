"""Ids are pure functions of content."""

from __future__ import annotations

from dataclasses import replace

from pipeline.records import EventDate, Party
from pipeline.stages.values import CodedEvent, Detection
from pipeline.stories.identity import event_id, story_id

PUBLISHED = "2026-11-23T10:00:00+01:00"


def party(code: str) -> Party:
    """A party of which only the code matters."""
    return Party(text=code, name=code, code=code, kind="LOC", role=None, start=0, end=1)


def day(value: str) -> EventDate:
    """A day."""
    return EventDate(value=value, granularity="day", text="")


EVENT = CodedEvent(
    Detection("CONSULT", "meeting", "planned", 0, 0, 4, 0.9),
    actors=(party("ALB"), party("XKX")),
    recipients=(),
    date=day("2026-11-26"),
    place=None,
)


def test_event_id_is_stable_across_versions() -> None:
    """The id of a statement never changes: dashboards and replays rely on it."""
    assert event_id("a1", "CONSULT", 10, 90) == "dfdbfde063a285862f5c1b04de9e055f"


def test_event_id_tells_statements_apart() -> None:
    """Article, type and span each make another id, and fields do not run into each other."""
    ids = {
        event_id("a1", "CONSULT", 1, 23),
        event_id("a1", "CONSULT", 12, 3),
        event_id("a1", "AGREE", 1, 23),
        event_id("a", "CONSULT", 1, 23),
    }
    assert len(ids) == 4


def test_the_same_story_in_other_words() -> None:
    """Wording, roles, order of parties, status, mode and the day in the week do not matter."""
    other = CodedEvent(
        Detection("CONSULT", "visit", "actual", 3, 50, 60, 0.5),
        actors=(party("XKX"),),
        recipients=(party("ALB"), party("UNK")),
        date=day("2026-11-27"),
        place=None,
    )
    assert story_id(EVENT, PUBLISHED) == story_id(other, "2026-11-27T08:00:00+01:00")


def test_other_stories() -> None:
    """Another week, party or type is another story."""
    others = [
        replace(EVENT, date=day("2026-12-03")),
        replace(EVENT, actors=(party("ALB"), party("SRB"))),
        replace(EVENT, detection=replace(EVENT.detection, type="AGREE", mode=None)),
    ]
    assert len({story_id(event, PUBLISHED) for event in [EVENT, *others]}) == 4


def test_without_a_date_the_week_of_publication_counts() -> None:
    """An undated event belongs to the week in which it was reported."""
    undated = replace(EVENT, date=None)
    assert story_id(undated, PUBLISHED) == story_id(EVENT, PUBLISHED)
    assert story_id(undated, "2026-12-03T10:00:00+01:00") != story_id(EVENT, PUBLISHED)
