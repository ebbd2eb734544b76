"""`kasnec store`: what the topics tell, into the database of the dashboards.

A consumer group of its own: a database that is down holds nobody up, and what it missed waits on
the topics. Messages are acknowledged after their batch is committed, so a crash between the two
writes a batch again, which changes nothing. A new group begins at the beginning of the topics.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import Engine
from sqlalchemy.exc import DataError

from pipeline import exposition
from pipeline.errors import BadInput, StoreUnavailable
from pipeline.records import DiplomaticEvent, RawArticle, SummitAlert, decode_alert, decode_event
from pipeline.settings import Settings, Topics
from pipeline.stages import decode
from pipeline.store import database
from pipeline.store.writing import Batch, forget_articles, write
from pipeline.stories import entries
from pipeline.stories.entries import Entry
from pipeline.streaming import client, metrics, topics

log = logging.getLogger(__name__)

# Doubled at each try, as for the sinks: a database that restarts is back in seconds, and one that
# is down for hours is asked twice a minute. Well under max_poll_interval (five minutes).
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
# Returns with the first message; the limit is how soon a signal is heard.
_POLL_MS: Final = 500
# 500 events are written in 0.2 s; more in one transaction are hardly faster.
_BATCH: Final = 500
_FORGET_EVERY_S: Final = 3600.0


@dataclass(slots=True)
class _Gathered:
    """Messages as they are read, the newest of each id."""

    articles: dict[str, RawArticle] = field(default_factory=dict)
    events: dict[str, DiplomaticEvent] = field(default_factory=dict)
    summits: dict[str, Entry] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    alerts: dict[str, tuple[SummitAlert, datetime]] = field(default_factory=dict)

    def batch(self) -> Batch:
        return Batch(
            articles=self.articles,
            events=self.events,
            summits=self.summits,
            closed=self.closed,
            alerts=self.alerts,
        )


async def run(settings: Settings) -> None:
    """Fill the store until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the URL is none, the database is of a newer Kasnec, or the port of
            ``/metrics`` is taken.
        BrokerUnavailable: no broker answers.
        TopicMismatch: a topic is missing.
    """
    await topics.verify(settings)
    stop_metrics = exposition.serve("KASNEC_STORE_PORT", settings.store.host, settings.store.port)
    engine = database.connect(settings.store.url.get_secret_value())
    task = asyncio.create_task(Storer(settings, engine).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped")
    finally:
        engine.dispose()
        stop_metrics()


class Storer:
    """Brings records to the store, each until it is there.

    Args:
        settings: broker, topics and limits.
        engine: of the store.
        first_wait_s: after the first failure.
    """

    def __init__(
        self, settings: Settings, engine: Engine, *, first_wait_s: float = _FIRST_WAIT_S
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._first_wait_s = first_wait_s
        self._forgot = -_FORGET_EVERY_S
        self._read = _readers(settings)

    async def run(self) -> None:
        """Go on until cancelled."""
        await self._patiently(lambda: database.migrate(self._engine))
        log.info("the store is ready")
        names = self._settings.topics
        several = [names.events, names.summits, names.alerts]
        if self._settings.store.keep_articles_days:
            several.append(names.raw)
        group = f"{self._settings.worker.group}-store"
        async with client.member(self._settings, several, group, begin="earliest") as consumer:
            while True:
                found = await self._next(consumer)
                if found:
                    await self._store(consumer, found)
                await self._forget()

    async def _next(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, Sequence[Any]]:
        try:
            found: dict[TopicPartition, Sequence[Any]] = await consumer.getmany(
                timeout_ms=_POLL_MS, max_records=_BATCH
            )
        except KafkaError as error:  # it goes on trying by itself
            log.warning("the broker: %r", error)
            await asyncio.sleep(self._first_wait_s)
            return {}
        return found

    async def _store(
        self, consumer: AIOKafkaConsumer, found: dict[TopicPartition, Sequence[Any]]
    ) -> None:
        messages = [message for several in found.values() for message in several]
        started = time.perf_counter()
        await self._patiently(lambda: self._write(messages))
        metrics.STORE_SECONDS.observe(time.perf_counter() - started)
        metrics.STORED.labels("stored").inc(len(messages))
        offsets = {tp: several[-1].offset + 1 for tp, several in found.items()}
        try:
            await consumer.commit(offsets)
        except KafkaError as error:  # a rebalance: the new owner writes them again
            log.warning("%d messages not acknowledged: %r", len(messages), error)

    def _write(self, messages: Sequence[Any]) -> None:
        now = datetime.now(UTC)
        try:
            write(self._engine, self._gather(messages).batch(), now=now)
        except DataError as error:
            # One value that the database cannot hold takes its whole batch with it.
            if len(messages) == 1:
                _left_out(messages[0], str(error.orig))
                return
            for message in messages:
                self._write([message])

    def _gather(self, messages: Iterable[Any]) -> _Gathered:
        gathered = _Gathered()
        for message in messages:
            try:
                self._read[message.topic](message, gathered)
            except ValueError as error:
                _left_out(message, str(error))
        return gathered

    async def _patiently(self, act: Callable[[], None]) -> None:
        """Do something with the database, until it can be done."""
        wait = self._first_wait_s
        while True:
            try:
                await asyncio.to_thread(act)
            except StoreUnavailable as error:
                metrics.STORED.labels("retry").inc()
                log.warning("the store: %s; again in %.1f s", error, wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)
            else:
                return

    async def _forget(self) -> None:
        days = self._settings.store.keep_articles_days
        if not days or time.monotonic() - self._forgot < _FORGET_EVERY_S:
            return
        self._forgot = time.monotonic()
        before = datetime.now(UTC) - timedelta(days=days)
        await self._patiently(lambda: self._forget_before(before))

    def _forget_before(self, before: datetime) -> None:
        if gone := forget_articles(self._engine, before=before):
            log.info("%d texts older than %s deleted", gone, before.date())


Reader = Callable[[Any, _Gathered], None]


def _readers(settings: Settings) -> dict[str, Reader]:
    names: Topics = settings.topics
    limits = decode.Limits(**settings.limits.model_dump())

    def article(message: Any, into: _Gathered) -> None:
        try:
            found = decode.decode(message.value, limits)
        except BadInput:  # the worker sets it aside
            return
        into.articles[found.id] = found

    def event(message: Any, into: _Gathered) -> None:
        found = decode_event(message.value or b"")
        into.events[found.event_id] = found

    def summit(message: Any, into: _Gathered) -> None:
        if message.value is None:
            into.closed.add((message.key or b"").decode(errors="replace"))
            return
        found = entries.decode(message.value).entry
        into.summits[found.summit_id] = found
        into.closed.discard(found.summit_id)

    def alert(message: Any, into: _Gathered) -> None:
        found = decode_alert(message.value or b"")
        told_at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
        into.alerts[found.alert_id] = (found, told_at)

    return {
        names.raw.name: article,
        names.events.name: event,
        names.summits.name: summit,
        names.alerts.name: alert,
    }


def _left_out(message: Any, why: str) -> None:
    log.error(
        "%s/%d/%d cannot be stored, and is left out: %s",
        message.topic, message.partition, message.offset, why,
    )  # fmt: skip
    metrics.STORED.labels("unreadable").inc()
