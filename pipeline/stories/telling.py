"""A summit and its alerts in words, for terminals, messages and letters.

In English, as are all names on the wire; the evidence stays in the language of the article.
"""

from __future__ import annotations

from pipeline.records import Summit, SummitAlert
from pipeline.stories.when import days

_STATUS = {
    "actual": "took place",
    "ongoing": "has begun",
    "planned": "is planned",
    "proposed": "is proposed",
    "postponed": "is postponed",
    "cancelled": "is cancelled",
    "denied": "is denied",
    "hypothetical": "is thinkable",
}

# What stands before the day where it is only an aim.
_AIM = {"planned": "for", "proposed": "for", "hypothetical": "for", "postponed": "to"}


def headline(alert: SummitAlert) -> str:
    """What is new, in one line."""
    name, now, before = alert.summit.name, alert.summit, alert.before
    if before is None:
        return f"New summit: {name} {_STATUS[now.status]}{_when(now)}"
    if alert.change == "status":
        day = _when(now) if now.date and now.date != before.date else ""
        return f"{name} {_STATUS[now.status]}{day} (was {before.status}{_was(before)})"
    if alert.change == "date":
        old = before.date.value if before.date else "without a date"
        return f"{name} {_STATUS[now.status]}{_when(now)} (was {old})"
    if alert.change == "place":
        return f"{name} moves to {place(now)} (was {place(before) or 'without a place'})"
    gone = _names(before, without=now)
    come = _names(now, without=before)
    parts = ([f"without {gone}"] if gone else []) + ([f"with {come}"] if come else [])
    return f"{name} is now {' and '.join(parts)}"


def lines(alert: SummitAlert) -> list[str]:
    """Headline, state, evidence and source: a paragraph."""
    now, article = alert.summit, alert.event.article
    state = [now.status, now.date.value if now.date else "no date", place(now) or "no place"]
    source = " · ".join(filter(None, (article.source, article.title, article.published_at)))
    return [
        headline(alert),
        f"{' · '.join(state)} · {', '.join(p.name for p in now.participants)}",
        f"“{alert.event.evidence.text}”",
        f"{source} · {article.url}" if article.url else source,
    ]


def place(summit: Summit) -> str:
    """The place with its country's code, empty where there is none."""
    if summit.place is None:
        return ""
    here = summit.place
    return here.name if here.latitude is None else f"{here.name} ({here.code})"


def _when(summit: Summit) -> str:
    if summit.date is None:
        return ""
    value, span = summit.date.value, days(summit.date.value)
    aim = _AIM.get(summit.status)
    if summit.date.granularity == "week":
        return f" {aim or 'in'} the week of {span.first.isoformat()}"
    return f" {aim or ('on' if summit.date.granularity == 'day' else 'in')} {value}"


def _was(summit: Summit) -> str:
    return f" for {summit.date.value}" if summit.date and summit.status == "planned" else ""


def _names(summit: Summit, *, without: Summit) -> str:
    others = {p.code for p in without.participants}
    return ", ".join(p.name for p in summit.participants if p.code not in others)
