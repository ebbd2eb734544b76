"""Keeps the index up to date with the store, and tells open pages what is new.

The store is asked every so often for what has a higher number than the newest that we know; that
is one look-up of one row where nothing happened. So the dashboard needs no broker, and several can
stand behind one address.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pipeline.dashboard.index import EventIndex, EventRow
from pipeline.errors import StoreUnavailable
from pipeline.store.reading import Changes, Store

log = logging.getLogger(__name__)

# A record shall be on the page within a second of reaching its topic. The store takes up to 0.3 s
# of it; five look-ups a second cost 0.4 % of a core.
_EVERY_S: Final = 0.2
# Rows a query while the index is filled: 20,000 with their parties take 0.5 s.
_ROWS: Final = 20_000
# A page that reads nothing for so many changes is cut off, and comes back where it was.
_WAITING: Final = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is new.

    Attributes:
        seq: its number.
        kind: ``event``, ``summit`` or ``alert``.
        value: an event's id, a summit's row, an alert's record.
    """

    seq: int
    kind: str
    value: Any


class Feed:
    """Follows the store.

    Attributes:
        index: the events.
        seq: of the newest change that was told.
        fault: why the store cannot be read now; empty where it can.

    Args:
        store: what is followed.
        every_s: seconds between two looks.
        listeners: told how many pages listen, whenever that changes.
    """

    def __init__(
        self,
        store: Store,
        *,
        every_s: float = _EVERY_S,
        listeners: Callable[[int], object] = lambda _number: None,
    ) -> None:
        self._store = store
        self._every_s = every_s
        self._count = listeners
        self._listeners: set[asyncio.Queue[Change | None]] = set()
        self.index = EventIndex()
        self.seq = 0
        self.fault = "not yet read"

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                await self._advance()
            except StoreUnavailable as error:
                if str(error) != self.fault:
                    log.warning("the store: %s", error)
                self.fault = str(error)
            else:
                if self.fault:
                    log.info("the store is read: %d events", len(self.index))
                self.fault = ""
            await asyncio.sleep(self._every_s)

    async def _advance(self) -> None:
        if await asyncio.to_thread(self._store.seq) <= self.seq:
            return
        if not self.seq:  # nobody is told of what was there before us
            seq = await asyncio.to_thread(self._store.seq)
            await self._fill()
            self.seq = seq
            return
        changes = await asyncio.to_thread(self._store.changes, self.seq)
        await self._fill()
        self.seq = changes.seq
        for change in in_order(changes):
            self._tell(change)

    async def _fill(self) -> None:
        """Read the events that the index has not. Later ones may be among them already."""
        while rows := await asyncio.to_thread(self._read):
            self.index.add(rows)

    def _read(self) -> list[EventRow]:
        rows = self._store.event_rows(self.index.seq, _ROWS)
        sides: dict[str, tuple[list[str], list[str]]] = {row.event_id: ([], []) for row in rows}
        for event_id, side, code in self._store.parties(list(sides)):
            sides[event_id][side == "recipient"].append(code)
        return [
            EventRow(
                **row._asdict(),
                actors=tuple(sides[row.event_id][0]),
                recipients=tuple(sides[row.event_id][1]),
            )
            for row in rows
        ]

    def _tell(self, change: Change) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(change)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    def close(self) -> None:
        """End every page's stream; they come again where another dashboard stands ready."""
        for queue in list(self._listeners):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    @contextmanager
    def listen(self) -> Iterator[AsyncIterator[Change]]:
        """What is new from now on; it ends where the listener falls behind."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue(_WAITING)
        self._listeners.add(queue)
        self._count(len(self._listeners))

        async def changes() -> AsyncIterator[Change]:
            while (change := await queue.get()) is not None:
                yield change

        try:
            yield changes()
        finally:
            self._listeners.discard(queue)
            self._count(len(self._listeners))


def in_order(changes: Changes) -> Sequence[Change]:
    """Changes of every kind, in the order in which they happened."""
    found = [
        *(Change(seq, "event", id_) for seq, id_ in changes.events),
        *(Change(seq, "summit", row) for seq, row in changes.summits),
        *(Change(seq, "alert", record) for seq, record in changes.alerts),
    ]
    return sorted(found, key=lambda change: change.seq)
