"""The Faust app: its settings, each for a reason that field tests gave."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import faust
from faust.types.auth import SASLMechanism

from pipeline.settings import Broker, Settings
from pipeline.streaming import client, membership


def create(settings: Settings) -> Any:
    """A Faust app for the settings, without agents."""
    worker = settings.worker
    membership.install()
    return faust.App(
        worker.group,
        broker=[
            f"kafka://{server.strip()}" for server in settings.broker.bootstrap_servers.split(",")
        ],
        broker_credentials=credentials(settings.broker),
        # "exactly_once" is not: sends to topics that the app does not consume go out without a
        # transaction. At least once, with ids that make repetition harmless.
        processing_guarantee="at_least_once",
        # Declaring topics from a worker ends in partition mismatches: `kasnec topics create` does.
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        # Messages held in memory. The fetcher sleeps a second whenever this is full.
        stream_buffer_maxsize=worker.buffer_size,
        # One fetch must be able to hold the largest message of articles.raw.
        consumer_max_fetch_size=settings.topics.raw.max_message_bytes,
        broker_max_poll_records=worker.buffer_size,
        broker_commit_interval=worker.commit_interval_s,
        broker_session_timeout=worker.session_timeout_s,
        broker_heartbeat_interval=worker.session_timeout_s / 5,
        broker_request_timeout=max(worker.produce_timeout_s, worker.session_timeout_s) + 5,
        # A worker that joins waits this long for the others; the default of 60 s is an outage.
        broker_rebalance_timeout=worker.rebalance_timeout_s,
        producer_acks=-1,
        producer_request_timeout=worker.produce_timeout_s,  # the default is 1200 s
        producer_max_request_size=max(t.max_message_bytes for t in settings.topics.all()),
        # Waiting for unacknowledged messages hangs SIGTERM for ever when one is held; the handler
        # waits for what is in hand, with a limit.
        stream_wait_empty=False,
        # Its pages show tables and routes to everybody, and its health check is always green.
        web_enabled=False,
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / f"kasnec-{worker.group}",
    )


def credentials(broker: Broker) -> Any:
    """Faust's credentials object, None for plain text without authentication."""
    context = client.ssl_context(broker)
    if broker.uses_sasl:
        return faust.SASLCredentials(
            username=broker.sasl_username,
            password=broker.sasl_password.get_secret_value(),
            ssl_context=context,
            mechanism=SASLMechanism(broker.sasl_mechanism),
        )
    return faust.SSLCredentials(context) if context else None
