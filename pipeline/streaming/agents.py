"""What happens to a micro-batch of ``articles.raw``: decode, code, publish, confirm, acknowledge.

The rules, each with its test in ``tests/wire``:

* An exception that leaves a Faust agent commits past the message in every stream mode but one:
  ``noack_take`` under a ``CrashingSupervisor``, acknowledged by hand. So an unexpected error here
  ends the process, and the message comes again.
* An article is acknowledged after the broker has confirmed all its records, or its dead letter:
  at once and not with its batch, so that the first records of a batch come out while the models
  work on the others, and little is repeated after a crash.
* A message fetched before a rebalance may belong to another worker by now. It is dropped without
  acknowledgement: its owner gets it again, and an acknowledgement from an older generation could
  commit past messages that this worker has thrown out of its buffers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from pipeline.errors import BadInput, StageFailed
from pipeline.isolation import Coded, IsolatedChain
from pipeline.settings import Topics
from pipeline.stages.decode import Limits, decode
from pipeline.streaming import dead_letters, metrics
from pipeline.streaming.delivery import Outbox, Outgoing
from pipeline.streaming.health import Progress

# What the protocol adds to a record's value: key, headers, lengths.
RECORD_OVERHEAD_BYTES: Final = 2_048


class Message(Protocol):
    """What is read of a Faust message."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    generation_id: int | None


class ArticleHandler:
    """Codes micro-batches.

    Args:
        chain: the models, in their process.
        outbox: sends and confirms.
        topics: where to send to, and how much they take.
        limits: what an article may be.
        progress: told of every step, for the probes.
    """

    def __init__(
        self,
        *,
        chain: IsolatedChain,
        outbox: Outbox,
        topics: Topics,
        limits: Limits,
        progress: Progress,
    ) -> None:
        self._chain = chain
        self._outbox = outbox
        self._topics = topics
        self._limits = limits
        self._progress = progress
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
        """Code a batch, and acknowledge its messages one by one, in order.

        Args:
            messages: in the order of their partitions.
            is_ours: whether a message still belongs to this worker's generation.
            acknowledge: called once the broker has confirmed all that a message turned into.

        Raises:
            DeliveryFailed: the broker did not confirm the records.
        """
        ours = [message for message in messages if is_ours(message)]
        if self._stopping or not ours:
            return
        self.idle.clear()
        self._progress.took(len(ours))
        metrics.IN_HAND.set(len(ours))
        metrics.BATCH_ARTICLES.observe(len(ours))
        fates = [asyncio.create_task(self._fate(message)) for message in ours]
        try:
            for message, fate in zip(ours, fates, strict=True):
                records, count = await fate
                await self._outbox.deliver(records)
                count()
                now = time.time()
                metrics.ARRIVAL_SECONDS.observe(max(0.0, now - message.timestamp))
                metrics.LAST_PROGRESS.set(now)
                metrics.IN_HAND.dec()
                if is_ours(message):
                    await acknowledge(message)
        finally:
            for fate in fates:
                fate.cancel()
            metrics.IN_HAND.set(0)
            self._progress.finished()
            self.idle.set()

    async def _fate(self, message: Message) -> tuple[list[Outgoing], Callable[[], None]]:
        """The records that a message turns into, and what to count once they are confirmed."""
        try:
            article = decode(message.value, self._limits)
        except BadInput as error:
            return self._dead_letter(message, error, attempts=1)
        outcome = await self._chain.run(article)
        for stage, seconds in outcome.seconds.items():
            metrics.STAGE_SECONDS.labels(stage).observe(seconds)
        coded = outcome.result
        try:
            if isinstance(coded, BadInput):
                raise coded
            records = self._records(article.id, coded)
        except BadInput as error:
            return self._dead_letter(message, error, attempts=outcome.attempts)
        kinds = coded.kinds

        def count() -> None:
            metrics.ARTICLES.labels("coded").inc()
            for kind, status in kinds:
                metrics.EVENTS.labels(kind, status).inc()

        return records, count

    def _records(self, article_id: str, coded: Coded) -> list[Outgoing]:
        annotated, events = self._topics.annotated, self._topics.events
        mentions = self._topics.mentions.name
        records = [Outgoing(annotated.name, article_id.encode(), coded.annotated)]
        records += [Outgoing(events.name, story.encode(), value) for story, value in coded.events]
        records += [
            Outgoing(mentions, story.encode(), value)
            for (story, value), (kind, _) in zip(coded.events, coded.kinds, strict=True)
            if kind == "CONSULT"
        ]
        for record in records:
            topic = annotated if record.topic == annotated.name else events
            size = len(record.value or b"") + RECORD_OVERHEAD_BYTES
            if size > topic.max_message_bytes:
                raise StageFailed(
                    "record-too-large",
                    f"A record for {topic.name} has {size} bytes, the topic takes "
                    f"{topic.max_message_bytes}.",
                    stage="publish",
                )
        return records

    def _dead_letter(
        self, message: Message, error: BadInput, *, attempts: int
    ) -> tuple[list[Outgoing], Callable[[], None]]:
        headers = dead_letters.headers(
            error,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            attempts=attempts,
        )
        record = Outgoing(self._topics.dead_letter.name, message.key, message.value, tuple(headers))

        def count() -> None:
            metrics.ARTICLES.labels("dead-letter").inc()
            metrics.DEAD_LETTERS.labels(error.reason, error.stage).inc()

        return [record], count


class Handler(Protocol):
    """What takes the messages of a topic in hand."""

    async def handle(
        self,
        messages: Sequence[Message],
        *,
        is_ours: Callable[[Message], bool],
        acknowledge: Callable[[Message], Awaitable[None]],
    ) -> None: ...


def attach(
    app: Any, topic: Any, handler: Handler, *, name: str, batch: int, linger_s: float
) -> Any:
    """Give the Faust app an agent.

    ``concurrency`` stays 1: more would commit past unfinished work and lose order (faust-streaming
    issue 606). Scale by partitions and processes.
    """
    from mode.supervisors import CrashingSupervisor  # noqa: PLC0415 - with Faust, not before

    def is_ours(message: Message) -> bool:
        return not app.rebalancing and message.generation_id == app.consumer_generation_id

    @app.agent(topic, name=name, concurrency=1, supervisor_strategy=CrashingSupervisor)  # type: ignore[untyped-decorator, unused-ignore]
    async def agent(stream: Any) -> None:
        # noack_take() turns acknowledging off and, where we raise, back on as it was, while Faust
        # still reads in the background until the process ends: what arrived in that moment was
        # acknowledged unread (3 of 10 messages, measured). Off from the start, it stays off.
        stream.enable_acks = False
        async for events in stream.noack_take(batch, within=linger_s):
            held = {id(event.message): event for event in events}

            async def acknowledge(message: Message, held: dict[int, Any] = held) -> None:
                await stream.ack(held[id(message)])

            await handler.handle(
                [event.message for event in events], is_ours=is_ours, acknowledge=acknowledge
            )

    return agent
