"""Creating and checking topics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import InvalidReplicationFactorError
from aiokafka.protocol.admin import CreateTopicsResponse_v1
from click.testing import CliRunner

from pipeline import settings as settings_module
from pipeline.cli import cli
from pipeline.errors import BrokerUnavailable, TopicMismatch
from pipeline.settings import Settings
from pipeline.streaming import topics


async def test_create_twice(settings: Settings) -> None:
    """The first run creates all, the second nothing; then the topics are as configured."""
    assert all(state.created for state in await topics.create(settings))
    again = await topics.create(settings)
    assert not any(state.created or state.faults or state.differences for state in again)
    assert [state.partitions for state in again] == [t.partitions for t in settings.topics.all()]
    await topics.verify(settings)


async def test_missing_topics_are_named_and_not_made(settings: Settings) -> None:
    """Checking says which topics are missing and what to run, and creates none."""
    for _ in range(2):
        with pytest.raises(TopicMismatch, match="kasnec topics create") as raised:
            await topics.verify(settings)
        for topic in settings.topics.all():
            assert topic.name in str(raised.value)


async def test_wrong_partition_count(
    settings: Settings, wire_settings: Callable[..., Settings]
) -> None:
    """Another number of partitions than configured is an error with both numbers."""
    await topics.create(settings)
    other = wire_settings(topics={"raw": {"partitions": 7}})
    with pytest.raises(TopicMismatch, match="has 4 partitions, 7 are configured"):
        await topics.verify(other)


async def test_other_settings_are_warnings(
    settings: Settings,
    wire_settings: Callable[..., Settings],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A differing retention does not keep the worker from starting, but is logged."""
    await topics.create(settings)
    other = wire_settings(topics={"events": {"retention_hours": 1}})
    with caplog.at_level(logging.WARNING):
        await topics.verify(other)
    assert "retention.ms is 2592000000, 3600000 is configured" in caplog.text


async def test_refused_creation_says_why(
    wire_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More replicas than brokers: Kafka's own words are in the error (Tansu takes any number)."""
    settings = wire_settings(topics={"replication_factor": 9})
    refusal = "Replication factor: 9 larger than available brokers: 1."

    async def refuse(_admin: Any, new: list[NewTopic]) -> CreateTopicsResponse_v1:
        code = InvalidReplicationFactorError.errno
        return CreateTopicsResponse_v1([(topic.name, code, refusal) for topic in new])

    monkeypatch.setattr(AIOKafkaAdminClient, "create_topics", refuse)
    with pytest.raises(TopicMismatch) as refused:
        await topics.create(settings)
    assert str(refused.value).count(f"the broker refused to create it: {refusal}") == len(
        settings.topics.all()
    )


async def test_nothing_listens(settings_factory: Callable[..., Settings]) -> None:
    """An address where nothing listens is named, with what to do."""
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1: nothing listens there"):
        await topics.verify(settings_factory("127.0.0.1:1"))


def test_commands(settings: Settings, wire_settings: Callable[..., Settings]) -> None:
    """``check`` fails before ``create`` and passes after it; a difference fails it again."""

    def run(command: str, over: Settings = settings) -> Any:
        environ = settings_module.environment(over)
        return CliRunner().invoke(cli, ["topics", command], env=environ)

    assert isinstance(run("check").exception, TopicMismatch)
    assert run("create").exit_code == 0
    assert run("check").exit_code == 0
    result = run("check", wire_settings(topics={"raw": {"cleanup_policy": "compact"}}))
    assert "cleanup.policy is delete, compact is configured" in str(result.exception)
