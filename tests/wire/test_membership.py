"""A member of a group keeps its name until the broker says that it is unknown."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from pipeline.settings import Settings
from pipeline.streaming import membership, topics

Answer = type[KafkaError]


@pytest.fixture
async def member(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A consumer that has joined its group on the broker under test."""
    original = "aiokafka.consumer.consumer.GroupCoordinator"
    monkeypatch.setattr(original, GroupCoordinator)  # to be put back at the end
    membership.install()
    await topics.create(settings)
    consumer = AIOKafkaConsumer(
        settings.topics.raw.name,
        bootstrap_servers=settings.broker.bootstrap_servers,
        group_id=settings.worker.group,
        enable_auto_commit=False,
        heartbeat_interval_ms=100,
    )
    await consumer.start()
    yield consumer
    await consumer.stop()


def answering(error: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker answers every commit with the error."""
    send = AIOKafkaClient.send

    async def answer(self: Any, node: int, request: Any, **options: Any) -> Any:
        response = await send(self, node, request, **options)
        if type(response).__name__.startswith("OffsetCommitResponse"):
            response.topics = [(t, [(p, error.errno) for p, _ in ps]) for t, ps in response.topics]
        return response

    monkeypatch.setattr(AIOKafkaClient, "send", answer)


@pytest.mark.parametrize(
    ("error", "keeps"),
    [
        pytest.param(IllegalGenerationError, True, id="illegal-generation"),
        pytest.param(RebalanceInProgressError, True, id="rebalance-in-progress"),
        pytest.param(UnknownMemberIdError, False, id="unknown-member"),
    ],
)
async def test_refused_commit(
    settings: Settings, member: Any, monkeypatch: pytest.MonkeyPatch, error: Answer, *, keeps: bool
) -> None:
    """After a refused commit the member is who it was, unless the broker does not know it."""
    coordinator = member._coordinator
    before = coordinator.member_id
    assert before
    answering(error, monkeypatch)
    partition = TopicPartition(settings.topics.raw.name, 0)
    with pytest.raises(KafkaError):
        await coordinator._do_commit_offsets(
            member._subscription.subscription.assignment, {partition: OffsetAndMetadata(0, "")}
        )
    assert (coordinator.member_id == before) is keeps


async def test_stopping_gives_the_name_back(member: Any) -> None:
    """Who has left is nobody any more."""
    coordinator = member._coordinator
    assert coordinator.member_id
    await member.stop()
    assert not coordinator.member_id
