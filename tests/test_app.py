"""The Faust app: what it promises, and what it must not do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from faust.types.enums import ProcessingGuarantee
from mode.supervisors import CrashingSupervisor

from pipeline.settings import Settings
from pipeline.streaming import agents, app
from pipeline.streaming.consumer import commit_all


@pytest.fixture
def made(settings_factory: Callable[..., Settings]) -> Any:
    """An app that no broker has seen."""
    return app.create(settings_factory("127.0.0.1:1"))


def test_promises_at_least_once(made: Any) -> None:
    """Never "exactly once": what it sends to topics that it does not consume goes out at once."""
    assert made.conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE
    assert made.conf.producer_acks == -1
    assert made.conf.broker_commit_interval <= 0.5
    assert made.conf.producer_request_timeout <= 60


def test_declares_and_serves_nothing(made: Any) -> None:
    """No topic is created by a worker, and Faust's own pages are off."""
    assert not made.conf.topic_allow_declare
    assert made.conf.topic_disable_leader
    assert not made.conf.web_enabled


def test_one_article_at_a_time_and_errors_end_the_process(made: Any) -> None:
    """More than one actor would commit past unfinished work; any other supervisor loses it."""
    topic = made.topic("raw", value_type=bytes, value_serializer="raw")
    handler = cast("agents.ArticleHandler", None)
    agent = agents.attach(made, topic, handler, name="articles", batch=1, linger_s=0.01)
    assert agent.concurrency == 1
    assert agent.supervisor_strategy is CrashingSupervisor


async def test_a_commit_under_way_does_not_swallow_the_next(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is acknowledged while a commit is under way is committed too, not left to come again."""
    acknowledged, committed = 1, 0
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def force_commit(*_: Any, **__: Any) -> bool:
        nonlocal committed
        upto = acknowledged
        begun.set()
        await go_on.wait()
        committed = upto
        return True

    consumer = made.consumer
    consumer._thread.thread_loop.close()  # its thread never starts, and nobody else closes it
    monkeypatch.setattr(consumer, "force_commit", force_commit)
    periodic = asyncio.create_task(consumer.commit())
    await begun.wait()
    acknowledged = 2
    last = asyncio.create_task(commit_all(made))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(periodic, last)
    assert committed == acknowledged
