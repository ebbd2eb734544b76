"""What the API answers, for its OpenAPI document. Records are as they are on the wire."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from pipeline.records import (
    Change,
    DiplomaticEvent,
    EventDate,
    Participant,
    Place,
    Status,
    SummitAlert,
)


class EventPage(BaseModel):
    """A page of events."""

    items: list[DiplomaticEvent]
    next: str | None


class Context(BaseModel):
    """The evidence and the text around it."""

    before: str
    evidence: str
    after: str


class Story(BaseModel):
    """A real-world event, and how widely it is reported."""

    story_id: str
    type: str
    status: str
    first_published: datetime
    last_published: datetime
    events: int
    articles: int
    sources: int


class EventView(BaseModel):
    """An event with what stands around it; ``context`` is null where the text is not kept."""

    event: DiplomaticEvent
    context: Context | None
    story: Story | None
    others: list[DiplomaticEvent]


class Count(BaseModel):
    """How many events have a value."""

    key: str
    count: int


class Counts(BaseModel):
    """The most frequent values."""

    items: list[Count]


class Slot(BaseModel):
    """How many events of a kind were published in a stretch of time, which begins at ``start``."""

    start: str
    key: str
    count: int


class Timeline(BaseModel):
    """Events over time."""

    items: list[Slot]


class PlaceCount(BaseModel):
    """How many events happened in a place."""

    name: str
    code: str
    latitude: float
    longitude: float
    count: int


class Places(BaseModel):
    """Where."""

    items: list[PlaceCount]


class Dyad(BaseModel):
    """How often one acted with or towards another, and the mean of Goldstein's values."""

    actor: str
    recipient: str
    count: int
    goldstein: float


class Dyads(BaseModel):
    """Who with whom."""

    items: list[Dyad]


class OverviewCounts(BaseModel):
    """The most frequent values of each kind."""

    type: list[Count]
    status: list[Count]
    source: list[Count]
    language: list[Count]
    party: list[Count]
    place: list[Count]


class Overview(BaseModel):
    """All that a page shows of a filter, but for the events themselves."""

    total: int
    counts: OverviewCounts
    timeline: list[Slot]
    places: list[PlaceCount]
    dyads: list[Dyad]


class StoryPage(BaseModel):
    """A page of stories."""

    items: list[Story]
    next: str | None


class StoryView(BaseModel):
    """A story and its events, oldest first."""

    story: Story
    events: list[DiplomaticEvent]


class SummitItem(BaseModel):
    """A summit as it stands."""

    summit_id: str
    name: str
    status: Status
    date: EventDate | None
    place: Place | None
    participants: list[Participant]
    first_seen: datetime
    as_of: datetime
    articles: int
    open: bool
    day_from: dt.date | None
    day_to: dt.date | None


class Summits(BaseModel):
    """Summits by their day."""

    items: list[SummitItem]


class Told(BaseModel):
    """A change in a summit's life."""

    published_at: datetime
    article_id: str
    change: Change
    status: Status
    date: EventDate | None
    place: Place | None


class SummitSource(BaseModel):
    """An article that mentioned a summit."""

    id: str
    source: str | None
    url: str | None
    title: str
    published_at: datetime


class SummitView(SummitItem):
    """A summit with its life so far."""

    history: list[Told]
    sources: list[SummitSource]
    alerts: list[SummitAlert]


class AlertPage(BaseModel):
    """A page of alerts."""

    items: list[SummitAlert]
    next: str | None


class Vocabulary(BaseModel):
    """What people call the codes."""

    language: str
    types: dict[str, str]
    modes: dict[str, str]
    statuses: dict[str, str]
    countries: dict[str, str]
    organisations: dict[str, str]


class Health(BaseModel):
    """The dashboard can read the store."""

    status: Literal["ok"]
    events: int
    newest: datetime | None
