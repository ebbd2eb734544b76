"""What is on the topics, into the store: once each, whatever happens to either."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from pipeline.errors import StoreUnavailable
from pipeline.records import encode
from pipeline.settings import Settings, environment
from pipeline.store import database
from pipeline.store.reading import Store
from pipeline.stories import entries
from pipeline.stories.entries import EntryRecord
from pipeline.stories.register import Register
from pipeline.streaming import topics
from pipeline.streaming.storing import Storer
from tests.stories.builders import summit_event
from tests.wire.harness import ROOT, article, committed, produce, until

NewSettings = Callable[..., Settings]


@asynccontextmanager
async def storing(settings: Settings, engine: Engine) -> AsyncIterator[asyncio.Task[None]]:
    """A sink that runs while the body does."""
    task = asyncio.create_task(Storer(settings, engine, first_wait_s=0.05).run())
    try:
        yield task
    finally:
        assert not task.done() or task.result()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def stored(engine: Engine) -> list[str]:
    """Ids of the events in the store, in the order in which they were written."""
    try:
        return [id_ for _, id_ in Store(engine).changes(0).events]
    except StoreUnavailable:
        return []


@pytest.mark.timeout(300)
async def test_every_record_is_stored_once_and_bad_ones_stop_nothing(
    wire_settings: NewSettings, engine: Engine
) -> None:
    """Events, texts, summits with their end, alerts; what is none of these is left out."""
    settings = wire_settings()
    await topics.create(settings)
    names = settings.topics
    seen = Register().observe(summit_event("a1", "2027-03-01", date="2027-03-20"))
    assert seen.entry
    assert seen.alert
    event = summit_event("a1", "2027-03-01")
    # PostgreSQL holds no NUL; who takes what is on the topic for good must not stop at it.
    hostile = summit_event("a2", "2027-03-01", text="Lider\0ët")
    await produce(settings, [article(1), b"no article"], topic=names.raw)
    await produce(settings, [b"{}", encode(event), encode(hostile)], topic=names.events)
    key = seen.entry.summit_id.encode()
    record = entries.encode(EntryRecord(entry=seen.entry, alert=None))
    await produce(settings, [record, None], topic=names.summits, key=lambda _: key)
    await produce(settings, [encode(seen.alert)], topic=names.alerts)
    store = Store(engine)
    async with storing(settings, engine):
        await until(lambda: store.alerts(None, 9) and event.event_id in stored(engine), what="all")
        await until(lambda: [row.open for row in store.summits(limit=9)] == [False], what="end")
        text = store.article("a1")
        assert text is not None
        assert "Tiranën" in text.body
        await produce(settings, [encode(event)], topic=names.events)
        later = summit_event("a3", "2027-03-01")
        await produce(settings, [encode(later)], topic=names.events)
        await until(lambda: later.event_id in stored(engine), what="what came later")
    assert stored(engine).count(event.event_id) == 1
    assert stored(engine)[-1] == later.event_id


@pytest.mark.timeout(300)
async def test_a_database_that_is_down_misses_nothing(
    wire_settings: NewSettings, tmp_path: Path
) -> None:
    """What is told meanwhile waits on its topic, and is stored when the database is back."""
    settings = wire_settings()
    await topics.create(settings)
    engine = database.connect(f"sqlite:///{tmp_path}/store.db")
    down = True

    def refuse(*_: Any) -> None:
        if down:
            raise StoreUnavailable("down for the test")

    events = [summit_event(f"a{number}", "2027-03-01") for number in range(30)]
    values = [encode(event) for event in events]
    with pytest.MonkeyPatch.context() as patch:
        real = database.transaction

        def failing(of: Engine) -> Any:
            refuse()
            return real(of)

        patch.setattr("pipeline.store.database.transaction", failing)
        patch.setattr("pipeline.store.writing.transaction", failing)
        async with storing(settings, engine) as task:
            await produce(settings, values[:10], topic=settings.topics.events)
            await asyncio.sleep(1)
            assert stored(engine) == []
            down = False
            await until(lambda: len(stored(engine)) == 10, what="the first ten")
            down = True
            await produce(settings, values[10:], topic=settings.topics.events)
            await asyncio.sleep(1)
            assert len(stored(engine)) == 10
            assert not task.done()
            down = False
            await until(lambda: len(stored(engine)) == 30, what="the others")
    assert set(stored(engine)) == {event.event_id for event in events}
    engine.dispose()


@pytest.mark.timeout(300)
async def test_the_command_survives_kill_9_and_ends_with_sigterm(
    wire_settings: NewSettings, tmp_path: Path
) -> None:
    """`kasnec store`, killed in the middle and started again, has everything once."""
    url = f"sqlite:///{tmp_path}/store.db"
    settings = wire_settings(
        store={"url": SecretStr(url), "port": 0}, worker={"session_timeout_s": 6.0}
    )
    await topics.create(settings)
    engine = database.connect(url)
    events = [summit_event(f"a{number}", "2027-03-01") for number in range(3_000)]
    await produce(settings, [encode(event) for event in events], topic=settings.topics.events)

    def start() -> subprocess.Popen[bytes]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("KASNEC_")}
        with (tmp_path / "store.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pipeline", "store"],
                cwd=ROOT,
                env=inherited | environment(settings),
                stderr=output,
            )

    process = start()
    try:
        await until(lambda: stored(engine), what="a beginning")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start()
        await until(lambda: len(stored(engine)) == len(events), what="all")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
    assert len(set(stored(engine))) == len(events)
    group = settings.worker.model_copy(update={"group": f"{settings.worker.group}-store"})
    done = await committed(settings.model_copy(update={"worker": group}), settings.topics.events)
    assert sum(done.values()) == len(events)
    assert b"Traceback" not in (tmp_path / "store.log").read_bytes()
    engine.dispose()
