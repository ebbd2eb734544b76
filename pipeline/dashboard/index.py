"""What is filtered and counted, as columns in memory.

A page that is filtered asks for a total, five counts, a timeline, a map and a matrix at once. As
SQL over 100,000 events that is most of a second in either database; over numpy's columns it is a
few milliseconds, the same for both, and the filters are written down once. An event takes about
150 bytes here. Texts stay in the store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import combinations, product
from typing import Any, Final, Literal, TypeAlias

import numpy as np

By = Literal["type", "mode", "status", "source", "language", "party", "place"]
Bucket = Literal["hour", "day", "week", "month"]

# What is done together has no direction (as in ``exports.dyads``).
_TOGETHER: Final = frozenset({"CONSULT", "AGREE", "COOPERATE"})
# More lines than anybody reads; what counts least is left out.
MOST: Final = 500

_CATEGORIES: Final = (
    "type", "mode", "status", "source", "language", "place_code", "story_id", "article_id",
)  # fmt: skip
# Monday, 29 December 1969: weeks begin there.
_MONDAY_S: Final = -3 * 86_400
_SECONDS: Final = {"hour": 3_600, "day": 86_400, "week": 7 * 86_400}

# Arrays of numpy, which mypy does not follow: a truth and a number for each row.
_Mask: TypeAlias = Any
_Numbers: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which events are meant. Empty ones mean all; several values of one mean any of them.

    Attributes:
        type: of PLOVER's sixteen.
        mode: of CONSULT.
        status: of the codebook's eight.
        party: codes of actors or recipients.
        place: codes of countries.
        source: names as the articles have them.
        language: of the article.
        story: an id.
        article: an id.
        since: published then or later.
        until: published before.
        min_confidence: from 0 to 1.
        events: ids of the only events that count, from a search; None where there was none.
    """

    type: Collection[str] = ()
    mode: Collection[str] = ()
    status: Collection[str] = ()
    party: Collection[str] = ()
    place: Collection[str] = ()
    source: Collection[str] = ()
    language: Collection[str] = ()
    story: str | None = None
    article: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_confidence: float = 0.0
    events: Collection[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as the index takes it in; the fields are the store's columns."""

    event_id: str
    seq: int
    story_id: str
    article_id: str
    source: str | None
    language: str
    published_at: datetime
    type: str
    mode: str | None
    status: str
    place_name: str | None
    place_code: str | None
    latitude: float | None
    longitude: float | None
    goldstein: float
    confidence: float
    actors: tuple[str, ...]
    recipients: tuple[str, ...]


class _Words:
    """Values and their numbers, in the order in which they first came."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of a value, which gets one if it has none."""
        found = self._numbers.setdefault(value, len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found

    def known(self, values: Iterable[Any]) -> list[int]:
        """The numbers of those that have one."""
        return [self._numbers[value] for value in values if value in self._numbers]


@dataclass(slots=True)
class _Long:
    """Numbers, many to an event: whose, and which."""

    rows: _Numbers = field(default_factory=lambda: np.empty(0, np.int64))
    columns: list[_Numbers] = field(default_factory=list)

    def append(self, rows: Sequence[Sequence[int]], width: int) -> None:
        new = np.array(rows, np.int64).reshape(len(rows), width + 1)
        self.rows = np.concatenate([self.rows, new[:, 0]])
        old = self.columns or [np.empty(0, np.int64)] * width
        self.columns = [np.concatenate([old[at], new[:, at + 1]]) for at in range(width)]


class EventIndex:
    """The events by their columns, for one thread: nothing here waits."""

    def __init__(self) -> None:
        self._words: dict[str, _Words] = defaultdict(_Words)
        self._columns: dict[str, _Numbers] = {
            name: np.empty(0, np.int64) for name in (*_CATEGORIES, "place", "published", "tie")
        }
        self._confidence = np.empty(0)
        self._goldstein = np.empty(0)
        self._alive: _Mask = np.empty(0, np.bool_)
        self._ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self._parties = _Long(columns=[np.empty(0, np.int64)])
        self._dyads = _Long(columns=[np.empty(0, np.int64)] * 2)
        self._newest_first: _Numbers | None = None  # until it is asked for
        self.seq = 0

    def __len__(self) -> int:
        """Number of events."""
        return len(self._row_of)

    @property
    def newest(self) -> datetime | None:
        """When the newest was published."""
        order = self._order()
        return _moment(self._columns["published"][order[0]]) if len(order) else None

    def add(self, rows: Sequence[EventRow]) -> None:
        """Take in events, each in place of the one with its id."""
        if not rows:
            return
        begin = len(self._ids)
        alive = np.concatenate([self._alive, np.ones(len(rows), np.bool_)])
        for at, row in enumerate(rows, begin):
            if (before := self._row_of.get(row.event_id)) is not None:
                alive[before] = False
            self._row_of[row.event_id] = at
        self._ids.extend(row.event_id for row in rows)
        new: dict[str, list[int]] = {
            name: [self._words[name].number(getattr(row, name)) for row in rows]
            for name in _CATEGORIES
        }
        new["place"] = [self._words["place"].number(_place(row)) for row in rows]
        new["published"] = [_microseconds(row.published_at) for row in rows]
        new["tie"] = [_tie(row.event_id) for row in rows]
        for name, values in new.items():
            self._columns[name] = np.concatenate([self._columns[name], np.array(values, np.int64)])
        self._confidence = np.concatenate([self._confidence, [row.confidence for row in rows]])
        self._goldstein = np.concatenate([self._goldstein, [row.goldstein for row in rows]])
        number = self._words["party"].number
        self._parties.append(
            [
                (at, number(code))
                for at, row in enumerate(rows, begin)
                for code in dict.fromkeys((*row.actors, *row.recipients))
            ],
            width=1,
        )
        self._dyads.append(
            [
                (at, number(actor), number(recipient))
                for at, row in enumerate(rows, begin)
                for actor, recipient in _dyads(row)
            ],
            width=2,
        )
        self._alive = alive
        self._newest_first = None
        self.seq = max(self.seq, *(row.seq for row in rows))

    def match(self, filters: Filters) -> _Mask:
        """Which rows are meant."""
        mask = self._alive.copy()
        for name, wanted in (
            ("type", filters.type),
            ("mode", filters.mode),
            ("status", filters.status),
            ("source", filters.source),
            ("language", filters.language),
            ("place_code", filters.place),
            ("story_id", [filters.story] if filters.story else ()),
            ("article_id", [filters.article] if filters.article else ()),
        ):
            if wanted:
                mask &= np.isin(self._columns[name], self._words[name].known(wanted))
        if filters.party:
            codes = self._words["party"].known(filters.party)
            theirs: _Mask = np.zeros(len(mask), np.bool_)
            theirs[self._parties.rows[np.isin(self._parties.columns[0], codes)]] = True
            mask &= theirs
        if filters.since:
            mask &= self._columns["published"] >= _microseconds(filters.since)
        if filters.until:
            mask &= self._columns["published"] < _microseconds(filters.until)
        if filters.min_confidence:
            mask &= self._confidence >= filters.min_confidence
        if filters.events is not None:
            found: _Mask = np.zeros(len(mask), np.bool_)
            found[[self._row_of[id_] for id_ in filters.events if id_ in self._row_of]] = True
            mask &= found
        return mask

    def page(
        self, mask: _Mask, *, after: tuple[datetime, str] | None, limit: int
    ) -> tuple[list[str], tuple[datetime, str] | None]:
        """Ids of matching events, newest first, and where the next page begins.

        Args:
            mask: of ``match``.
            after: publication and id of the event that the page before ended with.
            limit: at most so many.
        """
        order = self._order()
        order = order[mask[order]]
        if after:
            published, ties = (self._columns[name][order] for name in ("published", "tie"))
            moment, tie = _microseconds(after[0]), _tie(after[1])
            order = order[(published < moment) | ((published == moment) & (ties < tie))]
        ids = [self._ids[row] for row in order[:limit]]
        if len(order) <= limit:
            return ids, None
        last = order[limit - 1]
        return ids, (_moment(self._columns["published"][last]), self._ids[last])

    def ids(self, mask: _Mask) -> list[str]:
        """Ids of all matching events, newest first."""
        order = self._order()
        return [self._ids[row] for row in order[mask[order]]]

    def matching(self, mask: _Mask, event_ids: Iterable[str]) -> set[str]:
        """Those of the events that match."""
        return {id_ for id_ in event_ids if (at := self._row_of.get(id_)) is not None and mask[at]}

    def counts(self, mask: _Mask, by: By) -> list[dict[str, Any]]:
        """How many events have each value, the most frequent first."""
        if by == "party":
            numbers = self._parties.columns[0][mask[self._parties.rows]]
        else:
            numbers = self._columns["place_code" if by == "place" else by][mask]
        values = self._words["place_code" if by == "place" else by].values
        counted = [
            {"key": values[number], "count": int(count)}
            for number, count in enumerate(np.bincount(numbers, minlength=len(values)))
            if count and values[number] is not None
        ]
        return sorted(counted, key=lambda item: (-item["count"], item["key"]))[:MOST]

    def timeline(
        self, mask: _Mask, *, by: Literal["type", "status"], bucket: Bucket
    ) -> list[dict[str, Any]]:
        """How many events were published in each stretch of time (UTC), by a value."""
        buckets = _bucket(self._columns["published"][mask], bucket)
        values = self._words[by].values
        both, counts = np.unique(
            np.stack([buckets, self._columns[by][mask]]), axis=1, return_counts=True
        )
        return [
            {"start": _start(int(start), bucket), "key": values[number], "count": int(count)}
            for start, number, count in zip(*both, counts, strict=True)
        ]

    def places(self, mask: _Mask) -> list[dict[str, Any]]:
        """Where, the most frequent first."""
        values = self._words["place"].values
        counts = np.bincount(self._columns["place"][mask], minlength=len(values))
        found = sorted(
            (-int(count), *value)
            for value, count in zip(values, counts, strict=True)
            if count and value
        )
        return [
            {
                "name": name,
                "code": code,
                "latitude": latitude,
                "longitude": longitude,
                "count": -count,
            }
            for count, name, code, latitude, longitude in found[:MOST]
        ]

    def dyads(self, mask: _Mask) -> list[dict[str, Any]]:
        """Who with or towards whom, the most frequent first; the mean of Goldstein's values."""
        chosen = mask[self._dyads.rows]
        if not chosen.any():
            return []
        actors, recipients = (column[chosen] for column in self._dyads.columns)
        values = self._words["party"].values
        pairs, where = np.unique(actors * len(values) + recipients, return_inverse=True)
        counts = np.bincount(where)
        means = np.bincount(where, self._goldstein[self._dyads.rows[chosen]]) / counts
        found = [
            {
                "actor": values[pair // len(values)],
                "recipient": values[pair % len(values)],
                "count": int(count),
                "goldstein": round(float(mean), 2),
            }
            for pair, count, mean in zip(pairs, counts, means, strict=True)
        ]
        found.sort(key=lambda item: (-item["count"], item["actor"], item["recipient"]))
        return found[:MOST]

    def _order(self) -> _Numbers:
        """The rows, newest publication first; what was published at once in a fixed order."""
        if self._newest_first is None:
            alive = np.flatnonzero(self._alive)
            ties, published = (self._columns[name][alive] for name in ("tie", "published"))
            self._newest_first = alive[np.lexsort((ties, published))[::-1]]
        return self._newest_first


def _tie(event_id: str) -> int:
    """A number that orders events of one moment alike in every process."""
    return int.from_bytes(blake2b(event_id.encode(), digest_size=7).digest(), "big")


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _place(row: EventRow) -> tuple[str, str, float, float] | None:
    if row.place_name is None or row.place_code is None:
        return None
    if row.latitude is None or row.longitude is None:
        return None
    return row.place_name, row.place_code, row.latitude, row.longitude


def _dyads(row: EventRow) -> list[tuple[str, str]]:
    pairs: Iterable[tuple[str, str]]
    if row.recipients:
        pairs = product(row.actors, row.recipients)
        if row.type in _TOGETHER:
            pairs = ((min(pair), max(pair)) for pair in pairs)
    elif row.type in _TOGETHER:
        pairs = combinations(sorted(set(row.actors)), 2)
    else:
        pairs = ()
    return [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]


def _moment(microseconds: Any) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / 1_000_000, UTC)


def _bucket(published: _Numbers, bucket: Bucket) -> _Numbers:
    """The beginning of the stretch that holds a moment: seconds, for months their number."""
    if bucket == "month":
        return published.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    length = _SECONDS[bucket]
    begin = _MONDAY_S if bucket == "week" else 0
    seconds = published // 1_000_000
    return (seconds - begin) // length * length + begin


def _start(value: int, bucket: Bucket) -> str:
    if bucket == "month":
        return f"{1970 + value // 12:04d}-{value % 12 + 1:02d}-01"
    moment = datetime.fromtimestamp(value, UTC)
    return moment.strftime("%Y-%m-%dT%H:%MZ") if bucket == "hour" else moment.date().isoformat()
