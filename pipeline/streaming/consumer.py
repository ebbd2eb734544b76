"""The Faust side of a worker: its app, its signals, its clock."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from importlib import import_module
from typing import Any, Final

import faust

from pipeline.errors import InfrastructureError
from pipeline.isolation import IsolatedChain
from pipeline.settings import Settings
from pipeline.stages.decode import Limits
from pipeline.streaming import agents
from pipeline.streaming import app as faust_app
from pipeline.streaming.delivery import Outbox, Outgoing
from pipeline.streaming.health import Progress
from pipeline.streaming.summits import MentionHandler

log = logging.getLogger(__name__)

# Supervisors kill ten seconds after SIGTERM; a consumer in the middle of a rebalance can wait for
# its group longer than that. Nothing is lost by ending: what is unacknowledged is redelivered. Two
# seconds before them, as a starved machine needs one to get here.
_END_S: Final = 8.0

# How long mentions are gathered. They are taken one by one anyway.
_MENTIONS_S: Final = 0.01

# Faust imports most of itself when it is used first, which is seconds on a small machine.
_USED_LATER: Final = (
    "faust.app",
    "faust.assignor.partition_assignor",
    "faust.fixups.django",
    "faust.tables.manager",
    "faust.tables.objects",
    "faust.transport.drivers.aiokafka",
    "faust.transport.utils",
    "faust.web.cache.backends.memory",
    "faust.web.drivers.aiohttp",
    "faust.worker",
)


def import_all() -> None:
    """Import what is used until the first message."""
    for name in _USED_LATER:
        import_module(name)


def consume(settings: Settings, chain: IsolatedChain, progress: Progress) -> int:
    """Consume ``articles.raw`` until SIGTERM or SIGINT; see ``worker.run``."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = faust_app.create(settings)
    worker_settings = settings.worker

    async def send(record: Outgoing) -> Any:
        return await app.producer.send(
            record.topic, record.key, record.value, None, None, list(record.headers)
        )

    outbox = Outbox(send, retry_s=worker_settings.produce_retry_s)
    articles = agents.ArticleHandler(
        chain=chain,
        outbox=outbox,
        topics=settings.topics,
        limits=Limits(**settings.limits.model_dump()),
        progress=progress,
    )
    mentions = MentionHandler(settings=settings, outbox=outbox, progress=progress)
    raw, meetings = settings.topics.raw.name, settings.topics.mentions.name
    batch, linger_s = worker_settings.batch_size, worker_settings.linger_s
    agents.attach(app, _bytes(app, raw), articles, name="articles", batch=batch, linger_s=linger_s)
    # Each is confirmed by itself: nothing is won by waiting for more of them.
    agents.attach(
        app, _bytes(app, meetings), mentions, name="mentions", batch=batch, linger_s=_MENTIONS_S
    )

    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        progress.assigned(sum(tp.topic == raw for tp in assigned))

    async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:
        progress.revoked()

    async def finish(_app: Any, **_: Any) -> None:
        articles.stop()
        mentions.stop()
        try:
            async with asyncio.timeout(worker_settings.shutdown_timeout_s):
                for handler in (articles, mentions):
                    await handler.idle.wait()
                    await commit_all(app)
        except TimeoutError:
            log.warning("what is in hand is not finished: it will be redelivered")

    async def tick() -> None:
        while not app.should_stop:
            progress.tick(_lag(app, raw), mentions=_lag(app, meetings))
            await app.sleep(1.0)

    app.on_partitions_assigned.connect(assigned)
    app.on_partitions_revoked.connect(revoked)
    app.on_before_shutdown.connect(finish)
    app.task(tick)
    worker = _Worker(
        app,
        loop=loop,
        quiet=True,
        redirect_stdouts=False,
        # Faust's own set-up lets aiokafka format a debug record for every request.
        override_logging=False,
        loglevel=None,
    )
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return int(end.code or 0)
    except InfrastructureError:
        log.exception("the worker ends")
    return 1


def _bytes(app: Any, topic: str) -> Any:
    """A topic whose messages reach us as they are: Faust's decoding would crash on bad ones."""
    return app.topic(
        topic, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw"
    )


class _Worker(faust.Worker):  # type: ignore[misc, unused-ignore]
    """A worker that ends in time even where a rebalance holds its consumer back."""

    def _on_sigint(self) -> None:
        self._end_in_time()
        super()._on_sigint()

    def _on_sigterm(self) -> None:
        self._end_in_time()
        super()._on_sigterm()

    def _end_in_time(self) -> None:
        log.info("stopping: what is in hand is finished first")
        watchdog = threading.Timer(_END_S, _end_now)
        watchdog.daemon = True
        watchdog.start()


def _end_now() -> None:
    log.warning("still stopping after %g s: ending now, what is unacknowledged comes again", _END_S)
    # Linux ends the process of the models with us.
    os._exit(0)


async def commit_all(app: Any) -> None:
    """Commit what is acknowledged now.

    A commit that finds another under way waits for that one and leaves it at that, so what was
    acknowledged since stays uncommitted and comes again; Faust's own commit at the end does the
    same. On a starved machine, where the commit of every half second takes 1.3 s, an article or the
    whole batch came again in 3 of 5 stops. One that is under way the second time began after us.
    """
    for _ in range(2):
        await app.consumer.commit()


def _lag(app: Any, topic: str) -> int:
    """Messages in our partitions that are not yet acknowledged, as far as the consumer knows."""
    consumer = app.consumer
    lag = 0
    for tp in consumer.assignment():
        # Before the first commit of a group nothing tells where it began; what it holds is in hand.
        committed = consumer._committed_offset[tp]  # noqa: SLF001 - Faust has no public name for it
        end = consumer.highwater(tp)
        if tp.topic == topic and committed is not None and end is not None:
            lag += max(0, end - committed)
    return lag
