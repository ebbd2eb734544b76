"""The summit register: every summit that the news knows of, and what has changed about it.

Pure and deterministic: the same events in the same order give the same ids and alerts. Memory is
bounded by the summits that are still of interest: one is forgotten some weeks after it is over or
last heard of. The cost of a mention depends on the summits near to its days that share a
participant with it, not on the number of mentions.

The rules (each has its test in ``tests/stories``):

* A mention opens a summit when it is of a mode that counts, names two seats or a group, and is not
  recalled after it was over. Whatever its status, that is the one ``new`` alert.
* What a newer article said stands: an older article adds itself to the sources and changes nothing.
* Begun and held are one change. A recap of the plan after the meeting, a mere possibility after the
  announcement, and a vaguer date or place are none.
* Put off to a new day is one change of status that carries the day; put off without one leaves no
  date; called off keeps the old one.
* One invited party that stays away is a change of participants, not the end of the summit.
* Where one article changes several things, one alert tells the first of: status, date, place,
  participants. Its ``summit`` has all of them.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from pipeline import reference
from pipeline.records import (
    HAPPENED,
    ArticleRef,
    Change,
    DiplomaticEvent,
    EventDate,
    Mode,
    Participant,
    Place,
    Status,
    Summit,
    SummitAlert,
)
from pipeline.stages.gazetteer import UNKNOWN, country_names
from pipeline.stories import matching
from pipeline.stories.entries import Entry, Source, Told
from pipeline.stories.identity import digest
from pipeline.stories.matching import Traits, same_place
from pipeline.stories.when import days, moment
from pipeline.terminal import shortened

# Over or last heard of so long ago, a summit is no longer news; a mention would only recall it.
_FORGET_AFTER: Final = timedelta(days=60)
# Without a date nobody can say that it is over: a proposal may rest for a season.
_FORGET_UNDATED_AFTER: Final = timedelta(days=180)
# A meeting reported later than this is recalled, not reported.
_STILL_NEWS: Final = timedelta(days=3)
# Mentions remembered of a summit, to know a repetition. One that is older than all of them changes
# nothing either, because it is older; its article may count twice.
_MENTIONS: Final = 512
# Articles shown of a summit, the latest: as many as somebody opens.
_SOURCES: Final = 10
# So that an entry stays small whatever articles say: longer titles are cut, longer links left out.
_TITLE_CHARS: Final = 200
_URL_CHARS: Final = 2_000
# Changes remembered of a summit, for people to read. The longest life in gold has four.
_CHANGES: Final = 100
# A mention without a day is of a summit that was or will be held so long before or after it.
_UNDATED_REACH: Final = timedelta(days=92)
# Where a summit is filed that has no day, or was put off and may be told of under any. Summits are
# filed by weeks: with months, a mention had 1,270 of 10,000 to look at and took
# 1.2 ms, twice as long.
_ANY_WEEK: Final = -1
# Leaders' meetings below `summit` are often called a mere meeting: such a mention may tell of a
# known summit, but it must fit better than one that calls it a summit.
_FITS_OTHER_MODE: Final = matching.FITS + 0.5

# From a status, the statuses that are news. What is missing is a recap, a doubt after an
# announcement, or the same thing in other words.
_NEWS: Final[dict[Status, frozenset[Status]]] = {
    "hypothetical": frozenset(
        {"proposed", "planned", "postponed", "cancelled", "denied", "ongoing", "actual"}
    ),
    "proposed": frozenset({"planned", "postponed", "cancelled", "denied", "ongoing", "actual"}),
    "planned": frozenset({"postponed", "cancelled", "denied", "ongoing", "actual"}),
    "postponed": frozenset({"planned", "cancelled", "denied", "ongoing", "actual"}),
    "cancelled": frozenset({"planned", "postponed", "ongoing", "actual"}),
    "denied": frozenset({"proposed", "planned", "postponed", "ongoing", "actual"}),
    "ongoing": frozenset(),
    "actual": frozenset(),
}
_OFF: Final = frozenset[Status]({"cancelled", "denied"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts.

    Attributes:
        modes: modes of CONSULT that open a summit.
        min_confidence: events below it open none.
    """

    modes: tuple[Mode, ...] = ("summit",)
    min_confidence: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What became of an event: the summit as it is known after it, and the alert, if any."""

    entry: Entry | None = None
    alert: SummitAlert | None = None


class Register:
    """The summits known so far.

    Args:
        rules: what counts.
        entries: summits to start from, as ``entries()`` of an earlier register gave them.
    """

    def __init__(self, rules: Rules | None = None, entries: Iterable[Entry] = ()) -> None:
        self._rules = rules or Rules()
        self._entries: dict[str, Entry] = {}
        self._traits: dict[str, Traits] = {}
        # (seat, week) to the summits that seat it in that week; _ANY_WEEK for those without a day.
        self._near: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._mentioned: set[int] = set()  # hashes of the ids of events already taken in
        self._newest: datetime | None = None
        self._looked: date | None = None
        for entry in entries:
            self._keep(entry)
            self._mentioned.update(mention for _, mention in entry.mentions)
            self._newest = max(self._newest or entry.as_of, entry.as_of)

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> Iterator[Entry]:
        """Every summit, in the order in which they were opened."""
        return iter(self._entries.values())

    def observe(self, event: DiplomaticEvent) -> Observed:
        """Take in an event."""
        if event.type != "CONSULT":
            return Observed()
        if _hash(event.event_id) in self._mentioned:
            return Observed()  # a redelivery, or a replay
        published = moment(event.article.published_at)
        self._newest = max(self._newest or published, published)
        counts = event.mode in self._rules.modes
        mention = matching.traits(event)
        entry = self._find(mention, published, matching.FITS if counts else _FITS_OTHER_MODE)
        if entry:
            return self._update(entry, event, published)
        if counts and self._opens(event, mention, published):
            return self._open(event, published)
        return Observed()

    def forget(self) -> list[str]:
        """Drop the summits that are no longer of interest; their ids. Looks once a day of news."""
        today = self._newest.date() if self._newest else None
        if today == self._looked:
            return []
        self._looked = today
        gone = [entry.summit_id for entry in self._entries.values() if self._is_over(entry)]
        for summit_id in gone:
            self._drop(summit_id)
        return gone

    def _find(self, mention: Traits, published: datetime, least: float) -> Entry | None:
        best: tuple[float, datetime, str] | None = None
        for summit_id in self._candidates(mention, published):
            fit = matching.fit(mention, self._traits[summit_id])
            if fit >= least:
                # Of equals the one that was in the news last.
                found = fit, self._entries[summit_id].as_of, summit_id
                best = max(best, found) if best else found
        return self._entries[best[2]] if best else None

    def _candidates(self, mention: Traits, published: datetime) -> list[str]:
        """Summits near in time that share enough of the company to be compared at all."""
        if mention.when:
            first, last = mention.when.first, mention.when.last
            reach = matching.reach(mention)
        else:  # it is about to happen, or has just happened
            first = last = published.date()
            reach = _UNDATED_REACH
        weeks = [_ANY_WEEK, *_weeks(first - reach, last + reach)]
        common: Counter[str] = Counter()
        for seat in mention.seats:
            common.update(set().union(*(self._near.get((seat, week), ()) for week in weeks)))
        return [
            summit_id
            for summit_id, count in common.items()
            if matching.enough(count, mention, self._traits[summit_id])
        ]

    def _opens(self, event: DiplomaticEvent, mention: Traits, published: datetime) -> bool:
        if event.confidence < self._rules.min_confidence or len(mention.seats) < 2:
            return False
        assert self._newest
        if published < self._newest - _FORGET_AFTER:
            return False  # of that time nothing is remembered: it may well have been told
        return not (
            mention.when
            and mention.when.last < (published - _STILL_NEWS).date()
            and event.status not in _OFF
        )

    def _open(self, event: DiplomaticEvent, published: datetime) -> Observed:
        participants = _participants(event)
        summit = Summit(
            name=_name(participants, event.place),
            status=event.status,
            date=event.date,
            place=event.place,
            participants=participants,
            first_seen=event.article.published_at,
            articles=1,
        )
        entry = Entry(
            summit_id=digest("summit", event.event_id),
            summit=summit,
            as_of=published,
            mentions=(_mention(event),),
            given_up=(),
            history=(),
            sources=(_source(event.article),),
        )
        return self._tell(entry, "new", None, summit, event, published)

    def _update(self, entry: Entry, event: DiplomaticEvent, published: datetime) -> Observed:
        before = entry.summit
        if len(entry.mentions) == _MENTIONS:
            self._mentioned.discard(entry.mentions[0][1])
        entry = _counted(entry, event)
        if published < entry.as_of:
            return Observed(entry=self._keep(entry))
        if event.date and event.date.value in entry.given_up:
            event = replace(event, date=None)
        change, summit = _changed(entry.summit, event, published.date())
        if before.date and before.date != summit.date and not _narrowed(before.date, summit.date):
            entry = replace(entry, given_up=(*entry.given_up, before.date.value))
        if change is None:
            return Observed(entry=self._keep(replace(entry, summit=summit, as_of=published)))
        return self._tell(entry, change, before, summit, event, published)

    def _tell(
        self,
        entry: Entry,
        change: Change,
        before: Summit | None,
        summit: Summit,
        event: DiplomaticEvent,
        published: datetime,
    ) -> Observed:
        told = Told(
            published_at=event.article.published_at,
            article_id=event.article.id,
            change=change,
            status=summit.status,
            date=summit.date,
            place=summit.place,
        )
        history = (*entry.history, told)[-_CHANGES:]
        entry = self._keep(replace(entry, summit=summit, as_of=published, history=history))
        alert = SummitAlert(
            alert_id=digest(entry.summit_id, event.event_id, change),
            summit_id=entry.summit_id,
            change=change,
            before=before,
            summit=summit,
            event=event,
        )
        return Observed(entry=entry, alert=alert)

    def _keep(self, entry: Entry) -> Entry:
        summit = entry.summit
        self._entries[entry.summit_id] = entry
        self._mentioned.add(entry.mentions[-1][1])
        traits = Traits(
            seats=matching.seats(p.code for p in summit.participants),
            when=days(summit.date.value) if summit.date else None,
            place=summit.place,
            status=summit.status,
            given_up=tuple(map(days, entry.given_up)),
        )
        if traits == self._traits.get(entry.summit_id):
            return entry  # most mentions change nothing that is searched by
        self._unlink(entry.summit_id)
        self._traits[entry.summit_id] = traits
        for key in self._keys(entry.summit_id):
            self._near[key].add(entry.summit_id)
        return entry

    def _drop(self, summit_id: str) -> None:
        self._unlink(summit_id)
        self._mentioned.difference_update(m for _, m in self._entries[summit_id].mentions)
        del self._entries[summit_id], self._traits[summit_id]

    def _unlink(self, summit_id: str) -> None:
        if summit_id in self._traits:
            for key in self._keys(summit_id):
                self._near[key].discard(summit_id)
                if not self._near[key]:
                    del self._near[key]

    def _keys(self, summit_id: str) -> list[tuple[str, int]]:
        traits = self._traits[summit_id]
        spans = [*([traits.when] if traits.when else []), *traits.given_up]
        weeks = {week for span in spans for week in _weeks(span.first, span.last)}
        if traits.when is None or traits.status == "postponed":
            weeks.add(_ANY_WEEK)
        return [(seat, week) for seat in traits.seats for week in weeks]

    def _is_over(self, entry: Entry) -> bool:
        assert self._newest
        when = self._traits[entry.summit_id].when
        if when is None:
            return entry.as_of < self._newest - _FORGET_UNDATED_AFTER
        heard = max(when.last, entry.as_of.date())
        return heard < (self._newest - _FORGET_AFTER).date()


def _changed(summit: Summit, event: DiplomaticEvent, today: date) -> tuple[Change | None, Summit]:
    """What the event changes about the summit, and the summit after it."""
    if leaving := _leaving(summit, event):
        stay = tuple(p for p in summit.participants if p.code not in leaving)
        return "participants", replace(summit, participants=stay)
    joined = replace(summit, participants=_joined(summit, event))
    sharper = _sharper_place(summit.place, event.place)
    place = sharper or summit.place
    status = _next_status(summit, event, today)
    if status:
        day = _date_after(summit, event, status)
        return "status", replace(joined, status=status, date=day, place=place)
    if summit.status in HAPPENED or (summit.status in _OFF and event.status not in _OFF):
        return None, joined  # what is told of it now is told in retrospect
    if _moved(summit, event, today):
        return "date", replace(joined, date=event.date, place=place)
    if sharper:
        return "place", replace(joined, place=place)
    return None, joined


def _leaving(summit: Summit, event: DiplomaticEvent) -> set[str]:
    """The one participant that stays away: only it is named, and not as host."""
    named = {p.code for p in (*event.actors, *event.recipients)} - {UNKNOWN}
    there = {p.code for p in summit.participants}
    host = {summit.place.code} if summit.place else set()
    alone = len(named & there) == 1 and len(there) > 3
    if event.status in _OFF and summit.status not in _OFF and alone:
        return (named & there) - host - reference.table("organisations.toml").keys()
    return set()


def _joined(summit: Summit, event: DiplomaticEvent) -> tuple[Participant, ...]:
    """Participants with those that the event names besides: more detail, no change to tell."""
    if event.status in _OFF:
        return summit.participants
    there = {p.code for p in summit.participants}
    return (*summit.participants, *(p for p in _participants(event) if p.code not in there))


def _next_status(summit: Summit, event: DiplomaticEvent, today: date) -> Status | None:
    new = event.status
    if new not in _NEWS[summit.status]:
        return None
    if new in HAPPENED and summit.date and days(summit.date.value).first > today:
        return None  # nobody has held what is still to come
    # "to be held on Monday", of what was put off to Monday or was to be held then and is off: a
    # recap. Only another day revives it.
    if new == "planned" and summit.status in ("postponed", "cancelled"):
        return new if event.date and not _same_days(event.date, summit.date) else None
    return new


def _date_after(summit: Summit, event: DiplomaticEvent, status: Status) -> EventDate | None:
    if status == "postponed":
        # "the meeting set for Thursday is put off": the day is the old one
        return None if event.date and _same_days(event.date, summit.date) else event.date
    if status in _OFF:
        return summit.date
    if event.date is None:
        return summit.date
    if summit.date and days(summit.date.value).within(days(event.date.value)):
        return summit.date  # the precise one stays
    return event.date


def _same_days(here: EventDate, there: EventDate | None) -> bool:
    return there is not None and days(here.value).gap(days(there.value)) == 0


def _moved(summit: Summit, event: DiplomaticEvent, today: date) -> bool:
    """Whether the event tells a day that is new: the first, a more precise one, or another."""
    if event.date is None or event.status in _OFF:
        return False
    new = days(event.date.value)
    if new.last < today:
        return False  # what is still to come has no day in the past
    if summit.date is None:
        return True
    old = days(summit.date.value)
    if old.within(new):
        return False
    return new.within(old) or new.gap(old) > 0


def _sharper_place(old: Place | None, new: Place | None) -> Place | None:
    """The new place where it says more than the old one."""
    if new is None or (old and same_place(new, old)):
        return None
    return new


def _participants(event: DiplomaticEvent) -> tuple[Participant, ...]:
    """States and organisations, each once, in the order of the text."""
    parties = (*event.actors, *event.recipients)
    names = {p.code: p.code for p in parties if p.code != UNKNOWN}
    organisations = reference.table("organisations.toml")
    for party in parties:
        if party.kind != "PER" and party.code in names and names[party.code] == party.code:
            names[party.code] = party.name
    countries = country_names()
    return tuple(
        Participant(name=countries.get(code) or organisations.get(code) or name, code=code)
        for code, name in names.items()
    )


def _name(participants: Sequence[Participant], place: Place | None) -> str:
    """A name for people, in English: who meets, and where."""
    organisations = reference.table("organisations.toml").keys()
    groups = [p.name for p in participants if p.code in organisations]
    states = [p.name for p in participants if p.code not in organisations]
    who = groups + states if len(participants) <= 3 or not groups else groups
    if len(who) > 4:
        who = [*who[:3], f"{len(who) - 3} more"]
    where = f", {place.name}" if place else ""
    return f"{'–'.join(who)} summit{where}"


def _counted(entry: Entry, event: DiplomaticEvent) -> Entry:
    article, _ = mention = _mention(event)
    mentions = (*entry.mentions, mention)[-_MENTIONS:]
    others = (source for source in entry.sources if source.id != event.article.id)
    sources = (*others, _source(event.article))[-_SOURCES:]
    if any(article == known for known, _ in entry.mentions):
        return replace(entry, mentions=mentions, sources=sources)
    summit = entry.summit
    first = min(summit.first_seen, event.article.published_at, key=moment)
    counted = replace(summit, articles=summit.articles + 1, first_seen=first)
    return replace(entry, mentions=mentions, sources=sources, summit=counted)


def _source(article: ArticleRef) -> Source:
    return Source(
        id=article.id,
        source=shortened(article.source, _TITLE_CHARS) if article.source else None,
        url=article.url if article.url and len(article.url) <= _URL_CHARS else None,
        title=shortened(article.title, _TITLE_CHARS),
        published_at=article.published_at,
    )


def _narrowed(old: EventDate, new: EventDate | None) -> bool:
    return new is not None and days(new.value).within(days(old.value))


def _mention(event: DiplomaticEvent) -> tuple[int, int]:
    return _hash(event.article.id), _hash(event.event_id)


def _weeks(first: date, last: date) -> range:
    """The number of every week from one day to another."""
    return range(first.toordinal() // 7, last.toordinal() // 7 + 1)


def _hash(identifier: str) -> int:
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest())
