"""`kasnec summits list|show` and `kasnec watch alerts`, over what a register has told."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import orjson
import pytest_asyncio

from pipeline.records import encode
from pipeline.settings import Settings, environment
from pipeline.stories import entries
from pipeline.stories.entries import EntryRecord
from pipeline.stories.register import Register
from pipeline.streaming import topics
from tests.stories.stream2027 import perfect_alerts, perfect_events
from tests.wire.harness import ROOT, produce


@pytest_asyncio.fixture
async def told(settings: Settings) -> AsyncIterator[Settings]:
    """Settings of a broker with the stream's summits and alerts."""
    await topics.create(settings)
    register = Register()
    records: list[tuple[bytes, bytes]] = []
    for event in perfect_events():
        observed = register.observe(event)
        if observed.entry:
            record = entries.encode(EntryRecord(entry=observed.entry, alert=observed.alert))
            records.append((observed.entry.summit_id.encode(), record))
    ids = {record: summit_id for summit_id, record in records}
    await produce(
        settings,
        [record for _, record in records],
        topic=settings.topics.summits,
        key=lambda value: ids[value or b""],
    )
    values = [encode(alert) for alert in perfect_alerts()]
    await produce(settings, [*values, values[-1]], topic=settings.topics.alerts, key=lambda _: b"k")
    yield settings


async def kasnec(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline", *arguments,
        cwd=ROOT, env=environment(settings) | {"COLUMNS": "300"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_the_register_as_table_and_json(told: Settings) -> None:
    """Seven summits with their states; one by the start of its id, with its history."""
    status, output, errors = await kasnec(told, "summits", "list")
    assert (status, errors) == (0, "7 summits\n")
    status, output, _ = await kasnec(told, "summits", "list", "--status", "cancelled", "--json")
    (cancelled,) = map(orjson.loads, output.splitlines())
    changes = [told["change"] for told in cancelled["history"]]
    assert changes[0] == "new"
    assert cancelled["history"][-1]["status"] == "cancelled"
    status, output, _ = await kasnec(told, "summits", "show", cancelled["summit_id"][:8])
    assert status == 0
    for line in (cancelled["summit"]["name"], cancelled["sources"][-1]["title"], "History"):
        assert line in output
    status, _, errors = await kasnec(told, "summits", "show", "zz")
    assert status == 2
    assert "no summit with an id that begins with 'zz'" in errors


async def test_watching_alerts(told: Settings) -> None:
    """A paragraph an alert, those wanted, each once; Ctrl-C ends it without a word."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline", "watch", "alerts", "--from-beginning",
        "--status", "cancelled", "--status", "denied",
        cwd=ROOT, env=environment(told) | {"PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    wanted = [a for a in perfect_alerts() if a.summit.status in ("cancelled", "denied")]
    assert process.stdout
    text = ""
    while text.count("\n\n") < len(wanted):
        line = await asyncio.wait_for(process.stdout.readline(), 100)
        assert line
        text += line.decode()
    process.send_signal(signal.SIGINT)
    rest, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, rest, errors) == (0, b"", b"")
    for alert in wanted:
        assert alert.event.evidence.text in text


async def test_events_are_exported_from_their_topic(settings: Settings) -> None:
    """Without files, all that is on events.diplomatic, each event once."""
    await topics.create(settings)
    events = list(perfect_events())
    values = [encode(event) for event in events]
    await produce(settings, [*values, *values], topic=settings.topics.events)
    status, output, errors = await kasnec(settings, "export", "--format", "plover-jsonl")
    assert status == 0, errors
    ids = {orjson.loads(line)["id"] for line in output.splitlines()}
    assert ids == {event.event_id for event in events}
    assert len(output.splitlines()) == len(ids)
