"""Summit alerts over a real broker: each told once, whatever happens to the workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from pipeline.errors import DeliveryFailed
from pipeline.records import DiplomaticEvent, encode
from pipeline.settings import Settings
from pipeline.stories.register import Register
from pipeline.streaming import dead_letters, topics
from pipeline.streaming.agents import Message
from pipeline.streaming.delivery import Outbox, Outgoing
from pipeline.streaming.health import Progress
from pipeline.streaming.summits import MentionHandler
from tests.stories.stream2027 import perfect_alerts, perfect_events, read
from tests.wire.harness import Tail, WorkerProcess, acknowledged, produce
from tests.wire.streams import one_partition, stream_articles

NewWorker = Callable[..., WorkerProcess]
NewSettings = Callable[..., Settings]


async def test_each_alert_is_told_once(wire_settings: NewSettings, new_worker: NewWorker) -> None:
    """The stream, and the stream again: one alert a change, the records byte for byte."""
    settings = wire_settings()
    await topics.create(settings)
    expected = [encode(alert) for alert in perfect_alerts()]
    assert len(expected) == len(read("alerts"))
    worker = new_worker(settings).start()
    values = stream_articles()
    async with Tail(settings) as tail:
        for _ in range(2):
            await produce(settings, values, key=one_partition)
        await tail.until(
            lambda t: len(t.annotated) == 2 * len(values), what="all", workers=[worker]
        )
        await acknowledged(settings, 2 * len(values))
        await acknowledged(settings, 2 * len(list(perfect_events())), settings.topics.mentions)
        seen = await tail.rest()
    assert [record.value for record in seen.alerts] == expected
    assert [record.key for record in seen.alerts] == [
        orjson.loads(value)["summit_id"].encode() for value in expected
    ]
    assert worker.terminate() == 0


@dataclass
class Mention(Message):
    """A message of ``summits.mentions`` as Faust hands it over."""

    topic: str
    offset: int
    value: bytes | None
    generation_id: int | None = 0
    partition: int = 0
    timestamp: float = 0.0
    key: bytes | None = None


class Crash(BaseException):
    """The process ends here."""


class Dying:
    """A register's process that crashes instead of its nth send, or its nth acknowledgement."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, steps: int) -> None:
        self._producer = producer
        self._left = steps
        self.acknowledged = 0
        outbox = Outbox(self._send, retry_s=0)
        self._handler = MentionHandler(settings=settings, outbox=outbox, progress=Progress(90))

    def _step(self) -> None:
        if not self._left:
            raise Crash
        self._left -= 1

    async def _send(self, record: Outgoing) -> Awaitable[Any]:
        self._step()
        future: Awaitable[Any] = await self._producer.send(record.topic, record.value, record.key)
        return future

    async def _acknowledge(self, _message: Any) -> None:
        self._step()
        self.acknowledged += 1

    async def run(self, mentions: Sequence[Mention]) -> bool:
        """Whether it lived to the end."""
        try:
            await self._handler.handle(
                mentions, is_ours=lambda _: True, acknowledge=self._acknowledge
            )
        except (Crash, DeliveryFailed):
            return False
        return True


@pytest.mark.timeout(300)
@pytest.mark.parametrize("steps", [1, 2])
async def test_a_crash_at_any_step_neither_loses_nor_repeats(
    settings: Settings, steps: int
) -> None:
    """A process that crashes every few steps, between whichever two: the alerts are the same."""
    await topics.create(settings)
    # Every crash costs two seconds of reading anew; these have new summits and changed ones.
    events = list(perfect_events())[:16]
    register = Register()
    told = [alert for event in events if (alert := register.observe(event).alert)]
    assert {alert.change for alert in told} > {"new"}
    topic = settings.topics.mentions.name
    mentions = [Mention(topic, n, encode(event)) for n, event in enumerate(events)]
    done = crashes = 0
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker.bootstrap_servers, acks="all")
    await producer.start()
    try:
        # One step is enough to go on: what was sent stays sent, what was acknowledged is behind.
        while True:
            process = Dying(settings, producer, steps)
            lived = await process.run(mentions[done:])
            done += process.acknowledged
            if lived:
                break
            crashes += 1
            assert crashes < 200
    finally:
        await producer.stop()
    assert done == len(mentions)
    assert crashes > 5
    async with Tail(settings) as tail:
        seen = await tail.rest()
    assert [record.value for record in seen.alerts] == [encode(alert) for alert in told]


async def test_a_mention_that_is_none_is_set_aside(
    wire_settings: NewSettings, new_worker: NewWorker
) -> None:
    """What cannot be read goes to the dead letters; the mentions around it are taken in."""
    settings = wire_settings()
    await topics.create(settings)
    good = [encode(event) for event in perfect_events()][:3]
    bad = [b"{}", b"\xff", None, orjson.dumps(orjson.loads(good[0]) | {"type": "PARTY"})]
    values: list[bytes | None] = [good[0], *bad, *good[1:]]
    await produce(settings, values, topic=settings.topics.mentions, key=one_partition)
    worker = new_worker(settings).start()
    async with Tail(settings) as tail:
        seen = await tail.until(
            lambda t: len(t.dead_letter) == len(bad) and len(t.alerts) >= 2,
            what="letters and alerts",
            workers=[worker],
        )
    assert set(seen.reasons) == {"not-an-event"}
    assert [record.value for record in seen.dead_letter] == bad
    await acknowledged(settings, len(values), settings.topics.mentions)
    letters = [(letter, letter.value) async for letter in dead_letters.read(settings)]
    assert await dead_letters.send_back(letters[:1], settings) == 1
    await acknowledged(settings, len(values) + 1, settings.topics.mentions)
    assert worker.terminate() == 0


async def test_a_register_that_cannot_be_read_ends_the_worker(
    wire_settings: NewSettings, new_worker: NewWorker
) -> None:
    """Strange records on the register's topic: the worker says what to do and tells nothing."""
    settings = wire_settings()
    await topics.create(settings)
    await produce(settings, [b"[]"], topic=settings.topics.summits, key=one_partition)
    events: list[DiplomaticEvent] = list(perfect_events())
    await produce(settings, [encode(events[0])], topic=settings.topics.mentions, key=one_partition)
    worker = new_worker(settings).start()
    assert await worker.exit_status() == 1
    assert "kasnec topics create" in worker.log
    async with Tail(settings) as tail:
        assert not (await tail.rest()).alerts
