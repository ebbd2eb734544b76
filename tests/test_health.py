"""Liveness and readiness."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from pipeline.errors import ConfigurationError
from pipeline.settings import Health
from pipeline.streaming.health import LOOP_STALL_S, ProbeServer, Progress
from tests.wire.harness import get


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at zero."""
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    """A worker that may stall for 60 s."""
    return Progress(60.0, clock=clock)


def test_idle_is_alive_for_ever(progress: Progress, clock: Clock) -> None:
    """Without work there is nothing to progress with."""
    progress.models_loaded()
    progress.assigned(4)
    for clock.now in range(0, 1000, 10):
        progress.tick(lag=0)
        assert progress.live()[0]


def test_work_without_progress_is_not_alive(progress: Progress, clock: Clock) -> None:
    """With work in hand and no progress for the time allowed, the worker is stuck."""
    progress.tick(lag=0)
    clock.now = 500
    progress.took(3)
    clock.now += 60
    assert progress.live()[0]
    clock.now += 1
    alive, state = progress.live()
    assert not alive
    assert state["reason"] == "there is work and no progress"
    progress.progressed()
    assert progress.live()[0]


def test_lag_without_progress_is_not_alive(progress: Progress, clock: Clock) -> None:
    """Messages that wait while nothing is taken in hand are work, too."""
    progress.tick(lag=10)
    for clock.now in range(0, 80, 10):
        progress.tick(lag=10)
    assert not progress.live()[0]


def test_mentions_that_stand_still_are_not_alive(progress: Progress, clock: Clock) -> None:
    """Articles that go on do not hide a register that does not."""
    progress.tick(lag=5, mentions=2)
    for clock.now in range(0, 61, 10):
        progress.tick(lag=5, mentions=2)
        progress.progressed()
        assert progress.live()[0]
    clock.now = 61
    progress.progressed()
    assert progress.live()[1]["reason"] == "there is work and no progress"
    progress.progressed("mentions")
    assert progress.live()[0]


def test_a_frozen_loop_is_not_alive(progress: Progress, clock: Clock) -> None:
    """When the event loop stops ticking, the probe says so though there is no work."""
    progress.models_loaded()
    progress.tick(lag=0)
    clock.now = LOOP_STALL_S + 1
    assert progress.live()[1]["reason"] == "the event loop stands still"


def test_a_worker_without_a_group_is_not_alive(progress: Progress, clock: Clock) -> None:
    """A consumer that the group never lets in, or not again, is stuck though it is quiet."""
    progress.models_loaded()
    for clock.now in range(0, 61, 10):
        progress.tick(lag=0)
        assert progress.live()[0]
    clock.now = 61
    assert progress.live()[1]["reason"] == "the group has assigned no partitions"
    progress.assigned(4)
    clock.now = 80
    progress.tick(lag=0)
    assert progress.live()[0]


def test_ready_needs_models_and_partitions(progress: Progress) -> None:
    """Ready is: models loaded and partitions assigned; a rebalance takes it back."""
    assert not progress.ready()[0]
    progress.assigned(4)
    assert not progress.ready()[0]
    progress.models_loaded()
    assert progress.ready()[0]
    progress.revoked()
    assert not progress.ready()[0]
    progress.assigned(0)
    assert not progress.ready()[0]


@pytest.fixture
def server(progress: Progress) -> Iterator[ProbeServer]:
    """The probes on a free port."""
    server = ProbeServer(Health(port=0), progress)
    server.start()
    yield server
    server.stop()


def test_http(server: ProbeServer, progress: Progress) -> None:
    """The probes answer 200 or 503 with their state; there is nothing else but /metrics."""
    url = f"http://127.0.0.1:{server.port}"
    assert get(url + "/readyz")[0] == 503
    progress.models_loaded()
    progress.assigned(2)
    status, body = get(url + "/readyz")
    assert (status, orjson.loads(body)) == (200, {"models_loaded": True, "partitions": 2})
    assert get(url + "/livez")[0] == 200
    assert b"process_resident_memory_bytes" in get(url + "/metrics")[1]
    assert get(url + "/")[0] == 404


def test_taken_port_is_a_sentence(server: ProbeServer, progress: Progress) -> None:
    """A port in use is a configuration error that says what to set."""
    with pytest.raises(ConfigurationError, match="KASNEC_HEALTH_PORT"):
        ProbeServer(Health(port=server.port), progress)


def test_stopped_before_it_started(progress: Progress) -> None:
    """A server that never served closes, and its port is free again."""
    server = ProbeServer(Health(port=0), progress)
    server.stop()
    again = ProbeServer(Health(port=server.port), progress)
    again.stop()
