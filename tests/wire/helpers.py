"""Reading and writing topics in tests, with time limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.settings import Settings, Topic

TIMEOUT_S = 60.0


async def read_all(settings: Settings, topic: Topic) -> list[Any]:
    """Every message that is on the topic now, partition by partition."""
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker.bootstrap_servers,
        max_partition_fetch_bytes=topic.max_message_bytes,
    )
    async with asyncio.timeout(TIMEOUT_S):
        await consumer.start()
        try:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning()
            found: list[Any] = []
            while len(found) < sum(ends.values()):
                for messages in (await consumer.getmany(timeout_ms=500)).values():
                    found += messages
        finally:
            await consumer.stop()
    return sorted(found, key=lambda message: (message.partition, message.offset))


async def write(
    settings: Settings,
    topic: Topic,
    messages: Sequence[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]],
) -> None:
    """Put messages (key, value, headers) on partition 0 of a topic."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker.bootstrap_servers)
    async with asyncio.timeout(TIMEOUT_S):
        await producer.start()
        try:
            for key, value, headers in messages:
                await producer.send_and_wait(
                    topic.name, key=key, value=value, headers=headers, partition=0
                )
        finally:
            await producer.stop()
