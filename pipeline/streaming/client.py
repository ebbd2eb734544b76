"""Clients of the broker: how they connect, and what to say when they cannot."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from pipeline.errors import BrokerUnavailable, ConfigurationError
from pipeline.streaming.broker import running

if TYPE_CHECKING:
    from pipeline.settings import Broker, Settings, Topic

# A broker across the world answers in a second; one that takes longer is not there.
CONNECT_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 5.0
# What a topic's max.message.bytes counts beside key and value: the batch's and the record's frame.
_FRAME_BYTES: Final = 1024


def connection(settings: Settings, role: str) -> dict[str, Any]:
    """What every aiokafka client is built with.

    Args:
        settings: where the broker is and how to authenticate. Without an address, the embedded
            broker that ``kasnec up`` runs on ``embedded.data_dir`` is taken.
        role: what the client is for; the broker's logs and quotas show it as ``kasnec-<role>``.

    Raises:
        BrokerUnavailable: no address is configured and no embedded broker runs.
        ConfigurationError: a certificate or a key cannot be used.
    """
    broker = settings.broker
    if not broker.bootstrap_servers:
        found = running(settings.embedded)
        if found is None:
            raise BrokerUnavailable(
                "No broker is configured and no embedded one runs in "
                f"{settings.embedded.data_dir}. Set KASNEC_BROKER_BOOTSTRAP_SERVERS to the "
                "host:port of your Kafka, or start `kasnec up` in another terminal."
            )
        return {"bootstrap_servers": found, "client_id": f"kasnec-{role}"}
    return {
        "bootstrap_servers": [server.strip() for server in broker.bootstrap_servers.split(",")],
        "client_id": f"kasnec-{role}",
        **_security(broker),
    }


def ssl_context(broker: Broker) -> ssl.SSLContext | None:
    """The TLS context for the broker, None for plain text.

    Raises:
        ConfigurationError: a certificate or a key cannot be used.
    """
    if not broker.uses_tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ssl_ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            [f"broker.ssl_ca_file: {broker.ssl_ca_file} holds no PEM certificate ({error})"]
        ) from error
    if broker.ssl_cert_file and broker.ssl_key_file:
        try:
            # A callable: for an empty password OpenSSL would ask at the terminal.
            context.load_cert_chain(
                broker.ssl_cert_file,
                broker.ssl_key_file,
                password=broker.ssl_key_password.get_secret_value,
            )
        except (ssl.SSLError, OSError, ValueError) as error:
            raise ConfigurationError(
                [
                    (
                        f"broker.ssl_cert_file {broker.ssl_cert_file} and broker.ssl_key_file "
                        f"{broker.ssl_key_file} cannot be used together ({error}). They must be "
                        "PEM and belong together; the key's password is read from "
                        "KASNEC_BROKER_SSL_KEY_PASSWORD_FILE."
                    )
                ]
            ) from error
    return context


@asynccontextmanager
async def producer(settings: Settings, topic: Topic, role: str) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer of confirmed, uncompressed messages for one topic.

    ``acks=all``, and aiokafka has one batch a partition on its way at a time: a retry inside the
    client neither loses nor reorders. It may double a message, which ids make harmless; Kafka's
    idempotence would prevent that, but not every broker has it (Tansu refuses such a producer).

    Raises:
        BrokerUnavailable: no broker answers, or it refuses us.
        ConfigurationError: as ``connection`` does.
    """
    client = AIOKafkaProducer(
        **connection(settings, role),
        acks="all",
        max_request_size=topic.max_message_bytes + _FRAME_BYTES,
        request_timeout_ms=round(settings.worker.produce_timeout_s * 1000),
    )
    async with _started(client, settings):
        yield client


@asynccontextmanager
async def reader(settings: Settings, topic: Topic, role: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer without a group, to read a topic from assigned positions.

    Raises:
        BrokerUnavailable: no broker answers, or it refuses us.
        ConfigurationError: as ``connection`` does.
    """
    client = AIOKafkaConsumer(
        **connection(settings, role),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=topic.max_message_bytes + _FRAME_BYTES,
    )
    async with _started(client, settings):
        yield client


@asynccontextmanager
async def member(
    settings: Settings,
    several: Sequence[Topic],
    group: str,
    *,
    begin: Literal["earliest", "latest"],
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started member of a group, which acknowledges by hand.

    Args:
        settings: broker and time limits.
        several: the topics.
        group: its name.
        begin: where a group that is new begins.

    Raises:
        BrokerUnavailable: no broker answers, or it refuses us.
        ConfigurationError: as ``connection`` does.
    """
    worker = settings.worker
    client = AIOKafkaConsumer(
        **connection(settings, group),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset=begin,
        # One fetch must be able to hold a message of any.
        max_partition_fetch_bytes=max(t.max_message_bytes for t in several) + _FRAME_BYTES,
        session_timeout_ms=round(worker.session_timeout_s * 1000),
        heartbeat_interval_ms=round(worker.session_timeout_s * 1000 / 5),
        rebalance_timeout_ms=round(worker.rebalance_timeout_s * 1000),
    )
    async with _started(client, settings):
        # Not before: start() would wait for the group, which may take longer than a connection.
        client.subscribe([topic.name for topic in several])
        yield client


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client.

    Raises:
        BrokerUnavailable: no broker answers, or it refuses us.
        ConfigurationError: as ``connection`` does.
    """
    client = AIOKafkaAdminClient(
        **connection(settings, "admin"), request_timeout_ms=round(CONNECT_TIMEOUT_S * 1000)
    )
    async with _started(client, settings):
        yield client


@asynccontextmanager
async def _started(client: Any, settings: Settings) -> AsyncIterator[None]:
    try:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await client.start()
        except (KafkaError, OSError) as error:  # TimeoutError is an OSError
            raise await unavailable(settings, error) from error
        yield
    finally:
        await _close(client)


async def _close(client: Any) -> None:
    """Close within a time limit: a broker that went away must not keep us."""
    stop = client.close if isinstance(client, AIOKafkaAdminClient) else client.stop
    with suppress(KafkaError, OSError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await stop()
            return
    if isinstance(client, AIOKafkaProducer):
        # Its stop() waits for what is unconfirmed, and nothing public cuts that short.
        await client._sender.close()  # noqa: SLF001
        await client.client.close()


async def unavailable(settings: Settings, error: Exception) -> BrokerUnavailable:
    """The error to raise where a client failed to connect: what is wrong and what to do.

    aiokafka only says "unable to bootstrap", so each server is tried once more to see why.
    """
    options = connection(settings, "diagnosis")
    servers = options.pop("bootstrap_servers")
    found = [
        f"{server}: {await _diagnosis(server, options)}"
        for server in ([servers] if isinstance(servers, str) else servers)
    ]
    return BrokerUnavailable(
        f"The broker cannot be used ({_words(error)}).\n  " + "\n  ".join(found)
    )


async def _diagnosis(server: str, options: dict[str, Any]) -> str:
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connected = await create_conn(host, int(port), **options)
    except (KafkaError, OSError) as error:
        return _advice(error, options.get("security_protocol", "PLAINTEXT"))
    connected.close()
    return "it answers a connection, and then fails. Its own log tells more."


def _advice(error: Exception, protocol: str) -> str:
    match error:
        case ConnectionRefusedError():
            advice = "nothing listens there. Start it, or correct broker.bootstrap_servers."
        case ssl.SSLCertVerificationError():
            advice = (
                f"its certificate is not trusted ({error.verify_message}). Set "
                "KASNEC_BROKER_SSL_CA_FILE to the certificate of the authority that signed it, and "
                "use the host name that it was issued for."
            )
        case ssl.SSLError():
            advice = (
                f"no TLS connection ({error.reason or error}). Is broker.security_protocol right "
                f"({protocol}), and does the broker ask for a client certificate?"
            )
        case TimeoutError():
            advice = (
                f"no answer within {CONNECT_TIMEOUT_S:.0f} s. Is it a Kafka, is a firewall in "
                f"between, and is broker.security_protocol right ({protocol})?"
            )
        case KafkaError():
            advice = (
                f"it closed the connection or refused to log us in ({_words(error)}). Check "
                f"broker.security_protocol ({protocol}), broker.sasl_mechanism, sasl_username and "
                "sasl_password."
            )
        case _:
            reason = getattr(error, "strerror", None) or error
            advice = f"{reason}. Correct broker.bootstrap_servers, or the network."
    return advice


def _security(broker: Broker) -> dict[str, Any]:
    options: dict[str, Any] = {
        "security_protocol": broker.security_protocol,
        "ssl_context": ssl_context(broker),
    }
    if broker.uses_sasl:
        options |= {
            "sasl_mechanism": broker.sasl_mechanism,
            "sasl_plain_username": broker.sasl_username,
            "sasl_plain_password": broker.sasl_password.get_secret_value(),
        }
    return options


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
