"""Articles onto the topic ``articles.raw``, each confirmed by the broker."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from pipeline.errors import BadInput, NotDecodable
from pipeline.records import RawArticle
from pipeline.settings import Settings
from pipeline.sources import STAGE, Found
from pipeline.stages import decode
from pipeline.streaming import client

FIRST_REJECTS: Final = 10

_IN_FLIGHT: Final = 256  # unconfirmed messages; 64 and 1,024 are as fast with one broker
_READ_AHEAD: Final = 64  # articles read and not yet sent
_POLL_S: Final = 0.1  # how soon a stop is noticed while waiting for a slow source


@dataclass(frozen=True, slots=True)
class Reject:
    """An article that was not sent."""

    where: str
    error: BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An article ready to send; equal articles are equal bytes."""

    where: str
    article: RawArticle
    value: bytes

    @property
    def key(self) -> bytes:
        """The message key."""
        return self.article.id.encode()


@dataclass(slots=True, kw_only=True)
class Summary:
    """What happened; it grows while the replay runs.

    Attributes:
        read: articles found in the files.
        sent: messages that the broker has confirmed (in a dry run: that would be sent).
        refused: messages that the broker did not confirm.
        refusal: why, for the first of them.
        rejected: articles that break a rule of record.md, by reason.
        first_rejects: the first of them, with their place.
        seconds: how long it took.
    """

    read: int = 0
    sent: int = 0
    refused: int = 0
    refusal: str = ""
    rejected: Counter[str] = field(default_factory=Counter)
    first_rejects: list[Reject] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every article that was read is on the topic."""
        return self.sent == self.read


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast to send; as fast as it goes by default.

    Attributes:
        per_second: messages a second.
        speed: 60 sends in a minute what was published in an hour, ordered by publication time.
    """

    per_second: float | None = None
    speed: float | None = None


def messages(
    found: Iterable[Found],
    limits: decode.Limits,
    *,
    normalise: bool = False,
    suffix: str = "",
) -> Iterator[Message | Reject]:
    """What to send of what was found, and what not.

    Args:
        found: articles in files.
        limits: what an article may be.
        normalise: compose the Unicode and drop control characters first.
        suffix: put behind every id, to make articles that are new to the readers.
    """
    for item in found:
        try:
            yield _message(item, limits, normalise=normalise, suffix=suffix)
        except BadInput as error:
            yield Reject(item.where, error)


def by_publication(items: Iterable[Message | Reject]) -> Iterator[Message | Reject]:
    """The rejects, then the messages from the oldest article to the newest."""
    sendable: list[Message] = []
    for item in items:
        if isinstance(item, Reject):
            yield item
        else:
            sendable.append(item)
    yield from sorted(sendable, key=_published)


def rounds(once: Callable[[int], Iterable[Message | Reject]]) -> Iterator[Message | Reject]:
    """The same articles again and again; ends after a round with nothing to send.

    Args:
        once: given the number of the round, from 0, its articles.
    """
    for number in itertools.count():
        sendable = False
        for item in once(number):
            sendable = sendable or isinstance(item, Message)
            yield item
        if not sendable:
            return


async def replay(
    articles: Iterable[Message | Reject],
    settings: Settings,
    on_progress: Callable[[Summary], None] = lambda _: None,
    *,
    pace: Pace | None = None,
    dry_run: bool = False,
    stop: asyncio.Event | None = None,
) -> Summary:
    """Send the articles and wait until the broker has confirmed them.

    Args:
        articles: what ``messages`` yields; read in a thread, may be endless.
        settings: the broker and the topic.
        on_progress: called after each article with the summary so far.
        pace: how fast.
        dry_run: do everything but send; needs no broker.
        stop: set it to end early: what is on its way is still waited for.

    Raises:
        BrokerUnavailable: no broker answers at the start. Later, messages that it does not confirm
            are counted in the summary, and the replay ends after the first.
    """
    stop = stop or asyncio.Event()
    clock = _Clock(pace or Pace())
    summary = Summary()
    topic = settings.topics.raw
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        producer = None
        if not dry_run:
            producer = await stack.enter_async_context(client.producer(settings, topic, "replay"))
        sender = _Sender(producer, settings, summary)
        items = await stack.enter_async_context(aclosing(_in_thread(articles, stop)))
        async for item in items:
            if isinstance(item, Reject):
                _count(item, summary)
            else:
                await clock.wait(item, stop)
                if stop.is_set():
                    break
                summary.read += 1
                await sender.send(item)
            on_progress(summary)
            if summary.refused:
                break
        await sender.finish()
        on_progress(summary)
    summary.seconds = time.monotonic() - started
    return summary


class _Sender:
    """Sends with a bounded number of unconfirmed messages."""

    def __init__(
        self, producer: AIOKafkaProducer | None, settings: Settings, summary: Summary
    ) -> None:
        self._producer = producer
        self._topic = settings.topics.raw.name
        self._timeout_s = settings.worker.produce_timeout_s
        self._summary = summary
        self._in_flight: set[asyncio.Future[Any]] = set()

    async def send(self, message: Message) -> None:
        if self._producer is None:
            self._summary.sent += 1
            return
        while len(self._in_flight) >= _IN_FLIGHT:
            await self._collect()
        if self._summary.refused:
            return
        try:
            confirmation = await self._producer.send(
                self._topic, key=message.key, value=message.value
            )
        except (KafkaError, OSError) as error:
            self._refused(error)
        else:
            self._in_flight.add(confirmation)

    async def finish(self) -> None:
        while self._in_flight:
            await self._collect()

    async def _collect(self) -> None:
        done, self._in_flight = await asyncio.wait(
            self._in_flight, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            silence = KafkaTimeoutError(f"no confirmation for {self._timeout_s:g} s")
            for confirmation in self._in_flight:
                confirmation.cancel()
                self._refused(silence)
            self._in_flight = set()
        for confirmation in done:
            if error := confirmation.exception():
                self._refused(error)
            else:
                self._summary.sent += 1

    def _refused(self, error: BaseException) -> None:
        self._summary.refused += 1
        self._summary.refusal = self._summary.refusal or f"{type(error).__name__}: {error}"


class _Clock:
    """Waits until a message is due."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._start = time.monotonic()
        self._sent = 0
        self._first: float | None = None

    async def wait(self, message: Message, stop: asyncio.Event) -> None:
        due = self._due(message)
        while not stop.is_set() and (left := due - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), left)

    def _due(self, message: Message) -> float:
        if self._pace.speed is not None:
            published = _published(message)
            if self._first is None or published < self._first:  # the next round of a loop
                self._start, self._first = time.monotonic(), published
            return self._start + (published - self._first) / self._pace.speed
        if self._pace.per_second is not None:
            self._sent += 1
            return self._start + (self._sent - 1) / self._pace.per_second
        return 0.0


def _message(item: Found, limits: decode.Limits, *, normalise: bool, suffix: str) -> Message:
    if isinstance(item.content, BadInput):
        raise item.content
    fields = decode.normalised(item.content) if normalise else item.content
    if suffix and isinstance(fields.get("id"), str):
        fields = fields | {"id": fields["id"] + suffix}
    article = decode.validate(fields, limits)
    value = orjson.dumps(fields)
    if len(value) > limits.max_message_bytes:
        detail = f"The article takes {len(value)} bytes, the limit is {limits.max_message_bytes}."
        raise NotDecodable("message-too-large", detail, stage=STAGE)
    return Message(where=item.where, article=article, value=value)


def _published(message: Message) -> float:
    return decode.published_at(message.article.published_at).timestamp()


def _count(reject: Reject, summary: Summary) -> None:
    summary.read += 1
    summary.rejected[reject.error.reason] += 1
    if len(summary.first_rejects) < FIRST_REJECTS:
        summary.first_rejects.append(reject)


async def _in_thread(
    items: Iterable[Message | Reject], stop: asyncio.Event
) -> AsyncGenerator[Message | Reject, None]:
    """The items, read in a daemon thread: a silent pipe holds up neither the loop nor the end."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Message | Reject | Exception | None] = asyncio.Queue()
    slots = threading.Semaphore(_READ_AHEAD)
    closed = threading.Event()

    def put(item: Message | Reject | Exception | None) -> None:
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def pump() -> None:
        end = None
        try:
            for item in items:
                slots.acquire()
                if closed.is_set():
                    return
                put(item)
        except Exception as error:  # noqa: BLE001 - raised again below
            end = error
        put(end)

    threading.Thread(target=pump, name="replay-reader", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                async with asyncio.timeout(_POLL_S):
                    item = await queue.get()
            except TimeoutError:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            slots.release()
            yield item
    finally:
        closed.set()
        slots.release()
