"""At least once, whatever happens: nothing lost, and the same ids as in an undisturbed run."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from functools import partial

import pytest

from pipeline.settings import Settings
from pipeline.streaming import topics
from tests.stories.stream2027 import perfect_alerts
from tests.wire.faults import FaultProxy
from tests.wire.harness import (
    Tail,
    Topics,
    WorkerProcess,
    acknowledged,
    article,
    buried,
    committed,
    drained,
    get,
    produce,
    until,
)
from tests.wire.streams import among, stream_in_one_partition
from tests.wire.test_worker import extraction_events

NewWorker = Callable[..., WorkerProcess]
NewSettings = Callable[..., Settings]

# A member that vanished is missed as soon as brokers allow: the tests kill twenty of them.
QUICK = {"session_timeout_s": 6.0, "rebalance_timeout_s": 8.0, "batch_size": 8}
# Where nobody dies, a machine that stands still for seconds shall not look like a death: what a
# rebalance finds in hand is delivered again, and is not acknowledged the first time.
CALM = {"session_timeout_s": 30.0, "rebalance_timeout_s": 40.0, "batch_size": 8}


def reached(goal: int, seen: Topics) -> bool:
    """Whether so many articles are coded."""
    return len(seen.coded) >= goal


def expected_event_ids(values: list[bytes]) -> set[str]:
    """What an undisturbed run gives."""
    return {event.event_id for value in values for event in extraction_events(value)}  # type: ignore[attr-defined]


@pytest.mark.timeout(900)
async def test_kill_twenty_times(wire_settings: NewSettings, new_worker: NewWorker) -> None:
    """Kill -9 twenty times in the middle of batches, over 500 articles: every record is there.

    And every summit alert once, in the order of the undisturbed run.
    """
    settings = wire_settings(worker=QUICK)
    await topics.create(settings)
    values = among([article(n, "SLOW" if n % 10 == 0 else "Takimi u mbajt.") for n in range(473)])
    assert len(values) == 500
    await produce(settings, values, key=stream_in_one_partition)
    worker = new_worker(settings)
    chance = random.Random(20)
    kills = 0
    async with Tail(settings) as tail:
        for _ in range(20):
            seen = len((await tail.read()).coded)
            if seen == 500:
                break
            worker.start()
            more = chance.randint(1, 18)
            await tail.until(
                partial(reached, min(500, seen + more)),
                what=f"{more} more articles",
                workers=[worker],
            )
            await asyncio.sleep(chance.uniform(0, 0.1))
            worker.kill()
            kills += 1
            await buried(settings)
        worker.start()
        seen_all = await tail.until(lambda t: len(t.coded) == 500, what="all", workers=[worker])
        await tail.until(
            lambda t: (
                t.event_ids == expected_event_ids(values) and len(t.alerts) >= len(perfect_alerts())
            ),
            what="events and alerts",
        )
        await drained(settings, settings.topics.mentions)
        seen_all = await tail.rest()
    assert kills == 20
    assert seen_all.alert_ids == [alert.alert_id for alert in perfect_alerts()]
    assert seen_all.event_ids == expected_event_ids(values)
    assert not seen_all.dead_letter


@pytest.mark.timeout(450)
async def test_rebalance_under_load(wire_settings: NewSettings, new_worker: NewWorker) -> None:
    """A second worker joins and leaves under load: every record and alert is there, both worked."""
    settings = wire_settings(worker=QUICK)
    await topics.create(settings)
    values = among([article(n, "SLOW" if n % 2 else "Takimi u mbajt.") for n in range(173)])
    assert len(values) == 200
    await produce(settings, values, key=stream_in_one_partition)
    first = await new_worker(settings).start().ready()
    async with Tail(settings) as tail:
        await tail.until(lambda t: len(t.coded) > 20, what="a start", workers=[first])
        second = await new_worker(settings).start().ready()
        url = await second.url()
        await until(
            lambda: b'kasnec_articles_total{outcome="coded"}' in get(url + "/metrics")[1],
            what="work for the second",
            worker=second,
        )
        assert second.terminate() == 0
        seen = await tail.until(
            lambda t: len(t.coded) == 200 and t.event_ids == expected_event_ids(values),
            what="all",
            workers=[first],
        )
        await drained(settings, settings.topics.mentions)
        seen = await tail.rest()
    assert not seen.dead_letter
    assert seen.alert_ids == [alert.alert_id for alert in perfect_alerts()]
    await acknowledged(settings, 200)
    assert first.terminate() == 0


async def test_a_killed_worker_is_missed(wire_settings: NewSettings, new_worker: NewWorker) -> None:
    """After kill -9 its successor gets the partitions and the work, by the session timeout."""
    settings = wire_settings(worker=QUICK)
    await topics.create(settings)
    first = await new_worker(settings).start().ready()
    first.kill()
    await produce(settings, [article(n) for n in range(8)])
    second = new_worker(settings).start()
    async with Tail(settings) as tail:
        await tail.until(lambda t: len(t.coded) == 8, what="all", timeout=60, workers=[second])


@pytest.mark.timeout(450)
async def test_produce_refused_for_a_while(
    wire_settings: NewSettings, proxy: FaultProxy, new_worker: NewWorker
) -> None:
    """While the broker refuses, nothing is acknowledged and /livez fails; then all comes."""
    worker_settings = CALM | {"produce_timeout_s": 5.0, "stage_timeout_s": 6.0}
    direct = wire_settings(worker=worker_settings, health={"stall_s": 8.0})
    settings = direct.model_copy(
        update={
            "broker": direct.broker.model_copy(
                update={"bootstrap_servers": proxy.bootstrap_servers}
            )
        }
    )
    await topics.create(direct)
    worker = await new_worker(settings).start().ready()
    url = await worker.url()
    proxy.refuse_produce()
    values = [article(n) for n in range(60)]
    await produce(direct, values)
    await until(lambda: get(url + "/livez")[0] == 503, what="a failing /livez", worker=worker)
    assert not any((await committed(direct)).values())
    async with Tail(direct) as tail:
        assert not (await tail.rest()).coded
        proxy.accept_produce()
        seen = await tail.until(
            lambda t: len(t.coded) == 60 and t.event_ids == expected_event_ids(values),
            what="all",
            workers=[worker],
        )
    assert not seen.dead_letter
    await until(lambda: get(url + "/livez")[0] == 200, what="a passing /livez", worker=worker)
    await acknowledged(direct, 60)
    assert worker.terminate() == 0


@pytest.mark.timeout(450)
async def test_giving_up_on_produce_loses_nothing(
    wire_settings: NewSettings, proxy: FaultProxy, new_worker: NewWorker
) -> None:
    """A worker that cannot deliver ends with status 1; its successor delivers."""
    direct = wire_settings(
        worker=QUICK | {"produce_timeout_s": 5.0, "produce_retry_s": 2.0, "stage_timeout_s": 6.0}
    )
    settings = direct.model_copy(
        update={
            "broker": direct.broker.model_copy(
                update={"bootstrap_servers": proxy.bootstrap_servers}
            )
        }
    )
    await topics.create(direct)
    proxy.refuse_produce()
    await produce(direct, [article(n) for n in range(10)])
    worker = new_worker(settings).start()
    assert await worker.exit_status() == 1
    assert "worker.produce_retry_s" in worker.log
    assert not any((await committed(direct)).values())
    await buried(direct)
    successor = new_worker(direct).start()
    async with Tail(direct) as tail:
        await tail.until(lambda t: len(t.coded) == 10, what="ten", workers=[successor])


@pytest.mark.timeout(240)
async def test_sigterm_finishes_what_is_in_hand(
    wire_settings: NewSettings, new_worker: NewWorker
) -> None:
    """SIGTERM in the middle of a batch: within 10 s it is finished and acknowledged, exit 0."""
    # A commit is under way at almost any moment, also when the last article is acknowledged.
    settings = wire_settings(worker=CALM | {"batch_size": 3, "commit_interval_s": 0.1})
    await topics.create(settings)
    worker = await new_worker(settings).start().ready()
    url = await worker.url()
    await produce(settings, [article(n, "SLOW") for n in range(40)], partition=0)
    in_hand = await until(
        lambda: re.search(b"in_hand_articles ([123])", get(url + "/metrics")[1]), what="a batch"
    )
    assert worker.terminate(timeout=10) == 0
    async with Tail(settings) as tail:
        seen = (await tail.rest()).coded
    done = sum((await committed(settings)).values())
    assert int(in_hand[1]) <= done < 40
    assert len(seen) == done


@pytest.mark.timeout(240)
async def test_sigterm_does_not_wait_for_a_hung_stage(
    wire_settings: NewSettings, new_worker: NewWorker
) -> None:
    """SIGTERM while an article hangs: ended within 10 s, the article left for redelivery."""
    settings = wire_settings(
        worker=CALM | {"stage_timeout_s": 60.0, "shutdown_timeout_s": 3.0}, health={"stall_s": 90}
    )
    await topics.create(settings)
    worker = await new_worker(settings).start().ready()
    url = await worker.url()
    await produce(settings, [article("hung", "HANG"), article(1)], partition=0)
    await until(
        lambda: (
            b'"in_hand":1' in get(url + "/livez")[1] or b'"in_hand":2' in get(url + "/livez")[1]
        ),
        what="it",
    )
    worker.terminate(timeout=10)
    assert not any((await committed(settings)).values())
