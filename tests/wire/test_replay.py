"""Replaying files onto the raw topic."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from pipeline import settings as settings_module
from pipeline.cli import cli
from pipeline.settings import Settings
from pipeline.sources import Found
from pipeline.stages import decode
from pipeline.streaming import replay as replaying
from pipeline.streaming import topics
from pipeline.streaming.replay import Message, Pace, Reject
from tests.wire.faults import FaultProxy
from tests.wire.helpers import read_all

ROOT = Path(__file__).parents[2]
_LIMITS = decode.Limits()


def _article(number: int, **over: Any) -> dict[str, Any]:
    return {
        "id": f"a{number}",
        "title": "Vizita",
        "body": f"Delegacioni numër {number} mbërriti në Prishtinë.",
        "published_at": f"2025-09-03T10:{number % 60:02d}:00+02:00",
    } | over


def _file(path: Path, articles: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"\n".join(map(orjson.dumps, articles)))
    return path


def _messages(articles: list[dict[str, Any]]) -> Iterator[Message | Reject]:
    return replaying.messages((Found("x", article) for article in articles), _LIMITS)


def _through(proxy: FaultProxy, settings: Settings) -> Settings:
    broker = settings.broker.model_copy(update={"bootstrap_servers": proxy.bootstrap_servers})
    return settings.model_copy(update={"broker": broker})


def _run(settings: Settings, *arguments: str, text: str | None = None) -> Result:
    environ = settings_module.environment(settings)
    return CliRunner().invoke(cli, ["replay", *arguments], env=environ, input=text)


def test_command_sends_and_rejects(settings: Settings, tmp_path: Path) -> None:
    """Good articles reach the topic under their ids, rejects are listed, the status is 1."""
    asyncio.run(topics.create(settings))
    bad = _article(2, published_at="dje")
    decomposed = _article(3, title="C\u0327e\u0308shtja")
    file = _file(tmp_path / "x.jsonl", [_article(1), bad, decomposed])
    result = _run(settings, str(file))
    assert result.exit_code == 1
    assert f"{file}:2: invalid-date" in result.output.replace("\n", "")
    found = asyncio.run(read_all(settings, settings.topics.raw))
    assert [(m.key, orjson.loads(m.value)) for m in found] == [(b"a1", _article(1))]
    assert _run(settings, "--normalise", "--dry-run", str(file)).exit_code == 1
    mended = _file(tmp_path / "y.jsonl", [decomposed])
    assert _run(settings, "--normalise", str(mended)).exit_code == 0
    found = asyncio.run(read_all(settings, settings.topics.raw))
    assert sorted(orjson.loads(m.value)["title"] for m in found) == ["Vizita", "Çështja"]


def test_replaying_twice_repeats_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    """The second replay adds messages with the keys and values of the first, in the same places."""
    asyncio.run(topics.create(settings))
    (tmp_path / "teksti.txt").write_text(" date 2025-09-03 Presidentët biseduan me telefon.")
    _file(tmp_path / "x.jsonl", [_article(n) for n in range(20)])
    for _ in range(2):
        assert _run(settings, str(tmp_path)).exit_code == 0
    found = asyncio.run(read_all(settings, settings.topics.raw))
    assert len(found) == 42
    assert len({(m.partition, m.key, m.value) for m in found}) == 21


def test_loop_with_fresh_ids_and_limit(settings: Settings, tmp_path: Path) -> None:
    """--loop starts over, --fresh-ids makes each article new, --limit ends it."""
    asyncio.run(topics.create(settings))
    file = _file(tmp_path / "x.jsonl", [_article(1), _article(2)])
    result = _run(settings, "--loop", "--fresh-ids", "--limit", "5", str(file))
    assert result.exit_code == 0
    found = asyncio.run(read_all(settings, settings.topics.raw))
    assert len({m.key for m in found}) == 5


def test_dry_run_needs_no_broker(settings_factory: Callable[..., Settings], tmp_path: Path) -> None:
    """--dry-run validates and counts where nothing listens."""
    file = _file(tmp_path / "x.jsonl", [_article(1)])
    settings = settings_factory("127.0.0.1:1")
    result = _run(settings, "--dry-run", str(file))
    assert result.exit_code == 0
    assert "would be sent" in result.output
    assert "nothing listens there" in str(_run(settings, str(file)).exception)


@pytest.mark.parametrize(
    "arguments",
    [("--rate", "2", "--speed", "2"), ("--loop", "-"), ("--rate", "0"), ("--zone", "Mars/Olympus")],
)
def test_wrong_arguments(settings: Settings, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Options that make no sense are refused before anything is read."""
    assert _run(settings, *arguments, str(_file(tmp_path / "x.jsonl", []))).exit_code == 2


async def test_rate_and_speed_pace_the_messages(settings: Settings) -> None:
    """Ten at 20 a second take 0.45 s; nine minutes at 600x take 0.9 s, oldest first."""
    articles = [_article(n) for n in reversed(range(10))]
    started = time.monotonic()
    summary = await replaying.replay(
        _messages(articles), settings, pace=Pace(per_second=20), dry_run=True
    )
    assert summary.complete
    assert time.monotonic() - started >= 0.45
    ordered = list(replaying.by_publication(_messages(articles)))
    assert [item.article.id for item in ordered if isinstance(item, Message)] == [
        f"a{n}" for n in range(10)
    ]
    started = time.monotonic()
    await replaying.replay(ordered, settings, pace=Pace(speed=600), dry_run=True)
    assert time.monotonic() - started >= 0.9


async def test_stop_ends_a_waiting_replay(settings: Settings) -> None:
    """A stop while the next article is hours away ends it with what was sent."""
    stop = asyncio.Event()
    async with asyncio.timeout(30):
        summary = await replaying.replay(
            _messages([_article(1), _article(2)]),
            settings,
            lambda _: stop.set(),
            pace=Pace(per_second=0.001),
            dry_run=True,
            stop=stop,
        )
    assert (summary.read, summary.sent) == (1, 1)


# aiokafka drops a half-open connection without closing it when it is cancelled while it reconnects.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_unconfirmed_messages_are_counted(
    proxy: FaultProxy, wire_settings: Callable[..., Settings]
) -> None:
    """A broker that takes no message ends the replay in time, with the number and the reason."""
    settings = wire_settings(worker={"produce_timeout_s": 2.0})
    await topics.create(settings)
    through = _through(proxy, settings)
    proxy.refuse_produce("close")
    async with asyncio.timeout(60):
        summary = await replaying.replay(_messages([_article(1)]), through)
    assert (summary.sent, summary.refused) == (0, 1)
    assert summary.refusal
    assert proxy.refused
    assert not summary.complete
    gc.collect()  # here, where its warning is expected


async def test_broker_that_comes_back_gets_everything_once(
    proxy: FaultProxy, settings: Settings
) -> None:
    """Produce requests refused for a moment are repeated: all messages arrive, each once."""
    await topics.create(settings)
    through = _through(proxy, settings)
    proxy.refuse_produce("close")

    async def recover() -> None:
        while proxy.refused < 3:
            await asyncio.sleep(0.01)
        proxy.accept_produce()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(recover())
        articles = _messages([_article(n) for n in range(50)])
        replayed = tasks.create_task(replaying.replay(articles, through))
    summary = replayed.result()
    found = await read_all(settings, settings.topics.raw)
    assert summary.complete
    assert sorted(m.key for m in found) == sorted(f"a{n}".encode() for n in range(50))


def test_standard_input_and_interrupt(settings: Settings) -> None:
    """``-`` reads JSON lines; Ctrl-C while the pipe stays silent ends with the summary."""
    asyncio.run(topics.create(settings))
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "replay", "-"],
        cwd=ROOT,
        env=os.environ | settings_module.environment(settings),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(orjson.dumps(_article(1)) + b"\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not asyncio.run(read_all(settings, settings.topics.raw)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
        assert process.wait(30) == 130
    assert "sent and confirmed" in said
