"""Reading what lies on a topic, without a group: all of it, its last messages, or what comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.errors import BrokerUnavailable, TopicMismatch
from pipeline.settings import Settings, Topic
from pipeline.streaming import client, topics

_FETCH_TIMEOUT_MS: Final = 1000
_SILENCE_S: Final = 30.0  # a broker that has messages for us and sends none for so long is not well

Bounds = dict[TopicPartition, tuple[int, int]]


@asynccontextmanager
async def bounded(
    settings: Settings, topic: Topic, role: str
) -> AsyncIterator[tuple[AIOKafkaConsumer, Bounds]]:
    """A consumer, and the first and the next offset of every partition at this moment.

    Raises:
        BrokerUnavailable: no broker answers.
        TopicMismatch: the topic does not exist.
    """
    partitions = await _partitions(settings, topic)
    async with client.reader(settings, topic, role) as consumer:
        consumer.assign(partitions)
        try:
            async with asyncio.timeout(_SILENCE_S):
                begins = await consumer.beginning_offsets(partitions)
                ends = await consumer.end_offsets(partitions)
        except (KafkaError, TimeoutError) as error:
            raise await client.unavailable(settings, error) from error
        yield consumer, {tp: (begins[tp], ends[tp]) for tp in partitions}


async def snapshot(settings: Settings, topic: Topic, role: str) -> AsyncGenerator[Any, None]:
    """Every message on the topic at this moment, in order within a partition.

    Raises:
        BrokerUnavailable: no broker answers, or it falls silent.
        TopicMismatch: the topic does not exist.
    """
    async with (
        bounded(settings, topic, role) as (consumer, bounds),
        aclosing(in_ranges(consumer, settings, bounds)) as messages,
    ):
        async for message in messages:
            yield message


async def newest(
    settings: Settings, topic: Topic, role: str, *, count: int
) -> AsyncGenerator[Any, None]:
    """The last ``count`` messages of each partition at this moment, or fewer.

    Raises:
        BrokerUnavailable: no broker answers, or it falls silent.
        TopicMismatch: the topic does not exist.
    """
    async with bounded(settings, topic, role) as (consumer, bounds):
        last = {tp: (max(begin, end - count), end) for tp, (begin, end) in bounds.items()}
        async with aclosing(in_ranges(consumer, settings, last)) as messages:
            async for message in messages:
                yield message


async def in_ranges(
    consumer: AIOKafkaConsumer, settings: Settings, ranges: Mapping[TopicPartition, tuple[int, int]]
) -> AsyncGenerator[Any, None]:
    """The messages with offsets in ``[begin, end)`` of each partition.

    Raises:
        BrokerUnavailable: the broker fails, or falls silent.
    """
    left = {tp for tp, (begin, end) in ranges.items() if begin < end}
    consumer.assign(sorted(left))
    for tp in left:
        consumer.seek(tp, ranges[tp][0])
    heard = time.monotonic()
    while left:
        try:
            batches = await consumer.getmany(*left, timeout_ms=_FETCH_TIMEOUT_MS)
            # Not by the last message: the end may be a transaction's marker, which is none.
            positions = {tp: await consumer.position(tp) for tp in left}
        except KafkaError as error:
            raise await client.unavailable(settings, error) from error
        for tp, messages in batches.items():
            for message in messages:
                if message.offset < ranges[tp][1]:
                    yield message
        reached = {tp for tp in left if positions[tp] >= ranges[tp][1]}
        left -= reached
        if batches or reached:
            heard = time.monotonic()
        elif time.monotonic() - heard > _SILENCE_S:
            raise BrokerUnavailable(
                f"The broker has more messages on {', '.join(sorted({tp.topic for tp in left}))} "
                f"and sent none for {_SILENCE_S:.0f} s. Its own log tells more."
            )


@asynccontextmanager
async def following(
    settings: Settings, several: Sequence[Topic], role: str, *, from_beginning: bool = False
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of several topics, at their ends or at their beginnings.

    Raises:
        BrokerUnavailable: no broker answers.
        TopicMismatch: a topic does not exist.
    """
    partitions = [tp for topic in several for tp in await _partitions(settings, topic)]
    # One fetch must be able to hold a message of any.
    largest = max(several, key=lambda topic: topic.max_message_bytes)
    async with client.reader(settings, largest, role) as consumer:
        consumer.assign(partitions)
        await (consumer.seek_to_beginning() if from_beginning else consumer.seek_to_end())
        yield consumer


async def _partitions(settings: Settings, topic: Topic) -> list[TopicPartition]:
    for state in await topics.inspect(settings):
        if state.topic == topic and state.partitions:
            return [TopicPartition(topic.name, number) for number in range(state.partitions)]
    raise TopicMismatch(f"{topic.name} does not exist: run `kasnec topics create`.")
