"""``kasnec up`` and ``kasnec extract`` with the shipped models, as a newcomer runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from tests.wire.test_worker import alive

ROOT = Path(__file__).parents[2]
SEED = ROOT / "seeds" / "000_07caa4f05b56ff47.txt"
STREAM = ROOT / "seeds" / "summits-2027.jsonl"

pytestmark = [pytest.mark.models, pytest.mark.timeout(700)]


def command(*arguments: object) -> list[str]:
    """``kasnec`` with arguments."""
    return [sys.executable, "-m", "pipeline", *map(str, arguments)]


def environment(folder: Path) -> dict[str, str]:
    """Everything in a folder of its own, on ports of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KASNEC_")}
    return clean | {
        "KASNEC_EMBEDDED_DATA_DIR": str(folder / "data"),
        "KASNEC_EMBEDDED_PORT": "19092",
        "KASNEC_HEALTH_PORT": "16066",
        "COLUMNS": "400",
    }


def descendants(pid: int) -> set[int]:
    """Process ids of children, and of theirs."""
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def test_up_codes_the_seeds_and_ends(tmp_path: Path) -> None:
    """All seeds come out, the user's article among them; the exit status is 0."""
    done = subprocess.run(
        command("up", "--exit-when-done"),
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "41 of 41 articles processed" in done.stdout
    assert "0 dead letters" in done.stdout
    assert any(
        line.startswith("CONSULT/") and "Presidenti i Francës, Emmanuel Macron, dhe" in line
        for line in done.stdout.splitlines()
    )
    assert "http://127.0.0.1:16066/readyz" in done.stdout


def test_up_stops_everything_on_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C ends broker, worker and models, also while these are still loading."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command("up"),
            cwd=ROOT,
            env=environment(tmp_path),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while len(started := descendants(process.pid)) < 3:  # the broker, the worker, its models
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, output.read_text()
    finally:
        process.kill()
    assert not [pid for pid in started if alive(pid)]


def test_extract_twice_is_byte_identical(tmp_path: Path) -> None:
    """Two runs over the same articles write the same bytes; what is refused is listed, status 1.

    The first reads standard input with one process, the second a file with two.
    """
    lines = [*STREAM.read_bytes().splitlines(keepends=True)[:8], b"not json\n"]
    source = tmp_path / "articles.jsonl"
    source.write_bytes(b"".join(lines))
    written = []
    for jobs, given in (("1", "-"), ("2", source)):
        annotations, rejects, alerts = (tmp_path / f"{name}{jobs}.jsonl" for name in "ars")
        outputs = ["--events", "-", "--annotations", annotations]
        outputs += ["--rejects", rejects, "--alerts", alerts]
        done = subprocess.run(
            command("extract", given, *outputs, "--jobs", jobs),
            cwd=ROOT, env=environment(tmp_path), input=source.read_bytes(), timeout=600,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert b"1 rejected" in done.stderr
        (reject,) = [orjson.loads(line) for line in rejects.read_bytes().splitlines()]
        assert (reject["reason"], reject["where"].rpartition(":")[2]) == ("not-json", "9")
        written.append((done.stdout, annotations.read_bytes(), alerts.read_bytes()))
    assert written[0] == written[1]
    events, annotated, told = (
        [orjson.loads(line) for line in part.splitlines()] for part in written[0]
    )
    assert [record["article"]["id"] for record in annotated] == [
        orjson.loads(line)["id"] for line in lines[:8]
    ]
    assert {record["schema"] for record in events} == {"diplomatic-event/1"}
    assert {record["schema"] for record in told} == {"summit-alert/1"}
    assert told[0]["change"] == "new"
    assert told[0]["event"] in events
