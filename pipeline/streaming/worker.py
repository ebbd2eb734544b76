"""`kasnec worker`: one process of Faust, one process of models, one thread of probes."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from functools import partial

from pipeline.isolation import ChainFactory, IsolatedChain, real_chain
from pipeline.settings import Settings
from pipeline.streaming import logs, metrics, topics
from pipeline.streaming.health import ProbeServer, Progress

log = logging.getLogger(__name__)


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
    logs.to_stderr(loglevel)
    progress = Progress(settings.health.stall_s)
    probes = ProbeServer(settings.health, progress)
    chain = IsolatedChain(
        settings.language,
        factory=factory,
        timeout_s=settings.worker.stage_timeout_s,
        load_timeout_s=settings.worker.model_load_timeout_s,
        on_step=partial(_step, progress),
    )
    with ExitStack() as stack:
        stack.callback(chain.stop)
        chain.start()
        asyncio.run(topics.verify(settings))
        stack.callback(probes.stop)
        probes.start()
        log.info("probes and metrics on http://%s:%d", settings.health.host, probes.port)
        # Here and not above: the models load meanwhile.
        from pipeline.streaming import consumer  # noqa: PLC0415

        consumer.import_all()
        chain.load()
        progress.models_loaded()
        log.info("models loaded")
        return consumer.consume(settings, chain, progress)


def _step(progress: Progress, failure: str | None) -> None:
    progress.progressed()
    if failure:
        metrics.STAGE_RESTARTS.labels(failure).inc()
