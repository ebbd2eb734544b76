r"""The records on the wire: small frozen values, exactly as in ``record.md``.

Every field of these types is a field on the wire, in this order. All offsets count Unicode code
points of ``title + "\n\n" + body``. The JSON Schemas under ``config/schemas/`` are generated from
here (``python -m pipeline.schemas``), and a test fails when they differ.

Readers ignore unknown fields; a breaking change raises the number in ``schema``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

if TYPE_CHECKING:
    from pydantic import TypeAdapter

EntityType = Literal["PER", "ORG", "LOC"]
EventType = Literal[
    "CONSULT", "AGREE", "SUPPORT", "COOPERATE", "AID", "CONCEDE", "RETREAT", "REQUEST",
    "ACCUSE", "REJECT", "THREATEN", "PROTEST", "SANCTION", "MOBILIZE", "COERCE", "ASSAULT",
]  # fmt: skip
Mode = Literal["summit", "multilateral", "meeting", "visit", "call", "negotiation", "mediation"]
Status = Literal[
    "actual", "ongoing", "planned", "proposed", "postponed", "cancelled", "denied", "hypothetical"
]
Granularity = Literal["day", "week", "month", "year"]
Change = Literal["new", "status", "date", "place", "participants"]

# The values of the Literals above, for code that iterates over them (training, exports, tests).
EVENT_TYPES: Final[tuple[EventType, ...]] = (
    "CONSULT", "AGREE", "SUPPORT", "COOPERATE", "AID", "CONCEDE", "RETREAT", "REQUEST",
    "ACCUSE", "REJECT", "THREATEN", "PROTEST", "SANCTION", "MOBILIZE", "COERCE", "ASSAULT",
)  # fmt: skip
MODES: Final[tuple[Mode, ...]] = (
    "summit", "multilateral", "meeting", "visit", "call", "negotiation", "mediation",
)  # fmt: skip
STATUSES: Final[tuple[Status, ...]] = (
    "actual", "ongoing", "planned", "proposed", "postponed", "cancelled", "denied", "hypothetical",
)  # fmt: skip
# An event in one of these has begun, or is over.
HAPPENED: Final = frozenset[Status]({"actual", "ongoing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RawArticle:
    """A raw article as it is taken from ``articles.raw``, valid by construction of ``decode``."""

    id: str
    title: str = ""
    body: str = ""
    published_at: str
    source: str | None = None
    url: str | None = None
    language: str | None = None

    @property
    def text(self) -> str:
        """The text that every offset counts in."""
        return f"{self.title}\n\n{self.body}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleRef:
    """What later records repeat of the article that they come from."""

    id: str
    source: str | None
    url: str | None
    language: str
    title: str
    published_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceSpan:
    """``[start, end)`` of a sentence."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A name in the text, with its canonical name and code where they could be resolved."""

    start: int
    end: int
    text: str
    type: EntityType
    name: str | None
    code: str | None
    sentence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedArticle:
    """Topic ``articles.annotated``, keyed by the article's id."""

    schema: Literal["annotated-article/1"] = "annotated-article/1"
    article: ArticleRef
    sentences: tuple[SentenceSpan, ...]
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One who does it, or towards whom; ``start`` and ``end`` are null for a dropped subject."""

    text: str
    name: str
    code: str
    kind: EntityType | None
    role: str | None
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDate:
    """When: ``YYYY-MM-DD``, ``YYYY-Www``, ``YYYY-MM`` or ``YYYY``, and the words."""

    value: str
    granularity: Granularity
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where: English name, ISO 3166-1 alpha-3 code of its country, degrees north and east."""

    text: str
    name: str
    code: str
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """The words that express the event, inside its evidence."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The sentence that states the event best."""

    start: int
    end: int
    text: str
    trigger: Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Codes of the older schemes, derived from (type, mode, status) by one table."""

    plover: str
    cameo: str
    quad_class: int
    goldstein: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DiplomaticEvent:
    """Topic ``events.diplomatic``, keyed by ``story_id``."""

    schema: Literal["diplomatic-event/1"] = "diplomatic-event/1"
    event_id: str
    story_id: str
    article: ArticleRef
    type: EventType
    mode: Mode | None
    status: Status
    actors: tuple[Party, ...]
    recipients: tuple[Party, ...]
    date: EventDate | None
    place: Place | None
    evidence: Evidence
    codes: Codes
    confidence: float
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A participant of a summit."""

    name: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summit:
    """The state of a summit after the article that caused an alert."""

    name: str
    status: Status
    date: EventDate | None
    place: Place | None
    participants: tuple[Participant, ...]
    first_seen: str
    articles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SummitAlert:
    """Topic ``alerts.summits``, keyed by the summit's id."""

    schema: Literal["summit-alert/1"] = "summit-alert/1"
    alert_id: str
    summit_id: str
    change: Change
    before: Summit | None
    summit: Summit
    event: DiplomaticEvent


def decode_event(value: bytes) -> DiplomaticEvent:
    """The event of a ``diplomatic-event/1`` record; unknown fields are ignored.

    Raises:
        ValueError: it is no such record.
    """
    event: DiplomaticEvent = _adapter(DiplomaticEvent).validate_json(value)
    return event


def decode_alert(value: bytes) -> SummitAlert:
    """The alert of a ``summit-alert/1`` record; unknown fields are ignored.

    Raises:
        ValueError: it is no such record.
    """
    alert: SummitAlert = _adapter(SummitAlert).validate_json(value)
    return alert


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    # Built when first used: the process of the models writes records and never reads one.
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(kind)


def encode(record: AnnotatedArticle | DiplomaticEvent | SummitAlert | RawArticle) -> bytes:
    """A record as one JSON object, UTF-8; equal records give equal bytes."""
    return orjson.dumps(record)
