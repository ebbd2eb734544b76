"""Alerts at a real Alertmanager, Debian's package."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from pipeline.settings import Alertmanager
from pipeline.sinks.alertmanager import AlertmanagerSink
from pipeline.stories.register import Register
from tests.sinks.receivers import Receiver
from tests.stories.builders import summit_event
from tests.wire.harness import get, until

_PACKAGE = "prometheus-alertmanager"
_CONFIG = """
route:
  receiver: desk
  group_by: [summit_id]
  group_wait: 1s
  group_interval: 1s
receivers:
  - name: desk
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


@pytest.fixture
def binary() -> str:
    """Of this machine; it reads its templates from where the package puts them."""
    if found := shutil.which(_PACKAGE):
        return found
    pytest.skip(f"needs {_PACKAGE}: apt install {_PACKAGE}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Whom the Alertmanager tells."""
    with Receiver() as running:
        yield running


@pytest.fixture
def url(binary: str, receiver: Receiver, tmp_path: Path) -> Iterator[str]:
    """A running Alertmanager."""
    config = tmp_path / "alertmanager.yml"
    config.write_text(_CONFIG.format(url=receiver.url))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            binary, f"--config.file={config}", f"--storage.path={tmp_path}",
            f"--web.listen-address={address}", "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while get(f"http://{address}/-/ready")[0] != 200:
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline, "it does not get ready"
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


async def test_an_alertmanager_groups_and_resolves(url: str, receiver: Receiver) -> None:
    """One alert a summit, brought up to date by each change; a summit that is off resolves."""
    today = datetime.now(UTC).date()
    published = today.isoformat()
    soon, later = ((today + timedelta(days=n)).isoformat() for n in (10, 14))
    others = ["FRA", "DEU", "POL"]
    events = [
        summit_event("a", published, date=soon),
        summit_event("b", published, others, date=soon),
        summit_event("c", published, status="postponed", date=later),
        summit_event("d", published, status="cancelled", date=later),
    ]
    register = Register()
    alerts = [alert for event in events if (alert := register.observe(event).alert)]
    off, stays = alerts[0].summit_id, alerts[1].summit_id
    sink = AlertmanagerSink(Alertmanager(url=url))

    def known() -> dict[str, str]:
        found = orjson.loads(get(url + "/api/v2/alerts")[1])
        return {a["labels"]["summit_id"]: a["annotations"]["status"] for a in found}

    def told(status: str) -> set[str]:
        bodies = [orjson.loads(request.body) for request in receiver.taken]
        return {b["groupLabels"]["summit_id"] for b in bodies if b["status"] == status}

    for alert in alerts[:3]:
        await sink.tell(alert)
    await until(
        lambda: known() == {off: "postponed", stays: "planned"}, what="both as they are now"
    )
    await until(lambda: told("firing") == {off, stays}, what="news of both")
    await sink.tell(alerts[3])
    await until(lambda: told("resolved") == {off}, what="the end of one")
