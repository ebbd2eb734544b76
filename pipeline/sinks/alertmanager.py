"""Alerts to a Prometheus Alertmanager, by its API v2.

A summit is one alert of the Alertmanager: its labels, and so its fingerprint, are the summit's id
alone. It is open as long as the summit is to come, each change updates its annotations, and it
resolves when the summit is over or off.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

import aiohttp
import orjson

from pipeline.records import SummitAlert
from pipeline.settings import Alertmanager
from pipeline.sinks.sink import post
from pipeline.stories.telling import headline, place
from pipeline.stories.when import days, moment

# Without a date nobody can say when it is over; the register forgets it after so long a silence.
_OPEN_UNDATED: Final = timedelta(days=180)
_OFF: Final = frozenset({"cancelled", "denied"})


class AlertmanagerSink:
    """POSTs each alert to ``/api/v2/alerts``."""

    name = "alertmanager"

    def __init__(self, settings: Alertmanager) -> None:
        self._url = settings.url.rstrip("/") + "/api/v2/alerts"
        password = settings.password.get_secret_value()
        self._headers = (
            {"Authorization": aiohttp.encode_basic_auth(settings.username, password)}
            if settings.username
            else {}
        )

    async def tell(self, alert: SummitAlert) -> None:
        """Post it; see ``Sink.tell``."""
        await post(self._url, body(alert, datetime.now(UTC)), self._headers)


def body(alert: SummitAlert, now: datetime) -> bytes:
    """The alert as the API takes it.

    Args:
        alert: the alert.
        now: an end that has passed is told as ending now; the Alertmanager refuses none.
    """
    summit = alert.summit
    started = moment(summit.first_seen)
    annotations = {
        "summary": headline(alert),
        "status": summit.status,
        "date": summit.date.value if summit.date else "",
        "place": place(summit),
        "participants": ", ".join(p.code for p in summit.participants),
        "evidence": alert.event.evidence.text,
        "article": alert.event.article.url or alert.event.article.id,
    }
    return orjson.dumps(
        [
            {
                "labels": {"alertname": "DiplomaticSummit", "summit_id": alert.summit_id},
                "annotations": {name: text for name, text in annotations.items() if text},
                "startsAt": min(started, now).isoformat(),
                "endsAt": _end(alert, now).isoformat(),
            }
        ]
    )


def _end(alert: SummitAlert, now: datetime) -> datetime:
    summit = alert.summit
    if summit.status in _OFF:
        return now
    if summit.date is None:
        return now if summit.status == "actual" else now + _OPEN_UNDATED
    # Until midnight of its last day in the last time zone to have it.
    last = days(summit.date.value).last + timedelta(days=1)
    return max(now, datetime.combine(last, time(12), UTC))
