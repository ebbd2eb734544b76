"""A TCP proxy in front of a broker that misbehaves when told to.

It reads the frames of the Kafka protocol (a length, then a request header: api key, version,
correlation id) and puts its own port into the answers that name the broker, so that clients stay
with it. The broker must be advertised as 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Self

HOST: Final = "127.0.0.1"

_PRODUCE: Final = 0
_NAMES_BROKERS: Final = (3, 10, 60)  # Metadata, FindCoordinator, DescribeCluster
_SASL_HANDSHAKE: Final = 17
_API_VERSIONS: Final = 18
_SASL_AUTHENTICATE: Final = 36
_SASL_AUTHENTICATION_FAILED: Final = 58


class FaultProxy:
    """Use as an async context manager; ``bootstrap_servers`` is what clients connect to.

    Args:
        upstream: ``127.0.0.1:port`` of the broker.
        tls: serve TLS with this context; the broker behind is spoken to in plain text.
        sasl: user name and password (SASL/PLAIN) that clients must give.
    """

    def __init__(
        self,
        upstream: str,
        *,
        tls: ssl.SSLContext | None = None,
        sasl: tuple[str, str] | None = None,
    ) -> None:
        self._upstream_port = int(upstream.rpartition(":")[2])
        self._tls = tls
        self._sasl = sasl
        self._open = asyncio.Event()
        self._open.set()
        self._refusing: Literal["close", "silence"] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.refused = 0

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` for clients."""
        return f"{HOST}:{self.port}"

    def pause(self) -> None:
        """Pass nothing on in either direction; connections stay open."""
        self._open.clear()

    def resume(self) -> None:
        """Undo ``pause``: what was held is passed on."""
        self._open.set()

    def refuse_produce(self, how: Literal["close", "silence"] = "close") -> None:
        """Answer produce requests by closing the connection, or not at all; ``refused`` counts."""
        self._refusing = how

    def accept_produce(self) -> None:
        """Undo ``refuse_produce``."""
        self._refusing = None

    def drop_connections(self) -> None:
        """Close every connection, as a restarting broker does."""
        for connection in self._connections:
            connection.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.drop_connections()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(HOST, self._upstream_port)
        asked: dict[int, int] = {}
        ways = {
            asyncio.create_task(self._requests(reader, up_writer, writer, asked)),
            asyncio.create_task(self._responses(up_reader, writer, asked)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            up_writer.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        asked: dict[int, int],
    ) -> None:
        trusted = self._sasl is None
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(reader)
                api_key, version, correlation = struct.unpack_from(">hhi", frame)
                await self._open.wait()
                if api_key in (_SASL_HANDSHAKE, _SASL_AUTHENTICATE) and self._sasl is not None:
                    trusted = self._authenticate(api_key, version, correlation, frame, client)
                elif not trusted and api_key != _API_VERSIONS:
                    return
                elif api_key == _PRODUCE and self._refusing is not None:
                    self.refused += 1
                    if self._refusing == "close":
                        return
                else:
                    asked[correlation] = api_key
                    _send(upstream, frame)
                    await upstream.drain()

    async def _responses(
        self, upstream: asyncio.StreamReader, client: asyncio.StreamWriter, asked: dict[int, int]
    ) -> None:
        theirs = HOST.encode() + struct.pack(">i", self._upstream_port)
        ours = HOST.encode() + struct.pack(">i", self.port)
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(upstream)
                await self._open.wait()
                if asked.pop(struct.unpack_from(">i", frame)[0], None) in _NAMES_BROKERS:
                    frame = frame.replace(theirs, ours)
                _send(client, frame)
                await client.drain()

    def _authenticate(
        self,
        api_key: int,
        version: int,
        correlation: int,
        frame: bytes,
        client: asyncio.StreamWriter,
    ) -> bool:
        """Answer as a broker with SASL/PLAIN; whether the client is known now."""
        if api_key == _SASL_HANDSHAKE:
            answer = struct.pack(">ihih5s", correlation, 0, 1, len(b"PLAIN"), b"PLAIN")
            _send(client, answer)
            return False
        assert self._sasl is not None
        known = frame.endswith("\0{}\0{}".format(*self._sasl).encode())
        error = 0 if known else _SASL_AUTHENTICATION_FAILED
        answer = struct.pack(">ihhi", correlation, error, -1, 0)
        _send(client, answer + (struct.pack(">q", 0) if version else b""))
        return known


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)
