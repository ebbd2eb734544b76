"""A broker for the tests that go over TCP.

``KASNEC_TEST_BROKER=host:port`` runs the same tests against any Kafka; without it they get the
embedded broker, started once, in a temporary folder.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pipeline.settings import Embedded, Settings
from pipeline.streaming.broker import EmbeddedBroker
from tests.wire.faults import HOST, FaultProxy
from tests.wire.harness import WorkerProcess, Workers

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a wire test."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("wire")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Bootstrap servers of the broker under test."""
    if given := os.environ.get("KASNEC_TEST_BROKER"):
        yield given
        return
    embedded = Embedded(data_dir=tmp_path_factory.mktemp("broker"))
    async with EmbeddedBroker(embedded) as running:
        yield running.bootstrap_servers


@pytest.fixture
def settings(broker: str, settings_factory: Callable[..., Settings]) -> Settings:
    """Settings for the broker under test, with topics and a group of this test's own."""
    return settings_factory(broker)


@pytest.fixture
def wire_settings(
    broker: str, settings_factory: Callable[..., Settings]
) -> Callable[..., Settings]:
    """As ``settings``, with sections over the defaults: ``wire_settings(worker={...})``."""

    def build(**sections: dict[str, Any]) -> Settings:
        return settings_factory(broker, **sections)

    return build


@pytest_asyncio.fixture
async def proxy(broker: str) -> AsyncIterator[FaultProxy]:
    """A proxy that can misbehave, in front of the broker under test."""
    if broker.rpartition(":")[0] != HOST:
        pytest.skip(f"the proxy needs a broker that is advertised as {HOST}")
    async with FaultProxy(broker) as running:
        yield running


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Starts workers over the fake chain."""
    server = Workers()
    yield server
    server.stop()


@pytest.fixture
def new_worker(workers: Workers, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Makes workers, each a process that is killed at the end: ``new_worker(settings)``."""
    made: list[WorkerProcess] = []

    def make(settings: Settings, *, factory: str = "fake_chain") -> WorkerProcess:
        log = tmp_path / f"worker-{len(made)}.log"
        made.append(WorkerProcess(workers, settings, log, factory=factory))
        return made[-1]

    yield make
    for worker in made:
        worker.kill()
