r"""What travels between the stages: small frozen values that never go on the wire.

All offsets are ``[start, end)`` in Unicode code points of ``title + "\n\n" + body``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.records import (
    AnnotatedArticle,
    DiplomaticEvent,
    EntityType,
    EventDate,
    EventType,
    Mode,
    Party,
    Place,
    RawArticle,
    Status,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a punctuation mark, as it stands in the text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its tokens. Sentence 0 is the whole title (where there is one)."""

    start: int
    end: int
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Mention:
    """A name found by the tagger; ``sentence`` is an index into the document's sentences."""

    start: int
    end: int
    text: str
    type: EntityType
    sentence: int


@dataclass(frozen=True, slots=True)
class ResolvedMention:
    """A mention with its canonical name and code (codebook section 4), None where not resolved."""

    mention: Mention
    name: str | None
    code: str | None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """An article on its way: its language is known, its sentences and names are found."""

    article: RawArticle
    language: str
    sentences: tuple[Sentence, ...]
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """One statement of an event in one sentence.

    ``mode`` is set exactly when ``type`` is CONSULT. ``confidence`` is a probability in [0, 1].
    ``also`` holds the indices of further sentences that state the same event.
    """

    type: EventType
    mode: Mode | None
    status: Status
    sentence: int
    trigger_start: int
    trigger_end: int
    confidence: float
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CodedEvent:
    """A detection with who, when and where."""

    detection: Detection
    actors: tuple[Party, ...]
    recipients: tuple[Party, ...]
    date: EventDate | None
    place: Place | None


@dataclass(frozen=True, slots=True)
class Extraction:
    """What an article yields."""

    annotated: AnnotatedArticle
    events: tuple[DiplomaticEvent, ...]
