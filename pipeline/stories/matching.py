"""How well a mention fits a known summit: by participants, days and place, never by its wording.

Paraphrased reports of one meeting share as little as an eighth of their words, while two meetings
of the same leaders share nearly all of them. What tells meetings apart is who, when and where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Final

from pipeline import reference
from pipeline.records import DiplomaticEvent, Place, Status
from pipeline.stages.gazetteer import UNKNOWN, fold
from pipeline.stories.when import Days, days

# A meeting that is moved stays within weeks of its old day; further away it is another meeting.
_NEAR_DAYS: Final = 14
# A meeting put off comes within months, if it comes.
_POSTPONED_DAYS: Final = 150
# From here on the same participants are as good as a name: another summit of just these is rare.
_MANY: Final = 4
# More than half of the shorter list must be on the longer one: two meetings of one leader on a day,
# with different company, are two. Half is enough on one day in one city.
_MAJORITY: Final = 0.5
# Albanian inflects at the end, other languages too: the first letters stand for the name.
_STEM: Final = 5
_WEEK: Final = 7

# What the parts are worth. Half of the participants' weight is for naming no stranger, half for
# naming all. Chosen so that days that exclude each other outweigh all the rest, that a month in
# common does not outweigh another place, and that a mention of one participant among many needs a
# day or a place beside it.
_PARTICIPANTS: Final = 1.0
_SAME_DAYS: Final = 1.0
_VAGUE_DAYS: Final = 0.3
_NEAR_DATES: Final = -0.5
_FAR_DATES: Final = -2.0
_SAME_PLACE: Final = 0.6
_SAME_COUNTRY: Final = 0.3
_OTHER_PLACE: Final = -0.6
_OTHER_PLACE_OF_MANY: Final = -0.2

# The least that a mention must reach to be of a summit.
FITS: Final = 0.7


@cache
def _members() -> dict[str, frozenset[str]]:
    return {k: frozenset(v) for k, v in reference.table("memberships.toml").items()}


def seats(codes: Iterable[str]) -> frozenset[str]:
    """The codes with the members of groups in place of the groups; the unknown left out."""
    known = {code for code in codes if code != UNKNOWN}
    groups = known & _members().keys()
    return frozenset(known - groups).union(*(_members()[group] for group in groups))


@dataclass(frozen=True, slots=True)
class Traits:
    """What is compared: of a mention, or of a summit as it is known."""

    seats: frozenset[str]
    when: Days | None
    place: Place | None
    status: Status
    text: str = ""
    given_up: tuple[Days, ...] = ()


def traits(event: DiplomaticEvent) -> Traits:
    """The traits of a mention."""
    return Traits(
        seats=seats(party.code for party in (*event.actors, *event.recipients)),
        when=days(event.date.value) if event.date else None,
        place=event.place,
        status=event.status,
        text=fold(event.evidence.text),
    )


def reach(mention: Traits) -> timedelta:
    """How far from a mention's days a summit can be that it fits; one put off is near to any."""
    return timedelta(days=_POSTPONED_DAYS if mention.status == "postponed" else _NEAR_DAYS)


def enough(common: int, mention: Traits, summit: Traits) -> bool:
    """Whether so many seats in common can be the same company; ``fit`` is 0 where they cannot."""
    return common >= _MAJORITY * min(len(mention.seats), len(summit.seats))


def fit(mention: Traits, summit: Traits) -> float:
    """How well a mention fits: from ``FITS`` on it is this summit; 0 where the company differs."""
    common = len(mention.seats & summit.seats)
    named = common / min(len(mention.seats), len(summit.seats)) if common else 0.0
    if named < _MAJORITY or (named == _MAJORITY and not _same_day_and_city(mention, summit)):
        return 0.0
    shared = common / len(mention.seats | summit.seats)
    same_many = shared == 1 and common >= _MANY
    parties = _PARTICIPANTS * (named + shared) / 2
    return parties + _dates(mention, summit) + _places(mention, summit, same_many=same_many)


def _same_day_and_city(mention: Traits, summit: Traits) -> bool:
    here, there = mention.place, summit.place
    same_city = bool(here and there and same_place(here, there) and not is_country(here))
    return same_city and mention.when == summit.when is not None


def _dates(mention: Traits, summit: Traits) -> float:
    here, there = mention.when, summit.when
    if here is None:
        return 0.0
    if here in summit.given_up:
        return _SAME_DAYS
    if there is None:
        return 0.0
    gap = here.gap(there)
    if not gap:
        exact = max(here.length, there.length) <= _WEEK
        return _SAME_DAYS if exact else _VAGUE_DAYS
    if "postponed" in (mention.status, summit.status) and gap <= _POSTPONED_DAYS:
        return 0.0
    return _NEAR_DATES if gap <= _NEAR_DAYS else _FAR_DATES


def _places(mention: Traits, summit: Traits, *, same_many: bool) -> float:
    here, there = mention.place, summit.place
    if there and _names(mention.text, there):
        return _SAME_PLACE  # also where it says that it will not be there
    if here is None or there is None:
        return 0.0
    if same_place(here, there):
        return _SAME_PLACE
    if here.code == there.code:
        return _SAME_COUNTRY
    return _OTHER_PLACE_OF_MANY if same_many else _OTHER_PLACE


def same_place(here: Place, there: Place) -> bool:
    """Whether both are the same place; a country says nothing against a city of it."""
    return here.code == there.code and (here.name == there.name or is_country(here))


def is_country(place: Place) -> bool:
    """Whether the place is no more than a country, by the codebook's English names."""
    return place.latitude is None


def _names(text: str, place: Place) -> bool:
    stem = fold(place.text)[:_STEM]
    return len(stem) == _STEM and stem in text
