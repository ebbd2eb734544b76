"""Workers as processes, and what lies on the topics."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

from pipeline.settings import Settings, Topic, environment
from pipeline.streaming.client import connection, reader

ROOT = Path(__file__).parents[2]


class Workers:
    """Starts workers over the fake chain; see ``fake_worker``."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.wire.fake_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def stop(self) -> None:
        """End the server."""
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait(10)
        assert self._server.stdout
        self._server.stdout.close()


class WorkerProcess:
    """A worker in a process of its own, with its log."""

    def __init__(
        self, workers: Workers, settings: Settings, log: Path, *, factory: str = "fake_chain"
    ) -> None:
        self._workers = workers
        self._settings = settings
        self._log = log
        self._factory = factory
        self._pid = 0
        self._status: int | None = 0

    def start(self) -> WorkerProcess:
        """Start it; its log starts anew."""
        self._log.write_bytes(b"")
        answer = self._workers.ask(
            factory=self._factory, environment=environment(self._settings), log=str(self._log)
        )
        self._pid, self._status = answer["pid"], None
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    def poll(self) -> int | None:
        """Its exit status, None while it lives; negative for a signal."""
        if self._status is None:
            self._status = self._workers.ask(pid=self._pid)["status"]
        return self._status

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    async def url(self) -> str:
        """Where its probes listen."""
        found = await until(
            lambda: re.search(r"metrics on (http://\S+)", self.log), what="probes", worker=self
        )
        return str(found[1])

    async def ready(self) -> WorkerProcess:
        """Return when ``/readyz`` says so."""
        url = await self.url()
        await until(lambda: get(url + "/readyz")[0] == 200, what="readiness", worker=self)
        return self

    def kill(self) -> None:
        """End it by kill -9."""
        self.send(signal.SIGKILL)
        self._wait(10)

    def terminate(self, timeout: float = 10.0) -> int:
        """SIGTERM; returns the exit status."""
        self.send(signal.SIGTERM)
        return self._wait(timeout)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it lives."""
        if self.poll() is None:
            os.kill(self._pid, number)

    async def exit_status(self, timeout: float = 150.0) -> int:
        """Wait until it ends by itself."""
        await until(lambda: self.poll() is not None, what="its end", timeout=timeout)
        assert self._status is not None
        return self._status

    def _wait(self, timeout: float) -> int:
        # A step counts as 0.1 s at most: while the machine stands still, so does the worker.
        waited, then = 0.0, time.monotonic()
        while (status := self.poll()) is None:
            now = time.monotonic()
            waited, then = waited + min(now - then, 0.1), now
            if waited > timeout:
                raise AssertionError(f"alive {timeout:g} s after the signal:\n{self.log[-4000:]}")
            time.sleep(0.02)
        return status


async def until(
    condition: Callable[[], Any],
    *,
    what: str,
    timeout: float = 150.0,
    worker: WorkerProcess | None = None,
) -> Any:
    """Wait until the condition holds and return its value."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        if worker and worker.poll() is not None:
            raise AssertionError(f"the worker ended while waiting for {what}:\n{worker.log}")
        await asyncio.sleep(0.05)
    tail = worker.log[-4000:] if worker else ""
    raise AssertionError(f"no {what} within {timeout:g} s\n{tail}")


def get(url: str) -> tuple[int, bytes]:
    """Status and body; (0, b"") while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def article(number: int | str, body: str = "Presidenti vizitoi Tiranën.") -> bytes:
    """A valid raw article."""
    return orjson.dumps(
        {
            "id": f"a{number}",
            "title": f"Titulli {number}",
            "body": body,
            "published_at": "2026-11-23T08:00:00+01:00",
            "language": "sq",
        }
    )


async def produce(
    settings: Settings,
    values: Iterable[bytes | None],
    *,
    key: Callable[[bytes | None], bytes | None] | None = None,
    partition: int | None = None,
    topic: Topic | None = None,
) -> None:
    """Put values on ``articles.raw``, or on another topic, and wait for the broker."""
    topic = topic or settings.topics.raw
    limit = topic.max_message_bytes
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.broker.bootstrap_servers, acks="all", max_request_size=limit
    )
    await producer.start()
    try:
        sent = [
            await producer.send(topic.name, value, key=(key or _key)(value), partition=partition)
            for value in values
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def _key(value: bytes | None) -> bytes | None:
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(value or b"")["id"]).encode()
    return b"bad"


@dataclass
class Topics:
    """Everything on the downstream topics."""

    annotated: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    dead_letter: list[Any] = field(default_factory=list)
    alerts: list[Any] = field(default_factory=list)

    @property
    def coded(self) -> set[str]:
        """Ids of the articles that were annotated."""
        return {orjson.loads(r.value)["article"]["id"] for r in self.annotated}

    @property
    def event_ids(self) -> set[str]:
        """Ids of the events."""
        return {orjson.loads(r.value)["event_id"] for r in self.events}

    @property
    def alert_ids(self) -> list[str]:
        """Ids of the alerts, in the order in which they were told."""
        return [orjson.loads(r.value)["alert_id"] for r in self.alerts]

    @property
    def reasons(self) -> list[str]:
        """Reasons of the dead letters, sorted."""
        return sorted(dict(r.headers)["reason"].decode() for r in self.dead_letter)


class Tail:
    """Reads the downstream topics from their beginning, again and again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topics = Topics()
        self._into = {
            settings.topics.annotated.name: self.topics.annotated,
            settings.topics.events.name: self.topics.events,
            settings.topics.dead_letter.name: self.topics.dead_letter,
            settings.topics.alerts.name: self.topics.alerts,
        }
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.broker.bootstrap_servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=settings.topics.dead_letter.max_message_bytes,
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        topics = self._settings.topics
        self._consumer.assign(
            [
                TopicPartition(topic.name, number)
                for topic in (topics.annotated, topics.events, topics.dead_letter, topics.alerts)
                for number in range(topic.partitions)
            ]
        )
        await self._consumer.seek_to_beginning()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self) -> Topics:
        """Take what has come since."""
        for partition, records in (await self._consumer.getmany(timeout_ms=100)).items():
            self._into[partition.topic].extend(records)
        return self.topics

    async def rest(self) -> Topics:
        """Take all that is on the topics at this moment."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        async with asyncio.timeout(60):
            while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
                await self.read()
        return self.topics

    async def until(
        self,
        condition: Callable[[Topics], bool],
        *,
        what: str,
        timeout: float = 150.0,
        workers: Sequence[WorkerProcess] = (),
    ) -> Topics:
        """Read until the condition holds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if condition(await self.read()):
                return self.topics
        state = (
            f"{len(self.topics.coded)} coded, {len(self.topics.event_ids)} events, "
            f"{self.topics.reasons}, {len(self.topics.alerts)} alerts"
        )
        logs = "\n".join(worker.log[-3000:] for worker in workers)
        raise AssertionError(f"no {what} within {timeout:g} s: {state}\n{logs}")


async def buried(settings: Settings) -> None:
    """A killed member leaves its group at once: otherwise twenty kills are twenty session timeouts.

    That the others miss it by themselves is shown by ``test_a_killed_worker_is_missed``.
    """
    client = AIOKafkaClient(**connection(settings, "test"))
    await client.bootstrap()
    try:
        group = settings.worker.group
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        described = await client.send(node, DescribeGroupsRequest([group]))
        for member in [member[0] for found in described.groups for member in found[5]]:
            await client.send(node, LeaveGroupRequest(group, member))
    finally:
        await client.close()


async def committed(settings: Settings, topic: Topic | None = None) -> dict[int, int]:
    """The group's committed offset by partition of ``articles.raw``, or of another topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker.bootstrap_servers,
        group_id=settings.worker.group,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        topic = topic or settings.topics.raw
        return {
            number: offset
            for number in range(topic.partitions)
            if (offset := await consumer.committed(TopicPartition(topic.name, number))) is not None
        }
    finally:
        await consumer.stop()


async def acknowledged(settings: Settings, count: int, topic: Topic | None = None) -> None:
    """Return when the group has acknowledged so many messages of ``articles.raw``, or fail."""
    done = 0
    for _ in range(60):
        done = sum((await committed(settings, topic)).values())
        if done >= count:
            break
        await asyncio.sleep(1)
    assert done == count


async def drained(settings: Settings, topic: Topic) -> None:
    """Return when the group has acknowledged all that is on a topic, or fail."""
    async with reader(settings, topic, "test") as consumer:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        ends = {tp.partition: n for tp, n in (await consumer.end_offsets(partitions)).items() if n}
    done: dict[int, int] = {}
    for _ in range(60):
        done = await committed(settings, topic)
        if done == ends:
            break
        await asyncio.sleep(1)
    assert done == ends
