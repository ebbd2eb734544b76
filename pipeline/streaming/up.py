"""What ``kasnec up`` does: broker, topics, worker, seeds, and the records as they appear."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from pipeline import sources
from pipeline.errors import InfrastructureError
from pipeline.processes import die_with_parent
from pipeline.records import SummitAlert, decode_alert
from pipeline.settings import Settings, environment
from pipeline.stages import decode
from pipeline.stories.telling import headline
from pipeline.streaming import notify, reading, replay, topics
from pipeline.streaming.broker import EmbeddedBroker
from pipeline.terminal import plain, shortened

_POLL_S: Final = 0.2
_LOG_TAIL_CHARS: Final = 2_000
# SIGTERM is answered within ten seconds; the worker's own limit is worker.shutdown_timeout_s.
_STOP_TIMEOUT_S: Final = 12.0
# So many events and alerts fit on a screen of 50 lines.
_ROWS: Final = 8
_ALERTS: Final = 6
# The register follows the events by milliseconds; after so long a silence it has nothing to tell.
_SETTLE_S: Final = 1.0

_Children = dict[str, subprocess.Popen[bytes]]


async def run(settings: Settings, seeds: Path, *, exit_when_done: bool) -> bool:
    """Start everything, replay the seeds, show the records, stop everything.

    Returns:
        Whether every seed was coded.

    Raises:
        BrokerUnavailable, TopicMismatch: the broker or its topics.
        InfrastructureError: the worker ended by itself.
        ValueError: ``seeds`` cannot be read.
    """
    console = Console()
    files = sources.find([seeds])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        if not settings.broker.bootstrap_servers:
            broker = await stack.enter_async_context(EmbeddedBroker(settings.embedded))
            settings = _with(settings, "broker", bootstrap_servers=broker.bootstrap_servers)
        await topics.create(settings)
        settings = _with(settings, "health", port=_free_port(settings))
        view = _View(console, settings, len(list(sources.read(files.articles))))
        records = await stack.enter_async_context(_tail(settings))
        names = ["worker", *(["notify"] if notify.sinks(settings) else [])]
        children = {name: stack.enter_context(_child(name, settings)) for name in names}
        console.print(view.addresses(), highlight=False)
        with view.live():
            if await _until_ready(children, settings, stop, view):
                await _show(children, settings, files, records, stop, view, exit_when_done)
        view.summarise()
    return view.complete or not exit_when_done


def _with(settings: Settings, section: str, **values: Any) -> Settings:
    changed = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: changed})


def _free_port(settings: Settings) -> int:
    """The configured port of the probes, or a free one where it is taken."""
    for port in (settings.health.port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.health.host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return settings.health.port


@contextmanager
def _child(name: str, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A command as a child process, its log in the data folder; stopped at the end."""
    settings.embedded.data_dir.mkdir(parents=True, exist_ok=True)
    with _log(name, settings).open("wb") as output:
        process = _spawn(name, settings, output)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _log(name: str, settings: Settings) -> Path:
    """In the ignored folder, beside the broker's."""
    return settings.embedded.data_dir / f"{name}.log"


def _spawn(name: str, settings: Settings, output: IO[bytes]) -> subprocess.Popen[bytes]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("KASNEC_")}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", name],
        env=inherited | environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Of its own, so that Ctrl-C reaches us alone and we end it in order.
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid(), by=signal.SIGTERM),  # noqa: PLW1509 - no threads yet
    )


async def _until_ready(
    children: _Children, settings: Settings, stop: asyncio.Event, view: _View
) -> bool:
    url = f"http://{settings.health.host}:{settings.health.port}/readyz"
    view.state = "The worker loads its models…"
    while not stop.is_set():
        _raise_if_ended(children, settings)
        if await asyncio.to_thread(_answers, url):
            view.state = ""
            return True
        view.refresh()
        await asyncio.sleep(_POLL_S)
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _raise_if_ended(children: _Children, settings: Settings) -> None:
    for name, process in children.items():
        if (status := process.poll()) is not None:
            log = _log(name, settings)
            tail = log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARS:]
            raise InfrastructureError(
                f"`kasnec {name}` ended with status {status}. The end of its log ({log}):\n{tail}"
            )


async def _show(
    children: _Children,
    settings: Settings,
    files: sources.Files,
    records: AsyncIterator[Any],
    stop: asyncio.Event,
    view: _View,
    exit_when_done: bool,
) -> None:
    limits = decode.Limits(**settings.limits.model_dump())
    messages = list(replay.messages(sources.read(files.articles), limits))
    view.expected = {m.article.id for m in messages if isinstance(m, replay.Message)}
    view.rejected = sum(isinstance(m, replay.Reject) for m in messages)
    sending = asyncio.create_task(
        replay.replay(messages, settings, on_progress=view.replayed, stop=stop)
    )
    last = time.monotonic()
    async for topic, key, record in records:
        _raise_if_ended(children, settings)
        if topic:
            view.add(topic, key, record)
            last = time.monotonic()
        view.refresh()
        if sending.done() and view.done:
            if exit_when_done and topic is None and time.monotonic() - last > _SETTLE_S:
                break
            view.state = "All seeds are processed. New articles show here; Ctrl-C stops everything."
        if stop.is_set():
            break
        if sending.done():
            sending.result()  # raises what ended it
    stop.set()
    await sending


@asynccontextmanager
async def _tail(settings: Settings) -> AsyncIterator[AsyncIterator[Any]]:
    """What comes on the downstream topics from now on: (topic, key, value); empty when nothing."""
    names = settings.topics
    several = (names.annotated, names.events, names.alerts, names.dead_letter)
    async with reading.following(settings, several, "up") as consumer:

        async def records() -> AsyncIterator[Any]:
            while True:
                batch = await consumer.getmany(timeout_ms=int(_POLL_S * 1000))
                # Events before annotations: an annotation says that its article is done.
                for partition in sorted(
                    batch, key=lambda p: p.topic != settings.topics.events.name
                ):
                    for record in batch[partition]:
                        yield partition.topic, record.key, record
                if not batch:
                    yield None, None, None

        yield records()


class _View:
    """The live table, or lines where the output is no terminal."""

    def __init__(self, console: Console, settings: Settings, articles: int) -> None:
        self._console = console
        self._settings = settings
        self.expected: set[str] = set()
        self.rejected = 0
        self.state = ""
        self._finished: set[str] = set()
        self._dead: Counter[str] = Counter()
        self._events = 0
        self._told = 0
        self._alerts: deque[SummitAlert] = deque(maxlen=_ALERTS)
        self._rows: deque[dict[str, Any]] = deque(maxlen=_ROWS)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console
        )
        self._replayed = self._progress.add_task("replayed", total=articles)
        self._coded = self._progress.add_task("processed", total=articles)
        self._live: Live | None = None

    @property
    def done(self) -> bool:
        """Whether every article that was sent has come out."""
        return bool(self.expected) and self.expected <= self._finished

    @property
    def complete(self) -> bool:
        """Whether every seed was coded."""
        return self.done and not self._dead and not self.rejected

    def addresses(self) -> str:
        """What to open."""
        health, broker = self._settings.health, self._settings.broker.bootstrap_servers
        names = ", ".join(topic.name for topic in self._settings.topics.all())
        told = [sink.name for sink, _ in notify.sinks(self._settings)]
        return (
            f"Kafka    {broker}  (topics {names})\n"
            f"Worker   http://{health.host}:{health.port}/readyz  /livez  /metrics\n"
            f"Logs     {self._settings.embedded.data_dir}/\n"
            + (f"Alerts   told by {', '.join(told)}\n" if told else "")
        )

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw while the body runs."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self._render(), console=self._console, refresh_per_second=4) as self._live:
            yield
            self._live.update(self._render())
        self._live = None

    def refresh(self) -> None:
        """Draw anew."""
        if self._live:
            self._live.update(self._render())

    def replayed(self, summary: replay.Summary) -> None:
        """The replay went on."""
        self._progress.update(self._replayed, completed=summary.sent)

    def add(self, topic: str, key: bytes | None, message: Any) -> None:
        """A record has come."""
        names = self._settings.topics
        if topic == names.events.name:
            record = orjson.loads(message.value)
            self._events += 1
            self._rows.append(record)
            if not self._live:
                self._console.print(_line(record))
        elif topic == names.alerts.name:
            alert = decode_alert(message.value)
            self._told += 1
            self._alerts.append(alert)
            if not self._live:
                self._console.print(Text(f"ALERT {plain(headline(alert))}", style="bold"))
        elif topic == names.annotated.name:
            self._finished.add(orjson.loads(message.value)["article"]["id"])
        else:
            reason = dict(message.headers).get("reason", b"?").decode()
            self._dead[reason] += 1
            self._finished.add((key or b"").decode(errors="replace"))
        done = len(self.expected & self._finished)
        self._progress.update(self._coded, completed=done)

    def summarise(self) -> None:
        """One line at the end."""
        done = len(self.expected & self._finished)
        self._console.print(
            f"{done} of {len(self.expected)} articles processed, {self._events} events, "
            f"{self._told} summit alerts, {sum(self._dead.values())} dead letters, "
            f"{self.rejected} rejected by the replay.",
            highlight=False,
        )
        for reason, number in self._dead.most_common():
            self._console.print(f"  dead letter, {reason}: {number}", highlight=False)
        if not self.complete:
            self._console.print("See `kasnec dead-letters list`.", highlight=False)

    def _render(self) -> RenderableType:
        table = Table(title=f"{self._events} events", expand=True, title_justify="left")
        for name, width in (("Published", 10), ("What", 20), ("Who", 22), ("When", 10)):
            table.add_column(name, width=width)
        table.add_column("Evidence", ratio=1)
        for record in self._rows:
            table.add_row(
                record["article"]["published_at"][:10],
                _what(record),
                Text(_who(record)),
                (record["date"] or {}).get("value", ""),
                _evidence(record, 160),
            )
        told = Table(title=f"{self._told} summit alerts", expand=True, title_justify="left")
        told.add_column("Published", width=10)
        told.add_column("Alert", ratio=1)
        for alert in self._alerts:
            told.add_row(alert.event.article.published_at[:10], Text(plain(headline(alert))))
        return Group(self._progress, Text(self.state), told, table)


def _what(record: dict[str, Any]) -> Text:
    mode = f" {record['mode']}" if record["mode"] else ""
    return Text(f"{record['type']}{mode}\n{record['status']}", style="bold")


def _who(record: dict[str, Any]) -> str:
    def names(parties: list[dict[str, Any]]) -> str:
        return ", ".join(dict.fromkeys(party["code"] for party in parties))

    recipients = names(record["recipients"])
    return names(record["actors"]) + (f" → {recipients}" if recipients else "")


def _evidence(record: dict[str, Any], length: int) -> Text:
    evidence = record["evidence"]
    text = Text(shortened(plain(evidence["text"]), length))
    text.highlight_words([plain(evidence["trigger"]["text"])], style="bold underline")
    return text


def _line(record: dict[str, Any]) -> Text:
    mode = f"/{record['mode']}" if record["mode"] else ""
    when = f" on {record['date']['value']}" if record["date"] else ""
    where = f" in {plain(record['place']['name'])}" if record["place"] else ""
    head = f"{record['type']}{mode} {record['status']}: {_who(record)}{when}{where} · "
    return Text(head) + _evidence(record, 300)
