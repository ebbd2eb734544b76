"""Days and spans of days: what a date of the codebook says, and how two of them relate."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Days:
    """The days from ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def length(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    def within(self, other: Days) -> bool:
        """Whether every day of this span is one of the other's."""
        return other.first <= self.first and self.last <= other.last

    def gap(self, other: Days) -> int:
        """Days between the two spans; 0 where they share one."""
        return max(0, (self.first - other.last).days, (other.first - self.last).days)


def days(value: str) -> Days:
    """The days of ``YYYY-MM-DD``, ``YYYY-Www``, ``YYYY-MM`` or ``YYYY``.

    Raises:
        ValueError: it has none of these forms.
    """
    year, _, rest = value.partition("-")
    if rest.startswith("W"):
        monday = date.fromisocalendar(int(year), int(rest[1:]), 1)
        return Days(monday, monday + timedelta(days=6))
    if not rest:
        return Days(date(int(year), 1, 1), date(int(year), 12, 31))
    if "-" in rest:
        day = date.fromisoformat(value)
        return Days(day, day)
    month = int(rest)
    return Days(
        date(int(year), month, 1),
        date(int(year), month, calendar.monthrange(int(year), month)[1]),
    )


def moment(published_at: str) -> datetime:
    """The moment of an RFC 3339 string, in UTC."""
    return datetime.fromisoformat(published_at).astimezone(UTC)
