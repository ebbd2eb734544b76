"""`kasnec worker`: one process of Faust, one process of models, one thread of probes."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from functools import partial
from typing import Any, Final

import faust

from pipeline.errors import InfrastructureError
from pipeline.isolation import ChainFactory, IsolatedChain, real_chain
from pipeline.settings import Settings
from pipeline.stages.decode import Limits
from pipeline.streaming import agents, metrics, topics
from pipeline.streaming import app as faust_app
from pipeline.streaming.delivery import Outbox, Outgoing
from pipeline.streaming.health import ProbeServer, Progress

log = logging.getLogger(__name__)

# Supervisors kill ten seconds after SIGTERM; a consumer in the middle of a rebalance can wait for
# its group longer than that. Nothing is lost by ending: what is unacknowledged is redelivered.
_END_S: Final = 9.0


def run(settings: Settings, *, factory: ChainFactory = real_chain, loglevel: str = "INFO") -> int:
    """Run until SIGTERM or SIGINT.

    Returns:
        The exit status: 0 after a signal, 1 when an error ended the worker (what it had not
        acknowledged is redelivered).

    Raises:
        ConfigurationError: the probes' address is taken.
        BrokerUnavailable: no broker answers.
        TopicMismatch: a topic is missing or has other partitions than configured.
        ModelError: the models do not load.
    """
    _log_to_stderr(loglevel)
    asyncio.run(topics.verify(settings))
    progress = Progress(settings.health.stall_s)
    probes = ProbeServer(settings.health, progress)
    chain = IsolatedChain(
        settings.language,
        factory=factory,
        timeout_s=settings.worker.stage_timeout_s,
        load_timeout_s=settings.worker.model_load_timeout_s,
        on_step=partial(_step, progress),
    )
    probes.start()
    log.info("probes and metrics on http://%s:%d", settings.health.host, probes.port)
    try:
        chain.load()
        progress.models_loaded()
        log.info("models loaded")
        return _consume(settings, chain, progress)
    finally:
        chain.stop()
        probes.stop()


def _consume(settings: Settings, chain: IsolatedChain, progress: Progress) -> int:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = faust_app.create(settings)
    worker_settings = settings.worker

    async def send(record: Outgoing) -> Any:
        return await app.producer.send(
            record.topic, record.key, record.value, None, None, list(record.headers)
        )

    handler = agents.ArticleHandler(
        chain=chain,
        outbox=Outbox(send, retry_s=worker_settings.produce_retry_s),
        topics=settings.topics,
        limits=Limits(**settings.limits.model_dump()),
        progress=progress,
    )
    raw = app.topic(
        settings.topics.raw.name,
        value_type=bytes,
        value_serializer="raw",
        key_type=bytes,
        key_serializer="raw",
    )
    agents.attach(
        app, raw, handler, batch=worker_settings.batch_size, linger_s=worker_settings.linger_s
    )

    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        progress.assigned(sum(tp.topic == settings.topics.raw.name for tp in assigned))

    async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:
        progress.revoked()

    async def finish(_app: Any, **_: Any) -> None:
        handler.stop()
        try:
            await asyncio.wait_for(handler.idle.wait(), worker_settings.shutdown_timeout_s)
        except TimeoutError:
            log.warning("what is in hand is not finished: it will be redelivered")

    async def tick() -> None:
        while not app.should_stop:
            progress.tick(_lag(app, settings.topics.raw.name))
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


class _Worker(faust.Worker):  # type: ignore[misc, unused-ignore]
    """A worker that ends in time even where a rebalance holds its consumer back."""

    def _on_sigint(self) -> None:
        self._end_in_time()
        super()._on_sigint()

    def _on_sigterm(self) -> None:
        self._end_in_time()
        super()._on_sigterm()

    def _end_in_time(self) -> None:
        watchdog = threading.Timer(_END_S, _end_now)
        watchdog.daemon = True
        watchdog.start()


def _end_now() -> None:
    log.warning("still stopping after %g s: ending now, what is unacknowledged comes again", _END_S)
    # Linux ends the process of the models with us.
    os._exit(0)


def _step(progress: Progress, failure: str | None) -> None:
    progress.progressed()
    if failure:
        metrics.STAGE_RESTARTS.labels(failure).inc()


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


def _log_to_stderr(loglevel: str) -> None:
    logging.basicConfig(
        level=loglevel,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    for library in ("aiokafka", "faust", "mode", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)
