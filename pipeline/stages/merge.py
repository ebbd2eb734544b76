"""Statements of one real-world event inside an article become one record (codebook section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pipeline.stages.values import CodedEvent

# Statements of one event stand near to each other: in the real training articles half of the
# repetitions outside the title lie at most two sentences away, while distinct events of one type
# with a party in common are as frequent as repetitions beyond that.
_NEAR: Final = 3
_UNKNOWN: Final = "UNK"


def merge(events: Sequence[CodedEvent]) -> tuple[CodedEvent, ...]:
    """One record an event, in the order of their evidence.

    The fullest statement (parties, then persons named, then confidence) is kept as evidence; the
    sentences of the others go to ``Detection.also``. A date or place that it lacks is taken over.
    """
    groups: list[list[CodedEvent]] = []
    body = sorted((e for e in events if e.detection.sentence), key=_order)
    title = sorted((e for e in events if not e.detection.sentence), key=_order)
    for event in [*body, *title]:
        home = next((g for g in groups if all(_same(event, other) for other in g[-2:])), None)
        if home is None:
            groups.append([event])
        else:
            home.append(event)
    return tuple(sorted((_record(group) for group in groups), key=_order))


def _order(event: CodedEvent) -> tuple[int, int, str]:
    return (event.detection.sentence, event.detection.trigger_start, event.detection.type)


def _codes(event: CodedEvent) -> set[str]:
    parties = (*event.actors, *event.recipients)
    return {party.code for party in parties if party.code != _UNKNOWN}


def _same(event: CodedEvent, other: CodedEvent) -> bool:
    here, there = event.detection, other.detection
    if here.type != there.type or here.sentence == there.sentence:
        return False
    if (mine := _codes(event)) and (theirs := _codes(other)) and not mine & theirs:
        return False
    if not _dates_agree(event, other):
        return False
    if not here.sentence or not there.sentence:
        return True  # a title names what the article tells; its own status and mode are terse
    if here.status != there.status:
        return False
    return abs(here.sentence - there.sentence) <= _NEAR


def _dates_agree(event: CodedEvent, other: CodedEvent) -> bool:
    """Whether one date lies in the other, or one is missing; weeks are not compared with days."""
    if event.date is None or other.date is None:
        return True
    short, long = sorted((event.date.value, other.date.value), key=len)
    return long.startswith(short) or "W" in short + long


def _fullness(event: CodedEvent) -> tuple[int, int, float, int]:
    persons = sum(party.kind == "PER" for party in event.actors)
    found = event.detection
    return (len(_codes(event)), persons, found.confidence, -found.sentence)


def _record(group: Sequence[CodedEvent]) -> CodedEvent:
    best = max(group, key=_fullness)
    also = {index for event in group for index in (event.detection.sentence, *event.detection.also)}
    detection = replace(
        best.detection,
        confidence=max(event.detection.confidence for event in group),
        also=tuple(sorted(also - {best.detection.sentence})),
    )
    return replace(
        best,
        detection=detection,
        date=best.date or next((event.date for event in group if event.date), None),
        place=best.place or next((event.place for event in group if event.place), None),
    )
