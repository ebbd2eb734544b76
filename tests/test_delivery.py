"""Sending until confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from pipeline.errors import DeliveryFailed
from pipeline.streaming.delivery import Outbox, Outgoing

RECORDS = [Outgoing("t", b"k", str(n).encode()) for n in range(4)]


class Broker:
    """Refuses the records it was told to, so many times, and notes the order of the others."""

    def __init__(self, refusals: dict[bytes, int]) -> None:
        self._refusals = refusals
        self.confirmed: list[bytes] = []

    async def send(self, record: Outgoing) -> Awaitable[Any]:
        """As the producer does: a future that resolves at the confirmation."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        value = record.value or b""
        if self._refusals.get(value, 0):
            self._refusals[value] -= 1
            future.set_exception(RuntimeError("refused"))
        else:
            self.confirmed.append(value)
            future.set_result(None)
        return future


async def test_refused_records_are_sent_again_in_order() -> None:
    """After a refusal the record and all behind it follow again: the last copies are in order."""
    broker = Broker({b"1": 2})
    await Outbox(broker.send, retry_s=60).deliver(RECORDS)
    assert broker.confirmed == [b"0", b"2", b"3", b"2", b"3", b"1", b"2", b"3"]


async def test_giving_up_says_what_to_do() -> None:
    """When the time is up the error names the setting and the topic."""
    broker = Broker({b"3": 10_000})
    with pytest.raises(DeliveryFailed, match=r"worker\.produce_retry_s.*may we write to t\?"):
        await Outbox(broker.send, retry_s=0.5).deliver(RECORDS)


async def test_nothing_to_send() -> None:
    """No records are delivered at once."""
    broker = Broker({})
    await Outbox(broker.send, retry_s=0).deliver([])
    assert broker.confirmed == []
