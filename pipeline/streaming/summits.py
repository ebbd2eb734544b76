"""What happens to a mention of a meeting: the register takes it in, and an alert is told once.

One process of the group has the one partition of ``summits.mentions`` at a time. Its register is in
memory; what it knows lies on the compacted topic ``summits.register`` too, and from there whoever
has the partition next goes on.

No transaction spans the two topics, and none is needed. Each mention takes these steps in order,
each confirmed by the broker before the next:

1. the summit as it is after the mention goes to the register's topic, and in the same record the
   alert that the mention causes;
2. the alert goes to ``alerts.summits``;
3. the mention is acknowledged.

A crash before 1 left no trace, and the mention comes again. A crash between 1 and 2 leaves an alert
untold: as no later mention was taken, only the last record of the register's topic can hold one,
and whoever rebuilds the register looks for it among the last alerts and tells it if it is not
there. A crash between 2 and 3 brings a mention that the summit already counts; it changes nothing.

What stays: a process that stands still for longer than ``worker.session_timeout_s`` between two of
these lines and then wakes can tell an alert that its successor tells too. ``alert_id`` is the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

import orjson

from pipeline.errors import BadInput, NotDecodable, RegisterUnreadable, StageFailed
from pipeline.records import SummitAlert, decode_event, encode
from pipeline.settings import Settings, Topics
from pipeline.stories import entries
from pipeline.stories.entries import Entry, EntryRecord
from pipeline.stories.register import Observed, Register, Rules
from pipeline.streaming import dead_letters, metrics, reading
from pipeline.streaming.agents import RECORD_OVERHEAD_BYTES, Message
from pipeline.streaming.delivery import Outbox, Outgoing
from pipeline.streaming.health import Progress

log = logging.getLogger(__name__)

# The untold alert, if it was told, is the last of its partition. A producer that was not answered
# sends a record again, so the last may stand there several times.
_LAST_ALERTS: Final = 32
# Decoding an entry takes 0.1 ms: the event loop gets its turn after so many.
_ENTRIES_A_TURN: Final = 50


class MentionHandler:
    """Takes mentions into the register, one after the other.

    Args:
        settings: topics, broker and what counts as a summit.
        outbox: sends and confirms.
        progress: told of every step, for the probes.
    """

    def __init__(self, *, settings: Settings, outbox: Outbox, progress: Progress) -> None:
        self._settings = settings
        self._topics: Topics = settings.topics
        self._rules = Rules(**dict(settings.summits))
        self._outbox = outbox
        self._progress = progress
        self._register = Register(self._rules)
        self._generation: int | None = None  # of the group, when the register was rebuilt
        self._stopping = False
        self.idle = asyncio.Event()
        self.idle.set()

    def stop(self) -> None:
        """Take nothing new in hand; what waits stays unacknowledged and is redelivered."""
        self._stopping = True

    async def handle(
        self,
        messages: Sequence[Message],
        *,
        is_ours: Callable[[Message], bool],
        acknowledge: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Take in a batch, and acknowledge its messages one by one, in order.

        Raises:
            DeliveryFailed: the broker did not confirm a record.
            RegisterUnreadable: the register's topic holds what is no summit.
            BrokerUnavailable: the register's topic cannot be read.
        """
        self.idle.clear()
        try:
            for number, message in enumerate(messages):
                if self._stopping:
                    return
                if not is_ours(message):
                    continue  # its owner gets it again
                self._progress.took(len(messages) - number, "mentions")
                if self._generation != message.generation_id:
                    await self._restore()
                    self._generation = message.generation_id
                if not is_ours(message):
                    continue
                await self._take(message)
                metrics.MENTION_SECONDS.observe(max(0.0, time.time() - message.timestamp))
                self._progress.progressed("mentions")
                if is_ours(message):
                    await acknowledge(message)
        except BaseException:
            self._generation = None  # what the register holds may not be what its topic holds
            raise
        finally:
            self._progress.finished("mentions")
            self.idle.set()

    async def _take(self, message: Message) -> None:
        try:
            event = decode_event(message.value or b"")
        except ValueError as error:
            detail = f"It is no diplomatic-event/1: {error}"
            await self._set_aside(message, NotDecodable("not-an-event", detail, stage="summits"))
            return
        started = time.perf_counter()
        observed = self._register.observe(event)
        metrics.MATCH_SECONDS.observe(time.perf_counter() - started)
        if observed.entry is None:
            return
        try:
            record, alert = self._records(observed.entry, observed)
        except BadInput as error:
            self._generation = None  # the register has taken it in already
            await self._set_aside(message, error)
            return
        await self._outbox.deliver([record])
        if alert:
            await self._outbox.deliver([alert])
            metrics.ALERTS.labels(observed.alert.change if observed.alert else "").inc()
        name = self._topics.summits.name
        gone = self._register.forget()
        await self._outbox.deliver([Outgoing(name, summit_id.encode(), None) for summit_id in gone])
        metrics.SUMMITS.set(len(self._register))

    def _records(self, entry: Entry, observed: Observed) -> tuple[Outgoing, Outgoing | None]:
        value = entries.encode(EntryRecord(entry=entry, alert=observed.alert))
        record = Outgoing(self._topics.summits.name, entry.summit_id.encode(), value)
        alert = self._alert(observed.alert) if observed.alert else None
        for outgoing in filter(None, (record, alert)):
            topic = next(t for t in self._topics.all() if t.name == outgoing.topic)
            size = len(outgoing.value or b"") + RECORD_OVERHEAD_BYTES
            if size > topic.max_message_bytes:
                raise StageFailed(
                    "record-too-large",
                    f"A record for {topic.name} has {size} bytes, the topic takes "
                    f"{topic.max_message_bytes}.",
                    stage="summits",
                )
        return record, alert

    def _alert(self, alert: SummitAlert) -> Outgoing:
        return Outgoing(self._topics.alerts.name, alert.summit_id.encode(), encode(alert))

    async def _set_aside(self, message: Message, error: BadInput) -> None:
        headers = dead_letters.headers(
            error,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            attempts=1,
        )
        name = self._topics.dead_letter.name
        await self._outbox.deliver([Outgoing(name, message.key, message.value, tuple(headers))])
        metrics.DEAD_LETTERS.labels(error.reason, error.stage).inc()

    async def _restore(self) -> None:
        """Make the register what its topic says, and tell the alert that was left untold."""
        known: dict[str, Entry] = {}
        untold: SummitAlert | None = None
        topic = self._topics.summits
        async with aclosing(reading.snapshot(self._settings, topic, "summits")) as messages:
            number = 0
            async for message in messages:
                summit_id = (message.key or b"").decode(errors="replace")
                record = read_record(message)
                if record:
                    known[summit_id] = record.entry
                else:
                    known.pop(summit_id, None)
                untold = record.alert if record and not self._is_old(message) else None
                number += 1
                if not number % _ENTRIES_A_TURN:
                    await asyncio.sleep(0)
        self._register = Register(self._rules, known.values())
        metrics.SUMMITS.set(len(self._register))
        log.info("the register has %d summits", len(self._register))
        if untold and not await self._is_told(untold):
            await self._outbox.deliver([self._alert(untold)])
            metrics.ALERTS.labels(untold.change).inc()

    def _is_old(self, message: Any) -> bool:
        """Whether the alert of this record, told in its time, is no longer on its topic."""
        hours = self._topics.alerts.retention_hours
        return hours != -1 and time.time() - message.timestamp / 1000 > hours * 3600

    async def _is_told(self, alert: SummitAlert) -> bool:
        topic = self._topics.alerts
        last = reading.newest(self._settings, topic, "summits", count=_LAST_ALERTS)
        async with aclosing(last) as messages:
            return alert.alert_id in [
                orjson.loads(message.value)["alert_id"] async for message in messages
            ]


def read_record(message: Any) -> EntryRecord | None:
    """What a message of the register's topic says of its summit; None: it is forgotten.

    Raises:
        RegisterUnreadable: neither.
    """
    if message.value is None:
        return None
    try:
        return entries.decode(message.value)
    except ValueError as error:
        raise RegisterUnreadable(
            f"{message.topic}/{message.partition}/{message.offset} is no record of a summit: "
            f"{error}. Was it written by a newer Kasnec, or by something else? If it cannot be "
            "mended, delete the topic, run `kasnec topics create`, and replay the articles of the "
            "last two months: the register is rebuilt from them, and its alerts are told again."
        ) from error
