"""`kasnec notify`: alerts from their topic to the sinks that are switched on.

Each sink is a consumer group of its own and goes at its own pace: one that is down holds up neither
the others nor the stream, and its alerts wait on the topic. An alert is acknowledged after the sink
took it, so a crash between the two repeats it, with the same id. A sink that is new starts at the
end of the topic: nobody wants the summits of last year.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline import exposition
from pipeline.errors import AlertRefused, ConfigurationError, SinkUnavailable
from pipeline.records import SummitAlert, decode_alert
from pipeline.settings import Settings, SinkSettings
from pipeline.sinks.alertmanager import AlertmanagerSink
from pipeline.sinks.mail import MailSink
from pipeline.sinks.sink import Sink
from pipeline.sinks.webhook import WebhookSink
from pipeline.stories.filters import Wanted
from pipeline.streaming import client, metrics, topics

log = logging.getLogger(__name__)

# Doubled at each try: a receiver that restarts is back in seconds, and one that is down for hours
# is asked once a minute. Well under the consumer's max_poll_interval of five minutes.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_POLL_MS: Final = 500
# An alert that the worker repeats (see ``streaming.summits``) follows within minutes.
_REMEMBERED: Final = 1_000

Switched = tuple[Sink, SinkSettings]


def sinks(settings: Settings) -> list[Switched]:
    """The sinks that are switched on, each with its filters and its pace."""
    found: list[Switched] = []
    if settings.webhook.enabled:
        found.append((WebhookSink(settings.webhook), settings.webhook))
    if settings.alertmanager.enabled:
        found.append((AlertmanagerSink(settings.alertmanager), settings.alertmanager))
    if settings.mail.enabled:
        found.append((MailSink(settings.mail), settings.mail))
    return found


async def run(settings: Settings) -> None:
    """Tell alerts until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: no sink is switched on, or the port of ``/metrics`` is taken.
        BrokerUnavailable: no broker answers.
        TopicMismatch: the topic of the alerts is missing.
    """
    switched_on = sinks(settings)
    if not switched_on:
        raise ConfigurationError(
            [
                (
                    "no sink is switched on: set webhook.url, alertmanager.url or mail.host "
                    "(KASNEC_WEBHOOK_URL_FILE, KASNEC_ALERTMANAGER_URL, KASNEC_MAIL_HOST)"
                )
            ]
        )
    await topics.verify(settings)
    stop_metrics = exposition.serve(
        "KASNEC_NOTIFY_PORT", settings.notify.host, settings.notify.port
    )
    tasks = [
        asyncio.create_task(Notifier(settings, sink, chosen).run(), name=sink.name)
        for sink, chosen in switched_on
    ]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: [task.cancel() for task in tasks])
    log.info("telling alerts to: %s", ", ".join(task.get_name() for task in tasks))
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        log.info("stopped")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stop_metrics()


class Notifier:
    """Brings alerts to one sink, in order, each until it is taken.

    Args:
        settings: broker and topics.
        sink: where to.
        chosen: its filters and its pace.
        first_wait_s: after the first failure.
    """

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        chosen: SinkSettings,
        *,
        first_wait_s: float = _FIRST_WAIT_S,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._wanted = Wanted(
            participants=chosen.participants,
            places=chosen.places,
            statuses=chosen.statuses,
            modes=chosen.modes,
        )
        self._pace = Pace(chosen.per_minute)
        self._first_wait_s = first_wait_s
        self._told: dict[str, None] = {}  # ids, the newest last

    async def run(self) -> None:
        """Go on until cancelled."""
        topic = self._settings.topics.alerts
        group = f"{self._settings.worker.group}-notify-{self._sink.name}"
        async with client.member(self._settings, [topic], group, begin="latest") as consumer:
            await self._begin(consumer)
            wait = self._first_wait_s
            while True:
                for tp, messages in (await self._next(consumer)).items():
                    try:
                        await self._take(messages[0])
                    except SinkUnavailable as error:
                        metrics.NOTIFICATIONS.labels(self._sink.name, "retry").inc()
                        log.warning("%s: %s; again in %.0f s", self._sink.name, error, wait)
                        _seek(consumer, tp, messages[0].offset)
                        await asyncio.sleep(wait)
                        wait = min(2 * wait, _LONGEST_WAIT_S)
                        break
                    wait = self._first_wait_s
                    await _commit(consumer, tp, messages[0].offset + 1)

    async def _next(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, Sequence[Any]]:
        try:
            found: dict[TopicPartition, Sequence[Any]] = await consumer.getmany(
                timeout_ms=_POLL_MS, max_records=1
            )
        except KafkaError as error:  # it goes on trying by itself
            log.warning("%s: the broker: %r", self._sink.name, error)
            await asyncio.sleep(self._first_wait_s)
            return {}
        return found

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        """Note where a new sink begins: what is told while it is down shall wait for it."""
        # Another process may have all that there is; the group tells nobody when that changes.
        while not consumer.assignment():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_MS / 1000)
        for tp in consumer.assignment():
            if await consumer.committed(tp) is None:
                await _commit(consumer, tp, await consumer.position(tp))

    async def _take(self, message: Any) -> None:
        try:
            alert = decode_alert(message.value or b"")
        except ValueError as error:
            log.error(  # noqa: TRY400 - one line is enough
                "%s/%d/%d is no alert, and is left out: %s",
                message.topic, message.partition, message.offset, error,
            )  # fmt: skip
            metrics.NOTIFICATIONS.labels(self._sink.name, "unreadable").inc()
            return
        if alert.alert_id in self._told or not self._wanted.takes(alert):
            return
        await self._pace.wait()
        try:
            await self._sink.tell(alert)
        except AlertRefused as error:
            log.error(  # noqa: TRY400
                "%s refused alert %s, which is left out: %s", self._sink.name, alert.alert_id, error
            )
            metrics.NOTIFICATIONS.labels(self._sink.name, "refused").inc()
        else:
            metrics.NOTIFICATIONS.labels(self._sink.name, "told").inc()
        self._remember(alert)

    def _remember(self, alert: SummitAlert) -> None:
        self._told[alert.alert_id] = None
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]


class Pace:
    """So many a minute: a minute's worth at once, and then evenly. What is over waits its turn.

    Args:
        per_minute: how many.
        clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = 60.0 / per_minute
        self._clock = clock
        self._free = clock() - 60.0  # when the first of the turns not yet taken was due

    def turn(self) -> float:
        """Take a turn; the seconds until it comes."""
        now = self._clock()
        self._free = max(self._free, now - 60.0) + self._every
        return max(0.0, self._free - now)

    async def wait(self) -> None:
        """Return when it is our turn."""
        await asyncio.sleep(self.turn())


def _seek(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> None:
    if tp in consumer.assignment():  # otherwise another process has it, from the last commit on
        consumer.seek(tp, offset)


async def _commit(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> None:
    try:
        await consumer.commit({tp: offset})
    except KafkaError as error:  # a rebalance took the partition: its new owner tells it again
        log.warning("alert %s/%d not acknowledged: %r", tp.topic, offset - 1, error)
