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

pytestmark = [pytest.mark.models, pytest.mark.timeout(420)]


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
        timeout=400,
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
    """Ctrl-C ends broker, worker and models; bad seeds are dead letters and said so."""
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / SEED.name).write_bytes(SEED.read_bytes())
    english = {
        "id": "en-1",
        "title": "Leaders meet in Tirana",
        "body": "The prime ministers of Greece and Albania met in Tirana on Monday.",
        "published_at": "2026-11-23T10:00:00+01:00",
    }
    (seeds / "english.jsonl").write_bytes(orjson.dumps(english))
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command("up", "--seeds", seeds),
            cwd=ROOT,
            env=environment(tmp_path),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 300
        while "CONSULT/" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.2)
        time.sleep(2)
        started = descendants(process.pid)
        assert len(started) >= 3  # the broker, the worker, its models
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, output.read_text()
    finally:
        process.kill()
    assert "dead letter, unsupported-language: 1" in output.read_text()
    assert not [pid for pid in started if alive(pid)]


def test_extract_twice_is_byte_identical(tmp_path: Path) -> None:
    """Two runs over the same articles, with one process and with two, write the same bytes."""
    lines = STREAM.read_bytes().splitlines(keepends=True)[:8]
    source = tmp_path / "articles.jsonl"
    source.write_bytes(b"".join(lines))
    written = []
    for jobs in ("1", "2"):
        events, annotations = tmp_path / f"e{jobs}.jsonl", tmp_path / f"a{jobs}.jsonl"
        arguments = ["--events", events, "--annotations", annotations, "--jobs", jobs]
        subprocess.run(
            command("extract", source, *arguments),
            cwd=ROOT, env=environment(tmp_path), check=True, timeout=300, capture_output=True,
        )  # fmt: skip
        written.append((events.read_bytes(), annotations.read_bytes()))
    assert written[0] == written[1]
    annotated = [orjson.loads(line)["article"]["id"] for line in written[0][1].splitlines()]
    assert annotated == [orjson.loads(line)["id"] for line in lines]
    assert written[0][0]


def test_extract_reads_stdin_and_reports_rejects(tmp_path: Path) -> None:
    """Records go to stdout, and what was refused to a file, with its place and reason; status 1."""
    good = STREAM.read_bytes().splitlines()[2]
    rejects = tmp_path / "rejects.jsonl"
    done = subprocess.run(
        command("extract", "-", "--events", "-", "--rejects", rejects, "--jobs", "1"),
        cwd=ROOT,
        env=environment(tmp_path),
        input=good + b"\nnot json\n",
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert {orjson.loads(line)["schema"] for line in done.stdout.splitlines()} == {
        "diplomatic-event/1"
    }
    (reject,) = [orjson.loads(line) for line in rejects.read_bytes().splitlines()]
    assert reject["reason"] == "not-json"
    assert reject["where"].endswith(":2")
    assert b"1 rejected" in done.stderr
