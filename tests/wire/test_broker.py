"""The embedded broker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import BrokerUnavailable, TopicMismatch
from pipeline.settings import Embedded, Settings
from pipeline.streaming import broker as broker_module
from pipeline.streaming import topics
from pipeline.streaming.broker import EmbeddedBroker, running
from tests.wire.helpers import read_all, write


async def test_starts_empty(tmp_path: Path, settings_factory: Callable[..., Settings]) -> None:
    """Nothing is left of an earlier run: neither topics nor messages, as its docstring says."""
    embedded = Embedded(data_dir=tmp_path)
    async with EmbeddedBroker(embedded) as first:
        settings = first.settings(settings_factory())
        await topics.create(settings)
        await write(settings, settings.topics.raw, [(b"k", b"nje", [("h", b"1")])])
        (found,) = await read_all(settings, settings.topics.raw)
        assert (found.key, found.value, found.headers) == (b"k", b"nje", (("h", b"1"),))
    async with EmbeddedBroker(embedded) as second:
        settings = second.settings(settings)
        with pytest.raises(TopicMismatch, match="kasnec topics create"):
            await topics.verify(settings)


async def test_takes_a_free_port_and_refuses_a_shared_folder(tmp_path: Path) -> None:
    """A taken port is no obstacle; a folder in use is, with the process ids in the error."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        embedded = Embedded(data_dir=tmp_path, port=taken.getsockname()[1])
        async with EmbeddedBroker(embedded) as first:
            assert first.port != embedded.port
            assert running(embedded) == first.bootstrap_servers
            with pytest.raises(BrokerUnavailable, match=rf"{os.getpid()}.*{first.pid}"):
                await EmbeddedBroker(embedded).start()
    assert running(embedded) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    """Every listening socket of the broker is bound to 127.0.0.1, and it has its own session."""
    async with EmbeddedBroker(Embedded(data_dir=tmp_path)) as broker:
        assert broker.pid is not None
        sockets = {
            str(link.readlink()).removeprefix("socket:[").removesuffix("]")
            for link in Path(f"/proc/{broker.pid}/fd").iterdir()
        }
        listening = [
            fields[1].partition(":")[0]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/{broker.pid}/net/{table}").read_text().splitlines()[1:]
            if (fields := line.split())[9] in sockets and fields[3] == "0A"
        ]
        assert os.getsid(broker.pid) != os.getsid(0)
    assert set(listening) == {"0100007F"}


async def test_a_lock_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    """The lock file of a process that is gone does not keep the broker from starting."""
    (tmp_path / broker_module.LOCK_FILE).write_text("999999999 999999998 127.0.0.1:1\n")
    async with EmbeddedBroker(Embedded(data_dir=tmp_path)) as broker:
        assert running(Embedded(data_dir=tmp_path)) == broker.bootstrap_servers


async def test_failed_start_shows_the_end_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that ends at once is an error with its exit status and its last words."""
    script = tmp_path / "fake"
    script.write_text("#!/bin/sh\necho 'disku plot'\nexit 7\n")
    script.chmod(0o755)
    monkeypatch.setattr(broker_module, "_binary", lambda: script)
    with pytest.raises(BrokerUnavailable, match=r"status 7(.|\n)*disku plot"):
        await EmbeddedBroker(Embedded(data_dir=tmp_path / "data")).start()


async def test_silent_broker_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that never answers is given up in time, stopped, and the folder is free again."""
    script = tmp_path / "fake"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    embedded = Embedded(data_dir=tmp_path / "data")
    with monkeypatch.context() as patched:
        patched.setattr(broker_module, "_binary", lambda: script)
        patched.setattr(broker_module, "_START_TIMEOUT_S", 0.3)
        with pytest.raises(BrokerUnavailable, match="did not answer"):
            await EmbeddedBroker(embedded).start()
    async with EmbeddedBroker(embedded) as broker:
        assert broker.pid is not None


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_broker_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """A kill -9 of the parent ends the broker too, and the next start finds the folder free."""
    program = (
        "import asyncio, pathlib, sys\n"
        "from pipeline.settings import Embedded\n"
        "from pipeline.streaming.broker import EmbeddedBroker\n"
        "async def main():\n"
        "    async with EmbeddedBroker(Embedded(data_dir=pathlib.Path(sys.argv[1]))) as broker:\n"
        "        print(broker.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
    async with EmbeddedBroker(Embedded(data_dir=tmp_path)) as broker:
        assert broker.pid not in (None, pid)
