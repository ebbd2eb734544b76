"""An event as CAMEO's pairs: who (source), to whom (target), on which day.

* One who acts towards one is a pair; several make a pair each (CAMEO's compound actors).
* What is done together (a meeting, an agreement, a joint exercise) is written down from every
  side: n parties give up to n * (n - 1) pairs; those of one state are a pair only if there is no
  other. So is a visit, from the host's side as "Host a visit".
* One who acts towards nobody in particular is a pair without a target.
* A planned, proposed, refused or denied act is, to CAMEO, a statement about it (03, 02, 12, 01):
  its day is that of the article. An act that was done has its own, where it is known to the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import permutations, product
from typing import Final

from pipeline import reference
from pipeline.records import HAPPENED, DiplomaticEvent, Party
from pipeline.stories.identity import digest

_TOGETHER: Final = frozenset({"CONSULT", "AGREE", "COOPERATE"})
# Readers keep ids in signed 64-bit integers; 60 bits of a digest stay below them.
_ID_DIGITS: Final = 15
# GDELT and ICEWS are tab-separated without quotes.
_BREAKS: Final = str.maketrans("\t\r\n\v\f\x85\u2028\u2029", " " * 8)


@dataclass(frozen=True, slots=True)
class Dyad:
    """A pair; ``target`` is None where the act has none, ``source`` where nobody is named."""

    id: int
    source: Party | None
    target: Party | None
    cameo: str
    goldstein: float


def dyads(event: DiplomaticEvent) -> list[Dyad]:
    """The pairs of an event, in a fixed order, at least one."""
    actors: tuple[Party | None, ...] = event.actors or (None,)
    cameo, goldstein = event.codes.cameo, event.codes.goldstein
    pairs: list[tuple[Party | None, Party | None, str, float]]
    if event.recipients:
        pairs = [(a, b, cameo, goldstein) for a, b in product(actors, event.recipients)]
        if back := reference.table("exports.toml")["reciprocal"].get(cameo):
            pairs += [(b, a, back[0], back[1]) for a, b, _, _ in list(pairs) if a]
    elif event.type in _TOGETHER and len(event.actors) > 1:
        both_ways = list(permutations(event.actors, 2))
        across = [(a, b) for a, b in both_ways if a.code != b.code]
        pairs = [(a, b, cameo, goldstein) for a, b in across or both_ways]
    else:
        pairs = [(a, None, cameo, goldstein) for a in actors]
    return [
        Dyad(int(digest(event.event_id, str(number))[:_ID_DIGITS], 16), *pair)
        for number, pair in enumerate(pairs)
    ]


def day(event: DiplomaticEvent) -> date:
    """The day that CAMEO's data sets file the event under."""
    known = event.date
    if known and known.granularity == "day" and event.status in HAPPENED:
        return date.fromisoformat(known.value)
    return date.fromisoformat(event.article.published_at[:10])


def degrees(value: float | None) -> str:
    """A coordinate as text; empty where it is not known."""
    return "" if value is None else str(value)


def row(values: list[str]) -> bytes:
    """Tab-separated values as one line; a tab or a line break in a value becomes a space."""
    return "\t".join(value.translate(_BREAKS) for value in values).encode() + b"\n"
