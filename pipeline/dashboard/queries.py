"""What can be asked of the API, and how its text becomes values."""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from pipeline.dashboard.index import Bucket, By, Filters
from pipeline.records import EventType, Mode, Status

# PostgreSQL holds no NUL, and nobody means the others.
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f]*$"
Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
# More values than the longest list of a filter has.
Words = Annotated[list[Word], Field(max_length=100)]

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _is_moment(text: str) -> str:
    beginning(text)
    return text


def beginning(text: str) -> datetime:
    """The moment that a time names, or with which a day begins (UTC).

    Raises:
        ValueError: it is neither RFC 3339 with an offset nor YYYY-MM-DD.
    """
    if _DAY.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that nobody escaped
    if moment.tzinfo is None:
        raise ValueError("the time has no offset: 2025-09-03T10:00:00Z or 2025-09-03")
    return moment


def end(text: str) -> datetime:
    """The moment that a time names, or with which a day ends (UTC)."""
    moment = beginning(text)
    if not _DAY.fullmatch(text):
        return moment
    try:
        return moment + timedelta(days=1)
    except OverflowError:  # 9999-12-31 has no next day
        return datetime.max.replace(tzinfo=UTC)


Moment = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(_is_moment),
    Field(description="RFC 3339 with an offset, or YYYY-MM-DD", examples=["2025-09-03"]),
]


class _Query(BaseModel):
    # A filter that is misspelt must not look like one that finds everything.
    model_config = ConfigDict(extra="forbid")


class EventQuery(_Query):
    """Which events are meant; several values of one filter mean any of them."""

    type: list[EventType] = []
    mode: list[Mode] = []
    status: list[Status] = []
    party: Words = Field([], description="codes of actors or recipients")
    place: Words = Field([], description="codes of countries")
    source: Words = []
    language: Words = []
    story: Word | None = None
    article: Word | None = None
    q: Annotated[str, StringConstraints(max_length=200, pattern=_NO_CONTROLS)] = Field(
        "", description="in title, evidence or names; case and diacritics do not matter"
    )
    since: Moment | None = Field(None, description="published then or later")
    until: Moment | None = Field(None, description="published before this time, or on this day")
    min_confidence: float = Field(0.0, ge=0, le=1)

    def filters(self, found: list[str] | None) -> Filters:
        """As the index takes them; ``found`` are the ids that the search for ``q`` gave."""
        return Filters(
            type=self.type,
            mode=self.mode,
            status=self.status,
            party=self.party,
            place=self.place,
            source=self.source,
            language=self.language,
            story=self.story,
            article=self.article,
            since=beginning(self.since) if self.since else None,
            until=end(self.until) if self.until else None,
            min_confidence=self.min_confidence,
            events=found,
        )


class Paging(_Query):
    """A page of a list."""

    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=600, description="`next` of the page before")


class EventPageQuery(EventQuery, Paging):
    """Events, a page of them."""


class CountQuery(EventQuery):
    """Events, counted."""

    by: By = "type"


class TimelineQuery(EventQuery):
    """Events, counted over time."""

    by: Literal["type", "status"] = "type"
    bucket: Bucket = "day"


class OverviewQuery(EventQuery):
    """Events, counted in every way."""

    bucket: Bucket = "day"


class SummitQuery(_Query):
    """Which summits are meant."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    status: list[Status] = []
    party: Words = Field([], description="codes, one of which takes part")
    place: Words = Field([], description="codes of countries")
    from_: date | None = Field(None, alias="from", description="not over before this day")
    to: date | None = Field(None, description="not begun after this day")
    open: bool | None = Field(None, description="whether the register still follows it")
    limit: int = Field(500, ge=1, le=500)


def to_cursor(position: tuple[datetime, str] | None) -> str | None:
    """Where the next page begins, as text that means nothing to the client."""
    if position is None:
        return None
    value = orjson.dumps([position[0].isoformat(), position[1]])
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def from_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """The position behind a cursor.

    Raises:
        ValueError: it is none of ours.
    """
    if cursor is None:
        return None
    try:
        value: Any = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment, key = datetime.fromisoformat(value[0]), str(value[1])
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError("cursor is not the `next` of a page") from error
    if moment.tzinfo is None or "\0" in key:
        raise ValueError("cursor is not the `next` of a page")
    return moment, key
