"""The topics of record.md: create them, and tell what is wrong with those that exist."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from pipeline.errors import BrokerUnavailable, TopicMismatch
from pipeline.settings import Settings, Topic
from pipeline.streaming import client

log = logging.getLogger(__name__)

_VISIBLE_TIMEOUT_S: Final = 15.0  # a controller tells every broker within a second or two
_REQUEST_TIMEOUT_S: Final = 30.0
_MS_PER_HOUR: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """What exists of a configured topic.

    Attributes:
        topic: as configured.
        partitions: how many exist; 0 where the topic is missing.
        created: whether ``create`` has just made it.
        faults: what keeps the worker from working, each a sentence.
        differences: settings that differ from the configuration, each a sentence; the worker works
            with them.
    """

    topic: Topic
    partitions: int
    created: bool = False
    faults: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


def topic_configs(topic: Topic) -> dict[str, str]:
    """The configuration of a topic in Kafka's names."""
    forever = topic.retention_hours == -1
    return {
        "retention.ms": "-1" if forever else str(topic.retention_hours * _MS_PER_HOUR),
        "cleanup.policy": topic.cleanup_policy,
        "max.message.bytes": str(topic.max_message_bytes),
    }


async def create(settings: Settings) -> tuple[TopicState, ...]:
    """Create the topics that are missing, leave the others as they are, and wait until all answer.

    Returns:
        The state of every topic afterwards, in the order of ``settings.topics.all()``.

    Raises:
        BrokerUnavailable: no broker answers, or the new topics stay invisible.
        TopicMismatch: the broker refused to create a topic; the message says why.
    """
    async with client.admin(settings) as admin:
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                created = await _create_missing(admin, settings)
                await _until_visible(admin, created)
                states = await _states(admin, settings)
        except (KafkaError, TimeoutError) as error:
            raise await client.unavailable(settings, error) from error
    return tuple(replace(state, created=state.topic.name in created) for state in states)


async def inspect(settings: Settings) -> tuple[TopicState, ...]:
    """The state of every topic, in the order of ``settings.topics.all()``.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    async with client.admin(settings) as admin:
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                return await _states(admin, settings)
        except (KafkaError, TimeoutError) as error:
            raise await client.unavailable(settings, error) from error


async def verify(settings: Settings) -> None:
    """Return if the worker can work with the topics; other differences are logged as warnings.

    Raises:
        BrokerUnavailable: no broker answers.
        TopicMismatch: a topic is missing or has another number of partitions than configured.
    """
    states = await inspect(settings)
    for state in states:
        for difference in state.differences:
            log.warning("%s", difference)
    raise_faults([fault for state in states for fault in state.faults])


def raise_faults(faults: list[str]) -> None:
    """Raise ``TopicMismatch`` with the list, if there is anything in it.

    Raises:
        TopicMismatch: there are faults.
    """
    if faults:
        raise TopicMismatch("The topics are not as configured:\n  " + "\n  ".join(faults))


async def _create_missing(admin: AIOKafkaAdminClient, settings: Settings) -> set[str]:
    existing = set(await admin.list_topics())
    missing = [topic for topic in settings.topics.all() if topic.name not in existing]
    if not missing:
        return set()
    response = await admin.create_topics(
        [
            NewTopic(
                topic.name,
                topic.partitions,
                settings.topics.replication_factor,
                topic_configs=topic_configs(topic),
            )
            for topic in missing
        ]
    )
    refused = []
    for name, code, *message in response.topic_errors:
        # Another process may have been quicker.
        if code not in (0, TopicAlreadyExistsError.errno):
            reason = next(filter(None, message), for_code(code).__name__)
            refused.append(f"{name}: the broker refused to create it: {reason}")
    raise_faults(refused)
    return {topic.name for topic in missing}


async def _until_visible(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    deadline = asyncio.get_running_loop().time() + _VISIBLE_TIMEOUT_S
    while asyncio.get_running_loop().time() < deadline:
        found = await _partitions(admin, names)
        if names <= found.keys():
            return
        await asyncio.sleep(0.1)
    raise BrokerUnavailable(
        f"The broker created the topics {', '.join(sorted(names))} and does not show them after "
        f"{_VISIBLE_TIMEOUT_S:.0f} s. Its own log tells more."
    )


async def _partitions(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, int]:
    """Partition counts of those topics that exist and have a leader everywhere."""
    # To describe a topic that does not exist creates it on a broker with automatic creation.
    existing = names & set(await admin.list_topics())
    if not existing:
        return {}
    return {
        described["topic"]: len(described["partitions"])
        for described in await admin.describe_topics(sorted(existing))
        if described["error_code"] == 0
        and all(partition["leader"] >= 0 for partition in described["partitions"])
    }


async def _states(admin: AIOKafkaAdminClient, settings: Settings) -> tuple[TopicState, ...]:
    topics = settings.topics.all()
    found = await _partitions(admin, {topic.name for topic in topics})
    configs = await _configs(admin, sorted(found))
    return tuple(
        TopicState(
            topic=topic,
            partitions=found.get(topic.name, 0),
            faults=tuple(_faults(topic, found.get(topic.name, 0))),
            differences=tuple(_differences(topic, configs.get(topic.name, {}))),
        )
        for topic in topics
    )


def _faults(topic: Topic, partitions: int) -> list[str]:
    if not partitions:
        return [f"{topic.name} does not exist: run `kasnec topics create`."]
    if partitions == topic.partitions:
        return []
    fault = (
        f"{topic.name} has {partitions} partitions, {topic.partitions} are configured. Kafka can "
        "add partitions, which moves keys to others, and never removes them: set "
        f"`partitions = {partitions}` for it in config/kasnec.toml, or choose another name."
    )
    return [fault]


def _differences(topic: Topic, found: Mapping[str, str]) -> list[str]:
    return [
        f"{topic.name}: {name} is {found[name]}, {wanted} is configured. Change it with "
        f"`kafka-configs.sh --alter --topic {topic.name} --add-config "
        f"{name}={_bracketed(wanted)}`, or change config/kasnec.toml."
        for name, wanted in topic_configs(topic).items()
        if name in found and set(found[name].split(",")) != set(wanted.split(","))
    ]


def _bracketed(value: str) -> str:
    return f"[{value}]" if "," in value else value


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """The configurations that the broker shows us; it may show none (access control)."""
    if not names:
        return {}
    responses: list[Any] = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for response in responses
        for code, _message, _type, name, entries in response.resources
        if code == 0
    }
