"""Sending records until the broker has confirmed them.

``await topic.send()`` of Faust is no delivery: it returns a future that resolves when the broker
has confirmed the record, and a send that fails otherwise leaves only a warning in the log. An
article is acknowledged after all these futures resolved, and not before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.errors import DeliveryFailed
from pipeline.streaming import metrics

log = logging.getLogger(__name__)

# First wait after a refusal, doubled each time up to the last: a restarting broker is back within
# seconds, and hammering it does not help.
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way to a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


Send = Callable[[Outgoing], Awaitable[Awaitable[Any]]]


class Outbox:
    """Sends records and waits for their confirmation, again and again while the broker refuses.

    Args:
        send: hands a record to the producer and returns the future of its confirmation.
        retry_s: how long to go on before giving up.
    """

    def __init__(self, send: Send, *, retry_s: float) -> None:
        self._send = send
        self._retry_s = retry_s

    async def deliver(self, records: Sequence[Outgoing]) -> None:
        """Return when the broker has confirmed every record.

        After a refusal everything from the refused record on is sent again, what was confirmed
        behind it included: the last copies stand in order, and ids make the repetition harmless.

        Raises:
            DeliveryFailed: some were still unconfirmed after ``retry_s`` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._retry_s
        wait = _FIRST_WAIT_S
        pending = list(records)
        while pending:
            outcomes = await asyncio.gather(
                *[self._confirmed(record) for record in pending], return_exceptions=True
            )
            refused = next(
                (i for i, o in enumerate(outcomes) if isinstance(o, BaseException)), None
            )
            if refused is None:
                return
            error, pending = outcomes[refused], pending[refused:]
            assert isinstance(error, BaseException)
            if loop.time() + wait > deadline:
                raise DeliveryFailed(
                    f"{len(pending)} records were not confirmed within {self._retry_s:g} s "
                    f"(worker.produce_retry_s); the last error was {error!r}. The articles stay "
                    "unacknowledged and are redelivered. Is the broker up, and may we write to "
                    f"{pending[0].topic}?"
                ) from error
            metrics.PRODUCE_RETRIES.inc(len(pending))
            log.warning("%d records unconfirmed, again in %.1f s: %r", len(pending), wait, error)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    async def _confirmed(self, record: Outgoing) -> None:
        await (await self._send(record))
