"""Dead letters: their headers, and how to read them and put them back.

The value and the key are those of the message that could not be coded, byte for byte. Nothing here
deletes: retention does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from pipeline.errors import BadInput, ProduceRefused
from pipeline.settings import Settings
from pipeline.stages import decode
from pipeline.streaming import client, reading

MAX_DETAIL_CHARS: Final = 1000
MAX_SLUG_CHARS: Final = 200
REPLAYED_FROM: Final = "replayed-from"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter as it lies on the topic.

    Attributes:
        partition: where it lies.
        offset: where it lies in the partition.
        timestamp_ms: when it was set aside, milliseconds since 1970 (UTC).
        key: of the original message.
        value: of the original message.
        headers: ours, as they are.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def id(self) -> str:
        """``partition-offset``, the name of the dead letter on the command line."""
        return f"{self.partition}-{self.offset}"

    def header(self, name: str) -> str:
        """The text of a header, empty where there is none."""
        return next(
            (value.decode("utf-8", "replace") for key, value in self.headers if key == name), ""
        )

    @property
    def article_id(self) -> str:
        """The id of the article, empty where it cannot be read."""
        try:
            found = decode.parse(self.value or b"").get("id")
        except BadInput:
            return ""
        return found if isinstance(found, str) else ""


def headers(
    error: BadInput, *, topic: str, partition: int, offset: int, attempts: int
) -> list[tuple[str, bytes]]:
    """The headers of a dead letter, as in record.md.

    Args:
        error: why the message could not be coded.
        topic: where it was taken from.
        partition: the same.
        offset: the same.
        attempts: how often it was tried.
    """
    fields = {
        "reason": error.reason[:MAX_SLUG_CHARS],
        "detail": error.detail[:MAX_DETAIL_CHARS],
        "stage": error.stage[:MAX_SLUG_CHARS],
        "source-topic": topic,
        "source-partition": str(partition),
        "source-offset": str(offset),
        "attempts": str(attempts),
    }
    # A detail may quote half a surrogate pair, which has no UTF-8.
    return [(name, value.encode("utf-8", "backslashreplace")) for name, value in fields.items()]


def repaired(value: bytes | None, limits: decode.Limits) -> bytes:
    """The message with composed Unicode and without control characters.

    Raises:
        BadInput: it breaks a rule even so.
    """
    mended = orjson.dumps(decode.normalised(decode.parse(value or b"")))
    decode.decode(mended, limits)
    return mended


async def read(settings: Settings) -> AsyncGenerator[DeadLetter, None]:
    """Every dead letter on the topic at this moment, in no order across partitions.

    Raises:
        BrokerUnavailable: no broker answers, or it falls silent.
        TopicMismatch: the topic does not exist.
    """
    topic = settings.topics.dead_letter
    async with aclosing(reading.snapshot(settings, topic, "dead-letters")) as messages:
        async for message in messages:
            yield _letter(message)


async def find(settings: Settings, ids: Iterable[str]) -> dict[str, DeadLetter]:
    """The dead letters of these ids (``partition-offset``); those that do not exist are missing.

    Raises:
        ValueError: an id has another form.
        BrokerUnavailable: no broker answers, or it falls silent.
        TopicMismatch: the topic does not exist.
    """
    topic = settings.topics.dead_letter
    wanted = [_position(topic.name, letter_id) for letter_id in ids]
    found = {}
    async with reading.bounded(settings, topic, "dead-letters") as (consumer, bounds):
        for tp, offset in wanted:
            begin, end = bounds.get(tp, (0, 0))
            if not begin <= offset < end:
                continue
            ranges = {tp: (offset, offset + 1)}
            async with aclosing(reading.in_ranges(consumer, settings, ranges)) as messages:
                async for message in messages:
                    letter = _letter(message)
                    found[letter.id] = letter
    return found


async def send_back(letters: Iterable[tuple[DeadLetter, bytes | None]], settings: Settings) -> int:
    """Put messages back where they came from, with their original keys.

    That is ``articles.raw``, but for what the summit register could not take.

    Args:
        letters: each with the value to send.
        settings: the broker and the topics.

    Returns:
        How many the broker has confirmed: all.

    Raises:
        BrokerUnavailable: no broker answers.
        ProduceRefused: the broker did not confirm one; those before it are sent.
    """
    sent = 0
    async with client.producer(settings, settings.topics.raw, "dead-letters") as producer:
        for letter, value in letters:
            origin = f"{settings.topics.dead_letter.name}/{letter.partition}/{letter.offset}"
            try:
                async with asyncio.timeout(settings.worker.produce_timeout_s):
                    await producer.send_and_wait(
                        _home(letter, settings),
                        key=letter.key,
                        value=value,
                        headers=[(REPLAYED_FROM, origin.encode())],
                    )
            except (KafkaError, OSError) as error:
                raise ProduceRefused(
                    f"The broker took {sent} messages and then not {letter.id} "
                    f"({type(error).__name__}: {error}). Replay the rest when it is well."
                ) from error
            sent += 1
    return sent


def _home(letter: DeadLetter, settings: Settings) -> str:
    mentions, raw = settings.topics.mentions.name, settings.topics.raw.name
    return mentions if letter.header("source-topic") == mentions else raw


def _letter(message: Any) -> DeadLetter:
    return DeadLetter(
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=message.timestamp,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers),
    )


def _position(topic: str, letter_id: str) -> tuple[TopicPartition, int]:
    partition, _, offset = letter_id.partition("-")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise ValueError(
            f"{letter_id!r} is no dead letter's id; `kasnec dead-letters list` has them"
        )
    return TopicPartition(topic, int(partition)), int(offset)
