"""Alerts from their topic to a receiver that fails, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import orjson
import pytest

from pipeline.records import encode
from pipeline.settings import Settings, environment
from pipeline.sinks.webhook import WebhookSink
from pipeline.streaming import topics
from pipeline.streaming.notify import Notifier
from tests.sinks.receivers import Receiver
from tests.stories.stream2027 import perfect_alerts
from tests.wire.harness import ROOT, committed, produce, until
from tests.wire.streams import one_partition

NewSettings = Callable[..., Settings]

# ``KASNEC_TEST_OUTAGE_S=600`` waits as long as the guarantee says; what happens is the same.
OUTAGE_S = float(os.environ.get("KASNEC_TEST_OUTAGE_S", "8"))


@asynccontextmanager
async def notifying(settings: Settings, *, first_wait_s: float = 0.02) -> AsyncIterator[None]:
    """A notifier of the webhook, which has met its group."""
    notifier = Notifier(
        settings, WebhookSink(settings.webhook), settings.webhook, first_wait_s=first_wait_s
    )
    task = asyncio.create_task(notifier.run())
    group = settings.model_copy(
        update={
            "worker": settings.worker.model_copy(
                update={"group": f"{settings.worker.group}-notify-webhook"}
            )
        }
    )
    for _ in range(300):
        if await committed(group, settings.topics.alerts) or task.done():
            break
        await asyncio.sleep(0.2)
    try:
        yield
    finally:
        assert not task.done() or task.result()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.timeout(300)
async def test_a_receiver_that_fails_for_long_gets_each_alert_once_in_order(
    wire_settings: NewSettings,
) -> None:
    """It fails in five ways, over two starts of ours, and misses nothing; another goes on."""
    old, *alerts = perfect_alerts()
    with Receiver() as receiver:
        settings = wire_settings(webhook={"url": receiver.url, "per_minute": 6000})
        await topics.create(settings)

        async def publish(value: bytes) -> None:
            await produce(settings, [value], topic=settings.topics.alerts, key=one_partition)

        await publish(encode(old))  # of before the sink was switched on
        receiver.answers.extend([500, 503, 429, 404, 302] * 2)
        async with notifying(settings):
            for alert in alerts[:6]:
                await publish(encode(alert))
            await publish(b"{}")
            await until(lambda: len(receiver.taken) >= 3, what="three alerts")
        receiver.answers.extend([500, 422])
        async with notifying(settings):
            for alert in alerts[6:]:
                await publish(encode(alert))
            await until(
                lambda: receiver.taken[-1:] and ids(receiver)[-1] == alerts[-1].alert_id,
                what="the last",
            )
        refused = [r for r in receiver.requests if r.status == 422]
        got = ids(receiver)
        # The one that was being taken while the first was stopped may have come twice.
        assert len(got) - len(set(got)) <= 1
        expected = [a.alert_id for a in alerts]
        missing = [i for i in expected if i not in got]
        assert missing == [orjson.loads(r.body)["alert_id"] for r in refused]
        assert list(dict.fromkeys(got)) == [i for i in expected if i not in missing]


@pytest.mark.timeout(300 + OUTAGE_S)
async def test_an_outage_loses_and_repeats_nothing(wire_settings: NewSettings) -> None:
    """The receiver is down while all alerts come: each arrives once, in order, when it is back.

    With the waits that users have: it is asked less and less often, and once a minute at least.
    """
    old, *alerts = perfect_alerts()
    with Receiver() as receiver:
        receiver.down = True
        settings = wire_settings(webhook={"url": receiver.url, "per_minute": 6000})
        await topics.create(settings)
        values = [encode(alert) for alert in [old, *alerts]]
        await produce(settings, values[:1], topic=settings.topics.alerts, key=one_partition)
        async with notifying(settings, first_wait_s=1.0):
            await produce(settings, values[1:], topic=settings.topics.alerts, key=one_partition)
            await until(lambda: receiver.requests, what="a first try")
            await asyncio.sleep(OUTAGE_S)
            tries = len(receiver.requests)
            receiver.down = False
            await until(lambda: len(receiver.taken) == len(alerts), what="all")
    assert ids(receiver) == [alert.alert_id for alert in alerts]
    # Waits of 1, 2, 4, ... 32 s, then of a minute.
    assert 2 <= tries <= 7 + OUTAGE_S / 60


def ids(receiver: Receiver) -> list[str]:
    """Ids of the alerts that were taken, in order."""
    return [orjson.loads(request.body)["alert_id"] for request in receiver.taken]


@pytest.mark.timeout(300)
async def test_the_command_filters_and_stops(wire_settings: NewSettings) -> None:
    """`kasnec notify` tells what is wanted, and ends with 0 on SIGTERM."""
    alerts = perfect_alerts()
    with Receiver() as receiver:
        settings = wire_settings(
            webhook={"url": receiver.url, "statuses": ("postponed", "cancelled")},
            notify={"port": 0},
        )
        await topics.create(settings)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pipeline", "notify",
            cwd=ROOT, env=environment(settings), stderr=subprocess.PIPE,
        )  # fmt: skip
        group = f"{settings.worker.group}-notify-webhook"
        own = settings.model_copy(
            update={"worker": settings.worker.model_copy(update={"group": group})}
        )
        for _ in range(300):
            if await committed(own, settings.topics.alerts):
                break
            await asyncio.sleep(0.5)
        values = [encode(alert) for alert in alerts]
        await produce(settings, values, topic=settings.topics.alerts, key=one_partition)
        wanted = [a.alert_id for a in alerts if a.summit.status in ("postponed", "cancelled")]
        await until(lambda: len(receiver.taken) >= len(wanted), what="the wanted")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    assert ids(receiver) == wanted
    assert wanted


async def test_no_sink_is_said(wire_settings: NewSettings) -> None:
    """Without a sink the command says which settings switch one on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline", "notify",
        cwd=ROOT, env=environment(wire_settings()), stderr=subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"KASNEC_WEBHOOK_URL_FILE" in errors
